"""Documents as flat arrays: nothing lost on the way to disk and back, made once, made again where they must be."""

import pytest
from hypothesis import HealthCheck, given, settings
from sequence_samples import corpora, document, samples, transcript

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.sequences.corpus import TokenCorpus, cached_corpus, write_corpus
from videobert_cli.errors import ArtifactError

FREE = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MADE = {"settings": {"coverage": "midpoint"}, "parents": {"words": "a"}}


def same(one, other):
    return (
        one.id == other.id
        and one.words_T.tolist() == other.words_T.tolist()
        and [ids.tolist() for ids in one.sentences] == [ids.tolist() for ids in other.sentences]
        and one.spans == other.spans
    )


@FREE
@given(documents=corpora())
def test_documents_come_back_as_they_were_from_memory_and_from_disk(documents, tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus") / "tokens"
    write_corpus(directory, iter(documents), **MADE)
    for corpus in (TokenCorpus.from_documents(documents), TokenCorpus.open(directory)):
        assert len(corpus) == len(documents)
        assert all(same(one, other) for one, other in zip(corpus, documents, strict=True))
        assert same(corpus[-1], documents[-1])
        assert corpus.num_sentences_in_all == sum(len(d.sentences) for d in documents)


@FREE
@given(documents=corpora())
def test_sequences_are_the_same_from_memory_and_from_disk(documents, tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus") / "tokens"
    write_corpus(directory, documents, **MADE)
    one, other = samples(documents), samples(TokenCorpus.open(directory))
    assert one.num_samples == other.num_samples
    for number in range(one.epoch_size + 3):
        assert (one.sequence(number).input_ids == other.sequence(number).input_ids).all()


def test_no_documents_are_a_corpus_too(tmp_path):
    write_corpus(tmp_path / "tokens", [], **MADE)
    assert len(TokenCorpus.open(tmp_path / "tokens")) == 0
    assert list(TokenCorpus.from_documents([])) == []


def test_ids_are_any_text(tmp_path):
    names = ["a", "küche/日本", "bad\udcff", ""]
    write_corpus(tmp_path / "tokens", [transcript(name, lengths=[2]) for name in names], **MADE)
    assert [document.id for document in TokenCorpus.open(tmp_path / "tokens")] == names


class Maker:
    def __init__(self, *documents):
        self.documents, self.num_calls = documents, 0

    def __call__(self):
        self.num_calls += 1
        return self.documents


def test_it_is_made_once_and_again_where_it_was_made_from_other_things(tmp_path):
    make = Maker(document("v", num_clips=9, sentences=[(4, 0, 3)]))
    for _ in range(2):
        assert len(cached_corpus(tmp_path / "tokens", make, **MADE)) == 1
    assert make.num_calls == 1
    for changed in ({"settings": {"coverage": "overlap"}}, {"parents": {"words": "b"}}):
        cached_corpus(tmp_path / "tokens", make, **{**MADE, **changed})
    assert make.num_calls == 3
    facts = read_manifest(tmp_path / "tokens", kind="tokens").facts
    assert facts == {"num_documents": 1, "num_sentences": 1, "num_tokens": 4, "num_words": 9}


@pytest.mark.parametrize("name", ["tokens.npy", "spans.npy", "manifest.json"])
def test_a_damaged_one_is_made_again(tmp_path, name):
    make = Maker(document("v", num_clips=9, sentences=[(4, 0, 3)]))
    cached_corpus(tmp_path / "tokens", make, **MADE)
    path = tmp_path / "tokens" / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtifactError):
        TokenCorpus.open(tmp_path / "tokens")
    assert same(cached_corpus(tmp_path / "tokens", make, **MADE)[0], make.documents[0])
    assert make.num_calls == 2
