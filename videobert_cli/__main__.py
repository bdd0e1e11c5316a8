"""The entry point of the `videobert` executable and of `python -m videobert_cli`."""

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the command line and exit with its code."""
    _fill_closed_streams()
    try:
        from videobert_cli.commands.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while Python was still importing, or while the end was being told
        code = 130
    # All is saved and said. One more Ctrl-C while the interpreter takes itself down would only print a traceback of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def _fill_closed_streams() -> None:
    """Put the null device where the caller has closed a standard stream (`2>&-`).

    The next file opened would get its number, and what a library prints would end up in that file. Standard output
    stays away for Python: a result that nobody can get is an error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it takes no keywords
    null = Path(os.devnull)
    # Python has None for a closed stream, which the type of `sys.stdin` does not tell.
    sys.stdin = sys.stdin or null.open(encoding="utf-8")
    sys.stderr = sys.stderr or null.open("w", encoding="utf-8")


if __name__ == "__main__":
    main()
