"""The process that touches hostile media: decodes one file at a time and sends clips back; holds av and numpy only.

It runs in its own session under limits on memory, open files and written bytes, dies with its parent, and
leaves Ctrl-C to the parent. Whatever happens in FFmpeg ends here, as one failed item.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import av.logging
import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video import channel
from videobert_cli.core.video.child_limits import free_frames_at_once, limit_resources
from videobert_cli.core.video.completeness import believed_duration_seconds
from videobert_cli.core.video.frame_ring import FrameRing
from videobert_cli.core.video.frames import FrameRequest, ReadLimits, VideoSummary
from videobert_cli.core.video.pyav_frames import PyAVSource
from videobert_cli.core.video.sampling import ClipAssembler, SampleClock, SampledClips, Timeline
from videobert_cli.core.video.source import FrameSource, SourceFrame
from videobert_cli.errors import VideoError

# The program, the package's place, the most memory (0: no limit); then, where there is a ring, its descriptor, slots
# and bytes of a slot.
_NUM_ARGUMENTS_WITHOUT_RING = 3
_INSTALL = {
    "decord": "pip install decord (x86-64 Linux or Windows)",
    "torchcodec": "pip install 'videobert-cli[gpu-decode]' and FFmpeg (apt install ffmpeg)",
    "pyav": "pip install av",
}
# A rate is only known after a while: a few frames at one moment are no reason to refuse a file.
_SECONDS_BEFORE_RATE = 1.0


def main() -> None:
    """Serve requests from standard input on standard output until the input closes."""
    parent = _take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    av.logging.set_level(None)
    free_frames_at_once()
    limit_resources(max_memory_bytes=int(sys.argv[2]) or None)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            head = parent.next_request()
            try:
                _answer(parent, head)
            except (BrokenPipeError, EOFError):
                raise
            except Exception as error:
                what = f"the decoder's process failed: {type(error).__name__}: {error}"
                parent.send({"kind": "error", "reason": "decoder-crashed", "what": what})
                raise


def open_source(
    path: Path, *, decoder: str, device: str, request: FrameRequest, limits: ReadLimits
) -> FrameSource:
    """Return `path` opened by the decoder of that name; a folder is a video of time-stamped images.

    Raises:
        VideoError: The file fails a check that needs no decoding.
        ImportError: The decoder is not installed.
    """
    if os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises for a name that is too long, or in a closed folder
        from videobert_cli.core.video.image_frames import ImageSource

        return ImageSource(path, request=request, limits=limits)
    if decoder == "decord":
        import decord  # noqa: F401 - fails here, before the file is touched, where there is no wheel

        from videobert_cli.core.video.decord_frames import DecordSource

        return DecordSource(path, request=request, limits=limits)
    if decoder == "torchcodec":
        from videobert_cli.core.video.torchcodec_frames import TorchcodecSource

        return TorchcodecSource(path, request=request, limits=limits, device=device)
    return PyAVSource(path, request=request, limits=limits)


def read_clips(
    source: FrameSource, *, path: Path, request: FrameRequest, limits: ReadLimits
) -> Iterator[SampledClips | VideoSummary]:
    """Yield the clips of an opened video in batches, then its summary.

    Raises:
        VideoError: The video is damaged, truncated, too long, or shows no frame.
    """
    facts = source.facts
    clock = SampleClock(tick_seconds=facts.tick_seconds, frames_per_second=request.frames_per_second)
    timeline = Timeline(tick_seconds=facts.tick_seconds, fallback_gap_ticks=facts.usual_gap_ticks)
    assembler = ClipAssembler[object](request, to_rgb=source.rgb)
    max_ticks = limits.max_duration_seconds / facts.tick_seconds
    held: SourceFrame | None = None
    held_sample = 0
    num_frames = 0
    for frame in source.frames():
        time = timeline.place(frame.pts_ticks)
        _check_length(time, max_ticks=max_ticks, path=path)
        _check_rate(num_frames, seconds=float(time * facts.tick_seconds), limits=limits, path=path)
        sample = clock.first_sample(time)
        if held is not None:
            yield from assembler.show(held.picture, first=held_sample, end=sample)
        held, held_sample = frame, sample
        num_frames += 1
    if held is None:
        raise VideoError("it opens, but shows no frame", reason="no-frames", at=str(path))
    end = timeline.end(held.duration_ticks)
    _check_length(end, max_ticks=max_ticks, path=path)
    duration_seconds = float(end * facts.tick_seconds)
    source.check_complete(duration_seconds)
    num_samples = max(1, clock.first_sample(end))
    yield from assembler.show(held.picture, first=held_sample, end=num_samples)
    yield from assembler.finish(num_samples=num_samples)
    yield VideoSummary(
        num_decoded_frames=num_frames,
        duration_seconds=duration_seconds,
        declared_duration_seconds=facts.declared_duration_seconds,
        width=facts.width,
        height=facts.height,
        codec=facts.codec,
        decoder=facts.decoder,
        num_clips=assembler.num_clips,
    )


def _check_length(ticks: int, *, max_ticks: float, path: Path) -> None:
    if ticks > max_ticks:
        raise VideoError("its frames run on beyond max_duration_seconds", reason="too-long", at=str(path))


def _check_rate(num_frames: int, *, seconds: float, limits: ReadLimits, path: Path) -> None:
    if num_frames > limits.max_frames_per_second * (seconds + _SECONDS_BEFORE_RATE):
        what = (
            f"{num_frames} frames in {seconds:.1f} s are more than max_frames_per_second"
            f" {limits.max_frames_per_second:g}"
        )
        raise VideoError(what, reason="too-large", at=str(path))


def _answer(parent: "_Parent", head: dict[str, Any]) -> None:
    path = Path(head["path"])
    resize = head["request"]["resize"]
    request = FrameRequest(
        **head["request"]
        | {
            "frame_indices": tuple(head["request"]["frame_indices"]),
            "resize": resize if isinstance(resize, int) else tuple(resize),
        }
    )
    limits = ReadLimits(**head["limits"])
    try:
        if head["kind"] == "stills":
            _send_stills(parent, path, seconds=head["seconds"], request=request, limits=limits)
            return
        source = open_source(
            path, decoder=head["decoder"], device=head["device"], request=request, limits=limits
        )
        try:
            parent.send(
                {"kind": "opened", "believed_duration_seconds": _believed_duration_seconds(source, path)}
            )
            for item in read_clips(source, path=path, request=request, limits=limits):
                source.rest()
                _send_item(parent, item, frames_per_second=request.frames_per_second)
        finally:
            source.close()
    except VideoError as error:
        parent.send({"kind": "error", "reason": error.reason, "what": error.what})
    except ImportError as error:
        what = f"{head['decoder']} cannot be loaded: {error}"
        fix = f"{_INSTALL[head['decoder']]}, or set extract.reader.name to pyav"
        parent.send({"kind": "not-installed", "what": what, "fix": fix})
    except MemoryError:
        what = f"decoding needs more than max_memory_bytes {sys.argv[2]}"
        parent.send({"kind": "error", "reason": "out-of-memory", "what": what})


def _send_stills(
    parent: "_Parent", path: Path, *, seconds: list[float], request: FrameRequest, limits: ReadLimits
) -> None:
    from videobert_cli.core.video.stills import read_stills

    for item in read_stills(path, seconds=seconds, request=request, limits=limits):
        _send_item(parent, item, frames_per_second=request.frames_per_second)


def _believed_duration_seconds(source: FrameSource, path: Path) -> float | None:
    if path.is_dir():
        return None
    return believed_duration_seconds(source.facts.declared_duration_seconds, num_bytes=path.stat().st_size)


def _send_item(parent: "_Parent", item: SampledClips | VideoSummary, *, frames_per_second: float) -> None:
    if isinstance(item, VideoSummary):
        parent.send({"kind": "summary", "summary": asdict(item)})
        return
    head = {
        "kind": "clips",
        "num_frames": len(item.pictures),
        "rows": item.rows_NT,
        "start_seconds": [start / frames_per_second for start in item.starts_N],
    }
    parent.send_pictures(head, item.pictures)


class _Parent:
    """The other side: takes answers, pictures among them, and names what to do next."""

    def __init__(self, *, requests: BinaryIO, answers: BinaryIO, ring: FrameRing | None) -> None:
        self._requests = requests
        self._answers = answers
        self._ring = ring
        self._free = list(range(ring.num_slots)) if ring else []

    def next_request(self) -> dict[str, Any]:
        """Return the next file to read, noting slots that come back meanwhile.

        Raises:
            EOFError: The parent wants no more.
        """
        while True:
            head, _ = channel.receive(self._requests)
            if head["kind"] != "free":
                return head
            self._free.append(head["slot"])

    def send(self, head: dict[str, Any]) -> None:
        """Send a message without pictures."""
        channel.send(self._answers, head)

    def send_pictures(self, head: dict[str, Any], pictures: list[NDArray[np.uint8]]) -> None:
        """Send a message with pictures: through a slot, once one is free, or with the message if none is so large."""
        num_bytes = sum(picture.nbytes for picture in pictures)
        if self._ring is None or num_bytes > self._ring.slot_num_bytes:
            channel.send(self._answers, head | {"slot": None}, parts=[picture.data for picture in pictures])
            return
        while not self._free:
            answer, _ = channel.receive(self._requests)
            self._free.append(answer["slot"])
        slot = self._free.pop(0)
        memory = self._ring.slot(slot, num_bytes=num_bytes)
        end = 0
        for picture in pictures:
            start, end = end, end + picture.nbytes
            memory[start:end] = picture.reshape(-1)
        self.send(head | {"slot": slot})


def _take_pipes() -> _Parent:
    """Return the other side, over private copies of standard input and output; a library that prints must not break
    the messages.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    ring = None
    if len(sys.argv) > _NUM_ARGUMENTS_WITHOUT_RING:
        descriptor, num_slots, slot_num_bytes = map(int, sys.argv[_NUM_ARGUMENTS_WITHOUT_RING:])
        ring = FrameRing(descriptor, num_slots=num_slots, slot_num_bytes=slot_num_bytes)
        os.close(descriptor)
    return _Parent(requests=requests, answers=answers, ring=ring)


if __name__ == "__main__":
    main()
