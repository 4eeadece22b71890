"""Strings from outside, wherever a screen shows them: never markup, never a control sequence, never another order."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from textual import events

from console.client import DaemonRefused
from console.protocol import MetricSummary, RunDetail, Status
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.run import RunScreen
from tests.tui.pilots import Clock, opened, press, screen_text, settle, until
from tests.tui.stand_in import Box, StandIn
from tests.tui.stand_in_runs import make_run

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTILE = (
    "[/foo]",
    "[CLS]",
    "[@click=app.quit]x[/]",
    "[bold",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[31m",
    "\u202eevil\u202c",
    "line\none",
    "\x9b31m",
    "zero\u200bwidth\u2066",
    "tab\there",
    "模型" * 40,
    "e\u0301" * 10 + "\u0301" * 30,
    "$error bold",
    "\\[x]",
)
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def hostile_runs(text: str, first_no: int) -> list[RunDetail]:
    """Runs in which everything that can come from outside is `text`."""
    metric = MetricSummary(text, "maximize", 0.5, 10, 0.1, 0.5, 10)
    live = make_run(
        first_no + 2,
        text,
        state="running",
        project=text,
        command=text,
        params={text: text},
        metrics=(metric,),
        working_dir=text,
        started_ago_s=1000.0 - first_no,
    )
    failed = make_run(
        first_no + 1,
        text,
        state="failed",
        project=text,
        command=text,
        cause=text,
        evidence=text,
        signal=text,
        started_ago_s=1000.0 - first_no,
    )
    queued = make_run(first_no, text, state="queued", cause=text, started_ago_s=None)
    skipped = live._replace(host=text, skipped_line_count=2, skipped_example=text, evidence=text)
    return [skipped, failed._replace(skipped_line_count=1, skipped_example=text), queued]


def hostile_box(texts: Sequence[str] = HOSTILE) -> Box:
    """A box with nothing else."""
    box = Box([detail for index, text in enumerate(texts) for detail in hostile_runs(text, 10 * index)])
    for detail in box.details:
        box.logs[detail.row.id] = f"{detail.row.name}\nlast\n".encode()
    return box


class HostileHost(StandIn):
    """Even the host's and the user's name."""

    def status(self) -> Status:
        return super().status()._replace(host=self.box.notice, user=self.box.notice)


def check(picture: str, lines: int) -> str:
    """Fails on anything that a terminal would act on."""
    found = DANGEROUS.search(picture)
    assert found is None, repr(picture[max(0, found.start() - 40) : found.end() + 20])
    assert len(picture.splitlines()) == lines
    return picture


SIZES = [((80, 24), HOSTILE), ((200, 60), HOSTILE[::5])]


def is_shown_as_it_is(text: str, picture: str) -> bool:
    """Not read as markup; texts with controls look different on purpose."""
    return text in picture or not text.startswith("[")


@pytest.mark.slow
@pytest.mark.parametrize(("size", "texts"), SIZES)
def test_strings_from_outside_in_the_table(size: tuple[int, int], texts: Sequence[str]) -> None:
    async def drive() -> None:
        box, clock = hostile_box(texts), Clock()
        async with opened(box, size=size, monotonic=clock, client=HostileHost) as (app, pilot):
            await press(pilot, "s", "s", "s", "s", "s", "s", "s", "S", "g")
            for place, detail in enumerate(sorted(box.details, key=lambda each: each.row.no)):
                row = app.front.run_under_cursor
                assert row == detail.row, place
                box.notice = row.name
                box.tell()
                clock.now_s += app.session.profile.status_interval_s
                await press(pilot, *("y" if row.state == "running" else ""))
                header, notice, *rest = check(screen_text(app), size[1]).splitlines()
                assert is_shown_as_it_is(row.name, header), "the names of host and user"
                assert is_shown_as_it_is(row.name, notice), "the notice of the daemon"
                assert is_shown_as_it_is(row.name, "\n".join(rest))
                app.clear_notifications()
                await press(pilot, "space")
            assert app.is_running

    asyncio.run(drive())


@pytest.mark.slow
@pytest.mark.parametrize(("size", "texts"), SIZES)
def test_strings_from_outside_in_a_run_and_in_the_question(size: tuple[int, int], texts: Sequence[str]) -> None:
    async def drive() -> None:
        box, clock = hostile_box(texts[:1]), Clock()
        del box.details[1:]
        async with opened(box, size=size, monotonic=clock, client=HostileHost) as (app, pilot):
            await press(pilot, "enter")
            run_id = box.details[0].row.id
            for number, text in enumerate(texts):
                clock.now_s += app.session.profile.status_interval_s
                box.notice = text
                box.logs[run_id] += f"{text}\nlast {number}\n".encode()
                box.replace_run(hostile_runs(text, 0)[0])
                await settle(pilot)
                assert isinstance(app.screen, RunScreen)
                assert app.screen.run_under_cursor == box.details[0].row
                header, notice, *rest = check(screen_text(app), size[1]).splitlines()
                assert is_shown_as_it_is(text, header), "the names of host and user"
                assert is_shown_as_it_is(text, notice), "the notice of the daemon"
                log_starts = next(number for number, line in enumerate(rest) if "─ Log " in line)
                assert is_shown_as_it_is(text, "\n".join(rest[:log_starts])), "head, metrics and parameters"
                assert is_shown_as_it_is(text, "\n".join(rest[log_starts:])), "the log"
                assert f"last {number}" in "\n".join(rest[log_starts:])
                await press(pilot, "x")
                assert isinstance(app.screen, ConfirmScreen)
                picture = check(screen_text(app), size[1])
                assert is_shown_as_it_is(text, "\n".join(line for line in picture.splitlines() if "│" in line))
                await press(pilot, "n")
            assert app.is_running

    asyncio.run(drive())


def test_refusals_and_pastes_are_shown_as_they_are() -> None:
    async def drive() -> None:
        box = hostile_box(HOSTILE[:1])
        async with opened(box, size=(80, 24)) as (app, pilot):
            for text in HOSTILE:
                box.refusal = DaemonRefused(text, text, 400)
                box.tell()
                await until(pilot, lambda: app._notifications)
                await settle(pilot)
                check(screen_text(app), 24)
                app.clear_notifications()
                await press(pilot, "slash")
                assert app.focused is not None
                app.focused.post_message(events.Paste(text))
                await press(pilot, "enter")
                check(screen_text(app), 24)
                await press(pilot, "escape")
                app.clear_notifications()
            assert app.is_running

    asyncio.run(drive())
