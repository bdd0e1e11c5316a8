"""Vocabularies: read from the files of a BERT, or made from the corpus, the same each time."""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import normalizers, pre_tokenizers

from videobert_cli.errors import InputError

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
GLUE = "[>]"
VOCABULARY_NAME = "vocab.txt"
TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
_CONTINUATION = "##"
_ASCII = "abcdefghijklmnopqrstuvwxyz0123456789"
_MAX_FILE_BYTES = 64 << 20
# WordPiece reads a longer word as [UNK] whatever the vocabulary holds.
_MAX_WORD_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class TextVocabulary:
    """Text tokens in order of their ids, and how text becomes words before they are looked up."""

    tokens: tuple[str, ...]
    lowercase: bool
    strip_accents: bool | None = None
    split_chinese: bool = True

    def __post_init__(self) -> None:
        """Refuse tokens that no tokenizer can be made of."""
        missing = [token for token in SPECIAL_TOKENS if token not in self.tokens]
        if missing:
            raise InputError(
                f"the vocabulary lacks {', '.join(missing)}",
                fix="use the vocab.txt of a BERT, or vocabulary: corpus",
            )
        if len(set(self.tokens)) != len(self.tokens):
            repeated = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise InputError(f"the vocabulary holds {repeated!r} twice", fix="use the vocab.txt of a BERT")


def corpus_vocabulary(texts: Iterable[str], *, min_count: int, max_size: int, lowercase: bool) -> list[str]:
    """Return a vocabulary made from texts: the same list for the same multiset of texts, on every machine.

    `[PAD] [UNK] [CLS] [SEP] [MASK]`, then ASCII letters and digits and every character seen, sorted, then the
    same as `##` continuations, then the words that occur `min_count` times, by falling count, ties by
    spelling. So every text of seen characters is spelt without [UNK], unless `max_size` cuts the rarest
    characters off (or a word is longer than 100 letters). tokenizers' own WordPiece training gives other ids
    each time (huggingface/tokenizers#1794).
    """
    normalizer = _normalizer(lowercase=lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    ascii_characters = _ASCII if lowercase else _ASCII + _ASCII[:26].upper()
    room = (max_size - len(SPECIAL_TOKENS)) // 2
    characters = _frequent_characters(counts, always=ascii_characters, room=room)
    words = sorted(
        (
            word
            for word, count in counts.items()
            if count >= min_count and 1 < len(word) <= _MAX_WORD_CHARACTERS and word not in SPECIAL_TOKENS
        ),
        key=lambda word: (-counts[word], word),
    )
    tokens = [*SPECIAL_TOKENS, *characters, *(_CONTINUATION + character for character in characters)]
    taken = set(tokens)
    tokens.extend(word for word in words if word not in taken)
    return tokens[:max_size]


def read_vocabulary(source: Path, *, lowercase: bool | None) -> tuple[TextVocabulary, dict[str, Any]]:
    """Return the vocabulary of a `vocab.txt` or of a directory in transformers' layout, and the directory's config.

    `lowercase` is used where no file says it; with None too, text is lowercased as bert-base-uncased does.

    Raises:
        InputError: There is no vocabulary, or it is not one of WordPiece.
    """
    if source.is_file():
        return TextVocabulary(tokens=_tokens_of_lines(_read(source)), lowercase=lowercase is not False), {}
    config = _read_json(source / CONFIG_NAME) if (source / CONFIG_NAME).is_file() else {}
    if (source / VOCABULARY_NAME).is_file():
        tokens = _tokens_of_lines(_read(source / VOCABULARY_NAME))
        normalizer: dict[str, Any] = {}
    elif (source / TOKENIZER_NAME).is_file():
        tokens, normalizer = _tokens_of_tokenizer(source / TOKENIZER_NAME)
    else:
        raise InputError(
            "there is no vocabulary in this directory",
            at=str(source),
            fix=f"give a directory with {VOCABULARY_NAME} or {TOKENIZER_NAME}, or the path of a vocab.txt",
        )
    settings = {
        "do_lower_case": config.get("do_lower_case", normalizer.get("lowercase", lowercase)),
        "strip_accents": config.get("strip_accents", normalizer.get("strip_accents")),
        "tokenize_chinese_chars": config.get(
            "tokenize_chinese_chars", normalizer.get("handle_chinese_chars")
        ),
    }
    for name, value in settings.items():
        if value is not None and not isinstance(value, bool):
            raise InputError(f"{name} is {value!r}, not true or false", at=str(source))
    vocabulary = TextVocabulary(
        tokens=tokens,
        lowercase=settings["do_lower_case"] is not False,
        strip_accents=settings["strip_accents"],
        split_chinese=settings["tokenize_chinese_chars"] is not False,
    )
    return vocabulary, config


def _frequent_characters(counts: Counter[str], *, always: str, room: int) -> list[str]:
    seen: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            seen[character] += count
    others = sorted((character for character in seen if character not in always), key=lambda c: (-seen[c], c))
    return sorted([*always, *others[: max(0, room - len(always))]])


def _normalizer(*, lowercase: bool) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lowercase
    )


def _tokens_of_lines(text: str) -> tuple[str, ...]:
    # Split at \n alone: str.splitlines would also split at the separators that are tokens of their own.
    lines = text.replace("\r\n", "\n").split("\n")
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def _tokens_of_tokenizer(path: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    document = _read_json(path)
    model = document.get("model")
    ids = (
        model.get("vocab")
        if isinstance(model, dict) and model.get("type", "WordPiece") == "WordPiece"
        else None
    )
    normalizer = document.get("normalizer") or {}
    if not isinstance(ids, dict) or not isinstance(normalizer, dict) or not _are_numbers_from_0(ids.values()):
        raise InputError("this is not the tokenizer of a BERT (WordPiece with ids from 0 up)", at=str(path))
    return tuple(sorted(ids, key=lambda token: int(ids[token]))), normalizer


def _are_numbers_from_0(values: Collection[Any]) -> bool:
    return all(type(value) is int for value in values) and sorted(values) == list(range(len(values)))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON ({error})", at=str(path)) from error
    if not isinstance(document, dict):
        raise InputError("this is not a JSON object", at=str(path))
    return document


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError(f"the file is larger than {_MAX_FILE_BYTES >> 20} MB", at=str(path))
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the vocabulary cannot be read ({error})", at=str(path)) from error
