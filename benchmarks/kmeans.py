"""The codebook's k-means and its assignment against scikit-learn and faiss, in one run; a floor first.

The features are made here: 1,000 groups of 20 clusters each (sizes as a power law has them), float16, and noise, so
that a tree of 12 children a node finds something at every level. The peers are in `kmeans_peers.py`. Inertia moves by
several per cent with the seed: compare the means of some seeds.

    python benchmarks/kmeans.py [--num-features 200000] [--num-levels 4] [--num-iterations 10] [--seeds 3]
    python benchmarks/kmeans.py --device cuda [--num-features 4000000]
"""

import argparse
import platform
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from kmeans_peers import BRANCHING, PEERS, Fitted, fit_peer

from videobert_cli.core.words.branches import Branches
from videobert_cli.core.words.codebook import Codebook, fit_codebook
from videobert_cli.core.words.kmeans import LevelFit
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.points import TrainingPoints
from videobert_cli.core.words.projection import Projection
from videobert_cli.core.words.rows import ArrayRows
from videobert_cli.ranks import Ranks

DIM = 1024
GROUPS = (1000, 20)
SCALES = (1.0, 0.7)
NOISE = 0.6


def make_features(num: int, *, device: torch.device) -> torch.Tensor:
    """Return (num, 1024) features, float16: 20,000 clusters in a tree, and noise."""
    generator = torch.Generator(device).manual_seed(0)
    centres = torch.zeros(1, DIM, device=device)
    for num_groups, scale in zip(GROUPS, SCALES, strict=True):
        offsets = torch.randn(len(centres), num_groups, DIM, generator=generator, device=device) * scale
        centres = (centres[:, None] + offsets).flatten(0, 1)
    weights = 1 / torch.arange(1, len(centres) + 1, device=device) ** 0.5
    order = torch.randperm(len(centres), generator=generator, device=device)
    chosen = torch.multinomial(weights[order], num, replacement=True, generator=generator)
    features = torch.empty(num, DIM, dtype=torch.float16, device=device)
    for start in range(0, num, 65_536):
        part = centres[chosen[start : start + 65_536]]
        noise = torch.randn(part.shape, generator=generator, device=device) * NOISE
        features[start : start + 65_536] = (part + noise).half()
    return features


def timed(work: Callable[[], object], *, num: int = 1, device: torch.device | None = None) -> float:
    """Return the seconds of the fastest of `num` calls."""
    best = float("inf")
    for _ in range(num):
        begin = time.perf_counter()
        work()
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begin)
    return best


def fit_ours(
    features_ND: np.ndarray, arguments: argparse.Namespace, *, seed: int = 0
) -> tuple[Fitted, Codebook]:
    """Fit our codebook: the whole of it, from float16 features to the tree."""
    options = QuantizeOptions(
        branching=BRANCHING,
        num_levels=arguments.num_levels,
        num_iterations=arguments.num_iterations,
        tolerance=0.0,
    )
    begin, cpu_begin = time.perf_counter(), time.process_time()
    codebook = fit_codebook(
        features_ND,
        options=options,
        parts=(DIM,),
        fingerprint={},
        seed=seed,
        device=torch.device(arguments.device),
    )
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
    last = codebook.statistics[-1]
    fitted = Fitted(
        name="videobert",
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        inertia=last.inertia,
        num_leaves=last.num_used,
    )
    return fitted, codebook


def print_floor(num: int, arguments: argparse.Namespace) -> float:
    """Print and return the least time for what any Lloyd of all points must do: read them and multiply them."""
    block = torch.randn(65_536, DIM)
    wide = torch.randn(512, DIM)
    bytes_per_second = block.numel() * 4 / timed(block.sum, num=7)
    flops = 2 * block.numel() * len(wide) / timed(lambda: block @ wide.T, num=5)
    passes = arguments.num_levels * (arguments.num_iterations + 1)
    reading = passes * num * DIM * 4 / bytes_per_second
    arithmetic = passes * 2 * num * DIM * BRANCHING / flops
    print(
        f"floor: {passes} passes; {reading:.1f} s to read float32 at {bytes_per_second / 1e9:.1f} GB/s, "
        f"{arithmetic:.1f} s of products at {flops / 1e9:.0f} GFLOP/s"
    )
    return max(reading, arithmetic)


def mean_of(fits: list[Fitted]) -> Fitted:
    """Return the means over seeds."""
    return Fitted(
        name=fits[0].name,
        seconds=float(np.mean([one.seconds for one in fits])),
        cpu_seconds=float(np.mean([one.cpu_seconds for one in fits])),
        inertia=float(np.mean([one.inertia for one in fits])),
        num_leaves=round(float(np.mean([one.num_leaves for one in fits]))),
    )


def compare_fits(features_ND: np.ndarray, arguments: argparse.Namespace) -> Codebook:
    """Fit ours and the peers, one seed after another, print their means side by side."""
    floor = print_floor(len(features_ND), arguments)
    rows: list[list[Fitted]] = [[]]
    codebook: Codebook | None = None
    peers = [(name, make_node) for name, make_node in PEERS.items() if name not in arguments.skip]
    rows += [[] for _ in peers]
    for seed in range(arguments.seeds):
        fitted, codebook = fit_ours(features_ND, arguments, seed=seed)
        rows[0].append(fitted)
        print(f"    videobert: {fitted.seconds:.1f} s", flush=True)
        for (name, make_node), of_peer in zip(peers, rows[1:], strict=True):
            node = make_node(arguments.num_iterations, seed)
            of_peer.append(fit_peer(name, node, features_ND, num_levels=arguments.num_levels))
    assert codebook is not None
    ours = mean_of(rows[0])
    print(
        "fit            seconds  ours/its  cpu s  ours/its      inertia  +- seeds  ours/its   leaves  ours/its"
    )
    for of_seeds in rows:
        row = mean_of(of_seeds)
        spread = float(np.std([one.inertia for one in of_seeds])) / row.inertia
        print(
            f"{row.name:<13}{row.seconds:>9.1f}{ours.seconds / row.seconds:>10.2f}"
            f"{row.cpu_seconds:>7.1f}{ours.cpu_seconds / row.cpu_seconds:>10.2f}"
            f"{row.inertia:>13.4e}{100 * spread:>8.1f} %{ours.inertia / row.inertia:>10.4f}"
            f"{row.num_leaves:>9,}{ours.num_leaves / row.num_leaves:>10.4f}"
        )
    of_cpu = ours.cpu_seconds / torch.get_num_threads() / floor
    print(f"ours / floor: {ours.seconds / floor:.1f}, in cpu seconds of one thread {of_cpu:.1f}")
    return codebook


def compare_assignments(codebook: Codebook, features: torch.Tensor, *, device: torch.device) -> None:
    """Print vectors a second by the tree and by comparison with every leaf, and how often the two agree."""
    array_ND = features.cpu().numpy()
    leaves_KD = torch.from_numpy(codebook.centroids_KD).to(device)
    num_flat = min(len(features), 16_384 if device.type == "cpu" else 1 << 20)
    flat = torch.empty(num_flat, dtype=torch.int64, device=device)
    lengths_K = torch.linalg.vecdot(leaves_KD, leaves_KD)

    def assign_flat() -> None:
        for start in range(0, num_flat, 4_096):
            points = features[start : start + 4_096][: num_flat - start].to(device).float()
            flat[start : start + 4_096] = torch.addmm(lengths_K, points, leaves_KD.T, alpha=-2).argmin(dim=1)

    flat_rate = num_flat / timed(assign_flat, num=2, device=device)
    tree_rate = len(features) / timed(lambda: codebook.assign(array_ND), num=3, device=device)
    words = torch.from_numpy(codebook.assign(array_ND[:num_flat]))
    agree = float((leaves_KD.cpu()[words] == leaves_KD.cpu()[flat.cpu()]).all(dim=1).float().mean())
    print(
        f"assignment: tree {tree_rate:,.0f} vectors/s, flat {len(leaves_KD):,} {flat_rate:,.0f} vectors/s, "
        f"tree/flat {tree_rate / flat_rate:.1f}; both find the same leaf for {100 * agree:.1f} %"
    )


def compare_iteration(features: torch.Tensor, *, device: torch.device) -> None:
    """Print one iteration of the root's 12 children against one read of the float16 features (a sum of them)."""
    read = timed(lambda: features.sum(dtype=torch.float32), num=5, device=device)
    rows = ArrayRows(features.cpu().numpy())
    largest = float(features.abs().max())
    grid_D = torch.full((DIM,), 2.0 ** (int(np.ceil(np.log2(largest))) - 20), dtype=torch.float64)
    projection = Projection(
        mean_D=torch.zeros(DIM, dtype=torch.float64),
        scale_D=torch.ones(DIM, dtype=torch.float64),
        components_KD=None,
        grid_K=grid_D,
    )
    points = TrainingPoints(
        rows, projection=projection, device=device, ranks=Ranks(), max_memory_bytes=rows.num_rows * DIM * 4
    )
    points.measure(should_stop=lambda: None)
    starts_KD = points.read(0, points.num)[:: len(features) // BRANCHING][:BRANCHING].clone()
    branches = Branches(
        starts_KD, num_children_P=torch.tensor([BRANCHING]), parents_PD=starts_KD.mean(dim=0, keepdim=True)
    )
    fit = LevelFit(
        points, nodes_N=torch.zeros(points.num, dtype=torch.int32, device=device), branches=branches
    )
    active = torch.ones(1, dtype=torch.bool, device=device)
    times = [
        timed(lambda: fit.move(fit.sweep(active, should_stop=lambda: None)), device=device) for _ in range(6)
    ]
    print(
        f"k = {BRANCHING}: one read of {features.numel() * 2 / 1e9:.1f} GB {read * 1e3:.1f} ms, first iteration "
        f"{times[0] * 1e3:.1f} ms, later ones {min(times[1:]) * 1e3:.1f} ms, later/read {min(times[1:]) / read:.1f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--num-features", type=int, help="200,000 on a CPU, 4,000,000 on a GPU; fewer for a quick look"
    )
    parser.add_argument("--num-levels", type=int, default=4)
    parser.add_argument("--num-iterations", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1, help="so many fits of each; means are printed")
    parser.add_argument("--skip", action="append", default=[], choices=sorted(PEERS))
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cpu" and "faiss" not in arguments.skip and find_spec("faiss") is None:
        parser.error("faiss is not installed: pip install faiss-cpu, or --skip faiss")
    num = arguments.num_features or (200_000 if device.type == "cpu" else 4_000_000)
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    print(
        f"{platform.machine()}, torch {torch.__version__}, {device}, {name}; "
        f"{num:,} features of {DIM}, {BRANCHING} a node"
    )
    features = make_features(num, device=device)
    if device.type == "cuda":
        compare_iteration(features, device=device)
        _, codebook = fit_ours(features.cpu().numpy(), arguments)
    else:
        codebook = compare_fits(features.numpy(), arguments)
    compare_assignments(codebook, features, device=device)


if __name__ == "__main__":
    main()
