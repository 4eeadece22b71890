"""The screens on a daemon of their own: runs from directories, a live one, and a daemon that is killed."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from console.tui.screens.confirm import DEBOUNCE_S, ConfirmScreen
from tests.support import PastRun
from tests.tui.pilots import Clock, WatchedApp, press, screen_text, send, settle, until

if TYPE_CHECKING:
    from tests.support import Home

LIVE = """
import json, os, sys, time
for step in range(10_000):
    with open(os.environ["FOOTPLATE_METRICS"], "a") as file:
        file.write(json.dumps({"step": step, "loss": 1 / (1 + step)}) + "\\n")
    print("step", step, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_runs_of_a_real_daemon_that_is_killed(home: Home) -> None:
    points = [(step, {"valid/auc": 0.8 - 0.2 * math.exp(-step / 20)}) for step in range(100)]
    for no in (1, 2):
        home.write_run(
            PastRun(no=no, name=f"train {no}", params={"lr": "0.1"}, points=points, log=b"one\ntwo needle\n")
        )
    home.write_run(
        PastRun(no=3, name="[/foo] oom", state="failed", exit_code=1, cause="ValueError: [/foo]", evidence="bad [/foo]")
    )

    async def drive() -> None:
        clock = Clock()
        app = WatchedApp(monotonic=clock)
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until(pilot, lambda: "Runs 3" in screen_text(app))
            await press(pilot, "slash", *"r2", "enter")
            await until(pilot, lambda: "train 2" in screen_text(app) and "train 1" not in screen_text(app))
            await until(pilot, lambda: "valid/auc ↑" in screen_text(app).splitlines()[2])
            await press(pilot, "enter", "slash", *"needle", "enter")
            await until(pilot, lambda: "two needle" in screen_text(app))
            await press(pilot, "escape", "escape", "escape")
            run_id = await asyncio.to_thread(lambda: home.python(LIVE, name="live one"))
            await until(pilot, lambda: "live one" in screen_text(app))
            home.kill_daemon()
            # Whether "reconnecting" is seen depends on when the kill hits: a call that was under way is sent again.
            await until(pilot, home.daemon_pid)
            await until(pilot, lambda: screen_text(app).splitlines()[0].endswith("live"))
            send(pilot, "g", "enter")
            await until(pilot, lambda: "step" in screen_text(app) and "loss ↓" in screen_text(app))
            send(pilot, "x")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen) and "SIGTERM" in screen_text(app))
            clock.now_s += 2 * DEBOUNCE_S
            send(pilot, "y")
            await until(pilot, lambda: "■ stopped" in screen_text(app))
            await settle(pilot)
            assert run_id

    asyncio.run(drive())
