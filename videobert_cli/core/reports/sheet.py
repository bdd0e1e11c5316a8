"""Sheets of pictures: rows of clips with captions, drawn once as a PNG and once as a page of HTML."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from videobert_cli.core.reports.html import jpeg_bytes, render_page

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

Form = Literal["png", "html"]

# In pixels.
_CELL, _GAP, _MARGIN = 160, 10, 24
_LINE, _SMALL, _TITLE, _HEAD = 18, 13, 22, 16
_PAGE, _TEXT, _FAINT, _EMPTY, _FRAME = "#fbfbfa", "#1d1f21", "#5c6166", "#eef2f6", "#dcdcd8"
_FOR, _AGAINST, _BAR = "#1a5fb4", "#c0622b", 8
_MOST_CELLS_A_ROW = 8


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A clip: its picture as a `data:` address of a JPEG, None where there is none, and short lines under it.

    `share`, -1 to 1, becomes a bar between the two: to the right what speaks for something, to the left what against.
    """

    picture: str | None
    lines: tuple[str, ...] = ()
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Clips side by side under a head."""

    head: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Strips under a title; `notes` say what a reader has to know, what is missing and why among it."""

    title: str
    strips: tuple[Strip, ...]
    notes: tuple[str, ...] = ()


def sheet_bytes(sheet: Sheet, *, form: Form) -> bytes:
    """Return the sheet as the bytes of a file."""
    return sheet_page(sheet).encode() if form == "html" else sheet_png(sheet)


def sheet_page(sheet: Sheet) -> str:
    """Return the sheet as a page that needs nothing but itself."""
    return render_page("sheet.html", title=sheet.title, notes=sheet.notes, strips=sheet.strips)


def sheet_png(sheet: Sheet) -> bytes:
    """Return the sheet as a PNG, at most eight clips in a row."""
    from PIL import Image, ImageDraw

    num_across = min(_MOST_CELLS_A_ROW, max((len(strip.cells) for strip in sheet.strips), default=1))
    width = max(2 * _MARGIN + num_across * (_CELL + _GAP) - _GAP, 640)
    heads = [*_wrapped(sheet.title, font(_TITLE, bold=True), width=width - 2 * _MARGIN)]
    notes = [line for note in sheet.notes for line in _wrapped(note, font(_SMALL), width=width - 2 * _MARGIN)]
    height = 2 * _MARGIN + len(heads) * (_TITLE + 8) + len(notes) * _LINE
    height += sum(_strip_height(strip, num_across=num_across) for strip in sheet.strips)
    canvas = Image.new("RGB", (width, height), _PAGE)
    draw = ImageDraw.Draw(canvas)
    top = _MARGIN
    for line in heads:
        draw.text((_MARGIN, top), line, font=font(_TITLE, bold=True), fill=_TEXT)
        top += _TITLE + 8
    for line in notes:
        draw.text((_MARGIN, top), line, font=font(_SMALL), fill=_FAINT)
        top += _LINE
    for strip in sheet.strips:
        _draw_strip(canvas, draw, strip, top=top, num_across=num_across)
        top += _strip_height(strip, num_across=num_across)
    stream = io.BytesIO()
    canvas.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def picture_uri(path: Path) -> str | None:
    """Return a JPEG file as a `data:` address, None where there is no such file."""
    if not path.is_file():
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _rows(strip: Strip, *, num_across: int) -> list[Sequence[Cell]]:
    return [strip.cells[first : first + num_across] for first in range(0, len(strip.cells), num_across)]


def _strip_height(strip: Strip, *, num_across: int) -> int:
    rows = _rows(strip, num_across=num_across)
    return _GAP + _HEAD + 10 + sum(_row_height(row) for row in rows)


def _row_height(row: Sequence[Cell]) -> int:
    return _CELL + 4 + _bar_height(row) + _LINE * max(len(cell.lines) for cell in row) + _GAP


def _bar_height(row: Sequence[Cell]) -> int:
    return _BAR + 4 if any(cell.share is not None for cell in row) else 0


def _draw_strip(
    canvas: "Image.Image", draw: "ImageDraw.ImageDraw", strip: Strip, *, top: int, num_across: int
) -> None:
    head = fitted(strip.head, font(_HEAD, bold=True), width=canvas.width - 2 * _MARGIN)
    draw.text((_MARGIN, top + _GAP), head, font=font(_HEAD, bold=True), fill=_TEXT)
    top += _GAP + _HEAD + 10
    for row in _rows(strip, num_across=num_across):
        for place, cell in enumerate(row):
            left = _MARGIN + place * (_CELL + _GAP)
            _draw_cell(canvas, draw, cell, left=left, top=top, below=top + _CELL + 4 + _bar_height(row))
        top += _row_height(row)


def _draw_cell(
    canvas: "Image.Image", draw: "ImageDraw.ImageDraw", cell: Cell, *, left: int, top: int, below: int
) -> None:
    from PIL import Image

    box = (left, top, left + _CELL - 1, top + _CELL - 1)
    if cell.picture is None:
        draw.rectangle(box, fill=_EMPTY, outline=_FRAME)
        draw.text(
            (left + _CELL // 2, top + _CELL // 2), "no picture", font=font(_SMALL), fill=_FAINT, anchor="mm"
        )
    else:
        with Image.open(io.BytesIO(jpeg_bytes(cell.picture))) as picture:
            canvas.paste(picture.convert("RGB").resize((_CELL, _CELL), Image.Resampling.LANCZOS), (left, top))
    if cell.share is not None:
        middle, end = left + _CELL // 2, left + _CELL // 2 + round(cell.share * (_CELL // 2))
        draw.rectangle((left, top + _CELL + 4, left + _CELL - 1, top + _CELL + 3 + _BAR), fill=_EMPTY)
        bar = (min(middle, end), top + _CELL + 4, max(middle, end), top + _CELL + 3 + _BAR)
        draw.rectangle(bar, fill=_FOR if cell.share >= 0 else _AGAINST)
    for number, line in enumerate(cell.lines):
        shown = fitted(line, font(_SMALL), width=_CELL)
        draw.text(
            (left, below + number * _LINE),
            shown,
            font=font(_SMALL),
            fill=_FAINT if number else _TEXT,
        )


@cache
def font(size: int, *, bold: bool = False) -> "ImageFont.FreeTypeFont":
    """Return DejaVu Sans, which matplotlib brings: most scripts of the world, on every machine the same."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def fitted(text: str, drawn: "ImageFont.FreeTypeFont", *, width: int) -> str:
    """Return a line cut with an ellipsis where it is too long."""
    if drawn.getlength(text) <= width:
        return text
    while text and drawn.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _wrapped(text: str, drawn: "ImageFont.FreeTypeFont", *, width: int) -> list[str]:
    """Return the text in lines of whole words; a word that is longer than a line is cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and drawn.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(fitted(word, drawn, width=width))
    return lines
