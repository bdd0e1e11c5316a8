"""The entry point of the `videobert` executable and of `python -m videobert_cli`."""

import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from videobert_cli.commands.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while Python was still importing, or while the end was being told
        code = 130
    # All is saved and said. One more Ctrl-C while the interpreter takes itself down would only print a traceback of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
