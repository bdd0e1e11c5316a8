"""The joint vocabulary: BERT's WordPiece for text, the glue `[>]`, and one token for every visual word."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from videobert_cli.artifacts import hash_json, publish_json, publish_text
from videobert_cli.artifacts.hub import fetch_from_hub
from videobert_cli.core.text.vocabulary import (
    CLS,
    CONFIG_NAME,
    GLUE,
    MASK,
    PAD,
    SEP,
    TOKENIZER_NAME,
    UNK,
    VOCABULARY_NAME,
    TextVocabulary,
    corpus_vocabulary,
    read_vocabulary,
)
from videobert_cli.errors import CodebookMismatchError, InputError, MissingInputError

__all__ = ["VideoBERTTokenizer", "corpus_vocabulary"]

_NUM_WORDS_KEY = "num_visual_words"
_TEXT_TYPE = 0
_VIDEO_TYPE = 1


def _bert_backend(vocabulary: TextVocabulary, *, ids: Mapping[str, int]) -> Tokenizer:
    """Return what transformers' BertTokenizer is made of, without its import, which costs a second at every start.

    tests/text holds it to the ids of transformers' own on real sentences.
    """
    backend = Tokenizer(models.WordPiece(dict(ids), unk_token=UNK))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=vocabulary.split_chinese,
        strip_accents=vocabulary.strip_accents,
        lowercase=vocabulary.lowercase,
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    backend.add_special_tokens([PAD, UNK, CLS, SEP, MASK])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(CLS, ids[CLS]), (SEP, ids[SEP])],
    )
    return backend


class VideoBERTTokenizer:
    """Text and visual words as ids of one vocabulary.

    Ids: text tokens 0 to V - 1, as in the BERT they come from; the glue `[>]` V; visual word w V + 1 + w.

    Args:
        vocabulary: The text tokens.
        num_words: Visual words of the codebook.
    """

    def __init__(self, vocabulary: TextVocabulary, *, num_words: int) -> None:
        if num_words < 0:
            raise InputError(f"a tokenizer cannot have {num_words} visual words")
        self.vocabulary = vocabulary
        self.num_words = num_words
        ids = {token: number for number, token in enumerate(vocabulary.tokens)}
        self._backend = _bert_backend(vocabulary, ids=ids)
        # A subtitle that says "[SEP]" is text: it must not be able to end a sequence. `[MASK]` is split off
        # by hand.
        self._backend.encode_special_tokens = True
        self.pad_id, self.unk_id, self.cls_id = ids[PAD], ids[UNK], ids[CLS]
        self.sep_id, self.mask_id = ids[SEP], ids[MASK]

    @classmethod
    def from_vocabulary(cls, tokens: Sequence[str], *, num_words: int, lowercase: bool = True) -> Self:
        """Return the tokenizer of a list of text tokens, ids in their order.

        Raises:
            InputError: A token occurs twice, or one of BERT's five special tokens is missing.
        """
        return cls(TextVocabulary(tokens=tuple(tokens), lowercase=lowercase), num_words=num_words)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, num_words: int | None = None, lowercase: bool | None = None
    ) -> Self:
        """Return a saved joint tokenizer, or one made of a BERT's: a directory, a `vocab.txt`, a name on the hub.

        What exists on this machine is never looked for in the network.

        Args:
            source: A path, or a name such as `bert-base-uncased`.
            num_words: Visual words; needed for a BERT, and checked against a saved joint tokenizer.
            lowercase: Whether to lowercase text, where the source does not say.

        Raises:
            MissingInputError: The path does not exist.
            InputError: The hub does not give it, or it is no BERT vocabulary.
            CodebookMismatchError: The saved tokenizer has another number of visual words.
        """
        vocabulary, config = read_vocabulary(_local(source), lowercase=lowercase)
        saved = _saved_num_words(config, at=str(source))
        wanted = saved if num_words is None else num_words
        if wanted is None:
            raise InputError(
                "this is a text tokenizer: it does not say how many visual words there are",
                at=str(source),
                fix="give num_words (codebook.num_words), or a directory that videobert saved",
            )
        if saved is not None and wanted != saved:
            raise CodebookMismatchError(
                f"the tokenizer has {saved} visual words, the codebook {wanted}",
                at=str(source),
                fix="use the codebook the tokenizer was made with",
            )
        return cls(vocabulary, num_words=wanted)

    def save_pretrained(self, directory: Path | str) -> None:
        """Write vocab.txt, tokenizer.json and tokenizer_config.json; transformers reads the text part as BERT's."""
        directory = Path(directory)
        publish_text(directory / VOCABULARY_NAME, "".join(f"{token}\n" for token in self.vocabulary.tokens))
        publish_text(directory / TOKENIZER_NAME, self._backend.to_str(pretty=True) + "\n")
        config = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.vocabulary.lowercase,
            "strip_accents": self.vocabulary.strip_accents,
            "tokenize_chinese_chars": self.vocabulary.split_chinese,
            "pad_token": PAD,
            "unk_token": UNK,
            "cls_token": CLS,
            "sep_token": SEP,
            "mask_token": MASK,
            _NUM_WORDS_KEY: self.num_words,
        }
        publish_json(directory / CONFIG_NAME, config)

    def content_hash(self) -> str:
        """Return a hash of all that decides which ids a text and a visual word become."""
        rules = self.vocabulary
        return hash_json(
            [
                list(rules.tokens),
                rules.lowercase,
                rules.strip_accents,
                rules.split_chinese,
                self.num_words,
            ]
        )

    @property
    def num_text_tokens(self) -> int:
        """V, the number of text tokens."""
        return len(self.vocabulary.tokens)

    @property
    def glue_id(self) -> int:
        """Id of `[>]`, which stands between text and visual words."""
        return self.num_text_tokens

    @property
    def vocab_size(self) -> int:
        """Size of the joint vocabulary: V + 1 + num_words."""
        return self.num_text_tokens + 1 + self.num_words

    def __len__(self) -> int:
        """Return the size of the joint vocabulary."""
        return self.vocab_size

    def text_ids(self, text: str) -> list[int]:
        """Return the WordPiece ids of a text, without [CLS] and [SEP].

        `[MASK]` becomes the mask's id; the names of all other special tokens are text like any other.
        """
        ids: list[int] = []
        for number, part in enumerate(text.split(MASK)):
            if number:
                ids.append(self.mask_id)
            ids.extend(self._backend.encode(part, add_special_tokens=False).ids)
        return ids

    def is_visual(self, token_id: int) -> bool:
        """Return whether an id is a visual word's."""
        return self.num_text_tokens < token_id < self.vocab_size

    def word_to_id(self, word: int) -> int:
        """Return the id of a visual word.

        Raises:
            CodebookMismatchError: There is no such word.
        """
        if not 0 <= word < self.num_words:
            raise CodebookMismatchError(
                f"visual word {word} does not exist: the tokenizer knows {self.num_words}",
                fix="use the words of the codebook the tokenizer was made with",
            )
        return self.num_text_tokens + 1 + int(word)

    def id_to_word(self, token_id: int) -> int:
        """Return the visual word of an id.

        Raises:
            InputError: The id is not a visual word's.
        """
        if not self.is_visual(token_id):
            raise InputError(
                f"id {token_id} is no visual word ({self.num_text_tokens + 1} to {self.vocab_size - 1} are)"
            )
        return int(token_id) - self.num_text_tokens - 1

    def id_to_token(self, token_id: int) -> str:
        """Return the token of an id: a WordPiece, `[>]`, or a visual word as `v0042`.

        Raises:
            InputError: The id is outside of the vocabulary.
        """
        if not 0 <= token_id < self.vocab_size:
            raise InputError(f"id {token_id} is outside of the vocabulary of {self.vocab_size}")
        if token_id == self.glue_id:
            return GLUE
        if self.is_visual(token_id):
            return f"v{self.id_to_word(token_id):0{len(str(self.num_words - 1))}d}"
        return self.vocabulary.tokens[token_id]

    def decode(self, ids: Iterable[int]) -> str:
        """Return ids as a readable line, `[CLS] now cut the [MASK] [>] v0123 v0007 [SEP]`; pieces joined to words.

        Raises:
            InputError: An id is outside of the vocabulary.
        """
        return " ".join(self.id_to_token(int(token_id)) for token_id in ids).replace(" ##", "")

    def __call__(
        self, text: str | None = None, words: Sequence[int] | np.ndarray | None = None
    ) -> dict[str, list[int]]:
        """Return `input_ids` and `token_type_ids` of one sequence.

        `[CLS] text [>] words [SEP]`, or `[CLS] text [SEP]` or `[CLS] words [SEP]` where the other side is None. Types:
        0 up to and with `[>]`, 1 from the first word on.

        Raises:
            CodebookMismatchError: A word does not exist.
        """
        before = [self.cls_id, *(self.text_ids(text) if text is not None else [])]
        if words is None:
            ids = [*before, self.sep_id]
            return {"input_ids": ids, "token_type_ids": [_TEXT_TYPE] * len(ids)}
        if text is not None:
            before.append(self.glue_id)
        after = [*(self.word_to_id(int(word)) for word in words), self.sep_id]
        types = [_TEXT_TYPE] * len(before) + [_VIDEO_TYPE] * len(after)
        return {"input_ids": [*before, *after], "token_type_ids": types}


def _saved_num_words(config: Mapping[str, Any], *, at: str) -> int | None:
    saved = config.get(_NUM_WORDS_KEY)
    if saved is not None and (not isinstance(saved, int) or isinstance(saved, bool) or saved < 0):
        raise InputError(f"{_NUM_WORDS_KEY} is {saved!r}, not a number of visual words", at=at)
    return saved


def _local(source: str | Path) -> Path:
    """Return the path itself where it exists, else the hub's files of that name, fetched or from the cache."""
    path = Path(source).expanduser()
    if path.exists():
        return path
    if _looks_like_path(str(source)):
        raise MissingInputError(
            "there is no such tokenizer or vocabulary",
            at=str(source),
            fix="check the path, or use vocabulary: corpus",
        )
    return _from_hub(str(source))


def _looks_like_path(source: str) -> bool:
    """Whether a name cannot be one of the hub, which are `name` or `owner/name`."""
    return (
        source.startswith(("/", ".", "~")) or source.count("/") > 1 or source.endswith((".txt", ".json", "/"))
    )


def _from_hub(name: str) -> Path:
    return fetch_from_hub(
        name,
        files=(VOCABULARY_NAME, TOKENIZER_NAME, CONFIG_NAME),
        at=name,
        fix="check the name and the network, or give a local directory, a vocab.txt, or vocabulary: corpus",
    )
