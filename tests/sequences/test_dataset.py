"""The samples of a corpus: each a function of (seed, epoch, id), in the stated mixture, and honest negatives."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sequence_samples import (
    CLS,
    FIRST_WORD,
    GLUE,
    MASK,
    NUM_TEXT,
    NUM_WORDS,
    SEP,
    corpora,
    document,
    numbered,
    samples,
    transcript,
)

from videobert_cli.core.sequences.dataset import SampleId
from videobert_cli.core.sequences.packing import NO_LABEL
from videobert_cli.errors import InputError

FREE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def same(one, other):
    return (
        one.input_ids.tolist() == other.input_ids.tolist()
        and one.labels.tolist() == other.labels.tolist()
        and one.token_type_ids.tolist() == other.token_type_ids.tolist()
        and one.alignment == other.alignment
    )


def regime(sequence):
    ids = sequence.input_ids
    if GLUE in ids:
        return "video_text"
    return "video" if (ids > GLUE).any() else "text"


def words_of(sequence):
    """The words shown (masks and random words left in) after the glue."""
    ids = sequence.input_ids.tolist()
    return ids[ids.index(GLUE) + 1 : -1]


@FREE
@given(
    documents=corpora(),
    seed=st.integers(0, 99),
    max_num_tokens=st.integers(16, 80),
    unit=st.sampled_from(["token", "whole_word", "span"]),
    whole=st.sampled_from([0.0, 0.5]),
)
def test_every_sequence_is_well_formed(documents, seed, max_num_tokens, unit, whole):
    stream = samples(
        documents,
        seed=seed,
        max_num_tokens=max_num_tokens,
        mask_fraction=0.4,
        mask_unit=unit,
        whole_modality_probability=whole,
    )
    for number in range(min(12, 2 * stream.epoch_size)):
        sequence = stream.sequence(number)
        ids, types = sequence.input_ids, sequence.token_type_ids
        assert 3 <= len(ids) <= max_num_tokens
        assert len(ids) == len(types) == len(sequence.labels)
        assert ids[0] == CLS
        assert ids[-1] == SEP
        assert not np.isin(ids[1:-1], [CLS, SEP]).any()
        assert (np.diff(types) >= 0).all()
        assert (sequence.labels[np.isin(ids, [CLS, SEP, GLUE])] == NO_LABEL).all()
        assert (ids >= 0).all()
        assert (ids < FIRST_WORD + NUM_WORDS).all()
        # Text and its masks are of type 0, words and theirs of type 1.
        assert (types[(ids >= 5) & (ids <= GLUE)] == 0).all()
        assert (types[ids > GLUE] == 1).all()
        labelled = sequence.labels != NO_LABEL
        assert ((sequence.labels[labelled] >= FIRST_WORD) == (types[labelled] == 1)).all()
        assert (sequence.alignment == NO_LABEL) == (regime(sequence) != "video_text")


@FREE
@given(documents=corpora(), seed=st.integers(0, 99), data=st.data())
def test_a_sequence_depends_on_seed_epoch_and_sample_alone(documents, seed, data):
    stream, again = samples(documents, seed=seed), samples(documents, seed=seed)
    numbers = range(3 * stream.epoch_size)
    wanted = data.draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=6))
    first = {number: stream.sequence(number) for number in wanted}
    assert all(same(again.sequence(number), first[number]) for number in reversed(wanted))
    assert all(same(stream.sequence(number), first[number]) for number in wanted)


def test_epochs_seeds_and_documents_have_randomness_of_their_own():
    documents = [document("a", num_clips=60, sentences=[(40, 0, 60)])]
    sample = SampleId("video_text", 0, 0)
    one = samples(documents, seed=1)
    assert same(one.build(sample, epoch=0), one.build(sample, epoch=0))
    assert not same(one.build(sample, epoch=0), one.build(sample, epoch=1))
    assert not same(one.build(sample, epoch=0), samples(documents, seed=2).build(sample, epoch=0))


def test_a_sample_is_the_same_whatever_the_other_videos_are():
    """Its own randomness hangs on its document's name, not on its place in the list."""
    video = document("m", num_clips=30, sentences=[(20, 0, 15), (20, 15, 30)])
    other = document("a", num_clips=8, sentences=[])
    alone, together = samples([video], join_probability=0), samples([other, video], join_probability=0)
    for kind in ("text", "video"):
        assert same(alone.build(SampleId(kind, 0, 1), epoch=3), together.build(SampleId(kind, 1, 1), epoch=3))


def mixed_corpus():
    return [
        *(numbered(f"v{n}", num_clips=12, first_id=0) for n in range(6)),
        *(transcript(f"t{n}", lengths=[5, 6, 7]) for n in range(5)),
        document("silent", num_clips=40, sentences=[]),
    ]


@pytest.mark.parametrize("shares", [(1.0, 1.0, 2.0), (0.5, 0.25, 1.0), (0.0, 1.0, 3.0), (2.0, 0.0, 0.0)])
def test_an_epoch_has_the_stated_shares(shares):
    text, video, video_text = shares
    stream = samples(
        mixed_corpus(), text_only_share=text, video_only_share=video, video_text_share=video_text
    )
    counts = Counter(regime(stream.sequence(number)) for number in range(stream.epoch_size))
    found = np.array([counts[kind] for kind in ("text", "video", "video_text")])
    expected = np.array(shares) / sum(shares) * stream.epoch_size
    assert (abs(found - expected) <= 1).all()


def test_an_epoch_has_each_sample_of_the_leading_regime_once_and_an_order_of_its_own():
    stream = samples(mixed_corpus(), join_probability=0, negative_fraction=0, mask_fraction=0.01)
    orders = []
    for epoch in range(2):
        start = epoch * stream.epoch_size
        drawn = [stream.sample(start + position)[0] for position in range(stream.epoch_size)]
        joint = [sample for sample in drawn if sample.regime == "video_text"]
        everything = [
            SampleId("video_text", number, item)
            for number, document in enumerate(stream.corpus)
            if document.spans and document.spans[0] is not None
            for item in range(len(document.sentences))
        ]
        assert sorted(joint) == everything
        orders.append(drawn)
    assert orders[0] != orders[1]
    assert sorted(Counter(sample.regime for sample in orders[0]).items()) == sorted(
        Counter(sample.regime for sample in orders[1]).items()
    )


def test_a_corpus_without_samples_is_an_input_error():
    with pytest.raises(InputError, match="nothing to train on") as caught:
        samples([transcript("t", lengths=[5])], text_only_share=0)
    assert "pretrain.sequences" in caught.value.fix
    with pytest.raises(InputError, match="nothing to train on"):
        samples([])


def test_the_mix_says_what_an_epoch_holds_and_what_the_corpus_has_not():
    stream = samples(mixed_corpus())
    counts = Counter(stream.sample(number)[0].regime for number in range(stream.epoch_size))
    assert stream.mix == (
        f"an epoch has {stream.epoch_size} sequences: {counts['text']} text alone, {counts['video']} video alone, "
        f"{counts['video_text']} video with text"
    )
    lacking = samples([transcript("t", lengths=[5, 6])], video_only_share=0)
    assert lacking.mix == (
        "an epoch has 2 sequences: 2 text alone; there is no video with text, though the recipe gives it a share"
    )


# --- joining ---


def test_joined_sentences_are_neighbours_and_stay_within_the_video():
    video = numbered("v", num_clips=20, first_id=0, num_tokens=1)
    stream = samples([video], join_probability=1, max_joined_sentences=3, negative_fraction=0)
    lengths = Counter()
    for item in range(10):
        for epoch in range(60):
            first, stop = stream._joined(SampleId("text", 0, item), generator=np.random.default_rng(epoch))
            assert 0 <= first <= item < stop <= 10
            lengths[stop - first] += 1
    assert sorted(lengths) == [2, 3]


@pytest.mark.parametrize(("most", "probability"), [(1, 1.0), (16, 0.0)])
def test_sentences_stay_alone_where_joining_is_off(most, probability):
    video = numbered("v", num_clips=20, first_id=0)
    stream = samples([video], join_probability=probability, max_joined_sentences=most)
    spans = [
        stream._joined(SampleId("text", 0, 4), generator=np.random.default_rng(seed)) for seed in range(50)
    ]
    assert set(spans) == {(4, 5)}


def test_sentences_are_joined_as_often_as_stated():
    video = numbered("v", num_clips=20, first_id=0)
    stream = samples([video], join_probability=0.3)
    joined = [
        stream._joined(SampleId("text", 0, 4), generator=np.random.default_rng(seed)) != (4, 5)
        for seed in range(3000)
    ]
    assert abs(np.mean(joined) - 0.3) < 4 * np.sqrt(0.21 / 3000)


def test_a_single_sentence_cannot_be_joined():
    video = numbered("v", num_clips=2, first_id=0)
    stream = samples([video], join_probability=1)
    assert stream._joined(SampleId("text", 0, 0), generator=np.random.default_rng(0)) == (0, 1)


# --- video only ---


def test_words_of_a_video_without_text_are_16_in_order():
    video = document("v", num_clips=200, sentences=[])
    stream = samples([video], mask_fraction=0.001)
    rates = set()
    for epoch in range(200):
        sequence = stream.build(SampleId("video", 0, 2), epoch=epoch)
        words = sequence.input_ids[1:-1]
        assert len(words) == 16
        found = [
            (start, rate)
            for rate in range(1, 6)
            for start in range(32, 32 + rate)
            if (video.words_T[start::rate][:16] == words).all()
        ]
        rates |= {rate for _, rate in found}
        assert found or (sequence.labels != NO_LABEL).any()
    assert rates == {1, 2, 3, 4, 5}


def test_the_end_of_a_video_is_a_shorter_sequence():
    stream = samples([document("v", num_clips=17, sentences=[])])
    assert stream.num_samples == {"text": 0, "video": 2, "video_text": 0}
    assert len(stream.build(SampleId("video", 0, 1), epoch=0).input_ids) == 3


def test_video_only_sequences_fit_the_longest_length_too():
    stream = samples(
        [document("v", num_clips=200, sentences=[])], video_only_num_words=100, max_num_tokens=20
    )
    assert len(stream.sequence(0).input_ids) <= 20


# --- negatives ---


def joint(stream, number_of_epochs, *, num_items):
    for epoch in range(number_of_epochs):
        for document_number, item in num_items:
            yield (
                document_number,
                item,
                stream.build(SampleId("video_text", document_number, item), epoch=epoch),
            )


def origins(sequence):
    """From which of the numbered videos the words come (masks and random words are rare here)."""
    words = [word for word in words_of(sequence) if word > GLUE and word != MASK]
    return {(word - FIRST_WORD) // 20 for word in words}


def two_videos():
    return [numbered(f"v{n}", num_clips=20, first_id=20 * n) for n in range(3)]


def test_negatives_are_as_frequent_and_from_where_they_are_stated():
    stream = samples(
        two_videos(), negative_fraction=0.4, same_video_negative_fraction=0.25, mask_fraction=0.001
    )
    items = [(number, item) for number in range(3) for item in range(10)]
    found = Counter()
    for number, _, sequence in joint(stream, 60, num_items=items):
        source = origins(sequence)
        kind = "aligned" if sequence.alignment == 1 else "same" if source == {number} else "other"
        found[kind] += 1
        if kind == "aligned":
            assert source <= {number}
    num = sum(found.values())
    for kind, share in (("aligned", 0.6), ("same", 0.1), ("other", 0.3)):
        assert abs(found[kind] / num - share) < 4 * np.sqrt(share * (1 - share) / num), found


def test_words_of_another_video_come_evenly_from_all_the_others():
    """Also where the own video is most of the corpus: a probe for the next item would always meet the same one."""
    documents = [
        numbered("a", num_clips=40, first_id=0),
        numbered("b", num_clips=4, first_id=40),
        numbered("c", num_clips=8, first_id=44),
    ]
    stream = samples(
        documents,
        negative_fraction=1,
        same_video_negative_fraction=0,
        join_probability=0,
        max_subsampling=1,
        mask_fraction=0.001,
    )
    starts = Counter(
        words_of(sequence)[0] - FIRST_WORD
        for _, _, sequence in joint(stream, 90, num_items=[(0, item) for item in range(20)])
    )
    common = [start for start, num in starts.items() if num > 50]
    assert sorted(common) == [40, 42, 44, 46, 48, 50]
    expected = sum(starts.values()) / 6
    assert sum((starts[start] - expected) ** 2 / expected for start in common) < 20.5  # 5 degrees, p = 0.001


def test_a_lone_segment_cannot_be_a_negative():
    stream = samples([numbered("v", num_clips=2, first_id=0)], negative_fraction=1)
    assert stream.build(SampleId("video_text", 0, 0), epoch=0).alignment == 1


def test_negatives_have_no_labels_and_are_masked_as_much_as_aligned_sequences():
    stream = samples(two_videos(), mask_fraction=0.3, negative_fraction=0.5)
    items = [(number, item) for number in range(3) for item in range(10)]
    masks, tokens = Counter(), Counter()
    for _, _, sequence in joint(stream, 40, num_items=items):
        kind = sequence.alignment
        masks[kind] += int((sequence.input_ids == MASK).sum())
        tokens[kind] += len(sequence.input_ids) - 3
        if kind == 0:
            assert (sequence.labels == NO_LABEL).all()
    rates = {kind: masks[kind] / tokens[kind] for kind in (0, 1)}
    assert abs(rates[1] - 0.24) < 0.02
    assert abs(rates[0] - rates[1]) < 4 * np.sqrt(0.24 * 0.76 * (1 / tokens[0] + 1 / tokens[1]))


def test_the_number_of_words_does_not_betray_a_negative():
    """Joined sentences have joined clips on both sides of the label."""
    stream = samples(
        two_videos(), join_probability=1, max_joined_sentences=3, max_subsampling=1, negative_fraction=0.5
    )
    lengths = {0: [], 1: []}
    for _, _, sequence in joint(stream, 40, num_items=[(n, item) for n in range(3) for item in range(10)]):
        lengths[sequence.alignment].append(len(words_of(sequence)))
    means = {kind: np.mean(values) for kind, values in lengths.items()}
    assert abs(means[0] - means[1]) < 0.25


@pytest.mark.parametrize(
    ("which", "text", "video"),
    [("both", True, True), ("text", True, False), ("video", False, True), ("none", False, False)],
)
def test_joint_masking_is_a_switch(which, text, video):
    stream = samples(two_videos(), joint_masking=which, mask_fraction=0.5, negative_fraction=0)
    labels = np.concatenate(
        [sequence.labels for _, _, sequence in joint(stream, 3, num_items=[(0, item) for item in range(10)])]
    )
    assert ((labels != NO_LABEL) & (labels < NUM_TEXT)).any() == text
    assert (labels > GLUE).any() == video


@pytest.mark.parametrize(
    ("which", "sides"),
    [("both", {"text", "video"}), ("text", {"text"}), ("video", {"video"}), ("none", set())],
)
def test_a_whole_side_is_hidden_as_often_as_stated_and_the_other_shown_whole(which, sides):
    stream = samples(two_videos(), joint_masking=which, whole_modality_probability=0.3, mask_fraction=0.1)
    items = [(number, item) for number in range(3) for item in range(10)]
    found, num = Counter(), 0
    for _, _, sequence in joint(stream, 40, num_items=items):
        glue = sequence.input_ids.tolist().index(GLUE)
        text, video = sequence.input_ids[1:glue], sequence.input_ids[glue + 1 : -1]
        num += 1
        for side, hidden, shown in (("text", text, video), ("video", video, text)):
            if len(hidden) > 1 and (hidden == MASK).all() and (shown != MASK).all():
                found[side] += 1
                labels = sequence.labels[1:-1]
                expected = len(hidden) if sequence.alignment == 1 else 0
                assert (labels != NO_LABEL).sum() == expected
    assert set(found) == sides
    if sides:
        # A video side of one word is not counted above: text alone has sharp numbers.
        share = 0.3 / len(sides)
        assert found["text" if "text" in sides else "video"] <= num * share + 4 * np.sqrt(num * share)
    if which == "text":
        assert found["text"] >= num * 0.3 - 4 * np.sqrt(num * 0.21)
