"""The names that a recipe may give to a backbone: built in, `transformers:...`, or a plug-in's; loads no torch.

A package brings a backbone by an entry point of the group `videobert.backbones`; docs/backbones.md has a whole one.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from videobert_cli.errors import InputError

GROUP = "videobert.backbones"
TRANSFORMERS_PREFIX = "transformers:"
BuiltIn = Literal["efficientnet_lite0", "s3d", "s3d_mil_nce", "s3d_mil_nce_embedding"]
BUILT_IN: tuple[str, ...] = get_args(BuiltIn)
_SHOWN_TRANSFORMERS = f"{TRANSFORMERS_PREFIX}DIR_OR_HUB_ID"
_SIMILAR = 0.6


@dataclass(frozen=True, kw_only=True)
class PlugIn:
    """An installed backbone: `package` brings it; `problem` says why its name cannot be used, empty where it can."""

    name: str
    package: str
    version: str
    problem: str
    entry: EntryPoint


def plug_ins() -> list[PlugIn]:
    """Return the backbones that installed packages bring, by name; nothing of them is imported."""
    entries = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    names = [entry.name for entry in entries]
    return [
        PlugIn(
            name=entry.name,
            package=entry.dist.name if entry.dist else "an unknown package",
            version=entry.dist.version if entry.dist else "unknown",
            problem=_problem(entry.name, num_packages=names.count(entry.name)),
            entry=entry,
        )
        for entry in entries
    ]


def known_backbones() -> list[str]:
    """Return every name that a recipe may use here, the form of transformers' models among them."""
    return [*BUILT_IN, _SHOWN_TRANSFORMERS, *(plug_in.name for plug_in in plug_ins() if not plug_in.problem)]


def check_backbone_name(name: str) -> str:
    """Return the name where it can be used here.

    Raises:
        ValueError: It cannot; the message names what can, and what was probably meant.
    """
    if name in BUILT_IN or (name.startswith(TRANSFORMERS_PREFIX) and name != TRANSFORMERS_PREFIX):
        return name
    problems = [plug_in.problem for plug_in in plug_ins() if plug_in.name == name]
    if problems and not problems[0]:
        return name
    if problems:
        raise ValueError(f"the plug-in {name!r} cannot be used: {problems[0]}")
    known = known_backbones()
    guess = _guess(name, known=known)
    meant = f" -> {guess}" if guess else ""
    raise ValueError(f"must be one of {', '.join(known)}, got the text {name[:60]!r}{meant}")


def load_plug_in(name: str) -> Callable[..., Any]:
    """Return what the entry point called `name` names: a class, or a function that makes a backbone.

    Raises:
        InputError: The package that brings it does not import, or has nothing of that name.
    """
    found = next(plug_in for plug_in in plug_ins() if plug_in.name == name)
    fix = (
        f"mend or remove it (pip install --force-reinstall {found.package}), or take another extract.backbone"
    )
    try:
        factory = found.entry.load()
    except Exception as error:
        raise InputError(
            f"the plug-in {name!r} of {found.package} {found.version} does not load "
            f"({type(error).__name__}: {error})",
            at=f"{GROUP}: {name} = {found.entry.value}",
            fix=fix,
        ) from error
    if not callable(factory):
        raise InputError(
            f"the plug-in {name!r} of {found.package} is a {type(factory).__name__}, not a class or a function",
            at=f"{GROUP}: {name} = {found.entry.value}",
            fix=fix,
        )
    return factory  # type: ignore[no-any-return]


def _problem(name: str, *, num_packages: int) -> str:
    if name in BUILT_IN or ":" in name:
        return "the name is videobert's own"
    return f"{num_packages} packages bring that name: uninstall all but one" if num_packages > 1 else ""


def _guess(name: str, *, known: list[str]) -> str:
    head, colon, rest = name.partition(":")
    if (
        colon
        and rest
        and difflib.get_close_matches(head.lower(), ["transformers", "huggingface"], n=1, cutoff=_SIMILAR)
    ):
        return f"did you mean {TRANSFORMERS_PREFIX}{rest}?"
    if "/" in name:
        return f"did you mean {TRANSFORMERS_PREFIX}{name}?"
    near = difflib.get_close_matches(name, known, n=1, cutoff=_SIMILAR)
    return f"did you mean {near[0]}?" if near else ""
