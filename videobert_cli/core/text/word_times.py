"""When each word of a cue is spoken: what the file tells, and between that a share by characters."""

from collections.abc import Sequence
from itertools import pairwise

from videobert_cli.core.text.cues import Cue


def spoken_times(cue: Cue) -> list[tuple[float, float]]:
    """Return start and end of each word of a cue in seconds, never falling and within the cue.

    A word whose start the file does not tell is put between its neighbours by the number of characters; one whose end
    it does not tell ends where the next begins.
    """
    words = cue.text.split()
    starts = _filled_starts(cue, words)
    following = [*starts[1:], cue.end_seconds]
    times = []
    for start, after, time in zip(starts, following, cue.word_times, strict=True):
        end = after if time.end_seconds is None else min(max(time.end_seconds, start), after)
        times.append((start, end))
    return times


def _filled_starts(cue: Cue, words: Sequence[str]) -> list[float]:
    """Return the starts, those that are unknown filled in, those that fall back or lie outside the cue moved."""
    known = {0: cue.start_seconds}
    latest = cue.start_seconds
    for number, time in enumerate(cue.word_times):
        if time.start_seconds is not None:
            latest = known[number] = min(max(time.start_seconds, latest), cue.end_seconds)
    anchors = [*sorted(known), len(words)]
    starts: list[float] = []
    for first, stop in pairwise(anchors):
        begin, end = known[first], known.get(stop, cue.end_seconds)
        num_characters = sum(map(len, words[first:stop]))
        done = 0
        for word in words[first:stop]:
            starts.append(begin + (end - begin) * done / num_characters)
            done += len(word)
    return starts
