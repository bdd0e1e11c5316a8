"""The one document of --json, and tables of scores for people."""

import json
from pathlib import Path

import pytest

from videobert_cli.commands.failures import Failure
from videobert_cli.commands.results import CommandResult, error_document
from videobert_cli.commands.scores import score_lines

KEYS = ["schema", "command", "status", "exit_code", "error", "run", "metrics", "outputs"]


def test_the_document_has_the_same_keys_on_success_and_failure() -> None:
    done = CommandResult(metrics={"a.b": 1.0}).document("evaluate")
    failed = error_document("evaluate", Failure(exit_code=3, what="w", at="a", fix="f"))
    assert list(done) == list(failed) == KEYS
    assert done["error"] is None
    assert failed["error"] == {"what": "w", "at": "a", "fix": "f"}
    assert json.loads(json.dumps(failed)) == failed


@pytest.mark.parametrize(
    ("code", "status"), [(2, "failed"), (5, "failed"), (75, "interrupted"), (130, "interrupted")]
)
def test_an_interrupted_command_has_not_failed(code: int, status: str) -> None:
    document = error_document("pretrain", Failure(exit_code=code, what="", at="", fix=""))
    assert document["status"] == status


def test_scores_are_shown_beside_prior_and_chance() -> None:
    metrics = {"zero_shot.num_segments": 4}
    for slot in ("verb", "object"):
        for k in (1, 5):
            metrics |= {
                f"zero_shot.{slot}.top{k}": 0.75,
                f"zero_shot.{slot}.top{k}.language_prior": 0.25,
                f"zero_shot.{slot}.top{k}.chance": 0.125,
            }
    lines = score_lines(metrics)
    assert lines[0] == "zero-shot cloze, 4 segments"
    assert lines[2].split() == ["verb", "top-1", "0.750", "0.250", "0.125", "-", "-"]


def test_classification_alone_begins_with_its_head() -> None:
    names = ("accuracy", "accuracy.chance", "accuracy.most_frequent", "macro_f1", "top5", "num_segments")
    lines = score_lines({f"classify.{name}": 1 for name in names})
    assert lines[0] == "classification, 1 segments"


def test_p1_a_second_demo_says_that_there_is_nothing_to_do(invoke, tmp_path: Path) -> None:
    flags = ("demo", tmp_path / "demo", "--train", "1", "--validation", "0", "--test", "0")
    first, second = invoke(*flags), invoke(*flags)
    assert first.out.startswith("demo: 1 videos, ")
    assert second.out == first.out.replace("demo: ", "demo: nothing to do, ")
