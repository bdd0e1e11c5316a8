"""Captions: what a captioner says about segments, best first, with the sum of its log-probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from videobert_cli.core.model.caption_decoder import DecoderCache, LayerCache
from videobert_cli.core.model.captioning import VideoBERTForCaptioning
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.sequences.pairs import question_sequence
from videobert_cli.core.tasks.beam_search import Said, beam_search
from videobert_cli.core.tasks.options import CaptionSearchOptions
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer

# Shapes: T words of a segment, D raw feature, B segments, R beams, V text tokens.

BATCH_NUM_SEQUENCES = 32


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A caption and its score: the sum of its tokens' log-probabilities over the length penalty."""

    text: str
    score: float


class Captioner:
    """A captioner with its tokenizer."""

    def __init__(
        self,
        model: VideoBERTForCaptioning,
        tokenizer: VideoBERTTokenizer,
        *,
        options: CaptionSearchOptions,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._vocabulary = joint_vocabulary(tokenizer)
        self._options = options

    def captions(
        self, words: Sequence[np.ndarray | None], *, features: Sequence[np.ndarray] = ()
    ) -> list[list[Caption]]:
        """Return for each segment of visual words (T,) its captions, at most `num_beams`, the best first.

        `features` has the mean raw feature (D,) of each, where the captioner looks at them. A segment whose words are
        None has no video: what is said then is the language prior.

        Raises:
            CodebookMismatchError: The captioner looks at features, and these are none, or of another size.
        """
        features = features or [np.zeros(0, dtype=np.float32)] * len(words)
        found: list[list[Caption]] = []
        for first in range(0, len(words), BATCH_NUM_SEQUENCES):
            stop = first + BATCH_NUM_SEQUENCES
            found += [
                [
                    Caption(text=self._tokenizer.decode(each.tokens), score=round(each.score, 4))
                    for each in said
                ]
                for said in self._search(words[first:stop], features[first:stop])
            ]
        return found

    @torch.no_grad()
    def _search(self, words: Sequence[np.ndarray | None], features: Sequence[np.ndarray]) -> list[list[Said]]:
        model, options, tokenizer = self._model, self._options, self._tokenizer
        device = next(model.parameters()).device
        question = np.array(model.captioner.question_ids, dtype=np.int64)
        batch = pack(
            [
                question_sequence(
                    question,
                    words_T,
                    first_word=tokenizer.word_to_id(0),
                    vocabulary=self._vocabulary,
                    max_num_tokens=model.config.max_position_embeddings,
                )
                for words_T in words
            ]
        ).to(device)
        seen = model.look(batch, features_BD=self._feature_rows(words, features).to(device))
        cache = _repeated(seen, num=options.num_beams)

        def step(tokens_X: Tensor, rows_X: Tensor) -> Tensor:
            cache.reorder(rows_X)
            return torch.log_softmax(model.scores(tokens_X[:, None], cache)[:, 0], dim=-1)

        return beam_search(
            step,
            num_segments=len(words),
            num_beams=options.num_beams,
            start_id=tokenizer.cls_id,
            end_id=tokenizer.sep_id,
            forbidden_ids=(tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.mask_id),
            max_num_tokens=model.captioner.max_num_tokens - 1,
            length_penalty=options.length_penalty,
            no_repeat_ngram=options.no_repeat_ngram,
            device=device,
        )

    def _feature_rows(self, words: Sequence[np.ndarray | None], features: Sequence[np.ndarray]) -> Tensor:
        """Return the features (B, D), zeros for what has no video; D is 0 where they are not looked at."""
        captioner = self._model.captioner
        rows_BD = np.zeros((len(words), captioner.feature_size), dtype=np.float32)
        if captioner.looks_at_features:
            for row_D, words_T, feature_D in zip(rows_BD, words, features, strict=True):
                if words_T is not None:
                    captioner.require_feature_size(len(feature_D))
                    row_D[:] = feature_D
        return torch.from_numpy(rows_BD)


def _repeated(cache: DecoderCache, *, num: int) -> DecoderCache:
    """Return a cache of captions not begun with `num` rows for each of a cache's."""
    layers = [
        LayerCache(seen=(layer.seen[0].repeat_interleave(num, 0), layer.seen[1].repeat_interleave(num, 0)))
        for layer in cache.layers
    ]
    return DecoderCache(is_state=cache.is_state.repeat_interleave(num, 0), layers=layers)
