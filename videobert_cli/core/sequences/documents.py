"""Videos and transcripts as documents: visual words as joint ids, sentences as text ids, clips by time."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from videobert_cli.core.sequences.corpus import Document
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.options import Coverage
from videobert_cli.core.sequences.segments import Segment, segments_of
from videobert_cli.core.text.sentences import Sentence
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.text.transcripts import Transcripts
from videobert_cli.core.words.table import WordTable


def iter_documents(
    ids: Iterable[str],
    *,
    words: WordTable,
    transcripts: Transcripts,
    tokenizer: VideoBERTTokenizer,
    coverage: Coverage = "midpoint",
    grown_min_seconds: float = 10.0,
) -> Iterator[Document]:
    """Yield one document for each id that has words or sentences, sorted by id.

    A video with sentences keeps only those that begin before its last clip ends; a transcript without video keeps all.
    Sentences without a token (only symbols the vocabulary drops) are left out, and so is a [MASK] that a caption says.
    """
    known = set(words.ids())
    for key in sorted(ids):
        sentences = transcripts.sentences.get(key, ())
        document = (
            _video_document(
                key,
                segments_of(
                    sentences,
                    clip_start_seconds_T=words.clip_start_seconds(key),
                    clip_seconds=words.clip_length_seconds,
                    coverage=coverage,
                    grown_min_seconds=grown_min_seconds,
                ),
                words=words,
                tokenizer=tokenizer,
            )
            if key in known
            else _text_document(key, sentences, tokenizer=tokenizer)
        )
        if len(document.words_T) or document.sentences:
            yield document


def joint_vocabulary(tokenizer: VideoBERTTokenizer) -> JointVocabulary:
    """Return the ids that sequences need of a tokenizer."""
    specials = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id}
    text_ids = np.array([i for i in range(tokenizer.num_text_tokens) if i not in specials], dtype=np.int64)
    first_word = tokenizer.word_to_id(0)
    return JointVocabulary(
        cls_id=tokenizer.cls_id,
        sep_id=tokenizer.sep_id,
        mask_id=tokenizer.mask_id,
        glue_id=tokenizer.glue_id,
        text_ids=text_ids,
        visual_ids=np.arange(first_word, first_word + tokenizer.num_words, dtype=np.int64),
        is_continuation=np.array([token.startswith("##") for token in tokenizer.vocabulary.tokens]),
    )


def _video_document(
    key: str, segments: Sequence[Segment], *, words: WordTable, tokenizer: VideoBERTTokenizer
) -> Document:
    encoded = [(sentence_ids(tokenizer, segment.sentence), segment.clips) for segment in segments]
    kept = [(ids, span) for ids, span in encoded if len(ids)]
    return Document(
        id=key,
        words_T=words.words(key).astype(np.int64) + tokenizer.word_to_id(0),
        sentences=tuple(ids for ids, _ in kept),
        spans=tuple(span for _, span in kept),
    )


def _text_document(key: str, sentences: Sequence[Sentence], *, tokenizer: VideoBERTTokenizer) -> Document:
    encoded = [ids for ids in (sentence_ids(tokenizer, sentence) for sentence in sentences) if len(ids)]
    return Document(
        id=key,
        words_T=np.zeros(0, dtype=np.int64),
        sentences=tuple(encoded),
        spans=tuple(None for _ in encoded),
    )


def sentence_ids(tokenizer: VideoBERTTokenizer, sentence: Sentence) -> np.ndarray:
    """Return a sentence's text ids (L,), without a [MASK] that a caption says."""
    ids = [token for token in tokenizer.text_ids(sentence.text) if token != tokenizer.mask_id]
    return np.array(ids, dtype=np.int64)
