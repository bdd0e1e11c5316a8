"""A recipe on disk from a few lines of text, and its problems."""

from collections.abc import Callable
from pathlib import Path

import pytest

from videobert_cli.errors import RecipeError
from videobert_cli.recipe.load import LoadedRecipe, load_recipe

BASE = "run: runs/a\ndata:\n  videos: clips\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadedRecipe]:
    """Load a recipe made of BASE (three lines) and `text`, or of `whole` alone."""

    def load_text(text: str = "", *overrides: str, whole: str | bytes | None = None) -> LoadedRecipe:
        path = tmp_path / "recipe.yaml"
        content = BASE + text if whole is None else whole
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_recipe(path, overrides=overrides)

    return load_text


@pytest.fixture
def problems(load: Callable[..., LoadedRecipe]) -> Callable[..., list[str]]:
    """Return the lines of the error that such a recipe gives."""

    def lines(*arguments: str, whole: str | bytes | None = None) -> list[str]:
        with pytest.raises(RecipeError) as caught:
            load(*arguments, whole=whole)
        assert caught.value.exit_code == 2
        assert caught.value.at.endswith("recipe.yaml")
        return caught.value.what.splitlines()

    return lines
