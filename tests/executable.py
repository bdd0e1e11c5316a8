"""The executable as a shell runs it, the tiny recipe, a small video, and how a folder is compared with itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

EXECUTABLE = Path(sys.executable).with_name("videobert")
RECIPE = """\
run: runs/tiny
data:
  videos: demo/videos.csv
extract:
  image_num_frames: 2
quantize:
  branching: 4
  num_levels: 2
  scaling: standardize_parts
  num_components: 16
pretrain:
  text: {corpus_max_size: 400}
  model: {num_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}
  loop: {num_steps: 12, batch_num_sequences: 8, log_every_steps: 2, validate_every_steps: 6, save_every_steps: 2}
finetune:
  label: verb
  loop: {num_steps: 8, batch_num_sequences: 4, log_every_steps: 2, validate_every_steps: 4, save_every_steps: 2}
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended: exit code and what it wrote."""

    exit_code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """The lines of stderr from `error:` on."""
        lines = self.err.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        return lines[starts[0] :] if starts else []


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: one thread, no model of the tester's own."""
    kept = {name: value for name, value in os.environ.items() if name != "VIDEOBERT_MODEL"}
    return {**kept, "OMP_NUM_THREADS": "1", **more}


def start(*arguments: str, folder: Path, **options: object) -> subprocess.Popen[str]:
    """Start the executable in `folder`, in a process group of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen([EXECUTABLE, *arguments], cwd=folder, env=environment(), **{**pipes, **options})  # type: ignore[call-overload]


def shell(
    *arguments: str | bytes, folder: Path, stdin: bytes = b"", through: Sequence[str] = (), **more: str
) -> Outcome:
    """Run the executable in `folder` to its end, `through` another program; `more` are environment variables."""
    done = subprocess.run(
        [*through, EXECUTABLE, *arguments],
        cwd=folder,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        timeout=600,
        check=False,
    )
    return Outcome(
        exit_code=done.returncode,
        out=done.stdout.decode("utf-8", "surrogateescape"),
        err=done.stderr.decode("utf-8", "surrogateescape"),
    )


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A folder with a demo corpus, a recipe and the run that `videobert evaluate` made of them. Not to be changed."""

    folder: Path

    @property
    def recipe(self) -> Path:
        """The recipe."""
        return self.folder / "tiny.yaml"

    @property
    def root(self) -> Path:
        """The run's directory."""
        return self.folder / "runs" / "tiny"

    @property
    def video(self) -> Path:
        """A held-out video."""
        return self.folder / "demo" / "videos" / "test-000.mp4"

    def copy(self, target: Path, *, without: Iterable[str] = ()) -> Path:
        """Return a folder like this one, its run without some stages; videos are shared, not copied."""
        shutil.copytree(self.root, target / "runs" / "tiny", ignore=shutil.ignore_patterns(".lock", *without))
        shutil.copy(self.recipe, target / "tiny.yaml")
        (target / "demo").symlink_to(self.folder / "demo")
        return target


def lasting_metrics(path: Path) -> str:
    """The lines of a `metrics.jsonl` that are the same in every run of a recipe: all but those of speed."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if '"speed"' not in line)


def write_clip(path: Path, *, num_frames: int = 32) -> None:
    """Write a small video with a square that moves."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for number in range(num_frames):
            picture = np.full((96, 128, 3), 60, dtype=np.uint8)
            picture[20:50, 4 * number : 4 * number + 30] = (200, 80, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file and folder under `folder`; the lock and its owner do not count."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.name not in {".lock", ".owner.json"} and not path.is_dir()
    }
