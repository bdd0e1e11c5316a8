"""Summaries against labelled segments: every figure is what counting by hand gives."""

import numpy as np
import pytest
from small_models import NUM_WORDS, small_model, small_tokenizer

from videobert_cli.core.metrics.summarize import SegmentedVideo, evaluate_summaries
from videobert_cli.core.tasks.summarize import Summarizer
from videobert_cli.core.tasks.visual_questions import VisualAsker
from videobert_cli.errors import InputError

SUMMARIZER = Summarizer(
    VisualAsker(small_model(), small_tokenizer()),
    centroids_KD=np.eye(NUM_WORDS, dtype=np.float32),
    surprise_weight=0.0,
    context_num_clips=2,
)


def test_every_figure_by_hand() -> None:
    # One long scene and a short one: the key clips are in both, evenly spaced ones are both in the first.
    video = SegmentedVideo(video_id="v", words_T=np.array([2] * 9 + [5] * 2), segments=((0, 9), (9, 11)))
    single = SegmentedVideo(video_id="w", words_T=np.array([1, 2]), segments=((0, 1),))
    result = evaluate_summaries(SUMMARIZER, [video, single])
    assert result.predictions == [{"video": "v", "clips": [4, 9], "recall": 1.0}]
    metrics = result.metrics
    assert metrics["summarize.num_videos"] == 1
    assert metrics["summarize.num_videos_of_fewer_segments"] == 1
    assert metrics["summarize.segment_recall"] == 1
    assert metrics["summarize.segment_recall.even"] == 0.5
    # Two of eleven clips: none of the nine 1/55, none of the two 36/55.
    assert metrics["summarize.segment_recall.chance"] == pytest.approx(1 - (1 + 36) / 55 / 2)
    assert metrics["summarize.explained"] == 1
    assert 0 < metrics["summarize.explained.even"] < 1


def test_nothing_to_measure_on_is_an_error() -> None:
    with pytest.raises(InputError, match="no video of the chosen split has two labelled segments"):
        evaluate_summaries(SUMMARIZER, [])
