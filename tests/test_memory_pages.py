"""Large tables lie in large pages where the system has them, and are tensors like others where it has none."""

import mmap
import re
from pathlib import Path

import pytest
import torch

from videobert_cli import memory

CPU = torch.device("cpu")
HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def filled(*shape: int) -> torch.Tensor:
    table = memory.empty_in_huge_pages(*shape, device=CPU)
    assert table.shape == shape
    assert table.dtype == torch.float32
    return table.fill_(3.0)


@pytest.mark.parametrize("shape", [(0, 8), (5, 8), (4_096, 512)])
def test_it_is_a_tensor_of_that_shape_that_can_be_written(shape: tuple[int, ...]) -> None:
    assert bool((filled(*shape) == 3).all())


@pytest.mark.skipif(
    not HUGE.is_file() or "[never]" in HUGE.read_text(), reason="this system has no transparent huge pages"
)
def test_large_pages_are_asked_for() -> None:
    table = filled(16_384, 1_024)
    address = table.data_ptr()
    for region in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        start, end = (int(side, 16) for side in region.split(maxsplit=1)[0].split("-"))
        if start <= address < end:
            assert " hg" in region.split("VmFlags:")[1]
            return
    raise AssertionError("the table is in no region")


def test_a_kernel_without_them_gives_plain_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def __init__(self, *_: object, **__: object) -> None:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Refused)
    assert bool((filled(4_096, 512) == 3).all())
