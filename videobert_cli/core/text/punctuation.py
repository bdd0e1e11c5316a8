"""Punctuation for captions that have none, by a token-classification model of transformers."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from videobert_cli.artifacts.hub import quiet_transformers
from videobert_cli.core.text.borrowed_models import place_of_model, unusable_model
from videobert_cli.core.text.cues import Cue
from videobert_cli.errors import InputError

# Shapes: B windows of a batch, T pieces of a window, C labels.

_AT = "pretrain.text.punctuation"
_MARKS = frozenset(".,?!:;")
_ENDS = frozenset(".?!")
_NAMED_MARKS = {
    "PERIOD": ".",
    "FULLSTOP": ".",
    "FULL_STOP": ".",
    "STOP": ".",
    "COMMA": ",",
    "QUESTION": "?",
    "QUESTIONMARK": "?",
    "QUESTION_MARK": "?",
    "EXCLAMATION": "!",
    "EXCLAMATION_MARK": "!",
    "COLON": ":",
    "SEMICOLON": ";",
}
# Captions with a sentence end in fewer than one of so many words are taken for a recogniser's without punctuation.
_WORDS_PER_END = 50
_ENDS_IN_MARK = re.compile(r"[.?!…。！？]")
_MAX_PIECES = 512
_OVERLAP_SHARE = 0.25
_BATCH_NUM_WINDOWS = 8

# Takes the words of a whole transcript, gives the mark behind each: empty, or one of `. , ? ! : ;`.
MarkWords = Callable[[Sequence[str]], Sequence[str]]


def lacks_punctuation(cues: Sequence[Cue]) -> bool:
    """Return whether cues have next to no sentence ends, as a recogniser's without punctuation."""
    words = [word for cue in cues for word in cue.text.split()]
    num_ends = sum(_ENDS_IN_MARK.search(word[-2:]) is not None for word in words)
    return num_ends * _WORDS_PER_END < len(words)


def punctuate(cues: Sequence[Cue], mark_words: MarkWords) -> tuple[Cue, ...]:
    """Return the cues with a mark behind the words that end a sentence or a clause; words and times stay."""
    words = [cue.text.split() for cue in cues]
    marks = iter(mark_words([word for of_cue in words for word in of_cue]))
    return tuple(
        replace(cue, text=" ".join(word + next(marks) for word in of_cue))
        for cue, of_cue in zip(cues, words, strict=True)
    )


class PunctuationModel:
    """A model that says for each word which mark follows it.

    Labels may be the marks themselves (`.`, `,`, `?`, `0`), their names (`PERIOD`, `COMMA`, `O`), or a mark with a case
    (`.U`, `,O`); what is no mark of `. , ? ! : ;` counts as none, and case is not restored. Of a word in several pieces
    the last one speaks, with the third kind of labels the first: so the models that have them were trained.

    Raises:
        InputError: The model cannot be loaded, or none of its labels ends a sentence.
    """

    def __init__(self, model: str, *, device: str) -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        place = place_of_model(model, at=_AT)
        try:
            with quiet_transformers():
                self._tokenizer: Any = AutoTokenizer.from_pretrained(place, add_prefix_space=True)
                self._model: Any = AutoModelForTokenClassification.from_pretrained(
                    place, use_safetensors=True, dtype=torch.float32
                )
        except Exception as error:
            # A wrong name, no network, another kind of model, a missing file: each fails in its own way.
            what = "transformers cannot load this punctuation model"
            raise unusable_model(model, what=what, at=_AT, error=error) from error
        labels = [self._model.config.id2label[number] for number in range(self._model.config.num_labels)]
        self._marks = [mark_of(label) for label in labels]
        self._is_last_piece = not any(_has_case(label) for label in labels)
        if not _ENDS & set(self._marks):
            raise InputError(
                f"none of this model's labels ends a sentence: {', '.join(map(str, labels[:10]))}",
                at=f"{_AT}: {model}",
                fix="take a model whose labels are marks (`.`, `,`, `?`, `0`) or their names (`PERIOD`, `COMMA`, `O`)",
            )
        if not self._tokenizer.is_fast:
            raise InputError(
                "this model has no fast tokenizer", at=f"{_AT}: {model}", fix="take another model"
            )
        self._model.eval().to(device)
        self._device = device
        positions = getattr(self._model.config, "max_position_embeddings", _MAX_PIECES + 2)
        # RoBERTa's first two positions are not for text.
        room = min(_MAX_PIECES, self._tokenizer.model_max_length, positions - 2)
        self._window_num_pieces = room - self._tokenizer.num_special_tokens_to_add()

    def __call__(self, words: Sequence[str]) -> list[str]:
        """Return the mark behind each word, the same each time on one machine; the last word ends a sentence."""
        if not words:
            return []
        marks = [""] * len(words)
        windows = list(_windows(self._num_pieces(words), room=self._window_num_pieces))
        for first in range(0, len(windows), _BATCH_NUM_WINDOWS):
            batch = windows[first : first + _BATCH_NUM_WINDOWS]
            found = self._marks_of([words[window.start : window.stop] for window in batch])
            for window, of_window in zip(batch, found, strict=True):
                for number in range(window.first_taken, window.stop_taken):
                    marks[number] = of_window[number - window.start]
        # Whatever follows is not said any more.
        marks[-1] = marks[-1] if marks[-1] in _ENDS else "."
        return marks

    def _num_pieces(self, words: Sequence[str]) -> list[int]:
        encoded = self._tokenizer(
            list(words), is_split_into_words=True, add_special_tokens=False, verbose=False
        )
        counts = [0] * len(words)
        for word in encoded.word_ids():
            counts[word] += 1
        return counts

    def _marks_of(self, windows: Sequence[Sequence[str]]) -> list[list[str]]:
        encoded = self._tokenizer(
            [list(words) for words in windows],
            is_split_into_words=True,
            truncation=True,
            max_length=self._window_num_pieces + self._tokenizer.num_special_tokens_to_add(),
            padding=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits_BTC = self._model(
                **{name: tensor.to(self._device) for name, tensor in encoded.items()}
            ).logits
        labels_BT = logits_BTC.argmax(dim=-1).tolist()
        found = []
        for number, words in enumerate(windows):
            marks = [""] * len(words)
            seen: set[int] = set()
            for word, label in zip(encoded.word_ids(number), labels_BT[number], strict=True):
                if word is not None and (self._is_last_piece or word not in seen):
                    marks[word] = self._marks[label]
                    seen.add(word)
            found.append(marks)
        return found


@dataclass(frozen=True, kw_only=True)
class _Window:
    """Words `start` to `stop` are shown to the model, its answers for `first_taken` to `stop_taken` are taken."""

    start: int
    stop: int
    first_taken: int
    stop_taken: int


def _windows(num_pieces: Sequence[int], *, room: int) -> Iterator[_Window]:
    """Yield windows of at most `room` pieces that overlap by a quarter; a word is taken far from their edges."""
    start = taken = 0
    while True:
        stop, used = start, 0
        while stop < len(num_pieces) and (stop == start or used + num_pieces[stop] <= room):
            used += num_pieces[stop]
            stop += 1
        is_last = stop == len(num_pieces)
        overlap = 0 if is_last else int((stop - start) * _OVERLAP_SHARE)
        stop_taken = stop - overlap // 2
        yield _Window(start=start, stop=stop, first_taken=taken, stop_taken=stop_taken)
        if is_last:
            return
        start, taken = stop - overlap, stop_taken


def mark_of(label: object) -> str:
    """Return the mark that a label stands for, empty where it stands for none.

    >>> [mark_of(label) for label in (".", "0", "COMMA", "B-QUESTION", ".U", "OU", "-")]
    ['.', '', ',', '?', '.', '', '']
    """
    text = str(label).strip()
    name = re.sub(r"^[BIES]-", "", text.upper())
    if name in _NAMED_MARKS:
        return _NAMED_MARKS[name]
    if _has_case(label):
        text = text[0]
    return text if text in _MARKS else ""


def _has_case(label: object) -> bool:
    """Whether a label is a mark (or O for none) and a case (U or O): `.U`, `OO`."""
    text = str(label)
    return len(text) == 2 and text[0] in _MARKS | {"O", "'", "-"} and text[1] in "UO"
