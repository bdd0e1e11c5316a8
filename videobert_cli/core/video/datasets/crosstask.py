"""CrossTask: the folder `crosstask_release`, as github.com/DmZhukov/CrossTask publishes it.

`videos.csv` and `videos_val.csv` (task, id, address; no head), `tasks_primary.txt` and `tasks_related.txt` (blocks of
five lines: task, title, address, number of steps, the steps between commas), `annotations/<task>_<id>.csv` (step from
1, start, end in seconds; no head) for the primary tasks. The videos of `videos_val.csv` are for validation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.core.video.datasets.files import read_lines
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, AnnotatedVideo, Gathering, number_of
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head, split_of_name
from videobert_cli.errors import ManifestError

_VIDEO_LINE = re.compile(r"\d+,[\w-]{11},https?://\S+")


@dataclass(frozen=True, kw_only=True)
class _Task:
    title: str
    steps: tuple[str, ...]


def _role_of(head: Head) -> str | None:
    if head.path.name.startswith("tasks_") and head.path.suffix == ".txt":
        return "tasks"
    return LIST_ROLE if _VIDEO_LINE.fullmatch(head.first_line.strip()) else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    tasks = {
        task_id: task
        for file in files.get("tasks", ())
        for task_id, task in _tasks(file, gathering=gathering)
    }
    seen = set()
    # The validation list first: the other one names its videos too.
    for file in sorted(files[LIST_ROLE], key=lambda file: split_of_name(file.name) is None):
        split = split_of_name(file.name) or "train"
        for line, cells in read_lines(file):
            if len(cells) != 3 or not cells[1].strip():
                gathering.problem(file, str(line), "a line is task,id,address")
                continue
            task_id, video_id = cells[0].strip(), cells[1].strip()
            if (task_id, video_id) in seen:
                continue
            seen.add((task_id, video_id))
            known = gathering.videos.get(video_id)
            video = known or gathering.video(video_id, split=split)
            steps = file.parent / "annotations" / f"{task_id}_{video_id}.csv"
            _add_steps(video, steps, task_id=task_id, task=tasks.get(task_id), gathering=gathering)


def _add_steps(
    video: AnnotatedVideo, file: Path, *, task_id: str, task: _Task | None, gathering: Gathering
) -> None:
    named = {"task_id": task_id, **({"task": task.title} if task else {})}
    if not file.is_file():
        gathering.add_segment(video, named)
        return
    for line, cells in read_lines(file):
        times = [number_of(cell) for cell in cells[1:]]
        number = cells[0].strip()
        if len(times) != 2 or times[0] is None or times[1] is None or not number.isdecimal():
            gathering.problem(file, str(line), "a line is step,start,end")
            continue
        if task is not None and not 1 <= int(number) <= len(task.steps):
            gathering.problem(file, str(line), f"step {number} of a task of {len(task.steps)} steps")
            continue
        step = (
            {"step": task.steps[int(number) - 1], SENTENCE_COLUMN: task.steps[int(number) - 1]}
            if task
            else {}
        )
        gathering.add_segment(
            video,
            {**step, "step_number": number, **named},
            start_seconds=times[0],
            end_seconds=times[1],
        )


def _tasks(file: Path, *, gathering: Gathering) -> Iterator[tuple[str, _Task]]:
    """Yield id and task of each block of five lines."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ManifestError(f"no UTF-8 text: {error}", at=str(file), fix="save it as UTF-8 text") from error
    blocks: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(lines, start=1):
        if line.strip():
            blocks[-1].append((number, line.strip()))
        elif blocks[-1]:
            blocks.append([])
    for block in filter(None, blocks):
        steps = tuple(step.strip() for step in block[-1][1].split(","))
        if len(block) != 5 or block[3][1] != str(len(steps)):
            what = "a task is five lines: id, title, address, number of steps, the steps between commas"
            gathering.problem(file, str(block[0][0]), what)
            continue
        yield block[0][1], _Task(title=block[1][1], steps=steps)


CROSSTASK = Dataset(
    name="crosstask",
    title="CrossTask",
    files="videos.csv, videos_val.csv, tasks_primary.txt, annotations/",
    role_of=_role_of,
    read=_read,
)
