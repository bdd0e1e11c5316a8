"""Help: at once, complete, without torch, examples whole on their lines; docs/commands.md says the same."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from executable import Outcome, environment

from videobert_cli.commands.app import COMMANDS

MOST_MODULES = 130  # 107 to 109 today
DOCUMENT = Path(__file__).parents[2] / "docs" / "commands.md"
IMPORTS = """
import sys
import typer._adapters
before = set(sys.modules)
from videobert_cli.commands.app import run
code = run(sys.argv[1:])
own = [name for name in sys.modules if name not in before]
heavy = [name for name in ("torch", "transformers", "av", "sklearn", "numpy", "rich") if name in own]
print("loaded", code, len(own), *heavy)
"""


def _load(*arguments: str) -> tuple[int, int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *arguments],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    code, num_modules, *heavy = done.stdout.splitlines()[-1].removeprefix("loaded ").split()
    return int(code), int(num_modules), heavy


@pytest.mark.parametrize("arguments", [("--help",), ("pretrain", "-h"), ("--version",)])
def test_p48_help_needs_no_torch_and_few_modules(arguments: tuple[str, ...]) -> None:
    code, num_modules, heavy = _load(*arguments)
    assert (code, heavy) == (0, [])
    # What is loaded beside typer is what a third of a second goes on (benchmarks/startup.py measures that):
    # modules are counted here, because a machine's speed is not this code's.
    assert num_modules < MOST_MODULES


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_a_summary_and_three_whole_examples(invoke, command: str) -> None:
    outcome: Outcome = invoke(command, "--help")
    assert outcome.exit_code == 0
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    first = lines.index("  Examples:") + 1
    examples = lines[first : first + 4]
    assert len([line for line in examples if line.startswith("    ")]) == 3
    assert all(f"videobert {command}" in line for line in examples[:3])
    assert examples[3] == ""
    summary = next(line for line in lines[1:] if line)
    assert summary.endswith(".")
    assert summary.strip() in invoke("--help").out


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS if command != "doctor")])
def test_no_arguments_give_help_on_stderr_and_exit_2(invoke, command: tuple[str, ...]) -> None:
    outcome = invoke(*command)
    assert outcome.exit_code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("Usage: videobert")
    assert "error:" not in outcome.err


def test_version_is_one_line(invoke) -> None:
    outcome = invoke("--version")
    assert re.fullmatch(r"videobert \d+\.\d+\.\d+\S*\n", outcome.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_document_lists_every_flag_of_the_help_and_no_other(invoke, command: str) -> None:
    sections = dict(
        re.findall(r"^### `videobert (\w+)[^\n]*\n(.*?)(?=^##|\Z)", DOCUMENT.read_text(), re.M | re.S)
    )
    documented = set(re.findall(r"^\| `(?:-\w, )?(--[\w-]+)", sections[command], re.M))
    helped = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", invoke(command, "--help").out, re.M)) - {"--help"}
    assert documented == helped
