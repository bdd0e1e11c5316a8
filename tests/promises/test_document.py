"""docs/reliability.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "reliability.md"


def test_every_test_named_in_the_document_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", DOCUMENT.read_text())
    assert len(named) > 50
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in _text(TESTS / file)]
    assert missing == []


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
