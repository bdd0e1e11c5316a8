"""A pretrained model learns to tell in a sentence what a segment shows: `finetune.task: caption`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn

from videobert_cli.core.model.caption_config import WITH_FEATURES, CaptionEncoder, CaptionerConfig
from videobert_cli.core.model.captioning import CaptioningOutput, VideoBERTForCaptioning
from videobert_cli.core.model.flops import batch_flops
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.epoch_order import EpochOrder
from videobert_cli.core.sequences.packing import NO_LABEL, PackedBatch, pack
from videobert_cli.core.sequences.pairs import ShownSentence, question_sequence
from videobert_cli.core.sequences.shares import rank_shares
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.finetune_options import CaptionOptions
from videobert_cli.core.training.job import PartReport, Tally, share
from videobert_cli.core.training.loop import TrainingLoop, TrainingResult
from videobert_cli.core.training.ranks import TrainingRanks
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.core.video.manifest import Split
from videobert_cli.errors import InputError, UsageError
from videobert_cli.ranks import Ranks
from videobert_cli.runtime import StopRequest

# Shapes: B segments, T tokens of the longest caption, D raw feature.


@dataclass(frozen=True, kw_only=True)
class CaptionBatch:
    """Segments with the question beside them, and their captions `[CLS] text [SEP]` (B, T), filled up with -100.

    `features_BD` are the mean raw features of the segments' clips; D is 0 where the captioner looks at none.
    """

    packed: PackedBatch
    captions_BT: np.ndarray
    features_BD: np.ndarray

    @property
    def num_sequences(self) -> int:
        """Number of segments."""
        return self.packed.num_sequences

    @property
    def num_tokens(self) -> int:
        """Number of tokens of segments and captions."""
        return self.packed.num_tokens + int((self.captions_BT != NO_LABEL).sum())

    @property
    def num_said(self) -> int:
        """Number of tokens that are to be said: all of the captions but their beginnings."""
        return int((self.captions_BT[:, 1:] != NO_LABEL).sum())

    def share(self, *, index: int, num_ranks: int) -> Self:
        """Return the segments that rank `index` computes; where there is none for it, `nothing`."""
        numbers_B = rank_shares(self.packed.cu_seqlens.diff().numpy(), num_ranks=num_ranks)[index]
        if not len(numbers_B):
            return self.nothing()
        return type(self)(
            packed=self.packed.take(numbers_B),
            captions_BT=self.captions_BT[numbers_B],
            features_BD=self.features_BD[numbers_B],
        )

    def nothing(self) -> Self:
        """Return the first segment with nothing to say about it."""
        blank_BT = np.full_like(self.captions_BT[:1], NO_LABEL)
        return type(self)(
            packed=self.packed.nothing(), captions_BT=blank_BT, features_BD=self.features_BD[:1]
        )

    def split(self, num_parts: int) -> list[Self]:
        """Return the batch in parts of about equal numbers of the segments' tokens."""
        parts = self.packed.split(num_parts)
        ends = np.cumsum([part.num_sequences for part in parts])[:-1]
        captions, features = np.split(self.captions_BT, ends), np.split(self.features_BD, ends)
        return [
            type(self)(packed=part, captions_BT=own_BT, features_BD=own_BD)
            for part, own_BT, own_BD in zip(parts, captions, features, strict=True)
        ]


class CaptionJob:
    """Cross entropy of the captions' tokens, each given those before it."""

    def __init__(
        self,
        model: VideoBERTForCaptioning,
        *,
        train: Sequence[ShownSentence],
        held_out: Sequence[ShownSentence],
        tokenizer: VideoBERTTokenizer,
        batch_num_sequences: int,
        label_smoothing: float,
        seed: int,
        ranks: TrainingRanks,
    ) -> None:
        self._ranks = ranks
        self._parallel = ranks.parallel(model)
        self.model: VideoBERTForCaptioning = model
        self._train, self._held_out = train, held_out
        self._tokenizer, self._vocabulary = tokenizer, joint_vocabulary(tokenizer)
        self._question = np.array(model.captioner.question_ids, dtype=np.int64)
        self._batch_num_sequences = batch_num_sequences
        self._label_smoothing = label_smoothing
        self._device = next(model.parameters()).device
        self._order = EpochOrder(len(train), seed=seed)

    def batch(self, step: int, *, first_sequence: int) -> CaptionBatch:  # noqa: ARG002 - batches are of one size
        """Return the segments of `step`: every one once an epoch, in an order of its own."""
        return self._captioned([self._train[n] for n in self._chosen(step, self._batch_num_sequences)])

    def counts(self, batch: CaptionBatch) -> Mapping[str, float]:
        """Return how many tokens are to be said."""
        return {"tokens": batch.num_said}

    def forward(self, batch: CaptionBatch, *, counts: Mapping[str, float]) -> PartReport:
        """Run the forward pass of a part of the batch that has `counts`."""
        output = self._output(batch, model=self._parallel, label_smoothing=self._label_smoothing)
        accuracy = Tally(mean=float(output.num_correct) / max(1, batch.num_said), count=batch.num_said)
        weight = share(self.counts(batch), counts, "tokens")
        return PartReport(loss=output.loss * weight, metrics={"accuracy": accuracy})

    def num_flops(self, batch: CaptionBatch) -> float:
        """Return the operations of the encoder, forward and backward; the decoder's are a few in a hundred of them.

        Without an encoder there is no share of the peak to tell: 0.
        """
        if self.model.captioner.encoder == "features":
            return 0.0
        return batch_flops(self.model.config, batch.packed)

    def sample_ids(self, step: int, *, first_sequence: int, num_sequences: int) -> tuple[str, ...]:  # noqa: ARG002 - as in `batch`
        """Return video and start of each segment of a step."""
        chosen = [self._train[n] for n in self._chosen(step, num_sequences)]
        return tuple(f"{shown.video_id} at {shown.start_seconds:g} s" for shown in chosen)

    def validate(self, *, num_parts: int = 1) -> Mapping[str, float]:
        """Return the mean loss a token, without smoothing, and the accuracy over all held-out captions."""
        if not self._held_out:
            return {}
        loss_sum, num_correct, num = 0.0, 0.0, 0
        for first in range(0, len(self._held_out), self._batch_num_sequences):
            batch = self._captioned(self._held_out[first : first + self._batch_num_sequences])
            for part in self._ranks.parts(batch, num_parts=num_parts):
                output = self._output(part, model=self.model, label_smoothing=0.0)
                loss_sum += float(output.loss.detach()) * part.num_said
                num_correct += float(output.num_correct)
                num += part.num_said
        found = self._ranks.of_all([(loss_sum, num_correct, num)])
        loss, correct, num_said = (sum(values) for values in zip(*found, strict=True))
        return {"loss": loss / max(1, num_said), "accuracy": correct / max(1, num_said)}

    def _captioned(self, shown: Sequence[ShownSentence]) -> CaptionBatch:
        sequences = [
            question_sequence(
                self._question,
                each.words_T,
                first_word=self._tokenizer.word_to_id(0),
                vocabulary=self._vocabulary,
                max_num_tokens=self.model.config.max_position_embeddings,
            )
            for each in shown
        ]
        # With its end a caption has one token more than the decoder has places for.
        room = self.model.captioner.max_num_tokens - 1
        texts = [each.text_L[:room] for each in shown]
        captions_BT = np.full((len(shown), 2 + max(map(len, texts))), NO_LABEL, dtype=np.int64)
        for row_T, text_L in zip(captions_BT, texts, strict=True):
            row_T[: len(text_L) + 2] = [self._tokenizer.cls_id, *text_L, self._tokenizer.sep_id]
        features_BD = np.stack([each.feature_D for each in shown])
        return CaptionBatch(packed=pack(sequences), captions_BT=captions_BT, features_BD=features_BD)

    def _output(self, batch: CaptionBatch, *, model: nn.Module, label_smoothing: float) -> CaptioningOutput:
        captions_BT = torch.from_numpy(batch.captions_BT).to(self._device)
        output: CaptioningOutput = model(
            batch.packed.to(self._device),
            captions_BT,
            label_smoothing=label_smoothing,
            features_BD=torch.from_numpy(batch.features_BD).to(self._device),
        )
        return output

    def _chosen(self, step: int, num: int) -> list[int]:
        return self._order.take(step * self._batch_num_sequences, num=num)


@dataclass(frozen=True, kw_only=True)
class CaptionResult:
    """The trained captioner in evaluation mode, how the loop ended, and how many captions it learned from."""

    model: VideoBERTForCaptioning
    training: TrainingResult
    num_train_sentences: int


def finetune_captioner(
    *,
    pairs: Mapping[Split, Sequence[ShownSentence]],
    pretrained: Path,
    tokenizer: VideoBERTTokenizer,
    options: CaptionOptions,
    directory: Path,
    seed: int,
    device: torch.device,
    stop: StopRequest,
    events: LoopEvents,
    ranks: Ranks | None = None,
) -> CaptionResult:
    """Train a captioner, going on from the newest checkpoint.

    `pairs` has the sentences of splits `train` and `validation`, the latter held out. With `ranks` all of them call
    this with the same arguments, and all get the model.

    Raises:
        InputError: No sentence of the training split covers a clip, or the encoder reads features and there are none.
        UsageError: The question leaves no position for a word.
        InterruptedRunError: A stop was asked for; the state is saved.
    """
    if not pairs["train"]:
        raise InputError(
            "captioning learns from sentences with clips, and the training split has none",
            at="data.videos",
            fix="give the training videos subtitles or sentences (docs/subtitles.md)",
        )
    captioner = CaptionerConfig(
        encoder=options.encoder,
        num_layers=options.num_layers,
        max_num_tokens=options.max_num_tokens,
        question_ids=tuple(question_ids(options.question, tokenizer)),
        mask_id=tokenizer.mask_id,
        feature_size=feature_size(pairs["train"][0], encoder=options.encoder),
    )
    model = VideoBERTForCaptioning.from_encoder(
        pretrained, captioner=captioner, dropout=options.dropout, seed=seed
    ).to(device)
    if len(captioner.question_ids) + 4 > model.config.max_position_embeddings:
        raise UsageError(
            f"the question has {len(captioner.question_ids)} tokens, "
            f"the model {model.config.max_position_embeddings} positions",
            at="finetune.caption.question",
            fix="use a shorter question",
        )
    together = TrainingRanks(ranks, sharding=options.loop.sharding)
    job = CaptionJob(
        model,
        train=pairs["train"],
        held_out=pairs["validation"],
        tokenizer=tokenizer,
        batch_num_sequences=options.loop.batch_num_sequences,
        label_smoothing=options.label_smoothing,
        seed=seed,
        ranks=together,
    )
    training = TrainingLoop(
        job,
        section="finetune.caption",
        loop=options.loop,
        optimizer=options.optimizer,
        directory=directory,
        seed=seed,
        device=device,
        stop=stop,
        events=events,
        ranks=together,
    ).run()
    return CaptionResult(
        model=together.whole(model), training=training, num_train_sentences=len(pairs["train"])
    )


def feature_size(shown: ShownSentence, *, encoder: CaptionEncoder) -> int:
    """Return the size of the features that a captioner with this encoder looks at; 0 where it looks at none.

    Raises:
        InputError: It looks at features, and the sentence has none.
    """
    if encoder not in WITH_FEATURES:
        return 0
    if not len(shown.feature_D):
        raise InputError(
            f"`encoder: {encoder}` reads features, and the sentences have none",
            at="finetune.caption.encoder",
            fix="--set finetune.caption.encoder=cloze",
        )
    return len(shown.feature_D)


def question_ids(question: str, tokenizer: VideoBERTTokenizer) -> list[int]:
    """Return the text ids of a question, each [MASK] the mask's."""
    ids: list[int] = []
    for number, part in enumerate(question.split("[MASK]")):
        ids += [*([tokenizer.mask_id] if number else []), *tokenizer.text_ids(part)]
    return ids
