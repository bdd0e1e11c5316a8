"""What holds for caption metrics whatever the captions, and the layouts they are read from."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.metrics.captions.rouge_l import longest_common_subsequence
from videobert_cli.core.metrics.captions.score import score_captions
from videobert_cli.core.metrics.captions.score_files import read_caption_pairs
from videobert_cli.errors import InputError, MissingInputError

WORDS = st.sampled_from(
    [
        "cut",
        "stir",
        "the",
        "a",
        "pan",
        "onion",
        "in",
        "with",
        "knife",
        "it's",
        "don't",
        "hot",
        "1/2",
        ",",
        ".",
    ]
)
CAPTIONS = st.lists(WORDS, max_size=8).map(" ".join)
TEXTS = st.lists(WORDS.filter(str.isalpha), min_size=1, max_size=8).map(" ".join)
CORPORA = st.lists(st.tuples(CAPTIONS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=2, max_size=6)
SCORED = ("caption.bleu1", "caption.bleu4", "caption.rouge_l", "caption.cider_d")


def scores_of(corpus, *, name=str):
    references = {name(number): found for number, (_, found) in enumerate(corpus)}
    hypotheses = {name(number): said for number, (said, _) in enumerate(corpus)}
    return score_captions(references, hypotheses, with_meteor="never")


@settings(deadline=None, max_examples=40)
@given(CORPORA, st.randoms(use_true_random=False))
def test_the_order_of_items_and_of_references_is_no_matter(corpus, dice):
    order = list(range(len(corpus)))
    dice.shuffle(order)
    other = {number: dice.sample(found, len(found)) for number, (_, found) in enumerate(corpus)}
    shuffled = score_captions(
        {str(number): other[number] for number in order},
        {str(number): corpus[number][0] for number in order},
        with_meteor="never",
    )
    for name in SCORED:
        assert shuffled.metrics[name] == pytest.approx(scores_of(corpus).metrics[name])


@settings(deadline=None, max_examples=40)
@given(CORPORA)
def test_a_reference_given_twice_changes_no_precision(corpus):
    doubled = [(said, [*found, found[0]]) for said, found in corpus]
    for name in ("caption.bleu1", "caption.bleu4", "caption.rouge_l"):
        assert scores_of(doubled).metrics[name] == pytest.approx(scores_of(corpus).metrics[name])


@settings(deadline=None, max_examples=40)
@given(CORPORA)
def test_metrics_stay_in_their_range_and_empty_captions_score_nothing(corpus):
    scores = scores_of([*corpus, ("", ["the pan"])])
    for name in SCORED[:3]:
        assert 0 <= scores.metrics[name] <= 1 + 1e-9
    assert 0 <= scores.metrics["caption.cider_d"] <= 10 + 1e-9
    empty = scores.captions[str(len(corpus))]
    assert all(value == pytest.approx(0, abs=1e-3) for value in empty.values())
    assert scores.metrics["caption.num_empty"] >= 1


def test_the_references_themselves_score_full_marks():
    texts = ["cut the onion with a knife", "stir it in the hot pan now", "pour the oil in a bowl"]
    scores = scores_of([(text, [text, "something else"]) for text in texts])
    assert scores.metrics["caption.bleu4"] == pytest.approx(1)
    assert scores.metrics["caption.rouge_l"] == pytest.approx(1)
    alone = scores_of([(text, [text]) for text in texts])
    assert alone.metrics["caption.cider_d"] == pytest.approx(10)


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_the_bits_find_the_longest_common_subsequence(one, other):
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one, start=1):
        for j, right in enumerate(other, start=1):
            table[i][j] = table[i - 1][j - 1] + 1 if left == right else max(table[i - 1][j], table[i][j - 1])
    assert longest_common_subsequence(list(map(str, one)), list(map(str, other))) == table[-1][-1]


COCO = {
    "annotations": [
        {"image_id": 1, "caption": "a"},
        {"image_id": 1, "caption": "b"},
        {"image_id": 2, "caption": "c"},
    ]
}
YOUCOOK = {
    "database": {
        "v1": {
            "subset": "validation",
            "annotations": [
                {"segment": [0, 5], "sentence": "cut"},
                {"segment": [5, 9], "sentence": "stir"},
                {"segment": [5, 9], "sentence": "stir again"},
            ],
        },
        "v2": {"subset": "training", "annotations": [{"segment": [0, 5], "sentence": "never asked"}]},
    }
}
ACTIVITYNET = {"v1": {"timestamps": [[0.04, 5.0], [5, 9]], "sentences": ["cut", "stir"]}}
RESULTS = {
    "results": {"v1": [{"sentence": "x", "timestamp": [0, 5]}, {"sentence": "y", "timestamp": [5, 9]}]}
}


def pairs_of(tmp_path, references, hypotheses, *, missing="error"):
    (tmp_path / "refs.json").write_text(json.dumps(references))
    (tmp_path / "hyps.json").write_text(json.dumps(hypotheses))
    return read_caption_pairs(tmp_path / "refs.json", tmp_path / "hyps.json", missing=missing)


def test_coco_layout(tmp_path):
    said = [{"image_id": 2, "caption": "z"}, {"image_id": 1, "caption": "y"}]
    pairs = pairs_of(tmp_path, COCO, said)
    assert pairs.references == {"1": ["a", "b"], "2": ["c"]}
    assert pairs.hypotheses == {"1": "y", "2": "z"}


def test_plain_layout(tmp_path):
    pairs = pairs_of(tmp_path, {"a": "one", "b": ["two", "three"]}, {"a": "x", "b": "y"})
    assert pairs.references == {"a": ["one"], "b": ["two", "three"]}


def test_timed_layouts_match_by_segment_and_subset(tmp_path):
    again = {"results": {"v1": [*RESULTS["results"]["v1"], {"sentence": "z", "timestamp": [5, 9]}]}}
    pairs = pairs_of(tmp_path, YOUCOOK, again)
    assert pairs.references == {"v1@0-5": ["cut"], "v1@5-9": ["stir"], "v1@5-9#2": ["stir again"]}
    assert pairs.hypotheses == {"v1@0-5": "x", "v1@5-9": "y", "v1@5-9#2": "z"}
    assert pairs_of(tmp_path, ACTIVITYNET, RESULTS).hypotheses == {"v1@0.04-5": "x", "v1@5-9": "y"}


def test_missing_captions_are_an_error_empty_or_left_out_as_asked(tmp_path):
    with pytest.raises(InputError, match=r"1 of 3 references have no caption: v1@5-9#2") as raised:
        pairs_of(tmp_path, YOUCOOK, RESULTS)
    assert "--missing empty" in raised.value.fix
    assert pairs_of(tmp_path, YOUCOOK, RESULTS, missing="empty").hypotheses["v1@5-9#2"] == ""
    skipped = pairs_of(tmp_path, YOUCOOK, RESULTS, missing="skip")
    assert (len(skipped.references), skipped.num_missing) == (2, 1)


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        ({"a": "one"}, {"b": "x"}, "1 captions belong to no reference: b"),
        ({"a": "one"}, [{"image_id": "a", "caption": "x"}] * 2, "'a' has two captions"),
        ({"a": "one"}, {"a": 5}, "a caption is text, not 5"),
        ({"a": "one"}, "text", "no caption file of a known layout"),
        ({}, {"a": "x"}, "no caption file of a known layout"),
        ({"v": {"timestamps": [[0, 1]], "sentences": []}}, {"v": "x"}, "no caption file of a known layout"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, references, hypotheses, message):
    with pytest.raises(InputError, match=message):
        pairs_of(tmp_path, references, hypotheses)


def test_missing_and_broken_files_are_named(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match="no JSON file"):
        read_caption_pairs(tmp_path / "none.json", tmp_path / "broken.json", missing="error")
    with pytest.raises(MissingInputError, match="no such file"):
        read_caption_pairs(tmp_path / "none.json", tmp_path / "none.json", missing="error")
