"""Tiny jobs for the training tests: the real model on a small corpus, and one parameter with a scripted measure."""

from dataclasses import dataclass

import numpy as np
import torch
import xxhash
from torch import nn

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.init import new_model
from videobert_cli.core.sequences.batches import Batches, InlineLoader
from videobert_cli.core.sequences.dataset import Document, PretrainingSamples
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.ranks import SharedLoader
from videobert_cli.core.sequences.segments import ClipSpan
from videobert_cli.core.training.job import PartReport
from videobert_cli.core.training.loop import TrainingLoop
from videobert_cli.core.training.objectives import PretrainingJob
from videobert_cli.core.training.options import LoopOptions, LossWeights, OptimizerOptions
from videobert_cli.core.training.ranks import ALONE
from videobert_cli.core.training.records import LoopEvents
from videobert_cli.runtime import StopRequest

NUM_TEXT, NUM_WORDS = 30, 16
VOCABULARY = JointVocabulary(
    cls_id=2,
    sep_id=3,
    mask_id=4,
    glue_id=NUM_TEXT,
    text_ids=np.arange(5, NUM_TEXT),
    visual_ids=np.arange(NUM_TEXT + 1, NUM_TEXT + 1 + NUM_WORDS),
)
CONFIG = VideoBERTConfig(
    vocab_size=NUM_TEXT,
    num_visual_words=NUM_WORDS,
    visual_embedding_size=8,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=48,
    max_position_embeddings=64,
)
LOOP = {
    "num_steps": 12,
    "batch_num_sequences": 4,
    "precision": "float32",
    "log_every_steps": 3,
    "validate_every_steps": 4,
    "validate_num_batches": 2,
    "save_every_steps": 4,
}
OPTIMIZER = OptimizerOptions(learning_rate=1e-2, warmup_fraction=0.2, schedule="cosine")


class KilledError(Exception):
    """Stands for kill -9: nothing of the process is used afterwards."""


def corpus(num_videos, *, seed):
    generator = np.random.default_rng(seed)
    return [
        Document(
            id=f"v{seed}-{number}",
            words_T=generator.integers(NUM_TEXT + 1, NUM_TEXT + 1 + NUM_WORDS, 12),
            sentences=tuple(generator.integers(5, NUM_TEXT, 5) for _ in range(4)),
            spans=tuple(ClipSpan(first=3 * n, stop=3 * n + 3) for n in range(4)),
        )
        for number in range(num_videos)
    ]


def sequences(num_videos, *, seed, **options):
    return PretrainingSamples(
        corpus(num_videos, seed=seed), options=SequenceOptions(**options), vocabulary=VOCABULARY, seed=seed
    )


def pretraining_job(**changes):
    """The real job, with dropout; what a new process would build."""
    given = {
        "samples": sequences(6, seed=1),
        "held_out": sequences(2, seed=2),
        "weights": LossWeights(alignment=0.5),
        "batch_num_sequences": LOOP["batch_num_sequences"],
        "validate_num_batches": LOOP["validate_num_batches"],
        "max_num_tokens": None,
        "ranks": ALONE,
        "config": CONFIG,
        **changes,
    }
    size, budget = given["batch_num_sequences"], given["max_num_tokens"]
    held_out, ranks = given["held_out"], given["ranks"].all

    def batches(samples):
        loader = InlineLoader(samples, part=(ranks.index, ranks.num))
        loader = loader if ranks.num == 1 else SharedLoader(loader, ranks=ranks)
        return Batches(loader, num_sequences=size, max_num_tokens=budget)

    return PretrainingJob(
        new_model(given["config"], seed=0),
        batches=batches(given["samples"]),
        held_out=batches(held_out) if held_out else None,
        held_out_epoch_size=held_out.epoch_size if held_out else 0,
        weights=given["weights"],
        validate_num_batches=given["validate_num_batches"],
        ranks=given["ranks"],
        sample_id=given["samples"].name,
    )


def forward(job, step, *, first_sequence=0):
    """The forward pass of the whole batch of a step."""
    batch = job.batch(step, first_sequence=first_sequence)
    return job.forward(batch, counts=job.counts(batch))


@dataclass(frozen=True)
class ScriptedBatch:
    """A batch that is nothing but the number of its step."""

    step: int
    num_sequences: int = 1
    num_tokens: int = 1

    def split(self, num_parts):
        return [self]


class ScriptedJob:
    """One parameter that moves by the rate each step; held-out losses as told, in order."""

    def __init__(self, held_out_losses=(), *, losses=None):
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.model.weight)
        self.held_out_losses = list(held_out_losses)
        self.losses = losses or {}
        self.weights_at_validation = []

    def batch(self, step, *, first_sequence):
        return ScriptedBatch(step)

    def counts(self, batch):
        return {}

    def forward(self, batch, *, counts):
        factor = self.losses.get(batch.step, 1.0)
        return PartReport(loss=self.model.weight.sum() * factor, metrics={})

    def num_flops(self, batch):
        return 0.0

    def sample_ids(self, step, *, first_sequence, num_sequences):
        return [f"sample {step}"]

    def validate(self, *, num_parts):
        if not self.held_out_losses:
            return {}
        self.weights_at_validation.append(self.model.weight.item())
        return {"loss": self.held_out_losses.pop(0)}


class Interrupting:
    """A job that asks for a stop in step `stop_at`, and dies in step or validation number `kill_at`."""

    def __init__(self, job, *, stop=None, stop_at=None, kill_at=None, kill_in_validation=None):
        self._job = job
        self._stop = stop
        self._stop_at = stop_at
        self._kill_at = kill_at
        self._kill_in_validation = kill_in_validation
        self._num_validations = 0

    @property
    def model(self):
        return self._job.model

    def batch(self, step, *, first_sequence):
        if step == self._kill_at:
            raise KilledError
        if step == self._stop_at:
            self._stop.request(15)
        return self._job.batch(step, first_sequence=first_sequence)

    def counts(self, batch):
        return self._job.counts(batch)

    def forward(self, batch, *, counts):
        return self._job.forward(batch, counts=counts)

    def num_flops(self, batch):
        return self._job.num_flops(batch)

    def sample_ids(self, step, **places):
        return self._job.sample_ids(step, **places)

    def validate(self, *, num_parts):
        if self._num_validations == self._kill_in_validation:
            raise KilledError
        self._num_validations += 1
        return self._job.validate(num_parts=num_parts)


def make_loop(
    job, directory, *, stop=None, messages=None, progress=None, optimizer=OPTIMIZER, ranks=ALONE, **options
):
    messages, progress = ([] if messages is None else messages), ([] if progress is None else progress)
    return TrainingLoop(
        job,
        section="finetune",
        loop=LoopOptions(**{**LOOP, **options}),
        optimizer=optimizer,
        directory=directory,
        seed=7,
        device=torch.device("cpu"),
        stop=stop or StopRequest(),
        events=LoopEvents(on_progress=progress.append, on_message=messages.append),
        ranks=ranks,
    )


def weights(model):
    """Hashes of all tensors, byte for byte."""
    return {
        name: xxhash.xxh3_64_hexdigest(tensor.numpy().tobytes())
        for name, tensor in model.state_dict().items()
    }
