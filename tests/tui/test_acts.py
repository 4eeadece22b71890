"""Keys that do something to runs: what is asked of the daemon, what is said, and that nothing typed is lost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.widgets import TextArea

from console.client import DaemonRefused
from console.tui.acts import REPEAT_S, UNDER_WAY_MAX
from console.tui.messages import ActDone
from console.tui.screens.confirm import DEBOUNCE_S, ConfirmScreen
from console.tui.screens.note import NOTE_MAX_CHARACTERS, NoteScreen
from console.tui.screens.tag import TagScreen, split_words
from console.tui.widgets.prompt import FIELD_MAX_CHARACTERS, FieldInput, PromptInput
from console.tui.widgets.text_box import TextBox, typed_text
from tests.tui.answers import MADE
from tests.tui.pilots import Clock, opened, press, run, screen_text, settle
from tests.tui.stand_in import Box, example_box

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from console.client import Client
    from console.tui.app import FootplateApp


def body(box: Box, path: str) -> dict[str, object]:
    """What was posted there, once."""
    [found] = [dict(sent) for where, sent in box.posted if where == path]
    return found


def notices(app: FootplateApp) -> str:
    """All that was said."""
    return "\n".join(notice.message for notice in app._notifications)


async def paste(pilot: Pilot[int], text: str) -> None:
    """What a terminal sends as a bracketed paste."""
    focused = pilot.app.focused
    assert focused is not None
    focused.post_message(events.Paste(text))
    await settle(pilot)


def named(box: Box, label: str) -> str:
    """The id of a run."""
    return next(each.row.id for each in box.details if each.row.label == label)


async def put_cursor(pilot: Pilot[int], label: str) -> None:
    """Filter the table down to one run."""
    if "esc clears the filter" in screen_text(pilot.app):
        await press(pilot, "escape")
    await press(pilot, "slash", *label, "enter")


def test_retry_acts_at_once_on_the_run_under_the_cursor_and_says_what_came_of_it() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        box.answers["/retry"] = MADE
        async with opened(box, monotonic=clock) as (app, pilot):
            await put_cursor(pilot, "r221")
            await press(pilot, "R")
            asked = body(box, "/retry")
            assert asked["runs"] == [named(box, "r221")]
            assert asked["actor"]
            assert isinstance(asked["environment"], dict)
            assert "r230 again is queued" in notices(app)
            await press(pilot, "R")
            assert len(box.posted) == 1, "a key that was pressed twice is one retry"
            clock.now_s += 2 * REPEAT_S
            await press(pilot, "R")
            assert len(box.posted) == 2

    run(drive)


@pytest.mark.parametrize(
    ("key", "label", "said"),
    [
        ("R", "r218", "r218 vit-b lr=1e-3 aug=rand has not ended (running): x stops it"),
        ("A", "r218", "has not ended (running)"),
        ("Q", "r218", "does not wait, it is running"),
        ("L", "r222", "is not held, it is queued"),
        ("x", "r217", "r217 churn lr=0.1 leaves=63 has ended already: finished"),
    ],
)
def test_a_key_that_cannot_act_says_why(key: str, label: str, said: str) -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, label)
            await press(pilot, key)
            assert said in notices(app)
            assert not box.posted
            assert not isinstance(app.screen, ConfirmScreen)

    run(drive)


def test_an_imported_run_can_be_noted_but_not_retried() -> None:
    async def drive() -> None:
        box = example_box()
        detail = box.details[5]
        box.replace_run(detail._replace(row=detail.row._replace(tracker="mlflow")))
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r217")
            await press(pilot, "R")
            assert "was imported from MLflow: only its own tool can retry it" in notices(app)
            await press(pilot, "n", *"good", "ctrl+d")
            assert body(box, "/notes")["text"] == "good"

    run(drive)


def test_several_marked_runs_are_stopped_after_one_question_that_names_them() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        async with opened(box, monotonic=clock) as (app, pilot):
            await press(pilot, "slash", *"vit", "enter")
            await press(pilot, *["space"] * 5)
            marked = [app._runs_screen._book.marked[key].label for key in app._runs_screen._book.marked]
            await press(pilot, "x")
            shown = screen_text(app)
            assert isinstance(app.screen, ConfirmScreen)
            live = [label for label in marked if label != "r221"]
            assert "Stop 4 runs?" in shown
            assert all(label in shown for label in live)
            assert "1 marked run left out: r221" in shown
            await press(pilot, "y")
            assert isinstance(app.screen, ConfirmScreen), "typed before the question could be read"
            clock.now_s += 2 * DEBOUNCE_S
            await press(pilot, "y")
            assert sorted(label for label, _ in box.stopped) == sorted(live)
            assert {actor for _, actor in box.stopped} == {"ana"}
            assert "are being stopped" in notices(app)

    run(drive)


def test_a_mark_out_of_sight_is_named_before_anything_is_done_to_it() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        box.answers["/retry"] = MADE
        async with opened(box, monotonic=clock) as (app, pilot):
            await put_cursor(pilot, "r217")
            await press(pilot, "space")
            await put_cursor(pilot, "r216")
            await press(pilot, "R")
            assert "Retry r217?" in screen_text(app)
            clock.now_s += 1
            await press(pilot, "n")
            assert not box.posted
            await press(pilot, "R")
            clock.now_s += 1
            await press(pilot, "y")
            assert body(box, "/retry")["runs"] == [named(box, "r217")]

    run(drive)


def test_requeue_puts_waiting_runs_in_front_and_ended_ones_in_the_queue() -> None:
    async def drive() -> None:
        box = example_box()
        box.answers["/retry"] = MADE
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r222")
            await press(pilot, "Q")
            assert body(box, "/queue/place") == {"runs": [named(box, "r222")], "before": "", "actor": "ana"}
            await put_cursor(pilot, "r221")
            await press(pilot, "Q")
            assert body(box, "/retry")["takes_slot"] is True
            assert "r221 vit-l lr=3e-3 once more: r230" in notices(app)

    run(drive)


def test_pin_toggles_and_archive_asks_by_name() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        box.answers["/chores"] = {"id": "c1"}
        async with opened(box, monotonic=clock) as (app, pilot):
            await put_cursor(pilot, "r217")
            await press(pilot, "p")
            assert body(box, "/pins") == {"runs": [named(box, "r217")], "pinned": True, "actor": "ana"}
            assert "pinned: nothing deletes it" in notices(app)
            await press(pilot, "A")
            shown = screen_text(app)
            assert "Archive r217?" in shown
            assert "churn lr=0.1 leaves=63" in shown
            clock.now_s += 1
            await press(pilot, "y")
            assert body(box, "/chores")["chore"] == "archive"
            assert "archived: 2.0 MiB freed" in notices(app)

    run(drive)


def test_tags_are_put_on_and_taken_off() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r217")
            await press(pilot, "T", "enter")
            assert "Tags" in screen_text(app)
            assert "type a word" in screen_text(app)
            await press(pilot, *"best -old", "enter")
            asked = body(box, "/tags")
            assert (asked["add"], asked["remove"]) == (["best"], ["old"])
            assert not isinstance(app.screen, TagScreen)
            assert "r217 churn lr=0.1 leaves=63 tagged +best -old" in notices(app)

    run(drive)


def test_words_of_tags() -> None:
    assert split_words("+a b, -c  - +") == (["a", "b"], ["c"])


def test_a_note_stays_until_it_was_accepted() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r221")
            await press(pilot, "n", *"bad lr", "enter", *"see r217", "escape")
            assert not isinstance(app.screen, NoteScreen)
            assert not box.posted
            await press(pilot, "n")
            assert "written before and not sent yet" in screen_text(app)
            box.refusal = DaemonRefused("the disk is full", "make room", 507)
            await press(pilot, "ctrl+d")
            assert "could not send the note at r221: the disk is full: make room" in screen_text(app)
            assert app.screen.query_one(TextArea).text == "bad lr\nsee r217"
            box.refusal = None
            box.away = True
            await press(pilot, "ctrl+d")
            assert "no daemon is running" in " ".join(screen_text(app).split())
            box.away = False
            box.tell()
            await press(pilot, "ctrl+d")
            assert body(box, "/notes")["text"] == "bad lr\nsee r217"
            assert app.session.drafts == {}
            assert not isinstance(app.screen, NoteScreen)
            assert "noted at r221" in notices(app)

    run(drive)


def test_the_keys_of_a_run_are_there_on_its_own_screen() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (_, pilot):
            await put_cursor(pilot, "r217")
            await press(pilot, "enter", "i", *"from its screen", "ctrl+d", "p", "T", *"best", "enter")
            assert [path for path, _ in box.posted] == ["/notes", "/pins", "/tags"]
            assert {tuple(sent["runs"]) for _, sent in box.posted} == {(named(box, "r217"),)}

    run(drive)


def test_a_huge_paste_is_cut() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await press(pilot, "slash")
            await paste(pilot, "needle " * 150_000)
            assert len(app.screen.query_one(PromptInput).value) == FIELD_MAX_CHARACTERS
            await press(pilot, "escape", "n")
            await paste(pilot, "line\x1b[31m\r\n" * 100_000)
            text = app.screen.query_one(TextBox).text
            assert len(text) == NOTE_MAX_CHARACTERS
            assert "\x1b" not in text
            assert "the paste was cut" in screen_text(app)
            await press(pilot, "escape", "T")
            await paste(pilot, "a\nb")
            assert app.screen.query_one(FieldInput).value == "a"

    run(drive)


def test_typed_text_keeps_lines_and_shows_control_characters() -> None:
    assert typed_text("a\tb\r\nc\x1b[0m\rd", 100) == "a\tb\nc␛[0m\nd"
    assert typed_text("abc", 2) == "ab"


def test_acts_are_bounded_and_one_is_never_under_way_twice() -> None:
    async def drive() -> None:
        box = example_box()
        go = threading.Event()

        def wait(_: Client) -> ActDone:
            go.wait(30)
            return ActDone("done")

        async with opened(box) as (app, pilot):
            acts = app.session.acts
            assert acts.send("a", "do a", app, wait) == ""
            assert acts.send("a", "do a", app, wait) == "that is under way"
            for number in range(UNDER_WAY_MAX - 1):
                assert acts.send(f"b{number}", "do b", app, wait) == ""
            assert "under way already" in acts.send("c", "do c", app, wait)
            go.set()
            await settle(pilot)
            assert not acts.busy
            assert notices(app).count("done") == UNDER_WAY_MAX

    run(drive)


def test_an_act_that_finds_no_daemon_says_what_was_not_done() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await put_cursor(pilot, "r221")
            box.away = True
            await press(pilot, "R")
            assert "could not retry r221 vit-l lr=3e-3: no daemon is running" in notices(app)
            box.away = False
            box.answers["/retry"] = MADE
            await press(pilot, "R")
            assert "r230 again is queued" in notices(app), "what failed may be done again at once"

    run(drive)
