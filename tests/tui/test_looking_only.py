"""A console that only looks: keys that change something are dim, say why they do nothing, and nothing gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from console.client import ClientError
from console.config import DEFAULTS
from console.readonly import ReadOnlyClient
from console.tui.actions import ACTIONS, WRITING, in_scope
from console.tui.screens.help import HelpScreen
from tests.tui.pilots import opened, press, run, screen_lines, screen_text
from tests.tui.stand_in import example_box
from tests.tui.test_acts import notices

if TYPE_CHECKING:
    from tests.support import Home

LOOKING = DEFAULTS._replace(readonly=True)


@pytest.mark.parametrize("scope", ["runs", "run", "projects"])
def test_every_key_that_writes_is_refused_with_the_reason(scope: str) -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, settings=LOOKING) as (app, pilot):
            if scope == "run":
                await press(pilot, "enter")
            elif scope == "projects":
                await press(pilot, "9")
            writing = [action for action in (*in_scope(app.front.scope), *in_scope("app")) if action.writes]
            assert writing
            for action in writing:
                app.clear_notifications()
                await press(pilot, action.keys[0])
                assert "this console only looks" in notices(app), action
                assert app.screen is app.front, action
            assert [sent for sent in box.posted if "presence" not in sent[0]] == []
            assert box.stopped == []
            assert app.session.drafts == {}

    run(drive)


def test_keys_are_dim_in_the_footer_and_said_to_be_refused_in_help_and_palette() -> None:
    async def drive() -> None:
        async with opened(example_box(), settings=LOOKING) as (app, pilot):
            stop = next(style for text, style in screen_lines(app)[-1] if "stop" in text)
            assert "strike" in stop
            sort = next(style for text, style in screen_lines(app)[-1] if "sort" in text)
            assert "strike" not in sort
            await press(pilot, "question_mark", *"retry")
            assert isinstance(app.screen, HelpScreen)
            assert "dim: refused, only looks" in screen_text(app)
            await press(pilot, "escape", "colon", *"pack the")
            assert "refused: this console only looks" in " ".join(screen_text(app).split())
            await press(pilot, "enter")
            await press(pilot, *(("enter",) if "alette" in type(app.screen).__name__ else ()))
            assert "this console only looks" in notices(app)

    run(drive)


def test_actions_that_write_are_those_that_post() -> None:
    assert {action.name for action in ACTIONS if action.writes} >= {
        *("stop", "retry", "clone", "requeue", "release", "note", "tag", "pin_run", "archive"),
        *("pin_metric", "trust", "unwatch", "start_job"),
    }
    assert ("runs", "stop") in WRITING
    assert ("runs", "sort") not in WRITING


def test_the_client_itself_refuses_to_write(home: Home) -> None:
    run_id = home.submit("true")
    client = ReadOnlyClient()
    assert client.run(run_id).row.id == run_id
    for write in (
        lambda: client.stop(run_id, "x"),
        lambda: client.post("/retry", {"runs": [run_id]}),
        lambda: client.post_known("/tags", {"runs": [run_id], "add": ["a"], "remove": [], "actor": "x"}),
        lambda: client.delete("/projects/test/runs"),
    ):
        with pytest.raises(ClientError, match="only looks"):
            write()
    client.close()
    assert home.client().run(run_id).row.tags == ()
