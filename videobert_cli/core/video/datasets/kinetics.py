"""Kinetics-400, -600 and -700: `train.csv`, `val.csv`, `test.csv` of github.com/cvdfoundation/kinetics-dataset.

A line a clip: label (not in the test sets), youtube_id, time_start, time_end, split. A clip's file is called
`<id>_000001_000011.mp4` after its seconds; class folders above it do not matter. The file is the clip.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from videobert_cli.core.video.datasets.files import read_rows
from videobert_cli.core.video.datasets.gathering import Gathering, number_of
from videobert_cli.core.video.datasets.recognising import (
    LIST_ROLE,
    Dataset,
    Head,
    split_of_name,
    split_of_word,
)

_COLUMNS = ("youtube_id", "time_start", "time_end")


def _role_of(head: Head) -> str | None:
    return LIST_ROLE if head.columns.issuperset(_COLUMNS) else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    for file in files[LIST_ROLE]:
        split_of_file = split_of_name(file.name)
        for line, row in read_rows(file, gathering=gathering, needs=_COLUMNS):
            start, end = number_of(row["time_start"]), number_of(row["time_end"])
            if not row["youtube_id"] or start is None or end is None or start < 0:
                gathering.problem(
                    file, str(line), "a clip needs youtube_id, time_start and time_end, in seconds"
                )
                continue
            split = split_of_word(row.get("split", ""))
            if row.get("split") and split is None:
                gathering.problem(file, str(line), f"split {row['split']!r} is none of train, validate, test")
            video = gathering.video(
                f"{row['youtube_id']}_{int(start):06d}_{int(end):06d}", split=split or split_of_file
            )
            if row.get("label") and not video.segments:
                gathering.add_segment(video, {"label": row["label"]})


KINETICS = Dataset(
    name="kinetics", title="Kinetics", files="train.csv, val.csv, test.csv", role_of=_role_of, read=_read
)
