"""The screen of watched projects: what wants a person first, and the key that trusts exactly what was shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from console.client import DaemonRefused
from tests.tui.pilots import Clock, opened, press, run, screen_text
from tests.tui.project_boxes import box_of_projects, project
from tests.tui.stand_in import Box, example_box
from tests.tui.stand_in_runs import NOW_S
from tests.tui.test_snapshots import SIZES, compare_both

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("in_utc")


@pytest.fixture(autouse=True)
def at_a_fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.tui.screens.projects.time.time", lambda: NOW_S)


@pytest.mark.parametrize("size", SIZES)
def test_projects(size: tuple[int, int]) -> None:
    async def look() -> None:
        async with opened(box_of_projects(), size=size, monotonic=Clock()) as (app, pilot):
            await press(pilot, "9")
            await compare_both("projects", app, pilot)

    asyncio.run(look())


def on_projects(test: Callable[..., Any], box: Box | None = None) -> None:
    """Run a test on the screen of projects."""

    async def body() -> None:
        shown = box or box_of_projects()
        clock = Clock()
        async with opened(shown, size=(120, 40), monotonic=clock) as (app, pilot):
            await press(pilot, "9")
            await test(shown, app, pilot, clock)

    run(body)


def test_the_one_that_wants_a_person_is_first_and_t_trusts_the_text_that_was_shown() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:
        assert "! 1 wants you" in screen_text(app)
        await press(pilot, "t")
        shown = screen_text(app)
        assert "Trust footplate.toml?" in shown
        assert "+[jobs.report]" in shown
        assert "/home/ana/vit [red]/footplate.toml" in shown
        await press(pilot, "y")
        assert box.posted == []
        clock.now_s += 1
        await press(pilot, "y")
        ((path, body),) = box.posted
        assert (path, body["folder"], body["text_hash"]) == (
            "/projects/trust",
            "/home/ana/vit [red]",
            "hash of vit [red]",
        )
        assert "PATH" in body["environment"]
        assert "is trusted as it is now" in screen_text(app)

    on_projects(test)


def test_what_cannot_be_trusted_says_so_and_a_refusal_is_shown() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:
        await press(pilot, "G", "t")
        assert "has no footplate.toml" in screen_text(app)
        await press(pilot, "g", "j", "t")
        assert "is trusted already" in screen_text(app)
        box.refusal = DaemonRefused("footplate.toml has changed since you looked at it", "look again", 409)
        await press(pilot, "g", "t")
        clock.now_s += 1
        await press(pilot, "y")
        assert "looked at it: look again" in screen_text(app)

    on_projects(test)


def test_unwatch_asks_and_enter_leads_to_the_runs_of_the_project() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:
        await press(pilot, "j", "u")
        assert "Watch it no more?" in screen_text(app)
        await press(pilot, "n")
        assert box.posted == []
        await press(pilot, "u")
        clock.now_s += 1
        await press(pilot, "y")
        assert box.posted[0][0] == "/projects/unwatch"
        await press(pilot, "enter")
        assert "/" + app.front.filter_text in screen_text(app)
        assert app.front.filter_text
        await press(pilot, "9", "escape")
        assert "Runs" in screen_text(app)

    on_projects(test)


def test_without_projects_the_screen_says_how_to_begin() -> None:
    async def test(box: Box, app: Any, pilot: Any, clock: Clock) -> None:  # noqa: ARG001
        assert "footplate watch DIR" in screen_text(app)
        await press(pilot, "t", "u", "y", "enter")
        assert "there is no project under the cursor" in screen_text(app)

    on_projects(test, example_box())


def test_a_long_command_is_shown_whole_before_it_is_trusted_and_the_answers_stay_in_sight() -> None:
    command = "python train.py " + " ".join(f"--option-{number} {{value}}" for number in range(12))
    jobs = [{"name": f"job-{number}", "command": command} for number in range(15)]

    async def test() -> None:
        box = example_box()
        box.projects = [project("vit", "untrusted", jobs=jobs)]
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, "9", "t")
            shown = screen_text(app)
            assert "y trust it" in shown
            assert "--option-11" in " ".join(shown.split())
            await press(pilot, "end")
            shown = screen_text(app)
            assert "3 jobs more: footplate trust --show" in shown
            assert "y trust it" in shown

    run(test)
