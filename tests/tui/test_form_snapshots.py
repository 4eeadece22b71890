"""Forms over the table of runs, as text with a map of styles, at two sizes."""

from __future__ import annotations

import asyncio

import pytest

from tests.tui.pilots import Clock, opened, press
from tests.tui.test_enqueueing_forms import box_with_jobs, replace_text
from tests.tui.test_snapshots import SIZES, compare_both

pytestmark = pytest.mark.usefixtures("in_utc")


@pytest.mark.parametrize("size", SIZES[:2])
def test_forms(size: tuple[int, int]) -> None:
    async def look() -> None:
        async with opened(box_with_jobs(), size=size, monotonic=Clock()) as (app, pilot):
            await press(pilot, *["down"] * 4, "n", *"OOM again", "enter", *"try r217")
            await compare_both("note", app, pilot)
            await press(pilot, "escape", "T", *"best seed-1")
            await compare_both("tag", app, pilot)
            await press(pilot, "escape", "J")
            await compare_both("jobs", app, pilot)
            await press(pilot, *"train", "enter")
            await compare_both("job", app, pilot)
            await press(pilot, "escape", "escape", "down", "C")
            await replace_text(pilot, "0.1", "0.05")
            await compare_both("clone", app, pilot)
            await press(pilot, "escape", "space", "space", "space", "x")
            await compare_both("stop_several", app, pilot)

    asyncio.run(look())
