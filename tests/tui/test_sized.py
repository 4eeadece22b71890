"""What has gone is painted over."""

from __future__ import annotations

import asyncio

from textual.widgets._toast import Toast, ToastRack

from tests.tui.pilots import opened, settle
from tests.tui.stand_in import example_box


def test_a_notice_that_went_is_painted_over_though_its_place_was_asked_for_before() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(120, 40)) as (app, pilot):
            app.notify("done", timeout=3600)
            await settle(pilot)
            screen = app.screen
            toast, rack = screen.query_one(Toast), screen.query_one(ToastRack)
            region = toast.region
            assert region
            rack.display = False
            screen._clear_arrangement_cache()
            screen._compositor._dirty_regions.clear()
            screen._compositor._full_map_invalidated = True
            assert toast not in screen._compositor.full_map
            assert region in screen._compositor._dirty_regions

    asyncio.run(drive())
