"""Every key that acts on a run, on a daemon of its own: what it did is what the command line says afterwards."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from console import watched_projects
from console.tui.screens.clone import CloneScreen
from console.tui.screens.job import JobScreen
from console.tui.screens.note import NoteScreen
from console.tui.widgets.prompt import FieldInput
from console.tui.widgets.text_box import TextBox
from tests.tui.pilots import Clock, WatchedApp, press, screen_text, send, until

if TYPE_CHECKING:
    from pathlib import Path

    from console.protocol import RunDetail
    from tests.support import Home

MANIFEST = """
[project]
name = "small"

[jobs.train]
command = "sh train.sh --lr {lr}"
params = { lr = 0.1 }
"""


@pytest.mark.slow
def test_acts_of_the_screens_are_done(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "footplate.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "train.sh").write_text("echo trained $2\n", encoding="utf-8")
    secret = "hunter2-very-secret"
    first = home.submit(
        sys.executable, "-c", "import sys; print(len(sys.argv[2]))", "--api-key", secret, "--lr", "0.1", name="first"
    )
    home.wait_ended(first)
    home.footplate("watch", str(folder))
    client = home.client()

    async def drive() -> None:
        clock = Clock()
        app = WatchedApp(monotonic=clock)

        async def ended(reference: str) -> RunDetail:
            return await asyncio.to_thread(home.wait_ended_when_there, reference)

        async with app.run_test(size=(140, 40), notifications=True) as pilot:

            async def said(words: str) -> None:
                await until(pilot, lambda: words in "\n".join(each.message for each in app._notifications))
                clock.now_s += 1.0

            await until(pilot, lambda: "Runs 1" in screen_text(app))
            await until(pilot, lambda: app._runs_screen.run_under_cursor)
            await press(pilot, "R")
            await said("retry of r1 first: r2 first")
            assert (await ended("r2")).row.name == "first"
            await press(pilot, "slash", *"r1", "enter")
            await until(pilot, lambda: "Runs 1 of 2" in screen_text(app))
            await press(pilot, "T", *"best seed-1", "enter")
            await said("r1 first tagged +best +seed-1")
            await press(pilot, "p")
            await said("pinned: nothing deletes it")
            send(pilot, "n")
            await until(pilot, lambda: isinstance(app.screen, NoteScreen))
            await press(pilot, *"lr too high", "ctrl+d")
            await said("noted at r1 first")
            detail = client.run("r1")
            assert (detail.row.tags, detail.row.pinned) == (("best", "seed-1"), True)
            assert [note.text for note in detail.notes] == ["lr too high"]

            send(pilot, "C")
            await until(pilot, lambda: isinstance(app.screen, CloneScreen) and "the same command" in screen_text(app))
            box = app.screen.query_one(TextBox)
            assert secret not in box.text
            box.load_text(box.text.replace("0.1", "0.05"))
            await until(pilot, lambda: "param lr  0.1 -> 0.05" in screen_text(app))
            send(pilot, "ctrl+d")
            await said("clone of r1: r3 first")
            clone = await ended("r3")
            assert clone.row.params["lr"] == "0.05"
            assert client.log("r3").lines[0].text == str(len(secret)), "what was masked is what it was"

            await press(pilot, "escape", "slash", *"r3", "enter")
            await until(pilot, lambda: app._runs_screen.run_under_cursor and "Runs 1 of 3" in screen_text(app))
            await press(pilot, "A")
            assert "Archive r3?" in screen_text(app)
            clock.now_s += 1.0
            send(pilot, "y")
            await said("r3 first archived")
            assert client.run("r3").row.archived
            await until(pilot, lambda: (row := app._runs_screen.run_under_cursor) and row.archived)
            await press(pilot, "R")
            await said("r3 first is packed away")

            send(pilot, "J")
            await until(pilot, lambda: "small" in screen_text(app) and "sh train.sh" in screen_text(app))
            send(pilot, "enter")
            await until(pilot, lambda: isinstance(app.screen, JobScreen) and "sh train.sh --lr 0.1" in screen_text(app))
            app.screen.query(FieldInput).first().value = "0.7"
            await until(pilot, lambda: "sh train.sh --lr 0.7" in screen_text(app))
            send(pilot, "enter")
            await said("train: r4 train")
            job = await ended("r4")
            assert (job.row.params["lr"], job.row.project, job.row.state) == ("0.7", "small", "finished")
            await press(pilot, "escape", "slash", *"r4", "enter")
            await until(pilot, lambda: (row := app._runs_screen.run_under_cursor) and row.no == 4)
            await press(pilot, "Q")
            await said("r4 train once more: r5 train")
            assert (await ended("r5")).row.params["lr"] == "0.7"
        assert watched_projects.all_of(client)[0].jobs[0].params == {"lr": "0.1"}
        audit = home.footplate("audit").stdout
        for word in ("retry", "tag", "pin", "note", "clone", "archive", "start"):
            assert word in audit, word

    asyncio.run(drive())
