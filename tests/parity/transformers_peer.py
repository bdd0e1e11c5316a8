"""Transformers' own processor and model in a process of their own: `python transformers_peer.py CLIPS OUT MODEL...`.

CLIPS holds uint8 `[N, T, H, W, C]`: `resized`, at the size the models take, or `whole`, of any size. Each MODEL
directory gives `NAME.features` (the processor told not to resize again), and of the whole frames `NAME.whole.features`
and `NAME.whole.pixels`, the pixels as resized by the processor. Its processors need torchvision, whose operators are
declared first, as for S3D.

`python transformers_peer.py --defaults OUT CLASS...` saves each processor as it is without any settings into OUT/CLASS.
"""

import sys
from pathlib import Path

import torch
import torchvision_s3d
from safetensors.torch import load_file, save_file


def processor_of(directory):
    import transformers

    if (directory / "video_preprocessor_config.json").is_file():
        return transformers.AutoVideoProcessor.from_pretrained(directory)
    return transformers.AutoImageProcessor.from_pretrained(directory)


def pixels(processor, frames_THWC, **flags):
    """Return what the processor makes of a clip's frames, [T, C, H, W]."""
    found = processor(list(frames_THWC.permute(0, 3, 1, 2)), return_tensors="pt", **flags)
    values = found["pixel_values_videos"] if "pixel_values_videos" in found else found["pixel_values"]
    return torch.as_tensor(values).to(torch.float32).reshape(-1, *values.shape[-3:])


def output(model, pixels_TCHW):
    """Return the feature of a clip as the family's own documentation takes it, from a model as it is published."""
    name = type(model).__name__
    clip = pixels_TCHW[None]
    if name == "VideoMAEForVideoClassification":
        return model.videomae(clip).last_hidden_state.mean(1)[0]
    if name == "TimesformerForVideoClassification":
        return model.timesformer(clip).last_hidden_state[0, 0]
    if name == "VivitForVideoClassification":
        return model.vivit(clip).last_hidden_state[0, 0]
    if name == "VJEPA2Model":
        return model.get_vision_features(clip).mean(1)[0]
    if name == "XCLIPModel":
        return model.get_video_features(clip).pooler_output[0]
    if name == "ViTForImageClassification":
        frames_TD = model.vit(pixels_TCHW).last_hidden_state[:, 0]
    elif name in {"CLIPModel", "SiglipModel"}:
        frames_TD = model.vision_model(pixel_values=pixels_TCHW).pooler_output
    else:
        frames_TD = model(pixels_TCHW).pooler_output
    return torch.cat([frames_TD.mean(0), frames_TD.diff(dim=0).abs().mean(0)])


def main(clips, out, *directories):
    library = torchvision_s3d.declare_missing_operators()
    import transformers

    found = {}
    given = load_file(clips)
    for directory in map(Path, directories):
        processor = processor_of(directory)
        architecture = transformers.AutoConfig.from_pretrained(directory).architectures[0]
        model = getattr(transformers, architecture).from_pretrained(directory).eval()
        name = directory.name
        with torch.inference_mode():
            for clip in given.get("resized", ()):
                pixels_TCHW = pixels(processor, clip, do_resize=False, do_center_crop=False)
                found.setdefault(f"{name}.features", []).append(output(model, pixels_TCHW))
            for clip in given.get("whole", ()):
                raw = pixels(processor, clip, do_rescale=False, do_normalize=False)
                found.setdefault(f"{name}.whole.pixels", []).append(raw)
                found.setdefault(f"{name}.whole.features", []).append(output(model, pixels(processor, clip)))
    save_file({name: torch.stack(clips) for name, clips in found.items()}, out)
    del library


def save_defaults(out, *names):
    library = torchvision_s3d.declare_missing_operators()
    import transformers

    for name in names:
        getattr(transformers, name)().save_pretrained(Path(out) / name)
    del library


if __name__ == "__main__":
    if sys.argv[1] == "--defaults":
        save_defaults(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
