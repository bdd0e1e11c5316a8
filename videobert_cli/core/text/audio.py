"""The sound of a video as 16 kHz mono, in windows that are cut where it is quiet; the whole is never in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.probe import (
    ANY_METADATA,
    CONTAINERS,
    MEDIA_ERRORS,
    open_regular_file,
    reason_of,
)
from videobert_cli.errors import VideoError

# Shapes: S samples.

SAMPLE_RATE = 16_000
# A time stamp that is off by less is rounding, not a gap in the sound.
_GAP_SAMPLES = SAMPLE_RATE // 10
_QUIET_SAMPLES = SAMPLE_RATE // 10
# A window may end this much early, where it is quietest: a word that is cut in two is lost twice.
_SEARCHED_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class AudioWindow:
    """A stretch of sound: when it begins, in seconds after the first frame of the video, and its samples, -1 to 1."""

    start_seconds: float
    samples_S: NDArray[np.float32]

    @property
    def end_seconds(self) -> float:
        """When it ends."""
        return self.start_seconds + len(self.samples_S) / SAMPLE_RATE


def audio_windows(
    path: Path, *, window_seconds: float, max_bytes: int, max_seconds: float
) -> Iterator[AudioWindow]:
    """Yield the sound of a video from its first frame on, without a gap: where the file has none, it is silence.

    The first sound track is taken, its channels mixed. Sound before the first frame is left out.

    Raises:
        VideoError: `no-sound` where there is no sound track, else what is wrong with the file: not-a-file, empty,
            too-large, too-long, not-media, no-decoder, decode-error.
    """
    if path.is_dir():
        raise VideoError("a folder of pictures has no sound", reason="no-sound", at=str(path))
    with open_regular_file(path, max_bytes=max_bytes) as file, _open(file, path=path) as container:
        blocks = _without_gaps(container, path=path, max_samples=int(max_seconds * SAMPLE_RATE))
        yield from _windows(blocks, num_samples=int(window_seconds * SAMPLE_RATE))
        file.require_read(path)


def _open(file: Any, *, path: Path) -> av.container.InputContainer:
    options = {"protocol_whitelist": "", "format_whitelist": CONTAINERS, "threads": "1"}
    try:
        container: av.container.InputContainer = av.open(file, mode="r", options=options, **ANY_METADATA)
    except MEDIA_ERRORS as error:
        file.require_read(path)
        raise VideoError(
            f"no container that we read: {reason_of(error)}", reason="not-media", at=str(path)
        ) from error
    if not container.streams.audio:
        container.close()
        raise VideoError("the file has no sound track", reason="no-sound", at=str(path))
    if container.streams.audio[0].codec_context is None:
        container.close()
        raise VideoError("there is no decoder for the sound's codec", reason="no-decoder", at=str(path))
    return container


def _without_gaps(
    container: av.container.InputContainer, *, path: Path, max_samples: int
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of samples that follow each other from the first frame on."""
    position = 0
    for start, block_S in _decoded(container, path=path):
        gap = 0 if start is None else start - position
        if gap > max_samples:
            break
        if gap > (_GAP_SAMPLES if position else 0):
            for first in range(0, gap, SAMPLE_RATE):
                yield np.zeros(min(SAMPLE_RATE, gap - first), dtype=np.float32)
            position += gap
        elif gap < 0 and not position:
            block_S = block_S[-gap:]  # noqa: PLW2901 - what was heard before the first frame
        position += len(block_S)
        if position > max_samples:
            break
        yield block_S
    else:
        return
    limit = f"max_duration_seconds {max_samples / SAMPLE_RATE:g}"
    raise VideoError(f"its sound lasts longer than {limit}", reason="too-long", at=str(path))


def _decoded(
    container: av.container.InputContainer, *, path: Path
) -> Iterator[tuple[int | None, NDArray[np.float32]]]:
    """Yield blocks of samples, each with the number of its first one counted from the first frame, None if unknown."""
    stream = container.streams.audio[0]
    first_frame = _first_frame_seconds(container)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    try:
        for frame in container.decode(stream):
            start = None if frame.time is None else round((frame.time - first_frame) * SAMPLE_RATE)
            try:
                resampled = resampler.resample(frame)
            except ValueError:  # the layout or the rate changes in the middle
                resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
                resampled = resampler.resample(frame)
            if resampled:
                yield start, np.concatenate([part.to_ndarray()[0] for part in resampled])
    except MemoryError:
        raise
    except MEDIA_ERRORS as error:
        raise VideoError(
            f"the sound cannot be decoded: {reason_of(error)}", reason="decode-error", at=str(path)
        ) from error


def _first_frame_seconds(container: av.container.InputContainer) -> float:
    for stream in container.streams.video:
        if stream.start_time is not None and stream.time_base is not None:
            return float(stream.start_time * stream.time_base)
    return 0.0


def _windows(blocks: Iterator[NDArray[np.float32]], *, num_samples: int) -> Iterator[AudioWindow]:
    held: list[NDArray[np.float32]] = []
    num_held = num_given = 0
    for block_S in blocks:
        held.append(block_S)
        num_held += len(block_S)
        while num_held >= num_samples:
            all_S = np.concatenate(held)
            cut = _quietest(all_S[:num_samples])
            yield AudioWindow(start_seconds=num_given / SAMPLE_RATE, samples_S=all_S[:cut])
            held, num_held, num_given = [all_S[cut:]], num_held - cut, num_given + cut
    if num_held:
        yield AudioWindow(start_seconds=num_given / SAMPLE_RATE, samples_S=np.concatenate(held))


def _quietest(samples_S: NDArray[np.float32]) -> int:
    """Return where the quietest tenth of a second in the last quarter has its middle."""
    first = int(len(samples_S) * (1 - _SEARCHED_SHARE))
    num_blocks = (len(samples_S) - first) // _QUIET_SAMPLES
    if num_blocks < 1:
        return len(samples_S)
    blocks = samples_S[first : first + num_blocks * _QUIET_SAMPLES].reshape(num_blocks, _QUIET_SAMPLES)
    energies = np.square(blocks, dtype=np.float64).sum(axis=1)
    # The last of several that are equally quiet: a window of silence is taken whole.
    quietest = num_blocks - 1 - int(np.argmin(energies[::-1]))
    return first + quietest * _QUIET_SAMPLES + _QUIET_SAMPLES // 2
