"""Text and numbers as a terminal shows them."""

import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from console.protocol import State
from console.tui.text_format import (
    bytes_size,
    cell_width,
    centred,
    clock,
    duration,
    fit,
    number,
    outcome,
    state_glyph,
    visible,
)

HOSTILE = (
    "[/foo]",
    "[CLS]",
    "[@click=app.quit]x[/]",
    "\x1b]52;c;AAAA\x07",
    "\x1b]0;x\x07",
    "\u202efdp.exe",
    "\u2066x\u2069 \u200e\u200f\u061c",
    "a\nb\tc\rd",
    "\udc80\ud800",
    "👩\u200d👩\u200d👧",
    "a\u200bb\ufeffc\u00add",
    "\x9b31m",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("width_cells", [0, 1, 2, 7, 40])
def test_hostile_text_takes_exactly_its_cells(text: str, width_cells: int) -> None:
    assert cell_len(fit(text, width_cells)) == width_cells


def shows_all(text: str) -> bool:
    return all(character.isprintable() and unicodedata.category(character) != "Cf" for character in text)


text_of_any_kind = st.one_of(
    st.text(alphabet=st.characters()),
    st.text(alphabet=st.sampled_from("ab 日é\u0301\u200d\ufe0f👩⚠\x1b\n\u202e\ud800\u3164\u00a0ำ🇩🇪")),
)


@given(text_of_any_kind)
def test_visible_leaves_nothing_unseen_and_is_stable(text: str) -> None:
    shown = visible(text)
    assert shows_all(shown)
    shown.encode()
    assert visible(shown) == shown


@given(text_of_any_kind, st.integers(0, 30), st.sampled_from(["left", "right"]), st.sampled_from(["…", "~", ".."]))
def test_fit_is_exact(text: str, width_cells: int, align: str, ellipsis: str) -> None:
    fitted = fit(text, width_cells, align=align, ellipsis=ellipsis)
    assert cell_len(fitted) == width_cells
    assert shows_all(fitted)


def test_visible_names_what_it_replaces() -> None:
    assert visible("a\x1b]0;x\x07\n\t\x7f") == "a␛]0;x␇␊␉␡"
    assert visible("\u202eabc") == "‹U+202E›abc"
    assert visible("\ud800") == "‹U+D800›"
    assert visible("a\u00a0b") == "a␣b"
    assert visible("plain [bold] text") == "plain [bold] text"
    assert visible("日本 é 😀") == "日本 é 😀"


def test_symbols_lose_only_the_selector_whose_width_terminals_disagree_on() -> None:
    assert visible("⚠\ufe0f x") == "⚠ x"
    assert visible("x\ufe0f") == "x‹U+FE0F›"


def test_marks_have_something_to_sit_on_and_do_not_pile_up() -> None:
    assert visible("\u0301x") == "◌\u0301x"
    assert visible("x" + "\u0301" * 6) == "x" + "\u0301" * 4 + "‹U+0301›" * 2


def test_fit_cuts_between_wide_characters() -> None:
    assert fit("日本語", 4) == "日 …"
    assert fit("日本語", 6) == "日本語"
    assert fit("ab", 4, align="right") == "  ab"
    assert fit("abcdef", 4, ellipsis="~") == "abc~"


def test_centred_makes_a_box() -> None:
    rows = [centred("ab\n日本", row, 8, 4) for row in range(4)]
    assert [row.strip() for row in rows] == ["", "ab", "日本", ""]
    assert {cell_width(row) for row in rows} == {8}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (0.0, "0"),
        (-0.0, "0"),
        (12.0, "12"),
        (0.84, "0.84"),
        (0.8130000233650208, "0.813"),
        (1 / 3, "0.33333"),
        (0.999999, "1.0000"),
        (123456.0, "123456"),
        (12345.678, "12346"),
        (1234567.0, "1.2346e6"),
        (3e-4, "3e-4"),
        (-1.5e-9, "-1.5e-9"),
        (1e300, "1e300"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_number_without_room_is_not_shortened_to_another() -> None:
    assert number(123456.0, 5) == "1.2e5"
    assert number(123456.0, 2) == "##"
    assert number(-123456.0, 3) == "###"


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(3, 12))
def test_numbers_are_never_far_off(value: float, width_cells: int) -> None:
    text = number(value, width_cells)
    assert len(text) <= width_cells
    if "#" not in text and abs(value) < 1e307:
        assert float(text) == pytest.approx(value, rel=0.5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (-4, "0.0s"),
        (0.4, "0.4s"),
        (9.99, "9.9s"),
        (18, "18s"),
        (125, "2m05"),
        (3840, "1h04"),
        (3 * 86400 + 2 * 3600, "3d02h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, ""), (0, "0 B"), (512, "512 B"), (1024, "1.0 KiB"), (12288, "12 KiB"), (1.4 * 2**30, "1.4 GiB")],
)
def test_sizes(size: float | None, text: str) -> None:
    assert bytes_size(size) == text


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_clock_is_local_and_absolute() -> None:
    now_s = 1_795_000_000.0
    assert clock(now_s - 60, now_s) == "20:05"
    assert clock(now_s - 3 * 86400, now_s) == "Nov 15 20:06"
    assert clock(now_s - 365 * 86400, now_s) == "2025-11-18"
    assert clock(None, now_s) == ""
    assert clock(1e300, now_s) == "?"


def test_every_state_has_a_glyph_of_one_cell() -> None:
    for state in get_args(State):
        assert cell_len(state_glyph(state)[0]) == 1
        glyph, colour = state_glyph(state, ascii_only=True)
        assert glyph.isascii()
        assert colour
    assert state_glyph("running") == ("▶", "primary")
    assert state_glyph("failed", ascii_only=True) == ("x", "error")
    assert state_glyph("made up") == state_glyph("unknown")


def test_outcomes() -> None:
    assert outcome("failed", "", 3, "") == "exit 3"
    assert outcome("failed", "", None, "SIGKILL") == "SIGKILL"
    assert outcome("failed", "CUDA OOM\n", 1, "") == "CUDA OOM␊"
    assert outcome("finished", "", 0, "") == ""
    assert outcome("running", "left over", None, "") == ""


def test_the_import_is_free_of_rich() -> None:
    code = (
        "import console.tui.text_format as t; t.fit('plain', 9); print([m for m in ('rich', 're') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
