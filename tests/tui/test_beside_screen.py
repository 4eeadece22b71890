"""Marked runs side by side in the console."""

from __future__ import annotations

import asyncio

import pytest

from console.tui.screens.beside import BesideScreen
from tests.tui.pilots import opened, press, screen_text
from tests.tui.stand_in import Box, example_box
from tests.tui.stand_in_runs import make_run, summary


def test_two_marked_runs_stand_side_by_side_and_equal_params_come_on_demand() -> None:
    async def drive() -> None:
        box = example_box()
        for place in (5, 6):
            box.details[place].row.params["opt"] = "adam"
        async with opened(box, size=(120, 40)) as (app, pilot):
            await press(pilot, *"jjjjj", "space", "space", "b")
            assert isinstance(app.screen, BesideScreen)
            shown = screen_text(app)
            assert "r217 churn lr=0.1" in shown
            assert "1 of 3 params differ" in shown
            assert "leaves" in shown
            assert "adam" not in shown
            assert "-0.0018" in shown, "how far the second is from the first"
            await press(pilot, "d")
            assert "adam" in screen_text(app)
            await press(pilot, "escape")
            assert app.front.scope == "runs"

    asyncio.run(drive())


@pytest.mark.parametrize(
    ("params", "words"), [({"lr": "0.1"}, "every param differs"), ({}, "these runs have no params")]
)
def test_where_no_param_is_equal_the_key_that_shows_those_says_so(params: dict[str, str], words: str) -> None:
    async def drive() -> None:
        runs = [make_run(no, f"n{no}", params={key: value * no for key, value in params.items()}) for no in (1, 2)]
        async with opened(Box(runs), size=(80, 24)) as (app, pilot):
            await press(pilot, "space", "space", "b")
            assert isinstance(app.screen, BesideScreen)
            assert words not in screen_text(app)
            await press(pilot, "d")
            assert words in screen_text(app)

    asyncio.run(drive())


def test_one_run_alone_is_said_to_be_too_few_and_one_mark_joins_the_cursor() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(120, 40)) as (app, pilot):
            await press(pilot, "b")
            assert "mark two runs" in screen_text(app)
            await press(pilot, "space", "b")
            assert isinstance(app.screen, BesideScreen)

    asyncio.run(drive())


def test_more_runs_than_fit_are_scrolled_to_beside_the_names() -> None:
    async def drive() -> None:
        runs = [
            make_run(
                no, f"n{no}", params={"lr": str(no)}, metrics=(summary("acc", no / 10, 9),), started_ago_s=99.0 - no
            )
            for no in range(1, 9)
        ]
        async with opened(Box(runs), size=(80, 24)) as (app, pilot):
            await press(pilot, *(["space"] * 8), "b")
            assert "r1 n1" not in screen_text(app)
            await press(pilot, *(["right"] * 8))
            shown = screen_text(app)
            assert "r1 n1" in shown
            assert "acc ↑ best" in shown

    asyncio.run(drive())
