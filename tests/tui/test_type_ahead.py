"""Keys that arrive in one piece are for what each of them was typed at, not for what had the focus when they came."""

from __future__ import annotations

from textual.widgets import TextArea

from console.tui.screens.help import HelpScreen
from tests.tui.pilots import opened, run, screen_text, send, settle
from tests.tui.stand_in import example_box


def test_a_filter_typed_in_one_piece_is_a_filter_and_no_command() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            send(pilot, "slash", *"Rxs=R", "enter", "S")
            await settle(pilot)
            assert app._runs_screen.filter_text == "Rxs=R"
            assert app._runs_screen.descending is False
            assert box.posted == []
            assert box.stopped == []

    run(drive)


def test_a_note_typed_in_one_piece_with_its_key() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            send(pilot, "slash", *"r221", "enter", "n", *"Rq x", "enter", *"end")
            await settle(pilot)
            assert app.screen.query_one(TextArea).text == "Rq x\nend"
            send(pilot, "escape")
            await settle(pilot)
            send(pilot, "question_mark", *"stop")
            await settle(pilot)
            assert isinstance(app.screen, HelpScreen)
            assert "stop the run" in screen_text(app)
            assert "sort by" not in screen_text(app)

    run(drive)
