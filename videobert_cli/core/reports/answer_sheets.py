"""What `videobert predict` found out, as strips of pictures: forecasts, texts as clips, summaries."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from videobert_cli.core.reports.html import clock
from videobert_cli.core.reports.sheet import Cell, Sheet, Strip

# The picture of a visual word, and of the video at a time in seconds; None where there is none.
WordPicture = Callable[[int], str | None]
ClipPicture = Callable[[float], str | None]

_NEAREST = "The picture of a word is the training clip nearest to its centroid."
_LOOKED = (
    "Bars compare the clips' shares of the model's attention; the rest of it is on the text and the special tokens. "
    "They tell no for from against."
)


def answer_sheet(
    document: Mapping[str, Any], *, word_picture: WordPicture, clip_picture: ClipPicture, notes: Sequence[str]
) -> Sheet:
    """Return the sheet of a video's document: its timeline with captions, its forecast, its key clips."""
    strips = [
        *_timeline_strips(document, clip_picture=clip_picture),
        *_forecast_strips(document, word_picture=word_picture, clip_picture=clip_picture),
        *_summary_strips(document, clip_picture=clip_picture),
    ]
    told = [_NEAREST] if "forecast" in document else []
    told += [_LOOKED] if _has_shares(document) else []
    return Sheet(title=str(document["video"]), strips=tuple(strips), notes=(*told, *notes))


def text_sheet(answer: Mapping[str, Any], *, word_picture: WordPicture, notes: Sequence[str]) -> Sheet:
    """Return the sheet of a text's clips: the likeliest in order, and for each the words that came next."""
    clips = answer["clips"]
    ranks = range(len(clips[0]["words"]))
    if len(clips) == 1:
        cells = [_word_cell(clips[0], rank, first="", word_picture=word_picture) for rank in ranks]
        strips = [Strip(head="the likeliest words", cells=tuple(cells))]
    else:
        strips = [
            Strip(
                head="likeliest, one after another" if rank == 0 else f"number {rank + 1} of each",
                cells=tuple(
                    _word_cell(clip, rank, first=f"clip {number + 1}", word_picture=word_picture)
                    for number, clip in enumerate(clips)
                ),
            )
            for rank in ranks
        ]
    return Sheet(title=f"“{answer['text']}”", strips=tuple(strips), notes=(_NEAREST, *notes))


def pictured_seconds(document: Mapping[str, Any]) -> list[float]:
    """Return the times of the video, ascending, that `answer_sheet` shows a picture of: the middles of clips."""
    clips = [*document.get("seen", ()), *document.get("summary", {}).get("clips", ())]
    told = [*document.get("segments", ()), *document.get("captions", ())]
    clips += [clip for segment in told for clip in _clips_of(segment)]
    return sorted({_middle(clip) for clip in clips})


def _middle(clip: Mapping[str, Any]) -> float:
    return float(clip["start_seconds"] + clip["end_seconds"]) / 2


def _timeline_strips(document: Mapping[str, Any], *, clip_picture: ClipPicture) -> Iterator[Strip]:
    """Yield a strip for each segment, or one for each explained question, and one for each caption."""
    for segment in document.get("segments", ()):
        times = f"{clock(segment['start_seconds'])} - {clock(segment['end_seconds'])}"
        answers = [
            f"{question}: {found[0]['answer']} {found[0]['confidence']:.2f}"
            for question, found in segment["answers"].items()
        ]
        explained = segment.get("explanations", {})
        if not explained:
            yield Strip(
                head="  ".join([times, *answers]), cells=_plain_cells(segment, clip_picture=clip_picture)
            )
        for question, explanation in explained.items():
            yield Strip(
                head=f"{times}  {question}: {explanation['answer']}",
                cells=_weighted_cells(explanation, clip_picture=clip_picture),
            )
    for segment in document.get("captions", ()):
        times = f"{clock(segment['start_seconds'])} - {clock(segment['end_seconds'])}"
        said = segment["captions"][0]["text"] if segment["captions"] else ""
        yield Strip(head=f"{times}  {said}", cells=_plain_cells(segment, clip_picture=clip_picture))


def _clips_of(segment: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what of a segment is shown: the clips of its explanations, which are the same, or itself."""
    explained = list(segment.get("explanations", {}).values())
    return explained[0]["clips"] if explained else [segment]


def _plain_cells(segment: Mapping[str, Any], *, clip_picture: ClipPicture) -> tuple[Cell, ...]:
    return tuple(
        Cell(picture=clip_picture(_middle(clip)), lines=(clock(clip["start_seconds"]),))
        for clip in _clips_of(segment)
    )


def _has_shares(document: Mapping[str, Any]) -> bool:
    return any(
        explanation["unit"] == "share"
        for segment in document.get("segments", ())
        for explanation in segment.get("explanations", {}).values()
    )


def _weighted_cells(explanation: Mapping[str, Any], *, clip_picture: ClipPicture) -> tuple[Cell, ...]:
    """Return the clips with bars as long as their part of the largest weight, which is told in its unit."""
    clips = explanation["clips"]
    told = "{:.3f} of attention" if explanation["unit"] == "share" else "{:+.2f} nats"
    largest = max((abs(clip["weight"]) for clip in clips), default=0.0) or 1.0
    return tuple(
        Cell(
            picture=clip_picture(_middle(clip)),
            lines=(clock(clip["start_seconds"]), told.format(clip["weight"])),
            share=clip["weight"] / largest,
        )
        for clip in clips
    )


def _forecast_strips(
    document: Mapping[str, Any], *, word_picture: WordPicture, clip_picture: ClipPicture
) -> Iterator[Strip]:
    if "forecast" not in document:
        return
    yield Strip(
        head="the end of the video",
        cells=tuple(
            Cell(
                picture=clip_picture(_middle(clip)),
                lines=(clock(clip["start_seconds"]), f"word {clip['word']}"),
            )
            for clip in document["seen"]
        ),
    )
    for coming in document["forecast"]:
        distance = f"{coming['horizon']} clip{'s' * (coming['horizon'] > 1)}"
        yield Strip(
            head=f"{distance} after the end, at {clock(coming['start_seconds'])}",
            cells=tuple(
                _word_cell(coming, rank, first="", word_picture=word_picture)
                for rank in range(len(coming["words"]))
            ),
        )


def _word_cell(clip: Mapping[str, Any], rank: int, *, first: str, word_picture: WordPicture) -> Cell:
    word, probability = clip["words"][rank], clip["probabilities"][rank]
    lines = (first, f"word {word}  {probability:.2f}")
    return Cell(picture=word_picture(word), lines=tuple(line for line in lines if line))


def _summary_strips(document: Mapping[str, Any], *, clip_picture: ClipPicture) -> Iterator[Strip]:
    summary = document.get("summary")
    if summary is None:
        return
    yield Strip(
        head=f"{len(summary['clips'])} key clips of {document['num_clips']}",
        cells=tuple(
            Cell(
                picture=clip_picture(_middle(clip)),
                lines=(
                    f"{clock(clip['start_seconds'])} - {clock(clip['end_seconds'])}",
                    f"stands for {clip['stop'] - clip['first']} clips",
                    f"surprise {clip['surprise']:.1f} nats",
                ),
            )
            for clip in summary["clips"]
        ),
    )
