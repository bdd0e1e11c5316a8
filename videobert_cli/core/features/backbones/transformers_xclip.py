"""X-CLIP without its text side: frames to one embedding of the clip, as its `get_video_features` computes it.

Shapes: N clips, T frames, C colours, H height, W width, D embedding.
"""

import copy
from typing import Any

from torch import Tensor, nn
from transformers import XCLIPConfig, XCLIPPreTrainedModel, XCLIPVisionModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.x_clip.modeling_x_clip import XCLIPMultiframeIntegrationTransformer


class XClipVideo(XCLIPPreTrainedModel):
    """The vision tower, its projection and the transformer over frames, by the names of `XCLIPModel`."""

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__(config)
        vision: Any = config.vision_config
        self.vision_model = XCLIPVisionModel(vision)
        self.visual_projection = nn.Linear(vision.hidden_size, config.projection_dim, bias=False)
        over_frames = copy.copy(vision)
        over_frames.hidden_size = vision.mit_hidden_size
        over_frames.intermediate_size = vision.mit_intermediate_size
        over_frames.num_hidden_layers = vision.mit_num_hidden_layers
        over_frames.num_attention_heads = vision.mit_num_attention_heads
        self.mit = XCLIPMultiframeIntegrationTransformer(over_frames)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Return an output whose `pooler_output` is `[N, D]`, of pictures `[N, T, C, H, W]`."""
        num_clips, num_frames = pixel_values.shape[:2]
        seen = self.vision_model(pixel_values=pixel_values.flatten(0, 1)).pooler_output
        frames_NTD = self.visual_projection(seen).view(num_clips, num_frames, -1)
        found: BaseModelOutputWithPooling = self.mit(frames_NTD)
        return found
