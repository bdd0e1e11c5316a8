"""Captions: best first, without specials, and the same in any batch."""

from typing import get_args

import numpy as np
import pytest
import torch
from small_models import FEATURE_SIZE, NUM_WORDS, small_captioner, small_tokenizer

from videobert_cli.core.model.caption_config import CaptionEncoder
from videobert_cli.core.tasks.caption import Captioner
from videobert_cli.core.tasks.options import CaptionSearchOptions
from videobert_cli.errors import CodebookMismatchError

TOKENIZER = small_tokenizer()


@pytest.mark.parametrize("encoder", get_args(CaptionEncoder))
def test_p36_captions_are_the_same_in_any_batch(encoder) -> None:
    options = CaptionSearchOptions(num_beams=3, no_repeat_ngram=2)
    model = small_captioner(encoder=encoder)
    with torch.no_grad():
        # So that its captions have words.
        model.bias[TOKENIZER.sep_id] = -9.0
        model.decoder.layer[0].seen.dense.weight *= 5
    captioner = Captioner(model, TOKENIZER, options=options)
    generator = np.random.default_rng(0)
    words = [generator.integers(0, NUM_WORDS, generator.integers(1, 20)) for _ in range(40)]
    words = [*words, None]
    features = generator.normal(size=(len(words), FEATURE_SIZE)).astype(np.float32)
    together = captioner.captions(words, features=list(features))
    alone = [
        captioner.captions([own], features=[row_D])[0] for own, row_D in zip(words, features, strict=True)
    ]
    assert [[caption.text for caption in found] for found in together] == [
        [caption.text for caption in found] for found in alone
    ]
    for found, other in zip(together, alone, strict=True):
        assert [c.score for c in found] == pytest.approx([c.score for c in other], abs=2e-4)
        assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
        assert not any(token in caption.text for caption in found for token in ("[MASK]", "[CLS]", "[UNK]"))
    assert len({found[0].text for found in together}) > 1
    # Without a video no feature is read: what is said is the language prior.
    assert captioner.captions([None])[0] == alone[-1]


def test_a_captioner_that_looks_at_features_refuses_words_alone_and_other_features() -> None:
    captioner = Captioner(
        small_captioner(encoder="cloze_and_features"), TOKENIZER, options=CaptionSearchOptions()
    )
    for features, told in (([], "and there are none"), ([np.zeros(7, dtype=np.float32)], "these have 7")):
        with pytest.raises(CodebookMismatchError, match=f"raw features of {FEATURE_SIZE} numbers, {told}"):
            captioner.captions([np.array([1])], features=features)
