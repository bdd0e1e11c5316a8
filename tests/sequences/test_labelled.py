"""Labelled segments and the words they cover."""

from pathlib import Path

import numpy as np
import pytest

from videobert_cli.core.sequences.labelled import labelled_words, with_labels
from videobert_cli.core.video.manifest import LabelledSegment, Video
from videobert_cli.core.words.table import WordTable


def segment(start, end, **labels):
    return LabelledSegment(start_seconds=start, end_seconds=end, labels=labels)


def video(name, *segments, split="train"):
    return Video(id=name, path=Path(f"{name}.mp4"), captions=None, split=split, segments=segments)


@pytest.fixture
def words():
    table = WordTable(num_words=99, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    table.add("a", words_T=np.arange(10, 16), clip_start_seconds_T=np.arange(6) * 1.5)
    table.add("b", words_T=np.array([7]), clip_start_seconds_T=np.zeros(1))
    table.add("empty", words_T=np.zeros(0, dtype=np.int64), clip_start_seconds_T=np.zeros(0))
    return table


def test_segments_get_their_words_split_and_labels_in_the_order_of_the_manifest(words):
    found = labelled_words(
        [
            video("b", segment(0, None, verb="cut"), split="test"),
            video("a", segment(3, 6, verb="stir", object="soup"), segment(0, 1.5, verb="cut")),
        ],
        words=words,
    )
    assert [(s.video_id, s.split, s.words_T.tolist(), dict(s.labels)) for s in found] == [
        ("b", "test", [7], {"verb": "cut"}),
        ("a", "train", [12, 13], {"verb": "stir", "object": "soup"}),
        ("a", "train", [10], {"verb": "cut"}),
    ]
    assert (found[1].start_seconds, found[1].end_seconds) == (3, 6)


def test_the_whole_video_is_all_its_words(words):
    (found,) = labelled_words([video("a", segment(0, None, label="x"))], words=words)
    assert found.words_T.tolist() == list(range(10, 16))


def test_videos_without_words_or_clips_are_left_out(words):
    assert labelled_words([video("quarantined", segment(0, 1, verb="cut"))], words=words) == []
    assert labelled_words([video("empty", segment(0, 1, verb="cut"))], words=words) == []


def test_a_segment_that_begins_after_the_video_ends_is_left_out(words):
    # Six clips end at 9 s; of a video of up to 10.5 s the rest fills no clip.
    found = labelled_words(
        [
            video(
                "a",
                segment(10.4, 11, verb="cut"),
                segment(10.5, 12, verb="stir"),
                segment(80, None, verb="mix"),
            )
        ],
        words=words,
    )
    assert [(s.labels["verb"], s.words_T.tolist()) for s in found] == [("cut", [15])]


def test_a_segment_shorter_than_a_clip_has_one_word(words):
    (found,) = labelled_words([video("a", segment(1.6, 1.7, verb="cut"))], words=words)
    assert found.words_T.tolist() == [11]


def test_with_labels_wants_all_columns_filled(words):
    found = labelled_words(
        [
            video(
                "a",
                segment(0, 1, verb="cut", object="onion"),
                segment(1, 2, verb="cut", object=""),
                segment(2, 3, object="x"),
            )
        ],
        words=words,
    )
    assert [dict(s.labels) for s in with_labels(found, "verb", "object")] == [
        {"verb": "cut", "object": "onion"}
    ]
    assert len(with_labels(found, "verb")) == 2
    assert len(with_labels(found)) == 3
