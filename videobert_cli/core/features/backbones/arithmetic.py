"""In which number type a backbone computes, and what of its settings changes a feature."""

from collections.abc import Mapping
from typing import Any

import torch

from videobert_cli.core.features.options import ExtractOptions, Precision
from videobert_cli.runtime import has_fast_bfloat16

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_dtype(
    precision: Precision, *, device: torch.device, on_gpu: torch.dtype = torch.bfloat16
) -> torch.dtype:
    """Return the type of the backbone's products: for `auto` `on_gpu`, on a CPU bfloat16 where fast, else float32."""
    if precision == "auto" and device.type == "cuda":
        return on_gpu if has_fast_bfloat16(device) else torch.float32
    if precision == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    return _DTYPES[precision]


def describe_extraction(options: ExtractOptions, *, backbone: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fingerprint of the features: equal fingerprints mean features that may be mixed.

    `precision` is the recipe's word, not what it came to on this machine: features of `auto` computed in
    bfloat16 and in float32 agree to a cosine above 0.999, and a model made on one machine must answer on
    another.
    """
    return {
        **backbone,
        "precision": options.precision,
        "frames_per_second": options.frames_per_second,
        "clip_num_frames": options.clip_num_frames,
        "clip_stride_frames": options.clip_stride_frames,
        "reader": options.reader.name,
    }


def fingerprint_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return what differs, as `key: found -> wanted` joined by commas; empty when nothing does."""
    keys = sorted(found.keys() | wanted.keys())
    return ", ".join(
        f"{key}: {found.get(key)!r} -> {wanted.get(key)!r}"
        for key in keys
        if found.get(key) != wanted.get(key)
    )
