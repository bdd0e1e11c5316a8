"""A fit that is not finished, on disk: what it goes on from after a kill, bound to the features and settings it is of.

Where each training point belongs is not kept: descent finds it again.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from videobert_cli import artifacts
from videobert_cli.core.words.projection import Projection
from videobert_cli.core.words.tree import Level
from videobert_cli.errors import ArtifactError

# Shapes: D feature after the projection, M nodes of a level, P nodes of the level above in use, R their children.

KIND = "codebook_fit"
_TENSORS_NAME = "fit.safetensors"
_DESCRIPTION_NAME = "fit.json"
# What a kill costs at most, beside the pass that it falls into; a level's end is worth saving sooner. Where saving
# itself is slow, it is done so seldom that it takes a fiftieth of the time.
_SECONDS_BETWEEN_SAVES, _SECONDS_FOR_A_LEVEL = 10.0, 2.0
_SHARE_OF_SAVING = 50


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A level at work: its children so far, which nodes still move, which of them have children without points."""

    centroids_RD: torch.Tensor
    num_children_P: torch.Tensor
    is_active_P: torch.Tensor
    is_lacking_P: torch.Tensor
    num_iterations: int


@dataclass(frozen=True, kw_only=True)
class FitState:
    """What a fit has: finished levels, the spread of each node of the last one (root mean square), the level at work.

    `root_D` is the mean of all points.
    """

    projection: Projection
    levels: tuple[Level, ...] = ()
    root_D: torch.Tensor | None = None
    spreads_P: torch.Tensor | None = None
    draft: Draft | None = None

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return all tensors by name."""
        found: dict[str, torch.Tensor | None] = {
            "mean": self.projection.mean_D,
            "scale": self.projection.scale_D,
            "components": self.projection.components_KD,
            "grid": self.projection.grid_K,
            "root": self.root_D,
            "spreads": self.spreads_P,
        }
        for number, level in enumerate(self.levels):
            found |= {f"usage.{number}": level.counts_M, f"centroids.{number}": level.centroids_RD}
        if self.draft is not None:
            names = ("centroids_RD", "num_children_P", "is_active_P", "is_lacking_P")
            found |= {f"draft.{name}": getattr(self.draft, name) for name in names}
        return {name: tensor.cpu().contiguous() for name, tensor in found.items() if tensor is not None}

    def on(self, device: torch.device) -> "FitState":
        """Return the state with its tensors on `device`; the projection's stay on the CPU, as they always do."""
        return FitState.of(
            {name: tensor.to(device) for name, tensor in self.tensors().items()}, self.numbers()
        )

    def numbers(self) -> dict[str, Any]:
        """Return what is no tensor."""
        return {
            "inertias": [level.inertia for level in self.levels],
            "num_iterations": None if self.draft is None else self.draft.num_iterations,
        }

    @classmethod
    def of(cls, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]) -> "FitState":
        """Return the state that `tensors` and `numbers` gave."""
        levels = tuple(
            Level(
                counts_M=tensors[f"usage.{number}"],
                centroids_RD=tensors[f"centroids.{number}"],
                inertia=float(inertia),
            )
            for number, inertia in enumerate(numbers["inertias"])
        )
        draft = None
        if numbers["num_iterations"] is not None:
            names = ("centroids_RD", "num_children_P", "is_active_P", "is_lacking_P")
            of_draft = {name: tensors[f"draft.{name}"] for name in names}
            draft = Draft(num_iterations=int(numbers["num_iterations"]), **of_draft)
        projection = Projection(
            mean_D=tensors["mean"].cpu(),
            scale_D=tensors["scale"].cpu(),
            components_KD=tensors["components"].cpu() if "components" in tensors else None,
            grid_K=tensors["grid"].cpu(),
        )
        return cls(
            projection=projection,
            levels=levels,
            root_D=tensors.get("root"),
            spreads_P=tensors.get("spreads"),
            draft=draft,
        )


class FitKeeper:
    """Saves a fit every so often.

    Args:
        directory: Where, None to keep nothing.
        identity: Hash of all that decides the codebook; what was kept of another is thrown away.
    """

    def __init__(self, directory: Path | None, *, identity: str) -> None:
        self._directory = directory
        self._identity = identity
        self._saved = time.monotonic()
        self._cost_seconds = 0.0
        self._unsaved: FitState | None = None

    def load(self) -> FitState | None:
        """Return what was kept; None where there is nothing, or nothing of use."""
        if self._directory is None or not artifacts.is_finished(self._directory):
            return None
        try:
            artifacts.require_intact(self._directory, kind=KIND)
            numbers = json.loads((self._directory / _DESCRIPTION_NAME).read_text(encoding="utf-8"))
            if numbers["identity"] != self._identity:
                return None
            return FitState.of(load_tensors((self._directory / _TENSORS_NAME).read_bytes()), numbers)
        except (ArtifactError, OSError, ValueError, TypeError, KeyError, SafetensorError):
            # Nothing is lost but time: the fit starts anew and gives the same codebook.
            return None

    def take(self, state: FitState) -> None:
        """Note what the fit would go on from, and save it where the last time is long ago."""
        self._unsaved = state
        pause = _SECONDS_FOR_A_LEVEL if state.draft is None else _SECONDS_BETWEEN_SAVES
        if time.monotonic() - self._saved >= max(pause, _SHARE_OF_SAVING * self._cost_seconds):
            self.save()

    def save(self) -> None:
        """Save what was noted last."""
        if self._directory is None or self._unsaved is None:
            return
        started = time.monotonic()
        with artifacts.publish_directory(self._directory) as temporary:
            artifacts.publish_bytes(temporary / _TENSORS_NAME, save_tensors(self._unsaved.tensors()))
            numbers = {**self._unsaved.numbers(), "identity": self._identity}
            artifacts.publish_json(temporary / _DESCRIPTION_NAME, numbers)
            artifacts.seal(temporary, kind=KIND, settings={"identity": self._identity})
        self._unsaved = None
        self._saved = time.monotonic()
        self._cost_seconds = self._saved - started

    def discard(self) -> None:
        """Throw away what was kept."""
        if self._directory is not None and self._directory.exists():
            artifacts.discard(self._directory)
