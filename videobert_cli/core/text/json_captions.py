"""JSON into raw cues: Whisper's and WhisperX's segments, transformers' chunks, lists, HowTo100M's columns, json3."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from videobert_cli.core.text.cues import TIME_MARK, DropReason, RawCue, WordTime
from videobert_cli.core.text.times import seconds_of
from videobert_cli.core.text.youtube import Event, EventPart, cues_of_events

_COLUMNS = ("start", "end", "text")


def cues_of_json(document: Any) -> Iterator[RawCue | DropReason] | None:
    """Return the cues of a JSON value in its order, None where it does not hold the captions of one video."""
    if isinstance(document, list):
        return map(_cue_of_segment, document)
    if not isinstance(document, dict):
        return None
    for name in ("segments", "chunks"):
        if isinstance(document.get(name), list):
            return map(_cue_of_segment, document[name])
    if isinstance(document.get("events"), list):
        return cues_of_events([_event(event) for event in document["events"]])
    return _cues_of_columns(document) if has_columns(document) else None


def has_columns(value: Any) -> bool:
    """Return whether a value is an entry as HowTo100M has it: `{"start": [...], "end": [...], "text": [...]}`."""
    return isinstance(value, dict) and all(isinstance(value.get(name), list | dict) for name in _COLUMNS)


def holds_many(document: Any) -> bool:
    """Return whether a JSON value has the captions of several videos, each under its id."""
    values = list(document.values()) if isinstance(document, dict) else []
    return bool(values) and all(
        has_columns(value) or (isinstance(value, dict) and isinstance(value.get("segments"), list))
        for value in values
    )


def _cues_of_columns(entry: Mapping[str, Any]) -> Iterator[RawCue | DropReason]:
    # pandas writes a column as {"0": value, "1": value}.
    columns = [
        list(column.values()) if isinstance(column, dict) else column
        for column in (entry[name] for name in _COLUMNS)
    ]
    num_rows = max(map(len, columns))
    rows = zip(*(column + [None] * (num_rows - len(column)) for column in columns), strict=True)
    return (_cue_of_segment(dict(zip(_COLUMNS, row, strict=True))) for row in rows)


def _cue_of_segment(segment: Any) -> RawCue | DropReason:
    text = segment.get("text") if isinstance(segment, dict) else None
    if not isinstance(text, str):
        return "empty"
    start, end = _times_of(segment)
    if start is None or end is None:
        return "bad-time"
    marked, part_times = _marked(text, segment.get("words"))
    return RawCue(start_seconds=start, end_seconds=end, text=marked, part_times=part_times)


def _times_of(segment: Mapping[str, Any]) -> tuple[float | None, float | None]:
    if isinstance(segment.get("timestamp"), Sequence) and len(segment["timestamp"]) == 2:
        start, end = map(seconds_of, segment["timestamp"])
        return start, end
    start, end = seconds_of(segment.get("start")), seconds_of(segment.get("end"))
    if "end" not in segment and start is not None:
        duration = seconds_of(segment.get("duration"))
        end = None if duration is None else start + duration
    return start, end


def _marked(text: str, words: Any) -> tuple[str, tuple[WordTime, ...]]:
    """Return the text with a mark before each word that has a time, and these times.

    Words are looked for one after another: Whisper's bring their spaces along, WhisperX's do not, and none needs to be
    spelt as in the text to leave the others theirs.
    """
    parts: list[str] = []
    times: list[WordTime] = []
    position = 0
    for word in words if isinstance(words, list) else []:
        spelling, time = _word(word)
        if not spelling or time.start_seconds is None:
            continue
        # Not far: a word that is spelt otherwise must not be found at the end, nor cost a search to the end.
        found = text.find(spelling, position, position + len(spelling) + 64)
        if found >= 0:
            times.append(time)
            parts += [text[position:found], TIME_MARK, spelling]
            position = found + len(spelling)
    return "".join([*parts, text[position:]]), tuple(times)


def _word(word: Any) -> tuple[str, WordTime]:
    spelling = word.get("word", word.get("text")) if isinstance(word, dict) else None
    if not isinstance(spelling, str):
        return "", WordTime()
    time = WordTime(start_seconds=seconds_of(word.get("start")), end_seconds=seconds_of(word.get("end")))
    return spelling.strip(), time


def _event(event: Any) -> Event:
    """Read one event of YouTube's json3: times in milliseconds, segments with an offset from the event's start."""
    if not isinstance(event, dict):
        return Event(start_seconds=None, duration_seconds=None, parts=())
    segments = event.get("segs")
    return Event(
        start_seconds=seconds_of(event.get("tStartMs", 0), unit_seconds=0.001),
        duration_seconds=seconds_of(event.get("dDurationMs"), unit_seconds=0.001),
        parts=tuple(map(_part, segments)) if isinstance(segments, list) else None,
        window=event.get("wWinId"),
        is_appended=bool(event.get("aAppend")),
    )


def _part(segment: Any) -> EventPart:
    text = segment.get("utf8") if isinstance(segment, dict) else None
    if not isinstance(text, str):
        return EventPart(text="", offset_seconds=None)
    return EventPart(text=text, offset_seconds=seconds_of(segment.get("tOffsetMs"), unit_seconds=0.001))
