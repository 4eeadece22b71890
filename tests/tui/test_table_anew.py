"""Where the cursor of a table goes after another question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tui.pilots import press, settle
from tests.tui.test_virtual_table import names, on_screen

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tests.tui.test_virtual_table import TableApp


@pytest.mark.parametrize("first_rows", [12, 256])
@pytest.mark.parametrize(("place", "row"), [(3, 3), (40, 2)], ids=["in view", "farther down"])
def test_another_question_moves_the_cursor_alike_however_many_rows_come_first(
    first_rows: int, place: int, row: int
) -> None:
    """With its row where that stays in view, else it keeps its place."""

    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await press(pilot, "j", "j")
        app.table.begin_anew()
        app.keys = [key for key in app.keys[:80] if key != "r2"]
        app.keys.insert(place, "r2")
        app.table.set_row_count(80)
        assert app.table.cursor_key == "r2", "until rows come"
        app.answer(0, first_rows)
        await settle(pilot)
        assert app.table.cursor_row == row
        assert app.table.scroll_offset.y == 0

    on_screen(names(500), check)
