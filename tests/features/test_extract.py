"""Real videos through the reader and the embedded backbone: kept, quarantined, stopped, killed, retried."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from feature_samples import moving_frames
from PIL import Image

from videobert_cli import artifacts
from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.extract import ExtractProgress, extract_features
from videobert_cli.core.features.line.collect import features_of_video
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.store.check import verify_store
from videobert_cli.core.features.store.quarantine import read_quarantine
from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.core.features.store.source import is_same_source
from videobert_cli.core.video.manifest import Video
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import ResourceError, StaleStageError

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
OPTIONS = ExtractOptions(image_num_frames=2, reader=ReaderOptions(timeout_seconds=30))


def make_video(path: Path, *, num_frames: int = 95, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width = stream.height = 64
        for picture in moving_frames(num_frames, size=64, seed=seed):
            for packet in stream.encode(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            ):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def video(path: Path) -> Video:
    return Video(id=path.stem, path=path, captions=None, split="train", segments=())


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        make_video(folder / f"good{number}.mp4", seed=number)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("hello")
    return folder


@pytest.fixture
def videos(pristine, tmp_path) -> list[Video]:
    shutil.copytree(pristine, tmp_path / "videos")
    return [video(path) for path in sorted((tmp_path / "videos").iterdir(), reverse=True)]


def run(videos, directory, **changes):
    return extract_features(videos, options=OPTIONS, directory=directory, device=CPU, **changes)


def test_good_videos_are_stored_bad_ones_named_and_a_second_call_does_nothing(videos, tmp_path) -> None:
    store_at = tmp_path / "store"
    seen: list[ExtractProgress] = []
    report = run(videos, store_at, on_progress=seen.append)
    assert [(item.id, item.outcome, item.num_clips) for item in report.items] == [
        ("empty", "failed", 0), ("good0", "done", 3), ("good1", "done", 3), ("good2", "done", 3), ("text", "failed", 0)
    ]  # fmt: skip
    assert report.failures_by_reason == {"empty": 1, "not-media": 1}
    assert (report.num_clips, report.is_stopped) == (9, False)
    assert (seen[-1].num_done, seen[-1].num_failed, seen[-1].num_total) == (3, 2, 5)
    store = FeatureStore.open(store_at)
    stored = store.read("good1")
    assert stored.features_TD.shape == (3, 2560)
    np.testing.assert_allclose(stored.clip_start_seconds_T, [0, 1.5, 3.0])
    assert stored.facts["source"]["num_bytes"] == (tmp_path / "videos" / "good1.mp4").stat().st_size
    assert stored.facts["video"]["num_clips"] == 3
    assert verify_store(store_at) == []
    before = {path: path.stat().st_mtime_ns for path in store_at.rglob("*")}
    again = run(videos, store_at)
    assert (again.count("kept"), again.count("failed"), again.count("done")) == (3, 2, 0)
    assert before == {path: path.stat().st_mtime_ns for path in store_at.rglob("*")}


def test_the_store_is_the_same_bytes_whatever_the_order_and_place(videos, tmp_path) -> None:
    run(videos, tmp_path / "one")
    moved = tmp_path / "elsewhere" / "deep"
    shutil.copytree(tmp_path / "videos", moved)
    run([video(path) for path in sorted(moved.iterdir())], tmp_path / "two")
    first, second = (artifacts.read_manifest(tmp_path / name) for name in ("one", "two"))
    assert first.content_hash == second.content_hash


def test_one_video_alone_gives_what_the_store_holds(videos, tmp_path) -> None:
    run(videos, tmp_path / "store")
    backbone = load_backbone(OPTIONS, device=CPU)
    path = next(item.path for item in videos if item.id == "good2")
    with VideoReader(OPTIONS.reader) as reader:
        found = features_of_video(path, backbone=backbone, options=OPTIONS, reader=reader)
    np.testing.assert_array_equal(
        found.features_TD, FeatureStore.open(tmp_path / "store").read("good2").features_TD
    )


def test_a_repaired_video_is_tried_again_only_when_asked(videos, tmp_path) -> None:
    store_at = tmp_path / "store"
    run(videos, store_at)
    make_video(tmp_path / "videos" / "text.mp4", seed=9)
    assert run(videos, store_at).count("failed") == 2
    report = run(videos, store_at, on_failed="retry")
    assert (report.count("done"), report.count("kept"), report.count("failed")) == (1, 3, 1)
    assert list(read_quarantine(store_at)) == ["empty"]
    assert read_quarantine(store_at)["empty"].attempts == 2
    assert artifacts.is_finished(store_at)
    assert verify_store(store_at) == []


def test_a_changed_video_is_refused_and_a_deleted_one_kept(videos, tmp_path) -> None:
    good = [item for item in videos if item.id.startswith("good")]
    run(good, tmp_path / "store")
    (tmp_path / "videos" / "good0.mp4").unlink()
    assert run(good, tmp_path / "store").count("kept") == 3
    make_video(tmp_path / "videos" / "good0.mp4", seed=5)
    with pytest.raises(StaleStageError, match=r"1 video\(s\) changed.*good0\.mp4") as caught:
        run(good, tmp_path / "store")
    assert "run=DIR" in caught.value.fix


def test_pictures_shown_at_other_times_are_a_changed_video(tmp_path) -> None:
    folder, store_at = tmp_path / "pictures", tmp_path / "store"
    folder.mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / "a.png")
    Image.new("RGB", (64, 64), "blue").save(folder / "b.png")
    (folder / "frames.csv").write_text("file,start,end\na.png,0.0,1.0\nb.png,1.0,2.0\n")
    run([video(folder)], store_at)
    assert run([video(folder)], store_at).count("kept") == 1
    (folder / "frames.csv").write_text("file,start,end\nb.png,0.0,1.0\na.png,1.0,2.0\n")
    with pytest.raises(StaleStageError, match="changed since their features were made, first 'pictures'"):
        run([video(folder)], store_at)


def test_what_an_older_store_did_not_note_of_a_source_is_no_change() -> None:
    now = {"num_files": 3, "listing_xxh3": "1", "index_xxh3": "2"}
    assert is_same_source(now, stored={"num_files": 3, "listing_xxh3": "1"})
    assert not is_same_source(now, stored={"num_files": 3, "listing_xxh3": "0"})
    assert not is_same_source(now, stored=None)


def test_other_settings_are_refused(videos, tmp_path) -> None:
    run(videos[-1:], tmp_path / "store")
    other = OPTIONS.model_copy(update={"frames_per_second": 10.0})
    with pytest.raises(StaleStageError, match=r"frames_per_second: 20\.0 -> 10\.0"):
        extract_features(videos, options=other, directory=tmp_path / "store", device=CPU)


def test_asked_to_stop_it_stops_between_videos_and_goes_on_later(videos, tmp_path) -> None:
    seen: list[ExtractProgress] = []
    report = run(videos, tmp_path / "store", on_progress=seen.append, should_stop=lambda: len(seen) >= 2)
    assert report.is_stopped
    assert [item.id for item in report.items] == ["empty", "good0"]
    assert not artifacts.is_finished(tmp_path / "store")
    assert FeatureStore.open(tmp_path / "store").ids() == ["good0"]
    later = run(videos, tmp_path / "store")
    assert (later.count("kept"), later.count("done"), later.is_stopped) == (1, 2, False)


def test_nothing_to_read_gives_an_empty_sealed_store(tmp_path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert run([video(tmp_path / "empty.mp4")], tmp_path / "store").failures_by_reason == {"empty": 1}
    assert FeatureStore.open(tmp_path / "store").ids() == []
    assert artifacts.read_manifest(tmp_path / "store", kind="features").facts["num_videos"] == 0


_CHILD = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_extract import run, video
run([video(path) for path in sorted(Path(sys.argv[1]).iterdir())], Path(sys.argv[2]))
"""


def test_killed_at_any_moment_it_ends_with_the_same_bytes(videos, tmp_path) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    run(videos, unbroken)
    code = _CHILD.format(tests=str(Path(__file__).parent))
    num_done = 0
    for seconds in (3.0, 3.6, 4.2, 4.8):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "videos"), str(broken)], start_new_session=True
        )
        time.sleep(seconds)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if (broken / "store.json").is_file():
            store = FeatureStore.open(broken)
            assert len(store) >= num_done
            num_done = len(store)
            assert verify_store(broken) == []
    run(videos, broken)
    assert artifacts.read_manifest(broken).content_hash == artifacts.read_manifest(unbroken).content_hash
    assert not [path for path in broken.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(("num_workers", "batch_num_clips"), [(3, 16), (2, 1), (1, 3)])
def test_the_bytes_depend_neither_on_the_children_nor_on_the_batches(
    videos, tmp_path, num_workers, batch_num_clips
) -> None:
    run(videos, tmp_path / "one")
    other = OPTIONS.model_copy(
        update={
            "batch_num_clips": batch_num_clips,
            "reader": ReaderOptions(timeout_seconds=30, num_workers=num_workers),
        }
    )
    extract_features(videos, options=other, directory=tmp_path / "two", device=CPU)
    first, second = (artifacts.read_manifest(tmp_path / name) for name in ("one", "two"))
    assert first.content_hash == second.content_hash


def test_clips_of_a_video_that_fails_later_are_dropped(videos, tmp_path) -> None:
    good = [item for item in videos if item.id.startswith("good")]
    run(good, tmp_path / "expected")
    # Damaged in its middle: half of its clips have been decoded by then.
    damaged = tmp_path / "videos" / "good00.mp4"
    make_video(damaged, num_frames=1000)
    content = bytearray(damaged.read_bytes())
    middle, length = len(content) // 2, len(content) // 20
    content[middle : middle + length] = bytes(length)
    damaged.write_bytes(content)
    seen = []
    report = run(
        [*good, video(damaged)], tmp_path / "found", on_rates=lambda rates: seen.append(rates.num_clips)
    )
    assert report.failures_by_reason == {"decode-error": 1}
    assert seen[-1] > 9
    expected, found = (artifacts.read_manifest(tmp_path / name) for name in ("expected", "found"))
    assert found.facts == expected.facts
    for item in good:
        stored = [
            FeatureStore.open(tmp_path / name).read(item.id).features_TD for name in ("expected", "found")
        ]
        np.testing.assert_array_equal(*stored)


def test_rates_name_the_slowest_part(videos, tmp_path) -> None:
    told = []
    report = run(videos, tmp_path / "store", on_rates=told.append)
    assert report.rates.num_clips == 9
    assert told[-1].num_clips == 9
    assert report.rates.times_real_time == pytest.approx(1.5 * report.rates.clips_per_second)
    spent = report.rates.spent_seconds
    assert sum(spent.values()) <= report.rates.seconds
    assert spent[report.rates.bottleneck] == max(spent.values())
    assert report.facts["extract.bottleneck"] == report.rates.bottleneck
    assert run(videos, tmp_path / "store").rates is None


def test_a_stop_is_heard_while_a_decoder_hangs(videos, tmp_path) -> None:
    children = Path(f"/proc/{os.getpid()}/task")
    if not children.is_dir():
        pytest.skip("children are found in /proc")

    def found() -> set[int]:
        return {int(pid) for listing in children.glob("*/children") for pid in listing.read_text().split()}

    # Other tests of this process may have children of their own.
    before = found()

    def is_decoder(pid: int) -> bool:
        # A child that is not yet another program must not be stopped: who starts it waits for that.
        own = Path("/proc/self/cmdline").read_bytes()
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes() not in {own, b""}
        return False

    def hang() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for pid in filter(is_decoder, found() - before):
                os.kill(pid, signal.SIGSTOP)
                return

    stopper = threading.Thread(target=hang)
    stopper.start()
    began = time.monotonic()
    report = run(videos, tmp_path / "store", should_stop=lambda: time.monotonic() > began + 4)
    stopper.join()
    assert report.is_stopped
    assert time.monotonic() - began < 30
    assert found() <= before


def test_a_disk_that_fills_up_ends_it_with_the_store_s_own_error(videos, tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise ResourceError("cannot write: No space left on device", at="there", fix="free some")

    monkeypatch.setattr("videobert_cli.core.features.store.writer.FeatureStoreWriter.add", full)
    with pytest.raises(ResourceError, match="No space left"):
        run(videos, tmp_path / "store")


@pytest.mark.full
def test_memory_grows_neither_with_the_length_nor_with_the_number_of_videos(tmp_path) -> None:
    make_video(tmp_path / "short" / "a.mp4", num_frames=200)
    make_video(tmp_path / "long" / "a.mp4", num_frames=12_000)
    (tmp_path / "many").mkdir()
    for number in range(60):
        shutil.copyfile(tmp_path / "short" / "a.mp4", tmp_path / "many" / f"{number:03d}.mp4")
    code = _CHILD.format(tests=str(Path(__file__).parent)) + (
        "import resource; print([resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)])"
    )
    peaks = {}
    for name in ("short", "long", "many"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name), str(tmp_path / f"store-{name}")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks[name] = json.loads(done.stdout)
    for name in ("long", "many"):
        for found, short in zip(peaks[name], peaks["short"], strict=True):
            assert found < short + 40_000, peaks
