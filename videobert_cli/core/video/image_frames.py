"""A folder of time-stamped pictures as frame source: a picture is decoded when a clip asks for it."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from videobert_cli.core.video.frames import FrameRequest, ReadLimits
from videobert_cli.core.video.images import ShownImage, read_image_folder
from videobert_cli.core.video.picture import PictureMaker
from videobert_cli.core.video.probe import MEDIA_ERRORS, PICTURES, open_media, open_regular_file, reason_of
from videobert_cli.core.video.source import SourceFacts, SourceFrame
from videobert_cli.errors import VideoError

_TICK_SECONDS = Fraction(1, 1_000_000)


class ImageSource:
    """One folder of pictures; a FrameSource."""

    def __init__(self, path: Path, *, request: FrameRequest, limits: ReadLimits) -> None:
        self._limits = limits
        self._maker = PictureMaker(request)
        self._images = read_image_folder(path)
        first = self._decode(self._images[0])
        self.facts = SourceFacts(
            tick_seconds=_TICK_SECONDS,
            usual_gap_ticks=round(1 / _TICK_SECONDS),
            declared_duration_seconds=None,
            width=first.width,
            height=first.height,
            codec="images",
            decoder="pyav",
        )

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the pictures in time order, not decoded yet."""
        for image in self._images:
            start, end = (round(s / _TICK_SECONDS) for s in (image.start_seconds, image.end_seconds))
            yield SourceFrame(picture=image, pts_ticks=start, duration_ticks=end - start)

    def rgb(self, picture: object) -> NDArray[np.uint8]:
        """Return the picture as the request wants it.

        Raises:
            VideoError: The picture is missing or cannot be decoded; the message names it.
        """
        image = cast(ShownImage, picture)
        frame = self._decode(image)
        return self._maker.rgb(frame, sample_aspect=None)

    def check_complete(self, duration_seconds: float) -> None:
        """Return: a missing picture has already been reported by name."""

    def rest(self) -> None:
        """Return: nothing grows between two frames."""

    def close(self) -> None:
        """Return: no file is kept open."""

    def _decode(self, image: ShownImage) -> av.VideoFrame:
        name = image.path.name
        try:
            with open_regular_file(image.path, max_bytes=self._limits.max_file_bytes) as file:
                media = open_media(file, path=image.path, limits=self._limits, formats=PICTURES)
                with media.container:
                    return next(media.container.decode(media.stream))
        except VideoError as error:
            raise VideoError(f"{name}: {error.what}", reason=error.reason, at=str(image.path)) from error
        except MemoryError:
            raise
        except (*MEDIA_ERRORS, StopIteration) as error:
            what = f"{name} cannot be decoded: {reason_of(error)}"
            raise VideoError(what, reason="decode-error", at=str(image.path)) from error
