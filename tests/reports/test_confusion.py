"""The confusion matrix as a picture: darker where more, names where they can be read."""

import io

import numpy as np
from PIL import Image

from videobert_cli.core.reports.confusion import confusion_png


def pixels(counts, **options):
    data = confusion_png(np.array(counts), **options)
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)


def test_what_happens_more_often_is_darker() -> None:
    image = pixels([[8, 2], [0, 10]], classes=["cut", "fry"], title="verb")
    corner = (20 + 40 + 140 + 3, 20 + 140 + 3)
    shades = [
        [image[corner[0] + 34 * row, corner[1] + 34 * column] for column in range(2)] for row in range(2)
    ]
    assert shades[1][1] < shades[0][0] < shades[0][1] < shades[1][0]


def test_many_classes_make_a_picture_without_names_that_stays_small() -> None:
    num = 120
    image = pixels(np.eye(num, dtype=int), classes=[f"class {n}" for n in range(num)], title="x" * 500)
    assert image.shape[1] == 2 * 20 + 8 * num
