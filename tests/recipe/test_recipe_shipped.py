"""The recipes we ship load, and what is generated from the schema is not stale."""

import json
from pathlib import Path

import pytest

from videobert_cli.recipe.load import load_recipe
from videobert_cli.recipe.names import shipped_recipes
from videobert_cli.recipe.reference import PAGE_PATH, SCHEMA_PATH, recipes_page, schema_json
from videobert_cli.recipe.snapshot import resolved_yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "recipes").glob("*.yaml"))
NAMES = ["action_recognition", "demo", "howto100m", "kinetics400", "youcook2_zeroshot"]


def test_all_recipes_are_here_and_known_by_name() -> None:
    assert [path.stem for path in FILES] == NAMES
    assert list(shipped_recipes()) == NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_recipe_loads_and_resolves_to_itself(path: Path, tmp_path: Path) -> None:
    loaded = load_recipe(path)
    assert loaded.source_bytes.startswith(b"# yaml-language-server: $schema=recipe.schema.json\n")
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(resolved_yaml(loaded.recipe))
    assert load_recipe(resolved).recipe == loaded.recipe
    assert loaded.recipe.run == Path("runs") / path.stem


def test_the_papers_settings_are_the_papers() -> None:
    recipe = load_recipe(ROOT / "recipes" / "howto100m.yaml").recipe
    assert (recipe.extract.frames_per_second, recipe.extract.clip_num_frames) == (20.0, 30)
    assert recipe.quantize.branching**recipe.quantize.num_levels == 20_736
    assert (recipe.pretrain.loop.num_steps, recipe.pretrain.loop.batch_num_sequences) == (500_000, 128)
    assert recipe.pretrain.optimizer.learning_rate == 1e-5
    assert recipe.pretrain.sequences.video_only_num_words == 16


def test_the_readme_lists_every_recipe() -> None:
    text = (ROOT / "recipes" / "README.md").read_text()
    assert all(f"[{name}.yaml]({name}.yaml)" in text for name in NAMES)


@pytest.mark.parametrize(("path", "make"), [(SCHEMA_PATH, schema_json), (PAGE_PATH, recipes_page)])
def test_generated_files_are_fresh(path: Path, make) -> None:
    assert (ROOT / path).read_text() == make(), "run: python -m videobert_cli.recipe.reference"


def test_the_schema_has_each_default_of_its_own_place() -> None:
    sections = json.loads(schema_json())["properties"]
    steps = [
        sections[stage]["properties"]["loop"]["properties"]["num_steps"]["default"]
        for stage in ("pretrain", "finetune")
    ]
    assert steps == [500_000, 1_000]
    assert "$ref" not in schema_json()
    assert sections["quantize"]["additionalProperties"] is False


def test_the_page_has_every_key_with_its_range_and_default() -> None:
    page = recipes_page()
    row = "| `learning_rate` | a number > 0 and <= 1 | `5e-05` | Peak rate (paper: 1e-5). |"
    assert row in page.partition("`finetune.optimizer:`")[2]
    assert "| `videos` | a path | required |" in page
