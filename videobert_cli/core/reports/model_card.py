"""The model card of a model directory: what it is, what it was made from, what it may be used for."""

import html
from collections.abc import Mapping
from typing import Any

import jinja2

_CARD = """\
---
library_name: videobert-cli
tags: [videobert, video, {{ task }}]
---
# {{ title }}

Made by `videobert {{ command }}` (videobert-cli {{ version }}) after *VideoBERT: A Joint Model for Video and Language
Representation Learning* (Sun et al., ICCV 2019).

| made from | value |
|---|---|
{% for name, value in facts.items() -%}
| {{ name | cell }} | {{ value | cell }} |
{% endfor %}
## Use

```
videobert predict clip.mp4 --model DIRECTORY
```

The directory carries the backbone (`extractor.json`), the codebook and the tokenizer it was trained with; features of
another backbone or words of another codebook are refused.

## Limits

It knows the actions and objects of its training videos and their narration, no others; its confidence is not
calibrated. Instruction videos show people: mind the rights of those who made them and are seen in them.
"""


def model_card(*, title: str, task: str, command: str, version: str, facts: Mapping[str, Any]) -> str:
    """Return the card as Markdown; `facts` become the rows of its table."""
    environment = jinja2.Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701 - Markdown
    environment.filters["cell"] = _cell
    return environment.from_string(_CARD).render(
        title=title, task=task, command=command, version=version, facts=facts
    )


def _cell(value: object) -> str:
    """Return a value as the text of one table cell: no markup, no line or column ends."""
    return " ".join(html.escape(str(value), quote=False).replace("|", "\\|").split())
