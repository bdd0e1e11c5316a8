"""Where the lines of `metrics.jsonl` go beside it: TensorBoard, trackio, Weights & Biases. Nothing is sent unasked.

Each is an extra, loaded only where the recipe names it. What they keep is a copy: no training ends for one of them.
"""

import contextlib
import importlib.util
import io
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from videobert_cli.artifacts import publish_json
from videobert_cli.core.training.history import flat
from videobert_cli.core.training.options import SinkName
from videobert_cli.errors import UsageError

PROJECT = "videobert"
_IDENTITY_NAME = "sinks.json"
# What `from_settings` of each needs, and the extra that brings it.
_PACKAGES: Mapping[SinkName, str] = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb"}


class Sink(Protocol):
    """Takes numbers by name; opened before the first step of a process, closed after its last."""

    def write(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Take the numbers of a step; they may come again after a kill."""

    def close(self) -> None:
        """Finish what is under way."""


def require_sinks(names: Sequence[SinkName], *, key: str) -> None:
    """Refuse names whose package is not installed; `key` is the recipe's.

    Raises:
        UsageError: A package is missing; it says what to install.
    """
    missing = [name for name in names if importlib.util.find_spec(_PACKAGES[name]) is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} cannot be logged to: not installed",
            at=key,
            fix=f"pip install 'videobert-cli[{','.join(missing)}]', or take it out of that key",
        )


class Sinks:
    """All sinks of a training; one that fails is told once and left out."""

    def __init__(
        self,
        names: Sequence[SinkName],
        *,
        directory: Path,
        title: str,
        settings: Mapping[str, Any],
        on_problem: Callable[[str], None],
    ) -> None:
        """Args:
        directory: The stage's directory.
        title: What people call the training.
        settings: The recipe's section, shown beside the curves.
        """
        self._names = names
        self._directory = directory
        self._title = title
        self._settings = settings
        self._on_problem = on_problem
        self._open: dict[SinkName, Sink] = {}

    def start(self, step: int) -> None:
        """Open all; training goes on after `step` steps.

        Raises:
            UsageError: One cannot be opened: better now than unseen to the end.
        """
        for name in self._names:
            try:
                self._open[name] = self._opened(name, step=step)
            except Exception as error:
                raise UsageError(
                    f"{name} cannot be logged to: {error}",
                    at="loop.log_to",
                    fix="take it out of that key, or set it up (wandb login, or WANDB_MODE=offline)",
                ) from error

    def record(self, record: Mapping[str, Any]) -> None:
        """Hand on a line of `metrics.jsonl`."""
        part, numbers = flat(record)
        named = {f"{part}/{name}": value for name, value in numbers.items()}
        for name in list(self._open):
            self._tried(name, lambda sink: sink.write(named, step=record["step"]))

    def close(self) -> None:
        """Close all that are open."""
        for name in list(self._open):
            self._tried(name, lambda sink: sink.close())
        self._open = {}

    def _tried(self, name: SinkName, work: Callable[[Sink], None]) -> None:
        try:
            work(self._open[name])
        except Exception as error:  # noqa: BLE001 - a copy must never cost the training, whatever is wrong with it
            del self._open[name]
            self._on_problem(f"{name} takes no more numbers, the training goes on: {error}")

    def _opened(self, name: SinkName, *, step: int) -> Sink:
        if name == "tensorboard":
            return TensorBoardSink(self._directory / "tensorboard", step=step)
        identity = _identity(self._directory)
        kind = TrackioSink if name == "trackio" else WandbSink
        return kind(self._directory, identity=identity, title=self._title, settings=self._settings)


class TensorBoardSink:
    """Event files under a directory; what a killed process wrote after its last checkpoint is not shown."""

    def __init__(self, directory: Path, *, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(directory), purge_step=step + 1 if step else None)

    def write(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Write one scalar for each number; they are on disk with the line of `metrics.jsonl`."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


class TrackioSink:
    """A run of the project in trackio's own database; it prints on standard output, which is for results."""

    def __init__(self, _directory: Path, *, identity: str, title: str, settings: Mapping[str, Any]) -> None:
        import trackio

        self._trackio: Any = trackio
        with _silent():
            trackio.init(project=PROJECT, name=f"{title} {identity}", config=dict(settings), resume="allow")

    def write(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Log the numbers."""
        with _silent():
            self._trackio.log(dict(numbers), step=step)

    def close(self) -> None:
        """Finish the run."""
        with _silent():
            self._trackio.finish()


class WandbSink:
    """A run of the project at Weights & Biases, or in its offline files (`WANDB_MODE=offline`)."""

    def __init__(self, directory: Path, *, identity: str, title: str, settings: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(
            project=PROJECT,
            id=identity,
            name=title,
            config=dict(settings),
            resume="allow",
            dir=str(directory),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def write(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Log the numbers; a step that is there already is left as it is."""
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


def _identity(directory: Path) -> str:
    """Return the training's name, kept in its directory: a resume has the same one, `--overwrite` makes another."""
    path = directory / _IDENTITY_NAME
    if path.is_file():
        return str(json.loads(path.read_text(encoding="utf-8"))["id"])
    identity = uuid.uuid4().hex[:8]
    publish_json(path, {"id": identity})
    return identity


def _silent() -> contextlib.AbstractContextManager[object]:
    return contextlib.redirect_stdout(io.StringIO())
