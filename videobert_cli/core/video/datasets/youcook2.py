"""YouCook2: `youcookii_annotations_trainval.json`, as http://youcook2.eecs.umich.edu publishes it.

`database.<id>`: duration, subset (training, validation, testing), recipe_type, annotations with id, segment and
sentence; the test set's file has no sentences. `label_foodtype.csv` beside it (type, name; no head) names the types.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from videobert_cli.core.video.datasets.files import list_entries, object_entries, read_json, read_lines
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, Gathering, text_of
from videobert_cli.core.video.datasets.json_segments import add_timed, subset_of
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head


def _role_of(head: Head) -> str | None:
    if head.path.name == "label_foodtype.csv":
        return "recipes"
    return LIST_ROLE if head.has_keys("database", "recipe_type", "annotations", "segment") else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    recipes = {
        cells[0].strip(): " ".join(cells[1].split())
        for file in files.get("recipes", ())
        for _, cells in read_lines(file)
        if len(cells) >= 2
    }
    for file in files[LIST_ROLE]:
        found = read_json(file)
        database = found.get("database") if isinstance(found, dict) else found
        for video_id, where, entry in object_entries(database, "database", file=file, gathering=gathering):
            split = subset_of(entry, where, file=file, gathering=gathering)
            video = gathering.video(video_id, split=split)
            recipe_type = text_of(entry.get("recipe_type"))
            labels = {"recipe_type": recipe_type, "recipe": recipes.get(recipe_type, "")}
            inner = f"{where}.annotations"
            for place, step in list_entries(entry.get("annotations"), inner, file=file, gathering=gathering):
                add_timed(
                    video,
                    {SENTENCE_COLUMN: text_of(step.get("sentence")), **labels},
                    segment=step.get("segment"),
                    where=f"{place}.segment",
                    duration=entry.get("duration"),
                    file=file,
                    gathering=gathering,
                )


YOUCOOK2 = Dataset(
    name="youcook2",
    title="YouCook2",
    files="youcookii_annotations_trainval.json",
    role_of=_role_of,
    read=_read,
)
