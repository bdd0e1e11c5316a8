"""Which file beside a video is taken for its captions."""

import pytest

from videobert_cli.core.video.folders import captions_beside, read_folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.json", "a.en.json3", "a.en.srt"], "a.en.srt"),
        (["a.json", "a.en.ttml"], "a.en.ttml"),
        (["a.ttml", "a.vtt", "a.srt"], "a.srt"),
        (["a.srv3"], "a.srv3"),
        (["a.en.json"], "a.en.json"),
        (["a.tsv", "a.csv"], "a.tsv"),
        (["a.info.json", "a.de.vtt", "b.srt", "a.txt"], None),
    ],
)
def test_the_surest_kind_first(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "a.mp4").touch()
    found = captions_beside(tmp_path / "a.mp4")
    assert (found and found.name) == expected
    assert captions_beside(tmp_path / "a.mp4", names=set(names)) == found
    (draft,) = read_folder(tmp_path)
    assert bool(draft.captions) == bool(expected)


@pytest.mark.parametrize(
    ("name", "header", "is_captions"),
    [
        ("a.csv", '\ufeff"video",start,end,text', False),
        ("a.tsv", "label\tvideo", False),
        ("a.csv", "start,end,text\n1,2,about the video", True),
        ("a.csv", "start,end,video title", True),
    ],
)
def test_the_folders_own_manifest_is_no_captions(tmp_path, name, header, is_captions):
    (tmp_path / name).write_text(header + "\n")
    assert captions_beside(tmp_path / "a.mp4") == (tmp_path / name if is_captions else None)


def test_a_folder_called_like_captions_is_none(tmp_path):
    (tmp_path / "a.srt").mkdir()
    assert captions_beside(tmp_path / "a.mp4") is None
