"""The codebook: projection, tree of centroids and their fingerprint; fitted once, it names every clip's visual word."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from videobert_cli import artifacts
from videobert_cli.core.words.codebook_checks import checked_level, checked_projection
from videobert_cli.core.words.fit import FitControl, fit_tree
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.projection import Projection
from videobert_cli.core.words.rows import ArrayRows, TrainingRows
from videobert_cli.core.words.tree import Level, Step, descend, descent, filled_centroids, perplexity
from videobert_cli.errors import ArtifactError, InputError, UsageError

# Shapes: N training features, T clips, D feature, D' projected feature, M nodes of a level, K leaves.

KIND = "codebook"
CENTROIDS_NAME = "centroids.safetensors"
DESCRIPTION_NAME = "codebook.json"
MAX_NUM_WORDS = 4_000_000
_BLOCK_NUM_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class LevelStatistics:
    """One level in numbers: nodes that exist and that training points reach, their variety and what they cost."""

    level: int
    num_nodes: int
    num_used: int
    perplexity: float
    inertia: float


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """A tree of `branching ** num_levels` leaves. The ids of leaves never shift: an empty leaf keeps its id.

    `fingerprint` is that of the features it was fitted on; features with another one must not be given to it.
    """

    branching: int
    projection: Projection
    levels: tuple[Level, ...]
    fingerprint: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def num_levels(self) -> int:
        """Depth of the tree."""
        return len(self.levels)

    @property
    def num_words(self) -> int:
        """How many visual words have an id, used or not."""
        return int(self.branching**self.num_levels)

    @property
    def dim(self) -> int:
        """Size of the features that come in."""
        return self.projection.dim

    @property
    def projected_dim(self) -> int:
        """Size of the centroids."""
        return self.projection.projected_dim

    @cached_property
    def centroids_KD(self) -> np.ndarray:  # noqa: N802 - a shape suffix
        """The leaves (num_words, D'), float32, in the projected space; a dead leaf has its parent's centroid."""
        leaves: np.ndarray = filled_centroids(self.levels, branching=self.branching).cpu().numpy()
        return leaves

    @property
    def usage_K(self) -> np.ndarray:  # noqa: N802 - a shape suffix
        """How many training clips each leaf got, int64; 0 marks a dead leaf."""
        counts: np.ndarray = self.levels[-1].counts_M.cpu().numpy()
        return counts

    @property
    def device(self) -> torch.device:
        """Where the distances are computed."""
        return self.levels[0].centroids_RD.device

    @property
    def statistics(self) -> tuple[LevelStatistics, ...]:
        """Each level in numbers."""
        return tuple(
            LevelStatistics(
                level=number,
                num_nodes=len(level.counts_M),
                num_used=level.num_used,
                perplexity=perplexity(level.counts_M),
                inertia=level.inertia,
            )
            for number, level in enumerate(self.levels)
        )

    def assign(self, features_TD: np.ndarray) -> np.ndarray:
        """Return the visual word (T,) of each feature, int64, by descent of the tree.

        The words do not depend on which features come in one call, nor on the device. A dead leaf is never
        returned.

        Raises:
            CodebookMismatchError: The features have another size than those of the fit.
            InputError: A feature is not finite.
        """
        words_T = np.empty(len(features_TD), dtype=np.int64)
        for start in range(0, max(1, len(features_TD)), _BLOCK_NUM_ROWS):
            block_ND = self.projection.apply(features_TD[start : start + _BLOCK_NUM_ROWS], device=self.device)
            require_finite(block_ND)
            rows_N = descend(block_ND, steps=self._descent)
            words_T[start : start + _BLOCK_NUM_ROWS] = self._descent[-1].nodes_R[rows_N].cpu().numpy()
        return words_T

    def gives_the_words_of(self, other: Self) -> bool:
        """Return whether both give every feature the same word: the same features, projection and tree, to the bit."""
        ours, theirs = self._tensors(), other._tensors()
        return (
            artifacts.hash_json(dict(self.fingerprint)) == artifacts.hash_json(dict(other.fingerprint))
            and ours.keys() == theirs.keys()
            and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
        )

    def visual_embeddings(self) -> np.ndarray:
        """Return what initialises the model's visual rows: the leaves' centroids, a dead leaf's from its parent."""
        return self.centroids_KD.copy()

    def save(self, directory: Path, *, parents: Mapping[str, str] | None = None) -> str:
        """Write the artifact `codebook` at `directory`, replacing what is there; return its content hash.

        Only rows of live nodes are stored, so a codebook fitted on little data is a small file.
        """
        with artifacts.publish_directory(directory) as temporary:
            artifacts.publish_bytes(temporary / CENTROIDS_NAME, save_tensors(self._tensors()))
            artifacts.publish_json(temporary / DESCRIPTION_NAME, self._description())
            last = self.statistics[-1]
            manifest = artifacts.seal(
                temporary,
                kind=KIND,
                settings=self.settings,
                parents=parents,
                facts={"num_words": self.num_words, "num_used": last.num_used, "perplexity": last.perplexity},
            )
        return manifest.content_hash

    @classmethod
    def load(cls, directory: Path, *, device: torch.device | None = None) -> Self:
        """Return the codebook at `directory`, its tensors on `device` (the CPU when None).

        Raises:
            ArtifactError: The artifact is damaged, of another kind, or its parts do not fit each other.
        """
        artifacts.require_intact(directory, kind=KIND)
        try:
            description = json.loads((directory / DESCRIPTION_NAME).read_text(encoding="utf-8"))
            tensors = load_tensors((directory / CENTROIDS_NAME).read_bytes())
            return cls._from_parts(description, tensors, device=device or torch.device("cpu"))
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise ArtifactError(
                f"the codebook's parts do not fit each other ({error})",
                at=str(directory),
                fix="run `videobert quantize` again, or copy the codebook afresh",
            ) from error

    @cached_property
    def _descent(self) -> tuple[Step, ...]:
        return descent(self.levels, branching=self.branching)

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {"mean": self.projection.mean_D, "scale": self.projection.scale_D}
        if self.projection.components_KD is not None:
            tensors["components"] = self.projection.components_KD
        if self.projection.grid_K is not None:
            tensors["grid"] = self.projection.grid_K
        for number, level in enumerate(self.levels):
            tensors[f"usage.{number}"] = level.counts_M
            tensors[f"centroids.{number}"] = level.centroids_RD
        return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}

    def _description(self) -> dict[str, Any]:
        return {
            "branching": self.branching,
            "num_levels": self.num_levels,
            "num_words": self.num_words,
            "dim": self.dim,
            "projected_dim": self.projected_dim,
            "fingerprint": dict(self.fingerprint),
            "settings": dict(self.settings),
            "levels": [asdict(statistics) for statistics in self.statistics],
        }

    @classmethod
    def _from_parts(
        cls, description: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], *, device: torch.device
    ) -> Self:
        branching, num_levels = int(description["branching"]), int(description["num_levels"])
        if branching < 2 or num_levels < 1 or branching ** min(num_levels, 32) > MAX_NUM_WORDS:
            raise ValueError(f"a tree of {branching} children and {num_levels} levels is not possible")
        projection = checked_projection(
            tensors, dim=description["dim"], projected_dim=description["projected_dim"]
        )
        levels: list[Level] = []
        for number in range(num_levels):
            above = levels[-1] if levels else None
            level = checked_level(
                tensors, number=number, branching=branching, above=above, dim=projection.projected_dim
            )
            inertia = float(description["levels"][number]["inertia"])
            levels.append(
                Level(
                    counts_M=level.counts_M.to(device),
                    centroids_RD=level.centroids_RD.to(device),
                    inertia=inertia,
                )
            )
        return cls(
            branching=branching,
            projection=projection,
            levels=tuple(levels),
            fingerprint=dict(description["fingerprint"]),
            settings=dict(description["settings"]),
        )


def fit_codebook(
    features: np.ndarray | TrainingRows,
    *,
    options: QuantizeOptions,
    parts: tuple[int, ...],
    fingerprint: Mapping[str, Any],
    seed: int,
    device: torch.device,
    control: FitControl | None = None,
) -> Codebook:
    """Return the codebook fitted on training features (N, D), float16 or float32; the order of the rows matters.

    Any number of features from 1 up will do: nodes with fewer distinct points than `branching` get dead
    children. What `control` says (memory, ranks, where an unfinished fit is kept) changes no bit of the result.

    Raises:
        InputError: There are no features, or some are not finite.
        UsageError: The tree would have more leaves than any model can embed.
        InterruptedRunError: `control` asked for a stop; what was done is kept.
    """
    rows = ArrayRows(features) if isinstance(features, np.ndarray) else features
    _check_fit(rows, options=options, parts=parts)
    # The k-means and its tie-breaks need float64, which Apple's GPUs do not have.
    device = torch.device("cpu") if device.type == "mps" else device
    projection, levels = fit_tree(
        rows, options=options, parts=parts, seed=seed, device=device, control=control or FitControl()
    )
    return Codebook(
        branching=options.branching,
        projection=projection,
        levels=levels,
        fingerprint=dict(fingerprint),
        settings={**options.settings(), "seed": seed},
    )


def require_finite(features_ND: torch.Tensor) -> None:
    """Refuse features that are not numbers: they would all be given one word, silently."""
    num_bad = int((~torch.isfinite(features_ND)).any(dim=1).sum())
    if num_bad:
        raise InputError(
            f"{num_bad} of {len(features_ND)} features are not finite numbers",
            fix="remove the item from the feature store and run `videobert extract` again",
        )


# --- details --------------------------------------------------------------------------------------------


def _check_fit(rows: TrainingRows, *, options: QuantizeOptions, parts: tuple[int, ...]) -> None:
    num_words = options.branching**options.num_levels
    if num_words > MAX_NUM_WORDS:
        raise UsageError(
            f"branching {options.branching} ** num_levels {options.num_levels} makes {num_words:,} words, more than "
            f"{MAX_NUM_WORDS:,}",
            at="quantize.branching, quantize.num_levels",
            fix="use the paper's --set quantize.branching=12 --set quantize.num_levels=4",
        )
    if rows.num_rows == 0:
        raise InputError(
            "there is not one feature to fit the codebook on",
            at="the videos of the train split",
            fix="see quarantine.jsonl in the feature store; give data.videos at least one readable training video, or "
            "set data.validation_fraction and data.test_fraction to 0",
        )
    if sum(parts) != rows.dim:
        raise InputError(f"the parts {parts} of a feature do not add up to its size {rows.dim}")
