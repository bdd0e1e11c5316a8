"""What a decoder gives to the sampling: frames in display order, each with its time stamp, and the file's facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """What is known of a file before its frames; ticks are the unit of its time stamps."""

    tick_seconds: Fraction
    usual_gap_ticks: int
    declared_duration_seconds: float | None
    width: int
    height: int
    codec: str
    decoder: str


@dataclass(frozen=True, kw_only=True)
class SourceFrame:
    """One shown frame: its picture as the decoder holds it, its time stamp and duration where the file tells."""

    picture: object
    pts_ticks: int | None
    duration_ticks: int | None


class FrameSource(Protocol):
    """One opened video."""

    facts: SourceFacts

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the shown frames in display order; raises VideoError where the file is damaged."""
        ...

    def rgb(self, picture: object) -> NDArray[np.uint8]:
        """Return a picture of this source as the request wants it."""
        ...

    def check_complete(self, duration_seconds: float) -> None:
        """Raise VideoError (truncated) if so many seconds are not all the file was made to hold."""
        ...

    def rest(self) -> None:
        """Hold nothing that grows: the consumer may keep us waiting."""
        ...

    def close(self) -> None:
        """Give back the file."""
        ...
