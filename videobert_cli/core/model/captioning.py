"""VideoBERT as a captioner: what the encoder makes of a segment, and a decoder that says a sentence about it.

Shapes: S tokens of the encoder, B segments, T tokens of a caption, M states that the decoder looks at, V text tokens,
H hidden size, D raw feature.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videobert_cli.core.model.attention import SequenceLayout
from videobert_cli.core.model.caption_config import WITH_CLOZE, CaptionerConfig
from videobert_cli.core.model.caption_decoder import CaptionDecoder, DecoderCache
from videobert_cli.core.model.checkpoint import WEIGHTS_NAME, PretrainedModel, initialize_parameter
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.encoder import VideoBERTModel
from videobert_cli.core.model.label_heads import mean_of_words
from videobert_cli.core.sequences.packing import NO_LABEL, PackedBatch
from videobert_cli.errors import ArtifactError

_HEADS = ("decoder.", "bias", "feature_")


@dataclass(frozen=True, kw_only=True)
class CaptioningOutput:
    """The loss, a mean over the captions' tokens, how many these are, and how many were said right."""

    loss: Tensor
    num: Tensor
    num_correct: Tensor


class VideoBERTForCaptioning(PretrainedModel):
    """The encoder (`bert`) and a `decoder` that shares its text embeddings, for its input and its scores.

    A segment is given as `[CLS] question [>] words [SEP]`, the question a text with masks; without words it is the
    language prior. A captioner whose `captioner.looks_at_features` has `feature_LayerNorm` and `feature_projection`,
    too: they make a state of the mean raw feature of the segment's clips.
    """

    def __init__(self, config: VideoBERTConfig, *, seed: int | None = 0) -> None:
        super().__init__(config)
        if config.captioner is None:
            raise ArtifactError(
                "this model has no decoder: its configuration has no captioner",
                fix="videobert finetune RECIPE --set finetune.task=caption",
            )
        self.captioner = config.captioner
        self.bert = VideoBERTModel(config, seed=None)
        # As in pretraining, nothing reads the pooler.
        self.bert.pooler.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        with torch.device("meta"):
            self.decoder = CaptionDecoder(
                config,
                num_layers=config.captioner.num_layers,
                max_num_tokens=config.captioner.max_num_tokens,
            )
            self.bias = nn.Parameter(torch.empty(config.vocab_size))
            if config.captioner.looks_at_features:
                self.feature_LayerNorm = nn.LayerNorm(
                    config.captioner.feature_size, eps=config.layer_norm_eps
                )
                self.feature_projection = nn.Linear(config.captioner.feature_size, config.hidden_size)
        if config.captioner.encoder != "end_to_end":
            self.bert.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        self.materialize(seed)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's own signature
        """Set the mode; an encoder that is not trained drops nothing."""
        super().train(mode)
        if self.captioner.encoder != "end_to_end":
            self.bert.train(mode=False)
        return self

    def forward(
        self,
        batch: PackedBatch,
        captions_BT: Tensor,
        *,
        label_smoothing: float,
        features_BD: Tensor | None = None,
    ) -> CaptioningOutput:
        """Return the loss of captions `[CLS] text [SEP]`, filled up with -100, on the segments of `batch`.

        `features_BD` as in `look`.
        """
        cache = self.look(batch, features_BD=features_BD)
        scores_BTV = self.scores(captions_BT[:, :-1].clamp(min=0), cache)
        labels_BT = captions_BT[:, 1:]
        is_token_BT = labels_BT != NO_LABEL
        losses = F.cross_entropy(
            scores_BTV.flatten(0, 1),
            labels_BT.flatten(),
            ignore_index=NO_LABEL,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        num = is_token_BT.sum()
        return CaptioningOutput(
            loss=losses / num.clamp(min=1),
            num=num,
            num_correct=((scores_BTV.argmax(-1) == labels_BT) & is_token_BT).sum(),
        )

    def look(self, batch: PackedBatch, *, features_BD: Tensor | None = None) -> DecoderCache:
        """Return the decoder's cache of captions not begun, one for each segment of `batch`.

        `features_BD` has the mean raw feature of each segment's clips, zeros where it has no video; only a captioner
        that looks at features reads it.

        Raises:
            CodebookMismatchError: The captioner looks at features, and these are none, or of another size.
        """
        if self.captioner.encoder == "end_to_end":
            layout = SequenceLayout.of(batch)
            return self.decoder.look(layout.pad(self.bert(batch).hidden_SH), is_state_BM=layout.is_token)
        states = [self._cloze_states(batch)] if self.captioner.encoder in WITH_CLOZE else []
        if self.captioner.looks_at_features:
            states.append(self._feature_state(features_BD)[:, None])
        states_BMH = torch.cat(states, dim=1)
        is_state_BM = torch.ones(states_BMH.shape[:2], dtype=torch.bool, device=states_BMH.device)
        return self.decoder.look(states_BMH, is_state_BM=is_state_BM)

    def _cloze_states(self, batch: PackedBatch) -> Tensor:
        """Return the mean state of each segment's words, then the states of the question's masks [B, M, H]."""
        layout = SequenceLayout.of(batch)
        with torch.no_grad():
            hidden_SH = self.bert(batch).hidden_SH
        is_word_S = batch.input_ids_S >= self.config.first_visual_id
        mean_BH = mean_of_words(hidden_SH, is_word_S=is_word_S, layout=layout)
        # The question stands at the same place in every sequence: after [CLS].
        question = torch.tensor(self.captioner.question_ids, device=hidden_SH.device)
        grid_BTH = layout.pad(hidden_SH)[:, 1 : 1 + len(question)]
        masked_BPH = grid_BTH[:, question == self.captioner.mask_id]
        return torch.cat([mean_BH[:, None], masked_BPH], dim=1)

    def _feature_state(self, features_BD: Tensor | None) -> Tensor:
        """Return the state of each segment's raw feature [B, H]."""
        if features_BD is None:
            features_BD = torch.empty(0, 0)
        self.captioner.require_feature_size(features_BD.shape[1])
        state_BH: Tensor = self.feature_projection(self.feature_LayerNorm(features_BD))
        return state_BH

    def scores(self, tokens_BT: Tensor, cache: DecoderCache) -> Tensor:
        """Return the float32 scores [B, T, V] of what comes after each of T further tokens."""
        rows_VH = self.bert.embeddings.word_embeddings.weight
        # At the size of states: rows of BERT are small, and so would be all that the decoder adds to.
        embedded_BTH = F.embedding(tokens_BT, rows_VH) / self.config.initializer_range
        hidden_BTH = self.decoder(embedded_BTH, cache)
        return F.linear(hidden_BTH, rows_VH, self.bias).float()

    @classmethod
    def rename_key(cls, key: str) -> str | None:
        """Leave the heads of pretraining out."""
        return None if key.startswith("cls.") else key

    @classmethod
    def from_encoder(cls, directory: Path, *, captioner: CaptionerConfig, dropout: float, seed: int) -> Self:
        """Return a new captioner on the encoder of a pretrained model's directory, in evaluation mode.

        Raises:
            ArtifactError: The directory is damaged.
        """
        config = VideoBERTConfig.from_pretrained(directory)
        config = replace(
            config,
            label_heads=(),
            captioner=captioner,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
        model = cls(config, seed=None)
        for name in sorted(model.load_weights(directory / WEIGHTS_NAME, optional=_HEADS)):
            values = torch.empty(model.get_parameter(name).shape)
            initialize_parameter(name, values, seed=seed, std=config.initializer_range)
            module, _, last = name.rpartition(".")
            setattr(model.get_submodule(module), last, nn.Parameter(values))
        return model.eval()

    def __call__(self, *args: Any, **kwargs: Any) -> CaptioningOutput:
        """See `forward`; repeated for its type."""
        output: CaptioningOutput = super().__call__(*args, **kwargs)
        return output
