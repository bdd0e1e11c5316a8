"""A confusion matrix as a picture: a row a true class, a column an answer, darker where it happened more often.

Shapes: C classes.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from videobert_cli.core.reports.sheet import fitted, font

if TYPE_CHECKING:
    from PIL import Image

# In pixels.
_CELL, _SMALL_CELL, _MARGIN, _LABEL = 34, 8, 20, 140
_MOST_NAMED = 60
_LIGHT, _DARK = np.array([0xF4, 0xF7, 0xFA]), np.array([0x10, 0x3A, 0x66])
_TEXT, _FAINT, _PAGE = "#1d1f21", "#5c6166", "#fbfbfa"


def confusion_png(counts_CC: np.ndarray, *, classes: Sequence[str], title: str) -> bytes:
    """Return the picture of counts (true class, answer); names and numbers are left out of more than 60 classes."""
    from PIL import Image, ImageDraw

    num = len(classes)
    is_named = num <= _MOST_NAMED
    cell, label = (_CELL, _LABEL) if is_named else (_SMALL_CELL, 0)
    left, top = _MARGIN + label, _MARGIN + 40 + label
    canvas = Image.new("RGB", (max(left + num * cell + _MARGIN, 420), top + num * cell + _MARGIN + 24), _PAGE)
    draw = ImageDraw.Draw(canvas)
    draw.text(
        (_MARGIN, _MARGIN),
        fitted(title, font(16, bold=True), width=canvas.width - 2 * _MARGIN),
        font=font(16, bold=True),
        fill=_TEXT,
    )
    totals_C = np.maximum(counts_CC.sum(axis=1), 1)
    for row in range(num):
        for column in range(num):
            share = counts_CC[row, column] / totals_C[row]
            colour = tuple(int(value) for value in _LIGHT + share * (_DARK - _LIGHT))
            x, y = left + column * cell, top + row * cell
            draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=colour)
            if is_named and counts_CC[row, column]:
                ink = "#ffffff" if share > 0.5 else _TEXT
                middle = (x + cell // 2 - 1, y + cell // 2 - 1)
                draw.text(middle, str(counts_CC[row, column]), font=font(12), fill=ink, anchor="mm")
    if is_named:
        for number, name in enumerate(classes):
            shown = fitted(name, font(13), width=label - 12)
            draw.text(
                (left - 8, top + number * cell + cell // 2), shown, font=font(13), fill=_TEXT, anchor="rm"
            )
            _draw_upright(canvas, shown, left=left + number * cell, bottom=top - 8)
    draw.text((left, top + num * cell + 6), "rows: true, columns: answered", font=font(12), fill=_FAINT)
    stream = io.BytesIO()
    canvas.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _draw_upright(canvas: "Image.Image", text: str, *, left: int, bottom: int) -> None:
    """Draw a column's name from below upwards."""
    from PIL import Image, ImageDraw

    width = int(font(13).getlength(text)) + 2
    lying = Image.new("RGB", (width, 18), _PAGE)
    ImageDraw.Draw(lying).text((0, 1), text, font=font(13), fill=_TEXT)
    canvas.paste(lying.rotate(90, expand=True), (left + (_CELL - 18) // 2, bottom - width))
