"""`--dry-run`: every recipe we ship without its data; a small one with it; nothing is written."""

import json
from pathlib import Path

import pytest
from executable import FinishedRun, snapshot

SHIPPED = {
    "howto100m": ("data/howto100m/HowTo100M_v1.csv", "https://www.di.ens.fr/willow/research/howto100m/"),
    "youcook2_zeroshot": ("data/youcook2/videos.csv", "http://youcook2.eecs.umich.edu/"),
    "kinetics400": ("data/kinetics400", "https://github.com/cvdfoundation/kinetics-dataset"),
    "action_recognition": ("data/actions", "class folders"),
    "demo": ("demo/videos.csv", "videobert demo demo"),
}
COMMANDS = ("extract", "quantize", "pretrain", "finetune", "evaluate")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("recipe", SHIPPED)
@pytest.mark.parametrize("command", COMMANDS)
def test_p52_without_data_the_plan_says_what_is_needed_and_where_it_is(
    invoke, here, recipe: str, command: str
) -> None:
    outcome = invoke(command, recipe, "--dry-run")
    path, source = SHIPPED[recipe]
    assert outcome.exit_code == 0
    assert f"needs: data.videos: {path} does not exist" in outcome.out.splitlines()
    assert source in outcome.out
    assert outcome.out.splitlines()[-1] == "nothing was written (--dry-run)"
    assert list(here.iterdir()) == []


def test_the_plan_names_what_comes_from_the_network(invoke, here: Path) -> None:
    def needed(*arguments: str) -> list[str]:
        lines = invoke(*arguments, "--dry-run").out.splitlines()
        return [line for line in lines if line.startswith("needs: ") and "from the network once" in line]

    weights = "needs: extract.weights: kinetics400, from the network once, or a local path there"
    bert = "bert-large-uncased, from the network once, or a local path there"
    assert needed("extract", "howto100m") == [weights]
    assert needed("pretrain", "howto100m") == [
        weights,
        f"needs: pretrain.text.vocabulary: {bert}",
        f"needs: pretrain.model.init: {bert}",
    ]
    assert needed("evaluate", "demo") == []
    (here / "bert").mkdir()
    local = ("--set", "pretrain.model.init=bert", "--set", "pretrain.text.vocabulary=corpus")
    assert needed("pretrain", "howto100m", *local, "--set", "extract.weights=none.pth") == []
    [line] = needed("extract", "demo", "--set", "extract.backbone=transformers:openai/clip-vit-base-patch32")
    assert line.startswith("needs: extract.backbone: openai/clip-vit-base-patch32, ")


def test_the_plan_as_json(invoke, here: Path) -> None:
    document = json.loads(invoke("pretrain", "youcook2_zeroshot", "--dry-run", "--json").out)
    assert document["status"] == "planned"
    assert document["outputs"]["stages"] == dict.fromkeys(("extract", "quantize", "pretrain"), "missing")
    assert document["outputs"]["needs"][0] == "data.videos: data/youcook2/videos.csv does not exist"


def test_p52_print_config_gives_back_the_recipe_and_writes_nothing(invoke, here: Path) -> None:
    printed = invoke("pretrain", "demo", "--print-config", "--set", "seed=4")
    assert printed.exit_code == 0
    assert printed.err == ""
    assert list(here.iterdir()) == []
    again = here / "again.yaml"
    again.write_text(printed.out)
    documents = [
        json.loads(invoke("pretrain", *arguments, "--print-config", "--json").out)
        for arguments in (("demo", "--set", "seed=4"), (str(again),))
    ]
    assert documents[0]["outputs"] == documents[1]["outputs"]
    assert documents[0]["outputs"]["recipe"]["seed"] == 4
    assert "# --set #1" in printed.out


@pytest.mark.slow
def test_the_plan_counts_what_is_there(invoke, here: Path, short_clip: Path) -> None:
    (here / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (here / "clips" / name).write_bytes(short_clip.read_bytes())
    (here / "recipe.yaml").write_text("run: runs/x\ndata: {videos: clips}\n")
    before = snapshot(here)
    document = json.loads(invoke("quantize", "recipe.yaml", "--dry-run", "--json").out)
    assert document["metrics"]["plan.num_videos"] == 2
    assert document["metrics"]["plan.extract.num_clips"] == 4
    assert document["metrics"]["plan.extract.num_bytes"] == 4 * 2560 * 2
    assert snapshot(here) == before


@pytest.mark.slow
def test_the_plan_of_a_begun_extraction_counts_what_is_left(invoke, here: Path, short_clip: Path) -> None:
    (here / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (here / "clips" / name).write_bytes(short_clip.read_bytes())
    (here / "clips" / "bad.mp4").write_bytes(b"no video")
    (here / "recipe.yaml").write_text("run: runs/x\ndata: {videos: clips}\n")
    assert invoke("extract", "recipe.yaml").exit_code == 4
    (here / "clips" / "c.mp4").write_bytes(short_clip.read_bytes())
    # As a killed extraction leaves it: items, and no manifest yet.
    (here / "runs/x/extract/features/manifest.json").unlink()

    def planned(*flags: str) -> int:
        document = json.loads(invoke("extract", "recipe.yaml", "--dry-run", "--json", *flags).out)
        return int(document["metrics"]["plan.extract.num_videos"])

    assert (planned(), planned("--retry-failed")) == (1, 2)
    (here / "clips" / "c.mp4").unlink()
    plan = invoke("extract", "recipe.yaml", "--dry-run").out.splitlines()
    assert "extract   started: would go on, no video is left to read" in plan


def test_the_plan_of_a_finished_run(
    invoke, finished_run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished_run.folder)
    before = snapshot(finished_run.folder)
    same = json.loads(invoke("evaluate", "tiny.yaml", "--dry-run", "--json").out)
    assert set(same["outputs"]["stages"].values()) == {"finished"}
    other = invoke("evaluate", "tiny.yaml", "--dry-run", "--set", "quantize.num_levels=1")
    [line] = [line for line in other.out.splitlines() if line.startswith("quantize")]
    assert (
        "stale: made from other settings or inputs (quantize.num_levels: 2 (this run) -> 1 (--set #1))"
        in line
    )
    assert snapshot(finished_run.folder) == before
