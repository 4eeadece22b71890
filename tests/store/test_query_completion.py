"""What may come next in a query, at every place of it, with keys that need quotes and with very many keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console import run_queries
from store.query_language.completion import ANSWER_MAX, Completions, KeyCounts, complete, quoted, written_key
from store.query_language.parser import parse, parse_field
from store.query_language.tree import Word
from tests.store.query_runs import SampleRun, index_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.database import Cursor

RUNS = (
    SampleRun(1, params={"lr": "0.1", "lr decay": "cosine", "optimizer": "adam"}, tags=("baseline",), project="churn"),
    SampleRun(2, params={"lr": "0.01", "optimizer": "sgd"}, metrics={"val/acc": (0.8, 0.1, 0.9), "lr": (1, 1, 1)}),
    SampleRun(3, params={"lr": "0.1", "optimizer": "it's (new)"}, metrics={"loss": (1, 1, 1)}, state="failed"),
)


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cursor]:
    """Of an index with RUNS and 12,000 metrics more."""
    with index_of(tmp_path_factory.mktemp("completion"), RUNS) as cursor:
        cursor.execute("insert into metric_key select 100 + i, 'layer_' || i || '/grad norm' from range(12000) n(i)")
        yield cursor


def completed(cursor: Cursor, text: str, at: int | None = None) -> Completions:
    """The completions at the end of a text, unless a column is given."""
    return complete(cursor, text, len(text) if at is None else at, KeyCounts())


@pytest.mark.parametrize(
    ("text", "start", "first"),
    [
        ("l", 0, ["lr", '"lr decay"', "metric.lr", "loss"]),
        ("vit and lo", 8, ["loss"]),
        ("(va", 1, ["val/acc"]),
        ("acc", 0, ["val/acc"]),
        ("opt", 0, ["optimizer"]),
        ("stat", 0, ["state"]),
        ("pin", 0, ["pinned"]),
        ("bes", 0, ["best("]),
        ("no", 0, ["note", "not"]),
        ("best(lo", 5, ["loss"]),
        ("best(l", 5, ["lr", "loss"]),
        ("param.l", 0, ["param.lr", 'param."lr decay"']),
        ("metric.l", 0, ["metric.lr", "metric.loss"]),
        ('"lr ', 0, ['"lr decay"']),
        ("optimizer = ", 12, ["adam", '"it\'s (new)"', "sgd"]),
        ("optimizer=s", 10, ["sgd", '"it\'s (new)"']),
        ("lr < ", 5, ["0.1", "0.01"]),
        ("`lr decay` = ", 13, ["cosine"]),
        ("state = ", 8, ["finished", "failed", "blocked"]),
        ("state:fai", 6, ["failed"]),
        ("state:failed,run", 13, ["running"]),
        ("project:", 8, ["demo", "churn"]),
        ("tag:ba", 4, ["baseline"]),
        ("has:no", 4, ["note"]),
        ("has:val", 4, ["val/acc"]),
        ("age < ", 6, ["30m", "1h"]),
        ("started > t", 10, ["today"]),
        ("lr ", 3, ["=", "!=", "<"]),
        ("state ", 6, ["=", "!=", "~"]),
        ("val/acc ", 8, ["<", "<="]),
        ("best(val/acc) ", 14, ["<", "<="]),
        ("age ", 4, ["<"]),
        ("lr < 1 ", 7, ["and", "or"]),
        ("some word ", 10, ["and", "or"]),
    ],
)
def test_what_may_come_next(cursor: Cursor, text: str, start: int, first: list[str]) -> None:
    found = completed(cursor, text)
    assert (found.start, found.end) == (start, len(text))
    assert [each.text for each in found.items][: len(first)] == first


@pytest.mark.parametrize("text", ["val/acc = ", "name ~ ", "lrr = ", "zzz", "x" * 5000, "has:zzz", "run = "])
def test_where_nothing_is_known_nothing_is_said(cursor: Cursor, text: str) -> None:
    assert completed(cursor, text).items == ()


def test_completions_say_how_many_runs_have_a_key(cursor: Cursor) -> None:
    items = completed(cursor, "l").items
    assert [(each.text, each.kind, each.run_count) for each in items[:4]] == [
        ("lr", "param", 3),
        ('"lr decay"', "param", 1),
        ("metric.lr", "metric", 1),
        ("loss", "metric", 1),
    ]
    assert [(each.text, each.run_count) for each in completed(cursor, "state = f").items] == [
        ("finished", 2),
        ("failed", 1),
    ]


def test_of_very_many_keys_fifty_are_named_and_the_rest_is_found_by_typing(cursor: Cursor) -> None:
    assert len(completed(cursor, "layer").items) == ANSWER_MAX
    assert [each.text for each in completed(cursor, "layer_11999").items] == ['"layer_11999/grad norm"']


def test_the_middle_of_a_query_is_completed_to_the_cursor(cursor: Cursor) -> None:
    found = completed(cursor, "opt = adam and lr < 1", 3)
    assert (found.start, found.end, found.items[0].text) == (0, 3, "optimizer")


@pytest.mark.parametrize(
    "name", ["lr", "a b", 'q"', "back\\", "not", "r12", "state", "metric.x", "a(b)", "x=1", "é🚂", ","]
)
def test_a_key_is_written_so_that_it_is_read_as_that_key(name: str) -> None:
    found = parse_field(written_key(name))
    assert (found.name, found.of, found.form) == (name, "", "")
    assert parse_field(written_key(name, "param.")).name == name
    assert parse(quoted(name)).root == Word(name)
    assert parse(run_queries.as_word(name)).root == Word(name)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from(" ()<>=!~\"'`\\,.:abstlrLR1é🚂\x00"), max_size=20), st.integers(0, 25))
def test_any_text_at_any_place_can_be_completed(cursor: Cursor, text: str, at: int) -> None:
    found = completed(cursor, text, at)
    assert 0 <= found.start <= found.end <= len(text)
