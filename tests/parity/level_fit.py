"""One node's children at given places, as the fit has them: for comparison with other people's k-means."""

import numpy as np
import torch

from videobert_cli.core.words.branches import Branches
from videobert_cli.core.words.kmeans import LevelFit
from videobert_cli.core.words.points import TrainingPoints
from videobert_cli.core.words.projection import fit_projection
from videobert_cli.core.words.rows import ArrayRows
from videobert_cli.ranks import Ranks

CPU = torch.device("cpu")
ALL = torch.ones(1, dtype=torch.bool)


def go_on():
    """Nobody asks for a stop."""


def training_points(points_ND, *, max_memory_bytes=1 << 30):
    rows = ArrayRows(np.asarray(points_ND, dtype=np.float32))
    projection = fit_projection(
        rows,
        parts=(rows.dim,),
        standardize_parts=False,
        num_components=None,
        whiten=False,
        seed=0,
        device=CPU,
        ranks=Ranks(),
    )
    points = TrainingPoints(
        rows, projection=projection, device=CPU, ranks=Ranks(), max_memory_bytes=max_memory_bytes
    )
    points.measure(should_stop=go_on)
    return points


def level_fit(points_ND, centroids_KD, **options):
    """Return the fit of one node with its children at `centroids_KD`."""
    points = training_points(points_ND, **options)
    centroids_KD = torch.tensor(np.asarray(centroids_KD), dtype=torch.float32)
    branches = Branches(
        centroids_KD,
        num_children_P=torch.tensor([len(centroids_KD)]),
        parents_PD=centroids_KD.mean(dim=0, keepdim=True),
    )
    return LevelFit(points, nodes_N=torch.zeros(points.num, dtype=torch.int32), branches=branches)


def step(fit):
    """Do one iteration; return what it did to the node."""
    return fit.move(fit.sweep(ALL, should_stop=go_on))
