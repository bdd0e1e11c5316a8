"""The same video in two splits by file, bytes or name."""

import os
from pathlib import Path

import pytest

from videobert_cli.core.video.entries import Video
from videobert_cli.core.video.leaks import file_leaks


def video(folder: Path, name: str, *, split: str = "train", content: bytes | None = None) -> Video:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is not None:
        path.write_bytes(content)
    return Video(id=name, path=path, captions=None, split=split, segments=())


def test_links_and_copies_are_found_and_others_are_not(tmp_path):
    one = video(tmp_path, "a.mp4", content=b"x" * 200_000)
    linked = video(tmp_path, "linked.mp4", split="test")
    os.link(one.path, linked.path)
    copied = video(tmp_path, "copied.mp4", split="validation", content=b"x" * 200_000)
    other = video(tmp_path, "b.mp4", split="test", content=b"x" * 199_999 + b"y")
    empty = [video(tmp_path, f"{split}/empty.mp4", split=split, content=b"") for split in ("train", "test")]
    gone = video(tmp_path, "gone.mp4", split="test")
    leaks = file_leaks([one, linked, copied, other, *empty, gone])
    assert [(leak.how, leak.ids, leak.splits) for leak in leaks] == [
        ("the same file", ("a.mp4", "linked.mp4"), ("train", "test")),
        ("files with the same bytes", ("a.mp4", "copied.mp4", "linked.mp4"), ("train", "validation", "test")),
    ]
    assert leaks[0].words == "a.mp4 (train) = linked.mp4 (test): the same file"


def test_within_one_split_nothing_leaks(tmp_path):
    assert file_leaks([video(tmp_path, f"{n}.mp4", content=b"same") for n in "abc"]) == []


@pytest.mark.parametrize(
    ("train", "test", "leaks"),
    [
        ("howto100m/GLd3aX16zBg.mp4", "youcook2/113/GLd3aX16zBg.webm", True),
        ("a/GLd3aX16zBg_000010_000020.mp4", "b/GLd3aX16zBg.mp4", True),
        ("a/GLd3aX16zBg_000010_000020.mp4", "b/GLd3aX16zBg_000019_000029.mp4", True),
        ("a/GLd3aX16zBg_10_20.mp4", "b/GLd3aX16zBg_20_29.mp4", False),
        ("a/Clip_000001.mp4", "b/Clip_000001.mp4", False),
        ("cut/tomato_soup.mp4", "stir/tomato_soup.mp4", False),
        ("cut/a.mp4", "stir/a.mp4", False),
    ],
)
def test_names_that_are_youtube_ids(tmp_path, train, test, leaks):
    found = file_leaks([video(tmp_path, train), video(tmp_path, test, split="test")])
    assert [leak.how for leak in found] == (["the same YouTube id"] if leaks else [])


def test_what_a_dataset_lists_in_two_splits(tmp_path):
    [leak] = file_leaks([video(tmp_path, "a.mp4")], in_two_splits={"a.mp4": {"validation", "train"}})
    assert leak.words == "a.mp4 (train) = a.mp4 (validation): listed in both"
