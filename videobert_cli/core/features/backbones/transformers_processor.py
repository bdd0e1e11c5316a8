"""A transformers processor's settings as what the reader and the device do: resize, centre crop, scale, normalise.

The reader resizes and crops (bilinear, in FFmpeg's scaler) and hands over uint8; `(pixel - shift) / scale` follows on
the device. A setting that has no counterpart is refused, never passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from videobert_cli.core.features.backbones.transformers_families import read_object
from videobert_cli.errors import InputError, MissingInputError

PROCESSOR_NAME = "preprocessor_config.json"
_VIDEO_NAME = "video_preprocessor_config.json"
_NESTED_NAME = "processor_config.json"
_HALF = (0.5, 0.5, 0.5)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_TYPE_KEYS = ("video_processor_type", "image_processor_type", "feature_extractor_type")
_TYPE_ENDINGS = (
    "ImageProcessorFast",
    "ImageProcessorPil",
    "ImageProcessor",
    "VideoProcessor",
    "FeatureExtractor",
)
# What says nothing about the numbers, or is read elsewhere in this file.
_SILENT_KEYS = frozenset({
    *_TYPE_KEYS, "auto_map", "processor_class", "resample", "do_convert_rgb", "data_format", "input_data_format",
    "return_tensors", "model_input_names", "default_to_square", "device", "disable_grouping", "return_metadata",
    "video_metadata", "image_processor_class", "num_frames",
})  # fmt: skip
_READ_KEYS = frozenset({
    "do_resize", "size", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize", "image_mean",
    "image_std", "offset", "do_sample_frames", "fps",
})  # fmt: skip


def _defaults(
    mean: tuple[float, ...], std: tuple[float, ...], *, size: Any, resample: int, crop: int | None = None
) -> dict[str, Any]:
    return {
        "do_resize": True, "size": size, "resample": resample, "do_center_crop": crop is not None, "crop_size": crop,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": mean, "image_std": std,
        "offset": False,
    }  # fmt: skip


_SHORT = {"shortest_edge": 224}
_SQUARE = {"height": 224, "width": 224}
# transformers 5.24: what each processor takes for a setting that its file leaves out.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "VideoMAE": _defaults(_HALF, _HALF, size=_SHORT, resample=2, crop=224),
    "Timesformer": _defaults(*_IMAGENET, size=_SHORT, resample=2, crop=224),
    "Vivit": {
        **_defaults(_HALF, _HALF, size={"shortest_edge": 256}, resample=2, crop=224),
        "rescale_factor": 1 / 127.5,
        "offset": True,
    },
    "VJEPA2": _defaults(*_IMAGENET, size={"shortest_edge": 292}, resample=2, crop=256),
    "CLIP": _defaults(*_OPENAI, size=_SHORT, resample=3, crop=224),
    "Bit": _defaults(*_OPENAI, size=_SHORT, resample=3, crop=224),
    "Siglip": _defaults(_HALF, _HALF, size=_SQUARE, resample=3),
    "ViT": _defaults(_HALF, _HALF, size=_SQUARE, resample=2),
    "DINOv3ViT": _defaults(*_IMAGENET, size=_SQUARE, resample=2),
}
_INT_IS_SQUARE = frozenset({"ViT", "DINOv3ViT"})


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What becomes of a frame.

    Args:
        resize: Short side in pixels, or (height, width).
        crop_size: Side of the square cut from the centre.
        shift_rgb: Subtracted from a pixel of 0 to 255.
        scale_rgb: Divides what is left.
        interpolation: The processor's own; the reader's is bilinear.
        frames_per_second: The rate that the processor prescribes, None for none.
        settings: The processor's settings as they were read.
    """

    resize: int | tuple[int, int]
    crop_size: int
    shift_rgb: tuple[float, ...]
    scale_rgb: tuple[float, ...]
    interpolation: str
    frames_per_second: float | None
    settings: Mapping[str, Any]

    def describe(self) -> dict[str, Any]:
        """Return what the fingerprint says of it."""
        resize = {"resize_short_side": self.resize}
        if isinstance(self.resize, tuple):
            resize = {"resize_height_width": list(self.resize)}  # type: ignore[dict-item]
        return {
            **resize,
            "crop_size": self.crop_size,
            "resized_by": f"reader, bilinear (processor: {self.interpolation})",
            "shift_rgb": [round(value, 6) for value in self.shift_rgb],
            "scale_rgb": [round(value, 6) for value in self.scale_rgb],
        }


def read_preprocessing(directory: Path, *, kind: Literal["image", "video"]) -> Preprocessing:
    """Return the preprocessing that a model directory's processor settings describe.

    A video model's own file goes before the image processor's that older models have.

    Raises:
        MissingInputError: There are no processor settings.
        InputError: A setting has no counterpart here; it is named.
    """
    raw, path = _read_settings(directory, kind=kind)
    type_name = next((str(raw[key]) for key in _TYPE_KEYS if raw.get(key)), "")
    ending = next((ending for ending in _TYPE_ENDINGS if type_name.endswith(ending)), "")
    defaults = _DEFAULTS.get(type_name.removesuffix(ending)) if ending else None
    if defaults is None:
        raise InputError(
            f"the processor is of the type {type_name[:60]!r}, which is not known here",
            at=str(path),
            fix=f"name one of {', '.join(f'{name}ImageProcessor' for name in _DEFAULTS)} in it, where it is equal",
        )
    mapping = _Mapping(
        {**defaults, **{key: value for key, value in raw.items() if value is not None}}, path=path
    )
    return mapping.preprocessing(given=raw, family=type_name.removesuffix(ending))


def _read_settings(directory: Path, *, kind: Literal["image", "video"]) -> tuple[dict[str, Any], Path]:
    nested = directory / _NESTED_NAME
    parts = ["video_processor", "image_processor"] if kind == "video" else ["image_processor"]
    if nested.is_file():
        content = read_object(nested)
        for part in parts:
            if isinstance(content.get(part), dict):
                return content[part], nested
    names = [_VIDEO_NAME, PROCESSOR_NAME] if kind == "video" else [PROCESSOR_NAME]
    for name in names:
        if (directory / name).is_file():
            return read_object(directory / name), directory / name
    raise MissingInputError(
        f"the model has no processor settings: none of {', '.join([*names, _NESTED_NAME])}",
        at=str(directory),
        fix=f"save its processor beside it (processor.save_pretrained({str(directory)!r}))",
    )


class _Mapping:
    """Settings with the defaults filled in, on their way to a `Preprocessing`."""

    def __init__(self, settings: Mapping[str, Any], *, path: Path) -> None:
        self._settings = settings
        self._path = path

    def preprocessing(self, *, given: Mapping[str, Any], family: str) -> Preprocessing:
        settings = self._settings
        for key, value in settings.items():
            if key not in _READ_KEYS | _SILENT_KEYS and value not in (False, None, [], {}):
                raise self._refusal(key, "is not known here")
        if not settings["do_resize"]:
            raise self._refusal("do_resize", "leaves every video at its own size")
        crop = self._crop()
        resize = self._resize(family=family, crop=crop)
        shift_rgb, scale_rgb = self._normalisation()
        resample = settings["resample"]
        return Preprocessing(
            resize=resize,
            crop_size=crop or min(resize if isinstance(resize, tuple) else (resize,)),
            shift_rgb=shift_rgb,
            scale_rgb=scale_rgb,
            interpolation=_RESAMPLING.get(resample, "unknown")
            if isinstance(resample, int)
            else str(resample)[:20],
            frames_per_second=self._rate(),
            settings={key: value for key, value in given.items() if key != "auto_map"},
        )

    def _crop(self) -> int | None:
        if not self._settings["do_center_crop"]:
            return None
        crop = self._settings["crop_size"]
        height, width = (crop, crop) if isinstance(crop, int) else self._height_width("crop_size", crop)
        if height != width:
            raise self._refusal("crop_size", "is not square")
        return self._pixels("crop_size", height)

    def _resize(self, *, family: str, crop: int | None) -> int | tuple[int, int]:
        size = self._settings["size"]
        if family == "VJEPA2" and crop:
            # Its processor does not read the size of its own file.
            size = {"shortest_edge": int(crop * 256 / 224)}
        if isinstance(size, int):
            size = {"height": size, "width": size} if family in _INT_IS_SQUARE else {"shortest_edge": size}
        if isinstance(size, dict) and set(size) == {"shortest_edge"}:
            short = self._pixels("size", size["shortest_edge"])
            if crop is None:
                raise self._refusal("size", "keeps the shape of each video, and there is no centre crop")
            self._require_no_padding(crop, resized=short)
            return short
        height, width = self._height_width("size", size)
        if crop is None and height != width:
            raise self._refusal("size", "is not square, and there is no centre crop")
        self._require_no_padding(crop or height, resized=min(height, width))
        return height, width

    def _height_width(self, key: str, size: Any) -> tuple[int, int]:
        if not isinstance(size, dict) or set(size) != {"height", "width"}:
            raise self._refusal(
                key, "is neither a number of pixels, nor height and width, nor shortest_edge alone"
            )
        return self._pixels(key, size["height"]), self._pixels(key, size["width"])

    def _pixels(self, key: str, value: Any) -> int:
        if not isinstance(value, int) or not 1 <= value <= 4096:
            raise self._refusal(key, "is no number of pixels from 1 to 4096")
        return value

    def _require_no_padding(self, crop: int, *, resized: int) -> None:
        if crop > resized:
            raise self._refusal(
                "crop_size", f"is larger than the resized picture ({resized}): it would be padded"
            )

    def _normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return shift and scale of `(pixel * factor - offset - mean) / std` written as `(pixel - shift) / scale`."""
        settings = self._settings
        factor = settings["rescale_factor"] if settings["do_rescale"] else 1.0
        offset = 1.0 if settings["offset"] and settings["do_rescale"] else 0.0
        mean_rgb: tuple[float, ...] = (0.0,) * 3
        std_rgb: tuple[float, ...] = (1.0,) * 3
        if settings["do_normalize"]:
            mean_rgb, std_rgb = self._colours("image_mean"), self._colours("image_std")
        if not isinstance(factor, (int, float)) or factor <= 0 or min(std_rgb) <= 0:
            raise self._refusal(
                "rescale_factor" if min(std_rgb) > 0 else "image_std", "is not a number above zero"
            )
        shift_rgb = tuple((mean + offset) / factor for mean in mean_rgb)
        return shift_rgb, tuple(std / factor for std in std_rgb)

    def _colours(self, key: str) -> tuple[float, ...]:
        value = self._settings[key]
        values = [value] * 3 if isinstance(value, (int, float)) else value
        is_list = isinstance(values, (list, tuple)) and len(values) == 3
        if not is_list or not all(isinstance(item, (int, float)) for item in values):
            raise self._refusal(key, "is not three numbers")
        return tuple(float(item) for item in values)

    def _rate(self) -> float | None:
        rate = self._settings.get("fps")
        if not self._settings.get("do_sample_frames") or rate is None:
            return None
        if not isinstance(rate, (int, float)) or not 0 < rate <= 240:
            raise self._refusal("fps", "is no rate from 0 to 240")
        return float(rate)

    def _refusal(self, key: str, why: str) -> InputError:
        return InputError(
            f"the processor's {key} ({str(self._settings.get(key))[:60]}) {why}",
            at=f"{self._path}: {key}",
            fix="change that setting where the model allows it, or take another extract.backbone",
        )
