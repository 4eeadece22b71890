"""Terminals that are resized without end, that paste a megabyte, that have few colours, no UTF-8 or no mouse."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from console.tui.widgets.prompt import FIELD_MAX_CHARACTERS
from tests.tui.pressing import Stage, Step, at_base, cursor, has, step, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESIZES = 60
PASTED_BYTES = 1_000_000


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[list[Stage]]:
    """Those that a test opens end by `q` without a traceback."""
    opened: list[Stage] = []
    yield opened
    for stage in opened:
        try:
            stage.press("q")
            assert stage.wait() == 0
        finally:
            stage.close()
    assert not (tmp_path / "trace").exists(), (tmp_path / "trace").read_text(encoding="utf-8")


def at_runs(stages: list[Stage], folder: Path, *options: str, **environment: str) -> Stage:
    """The table of runs at 120x40, with its first picture."""
    stage = Stage((120, 40), folder, "--runs", *options, **environment)
    stages.append(stage)
    stage.until(has("Runs 32", "live"))
    stage.take([walk("j", cursor("r218")), Step((), has("r218 vit-b lr=1e-3"))])
    stage.settle_base()
    return stage


def test_a_storm_of_resizes_ends_with_the_picture_of_the_last_size(stages: list[Stage], tmp_path: Path) -> None:
    stage, sizes = at_runs(stages, tmp_path), random.Random(5)
    before = len(stage.written)
    for _ in range(RESIZES):
        stage.resize(sizes.randint(40, 200), sizes.randint(10, 60))
        stage.read_for(1 / RESIZES)
    stage.resize(120, 40)
    stage.until(at_base)
    assert len(stage.written) > before


@pytest.mark.parametrize(("columns", "lines"), [(0, 0), (80, 0), (0, 24), (1, 1), (5, 2)])
def test_a_terminal_of_hardly_any_size_is_painted_once_and_then_left_alone(
    stages: list[Stage], tmp_path: Path, columns: int, lines: int
) -> None:
    stage = Stage((80, 25), tmp_path, "--runs")
    stages.append(stage)
    stage.claim_size(columns, lines)
    while not stage.written:
        stage.read_for(0.2)
    assert any(stage.read_for(1.0) == 0 for _ in range(20)), stage.written[-200:]
    stage.resize(120, 40)
    stage.until(has("Runs 32", "live"))


def test_a_megabyte_is_pasted_into_the_filter_as_far_as_there_is_room(stages: list[Stage], tmp_path: Path) -> None:
    stage = at_runs(stages, tmp_path)
    stage.take([step("slash", has(" / words, or"))])
    pasted = "\x1b[200~" + "sweep" * (PASTED_BYTES // 5) + "\x1b[201~"
    # The terminal takes it a piece at a time, as the console reads it.
    writer = threading.Thread(target=stage.type_all, args=(pasted,))
    writer.start()
    stage.until(has("at most 4,000 are taken"))
    stage.rest()
    writer.join()
    assert [line.split("  ")[0] for line in stage.lines if "characters" in line] == [
        f" the query has {FIELD_MAX_CHARACTERS:,} characters; at most 4,000 are taken"
    ]
    stage.take([step("escape", at_base)])


def test_a_multiplexer_without_true_colour_gets_256(stages: list[Stage], tmp_path: Path) -> None:
    rich = at_runs(stages, tmp_path)
    plain = at_runs(stages, tmp_path, TERM="screen-256color", COLORTERM="")
    assert b"[38;2;" in rich.written or b";38;2;" in rich.written
    assert b"38;2;" not in plain.written
    assert b"48;2;" not in plain.written
    assert plain.lines == rich.lines


def test_a_locale_without_utf_8_gets_ascii(stages: list[Stage], tmp_path: Path) -> None:
    stage = at_runs(stages, tmp_path, LANG="C", LC_ALL="C")
    foreign = {character for line in stage.lines for character in line if not character.isascii()}
    assert foreign == set()
    stage.take([step("enter", has("Metrics"))])
    stage.rest()
    foreign = {character for line in stage.lines for character in line if not character.isascii()}
    assert foreign == set()


def test_without_a_mouse_nothing_is_asked_of_it_and_its_reports_do_nothing(stages: list[Stage], tmp_path: Path) -> None:
    stage = at_runs(stages, tmp_path, "--no-mouse")
    assert b"\x1b[?1000h" not in stage.written
    assert b"\x1b[?1003h" not in stage.written
    stage.type("".join(f"\x1b[<0;10;{line}M\x1b[<0;10;{line}m\x1b[<65;10;{line}M" for line in range(1, 40)))
    time.sleep(0.3)
    stage.rest()
    assert stage.lines[-1] == stage.base[-1]
