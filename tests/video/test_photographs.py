"""A camera's JPEG files as a video: their Exif data is no reason to refuse them, and says which way is up."""

import numpy as np
import pytest
from PIL import Image, ImageOps
from rendered_videos import read

ORIENTATION = 0x0112


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_with_exif_is_read_the_right_way_up(tmp_path, orientation):
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    picture[:32] = 255
    picture[:, :16, 0] = 128
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(picture).save(tmp_path / "0.jpg", exif=exif, quality=95, subsampling=0)
    batches, _ = read(tmp_path, resize=64, crop_size=64)
    with Image.open(tmp_path / "0.jpg") as image:
        upright = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    assert np.abs(batches[0].frames_FHWC[0].astype(int) - upright).max() <= 3
