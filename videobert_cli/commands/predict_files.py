"""The files that `videobert predict` writes beside its answers: a picture of them, and the list of key clips."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videobert_cli.artifacts import publish, publish_bytes, publish_text
from videobert_cli.errors import MissingInputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from videobert_cli.core.tasks.options import PredictOptions
    from videobert_cli.core.tasks.predict import Predictor
    from videobert_cli.pipeline.word_pictures import WordPictures

_PICTURE_FORMS = (".png", ".html")
_CUT_FORMS = (".csv", ".ffconcat", ".mp4")
_PICTURED_TASKS = ("timeline", "caption", "forecast", "summarize")
_PICTURE_PIXELS, _VIDEO_PIXELS, _VIDEO_RATE = 320, 480, 25


@dataclass(frozen=True, kw_only=True)
class PredictFiles:
    """`--picture` and `--cuts`, each None where it was not given."""

    picture: Path | None
    cuts: Path | None

    def check(self, options: "PredictOptions | None", *, num_videos: int) -> None:
        """Refuse before any work what could not be written; `options` is None where a text is asked, not videos.

        Raises:
            UsageError: A suffix is none of those known, there are several videos, or no task is asked that they show.
            MissingInputError: There is no such folder.
        """
        for flag, path, forms, tasks in (
            ("--picture", self.picture, _PICTURE_FORMS, _PICTURED_TASKS),
            ("--cuts", self.cuts, _CUT_FORMS, ("summarize",)),
        ):
            if path is None:
                continue
            at = f"{flag} {path}"
            if path.suffix.lower() not in forms:
                raise UsageError(
                    f"{path.suffix or 'no suffix'} is no form of {flag}",
                    at=at,
                    fix=f"end the name in {' or '.join(forms)}",
                )
            if not path.absolute().parent.is_dir():
                raise MissingInputError(
                    "there is no such folder", at=at, fix=f"mkdir -p {path.absolute().parent}"
                )
            if num_videos > 1:
                raise UsageError(
                    f"{flag} is for one video, {num_videos} were given", at=at, fix="give one video"
                )
            if options is not None and not set(tasks) & set(options.tasks):
                raise UsageError(
                    f"{flag} shows {' and '.join(tasks)}, and that is not asked",
                    at=at,
                    fix=f"--task {tasks[-1]}",
                )

    def write(
        self, document: Mapping[str, Any], *, predictor: "Predictor", words: "WordPictures"
    ) -> list[Path]:
        """Write what was asked for of one video, and return where."""
        video = Path(document["video"])
        if self.picture is not None:
            self._write_picture(document, predictor=predictor, words=words)
        if self.cuts is not None:
            _write_cuts(self.cuts, video, document["summary"]["clips"], predictor=predictor)
        return [path for path in (self.picture, self.cuts) if path is not None]

    def draw_text(self, answer: Mapping[str, Any], *, words: "WordPictures") -> list[Path]:
        """Draw the picture of a text's clips if it was asked for, and return where."""
        from videobert_cli.core.reports.answer_sheets import text_sheet
        from videobert_cli.core.reports.sheet import sheet_bytes

        if self.picture is None:
            return []
        sheet = text_sheet(answer, word_picture=words.uri, notes=_notes(words))
        publish_bytes(self.picture, sheet_bytes(sheet, form=_form(self.picture)))
        return [self.picture]

    def _write_picture(
        self, document: Mapping[str, Any], *, predictor: "Predictor", words: "WordPictures"
    ) -> None:
        from videobert_cli.core.reports.answer_sheets import answer_sheet, pictured_seconds
        from videobert_cli.core.reports.html import jpeg_uri
        from videobert_cli.core.reports.sheet import sheet_bytes

        assert self.picture is not None  # noqa: S101 - the caller looked
        seconds = pictured_seconds(document)
        stills = predictor.stills(Path(document["video"]), seconds=seconds, num_pixels=_PICTURE_PIXELS)
        pictures = {second: jpeg_uri(still) for second, still in zip(seconds, stills, strict=False)}
        sheet = answer_sheet(
            document,
            word_picture=words.uri,
            clip_picture=pictures.get,
            notes=_notes(words) if "forecast" in document else (),
        )
        publish_bytes(self.picture, sheet_bytes(sheet, form=_form(self.picture)))


def _form(path: Path) -> Any:
    return path.suffix.lower().removeprefix(".")


def _notes(words: "WordPictures") -> Sequence[str]:
    return (words.problem,) if words.problem else ()


def _write_cuts(
    path: Path, video: Path, clips: Sequence[Mapping[str, Any]], *, predictor: "Predictor"
) -> None:
    from videobert_cli.core.reports.cut_list import cut_csv, cut_ffconcat
    from videobert_cli.core.video.h264 import write_h264

    if path.suffix.lower() == ".csv":
        publish_text(path, cut_csv(video, clips))
    elif path.suffix.lower() == ".ffconcat":
        publish_text(path, cut_ffconcat(video, clips))
    else:
        frames = _frames(video, clips, predictor=predictor)
        size = (_VIDEO_PIXELS, _VIDEO_PIXELS)
        publish(path, lambda to: write_h264(to, frames, size=size, frames_per_second=_VIDEO_RATE))


def _frames(
    video: Path, clips: Sequence[Mapping[str, Any]], *, predictor: "Predictor"
) -> "Iterator[np.ndarray]":
    """Yield the frames of one clip after another, squares from the middle, at an even rate."""
    for clip in clips:
        num = round((clip["end_seconds"] - clip["start_seconds"]) * _VIDEO_RATE)
        seconds = [clip["start_seconds"] + number / _VIDEO_RATE for number in range(num)]
        yield from predictor.stills(video, seconds=seconds, num_pixels=_VIDEO_PIXELS)
