"""Sequences in readable form: plain text with marks, data, and a page that no subtitle can break."""

import json

import numpy as np
import pytest
from pages import HOSTILE, require_self_contained

from videobert_cli.core.reports.html import jpeg_uri
from videobert_cli.core.reports.sequences import ShownClip, sequences_page, shown_sequence
from videobert_cli.core.sequences.documents import iter_documents, joint_vocabulary
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.origins import SequenceTracer
from videobert_cli.core.text.sentences import Sentence
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer, corpus_vocabulary
from videobert_cli.core.text.transcripts import Transcripts
from videobert_cli.core.words.table import WordTable

SAID = (("now", "twice", "thinly", "again"), ("slowly", "first", "later", "last"))
PICTURE = jpeg_uri(np.zeros((32, 32, 3), dtype=np.uint8))


def shown(*, text="cut the onion", names=("a", "b"), num=24, **options):
    """Two videos of 12 clips, a sentence for every three; their first `num` sequences."""
    words = WordTable(num_words=24, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    sentences = {}
    for number, name in enumerate(names):
        words.add(name, words_T=np.arange(12) + 12 * number, clip_start_seconds_T=np.arange(12) * 1.5)
        sentences[name] = tuple(
            Sentence(start_seconds=4.5 * k, end_seconds=4.5 * (k + 1), text=f"{text} {said}")
            for k, said in enumerate(SAID[number])
        )
    vocabulary = corpus_vocabulary([text, *sum(SAID, ())] * 5, min_count=1, max_size=200, lowercase=True)
    tokenizer = VideoBERTTokenizer.from_vocabulary(vocabulary, num_words=24)
    transcripts = Transcripts(sentences=sentences, num_dropped={}, unreadable={})
    documents = list(iter_documents(names, words=words, transcripts=transcripts, tokenizer=tokenizer))
    tracer = SequenceTracer(
        documents, options=SequenceOptions(**options), vocabulary=joint_vocabulary(tokenizer), seed=0
    )
    by_id = {document.id: document for document in documents}
    traced = [tracer.trace(number) for number in range(num)]
    return [
        shown_sequence(
            found, number=number, document=by_id[found.document_id], tokenizer=tokenizer, words=words
        )
        for number, found in enumerate(traced, start=1)
    ]


def test_plain_text_says_regime_pairing_place_and_marks():
    sequences = shown(
        join_probability=0.0,
        max_subsampling=1,
        negative_fraction=1.0,
        same_video_negative_fraction=0.0,
        mask_fraction=0.5,
        text_only_share=0.0,
        video_only_share=0.0,
    )
    for sequence in sequences:
        assert (sequence.regime, sequence.pairing) == ("video_text", "other_video")
        title, tokens, text_from, words_from = sequence.lines()
        assert title == f"sequence {sequence.number}: video and text, not aligned: words from another video"
        assert tokens.startswith("  [CLS] ")
        assert tokens.endswith(" [SEP]")
        assert tokens.count("[>]") == 1
        own, other = text_from.split()[2].rstrip(","), words_from.split()[2].rstrip(",")
        assert {own, other} == {"a", "b"}
        # Nothing is asked of what does not belong together, though it is masked all the same.
        assert not any(token.is_predicted for token in sequence.tokens)
    assert any("?]" in sequence.lines()[1] for sequence in sequences)


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ({"video_only_share": 0.0, "video_text_share": 0.0}, "text only"),
        ({"text_only_share": 0.0, "video_text_share": 0.0, "video_only_num_words": 4}, "video only"),
        (
            {"text_only_share": 0.0, "video_only_share": 0.0, "negative_fraction": 0.0},
            "video and text, aligned",
        ),
        (
            {
                "text_only_share": 0.0,
                "video_only_share": 0.0,
                "negative_fraction": 1.0,
                "same_video_negative_fraction": 1.0,
                "join_probability": 0.0,
            },
            "video and text, not aligned: words from elsewhere in the same video",
        ),
    ],
)
def test_each_regime_and_pairing_has_its_name(options, title):
    assert {sequence.title for sequence in shown(num=6, **options)} == {title}


def test_marks_and_data_tell_what_was_there():
    sequences = shown(mask_fraction=0.6)
    marks = set()
    for sequence in sequences:
        record = json.loads(json.dumps(sequence.record()))
        assert len(record["tokens"]) == len(sequence.tokens)
        for token, values in zip(sequence.tokens, record["tokens"], strict=True):
            marks.add((token.state, token.is_predicted))
            expected = {
                "plain": token.original,
                "masked": f"[MASK={token.original}{'' if token.is_predicted else '?'}]",
                "replaced": f"{{{token.token}={token.original}{'' if token.is_predicted else '?'}}}",
                "kept": f"{{{token.original}}}",
            }
            assert token.marked == expected[token.state]
            if token.clip is not None:
                # Word k of video a is clip k, of video b clip k - 12.
                clip = token.word - 12 * "ab".index(token.clip.video_id)
                assert token.clip.start_seconds == values["start_seconds"] == 1.5 * clip
                assert values["word"] == token.word
    assert {
        ("masked", True),
        ("replaced", True),
        ("kept", True),
        ("plain", False),
        ("masked", False),
    } <= marks


def test_the_page_is_whole_and_hostile_subtitles_are_text():
    sequences = shown(text=f"cut {HOSTILE}", names=("a", f"b {HOSTILE}"), num=12)
    clips = [token.clip for sequence in sequences for token in sequence.tokens if token.clip]
    html = sequences_page(
        sequences,
        title=HOSTILE,
        pictures={clips[0]: PICTURE, ShownClip(video_id="?", start_seconds=0.0): PICTURE},
        examples={0: PICTURE},
        notes=[HOSTILE],
    )
    parsed = require_self_contained(html)
    assert HOSTILE in parsed.text
    assert len(parsed.having("section")) == 12
    assert len(parsed.having("figure")) == len(clips)
    assert parsed.classed("no-picture")
    assert "[MASK] was" in parsed.text
