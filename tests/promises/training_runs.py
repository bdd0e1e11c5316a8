"""Long enough trainings of the tiny recipe, an unbroken one beside each, and what must be equal of the two."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from executable import FinishedRun, shell

MODEL = {
    "pretrain": "pretrain/model/model.safetensors",
    "finetune": "finetune/model/model.safetensors",
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """A stage of a recipe with some settings, and the run that an unbroken command made of it."""

    stage: str
    flags: tuple[str, ...]
    finished: FinishedRun
    unbroken: Path

    def fresh(self, folder: Path) -> Path:
        """Return a run in `folder` that lacks the stage and what follows."""
        copy_before(self.finished, folder, stage=self.stage)
        return folder / "runs" / "tiny"

    def require_same(self, run: Path) -> None:
        """Compare weights, and the log as text: every step once."""
        name = MODEL[self.stage]
        assert (run / name).read_bytes() == (self.unbroken / name).read_bytes(), name
        found, expected = (_lines(root / self.stage / "metrics.jsonl") for root in (run, self.unbroken))
        assert found == expected
        steps = [line["step"] for line in map(json.loads, found) if "learning_rate" in line]
        assert steps == list(range(1, steps[-1] + 1))
        assert not [*run.rglob(".tmp-*"), *run.rglob(".trash-*")]


def _lines(path: Path) -> list[str]:
    """Return the log's lines as text, without those that tell how fast it was."""
    return [line for line in path.read_text().splitlines() if "speed" not in json.loads(line)]


def copy_before(finished: FinishedRun, folder: Path, *, stage: str) -> None:
    """Copy the finished run without the stage and what follows it."""
    later = ("pretrain", "finetune", "evaluate*") if stage == "pretrain" else ("finetune", "evaluate*")
    finished.copy(folder, without=later)


def train_unbroken(finished: FinishedRun, folder: Path, *, stage: str, settings: Sequence[str]) -> Training:
    """Run a stage to its end; every step is logged."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_before(finished, folder, stage=stage)
    flags = tuple(
        part for setting in (f"{stage}.loop.log_every_steps=1", *settings) for part in ("--set", setting)
    )
    outcome = shell(stage, "tiny.yaml", *flags, folder=folder)
    assert outcome.exit_code == 0, outcome.err
    return Training(
        stage=stage,
        flags=flags,
        finished=finished,
        unbroken=folder / "runs" / "tiny",
    )


def wait_until(
    is_true: Callable[[], bool], *, is_alive: Callable[[], bool], every_seconds: float = 0.001
) -> bool:
    """Return whether it came true before the process ended."""
    while not is_true():
        if not is_alive():
            return is_true()
        time.sleep(every_seconds)
    return True
