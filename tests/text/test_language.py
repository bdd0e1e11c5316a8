"""Transcripts in other languages are left out, counted and named; real sentences of published annotations are kept."""

import json
import sys
from pathlib import Path

import pytest

from videobert_cli.core.text.language import LanguageFilter
from videobert_cli.core.text.options import TextOptions
from videobert_cli.core.text.transcripts import read_transcripts
from videobert_cli.core.video.entries import CaptionSource
from videobert_cli.errors import InputError

pytest.importorskip("py3langid")
YOUCOOK = Path(__file__).parents[2] / "../shared/data/annotations/youcook2/yc2_annotations_trainval.json"


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["now we cut the onion", "and fry it in oil"], None),
        (["NOW WE CUT THE ONION AND FRY IT IN OIL"], None),
        (["um so yeah guys hi welcome back"], None),
        (["jetzt schneiden wir die Zwiebel", "und braten sie in Öl"], "de"),
        (["maintenant nous coupons l'oignon"], "fr"),
        (["切洋葱。然后炒！好吃极了我们继续做这个菜现在切洋葱"], "zh"),
        # Too little to tell.
        (["ok", "[Music] [Applause]", "(laughter) (he sings in another language)"], None),
        ([], None),
    ],
)
def test_the_language_of_a_transcript(texts, language):
    assert LanguageFilter(["en"]).unwanted(texts) == language


def test_several_languages_may_be_wanted():
    assert LanguageFilter(["en", "de"]).unwanted(["jetzt schneiden wir die Zwiebel klein"]) is None


def test_an_unknown_code_and_a_missing_package_are_three_lines(monkeypatch):
    with pytest.raises(InputError, match="there is no language xx") as raised:
        LanguageFilter(["en", "xx"])
    assert "en" in raised.value.fix
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="py3langid, which tells languages, is not installed") as raised:
        LanguageFilter(["en"])
    assert "videobert-cli[language]" in raised.value.fix


def test_what_is_left_out_is_counted_and_named(tmp_path):
    texts = {"a": "now we cut the onion and fry it", "b": "jetzt schneiden wir die Zwiebel und braten sie"}
    files = {key: CaptionSource(path=tmp_path / f"{key}.srt") for key in texts}
    for key, source in files.items():
        source.path.write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{texts[key]}\n")
    found = read_transcripts(files, options=TextOptions(languages=("en",)))
    assert list(found.sentences) == ["a"]
    assert dict(found.other_languages) == {"b": "de"}
    assert found.facts["num_captions_in.de"] == 1
    assert found.losses == "1 caption files in other languages (1 de)"
    assert len(read_transcripts(files, options=TextOptions()).sentences) == 2
    assert "py3langid" in sys.modules


@pytest.mark.slow
def test_the_sentences_of_1790_real_videos_are_english():
    if not YOUCOOK.is_file():
        pytest.skip("shared data not here")
    videos = json.loads(YOUCOOK.read_text())["database"].values()
    languages = LanguageFilter(["en"])
    other = [v for v in videos if languages.unwanted(a["sentence"] for a in v["annotations"])]
    assert len(videos) == 1790
    assert other == []
