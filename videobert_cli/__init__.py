"""videobert: VideoBERT (Sun et al., ICCV 2019) whole, as a command line and as a Python API.

The classes load on first use, so that `import videobert_cli` (and `videobert --help`) never imports torch.
"""

import importlib
from typing import Any

_API = {
    "VideoBERTTokenizer": "videobert_cli.core.text.tokenizer",
    "VideoBERTConfig": "videobert_cli.core.model.config",
    "VideoBERTModel": "videobert_cli.core.model.encoder",
    "VideoBERTForPreTraining": "videobert_cli.core.model.pretraining",
    "VideoBERTForSequenceClassification": "videobert_cli.core.model.classification",
}
__all__ = sorted(_API)  # noqa: PLE0605 - made from the table above, so the two cannot differ


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'videobert_cli' has no attribute {name!r}")
    return getattr(importlib.import_module(_API[name]), name)
