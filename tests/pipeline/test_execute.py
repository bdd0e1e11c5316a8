"""The road from a recipe to a stage: order, what is not made again, what is refused, what is told."""

from pathlib import Path

import pytest
from tiny_stages import News, make_run, make_stage

from videobert_cli.errors import InterruptedRunError, MissingInputError, StaleStageError
from videobert_cli.pipeline import execute
from videobert_cli.pipeline.execute import PipelineResult, chain, run_pipeline
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stages import STAGES


@pytest.fixture(autouse=True)
def small_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that write one file each, in the shape of the real ones."""
    stages = [
        make_stage("extract", num_failed=2),
        make_stage("quantize", needs=("extract",)),
        make_stage("pretrain", needs=("quantize",)),
        make_stage("evaluate", needs=("quantize", "pretrain")),
    ]
    monkeypatch.setattr(execute, "STAGES", {stage.name: stage for stage in stages})


def _make(run: Run, target: str, *, upstream: bool = True, overwrite: bool = False) -> PipelineResult:
    return run_pipeline(run, target=target, upstream=upstream, overwrite=overwrite)


def _made(run: Run) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in sorted(run.paths.root.glob("*/made.txt"))}


def test_a_stage_comes_after_all_it_needs_each_once(tmp_path: Path) -> None:
    names = [stage.name for stage in chain(make_run(tmp_path), target="evaluate")]
    assert names == ["extract", "quantize", "pretrain", "evaluate"]


def test_the_real_stages_are_in_the_order_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "STAGES", STAGES)
    names = [stage.name for stage in chain(make_run(tmp_path), target="evaluate")]
    assert names == ["extract", "quantize", "pretrain", "finetune", "evaluate"]


def test_missing_stages_are_made_and_finished_ones_are_not_made_again(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    first = _make(run, "pretrain")
    assert (first.was_finished, first.num_failed) == (False, 2)
    assert isinstance(run.reporter, News)
    assert run.reporter.lines == [
        "extract   is missing, it is made first",
        "quantize  is missing, it is made first",
    ]
    second = _make(make_run(tmp_path), "evaluate")
    assert not second.was_finished
    assert _made(run) == dict.fromkeys(("evaluate", "extract", "pretrain", "quantize"), "0\n")
    third = make_run(tmp_path)
    assert _make(third, "evaluate").was_finished
    assert isinstance(third.reporter, News)
    assert third.reporter.finished[0] == "extract: done before: made with 0"


def test_p1_nothing_to_do_writes_nothing_at_all(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    _make(run, "evaluate")
    before = {path: path.stat().st_mtime_ns for path in run.paths.root.rglob("*")}
    _make(make_run(tmp_path), "evaluate")
    assert {path: path.stat().st_mtime_ns for path in run.paths.root.rglob("*")} == before


def test_a_stale_stage_is_refused_and_the_runs_own_record_stays(tmp_path: Path) -> None:
    _make(make_run(tmp_path), "pretrain")
    other = make_run(tmp_path, "seed=1")
    with pytest.raises(StaleStageError, match="extract was made from other settings"):
        _make(other, "pretrain")
    assert set(_made(other).values()) == {"0\n"}
    assert (other.paths.root / "overrides.txt").read_text() == ""


def test_overwrite_makes_the_stale_stages_anew_and_only_those(tmp_path: Path) -> None:
    _make(make_run(tmp_path), "pretrain")
    _make(make_run(tmp_path), "pretrain", overwrite=True)
    assert set(_made(make_run(tmp_path)).values()) == {"0\n"}
    other = make_run(tmp_path, "seed=1")
    _make(other, "quantize", overwrite=True)
    assert _made(other) == {"extract": "1\n", "pretrain": "0\n", "quantize": "1\n"}
    assert isinstance(other.reporter, News)
    assert other.reporter.lines[0].startswith("extract: made from other settings or inputs; making it anew")


def test_no_upstream_refuses_what_lies_before(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(MissingInputError, match="extract is not finished, and --no-upstream") as caught:
        _make(run, "pretrain", upstream=False)
    assert caught.value.fix == f"videobert extract {tmp_path / 'recipe.yaml'}"
    assert not run.paths.root.exists()
    _make(run, "quantize")
    assert not _make(make_run(tmp_path), "pretrain", upstream=False).was_finished


def test_the_command_that_mends_it_has_the_overrides(tmp_path: Path) -> None:
    run = make_run(tmp_path, f"run={tmp_path / 'a b'}", "seed=3")
    with pytest.raises(MissingInputError) as missing:
        _make(run, "quantize", upstream=False)
    command = f"{tmp_path / 'recipe.yaml'} --set '{run.loaded.overrides[0]}' --set seed=3"
    assert missing.value.fix == f"videobert extract {command}"
    _make(run, "extract")
    (run.directory("extract") / "stage.json").write_text('{"settings": {}, "inputs": {}, "state": "started"}')
    with pytest.raises(StaleStageError) as stale:
        _make(run, "quantize")
    command = f"videobert quantize {tmp_path / 'recipe.yaml'} --set seed=3 --set run=OTHER_DIR"
    assert stale.value.fix.startswith(f"keep both: {command}; or ")


def test_no_upstream_never_throws_away_what_it_may_not_make(tmp_path: Path) -> None:
    _make(make_run(tmp_path), "pretrain")
    other = make_run(tmp_path, "seed=1")
    with pytest.raises(StaleStageError, match="extract was made from other settings"):
        _make(other, "pretrain", upstream=False)
    with pytest.raises(MissingInputError, match="extract is not finished, and --no-upstream"):
        _make(other, "pretrain", upstream=False, overwrite=True)
    assert _made(other) == dict.fromkeys(("extract", "pretrain", "quantize"), "0\n")


def test_a_stop_between_stages_leaves_the_finished_ones(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    _make(run, "extract")
    run.stop.request(15)
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM"):
        _make(run, "pretrain")
    assert set(_made(run)) == {"extract"}
    (run.directory("extract") / "made.txt").unlink()
    again = make_run(tmp_path)
    _make(again, "quantize")
    assert isinstance(again.reporter, News)
    assert again.reporter.lines == ["extract   is not finished, it goes on first"]
