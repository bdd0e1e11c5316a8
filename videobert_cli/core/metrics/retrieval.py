"""Text-to-video and video-to-text retrieval as flat metrics: recall at 1, 5 and 10, and the median rank."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from videobert_cli.core.metrics.chance import chance_of_hit
from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.intervals import mean_interval
from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.tasks.retrieve import AlignmentScorer, Retriever
from videobert_cli.core.words.text_counts import TextCounts
from videobert_cli.errors import InputError

# Shapes: N pairs of a sentence and its segment; Q queries, M candidates.

RECALLS = (1, 5, 10)
_NUM_ANSWERS = 3


def evaluate_retrieval(
    retriever: Retriever,
    pairs: Sequence[ShownSentence],
    *,
    alignment: AlignmentScorer | None,
    counts: TextCounts,
    rerank_num_candidates: int,
    max_num_aligned_pairs: int,
) -> TaskResult:
    """Return recall at 1, 5, 10 and the median rank, of segments for sentences and of sentences for segments.

    Every sentence asks for its segment among all segments of the split; where the very same sentence is said of
    several segments, each of them is right, and the best placed one counts. Ties are half won: a scorer that says the
    same of all is at chance.

    Beside them: `chance`; `word_counts`, which counts what came together in training; with `alignment` also
    `reranked`, the first `rerank_num_candidates` ordered anew by the alignment head, and `alignment`, that head alone
    on all pairs, where they are no more than `max_num_aligned_pairs`.

    Raises:
        InputError: No sentence of the chosen split covers a clip.
    """
    if not pairs:
        raise InputError(
            "retrieval: no sentence of the chosen split covers a clip",
            at="evaluate.split",
            fix="name a split whose videos have subtitles (data.videos)",
        )
    texts = [pair.text_L for pair in pairs]
    scores = {"": retriever.embed_texts(texts) @ retriever.embed_segments([p.words_T for p in pairs]).T}
    scores[".word_counts"] = counted_scores(counts, pairs)
    numbers: dict[bytes, int] = {}
    said = np.array([numbers.setdefault(text_L.tobytes(), len(numbers)) for text_L in texts])
    is_right_NN = said[:, None] == said[None, :]
    if alignment is not None and len(pairs) ** 2 <= max_num_aligned_pairs:
        log_odds = alignment.log_odds([(text_L, pair.words_T) for text_L in texts for pair in pairs])
        scores[".alignment"] = log_odds.reshape(len(pairs), len(pairs))
    metrics: dict[str, float] = {"retrieval.num_sentences": float(len(pairs))}
    videos = [pair.video_id for pair in pairs]
    for direction, is_turned in (("text_to_video", False), ("video_to_text", True)):
        name = f"retrieval.{direction}"
        right_QM = is_right_NN.T if is_turned else is_right_NN
        for end, found_NN in scores.items():
            scores_QM = found_NN.T if is_turned else found_NN
            metrics |= _metrics(name, end, best_ranks(scores_QM, right_QM), videos=videos)
        if alignment is not None:
            reranked_QM = _reranked(
                scores[""].T if is_turned else scores[""],
                pairs,
                alignment=alignment,
                num=rerank_num_candidates,
                is_turned=is_turned,
            )
            metrics |= _metrics(name, ".reranked", best_ranks(reranked_QM, right_QM), videos=videos)
        for k in RECALLS:
            chances = [chance_of_hit(int(row.sum()), num=len(pairs), k=k) for row in right_QM]
            metrics[f"{name}.r{k}.chance"] = float(np.mean(chances))
    return TaskResult(metrics=metrics, predictions=_predictions(pairs, scores[""], is_right_NN))


def best_ranks(scores_QM: np.ndarray, is_right_QM: np.ndarray) -> np.ndarray:
    """Return the rank (Q,), from 1, of the best placed right candidate; of equal scores half come first.

    >>> best_ranks(np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), np.array([[0, 0, 1], [1, 0, 0]], dtype=bool))
    array([2., 2.])
    """
    best_Q1 = np.where(is_right_QM, scores_QM, -np.inf).max(axis=1, keepdims=True)
    num_before_Q = (~is_right_QM & (scores_QM > best_Q1)).sum(axis=1)
    # Of right and wrong ones with the same score in any order, the first right one is to expect at this place.
    num_wrong_Q = (~is_right_QM & (scores_QM == best_Q1)).sum(axis=1)
    num_right_Q = (is_right_QM & (scores_QM == best_Q1)).sum(axis=1)
    return np.asarray(1 + num_before_Q + num_wrong_Q / (num_right_Q + 1))


def counted_scores(counts: TextCounts, pairs: Sequence[ShownSentence]) -> np.ndarray:
    """Return how well each sentence (N) and each segment (N) belong together by what was counted in training.

    The score is the mean over the segment's words of what the sentence's tokens add to each.
    """
    ratios = np.stack([counts.ratios(pair.text_L) for pair in pairs])
    return np.stack([ratios[:, pair.words_T].mean(axis=1) for pair in pairs], axis=1)


def _metrics(name: str, end: str, ranks_Q: np.ndarray, *, videos: Sequence[str]) -> dict[str, float]:
    metrics = {f"{name}.median_rank{end}": float(np.median(ranks_Q))}
    for k in RECALLS:
        is_found_Q = ranks_Q <= k
        metrics[f"{name}.r{k}{end}"] = float(is_found_Q.mean())
        if not end:
            interval = mean_interval(is_found_Q, videos)
            metrics |= {f"{name}.r{k}.low": interval.low, f"{name}.r{k}.high": interval.high}
    return metrics


def _reranked(
    scores_QM: np.ndarray,
    pairs: Sequence[ShownSentence],
    *,
    alignment: AlignmentScorer,
    num: int,
    is_turned: bool,
) -> np.ndarray:
    """Return scores (Q, M) whose order of the first `num` candidates is the alignment head's, the others' as it was."""
    num = min(num, scores_QM.shape[1])
    first_QK = np.argsort(-scores_QM, axis=1, kind="stable")[:, :num]
    asked = [
        (pairs[other if is_turned else query].text_L, pairs[query if is_turned else other].words_T)
        for query, row in enumerate(first_QK)
        for other in row
    ]
    log_odds_QK = alignment.log_odds(asked).reshape(first_QK.shape)
    # Above all others, whatever the two scorers' scales.
    lift = scores_QM.max() - log_odds_QK.min() + 1.0
    reranked_QM = scores_QM.copy()
    np.put_along_axis(reranked_QM, first_QK, log_odds_QK + lift, axis=1)
    return reranked_QM


def _predictions(
    pairs: Sequence[ShownSentence], scores_NN: np.ndarray, is_right_NN: np.ndarray
) -> list[dict[str, Any]]:
    ranks_N = best_ranks(scores_NN, is_right_NN)
    found = []
    for pair, row, rank in zip(pairs, scores_NN, ranks_N, strict=True):
        best = [pairs[n] for n in np.argsort(-row, kind="stable")[:_NUM_ANSWERS]]
        found.append(
            {
                "video": pair.video_id,
                "start_seconds": round(pair.start_seconds, 3),
                "text": pair.text,
                "rank": float(rank),
                "found": [
                    {"video": other.video_id, "start_seconds": round(other.start_seconds, 3)}
                    for other in best
                ],
            }
        )
    return found
