"""TTML (DFXP, EBU-TT, IMSC) and YouTube's XML captions into raw cues."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from videobert_cli.core.text.cues import TIME_MARK, DropReason, RawCue, WordTime
from videobert_cli.core.text.times import seconds_of
from videobert_cli.core.text.xml_tree import Node, XMLProblemError, parse_xml
from videobert_cli.core.text.youtube import Event, EventPart, cues_of_events

# What stands inside an element about it, never spoken.
_METADATA = frozenset({"metadata", "title", "desc", "copyright", "agent", "name", "actor", "set", "image"})
_FRAMES = re.compile(r"(\d{1,6}):(\d{2}):(\d{2}):(\d{1,3})(?:\.\d+)?")
_OFFSET = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(h|ms|m|s|f|t)")
_MULTIPLIER = re.compile(r"(\d{1,9})[ :](\d{1,9})")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DEFAULT_FRAME_RATE = 30.0


def cues_of_xml(text: str) -> Iterator[RawCue | DropReason]:
    """Return the cues of an XML text in the file's order.

    Raises:
        XMLProblemError: It is not well-formed, declares a document type, or holds no captions.
    """
    root = parse_xml(text)
    if root.name == "tt":
        return iter(_cues_of_ttml(root))
    if root.name == "timedtext":
        return cues_of_events([_event(node) for node in root.elements("p")])
    if root.name == "transcript":
        return map(_cue_of_transcript, root.elements("text"))
    raise XMLProblemError(f"<{root.name[:40]}> holds no captions that we know")


@dataclass(frozen=True, kw_only=True)
class _Clock:
    """How a document counts: frames and ticks a second."""

    frame_rate: float
    tick_rate: float

    def seconds(self, text: str | None) -> float | None:
        """Return a TTML time in seconds, None where it is none."""
        if text is None:
            return None
        text = text.strip()
        if match := _FRAMES.fullmatch(text):
            hours, minutes, seconds, frames = map(int, match.groups())
            return hours * 3600 + minutes * 60 + seconds + frames / self.frame_rate
        if match := _OFFSET.fullmatch(text):
            number, unit = float(match.group(1)), match.group(2)
            rates = {"f": self.frame_rate, "t": self.tick_rate}
            return number / rates[unit] if unit in rates else number * _UNIT_SECONDS[unit]
        return seconds_of(text)


@dataclass(frozen=True, kw_only=True)
class _Span:
    """The interval that an element is shown in; None is not said, "bad" not readable."""

    start: float
    end: float | None
    is_readable: bool
    is_timed: bool


def _clock_of(attributes: Mapping[str, str]) -> _Clock:
    rate = seconds_of(attributes.get("frameRate")) or _DEFAULT_FRAME_RATE
    multiplier = _MULTIPLIER.fullmatch(attributes.get("frameRateMultiplier", "").strip())
    if multiplier and int(multiplier.group(1)) and int(multiplier.group(2)):
        rate *= int(multiplier.group(1)) / int(multiplier.group(2))
    # Without a tick rate a tick is a frame where frames are declared, else a second (TTML 2, 7.2.10).
    default_ticks = rate if "frameRate" in attributes else 1.0
    return _Clock(frame_rate=rate, tick_rate=seconds_of(attributes.get("tickRate")) or default_ticks)


def _cues_of_ttml(root: Node) -> Iterator[RawCue | DropReason]:
    clock = _clock_of(root.attributes)
    whole = _Span(start=0.0, end=None, is_readable=True, is_timed=False)
    for body in (part for part in root.content if isinstance(part, Node) and part.name == "body"):
        yield from _cues_in(body, outer=whole, before=whole.start, clock=clock)


def _cues_in(node: Node, *, outer: _Span, before: float, clock: _Clock) -> Iterator[RawCue | DropReason]:
    """Yield the cues of a body, div or p; times count from the outer element's start, in a sequence from `before`."""
    span = _span_of(node, outer=outer, before=before, clock=clock)
    if node.name == "p":
        yield from _cues_of_paragraph(node, span=span, clock=clock)
        return
    before = span.start
    for part in node.content:
        if isinstance(part, Node) and part.name in {"body", "div", "p"}:
            yield from _cues_in(part, outer=span, before=before, clock=clock)
            if node.attributes.get("timeContainer") == "seq":
                inner = _span_of(part, outer=span, before=before, clock=clock)
                before = inner.start if inner.end is None else inner.end


def _span_of(node: Node, *, outer: _Span, before: float, clock: _Clock) -> _Span:
    given = {name: node.attributes[name] for name in ("begin", "end", "dur") if name in node.attributes}
    times = {name: clock.seconds(text) for name, text in given.items()}
    start = before + (times.get("begin") or 0.0)
    ends = [before + end] if (end := times.get("end")) is not None else []
    ends += [start + duration] if (duration := times.get("dur")) is not None else []
    ends += [outer.end] if outer.end is not None else []
    return _Span(
        start=start,
        end=min(ends, default=None),
        is_readable=outer.is_readable and None not in times.values(),
        is_timed=outer.is_timed or bool(given),
    )


def _cues_of_paragraph(node: Node, *, span: _Span, clock: _Clock) -> Iterator[RawCue | DropReason]:
    if not span.is_timed:
        # Some writers time the spans and not the paragraph around them: each is a cue.
        timed = [s for s in node.elements("span") if {"begin", "end", "dur"} & set(s.attributes)]
        if timed:
            for inner in timed:
                inner_span = _span_of(inner, outer=span, before=span.start, clock=clock)
                yield _cue(inner, span=inner_span, clock=clock)
            return
    yield _cue(node, span=span, clock=clock)


def _cue(node: Node, *, span: _Span, clock: _Clock) -> RawCue | DropReason:
    texts: list[str] = []
    times: list[WordTime] = []
    _spell(node, texts=texts, times=times, span=span, clock=clock)
    text = "".join(texts)
    if not text.replace(TIME_MARK, "").strip():
        return "empty"
    if span.end is None or not span.is_readable or not span.is_timed:
        return "bad-time"
    return RawCue(start_seconds=span.start, end_seconds=span.end, text=text, part_times=tuple(times))


def _spell(node: Node, *, texts: list[str], times: list[WordTime], span: _Span, clock: _Clock) -> None:
    """Append the spoken texts of an element, with a mark before each span that has a begin of its own."""
    for part in node.content:
        if isinstance(part, str):
            texts.append(part)
        elif part.name == "br":
            texts.append("\n")
        elif part.name not in _METADATA:
            inner = _span_of(part, outer=span, before=span.start, clock=clock)
            if "begin" in part.attributes and inner.is_readable:
                is_ended = {"end", "dur"} & set(part.attributes)
                texts.append(TIME_MARK)
                times.append(WordTime(start_seconds=inner.start, end_seconds=inner.end if is_ended else None))
            _spell(part, texts=texts, times=times, span=inner, clock=clock)


def _event(node: Node) -> Event:
    """Read a paragraph of YouTube's srv3: times in milliseconds, `<s t="offset">` for each word."""
    parts = [
        EventPart(text=part, offset_seconds=None)
        if isinstance(part, str)
        else EventPart(
            text="\n" if part.name == "br" else _text_of(part), offset_seconds=_milliseconds(part, "t")
        )
        for part in node.content
    ]
    return Event(
        start_seconds=_milliseconds(node, "t"),
        duration_seconds=_milliseconds(node, "d"),
        parts=tuple(parts),
        window=node.attributes.get("w"),
        is_appended=node.attributes.get("a") == "1",
    )


def _cue_of_transcript(node: Node) -> RawCue | DropReason:
    """Read a `<text start="1.2" dur="3.4">` of YouTube's srv1."""
    start, duration = seconds_of(node.attributes.get("start")), seconds_of(node.attributes.get("dur"))
    if start is None or duration is None:
        return "bad-time"
    return RawCue(start_seconds=start, end_seconds=start + duration, text=_text_of(node))


def _milliseconds(node: Node, name: Literal["t", "d"]) -> float | None:
    return seconds_of(node.attributes.get(name), unit_seconds=0.001)


def _text_of(node: Node) -> str:
    return "".join(part if isinstance(part, str) else _text_of(part) for part in node.content)
