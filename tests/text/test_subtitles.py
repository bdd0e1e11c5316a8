"""Golden subtitle files, as nasty as the web's: the cues that come out and the drops that are counted."""

import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.text.cues import clean_text
from videobert_cli.core.text.subtitles import MAX_FILE_BYTES, read_subtitles
from videobert_cli.errors import InputError, MissingInputError

SHARED = Path(__file__).parents[2] / "../shared/data"

PLAIN = (
    "1\n00:00:01,000 --> 00:00:02,500\nCut the onion.\n\n2\n00:00:03,000 --> 00:00:04,000\nFry it\nin oil.\n"
)
PLAIN_CUES = [(1.0, 2.5, "Cut the onion."), (3.0, 4.0, "Fry it in oil.")]

ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.310 align:start position:0%
\x20
hi<00:00:00.480><c> everyone</c><00:00:00.960><c> today</c>

00:00:02.310 --> 00:00:02.320 align:start position:0%
hi everyone today
\x20

00:00:02.320 --> 00:00:04.950 align:start position:0%
hi everyone today
we<00:00:02.639><c> fry</c>

00:00:04.950 --> 00:00:04.960 align:start position:0%
we fry
\x20

00:00:04.960 --> 00:00:07.000 align:start position:0%
we fry
two<00:00:05.200><c> eggs</c>
"""

# Under each name: suffix, content, the cues expected, the drops expected.
GOLDEN = {
    "plain": (".srt", PLAIN, PLAIN_CUES, {}),
    "bom": (".srt", "\ufeff" + PLAIN, PLAIN_CUES, {}),
    "crlf": (".srt", PLAIN.replace("\n", "\r\n"), PLAIN_CUES, {}),
    "lone carriage returns": (".srt", PLAIN.replace("\n", "\r"), PLAIN_CUES, {}),
    "utf-16 with mark": (".srt", PLAIN.encode("utf-16"), PLAIN_CUES, {}),
    "utf-16 big end with mark": (".srt", b"\xfe\xff" + PLAIN.encode("utf-16-be"), PLAIN_CUES, {}),
    "utf-16 without mark": (".srt", PLAIN.encode("utf-16-le"), PLAIN_CUES, {}),
    "utf-32": (".srt", PLAIN.encode("utf-32"), PLAIN_CUES, {}),
    "cp1252": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\nsauté the jalapeño – “now”\n".encode("cp1252"),
        [(1, 2, "sauté the jalapeño – “now”")],
        {},
    ),
    "utf-8 with one broken byte": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\nsauté é é \xff\n".encode("latin-1").replace(b"\xe9", "é".encode()),
        [(1, 2, "sauté é é �")],
        {},
    ),
    "utf-8 cut in a letter": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\nsauté".encode()[:-1],
        [(1, 2, "saut�")],
        {},
    ),
    "empty": (".srt", "", [], {}),
    "only white space": (".vtt", " \n\n\n", [], {}),
    "no indices": (
        ".srt",
        "00:00:01,000 --> 00:00:02,000\na\n\n00:00:02,000 --> 00:00:03,000\nb\n",
        [(1, 2, "a"), (2, 3, "b")],
        {},
    ),
    "no blank lines": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\na\n2\n00:00:02,000 --> 00:00:03,000\nb",
        [(1, 2, "a"), (2, 3, "b")],
        {},
    ),
    "blank line inside a cue": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\na\n\nb\n\n2\n00:00:02,000 --> 00:00:03,000\nc\n",
        [(1, 2, "a b"), (2, 3, "c")],
        {},
    ),
    "a number is said": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\nbake at\n350\n\n2\n00:00:02,000 --> 00:00:03,000\n20\n",
        [(1, 2, "bake at 350"), (2, 3, "20")],
        {},
    ),
    "short times, full stop, colon, none": (
        ".srt",
        "00:01.5 --> 00:02\na\n\n1:00:00:250 --> 1:00:01.0\nb\n\n100:00:00,000 --> 100:00:01,000\nc\n",
        [(1.5, 2, "a"), (3600.25, 3601, "b"), (360_000, 360_001, "c")],
        {},
    ),
    "end before start": (
        ".srt",
        "1\n00:00:05,000 --> 00:00:02,000\nwrong\n\n2\n00:00:05,000 --> 00:00:05,000\nat once\n",
        [(5, 5, "at once")],
        {"end-before-start": 1},
    ),
    "unreadable times": (
        ".srt",
        "1\n0:xx --> 00:00:02,000\na\n\n2\n-00:00:01,000 --> 00:00:02,000\nb\n\n3\n00:00:01,000 --> \nc\n",
        [],
        {"bad-time": 3},
    ),
    "arrow in speech": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\nfrom raw --> to cooked\n",
        [(1, 2, "from raw --> to cooked")],
        {},
    ),
    "tags and entities": (
        ".srt",
        '1\n00:00:01,000 --> 00:00:02,000 X1:10 Y1:20\n{\\an8}<font color="#fff"><i>Salt</i> &amp; pepper<br/>2 &lt; 3 cups</font>\n',
        [(1, 2, "Salt & pepper 2 < 3 cups")],
        {},
    ),
    "less-than signs": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\nif a < b and c > d, I <3 it\n",
        [(1, 2, "if a < b and c > d, I <3 it")],
        {},
    ),
    "hidden characters": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\n\u200b\u202ahi\u202c\u00a0\u2003there\x07&lrm;&#0;\n\n2\n00:00:02,000 --> 00:00:03,000\n\u200b<i></i>&nbsp;\n",
        [(1, 2, "hi there\ufffd")],
        {"empty": 1},
    ),
    "out of order and overlapping": (
        ".srt",
        "1\n00:00:03,000 --> 00:00:06,000\nb\n\n2\n00:00:01,000 --> 00:00:04,000\na\n",
        [(1, 4, "a"), (3, 6, "b")],
        {},
    ),
    "said twice with a pause": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\npreheat pan\n\n2\n00:00:05,000 --> 00:00:06,000\npreheat pan\n\n3\n00:00:09,000 --> 00:00:10,000\npreheat pan\n",
        [(1, 2, "preheat pan"), (5, 6, "preheat pan"), (9, 10, "preheat pan")],
        {},
    ),
    "webvtt": (
        ".vtt",
        "WEBVTT - title\n\nSTYLE\n::cue { color: white }\n\nNOTE\nnot spoken\n\nREGION\nid:x\n\nintro\n00:01.000 --> 00:02.000 line:0 position:20%\n<v.loud Bob>Hello <b>you</b></v>\n\nNOTE 00:03 is a comment\n\n00:00:03.000 --> 00:00:04.000\nbye\n",
        [(1, 2, "Hello you"), (3, 4, "bye")],
        {},
    ),
    "webvtt called srt": (".srt", "WEBVTT\n\n00:01.000 --> 00:02.000\na\n\nNOTE b\n", [(1, 2, "a")], {}),
    "srt called vtt": (".vtt", PLAIN, PLAIN_CUES, {}),
    "rolling": (
        ".vtt",
        ROLLING,
        [(0.16, 2.31, "hi everyone today"), (2.32, 4.95, "we fry"), (4.96, 7.0, "two eggs")],
        {"repeated": 2},
    ),
    "rolling, converted": (
        ".srt",
        "1\n00:00:00,000 --> 00:00:02,000\nhi all\n\n2\n00:00:01,000 --> 00:00:04,000\nhi all\nnow fry\n\n3\n00:00:03,000 --> 00:00:06,000\nnow fry\ntwo eggs\n\n4\n00:00:05,000 --> 00:00:06,000\ntwo eggs\n",
        [(0, 2, "hi all"), (1, 4, "now fry"), (3, 6, "two eggs")],
        {"repeated": 1},
    ),
    "a line said twice in a long talk": (
        ".srt",
        "".join(
            f"{i}\n00:00:{i:02},000 --> 00:00:{i + 1:02},000\n{'stir' if i in {4, 5} else f'step {i} is done'}\n\n"
            for i in range(12)
        ),
        [(i, i + 1, "stir" if i in {4, 5} else f"step {i} is done") for i in range(12)],
        {},
    ),
    "whisper": (
        ".json",
        json.dumps(
            {
                "text": "x",
                "segments": [
                    {"id": 0, "start": 0.0, "end": 1.5, "text": " Cut it."},
                    {"start": 2, "end": 1, "text": "x"},
                    {"start": 2, "end": 3, "text": " "},
                ],
            }
        ),
        [(0, 1.5, "Cut it.")],
        {"end-before-start": 1, "empty": 1},
    ),
    "list": (
        ".json",
        json.dumps(
            [
                {"start": 1, "end": 2, "text": "a"},
                {"start": None, "end": 2, "text": "b"},
                {"start": True, "end": 2, "text": "c"},
                7,
                {"start": 1, "end": 2},
            ]
        )
        + "",
        [(1, 2, "a")],
        {"bad-time": 2, "empty": 2},
    ),
    "json with nan": (
        ".json",
        '[{"start": NaN, "end": 1, "text": "a"}, {"start": 1, "end": Infinity, "text": "b"}, {"start": 1, "end": 1e400, "text": "b"}]',
        [],
        {"bad-time": 3},
    ),
    "a line without end": (
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\n" + "x" * 20_000 + "\n\n2\n00:00:03,000 --> 00:00:04,000\na\n",
        [(3, 4, "a")],
        {"too-long": 1},
    ),
    "binary": (".srt", bytes(range(256)) * 50, [], {}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_files(tmp_path, name):
    suffix, content, cues, drops = GOLDEN[name]
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_subtitles(path)
    assert [(cue.start_seconds, cue.end_seconds, cue.text) for cue in found.cues] == [
        (pytest.approx(start), pytest.approx(end), text) for start, end, text in cues
    ]
    assert dict(found.num_dropped) == drops


def test_what_is_no_subtitle_file_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "a.ass").write_text("x")
    with pytest.raises(InputError, match=r"'\.ass' are not supported") as raised:
        read_subtitles(tmp_path / "a.ass")
    assert raised.value.fix.startswith("use one of .srt, .vtt, .json, .json3,")
    with pytest.raises(MissingInputError, match="no such subtitle file"):
        read_subtitles(tmp_path / "missing.srt")
    (tmp_path / "folder.srt").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_subtitles(tmp_path / "folder.srt")
    (tmp_path / "big.vtt").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(InputError, match="larger than 10 MB"):
        read_subtitles(tmp_path / "big.vtt")
    (tmp_path / "many.srt").write_text("0:1 --> 0:2\n" * 100_001)
    with pytest.raises(InputError, match="more than 100,000 cues"):
        read_subtitles(tmp_path / "many.srt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a": 1}', "holds no captions"),
        ('"text"', "holds no captions"),
        ('{"segments": {}}', "holds no captions"),
        ("[" + "9" * 5000 + "]", "not JSON"),
    ],
)
def test_json_that_is_no_caption_list_is_refused(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_subtitles(tmp_path / "a.json")


@pytest.mark.parametrize(
    "line",
    ["<" * 9_000, "<a" * 4_500, "&" * 9_000, "{\\" * 4_500, "<b " + "x" * 9_000, "1" * 9_000, ":" * 9_000],
)
def test_hostile_lines_take_no_time(tmp_path, line):
    (tmp_path / "a.srt").write_text(f"{line}\n1\n00:00:01,000 --> 00:00:02,000\n{line}\n{line} --> {line}\n")
    assert len(read_subtitles(tmp_path / "a.srt").cues) <= 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".srt", ".vtt"]))
def test_no_bytes_crash_it(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    path.write_bytes(b"00:01 --> 00:02\n" + data)
    found = read_subtitles(path)
    assert all(cue.text and cue.start_seconds <= cue.end_seconds for cue in found.cues)


@given(st.text(max_size=60))
def test_cleaning_leaves_one_line_of_single_spaces(text):
    cleaned = clean_text(text)
    assert cleaned == " ".join(cleaned.split())
    assert "\n" not in cleaned


@pytest.mark.slow
def test_real_files_give_as_many_cues_as_they_have_timing_lines(tmp_path):
    archive = SHARED / "annotations/mining_youtube/annotations.tar.gz"
    if not archive.is_file():
        pytest.skip("shared data not here")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    paths = sorted(tmp_path.rglob("*.srt"))
    assert len(paths) == 250
    num_cues = 0
    for path in paths:
        found = read_subtitles(path)
        num_lines = path.read_bytes().count(b"-->")
        assert len(found.cues) == num_lines - sum(found.num_dropped.values()), path.name
        num_cues += len(found.cues)
    assert num_cues > 3_000
