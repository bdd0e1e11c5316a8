"""METEOR 1.5 (Denkowski and Lavie 2014) by the authors' own Java program; no other program gives its numbers.

The program and its paraphrases come with the package `pycocoevalcap` (extra `meteor`, 106 MB); Java must be there too.
Without either there is no METEOR: implementations in Python give 0.63 where this one gives 0.34.
"""

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videobert_cli.errors import InputError

_JAR = Path("meteor", "meteor-1.5.jar")


@dataclass(frozen=True, kw_only=True)
class MeteorScores:
    """METEOR of the corpus (its statistics summed over all captions) and of each caption."""

    corpus: float
    captions: tuple[float, ...]


def why_no_meteor() -> str:
    """Return what is missing for METEOR, empty when nothing is."""
    if _jar() is None:
        return "the extra `meteor` is not installed (pip install 'videobert-cli[meteor]')"
    return "" if shutil.which("java") else "there is no `java` on the path"


def meteor(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MeteorScores:
    """Return METEOR of tokenised hypotheses, each against its references.

    Raises:
        InputError: Java or the program is missing, or the program ended early.
    """
    jar = _jar()
    if jar is None or why_no_meteor():
        raise InputError(
            f"METEOR cannot be computed: {why_no_meteor()}", fix="install it, or leave METEOR out"
        )
    command = ["java", "-Xmx2G", "-jar", jar.name, "-", "-", "-stdio", "-l", "en", "-norm"]
    with subprocess.Popen(
        command,
        cwd=jar.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            statistics = [
                _ask(process, " ||| ".join(["SCORE", *map(_plain, found), _plain(hypothesis)]))
                for hypothesis, found in zip(hypotheses, references, strict=True)
            ]
            first = float(_ask(process, " ||| ".join(["EVAL", *statistics])))
            scores = [first, *(float(_read(process)) for _ in statistics)]
        finally:
            process.kill()
    return MeteorScores(corpus=scores[-1], captions=tuple(scores[:-1]))


def _jar() -> Path | None:
    package = importlib.util.find_spec("pycocoevalcap")
    folders = list(package.submodule_search_locations or []) if package else []
    jars = [Path(folder) / _JAR for folder in folders]
    return next((jar for jar in jars if jar.is_file()), None)


def _plain(tokens: str) -> str:
    """Take out what separates fields in the program's input."""
    return tokens.replace("|||", "").replace("  ", " ").replace("\n", " ")


def _ask(process: subprocess.Popen[str], line: str) -> str:
    stdin = process.stdin
    if stdin is not None:
        try:
            stdin.write(f"{line}\n")
            stdin.flush()
        except BrokenPipeError:
            pass
    return _read(process)


def _read(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline().strip() if process.stdout is not None else ""
    if not line:
        raise InputError(
            "METEOR's Java program ended early", fix="check that `java -version` works and 2 GB are free"
        )
    return line
