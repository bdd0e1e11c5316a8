"""What is printed: results on stdout, news on stderr, no control character, nothing that breaks a line."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.commands.console import (
    Console,
    ReaderGoneError,
    one_line,
    print_error,
    print_results,
    printable,
)
from videobert_cli.errors import ResourceError


@given(st.text())
def test_p49_printable_text_has_no_control_character(text: str) -> None:
    shown = printable(text)
    assert all(char == "\n" or char.isprintable() for char in shown)
    shown.encode("utf-8", "strict")
    assert "\n" not in one_line(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="\u00a0")))
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    if text.isprintable():
        assert printable(text) == text


def test_bytes_that_are_no_text_are_shown_as_escapes() -> None:
    assert one_line(b"a\xff\x1b[2J\n.mp4".decode("utf-8", "surrogateescape")) == r"a\udcff\x1b[2J\n.mp4"


def test_results_go_to_stdout_and_news_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(["a\nb", "c"])
    Console().line("news\x1b[0m")
    captured = capsys.readouterr()
    assert captured.out == "a\\nb\nc\n"
    assert captured.err == "news\\x1b[0m\n"


def test_an_error_of_several_lines_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(what="one\n  two", at="a\nb", fix="")
    assert capsys.readouterr().err == "error: one\n       two\n  at: a\\nb\n"


def test_quiet_says_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console("quiet")
    console.line("news")
    console.progress("extract", done=1, total=2, detail="")
    console.stage_finished("extract", summary="all", seconds=1.0)
    console.warning("look")
    assert capsys.readouterr().err == "warning: look\n"


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for done in range(100):
        console.progress("extract", done=done, total=100, detail="videos")
    assert capsys.readouterr().err == ""
    loud = Console("verbose")
    loud.progress("extract", done=25, total=100, detail="videos")
    assert capsys.readouterr().err == "extract: 25/100 (25%) videos\n"


class _Broken(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def write(self, _text: str) -> int:
        raise self._error


def test_p15_a_reader_that_has_gone_is_told_apart_from_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Broken(BrokenPipeError(32, "Broken pipe")))
    with pytest.raises(ReaderGoneError):
        print_results(["x"])
    monkeypatch.setattr(sys, "stdout", _Broken(OSError(28, "No space left on device")))
    with pytest.raises(ResourceError, match="cannot write the result: No space left") as caught:
        print_results(["x"])
    assert caught.value.at == "standard output"


def test_news_that_nobody_can_read_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Broken(BrokenPipeError(32, "Broken pipe")))
    Console().line("news")
    Console().warning("look")


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_rows_stand_under_the_bar_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("loss", "3.500"), ("bad\x1b[2Jname", "[red]x[/red]")]
    shown = {}
    for terminal in ("xterm", "dumb"):
        screen = _Screen()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", terminal)
        monkeypatch.setenv("COLUMNS", "80")
        console = Console("verbose")
        console.progress("pretrain", done=5, total=10, detail="short", rows=rows)
        console.stage_finished("pretrain", summary="done", seconds=0.0)
        shown[terminal] = screen.getvalue()
    assert "loss" in shown["xterm"]
    assert "[red]x[/red]" in shown["xterm"]
    assert "\x1b[2J" not in shown["xterm"]
    assert shown["xterm"].rstrip().endswith("pretrain  done")
    assert shown["dumb"] == "pretrain: 5/10 (50%) short\npretrain  done\n"
