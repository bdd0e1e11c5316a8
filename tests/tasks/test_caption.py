"""Captions: best first, without specials, and the same in any batch."""

import numpy as np
import pytest
import torch
from small_models import NUM_WORDS, small_captioner, small_tokenizer

from videobert_cli.core.tasks.caption import Captioner
from videobert_cli.core.tasks.options import CaptionSearchOptions

TOKENIZER = small_tokenizer()


@pytest.mark.parametrize("encoder", ["end_to_end", "cloze"])
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
    together = captioner.captions([*words, None])
    alone = [captioner.captions([own])[0] for own in [*words, None]]
    assert [[caption.text for caption in found] for found in together] == [
        [caption.text for caption in found] for found in alone
    ]
    for found, other in zip(together, alone, strict=True):
        assert [c.score for c in found] == pytest.approx([c.score for c in other], abs=2e-4)
        assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
        assert not any(token in caption.text for caption in found for token in ("[MASK]", "[CLS]", "[UNK]"))
    assert len({found[0].text for found in together}) > 1
