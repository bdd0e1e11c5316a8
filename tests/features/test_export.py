"""An export replaces what it is told to replace, and no folder that holds anything but an export."""

import json
import tracemalloc

import numpy as np
import pytest

from videobert_cli.core.features.store.export import export_store
from videobert_cli.errors import UsageError


class Source:
    kind = "features"
    fingerprint: dict[str, str] = {}  # noqa: RUF012 - nothing changes it

    def ids(self):
        return ["a"]

    def read(self, item_id):
        return np.ones((2, 3), dtype=np.float16), np.arange(2.0)

    def num_clips(self):
        return 2

    def content_hash(self):
        return "0"


@pytest.mark.parametrize("on_existing", ["keep", "replace"])
def test_a_folder_that_is_no_export_is_never_replaced(tmp_path, on_existing):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="a folder with something else already"):
        export_store(Source(), out=tmp_path, form="npy", on_existing=on_existing)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_and_an_export_are_replaced(tmp_path):
    for _ in range(2):
        report = export_store(Source(), out=tmp_path / "out", form="npy", on_existing="replace")
        assert report.is_new
    (tmp_path / "empty").mkdir()
    assert export_store(Source(), out=tmp_path / "empty", form="npy", on_existing="replace").is_new


class ManyClips(Source):
    def ids(self):
        return [f"v{number:03}" for number in range(100)]

    def read(self, item_id):
        return np.ones((20_000, 1), dtype=np.float16), np.arange(20_000) * 1.5


@pytest.mark.slow
def test_the_index_is_not_gathered_in_memory(tmp_path):
    tracemalloc.start()
    try:
        export_store(ManyClips(), out=tmp_path / "out", form="npy")
        _, peak_num_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    index = tmp_path / "out/index.jsonl"
    assert [json.loads(line)["id"] for line in index.read_text().splitlines()] == ManyClips().ids()
    assert peak_num_bytes < index.stat().st_size / 2
