"""The golden corpus: small files as nasty as the web's, with the cues, drops and refusals that are right for each."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.text.subtitles import read_subtitles
from videobert_cli.errors import InputError

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))


def test_every_file_of_the_corpus_has_its_expectation():
    files = {path.name for path in FOLDER.iterdir()} - {"golden.json"}
    assert files == set(GOLDEN)
    assert len(files) >= 50


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_file(name):
    expected = GOLDEN[name]
    if "error" in expected:
        with pytest.raises(InputError, match=expected["error"]) as raised:
            read_subtitles(FOLDER / name)
        assert raised.value.at.endswith(name)
        return
    found = read_subtitles(FOLDER / name)
    assert [(cue.start_seconds, cue.end_seconds, cue.text) for cue in found.cues] == [
        (pytest.approx(start), pytest.approx(end), text) for start, end, text in expected["cues"]
    ]
    assert dict(found.num_dropped) == expected["dropped"]
    starts = [[time.start_seconds for time in cue.word_times] or None for cue in found.cues]
    expected_starts = expected.get("words", [None] * len(found.cues))
    # The first words of a line of YouTube's have no stamp: they begin with the line.
    for cue, cue_starts, wanted in zip(found.cues, starts, expected_starts, strict=True):
        assert cue_starts == wanted or [cue.start_seconds, *cue_starts[1:]] == pytest.approx(wanted)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(GOLDEN)), st.randoms(use_true_random=False))
def test_a_damaged_file_gives_cues_or_a_refusal_and_nothing_else(tmp_path_factory, name, random):
    data = bytearray((FOLDER / name).read_bytes())
    for _ in range(random.randint(1, 6)):
        place = random.randint(0, len(data))
        damage = random.choice(["cut", "swap", "repeat", "insert"])
        if damage == "cut":
            del data[place : place + random.randint(1, 40)]
        elif damage == "swap" and place < len(data):
            data[place] = random.randint(0, 255)
        elif damage == "repeat":
            data[place:place] = data[place : place + 60]
        else:
            data[place:place] = random.choice(
                [b'"', b"<", b"{", b"[", b"-->", b"\n\n", b"\t", b"1e999", b"\x00", b"&"]
            )
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(data)
    try:
        found = read_subtitles(path)
    except InputError:
        return
    assert all(cue.text and cue.start_seconds <= cue.end_seconds for cue in found.cues)
    assert all(len(cue.word_times) in {0, len(cue.text.split())} for cue in found.cues)
