"""What was found out about a video as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def document_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the video's head, then the lines of each task that the document has answers of."""
    yield f"{document['video']}  {document['num_clips']} clips of {document['clip_seconds']:g} s"
    yield from _answer_lines(document.get("answers", {}))
    yield from _segment_lines(document.get("segments", ()))
    yield from _caption_lines(document.get("captions", ()))
    yield from _forecast_lines(document.get("forecast", ()))
    if "summary" in document:
        yield from _summary_lines(document["summary"])


def text_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text, then for each clip that shows it the likeliest words."""
    yield f'"{answer["text"]}"'
    for number, clip in enumerate(answer["clips"], 1):
        yield f"  clip {number:<3} {_words(clip)}"


def moment_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text, then each moment: how near it is, the video and the times."""
    yield f'"{answer["text"]}"'
    for moment in answer["moments"]:
        times = f"{_clock(moment['start_seconds'])} - {_clock(moment['end_seconds'])}"
        yield f"  {moment['score']:>6.3f}  {times}  {moment['video']}"


def _answer_lines(answers: Mapping[str, Any]) -> Iterator[str]:
    """Yield the answers about the whole video, where a model gives some."""
    for question, found in answers.items():
        shown = "  ".join(f"{answer['answer']} {answer['confidence']:.2f}" for answer in found)
        yield f"  {f'whole video, {question}':<22} {shown}"


def _segment_lines(segments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield for each segment its times and the best answers to each question."""
    for segment in segments:
        times = f"{_clock(segment['start_seconds'])} - {_clock(segment['end_seconds'])}"
        yield f"  {times}" + (f'  "{segment["text"]}"' if segment["text"] else "")
        for question, answers in segment["answers"].items():
            shown = "  ".join(f"{answer['answer']} {answer['confidence']:.2f}" for answer in answers)
            yield f"    {question:<20} {shown}"
            if explanation := segment.get("explanations", {}).get(question):
                yield f"    {'':<20} {_carriers(explanation)}"


def _caption_lines(segments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield for each segment its times and its best caption."""
    for segment in segments:
        times = f"{_clock(segment['start_seconds'])} - {_clock(segment['end_seconds'])}"
        best = segment["captions"][0]["text"] if segment["captions"] else ""
        yield f"  {times}  {best}"


def _forecast_lines(coming: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield for each clip to come its time and its likeliest words."""
    for clip in coming:
        distance = f"{clip['horizon']} clip{'s' * (clip['horizon'] > 1)} on"
        yield f"  {_clock(clip['start_seconds'])}  {distance:<14} {_words(clip)}"


def _summary_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield for each key clip its times and what it stands for, then how much of the video they explain."""
    for clip in summary["clips"]:
        times = f"{_clock(clip['start_seconds'])} - {_clock(clip['end_seconds'])}"
        num = clip["stop"] - clip["first"]
        stands = f"stands for {num} clip{'s' * (num > 1)}"
        yield f"  {times}  key clip  {stands:<20} word {clip['word']}  surprise {clip['surprise']:.1f}"
    yield (
        f"  the cuts explain {summary['explained']:.2f} of what differs between clips, "
        f"even ones {summary['explained_by_even']:.2f}"
    )


def _words(clip: Mapping[str, Any]) -> str:
    return "  ".join(
        f"word {word} {probability:.2f}"
        for word, probability in zip(clip["words"], clip["probabilities"], strict=True)
    )


def _carriers(explanation: Mapping[str, Any]) -> str:
    """Return the clip that carried an answer most, and the one that spoke most against it where there is one.

    Attention has no for and against: the clip most looked at, with its share, and that of all clips.
    """
    clips = sorted(explanation["clips"], key=lambda clip: -clip["weight"])
    if explanation["unit"] == "share":
        total = sum(clip["weight"] for clip in clips)
        first = f"{_clock(clips[0]['start_seconds'])} ({clips[0]['weight']:.3f}"
        return f"looked most at {first} of the attention, {total:.3f} to all clips)"
    shown = f"carried by {_clock(clips[0]['start_seconds'])} ({clips[0]['weight']:+.2f})"
    if clips[-1]["weight"] < 0:
        shown += f", against it {_clock(clips[-1]['start_seconds'])} ({clips[-1]['weight']:+.2f})"
    return shown


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:04.1f}"
