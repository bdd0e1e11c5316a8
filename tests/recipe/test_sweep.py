"""A sweep's file: what it may say, and every mistake told with its line before anything is trained."""

import pytest

from videobert_cli.errors import RecipeError, UsageError
from videobert_cli.recipe.sweep import load_sweep, setting

RECIPE = "run: runs/x\ndata:\n  videos: clips\n"
SWEEP = """\
num_trials: 5
metric: text_loss
direction: minimize
pruner: hyperband
space:
  pretrain.optimizer.learning_rate: {float: [1e-5, 1e-2], log: true}
  pretrain.model.num_layers: {int: [1, 5], step: 2}
  pretrain.model.softmax: {choice: [joint, per_modality]}
"""


@pytest.fixture
def load(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)

    def load(text):
        (tmp_path / "sweep.yaml").write_text(text)
        return load_sweep(tmp_path / "sweep.yaml", recipe=recipe, overrides=())

    return load


def problems(load, text):
    with pytest.raises(RecipeError) as caught:
        load(text)
    assert caught.value.at.endswith("sweep.yaml")
    return caught.value.what.splitlines()


def test_a_sweep_is_read(load):
    sweep = load(SWEEP)
    assert (sweep.num_trials, sweep.metric, sweep.direction, sweep.pruner, sweep.sampler) == (
        5, "text_loss", "minimize", "hyperband", "tpe",
    )  # fmt: skip
    assert [(d.key.rpartition(".")[2], d.kind, d.values, d.is_log, d.step) for d in sweep.space] == [
        ("learning_rate", "float", (1e-5, 1e-2), True, None),
        ("num_layers", "int", (1, 5), False, 2),
        ("softmax", "choice", ("joint", "per_modality"), False, None),
    ]
    assert setting("pretrain.model.softmax", "joint") == "pretrain.model.softmax=joint"
    assert "num_trials" not in sweep.record()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pretrain.optimiser.learning_rate: {float: [1e-5, 1e-2]}",
         "sweep.yaml:3: pretrain.optimiser.learning_rate: unknown key -> did you mean"),
        ("pretrain.model: {choice: [1]}", "sweep.yaml:3: pretrain.model: unknown key"),
        ("pretrain.model.num_layers: {int: [0, 4]}", "sweep.yaml:3: space.pretrain.model.num_layers: 0: must be a whole"),
        ("pretrain.model.softmax: {choice: [joint, both]}", "softmax: both: must be"),
        ("pretrain.model.num_layers: {int: [4, 1]}", "low (4) must be below high (1)"),
        ("pretrain.model.num_layers: {int: [1.5, 4]}", "int is [low, high], two whole numbers"),
        ("pretrain.model.dropout: {float: [0, 0.5], log: true}", "with log: true, low must be above 0, got 0"),
        ("pretrain.model.dropout: {float: [0.1, 0.5], steps: 3}", "unknown key 'steps'; float may have log and step"),
        ("pretrain.model.dropout: {choice: []}", "choice is a list of at least one value"),
        ("pretrain.model.dropout: {choice: [0.1, 0.1]}", "a choice is there twice"),
        ("pretrain.model.dropout: [0.1, 0.2]", "give {choice: [...]}, {int: [low, high]} or {float: [low, high]}"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_space_is_told_with_its_line(load, line, told):
    found = problems(load, f"num_trials: 3\nspace:\n  {line}\n")
    assert len(found) == 1
    assert found[0].startswith("sweep.yaml:3: ")
    assert told in found[0]


def test_all_mistakes_are_told_at_once(load):
    found = problems(load, "num_trials: many\nmetrics: loss\ndirection: up\nspace: {}\n")
    assert found == [
        "sweep.yaml:1: num_trials: how many trials: a whole number >= 1",
        "sweep.yaml:2: metrics: unknown key; its keys: num_trials, metric, direction, pruner, sampler, space",
        "sweep.yaml:3: direction: must be minimize or maximize, got 'up'",
        "sweep.yaml:4: space: the space is empty: name at least one key of the recipe with its values",
    ]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text\n"])
def test_what_is_no_sweep_is_told(load, text):
    assert any("a sweep is keys with values" in line for line in problems(load, text))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="the sweep cannot be read: No such file") as caught:
        load_sweep(tmp_path / "no.yaml", recipe=tmp_path / "r.yaml", overrides=())
    assert caught.value.at == str(tmp_path / "no.yaml")
