"""Sheets of pictures: as a PNG of the right size that shows what it is given, and as a page that fetches nothing."""

import csv
import io

import numpy as np
import pytest
from pages import HOSTILE, require_self_contained
from PIL import Image

from videobert_cli.core.reports.answer_sheets import answer_sheet, pictured_seconds, text_sheet
from videobert_cli.core.reports.cut_list import cut_csv, cut_ffconcat
from videobert_cli.core.reports.html import jpeg_uri
from videobert_cli.core.reports.sheet import Cell, Sheet, Strip, sheet_page, sheet_png
from videobert_cli.errors import UsageError

RED = jpeg_uri(np.full((32, 32, 3), (250, 10, 10), dtype=np.uint8))
CLIPS = [
    {"start_seconds": 1.5, "end_seconds": 3.0, "word": 4, "surprise": 2.5, "first": 0, "stop": 3, "clip": 1},
    {"start_seconds": 6.0, "end_seconds": 7.5, "word": 9, "surprise": 0.5, "first": 3, "stop": 4, "clip": 4},
]


def picture(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def sheet(num_cells, *, title="a", lines=("x",), with_picture=True):
    cell = Cell(picture=RED if with_picture else None, lines=lines)
    return Sheet(title=title, strips=(Strip(head="head", cells=(cell,) * num_cells),))


def num_red(image):
    return int(((image[..., 0] > 200) & (image[..., 1] < 60)).sum())


def test_a_png_shows_each_picture_at_its_size() -> None:
    for num_cells in (1, 5, 8, 9, 17):
        image = picture(sheet_png(sheet(num_cells)))
        assert num_red(image) == pytest.approx(num_cells * 160 * 160, rel=0.01)
        assert image.shape[1] <= 2 * 24 + 8 * 170
    assert num_red(picture(sheet_png(sheet(4, with_picture=False)))) == 0


def test_long_titles_and_lines_stay_inside_the_picture() -> None:
    image = picture(sheet_png(sheet(2, title="word " * 80 + "x" * 400, lines=("long " * 30,))))
    margin = np.concatenate([image[:, -20:], image[:, :20]], axis=1)
    assert (margin == image[0, 0]).all()


def test_the_page_fetches_nothing_whatever_the_texts() -> None:
    page = require_self_contained(sheet_page(sheet(2, title=HOSTILE, lines=(HOSTILE,))))
    assert len(page.having("img")) == 2
    assert '<script>alert("x")</script>' in page.text


def test_a_document_becomes_strips_in_order_of_time() -> None:
    document = {
        "video": "v.mp4",
        "num_clips": 5,
        "seen": [{"start_seconds": 6.0, "end_seconds": 7.5, "word": 9}],
        "forecast": [{"horizon": 2, "start_seconds": 9.0, "words": [4, 1], "probabilities": [0.5, 0.25]}],
        "summary": {"clips": CLIPS},
    }
    assert pictured_seconds(document) == [2.25, 6.75]
    found = answer_sheet(
        document,
        word_picture=lambda word: RED if word == 4 else None,
        clip_picture={6.75: RED}.get,
        notes=("n",),
    )
    assert [strip.head for strip in found.strips] == [
        "the end of the video",
        "2 clips after the end, at 0:09.0",
        "2 key clips of 5",
    ]
    assert [cell.picture is None for strip in found.strips for cell in strip.cells] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert found.strips[1].cells[0].lines == ("word 4  0.50",)
    assert found.strips[2].cells[0].lines == ("0:01.5 - 0:03.0", "stands for 3 clips", "surprise 2.5 nats")


def test_a_text_of_one_clip_is_one_strip_of_several_a_strip_a_rank() -> None:
    clip = {"words": [3, 1, 2], "probabilities": [0.5, 0.2, 0.1]}
    one = text_sheet({"text": "t", "clips": [clip]}, word_picture=lambda _: None, notes=())
    assert [len(strip.cells) for strip in one.strips] == [3]
    two = text_sheet({"text": "t", "clips": [clip, clip]}, word_picture=lambda _: None, notes=())
    assert [len(strip.cells) for strip in two.strips] == [2, 2, 2]
    assert two.strips[1].cells[1].lines == ("clip 2", "word 1  0.20")


def test_lists_of_cuts_are_read_back(tmp_path) -> None:
    video = tmp_path / "it's, a clip.mp4"
    rows = list(csv.DictReader(io.StringIO(cut_csv(video, CLIPS))))
    assert [(row["video"], float(row["start_seconds"]), row["word"]) for row in rows] == [
        (str(video), 1.5, "4"),
        (str(video), 6.0, "9"),
    ]
    lines = cut_ffconcat(video, CLIPS).splitlines()
    assert lines[0] == "ffconcat version 1.0"
    assert lines[1:4] == [f"file '{tmp_path}/it'\\''s, a clip.mp4'", "inpoint 1.500", "outpoint 3.000"]
    with pytest.raises(UsageError, match="line break"):
        cut_ffconcat(tmp_path / "a\nb.mp4", CLIPS)
