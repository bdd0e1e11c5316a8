"""The gallery's page: what it shows of words, pictures and the tree, its limits, and names that are hostile."""

import json

import numpy as np
import pytest
from pages import HOSTILE, require_self_contained

from videobert_cli.core.reports import gallery
from videobert_cli.core.reports.cooccurrence import TextMatch, TextMatches
from videobert_cli.core.reports.gallery import GalleryFacts, Pictures, gallery_page, gallery_words, usage
from videobert_cli.core.reports.html import clock, jpeg_uri
from videobert_cli.core.words.survey import survey_words
from videobert_cli.core.words.table import WordTable

PICTURE = jpeg_uri(np.zeros((32, 32, 3), dtype=np.uint8))
FACTS = GalleryFacts(title="Visual words of t", facts={"run": "runs/t"}, quality=["level 1"], notes=[])
WORDS = {"a": [0, 0, 0, 5, 5], "b": [5, 7, 7, 7, 7]}


def corpus(videos):
    table = WordTable(num_words=9, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    for name, words in videos.items():
        table.add(name, words_T=np.array(words), clip_start_seconds_T=np.arange(len(words)) * 1.5)
    return table


def page(videos, *, matches=None, facts=FACTS, num_with_pictures=9, pictures="all", problems=None):
    table = corpus(videos)
    survey = survey_words(table, train_ids=list(videos), num_clips=2)
    texts = TextMatches(by_word=matches or {}, num_counted=5, num_sentences=5)
    found = gallery_words(survey, words=table, branching=3, num_levels=2, texts=texts)
    clips = [(clip.video_id, clip.start_seconds) for word in found for clip in word.clips]
    shown = {clip: PICTURE for clip in clips if clip[0] not in (problems or {})}
    html = gallery_page(
        found,
        usage_K=usage(survey, words=table),
        branching=3,
        num_levels=2,
        num_with_pictures=num_with_pictures,
        pictures=None if pictures is None else Pictures(by_clip=shown, problems=problems or {}),
        texts=texts,
        facts=facts,
    )
    return html, found


def test_words_are_shown_by_usage_with_path_pictures_and_texts():
    html, found = page(WORDS, matches={7: (TextMatch(text="onion", count=4, score=3.2),)})
    assert [(word.name, word.path, word.num_clips) for word in found] == [
        ("v7", "2/1", 4),
        ("v0", "0/0", 3),
        ("v5", "1/2", 3),
    ]
    parsed = require_self_contained(html)
    cards = parsed.classed("word")
    assert [card["id"] for card in cards] == ["v7", "v0", "v5"]
    assert [card["data-usage"] for card in cards] == ["4", "3", "3"]
    assert [image["alt"] for image in parsed.having("img")][:2] == [
        "clip of b at 0:01.5",
        "clip of b at 0:03.0",
    ]
    assert "onion 4" in parsed.text
    assert "3 of 9 words are used" in parsed.text
    assert "6 words without a training clip" in parsed.text
    assert "1-4, 6, 8" in parsed.text
    assert len(parsed.having("rect")) == 3 + 9
    # The first node of level 1 has word 0 alone, and its other two children are dead.
    assert "0: 3 clips" in parsed.text
    assert "0/1: 0 clips" in parsed.text


def test_without_a_script_all_words_are_there_and_the_controls_are_not():
    parsed = require_self_contained(page(WORDS)[0])
    assert "hidden" in parsed.having("form")[0]
    assert not any("hidden" in card for card in parsed.classed("word"))


def test_every_name_and_text_is_escaped():
    html, found = page(
        {HOSTILE: [1, 1, 2], "b": [4]},
        matches={1: (TextMatch(text=HOSTILE, count=4, score=3.2),)},
        facts=GalleryFacts(title=HOSTILE, facts={HOSTILE: HOSTILE}, quality=[HOSTILE], notes=[HOSTILE]),
        problems={"b": HOSTILE},
    )
    parsed = require_self_contained(html)
    assert HOSTILE in parsed.text
    assert "alert" not in [attributes.get("src") for attributes in parsed.having("img")]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in parsed.having("img"))
    assert "49" not in parsed.text
    assert json.loads(json.dumps(found[0].record()))["clips"][0]["video_id"] == HOSTILE


def test_what_has_no_picture_says_why():
    html, _ = page(WORDS, problems={"b": "not-a-file (the file cannot be opened)"})
    parsed = require_self_contained(html)
    assert (
        "3 pictures of 1 videos are missing, for example of b: not-a-file (the file cannot be opened)"
        in parsed.text
    )
    assert len(parsed.classed("no-picture")) == 3
    assert len(parsed.having("img")) == 3


@pytest.mark.parametrize(("pictures", "num_with_pictures", "num_cards"), [(None, 9, 0), ("all", 1, 1)])
def test_the_rest_is_a_table(pictures, num_with_pictures, num_cards):
    parsed = require_self_contained(page(WORDS, pictures=pictures, num_with_pictures=num_with_pictures)[0])
    assert len(parsed.classed("word")) == num_cards
    rows = [row["id"] for row in parsed.having("tr") if "id" in row]
    assert rows == ["v7", "v0", "v5"][num_cards:]


def test_a_page_that_would_grow_too_large_leaves_out_pictures_and_rows_and_says_so(monkeypatch):
    monkeypatch.setattr(gallery, "MAX_PICTURE_BYTES", 2 * len(PICTURE))
    monkeypatch.setattr(gallery, "MAX_NUM_ROWS", 1)
    parsed = require_self_contained(page(WORDS)[0])
    assert [card["id"] for card in parsed.classed("word")] == ["v7"]
    assert "The page would grow beyond 20 MB: the first 1 words alone have pictures." in parsed.text
    assert [row["id"] for row in parsed.having("tr") if "id" in row] == ["v0"]
    assert "The table shows 1 of 2 words; words.jsonl beside this page has all." in parsed.text


def test_a_codebook_of_no_clip_has_a_page():
    parsed = require_self_contained(page({"a": []})[0])
    assert "0 of 9 words are used" in parsed.text


def test_a_clock_rounds_to_tenths():
    assert [clock(0), clock(59.96), clock(3600)] == ["0:00.0", "1:00.0", "1:00:00.0"]


def test_a_title_that_is_no_text_is_written_as_escapes():
    facts = GalleryFacts(title="words of \udcff", facts={}, quality=[], notes=[])
    assert "words of \\udcff" in require_self_contained(page(WORDS, facts=facts)[0]).text
