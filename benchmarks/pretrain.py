"""The pretraining step beside transformers' BertForPreTraining, the loop around it, and the data that feeds it.

One run, the same sequences for all: transformers' model padded, in micro-batches in random order, in micro-batches
sorted by length, and the whole batch at once; ours unpadded, as written and compiled. For each the time of a step
(forward, backward, clipped gradients, AdamW; not the padding or packing), tokens a second without padding, the share of
the device's peak (MFU), the peak of memory, and how often it was compiled again after the first batches. Then the
training loop against the bare step, and how fast sequences come out of the token cache.

    python benchmarks/pretrain.py --device cuda         # BERT-large, 128 sequences, 51,258 words: the real thing
    python benchmarks/pretrain.py                       # on a CPU: the demo's lengths and its model
    python benchmarks/pretrain.py --setting base        # on a CPU: BERT-base, 16 sequences

FLOP of a step, for all alike, of real tokens alone: 6 for each weight of a layer's products and token, 12 H for each
pair of tokens of a sequence and layer (scores and values, forward and backward), 6 for each weight of the head and
masked position. Made again or spent on padding they do not count.
"""

import argparse
import gc
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch._dynamo.utils import counters
from transformers import BertConfig, BertForPreTraining

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.init import new_model
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.batches import Batches, InlineLoader
from videobert_cli.core.sequences.corpus import Document, TokenCorpus, write_corpus
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.loader import WorkerLoader
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.packing import PackedBatch, unpack
from videobert_cli.core.sequences.segments import ClipSpan
from videobert_cli.core.training.loop import LoopEvents, TrainingLoop
from videobert_cli.core.training.objectives import PretrainingJob
from videobert_cli.core.training.optimizer import build_optimizer
from videobert_cli.core.training.options import LoopOptions, LossWeights, OptimizerOptions
from videobert_cli.runtime import StopRequest, has_fast_bfloat16

NUM_SPECIAL = 3  # [CLS], [>], [SEP]
SENTENCES_A_DOCUMENT = 100
# Dense bfloat16 TFLOP/s by the maker's data sheet.
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
# How many of 4,096 sequences of the demo's training stream have 0, 1, 2, ... tokens.
DEMO_LENGTHS = [
    0,
    0,
    0,
    31,
    31,
    26,
    32,
    83,
    179,
    276,
    379,
    401,
    341,
    276,
    346,
    346,
    298,
    224,
    314,
    77,
    50,
    51,
    47,
    18,
]
DEMO_LENGTHS += [
    25,
    20,
    28,
    17,
    12,
    18,
    9,
    19,
    16,
    19,
    19,
    9,
    5,
    7,
    10,
    7,
    6,
    2,
    4,
    4,
    3,
    3,
    1,
    4,
    0,
    2,
    0,
    0,
    1,
]


def lognormal_lengths(num: int, generator: np.random.Generator) -> np.ndarray:
    """Median 110, 16 to 512: 128 of them have about 17,000 tokens."""
    return np.clip(generator.lognormal(np.log(110), 0.6, num), 16, 512).astype(np.int64)


def demo_lengths(num: int, generator: np.random.Generator) -> np.ndarray:
    """As in the demo; the rare ones that are too short for text and video get the least that has both."""
    shares = np.array(DEMO_LENGTHS) / sum(DEMO_LENGTHS)
    return np.maximum(generator.choice(len(shares), num, p=shares), NUM_SPECIAL + 2)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained on what."""

    num_sequences: int
    micro: int
    lengths: Callable[[int, np.random.Generator], np.ndarray]
    num_text: int
    num_words: int
    visual_size: int
    mask_fraction: float
    dropout: float
    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    precision: Literal["auto", "float32"] = "auto"

    def config(self) -> VideoBERTConfig:
        return VideoBERTConfig(
            vocab_size=self.num_text,
            num_visual_words=self.num_words,
            visual_embedding_size=self.visual_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_layers,
            num_attention_heads=self.num_heads,
            intermediate_size=self.intermediate_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
        )

    def flop(self, batch: PackedBatch) -> float:
        """Return the FLOP of a step on the batch, forward and backward, by the formula above."""
        width, lengths = self.hidden_size, batch.cu_seqlens.diff().double()
        layer = 4 * width**2 + 2 * width * self.intermediate_size
        head = width**2 + self.num_text * width + width * self.visual_size + self.num_words * self.visual_size
        pairs = 12 * self.num_layers * width * float((lengths**2).sum())
        return (
            6 * self.num_layers * layer * batch.num_tokens + pairs + 6 * head * len(batch.masked_positions_P)
        )


LARGE = Setting(
    num_sequences=128,
    micro=16,
    lengths=lognormal_lengths,
    num_text=30_522,
    num_words=20_736,
    visual_size=1024,
    mask_fraction=0.15,
    dropout=0.1,
    num_layers=24,
    hidden_size=1024,
    num_heads=16,
    intermediate_size=4096,
)
BASE = replace(
    LARGE, num_sequences=16, micro=4, num_layers=12, hidden_size=768, num_heads=12, intermediate_size=3072
)
DEMO = Setting(
    num_sequences=32,
    micro=8,
    lengths=demo_lengths,
    num_text=300,
    num_words=144,
    visual_size=24,
    mask_fraction=0.4,
    dropout=0.0,
    num_layers=2,
    hidden_size=128,
    num_heads=4,
    intermediate_size=512,
    precision="float32",
)
SETTINGS = {"large": LARGE, "base": BASE, "demo": DEMO}


# --- sequences -------------------------------------------------------------------------------------------------------


def documents(setting: Setting, num_sentences: int) -> Iterator[Document]:
    """Yield documents whose sentences, each with its clips, make sequences of the setting's lengths."""
    generator = np.random.default_rng(0)
    for number in range(-(-num_sentences // SENTENCES_A_DOCUMENT)):
        rest = setting.lengths(SENTENCES_A_DOCUMENT, generator) - NUM_SPECIAL
        num_text = np.maximum(1, rest * 2 // 3)
        ends = np.cumsum(rest - num_text)
        tokens = generator.integers(5, setting.num_text, num_text.sum())
        words = generator.integers(0, setting.num_words, ends[-1])
        yield Document(
            id=f"v{number:07d}",
            words_T=words + setting.num_text + 1,
            sentences=tuple(np.split(tokens, np.cumsum(num_text)[:-1])),
            spans=tuple(
                ClipSpan(first=int(stop - size), stop=int(stop))
                for stop, size in zip(ends, rest - num_text, strict=True)
            ),
        )


def samples_of(corpus: TokenCorpus, setting: Setting) -> PretrainingSamples:
    first_word = setting.num_text + 1
    vocabulary = JointVocabulary(
        cls_id=2,
        sep_id=3,
        mask_id=4,
        glue_id=setting.num_text,
        text_ids=np.arange(5, setting.num_text),
        visual_ids=np.arange(first_word, first_word + setting.num_words),
    )
    options = SequenceOptions(
        text_only_share=0.0,
        video_only_share=0.0,
        join_probability=0.0,
        max_subsampling=1,
        negative_fraction=0.0,
        mask_fraction=setting.mask_fraction,
    )
    return PretrainingSamples(corpus, options=options, vocabulary=vocabulary, seed=0)


def padded(batch: PackedBatch, chosen: list[int], *, num_text: int) -> dict[str, torch.Tensor]:
    """Return sequences of the batch as transformers wants them; its vocabulary has no glue of its own."""

    def grid(values_S: torch.Tensor, padding: int) -> torch.Tensor:
        parts = unpack(values_S, batch)
        return nn.utils.rnn.pad_sequence(
            [parts[n] for n in chosen], batch_first=True, padding_value=float(padding)
        )

    def ids(values_S: torch.Tensor) -> torch.Tensor:
        return torch.where(values_S >= num_text, values_S - 1, values_S)

    return {
        "input_ids": grid(ids(batch.input_ids_S), 0),
        "token_type_ids": grid(batch.token_type_ids_S, 0),
        "attention_mask": grid(torch.ones_like(batch.input_ids_S), 0),
        "labels": grid(ids(batch.labels_S), -100),
        "next_sentence_label": batch.alignment_B[chosen],
    }


# --- steps -----------------------------------------------------------------------------------------------------------


class Step:
    """A model and its optimizer, and what both sides do alike."""

    def __init__(self, setting: Setting, *, device: torch.device) -> None:
        self.setting = setting
        self.device = device
        is_mixed = setting.precision == "auto" and has_fast_bfloat16(device)
        self.dtype = torch.bfloat16 if is_mixed else torch.float32

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def finish(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


class Peer(Step):
    """transformers' model, padded."""

    def __init__(self, setting: Setting, *, device: torch.device, micro: int, is_sorted: bool) -> None:
        super().__init__(setting, device=device)
        self.micro, self.is_sorted = micro, is_sorted
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=setting.num_text + setting.num_words,
            hidden_size=setting.hidden_size,
            num_hidden_layers=setting.num_layers,
            num_attention_heads=setting.num_heads,
            intermediate_size=setting.intermediate_size,
            hidden_dropout_prob=setting.dropout,
            attention_probs_dropout_prob=setting.dropout,
        )
        self.model = BertForPreTraining(config).to(device).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-5, weight_decay=0.01, fused=device.type == "cuda"
        )

    def prepare(self, batch: PackedBatch) -> list[dict[str, torch.Tensor]]:
        numbers = torch.arange(batch.num_sequences)
        order = (torch.argsort(batch.cu_seqlens.diff()) if self.is_sorted else numbers).tolist()
        parts = [order[start : start + self.micro] for start in range(0, len(order), self.micro)]
        return [padded(batch, chosen, num_text=self.setting.num_text) for chosen in parts]

    def take(self, parts: list[dict[str, torch.Tensor]]) -> None:
        num_sequences = sum(len(part["input_ids"]) for part in parts)
        for part in parts:
            with self.autocast():
                loss = self.model(**{name: value.to(self.device) for name, value in part.items()}).loss
            (loss * (len(part["input_ids"]) / num_sequences)).backward()
        self.finish(self.model, self.optimizer)


class Ours(Step):
    """Our model, unpadded; the bare step, without the loop."""

    def __init__(
        self,
        setting: Setting,
        *,
        device: torch.device,
        is_compiled: bool = False,
        is_recomputing: bool = False,
    ) -> None:
        super().__init__(setting, device=device)
        self.model: VideoBERTForPreTraining = new_model(setting.config(), seed=0).to(device).train()
        if is_compiled:
            self.model.bert.encoder.compile_layers()
        self.model.bert.encoder.recomputes_activations = is_recomputing
        self.optimizer = build_optimizer(self.model, options=OptimizerOptions())

    def prepare(self, batch: PackedBatch) -> PackedBatch:
        return batch

    def take(self, batch: PackedBatch) -> None:
        with self.autocast():
            output = self.model(batch.to(self.device))
        (output.text_loss + output.visual_loss + output.alignment_loss).backward()
        self.finish(self.model, self.optimizer)


@dataclass(kw_only=True)
class Way:
    """One way of taking the step, and what was measured of it."""

    name: str
    make: Callable[[], Any]
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    num_bytes: int = 0
    num_recompiled: int = 0
    problem: str = ""

    def rate(self, num_tokens: float) -> float:
        return 0.0 if self.problem else num_tokens / statistics.median(self.seconds)


def measure(way: Way, batches: list[PackedBatch], *, num_warmup: int, device: torch.device) -> None:
    """Take a step on each batch, the first ones untimed; the model is made for it, and gone afterwards."""
    clear(device)
    counters.clear()
    try:
        step = way.make()
        for number, batch in enumerate(batches):
            if number == num_warmup:
                num_graphs = counters["stats"]["unique_graphs"]
            inputs = step.prepare(batch)
            begin, processor = now(device), time.process_time()
            step.take(inputs)
            if number >= num_warmup:
                way.seconds.append(now(device) - begin)
                way.processor_seconds.append(time.process_time() - processor)
        way.num_recompiled += counters["stats"]["unique_graphs"] - num_graphs
    except torch.OutOfMemoryError:
        way.problem = "out of memory"
    way.num_bytes = max(way.num_bytes, peak_bytes(device))


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def clear(device: torch.device) -> None:
    """Forget the models of before and the peak of memory."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Return the peak since `clear`: of the GPU's memory, or of this whole process where Linux says it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(
        int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")
    )


def peak_tflops(device: torch.device, dtype: torch.dtype) -> tuple[float, str]:
    """Return the device's peak and where the number comes from."""
    if device.type == "cuda" and dtype == torch.bfloat16:
        for name, peak in PEAK_TFLOPS.items():
            if name in torch.cuda.get_device_name(device):
                return peak, "data sheet"
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(8):
        begin = now(device)
        a @ b
        times.append(now(device) - begin)
    return 2 * size**3 / min(times) / 1e12, f"a product of {size} x {size}, measured"


# --- the loop, and the data ------------------------------------------------------------------------------------------


def loop_seconds(
    samples: PretrainingSamples, setting: Setting, *, num_steps: int, device: torch.device, is_compiled: bool
) -> tuple[float, float]:
    """Return wall and processor seconds of one step in the loop: data, logging and all, without saving."""
    model = new_model(setting.config(), seed=0).to(device)
    if is_compiled:
        model.bert.encoder.compile_layers()
    job = PretrainingJob(
        model,
        batches=Batches(InlineLoader(samples), num_sequences=setting.num_sequences),
        held_out=None,
        weights=LossWeights(),
        validate_num_batches=1,
    )
    seen: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        loop = LoopOptions(
            num_steps=num_steps,
            batch_num_sequences=setting.num_sequences,
            precision=setting.precision,
            log_every_steps=max(1, num_steps // 5),
            validate_every_steps=num_steps,
            save_every_steps=num_steps,
        )
        TrainingLoop(
            job,
            section="pretrain",
            loop=loop,
            optimizer=OptimizerOptions(),
            directory=Path(folder),
            seed=0,
            device=device,
            stop=StopRequest(),
            events=LoopEvents(
                on_progress=lambda news: seen.append((news.step, now(device), time.process_time())),
                on_message=lambda _: None,
            ),
        ).run()
    (first, wall, processor), (last, wall_end, processor_end) = seen[0], seen[-1]
    return (wall_end - wall) / (last - first), (processor_end - processor) / (last - first)


def bare_seconds(step: Ours, batches: list[PackedBatch]) -> tuple[float, float]:
    """Return wall and processor seconds of one bare step on batches that are at hand; the first fifth is not timed."""
    num_untimed = max(1, len(batches) // 5)
    for batch in batches[:num_untimed]:
        step.take(batch)
    wall, processor = now(step.device), time.process_time()
    for batch in batches[num_untimed:]:
        step.take(batch)
    num = len(batches) - num_untimed
    return (now(step.device) - wall) / num, (time.process_time() - processor) / num


def report_loop(
    samples: PretrainingSamples,
    setting: Setting,
    *,
    num_steps: int,
    num_rounds: int,
    device: torch.device,
    is_compiled: bool,
) -> None:
    stream = Batches(InlineLoader(samples), num_sequences=setting.num_sequences)
    batches = [stream.batch(number, first_sequence=0) for number in range(num_steps)]
    bare, loop = [], []
    for _ in range(num_rounds):
        bare.append(bare_seconds(Ours(setting, device=device, is_compiled=is_compiled), batches))
        loop.append(
            loop_seconds(samples, setting, num_steps=num_steps, device=device, is_compiled=is_compiled)
        )
    for number, kind in enumerate(("wall", "processor")):
        step, whole = (min(times[number] for times in side) for side in (bare, loop))
        print(
            f"loop, {kind} time: {whole * 1e3:.1f} ms a step, bare step {step * 1e3:.1f} ms: "
            f"{(whole / step - 1) * 100:+.1f} %  (best of {num_rounds}, {num_steps} steps each)"
        )


def report_data(setting: Setting, *, num_sequences: int, num_workers: int, step_rate: float) -> None:
    """Write a token cache of so many sequences, open it, and print how fast batches come out of it."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "tokens"
        write_corpus(directory, documents(setting, num_sequences), settings={}, parents={})
        size = sum(path.stat().st_size for path in directory.iterdir())
        begin = time.perf_counter()
        samples = samples_of(TokenCorpus.open(directory), setting)
        samples.sequence(0)
        opened = time.perf_counter() - begin
        print(
            f"token cache: {samples.epoch_size:,} sequences, {size / 1e6:,.0f} MB, first sequence after {opened:.2f} s"
        )
        for workers in sorted({0, num_workers}):
            rate = data_rate(samples, setting, num_workers=workers)
            print(f"  {workers} workers: {rate:,.0f} tokens/s, {rate / step_rate:.1f} x what the step takes")


def data_rate(samples: PretrainingSamples, setting: Setting, *, num_workers: int) -> float:
    def timed(loader: InlineLoader | WorkerLoader) -> float:
        batches = Batches(loader, num_sequences=setting.num_sequences)
        batches.batch(0, first_sequence=0)
        begin, num_tokens, step = time.perf_counter(), 0, 0
        while time.perf_counter() - begin < 3 or step < 3:
            step += 1
            num_tokens += batches.batch(step, first_sequence=0).num_tokens
        return num_tokens / (time.perf_counter() - begin)

    if not num_workers:
        return timed(InlineLoader(samples))
    with WorkerLoader(samples, num_workers=num_workers, num_ahead=2 * setting.num_sequences) as loader:
        return timed(loader)


# --- the whole -------------------------------------------------------------------------------------------------------


def ways_of(setting: Setting, *, device: torch.device, is_compiled: bool) -> list[Way]:
    def peer(micro: int, *, is_sorted: bool) -> Callable[[], Peer]:
        return lambda: Peer(setting, device=device, micro=micro, is_sorted=is_sorted)

    micro, whole = setting.micro, setting.num_sequences
    ways = [
        Way(name=f"peer, micro-batches of {micro}, random", make=peer(micro, is_sorted=False)),
        Way(name=f"peer, micro-batches of {micro}, sorted", make=peer(micro, is_sorted=True)),
        Way(name="peer, whole batch", make=peer(whole, is_sorted=False)),
        Way(name="ours", make=lambda: Ours(setting, device=device)),
        Way(
            name="ours, activations recomputed",
            make=lambda: Ours(setting, device=device, is_recomputing=True),
        ),
    ]
    if is_compiled:
        ways.append(Way(name="ours, compiled", make=lambda: Ours(setting, device=device, is_compiled=True)))
    return ways


def report_ways(ways: list[Way], *, num_tokens: float, flop: float, peak: float, is_cpu: bool) -> None:
    peers = [way for way in ways if way.name.startswith("peer") and not way.problem]
    head = "".join(f"{'/ ' + way.name.removeprefix('peer, ').split()[-1]:>10}" for way in peers)
    print(f"{'':34}{'ms':>9}{'real tok/s':>12}{'MFU':>8}{'peak MiB':>10}{'recompiled':>12}{head}")
    for way in ways:
        if way.problem:
            print(f"{way.name:34}{way.problem:>21}{'':>8}{way.num_bytes / 2**20:>10,.0f}")
            continue
        step = statistics.median(way.seconds)
        ratios = "".join(f"{statistics.median(peer.seconds) / step:>9.2f}x" for peer in peers)
        print(
            f"{way.name:34}{step * 1e3:>9.1f}{num_tokens / step:>12,.0f}{flop / step / peak / 1e12:>8.1%}"
            f"{way.num_bytes / 2**20:>10,.0f}{way.num_recompiled:>12}{ratios}"
        )
        if is_cpu:
            # What other programs on the machine cannot slow down.
            step = statistics.median(way.processor_seconds)
            ratios = "".join(f"{statistics.median(peer.processor_seconds) / step:>9.2f}x" for peer in peers)
            print(f"{'  in processor time':34}{step * 1e3:>9.1f}{num_tokens / step:>12,.0f}{'':30}{ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    is_cuda = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if is_cuda else "cpu")
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="large" if is_cuda else "demo")
    parser.add_argument("--batch", type=int, help="sequences of one step")
    parser.add_argument("--micro", type=int, help="sequences of a padded micro-batch")
    parser.add_argument("--warmup", type=int, default=20 if is_cuda else 3, help="batches that are not timed")
    parser.add_argument("--steps", type=int, default=30 if is_cuda else 10, help="batches that are")
    parser.add_argument("--rounds", type=int, default=1 if is_cuda else 5, help="turns of all ways")
    parser.add_argument(
        "--loop-steps", type=int, default=50 if is_cuda else 100, help="0 leaves the loop out"
    )
    parser.add_argument(
        "--sequences", type=int, default=1_000_000, help="of the token cache; 0 leaves it out"
    )
    parser.add_argument("--workers", type=int, default=4 if is_cuda else 1)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=is_cuda)
    arguments = parser.parse_args()
    device, setting = torch.device(arguments.device), SETTINGS[arguments.setting]
    setting = replace(
        setting,
        **{
            key: value
            for key, value in (("num_sequences", arguments.batch), ("micro", arguments.micro))
            if value
        },
    )
    num_batches = arguments.warmup + arguments.steps
    corpus = TokenCorpus.from_documents(
        list(documents(setting, max(1_000, num_batches * setting.num_sequences)))
    )
    samples = samples_of(corpus, setting)
    stream = Batches(InlineLoader(samples), num_sequences=setting.num_sequences)
    batches = [stream.batch(number, first_sequence=0) for number in range(num_batches)]
    timed = batches[arguments.warmup :]
    dtype = Step(setting, device=device).dtype
    peak, source = peak_tflops(device, dtype)
    num_tokens, flop = (
        statistics.mean(float(value) for value in values)
        for values in ([batch.num_tokens for batch in timed], [setting.flop(batch) for batch in timed])
    )
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    print(f"{device.type}, {name}, torch {torch.__version__}, {dtype}, peak {peak:.2f} TFLOP/s ({source})")
    longest = statistics.mean(batch.max_seqlen for batch in timed)
    print(
        f"{arguments.setting}: {setting.num_sequences} sequences a step, {num_tokens:,.0f} tokens of "
        f"{longest * setting.num_sequences:,.0f} when padded, {flop / 1e12:.3g} TFLOP, "
        f"{setting.num_text + setting.num_words:,} words; medians of {arguments.rounds} x {arguments.steps} steps"
    )
    ways = ways_of(setting, device=device, is_compiled=arguments.compile)
    for _ in range(arguments.rounds):
        for way in ways:
            if not way.problem:
                measure(way, batches, num_warmup=arguments.warmup, device=device)
    report_ways(ways, num_tokens=num_tokens, flop=flop, peak=peak, is_cpu=device.type == "cpu")
    sys.stdout.flush()
    if arguments.loop_steps:
        report_loop(
            samples,
            setting,
            num_steps=arguments.loop_steps,
            num_rounds=arguments.rounds,
            device=device,
            is_compiled=arguments.compile,
        )
    if arguments.sequences:
        best = max(way.rate(num_tokens) for way in ways if way.name.startswith("ours"))
        report_data(setting, num_sequences=arguments.sequences, num_workers=arguments.workers, step_rate=best)


if __name__ == "__main__":
    main()
