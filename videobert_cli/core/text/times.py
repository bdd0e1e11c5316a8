"""Times as files write them: seconds as a number or a text, or a clock."""

import re
from typing import Any

MAX_SECONDS = 1e9
# Hours may be missing, decimals too, and the decimal mark is a comma, a full stop or (from broken converters)
# a colon.
CLOCK = r"(?:(\d{1,6}):)?(\d{1,3}):(\d{1,2})(?:[.,:](\d{1,9}))?"
_CLOCK = re.compile(CLOCK)
_NUMBER = re.compile(r"\d{1,12}(?:[.,]\d{1,12})?")


def clock_seconds(fields: tuple[str | None, ...]) -> float:
    """Return the seconds of the four groups of CLOCK."""
    hours, minutes, seconds, decimals = fields
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + float(f"0.{decimals or 0}")


def seconds_of(value: Any, *, unit_seconds: float = 1.0) -> float | None:
    """Return a time in seconds, None where it is none: a number of units, the same as text, or a clock.

    >>> seconds_of("1:02.5"), seconds_of(1500, unit_seconds=0.001), seconds_of(True), seconds_of("soon")
    (62.5, 1.5, None, None)
    """
    if isinstance(value, str):
        text = value.strip()
        if match := _CLOCK.fullmatch(text):
            return clock_seconds(match.groups())
        value = float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None
    # The comparison also refuses NaN, and whole numbers too long to become a float.
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_SECONDS
    return float(value) * unit_seconds if is_time else None
