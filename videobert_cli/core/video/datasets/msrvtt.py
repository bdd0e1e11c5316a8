"""MSR-VTT in its JSON layouts, with the splits used for retrieval as CSV beside them.

`train_val_videodatainfo.json`, `test_videodatainfo.json`, `videodatainfo_2016.json`, `MSRVTT_data.json`: `videos`
(video_id, category, split) and `sentences` (video_id, caption). `MSR_VTT.json` has `annotations` (image_id, caption);
the lists `msrvtt_train_9k.json`, `msrvtt_test_1k.json` have entries with video_id and caption. Retrieval:
`MSRVTT_train.9k.csv` (video_id), `MSRVTT_JSFUSION_test.csv` (key, vid_key, video_id, sentence: the video's only
query). `category.txt` (name, tab, number) names the categories. A file `video0.mp4` is the clip, cut out of its
YouTube video already.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli.core.video.datasets.files import list_entries, read_json, read_lines, read_rows
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, AnnotatedVideo, Gathering, text_of
from videobert_cli.core.video.datasets.recognising import (
    LIST_ROLE,
    Dataset,
    Head,
    split_of_name,
    split_of_word,
)
from videobert_cli.core.video.entries import Split
from videobert_cli.errors import ManifestError

_VIDEO = re.compile(r'"(?:video_id|image_id|id)"\s*:\s*"video\d+')


def _role_of(head: Head) -> str | None:
    if head.path.name in {"category.txt", "category_names.txt"}:
        return "categories"
    if head.is_json:
        return (
            LIST_ROLE if _VIDEO.search(head.text) and re.search('"(caption|start time)"', head.text) else None
        )
    if head.columns.issuperset({"vid_key", "video_id", "sentence"}):
        return LIST_ROLE
    rows = head.text.splitlines()[:2]
    return "split" if len(rows) == 2 and rows[0] == "video_id" and rows[1].startswith("video") else None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    names = {
        cells[1].strip(): cells[0].strip()
        for file in files.get("categories", ())
        for _, cells in read_lines(file, delimiter="\t")
        if len(cells) >= 2
    }
    jsons = [file for file in files[LIST_ROLE] if file.suffix.lower() == ".json"]
    queries = [file for file in files[LIST_ROLE] if file not in jsons]
    for file in jsons:
        _read_json(file, names=names, gathering=gathering)
    # A list of queries that is named alone is the whole protocol.
    named = [*(files.get("split", ()) if jsons else ()), *queries]
    if named:
        _follow_lists(named, gathering=gathering)


def _follow_lists(files: Sequence[Path], *, gathering: Gathering) -> None:
    """Take splits and queries from the lists for retrieval; what none of them names takes no part."""
    splits: dict[str, Split | None] = {}
    for file in files:
        split = split_of_name(file.name)
        for video_id, sentence in _read_list(file, gathering=gathering):
            video = gathering.video(video_id)
            first = splits.setdefault(video_id, split)
            if split is not None and first is not None and first != split:
                gathering.in_two_splits.setdefault(video_id, {first}).add(split)
            if sentence:
                _ask_only(video, sentence, gathering=gathering)
    for video_id in [video_id for video_id in gathering.videos if video_id not in splits]:
        del gathering.videos[video_id]
        gathering.num_left_out["video-in-no-retrieval-list"] += 1
    for video_id, split in splits.items():
        gathering.videos[video_id].split = split


def _ask_only(video: AnnotatedVideo, sentence: str, *, gathering: Gathering) -> None:
    """Leave the query as the video's only sentence."""
    video.segments = [segment for segment in video.segments if SENTENCE_COLUMN not in segment.labels]
    gathering.add_segment(video, {SENTENCE_COLUMN: sentence})


def _read_list(file: Path, *, gathering: Gathering) -> list[tuple[str, str]]:
    return [
        (row["video_id"], row.get("sentence", ""))
        for _, row in read_rows(file, gathering=gathering, needs=("video_id",))
        if row["video_id"]
    ]


def _read_json(file: Path, *, names: Mapping[str, str], gathering: Gathering) -> None:
    found = read_json(file)
    if isinstance(found, list):
        _add_sentences(
            found, "", id_key="video_id", split=split_of_name(file.name), file=file, gathering=gathering
        )
        return
    if not isinstance(found, dict) or not {"sentences", "annotations", "videos"} & set(found):
        raise ManifestError(
            "there are neither videos nor sentences in it", at=str(file), fix="see docs/datasets.md"
        )
    for where, entry in list_entries(found.get("videos", []), "videos", file=file, gathering=gathering):
        video_id = text_of(entry.get("video_id"))
        if not video_id:
            gathering.problem(file, f"{where}.video_id", "an id is needed")
            continue
        split = split_of_word(text_of(entry.get("split")))
        video = gathering.video(video_id, split=split)
        category = text_of(entry.get("category"))
        if category:
            name = names.get(category, "")
            gathering.add_segment(video, {"category": category, **({"category_name": name} if name else {})})
    key, id_key = ("sentences", "video_id") if "sentences" in found else ("annotations", "image_id")
    _add_sentences(found.get(key, []), key, id_key=id_key, split=None, file=file, gathering=gathering)


def _add_sentences(
    entries: Any, where: str, *, id_key: str, split: Split | None, file: Path, gathering: Gathering
) -> None:
    for place, entry in list_entries(entries, where, file=file, gathering=gathering):
        video_id = text_of(entry.get(id_key)) or Path(text_of(entry.get("video"))).stem
        sentences = list(_sentences(entry.get("caption")))
        if not video_id or not sentences:
            gathering.problem(file, place, f"a sentence needs {id_key} and caption")
            continue
        video = gathering.video(video_id, split=split)
        for sentence in sentences:
            gathering.add_segment(video, {SENTENCE_COLUMN: sentence})


def _sentences(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if text_of(one):
            yield text_of(one)


MSRVTT = Dataset(
    name="msrvtt",
    title="MSR-VTT",
    files="train_val_videodatainfo.json, MSRVTT_data.json, or MSRVTT_JSFUSION_test.csv",
    role_of=_role_of,
    read=_read,
)
