"""The sentences of a run's videos with the clips that they cover: what retrieval and text-to-video ask about."""

from collections.abc import Iterator
from typing import Any

from videobert_cli.artifacts import hash_json, read_manifest
from videobert_cli.core.sequences.documents import sentence_ids
from videobert_cli.core.sequences.pairs import ShownSentence
from videobert_cli.core.sequences.segments import segments_of
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.video.manifest import Split
from videobert_cli.pipeline.run import Run


def shown_sentences(run: Run, split: Split, *, tokenizer: VideoBERTTokenizer) -> Iterator[ShownSentence]:
    """Yield the sentences of a split with the clips that they cover, as pretraining takes them."""
    sequences = run.recipe.pretrain.sequences
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
                )


def sentences_inputs(run: Run) -> dict[str, str]:
    """Return the hashes of what the sentences and their clips are made of."""
    sequences = run.recipe.pretrain.sequences
    return {
        "words": read_manifest(run.paths.words, kind="words").content_hash,
        "sentences": run.transcripts.content_hash(),
        "splits": hash_json({split: run.split_ids(split) for split in ("train", "validation", "test")}),
        "coverage": hash_json([sequences.coverage, sequences.grown_min_seconds]),
    }


def sentences_by_split(run: Run, *, tokenizer: VideoBERTTokenizer) -> dict[Any, list[ShownSentence]]:
    """Return the sentences to learn from and those held out."""
    return {
        split: list(shown_sentences(run, split, tokenizer=tokenizer)) for split in ("train", "validation")
    }
