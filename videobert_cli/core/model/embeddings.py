"""Token ids -> vectors: BERT's embeddings, with rows of visual words that come from the codebook's centroids.

Shapes: S tokens, V text tokens, K visual words, D width of a centroid, H hidden size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.dropout import Dropout
from videobert_cli.core.sequences.packing import PackedBatch
from videobert_cli.errors import CodebookMismatchError


def _table(num_rows: int, size: int) -> nn.Embedding:
    """Return an embedding without first values: drawing them on the meta device would import sympy, for a second."""
    return nn.Embedding(num_rows, size, _weight=torch.empty(num_rows, size))


class VideoBERTEmbeddings(nn.Module):
    """BERT's embeddings by name and place, beside them the glue's row and the visual words' rows.

    Visual rows are kept in the centroids' own space [K, D] and multiplied by `visual_projection` (no bias:
    the video's token type is one) to reach the hidden size. The projection is there even where D equals H, as
    it is what is trained while the centroids stay frozen; it starts as the identity then, so the start is the
    paper's.
    """

    def __init__(self, config: VideoBERTConfig) -> None:
        super().__init__()
        hidden_size = config.hidden_size
        self.first_visual_id = config.first_visual_id
        self.initializer_range = config.initializer_range
        self.word_embeddings = _table(config.vocab_size, hidden_size)
        self.glue_embedding = nn.Parameter(torch.empty(1, hidden_size))
        self.visual_embeddings = _table(config.num_visual_words, config.visual_embedding_size)
        self.visual_embeddings.weight.requires_grad_(config.train_visual_embeddings)
        self.visual_projection = nn.Linear(config.visual_embedding_size, hidden_size, bias=False)
        self.position_embeddings = _table(config.max_position_embeddings, hidden_size)
        self.token_type_embeddings = _table(config.type_vocab_size, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Return the tokens' embeddings [S, H]."""
        embedded_SH = self._tokens(batch.input_ids_S)
        embedded_SH = embedded_SH + self.position_embeddings(batch.position_ids_S)
        embedded_SH = embedded_SH + self.token_type_embeddings(batch.token_type_ids_S)
        normed: Tensor = self.dropout(self.LayerNorm(embedded_SH))
        return normed

    def _tokens(self, ids_S: Tensor) -> Tensor:
        """Look all tokens up in both tables and choose: splitting them would stop a GPU to count."""
        glue_id, is_text_S1 = self.first_visual_id - 1, (ids_S < self.first_visual_id - 1)[:, None]
        text_SH = F.embedding(ids_S.clamp(max=glue_id - 1), self.word_embeddings.weight)
        embedded_SH = torch.where(is_text_S1, text_SH, self.glue_embedding)
        if not self.visual_embeddings.num_embeddings:
            return embedded_SH
        is_visual_S1 = (ids_S > glue_id)[:, None]
        words_S = (ids_S - self.first_visual_id).clamp(min=0)
        visual_SH = self.visual_projection(F.embedding(words_S, self.visual_embeddings.weight))
        return torch.where(is_visual_S1, visual_SH.to(embedded_SH.dtype), embedded_SH)

    @torch.no_grad()
    def start_from_centroids(self, centroids_KD: Tensor) -> None:
        """Set the visual rows to the centroids, centred and brought to the scale of word embeddings.

        Raw centroids share a large mean and have any scale: with them all visual words would look alike
        beside the text. Centring keeps their differences, one common factor keeps their geometry; it is
        chosen so that the projected rows have the root mean square of freshly drawn word embeddings
        (`initializer_range`).

        Raises:
            CodebookMismatchError: The centroids' number or width is not the model's, or one is not finite.
        """
        table = self.visual_embeddings.weight
        if centroids_KD.shape != table.shape:
            raise CodebookMismatchError(
                f"the model has {table.shape[0]} visual words of width {table.shape[1]}, "
                f"the codebook {centroids_KD.shape[0]} of width {centroids_KD.shape[1]}",
                fix="use the codebook that the model was made for, or pretrain a model for this one",
            )
        centred_KD = centroids_KD.to(torch.float64) - centroids_KD.to(torch.float64).mean(0)
        if not bool(centred_KD.isfinite().all()):
            raise CodebookMismatchError(
                "the codebook has centroids that are not finite", fix="run `videobert quantize` again"
            )
        rms = (centred_KD @ self.visual_projection.weight.T.to(torch.float64)).square().mean().sqrt()
        scale = self.initializer_range / rms if rms > 0 else torch.ones_like(rms)
        table.copy_(centred_KD * scale)
