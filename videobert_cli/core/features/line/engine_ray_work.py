"""What runs on Ray's workers: decoding and computing, and the rows that go from one to the other.

A row is a portion of one video's clips: its video's `position`, its number `part` in it, and numbers as bytes; the
last row of a video holds no clips but how it ended. Bytes, because Ray's tensors of varying shape are copied twice.

Shapes: F distinct frames, N clips, T frames of a clip that the backbone looks at, D feature.
"""

import functools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.decoder_pool import portioned
from videobert_cli.core.video.frames import ClipBatch, FrameRequest, VideoSummary
from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError
from videobert_cli.runtime import pick_device

Row = dict[str, Any]
Columns = dict[str, Any]


def clips_in_a_row(request: FrameRequest) -> int:
    """Return how many clips a row holds at most."""
    return portioned(request).batch_num_clips


def ending_of(row: Row) -> VideoSummary | VideoError:
    """Return how the video of a last row ended."""
    ending = json.loads(row["ending"])
    return VideoSummary(**ending["summary"]) if "summary" in ending else VideoError(**ending["error"])


def decode(videos: Columns, *, request: FrameRequest, options: str) -> Iterator[Columns]:
    """Yield the rows of each video, as columns of one row; a child process reads it, as on a single machine."""
    reader = _reader(options)
    for position, path in zip(videos["position"], videos["path"], strict=True):
        contents = _contents(reader, Path(os.fsdecode(path)), portioned(request))
        for part, content in enumerate(contents):
            yield _columns([{"position": int(position), "part": part, **content}])


@functools.cache
def _reader(options: str) -> VideoReader:
    """Return this worker's reader: its child lives from one task to the next."""
    return VideoReader(ReaderOptions.model_validate_json(options, strict=True), num_threads=1)


def _contents(reader: VideoReader, path: Path, request: FrameRequest) -> Iterator[Row]:
    try:
        for content in reader.read(path, request):
            if isinstance(content, ClipBatch):
                yield _clips_row(content)
            else:
                yield _ending_row({"summary": asdict(content)})
    except VideoError as error:
        yield _ending_row({"error": {"what": error.what, "reason": error.reason, "at": str(error.at)}})


class Extractor:
    """Computes rows of clips in one batch; its network stays on its device."""

    def __init__(self, *, options: str) -> None:
        self._options = ExtractOptions.model_validate_json(options, strict=True)
        self._backbone = load_backbone(self._options, device=pick_device("auto"))
        request = self._backbone.frame_request(self._options)
        self._frame_shape = (request.crop_size, request.crop_size, 3)
        self._num_looked_at = len(request.frame_indices)

    def __call__(self, rows: Columns) -> Columns:
        """Return the rows with features in place of frames."""
        found = [
            {
                "position": int(position),
                "part": int(part),
                "starts": starts,
                "ending": ending,
                "features": b"",
            }
            for position, part, starts, ending in zip(
                rows["position"], rows["part"], rows["starts"], rows["ending"], strict=True
            )
        ]
        with_clips = [number for number, row in enumerate(found) if row["starts"]]
        if with_clips:
            features = self._features(
                [rows["frames"][n] for n in with_clips], [rows["index"][n] for n in with_clips]
            )
            for number, features_ND in zip(with_clips, features, strict=True):
                found[number]["features"] = features_ND.tobytes()
        for row in found:
            row["arithmetic"] = str(self._backbone.dtype).removeprefix("torch.")
        return _columns(found)

    def _features(self, frames: Sequence[bytes], indices: Sequence[bytes]) -> list[np.ndarray]:
        """Return the features `[N, D]` of each row, all rows computed at once."""
        frames_FHWC = [np.frombuffer(part, dtype=np.uint8).reshape(-1, *self._frame_shape) for part in frames]
        index_NT = [np.frombuffer(part, dtype=np.int64).reshape(-1, self._num_looked_at) for part in indices]
        offsets = np.cumsum([0, *(len(part) for part in frames_FHWC)])
        batch = ClipBatch(
            frames_FHWC=np.concatenate(frames_FHWC),
            frame_index_NT=np.concatenate(
                [part + offset for part, offset in zip(index_NT, offsets[:-1], strict=True)]
            ),
            clip_start_seconds_N=np.zeros(sum(len(part) for part in index_NT)),
        )
        features_ND = self._backbone.features(batch).astype(np.float32)
        return np.split(features_ND, np.cumsum([len(part) for part in index_NT])[:-1])


def _clips_row(clips: ClipBatch) -> Row:
    return {
        "frames": clips.frames_FHWC.tobytes(),
        "index": clips.frame_index_NT.astype(np.int64).tobytes(),
        "starts": clips.clip_start_seconds_N.astype(np.float64).tobytes(),
        "ending": "",
    }


def _ending_row(ending: dict[str, Any]) -> Row:
    return {"frames": b"", "index": b"", "starts": b"", "ending": json.dumps(ending)}


def _columns(rows: Sequence[Row]) -> Columns:
    """Return rows as columns; bytes as objects, which keep the zeros at their end."""
    columns: Columns = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        column = np.empty(len(values), dtype=object)
        column[:] = values
        columns[name] = column if isinstance(values[0], bytes) else np.asarray(values)
    return columns
