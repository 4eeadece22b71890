"""Forms that enqueue: a run with another command, a job with its params; both show the command first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.containers import Vertical
from textual.widgets import Checkbox

from console.client import DaemonRefused
from console.tui.screens.clone import CloneScreen
from console.tui.screens.job import JobScreen
from console.tui.screens.jobs import JobsScreen
from console.tui.widgets.prompt import FieldInput
from console.tui.widgets.text_box import TextBox
from tests.recorded import compare_screen
from tests.tui.answers import COMMAND, WORDS, clone_answer, job_answer
from tests.tui.pilots import Clock, opened, press, run, screen_text, settle
from tests.tui.project_boxes import project
from tests.tui.stand_in import Box, example_box
from tests.tui.test_acts import named, notices, put_cursor

if TYPE_CHECKING:
    from textual.pilot import Pilot


def box_with_jobs() -> Box:
    """A box that watches two projects."""
    box = example_box()
    train = {
        "name": "train",
        "command": "python train.py --lr {lr}",
        "params": {"lr": "0.1", "leaves": "31"},
        "followers": ["eval"],
        "description": "",
    }
    box.projects = [
        project("churn", "trusted", jobs=[train]),
        project("vit", "untrusted", jobs=[{"name": "bench", "command": "./bench"}]),
    ]
    box.answers |= {"/jobs": job_answer, "/clone": clone_answer}
    return box


async def replace_text(pilot: Pilot[int], before: str, after: str) -> None:
    """Edit the command as a person would."""
    box = pilot.app.screen.query_one(TextBox)
    box.load_text(box.text.replace(before, after))
    await settle(pilot)


def test_a_clone_shows_what_differs_and_is_enqueued_with_the_words_that_were_typed() -> None:
    async def drive() -> None:
        box = box_with_jobs()
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r217")
            await press(pilot, "C")
            assert app.screen.query_one(TextBox).text == COMMAND
            assert "the same command as r217" in screen_text(app)
            await replace_text(pilot, "0.1", "0.05")
            shown = screen_text(app)
            assert "differs from r217" in shown
            assert "param lr  0.1 -> 0.05" in shown
            await press(pilot, "ctrl+d")
            sent = dict(box.posted[-1][1])
            assert sent["argv"] == [*WORDS[:3], "0.05", *WORDS[4:]]
            assert sent["run"] == named(box, "r217")
            assert "clone of r217: r230 again is queued" in notices(app)
            assert "Clone" not in screen_text(app)

    run(drive)


def test_a_clone_waits_for_what_differs_and_says_what_cannot_be_read() -> None:
    async def drive() -> None:
        box = box_with_jobs()
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r217")
            await press(pilot, "C")
            await replace_text(pilot, "words'", "words")
            assert "the command cannot be read: no closing quotation" in screen_text(app)
            await press(pilot, "ctrl+d")
            assert all(sent.get("plan") for _, sent in box.posted)
            assert isinstance(app.screen, CloneScreen)
            box.refusal = DaemonRefused("the files of r217 are not there", "restore them", 409)
            await replace_text(pilot, "words", "words'")
            assert "the files of r217 are not there: restore them" in screen_text(app)
            assert app.screen.query_one(TextBox).text == COMMAND

    run(drive)


def test_a_job_is_chosen_filled_in_and_started_with_the_command_in_sight() -> None:
    async def drive() -> None:
        box = box_with_jobs()
        async with opened(box) as (app, pilot):
            await press(pilot, "J", *"train")
            assert isinstance(app.screen, JobsScreen)
            await press(pilot, "enter")
            screen = app.screen
            assert type(screen).__name__ == JobScreen.__name__
            shown = screen_text(app)
            assert "python train.py --lr 0.1" in shown
            assert "takes  ~" in shown
            assert "eval will not follow by itself" in shown
            field = screen.query(FieldInput).first()
            field.value = "0.3"
            screen.query_one(Checkbox).value = False
            await settle(pilot)
            assert "python train.py --lr 0.3" in screen_text(app)
            await press(pilot, "enter")
            sent = dict(box.posted[-1][1])
            assert (sent["job"], sent["folder"], sent["params"]) == ("train", "/home/ana/churn", {"lr": "0.3"})
            assert sent["followers"] is False
            assert "train: r230 again is queued" in notices(app)

    run(drive)


def test_a_param_that_does_not_fit_is_refused_in_the_form() -> None:
    async def drive() -> None:
        box = box_with_jobs()
        async with opened(box) as (app, pilot):
            await press(pilot, "J", *"train", "enter")
            app.screen.query(FieldInput).first().value = "x y"
            await settle(pilot)
            assert "lr cannot be 'x y': a number" in screen_text(app)
            await press(pilot, "enter")
            assert "the command is not resolved yet" in screen_text(app) or "lr cannot be" in screen_text(app)
            assert all(sent.get("plan") for _, sent in box.posted)

    run(drive)


def test_jobs_of_the_project_under_the_cursor_come_first_and_arrows_move() -> None:
    async def drive() -> None:
        box = box_with_jobs()
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r221")
            await press(pilot, "J")
            screen = app.screen
            assert isinstance(screen, JobsScreen)
            assert [each.job.name for each in screen._shown] == ["bench", "train"]
            await press(pilot, "down", "enter")
            assert "/home/ana/churn" in screen_text(app)

    run(drive)


def test_without_a_watched_project_it_says_what_helps() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, "J")
            assert "footplate init DIR proposes some" in screen_text(app)
            await press(pilot, "enter")
            assert "there is no job under the cursor" in screen_text(app)
            app.screen.post_message(events.Paste("x" * 1_000_000))
            await press(pilot, "escape")

    run(drive)


def test_pictures_of_the_forms() -> None:
    async def paint(name: str, *keys: str, edit: tuple[str, str] | None = None) -> None:
        async with opened(box_with_jobs(), size=(120, 40), monotonic=Clock()) as (app, pilot):
            await press(pilot, *keys)
            if edit is not None:
                await replace_text(pilot, *edit)
            app.clear_notifications()
            await settle(pilot)
            # The box alone: what lies behind it is the business of other pictures.
            region = app.screen.query_one(Vertical).region
            lines = screen_text(app).splitlines()[region.y : region.bottom]
            compare_screen(f"{name}_form", "\n".join(line[region.x : region.right] for line in lines) + "\n")

    async def drive() -> None:
        await paint("clone", *["down"] * 5, "C", edit=("0.1", "0.05"))
        await paint("job", "J", *"train", "enter")
        await paint("note", *["down"] * 4, "n", *"OOM again", "enter", *"try r217")
        await paint("stop_several", "space", "space", "space", "x")

    run(drive)
