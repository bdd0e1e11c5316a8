"""Words from elsewhere: apart from the own clips, as many sentences, and never where the same is said."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli.core.sequences.negatives import runs_apart


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
