"""When cron expressions fall due, over changes of clocks and gaps."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.project import cron

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    """Seconds since 1970 of a time in a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def times(expression: str, start: str, count: int) -> list[str]:
    """The next moments after `start` in Berlin."""
    moment: float | None = at(start)
    found = []
    for _ in range(count):
        assert moment is not None
        moment = cron.next_time(expression, moment, BERLIN)
        assert moment is not None
        found.append(datetime.fromtimestamp(moment, BERLIN).isoformat())
    return found


def test_the_next_times() -> None:
    assert times("0 3 * * *", "2026-11-24T12:00", 2) == ["2026-11-25T03:00:00+01:00", "2026-11-26T03:00:00+01:00"]
    assert times("@weekly", "2026-11-24T12:00", 1) == ["2026-11-29T00:00:00+01:00"]
    assert times("*/20 9-10 * * MON-FRI", "2026-11-27T10:39:59", 2) == [
        "2026-11-27T10:40:00+01:00",
        "2026-11-30T09:00:00+01:00",
    ]
    assert times("0 0 29 2 *", "2026-11-24T12:00", 1) == ["2028-02-29T00:00:00+01:00"]


def test_a_time_that_does_not_exist_falls_due_when_the_clocks_have_moved() -> None:
    assert times("30 2 * * *", "2026-03-28T12:00", 2) == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_a_time_that_comes_twice_falls_due_once() -> None:
    assert times("30 2 * * *", "2026-10-24T12:00", 2) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    between = at("2026-10-25T02:40")
    assert cron.next_time("30 2 * * *", between, BERLIN) == at("2026-10-26T02:30")
    second = at("2026-10-25T02:10", fold=1)
    assert cron.next_time("30 2 * * *", second, BERLIN) == at("2026-10-26T02:30")


def test_expressions_with_a_star_follow_real_time() -> None:
    start = at("2026-10-25T01:30")
    moments = []
    moment: float | None = start
    for _ in range(4):
        moment = cron.next_time("0 * * * *", moment or 0, BERLIN)
        assert moment is not None
        moments.append((moment - start) / 1800)
    assert moments == [1, 3, 5, 7]


@pytest.fixture
def new_york() -> Iterator[ZoneInfo]:
    """The machine stands in New York."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    yield ZoneInfo("America/New_York")
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("start", ["2026-03-07T12:00", "2026-10-31T12:00", "2026-06-01T00:00"])
def test_the_machines_own_zone_is_as_the_database_says(new_york: ZoneInfo, start: str) -> None:
    for expression in ("30 2 * * *", "30 1 * * *", "*/30 * * * *", "0 0 1 * *"):
        ours = theirs = at(start, new_york)
        for _ in range(60):
            ours, theirs = (cron.next_time(expression, ours) or 0, cron.next_time(expression, theirs, new_york) or 0)
            assert ours == theirs


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 30 2 *", "never falls due"),
        ("0 0 31 2,4,6,9,11 *", "never falls due"),
        ("61 * * * *", "has a bad minute"),
        ("* 24 * * *", "has a bad hour"),
        ("* * 0 * *", "has a bad day-of-month"),
        ("* * * 13 *", "has a bad month"),
        ("* * * * 8", "has a bad day-of-week"),
        ("*/0 * * * *", "has a bad minute"),
        ("a b c d e", "has a bad minute"),
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("0 * * * * *", "has 6 fields"),
        ("@often", "is none of @yearly"),
        ("1," * 200 + "1 * * * *", "characters"),
    ],
)
def test_what_is_wrong_with_an_expression(expression: str, words: str) -> None:
    assert words in cron.problem(expression)


@pytest.mark.parametrize("expression", [*cron.NICKNAMES, "0 0 29 2 *", "0 0 30 2 MON", "0 0 L * *", "0 0 * 2 MON#5"])
def test_expressions_that_fall_due_some_day(expression: str) -> None:
    assert cron.problem(expression) == ""


FIELD = st.text("0123456789*/-,LW#", min_size=1, max_size=6)


@given(st.lists(FIELD, min_size=5, max_size=5).map(" ".join))
def test_any_expression_is_wrong_or_has_a_next_time(expression: str) -> None:
    if not cron.problem(expression):
        moment = cron.next_time(expression, 1_700_000_000.0, UTC)
        assert moment is not None
        assert moment > 1_700_000_000.0


def test_one_moment_falls_due_once() -> None:
    three = at("2026-11-24T03:00")
    assert cron.due("0 3 * * *", three - 30, three - 1, BERLIN) is None
    assert cron.due("0 3 * * *", three - 1, three, BERLIN) == three
    assert cron.due("0 3 * * *", three, three + 30, BERLIN) is None


def test_of_a_gap_the_latest_moment_counts_when_it_is_not_old() -> None:
    three = at("2026-11-24T03:00")
    assert cron.due("0 3 * * *", three - 5 * 86400, three + 1800, BERLIN) == three
    assert cron.due("0 3 * * *", three - 5 * 86400, three + 3601, BERLIN) is None
    assert cron.due("* * * * *", three - 5 * 86400, three + 30, BERLIN) == three


def test_a_clock_that_is_put_back_makes_nothing_fall_due_twice() -> None:
    three = at("2026-11-24T03:00")
    checked = three + 5
    assert cron.due("0 3 * * *", three - 5, checked, BERLIN) == three
    for now in (three - 600, three, three + 4):
        assert cron.due("0 3 * * *", checked, now, BERLIN) is None
        checked = max(checked, now)
    assert cron.due("0 3 * * *", checked, three + 86400, BERLIN) == three + 86400
