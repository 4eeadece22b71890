"""What one check of `footplate doctor` says. Checks take the places they look at, so that tests can build them."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Verdict: TypeAlias = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    """fail: footplate does not work here, or work is lost; warn: something works less well than it could."""
    found: str
    """What is there, in a few words."""
    advice: str = ""
    """What to do; empty when nothing needs to be done."""


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", found)


def warn(name: str, found: str, advice: str) -> Finding:
    """It works less well than it could."""
    return Finding(name, "warn", found, advice)


def fail(name: str, found: str, advice: str) -> Finding:
    """It does not work, or work is lost."""
    return Finding(name, "fail", found, advice)
