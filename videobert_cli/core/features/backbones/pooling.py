"""The feature of a clip from the features of its frames.

Shapes: N clips, T frames looked at in a clip, D frame feature.
"""

import torch
from torch import Tensor


def pool_clips(features_NTD: Tensor) -> Tensor:
    """Return `[N, 2 D]`: the mean over the frames, then the mean absolute change from frame to frame.

    The second half is zero where a clip has one frame.
    """
    mean_ND = features_NTD.mean(1)
    if features_NTD.shape[1] == 1:
        return torch.cat([mean_ND, torch.zeros_like(mean_ND)], 1)
    motion_ND = (features_NTD[:, 1:] - features_NTD[:, :-1]).abs().mean(1)
    return torch.cat([mean_ND, motion_ND], 1)
