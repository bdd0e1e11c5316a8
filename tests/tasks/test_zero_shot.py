"""The cloze: where the masks are, candidates of several pieces, and scores that no batch can change."""

import numpy as np
import pytest
import torch

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import TokenSequence, pack
from videobert_cli.core.tasks.options import PAPER_TEMPLATE
from videobert_cli.core.tasks.zero_shot import Candidates, Cloze
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.errors import UsageError

TOKENS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "now",
    "let",
    "me",
    "show",
    "you",
    "how",
    "to",
    "the",
    "cut",
    "stir",
    "egg",
    "##plant",
    "pan",
    "##s",
]
CANDIDATES = ("cut", "stir", "eggplant", "pan", "pans", "eggplants")


@pytest.fixture(scope="module")
def tokenizer():
    return VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=12)


@pytest.fixture(scope="module")
def model(tokenizer):
    config = VideoBERTConfig(
        vocab_size=tokenizer.num_text_tokens,
        num_visual_words=12,
        visual_embedding_size=6,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    return VideoBERTForPreTraining(config, seed=1).eval()


@pytest.fixture(scope="module")
def cloze(model, tokenizer):
    return Cloze(model, tokenizer, template=PAPER_TEMPLATE)


def segments(num, *, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 12, generator.integers(1, 9)).astype(np.int32) for _ in range(num)]


def by_hand(model, tokenizer, words_T, *, slot, candidate):
    """Mean log-probability of a candidate's pieces, each behind those before it, one sequence a piece, written out."""
    pieces = tokenizer.text_ids(candidate)
    return np.mean(
        [
            piece_by_hand(model, tokenizer, words_T, slot=slot, pieces=pieces, place=n)
            for n in range(len(pieces))
        ]
    )


def piece_by_hand(model, tokenizer, words_T, *, slot, pieces, place):
    masks = {"verb": 1, "object": 1} | {slot: len(pieces)}
    text = [*tokenizer.text_ids("now let me show you how to"), *[tokenizer.mask_id] * masks["verb"]]
    start = len(text) - masks["verb"]
    text += tokenizer.text_ids("the")
    if slot == "object":
        start = len(text)
    text += [tokenizer.mask_id] * masks["object"]
    text[start : start + place] = pieces[:place]
    visual = [] if words_T is None else [tokenizer.word_to_id(int(word)) for word in words_T]
    middle = [] if words_T is None else [tokenizer.glue_id]
    ids = [tokenizer.cls_id, *text, *middle, *visual, tokenizer.sep_id]
    num_text = 1 + len(text) + len(middle)
    types = [0] * num_text + [0 if words_T is None else 1] * (len(ids) - num_text)
    sequence = TokenSequence(
        input_ids=np.array(ids), token_type_ids=np.array(types), labels=np.full(len(ids), -100)
    )
    with torch.no_grad():
        positions = torch.tensor([1 + start + place])
        logits = model.token_logits(pack([sequence]), positions)[0, : tokenizer.num_text_tokens]
    return float(torch.log_softmax(logits, dim=-1)[pieces[place]])


@pytest.mark.parametrize("slot", ["verb", "object"])
def test_scores_are_those_written_out_by_hand(cloze, model, tokenizer, slot):
    words = [*segments(3), None]
    scores = cloze.scores(words, slot=slot, candidates=CANDIDATES)
    assert scores.shape == (4, 6)
    for row, words_T in enumerate(words):
        for column, candidate in enumerate(CANDIDATES):
            expected = by_hand(model, tokenizer, words_T, slot=slot, candidate=candidate)
            assert scores[row, column] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("slot", ["verb", "object"])
def test_a_segment_scores_the_same_alone_as_among_many(cloze, slot):
    words = segments(70)
    together = cloze.scores(words, slot=slot, candidates=CANDIDATES)
    alone = np.concatenate([cloze.scores([words_T], slot=slot, candidates=CANDIDATES) for words_T in words])
    assert np.abs(together - alone).max() <= 1e-5


def test_a_candidates_score_does_not_depend_on_the_others(cloze):
    words = segments(5)
    together = cloze.scores(words, slot="object", candidates=CANDIDATES)
    for column, candidate in enumerate(CANDIDATES):
        alone = cloze.scores(words, slot="object", candidates=[candidate])
        assert np.abs(alone[:, 0] - together[:, column]).max() <= 1e-5


def test_single_pieces_are_log_probabilities(cloze):
    """Over the whole text vocabulary they sum to one."""
    tokens = [token for token in TOKENS if not token.startswith(("[", "##"))]
    scores = cloze.scores(segments(2), slot="verb", candidates=tokens)
    assert (scores < 0).all()
    assert (np.exp(scores).sum(axis=1) < 1).all()


def test_the_video_matters_and_the_prior_is_one_row(cloze):
    scores = cloze.scores([*segments(4), None, None], slot="verb", candidates=CANDIDATES)
    assert len({tuple(row) for row in scores[:4]}) == 4
    assert scores[4] == pytest.approx(scores[5], abs=1e-6)


def test_the_slots_are_asked_apart(cloze):
    words = segments(3)
    verb = cloze.scores(words, slot="verb", candidates=CANDIDATES)
    assert np.abs(verb - cloze.scores(words, slot="object", candidates=CANDIDATES)).max() > 1e-3


def test_a_candidate_without_a_piece_can_never_win(cloze):
    scores = cloze.scores(segments(2), slot="verb", candidates=["cut", " "])
    assert np.isfinite(scores[:, 0]).all()
    assert (scores[:, 1] == -np.inf).all()


@pytest.mark.parametrize(
    ("template", "num"),
    [
        ("how to cook", 0),
        ("how to [MASK]", 1),
        ("[MASK] the [MASK] with [MASK]", 3),
        ("", 0),
        ("[mask] [mask]", 0),
    ],
)
def test_a_template_needs_two_masks(model, tokenizer, template, num):
    with pytest.raises(UsageError, match=rf"has {num} \[MASK\], not 2") as caught:
        Cloze(model, tokenizer, template=template)
    assert caught.value.at == "evaluate.template"
    assert "how to [MASK] the [MASK]" in caught.value.fix


def test_a_template_may_begin_and_end_with_its_masks(model, tokenizer):
    scores = Cloze(model, tokenizer, template="[MASK][MASK]").scores(
        segments(2), slot="object", candidates=CANDIDATES
    )
    assert np.isfinite(scores).all()


def test_a_segment_longer_than_the_model_is_cut_and_the_question_stays_whole(cloze):
    long = np.arange(500) % 12
    scores = cloze.scores([long, long[:27], long[:26]], slot="verb", candidates=["cut", "stir"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[1] == pytest.approx(scores[0], abs=1e-6)
    assert np.abs(scores[0] - scores[2]).max() > 1e-7


def test_a_candidate_that_no_model_has_room_for_can_never_win(cloze):
    """40 positions: 8 of the template and 4 more tokens beside the candidate's."""
    names = ["eggs", "eggplant " * 14, "eggplant " * 15]
    scores = cloze.scores([*segments(1), None], slot="object", candidates=names)
    assert np.isfinite(scores[:, :2]).all()
    assert (scores[:, 2] == -np.inf).all()


def test_a_template_longer_than_the_model_is_refused(model, tokenizer):
    assert Cloze(model, tokenizer, template="[MASK] the [MASK]" + " pan" * 34)
    with pytest.raises(UsageError, match="has 36 tokens beside its masks, the model 40 positions") as caught:
        Cloze(model, tokenizer, template="[MASK] the [MASK]" + " pan" * 35)
    assert caught.value.at == "evaluate.template"


def test_many_segments_are_asked_without_holding_the_vocabulary_for_all_of_them(cloze, monkeypatch):
    asked = []
    inner = Cloze._log_probabilities

    def counting(self, words, **options):
        found = inner(self, words, **options)
        asked.append(found.shape[0])
        return found

    monkeypatch.setattr(Cloze, "_log_probabilities", counting)
    assert np.isfinite(cloze.scores(segments(150), slot="verb", candidates=["cut"])).all()
    assert asked == [64, 64, 22]


def test_a_segment_without_words_is_asked_too(cloze):
    assert np.isfinite(cloze.scores([np.zeros(0, dtype=np.int32)], slot="verb", candidates=CANDIDATES)).all()


def test_candidates_by_slot():
    candidates = Candidates(verb=("cut",), object=("egg", "pan"))
    assert (candidates.of("verb"), candidates.of("object")) == (("cut",), ("egg", "pan"))
