"""Texts that are made from the program and kept, such as screens and tables in the docs: each must be what the program
makes now. FOOTPLATE_UPDATE_SNAPSHOTS=1 writes them anew."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import pytest

UPDATE = os.environ.get("FOOTPLATE_UPDATE_SNAPSHOTS") == "1"
ROOT = Path(__file__).resolve().parent.parent
SCREENS = ROOT / "tests" / "tui" / "snapshots"


def compare(path: Path, now: str) -> None:
    """Fail with a difference that can be read."""
    if UPDATE:
        path.write_text(now, encoding="utf-8")
        return
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before != now:
        difference = difflib.unified_diff(before.splitlines(), now.splitlines(), "recorded", "now", lineterm="", n=0)
        pytest.fail(f"{path.name} looks different (FOOTPLATE_UPDATE_SNAPSHOTS=1 accepts):\n" + "\n".join(difference))


def compare_screen(name: str, now: str) -> None:
    """What is seen of a screen."""
    compare(SCREENS / f"{name}.txt", now)


def compare_part(page: str, name: str, now: str) -> None:
    """The part of a page of the docs between the comments `<!-- name: … -->` and `<!-- end of name -->`."""
    path = ROOT / "docs" / page
    text = path.read_text(encoding="utf-8")
    part = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    wanted, count = part.subn(lambda found: found.group(1) + now + found.group(2), text)
    assert count == 1, f"{page} has {count} parts for {name}"
    compare(path, wanted)
