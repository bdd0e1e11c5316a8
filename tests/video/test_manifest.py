"""The list of videos in its forms, and what is said of a wrong one."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.video.entries import CaptionSource
from videobert_cli.core.video.images import read_image_folder
from videobert_cli.core.video.manifest import (
    LabelledSegment,
    manifest_columns,
    printable,
    read_listing,
    videos_from_files,
)
from videobert_cli.errors import ManifestError, MissingInputError

SPLITS = {"validation_fraction": 0.1, "test_fraction": 0.1, "seed": 0}


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def videos_of(source, **changes):
    listing = read_listing(source, **(SPLITS | changes))
    listing.require_videos()
    return list(listing.videos)


def texts_of(source):
    return list(read_listing(source, **SPLITS).texts)


def test_a_folder_lists_videos_with_the_subtitles_beside_them(tmp_path):
    make(
        tmp_path,
        "b.mp4",
        "a.MKV",
        "b.srt",
        "a.en.vtt",
        "deep/c.webm",
        "notes.txt",
        ".hidden.mp4",
        ".git/d.mp4",
        "b.vtt",
    )
    videos = videos_of(tmp_path)
    assert [(v.id, v.captions and v.captions.path.name, v.segments) for v in videos] == [
        ("a", "a.en.vtt", ()),
        ("b", "b.srt", ()),
        ("deep/c", None, ()),
    ]
    assert videos[2].path == tmp_path / "deep/c.webm"
    assert texts_of(tmp_path) == []


def test_class_folders_label_whole_videos(tmp_path):
    make(tmp_path, "cut/a.mp4", "cut/b.mp4", "stir/a.mp4")
    videos = videos_of(tmp_path)
    assert [(v.id, v.segments) for v in videos] == [
        (f"{label}/{name}", (LabelledSegment(start_seconds=0.0, end_seconds=None, labels={"label": label}),))
        for label, name in [("cut", "a"), ("cut", "b"), ("stir", "a")]
    ]
    assert manifest_columns(videos) == {"label"}


def test_split_folders_give_the_split(tmp_path):
    make(tmp_path, "train/cut/a.mp4", "val/cut/b.mp4", "test/stir/c.mp4", "test/d.mp4")
    found = {v.id: (v.split, [s.labels["label"] for s in v.segments]) for v in videos_of(tmp_path)}
    assert found == {
        "train/cut/a": ("train", ["cut"]),
        "val/cut/b": ("validation", ["cut"]),
        "test/stir/c": ("test", ["stir"]),
        "test/d": ("test", []),
    }


def test_a_folder_of_pictures_is_one_video_wherever_it_lies(tmp_path):
    make(tmp_path, "cut/p1/0.5.jpg", "cut/p1/1.jpg", "stir/p2/frames.csv", "stir/p2.srt", "other/cover.jpg")
    found = {v.id: (v.path, v.captions) for v in videos_of(tmp_path)}
    assert found == {
        "cut/p1": (tmp_path / "cut/p1", None),
        "stir/p2": (tmp_path / "stir/p2", CaptionSource(path=tmp_path / "stir/p2.srt")),
    }
    assert [v.id for v in videos_of(tmp_path / "cut/p1")] == ["p1"]


def test_hidden_files_beside_pictures_change_nothing(tmp_path):
    make(tmp_path, "cut/p1/0.5.jpg", "cut/p1/1.jpg", "cut/p1/._0.5.jpg", "cut/p1/.2.jpg")
    assert [v.id for v in videos_of(tmp_path)] == ["cut/p1"]
    assert [image.path.name for image in read_image_folder(tmp_path / "cut/p1")] == ["0.5.jpg", "1.jpg"]


def test_pipes_folders_and_links_with_a_video_name_are_listed_and_loops_end(tmp_path):
    make(tmp_path, "a.mp4")
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "dir.mp4").mkdir()
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "again").symlink_to(tmp_path)
    assert [v.id for v in videos_of(tmp_path)] == ["a", "dir", "fifo", "loop"]


def test_a_single_file_is_a_list_of_one(tmp_path):
    make(tmp_path, "a.mp4", "a.srt")
    (video,) = videos_of(tmp_path / "a.mp4")
    assert (video.id, video.captions) == ("a", CaptionSource(path=tmp_path / "a.srt"))


def test_videos_that_share_a_name_keep_apart(tmp_path):
    make(tmp_path, "a.mp4", "a.mkv", "b.mp4")
    assert [v.id for v in videos_of(tmp_path)] == ["a.mkv", "a.mp4", "b"]


def test_ids_can_be_printed_and_written_as_json(tmp_path):
    for name in (b"new\nline.mp4", b'-rf "q".mp4', b"\xff\xfe.mp4", b"esc\x1b[2J.mp4", "煮る.mp4".encode()):
        (tmp_path / os.fsdecode(name)).touch()
    ids = [v.id for v in videos_of(tmp_path)]
    assert len(set(ids)) == 5
    assert "煮る" in ids
    assert all(json.loads(json.dumps(i, ensure_ascii=False).encode()) == i and i.isprintable() for i in ids)


@given(st.text(), st.text())
def test_printable_is_printable(left, right):
    assert printable(left).isprintable()
    assert printable(printable(left)) == printable(left)


def test_a_csv_gives_segments_labels_splits_and_texts(tmp_path):
    make(tmp_path, "v/a.mp4", "v/b.mp4", "v/b.srt", "t/only.srt", "t/a.vtt")
    (tmp_path / "m.csv").write_text(
        "\ufeffvideo,captions,label,verb,split,start,end\n"
        "v/a.mp4,t/a.vtt,cut onion,cut,test,1.5,4\n"
        "v/a.mp4,,stir soup,stir,,4,\n"
        "\n"
        "v/b.mp4,,,,,,\n"
        ",t/only.srt,,,train,,\n",
        encoding="utf-8",
    )
    a, b = videos_of(tmp_path / "m.csv")
    assert (a.id, a.split, a.captions) == ("v/a", "test", CaptionSource(path=tmp_path / "t/a.vtt"))
    assert [(s.start_seconds, s.end_seconds, dict(s.labels)) for s in a.segments] == [
        (1.5, 4.0, {"label": "cut onion", "verb": "cut"}),
        (4.0, None, {"label": "stir soup", "verb": "stir"}),
    ]
    assert (b.id, b.captions, b.segments) == ("v/b", CaptionSource(path=tmp_path / "v/b.srt"), ())
    (text,) = texts_of(tmp_path / "m.csv")
    assert (text.id, text.captions, text.split) == (
        "t/only",
        CaptionSource(path=tmp_path / "t/only.srt"),
        "train",
    )
    assert manifest_columns([a, b]) == {"label", "verb"}


def test_the_order_of_the_lines_changes_nothing(tmp_path):
    make(tmp_path, "a.mp4", "b.mp4")
    rows = ["a.mp4,0,2,stir", "b.mp4,1,,pour", "a.mp4,3,5,pour", "b.mp4,1,4,cut", "a.mp4,0,2,cut"]
    found = []
    for order in (rows, rows[::-1]):
        (tmp_path / "videos.csv").write_text("\n".join(["video,start,end,verb", *order]) + "\n")
        found.append(videos_of(tmp_path / "videos.csv"))
    assert found[0] == found[1]
    assert [segment.labels["verb"] for segment in found[0][0].segments] == ["cut", "stir", "pour"]
    assert [segment.end_seconds for segment in found[0][1].segments] == [4.0, None]


def test_jsonl_and_tsv_say_the_same_as_csv(tmp_path):
    make(tmp_path, "a.mp4")
    (tmp_path / "m.csv").write_text('video,label,start\na.mp4,"x,y",2\n')
    (tmp_path / "m.tsv").write_text("video\tlabel\tstart\na.mp4\tx,y\t2\n")
    (tmp_path / "m.jsonl").write_text('{"video": "a.mp4", "label": "x,y", "start": 2, "end": null}\n\n')
    assert videos_of(tmp_path / "m.csv") == videos_of(tmp_path / "m.tsv") == videos_of(tmp_path / "m.jsonl")


def test_ids_may_be_given_and_one_file_may_be_two_items(tmp_path):
    make(tmp_path, "a.mp4")
    (tmp_path / "m.csv").write_text("id,video,label,end\none,a.mp4,x,5\ntwo,a.mp4,y,9\n")
    assert [(v.id, v.segments[0].end_seconds) for v in videos_of(tmp_path / "m.csv")] == [
        ("one", 5.0),
        ("two", 9.0),
    ]


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path):
    make(tmp_path, "a.mp4", "b.mp4", "a.srt")
    (tmp_path / "m.csv").write_text(
        "id,video,captions,split,start,end\n"
        "1,a.mp4,,train,5,2\n"
        "2,b.mp4,,learn,,\n"
        "3,b.mp4,gone.srt,,,\n"
        "4,,,,,\n"
        "5,a.mp4,,test,,\n"
        "5,a.mp4,,train,,\n"
        "5,b.mp4,,,,\n"
        "6,a.mp4\n"
        "7,a.mp4,,,0:30,\n"
    )
    with pytest.raises(ManifestError, match=r"m\.csv:2: end 2 is not after start 5") as caught:
        videos_of(tmp_path / "m.csv")
    lines = caught.value.what.splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "3", "4", "5", "7", "8", "9", "10"]
    for part in (
        "'learn' is none of",
        "no captions 'gone.srt'",
        "neither",
        "into split 'test'",
        "already stands for",
        "cells under",
        "'0:30'",
    ):
        assert part in caught.value.what
    assert caught.value.at == f"{tmp_path / 'm.csv'}:2"


def test_only_the_first_twenty_mistakes_are_listed(tmp_path):
    (tmp_path / "m.jsonl").write_text("[]\n" * 30)
    with pytest.raises(ManifestError, match="and 10 more"):
        videos_of(tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "", "each column once"),
        ("m.csv", "path,label\na.mp4,x\n", "with `video`, not path, label"),
        ("m.csv", "video,video\na.mp4,b.mp4\n", "each column once"),
        ("m.csv", "video\n", "no videos"),
        ("m.csv", "video\ngone.mp4\nalso.mp4\n", "none of the 2 videos exists"),
        ("m.jsonl", '{"video": ["a"]}\n', "text or numbers"),
        ("m.jsonl", '{"video": \n', "not JSON"),
    ],
)
def test_a_useless_manifest_is_an_error(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ManifestError, match=message):
        videos_of(tmp_path / name)


def test_a_manifest_in_another_encoding_is_an_error(tmp_path):
    (tmp_path / "m.csv").write_bytes("video,label\na.mp4,é\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="cannot be read"):
        videos_of(tmp_path / "m.csv")


def test_a_missing_source_and_an_empty_folder_are_errors(tmp_path):
    with pytest.raises(MissingInputError, match="there is no"):
        videos_of(tmp_path / "gone")
    with pytest.raises(ManifestError, match="no videos"):
        videos_of(tmp_path)


def test_splits_depend_on_the_id_and_the_seed_alone(tmp_path):
    make(tmp_path, *(f"{number}.mp4" for number in range(400)))
    first = {v.id: v.split for v in videos_of(tmp_path)}
    counts = {name: list(first.values()).count(name) for name in ("train", "validation", "test")}
    assert 20 <= counts["validation"] <= 65
    assert 20 <= counts["test"] <= 65
    (tmp_path / "0.mp4").unlink()
    make(tmp_path, "new.mp4")
    second = {v.id: v.split for v in videos_of(tmp_path)}
    assert all(second[i] == first[i] for i in first if i != "0")
    assert {v.id: v.split for v in videos_of(tmp_path, seed=1)} != second
    assert {v.split for v in videos_of(tmp_path, validation_fraction=0.0, test_fraction=0.0)} == {"train"}


def test_named_files_of_one_name_are_told_apart_by_their_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [Path("z/a/same.mp4"), tmp_path / "z/b/same.mp4", Path("z/b/same.mkv"), Path("other/lone.mp4")]
    ids = {str(video.path): video.id for video in videos_from_files(files)}
    assert ids == {
        "z/a/same.mp4": "a/same",
        str(tmp_path / "z/b/same.mp4"): "b/same",
        "z/b/same.mkv": "same",
        "other/lone.mp4": "lone",
    }


def test_one_file_named_in_two_ways_is_two_videos_with_two_ids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = [video.id for video in videos_from_files([Path("a.mp4"), tmp_path / "a.mp4"])]
    assert len(set(ids)) == 2


def test_ten_thousand_files_of_one_name_keep_apart():
    files = [Path(f"{number:05}/video.mp4") for number in range(10_000)]
    ids = [video.id for video in videos_from_files(files)]
    assert ids[:2] == ["00000/video", "00001/video"]
    assert len(set(ids)) == 10_000
