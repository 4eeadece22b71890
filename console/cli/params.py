"""Params on the command line: `-p lr=1e-3`."""

from __future__ import annotations

from console.client import ClientError


def assignments(words: list[str]) -> dict[str, str]:
    """`lr=1e-3` and so on by name; raises ClientError for what is no assignment."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ClientError(f"{word!r} names no param", "write -p lr=1e-3")
        if name in found:
            raise ClientError(f"the param {name} is given twice", "`footplate sweep` runs several values")
        found[name] = value
    return found
