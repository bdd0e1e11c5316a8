"""Text to video: the model is asked what it should be, and fills clips one after another."""

import numpy as np
import pytest
import torch
from small_models import NUM_POSITIONS, NUM_WORDS, small_model, small_tokenizer

from videobert_cli.core.sequences.packing import NO_LABEL, TokenSequence, pack
from videobert_cli.core.tasks.text_to_video import TextToVideo
from videobert_cli.core.tasks.visual_questions import VisualAsker
from videobert_cli.errors import UsageError

TOKENIZER, MODEL = small_tokenizer(), small_model()


@pytest.fixture
def asked() -> TextToVideo:
    return TextToVideo(VisualAsker(MODEL, TOKENIZER))


def by_hand(*ids: int, num_text: int, place: int) -> np.ndarray:
    """Probabilities of the words (K,) at one place of a sequence, without any code of the task."""
    one = TokenSequence(
        input_ids=np.array(ids),
        token_type_ids=np.array([0] * num_text + [1] * (len(ids) - num_text)),
        labels=np.full(len(ids), NO_LABEL),
        alignment=NO_LABEL,
    )
    with torch.no_grad():
        scores = MODEL.token_logits(pack([one]), torch.tensor([place]))[0].float()
    return torch.log_softmax(scores[TOKENIZER.word_to_id(0) :], dim=0).numpy()


def test_the_question_is_the_text_and_one_masked_clip(asked) -> None:
    t = TOKENIZER
    texts = [np.array(t.text_ids("cut")), np.array(t.text_ids("pour fry cut"))]
    [found_BK] = asked.log_probabilities(texts)
    for text_L, row in zip(texts, found_BK, strict=True):
        ids = [t.cls_id, *text_L, t.glue_id, t.mask_id, t.sep_id]
        expected = by_hand(*ids, num_text=len(text_L) + 2, place=len(ids) - 2)
        np.testing.assert_allclose(row, expected, atol=1e-5)
    expected = by_hand(t.cls_id, t.mask_id, t.sep_id, num_text=1, place=1)
    np.testing.assert_allclose(asked.without_text(), expected, atol=1e-5)


def test_each_clip_is_asked_for_with_those_before_it(asked) -> None:
    t = TOKENIZER
    text_L = np.array(t.text_ids("fry"))
    first, second, third = asked.clips(text_L, num_clips=3, top=NUM_WORDS)
    head = [t.cls_id, *text_L, t.glue_id]
    known = [t.word_to_id(first.words[0]), t.word_to_id(second.words[0])]
    expected = by_hand(*head, *known, t.mask_id, t.sep_id, num_text=3, place=5)
    assert third.words == tuple(np.argsort(-expected, kind="stable"))
    np.testing.assert_allclose(third.probabilities, np.sort(np.exp(expected))[::-1], atol=1e-4)
    expected = by_hand(*head, t.mask_id, t.mask_id, t.mask_id, t.sep_id, num_text=3, place=3)
    assert first.words == tuple(np.argsort(-expected, kind="stable"))


def test_of_a_long_text_the_beginning_counts_and_too_many_clips_are_refused(asked) -> None:
    long = np.array(TOKENIZER.text_ids("cut fry pour " * 20))
    [whole] = asked.log_probabilities([long])
    [beginning] = asked.log_probabilities([long[: NUM_POSITIONS - 4]])
    np.testing.assert_array_equal(whole, beginning)
    assert len(asked.clips(long, num_clips=NUM_POSITIONS - 4, top=1)) == NUM_POSITIONS - 4
    with pytest.raises(UsageError, match="12 positions"):
        asked.clips(long, num_clips=NUM_POSITIONS - 3, top=1)
