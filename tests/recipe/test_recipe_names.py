"""The recipe argument: files, names of shipped recipes, and what is no recipe at all."""

from pathlib import Path

import pytest

from videobert_cli.errors import UsageError
from videobert_cli.recipe.names import resolve_recipe, shipped_recipes


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refuse(argument: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        resolve_recipe(argument)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_file_is_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("run: a\n")
    assert resolve_recipe("mine.yaml") == Path("mine.yaml")


def test_a_name_is_the_shipped_recipe_even_beside_a_directory_called_so(tmp_path: Path) -> None:
    (tmp_path / "howto100m").mkdir()
    assert resolve_recipe("howto100m") == shipped_recipes()["howto100m"]


def test_a_file_called_like_a_shipped_recipe_wins(tmp_path: Path) -> None:
    (tmp_path / "howto100m").write_text("run: a\n")
    assert resolve_recipe("howto100m") == Path("howto100m")


@pytest.mark.parametrize("argument", ["howto10m", "recipes/howto10m.yaml"])
def test_a_misspelt_name_is_guessed(argument: str) -> None:
    error = refuse(argument)
    assert error.what == f"there is no recipe {argument!r}, neither as a file nor among those we ship"
    assert error.fix.startswith("did you mean howto100m? recipes we ship: ")


def test_a_misspelt_file_is_guessed_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kitchen.yaml").write_text("run: a\n")
    assert refuse("mine/kitchne.yaml").fix.startswith("did you mean mine/kitchen.yaml? ")


def test_nothing_similar_lists_the_shipped_ones() -> None:
    assert refuse("qqqqqq").fix == f"recipes we ship: {', '.join(shipped_recipes())}"


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        (
            "clip.MP4",
            "clip.MP4 is a video, not a recipe",
            "videobert predict clip.MP4   or   videobert extract clip.MP4 --out DIR",
        ),
        (
            "videos.csv",
            "videos.csv is a list of videos, not a recipe",
            "name it in a recipe: `data: {videos: videos.csv}`, then run that recipe",
        ),
        (
            "model.safetensors",
            "model.safetensors is a file of weights, not a recipe",
            "videobert evaluate --model .",
        ),
    ],
)
def test_a_file_of_another_kind_is_sent_to_its_command(
    tmp_path: Path, name: str, what: str, fix: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    error = refuse(name)
    assert (error.what, error.at, error.fix) == (what, name, fix)


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [
        (None, "a directory", "videobert extract folder --out DIR takes a folder of videos"),
        ("recipe.yaml", "a run directory", "give the recipe in it: folder/recipe.yaml"),
        ("config.json", "a model directory", "videobert predict VIDEO --model folder"),
        ("mine.yaml", "a directory", "give one of the recipes in it: folder/mine.yaml"),
    ],
)
def test_a_directory_is_sent_to_its_command(tmp_path: Path, content: str | None, what: str, fix: str) -> None:
    (tmp_path / "folder").mkdir()
    if content is not None:
        (tmp_path / "folder" / content).write_text("")
    error = refuse("folder")
    assert (error.what, error.fix) == (f"folder is {what}, not a recipe", fix)
