"""The query language: what a query means, where an error points, and that no name can do harm."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pytest

from store.queries.run_page import run_page
from store.query_language.errors import QueryError
from tests.store.query_runs import NOW_S, SampleRun, put_runs
from tests.store.query_samples import HOSTILE, RUNS, numbers, quote

if TYPE_CHECKING:
    from store.database import Cursor


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [1, 2, 3, 4, 5, 12]),
        ("   ", [1, 2, 3, 4, 5, 12]),
        # a word is what it always was
        ("vit", [1, 2]),
        ("VIT base", [1]),
        ("good", [2]),
        ("paper", [1]),
        ('"vit-b base"', [1]),
        ('"relu(x)"', [12]),
        ("'lr=0.1'", [1]),
        # of params numbers compare as numbers
        ("lr = 0.1", [1]),
        ("lr=1e-1", [1]),
        ("--lr=0.1", [1]),
        ("lr < 1e-3", [2]),
        ("lr >= 0", [1, 2]),
        ("lr != 0.1", [2, 3]),
        ("not lr = 0.1", [2, 3, 4, 5, 12]),
        ("lr = auto", [3]),
        ('lr = "1e-4"', [2]),
        ('lr = "0.0001"', []),
        ("clip = inf", [2]),
        ("clip > 1e300", [2]),
        ("optimizer = adam", [1]),
        ("optimizer = ADAM", [1]),
        ("optimizer ~ ^adam", [1, 4]),
        ("optimizer !~ ^adam", [2]),
        ("optimizer ~ ^(sgd|adamw)$ not r4", [2]),
        ("(optimizer ~ ^(sgd|adamw)$)", [2, 4]),
        ("optimizer ~ (?-i)^sgd", []),
        ('"a b" = 1', [1]),
        ("`a b` = 1", [1]),
        ('param."a b" = 1', [1]),
        ('"and" = "or"', [12]),
        ('and = "or"', [12]),
        # metrics, the last value unless a form is named
        ("val/acc > 0.8", [1]),
        ("last(val/acc) > 0.8", [1]),
        ("best(val/acc) > 0.6", [1, 2]),
        ("max(val/acc) > 0.8", [1]),
        ("min(val/acc) < 0.3", [2]),
        ("best(loss) < 0.2", [1]),
        ("BEST(loss) <= 0.3", [1, 2]),
        ("metric > 0.6", [1, 2]),
        ("last(metric) > 0.6", [1]),
        ("`m 1` = 2", [5]),
        ("best(`m 1`) = 2", []),
        ("val/acc = nan", [2]),
        ("val/acc != nan", [1]),
        ("val/acc > 0", [1]),
        ("val/acc != 0.81", [2]),
        ("loss = inf", [2]),
        ("loss > 1", [2]),
        # a name that a param and a metric have is the param
        ("lr > 0.04", [1]),
        ("metric.lr > 0.04", [2]),
        ("last(lr) > 0.04", [2]),
        ("param.lr > 0.04", [1]),
        # facts
        ("state = failed", [2]),
        ("state:failed,stopped", [2, 12]),
        ("state != finished", [2, 4, 5, 12]),
        ("project:other", [3]),
        ("project = OTHER", [3]),
        ("name ~ ^vit-.$", [2]),
        ("name:vit", [1, 2]),
        ("source = footplate", [1, 2, 3, 4, 5, 12]),
        ("job = eval", [3]),
        ("job != eval", []),
        ("cause:oom", [2]),
        ('cause = "cuda oom"', [2]),
        ("exit = 1", [2]),
        ("exit != 0", [2]),
        ("tag:bas", [1, 4]),
        ("tag = basel", [4]),
        ("tag != basel", [1]),
        ("tag ~ per$", [1]),
        ("note:GOOD", [2]),
        ("pinned", [1]),
        ("not pinned vit", [2]),
        ("archived", []),
        ("r2", [2]),
        ("r1 or R12", [1, 12]),
        ("run = r12", [12]),
        ("run:1,r2", [1, 2]),
        ("run > 4", [5, 12]),
        ("run = 01K70000000000000000000003", [3]),
        ("has:tag", [1, 4]),
        ("has:note", [2]),
        ("has:metric", [1, 2, 5]),
        ("has:lr", [1, 2, 3]),
        ("has:metric.lr", [2]),
        ("has:job", [3]),
        ("has:ended", [1, 2, 3, 12]),
        ("not has:exit", [4, 5]),
        ('has:"a b"', [1]),
        ("age < 1d", [1, 2, 4, 5, 12]),
        ("age > 4w", [3]),
        ("duration = 30m", [1, 2, 12]),
        ("duration > 0.9h", [3, 4]),
        # logic
        ("vit and lr < 1 or job = eval", [1, 2, 3]),
        ("vit and (lr < 1e-2 or job = eval)", [2]),
        ("NOT (vit OR eval)", [4, 5, 12]),
        ("not not vit", [1, 2]),
        ("not vit eval", [3]),
    ],
)
def test_a_query_finds_these_runs(sampled: Cursor, text: str, found: list[int]) -> None:
    assert numbers(sampled, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("started > 2026-09-20", [1, 2, 4, 5, 12]),
        ("started = 2026-09-21", [1, 2, 4, 5, 12]),
        ("started < 2026-09", [3]),
        ("started <= 2026-09", [1, 2, 3, 4, 5, 12]),
        ("started > 2026-09", []),
        ("started >= today", [1, 2, 4, 5, 12]),
        ("started = 2026-09-21T13:13", [1, 2, 4, 12]),
        ("started != 2026-09-21", [3]),
        ("ended < yesterday", []),
        ("ended >= 2026-09-21T13:43:20", [1, 2, 3, 12]),
    ],
)
def test_a_day_is_as_long_as_it_is(
    sampled: Cursor, text: str, found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert numbers(sampled, text) == found


@pytest.mark.parametrize(
    ("text", "columns", "message", "hint"),
    [
        ("lrr < 1", (0, 3), "no metric or param named `lrr`", "did you mean `lr`"),
        ("vit best(val/ac) > 1", (4, 16), "no metric named `val/ac`", "did you mean `val/acc`"),
        ("param.loss = 1", (0, 10), "no param named `loss`", ""),
        ("lr <", (4, 5), "a value is missing after `<`", ""),
        ("lr < and vit", (5, 8), "a value is missing", ""),
        ("lr < (1)", (5, 6), "a value is missing", ""),
        ("vit and", (7, 8), "a condition is missing after `and`", ""),
        ("or vit", (0, 2), "nothing stands before `or`", ""),
        ("(vit", (0, 1), "this parenthesis is not closed", ""),
        ("vit)", (3, 4), "this parenthesis closes nothing", ""),
        ("()", (1, 2), "a condition is missing", ""),
        ("not", (3, 4), "a condition is missing after `not`", ""),
        ("< 3", (0, 1), "the name of a field is missing", ""),
        ('vit "abc', (4, 8), "is not closed", ""),
        ("name ~ [a", (7, 9), "is no pattern", "RE2"),
        ("name ~ (?=a)", (7, 12), "is no pattern", "RE2"),
        ("lr ~ *", (5, 6), "is no pattern", ""),
        ("val/acc > high", (10, 14), "`high` is no number", "a number is expected"),
        ("val/acc ~ 1", (0, 7), "is a metric, no text", ""),
        ("val/acc < nan", (10, 13), "nothing is below or above nan", "`= nan`"),
        ("state = fialed", (8, 14), "there is no state `fialed`", "did you mean `failed`"),
        ("state < failed", (0, 5), "`state` has no order", ""),
        ("age < 30", (6, 8), "`30` is no duration", "30m"),
        ("age < 30 d", (6, 8), "`30` is no duration", "30m"),
        ("started > 2026-13-01", (10, 20), "is no day", "2026-11-01"),
        ("started > 2026-02-30", (10, 20), "is no day", ""),
        ("exit = one", (7, 10), "`exit` is a number", ""),
        ("exit ~ 1", (0, 4), "is no text", ""),
        ("run = rx", (6, 8), "`rx` is no run", ""),
        ("pinned = true", (0, 6), "`pinned` stands alone", ""),
        ("relu(x)", (0, 4), "there is no form `relu`", "quote"),
        ("best() > 1", (5, 6), "the name of a metric is missing", ""),
        ("best(loss", (4, 5), "this parenthesis is not closed", ""),
        ("best(loss) ", (11, 12), "a comparison is missing after `loss`", ""),
        ("best(loss 0.5) > 1", (10, 13), "best() takes the name of one metric", ""),
        ("smooth(loss, 1.5) > 1", (11, 16), "is no alpha of smooth()", ""),
        ("has:nothing", (4, 11), "no metric or param named `nothing`", ""),
        ("has:", (4, 5), "a value is missing", ""),
        ("tag:", (4, 5), "a value is missing", ""),
        ("metric. > 1", (0, 7), "the name of a metric is missing", ""),
        ("0.5 < lr", (0, 3), "`0.5` is a number where the name of a field is expected", ""),
        ("a" * 5000, (4000, 4001), "the query has 5,000 characters", ""),
        ("x " * 500, (800, 801), "more than 400 words", ""),
        ("(" * 100 + "x" + ")" * 100, (41, 42), "more than 40 parentheses", ""),
        ("not " * 100 + "x", (164, 167), "more than 40 parentheses or `not`", ""),
        ("x " * 61, (0, 1), "more than 60 conditions", ""),
    ],
)
def test_an_error_points_at_its_column(
    sampled: Cursor, text: str, columns: tuple[int, int], message: str, hint: str
) -> None:
    with pytest.raises(QueryError) as raised:
        numbers(sampled, text)
    error = raised.value
    assert message in error.message
    assert hint in error.hint
    assert (error.column_start, error.column_end) == columns


def test_a_megabyte_is_one_error_at_once(sampled: Cursor) -> None:
    with pytest.raises(QueryError, match="1,000,000 characters"):
        numbers(sampled, "(lr<1 or" * 125_000)


@pytest.mark.parametrize("name", [HOSTILE, "'; --", "$p0", "{word}", "%s", "\x00", "💥", "\u202e", "`", "a\\"])
def test_a_hostile_name_is_a_name(sampled: Cursor, name: str) -> None:
    quoted = quote(name)
    numbers(sampled, quoted)
    numbers(sampled, f"name = {quoted}")
    numbers(sampled, f"tag:{quoted} or tag != {quoted} or job:{quoted} or cause:{quoted} or note != {quoted}")
    if name == HOSTILE:
        assert numbers(sampled, f"{quoted} = 1") == [1]
        assert numbers(sampled, f"has:{quoted}") == [1]
        assert numbers(sampled, "", f"param.{quoted}")[0] == 1
    else:
        with pytest.raises(QueryError):
            numbers(sampled, f"{quoted} = 1")
    assert len(numbers(sampled, "")) == len(RUNS)


@pytest.mark.parametrize(
    ("sort", "up", "down"),
    [
        ("no", [1, 2, 3, 4, 5, 12], [12, 5, 4, 3, 2, 1]),
        ("lr", [2, 1, 3, 12, 5, 4], [1, 2, 3, 12, 5, 4]),
        ("param.optimizer", [1, 4, 2, 12, 5, 3], [2, 4, 1, 12, 5, 3]),
        ("val/acc", [1, 2, 12, 5, 4, 3], [1, 2, 12, 5, 4, 3]),
        ("loss", [1, 2, 12, 5, 4, 3], [2, 1, 12, 5, 4, 3]),
        ("best(val/acc)", [2, 1, 12, 5, 4, 3], [1, 2, 12, 5, 4, 3]),
        ("metric", [2, 1, 12, 5, 4, 3], [1, 2, 12, 5, 4, 3]),
        ("last(metric)", [1, 2, 12, 5, 4, 3], [1, 2, 12, 5, 4, 3]),
        ("min(metric)", [2, 1, 12, 5, 4, 3], [1, 2, 12, 5, 4, 3]),
        ("max(metric)", [2, 1, 12, 5, 4, 3], [1, 2, 12, 5, 4, 3]),
        ("step", [2, 1, 12, 5, 4, 3], [2, 1, 12, 5, 4, 3]),
        ("name", [3, 12, 5, 4, 1, 2], [2, 1, 5, 4, 12, 3]),
        ("job", [3, 12, 5, 4, 2, 1], [3, 12, 5, 4, 2, 1]),
        ("tag", [4, 1, 12, 5, 3, 2], [1, 4, 12, 5, 3, 2]),
        ("age", [12, 4, 2, 1, 5, 3], [3, 5, 12, 4, 2, 1]),
        ("started", [3, 5, 12, 4, 2, 1], [12, 4, 2, 1, 5, 3]),
        ("duration", [12, 2, 1, 4, 3, 5], [3, 4, 12, 2, 1, 5]),
    ],
)
def test_runs_are_sorted_by_any_field_and_those_without_it_come_last(
    sampled: Cursor, sort: str, up: list[int], down: list[int]
) -> None:
    assert numbers(sampled, "", sort) == up
    assert numbers(sampled, "", sort, descending=True) == down


@pytest.mark.parametrize("sort", ["", "lrr", "lr lr", "best(", "state = x", ")"])
def test_what_cannot_be_sorted_by_is_an_error_of_the_sort(sampled: Cursor, sort: str) -> None:
    with pytest.raises(QueryError) as raised:
        numbers(sampled, "vit", sort)
    assert raised.value.of == "sort"


def test_a_run_without_its_points_has_the_place_of_its_last_value(cursor: Cursor) -> None:
    read = [SampleRun(no, metrics={"acc": (last, last, last)}, primary="acc") for no, last in ((1, 0.7), (2, 0.9))]
    unread = [SampleRun(no, metrics={"acc": (last, None, None)}, primary="acc") for no, last in ((3, 0.8), (4, 0.6))]
    put_runs(cursor, [*read, *unread])
    cursor.execute("update metric_latest set point_count = 0 where run_no in (3, 4)")

    def by_best(*, descending: bool = False) -> list[int]:
        page = run_page(
            cursor, text="", states=[], sort="metric", descending=descending, offset=0, limit=9, now_s=NOW_S
        )
        return [entry.no for entry in page.entries]

    assert by_best(descending=True) == [2, 3, 1, 4]
    assert by_best() == [4, 1, 3, 2]
    cursor.execute("update metric_latest set point_count = 5 where run_no = 4")
    assert by_best() == [1, 3, 2, 4], "none of its points was a number that can be best"


def test_smooth_is_the_debiased_mean_of_the_newest_fold(cursor: Cursor) -> None:
    put_runs(cursor, [SampleRun(1, metrics={"loss": (1.0, 1.0, 1.0)}), SampleRun(2, metrics={"loss": (1, 1, 1)})])
    values = [(step, 1.0 / (1 + step)) for step in range(50)]
    rows = [(1, step, value, 1, 1) for step, value in values[:30]]
    # A second attempt repeats a step, and then it counts; the first fold does not.
    rows += [(2, step, 7.0, 1, 1) for step in range(10)] + [(2, step, value, 1, 2) for step, value in values[:30]]
    rows += [(2, 30, math.nan, 1, 2), (2, 29, 5.0, 2, 2)]
    for run_no, step, value, attempt, fold in rows:
        cursor.execute("insert into metric values (?, 1, ?, ?, ?, 0, ?, ?)", [run_no, step, step, value, attempt, fold])

    def smoothed(points: list[float], alpha: float) -> float:
        average = 0.0
        for value in points:
            average = alpha * average + (1 - alpha) * value
        return average / (1 - alpha ** len(points))

    plain = [value for _, value in values[:30]]
    for alpha in (0.9, 0.5, 0.0):
        for no, points in ((1, plain), (2, [*plain[:29], 5.0])):
            wanted = smoothed(points, alpha)
            form = "smooth(loss)" if alpha == 0.9 else f"smooth(loss, {alpha})"
            text = f"r{no} {form} > {wanted * (1 - 1e-9):.17g} {form} < {wanted * (1 + 1e-9):.17g}"
            page = run_page(cursor, text=text, states=[], sort=form, descending=True, offset=0, limit=9, now_s=NOW_S)
            assert [entry.no for entry in page.entries] == [no]
