"""HowTo100M: `HowTo100M_v1.csv` and a `caption.json`, as www.di.ens.fr/willow/research/howto100m publishes them.

The CSV has a line a video: video_id, category_1, category_2, rank, task_id. `caption.json`, `raw_caption.json` or
`raw_caption_superclean.json` has for each id the lists start, end and text; it is read when text is needed.
`task_ids.csv` (task, name; no head, tabs or commas) names the tasks.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from videobert_cli.core.video.datasets.files import read_columns, read_lines
from videobert_cli.core.video.datasets.gathering import Gathering
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head
from videobert_cli.core.video.entries import LabelledSegment

_COLUMNS = ("video_id", "task_id", "category_1", "category_2")
_BEGINNING = re.compile(r'\s*\{\s*"[\w-]{11}"\s*:\s*\{\s*"(?:text|start|end)"\s*:\s*\[')
# Of several files of captions the first is taken: the corpus's raw one repeats its lines as rolling captions do.
_CAPTIONS_IN_ORDER = ("raw_caption_superclean.json", "raw_caption.json", "caption.json")


def _role_of(head: Head) -> str | None:
    if head.path.name == "task_ids.csv":
        return "tasks"
    if head.columns.issuperset(_COLUMNS):
        return LIST_ROLE
    return "captions" if head.is_json and _BEGINNING.match(head.text) else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    gathering.captions_of_many = _captions_file(files.get("captions", ()))
    names = {
        cells[0].strip(): " ".join(cells[1].split())
        for file in files.get("tasks", ())
        for _, cells in read_lines(file, delimiter="\t" if "\t" in _first_line(file) else ",")
        if len(cells) >= 2
    }
    # A million videos have some 24,000 tasks: videos of one task share one segment.
    segments: dict[tuple[str, str, str], list[LabelledSegment]] = {}
    for file in files[LIST_ROLE]:
        for line, (video_id, *key) in read_columns(file, _COLUMNS, gathering=gathering):
            task = (key[0], key[1], key[2])
            if not video_id:
                gathering.problem(file, str(line), "video_id is empty")
                continue
            if task not in segments:
                segments[task] = _segments(*task, name=names.get(task[0], ""))
            video = gathering.video(video_id)
            # The search for one task may have found the video of another: its first task is its label.
            if not video.segments:
                video.segments = segments[task]


def _segments(task_id: str, category_1: str, category_2: str, *, name: str) -> list[LabelledSegment]:
    labels = {"task_id": task_id, "task": name, "category_1": category_1, "category_2": category_2}
    filled = {column: value for column, value in labels.items() if value}
    return [LabelledSegment(start_seconds=0.0, end_seconds=None, labels=filled)] if filled else []


def _captions_file(files: Sequence[Path]) -> Path | None:
    ranks = {name: rank for rank, name in enumerate(_CAPTIONS_IN_ORDER)}
    return min(files, key=lambda file: (ranks.get(file.name, len(ranks)), file), default=None)


def _first_line(file: Path) -> str:
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        return stream.readline()


HOWTO100M = Dataset(
    name="howto100m",
    title="HowTo100M",
    files="HowTo100M_v1.csv (and caption.json or raw_caption.json)",
    role_of=_role_of,
    read=_read,
)
