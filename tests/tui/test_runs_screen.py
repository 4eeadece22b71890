"""What the run table does when keys are pressed and data change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from console.protocol import FoldSummary
from console.tui.screens.confirm import DEBOUNCE_S, ConfirmScreen
from console.tui.screens.run import RunScreen
from console.tui.screens.runs import RunsScreen
from console.tui.widgets.prompt import PromptInput
from console.tui.widgets.virtual_table import VirtualTable
from tests.tui.pilots import Clock, opened, press, screen_text, settle, until
from tests.tui.stand_in import TO_R218, Box, example_box
from tests.tui.stand_in_runs import make_run, summary

if TYPE_CHECKING:
    from textual.app import App


def title_line(app: App[Any]) -> str:
    """The titles of the columns."""
    return next(line for line in screen_text(app).splitlines() if "outcome" in line)


def test_without_runs_the_first_steps_are_shown() -> None:
    async def drive() -> None:
        box = Box()
        async with opened(box, size=(80, 24)) as (app, pilot):
            text = screen_text(app)
            assert "footplate run -- python train.py" in text
            assert "footplate demo" in text
            await press(pilot, "enter", "x", "y", "space")
            assert "there is no run under the cursor" in screen_text(app)
            box.details.append(make_run(1, "first one"))
            box.tell()
            await until(pilot, lambda: "first one" in screen_text(app))

    asyncio.run(drive())


def test_keys_are_never_typed_into_a_filter_that_is_not_open() -> None:
    async def drive() -> None:
        box = Box()
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, "9")
            assert "─ Projects" in screen_text(app)
            await press(pilot, "2")
            box.details.append(make_run(1, "first one"))
            box.tell()
            await until(pilot, lambda: "first one" in screen_text(app))
            await press(pilot, "9", "2", "tab", "tab", "z", "9")
            assert "─ Projects" in screen_text(app)
            await press(pilot, "2")
            assert "first one" in screen_text(app)
            assert isinstance(app.focused, VirtualTable)

    asyncio.run(drive())


def test_filter_as_typed_kept_and_cleared() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, "slash", *"vit")
            assert "Runs 5 of 32  /vit" in screen_text(app)
            assert "churn" not in screen_text(app)
            await press(pilot, "enter")
            assert not isinstance(app.focused, PromptInput)
            assert "/vit" in screen_text(app)
            assert len([query for query in box.run_queries if query[0]]) <= 3, "typing is debounced"
            await press(pilot, "escape")
            assert "Runs 32" in screen_text(app)
            await press(pilot, "slash", *"nightly", "escape")
            assert "Runs 32" in screen_text(app)
            assert isinstance(app.focused, VirtualTable)

    asyncio.run(drive())


def test_no_match_names_the_filter_and_the_way_out() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, "slash", *"zzz", "enter")
            text = screen_text(app)
            assert "no run matches zzz" in text
            assert "esc clears" in text
            await press(pilot, "escape")
            assert "Runs 32" in screen_text(app)

    asyncio.run(drive())


def test_sort_cycles_and_reverses() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(120, 40)) as (app, pilot):
            await press(pilot, "s")
            assert box.run_queries[-1][1:] == ("metric", True)
            assert "by metric ▼" in screen_text(app)
            assert "last" not in title_line(app), "the column of what is sorted by has its place"
            assert "best▼" in title_line(app)
            await press(pilot, "S")
            assert box.run_queries[-1][1:] == ("metric", False)
            await press(pilot, "s", "s", "s")
            assert box.run_queries[-1][1:] == ("name", False), "names read from a to z"
            assert "last" in title_line(app)

    asyncio.run(drive())


def test_the_arrow_stands_above_what_is_sorted_by_at_every_width() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, "s")
            for size in ((200, 60), (120, 40), (80, 24)):
                await pilot.resize_terminal(*size)
                await settle(pilot)
                assert "best▼" in title_line(app), size

    asyncio.run(drive())


def test_marks_overlay_curves_and_survive_a_filter() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, "down", "down", "space", "space")
            text = screen_text(app)
            assert "2 marked" in text
            await press(pilot, "up", "up")
            chart_top = screen_text(app).splitlines()[3]
            assert "r219" in chart_top
            assert "r218" in chart_top
            await press(pilot, "slash", *"r221", "enter")
            assert "2 marked" in screen_text(app)
            assert "r219" in screen_text(app).splitlines()[3]
            await press(pilot, "escape", "escape")
            assert "marked" not in screen_text(app)

    asyncio.run(drive())


def test_the_table_keeps_its_state_while_a_run_is_open() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, "slash", *"vit", "enter", "s", "space", "down")
            before = screen_text(app)
            await press(pilot, "enter")
            assert isinstance(app.screen, RunScreen)
            await press(pilot, "escape")
            assert isinstance(app.screen, RunsScreen)
            assert screen_text(app).splitlines()[2:4] == before.splitlines()[2:4]
            assert [line[:4] for line in screen_text(app).splitlines()] == [line[:4] for line in before.splitlines()]

    asyncio.run(drive())


def test_more_runs_than_a_page() -> None:
    async def drive() -> None:
        box = Box([make_run(no, f"sweep {no}", started_ago_s=1e6 - no) for no in range(1, 2001)])
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, "G")
            assert "r1 " in screen_text(app)
            await press(pilot, "g")
            assert "sweep 2000" in screen_text(app)

    asyncio.run(drive())


def test_seconds_of_running_runs_count() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            line = next(line for line in screen_text(app).splitlines() if "eval r214" in line)
            await until(pilot, lambda: line not in screen_text(app))
            assert "eval r214" in screen_text(app)

    asyncio.run(drive())


def test_stop_names_the_run_and_wants_a_yes_that_was_meant() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        async with opened(box, monotonic=clock) as (app, pilot):
            await press(pilot, *TO_R218, "x")
            assert isinstance(app.screen, ConfirmScreen)
            clock.now_s += DEBOUNCE_S / 2
            await press(pilot, "y")
            assert isinstance(app.screen, ConfirmScreen), "a yes within the debounce time does not count"
            text = screen_text(app)
            for words in ("Stop r218?", "vit-b lr=1e-3 aug=rand", "pid 4411", "gpu-03", "SIGTERM", "SIGKILL", "grace"):
                assert words in text
            clock.now_s += 2 * DEBOUNCE_S
            await press(pilot, "n")
            assert box.stopped == []
            await press(pilot, "x")
            clock.now_s += 2 * DEBOUNCE_S
            await press(pilot, "y")
            await until(pilot, lambda: box.stopped == [("r218", "ana")])
            await until(pilot, lambda: "is being stopped" in screen_text(app))
            await until(pilot, lambda: "stopping" in screen_text(app))

    asyncio.run(drive())


def test_a_metric_is_pinned_for_its_project_after_a_yes() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        async with opened(box, monotonic=clock) as (app, pilot):
            await press(pilot, *TO_R218, "m")
            assert isinstance(app.screen, ConfirmScreen)
            text = screen_text(app)
            for words in ("Pin the metric?", "val/acc ↑", "higher is better", "vit", "--goal"):
                assert words in text
            await press(pilot, "n")
            assert box.pinned_metrics == []
            await press(pilot, "enter", "right_square_bracket", "m")
            clock.now_s += 2 * DEBOUNCE_S
            await press(pilot, "y")
            await until(pilot, lambda: box.pinned_metrics == [("vit", "lr", "minimize", "ana")])
            await until(pilot, lambda: "lr ↓ stands for the runs of vit" in screen_text(app))

    asyncio.run(drive())


def test_what_is_pinned_is_not_called_guessed_and_not_pinned_again() -> None:
    async def drive() -> None:
        box = example_box()
        for detail in box.details:
            if detail.row.metric is not None:
                metrics = tuple(each._replace(goal_source="pinned") for each in detail.metrics)
                box.replace_run(detail._replace(row=detail.row._replace(metric=metrics[0]), metrics=metrics))
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218)
            assert "goal guessed" not in screen_text(app)
            await press(pilot, "m")
            assert "is pinned for vit already" in screen_text(app)
            assert not isinstance(app.screen, ConfirmScreen)

    asyncio.run(drive())


def test_folds_are_shown_as_a_mean_with_its_spread() -> None:
    async def drive() -> None:
        box = example_box()
        detail = next(each for each in box.details if each.row.label == "r218")
        folds = FoldSummary((0.8014, 0.8099, None, 0.8157), 0.809, 0.0073)
        metric = detail.metrics[0]._replace(folds=folds)
        box.replace_run(detail._replace(row=detail.row._replace(metric=metric), metrics=(metric, *detail.metrics[1:])))
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218)
            await until(pilot, lambda: "0.8090 ± 0.0073 over 4" in screen_text(app))
            await press(pilot, "enter")
            await until(pilot, lambda: "cv 0.8090 ± 0.0073, 4 folds" in screen_text(app))

    asyncio.run(drive())


def test_what_has_ended_cannot_be_stopped() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "down", "x")
            assert "r221 vit-l lr=3e-3 has ended already: failed" in screen_text(app)
            assert not isinstance(app.screen, ConfirmScreen)

    asyncio.run(drive())


def test_a_stop_that_fails_is_said() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        async with opened(box, monotonic=clock) as (app, pilot):
            await press(pilot, *TO_R218, "x")
            clock.now_s += 2 * DEBOUNCE_S
            box.away = True
            await press(pilot, "y")
            await until(pilot, lambda: "could not stop the run" in screen_text(app))

    asyncio.run(drive())


def test_copy_says_that_it_was_sent_not_that_it_arrived() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, *TO_R218, "y")
            assert app.clipboard == "python train.py --lr 1e-3 --aug rand --model vit-b"
            assert "sent to terminal: python train.py" in screen_text(app)
            await press(pilot, "Y")
            assert app.clipboard.startswith("01K7")

    asyncio.run(drive())


def chart_words(app: App[Any]) -> str:
    """What the side chart says, without blanks."""
    return "".join(screen_text(app).split())


def test_the_curve_of_a_run_whose_points_come_after_its_end() -> None:
    """The daemon was away while it ran, or reads its log anew."""

    async def drive() -> None:
        box = Box(details=[make_run(1, "first one")])
        async with opened(box, size=(120, 40)) as (app, pilot):
            await until(pilot, lambda: "r1hasreportednometricyet" in chart_words(app))
            box.replace_run(make_run(1, "first one", metrics=(summary("acc", 0.5, 20, points=20),)))
            await until(pilot, lambda: "━ r1 first one" in screen_text(app))
            before = box.series_asked
            box.tell()
            await press(pilot, "j")
            assert box.series_asked == before, "what has ended is read once"
            box.replace_run(make_run(1, "first one", metrics=(summary("acc", float("nan"), 40, points=40),)))
            await until(pilot, lambda: box.series_asked > before)

    asyncio.run(drive())


def test_the_chart_is_that_of_the_run_under_the_cursor_though_pages_came_while_it_rested() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(120, 40)) as (app, pilot):
            screen = app._runs_screen
            screen._table.move_cursor(3)
            await settle(pilot, timers=False)
            screen._glance.cancel()
            screen._rest._run()
            run = screen.run_under_cursor
            assert run is not None
            await until(pilot, lambda: f"━ {run.label}" in screen_text(app))

    asyncio.run(drive())
