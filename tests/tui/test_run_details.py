"""The details of a run: every section is reached at 80x24, searched and scrolled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from console import run_sections
from console.protocol import Attempt, Note, Usage
from console.tui.messages import LinkQuiet
from console.tui.run_cells import state_sentence
from console.tui.widgets.text_pane import TextPane
from tests.tui.pilots import opened, press, screen_text, settle, until
from tests.tui.stand_in import example_box
from tests.tui.stand_in_runs import make_run

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.screen import Screen

    from console.tui.app import FootplateApp

TO_R218 = ("down", "down", "down", "enter")


def front(app: FootplateApp) -> str:
    return app.front.scope


def test_every_section_is_reached_with_one_key_in_80_columns() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, *TO_R218, "d")
            assert front(app) == "details"
            assert "Ended  About  Params  Env  Pkgs  Code  Diff" in screen_text(app)
            assert "running" in screen_text(app)
            for words in ("python train.py --lr 1e-3", "aug    rand", "CUDA_VISIBLE_DEVICES", "torch", "4f9c1d2b7a6e"):
                await press(pilot, "right_square_bracket")
                assert words in screen_text(app), words
            await press(pilot, "tab")
            assert "+    tf = T.Compose([flip, RandAug(2, 9), norm])" in screen_text(app)
            await press(pilot, "tab", "shift+tab")
            assert "RandAug" in screen_text(app)
            await press(pilot, "escape")
            assert front(app) == "run"
            await press(pilot, "D")
            assert "RandAug" in screen_text(app)

    asyncio.run(drive())


def test_a_section_is_searched_and_esc_gives_up_the_search_first() -> None:
    async def drive() -> None:
        box = example_box()
        params = {f"p{n:03d}": str(n) for n in range(300)} | {"needle": "1", "a needle too": "2"}
        box.details[0] = box.details[0]._replace(row=box.details[0].row._replace(params=params))
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, *TO_R218, "d", "tab", "tab", "slash", *"NEEDLE", "enter")
            assert "needle" in screen_text(app)
            await press(pilot, "n", "n", "N")
            pane = app.screen.query_one(TextPane)
            assert pane._hit == 301
            await press(pilot, "g")
            assert "p000" in screen_text(app)
            await press(pilot, "G", "k", "pageup", "ctrl+u", "j")
            assert "p000" not in screen_text(app)
            await press(pilot, "escape")
            assert front(app) == "details"
            await press(pilot, "slash", *"zzz", "enter")
            assert "no line here holds it" in screen_text(app)
            await press(pilot, "escape", "escape")
            assert front(app) == "run"

    asyncio.run(drive())


def test_what_was_not_captured_says_so() -> None:
    async def drive() -> None:
        box = example_box()
        churn = next(each for each in box.details if each.row.label == "r217")
        box.details = [churn]
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, "enter", "D")
            assert "nothing was captured of this run" in screen_text(app)
            box.replace_run(churn._replace(row=churn.row._replace(tracker="mlflow")))
            await press(pilot, "escape", "D")
            await until(pilot, lambda: "n/a: it was imported: nothing was captured of its code" in screen_text(app))

    asyncio.run(drive())


def test_how_it_ended_has_the_evidence_first_then_usage_and_attempts() -> None:
    detail = next(each for each in example_box().details if each.row.label == "r221")
    detail = detail._replace(
        usage=Usage(61.0, 2.0, 3 << 30),
        attempts=(Attempt(1, 1_759_990_000.0, 1_759_990_060.0, 137, "", "out of memory (host)", "oom_host"),),
        notes=(Note("01", 1_760_000_000.0, "ana", "try\nless"),),
    )
    lines = [line.text for line in run_sections.ending(detail)]
    assert lines[0] == "failed: CUDA out of memory"
    assert lines.index("evidence") < lines.index("usage")
    assert "  torch.OutOfMemoryError: CUDA out of memory." in lines
    assert "  memory     3.0 GiB at most" in lines
    assert any("out of memory (host)" in line and "1m00" in line for line in lines)
    assert run_sections.ending(detail)[0].tone == "bad"
    notes = [line.text for line in run_sections.about(detail)]
    assert notes[notes.index("1 note") :][2:] == ["    try", "    less"]


def test_options_have_their_unit_at_the_value_and_those_that_are_off_are_left_out() -> None:
    options = {"autoresume": False, "checkpoint_s": 90.0, "log_limit_bytes": 2 << 30, "retries": 3, "mutex": ""}
    assert run_sections.option_facts(options) == [("checkpoint", "1m30"), ("log limit", "2.0 GiB"), ("retries", 3)]


def test_lines_from_outside_are_shown_without_markup_or_control_characters() -> None:
    async def drive() -> None:
        box = example_box()
        row = box.details[0].row._replace(params={"[/foo]": "\x1b[31mred\x07\u202e"})
        box.details[0] = box.details[0]._replace(row=row)
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, *TO_R218, "d", "tab", "tab")
            assert "[/foo]  ␛[31mred␇‹U+202E›" in screen_text(app)

    asyncio.run(drive())


def test_the_tone_of_a_line_of_a_patch() -> None:
    tones = {text: run_sections.patch_tone(text) for text in ("+a", "-a", " a", "@@ -1 +1 @@", "+++ b/x", "--- a/x")}
    assert list(tones.values()) == ["added", "removed", "plain", "hunk", "heading", "heading"]


def test_what_changes_below_is_not_sent_again_and_again() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, *TO_R218, "d")
            below = app.screen_stack[-2]
            sent: list[object] = []
            display = app._display

            def counted(screen: Screen[Any], renderable: RenderableType | None) -> None:
                sent.append(renderable)
                display(screen, renderable)

            app._display = counted  # type: ignore[method-assign]
            below.query_one("#run-head").refresh()
            for _ in range(3):
                below.post_message(LinkQuiet())
                await settle(pilot)
            assert [each for each in sent if each is not None] == []

    asyncio.run(drive())


def test_a_state_that_its_cause_says_is_said_once() -> None:
    row = make_run(1, "imported", state="failed", cause="failed, as MLflow says", exit_code=None).row
    assert state_sentence(row) == "✗ failed, as MLflow says"
