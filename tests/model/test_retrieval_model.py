"""The retriever: its loss is InfoNCE by NumPy, its vectors are of one sequence each."""

import numpy as np
import torch
from small_models import small_retriever, small_tokenizer

from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.sequences.pairs import text_sequence, word_sequence

TOKENIZER = small_tokenizer()
VOCABULARY = joint_vocabulary(TOKENIZER)
TEXTS = ["cut", "pour fry", "cut", "fry"]
WORDS = [[1, 2], [3], [4, 4, 5], [0, 7]]


def sequences():
    texts = [
        text_sequence(np.array(TOKENIZER.text_ids(text)), vocabulary=VOCABULARY, max_num_tokens=12)
        for text in TEXTS
    ]
    words = [
        word_sequence(
            np.array(found), first_word=TOKENIZER.word_to_id(0), vocabulary=VOCABULARY, max_num_tokens=12
        )
        for found in WORDS
    ]
    return texts, words


def cross_entropy(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - np.diag(shifted)))


@torch.no_grad()
def test_the_loss_is_symmetric_infonce_and_the_same_sentence_is_no_negative() -> None:
    model, (texts, words) = small_retriever(), sequences()
    text_rows = model.embed_texts(pack(texts)).numpy()
    word_rows = model.embed_videos(pack(words)).numpy()
    np.testing.assert_allclose(np.linalg.norm(text_rows, axis=1), 1, rtol=1e-5)
    scores = float(model.log_scale.exp()) * text_rows @ word_rows.T
    same = np.array([[one == other for other in TEXTS] for one in TEXTS])
    scores[same & ~np.eye(4, dtype=bool)] = -np.inf
    expected = (cross_entropy(scores) + cross_entropy(scores.T)) / 2
    output = model(pack([*texts, *words]), torch.from_numpy(same))
    assert abs(float(output.loss) - expected) <= 1e-5
    own = np.arange(4)
    assert int(output.num_correct) == (scores.argmax(1) == own).sum() + (scores.argmax(0) == own).sum()


@torch.no_grad()
def test_the_first_temperature_is_clips_and_the_scale_is_bounded() -> None:
    model, (texts, words) = small_retriever(), sequences()
    assert abs(float(model.log_scale.exp()) - 1 / 0.07) <= 1e-4
    same = torch.eye(4, dtype=torch.bool)
    torch.nn.init.constant_(model.log_scale, 50.0)
    sharpest = model(pack([*texts, *words]), same).loss
    torch.nn.init.constant_(model.log_scale, float(np.log(100.0)))
    torch.testing.assert_close(model(pack([*texts, *words]), same).loss, sharpest)


def test_a_saved_retriever_is_the_same_and_a_new_one_has_the_pretrained_encoder(tmp_path) -> None:
    from small_models import small_model

    from videobert_cli.core.model.retrieval import VideoBERTForRetrieval

    pretrained = small_model()
    pretrained.save_pretrained(tmp_path / "pretrained")
    model = VideoBERTForRetrieval.from_encoder(tmp_path / "pretrained", dropout=0.0, seed=5)
    encoder = dict(pretrained.bert.named_parameters())
    for name, parameter in model.bert.named_parameters():
        assert torch.equal(parameter, encoder[name]), name
    model.save_pretrained(tmp_path / "retriever")
    again = VideoBERTForRetrieval.from_pretrained(tmp_path / "retriever")
    texts, _ = sequences()
    assert torch.equal(again.embed_texts(pack(texts)), model.embed_texts(pack(texts)))
    other = VideoBERTForRetrieval.from_encoder(tmp_path / "pretrained", dropout=0.0, seed=6)
    assert not torch.equal(other.text_projection.weight, model.text_projection.weight)
