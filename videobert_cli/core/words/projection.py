"""What happens to a feature before the tree: parts scaled to equal weight, principal components, rounding to a grid.

The projection is fitted on training features and stored with the codebook, so that a feature means the same
at use. Applied in float64: its rounding must not decide, by the size of the batch, which word a clip near a
border gets.

The grid has 2^21 steps for each dimension, from minus the largest training value to plus it. On it a sum of sixteen
points is exact in float32, and one of billions in float64: sums do not depend on their order any more, so neither
does the codebook on blocks, threads or ranks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from videobert_cli.core.words.rows import TILE_NUM_ROWS, TrainingRows, tiles
from videobert_cli.errors import CodebookMismatchError, InputError
from videobert_cli.ranks import Ranks
from videobert_cli.runtime import derive_seed

# Shapes: N features, D feature size, K components (the size after the projection), R random directions.

# So many bits has the largest value of a dimension on its grid, in units of a step, and so many points may be summed in
# float32 (24 bits) without rounding.
_GRID_BITS = 20
EXACT_NUM_POINTS = 16
# What one operation after another is done to should stay in a processor's cache.
_CACHED_ELEMENTS = 1 << 18
# Subspace iteration: with so many spare directions and rounds the leading components are exact to float32.
_NUM_SPARE_DIRECTIONS = 32
_NUM_ROUNDS = 12
# A component with less than this share of the total variance is the rounding of float32; whitening would blow it up.
_LEAST_VARIANCE_SHARE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Projection:
    """`(feature - mean_D) * scale_D`, then `@ components_KD.T` unless that is None, then rounding to multiples of
    `grid_K`.

    Float64 on the CPU. Codebooks made before there was a grid have none.
    """

    mean_D: torch.Tensor
    scale_D: torch.Tensor
    components_KD: torch.Tensor | None
    grid_K: torch.Tensor | None = None

    @property
    def dim(self) -> int:
        """Size of the features that come in."""
        return len(self.mean_D)

    @property
    def projected_dim(self) -> int:
        """Size of the features that go out."""
        return self.dim if self.components_KD is None else len(self.components_KD)

    @property
    def is_plain(self) -> bool:
        """Whether features only get rounded."""
        is_same = bool((self.mean_D == 0).all()) and bool((self.scale_D == 1).all())
        return self.components_KD is None and is_same

    @classmethod
    def identity(cls, dim: int) -> Self:
        """Return the projection that changes nothing."""
        zeros_D = torch.zeros(dim, dtype=torch.float64)
        return cls(mean_D=zeros_D, scale_D=torch.ones_like(zeros_D), components_KD=None)

    def apply(
        self, features_ND: np.ndarray, *, device: torch.device, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the projected features (N, K), float32, on `device`: `out` where that is given.

        Raises:
            CodebookMismatchError: The features have another size than those of the fit.
        """
        if features_ND.ndim != 2 or features_ND.shape[1] != self.dim:
            raise CodebookMismatchError(
                f"features of shape {features_ND.shape} do not fit a codebook of {self.dim}-d features",
                fix="extract with the codebook's backbone, or run `videobert quantize` on these features",
            )
        projected_NK = out
        if projected_NK is None:
            projected_NK = torch.empty(len(features_ND), self.projected_dim, device=device)
        project = self._plain(device) if self.is_plain else self._project(device)
        step = len(features_ND) if device.type == "cuda" else max(1, _CACHED_ELEMENTS // self.dim)
        for start in range(0, len(features_ND), max(1, step)):
            rows = slice(start, start + step)
            projected_NK[rows] = project(torch.from_numpy(features_ND[rows]).to(device))
        return projected_NK

    def _plain(self, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the rounding alone: exact in float32 too, as the steps of the grid are powers of two."""
        if self.grid_K is None:
            return lambda block_ND: block_ND.float()
        grid_K = self.grid_K.to(device, torch.float32)
        steps_K = (1 / self.grid_K).to(device, torch.float32)
        return lambda block_ND: torch.mul(block_ND, steps_K).round_().mul_(grid_K)

    def _project(self, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
        mean_D, scale_D = self.mean_D.to(device), self.scale_D.to(device)
        components_KD = None if self.components_KD is None else self.components_KD.to(device)
        grid_K = None if self.grid_K is None else self.grid_K.to(device)

        def project(block_ND: torch.Tensor) -> torch.Tensor:
            block_ND = block_ND.double().sub_(mean_D).mul_(scale_D)
            block_NK = block_ND if components_KD is None else block_ND @ components_KD.T
            return block_NK if grid_K is None else block_NK.div_(grid_K).round_().mul_(grid_K)

        return project


def fit_projection(
    rows: TrainingRows,
    *,
    parts: tuple[int, ...],
    standardize_parts: bool,
    num_components: int | None,
    whiten: bool,
    seed: int,
    device: torch.device,
    ranks: Ranks,
) -> Projection:
    """Return the projection fitted on training features, which are read three to five times.

    With `standardize_parts` each part of the feature (consecutive, sizes `parts`) gets total variance 1.
    Principal components come by falling variance, at most as many as the data has; each component's largest
    entry is positive, so that the sign is no matter of chance. `whiten` gives each the variance 1; it needs components,
    so with `num_components` None it takes all there are.

    Raises:
        InputError: A feature is not finite.
    """
    plain = Projection.identity(rows.dim)
    largest_D = _largest(rows, plain, device=device, ranks=ranks)
    if not (standardize_parts or whiten) and num_components is None:
        return replace(plain, grid_K=_grid(largest_D))
    mean_D, variance_D = _moments(rows, largest_D, ranks=ranks)
    scale_D = _part_scale(variance_D, parts) if standardize_parts else torch.ones_like(mean_D)
    projection = replace(plain, mean_D=mean_D, scale_D=scale_D)
    if num_components is not None or whiten:
        covariance_DD = _covariance(rows, projection, largest_D=largest_D, device=device, ranks=ranks)
        num_possible = max(1, min(num_components or rows.dim, rows.num_rows - 1))
        components_KD = _components(covariance_DD, num_possible, whiten=whiten, seed=seed)
        # One process's: the decomposition may round otherwise on another machine.
        projection = replace(projection, components_KD=ranks.say(components_KD))
    return replace(projection, grid_K=_grid(_largest(rows, projection, device=device, ranks=ranks)))


def exact_unit(largest: float | torch.Tensor, *, num_terms: int) -> torch.Tensor:
    """Return a power of two: float64 sums up `num_terms` multiples of it, none above `largest`, without rounding."""
    bound = torch.as_tensor(largest, dtype=torch.float64).clamp(min=1e-250) * max(1, num_terms)
    return torch.exp2(torch.ceil(torch.log2(bound)) - 52)


def rounded_to(values: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Return the float64 values as multiples of a power of two; they are written on."""
    return values.div_(unit).round_().mul_(unit)


def _grid(largest_K: torch.Tensor) -> torch.Tensor:
    """Return the step of each dimension's grid; a dimension that is always 0 gets a step of 1."""
    steps_K = torch.exp2(torch.ceil(torch.log2(largest_K)) - _GRID_BITS)
    # Float32 must be able to hold the step and its inverse.
    return torch.where(largest_K > 0, steps_K, 1.0).clamp(min=2.0**-100, max=2.0**100)


def _largest(
    rows: TrainingRows, projection: Projection, *, device: torch.device, ranks: Ranks
) -> torch.Tensor:
    """Return the largest absolute value (K,) of each projected dimension, float64."""
    largest_K = torch.zeros(projection.projected_dim, device=device)
    num_bad = 0
    # One for all tiles: memory that comes and goes is paid for page by page.
    block_NK = torch.empty(min(TILE_NUM_ROWS, rows.num_rows), projection.projected_dim, device=device)
    for start, stop in tiles(*ranks.share(rows.num_rows, unit=TILE_NUM_ROWS)):
        block_NK = projection.apply(rows.read(start, stop), device=device, out=block_NK[: stop - start])
        block_largest_K = block_NK.abs_().amax(dim=0)
        if not bool(torch.isfinite(block_largest_K).all()):
            num_bad += int((~torch.isfinite(block_NK)).any(dim=1).sum())
        largest_K = torch.maximum(largest_K, block_largest_K)
    num_bad = sum(ranks.gather(num_bad))
    if num_bad:
        raise InputError(
            f"{num_bad} of {rows.num_rows} features are not finite numbers",
            fix="remove the item from the feature store and run `videobert extract` again",
        )
    return ranks.largest(largest_K).cpu().double()


def _moments(
    rows: TrainingRows, largest_D: torch.Tensor, *, ranks: Ranks
) -> tuple[torch.Tensor, torch.Tensor]:
    share, count = ranks.share(rows.num_rows, unit=TILE_NUM_ROWS), rows.num_rows
    unit_D = exact_unit(largest_D, num_terms=count)
    sums_D = torch.zeros_like(largest_D)
    for start, stop in tiles(*share):
        sums_D += rounded_to(torch.from_numpy(rows.read(start, stop)).double().sum(dim=0), unit_D)
    mean_D = ranks.sum(sums_D) / count
    unit_D = exact_unit(4 * largest_D.square(), num_terms=count)
    squares_D = torch.zeros_like(largest_D)
    for start, stop in tiles(*share):
        block_ND = torch.from_numpy(rows.read(start, stop)).double().sub_(mean_D)
        squares_D += rounded_to(block_ND.square_().sum(dim=0), unit_D)
    return mean_D, ranks.sum(squares_D) / count


def _part_scale(variance_D: torch.Tensor, parts: tuple[int, ...]) -> torch.Tensor:
    scales = [
        part_D.sum().rsqrt().expand(len(part_D)) if part_D.sum() > 0 else torch.ones_like(part_D)
        for part_D in torch.split(variance_D, list(parts))
    ]
    return torch.cat(scales)


def _covariance(
    rows: TrainingRows,
    centred: Projection,
    *,
    largest_D: torch.Tensor,
    device: torch.device,
    ranks: Ranks,
) -> torch.Tensor:
    largest = float((2 * largest_D * centred.scale_D).max())
    unit = exact_unit(largest**2 * TILE_NUM_ROWS, num_terms=-(-rows.num_rows // TILE_NUM_ROWS)).to(device)
    covariance_DD = torch.zeros(centred.dim, centred.dim, dtype=torch.float64, device=device)
    for start, stop in tiles(*ranks.share(rows.num_rows, unit=TILE_NUM_ROWS)):
        block_ND = centred.apply(rows.read(start, stop), device=device)
        # Products in float32, sums over blocks in float64: twice as fast, and the noise is far under the
        # tail's variance.
        covariance_DD += rounded_to((block_ND.T @ block_ND).double(), unit)
    return ranks.sum(covariance_DD).cpu() / rows.num_rows


def _components(covariance_DD: torch.Tensor, num_components: int, *, whiten: bool, seed: int) -> torch.Tensor:
    variances_K, components_KD = _principal_components(covariance_DD, num_components, seed=seed)
    is_real_K = variances_K > _LEAST_VARIANCE_SHARE * covariance_DD.diagonal().sum()
    is_real_K[0] = True
    variances_K, components_KD = variances_K[is_real_K], components_KD[is_real_K]
    if whiten:
        components_KD /= variances_K.clamp(min=torch.finfo(torch.float32).tiny).sqrt()[:, None]
    return components_KD.contiguous()


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
