"""Tiny random models of transformers' families, saved with their processors' settings as the hub has them: no network."""

import json
from pathlib import Path

import torch
import transformers

SIZE = 32
NUM_FRAMES = 4
_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_VISION = {**_TINY, "image_size": SIZE, "patch_size": 16}
_TEXT = {**_TINY, "num_hidden_layers": 1, "vocab_size": 99}
_ROPE = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2.0}
_PREDICTOR = {"pred_hidden_size": 48, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
_MIT = {
    "mit_hidden_size": 24,
    "mit_intermediate_size": 48,
    "mit_num_hidden_layers": 1,
    "mit_num_attention_heads": 2,
}
_XVISION = {**_VISION, **_MIT, "num_frames": NUM_FRAMES}
# model_type: the class as published (with heads, or with a text side), its configuration's class, the configuration.
_MODELS = {
    "videomae": ("VideoMAEForVideoClassification", "VideoMAEConfig", {**_VISION, "num_frames": NUM_FRAMES}),
    "timesformer": (
        "TimesformerForVideoClassification",
        "TimesformerConfig",
        {**_VISION, "num_frames": NUM_FRAMES},
    ),
    "vivit": ("VivitForVideoClassification", "VivitConfig", {**_VISION, "num_frames": NUM_FRAMES}),
    "vjepa2": (
        "VJEPA2Model",
        "VJEPA2Config",
        {**_ROPE, **_PREDICTOR, "crop_size": SIZE, "frames_per_clip": NUM_FRAMES},
    ),
    "xclip": (
        "XCLIPModel",
        "XCLIPConfig",
        {
            "vision_config": _XVISION,
            "text_config": _TEXT,
            "projection_dim": 24,
            "prompt_num_attention_heads": 2,
        },
    ),
    "clip": ("CLIPModel", "CLIPConfig", {"vision_config": _VISION, "text_config": _TEXT}),
    "siglip": ("SiglipModel", "SiglipConfig", {"vision_config": _VISION, "text_config": _TEXT}),
    "dinov2": ("Dinov2Model", "Dinov2Config", {**_VISION, "image_size": 3 * SIZE}),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", _VISION),
    "dinov3_vit": ("DINOv3ViTModel", "DINOv3ViTConfig", {**_VISION, "num_register_tokens": 2}),
    "vit": ("ViTForImageClassification", "ViTConfig", _VISION),
}
VIDEO_MODELS = ("videomae", "timesformer", "vivit", "vjepa2", "xclip")
IMAGE_MODELS = ("clip", "siglip", "dinov2", "dinov2_with_registers", "dinov3_vit", "vit")
_SHORT = {
    "size": {"shortest_edge": SIZE},
    "crop_size": {"height": SIZE, "width": SIZE},
    "do_center_crop": True,
}
_SQUARE = {"size": {"height": SIZE, "width": SIZE}}
_OPENAI = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
# As the files on the hub are: older ones name a feature extractor and leave out what equals the defaults.
PROCESSORS = {
    "videomae": {"feature_extractor_type": "VideoMAEFeatureExtractor", **_SHORT, **_IMAGENET, "resample": 2},
    "timesformer": {"image_processor_type": "VideoMAEImageProcessor", **_SHORT, "image_mean": [0.45] * 3, "image_std": [0.225] * 3},
    "vivit": {
        "image_processor_type": "VivitImageProcessor", **_SHORT, **_HALF, "size": {"shortest_edge": 40},
        "rescale_factor": 1 / 127.5, "offset": True,
    },
    "vjepa2": {"video_processor_type": "VJEPA2VideoProcessor", "crop_size": SIZE, "size": {"shortest_edge": 36}, **_IMAGENET},
    "xclip": {"feature_extractor_type": "VideoMAEFeatureExtractor", **_SHORT, **_IMAGENET, "size": SIZE, "crop_size": SIZE},
    "clip": {"feature_extractor_type": "CLIPFeatureExtractor", "size": SIZE, "crop_size": SIZE, **_OPENAI, "resample": 3},
    "siglip": {"image_processor_type": "SiglipImageProcessor", **_SQUARE, **_HALF, "resample": 3},
    "dinov2": {
        "image_processor_type": "BitImageProcessor", **_SHORT, **_IMAGENET, "size": {"shortest_edge": 40}, "resample": 3,
    },
    "dinov2_with_registers": {"image_processor_type": "BitImageProcessor", **_SHORT, **_IMAGENET, "resample": 3},
    "dinov3_vit": {"image_processor_type": "DINOv3ViTImageProcessorFast", **_SQUARE, **_IMAGENET},
    "vit": {"image_processor_type": "ViTImageProcessor", "size": SIZE},
}  # fmt: skip


def make_model(directory: Path, model_type: str, *, seed: int = 0, **changes: object) -> Path:
    """Save a random model with spread-out weights and its processor's settings; return the directory."""
    class_name, config_name, values = _MODELS[model_type]
    torch.manual_seed(seed)
    model = getattr(transformers, class_name)(
        getattr(transformers, config_name)(**{**values, **changes})
    ).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
    model.save_pretrained(directory)
    kind = "video_preprocessor_config.json" if model_type == "vjepa2" else "preprocessor_config.json"
    (directory / kind).write_text(json.dumps(PROCESSORS[model_type]))
    return directory


def published_class(model_type: str) -> type[torch.nn.Module]:
    """Return the class under which a model was saved."""
    return getattr(transformers, _MODELS[model_type][0])
