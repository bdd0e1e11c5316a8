"""Standard output that is full, closed or a file; a disk that is full."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from executable import EXECUTABLE, FinishedRun, environment, shell, start


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flags", [(), ("--json",), ("--jsonl",)])
def test_p15_a_full_standard_output_is_exit_5(finished_run: FinishedRun, short_clip: Path, flags) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [EXECUTABLE, "predict", short_clip, "--model", finished_run.root, *flags],
            env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 5
    assert done.stderr.splitlines()[-3:] == [
        "error: cannot write the result: No space left on device",
        "  at: standard output",
        "  fix: free some space, or send the output elsewhere",
    ]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("pretrain", "--help"), ("verify", "none", "--json")])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_p15_also_help_and_errors(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [EXECUTABLE, *arguments], cwd=tmp_path, env=environment(), stdout=full, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == (3 if "none" in arguments else 5)
    assert [line.split(":")[0].strip() for line in done.stderr.splitlines()] == ["error", "at", "fix"]


def test_p15_a_closed_pipe_ends_quietly(finished_run: FinishedRun, tmp_path: Path) -> None:
    arguments = ("predict", str(finished_run.video), "--model", str(finished_run.root), "-q", "--jsonl")
    reader, writer = os.pipe()
    with start(*arguments, folder=tmp_path, stdout=writer) as process:
        os.close(writer)
        os.close(reader)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "closing", "code", "what"),
    [
        ("--version", ">&-", 5, "cannot write the result: it is closed"),
        ("verify none --json", ">&-", 3, "there is nothing here"),
        ("pretrain none", "2>&-", 2, ""),
        ("predict - --model none", "<&-", 3, "there is no finished model here"),
        ("extract - --out store", "<&-", 3, "no video was named"),
        ("extract - --out store", "<&- >&- 2>&-", 3, ""),
    ],
)
def test_a_closed_standard_stream_is_no_bug(
    tmp_path, arguments: str, closing: str, code: int, what: str
) -> None:
    line = f'exec "{EXECUTABLE}" {arguments} {closing}'
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(f"error: {what}" if what else "")
    assert "Traceback" not in done.stderr


def test_p13_a_full_disk_is_clean_and_the_rerun_finishes(finished_run: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(finished_run.recipe.read_text())
    (tmp_path / "demo").symlink_to(finished_run.folder / "demo")
    done = subprocess.run(
        [EXECUTABLE, "extract", "tiny.yaml"], cwd=tmp_path, env=environment(), capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)), check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert "error: cannot write: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    again = shell("extract", "tiny.yaml", folder=tmp_path)
    assert again.exit_code == 0, again.err
    ours, theirs = (root / "extract/features" for root in (tmp_path / "runs/tiny", finished_run.root))
    assert (ours / "manifest.json").read_text() == (theirs / "manifest.json").read_text()


IS_ROOT = os.name == "posix" and os.geteuid() == 0
# Root without the right to write everywhere is a user like others.
AS_OTHERS = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override") if IS_ROOT else ()


@pytest.mark.skipif(IS_ROOT and shutil.which("setpriv") is None, reason="root writes everywhere, no setpriv")
def test_p14_a_directory_that_cannot_be_written_fails_early(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    run = f"run={closed / 'run'}"
    outcome = shell("pretrain", "tiny.yaml", "--set", run, folder=finished_run.folder, through=AS_OTHERS)
    assert outcome.exit_code == 5, outcome.err
    assert outcome.error_lines[1] == f"  at: {closed / 'run'}"
