"""What stands for videos on the command line: names are bytes, folders are sorted, lists are read."""

import io
import os
import sys
from pathlib import Path

import pytest

from videobert_cli.commands.inputs import expand_inputs
from videobert_cli.errors import MissingInputError

NAMES = [
    b"new\nline.mp4",
    b"-rf q.mp4",
    b"\xff\xfe.mp4",
    b"esc\x1b[2J.mp4",
    "\u2028sep.mp4".encode(),
    b"@at.mp4",
    b"[x].mp4",
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _expand(*names: str, null: bool = False) -> list[str]:
    return [str(path) for path in expand_inputs(names, is_null_separated=null)]


def _stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_folder_gives_its_videos_sorted_and_nothing_else() -> None:
    for name in ("b.mp4", "a.webm", "notes.txt", "a.srt", "deep/c.MKV"):
        Path("clips", name).parent.mkdir(parents=True, exist_ok=True)
        Path("clips", name).touch()
    assert _expand("clips") == ["clips/a.webm", "clips/b.mp4", "clips/deep/c.MKV"]


def test_a_file_is_taken_once_in_the_order_given() -> None:
    for name in ("b.mp4", "a.mp4"):
        Path(name).touch()
    assert _expand("b.mp4", "a.mp4", "b.mp4", "*.mp4") == ["b.mp4", "a.mp4"]


def test_p27_a_name_that_exists_is_taken_as_it_is() -> None:
    names = [os.fsdecode(name) for name in NAMES]
    for name in names:
        Path(name).touch()
    assert _expand(*names) == names


def test_p27_names_on_standard_input_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    _stdin(monkeypatch, b"\0".join(NAMES) + b"\0")
    assert _expand("-", null=True) == [os.fsdecode(name) for name in NAMES]


def test_a_list_is_a_name_a_line_whatever_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "a.mp4\r\nb b.mp4\n\n\u2028sep.mp4\n".encode() + b"\xff.mp4"
    wanted = ["a.mp4", "b b.mp4", "\u2028sep.mp4", os.fsdecode(b"\xff.mp4")]
    Path("list.txt").write_bytes(lines)
    _stdin(monkeypatch, lines)
    assert _expand("@list.txt") == wanted
    assert _expand("-") == wanted


def test_globs_are_expanded_by_us_too() -> None:
    for name in ("x/1.mp4", "x/y/2.mp4"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert _expand("x/**/*.mp4") == ["x/1.mp4", "x/y/2.mp4"]


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["none.mp4"], "no such file"),
        (["*.mp4"], "no such file"),
        (["@none"], "no such file"),
        (["."], "holds no video"),
    ],
)
def test_what_stands_for_nothing_is_refused(names: list[str], what: str) -> None:
    with pytest.raises(MissingInputError, match=what) as caught:
        _expand(*names)
    assert caught.value.at == names[0]


def test_nothing_on_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _stdin(monkeypatch, b"\n\n")
    with pytest.raises(MissingInputError, match="no video was named"):
        _expand("-")
