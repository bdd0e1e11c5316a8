"""The frames sampled at 20 a second are the right ones, in each reader, or the reader says that it cannot do it."""

import numpy as np
import pytest
from exact_clips import CLIPS, ExactClip
from rendered_videos import number_of, render, request, skip_without_decoder

from videobert_cli.core.video.options import ReaderOptions
from videobert_cli.core.video.reader import VideoReader
from videobert_cli.errors import VideoError

# The kinds on which a reader was seen to be wrong, and is refused.
REFUSED = {
    "pyav": set(),
    "decord": {
        "open groups of pictures",
        "edit list from the middle of a group",
        "edit list that also ends early",
        "MPEG-TS",
        "MPEG-TS whose clock wraps",
        "MPEG-PS, MPEG-2",
        "AVI with B-frames",
        "AVI without B-frames",
        "FLV",
        "AV1",
        "Motion JPEG",
    },
    "torchcodec": {
        "MPEG-TS",
        "MPEG-TS whose clock wraps",
        "MPEG-PS, MPEG-2",
        "AVI with B-frames",
        "AVI without B-frames",
    },
}


@pytest.fixture(scope="module", params=list(REFUSED))
def reader(request, tmp_path_factory):
    with VideoReader(ReaderOptions(name=request.param, timeout_seconds=60)) as reader:
        skip_without_decoder(reader, render(tmp_path_factory.mktemp("probe") / "a.mp4", times=[0, 40]))
        yield reader


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Each kind rendered once, when it is first asked for."""
    made: dict[str, ExactClip] = {}

    def get(kind: str) -> ExactClip:
        if kind not in made:
            made[kind] = CLIPS[kind](tmp_path_factory.mktemp("exact"))
        return made[kind]

    return get


@pytest.mark.parametrize("kind", CLIPS)
def test_the_frames_are_the_right_ones(reader, clips, kind) -> None:
    clip = clips(kind)
    name = reader._options.name
    if kind in REFUSED[name]:
        with pytest.raises(VideoError, match=r"known to be wrong") as caught:
            list(reader.read(clip.path, request()))
        assert caught.value.reason == "refused-decoder"
        return
    *batches, summary = reader.read(clip.path, request())
    found = [
        [number_of(np.rot90(batch.frames_FHWC[row], k=-clip.turn)) for row in rows]
        for batch in batches
        for rows in batch.frame_index_NT
    ]
    assert found == clip.expected()
    assert summary.decoder == name
    assert summary.duration_seconds == pytest.approx(
        clip.end_seconds - clip.seconds[0], abs=clip.end_tolerance_seconds
    )
