"""A stage's record against the recipe: missing, started, finished, stale, and the words for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_stages import make_run, make_stage

from videobert_cli.errors import ArtifactError
from videobert_cli.pipeline.stage import StageReport, begin, finish, read_record, stage_status, stale_error


def test_a_stage_is_missing_then_started_then_finished(tmp_path: Path) -> None:
    run, stage = make_run(tmp_path), make_stage("extract")
    assert stage_status(stage, run).state == "missing"
    begin(stage, run)
    assert stage_status(stage, run).state == "started"
    report = stage.execute(run)
    finish(stage, run, report)
    status = stage_status(stage, run)
    assert status.state == "finished"
    assert status.record is not None
    assert status.record.summary == report.summary
    assert "20" <= status.record.started_at <= status.record.finished_at
    assert status.record.finished_at.endswith(" UTC")


def test_a_finished_stage_without_its_output_has_to_go_on(tmp_path: Path) -> None:
    run, stage = make_run(tmp_path), make_stage("extract")
    begin(stage, run)
    finish(stage, run, StageReport(summary="all"))
    assert stage_status(stage, run).state == "started"


def test_a_stage_that_says_there_is_more_to_do_has_to_go_on(tmp_path: Path) -> None:
    run, stage = make_run(tmp_path), make_stage("extract", is_complete=lambda _run: False)
    begin(stage, run)
    finish(stage, run, stage.execute(run))
    assert stage_status(stage, run).state == "started"


@pytest.mark.parametrize("state", ["started", "finished"])
def test_other_settings_make_it_stale_whatever_its_state(tmp_path: Path, state: str) -> None:
    stage = make_stage("extract")
    before, after = make_run(tmp_path), make_run(tmp_path, "seed=3")
    begin(stage, before)
    if state == "finished":
        finish(stage, before, stage.execute(before))
    status = stage_status(stage, after)
    assert status.state == "stale"
    assert status.differences == ("seed: 0 (this run) -> 3 (--set #1)",)
    error = stale_error(stage, after, status, command="pretrain")
    assert error.exit_code == 2
    assert "extract was made from other settings or inputs" in error.what
    assert "seed: 0 (this run) -> 3 (--set #1)" in error.what
    assert "--set run=OTHER_DIR" in error.fix
    assert "--overwrite" in error.fix


def test_the_recipes_line_is_named_in_the_difference(tmp_path: Path) -> None:
    stage = make_stage("extract")
    begin(stage, make_run(tmp_path))
    status = stage_status(stage, make_run(tmp_path, text="seed: 7\n"))
    assert status.differences == ("seed: 0 (this run) -> 7 (recipe.yaml:4)",)


def test_other_inputs_make_it_stale(tmp_path: Path) -> None:
    inputs: dict[str, str] = {"words": "a" * 32}
    run, stage = make_run(tmp_path), make_stage("quantize", inputs=lambda _run: dict(inputs))
    begin(stage, run)
    inputs["words"] = "b" * 32
    inputs["labels"] = "c" * 32
    assert stage_status(stage, run).differences == (
        "input labels: none (this run) -> cccccccccccc (now)",
        "input words: aaaaaaaaaaaa (this run) -> bbbbbbbbbbbb (now)",
    )


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"state": "finished"}', '{"settings": [], "inputs": 3, "state": "finished"}', "\xff"],
)
def test_a_damaged_record_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "stage.json").write_text(content, encoding="latin-1")
    with pytest.raises(ArtifactError, match="the stage's record cannot be read") as caught:
        read_record(tmp_path)
    assert str(tmp_path) in caught.value.fix


def test_items_are_compared_one_by_one_only_where_nothing_else_would(tmp_path: Path) -> None:
    stage = replace(make_stage("extract"), changed_items=lambda _run: ("video a: another file",))
    run = make_run(tmp_path)
    begin(stage, run)
    assert stage_status(stage, run).state == "started"
    finish(stage, run, stage.execute(run))
    status = stage_status(stage, run)
    assert (status.state, status.differences) == ("stale", ("video a: another file",))
