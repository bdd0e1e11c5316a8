"""Training sequences as people read them: the tokens with what was masked, the words with the clips they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from videobert_cli.core.reports.html import clock, render_page
from videobert_cli.core.sequences.dataset import Document, Regime
from videobert_cli.core.sequences.mask import NO_LOSS
from videobert_cli.core.sequences.origins import ClipOrigin, TracedSequence
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.words.table import WordTable

State = Literal["plain", "masked", "replaced", "kept"]
Pairing = Literal["none", "aligned", "same_video", "other_video"]
REGIME_NAMES: dict[Regime, str] = {"text": "text only", "video": "video only", "video_text": "video and text"}
PAIRING_NAMES: dict[Pairing, str] = {
    "none": "",
    "aligned": "aligned",
    "same_video": "not aligned: words from elsewhere in the same video",
    "other_video": "not aligned: words from another video",
}
MARKS = "[MASK=x] masked, {y=x} replaced by y, {x} kept as it is; the model is to say x, with ? where it is not asked"


@dataclass(frozen=True, kw_only=True)
class ShownClip:
    """A clip of a video, in seconds from the first shown frame."""

    video_id: str
    start_seconds: float


@dataclass(frozen=True, kw_only=True)
class ShownToken:
    """One position: the token that the model sees, the one that was there, and whether the model is to say it.

    `word` is the visual word that was there and `clip` where it comes from, both None for text and specials.
    """

    token: str
    original: str
    state: State
    is_predicted: bool
    word: int | None = None
    clip: ShownClip | None = None

    @property
    def marked(self) -> str:
        """The token as plain text with its mark (`MARKS`)."""
        asked = "" if self.is_predicted else "?"
        if self.state == "masked":
            return f"[MASK={self.original}{asked}]"
        if self.state == "replaced":
            return f"{{{self.token}={self.original}{asked}}}"
        return f"{{{self.token}}}" if self.state == "kept" else self.token


@dataclass(frozen=True, kw_only=True)
class ShownSequence:
    """One sequence: whose sample it is, how text and words belong together, where each is in time, and its tokens."""

    number: int
    regime: Regime
    pairing: Pairing
    text_from: str
    words_from: str
    tokens: tuple[ShownToken, ...]

    @property
    def title(self) -> str:
        """Regime and pairing in words."""
        return ", ".join(part for part in (REGIME_NAMES[self.regime], PAIRING_NAMES[self.pairing]) if part)

    def lines(self) -> list[str]:
        """Return the sequence as plain text."""
        return [
            f"sequence {self.number}: {self.title}",
            "  " + " ".join(token.marked for token in self.tokens).replace(" ##", ""),
            *([f"  text of   {self.text_from}"] if self.text_from else []),
            *([f"  words of  {self.words_from}"] if self.words_from else []),
        ]

    def record(self) -> dict[str, Any]:
        """Return the sequence as plain values for `--json`."""
        return {
            "number": self.number,
            "regime": self.regime,
            "pairing": self.pairing,
            "text_from": self.text_from,
            "words_from": self.words_from,
            "tokens": [
                {
                    "token": token.token,
                    "original": token.original,
                    "state": token.state,
                    "is_predicted": token.is_predicted,
                    "word": token.word,
                    "video": token.clip.video_id if token.clip else None,
                    "start_seconds": token.clip.start_seconds if token.clip else None,
                }
                for token in self.tokens
            ],
        }


def shown_sequence(
    traced: TracedSequence,
    *,
    number: int,
    document: Document,
    tokenizer: VideoBERTTokenizer,
    words: WordTable,
) -> ShownSequence:
    """Return a traced sequence of `document` in readable form; `words` has the clips' times."""
    sequence = traced.sequence
    tokens = tuple(
        _token(
            int(seen),
            int(original),
            tokenizer=tokenizer,
            is_predicted=bool(label != NO_LOSS),
            origin=origin,
            words=words,
        )
        for seen, original, label, origin in zip(
            sequence.input_ids, traced.original_ids_S, sequence.labels, traced.origins, strict=True
        )
    )
    return ShownSequence(
        number=number,
        regime=traced.regime,
        pairing=_pairing(traced),
        text_from=_text_place(traced, document, words=words),
        words_from=_words_place([token.clip for token in tokens if token.clip], words=words),
        tokens=tokens,
    )


def sequences_page(
    shown: Sequence[ShownSequence],
    *,
    title: str,
    pictures: dict[ShownClip, str],
    examples: dict[int, str],
    notes: Sequence[str],
) -> str:
    """Return the page: the tokens of each sequence, its words with a picture of the clip and one of the word's nearest.

    `pictures` are `data:` addresses of clips, `examples` of the clip nearest to each word.
    """
    return render_page(
        "sequences.html", title=title, sequences=shown, pictures=pictures, examples=examples, notes=notes
    )


def _token(
    seen: int,
    original: int,
    *,
    tokenizer: VideoBERTTokenizer,
    is_predicted: bool,
    origin: ClipOrigin | None,
    words: WordTable,
) -> ShownToken:
    state: State = "kept" if is_predicted else "plain"
    if seen != original:
        state = "masked" if seen == tokenizer.mask_id else "replaced"
    clip = None
    if origin is not None:
        start = float(words.clip_start_seconds(origin.document_id)[origin.clip])
        clip = ShownClip(video_id=origin.document_id, start_seconds=start)
    return ShownToken(
        token=tokenizer.id_to_token(seen),
        original=tokenizer.id_to_token(original),
        state=state,
        is_predicted=is_predicted,
        word=tokenizer.id_to_word(original) if tokenizer.is_visual(original) else None,
        clip=clip,
    )


def _pairing(traced: TracedSequence) -> Pairing:
    if traced.sequence.alignment == NO_LOSS:
        return "none"
    if traced.sequence.alignment:
        return "aligned"
    is_same = all(origin is None or origin.document_id == traced.document_id for origin in traced.origins)
    return "same_video" if is_same else "other_video"


def _text_place(traced: TracedSequence, document: Document, *, words: WordTable) -> str:
    if traced.regime == "video":
        return ""
    spans = [span for span in document.spans[slice(*(traced.sentences or (0, 0)))] if span is not None]
    if not spans:
        return document.id
    first, stop = min(span.first for span in spans), max(span.stop for span in spans)
    starts_T = words.clip_start_seconds(document.id)
    end = float(starts_T[stop - 1]) + words.clip_length_seconds
    num_sentences = len(spans)
    joined = f", {num_sentences} sentences joined" if num_sentences > 1 else ""
    return f"{document.id}, {clock(float(starts_T[first]))} to {clock(end)}{joined}"


def _words_place(clips: Sequence[ShownClip], *, words: WordTable) -> str:
    if not clips:
        return ""
    starts = [clip.start_seconds for clip in clips]
    end = max(starts) + words.clip_length_seconds
    step = round((starts[1] - starts[0]) / words.clip_seconds) if len(starts) > 1 else 1
    rate = f", one clip in {step}" if step > 1 else ""
    return f"{clips[0].video_id}, {clock(min(starts))} to {clock(end)}{rate}"
