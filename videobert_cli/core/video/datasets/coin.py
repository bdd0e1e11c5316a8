"""COIN: `COIN.json`, as github.com/coin-dataset/annotations publishes it.

`database.<id>`: duration, subset (training, testing), class and recipe_type (the task), annotation with id, segment and
label (the step, a phrase such as "take out the laptop CD drive").
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from videobert_cli.core.video.datasets.files import list_entries, object_entries, read_json
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, Gathering, text_of
from videobert_cli.core.video.datasets.json_segments import add_timed, subset_of
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head


def _role_of(head: Head) -> str | None:
    return LIST_ROLE if head.has_keys("database", "annotation", "class", "segment") else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    for file in files[LIST_ROLE]:
        found = read_json(file)
        database = found.get("database") if isinstance(found, dict) else found
        for video_id, where, entry in object_entries(database, "database", file=file, gathering=gathering):
            split = subset_of(entry, where, file=file, gathering=gathering)
            video = gathering.video(video_id, split=split)
            task = text_of(entry.get("class"))
            if not task:
                gathering.problem(file, f"{where}.class", "the name of the task is missing")
            for place, step in list_entries(
                entry.get("annotation"), f"{where}.annotation", file=file, gathering=gathering
            ):
                label = text_of(step.get("label"))
                if not label:
                    gathering.problem(file, f"{place}.label", "the name of the step is missing")
                add_timed(
                    video,
                    {SENTENCE_COLUMN: label, "step": label, "task": task},
                    segment=step.get("segment"),
                    where=f"{place}.segment",
                    duration=entry.get("duration"),
                    file=file,
                    gathering=gathering,
                )


COIN = Dataset(name="coin", title="COIN", files="COIN.json", role_of=_role_of, read=_read)
