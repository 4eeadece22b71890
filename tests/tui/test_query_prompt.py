"""The prompt for queries: completions, errors at their column, and rows that stay while a query is not finished."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from console.client import DaemonRefused
from console.run_columns import table_page
from console.run_queries import Completion
from console.tui.terminal import slowed
from console.tui.widgets.prompt import Prompt, PromptInput
from console.tui.widgets.query_prompt import ANSWER_KEEPS_S, QueryPrompt, completion_line
from tests.tui.pilots import QUICK, Clock, opened, press, screen_text, settle
from tests.tui.stand_in import StandIn, example_box
from tests.tui.test_acts import paste

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.protocol import RunPage
    from tests.tui.pilots import WatchedApp
    from tests.tui.stand_in import Box

HOSTILE = "[/foo]\x1b]0;x\x07" + "k" * 90


def completed(text: str, at: int) -> dict[str, Any]:
    """A daemon that knows two keys."""
    start = text.rfind(" ", 0, at) + 1
    typed = text[start:at]
    names: list[tuple[str, str, int | None]] = [
        ("zq/acc", "metric", 32),
        ("zq/loss", "metric", 30),
        (HOSTILE, "param", 3),
    ]
    if typed == "":
        names = [(">", "operator", None), ("<", "operator", None)]
    items = [
        {"text": name, "kind": kind, "run_count": count, "words": ""}
        for name, kind, count in names
        if name.startswith(typed)
    ]
    return {"start": start, "end": at, "items": items}


def refuse_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the daemon refuse what ends with an operator, and the key lrr."""
    answer = StandIn.runs

    def runs(self: StandIn, **asked: Any) -> RunPage:
        text = str(asked["text"])
        for wrong, message in (("lrr", "no metric or param named `lrr`"), ("<", "a value is missing after `<`")):
            start = text.find(wrong)
            if start >= 0 and (wrong == "lrr" or text.endswith("<")):
                start, end = (start, start + 3) if wrong == "lrr" else (len(text), len(text) + 1)
                facts = {"message": message, "hint": "did you mean `lr`?", "column_start": start, "column_end": end}
                raise DaemonRefused(message, "did you mean `lr`?", 400, {**facts, "of": "text"})
        return answer(self, **asked)

    monkeypatch.setattr(StandIn, "runs", runs)


def test_a_completion_is_taken_by_tab_and_by_right_behind_the_end() -> None:
    async def drive() -> None:
        box = example_box()
        box.complete = completed
        async with opened(box, size=(120, 40)) as (app, pilot):
            await press(pilot, "slash", *"zq")
            assert "zq/acc 32  zq/loss 30" in screen_text(app)
            await press(pilot, "tab")
            field = app.screen.query_one(PromptInput)
            assert (field.value, field.cursor_position) == ("zq/acc ", 7)
            assert ">  <" in screen_text(app)
            await press(pilot, "right")
            assert field.value == "zq/acc > "
            await press(pilot, "left", "right", *"[")
            assert field.value == "zq/acc > ["
            assert app.focused is field
            await press(pilot, "escape")
            assert "zq/acc 32" not in screen_text(app)
            await press(pilot, "slash", *"[/f", "tab")
            assert field.value == HOSTILE + " ", "shown made visible, taken as it is"

    asyncio.run(drive())


def test_an_error_points_at_its_column_and_the_rows_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_unfinished(monkeypatch)

    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(120, 40)) as (app, pilot):
            await press(pilot, "slash", *"vit")
            assert "Runs 5 of 32  /vit" in screen_text(app)
            await press(pilot, *" lrr")
            text = screen_text(app)
            assert "no metric or param named `lrr`   did you mean `lr`?" in text
            assert "Runs 5 of 32  /vit" in text, "the last good result"
            field = app.screen.query_one(PromptInput)
            marked = [(span.start, span.end) for span in field._value.spans if "underline" in str(span.style)]
            assert marked == [(4, 7)]
            await press(pilot, "backspace", "backspace", "backspace", "backspace")
            assert "did you mean" not in screen_text(app)
            assert not [span for span in field._value.spans if "underline" in str(span.style)]
            await press(pilot, *" lr <", "enter")
            text = screen_text(app)
            assert "a value is missing after `<`" in text, "kept, it is said once more"
            assert "Runs 5 of 32  /vit" in text
            assert not isinstance(app.focused, PromptInput)

    asyncio.run(drive())


def test_a_word_that_may_become_a_name_does_not_empty_the_table() -> None:
    async def drive() -> None:
        box = example_box()
        box.complete = completed
        async with opened(box, size=(120, 40)) as (app, pilot):
            await press(pilot, "slash", *"zq")
            assert "Runs 32" in screen_text(app)
            await press(pilot, "x")
            assert "no run matches zqx" in screen_text(app), "no key begins like that"
            await press(pilot, "backspace", "enter")
            assert "no run matches zq" in screen_text(app), "kept, it is what it says"

    asyncio.run(drive())


def test_earlier_queries_come_back_with_up() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(120, 40)) as (app, pilot):
            for text in ("vit", "churn"):
                await press(pilot, "slash", *["backspace"] * 9, *text, "enter")
            await press(pilot, "slash", "up")
            field = app.screen.query_one(PromptInput)
            assert field.value == "churn"
            await press(pilot, "up")
            assert field.value == "vit"
            await press(pilot, "enter")
            assert "/vit" in screen_text(app)

    asyncio.run(drive())


def test_a_megabyte_is_cut_refused_here_and_never_sent() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(80, 24)) as (app, pilot):
            await press(pilot, "slash")
            await paste(pilot, "x " * 500_000)
            assert "at most 4,000 are taken" in screen_text(app)
            assert "Runs 32" in screen_text(app)
            await press(pilot, "enter")
            assert "Runs 32" in screen_text(app)
            assert max(len(text) for text, *_ in box.run_queries) == 0

    asyncio.run(drive())


def test_what_was_typed_before_an_answer_came_does_not_count_any_more() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(120, 40)) as (app, pilot):
            await press(pilot, "slash", *"vit")
            prompt = app.screen.query_one(QueryPrompt)
            late = QueryPrompt.Tried(prompt._number - 1, "churn", table_page=None, fault=None)
            prompt.post_message(late)
            await press(pilot, "escape")
            assert "Runs 32" in screen_text(app)

    asyncio.run(drive())


def test_completions_take_no_more_than_their_line() -> None:
    items = tuple(Completion(f"{HOSTILE}{number}", "metric", 10**number, "") for number in range(10))
    for width in (10, 40, 78):
        line = completion_line(items, width)
        assert line.cell_length <= width
        assert "\x1b" not in line.plain


def test_an_answer_that_comes_with_the_key_that_drops_the_query_does_not_count() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(120, 40)) as (app, pilot):
            await press(pilot, "slash", *"sweep")
            prompt = app.screen.query_one(QueryPrompt)
            page = table_page(prompt._session.courier._client_factory(), text="sweep")
            prompt._wanted = "tried"
            prompt.post_message(QueryPrompt.Tried(prompt._number, "sweep 2", page, None))
            prompt.post_message(Prompt.Left(kept=False, text="sweep 2"))
            await settle(pilot)
            assert app._runs_screen.filter_text == ""
            assert "Runs 32 " in screen_text(app)

    asyncio.run(drive())


def typed_without_a_pause(prompt: QueryPrompt, text: str) -> None:
    """As if the letters had come and the next key came before a pause."""
    with prompt.prevent(PromptInput.Changed):
        prompt.text_input.value = text
    prompt.post_message(Prompt.Letters(text))


def test_a_query_is_asked_with_its_letters_and_shown_when_it_is_wanted() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(120, 40), monotonic=Clock()) as (app, pilot):
            await press(pilot, "slash")
            typed_without_a_pause(app.screen.query_one(QueryPrompt), "vit")
            await settle(pilot)
            assert "vit" in {text for text, *_ in box.run_queries}
            assert "Runs 32" in screen_text(app), "nothing moves while letters come"
            asked = len(box.run_queries)
            app.screen.query_one(Prompt).post_message(Prompt.Typed("vit"))
            await settle(pilot)
            assert "Runs 5 of 32  /vit" in screen_text(app)
            app.screen.query_one(PromptInput).action_keep_filter()
            await settle(pilot)
            texts = [text for text, *_ in box.run_queries[asked:]]
            assert "vit" not in texts, "asked once"
            assert not app.screen.query_one(QueryPrompt).display

    asyncio.run(drive())


def test_an_answer_grows_old() -> None:
    async def drive() -> None:
        box, clock = example_box(), Clock()
        async with opened(box, size=(120, 40), monotonic=clock) as (_app, pilot):
            await press(pilot, "slash", *"vit")
            asked = len(box.run_queries)
            clock.now_s += ANSWER_KEEPS_S
            await press(pilot, "enter")
            assert [text for text, *_ in box.run_queries[asked:]] == ["vit"]

    asyncio.run(drive())


def change_the_order(app: WatchedApp, _box: Box) -> None:
    app._runs_screen._set_sort("name", descending=False)


def answer_again(_app: WatchedApp, box: Box) -> None:
    box.refusal = None


@pytest.mark.parametrize(
    ("refusal", "meanwhile", "asked"),
    [
        (None, change_the_order, ("vit", "name", False)),
        (DaemonRefused("the index is busy", "try again", 503, {}), answer_again, ("vit", "started", True)),
    ],
    ids=["of another order", "failed"],
)
def test_an_answer_that_does_not_count_is_asked_for_again(
    refusal: DaemonRefused | None, meanwhile: Callable[[WatchedApp, Box], None], asked: tuple[str, str, bool]
) -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(120, 40), monotonic=Clock()) as (app, pilot):
            await press(pilot, "slash")
            box.refusal = refusal
            typed_without_a_pause(app.screen.query_one(QueryPrompt), "vit")
            await settle(pilot)
            meanwhile(app, box)
            box.run_queries.clear()
            app.screen.query_one(PromptInput).action_keep_filter()
            await settle(pilot)
            assert asked in box.run_queries
            assert "Runs 5 of 32  /vit" in screen_text(app)

    asyncio.run(drive())


def test_on_a_slow_line_nothing_is_asked_before_the_pause() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box, size=(120, 40), profile=slowed(QUICK)) as (app, pilot):
            await press(pilot, "slash")
            typed_without_a_pause(app.screen.query_one(QueryPrompt), "vit")
            await settle(pilot)
            assert "vit" not in {text for text, *_ in box.run_queries}
            app.screen.query_one(Prompt).post_message(Prompt.Typed("vit"))
            await settle(pilot)
            assert "Runs 5 of 32  /vit" in screen_text(app)

    asyncio.run(drive())
