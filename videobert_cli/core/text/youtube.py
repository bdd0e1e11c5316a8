"""YouTube's own caption events (json3, srv3) into raw cues: the time of each word, windows that roll."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from videobert_cli.core.text.cues import TIME_MARK, DropReason, RawCue, WordTime


@dataclass(frozen=True, kw_only=True)
class EventPart:
    """Text of an event, and how long after the event's start it is spoken, where the file says so."""

    text: str
    offset_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event. `parts` None is one that shows nothing (it opens a window); `window` that in which its text rolls."""

    start_seconds: float | None
    duration_seconds: float | None
    parts: tuple[EventPart, ...] | None
    window: object = None
    is_appended: bool = False

    @property
    def is_cue(self) -> bool:
        """Whether the event says something: it has parts, and is no mere line break behind another."""
        return self.parts is not None and not (
            self.is_appended and not any(p.text.strip() for p in self.parts)
        )


def cues_of_events(events: Sequence[Event]) -> Iterator[RawCue | DropReason]:
    """Yield the cue of each event that says something, in the file's order.

    In a window that rolls a line stays until it has left the window, long after it was said; its cue ends where the
    window's next event begins, as in the WebVTT that YouTube makes of the same captions.
    """
    for event, next_start in zip(events, _starts_of_next(events), strict=True):
        if not event.is_cue:
            continue
        end = _end_of(event, next_start=next_start)
        if event.start_seconds is None or end is None:
            yield "bad-time"
            continue
        parts = event.parts or ()
        timed = [part.offset_seconds is not None for part in parts]
        # The first part has no offset: it begins with the event.
        marks = [is_timed or (number == 0 and any(timed)) for number, is_timed in enumerate(timed)]
        yield RawCue(
            start_seconds=event.start_seconds,
            end_seconds=end,
            text="".join(
                (TIME_MARK if mark else "") + part.text for part, mark in zip(parts, marks, strict=True)
            ),
            part_times=tuple(
                WordTime(start_seconds=event.start_seconds + (part.offset_seconds or 0.0))
                for part, mark in zip(parts, marks, strict=True)
                if mark
            ),
        )


def _starts_of_next(events: Sequence[Event]) -> list[float | None]:
    """Return for each event when the next one of its window begins, None where none does or there is no window."""
    following: dict[str, float | None] = {}
    starts: list[float | None] = []
    for event in reversed(events):
        window = repr(event.window)
        starts.append(following.get(window) if event.window is not None else None)
        if event.parts is not None:
            following[window] = event.start_seconds
    return starts[::-1]


def _end_of(event: Event, *, next_start: float | None) -> float | None:
    if event.start_seconds is None:
        return None
    if event.duration_seconds is None:
        return next_start
    end = event.start_seconds + event.duration_seconds
    if next_start is None or next_start < event.start_seconds:
        return end
    return min(end, next_start)
