"""P25: a video file that names other files or addresses never makes us open them.

Three witnesses: the kernel's own notes on `secret.ts` (inotify), a listener on the address, and strace of every process
where it is installed. Each is shown to see what it is there to see.
"""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from executable import environment
from zoo import make_clip, make_playlists

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify and strace are Linux's"),
]
IN_ACCESS, IN_OPEN = 0x1, 0x20
RECIPE = """\
run: run
data:
  videos: videos
extract:
  image_num_frames: 2
  reader: {name: %s}
"""


class FileWitness:
    """Says whether anybody has opened or read one file since it was asked last."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
        assert self._descriptor >= 0
        assert libc.inotify_add_watch(self._descriptor, os.fsencode(path), IN_ACCESS | IN_OPEN) >= 0

    def has_seen_something(self) -> bool:
        try:
            return bool(os.read(self._descriptor, 1 << 16))
        except BlockingIOError:
            return False


class Listener:
    """A server that nobody should call."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def was_called(self) -> bool:
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def corpus(tmp_path: Path, listener: Listener) -> Path:
    """`videos/` with one good clip and three playlists, `secret.ts` outside it."""
    (tmp_path / "videos").mkdir()
    secret = make_clip(tmp_path / "secret.ts", seconds=2, fmt="mpegts")
    make_clip(tmp_path / "videos/good.mp4", seconds=2)
    for path in make_playlists(tmp_path / "videos", secret=secret, address=listener.address):
        shutil.copy(path, path.with_suffix(".avi"))  # another name, so that no suffix decides
    return tmp_path


def extract(corpus: Path, *, reader: str, tracer: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    (corpus / "recipe.yaml").write_text(RECIPE % reader)
    command = [*tracer, sys.executable, "-m", "videobert_cli", "extract", "recipe.yaml"]
    return subprocess.run(
        command, cwd=corpus, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("reader", ["pyav", "decord"])
def test_p25_what_a_playlist_names_is_not_opened(corpus: Path, listener: Listener, reader: str) -> None:
    if reader == "decord":
        pytest.importorskip("decord")
    witness = FileWitness(corpus / "secret.ts")
    done = extract(corpus, reader=reader)
    assert done.returncode == 4, done.stderr
    assert "6 refused-reference" in done.stderr
    assert not witness.has_seen_something()
    assert not listener.was_called()
    # The witnesses can see: a player opens the file, and a client the address.
    av.open(str(corpus / "secret.ts")).close()
    assert witness.has_seen_something()
    socket.create_connection(("127.0.0.1", listener.port)).close()
    assert listener.was_called()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_p25_no_process_of_ours_opens_or_connects(corpus: Path, listener: Listener) -> None:
    trace = corpus / "trace"
    tracer = (
        "strace",
        "-f",
        "-qq",
        "-s",
        "4096",
        "-e",
        "trace=open,openat,openat2,connect",
        "-o",
        str(trace),
    )
    done = extract(corpus, reader="pyav", tracer=tracer)
    if not trace.exists() or "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.splitlines()[:1]}")
    assert done.returncode == 4, done.stderr
    calls = trace.read_text(errors="replace").splitlines()
    assert [line for line in calls if "hls.mp4" in line]  # the decoder child was traced
    assert [line for line in calls if "secret.ts" in line] == []
    assert [line for line in calls if re.search(r"connect\(.*AF_INET", line)] == []
