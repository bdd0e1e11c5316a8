"""Which parts of a model are not trained: one vocabulary for pretraining and fine-tuning."""

from torch import nn

from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.options import FrozenPart
from videobert_cli.errors import UsageError


def freeze(bert: VideoBERTModel, *, part: FrozenPart, num_layers: int = 0) -> None:
    """Stop training a part of the encoder; what was frozen before (the visual rows) stays frozen.

    Args:
        bert: The encoder.
        part: Nothing, the embeddings, the embeddings and the first `num_layers` layers, or all of the encoder.
        num_layers: Layers, counted from the input; of no use with another part.

    Raises:
        UsageError: The encoder has fewer layers.
    """
    layers: list[nn.Module] = list(bert.encoder.layer)
    if part == "layers" and num_layers > len(layers):
        raise UsageError(
            f"{num_layers} layers are to be frozen, the model has {len(layers)}",
            at="freeze_num_layers",
            fix=f"freeze at most {len(layers)}",
        )
    frozen: dict[str, list[nn.Module]] = {
        "none": [],
        "embeddings": [bert.embeddings],
        "layers": [bert.embeddings, *layers[:num_layers]],
        "all_but_head": [bert],
    }
    for module in frozen[part]:
        module.requires_grad_(False)  # noqa: FBT003 - torch's own signature
