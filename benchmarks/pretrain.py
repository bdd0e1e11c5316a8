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
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from pretrain_sequences import SETTINGS, Setting, documents, samples_of
from pretrain_steps import Ours, Peer, Step, Way, measure, now, peak_tflops

from videobert_cli.core.model.init import new_model
from videobert_cli.core.sequences.batches import Batches, InlineLoader
from videobert_cli.core.sequences.corpus import TokenCorpus, write_corpus
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.loader import WorkerLoader
from videobert_cli.core.sequences.packing import PackedBatch
from videobert_cli.core.training.loop import LoopEvents, TrainingLoop
from videobert_cli.core.training.objectives import PretrainingJob
from videobert_cli.core.training.options import LoopOptions, LossWeights, OptimizerOptions
from videobert_cli.runtime import StopRequest


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


def report_data(setting: Setting, *, num_sequences: int, num_workers: int, step_rate: float | None) -> None:
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
            rate, processor_rate = data_rate(samples, setting, num_workers=workers)
            beside = f", {rate / step_rate:.1f} x what the step takes" if step_rate else ""
            own = "" if workers else f", {processor_rate:,.0f} a second of the processor"
            print(f"  {workers} workers: {rate:,.0f} tokens/s{own}{beside}")


def data_rate(samples: PretrainingSamples, setting: Setting, *, num_workers: int) -> tuple[float, float]:
    """Return the tokens a second, by the clock and by this process's processor time."""

    def timed(loader: InlineLoader | WorkerLoader) -> tuple[float, float]:
        batches = Batches(loader, num_sequences=setting.num_sequences)
        batches.batch(0, first_sequence=0)
        begin, processor, num_tokens, step = time.perf_counter(), time.process_time(), 0, 0
        while time.perf_counter() - begin < 3 or step < 10:
            step += 1
            num_tokens += batches.batch(step, first_sequence=0).num_tokens
        return num_tokens / (time.perf_counter() - begin), num_tokens / (time.process_time() - processor)

    if not num_workers:
        return timed(InlineLoader(samples))
    with WorkerLoader(samples, num_workers=num_workers, num_ahead=2 * setting.num_sequences) as loader:
        return timed(loader)


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


def compare(
    samples: PretrainingSamples, setting: Setting, *, arguments: argparse.Namespace, device: torch.device
) -> float:
    """Measure all ways in turn, print what was found, and return the tokens a second of our fastest."""
    stream = Batches(InlineLoader(samples), num_sequences=setting.num_sequences)
    batches = [stream.batch(number, first_sequence=0) for number in range(arguments.warmup + arguments.steps)]
    timed = batches[arguments.warmup :]
    dtype = Step(setting, device=device).dtype
    peak, source = peak_tflops(device, dtype)
    num_tokens = statistics.mean(float(batch.num_tokens) for batch in timed)
    flop = statistics.mean(setting.flop(batch) for batch in timed)
    num_padded = statistics.mean(batch.max_seqlen * batch.num_sequences for batch in timed)
    print(
        f"a step: {num_tokens:,.0f} tokens of {num_padded:,.0f} when padded, {flop / 1e12:.3g} TFLOP, "
        f"{setting.num_text + setting.num_words:,} words; medians of {arguments.rounds} x {arguments.steps} steps; "
        f"{dtype}, peak {peak:.2f} TFLOP/s ({source})"
    )
    ways = ways_of(setting, device=device, is_compiled=arguments.compile)
    for _ in range(arguments.rounds):
        for way in ways:
            if not way.problem:
                measure(way, batches, num_warmup=arguments.warmup, device=device)
    report_ways(ways, num_tokens=num_tokens, flop=flop, peak=peak, is_cpu=device.type == "cpu")
    return max(way.rate(num_tokens) for way in ways if way.name.startswith("ours"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    is_cuda = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if is_cuda else "cpu")
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="large" if is_cuda else "demo")
    parser.add_argument("--batch", type=int, help="sequences of one step")
    parser.add_argument("--micro", type=int, help="sequences of a padded micro-batch")
    parser.add_argument("--warmup", type=int, default=20 if is_cuda else 3, help="batches that are not timed")
    parser.add_argument(
        "--steps", type=int, default=30 if is_cuda else 10, help="batches that are; 0 leaves the steps out"
    )
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
    num_sequences = (arguments.warmup + arguments.steps) * setting.num_sequences
    corpus = TokenCorpus.from_documents(list(documents(setting, max(1_000, num_sequences))))
    samples = samples_of(corpus, setting)
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    print(
        f"{device.type}, {name}, torch {torch.__version__}; {arguments.setting}, {setting.num_sequences} sequences"
    )
    rate = compare(samples, setting, arguments=arguments, device=device) if arguments.steps else None
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
        sys.stdout.flush()
    if arguments.sequences:
        report_data(setting, num_sequences=arguments.sequences, num_workers=arguments.workers, step_rate=rate)


if __name__ == "__main__":
    main()
