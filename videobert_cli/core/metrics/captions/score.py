"""One function from captions to numbers: every metric of coco-caption, over the corpus and for each caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from videobert_cli.core.metrics.captions.bleu import bleu
from videobert_cli.core.metrics.captions.cider_d import cider_d
from videobert_cli.core.metrics.captions.meteor import meteor, why_no_meteor
from videobert_cli.core.metrics.captions.ptb_tokenizer import tokenize_caption
from videobert_cli.core.metrics.captions.rouge_l import rouge_l
from videobert_cli.errors import InputError


@dataclass(frozen=True, kw_only=True)
class CaptionScores:
    """Metrics by flat name (None where one cannot be had here, with the reason), and those of each caption by id."""

    metrics: Mapping[str, float | None]
    captions: Mapping[str, Mapping[str, float]]
    why_no_meteor: str


def score_captions(
    references: Mapping[str, Sequence[str]],
    hypotheses: Mapping[str, str],
    *,
    with_meteor: Literal["where-possible", "never"] = "where-possible",
) -> CaptionScores:
    """Score one caption an item against its references.

    `caption.bleu1` to `caption.bleu4` count n-grams over the whole corpus (micro), `caption.bleu4.per_caption` is the
    mean of the captions' own (macro); ROUGE-L and CIDEr-D are means over captions by definition, METEOR sums its
    statistics. CIDEr-D takes document frequencies from these references, so it holds for this set of items only.

    Args:
        references: At least one text for each id.
        hypotheses: One text for each id; an empty one scores 0.
        with_meteor: METEOR's Java program takes ten seconds to start.

    Raises:
        InputError: The ids differ, or there is none, or an id has no reference.
    """
    ids = sorted(references)
    if not ids or set(ids) != set(hypotheses):
        raise InputError(
            f"{len(references)} items with references and {len(hypotheses)} captions do not match"
        )
    if missing := [key for key in ids if not references[key]]:
        raise InputError(f"{len(missing)} items have no reference, for example {missing[0]!r}")
    said = [tokenize_caption(hypotheses[key]) for key in ids]
    right = [[tokenize_caption(text) for text in references[key]] for key in ids]
    bleus = bleu(said, right)
    rouges = [rouge_l(tokens, found) for tokens, found in zip(said, right, strict=True)]
    ciders = cider_d(said, right)
    reason = why_no_meteor() if with_meteor == "where-possible" else "nobody asked for it"
    meteors = None if reason else meteor(said, right)
    metrics: dict[str, float | None] = {
        **{f"caption.bleu{order}": value for order, value in enumerate(bleus.corpus, start=1)},
        "caption.bleu4.per_caption": fmean(values[3] for values in bleus.captions),
        "caption.rouge_l": fmean(rouges),
        "caption.cider_d": fmean(ciders),
        "caption.meteor": meteors.corpus if meteors else None,
        "caption.num_captions": len(ids),
        "caption.num_references": sum(map(len, right)),
        "caption.num_empty": sum(not tokens for tokens in said),
    }
    return CaptionScores(
        metrics=metrics,
        captions={
            key: {
                "bleu4": bleus.captions[number][3],
                "rouge_l": rouges[number],
                "cider_d": ciders[number],
                **({"meteor": meteors.captions[number]} if meteors else {}),
            }
            for number, key in enumerate(ids)
        },
        why_no_meteor=reason,
    )
