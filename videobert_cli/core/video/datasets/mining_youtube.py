"""MiningYouTube (arXiv 1906.01012): a folder with an `<id>.srt` for each video, whose lines are classes.

`00:01:15,277 --> 00:01:23,517` and under it a class such as `pour_egg_whites`, a verb and an object. These .srt files
are labels, nothing that is said. `mapping_without_meta.txt` numbers 512 of the 689 classes that the published files
use, so it is not asked.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, Gathering
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head
from videobert_cli.errors import ManifestError

_TIME = re.compile(r"\s*(\d+):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d+):(\d\d):(\d\d)[,.](\d{1,3})\s*")
_CLASS = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)+")
_MAX_HEAD_LINES = 200


def _role_of(head: Head) -> str | None:
    lines = [line.strip() for line in head.text.split("\n")[:_MAX_HEAD_LINES]]
    spoken = [line for line in lines if line and "-->" not in line and not line.isdigit()]
    is_one = head.path.suffix.lower() == ".srt" and spoken and all(map(_CLASS.fullmatch, spoken))
    return LIST_ROLE if is_one else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    listed = files[LIST_ROLE]
    # A folder is recognised by its first few files; all of them are the dataset.
    gathering.more_files += [] if len(listed) == 1 else sorted(listed[0].parent.glob("*.srt"))
    for file in gathering.more_files or listed:
        video = gathering.video(file.stem)
        for start, end, label in _cues(file, gathering=gathering):
            gathering.add_segment(
                video,
                {SENTENCE_COLUMN: label.replace("_", " "), "label": label},
                start_seconds=start,
                end_seconds=end,
            )


def _cues(file: Path, *, gathering: Gathering) -> Iterator[tuple[float, float, str]]:
    """Yield start, end and class of each block."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ManifestError(f"no UTF-8 text: {error}", at=str(file), fix="download the file again") from error
    for number, line in enumerate(lines):
        if "-->" not in line:
            continue
        match = _TIME.fullmatch(line)
        label = lines[number + 1].strip() if number + 1 < len(lines) else ""
        if match is None or not label:
            what = "a block needs `00:00:01,000 --> 00:00:02,000`" if match is None else "no class follows"
            gathering.problem(file, str(number + 1), what)
            continue
        yield _seconds(match.groups()[:4]), _seconds(match.groups()[4:]), label


def _seconds(fields: Sequence[str]) -> float:
    hours, minutes, seconds, decimals = fields
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{decimals}")


MINING_YOUTUBE = Dataset(
    name="mining_youtube",
    title="MiningYouTube",
    files="a folder of <id>.srt",
    role_of=_role_of,
    read=_read,
)
