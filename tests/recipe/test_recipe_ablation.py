"""Ablations: the one we ship fits its recipe; what is wrong with a file is told before anything runs."""

from pathlib import Path

import pytest

from videobert_cli.errors import RecipeError, UsageError
from videobert_cli.recipe.ablation import load_ablation
from videobert_cli.recipe.names import resolve_ablation, resolve_recipe


def load(tmp_path: Path, text: str):
    path = tmp_path / "ablation.yaml"
    path.write_text(text)
    return load_ablation(path, recipe=resolve_recipe("demo"), overrides=())


def test_the_shipped_ablation_fits_the_demo() -> None:
    ablation = load_ablation(resolve_ablation("demo"), recipe=resolve_recipe("demo"), overrides=())
    assert ablation.seeds == (0, 1, 2)
    assert len(ablation.variants) >= 7
    assert ablation.variants["the demo's recipe"] == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("variants: {all: []}\n", "metrics: Field required"),
        ("metrics: [a]\nvariants: {}\n", "variants: "),
        ("metrics: [a]\nvariants: {all: [seed=1]}\n", "'seed=1'"),
        ("metrics: [a]\nvariants: {all: [extract.backbone=s3d]}\n", "shared by all"),
        ("metrics: [a]\nvariants: {a b: [], a-b: []}\n", "differ in signs alone"),
        ("metrics: [a]\nvariants: {all: []}\nseed: 1\n", "seed: Extra inputs"),
        ("- 1\n", "ablation.yaml"),
        ("", "ablation.yaml"),
        ("metrics: [a\n", "close the bracket"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    assert told in caught.value.what


def test_a_mistyped_override_names_its_variant(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, "metrics: [a]\nvariants: {slow: [pretrain.loop.num_step=3]}\n")
    assert caught.value.what.startswith("variant 'slow': ")
    assert "num_steps" in caught.value.what


def test_an_unknown_name_lists_those_we_ship() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_ablation("nothing")
    assert caught.value.fix == "ablations we ship: demo, tasks"
