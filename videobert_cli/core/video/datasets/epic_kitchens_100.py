"""EPIC-KITCHENS-100: `EPIC_100_train.csv`, `EPIC_100_validation.csv`, `EPIC_100_test_timestamps.csv`.

As github.com/epic-kitchens/epic-kitchens-100-annotations publishes them: a line an action, many a video:
narration_id, participant_id, video_id, start_timestamp, stop_timestamp (`00:01:23.45`), narration, verb, verb_class,
noun, noun_class; the test set has times alone. Videos are `P01/videos/P01_01.MP4`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from videobert_cli.core.video.datasets.files import read_rows
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, Gathering
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head, split_of_name

_COLUMNS = ("video_id", "start_timestamp", "stop_timestamp")
_LABELS = ("verb", "noun", "verb_class", "noun_class", "participant_id")
_TIME = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")


def _role_of(head: Head) -> str | None:
    return LIST_ROLE if head.columns.issuperset({"narration_id", *_COLUMNS}) else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    for file in files[LIST_ROLE]:
        split = split_of_name(file.name)
        for line, row in read_rows(file, gathering=gathering, needs=_COLUMNS):
            start, end = _seconds(row["start_timestamp"]), _seconds(row["stop_timestamp"])
            if not row["video_id"] or start is None or end is None:
                what = "an action needs video_id, start_timestamp and stop_timestamp, as 00:01:23.45"
                gathering.problem(file, str(line), what)
                continue
            labels = {SENTENCE_COLUMN: row.get("narration", "")}
            labels |= {column: row.get(column, "") for column in _LABELS}
            gathering.add_segment(
                gathering.video(row["video_id"], split=split),
                {column: value for column, value in labels.items() if value},
                start_seconds=start,
                end_seconds=end,
            )


def _seconds(text: str) -> float | None:
    """Return a time of day as seconds.

    >>> _seconds("00:01:23.45"), _seconds("83.45")
    (83.45, None)
    """
    match = _TIME.fullmatch(text)
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None


EPIC_KITCHENS_100 = Dataset(
    name="epic_kitchens_100",
    title="EPIC-KITCHENS-100",
    files="EPIC_100_train.csv, EPIC_100_validation.csv",
    role_of=_role_of,
    read=_read,
)
