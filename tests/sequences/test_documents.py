"""Videos and transcripts as documents: ids, order, clips, and what is left out."""

import numpy as np
import pytest

from videobert_cli.core.sequences.documents import iter_documents, joint_vocabulary
from videobert_cli.core.sequences.segments import ClipSpan
from videobert_cli.core.text.sentences import Sentence
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.text.transcripts import Transcripts
from videobert_cli.core.words.table import WordTable

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cut", "the", "onion", "##s", "now"]


@pytest.fixture
def tokenizer():
    return VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=20)


@pytest.fixture
def words():
    table = WordTable(num_words=20, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    table.add("b", words_T=np.arange(4), clip_start_seconds_T=np.arange(4) * 1.5)
    table.add("silent", words_T=np.array([19]), clip_start_seconds_T=np.zeros(1))
    table.add("empty", words_T=np.zeros(0, dtype=np.int64), clip_start_seconds_T=np.zeros(0))
    return table


def sentence(start, text):
    return Sentence(start_seconds=start, end_seconds=start + 3, text=text)


def documents(words, tokenizer, **sentences):
    transcripts = Transcripts(
        sentences={key: tuple(found) for key, found in sentences.items()}, num_dropped={}, unreadable={}
    )
    ids = ["silent", "b", "empty", *[key for key in sentences if key not in words]]
    return list(iter_documents(ids, words=words, transcripts=transcripts, tokenizer=tokenizer))


def test_words_and_sentences_become_joint_ids_sorted_by_id(words, tokenizer):
    found = documents(
        words, tokenizer, b=[sentence(3, "now"), sentence(0, "cut the onions")], a=[sentence(99, "the")]
    )
    assert [document.id for document in found] == ["a", "b", "silent"]
    text, video, silent = found
    assert (text.words_T.tolist(), text.spans) == ([], (None,))
    assert [ids.tolist() for ids in text.sentences] == [[6]]
    assert video.words_T.tolist() == [11, 12, 13, 14]
    assert [ids.tolist() for ids in video.sentences] == [[5, 6, 7, 8], [9]]
    assert video.spans == (ClipSpan(first=0, stop=2), ClipSpan(first=2, stop=4))
    assert (silent.words_T.tolist(), silent.sentences) == ([30], ())


def test_sentences_after_the_video_or_without_a_token_are_left_out(words, tokenizer):
    (_, video, _) = (
        None,
        *documents(words, tokenizer, b=[sentence(6, "cut"), sentence(0, " "), sentence(2, "the")]),
    )
    assert [ids.tolist() for ids in video.sentences] == [[6]]


def test_names_of_specials_in_a_caption_are_no_specials(words, tokenizer):
    (video, _) = documents(
        words, tokenizer, b=[sentence(0, "cut [MASK] [SEP] the [CLS]"), sentence(1, "[MASK]")]
    )
    specials = {tokenizer.mask_id, tokenizer.sep_id, tokenizer.cls_id, tokenizer.pad_id}
    assert len(video.sentences) == 1
    assert not specials & set(video.sentences[0].tolist())
    assert {5, 6} <= set(video.sentences[0].tolist())


def test_the_vocabulary_has_no_specials_to_replace_tokens_with(tokenizer):
    vocabulary = joint_vocabulary(tokenizer)
    assert vocabulary.text_ids.tolist() == [5, 6, 7, 8, 9]
    assert vocabulary.visual_ids.tolist() == list(range(11, 31))
    assert np.flatnonzero(vocabulary.is_continuation).tolist() == [8]
    assert vocabulary.glue_id == 10
    assert (vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id) == (2, 3, 4)


@pytest.mark.parametrize(
    ("coverage", "spans"),
    [
        ("midpoint", [(0, 2), (2, 3)]),
        ("rounded", [(0, 2), (2, 3)]),
        ("overlap", [(0, 3), (1, 4)]),
        ("grown", [(0, 3), (0, 3)]),
    ],
)
def test_sentences_get_their_clips_by_the_rule_asked_for(words, tokenizer, coverage, spans):
    sentences = (
        Sentence(start_seconds=0.2, end_seconds=3.1, text="cut"),
        Sentence(start_seconds=2.9, end_seconds=5.1, text="the"),
    )
    (video,) = iter_documents(
        ["b"],
        words=words,
        transcripts=Transcripts(sentences={"b": sentences}, num_dropped={}, unreadable={}),
        tokenizer=tokenizer,
        coverage=coverage,
        grown_min_seconds=4.5,
    )
    assert [(span.first, span.stop) for span in video.spans] == spans
