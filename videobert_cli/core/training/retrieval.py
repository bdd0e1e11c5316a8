"""A pretrained model learns to lay sentences and their segments beside each other: `finetune.task: retrieval`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn

from videobert_cli.core.model.flops import batch_flops
from videobert_cli.core.model.retrieval import RetrievalOutput, VideoBERTForRetrieval
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.epoch_order import EpochOrder
from videobert_cli.core.sequences.packing import PackedBatch, pack
from videobert_cli.core.sequences.pairs import ShownSentence, text_sequence, word_sequence
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.finetune_options import RetrievalOptions
from videobert_cli.core.training.job import PartReport, Tally, share
from videobert_cli.core.training.loop import TrainingLoop, TrainingResult
from videobert_cli.core.training.ranks import TrainingRanks
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.core.video.manifest import Split
from videobert_cli.errors import InputError
from videobert_cli.ranks import Ranks
from videobert_cli.runtime import StopRequest

# Shapes: B pairs of one group.


@dataclass(frozen=True, kw_only=True)
class PairGroup:
    """Pairs that are each other's negatives: B sentences, then their B segments, and which sentences are the same."""

    packed: PackedBatch
    is_same_text_BB: np.ndarray
    is_counted: bool = True

    @property
    def num_pairs(self) -> int:
        """How many pairs the loss is a mean over; 0 for one that only runs beside others."""
        return len(self.is_same_text_BB) if self.is_counted else 0


@dataclass(frozen=True, kw_only=True)
class PairBatch:
    """Groups of pairs. A group is never cut: its loss is one of all its pairs at once."""

    groups: tuple[PairGroup, ...]

    @property
    def num_sequences(self) -> int:
        """Number of pairs."""
        return sum(len(group.is_same_text_BB) for group in self.groups)

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all sentences and segments."""
        return sum(group.packed.num_tokens for group in self.groups)

    def share(self, *, index: int, num_ranks: int) -> Self:
        """Return the groups that rank `index` computes; where there is none for it, `nothing`."""
        own = self.groups[index::num_ranks]
        return type(self)(groups=own) if own else self.nothing()

    def nothing(self) -> Self:
        """Return the first group, not counted."""
        return type(self)(groups=(replace(self.groups[0], is_counted=False),))

    def split(self, num_parts: int) -> list[Self]:
        """Return the batch in parts of about equal numbers of groups, at most one a group."""
        parts = np.array_split(np.arange(len(self.groups)), min(num_parts, len(self.groups)))
        return [type(self)(groups=tuple(self.groups[n] for n in numbers)) for numbers in parts]


class RetrievalJob:
    """Symmetric InfoNCE of sentences and segments in groups of pairs."""

    def __init__(
        self,
        model: VideoBERTForRetrieval,
        *,
        train: Sequence[ShownSentence],
        held_out: Sequence[ShownSentence],
        tokenizer: VideoBERTTokenizer,
        batch_num_sequences: int,
        group_num_pairs: int,
        seed: int,
        ranks: TrainingRanks,
    ) -> None:
        self._ranks = ranks
        self._parallel = ranks.parallel(model)
        self.model: VideoBERTForRetrieval = model
        self._train, self._held_out = train, held_out
        self._vocabulary, self._first_word = joint_vocabulary(tokenizer), tokenizer.word_to_id(0)
        self._batch_num_sequences = batch_num_sequences
        self._group_num_pairs = group_num_pairs
        self._device = next(model.parameters()).device
        self._order = EpochOrder(len(train), seed=seed)

    def batch(self, step: int, *, first_sequence: int) -> PairBatch:  # noqa: ARG002 - batches are of one size
        """Return the pairs of `step`: every one once an epoch, in an order of its own."""
        return self._grouped([self._train[n] for n in self._chosen(step, self._batch_num_sequences)])

    def counts(self, batch: PairBatch) -> Mapping[str, float]:
        """Return how many pairs there are."""
        return {"pairs": sum(group.num_pairs for group in batch.groups)}

    def forward(self, batch: PairBatch, *, counts: Mapping[str, float]) -> PartReport:
        """Run the forward pass of a part of the batch that has `counts`."""
        outputs = [self._output(group, model=self._parallel) for group in batch.groups]
        num = self.counts(batch)["pairs"]
        # Of groups that are not counted any mean will do: its weight is 0.
        weights = [group.num_pairs / max(1, num) for group in batch.groups]
        mean = sum(
            (output.loss * weight for output, weight in zip(outputs, weights, strict=True)),
            torch.zeros((), device=self._device),
        )
        num_correct = sum(
            float(output.num_correct)
            for output, group in zip(outputs, batch.groups, strict=True)
            if group.is_counted
        )
        accuracy = Tally(mean=num_correct / max(1, 2 * num), count=2 * num)
        return PartReport(
            loss=mean * share(self.counts(batch), counts, "pairs"), metrics={"accuracy": accuracy}
        )

    def num_flops(self, batch: PairBatch) -> float:
        """Return the operations of a batch, forward and backward."""
        return sum(batch_flops(self.model.config, group.packed) for group in batch.groups)

    def sample_ids(self, step: int, *, first_sequence: int, num_sequences: int) -> tuple[str, ...]:  # noqa: ARG002 - as in `batch`
        """Return video and start of each pair of a step."""
        chosen = [self._train[n] for n in self._chosen(step, num_sequences)]
        return tuple(f"{pair.video_id} at {pair.start_seconds:g} s" for pair in chosen)

    def validate(self, *, num_parts: int = 1) -> Mapping[str, float]:
        """Return the mean loss over all held-out pairs, in groups as in training, and how often the own was nearest."""
        num = len(self._held_out)
        if num == 0:
            return {}
        loss_sum, num_correct = 0.0, 0.0
        batch = self._grouped(self._held_out)
        for part in self._ranks.parts(batch, num_parts=max(num_parts, len(batch.groups))):
            for group in part.groups:
                output = self._output(group, model=self.model)
                loss_sum += float(output.loss.detach()) * group.num_pairs
                num_correct += float(output.num_correct) * group.is_counted
        found = self._ranks.of_all([(loss_sum, num_correct)])
        loss, correct = (sum(values) for values in zip(*found, strict=True))
        return {"loss": loss / num, "accuracy": correct / (2 * num)}

    def _grouped(self, pairs: Sequence[ShownSentence]) -> PairBatch:
        size = self._group_num_pairs
        return PairBatch(
            groups=tuple(self._group(pairs[first : first + size]) for first in range(0, len(pairs), size))
        )

    def _group(self, pairs: Sequence[ShownSentence]) -> PairGroup:
        longest = self.model.config.max_position_embeddings
        texts = [
            text_sequence(pair.text_L, vocabulary=self._vocabulary, max_num_tokens=longest) for pair in pairs
        ]
        videos = [
            word_sequence(
                pair.words_T,
                first_word=self._first_word,
                vocabulary=self._vocabulary,
                max_num_tokens=longest,
            )
            for pair in pairs
        ]
        said = [pair.text_L.tobytes() for pair in pairs]
        same = np.array([[one == other for other in said] for one in said])
        return PairGroup(packed=pack([*texts, *videos]), is_same_text_BB=same)

    def _output(self, group: PairGroup, *, model: nn.Module) -> RetrievalOutput:
        same_BB = torch.from_numpy(group.is_same_text_BB).to(self._device)
        output: RetrievalOutput = model(group.packed.to(self._device), same_BB)
        return output

    def _chosen(self, step: int, num: int) -> list[int]:
        return self._order.take(step * self._batch_num_sequences, num=num)


@dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """The trained retriever in evaluation mode, how the loop ended, and how many pairs it learned from."""

    model: VideoBERTForRetrieval
    training: TrainingResult
    num_train_sentences: int


def finetune_retriever(
    *,
    pairs: Mapping[Split, Sequence[ShownSentence]],
    pretrained: Path,
    tokenizer: VideoBERTTokenizer,
    options: RetrievalOptions,
    directory: Path,
    seed: int,
    device: torch.device,
    stop: StopRequest,
    events: LoopEvents,
    ranks: Ranks | None = None,
) -> RetrievalResult:
    """Train a retriever, going on from the newest checkpoint.

    `pairs` has the sentences of splits `train` and `validation`, the latter held out.
    With `ranks` all of them call this with the same arguments, and all get the model.

    Raises:
        InputError: Fewer than two different sentences of the training split cover a clip.
        InterruptedRunError: A stop was asked for; the state is saved.
    """
    train = pairs["train"]
    if len({pair.text_L.tobytes() for pair in train}) < 2:
        raise InputError(
            "retrieval learns from sentences with clips, and the training split has fewer than two different ones",
            at="data.videos",
            fix="give the training videos subtitles or sentences (docs/subtitles.md)",
        )
    model = VideoBERTForRetrieval.from_encoder(pretrained, dropout=options.dropout, seed=seed).to(device)
    together = TrainingRanks(ranks, sharding=options.loop.sharding)
    job = RetrievalJob(
        model,
        train=train,
        held_out=pairs["validation"],
        tokenizer=tokenizer,
        batch_num_sequences=options.loop.batch_num_sequences,
        group_num_pairs=options.group_num_pairs,
        seed=seed,
        ranks=together,
    )
    training = TrainingLoop(
        job,
        section="finetune.retrieval",
        loop=options.loop,
        optimizer=options.optimizer,
        directory=directory,
        seed=seed,
        device=device,
        stop=stop,
        events=events,
        ranks=together,
    ).run()
    return RetrievalResult(model=together.whole(model), training=training, num_train_sentences=len(train))
