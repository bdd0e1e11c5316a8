"""P39: the same video in two splits is a warning with the ids, and with --strict exit 3; encoded anew and renamed too."""

import json
from fractions import Fraction
from pathlib import Path

import av
import pytest
from executable import RECIPE, shell, snapshot

FEW = ("--train", "6", "--validation", "1", "--test", "2")


def encode_anew(source: Path, target: Path) -> None:
    """Write a copy at three quarters of the size, 15 frames a second and a low quality."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        pictures = reader.streams.video[0]
        stream = writer.add_stream("libx264", rate=15, options={"crf": "30", "preset": "veryfast"})
        stream.width, stream.height = pictures.width * 3 // 8 * 2, pictures.height * 3 // 8 * 2
        stream.pix_fmt = "yuv420p"
        number = 0
        for frame in reader.decode(video=0):
            while frame.time >= number / 15:
                copy = frame.reformat(stream.width, stream.height, "yuv420p")
                copy.pts, copy.time_base, number = number, Fraction(1, 15), number + 1
                writer.mux(stream.encode(copy))
        writer.mux(stream.encode())


@pytest.mark.slow
def test_p39_a_copy_encoded_anew_is_found_by_its_words(tmp_path: Path) -> None:
    assert shell("demo", "demo", *FEW, "-q", folder=tmp_path).exit_code == 0
    copy = tmp_path / "demo" / "videos" / "another.mp4"
    encode_anew(tmp_path / "demo/videos/test-001.mp4", copy)
    table = tmp_path / "demo" / "videos.csv"
    columns = table.read_text().splitlines()[0].split(",")
    row = dict.fromkeys(columns, "") | {"video": "videos/another.mp4", "split": "train"}
    with table.open("a") as stream:
        stream.write(",".join(row.values()) + "\n")
    (tmp_path / "tiny.yaml").write_text(RECIPE)

    told = shell("quantize", "tiny.yaml", "--json", folder=tmp_path)
    assert told.exit_code == 0, told.err
    assert json.loads(told.out)["metrics"]["quantize.num_leaks"] == 1
    leak = "videos/another (train) = videos/test-001 (test): nearly the same visual words"
    [warning] = [line for line in told.err.splitlines() if line.startswith("warning: leak")]
    assert leak in warning

    before = snapshot(tmp_path)
    for command in ("quantize", "pretrain", "evaluate"):
        refused = shell(command, "tiny.yaml", "--strict", folder=tmp_path)
        assert refused.exit_code == 3, command
        assert refused.error_lines[0] == "error: 1 leaks between the splits"
        assert leak in refused.error_lines[1]
        assert "take all but one of each out of data.videos" in refused.error_lines[-1]
    planned = shell("pretrain", "tiny.yaml", "--dry-run", folder=tmp_path)
    assert f"warning: leak between the splits: {leak}" in planned.out
    assert not (tmp_path / "runs/tiny/pretrain").exists()
    assert snapshot(tmp_path) == before


def test_p39_the_same_bytes_are_found_before_anything_is_read(
    invoke, tmp_path: Path, short_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(short_clip.read_bytes())
    (tmp_path / "list.csv").write_text("video,split\na.mp4,train\nb.mp4,test\n")
    (tmp_path / "recipe.yaml").write_text("run: run\ndata: {videos: list.csv}\n")
    leak = "a (train) = b (test): files with the same bytes"
    planned = invoke("extract", "recipe.yaml", "--dry-run", "--json")
    assert json.loads(planned.out)["metrics"]["plan.num_leaks"] == 1
    for flags in (("--strict",), ("--strict", "--dry-run")):
        refused = invoke("extract", "recipe.yaml", *flags)
        assert refused.exit_code == 3
        assert leak in refused.err
    assert not (tmp_path / "run").exists()
