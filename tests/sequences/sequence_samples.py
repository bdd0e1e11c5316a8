"""A small joint vocabulary and random documents for the tests of sequences."""

import itertools

import numpy as np
from hypothesis import strategies as st

from videobert_cli.core.sequences.corpus import Document
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.joint import JointVocabulary
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.segments import ClipSpan

NUM_TEXT, NUM_WORDS = 40, 64
PAD, UNK, CLS, SEP, MASK = range(5)
GLUE = NUM_TEXT
FIRST_WORD = NUM_TEXT + 1
VOCABULARY = JointVocabulary(
    cls_id=CLS,
    sep_id=SEP,
    mask_id=MASK,
    glue_id=GLUE,
    text_ids=np.arange(5, NUM_TEXT),
    visual_ids=np.arange(FIRST_WORD, FIRST_WORD + NUM_WORDS),
)


def document(name, *, num_clips, sentences, seed=0):
    """A video of `num_clips` clips; `sentences` are (number of tokens, first clip, clip after the last)."""
    generator = np.random.default_rng(seed)
    return Document(
        id=name,
        words_T=generator.integers(FIRST_WORD, FIRST_WORD + NUM_WORDS, num_clips),
        sentences=tuple(generator.integers(5, NUM_TEXT, length) for length, _, _ in sentences),
        spans=tuple(ClipSpan(first=first, stop=stop) for _, first, stop in sentences),
    )


def transcript(name, *, lengths, seed=0):
    """A text without video."""
    generator = np.random.default_rng(seed)
    return Document(
        id=name,
        words_T=np.zeros(0, dtype=np.int64),
        sentences=tuple(generator.integers(5, NUM_TEXT, length) for length in lengths),
        spans=tuple(None for _ in lengths),
    )


def numbered(name, *, num_clips, first_id, clips_each=2, num_tokens=6):
    """A video whose words are all different, in order, so that words tell where they come from."""
    spans = [(start, start + clips_each) for start in range(0, num_clips - clips_each + 1, clips_each)]
    return Document(
        id=name,
        words_T=np.arange(FIRST_WORD + first_id, FIRST_WORD + first_id + num_clips),
        sentences=tuple(_said(name, number, num_tokens=num_tokens) for number in range(len(spans))),
        spans=tuple(ClipSpan(first=first, stop=stop) for first, stop in spans),
    )


def _said(name, number, *, num_tokens):
    """A text of its own for every sentence: where the same is said, no words are wrong."""
    return np.random.default_rng([number, *name.encode()]).integers(5, NUM_TEXT, num_tokens)


def samples(documents, *, seed=0, **options):
    return PretrainingSamples(documents, options=SequenceOptions(**options), vocabulary=VOCABULARY, seed=seed)


@st.composite
def corpora(draw):
    """Videos with sentences in order of time, videos with none, texts with no video; at least one of them."""
    documents = []
    for number in range(draw(st.integers(1, 4))):
        name = f"v{number}"
        kind = draw(st.sampled_from(["both", "both", "video", "text"]))
        if kind == "text":
            documents.append(
                transcript(name, lengths=draw(st.lists(st.integers(1, 30), min_size=1, max_size=4)))
            )
            continue
        num_clips = draw(st.integers(1, 60))
        borders = sorted(draw(st.sets(st.integers(0, num_clips), min_size=2, max_size=8)) | {0, num_clips})
        pairs = list(itertools.pairwise(borders)) if kind == "both" else []
        sentences = [(draw(st.integers(1, 30)), first, stop) for first, stop in pairs]
        documents.append(document(name, num_clips=num_clips, sentences=sentences, seed=number))
    return documents
