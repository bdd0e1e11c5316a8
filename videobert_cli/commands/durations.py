"""Durations on the command line: `90`, `20s`, `45m`, `2h30m`, `1d`, and as schedulers write them, `11:59:00`."""

import re

import typer

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_WITH_UNITS = re.compile(r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?")
_CLOCK = re.compile(r"(?:(?P<d>\d+)-)?(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d)")


def parse_duration(text: str) -> float:
    """Return a duration in seconds.

    Raises:
        typer.BadParameter: It is not a duration, or it is zero.

    >>> [parse_duration(text) for text in ("90", "20s", "2h30m", "11:59:00", "1-00:00:00")]
    [90.0, 20.0, 9000.0, 43140.0, 86400.0]
    """
    found = _CLOCK.fullmatch(text) or _WITH_UNITS.fullmatch(text)
    seconds = sum(float(found[unit] or 0) * size for unit, size in _UNITS.items()) if found else 0.0
    if seconds <= 0:
        raise typer.BadParameter(f"{text!r} is not a duration; write 90s, 45m, 2h30m or 11:59:00")
    return seconds
