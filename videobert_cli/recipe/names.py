"""The recipe argument of every command: a file, or the name of a recipe that comes with videobert."""

import difflib
import sysconfig
from pathlib import Path

import videobert_cli
from videobert_cli.errors import UsageError

_SUFFIXES = (".yaml", ".yml")
_SIMILAR = 0.6
# Tells our folder from any other `recipes` beside an installed package.
_MARK = "recipe.schema.json"
_VIDEOS = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}
)
_MANIFESTS = frozenset({".csv", ".jsonl", ".tsv"})
_WEIGHTS = frozenset({".safetensors", ".pt", ".pth", ".bin", ".ckpt"})


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with videobert by name: of the source tree, or of where pip put them."""
    return _named_files(_shipped_folder())


def resolve_ablation(name_or_path: str) -> Path:
    """Return an ablation's file: the path itself where it is one, else the one of that name that we ship.

    Raises:
        UsageError: There is none.
    """
    path, folder = Path(name_or_path), _shipped_folder()
    shipped = _named_files(folder / "ablations" if folder else None)
    if path.is_file():
        return path
    if name_or_path in shipped:
        return shipped[name_or_path]
    raise UsageError(
        f"there is no ablation {name_or_path!r}, neither as a file nor among those we ship",
        at=f"--ablation {name_or_path}",
        fix=f"ablations we ship: {', '.join(shipped) or 'none found'}",
    )


def _named_files(folder: Path | None) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def _shipped_folder() -> Path | None:
    package_parent = Path(videobert_cli.__file__).parent.parent
    share = Path("share") / "videobert" / "recipes"
    folders = (package_parent / "recipes", package_parent / share, Path(sysconfig.get_path("data")) / share)
    # `pip install --user` has its own data directory, which sysconfig knows under another scheme.
    user = Path(sysconfig.get_path("data", sysconfig.get_preferred_scheme("user"))) / share
    for folder in (*folders, user):
        if (folder / _MARK).is_file():
            return folder
    return None


def is_recipe_name(name: str) -> bool:
    """Return whether a name among others can only mean a recipe: it ends as one and is no folder."""
    path = Path(name)
    return path.suffix.lower() in _SUFFIXES and not path.is_dir()


def resolve_recipe(name_or_path: str) -> Path:
    """Return the recipe's file: the path itself where it is one, else the recipe of that name that we ship.

    A directory never hides a shipped recipe: `videobert demo demo` makes one that is called like the recipe
    for it.

    Raises:
        UsageError: There is none, or it is something else, and then which command takes it.
    """
    path = Path(name_or_path)
    shipped = shipped_recipes()
    if path.is_file():
        _refuse_other_file(path)
        return path
    if name_or_path in shipped:
        return shipped[name_or_path]
    if path.is_dir():
        raise _directory_error(path)
    if path.exists():
        raise UsageError(
            "this is not a regular file", at=name_or_path, fix="write the recipe to a .yaml file"
        )
    raise _missing_error(name_or_path, shipped=shipped)


def _refuse_other_file(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in _VIDEOS:
        what, fix = "a video", f"videobert predict {path}   or   videobert extract {path} --out DIR"
    elif suffix in _MANIFESTS:
        what = "a list of videos"
        fix = f"name it in a recipe: `data: {{videos: {path}}}`, then run that recipe"
    elif suffix in _WEIGHTS:
        what, fix = "a file of weights", f"videobert evaluate --model {path.parent}"
    else:
        return
    raise UsageError(f"{path.name} is {what}, not a recipe", at=str(path), fix=fix)


def _directory_error(path: Path) -> UsageError:
    what, fix = "a directory", f"videobert extract {path} --out DIR takes a folder of videos"
    if (path / "recipe.yaml").is_file():
        what, fix = "a run directory", f"give the recipe in it: {path / 'recipe.yaml'}"
    elif (path / "config.json").is_file():
        what, fix = "a model directory", f"videobert predict VIDEO --model {path}"
    elif recipes := [file for file in sorted(path.iterdir()) if file.suffix in _SUFFIXES]:
        fix = f"give one of the recipes in it: {', '.join(map(str, recipes[:5]))}"
    return UsageError(f"{path} is {what}, not a recipe", at=str(path), fix=fix)


def _missing_error(name_or_path: str, *, shipped: dict[str, Path]) -> UsageError:
    path = Path(name_or_path)
    folders = {path.parent, Path()}
    here = [file for folder in sorted(folders) if folder.is_dir() for file in sorted(folder.iterdir())]
    files = {str(file): file.stem for file in here if file.suffix in _SUFFIXES and file.is_file()}
    candidates = {**{name: name for name in shipped}, **files}
    close = difflib.get_close_matches(path.stem, candidates.values(), n=1, cutoff=_SIMILAR)
    meant = [given for given, stem in candidates.items() if stem in close]
    what = f"there is no recipe {name_or_path!r}, neither as a file nor among those we ship"
    fix = f"did you mean {' or '.join(meant)}? " if meant else ""
    return UsageError(
        what, at=name_or_path, fix=f"{fix}recipes we ship: {', '.join(shipped) or 'none found'}"
    )
