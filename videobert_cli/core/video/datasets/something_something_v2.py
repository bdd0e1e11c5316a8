"""Something-Something v2: `something-something-v2-train.json`, `-validation.json`, `-test.json`, as Qualcomm has them.

A list of id, label ("holding potato next to vicks vaporub bottle"), template ("Holding [something] next to
[something]") and placeholders; the test list has ids alone. The class is the template without its brackets, as in
`something-something-v2-labels.json`. Videos are `<id>.webm`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli.core.video.datasets.files import list_entries, read_json
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, Gathering, text_of
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head, split_of_name

_ID_ALONE = re.compile(r'\s*\[\s*\{\s*"id"\s*:\s*"?\d+"?\s*\}')


def _role_of(head: Head) -> str | None:
    if head.has_keys("template", "placeholders") and head.text.lstrip().startswith("["):
        return LIST_ROLE
    if _ID_ALONE.match(head.text):
        return LIST_ROLE
    return "labels" if head.path.name.endswith("labels.json") and head.is_json else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    classes = _classes(files.get("labels", ()))
    for file in files[LIST_ROLE]:
        split = split_of_name(file.name)
        for where, entry in list_entries(read_json(file), "", file=file, gathering=gathering):
            video_id = text_of(entry.get("id"))
            if not video_id:
                gathering.problem(file, f"{where}.id", "an id is needed")
                continue
            video = gathering.video(video_id, split=split)
            if "template" not in entry:
                continue
            label = text_of(entry["template"]).replace("[", "").replace("]", "")
            if not label or (classes and label not in classes):
                what = (
                    f"template {entry['template']!r} is not in {files['labels'][0].name}"
                    if label
                    else "no text"
                )
                gathering.problem(file, f"{where}.template", what)
                continue
            labels = {SENTENCE_COLUMN: text_of(entry.get("label")), "label": label}
            gathering.add_segment(video, {column: value for column, value in labels.items() if value})


def _classes(files: Sequence[Path]) -> set[str]:
    found: Any = read_json(files[0]) if files else {}
    return set(found) if isinstance(found, dict) else set()


SOMETHING_SOMETHING_V2 = Dataset(
    name="something_something_v2",
    title="Something-Something v2",
    files="something-something-v2-train.json, -validation.json, -test.json",
    role_of=_role_of,
    read=_read,
)
