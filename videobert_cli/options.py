"""The base of every section of a recipe: frozen, strict, and silent about nothing."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A section of a recipe. Unknown keys are errors, text is not a number, and nothing changes after loading.

    Every field carries its unit in its name, a range, and a sentence for the user in `description`.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", validate_default=True, protected_namespaces=()
    )

    def settings(self) -> dict[str, Any]:
        """Return the section as plain JSON values, every default explicit: what a stage records of itself."""
        return self.model_dump(mode="json")
