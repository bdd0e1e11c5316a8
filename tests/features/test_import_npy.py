"""Files called `.npy` that are none: each is one line of the quarantine, whatever numpy makes of its first bytes."""

import struct

import numpy as np
import pytest

from videobert_cli.core.features.store.import_npy import import_npy
from videobert_cli.core.features.store.quarantine import read_quarantine


def with_header(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(64)


HOSTILE = {
    "an-unclosed-header": with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3"),
    "an-unclosed-text": with_header("{'descr': '''<f4"),
    "a-deep-header": with_header("-" * 5000 + "1"),
    "a-cut-zip": b"PK\x03\x04" + bytes(100),
    "the-end-of-a-zip": b"PK\x05\x06" + b"x" * 100,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_quarantined_and_the_rest_is_imported(tmp_path, name) -> None:
    folder, store = tmp_path / "in", tmp_path / "store"
    folder.mkdir()
    np.save(folder / "good.npy", np.ones((3, 4), dtype=np.float32))
    (folder / f"{name}.npy").write_bytes(HOSTILE[name])
    report = import_npy(folder, directory=store, clip_seconds=1.0, backbone_name="x")
    assert (report.num_done, dict(report.failures_by_reason)) == (1, {"not-npy": 1})
    assert read_quarantine(store)[name].detail.startswith("not an array of numbers")
