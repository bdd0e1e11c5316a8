"""A decoded frame as RGB: its colours against exact arithmetic, and that it is let go."""

import gc

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from rendered_videos import render, request
from torch.nn.functional import interpolate

from videobert_cli.core.video.picture import PictureMaker

# Red's and blue's share of the luma, by standard.
SHARES = {Colorspace.ITU601: (0.299, 0.114), Colorspace.ITU709: (0.2126, 0.0722)}
WIDTH, HEIGHT, SIZE = 320, 240, 128


def planes(rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Luma and the two half-size chromas of a picture that is smooth, colourful and within the video range."""
    sizes = [(HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2)]
    ranges = [(70, 180), (96, 160), (96, 160)]
    coarse = [torch.from_numpy(rng.uniform(*span, (1, 1, 12, 16))) for span in ranges]
    fine = [interpolate(c, size=size, mode="bicubic") for c, size in zip(coarse, sizes, strict=True)]
    return [plane[0, 0].round().clamp(16, 235).byte().numpy() for plane in fine]


def exact_rgb(yuv: list[NDArray[np.uint8]], *, shares: tuple[float, float]) -> NDArray[np.float64]:
    """The same resized by torch's bilinear filter and turned into colours as the standards' formulas say."""
    resized = [
        interpolate(
            torch.from_numpy(plane).double()[None, None], (SIZE, SIZE), mode="bilinear", antialias=True
        )
        for plane in yuv
    ]
    y, u, v = (resized[0] - 16) * 255 / 219, *((plane - 128) * 255 / 224 for plane in resized[1:])
    red, blue = shares
    green = 1 - red - blue
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / green
    return torch.cat([r, g, b], dim=1)[0].permute(1, 2, 0).clamp(0, 255).numpy()


@pytest.mark.parametrize("colorspace", list(SHARES))
def test_colours_are_those_of_exact_arithmetic_within_half_a_level(colorspace: Colorspace) -> None:
    yuv = planes(np.random.default_rng(0))
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, values in zip(frame.planes, yuv, strict=True):
        rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
        rows[: values.shape[0], : values.shape[1]] = values
    frame.colorspace, frame.color_range = colorspace, ColorRange.MPEG
    asked = request(resize=(SIZE, SIZE), crop_size=SIZE)
    found = PictureMaker(asked).rgb(frame, sample_aspect=None)
    assert found.flags.c_contiguous
    assert np.abs(found - exact_rgb(yuv, shares=SHARES[colorspace])).mean() < 0.5


def test_a_frame_is_let_go_without_the_collector(tmp_path):
    path = render(tmp_path / "a.mp4", times=range(0, 4000, 40), options={"g": "50"})
    maker = PictureMaker(request())
    gc.collect()
    gc.disable()
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                maker.rgb(frame, sample_aspect=None)
        held = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert held <= 4, "only key frames are asked for their side data"
