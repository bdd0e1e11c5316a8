"""What was found out about a video as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def document_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the video's head, then the lines of each task that the document has answers of."""
    yield f"{document['video']}  {document['num_clips']} clips of {document['clip_seconds']:g} s"
    yield from _segment_lines(document.get("segments", ()))
    yield from _forecast_lines(document.get("forecast", ()))


def _segment_lines(segments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield for each segment its times and the best answers to each question."""
    for segment in segments:
        times = f"{_clock(segment['start_seconds'])} - {_clock(segment['end_seconds'])}"
        yield f"  {times}" + (f'  "{segment["text"]}"' if segment["text"] else "")
        for question, answers in segment["answers"].items():
            shown = "  ".join(f"{answer['answer']} {answer['confidence']:.2f}" for answer in answers)
            yield f"    {question:<20} {shown}"


def _forecast_lines(coming: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield for each clip to come its time and its likeliest words."""
    for clip in coming:
        distance = f"{clip['horizon']} clip{'s' * (clip['horizon'] > 1)} on"
        shown = "  ".join(
            f"word {word} {probability:.2f}"
            for word, probability in zip(clip["words"], clip["probabilities"], strict=True)
        )
        yield f"  {_clock(clip['start_seconds'])}  {distance:<14} {shown}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:04.1f}"
