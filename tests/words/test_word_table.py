"""The table of words: what goes in comes out, and nothing that does not fit goes in or comes back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.artifacts import read_manifest, seal
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import ArtifactError, InputError


def table(num_words=144):
    return WordTable(num_words=num_words, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="c0de")


def add(words, video_id, values):
    words.add(
        video_id, words_T=np.array(values, dtype=np.int64), clip_start_seconds_T=np.arange(len(values)) * 1.5
    )


def test_saved_and_loaded_it_is_the_same(tmp_path):
    words = table()
    add(words, "b/2", [143, 0, 7])
    add(words, "a", [])
    add(words, "ümlaut", [5])
    words.save(tmp_path / "words", settings={"x": 1}, parents={"codebook": "c0de"})
    loaded = WordTable.load(tmp_path / "words")
    assert loaded.ids() == ["a", "b/2", "ümlaut"]
    assert loaded.words("b/2").tolist() == [143, 0, 7]
    assert loaded.words("b/2").dtype == np.int32
    assert loaded.clip_start_seconds("b/2").tolist() == [0, 1.5, 3]
    assert len(loaded.words("a")) == 0
    assert (loaded.clip_seconds, loaded.clip_length_seconds, loaded.num_words) == (1.5, 1.5, 144)
    assert loaded.codebook_hash == "c0de"
    assert "a" in loaded
    assert "z" not in loaded
    assert read_manifest(tmp_path / "words", kind="words").facts == {"num_videos": 3, "num_clips": 4}


@settings(max_examples=12, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.integers(0, 40_000), max_size=6), max_size=5)
)
def test_any_table_survives_the_disk_whatever_the_order(tmp_path_factory, videos):
    directory = tmp_path_factory.mktemp("words")
    forward, backward = table(40_001), table(40_001)
    for video_id, values in videos.items():
        add(forward, video_id, values)
    for video_id, values in reversed(videos.items()):
        add(backward, video_id, values)
    assert forward.save(directory / "f") == backward.save(directory / "b")
    loaded = WordTable.load(directory / "f")
    assert {video_id: loaded.words(video_id).tolist() for video_id in loaded.ids()} == videos


def test_words_take_two_bytes_where_two_suffice(tmp_path):
    sizes = []
    for num_words in (20_736, 100_000):
        words = table(num_words)
        add(words, "v", [1] * 1000)
        words.save(tmp_path / str(num_words))
        sizes.append((tmp_path / str(num_words) / "words.safetensors").stat().st_size)
    assert sizes[1] - sizes[0] == pytest.approx(2000, abs=16)


def test_what_does_not_fit_is_refused(tmp_path):
    words = table()
    add(words, "v", [1])
    with pytest.raises(InputError, match="'v' is in the table already"):
        add(words, "v", [2])
    with pytest.raises(InputError, match="outside of the codebook's 144"):
        add(words, "w", [144])
    with pytest.raises(InputError, match=r"\(2,\) words and \(3,\) clip times"):
        words.add("x", words_T=np.zeros(2, dtype=int), clip_start_seconds_T=np.zeros(3))
    with pytest.raises(InputError, match="'nope' has no visual words"):
        words.words("nope")


@pytest.mark.parametrize(
    ("key", "value"), [("num_words", 2), ("ids", ["v", "w"]), ("ids", None), ("clip_seconds", "x")]
)
def test_damaged_descriptions_are_refused(tmp_path, key, value):
    words = table()
    add(words, "v", [1, 100])
    words.save(tmp_path / "words")
    path = tmp_path / "words" / "words.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ArtifactError, match=r"words\.json has"):
        WordTable.load(tmp_path / "words")
    seal(tmp_path / "words", kind="words")
    with pytest.raises(ArtifactError, match="do not fit each other"):
        WordTable.load(tmp_path / "words")
    seal(tmp_path / "words", kind="features")
    with pytest.raises(ArtifactError, match="'features' artifact, not 'words'"):
        WordTable.load(tmp_path / "words")
