"""Where a pretraining model starts: from a BERT (directory or hub name), from centroids, or from noise.

Shapes: K visual words, D width of a centroid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from videobert_cli.artifacts.hub import fetch_from_hub
from videobert_cli.core.model.checkpoint import WEIGHTS_NAME, read_tensors
from videobert_cli.core.model.config import CONFIG_NAME, VideoBERTConfig, read_config
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.errors import ArtifactError

# The sizes that a BERT decides; no other key of its config.json (code to run, kernels to fetch) is read.
_SIZE_KEYS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "initializer_range",
    "pad_token_id",
)
_HUB_FILES = (CONFIG_NAME, WEIGHTS_NAME, "vocab.txt", "tokenizer.json", "tokenizer_config.json")
_BERT_PARTS = ("embeddings.", "encoder.", "pooler.")


@dataclass(frozen=True, kw_only=True)
class BertStart:
    """A BERT's sizes (fields of VideoBERTConfig), its tensors under our names, and where they came from.

    The directory also holds its vocabulary, for VideoBERTTokenizer.
    """

    directory: Path
    sizes: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def load_bert(path_or_name: Path | str) -> BertStart:
    """Return the BERT in a directory, or on the hub if there is no such directory and the name can be one.

    Reads `config.json` and `model.safetensors` only: with or without the `bert.` prefix, with the old names
    `gamma` and `beta` of the norms, with or without pretraining heads (the sentence-order head is left out).

    Raises:
        MissingInputError: It is neither a directory nor a name on the hub that can be reached.
        ArtifactError: The directory is no BERT, is damaged, or has its weights as a pickle only.
    """
    directory = Path(path_or_name)
    if not directory.is_dir():
        directory = _download(str(path_or_name))
    values = read_config(directory / CONFIG_NAME)
    if values.get("model_type") != "bert":
        raise ArtifactError(
            f"this is a {values.get('model_type')!r} model, not a BERT", at=str(directory / CONFIG_NAME)
        )
    if values.get("hidden_act", "gelu") != "gelu":
        raise ArtifactError(
            f"hidden_act is {values['hidden_act']!r}; only gelu, BERT's own, is built",
            at=str(directory / CONFIG_NAME),
        )
    sizes = {key: values[key] for key in _SIZE_KEYS if key in values}
    config = VideoBERTConfig.from_dict(sizes | {"num_visual_words": 0, "visual_embedding_size": 1})
    tensors = read_tensors(directory / WEIGHTS_NAME, rename=_rename_bert, expected=None)
    _check_tensors(tensors, config=config, path=directory / WEIGHTS_NAME)
    return BertStart(
        directory=directory, sizes={key: getattr(config, key) for key in _SIZE_KEYS}, tensors=tensors
    )


def new_model(
    config: VideoBERTConfig, *, seed: int, centroids_KD: Tensor | None = None, bert: BertStart | None = None
) -> VideoBERTForPreTraining:
    """Return a model to pretrain, in training mode: drawn from `seed`, then whatever is given laid over it.

    The text tower comes from `bert`, whose sizes `config` must have, the visual rows from `centroids_KD`.
    """
    model = VideoBERTForPreTraining(config, seed=seed)
    if bert is not None:
        _check_tensors(bert.tensors, config=config, path=bert.directory / WEIGHTS_NAME)
        model.load_state_dict(dict(bert.tensors), strict=False)
    if centroids_KD is not None:
        model.bert.embeddings.start_from_centroids(centroids_KD)
    return model


def _rename_bert(key: str) -> str | None:
    """Return the name in VideoBERTForPreTraining of a BERT's tensor, None for what has no place there."""
    key = key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    if key.startswith("cls.predictions.") and ".decoder." not in key:
        return key
    key = key.removeprefix("bert.")
    if key.startswith(_BERT_PARTS) and not key.endswith("position_ids"):
        return f"bert.{key}"
    return None


def _check_tensors(tensors: Mapping[str, Tensor], *, config: VideoBERTConfig, path: Path) -> None:
    """Refuse tensors that are not the text tower of `config`; its heads and pooler may be missing."""
    model = VideoBERTForPreTraining(config, seed=None)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    wrong = [name for name, tensor in tensors.items() if expected.get(name) != tuple(tensor.shape)]
    if wrong:
        raise ArtifactError(
            f"{wrong[0]} has shape {list(tensors[wrong[0]].shape)}, "
            f"the model {list(expected[wrong[0]]) if wrong[0] in expected else 'has no such tensor'}",
            at=str(path),
        )
    own = ("bert.embeddings.glue", "bert.embeddings.visual", "bert.pooler.", "cls.")
    missing = [name for name in expected if name not in tensors and not name.startswith(own)]
    if missing:
        raise ArtifactError(f"the BERT lacks {len(missing)} tensors, the first is {missing[0]}", at=str(path))


def _download(name: str) -> Path:
    """Return the local copy of a hub model; only the named files are fetched, and none of them is code."""
    return fetch_from_hub(
        name,
        files=_HUB_FILES,
        at="pretrain.model.init",
        fix="give a directory with config.json, model.safetensors and vocab.txt, or `init: scratch`",
    )
