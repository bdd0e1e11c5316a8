"""ActivityNet Captions: `train.json`, `val_1.json`, `val_2.json` of cs.stanford.edu/people/ranjaykrishna/densevid.

`<id>`: duration, timestamps (a list of [start, end]) and as many sentences. Ids begin with `v_`, files may or may not.
`val_1` and `val_2` are two people's sentences on the same videos; together they are both.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli.core.video.datasets.files import object_entries, read_json
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, AnnotatedVideo, Gathering, text_of
from videobert_cli.core.video.datasets.json_segments import add_timed
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head, split_of_name

_BEGINNING = re.compile(r'\s*\{\s*"[^"]+"\s*:\s*\{')


def _role_of(head: Head) -> str | None:
    is_one = head.has_keys("timestamps", "sentences", "duration") and _BEGINNING.match(head.text)
    return LIST_ROLE if is_one else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    for file in files[LIST_ROLE]:
        split = split_of_name(file.name)
        for video_id, where, entry in object_entries(read_json(file), "", file=file, gathering=gathering):
            stems = (video_id, video_id.removeprefix("v_")) if video_id.startswith("v_") else (video_id,)
            video = gathering.video(video_id, split=split, stems=stems)
            _add_sentences(video, entry, where=where, file=file, gathering=gathering)


def _add_sentences(
    video: AnnotatedVideo, entry: dict[str, Any], *, where: str, file: Path, gathering: Gathering
) -> None:
    timestamps, sentences = entry.get("timestamps"), entry.get("sentences")
    if not isinstance(timestamps, list) or not isinstance(sentences, list):
        gathering.problem(file, where, "timestamps and sentences are needed, two lists")
        return
    if len(timestamps) != len(sentences):
        gathering.problem(file, where, f"{len(timestamps)} timestamps, but {len(sentences)} sentences")
        return
    for number, (segment, sentence) in enumerate(zip(timestamps, sentences, strict=True)):
        if not isinstance(sentence, str):
            gathering.problem(file, f"{where}.sentences[{number}]", "a sentence is text")
            continue
        add_timed(
            video,
            {SENTENCE_COLUMN: text_of(sentence)},
            segment=segment,
            where=f"{where}.timestamps[{number}]",
            duration=entry.get("duration"),
            file=file,
            gathering=gathering,
        )


ACTIVITYNET_CAPTIONS = Dataset(
    name="activitynet_captions",
    title="ActivityNet Captions",
    files="train.json, val_1.json, val_2.json",
    role_of=_role_of,
    read=_read,
)
