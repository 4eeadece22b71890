"""What survives the console: where it was, what was marked, what was typed and not sent; however it ended."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from console import remembered
from console.tui import memory
from console.tui.memory import DRAFTS_MAX, Memory
from console.tui.screens.projects import ProjectsScreen
from console.tui.screens.run import RunScreen
from console.tui.widgets.text_box import TextBox
from tests.support import FOOTPLATE
from tests.terminal import Terminal
from tests.tui.pilots import opened, press, run, screen_text, until
from tests.tui.stand_in import example_box
from tests.tui.stand_in_runs import make_run
from tests.tui.test_acts import notices, put_cursor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home
    from tests.tui.pilots import WatchedApp


def die(app: WatchedApp) -> None:
    """What was kept is in the file by now; nothing is written any more, as after kill -9."""
    assert app._memory is not None
    for _ in range(2):  # one second, whose write may be under way, and the next
        if app._memory._writer is not None:
            app._memory._writer.join()
        app._keep()
    if app._memory._writer is not None:
        app._memory._writer.join()
    app._memory._writes = False


def test_filter_order_marks_cursor_and_an_unsent_note_survive(tmp_path: Path) -> None:
    path = str(tmp_path / "console-gpu.json")

    async def drive() -> None:
        box = example_box()
        async with opened(box, kept=Memory(path)) as (app, pilot):
            await press(pilot, "slash", *"churn", "enter", "S", "down", "down", "space", "down", "space")
            cursor = app._runs_screen._table.cursor_key
            marks = app._runs_screen._table.marked
            await press(pilot, "n", *"see the loss")
            die(app)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        async with opened(box, kept=Memory(path)) as (app, pilot):
            screen = app._runs_screen
            assert (screen.filter_text, screen.descending) == ("churn", False)
            assert screen._table.cursor_key == cursor
            assert screen._table.marked == marks
            assert tuple(screen._book.marked) == marks
            assert "an unsent note is kept" in notices(app)
            await press(pilot, "n")
            assert app.screen.query_one(TextBox).text == "see the loss"

    run(drive)


def test_the_run_that_was_open_and_its_metric_come_back(tmp_path: Path) -> None:
    path = str(tmp_path / "console-gpu.json")

    async def drive() -> None:
        box = example_box()
        async with opened(box, kept=Memory(path)) as (app, pilot):
            await put_cursor(pilot, "r218")
            await press(pilot, "enter")
            await until(pilot, lambda: app.front.metric_shown)
            await press(pilot, "right_square_bracket")
            die(app)
        async with opened(box, kept=Memory(path)) as (app, pilot):
            screen = app.screen
            assert isinstance(screen, RunScreen)
            assert screen.run_under_cursor is not None
            assert screen.run_under_cursor.label == "r218"
            await until(pilot, lambda: screen.metric_shown and screen.metric_shown.key == "lr")
            await press(pilot, "escape", "9")
            # Leaving is an end too.
            await press(pilot, "q")
        async with opened(box, kept=Memory(path)) as (app, pilot):
            assert isinstance(app.screen, ProjectsScreen)

    run(drive)


def test_a_cursor_far_down_comes_back_though_new_runs_came(tmp_path: Path) -> None:
    path = str(tmp_path / "console-gpu.json")

    async def drive() -> None:
        box = example_box()
        box.details = [make_run(no, f"run {no}", started_ago_s=100_000.0 - no) for no in range(1000, 0, -1)]
        async with opened(box, kept=Memory(path)) as (app, pilot):
            await press(pilot, "G", *["up"] * 3)
            key = app._runs_screen._table.cursor_key
            die(app)
        box.details = [
            make_run(no, f"run {no}", started_ago_s=100_000.0 - no) for no in range(1005, 1000, -1)
        ] + box.details
        async with opened(box, kept=Memory(path)) as (app, pilot):
            await until(pilot, lambda: app._runs_screen._table.cursor_key == key)
            assert "run 4" in screen_text(app)

    run(drive)


def test_what_is_gone_is_left_out(tmp_path: Path) -> None:
    path = str(tmp_path / "console-gpu.json")

    async def drive() -> None:
        box = example_box()
        async with opened(box, kept=Memory(path)) as (app, pilot):
            await press(pilot, "down", "space", "space", "enter")
            die(app)
        gone = {box.details[0].row.id, box.details[1].row.id, box.details[2].row.id, box.details[3].row.id}
        box.details = [each for each in box.details if each.row.id not in gone]
        async with opened(box, kept=Memory(path)) as (app, _):
            assert app.screen is app._runs_screen
            assert app._runs_screen._table.marked == ()

    run(drive)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{not json", "is damaged"),
        (b"[1]", "holds something else"),
        (b'{"format": 99}', "was written by a newer footplate"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"format": 1, "screen": {"a": 1}, "screens": {"runs": {"filter": 3, "marks": "x"}}, "drafts": [1]}', ""),
        (b'{"format": 1, "screen": "run", "screens": {"run": {"run": "nobody"}}, "drafts": {"note:x": 7}}', ""),
        (b'{"format": 1, "screen": "quit"}', ""),
    ],
)
def test_a_damaged_file_is_said_and_does_no_harm(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "console-gpu.json"
    path.write_bytes(content)

    async def drive() -> None:
        async with opened(example_box(), kept=Memory(str(path))) as (app, pilot):
            assert said in notices(app)
            assert bool(said) == ("starts anew" in notices(app))
            assert app.screen is app._runs_screen
            await press(pilot, "down")
            die(app)

    run(drive)
    assert json.loads(path.read_bytes())["format"] == 1


def test_two_consoles_write_whole_files_and_the_last_one_wins(tmp_path: Path) -> None:
    path = str(tmp_path / "console-gpu.json")
    one, other = Memory(path), Memory(path)
    one.settle({"screen": "runs", "drafts": {"note:a": "x" * 9000}})
    other.settle({"screen": "projects"})
    assert remembered.load(path).content == {"format": 1, "screen": "projects"}
    assert os.listdir(tmp_path) == ["console-gpu.json"]


def test_nothing_is_written_while_nothing_changes_and_never_by_one_that_only_looks(tmp_path: Path) -> None:
    path = str(tmp_path / "console-gpu.json")
    looking = Memory(path, writes=False)
    looking.offer({"screen": "runs"})
    looking.settle({"screen": "runs"})
    assert not os.path.exists(path)
    kept = Memory(path)
    kept.settle({"screen": "runs"})
    before = os.stat(path).st_ino
    kept.offer({"screen": "runs"})
    kept.settle({"screen": "runs"})
    assert os.stat(path).st_ino == before
    assert Memory(path, fresh=True).kept == {"drafts": None, "first_frame": None}


def test_what_is_kept_is_bounded_and_a_link_is_not_followed(tmp_path: Path) -> None:
    many = {"drafts": {f"note:{number}": "x" for number in range(100)}}
    assert list(memory.drafts(many)) == [f"note:{number}" for number in range(100 - DRAFTS_MAX, 100)]
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text('{"format": 1}', encoding="utf-8")
    assert "cannot be read" in remembered.load(str(tmp_path / "link")).problem
    assert os.path.basename(remembered.path_for("../../etc/x y")) == "console-.._.._etc_x_y.json"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [1, 9, 15])
def test_a_real_console_comes_back_after_its_line_dropped_or_it_was_killed(home: Home, ending: int) -> None:
    first = home.submit("true", name="first one")
    second = home.submit("true", name="second one")
    home.wait_ended(first)
    home.wait_ended(second)
    environment = home.environment(TERM="xterm-256color", LANG="C.UTF-8")
    argv = [FOOTPLATE]
    terminal = Terminal(argv, environment)
    terminal.read_until(lambda seen: seen.shows("1Triage") and seen.shows("live"))
    terminal.type("2")
    terminal.read_until(lambda seen: seen.shows("Runs 2"))
    terminal.type("/first")
    terminal.read_until(lambda seen: seen.shows("Runs 1 of 2"))
    terminal.type("\r")
    terminal.read_until(lambda seen: seen.shows("esc clears the filter"))
    terminal.type("n")
    terminal.read_until(lambda seen: seen.shows("ctrl+d sends"))
    terminal.type("unsent words")
    terminal.read_until(lambda seen: seen.shows("unsent words"))
    if ending == 9:
        terminal.read_for(2.5)
    os.kill(terminal.pid, ending)
    terminal.wait()
    again = Terminal(argv, environment)
    again.read_until(lambda seen: seen.shows("Runs 1 of 2") and seen.shows("an unsent note is kept"))
    again.type("n")
    again.read_until(lambda seen: seen.shows("unsent words") and seen.shows("ctrl+d sends"))
    again.type("\x1b")
    again.read_until(lambda seen: not seen.shows("ctrl+d sends"))
    again.type("q")
    again.wait()
