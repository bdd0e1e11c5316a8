"""The cloze beside its candidates: several templates, all tokens, rows from elsewhere."""

import numpy as np
import pytest
from small_models import NUM_WORDS, small_model, small_tokenizer

from videobert_cli.core.metrics.evaluate import evaluate_zero_shot
from videobert_cli.core.metrics.zero_shot import beside_lines, full_vocabulary_metrics, template_metrics
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.tasks.options import BesideRow
from videobert_cli.core.tasks.zero_shot import Candidates, Cloze, ClozeEnsemble

TOKENIZER, MODEL = small_tokenizer(), small_model()
CANDIDATES = Candidates(verb=("cut", "fry", "pour"), object=("cut fry", "fry", "pour"))
COLUMNS = ("verb", "object")
CLOZES = [
    Cloze(MODEL, TOKENIZER, template=text)
    for text in ("[MASK] [MASK]", "pour [MASK] fry [MASK]", "[MASK] cut [MASK]")
]


def segments(num: int) -> list[LabelledWords]:
    generator = np.random.default_rng(0)
    return [
        LabelledWords(
            video_id=f"v{number}",
            split="test",
            start_seconds=0.0,
            end_seconds=None,
            words_T=generator.integers(0, NUM_WORDS, 3),
            labels={
                "verb": CANDIDATES.verb[generator.integers(3)],
                "object": CANDIDATES.object[generator.integers(3)],
            },
        )
        for number in range(num)
    ]


def evaluated(cloze, found):
    return evaluate_zero_shot(
        cloze, found, columns=COLUMNS, candidates=CANDIDATES, seen_pairs=frozenset()
    ).metrics


def test_an_ensemble_is_the_mean_and_the_spread_is_of_each_template_alone() -> None:
    found = segments(40)
    words = [segment.words_T for segment in found]
    each = [cloze.scores(words, slot="object", candidates=CANDIDATES.object) for cloze in CLOZES]
    together = ClozeEnsemble(CLOZES).scores(words, slot="object", candidates=CANDIDATES.object)
    np.testing.assert_allclose(together, (each[0] + each[1] + each[2]) / 3)
    alone = [evaluated(cloze, found)["zero_shot.verb.top1"] for cloze in CLOZES]
    spread = template_metrics(CLOZES, found, columns=COLUMNS, candidates=CANDIDATES)
    assert spread["zero_shot.verb.top1.template_low"] == min(alone)
    assert spread["zero_shot.verb.top1.template_mean"] == pytest.approx(np.mean(alone))
    assert spread["zero_shot.verb.top1.template_high"] == max(alone)
    assert len(set(alone)) > 1


def test_ranks_among_all_tokens_are_those_of_a_sorted_list() -> None:
    found = segments(70)
    metrics = full_vocabulary_metrics(CLOZES[:2], found, columns=COLUMNS)
    known = [segment for segment in found if segment.labels["object"] != "cut fry"]
    assert metrics["zero_shot.verb.full_vocabulary.num_segments"] == 70
    assert metrics["zero_shot.object.full_vocabulary.num_segments"] == len(known)
    ranks = []
    for segment in known:
        token = TOKENIZER.text_ids(segment.labels["object"])[0]
        scores = sum(next(cloze.token_scores([segment.words_T], slot="object"))[0] for cloze in CLOZES[:2])
        ranks.append(1 + sorted(scores, reverse=True).index(scores[token]))
    assert metrics["zero_shot.object.full_vocabulary.top1"] == pytest.approx(np.mean(np.array(ranks) <= 1))
    assert metrics["zero_shot.object.full_vocabulary.median_rank"] == np.median(ranks)
    assert "zero_shot.object.full_vocabulary.top5.language_prior" in metrics
    # The score of a candidate of one token is that token's.
    own = CLOZES[0].scores([known[0].words_T], slot="verb", candidates=("fry",))[0, 0]
    [token] = TOKENIZER.text_ids("fry")
    assert own == pytest.approx(
        float(next(CLOZES[0].token_scores([known[0].words_T], slot="verb"))[0, token])
    )


def test_rows_from_elsewhere_stand_below_ours() -> None:
    metrics = {
        f"zero_shot.{slot}.top{k}{end}": 0.25
        for slot in COLUMNS
        for k in (1, 5)
        for end in ("", ".language_prior")
    }
    rows = [BesideRow(name="theirs", verb_top1=0.032, object_top5=0.337)]
    head, prior, own, theirs = beside_lines(metrics, rows=rows)
    assert head.split() == [
        "in",
        "per",
        "cent",
        *["verb", "top-1", "verb", "top-5", "object", "top-1", "object", "top-5"],
    ]
    assert prior.split()[-4:] == own.split()[-4:] == ["25.0"] * 4
    assert theirs.split() == ["theirs", "3.2", "-", "-", "33.7"]
