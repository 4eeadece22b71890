"""Times and sizes as people write them: 90s, 15m, 2h, 1d; 500MB, 2GiB, 1.5g."""

from __future__ import annotations

from typing import Final

SECONDS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
BYTES: Final = {
    "": 1,
    "b": 1,
    **{f"{prefix}{end}": 1000**power for power, prefix in enumerate("kmgt", 1) for end in ("", "b")},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)},
}


def seconds(name: str, text: str) -> float:
    """A time in seconds; raises ValueError that says what `name` expects."""
    number, unit = split(text)
    if number is None or unit not in SECONDS:
        raise ValueError(f"{name} {text!r} is no time; write 90s, 15m, 2h or 1d")
    return number * SECONDS[unit]


def size_bytes(name: str, text: str) -> int:
    """A size in bytes; raises ValueError that says what `name` expects. MB is 10^6, MiB is 2^20."""
    number, unit = split(text)
    if number is None or unit not in BYTES:
        raise ValueError(f"{name} {text!r} is no size; write 500MB, 2GB or 2GiB")
    return int(number * BYTES[unit])


def split(text: str) -> tuple[float | None, str]:
    """A number and the unit after it, in lower case; None when there is no plain number."""
    text = text.strip()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ").rstrip()
    if not digits or not digits.isascii() or not digits.replace(".", "", 1).isdigit():
        return None, ""
    return float(digits), text[len(digits) :].strip().lower()
