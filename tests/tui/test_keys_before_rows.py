"""Keys that are typed before the rows have come count once they are there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from console.tui import held_keys
from console.tui.screens.beside import BesideScreen
from console.tui.screens.help import HelpScreen
from console.tui.screens.job import JobScreen
from console.tui.screens.run import RunScreen
from console.tui.widgets.log_view import LogView
from console.tui.widgets.prompt import PromptInput
from console.tui.widgets.section_list import SectionList
from console.tui.widgets.virtual_table import VirtualTable
from tests.tui.pilots import opened, run, screen_text, send, settle, until, works
from tests.tui.project_boxes import box_of_projects
from tests.tui.stand_in import TO_R218, StandIn, example_box
from tests.tui.triage_boxes import triage_box

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from textual.pilot import Pilot

    from console.protocol import Json, LogPage, RunDetail
    from tests.tui.pilots import WatchedApp


class Slow(StandIn):
    """Answers nothing that a screen lists before the gate is open."""

    gate = threading.Event()

    def get(self, path: str, query: Mapping[str, Json] | None = None) -> dict[str, Json]:
        self.gate.wait(30)
        return super().get(path, query)

    def run(self, reference: str) -> RunDetail:
        self.gate.wait(30)
        return super().run(reference)

    def log(self, *args: Any, **options: Any) -> LogPage:
        self.gate.wait(30)
        return super().log(*args, **options)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine under load is no reason to give the rows up."""
    monkeypatch.setattr(held_keys, "PATIENCE_S", 30.0)
    Slow.gate.set()
    yield
    Slow.gate.set()


async def typed_before(pilot: Pilot[int], *keys: str) -> None:
    """Type keys while nothing comes, have them dealt with, then let the rows come."""
    Slow.gate.clear()
    send(pilot, *keys)
    await still(pilot)
    Slow.gate.set()
    await settle(pilot)


async def still(pilot: Pilot[int]) -> None:
    """All keys have been taken by somebody."""
    app = pilot.app
    await until(pilot, lambda: not any(works(pump) for pump in (app, *app._registry)))


def cursor_row(app: WatchedApp) -> int:
    """Where the cursor of the table is."""
    return app.screen.query_one(VirtualTable).cursor_row


def test_the_first_keys_in_the_table_of_runs_count() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, client=Slow, opens_runs=False) as (app, pilot):
            await typed_before(pilot, "2", "j", "j", "enter")
            assert isinstance(app.screen, RunScreen)
            third = app._runs_screen.query_one(VirtualTable).cursor_key
            assert app._runs_screen.query_one(VirtualTable).cursor_row == 2
            assert app.screen.run_under_cursor is not None
            assert app.screen.run_under_cursor.id == third

    run(drive)


def test_the_last_row_and_marks_count_and_nothing_is_lost_of_what_opens_from_them() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, client=Slow, opens_runs=False) as (app, pilot):
            await typed_before(pilot, "2", "G")
            assert cursor_row(app) == len(box.details) - 1
        async with opened(box, client=Slow, opens_runs=False) as (app, pilot):
            await typed_before(pilot, "2", "space", "space", "b")
            assert isinstance(app.screen, BesideScreen)
            assert len(app._runs_screen.marked_runs) == 2

    run(drive)


def test_keys_at_a_new_filter_are_for_its_rows_and_not_for_those_before() -> None:
    async def drive() -> None:
        box = box_of_projects()
        async with opened(box, client=Slow) as (app, pilot):
            await typed_before(pilot, "9", "j", "enter", "j", "enter")
            assert app._runs_screen.filter_text == "churn"
            assert isinstance(app.screen, RunScreen)
            assert app.screen.run_under_cursor is not None
            assert app.screen.run_under_cursor.project == "churn"

    run(drive)


def test_the_first_keys_in_triage_and_among_projects_count() -> None:
    async def drive() -> None:
        box = triage_box()
        async with opened(box, client=Slow, opens_runs=True) as (app, pilot):
            await typed_before(pilot, "1", "j")
            rows = app.screen.query_one(SectionList)
            assert rows.cursor_key == rows.keys[1]
            await typed_before(pilot, "9", "G")
            assert "Projects" in screen_text(app)

    run(drive)


def test_keys_typed_at_a_run_that_is_still_to_come_go_to_its_metrics_and_log() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, client=Slow) as (app, pilot):
            await typed_before(pilot, *TO_R218, "enter", "right_square_bracket", "tab", "g")
            assert isinstance(app.screen, RunScreen)
            assert app.screen.metric_shown is not None
            assert app.screen.metric_shown.key == "lr"
            log = app.screen.query_one(LogView)
            assert app.focused is log
            assert not log.follow
            assert log.top_bytes == 0
            send(pilot, "escape")
            await settle(pilot)
            await typed_before(pilot, "enter", "d")
            assert "How it ended" in screen_text(app)

    run(drive)


def test_what_would_change_an_unseen_run_without_a_question_is_not_done() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, client=Slow, opens_runs=False) as (app, pilot):
            await typed_before(pilot, "2", "j", "R", "enter")
            assert box.posted == []
            assert cursor_row(app) == 1
            assert "R came before the rows: press it again" in screen_text(app)

    run(drive)


def test_what_needs_no_rows_does_not_wait_and_letters_stay_letters() -> None:
    async def drive() -> None:
        async with opened(example_box(), client=Slow, opens_runs=False) as (app, pilot):
            Slow.gate.clear()
            send(pilot, "2")
            await still(pilot)
            send(pilot, "slash")
            await until(pilot, lambda: isinstance(app.focused, PromptInput))
            send(pilot, "escape")
            await still(pilot)
            send(pilot, "j", "question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            send(pilot, "escape")
            await still(pilot)
            await typed_before(pilot, "j", "slash", *"q19", "enter")
            assert app._runs_screen.filter_text == "q19"

    run(drive)


def test_rows_that_do_not_come_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        monkeypatch.setattr(held_keys, "PATIENCE_S", 0.1)
        async with opened(example_box(), client=Slow, opens_runs=False) as (app, pilot):
            Slow.gate.clear()
            send(pilot, "2", "x")
            await until(pilot, lambda: "there is no run under the cursor" in screen_text(app))
            send(pilot, *"j" * 200)
            await still(pilot)
            assert app._held_keys._keys == []

    run(drive)


def test_a_job_that_is_typed_before_the_list_of_jobs_has_come_is_chosen_from_it() -> None:
    async def drive() -> None:
        async with opened(box_of_projects(), client=Slow) as (app, pilot):
            await typed_before(pilot, "J", *"eval churn", "enter")
            assert isinstance(app.screen, JobScreen)
            assert "eval" in screen_text(app)

    run(drive)
