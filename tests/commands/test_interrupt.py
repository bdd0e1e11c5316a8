"""Ctrl-C at the worst moments: while Python still imports, and while it is taking itself down."""

import subprocess
import sys

import pytest
from executable import environment

# A Ctrl-C that arrives in a callback of the interpreter's own end, as torch has one.
AT_THE_END = """
import os, signal, sys, weakref
import videobert_cli.__main__ as entry

class Held: ...

held = Held()
weakref.finalize(held, os.kill, os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.argv = ["videobert", "--version"]
entry.main()
"""
# A Ctrl-C while the commands are being imported.
AT_THE_START = """
import os, signal, sys
import videobert_cli.__main__ as entry

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "videobert_cli.commands.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.argv = ["videobert", "--version"]
entry.main()
"""


@pytest.mark.parametrize(("script", "code"), [(AT_THE_END, 0), (AT_THE_START, 130)], ids=["end", "start"])
def test_p7_ctrl_c_outside_the_work_shows_no_traceback(script: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (code, "")
