"""What tests of the whole tool share: the command line in process, one finished tiny run, a small video.

A test that asks for the finished run is marked `slow` by itself: making that run takes some twenty seconds.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from executable import RECIPE, FinishedRun, Outcome, shell, write_clip

from videobert_cli.commands.app import run as run_command_line


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "finished_run" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


Invoke = Callable[..., Outcome]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Iterator[Invoke]:
    """The command line in this process: no second import of torch, the same code from argument to exit code.

    One thread, as in the children of `shell`: sums in another order would be other bytes.
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def call(*arguments: str | os.PathLike[str]) -> Outcome:
        capsys.readouterr()
        exit_code = run_command_line([os.fspath(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(exit_code=exit_code, out=captured.out, err=captured.err)

    yield call
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Every stage of a tiny recipe, made once through the real command line."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(RECIPE)
    demo = shell("demo", "demo", "--train", "4", "--validation", "1", "--test", "2", "-q", folder=folder)
    assert demo.exit_code == 0, demo.err
    evaluate = shell("evaluate", "tiny.yaml", folder=folder)
    assert evaluate.exit_code == 0, evaluate.err
    return FinishedRun(folder=folder)


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 3.2 seconds, two clips: H.264, 128 x 96, 10 frames a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path)
    return path
