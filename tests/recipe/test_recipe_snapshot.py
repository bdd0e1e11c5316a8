"""The resolved recipe feeds back to itself, a run remembers its recipe, and differences are named."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.recipe.load import load_recipe
from videobert_cli.recipe.origins import Origin
from videobert_cli.recipe.parse import parse_document
from videobert_cli.recipe.schema import Recipe
from videobert_cli.recipe.snapshot import (
    difference,
    print_config,
    recipe_hash,
    resolved_yaml,
    scalar_text,
    write_snapshot,
)

# Text that a recipe can hold: no NUL, no half of a surrogate pair.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(
    run=TEXT,
    seed=st.integers(0, 2**31 - 1),
    learning_rate=st.floats(0, 1, exclude_min=True),
    num_components=st.none() | st.integers(1, 4096),
    verb=TEXT,
    inputs=st.lists(TEXT, max_size=3),
    whiten=st.booleans(),
)
def test_any_recipe_dumps_and_reloads_to_itself(
    run, seed, learning_rate, num_components, verb, inputs, whiten
) -> None:
    tree = {
        "run": run,
        "seed": seed,
        "data": {"videos": "v"},
        "quantize": {"num_components": num_components, "whiten": whiten},
        "pretrain": {"optimizer": {"learning_rate": learning_rate}},
        "evaluate": {"verb": verb},
        "predict": {"inputs": inputs},
    }
    recipe = Recipe.model_validate_json(json.dumps(tree), strict=True)
    document = parse_document(resolved_yaml(recipe), origin=Origin(name="r"))
    assert document.problems == ()
    again = Recipe.model_validate_json(json.dumps(document.value), strict=True)
    assert again == recipe
    assert recipe_hash(again) == recipe_hash(recipe)


@given(
    TEXT
    | st.sampled_from(["no", "1e-4", "010", "null", "~", "-", "1:30", ".5", ".", "<<", "a: b", "x #y", ""])
)
def test_any_text_survives_being_written(text: str) -> None:
    assert parse_document(f"a: [{scalar_text(text)}]\n", origin=Origin(name="r")).value == {"a": [text]}


def test_print_config_shows_where_each_value_is_from(load) -> None:
    lines = print_config(load("quantize:\n  branching: 3\n", "seed=4")).splitlines()
    shown = {line.partition(":")[0].strip(): line.partition("  # ")[2] for line in lines if "#" in line}
    assert shown["seed"] == "--set #1"
    assert shown["branching"] == "recipe.yaml:5"
    assert shown["whiten"] == "default"
    assert "quantize:" in lines


def test_print_config_is_itself_a_recipe_with_the_same_hash(load, tmp_path: Path) -> None:
    loaded = load("evaluate: {template: 'show # [MASK]'}\n", "seed=4")
    again = tmp_path / "again.yaml"
    again.write_text(print_config(loaded))
    assert recipe_hash(load_recipe(again).recipe) == recipe_hash(loaded.recipe)


def test_a_run_remembers_its_recipe(load, tmp_path: Path) -> None:
    loaded = load("# mine\n", "seed=4", "evaluate.template=a [MASK]")
    run = tmp_path / "run"
    write_snapshot(run, loaded, environment={"python": "3.11"})
    assert (run / "recipe.yaml").read_bytes() == loaded.source_bytes
    assert (run / "overrides.txt").read_text() == "--set seed=4\n--set 'evaluate.template=a [MASK]'\n"
    assert json.loads((run / "environment.json").read_text()) == {"python": "3.11"}
    resolved = load_recipe(run / "recipe.resolved.yaml")
    assert resolved.recipe == loaded.recipe
    assert "default" not in resolved.origins.values()


def test_difference_names_changed_added_and_removed_settings() -> None:
    recorded = {"pretrain": {"optimizer": {"learning_rate": 1e-5, "beta1": 0.9}, "old": "x"}, "same": [1, 2]}
    wanted = {"pretrain": {"optimizer": {"learning_rate": 3e-4, "beta1": 0.9}, "new": True}, "same": (1, 2)}
    assert difference(recorded, wanted, origins={"pretrain.optimizer.learning_rate": "recipe.yaml:14"}) == [
        "pretrain.optimizer.learning_rate: 1e-05 (this run) -> 0.0003 (recipe.yaml:14)",
        "pretrain.new: absent (this run) -> true (recipe)",
        "pretrain.old: x (this run) -> absent",
    ]


def test_a_setting_that_came_later_is_no_difference_by_its_default() -> None:
    recorded, wanted = (
        {"pretrain": {"loop": {"num_steps": 5}}},
        {"pretrain": {"loop": {"num_steps": 5, "new": 1}}},
    )
    assert difference(recorded, wanted, origins={"pretrain.loop.new": "default"}) == []
    assert difference(recorded, wanted, origins={"pretrain.loop.new": "recipe.yaml:3"}) == [
        "pretrain.loop.new: absent (this run) -> 1 (recipe.yaml:3)"
    ]


def test_difference_knows_numbers_from_truth_values() -> None:
    assert difference({"a": 1, "b": 2}, {"a": True, "b": 2.0}) == ["a: 1 (this run) -> true (recipe)"]
    assert difference({}, {}) == []


def test_sections_in_a_list_come_back_from_the_resolved_recipe(load) -> None:
    heads = [{column: value} for column, value in (("column", "verb"), ("column", "who says: so"))]
    heads[1] |= {"kind": "multi", "separator": ", ", "weight": 0.25}
    loaded = load(f"pretrain: {{labels: {{heads: {heads}}}}}")
    assert [head.column for head in loaded.recipe.pretrain.labels.heads] == ["verb", "who says: so"]
    again = load(whole=resolved_yaml(loaded.recipe))
    assert recipe_hash(again.recipe) == recipe_hash(loaded.recipe)
    assert "{column: verb, kind: single," in print_config(loaded)
