"""The quick terminal of the tests draws what pyte draws."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyte
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import QuickScreen, QuickStream

SEQUENCES = (
    "\x1b[m",
    "\x1b[1;38;2;230;159;0m",
    "\x1b[48;5;240m",
    "\x1b[7;0;4m",
    "\x1b[99999m",
    "\x1b[3;5H",
    "\x1b[H",
    "\x1b[;9H",
    "\x1b[2K",
    "\x1b[K",
    "\x1b[2J",
    "\x1b[1;3r",
    "\x1b[2L",
    "\x1b[2P",
    "\x1b[3@",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[?7l",
    "\x1b[?7h",
    "\x1b[?5h",
    "\x1b[?1049h",
    "\x1b[>4;1m",
    "\x1b[2 q",
    "\x1b[1\r;2m",
    "\x1b[12\x18m",
    "\x1b[3v",
    "\x1b[s",
    "\x1b]0;title\x07",
    "\x1b(0",
    "\x1bM",
    "\x1b7",
    "\x1b8",
    "\x1b#8",
    "\x0e",
    "\x0f",
    "\r",
    "\n",
    "\t",
    "\b",
    "\x01",
)
TEXTS = st.one_of(
    st.sampled_from(("churn", "r218 vit-b", "├─▌⣿", "日本", "e\u0301", "\u200b", "\u0301", "ÿ")),
    st.text(st.characters(codec="utf-8"), max_size=12),
)


def picture(screen: Any) -> Any:
    """All of it that can be told apart."""
    cells = [[screen.buffer[line][column] for column in range(screen.columns)] for line in range(screen.lines)]
    cursor = screen.cursor
    return cells, (cursor.x, cursor.y, cursor.attrs, cursor.hidden), screen.mode, screen.dirty, screen.title


@given(st.lists(st.one_of(st.sampled_from(SEQUENCES), TEXTS), max_size=40), st.lists(st.integers(0, 400), max_size=6))
def test_whatever_a_program_writes_in_whatever_pieces(written: list[str], cuts: list[int]) -> None:
    data = "".join(written).encode()
    plain, quick = pyte.Screen(12, 5), QuickScreen(12, 5)
    streams = pyte.ByteStream(plain), QuickStream(quick)
    places = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    for start, end in pairwise(places):
        for stream in streams:
            stream.feed(data[start:end])
        assert picture(quick) == picture(plain)
