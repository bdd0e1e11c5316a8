"""The base of every section of a recipe: frozen, strict, and silent about nothing."""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class Options(BaseModel):
    """A section of a recipe. Unknown keys are errors, text is not a number, and nothing changes after loading.

    Every field carries its unit in its name, a range, and a sentence for the user in `description`.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", validate_default=True, protected_namespaces=()
    )

    @field_validator("*")
    @classmethod
    def _expand_home(cls, value: Any) -> Any:
        """Read `~/videos` as a shell does: else a run would fill a folder called `~`."""
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value  # noqa: PTH111 - never raises

    def settings(self) -> dict[str, Any]:
        """Return the section as plain JSON values, every default explicit: what a stage records of itself."""
        return self.model_dump(mode="json")
