"""What a stage remembers of itself, and whether what lies on disk is what the recipe asks for.

`stage.json` in the stage's directory holds the settings and input hashes it was started with; `state` becomes
`finished` last. A stage whose record differs from the recipe is never reused and never overwritten unasked.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from videobert_cli.artifacts import publish_json
from videobert_cli.errors import ArtifactError, StaleStageError
from videobert_cli.pipeline.run import Run
from videobert_cli.recipe.snapshot import difference
from videobert_cli.runtime import utc_time

RECORD_NAME = "stage.json"
State = Literal["missing", "started", "finished", "stale"]


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What a stage made: one line for people, flat numbers for scripts, and how many items it could not use."""

    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    num_failed: int = 0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the pipeline.

    `settings` are the recipe's values that change what it makes, `inputs` the hashes of what it reads, `execute`
    makes it (going on where a killed process was), `needs` names the stages before it, `outputs` the artifacts that
    must be there for it to count as finished, and `is_complete` may say that there is more to do all the same.
    `changed_items` has a line for each input that is remembered by itself, not in one hash of all, and has changed; it
    is asked of finished stages alone: one that goes on compares what it goes on with. `check` looks at a finished
    stage, old or new, before anything builds on it: it warns or refuses, and returns facts for the report. It may write
    beside the outputs only where the run is held (`may_write`).

    `help` is what the other ranks of a `torchrun` do when rank 0, which runs `execute`, calls for them.
    `require` refuses, before anything is made, what an unfinished stage could not be made with: a missing package.

    `look` makes what people look at and no stage reads, after the stage is finished, and returns flat numbers for its
    report; whether that is due (`is_look_due`) is asked again only by the stage's own command.
    """

    name: str
    needs: Callable[[Run], tuple[str, ...]]
    settings: Callable[[Run], dict[str, Any]]
    inputs: Callable[[Run], dict[str, str]]
    execute: Callable[[Run], StageReport]
    outputs: Callable[[Run], tuple[Path, ...]]
    is_complete: Callable[[Run], bool] = lambda _run: True
    changed_items: Callable[[Run], tuple[str, ...]] = lambda _run: ()
    check: Callable[[Run, bool], Mapping[str, Any]] = lambda _run, may_write: {}  # noqa: ARG005
    require: Callable[[Run], None] = lambda _run: None
    look: Callable[[Run], Mapping[str, Any]] = lambda _run: {}
    is_look_due: Callable[[Run], bool] = lambda _run: False
    help: Callable[[Run], None] = lambda _run: None


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """The content of `stage.json`; the times are of the command that began (last) and of the one that finished it."""

    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    state: Literal["started", "finished"]
    summary: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    num_failed: int = 0
    started_at: str = ""
    finished_at: str = ""


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """What is on disk of a stage, against the recipe; `differences` is not empty only for a stale one."""

    state: State
    record: StageRecord | None
    differences: tuple[str, ...] = ()


def read_record(directory: Path) -> StageRecord | None:
    """Return the stage's record, None where it was never started.

    Raises:
        ArtifactError: The record is damaged.
    """
    path = directory / RECORD_NAME
    try:
        record = StageRecord(**json.loads(path.read_text()))
        if not (isinstance(record.settings, dict) and isinstance(record.inputs, dict)):
            raise TypeError("settings and inputs are not keys with values")
        return record
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"the stage's record cannot be read ({error})",
            at=str(path),
            fix=f"remove {directory} and run again",
        ) from error


def stage_status(stage: Stage, run: Run) -> StageStatus:
    """Compare the stage's record with the recipe and the inputs as they are now."""
    record = read_record(run.directory(stage.name))
    if record is None:
        return StageStatus(state="missing", record=None)
    differences = (
        *difference(record.settings, stage.settings(run), origins=run.loaded.origins),
        *_input_differences(record.inputs, stage.inputs(run)),
    )
    if not differences and record.state == "finished":
        differences = stage.changed_items(run)
    if differences:
        return StageStatus(state="stale", record=record, differences=differences)
    is_there = record.state == "finished" and all(path.exists() for path in stage.outputs(run))
    if is_there and stage.is_complete(run):
        return StageStatus(state="finished", record=record)
    return StageStatus(state="started", record=record)


def begin(stage: Stage, run: Run) -> None:
    """Write down what the stage is about to be made from."""
    record = StageRecord(
        settings=stage.settings(run), inputs=stage.inputs(run), state="started", started_at=utc_time()
    )
    _write(stage, run, record)


def finish(stage: Stage, run: Run, report: StageReport) -> None:
    """Write down that the stage is finished."""
    begun = read_record(run.directory(stage.name))
    record = StageRecord(
        settings=stage.settings(run),
        inputs=stage.inputs(run),
        state="finished",
        summary=report.summary,
        facts=report.facts,
        num_failed=report.num_failed,
        started_at=begun.started_at if begun else "",
        finished_at=utc_time(),
    )
    _write(stage, run, record)


def stale_error(stage: Stage, run: Run, status: StageStatus, *, command: str) -> StaleStageError:
    """Return the error that shows how a stale stage differs, and the ways out."""
    shown = "\n".join(f"  {line}" for line in status.differences)
    directory = run.directory(stage.name)
    return StaleStageError(
        f"{stage.name} was made from other settings or inputs than the recipe now asks for\n{shown}",
        at=str(directory),
        fix=f"keep both: {run.loaded.command(command, run='OTHER_DIR')}; "
        f"or make {stage.name} and what follows anew: the same command with --overwrite",
    )


def _write(stage: Stage, run: Run, record: StageRecord) -> None:
    publish_json(run.directory(stage.name) / RECORD_NAME, {**record.__dict__})


def _input_differences(recorded: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return [
        f"input {name}: {recorded.get(name, 'none')[:12]} (this run) -> {wanted.get(name, 'none')[:12]} (now)"
        for name in sorted({*recorded, *wanted})
        if recorded.get(name) != wanted.get(name)
    ]
