"""Writes what is generated from the schema: recipes/recipe.schema.json and docs/recipes.md.

Run `python -m videobert_cli.recipe.reference` in a checkout after a key changed; a test fails while they are
stale.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli import artifacts
from videobert_cli.recipe.fields import RecipeField, keys_in, recipe_fields
from videobert_cli.recipe.schema import Recipe
from videobert_cli.recipe.snapshot import scalar_text

SCHEMA_PATH = Path("recipes") / "recipe.schema.json"
PAGE_PATH = Path("docs") / "recipes.md"

_HEAD = """# The recipe: every key

One YAML file is one experiment; all commands read the same file. Required are only `run` and `data.videos`.
This page is generated from the schema (`python -m videobert_cli.recipe.reference`): do not edit it.

- Numbers, truth values and null are those of YAML 1.2: `1e-4` is a number, `010` is 10; `1:30`, `no` and `on`
  are texts.
- Relative paths are relative to the directory in which the command runs; `~/` is your home directory.
- `--set KEY=VALUE` overrides one key, any number of times, the last wins: `--set seed=3`,
  `--set evaluate.tasks=[zero_shot]`, `--set quantize.num_components=null`.
- `--print-config` shows every value and where it comes from.
- An unknown key, a key given twice and a value out of range are errors, all shown at once with their lines.
  Merge keys (`<<`), tags and includes are not read.
"""


def schema_json() -> str:
    """Return the JSON schema of a recipe, for editors: each key with the default of its own place."""
    schema = Recipe.model_json_schema()
    definitions = schema.pop("$defs", {})
    inlined = _inline(schema, definitions=definitions, prefix="")
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **inlined,
        "title": "A videobert recipe",
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def recipes_page() -> str:
    """Return docs/recipes.md: a table for each section, in the schema's order."""
    tables = [_table([recipe_fields()[name] for name in keys_in("")], title="The top")]
    for field in recipe_fields().values():
        if field.is_section:
            fields = [recipe_fields()[f"{field.key}.{name}"] for name in keys_in(field.key)]
            tables.append(_table(fields, title=f"`{field.key}:`", text=field.description))
        elif field.item_fields:
            fields = list(field.item_fields.values())
            tables.append(_table(fields, title=f"`{field.key}:` an item", text=field.description))
    return "\n".join([_HEAD, *tables])


def main() -> None:
    """Write both files into the checkout that this package was imported from."""
    root = Path(__file__).parents[2]
    artifacts.publish_text(root / SCHEMA_PATH, schema_json())
    artifacts.publish_text(root / PAGE_PATH, recipes_page())


def _table(fields: Sequence[RecipeField], *, title: str, text: str = "") -> str:
    lines = [f"## {title}", ""]
    lines += [text, ""] if text else []
    lines += ["| key | value | default | what it is |", "|---|---|---|---|"]
    lines += [_row(field) for field in fields]
    return "\n".join(lines) + "\n"


def _row(field: RecipeField) -> str:
    value, default = field.legal, ""
    if field.is_section:
        value = "section, see below"
    elif field.is_required:
        default = "required"
    else:
        default = f"`{scalar_text(field.default)}`"
    if field.is_section and field.is_required:
        default = "required"
    cells = (f"`{field.name}`", value, default, field.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _inline(node: Any, *, definitions: Mapping[str, Any], prefix: str) -> Any:
    """Return a schema node with its references written out, sections under their dotted keys in `prefix`."""
    if "$ref" in node:
        definition = definitions[node["$ref"].rpartition("/")[2]]
        node = {**definition, "description": node.get("description", definition.get("description", ""))}
    node = {key: value for key, value in node.items() if key != "title"}
    if "$ref" in (items := node.get("items", {})):
        node["items"] = _inline(items, definitions=definitions, prefix=f"{prefix}[]")
    if "properties" not in node:
        field = recipe_fields().get(prefix)
        if field is not None and not field.is_required:
            node["default"] = field.default
        return node
    node["properties"] = {
        name: _inline(inner, definitions=definitions, prefix=f"{prefix}.{name}" if prefix else name)
        for name, inner in node["properties"].items()
    }
    return node


if __name__ == "__main__":
    main()
