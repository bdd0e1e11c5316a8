"""The joint tokenizer: ids, parity with transformers' BERT, corpus vocabularies, saving and loading."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from videobert_cli.core.text.tokenizer import VideoBERTTokenizer, corpus_vocabulary
from videobert_cli.errors import CodebookMismatchError, InputError, MissingInputError

SHARED = Path(__file__).parents[2] / "../shared/data/annotations"
TEXTS = ["Now cut the onion.", "now fry the onion in olive oil!", "Sauté 2 eggs", "cut the eggs"]


def vocabulary(texts=TEXTS, **options):
    return corpus_vocabulary(texts, **{"min_count": 2, "max_size": 1000, "lowercase": True, **options})


def tokenizer(num_words=20_736, **options):
    return VideoBERTTokenizer.from_vocabulary(vocabulary(**options), num_words=num_words)


def test_ids_are_text_then_glue_then_words():
    found = tokenizer(144)
    num_text = len(vocabulary())
    assert (found.num_text_tokens, found.glue_id, found.vocab_size, len(found)) == (
        num_text,
        num_text,
        num_text + 145,
        num_text + 145,
    )
    assert (found.pad_id, found.unk_id, found.cls_id, found.sep_id, found.mask_id) == (0, 1, 2, 3, 4)
    assert found.word_to_id(0) == num_text + 1
    assert found.word_to_id(143) == found.vocab_size - 1
    assert [
        found.is_visual(i) for i in (0, num_text - 1, num_text, num_text + 1, num_text + 144, num_text + 145)
    ] == [False, False, False, True, True, False]


@given(st.integers(0, 20_735))
def test_word_and_id_are_one_to_one(word):
    found = SHARED_TOKENIZER
    assert found.id_to_word(found.word_to_id(word)) == word
    assert found.is_visual(found.word_to_id(word))


SHARED_TOKENIZER = tokenizer()


def test_what_does_not_exist_is_refused():
    found = tokenizer(144)
    with pytest.raises(
        CodebookMismatchError, match="visual word 144 does not exist: the tokenizer knows 144"
    ):
        found.word_to_id(144)
    with pytest.raises(CodebookMismatchError, match="visual word -1"):
        found(words=[0, -1])
    with pytest.raises(InputError, match="is no visual word"):
        found.id_to_word(found.glue_id)
    with pytest.raises(InputError, match="outside of the vocabulary"):
        found.decode([found.vocab_size])
    with pytest.raises(InputError, match="-3 visual words"):
        tokenizer(-3)


def test_a_sequence_reads_as_the_papers_example():
    found = SHARED_TOKENIZER
    encoded = found("now cut the [MASK]", words=[123, 7])
    assert found.decode(encoded["input_ids"]) == "[CLS] now cut the [MASK] [>] v00123 v00007 [SEP]"
    assert encoded["token_type_ids"] == [0] * 6 + [1] * 3
    assert found.decode(found("cut")["input_ids"]) == "[CLS] cut [SEP]"
    assert found("cut")["token_type_ids"] == [0, 0, 0]
    assert found.decode(found(words=[5])["input_ids"]) == "[CLS] v00005 [SEP]"
    assert found(words=[5])["token_type_ids"] == [0, 1, 1]
    assert found.decode(found("", words=[])["input_ids"]) == "[CLS] [>] [SEP]"
    assert tokenizer(144).decode(tokenizer(144)("xyz", words=[7])["input_ids"]) == "[CLS] xyz [>] v007 [SEP]"


def test_a_subtitle_cannot_forge_a_border():
    ids = SHARED_TOKENIZER.text_ids("[SEP] [CLS] [>] [PAD] [UNK] v00001")
    assert not {0, 2, 3, 4, SHARED_TOKENIZER.glue_id} & set(ids)
    assert SHARED_TOKENIZER.text_ids("cut [MASK]the").count(SHARED_TOKENIZER.mask_id) == 1


def test_a_corpus_vocabulary_is_the_same_for_any_order_and_says_what_it_holds():
    tokens = vocabulary()
    assert tokens == vocabulary(TEXTS[::-1])
    assert tokens[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = tokens[
        5 : 5 + (len(tokens) - 5 - len([t for t in tokens[5:] if len(t.removeprefix("##")) > 1])) // 2
    ]
    assert characters == sorted({*"abcdefghijklmnopqrstuvwxyz0123456789.!"})
    assert tokens[5 + len(characters) : 5 + 2 * len(characters)] == [
        "##" + character for character in characters
    ]
    # By falling count, ties by spelling; "fry" and "in" occur once.
    assert tokens[5 + 2 * len(characters) :] == ["the", "cut", "eggs", "now", "onion"]
    assert len(set(tokens)) == len(tokens)


def test_case_is_kept_where_asked():
    tokens = vocabulary(["Cut Ärger", "Cut"], lowercase=False)
    assert {"Cut", "Ä", "##Z", "Z"} <= set(tokens)
    cased = VideoBERTTokenizer.from_vocabulary(tokens, num_words=1, lowercase=False)
    assert cased.text_ids("Cut") != cased.text_ids("cut")
    assert cased.unk_id not in cased.text_ids("Ärger")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8), st.booleans(), st.data())
def test_text_of_seen_characters_is_spelt_without_unknowns(texts, lowercase, data):
    tokens = corpus_vocabulary(texts, min_count=2, max_size=30_000, lowercase=lowercase)
    found = VideoBERTTokenizer.from_vocabulary(tokens, num_words=1, lowercase=lowercase)
    for text in texts:
        assert found.unk_id not in found.text_ids(text)
    # Any mixture of words that occur, and of ASCII letters, is spelt too.
    pieces = [token.removeprefix("##") for token in tokens[5:]]
    mixed = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=20)))
    assert len(mixed) > 100 or found.unk_id not in found.text_ids(mixed)


def test_the_largest_size_holds_and_cuts_the_rarest():
    texts = ["".join(chr(0x4E00 + i) for i in range(500)), "一一一 onion onion onion"]
    tokens = vocabulary(texts, max_size=300)
    assert len(tokens) <= 300
    assert "一" in tokens
    assert "##z" in tokens
    assert chr(0x4E00 + 499) not in tokens
    assert len(vocabulary([f"word{i} word{i}" for i in range(900)], max_size=200)) == 200


def test_saved_and_loaded_it_is_the_same_and_saves_the_same_bytes(tmp_path):
    SHARED_TOKENIZER.save_pretrained(tmp_path / "a")
    loaded = VideoBERTTokenizer.from_pretrained(tmp_path / "a")
    assert loaded.num_words == 20_736
    assert loaded("sauté the onions", words=[3]) == SHARED_TOKENIZER("sauté the onions", words=[3])
    loaded.save_pretrained(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    with pytest.raises(CodebookMismatchError, match="has 20736 visual words, the codebook 144"):
        VideoBERTTokenizer.from_pretrained(tmp_path / "a", num_words=144)


def test_transformers_reads_the_text_part_of_what_we_save(tmp_path):
    SHARED_TOKENIZER.save_pretrained(tmp_path)
    theirs = BertTokenizer.from_pretrained(tmp_path)
    assert theirs("now fry the egg")["input_ids"][1:-1] == SHARED_TOKENIZER.text_ids("now fry the egg")


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_berts_directory_and_files_give_its_ids(tmp_path, lowercase):
    tokens = vocabulary(lowercase=lowercase)
    theirs = BertTokenizer(vocab={token: i for i, token in enumerate(tokens)}, do_lower_case=lowercase)
    theirs.save_pretrained(tmp_path / "both")
    (tmp_path / "only_txt").mkdir()
    (tmp_path / "only_txt" / "vocab.txt").write_text("\n".join(tokens) + "\n")
    text = "Now Sauté the onion, [MASK] it!"
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    for source in (tmp_path / "both", tmp_path / "only_txt", tmp_path / "only_txt" / "vocab.txt"):
        found = VideoBERTTokenizer.from_pretrained(source, num_words=9, lowercase=lowercase)
        assert found.text_ids(text) == expected, source
    with pytest.raises(InputError, match="does not say how many visual words"):
        VideoBERTTokenizer.from_pretrained(tmp_path / "both")


def test_ids_with_holes_special_tokens_missing_or_doubled_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"lacks \[CLS\], \[MASK\]"):
        VideoBERTTokenizer.from_vocabulary(["[PAD]", "[UNK]", "[SEP]", "a"], num_words=1)
    with pytest.raises(InputError, match="holds 'a' twice"):
        VideoBERTTokenizer.from_vocabulary([*vocabulary(), "a"], num_words=1)
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"type": "WordPiece", "vocab": {"a": 0, "b": 2}}})
    )
    with pytest.raises(InputError, match="not the tokenizer of a BERT"):
        VideoBERTTokenizer.from_pretrained(tmp_path, num_words=1)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}}}))
    with pytest.raises(InputError, match="not the tokenizer of a BERT"):
        VideoBERTTokenizer.from_pretrained(tmp_path, num_words=1)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="no vocabulary in this directory"):
        VideoBERTTokenizer.from_pretrained(tmp_path, num_words=1)
    SHARED_TOKENIZER.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"num_visual_words": "many"}')
    with pytest.raises(InputError, match="'many', not a number of visual words"):
        VideoBERTTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        VideoBERTTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        VideoBERTTokenizer.from_pretrained(tmp_path / "vocab.txt", num_words=1)


@pytest.mark.parametrize("key", ["do_lower_case", "strip_accents", "tokenize_chinese_chars"])
@pytest.mark.parametrize("value", ["false", 3, [1], {"a": 1}])
def test_p42_settings_that_are_no_truth_values_are_refused(key, value, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({key: value}))
    with pytest.raises(InputError, match=f"{key} is .*, not true or false") as caught:
        VideoBERTTokenizer.from_pretrained(tmp_path, num_words=1)
    assert caught.value.at == str(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({key: None}))
    assert VideoBERTTokenizer.from_pretrained(tmp_path, num_words=1).vocabulary.lowercase


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": "lowercase"},
        {"normalizer": [1]},
        {"vocab": {"a": "0", "b": 1}},
        {"vocab": {"a": None, "b": 1}},
    ],
)
def test_p42_a_tokenizer_of_odd_parts_is_refused(changes, tmp_path):
    ids = {token: number for number, token in enumerate(vocabulary())}
    model = {"type": "WordPiece", "vocab": changes.get("vocab", ids)}
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": model, "normalizer": changes.get("normalizer")})
    )
    with pytest.raises(InputError, match="not the tokenizer of a BERT"):
        VideoBERTTokenizer.from_pretrained(tmp_path, num_words=1)


def test_a_path_is_never_looked_for_in_the_network_and_a_name_that_fails_says_so(monkeypatch, tmp_path):
    with pytest.raises(MissingInputError, match="no such tokenizer"):
        VideoBERTTokenizer.from_pretrained("./nowhere/vocab.txt", num_words=1)
    with pytest.raises(MissingInputError, match="no such tokenizer"):
        VideoBERTTokenizer.from_pretrained(tmp_path / "none", num_words=1)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("nobody-has-this/tokenizer-4711", "not a name!"):
        with pytest.raises(InputError, match="the hub gave no model of that name") as raised:
            VideoBERTTokenizer.from_pretrained(name, num_words=1)
        assert "vocabulary: corpus" in raised.value.fix


def test_real_sentences_get_the_ids_of_transformers_bert():
    vocab, sentences = SHARED / "bert_vocab/vocab.txt", SHARED / "youcook2/yc2_annotations_trainval.json"
    if not (vocab.is_file() and sentences.is_file()):
        pytest.skip("shared data not here")
    videos = json.loads(sentences.read_text())["database"].values()
    texts = [step["sentence"] for video in videos for step in video["annotations"]][::69][:200]
    assert len(texts) == 200
    theirs = BertTokenizer(
        vocab={t: i for i, t in enumerate(vocab.read_text().split("\n")[:-1])}, do_lower_case=True
    )
    ours = VideoBERTTokenizer.from_pretrained(vocab, num_words=20_736)
    assert ours.vocab_size == 51_259
    for text in [*texts, "Crème brûlée – 350°F!", "[MASK] the 洋葱"]:
        assert ours.text_ids(text) == theirs(text, add_special_tokens=False)["input_ids"]
