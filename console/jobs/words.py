"""Signals, sizes and times in words, for the causes of ends. Standard library only: the supervisor uses it."""

from __future__ import annotations

import signal
from typing import Final

SIGNALS_IN_WORDS: Final = {
    "SIGSEGV": "segmentation fault (SIGSEGV)",
    "SIGBUS": "bus error (SIGBUS)",
    "SIGABRT": "aborted (SIGABRT)",
    "SIGFPE": "arithmetic error (SIGFPE)",
    "SIGILL": "illegal instruction (SIGILL)",
    "SIGXCPU": "limit on processor time reached (SIGXCPU)",
    "SIGXFSZ": "limit on the size of files reached (SIGXFSZ)",
    "SIGPIPE": "wrote into a closed pipe (SIGPIPE)",
    "SIGKILL": "killed by SIGKILL, by whom is not known",
}
"""Others are `killed by SIGTERM`."""


def name_of_signal(number: int) -> str:
    """SIGTERM for 15; a number without a name as it is."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def one_line(text: str) -> str:
    """At most 500 characters without line ends."""
    return " ".join(text.split("\n"))[:500]


def size(size_bytes: int) -> str:
    """`512.0 MiB`."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes >= 1 << power:
            return f"{size_bytes / (1 << power):.1f} {unit}"
    return f"{size_bytes} B"


def span(time_s: float) -> str:
    """`2h`, `1h 30m`, `90s` as `1m 30s`, `0.5s`."""
    if time_s < 1:
        return f"{time_s:g}s"
    rest, parts = round(time_s), []
    for unit, length_s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length_s)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
