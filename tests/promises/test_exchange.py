"""Features out of the store and into it: files that NumPy and HDF5 read, published arrays that a model is trained on."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from executable import shell, write_clip

pytestmark = pytest.mark.slow
NAMES = ("plain", "-dash", "with space", "ümlaut", "con", "a/same", "b/same", "per%cent")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos with odd names and `A`, the store of their features."""
    folder = tmp_path_factory.mktemp("exchange")
    for number, name in enumerate(NAMES):
        path = folder / "G" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, num_frames=30 + 10 * number)
    assert shell("extract", "G", "--out", "A", folder=folder).exit_code == 0
    return folder


def manifest(store: Path) -> dict[str, object]:
    return dict(json.loads((store / "manifest.json").read_text()))


def test_npy_files_come_back_as_the_store_that_they_were(folder: Path) -> None:
    done = shell("export", "A", "N", "--to", "npy", folder=folder)
    assert done.exit_code == 0, done.err
    entries = [json.loads(line) for line in (folder / "N/index.jsonl").read_text().splitlines()]
    assert len({entry["id"] for entry in entries}) == len(NAMES)
    for entry in entries:
        features = np.load(folder / "N" / entry["file"], allow_pickle=False)
        assert features.shape == (entry["num_clips"], 2560)
        assert features.dtype == np.float16
        assert np.diff(entry["clip_start_seconds"]) == pytest.approx(1.5)
        assert entry["file"].isascii()
    back = shell(
        "import", "N", "--out", "I", "--clip-seconds", "1.5", "--backbone-name", "mine", folder=folder
    )
    assert back.exit_code == 0, back.err
    assert manifest(folder / "I")["content_hash"] == manifest(folder / "A")["content_hash"]
    assert shell("verify", "I", "--deep", folder=folder).exit_code == 0


def test_an_export_is_not_replaced_unasked_and_not_made_twice(folder: Path) -> None:
    first = shell("export", "A", "E", "--to", "npy", folder=folder)
    assert first.exit_code == 0, first.err
    again = shell("export", "A", "E", "--to", "npy", "--json", folder=folder)
    assert json.loads(again.out)["status"] == "nothing-to-do"
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("precious")
    refused = shell("export", "A", "full", "--to", "npy", folder=folder)
    assert refused.exit_code == 2
    assert (folder / "full" / "mine.txt").read_text() == "precious"


@pytest.mark.skipif(importlib.util.find_spec("h5py") is None, reason="h5py is not installed (extra [hdf5])")
def test_hdf5_holds_the_same_numbers(folder: Path) -> None:
    import h5py

    npy = shell("export", "A", "M", "--to", "npy", folder=folder)
    assert npy.exit_code == 0, npy.err
    done = shell("export", "A", "A.h5", "--to", "hdf5", folder=folder)
    assert done.exit_code == 0, done.err
    entries = [json.loads(line) for line in (folder / "M/index.jsonl").read_text().splitlines()]
    found: dict[str, np.ndarray] = {}

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(folder / "A.h5") as file:
        file.visititems(take)
    features = [array for array in found.values() if array.ndim == 2]
    assert len(features) == len(entries)
    expected = {np.load(folder / "M" / entry["file"]).tobytes() for entry in entries}
    assert {array.tobytes() for array in features} == expected


class Hostile:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch PWNED",)


def test_p41_bad_arrays_are_quarantined_and_nothing_is_unpickled(folder: Path) -> None:
    bad = folder / "P"
    bad.mkdir()
    rows = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    np.save(bad / "good.npy", rows)
    np.save(bad / "also.npy", rows[:2])
    np.save(bad / "hostile.npy", np.array([Hostile()], dtype=object), allow_pickle=True)
    np.save(bad / "wide.npy", np.zeros((4, 9), dtype=np.float32))
    np.save(bad / "nan.npy", np.full((4, 8), np.nan, dtype=np.float32))
    np.save(bad / "flat.npy", np.zeros(8, dtype=np.float32))
    (bad / "empty.npy").touch()
    done = shell("import", "P", "--out", "PI", "--clip-seconds", "1", "--json", folder=folder)
    assert done.exit_code == 4, done.err
    assert json.loads(done.out)["metrics"]["import.num_videos"] == 2
    lines = [json.loads(line) for line in (folder / "PI/quarantine.jsonl").read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == ["empty", "flat", "hostile", "nan", "wide"]
    assert not list(folder.rglob("PWNED"))
    assert not Path("PWNED").exists()


def test_a_model_is_trained_on_imported_features_and_says_why_it_cannot_predict(folder: Path) -> None:
    arrays = folder / "S"
    arrays.mkdir()
    rng = np.random.default_rng(1)
    (folder / "V").mkdir()
    for number in range(8):
        np.save(arrays / f"v{number}.npy", rng.normal(size=(6, 16)).astype(np.float32))
        (folder / "V" / f"v{number}.srt").write_text("1\n00:00:00,000 --> 00:00:05,000\ncut the tomato\n")
        write_clip(folder / "V" / f"v{number}.mp4", num_frames=40)
    assert shell("import", "S", "--out", "SI", "--clip-seconds", "1", folder=folder).exit_code == 0
    (folder / "s.yaml").write_text(
        "run: s\ndata:\n  videos: V\nextract:\n  features: SI\n"
        "quantize: {branching: 3, num_levels: 2, num_components: 8}\n"
        "pretrain:\n  model: {num_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}\n"
        "  loop: {num_steps: 6, batch_num_sequences: 4}\n"
    )
    trained = shell("pretrain", "s.yaml", folder=folder)
    assert trained.exit_code == 0, trained.err
    refused = shell("predict", "V/v0.mp4", "--model", "s/pretrain/model", folder=folder)
    assert refused.exit_code == 3
    assert "features made elsewhere" in refused.error_lines[0]
