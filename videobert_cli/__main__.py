"""The entry point of the `videobert` executable and of `python -m videobert_cli`."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from videobert_cli.commands.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
