"""Captions of many videos in one JSON file: found by id, in one search, whatever the blocks cut apart."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.text import many
from videobert_cli.core.text.subtitles import read_subtitles
from videobert_cli.errors import InputError, MissingInputError

HOWTO = {
    "vid}1": {"start": [0.1, 2], "end": [2.0, 4], "text": ['say "hi" {', "add salt\\"]},
    "vid2": {"start": [5], "end": [6], "text": ["stir"]},
}


def texts(found):
    return [(cue.start_seconds, cue.end_seconds, cue.text) for cue in found.cues]


def test_each_video_is_found_by_its_id(tmp_path):
    path = tmp_path / "caption.json"
    path.write_text(json.dumps(HOWTO))
    assert texts(read_subtitles(path, key="vid}1")) == [(0.1, 2, 'say "hi" {'), (2, 4, "add salt\\")]
    assert texts(read_subtitles(path, key="vid2")) == [(5, 6, "stir")]


def test_raw_captions_roll_and_are_collapsed(tmp_path):
    entry = {
        "start": [0, 2, 4],
        "end": [2, 4, 6],
        "text": ["hi all", "hi all\nnow we fry", "now we fry\ntwo eggs"],
    }
    path = tmp_path / "raw_caption.json"
    path.write_text(json.dumps({"v": entry}))
    assert [cue.text for cue in read_subtitles(path, key="v").cues] == ["hi all", "now we fry", "two eggs"]


def test_columns_of_pandas_and_columns_of_different_lengths(tmp_path):
    path = tmp_path / "caption.json"
    path.write_text(
        json.dumps(
            {
                "a": {"start": {"0": 1, "1": 3}, "end": {"0": 2, "1": 4}, "text": {"0": "x", "1": "y"}},
                "b": {"start": [1], "end": [2, 3], "text": ["x", "y", "z"]},
            }
        )
    )
    assert texts(read_subtitles(path, key="a")) == [(1, 2, "x"), (3, 4, "y")]
    found = read_subtitles(path, key="b")
    assert (texts(found), dict(found.num_dropped)) == ([(1, 2, "x")], {"bad-time": 2})


def test_a_file_of_many_needs_an_id_and_the_right_one(tmp_path):
    path = tmp_path / "caption.json"
    path.write_text(json.dumps(HOWTO))
    with pytest.raises(InputError, match="captions of 2 videos, and none is asked for") as raised:
        read_subtitles(path)
    assert "ids" in raised.value.fix
    with pytest.raises(
        InputError, match="no captions of video 'vid3' in this file, which has those of 2 others"
    ):
        read_subtitles(path, key="vid3")
    (tmp_path / "a.srt").write_text("1\n00:01 --> 00:02\na\n")
    with pytest.raises(InputError, match="only a JSON file has the captions of many videos"):
        read_subtitles(tmp_path / "a.srt", key="v")
    with pytest.raises(MissingInputError, match="no such subtitle file"):
        read_subtitles(tmp_path / "missing.json", key="v")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("[1]", "does not begin with a brace"),
        ('{"a": {"start": [1]', "ends in the middle"),
        ('{"a": {"start": ["unfinished', "ends in the middle"),
        ('{"a": {"start": [1,], "end": [], "text": []}}', "are not JSON"),
        ('{"a": [1, 2]}', ""),
        ('{"a": {"b": 1}}', "of video 'a' are no captions"),
    ],
)
def test_what_is_no_file_of_many_is_refused(tmp_path, content, message):
    path = tmp_path / "caption.json"
    path.write_text(content)
    if message:
        with pytest.raises(InputError, match=message):
            read_subtitles(path, key="a")
    else:
        assert dict(read_subtitles(path, key="a").num_dropped) == {"empty": 2}


def test_the_file_is_searched_once_and_again_when_it_changed(tmp_path, monkeypatch):
    path = tmp_path / "caption.json"
    path.write_text(json.dumps(HOWTO))
    searches = []
    real = many._entries
    monkeypatch.setattr(many, "_entries", lambda stream: searches.append(1) or real(stream))
    for _ in range(3):
        read_subtitles(path, key="vid2")
        with pytest.raises(InputError):
            read_subtitles(path, key="none")
    assert len(searches) == 1
    path.write_text(json.dumps({**HOWTO, "vid3": HOWTO["vid2"]}))
    os.utime(path, ns=(1, 1))
    assert len(read_subtitles(path, key="vid3").cues) == 1
    assert len(searches) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(max_size=6), json_values, max_size=5),
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_any_object_gives_its_own_values_whatever_the_blocks(
    tmp_path_factory, value, num_bytes, is_ascii, indent
):
    path = tmp_path_factory.mktemp("many") / "a.json"
    path.write_bytes(json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many, "_BLOCK_BYTES", num_bytes)
        with path.open("rb") as stream:
            places = dict(many._entries(stream))
    data = path.read_bytes()
    found = {
        key: json.loads(data[place.offset : place.offset + place.length]) for key, place in places.items()
    }
    assert found == {key: inner for key, inner in value.items() if isinstance(inner, dict | list)}
