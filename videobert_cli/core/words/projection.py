"""What happens to a feature before the tree: parts scaled to equal weight, then principal components.

The projection is fitted on training features and stored with the codebook, so that a feature means the same
at use. Applied in float64: its rounding must not decide, by the size of the batch, which word a clip near a
border gets.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from videobert_cli.errors import CodebookMismatchError
from videobert_cli.runtime import derive_seed

# Shapes: N features, D feature size, K components (the size after the projection), R random directions.

_BLOCK_NUM_ROWS = 8_192
# Subspace iteration: with so many spare directions and rounds the leading components are exact to float32.
_NUM_SPARE_DIRECTIONS = 32
_NUM_ROUNDS = 12
# A component with less than this share of the total variance is the rounding of float32; whitening would blow it up.
_LEAST_VARIANCE_SHARE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Projection:
    """`(feature - mean_D) * scale_D`, then `@ components_KD.T` unless that is None; float64 on the CPU."""

    mean_D: torch.Tensor
    scale_D: torch.Tensor
    components_KD: torch.Tensor | None

    @property
    def dim(self) -> int:
        """Size of the features that come in."""
        return len(self.mean_D)

    @property
    def projected_dim(self) -> int:
        """Size of the features that go out."""
        return self.dim if self.components_KD is None else len(self.components_KD)

    @classmethod
    def identity(cls, dim: int) -> Self:
        """Return the projection that changes nothing."""
        zeros_D = torch.zeros(dim, dtype=torch.float64)
        return cls(mean_D=zeros_D, scale_D=torch.ones_like(zeros_D), components_KD=None)

    def apply(self, features_ND: np.ndarray, *, device: torch.device) -> torch.Tensor:
        """Return the projected features (N, K), float32, on `device`.

        Raises:
            CodebookMismatchError: The features have another size than those of the fit.
        """
        if features_ND.ndim != 2 or features_ND.shape[1] != self.dim:
            raise CodebookMismatchError(
                f"features of shape {features_ND.shape} do not fit a codebook of {self.dim}-d features",
                fix="extract with the codebook's backbone, or run `videobert quantize` on these features",
            )
        projected_NK = torch.empty(len(features_ND), self.projected_dim, device=device)
        mean_D, scale_D = self.mean_D.to(device), self.scale_D.to(device)
        components_KD = None if self.components_KD is None else self.components_KD.to(device)
        for start in range(0, len(features_ND), _BLOCK_NUM_ROWS):
            rows = slice(start, start + _BLOCK_NUM_ROWS)
            block_ND = (torch.from_numpy(features_ND[rows]).to(device, torch.float64) - mean_D) * scale_D
            projected_NK[rows] = block_ND if components_KD is None else block_ND @ components_KD.T
        return projected_NK


def fit_projection(
    features_ND: np.ndarray,
    *,
    parts: tuple[int, ...],
    standardize_parts: bool,
    num_components: int | None,
    whiten: bool,
    seed: int,
    device: torch.device,
) -> Projection:
    """Return the projection fitted on training features.

    With `standardize_parts` each part of the feature (consecutive, sizes `parts`) gets total variance 1.
    Principal components come by falling variance, at most as many as the data has; each component's largest
    entry is positive, so that the sign is no matter of chance. `whiten` gives each the variance 1; it needs components,
    so with `num_components` None it takes all there are.
    """
    dim = features_ND.shape[1]
    if not (standardize_parts or whiten) and num_components is None:
        return Projection.identity(dim)
    mean_D, variance_D = _moments(features_ND)
    scale_D = _part_scale(variance_D, parts) if standardize_parts else torch.ones(dim, dtype=torch.float64)
    centred = Projection(mean_D=mean_D, scale_D=scale_D, components_KD=None)
    if num_components is None and not whiten:
        return centred
    covariance_DD = _covariance(features_ND, centred, device=device)
    num_possible = max(1, min(num_components or dim, len(features_ND) - 1))
    variances_K, components_KD = _principal_components(covariance_DD, num_possible, seed=seed)
    is_real_K = variances_K > _LEAST_VARIANCE_SHARE * covariance_DD.diagonal().sum()
    is_real_K[0] = True
    variances_K, components_KD = variances_K[is_real_K], components_KD[is_real_K]
    if whiten:
        components_KD /= variances_K.clamp(min=torch.finfo(torch.float32).tiny).sqrt()[:, None]
    return Projection(mean_D=mean_D, scale_D=scale_D, components_KD=components_KD.contiguous())


def _moments(features_ND: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    blocks = [
        features_ND[start : start + _BLOCK_NUM_ROWS] for start in range(0, len(features_ND), _BLOCK_NUM_ROWS)
    ]
    mean_D = np.sum([block.sum(axis=0, dtype=np.float64) for block in blocks], axis=0) / len(features_ND)
    squares = [np.square(block.astype(np.float64) - mean_D).sum(axis=0) for block in blocks]
    return torch.from_numpy(mean_D), torch.from_numpy(np.sum(squares, axis=0) / len(features_ND))


def _part_scale(variance_D: torch.Tensor, parts: tuple[int, ...]) -> torch.Tensor:
    scales = [
        part_D.sum().rsqrt().expand(len(part_D)) if part_D.sum() > 0 else torch.ones_like(part_D)
        for part_D in torch.split(variance_D, list(parts))
    ]
    return torch.cat(scales)


def _covariance(features_ND: np.ndarray, centred: Projection, *, device: torch.device) -> torch.Tensor:
    covariance_DD = torch.zeros(centred.dim, centred.dim, dtype=torch.float64, device=device)
    for start in range(0, len(features_ND), _BLOCK_NUM_ROWS):
        block_ND = centred.apply(features_ND[start : start + _BLOCK_NUM_ROWS], device=device)
        # Products in float32, sums over blocks in float64: twice as fast, and the noise is far under the
        # tail's variance.
        covariance_DD += (block_ND.T @ block_ND).double()
    return covariance_DD.cpu() / len(features_ND)


def _principal_components(
    covariance_DD: torch.Tensor, num_components: int, *, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return variances (K,) falling and components (K, D).

    A full decomposition of 2,560 dimensions takes ten seconds on two cores; subspace iteration finds the
    leading components in one, from a start that the seed fixes.
    """
    dim = len(covariance_DD)
    num_wanted = min(num_components, dim)
    num_directions = num_wanted + _NUM_SPARE_DIRECTIONS
    if num_directions * 3 >= dim:
        variances, vectors = torch.linalg.eigh(covariance_DD)
    else:
        generator = np.random.Generator(np.random.Philox(derive_seed(seed, "pca")))
        basis_DR = torch.from_numpy(generator.standard_normal((dim, num_directions)))
        for _ in range(_NUM_ROUNDS):
            basis_DR = torch.linalg.qr(covariance_DD @ basis_DR).Q
        variances, rotation = torch.linalg.eigh(basis_DR.T @ covariance_DD @ basis_DR)
        vectors = basis_DR @ rotation
    variances_K = variances.flip(0)[:num_wanted].clamp(min=0)
    components_KD = vectors.T.flip(0)[:num_wanted]
    largest_K1 = components_KD.abs().argmax(dim=1, keepdim=True)
    return variances_K, components_KD * components_KD.gather(1, largest_K1).sign()
