"""The version of footplate. A constant, because every command needs it and importlib.metadata costs 15 ms to import."""

from __future__ import annotations

import re
from typing import Final

VERSION: Final = "0.1.0"
"""As in pyproject.toml; a test holds the two together."""


def release_of(version: str) -> tuple[int, ...]:
    """The release numbers of a version, for comparison: "0.12.1rc1" and "0.12.1" are (0, 12, 1), "1.0" is (1,).

    What follows the release (rc, dev, local) does not count (PEP 440); empty for a text that is no version.
    """
    found = re.match(r"v?(\d+(?:\.\d+)*)", version.strip())
    if found is None:
        return ()
    numbers = [int(number) for number in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def is_newer(version: str, than: str) -> bool:
    """Whether `version` is of a later release; False when either is no version."""
    one, other = release_of(version), release_of(than)
    return bool(re.match(r"v?\d", than.strip())) and one > other
