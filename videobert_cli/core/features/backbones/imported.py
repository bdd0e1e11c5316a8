"""Features made elsewhere: what a store and a model say of them, and that no video can be turned into one here.

Shapes: N clips, D feature.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.features.backbones.registry import OPTIONS_NAME
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.frames import ClipBatch, FrameRequest
from videobert_cli.errors import ArtifactError, InputError

ORIGIN = "imported"


def imported_fingerprint(name: str, *, clip_seconds: float) -> dict[str, Any]:
    """Return the fingerprint of features that came as files: the user's name for what made them, and their rate.

    Nothing is known of weights, preprocessing or frames, so nothing is said of them.
    """
    return {
        "origin": ORIGIN,
        "backbone": name,
        "clip_seconds": clip_seconds,
        "clip_stride_seconds": clip_seconds,
    }


def is_imported(fingerprint: Mapping[str, Any]) -> bool:
    """Return whether features of this fingerprint were made elsewhere."""
    return fingerprint.get("origin") == ORIGIN


class ImportedBackbone:
    """Stands where a model directory wants its backbone (`registry.Backbone`), and computes nothing."""

    def __init__(self, fingerprint: Mapping[str, Any], *, dim: int, at: str = "") -> None:
        self.name = str(fingerprint["backbone"])
        self.dim = dim
        self.parts: tuple[int, ...] = (dim,)
        self.fingerprint = dict(fingerprint)
        self.state: Mapping[str, Tensor] = {}
        self.dtype = torch.float16
        self._at = at

    def frame_request(self, options: ExtractOptions) -> FrameRequest:  # noqa: ARG002 - the protocol's
        """Refuse: there is no network to ask frames for."""
        raise self.refusal()

    def features(self, batch: ClipBatch) -> np.ndarray:  # noqa: ARG002 - the protocol's
        """Refuse: there is no network."""
        raise self.refusal()

    def refusal(self) -> InputError:
        """Return the error that says why a raw video cannot be used."""
        return InputError(
            f"the model was trained on features made elsewhere ({self.name!r}), "
            "and what made them is not part of it: it cannot look at a raw video",
            at=self._at,
            fix="measure it on imported features: videobert evaluate RECIPE; "
            "or train on features that videobert makes: a recipe without extract.features",
        )


def read_imported(directory: Path, *, dim: int) -> ImportedBackbone | None:
    """Return what a model directory has in a backbone's place where it was trained on imported features, else None.

    `dim` is the size of a feature, which the directory's codebook knows.

    Raises:
        ArtifactError: The directory does not say how its features are made.
    """
    path = directory / OPTIONS_NAME
    try:
        fingerprint = json.loads(path.read_text(encoding="utf-8")).get("fingerprint", {})
    except (OSError, ValueError, AttributeError) as error:
        raise ArtifactError(f"extractor.json cannot be read ({error})", at=str(path)) from error
    if not is_imported(fingerprint):
        return None
    return ImportedBackbone(fingerprint, dim=dim, at=str(directory))
