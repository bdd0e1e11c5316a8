"""`videobert evaluate --score`: a file of captions as a user scores it."""

import json
from pathlib import Path

import pytest

REFERENCES = {"a": ["cut the onion", "chop an onion"], "b": "stir the pot", "c": "pour some oil in the pan"}
CAPTIONS = {"a": "cut the onion", "b": "stir a pot", "c": "fry an egg"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refs.json").write_text(json.dumps(REFERENCES))
    (tmp_path / "hyps.json").write_text(json.dumps(CAPTIONS))
    return tmp_path


def test_a_table_and_the_scores_of_each_caption(invoke, files: Path) -> None:
    outcome = invoke("evaluate", "--score", "refs.json", "hyps.json", "--details", "each.jsonl")
    assert outcome.exit_code == 0
    assert outcome.out.splitlines()[0] == "3 captions, 4 references"
    assert [line.split()[0] for line in outcome.out.splitlines()[1:5]] == [
        "BLEU-1",
        "BLEU-2",
        "BLEU-3",
        "BLEU-4",
    ]
    each = [json.loads(line) for line in (files / "each.jsonl").read_text().splitlines()]
    assert [entry["id"] for entry in each] == ["a", "b", "c"]
    assert each[0]["rouge_l"] == pytest.approx(1)
    again = invoke("evaluate", "--score", "refs.json", "hyps.json", "--details", "each.jsonl")
    assert again.exit_code == 2
    assert "exists already" in again.error_lines[0]


def test_json_is_one_document_with_flat_metrics(invoke, files: Path) -> None:
    document = json.loads(invoke("evaluate", "--score", "refs.json", "hyps.json", "--json").out)
    assert (document["status"], document["exit_code"]) == ("done", 0)
    # Of 3 words 3, 2 and 0 are right; the nearest references have 12 words where 9 are said.
    assert document["metrics"]["caption.bleu1"] == pytest.approx(5 / 9 * 2.718281828 ** (1 - 12 / 9))
    assert document["metrics"]["caption.num_missing"] == 0


def test_mistakes_are_three_lines(invoke, files: Path) -> None:
    (files / "hyps.json").write_text(json.dumps({"a": "cut"}))
    outcome = invoke("evaluate", "--score", "refs.json", "hyps.json")
    assert outcome.exit_code == 3
    assert outcome.error_lines[0] == "error: 2 of 3 references have no caption: b, c"
    assert len(outcome.error_lines) == 3
    assert invoke("evaluate", "--score", "refs.json", "hyps.json", "--missing", "skip").exit_code == 0
    assert invoke("evaluate", "--score", "refs.json", "hyps.json", "--set", "seed=1").exit_code == 2
    assert invoke("evaluate", "demo", "--details", "x").exit_code == 2
