"""Whether the tensors of a codebook file are a codebook: shapes, types, and counts that add up."""

from collections.abc import Mapping

import torch

from videobert_cli.core.words.projection import Projection
from videobert_cli.core.words.tree import Level

# Shapes: D feature, K components, M nodes of a level, R those of them in use.


def checked_projection(tensors: Mapping[str, torch.Tensor], *, dim: int, projected_dim: int) -> Projection:
    """Return the projection that the tensors hold.

    Raises:
        ValueError: Shapes or types are not those of a projection from `dim` to `projected_dim`.
        KeyError: A tensor is missing.
    """
    mean_D, scale_D, components_KD = tensors["mean"], tensors["scale"], tensors.get("components")
    grid_K = tensors.get("grid")
    expected: list[tuple[torch.Tensor, tuple[int, ...]]] = [(mean_D, (dim,)), (scale_D, (dim,))]
    if components_KD is not None:
        expected.append((components_KD, (projected_dim, dim)))
    elif dim != projected_dim:
        raise ValueError(f"no projection from {dim} to {projected_dim} dimensions")
    if grid_K is not None:
        expected.append((grid_K, (projected_dim,)))
        if not bool((grid_K > 0).all()) or not torch.equal(
            grid_K.frexp().mantissa, torch.full_like(grid_K, 0.5)
        ):
            raise ValueError("steps of the grid that are no powers of two")
    for tensor, shape in expected:
        if tensor.shape != shape or tensor.dtype != torch.float64 or not tensor.isfinite().all():
            raise ValueError(f"projection of shape {tuple(tensor.shape)} where {shape} is due")
    return Projection(mean_D=mean_D, scale_D=scale_D, components_KD=components_KD, grid_K=grid_K)


def checked_level(
    tensors: Mapping[str, torch.Tensor], *, number: int, branching: int, above: Level | None, dim: int
) -> Level:
    """Return level `number` without its inertia.

    Raises:
        ValueError: Shapes, types or counts are not those of a level under `above`.
        KeyError: A tensor is missing.
    """
    counts_M, centroids_RD = tensors[f"usage.{number}"], tensors[f"centroids.{number}"]
    num_nodes = branching ** (number + 1)
    if counts_M.shape != (num_nodes,) or counts_M.dtype != torch.int64 or bool((counts_M < 0).any()):
        raise ValueError(f"usage of level {number} is not {num_nodes} counts")
    is_float = centroids_RD.dtype == torch.float32
    if (
        centroids_RD.shape != (int((counts_M > 0).sum()), dim)
        or not is_float
        or not centroids_RD.isfinite().all()
    ):
        raise ValueError(f"centroids of level {number} are not one finite row of {dim} for each node in use")
    per_parent = counts_M.view(-1, branching).sum(dim=1)
    if above is not None and not torch.equal(per_parent, above.counts_M.cpu()):
        raise ValueError(f"usage of level {number} does not add up to that of the level above")
    if not len(centroids_RD):
        raise ValueError(f"level {number} has no node in use")
    return Level(counts_M=counts_M, centroids_RD=centroids_RD, inertia=0.0)
