"""The lines of the keys of a manifest."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.project import manifest
from console.project.manifest_lines import KeyLines
from console.project.manifest_model import ManifestError


def test_lines_of_every_form_of_key() -> None:
    text = '''\
a = 1
b.c = { d = 1, "e.f" = [ 1, { g = 2 } ] }
text = """
[not.a.table]
x = 1
"""
list = [
  1, # [no]
  """a
  b""",
  { z = 3 },
]
['quoted "name"'."\\u0041"]
k = 1
[[rows]]
v = 1
[[rows]]
v = 2
[rows.sub]
w = 3
'''
    tomllib.loads(text)
    lines = KeyLines(text)
    expected = {
        ("a",): 1,
        ("b", "c", "d"): 2,
        ("b", "c", "e.f", 1, "g"): 2,
        ("text",): 3,
        ("list", 1): 9,
        ("list", 2, "z"): 11,
        ('quoted "name"', "A", "k"): 14,
        ("rows", 0, "v"): 16,
        ("rows", 1, "v"): 18,
        ("rows", 1, "sub", "w"): 20,
    }
    assert {key: lines.line(key) for key in expected} == expected
    assert lines.line(("b", "c", "unknown")) == 2
    assert lines.line(("unknown",)) == 1


def keys_of(value: Any, key: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every key below a value."""
    found = {key} if key else set()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in items:
        found |= keys_of(below, (*key, name))
    return found


PIECES = st.sampled_from(
    ["a", "b", "'c d'", '"e"', ".", "=", "[", "]", "[[", "]]", "{", "}", ",", "\n", "1", "#", '"""', "'''", " ", "true"]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_lines_are_found_for_every_key_that_tomllib_finds_and_nothing_hangs(text: str) -> None:
    lines = KeyLines(text)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(ManifestError):
            manifest.parse(text)
        return
    assert {key for key in keys_of(tables) if key not in lines.first} == set()
