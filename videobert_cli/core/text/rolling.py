"""Rolling captions, as YouTube writes them: each line is shown again under the next; every word is kept once."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from videobert_cli.core.text.cues import Cue

# Cues closer than this belong to one stream of speech; a step that is shown twice with a pause between is two
# steps.
_TOUCHING_SECONDS = 0.1
# A file is rolling when this share of its neighbours repeat words. Songs and drills repeat a line now and
# then.
_ROLLING_SHARE = 0.3
_LEAST_SHARED_WORDS = 3
_MAX_SHARED_WORDS = 200


def collapse_rolling(cues: Sequence[Cue], *, evidence: Literal["stamps", "none"]) -> list[Cue]:
    """Return the cues without the words that the cue before showed already; cues left without words are dropped.

    Only files that roll are touched: where neighbours that touch in time share words often, or at all if
    words carry their own times (`evidence="stamps"`, which only such files have). The cues come in order of
    start time.
    """
    shared = [_num_shared_words(before, after) for before, after in pairwise(cues)]
    num_rolling = sum(
        _is_no_chance(count, before, after)
        for count, (before, after) in zip(shared, pairwise(cues), strict=True)
    )
    least = 1 if evidence == "stamps" else max(2.0, _ROLLING_SHARE * len(shared))
    if num_rolling < least:
        return list(cues)
    collapsed = [cues[0]]
    for cue, count in zip(cues[1:], shared, strict=True):
        words = cue.text.split()[count:]
        if words:
            collapsed.append(replace(cue, text=" ".join(words), word_times=cue.word_times[count:]))
    return collapsed


def _num_shared_words(before: Cue, after: Cue) -> int:
    """Return how many words at the end of one cue open the next, 0 where a pause lies between."""
    if after.start_seconds - before.end_seconds > _TOUCHING_SECONDS:
        return 0
    old, new = before.text.split()[-_MAX_SHARED_WORDS:], after.text.split()[:_MAX_SHARED_WORDS]
    if not new:
        return 0
    # The first word tells most counts apart without a copy of the others.
    counts = (count for count in range(min(len(old), len(new)), 0, -1) if old[-count] == new[0])
    return next((count for count in counts if old[-count:] == new[:count]), 0)


def _is_no_chance(num_shared: int, before: Cue, after: Cue) -> bool:
    """Whether so many shared words speak for rolling: several, or the whole of a cue."""
    is_whole = num_shared in {len(before.text.split()), len(after.text.split())}
    return num_shared >= _LEAST_SHARED_WORDS or (num_shared > 0 and is_whole)
