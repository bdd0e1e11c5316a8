"""The sentences of a run's videos with the clips that they cover: what captions, retrieval, text-to-video ask about."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from videobert_cli.artifacts import hash_json, read_manifest
from videobert_cli.core.sequences.documents import sentence_ids
from videobert_cli.core.sequences.pairs import ShownSentence, mean_feature
from videobert_cli.core.sequences.segments import ClipSpan, segments_of
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.video.manifest import Split
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.segment_features import SegmentFeatures, require_segment_features


def shown_sentences(
    run: Run, split: Split, *, tokenizer: VideoBERTTokenizer, with_features: bool = False
) -> Iterator[ShownSentence]:
    """Yield the sentences of a split with the clips that they cover, as pretraining takes them.

    Raises:
        InputError: Features are asked for (`with_features`), and extraction kept words alone.
    """
    sequences = run.recipe.pretrain.sequences
    features = require_caption_features(run) if with_features else None
    for video_id in sorted(key for key in run.split_ids(split) if key in run.words):
        starts = run.words.clip_start_seconds(video_id)
        segments = segments_of(
            run.punctuated.sentences.get(video_id, ()),
            clip_start_seconds_T=starts,
            clip_seconds=run.words.clip_length_seconds,
            coverage=sequences.coverage,
            grown_min_seconds=sequences.grown_min_seconds,
        )
        for segment in segments:
            ids, span = sentence_ids(tokenizer, segment.sentence), segment.clips
            if len(ids) and span is not None:
                yield ShownSentence(
                    video_id=video_id,
                    text=segment.sentence.text,
                    text_L=ids,
                    words_T=run.words.words(video_id)[span.first : span.stop],
                    start_seconds=float(starts[span.first]),
                    end_seconds=float(starts[span.stop - 1]) + run.words.clip_length_seconds,
                    feature_D=_mean_feature(features, video_id, span),
                )


def _mean_feature(features: SegmentFeatures | None, video_id: str, span: ClipSpan) -> np.ndarray:
    if features is None:
        return np.zeros(0, dtype=np.float32)
    return mean_feature(features.clips(video_id, first=span.first, num=span.num_clips))


def require_caption_features(run: Run) -> SegmentFeatures:
    """Return the features of the run's segments, for a captioner that looks at them.

    Raises:
        InputError: Extraction kept words alone.
    """
    return require_segment_features(
        run, reader="the captioner", otherwise="--set finetune.caption.encoder=cloze"
    )


def sentences_inputs(run: Run, *, with_features: bool = False) -> dict[str, str]:
    """Return the hashes of what the sentences and their clips are made of."""
    sequences = run.recipe.pretrain.sequences
    splits = {split: run.split_ids(split) for split in ("train", "validation", "test")}
    inputs = {
        "words": read_manifest(run.paths.words, kind="words").content_hash,
        "sentences": run.transcripts.content_hash(),
        "splits": hash_json(splits),
        "coverage": hash_json([sequences.coverage, sequences.grown_min_seconds]),
    }
    if with_features:
        learned_from = [key for key in (*splits["train"], *splits["validation"]) if key in run.words]
        inputs["features"] = require_caption_features(run).content_hash(learned_from)
    return inputs


def sentences_by_split(
    run: Run, *, tokenizer: VideoBERTTokenizer, with_features: bool = False
) -> dict[Any, list[ShownSentence]]:
    """Return the sentences to learn from and those held out."""
    return {
        split: list(shown_sentences(run, split, tokenizer=tokenizer, with_features=with_features))
        for split in ("train", "validation")
    }
