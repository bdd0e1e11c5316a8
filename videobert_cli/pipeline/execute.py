"""Runs a stage and, before it, every stage it needs that is not finished: the one road from a recipe to results."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from videobert_cli.artifacts import discard
from videobert_cli.errors import MissingInputError, VideoBERTError
from videobert_cli.pipeline.ranks import END
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import (
    Stage,
    StageRecord,
    StageReport,
    begin,
    finish,
    read_record,
    stage_status,
    stale_error,
)
from videobert_cli.pipeline.stages import STAGES
from videobert_cli.ranks import Ranks

_COMES_FIRST = {"missing": "is missing, it is made first", "started": "is not finished, it goes on first"}


@dataclass(frozen=True, kw_only=True)
class PipelineResult:
    """The report of the stage asked for, whether any work was done, and items that could not be used, of all stages."""

    report: StageReport
    was_finished: bool
    num_failed: int


def run_pipeline(run: Run, *, target: str, upstream: bool, overwrite: bool) -> PipelineResult:
    """Make stage `target` of the run, and before it what is missing of the stages it needs.

    The run is opened (locked) when there is something to make, and not before: where all is finished nothing is
    written, not even a lock.

    Args:
        run: The run.
        target: A key of `STAGES`.
        upstream: Whether missing stages before the target may be made (`--no-upstream` says no).
        overwrite: Whether stages made from other settings or inputs are thrown away and made anew.

    Raises:
        StaleStageError: A stage was made from something else, and `overwrite` was not given.
        MissingInputError: A stage before the target is missing and `upstream` is False.
        LeakError: The run is strict, and a finished stage shows a video in two splits.
    """
    stages = chain(run, target=target)
    _require(stages, run)
    results = _make_all(stages, run, target=target, upstream=upstream, overwrite=overwrite)
    last = results[-1]
    num_failed = sum(result.num_failed for result in results)
    return PipelineResult(report=last.report, was_finished=last.was_finished, num_failed=num_failed)


def _require(stages: Sequence[Stage], run: Run) -> None:
    """Refuse what would be found missing only when the stages before it are made."""
    for stage in stages:
        record = read_record(run.directory(stage.name))
        if record is None or record.state != "finished":
            stage.require(run)


def make_upstream(run: Run, *, target: str, upstream: bool, overwrite: bool) -> int:
    """Make what is missing of the stages before `target`, and not the target; return how many items they could not use.

    Raises as `run_pipeline`.
    """
    before = chain(run, target=target)[:-1]
    return sum(
        result.num_failed
        for result in _make_all(before, run, target=target, upstream=upstream, overwrite=overwrite)
    )


def _make_all(
    stages: Sequence[Stage], run: Run, *, target: str, upstream: bool, overwrite: bool
) -> list[PipelineResult]:
    results: list[PipelineResult] = []
    with contextlib.ExitStack() as opened:
        is_open = False
        for stage in stages:
            run.stop.raise_if_requested(f"what was finished before {stage.name}")
            result = None if is_open else finished_result(stage, run)
            is_look_due = result is not None and stage.name == target and stage.is_look_due(run)
            if result is None or is_look_due:
                if not upstream and stage.name != target:
                    raise _not_finished(stage, run, overwrite=overwrite, command=target)
                if not is_open:
                    opened.enter_context(run.open())
                    is_open = True
                if result is None:
                    result = _make(stage, run, overwrite=overwrite, command=target)
                    is_look_due = True
            result = _checked(stage, run, result, may_write=is_open)
            results.append(_looked(stage, run, result) if is_look_due else result)
    return results


def _checked(stage: Stage, run: Run, result: PipelineResult, *, may_write: bool) -> PipelineResult:
    """Return the result with what the stage's check found."""
    facts = {**result.report.facts, **stage.check(run, may_write)}
    return replace(result, report=replace(result.report, facts=facts))


def help_stages(run: Run, *, ranks: Ranks) -> None:
    """Take part in each stage that rank 0 calls for, until it ends: what every other rank of a `torchrun` does.

    Raises:
        InterruptedRunError: A stop was asked for.
    """
    while (name := ranks.say(None)) != END:
        STAGES[name].help(run)


def chain(run: Run, *, target: str) -> Sequence[Stage]:
    """Return the target with all stages it needs before it, each once, in order."""
    ordered: list[Stage] = []
    for name in STAGES[target].needs(run):
        ordered.extend(stage for stage in chain(run, target=name) if stage not in ordered)
    return [*ordered, STAGES[target]]


def finished_result(stage: Stage, run: Run) -> PipelineResult | None:
    """Return what a finished stage reported when it was made, None where it is not finished."""
    status = stage_status(stage, run)
    if status.state != "finished" or status.record is None:
        return None
    return _done_before(stage, run, status.record)


def _looked(stage: Stage, run: Run, result: PipelineResult) -> PipelineResult:
    """Return the result with the numbers of what is made to be looked at, where that is due."""
    if not stage.is_look_due(run):
        return result
    facts = {**result.report.facts, **stage.look(run)}
    report = StageReport(summary=result.report.summary, facts=facts, num_failed=result.report.num_failed)
    finish(stage, run, report)
    return PipelineResult(report=report, was_finished=False, num_failed=result.num_failed)


def _done_before(stage: Stage, run: Run, record: StageRecord) -> PipelineResult:
    report = StageReport(summary=record.summary, facts=record.facts, num_failed=record.num_failed)
    run.reporter.stage_finished(stage.name, summary=f"done before: {record.summary}", seconds=0.0)
    return PipelineResult(report=report, was_finished=True, num_failed=record.num_failed)


def _not_finished(stage: Stage, run: Run, *, overwrite: bool, command: str) -> VideoBERTError:
    """Return the refusal of `--no-upstream`; nothing has been written, not even a lock."""
    status = stage_status(stage, run)
    if status.state == "stale" and not overwrite:
        return stale_error(stage, run, status, command=command)
    return MissingInputError(
        f"{stage.name} is not finished, and --no-upstream forbids making it",
        at=str(run.directory(stage.name)),
        fix=run.loaded.command(stage.name),
    )


def _make(stage: Stage, run: Run, *, overwrite: bool, command: str) -> PipelineResult:
    status = stage_status(stage, run)
    if status.state == "stale":
        if not overwrite:
            raise stale_error(stage, run, status, command=command)
        run.reporter.line(f"{stage.name}: made from other settings or inputs; making it anew (--overwrite)")
        discard(run.directory(stage.name))
    if status.state == "finished" and status.record is not None:
        return _done_before(stage, run, status.record)
    if stage.name != command and status.state in _COMES_FIRST:
        run.reporter.line(f"{stage.name:<9} {_COMES_FIRST[status.state]}")
    started = time.monotonic()
    run.remember()
    begin(stage, run)
    report = stage.execute(run)
    finish(stage, run, report)
    run.reporter.stage_finished(stage.name, summary=report.summary, seconds=time.monotonic() - started)
    return PipelineResult(report=report, was_finished=False, num_failed=report.num_failed)
