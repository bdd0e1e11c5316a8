"""`videobert evaluate --model`: models made elsewhere, one or several, beside the run's own."""

import json
from pathlib import Path

import pytest
from executable import FinishedRun

MODELS = ("runs/tiny/pretrain/model", "runs/tiny/finetune/model")


@pytest.fixture
def folder(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the finished run's, to be changed; the working directory."""
    monkeypatch.chdir(finished_run.copy(tmp_path))
    return tmp_path


def _flags(*models: str) -> list[str]:
    return [word for model in models for word in ("--model", model)]


def test_several_models_are_measured_each_on_what_it_can_do(invoke, folder: Path) -> None:
    first = invoke("evaluate", "tiny.yaml", *_flags(MODELS[0]), "--json")
    assert json.loads(first.out)["status"] == "done"
    document = json.loads(invoke("evaluate", "tiny.yaml", *_flags(*MODELS), "--json").out)
    assert document["status"] == "done"
    assert f"{MODELS[0]}:zero_shot.verb.top1" in document["metrics"]
    assert f"{MODELS[1]}:classify.accuracy" in document["metrics"]
    assert f"{MODELS[1]}:zero_shot.verb.top1" not in document["metrics"]
    assert list(document["outputs"]) == list(MODELS)
    assert all((folder / path / "report.json").is_file() for path in document["outputs"].values())
    again = json.loads(invoke("evaluate", "tiny.yaml", *_flags(*MODELS), "--json").out)
    assert again["status"] == "nothing-to-do"


def test_a_mistyped_model_is_found_before_any_work(invoke, folder: Path) -> None:
    outcome = invoke("evaluate", "tiny.yaml", *_flags(MODELS[0], "nowhere"))
    assert outcome.exit_code == 3
    assert outcome.error_lines[1] == "  at: --model nowhere"
    assert list(folder.glob("runs/tiny/evaluate-*")) == []


def test_the_plan_names_every_model(invoke, folder: Path) -> None:
    plan = invoke("evaluate", "tiny.yaml", *_flags(*MODELS), "--dry-run")
    lines = plan.out.splitlines()
    assert [line for line in lines if line in MODELS] == list(MODELS)
    assert [line for line in lines if line.startswith("evaluate")] == ["evaluate  missing: would be made"] * 2
    assert lines.count("nothing was written (--dry-run)") == 1
    document = json.loads(invoke("evaluate", "tiny.yaml", *_flags(*MODELS), "--dry-run", "--json").out)
    assert [document["outputs"][model]["stages"]["evaluate"] for model in MODELS] == ["missing", "missing"]


ABLATION = """\
seeds: [0, 1]
metrics: [zero_shot.verb.top1, classify.accuracy]
variants:
  all: []
  "no alignment": [pretrain.losses.alignment=0.0]
"""


@pytest.mark.slow
def test_an_ablation_is_one_table_and_goes_on_where_it_was(invoke, folder: Path) -> None:
    (folder / "ablation.yaml").write_text(ABLATION)
    done = invoke("evaluate", "tiny.yaml", "--ablation", "ablation.yaml", "-q")
    assert done.exit_code == 0, done.err
    heads, _, *rows = done.out.splitlines()
    assert heads == "| 2 seeds | zero_shot.verb.top1 | classify.accuracy |"
    assert [row.split(" | ")[0] for row in rows] == ["| all", "| no alignment"]
    again = json.loads(invoke("evaluate", "tiny.yaml", "--ablation", "ablation.yaml", "--json").out)
    assert again["status"] == "nothing-to-do"
    alone = json.loads(invoke("evaluate", "tiny.yaml", "--json").out)
    # The recipe's own run, made from the same features with the same seed, has the same score.
    assert again["metrics"]["all:0:classify.accuracy"] == alone["metrics"]["classify.accuracy"]
    assert not (folder / "runs/tiny-ablation/all-0/extract/features").exists()


@pytest.mark.slow
def test_of_one_variant_the_table_has_a_row_for_each_metric_with_its_baselines(invoke, folder: Path) -> None:
    (folder / "one.yaml").write_text(
        "seeds: [0]\nmetrics: [zero_shot.verb.top1, forecast.horizon1.top1]\nvariants: {tiny: []}\n"
    )
    tasks = ("--set", "evaluate.tasks=[zero_shot, forecast]")
    done = invoke("evaluate", "tiny.yaml", *tasks, "--ablation", "one.yaml", "-q")
    assert done.exit_code == 0, done.err
    heads, _, verb, forecast = done.out.splitlines()
    assert heads == "| tiny, 1 seed | score | beside it |"
    metrics = json.loads(invoke("evaluate", "tiny.yaml", *tasks, "--set", "run=runs/tiny-ablation/tiny-0", *(
        "--set", "extract.features=runs/tiny/extract/features"), "--json").out)["metrics"]  # fmt: skip
    told = {name: f"{metrics[f'zero_shot.verb.top1.{name}']:.3f}" for name in ("chance", "language_prior")}
    assert verb == (
        f"| zero_shot.verb.top1 | {metrics['zero_shot.verb.top1']:.3f} "
        f"| chance {told['chance']}, language prior {told['language_prior']} |"
    )
    assert "copy last" in forecast
    assert "word pairs" in forecast


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--ablation", "nothing"), "there is no ablation 'nothing'"),
        (("--ablation", "ablation.yaml", "--seed", "1"), "--ablation has seeds"),
        (("--ablation", "ablation.yaml", "--set", "pretrain.loop.num_step=1"), "num_steps"),
    ],
)
def test_what_an_ablation_cannot_do_is_told_before_any_work(invoke, folder: Path, flags, told) -> None:
    (folder / "ablation.yaml").write_text(ABLATION)
    outcome = invoke("evaluate", "tiny.yaml", *flags)
    assert outcome.exit_code == 2
    assert told in outcome.err
    assert not (folder / "runs/tiny-ablation").exists()


def test_models_are_compared_on_the_same_segments(invoke, folder: Path) -> None:
    flags = _flags(MODELS[0], MODELS[0])
    alone = invoke("evaluate", "tiny.yaml", *flags[:2], "--compare")
    assert alone.exit_code == 2
    assert "needs two models" in alone.err
    (folder / "same").symlink_to(folder / MODELS[0])
    done = invoke("evaluate", "tiny.yaml", "--model", MODELS[0], "--model", "same", "--compare", "--json")
    assert done.exit_code == 0, done.err
    metrics = json.loads(done.out)["metrics"]
    assert metrics["same:zero_shot.verb.top1.difference"] == 0
    assert metrics["same:zero_shot.verb.top1.difference.p"] == 1
    shown = invoke("evaluate", "tiny.yaml", "--model", MODELS[0], "--model", "same", "--compare")
    assert f"above {MODELS[0]}, 95 % over draws of videos:" in shown.out


def test_models_without_a_common_task_cannot_be_compared(invoke, folder: Path) -> None:
    outcome = invoke("evaluate", "tiny.yaml", *_flags(*MODELS), "--compare")
    assert outcome.exit_code == 2
    assert "no task that all of the models can do" in outcome.err


def test_an_evaluation_is_appended_once(invoke, folder: Path) -> None:
    for number in range(2):
        outcome = invoke("evaluate", "tiny.yaml", *_flags(*MODELS), "--append", "results/all.jsonl")
        assert outcome.exit_code == 0, outcome.err
        said = "2 appended" if number == 0 else "0 appended, 2 known"
        assert outcome.out.splitlines()[-1] == f"results/all.jsonl: {said}"
    lines = [json.loads(line) for line in (folder / "results/all.jsonl").read_text().splitlines()]
    assert [line["model"] for line in lines] == list(MODELS)
    assert "zero_shot.verb.top1" in lines[0]["metrics"]
    (folder / "broken.jsonl").write_text("{}\n")
    broken = invoke("evaluate", "tiny.yaml", "--append", "broken.jsonl")
    assert broken.exit_code == 3
    assert "line 1 is no evaluation" in broken.err
    assert (folder / "broken.jsonl").read_text() == "{}\n"


def test_candidates_from_files_templates_and_rows_from_elsewhere(invoke, folder: Path) -> None:
    (folder / "verbs.txt").write_text("cut\nfry\n\n  cut \nwash the pan\n")
    settings = (
        "tasks=[zero_shot]",
        "split=train",
        "zero_shot.verbs=verbs.txt",
        'zero_shot.templates=["you [MASK] the [MASK]", "now [MASK] the [MASK]"]',
        "zero_shot.full_vocabulary=true",
        "zero_shot.beside=[{name: theirs, verb_top1: 0.032}]",
    )
    flags = [word for setting in settings for word in ("--set", f"evaluate.{setting}")]
    outcome = invoke("evaluate", "tiny.yaml", *flags, "--overwrite")
    assert outcome.exit_code == 0, outcome.err
    assert "each template alone, lowest, mean, highest" in outcome.out
    assert "among all tokens" in outcome.out
    assert "theirs                                         3.2" in outcome.out
    metrics = json.loads(invoke("evaluate", "tiny.yaml", *flags, "--json").out)["metrics"]
    assert metrics["zero_shot.verb.top1.chance"] == pytest.approx(1 / 3)
    assert metrics["zero_shot.num_segments_of_unknown_label"] > 0
    (folder / "verbs.txt").write_text(" \n")
    empty = invoke("evaluate", "tiny.yaml", *flags, "--overwrite")
    assert empty.exit_code == 3
    assert empty.error_lines[0] == "error: the file has no candidate"
    (folder / "verbs.txt").unlink()
    missing = invoke("evaluate", "tiny.yaml", *flags, "--overwrite")
    assert missing.exit_code == 3
    assert missing.error_lines[1] == "  at: evaluate.zero_shot.verbs: verbs.txt"


def test_explanations_are_put_to_the_test_each_on_its_model(invoke, folder: Path) -> None:
    flags = ("--set", "evaluate.tasks=[explain, explain_classes]", "--set", "evaluate.explain.num_segments=3")
    outcome = invoke("evaluate", "tiny.yaml", *flags, "--overwrite")
    assert outcome.exit_code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert "explanations of the cloze: nats lost to hidden clips, 3 segments" in lines
    assert "explanations of classes: nats lost to hidden clips, 3 segments" in lines
    metrics = json.loads(invoke("evaluate", "tiny.yaml", *flags, "--json").out)["metrics"]
    for name in ("explain.verb", "explain.object", "explain_classes"):
        for method in ("occlusion", "gradients", "attention"):
            assert f"{name}.{method}.above_random" in metrics
            assert metrics[f"{name}.{method}.random"] == metrics[f"{name}.occlusion.random"]
    told = [line for line in lines if line.startswith("  verb, occlusion")]
    assert told[0].split()[2] == f"{metrics['explain.verb.occlusion']:.3f}"
    written = (folder / "runs/tiny/evaluate/predictions_explain.jsonl").read_text().splitlines()
    assert [json.loads(line)["question"] for line in written] == ["explain.verb"] * 3 + ["explain.object"] * 3
    other = invoke("evaluate", "tiny.yaml", *flags, "--set", "evaluate.explain.hidden_shares=[0.5]")
    assert other.exit_code == 2
    assert "evaluate.explain.hidden_shares" in other.err
    alone = json.loads(invoke("evaluate", "tiny.yaml", *flags, *_flags(MODELS[1]), "--json").out)
    assert {name.split(".")[0] for name in alone["metrics"]} == {"explain_classes"}
