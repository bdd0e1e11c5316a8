"""Values, defaults, overrides and origins of a valid recipe; and that loading one stays light."""

import subprocess
import sys
from pathlib import Path

import pytest

from videobert_cli.errors import RecipeError, UsageError
from videobert_cli.recipe.load import load_recipe


def test_traps_of_stock_yaml_read_as_written(load) -> None:
    recipe = load(
        whole="run: no\ndata: {videos: 1:30}\nseed: 010\npretrain: {optimizer: {learning_rate: 1e-4}}\n"
    ).recipe
    assert recipe.run == Path("no")
    assert recipe.data.videos == Path("1:30")
    assert recipe.seed == 10
    assert recipe.pretrain.optimizer.learning_rate == 1e-4


def test_one_key_of_a_section_leaves_the_sections_other_defaults(load) -> None:
    # finetune's optimizer and loop have defaults of their own, which differ from pretrain's.
    recipe = load("finetune: {loop: {num_steps: 7}, optimizer: {beta1: 0.8}}\n").recipe
    assert recipe.finetune.loop.num_steps == 7
    assert recipe.finetune.loop.batch_num_sequences == 32
    assert recipe.finetune.loop.final_weights == "best"
    assert recipe.finetune.optimizer.warmup_fraction == 0.1
    assert recipe.pretrain.optimizer.warmup_fraction == 0.0


def test_origins_name_line_override_or_default(load) -> None:
    loaded = load("quantize:\n  branching: 3\n", "seed=4", "quantize.num_levels=2")
    assert loaded.origins["quantize.branching"] == "recipe.yaml:5"
    assert loaded.origins["quantize.num_levels"] == "--set #2"
    assert loaded.origins["seed"] == "--set #1"
    assert loaded.origins["quantize.whiten"] == "default"
    assert loaded.origins["run"] == "recipe.yaml:1"
    assert loaded.overrides == ("seed=4", "quantize.num_levels=2")
    assert loaded.source_bytes == loaded.path.read_bytes()


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("seed=010", "seed", 10),
        ("pretrain.optimizer.learning_rate=3e-4", "pretrain.optimizer.learning_rate", 3e-4),
        ("quantize.num_components=null", "quantize.num_components", None),
        ("evaluate.tasks=[classify, zero_shot]", "evaluate.tasks", ["classify", "zero_shot"]),
        ("evaluate.template=first: [MASK] = [MASK] # it", "evaluate.template", "first: [MASK] = [MASK] # it"),
        ("evaluate.verb='12'", "evaluate.verb", "12"),
        (" quantize.whiten = true ", "quantize.whiten", True),
        ("quantize={branching: 5, num_levels: 2}", "quantize.num_levels", 2),
        ("run=a=b", "run", "a=b"),
        ("run=*x", "run", "*x"),
    ],
)
def test_an_override_is_typed_like_the_recipe(load, override: str, key: str, value: object) -> None:
    loaded = load("quantize: {num_components: 8}\n", override)
    settings = loaded.recipe.settings()
    for part in key.split("."):
        settings = settings[part]
    assert settings == value
    assert loaded.origins[key] == "--set #1"


def test_the_last_override_wins(load) -> None:
    loaded = load("seed: 1\n", "seed=2", "seed=3")
    assert loaded.recipe.seed == 3
    assert loaded.origins["seed"] == "--set #2"


def test_an_override_of_an_alias_changes_one_use(load) -> None:
    recipe = load(
        "pretrain: {losses: &l {text: 0.5}}\nevaluate: {}\n",
        "pretrain.losses.text=0.25",
        "quantize.branching=2",
    ).recipe
    assert recipe.pretrain.losses.text == 0.25
    shared = "pretrain: {optimizer: &o {beta1: 0.5}}\nfinetune: {optimizer: *o}\n"
    recipe = load(shared, "pretrain.optimizer.beta1=0.75").recipe
    assert recipe.finetune.optimizer.beta1 == 0.5


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("seed", "--set #1: 'seed' is not KEY=VALUE -> write it as --set pretrain.loop.num_steps=100"),
        ("=3", "--set #1: '=3' is not KEY=VALUE -> write it as --set pretrain.loop.num_steps=100"),
        ("sed=3", "--set #1: sed: unknown key -> did you mean seed?"),
        (
            "losses=3",
            "--set #1: losses: unknown key -> did you mean pretrain.losses?",
        ),
        (
            "pretrain.losses=3",
            (
                "--set #1: pretrain.losses: this is a section, not a value -> set one of its keys: "
                "pretrain.losses.text, pretrain.losses.video, pretrain.losses.alignment"
            ),
        ),
        (
            "pretrain.losses={txt: 3}",
            "--set #1: pretrain.losses.txt: unknown key -> did you mean text?",
        ),
        (
            "evaluate.tasks[0]=classify",
            "--set #1: evaluate.tasks[0]: unknown key -> give the whole list: --set evaluate.tasks=[first, second]",
        ),
        (
            "evaluate.tasks=[classify",
            (
                "--set #1: evaluate.tasks: this is not YAML: expected ',' or ']', but got '<stream end>' "
                "-> close the bracket, and put commas between the items"
            ),
        ),
        (
            "evaluate.template=[MASK] it",
            (
                "--set #1: evaluate.template: this is not YAML: expected '<document start>', but found '<scalar>' "
                "-> put a text that starts with a bracket or a quote in quotes"
            ),
        ),
        ("pretrain.losses.text=.inf", "--set #1: pretrain.losses.text: .inf is not a finite number"),
        (
            "pretrain.model.hidden_size=100",
            "--set #1: pretrain.model: hidden_size 100 is not a multiple of num_attention_heads 12",
        ),
        ("data.videos=", "--set #1: data.videos: must be a path, got nothing (null)"),
    ],
)
def test_a_bad_override_is_named_by_its_number(problems, override: str, line: str) -> None:
    assert problems("", override) == [line]


def test_the_error_says_what_to_mend(load) -> None:
    with pytest.raises(RecipeError) as caught:
        load("zzz: 1\n")
    assert caught.value.fix.startswith(
        "mend the lines above, then run the same command; docs/recipes.md lists every key"
    )
    with pytest.raises(RecipeError) as caught:
        load("", "zzz=1")
    assert caught.value.fix.startswith("mend the --set above")


def test_a_missing_key_is_told_at_its_section_whatever_the_overrides(problems) -> None:
    (line,) = problems("", "data.test_fraction=0.2", whole="run: a\ndata: {}\n")
    assert line.startswith("recipe.yaml:2: data.videos: missing")


def test_no_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no recipe here"):
        load_recipe(tmp_path / "none.yaml")


LIGHT = """
import sys
import videobert_cli.recipe.load, videobert_cli.recipe.names, videobert_cli.recipe.snapshot
heavy = [name for name in ("torch", "transformers", "av", "sklearn", "decord") if name in sys.modules]
print(*heavy)
"""


def test_loading_a_recipe_imports_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_a_path_in_the_home_directory_is_what_a_shell_makes_of_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "run: ~/run\ndata: {videos: ~/videos}\nfinetune: {label: ~/x}\nextract: {weights: ~/w.pth}\n"
    )
    recipe = load_recipe(path, overrides=["pretrain.text.vocabulary=~/vocab.txt"]).recipe
    assert recipe.run == tmp_path / "run"
    assert recipe.data.videos == tmp_path / "videos"
    assert recipe.extract.weights == tmp_path / "w.pth"
    assert recipe.pretrain.text.vocabulary == tmp_path / "vocab.txt"
    assert recipe.finetune.label == "~/x"
    path.write_text("run: ~nobody-of-this-name/run\ndata: {videos: v}\n")
    assert load_recipe(path).recipe.run == Path("~nobody-of-this-name/run")
