"""The pool of decoder children, the slots their frames cross in, and what is left of them when someone is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rendered_videos import read, render, request, shown_numbers

from videobert_cli.core.video import decoder_process, frame_ring
from videobert_cli.core.video import reader as reader_module
from videobert_cli.core.video.decoder_pool import DecoderPool, count_cores, count_decoders, portioned
from videobert_cli.core.video.entries import Video
from videobert_cli.core.video.frame_ring import FrameRing, open_shared_memory
from videobert_cli.core.video.frames import VideoSummary
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import LentBatch, VideoReader
from videobert_cli.errors import VideoError

pytestmark = pytest.mark.slow

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="shared memory is used on Linux only")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    for number, seconds in enumerate((2, 9, 4, 1, 6)):
        render(folder / f"v{number}.mp4", times=range(0, 1000 * seconds, 40))
    (folder / "v5.mp4").write_text("no video")
    return folder


def videos(folder: Path) -> list[Video]:
    return [
        Video(id=path.stem, path=path, captions=None, split="train", segments=())
        for path in sorted(folder.glob("*.mp4"))
    ]


def drain(pool: DecoderPool) -> tuple[dict[int, list], dict[int, object]]:
    """Copy every portion, by video, and what each video ended with."""
    clips, ends = {}, {}
    while (event := pool.next_event(timeout_seconds=60)) is not None:
        if isinstance(event.content, LentBatch):
            assert event.position not in ends
            batch = event.content.batch
            for rows in batch.frame_index_NT:
                clips.setdefault(event.position, []).append(batch.frames_FHWC[rows].copy())
            event.content.give_back()
        else:
            ends[event.position] = event.content
    return clips, ends


@pytest.mark.parametrize("num_workers", [1, 3])
def test_a_pool_delivers_what_one_reader_does_whatever_its_size(folder, num_workers) -> None:
    asked = request(batch_num_clips=2)
    with DecoderPool(videos(folder), request=asked, options=ReaderOptions(), num_workers=num_workers) as pool:
        clips, ends = drain(pool)
        children = [reader._child for reader in pool._readers]
    assert children == [None] * num_workers
    assert sorted(ends) == list(range(6))
    for position, item in enumerate(videos(folder)[:5]):
        batches, summary = read(item.path)
        assert ends[position] == summary
        expected = [batch.frames_FHWC[rows] for batch in batches for rows in batch.frame_index_NT]
        np.testing.assert_array_equal(np.stack(clips[position]), np.stack(expected))
    assert isinstance(ends[5], VideoError)
    assert ends[5].reason == "not-media"


def test_leaving_early_ends_every_child_at_once(folder) -> None:
    pool = DecoderPool(
        videos(folder), request=request(batch_num_clips=1), options=ReaderOptions(), num_workers=3
    )
    with pool:
        assert pool.next_event(timeout_seconds=60) is not None
        pids = [reader._child.process.pid for reader in pool._readers if reader._child]
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert pids
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_a_child_that_dies_costs_its_video_only(folder) -> None:
    with DecoderPool(
        videos(folder), request=request(batch_num_clips=1), options=ReaderOptions(), num_workers=2
    ) as pool:
        first = pool.next_event(timeout_seconds=60)
        victim = next(reader for reader in pool._readers if reader._child)
        os.kill(victim._child.process.pid, signal.SIGSEGV)
        first.content.give_back()
        _, ends = drain(pool)
    crashed = [
        end for end in ends.values() if isinstance(end, VideoError) and end.reason == "decoder-crashed"
    ]
    assert len(crashed) == 1
    assert "SIGSEGV" in crashed[0].what
    assert sum(isinstance(end, VideoSummary) for end in ends.values()) == 4


def test_a_decoder_that_is_not_there_is_raised_where_the_events_are_taken(folder, monkeypatch) -> None:
    class Broken(VideoReader):
        def lend(self, path, request):
            raise RuntimeError("no such decoder")

    monkeypatch.setattr("videobert_cli.core.video.decoder_pool.VideoReader", Broken)
    with (
        DecoderPool(videos(folder), request=request(), options=ReaderOptions(), num_workers=2) as pool,
        pytest.raises(RuntimeError, match="no such decoder"),
    ):
        pool.next_event(timeout_seconds=60)


@on_linux
def test_a_child_waits_for_its_slots_and_is_not_timed_out(folder, monkeypatch) -> None:
    monkeypatch.setattr(reader_module, "_TIMES_DURATION", 0)
    with VideoReader(ReaderOptions(timeout_seconds=1.5)) as reader:
        lent = reader.lend(folder / "v1.mp4", request(batch_num_clips=1))
        first, second = next(lent), next(lent)
        assert first.batch.frames_FHWC.base is not None
        before = shown_numbers([first.batch, second.batch])
        time.sleep(2.5)
        # Both slots are out: what they hold has not been written over.
        assert shown_numbers([first.batch, second.batch]) == before
        first.give_back()
        second.give_back()
        rest = []
        for item in lent:
            if isinstance(item, LentBatch):
                rest += shown_numbers([item.batch])
                item.give_back()
        expected, _ = read(folder / "v1.mp4")
        assert before + rest == shown_numbers(expected)


@pytest.mark.parametrize("why", ["no memfd", "slots too large"])
def test_without_shared_memory_frames_come_through_the_pipe(folder, monkeypatch, why) -> None:
    expected, _ = read(folder / "v1.mp4")
    if why == "no memfd":
        monkeypatch.setattr(decoder_process, "open_shared_memory", lambda _num_bytes: None)
    else:
        monkeypatch.setattr(decoder_process, "MAX_SLOT_BYTES", 1000)
    with VideoReader(ReaderOptions()) as reader:
        *batches, _ = reader.read(folder / "v1.mp4", request())
        assert reader._child._ring is None
    assert shown_numbers(batches) == shown_numbers(expected)


@on_linux
def test_a_batch_larger_than_a_slot_comes_through_the_pipe(folder) -> None:
    with VideoReader(ReaderOptions()) as reader:
        list(reader.read(folder / "v3.mp4", request(batch_num_clips=1)))
        slot = reader._child._ring.slot_num_bytes
        large = request(batch_num_clips=9)
        assert large.batch_num_bytes > slot
        *batches, _ = reader.read(folder / "v1.mp4", large)
        assert reader._child._ring.slot_num_bytes == slot
    expected, _ = read(folder / "v1.mp4")
    assert shown_numbers(batches) == shown_numbers(expected)


@on_linux
def test_memory_where_files_may_not_grow_is_refused_quietly() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from videobert_cli.core.video.frame_ring import open_shared_memory; print(open_shared_memory(1 << 20))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "None\n"


@on_linux
def test_shared_memory_cannot_be_pulled_away() -> None:
    descriptor = open_shared_memory(3 * 4096)
    ring = FrameRing(descriptor, num_slots=3, slot_num_bytes=4096)
    for size in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    os.close(descriptor)
    memory = ring.slot(2, num_bytes=4096)
    memory[:] = 7
    assert ring.slot(1, num_bytes=10).sum() == 0
    for number, num_bytes in ((3, 1), (-1, 1), (0, 4097)):
        with pytest.raises(ValueError, match="slot"):
            ring.slot(number, num_bytes=num_bytes)
    del ring
    assert memory.sum() == 7 * 4096


@on_linux
def test_killed_with_frames_in_flight_nothing_is_left(folder) -> None:
    def named() -> set[str]:
        names = {path.name for path in Path("/dev/shm").iterdir()}
        return {name for name in names if "videobert" in name or name.startswith("psm_")}

    program = (
        "import sys, time; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from rendered_videos import request; from videobert_cli.core.video.reader import VideoReader\n"
        "from videobert_cli.core.video.options import ReaderOptions\n"
        "r = VideoReader(ReaderOptions()); g = r.lend(Path(sys.argv[1]), request(batch_num_clips=1)); a = next(g)\n"
        "print(r._child.process.pid, flush=True); time.sleep(60)\n"
    )
    before = named()
    arguments = [sys.executable, "-c", program, str(folder / "v1.mp4"), str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _is_alive(child):
        time.sleep(0.02)
    assert not _is_alive(child)
    assert named() == before


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_how_many_children(monkeypatch) -> None:
    monkeypatch.setattr("videobert_cli.core.video.decoder_pool.count_cores", lambda: 16)
    assert count_decoders("auto", device_type="cuda", num_videos=1000) == 15
    assert count_decoders("auto", device_type="cpu", num_videos=1000) == 8
    assert count_decoders("auto", device_type="cuda", num_videos=3) == 3
    assert count_decoders(5, device_type="cpu", num_videos=1000) == 5
    monkeypatch.setattr("videobert_cli.core.video.decoder_pool.count_cores", lambda: 1)
    assert count_decoders("auto", device_type="cpu", num_videos=9) == 1
    assert count_decoders("auto", device_type="cuda", num_videos=9) == 1
    monkeypatch.undo()
    assert 1 <= count_cores() <= os.cpu_count()


def test_portions_are_small_and_hold_at_least_a_clip() -> None:
    s3d = request(
        clip_num_frames=30, frame_indices=tuple(range(30)), crop_size=224, resize=256, batch_num_clips=64
    )
    assert s3d.clip_num_bytes == 30 * 224 * 224 * 3
    assert portioned(s3d).batch_num_clips == 1
    assert portioned(request(batch_num_clips=64)).batch_num_clips == 15
    assert portioned(request(batch_num_clips=2)).batch_num_clips == 2
    huge = request(crop_size=1024, resize=1024, batch_num_clips=8)
    assert portioned(huge).batch_num_clips == 1
    assert portioned(s3d).batch_num_bytes < frame_ring.MAX_SLOT_BYTES
