"""A timeline as lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any


def timeline_lines(timeline: Mapping[str, Any]) -> Iterator[str]:
    """Yield the video's head, then for each segment its times and the best answers to each question."""
    yield f"{timeline['video']}  {timeline['num_clips']} clips of {timeline['clip_seconds']:g} s"
    for segment in timeline["segments"]:
        times = f"{_clock(segment['start_seconds'])} - {_clock(segment['end_seconds'])}"
        yield f"  {times}" + (f'  "{segment["text"]}"' if segment["text"] else "")
        for question, answers in segment["answers"].items():
            shown = "  ".join(f"{answer['answer']} {answer['confidence']:.2f}" for answer in answers)
            yield f"    {question:<20} {shown}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:04.1f}"
