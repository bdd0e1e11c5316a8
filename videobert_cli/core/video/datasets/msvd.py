"""MSVD: `AllVideoDescriptions.txt`, or Microsoft's `MSR Video Description Corpus.csv`.

The text has a line a sentence, `<id>_<start>_<end> a man is ...`, under a head of lines that begin with `#`; the CSV
the columns VideoID, Start, End, Language, Description (English is taken). Files are called `<id>_<start>_<end>.avi`,
or `vid1.avi` where `youtube_mapping.txt` says which is which. The usual splits are lists of clips: `train_list.txt`,
`val_list.txt`, `test_list.txt`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from videobert_cli.core.video.datasets.files import read_rows
from videobert_cli.core.video.datasets.gathering import SENTENCE_COLUMN, Gathering, number_of, text_of
from videobert_cli.core.video.datasets.recognising import LIST_ROLE, Dataset, Head, split_of_name
from videobert_cli.errors import ManifestError

_COLUMNS = ("VideoID", "Start", "End", "Language", "Description")
_CLIP = r"[\w-]{11}_\d+_\d+"
_SENTENCE = re.compile(rf"({_CLIP})\s+(.*\S)")
_MAPPING = re.compile(rf"({_CLIP})\s+(vid\d+)")
_MAX_HEAD_LINES = 20


def _role_of(head: Head) -> str | None:
    if head.columns.issuperset(_COLUMNS):
        return LIST_ROLE
    if head.path.suffix.lower() != ".txt":
        return None
    lines = [line.strip() for line in head.text.split("\n")[:_MAX_HEAD_LINES]]
    lines = [line for line in lines if line and not line.startswith("#")]
    for role, pattern in (("mapping", _MAPPING), ("split", re.compile(_CLIP)), (LIST_ROLE, _SENTENCE)):
        if lines and all(pattern.fullmatch(line) for line in lines):
            return role
    return None


def _read(files: Mapping[str, Sequence[Path]], gathering: Gathering) -> None:
    short = {
        match[1]: match[2]
        for file in files.get("mapping", ())
        for _, line in _lines(file)
        if (match := _MAPPING.fullmatch(line))
    }

    def add(clip: str, sentence: str) -> None:
        stems = (clip, short[clip]) if clip in short else (clip,)
        gathering.add_segment(gathering.video(clip, stems=stems), {SENTENCE_COLUMN: sentence})

    for file in files[LIST_ROLE]:
        rows = _csv_rows(file, gathering) if file.suffix.lower() == ".csv" else _text_rows(file, gathering)
        for clip, sentence in rows:
            add(clip, sentence)
    for file in files.get("split", ()):
        for number, line in _lines(file):
            if line not in gathering.videos:
                gathering.problem(file, str(number), f"{line!r} has no description")
                continue
            gathering.video(line, split=split_of_name(file.name))


def _text_rows(file: Path, gathering: Gathering) -> Iterator[tuple[str, str]]:
    for number, line in _lines(file):
        match = _SENTENCE.fullmatch(line)
        if match is None:
            gathering.problem(file, str(number), "a line is <id>_<start>_<end> and a sentence")
        else:
            yield match[1], text_of(match[2])


def _csv_rows(file: Path, gathering: Gathering) -> Iterator[tuple[str, str]]:
    for line, row in read_rows(file, gathering=gathering, needs=_COLUMNS):
        start, end = number_of(row["Start"]), number_of(row["End"])
        if not row["VideoID"] or start is None or end is None:
            gathering.problem(file, str(line), "a row needs VideoID, Start and End")
        elif row["Language"] != "English":
            gathering.num_left_out["another-language"] += 1
        elif not row["Description"]:
            gathering.num_left_out["no-text"] += 1
        else:
            yield f"{row['VideoID']}_{int(start)}_{int(end)}", text_of(row["Description"])


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"no UTF-8 text: {error}", at=str(file), fix="save it as UTF-8 text") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


MSVD = Dataset(
    name="msvd",
    title="MSVD",
    files="AllVideoDescriptions.txt, or the corpus's .csv",
    role_of=_role_of,
    read=_read,
)
