"""What `videobert -h` costs beside what typer alone costs, each in a process of its own, in turns.

python benchmarks/startup.py [--rounds 15]
"""

import argparse
import statistics
import subprocess
import sys
import time

WAYS = {
    "python alone": "pass",
    "typer alone": "import typer._adapters",
    "videobert -h": "from videobert_cli.commands.app import run; run(['-h'])",
    "videobert pretrain -h": "from videobert_cli.commands.app import run; run(['pretrain', '-h'])",
}


def main() -> None:
    """Print the median seconds of each, and the ratio to typer alone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = range(parser.parse_args().rounds)
    seconds = [{name: _seconds(code) for name, code in WAYS.items()} for _ in rounds]
    medians = {name: statistics.median(found[name] for found in seconds) for name in WAYS}
    for name, median in medians.items():
        print(f"{name:<24}{median:.3f} s   {median / medians['typer alone']:.2f}x")


def _seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
