"""What the screen of a run does when keys are pressed and data change."""

from __future__ import annotations

import asyncio

from console.tui.screens.run import RunScreen
from console.tui.screens.runs import RunsScreen
from console.tui.widgets.log_view import LogView
from tests.tui.pilots import opened, press, screen_text, settle, until
from tests.tui.stand_in import TO_R218, Box, example_box, run_218
from tests.tui.stand_in_runs import make_run, summary, training_log


def test_a_run_shows_its_end_and_the_evidence() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, *TO_R218, "down", "enter")
            text = screen_text(app)
            assert "✗ failed: CUDA out of memory, exit 1" in text
            assert "evidence  torch.OutOfMemoryError" in text
            assert "Traceback (most recent call last):" in text

    asyncio.run(drive())


def test_metric_keys_choose_the_curve() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, *TO_R218, "enter")
            assert "─ val/acc ↑ ─" in screen_text(app)
            await press(pilot, "right_square_bracket")
            assert "─ lr ↓ ─" in screen_text(app)
            await press(pilot, "right_square_bracket", "down")
            assert "─ val/loss ↓ ─" in screen_text(app)
            await press(pilot, "right_square_bracket")
            assert "─ val/acc ↑ ─" in screen_text(app)
            await press(pilot, "left_square_bracket")
            assert "─ val/loss ↓ ─" in screen_text(app)

    asyncio.run(drive())


def test_the_log_follows_until_one_looks_elsewhere() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "enter")
            assert "[399]" in screen_text(app)
            box.logs[run_218(box).row.id] += b"epoch 42 begins\n"
            box.tell()
            await until(pilot, lambda: "epoch 42 begins" in screen_text(app))
            await press(pilot, "tab", "g")
            assert "loading data/train.parquet" in screen_text(app)
            assert "f follows the end" in screen_text(app)
            box.logs[run_218(box).row.id] += b"epoch 43 begins\n"
            box.tell()
            await settle(pilot)
            assert "epoch 43" not in screen_text(app)
            await press(pilot, "f")
            await until(pilot, lambda: "epoch 43 begins" in screen_text(app))

    asyncio.run(drive())


def test_search_goes_through_the_daemon_and_wraps_with_a_notice() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "enter", "slash", *"LOADING", "enter")
            await until(pilot, lambda: "loading data/train.parquet" in screen_text(app))
            assert app.screen.query_one(LogView).highlight == "LOADING"
            await press(pilot, "n")
            await until(pilot, lambda: "search went on at the top" in screen_text(app))
            await press(pilot, "escape", "slash", *"[20]", "enter", "n", "N")
            await until(pilot, lambda: "[20]" in screen_text(app))
            await press(pilot, "escape", "slash", *"no such words", "enter")
            await until(pilot, lambda: "no line holds no such words" in screen_text(app))
            await press(pilot, "escape", "escape")
            assert isinstance(app.screen, RunsScreen)

    asyncio.run(drive())


def test_next_hit_goes_to_another_line_although_the_search_goes_by_bytes() -> None:
    async def drive() -> None:
        box = example_box()
        box.logs[run_218(box).row.id] = b"a needle and a needle\nnothing\nneedle again\n"
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "enter", "tab", "up", "slash", *"needle", "enter")
            hits = [app.screen.query_one(LogView)._hit_bytes]
            for key in ("n", "n", "N"):
                await press(pilot, key)
                hits.append(app.screen.query_one(LogView)._hit_bytes)
            assert hits == [0, 30, 0, 30]

    asyncio.run(drive())


def test_zoom_gives_the_focused_pane_the_screen() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, *TO_R218, "enter", "z")
            assert "Log" not in screen_text(app)
            assert "─ val/acc ↑ ─" in screen_text(app)
            await press(pilot, "z", "tab", "z")
            assert "─ val/acc ↑ ─" not in screen_text(app)
            assert "─ Log" in screen_text(app)
            await press(pilot, "escape")
            assert "─ val/acc ↑ ─" in screen_text(app)
            assert isinstance(app.screen, RunScreen)

    asyncio.run(drive())


def test_a_run_without_metrics_and_output() -> None:
    async def drive() -> None:
        box = Box([make_run(1, "silent", state="running")])
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, "enter")
            text = screen_text(app)
            assert "no metric yet" in text
            assert "no output yet" in text
            await press(pilot, "right_square_bracket", "n", "f", "z", "z")
            silent = box.details[0]
            acc = summary("acc", 0.5, 3)
            box.logs[silent.row.id] = training_log(3)
            box.replace_run(silent._replace(row=silent.row._replace(metric=acc), metrics=(acc,)))
            await until(pilot, lambda: "acc ↑" in screen_text(app) and "[2]" in screen_text(app))

    asyncio.run(drive())


def test_a_run_that_ends_while_it_is_looked_at() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "enter")
            first = run_218(box)
            row = first.row._replace(
                state="failed", ended_at_s=first.now_s, exit_code=137, cause="killed: out of memory"
            )
            box.replace_run(first._replace(row=row, pid=None))
            await until(pilot, lambda: "✗ failed: killed: out of memory, exit 137" in screen_text(app))
            await until(pilot, lambda: "─ ended" in screen_text(app) or " ended ─" in screen_text(app))

    asyncio.run(drive())


def test_a_run_that_is_removed_while_it_is_looked_at() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await press(pilot, *TO_R218, "enter")
            box.details = box.details[1:]
            box.tell()
            await until(pilot, lambda: "there is no run" in screen_text(app))
            await press(pilot, "escape")
            assert "Runs 31" in screen_text(app)

    asyncio.run(drive())
