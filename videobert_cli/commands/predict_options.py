"""What `videobert predict` is told: a recipe among the names, and its `predict:` section with the flags put in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from videobert_cli.errors import UsageError

if TYPE_CHECKING:
    from videobert_cli.core.tasks.options import PredictOptions
    from videobert_cli.recipe.load import LoadedRecipe


def split_recipe(names: list[str]) -> "tuple[LoadedRecipe | None, list[str]]":
    """Return the recipe among the names, if there is one, and the names of videos.

    Raises:
        UsageError: There are two recipes.
        RecipeError: The recipe is not valid.
    """
    from videobert_cli.recipe.load import load_recipe
    from videobert_cli.recipe.names import is_recipe_name, resolve_recipe

    recipes = [name for name in names if is_recipe_name(name)]
    if len(recipes) > 1:
        raise UsageError(
            "predict takes one recipe", at=", ".join(recipes), fix="give one of them, and videos after it"
        )
    loaded = load_recipe(resolve_recipe(recipes[0])) if recipes else None
    return loaded, [name for name in names if name not in recipes]


def predict_options(
    recipe: "LoadedRecipe | None",
    *,
    segment_seconds: float | None,
    top: int | None,
    tasks: Sequence[str],
    explain: str | None,
) -> "PredictOptions":
    """Return the recipe's `predict:` section, or its defaults, with the flags put in.

    Raises:
        UsageError: There is no such task, or no such way to explain.
    """
    from videobert_cli.core.tasks.options import Explain, PredictOptions, PredictTask

    unknown = [task for task in tasks if task not in get_args(PredictTask)]
    if unknown:
        raise UsageError(
            f"there is no task {unknown[0]!r} of predict",
            at=f"--task {unknown[0]}",
            fix=f"--task {' or --task '.join(get_args(PredictTask))}",
        )
    if explain is not None and explain not in get_args(Explain):
        raise UsageError(
            f"there is no way {explain!r} to explain",
            at=f"--explain {explain}",
            fix=f"--explain {' or --explain '.join(get_args(Explain))}",
        )
    given = {
        "segment_seconds": segment_seconds,
        "top": top,
        "tasks": tuple(tasks) or None,
        "explain": explain,
    }
    section = recipe.recipe.predict if recipe else PredictOptions()
    return section.model_copy(update={name: value for name, value in given.items() if value is not None})
