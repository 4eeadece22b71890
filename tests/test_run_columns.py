"""Columns of the run table: their names, what can be one, and the cells that the daemon sends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from console.client import DaemonRefused
from console.run_columns import (
    COLUMNS_MAX,
    Column,
    ColumnError,
    join,
    list_columns,
    parse_column,
    parse_columns,
    table_page,
)
from tests.support import PastRun, wait_until

if TYPE_CHECKING:
    from tests.support import Home

ODD_KEY = "a,b:c\\d:best"


@pytest.fixture
def runs(home: Home) -> Home:
    """Four runs: `lr` differs, `seed` is each one's own, `opt` is the same, `extra` is that of one alone."""
    for no in range(1, 5):
        params = {"lr": ("0.1", "0.2")[no % 2], "seed": str(no), "opt": "adam", ODD_KEY: "x y"}
        params |= {"extra": "1"} if no == 2 else {}
        points = [(1, {"loss": 1.0 / no, "acc": 0.5}), (2, {"loss": 2.0 / no, "acc": math.nan if no == 3 else 0.25})]
        home.write_run(PastRun(no, params=params, points=points if no != 4 else ()))
    home.write_run(PastRun(9, name="many", project="other", params={f"p{number:02d}": "v" for number in range(40)}))
    client = home.client()
    wait_until(lambda: sum(row.metric is not None for row in client.runs().rows) == 3)
    return home


def test_a_list_of_columns_is_read_back_as_it_was_written() -> None:
    names = ["duration", "param:lr", f"param:{ODD_KEY}", f"metric:{ODD_KEY}:max", "metric:val/loss:best"]
    assert [column.name for column in parse_columns(join(names))] == names
    assert parse_column("metric:loss") == Column("metric", "loss", "last")
    assert parse_column("metric:a:best:last") == Column("metric", "a:best", "last")
    assert parse_columns(" age , age ,") == (Column("fact", "age"),)


@pytest.mark.parametrize("text", ["lr", "param:", "metric:", "tag:x", ":"])
def test_what_is_no_column_is_refused_by_name(text: str) -> None:
    with pytest.raises(ColumnError, match="there is no column"):
        parse_columns(f"age,{text}")


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(ColumnError, match=f"at most {COLUMNS_MAX}"):
        parse_columns(join(f"param:{number}" for number in range(COLUMNS_MAX + 1)))


def test_params_that_tell_runs_apart_come_first(runs: Home) -> None:
    client = runs.client()
    page = list_columns(client, text="churn", differing=True)
    assert page.run_count == 4
    assert [(each.name, each.run_count, each.distinct_count) for each in page.columns] == [
        ("param:lr", 4, 2),
        ("param:seed", 4, 4),
        ("param:extra", 1, 1),
    ]
    everything = list_columns(client, text="churn")
    names = [each.name for each in everything.columns]
    assert names.index("param:extra") < names.index("duration") < names.index("metric:loss:best")
    assert names.index("metric:loss:best") < names.index("param:opt")
    assert everything.total_count == len(names)
    assert next(each.run_count for each in everything.columns if each.name == "metric:acc:last") == 3


def test_columns_are_searched_and_answered_in_windows(runs: Home) -> None:
    client = runs.client()
    found = list_columns(client, search="METRIC loss")
    assert [each.name for each in found.columns] == ["metric:loss:last", "metric:loss:best"]
    window = list_columns(client, search="p3", offset=2, limit=3)
    assert window.total_count == 10
    assert [each.name for each in window.columns] == ["param:p32", "param:p33", "param:p34"]


def test_the_cells_of_chosen_columns_come_with_the_page(runs: Home) -> None:
    names = [
        "param:lr",
        f"param:{ODD_KEY}",
        "metric:loss:best",
        "metric:acc:last",
        "metric:acc:max",
        "metric:loss:step",
    ]
    found = table_page(runs.client(), text="churn", sort="no", descending=False, columns=names)
    assert [row.no for row in found.page.rows] == [1, 2, 3, 4]
    assert found.cells["param:lr"] == ("0.2", "0.1", "0.2", "0.1")
    assert found.cells[f"param:{ODD_KEY}"] == ("x y",) * 4
    assert found.cells["metric:loss:best"] == (1.0, 0.5, 1 / 3, None)
    assert found.cells["metric:loss:step"] == (2.0, 2.0, 2.0, None)
    assert found.cells["metric:acc:max"] == (0.5, 0.5, 0.5, None)
    last = found.cells["metric:acc:last"]
    assert last[:2] == (0.25, 0.25)
    assert last[2] is not None
    assert math.isnan(float(last[2]))


def test_rows_of_a_table_hold_a_few_params_and_say_how_many_they_lack(runs: Home) -> None:
    found = table_page(runs.client(), text="many", columns=["param:p39"])
    assert len(found.page.rows[0].params) == 32
    assert found.more_params == (8,)
    assert found.cells["param:p39"] == ("v",)
    assert len(runs.client().run("r9").row.params) == 40


def test_an_unknown_column_is_one_clear_error(runs: Home) -> None:
    with pytest.raises(DaemonRefused, match="there is no column 'lr'"):
        table_page(runs.client(), columns=["lr"])
