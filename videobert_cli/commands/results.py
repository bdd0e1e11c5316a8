"""What a command hands back: the one document of `--json`, and the lines for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from videobert_cli.commands.failures import Failure

SCHEMA = "videobert/1"


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """The end of a command that did not fail.

    `status` is `done`, `nothing-to-do`, `planned` or `partial`; `lines` go to stdout unless `--json` asks for the
    document; `metrics` is flat.
    """

    status: str = "done"
    exit_code: int = 0
    run: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def document(self, command: str) -> dict[str, Any]:
        """Return the `--json` document."""
        return {
            "schema": SCHEMA,
            "command": command,
            "status": self.status,
            "exit_code": self.exit_code,
            "error": None,
            "run": self.run,
            "metrics": dict(self.metrics),
            "outputs": dict(self.outputs),
        }


def error_document(command: str, failure: Failure) -> dict[str, Any]:
    """Return the `--json` document of a command that failed."""
    return {
        "schema": SCHEMA,
        "command": command,
        "status": "interrupted" if failure.exit_code in {75, 130} else "failed",
        "exit_code": failure.exit_code,
        "error": {"what": failure.what, "at": failure.at, "fix": failure.fix},
        "run": None,
        "metrics": {},
        "outputs": {},
    }
