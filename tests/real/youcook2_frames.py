"""Real cooking stills and sentences as a corpus on disk: a folder of time-stamped pictures and a .srt for each video.

Run as a script it writes the corpus: `python tests/real/youcook2_frames.py SHARED_DATA OUT`.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

STILL_SECONDS = 6.0
RECIPE = """\
run: {run}
seed: {seed}
data:
  videos: {videos}
quantize:
  num_levels: 2
  num_components: 64
pretrain:
  sequences: {{join_probability: 0.0, max_subsampling: 1, mask_fraction: 0.7, joint_masking: text,
              negative_fraction: 0.2, text_only_share: 0.25, video_only_share: 0.25}}
  model: {{num_layers: 2, hidden_size: 128, num_attention_heads: 4, intermediate_size: 512, initializer_range: 0.06}}
  losses: {{video: 0.1, alignment: 0.2}}
  optimizer: {{learning_rate: 2e-3, warmup_fraction: 0.1}}
  loop: {{num_steps: {num_steps}, batch_num_sequences: 32, precision: float32, log_every_steps: 100,
         validate_every_steps: 200, save_every_steps: 200, final_weights: best}}
evaluate:
  tasks: [zero_shot]
  template: "[MASK] the [MASK]"
"""


def write_corpus(shared_data: Path, out: Path) -> Path:
    """Write picture folders, subtitles and `videos.csv`; a row for each sentence that names one of the 67 objects.

    The three stills of a video follow each other, each shown for six seconds under its sentence: between them the
    real video is not here. A fifth of the videos is for testing, by the order of their ids.
    """
    objects = _objects(shared_data)
    videos = defaultdict(list)
    with (shared_data / "clips" / "labels.tsv").open() as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if row["set"] == "youcook2_frames":
                videos[row["video_id"]].append(row)
    lines = ["video,captions,split,start,end,verb,object,recipe"]
    for number, (video_id, rows) in enumerate(sorted(videos.items())):
        split = "test" if number % 5 == 0 else "validation" if number % 10 == 1 else "train"
        rows.sort(key=lambda row: float(row["start"]))
        _write_video(out / video_id, rows, shared_data=shared_data)
        for k, row in enumerate(rows):
            names = [name for word in row["text"].split() if (name := objects.get(word))]
            span = f"{k * STILL_SECONDS},{(k + 1) * STILL_SECONDS}"
            lines.append(
                f"{video_id},{video_id}.srt,{split},{span},{row['label2']},{names[0] if names else ''},{row['label']}"
            )
    (out / "videos.csv").write_text("\n".join(lines) + "\n")
    return out / "videos.csv"


def _objects(shared_data: Path) -> dict[str, str]:
    """Return singular and plural of YouCook2-BoundingBox's 67 objects, each to its singular."""
    names = {}
    for line in (shared_data / "annotations" / "youcook2" / "yc2bb_67_objects.csv").read_text().splitlines():
        _, *spellings = (part.strip() for part in line.split(","))
        singular = next(spelling for spelling in spellings if spelling)
        names |= {spelling: singular for spelling in spellings if spelling}
    return names


def _write_video(folder: Path, rows: list[dict[str, str]], *, shared_data: Path) -> None:
    folder.mkdir(parents=True)
    index, cues = ["file,start,end"], []
    for k, row in enumerate(rows):
        picture = shared_data / "clips" / row["path"]
        (folder / picture.name).symlink_to(picture.resolve())
        start, end = k * STILL_SECONDS, (k + 1) * STILL_SECONDS
        index.append(f"{picture.name},{start},{end}")
        cues.append(f"{k + 1}\n{_time(start)} --> {_time(end)}\n{row['text']}.\n")
    (folder / "frames.csv").write_text("\n".join(index) + "\n")
    folder.with_name(f"{folder.name}.srt").write_text("\n".join(cues))


def _time(seconds: float) -> str:
    return f"00:{int(seconds) // 60:02d}:{seconds % 60:06.3f}".replace(".", ",")


if __name__ == "__main__":
    print(write_corpus(Path(sys.argv[1]), Path(sys.argv[2])))
