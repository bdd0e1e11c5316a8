"""What the cook says: sentences about the step, fillers, other matters, and times that run early or late."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

# The paper's cloze form comes twice: a narrator says it now and then.
_TEMPLATES = (
    "now let me show you how to {verb} the {object}",
    "now let me show you how to {verb} the {object}",
    "let me show you how to {verb} the {object}",
    "now {verb} the {object}",
    "next we {verb} the {object}",
    "go ahead and {verb} the {object}",
    "you want to {verb} the {object} like this",
    "i am going to {verb} this {object}",
    "we {verb} our {object} first",
    "it is time to {verb} the {object}",
    "{verb} the {object} until it looks right",
    "do not rush when you {verb} the {object}",
    "just {verb} your {object} slowly",
    "the way i {verb} the {object} is very simple",
    "some people do not {verb} the {object} but i do",
    "my trick is to {verb} the {object} for a little while",
    "take the {object} and {verb} it",
    "here is the {object} and we {verb} it now",
    "the {object} comes next so {verb} it well",
    "with the {object} in place we can {verb} it",
    "this {object} looks good so let us {verb} it",
    "once you have your {object} you {verb} it",
)
_TWO_SENTENCES = (
    ("this is the {object}", "we {verb} it for a while"),
    ("look at this {object}", "now we {verb} it"),
    ("so the {object} comes next", "{verb} it gently"),
    ("here i have the {object}", "and we {verb} it like so"),
)
_VAGUE = (
    "now {verb} it",
    "keep going with the {object}",
    "we {verb} that",
    "look how nice the {object} is",
    "{verb} them all",
)
_SYNONYMS = {
    "cut": ("slice", "chop"),
    "peel": ("skin", "strip"),
    "wash": ("rinse", "clean"),
    "grind": ("mince", "mill"),
    "fry": ("brown", "sizzle"),
    "stir": ("mix", "turn"),
    "boil": ("simmer", "cook"),
    "season": ("salt", "spice"),
}
_FILLERS = ("um", "uh", "okay so", "alright", "well", "so", "you know", "right", "okay")
_TAILS = (
    "like that",
    "right here",
    "nice and easy",
    "as you can see",
    "just like my mother did",
    "and that is it",
    "there we go",
)
_CHATTER = (
    "do not forget to subscribe to the channel",
    "thank you so much for watching",
    "my grandmother taught me this",
    "i love this kitchen in the morning",
    "it smells so good in here",
    "the music is a little loud today",
    "my neighbour asked me for this last week",
    "leave me a comment below",
    "the weather has been awful",
    "i bought this one at the market",
    "we have guests tonight",
    "the dog wants some too",
    "welcome back everybody",
    "that took me years to learn",
    "give me a second here",
    "i always make a mess",
    "later on we will need the {object}",
)
_PUNCTUATED_SHARE = 0.7
_SPLIT_SHARE = 0.12
_LATE_SHARE = 0.08
_PAUSE_SECONDS = 0.8

Style = Literal["punctuated", "plain"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One cue of a subtitle file."""

    start_seconds: float
    end_seconds: float
    text: str


def narrate(
    steps: Sequence[tuple[str, str, float, float]], duration_seconds: float, *, rng: np.random.Generator
) -> tuple[Line, ...]:
    """Return what is said over a video whose steps are (verb, object, start, end in seconds).

    Lines follow their steps with a lag of about 0.7 s to either side, now and then 1.5 s. Some steps get a line on
    something else or none that names them; gaps between the steps are often chatted over.
    """
    style: Style = "punctuated" if rng.random() < _PUNCTUATED_SHARE else "plain"
    lines: list[Line] = []
    end_before = 0.0
    for _, _, start, end in steps:
        if start - end_before > 1.4 and rng.random() < 0.6:
            lines.append(
                Line(start_seconds=end_before + 0.2, end_seconds=start - 0.1, text=_chatter(steps, rng))
            )
        end_before = end
    for verb, thing, start, end in steps:
        lag = rng.uniform(-1.5, 1.5) if rng.random() < _LATE_SHARE else rng.uniform(-0.7, 0.7)
        first, last = start + rng.uniform(0, 0.8) + lag, end - rng.uniform(0, 0.8) + lag
        sentences = _sentences(verb, thing, rng)
        if len(sentences) == 1 and rng.random() < 0.06:
            sentences = (_chatter(steps, rng),)
        share = (last - first) / len(sentences)
        for k, sentence in enumerate(sentences):
            lines.append(
                Line(
                    start_seconds=first + k * share, end_seconds=first + (k + 1) * share - 0.1, text=sentence
                )
            )
    return _finish(lines, duration_seconds, style=style, rng=rng)


def narrate_unseen(pairs: Sequence[tuple[str, str]], rng: np.random.Generator) -> tuple[Line, ...]:
    """Return a transcript about the pairs of verb and object, for which there is no video."""
    steps = []
    start = float(rng.uniform(0, 3))
    for verb, thing in pairs:
        end = start + float(rng.uniform(4.5, 7.5))
        steps.append((verb, thing, start, end))
        start = end + (float(rng.uniform(1.5, 4)) if rng.random() < 0.3 else 0.1)
    return narrate(steps, start + 2, rng=rng)


def to_srt(lines: Sequence[Line]) -> str:
    """Return the lines as the text of a SubRip file."""
    blocks = [
        f"{number}\n{_srt_time(line.start_seconds)} --> {_srt_time(line.end_seconds)}\n{line.text}\n"
        for number, line in enumerate(lines, start=1)
    ]
    return "\n".join(blocks)


def _sentences(verb: str, thing: str, rng: np.random.Generator) -> tuple[str, ...]:
    if rng.random() < 0.07:
        verb = _pick(_SYNONYMS[verb], rng)
    kind = rng.random()
    if kind < 0.1:
        return tuple(
            s.format(verb=verb, object=thing) for s in _TWO_SENTENCES[int(rng.integers(len(_TWO_SENTENCES)))]
        )
    sentence = _pick(_VAGUE if kind < 0.16 else _TEMPLATES, rng).format(verb=verb, object=thing)
    if rng.random() < 0.25:
        sentence = f"{_pick(_FILLERS, rng)} {sentence}"
    if rng.random() < 0.2:
        sentence = f"{sentence} {_pick(_TAILS, rng)}"
    return (sentence,)


def _chatter(steps: Sequence[tuple[str, str, float, float]], rng: np.random.Generator) -> str:
    return _pick(_CHATTER, rng).format(object=steps[int(rng.integers(len(steps)))][1])


def _finish(
    lines: Sequence[Line], duration_seconds: float, *, style: Style, rng: np.random.Generator
) -> tuple[Line, ...]:
    """Put the lines in order without overlap, spelt in the video's style, some broken into two cues."""
    pause = _PAUSE_SECONDS if style == "plain" else 0.05
    ordered = sorted(lines, key=lambda line: line.start_seconds)
    finished: list[Line] = []
    free_from = 0.0
    for k, line in enumerate(ordered):
        start = max(line.start_seconds, free_from)
        next_start = ordered[k + 1].start_seconds if k + 1 < len(ordered) else duration_seconds
        end = min(max(line.end_seconds, start + 1.2), max(next_start - pause, start + 1.2), duration_seconds)
        if end - start < 0.4:
            continue
        free_from = end + pause
        finished += _cues(line.text, start, end=end, style=style, rng=rng)
    return tuple(finished)


def _cues(text: str, start: float, *, end: float, style: Style, rng: np.random.Generator) -> list[Line]:
    words = text.split()
    if style == "punctuated":
        words[0] = words[0].capitalize()
        words = ["I" if word == "i" else word for word in words]
        words[-1] += "."
    if style == "plain" or rng.random() >= _SPLIT_SHARE or len(words) < 5:
        return [Line(start_seconds=start, end_seconds=end, text=" ".join(words))]
    cut = len(words) // 2
    middle = start + (end - start) * cut / len(words)
    return [
        Line(start_seconds=start, end_seconds=middle, text=" ".join(words[:cut])),
        Line(start_seconds=middle, end_seconds=end, text=" ".join(words[cut:])),
    ]


def _pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _srt_time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d},{milliseconds % 1000:03d}"
