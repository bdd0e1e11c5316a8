"""Words from elsewhere: apart from the own clips, as many sentences, and never where the same is said."""

import itertools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sequence_samples import corpora, numbered

from videobert_cli.core.sequences.corpus import Document, TokenCorpus
from videobert_cli.core.sequences.epochs import Population
from videobert_cli.core.sequences.negatives import Negatives, runs_apart


@st.composite
def spans(draw):
    """Sentences of one video, in order of their start, also overlapping and out of order at the end."""
    firsts = draw(st.lists(st.integers(0, 30), min_size=1, max_size=9))
    return np.array([(first, first + draw(st.integers(1, 6))) for first in firsts])


@given(spans_N2=spans(), data=st.data())
def test_runs_share_no_clip_with_the_own_sentences_and_none_is_missed(spans_N2, data):
    num = len(spans_N2)
    first = data.draw(st.integers(0, num - 1))
    stop = data.draw(st.integers(first + 1, num))

    def clips(start, end):
        return set(range(spans_N2[start:end, 0].min(), spans_N2[start:end, 1].max()))

    starts_R, length = runs_apart(spans_N2, first=first, stop=stop)
    expected = {
        size: [k for k in range(num - size + 1) if not clips(k, k + size) & clips(first, stop)]
        for size in range(1, stop - first + 1)
    }
    longest = max((size for size, found in expected.items() if found), default=0)
    assert length == longest
    assert starts_R.tolist() == (expected[longest] if longest else [])
    for start, own in itertools.product(starts_R, range(first, stop)):
        assert not start <= own < start + length


def negatives(documents, *, same_video_fraction=0.5):
    corpus = TokenCorpus.from_documents(documents)
    return Negatives(
        corpus,
        population=Population(corpus, video_only_num_words=16),
        same_video_fraction=same_video_fraction,
    )


def saying(video, *texts):
    """The video, its sentences replaced by rows of one token."""
    sentences = tuple(np.full(4, text) for text in texts)
    return Document(id=video.id, words_T=video.words_T, sentences=sentences, spans=video.spans)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=corpora(), seed=st.integers(0, 99), fraction=st.sampled_from([0, 0.5, 1]))
def test_a_negative_is_where_it_says_it_is(documents, seed, fraction):
    draw = negatives(documents, same_video_fraction=fraction).draw
    for number, document in enumerate(documents):
        if not document.sentences or document.spans[0] is None:
            continue
        others = [d for d in documents if d.id != document.id and d.spans and d.spans[0] is not None]
        found = draw(number, first=0, stop=1, generator=np.random.default_rng(seed))
        if found is None:
            own = document.sentences[0].tolist()
            assert all(text.tolist() == own for other in others for text in other.sentences)
            continue
        words_T, pairing = found
        sources = [document] if pairing == "same_video" else others
        assert any(
            words_T.tolist() == source.words_T[span.first : span.stop].tolist()
            for source in sources
            for span in source.spans
        )


def test_where_the_same_is_said_is_no_negative():
    """Sentence 0 is said three times in its video and twice in the other."""
    one = saying(numbered("a", num_clips=10, first_id=0), 5, 5, 6, 7, 5)
    other = saying(numbered("b", num_clips=8, first_id=20), 5, 8, 5, 9)
    starts = {"same_video": set(), "other_video": set()}
    for seed in range(300):
        words_T, pairing = negatives([one, other]).draw(
            0, first=0, stop=1, generator=np.random.default_rng(seed)
        )
        starts[pairing].add(int(words_T[0]) - int(one.words_T[0]))
    assert starts == {"same_video": {4, 6}, "other_video": {22, 26}}


def test_where_everybody_says_the_same_there_is_no_negative():
    videos = [saying(numbered(name, num_clips=6, first_id=0), 5, 5, 5) for name in "abc"]
    for seed in range(20):
        assert negatives(videos).draw(1, first=0, stop=1, generator=np.random.default_rng(seed)) is None
