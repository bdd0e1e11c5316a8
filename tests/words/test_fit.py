"""What does not change a codebook: memory, blocks, threads, ranks' shares, a stop or a damaged unfinished fit."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.core.features.store.writer import FeatureStoreWriter
from videobert_cli.core.words import rows as rows_module
from videobert_cli.core.words.codebook import fit_codebook
from videobert_cli.core.words.fit import FitControl
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.rows import ArrayRows, StoreRows
from videobert_cli.errors import InterruptedRunError
from videobert_cli.ranks import Ranks

CPU = torch.device("cpu")
# Five hundred features of 1,024 values are twice what a megabyte holds.
LITTLE = 1 << 20


def features(num=700, dim=1024, seed=0, num_groups=40):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_groups, dim))
    return (centres[rng.integers(num_groups, size=num)] + rng.normal(size=(num, dim)) * 0.4).astype(
        np.float16
    )


def fit(source, *, control=None, seed=0, **options):
    chosen = {"branching": 4, "num_levels": 3, "num_iterations": 6, **options}
    return fit_codebook(
        source,
        options=QuantizeOptions(**chosen),
        parts=(source.shape[1] if isinstance(source, np.ndarray) else source.dim,),
        fingerprint={},
        seed=seed,
        device=CPU,
        control=control,
    )


def content(codebook, tmp_path):
    return codebook.save(tmp_path / "book")


PROJECTIONS = {
    "none": {},
    "pca": {"num_components": 40, "whiten": True},
    "parts": {"scaling": "standardize_parts"},
}


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_features_that_memory_does_not_hold_give_the_same_bytes(tmp_path, monkeypatch, projection):
    monkeypatch.setattr(rows_module, "TILE_NUM_ROWS", 64)
    array = features()
    held = content(fit(array, **PROJECTIONS[projection]), tmp_path)
    reads = []

    class Watched(ArrayRows):
        def read(self, start, stop, /):
            reads.append((start, stop))
            return super().read(start, stop)

    streamed = fit(Watched(array), max_memory_bytes=LITTLE, **PROJECTIONS[projection])
    assert content(streamed, tmp_path) == held
    if projection != "pca":
        assert len([start for start, stop in reads if stop == len(array)]) > 10


def test_a_store_read_piece_by_piece_gives_the_bytes_of_one_array(tmp_path):
    array = features()
    writer = FeatureStoreWriter.create_or_open(tmp_path / "store", fingerprint={}, dim=array.shape[1])
    borders = [0, 1, 200, 200, 203, 600, 700]
    names = []
    for number, (start, stop) in enumerate(itertools.pairwise(borders)):
        if stop > start:
            names.append(f"v{number}")
            writer.add(
                names[-1],
                features_TD=array[start:stop],
                clip_start_seconds_T=np.arange(stop - start) * 1.5,
                facts={},
            )
    rows = StoreRows(FeatureStore.open(tmp_path / "store"), ids=names)
    for start, stop in ((0, 700), (0, 1), (1, 200), (199, 204), (690, 900), (5, 5)):
        np.testing.assert_array_equal(rows.read(start, stop), array[start:stop])
    assert content(fit(rows, max_memory_bytes=LITTLE), tmp_path) == content(fit(array), tmp_path)


@pytest.mark.slow
def test_threads_do_not_show(tmp_path):
    array, before = features(num=1500, dim=100), torch.get_num_threads()
    found = set()
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            found.add(content(fit(array), tmp_path))
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


class _Stop:
    """Asks for a stop at the n-th look."""

    def __init__(self, after):
        self.left = after

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            raise InterruptedRunError("stopped")


def test_a_fit_stopped_again_and_again_ends_at_the_same_bytes(tmp_path):
    array = features(num=600, dim=500, num_groups=600)
    whole = content(fit(array, max_memory_bytes=LITTLE, tolerance=0.0), tmp_path)
    num_stops = 0
    for after in range(30, 90):
        control = FitControl(directory=tmp_path / "fit", features_hash="f", should_stop=_Stop(after))
        try:
            codebook = fit(array, control=control, max_memory_bytes=LITTLE, tolerance=0.0)
            break
        except InterruptedRunError:
            num_stops += 1
            assert (tmp_path / "fit" / "manifest.json").exists()
    assert num_stops >= 3
    assert content(codebook, tmp_path) == whole
    assert not (tmp_path / "fit").exists()


def stopped(directory, array, **options):
    control = FitControl(directory=directory, features_hash="f", should_stop=_Stop(12))
    with pytest.raises(InterruptedRunError):
        fit(array, control=control, **options)


def test_an_unfinished_fit_of_something_else_is_of_no_use(tmp_path):
    array = features(num=300, dim=20)
    for changed in ({"seed": 1}, {"num_iterations": 3}, {"branching": 3}):
        stopped(tmp_path / "fit", array)
        control = FitControl(directory=tmp_path / "fit", features_hash="f")
        assert content(fit(array, control=control, **changed), tmp_path) == content(
            fit(array, **changed), tmp_path
        )
    stopped(tmp_path / "fit", array)
    other = FitControl(directory=tmp_path / "fit", features_hash="of others")
    assert content(fit(array, control=other), tmp_path) == content(fit(array), tmp_path)


def test_a_damaged_unfinished_fit_costs_time_alone(tmp_path):
    array = features(num=300, dim=20)
    stopped(tmp_path / "fit", array)
    path = tmp_path / "fit" / "fit.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    control = FitControl(directory=tmp_path / "fit", features_hash="f")
    assert content(fit(array, control=control), tmp_path) == content(fit(array), tmp_path)


def test_the_memory_allowed_is_no_setting():
    little, much = QuantizeOptions(max_memory_bytes=LITTLE), QuantizeOptions()
    assert little.settings() == much.settings()
    assert little.model_dump() != much.model_dump()


@given(st.integers(0, 10**7), st.integers(1, 9))
def test_ranks_share_all_rows_once(num_rows, num):
    shares = []
    for index in range(num):
        ranks = Ranks()
        ranks.index, ranks.num = index, num
        shares.append(ranks.share(num_rows, unit=rows_module.TILE_NUM_ROWS))
    assert [start for start, _ in shares] == [0, *(stop for _, stop in shares[:-1])]
    assert shares[-1][1] == num_rows
    assert all(start % rows_module.TILE_NUM_ROWS == 0 or start == num_rows for start, _ in shares)


KINDS = {
    "few": lambda rng, num, dim: rng.normal(size=(num, dim)),
    "whole numbers, many alike": lambda rng, num, dim: rng.integers(-1, 2, size=(num, dim)),
    "all alike": lambda rng, num, dim: np.full((num, dim), 3.25),
    "zeros": lambda rng, num, dim: np.zeros((num, dim)),
    "far from the origin": lambda rng, num, dim: 500 + rng.normal(size=(num, dim)),
    "one far away": lambda rng, num, dim: rng.normal(size=(num, dim)) * np.where(np.arange(num) == 0, 1000, 1)[:, None],
}  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([1, 2, 5, 12, 13, 50, 500]),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_any_data_fits_a_tree_of_twenty_thousand_leaves(kind, num, dim, seed):
    array = KINDS[kind](np.random.default_rng(seed), num, dim).astype(np.float16)
    codebook = fit(array, branching=12, num_levels=4, seed=seed)
    words = codebook.assign(array)
    assert codebook.num_words == 20_736
    assert (np.bincount(words, minlength=20_736) == codebook.usage_K).all()
    assert len(set(words.tolist())) <= len(np.unique(array, axis=0))
    assert all(np.isfinite(level.inertia) for level in codebook.statistics)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_a_gpu_finds_the_tree_of_a_cpu():
    array = features(num=3000, dim=64)
    on_cpu = fit(array)
    on_gpu = fit_codebook(
        array,
        options=QuantizeOptions(branching=4, num_levels=3, num_iterations=6),
        parts=(64,),
        fingerprint={},
        seed=0,
        device=torch.device("cuda"),
    )
    assert (on_gpu.usage_K == on_cpu.usage_K).all()
    assert (on_gpu.assign(array) == on_cpu.assign(array)).all()
    assert [level.inertia for level in on_gpu.statistics] == pytest.approx(
        [level.inertia for level in on_cpu.statistics]
    )
