"""Real pictures and weights for the feature tests: textured moving frames, S3D with plausible batch norms."""

import numpy as np
import torch
from torch import nn

from videobert_cli.core.features.backbones.s3d import S3D
from videobert_cli.core.video.frames import ClipBatch


def moving_frames(num_frames: int, *, size: int, seed: int) -> np.ndarray:
    """Smooth texture that slides a few pixels a frame, uint8 [F, size, size, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (12, 12, 3)).astype(np.float32)
    picture = (
        nn.functional.interpolate(
            torch.from_numpy(coarse).permute(2, 0, 1)[None], size=(size, 2 * size), mode="bicubic"
        )[0]
        .permute(1, 2, 0)
        .clamp(0, 255)
        .numpy()
        .astype(np.uint8)
    )
    return np.stack([np.roll(picture, -3 * shift, axis=1)[:, :size] for shift in range(num_frames)])


def clip_batch(num_clips: int, *, num_looked_at: int, size: int = 224, seed: int = 0) -> ClipBatch:
    """Clips that share some frames, as clips of a slow video do."""
    num_frames = num_clips + num_looked_at - 1
    index = np.arange(num_clips)[:, None] + np.arange(num_looked_at)[None]
    return ClipBatch(
        frames_FHWC=moving_frames(num_frames, size=size, seed=seed),
        frame_index_NT=index.astype(np.int64),
        clip_start_seconds_N=1.5 * np.arange(num_clips, dtype=np.float64),
    )


def random_s3d_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """S3D weights as after training: batch norms with their own means, variances and scales."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = S3D()
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            module.weight.data.uniform_(0.7, 1.3, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
    return network.state_dict()
