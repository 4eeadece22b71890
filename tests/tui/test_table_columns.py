"""Which columns the table of runs shows, how wide they are, and the way to those that do not fit."""

from __future__ import annotations

import asyncio

import pytest

from console.tui.table_columns import (
    ALIKE,
    NOTHING_SEEN,
    Contents,
    arrange,
    candidates,
    cell_of,
    contents,
    fact_cell,
    has_params,
    seen_in,
)
from console.tui.table_layout import TableColumn, lay_out
from console.tui.text_format import age
from console.tui.widgets.virtual_table import VirtualTable
from tests.tui.pilots import opened, press, screen_text
from tests.tui.stand_in import Box
from tests.tui.stand_in_runs import make_run, summary

DIFFERING = ("param:lr", "param:seed", "param:model")
SEEN = {
    "name": Contents(12, numeric=False),
    "key": Contents(9, numeric=False),
    "outcome": Contents(2, numeric=False),
    "param:lr": Contents(4, numeric=True),
    "param:seed": Contents(2, numeric=True),
    "param:model": Contents(30, numeric=False),
}


def shown(width_cells: int, chosen: tuple[str, ...] | None = None) -> tuple[list[str], tuple[TableColumn, ...]]:
    """The keys of what is drawn in a table of this width, and all columns."""
    names = candidates(chosen, DIFFERING, imported=False)
    columns = arrange(width_cells, chosen, names, SEEN)
    return [columns[slot.column].key for slot in lay_out(columns, width_cells).slots], columns


@pytest.mark.parametrize("width_cells", [58, 72, 80, 100, 125, 200])
def test_what_a_run_came_to_is_always_in_sight(width_cells: int) -> None:
    keys, _ = shown(width_cells)
    assert {"no", "name", "metric", "duration", "outcome"} <= set(keys)


def test_params_that_differ_stand_before_the_metric_as_far_as_they_fit() -> None:
    keys, columns = shown(80)
    assert keys[2:7] == ["name", "param:lr", "param:seed", "key", "metric"]
    assert has_params(columns, None)
    keys = [column.key for column in columns]
    assert keys[keys.index("outcome") + 1] == "param:model", "the first that has no room"
    assert "param:model" in shown(140)[0]
    assert not has_params(shown(58)[1], None)


def test_chosen_columns_stand_in_the_order_of_the_choice() -> None:
    keys, columns = shown(120, ("param:model", "age", "param:lr"))
    assert keys == ["state", "no", "name", "param:model", "age", "param:lr"]
    by_key = {column.key: column for column in columns}
    assert by_key["param:model"].width_cells == 20, "long texts are cut"
    assert by_key["param:lr"].align == "right"
    assert by_key["param:model"].align == "left"


@pytest.mark.parametrize(
    ("width_cells", "chosen", "longest", "name_cells"),
    [
        (200, ("param:lr", "metric"), 12, 14),  # no less than its least
        (200, ("param:lr", "metric"), 40, 40),
        (60, ("param:lr", "metric"), 40, 60 - 3 - 1 - 1 - 5 - 1 - 1 - 4 - 1 - 8),  # what there is
        (200, ("metric",), 12, 200 - 3 - 1 - 1 - 5 - 1 - 1 - 8),  # params stand in it, as they have no columns
        (200, ("param:lr", "metric"), 64, 200 - 3 - 1 - 1 - 5 - 1 - 1 - 4 - 1 - 8),  # how long it is nobody knows
        (200, None, 12, 14),
    ],
)
def test_a_name_takes_no_more_of_a_wide_line_than_it_needs(
    width_cells: int, chosen: tuple[str, ...] | None, longest: int, name_cells: int
) -> None:
    seen = SEEN | {"name": Contents(longest, numeric=False)}
    columns = arrange(width_cells, chosen, candidates(chosen, DIFFERING, imported=False), seen)
    widths = {columns[slot.column].key: slot.width_cells for slot in lay_out(columns, width_cells).slots}
    assert widths["name"] == name_cells


def test_a_column_is_as_wide_as_what_was_seen_and_does_not_shrink() -> None:
    first = contents(["12", "-", "1e-3"])
    assert first == Contents(4, numeric=True)
    assert contents(["7"], first) == Contents(4, numeric=True)
    assert contents(["模型"], first) == Contents(4, numeric=False)


def test_values_that_are_not_there_are_dashes() -> None:
    rows = [make_run(1, "a", params={"lr": "0.1"}).row, make_run(2, "b").row]
    said = [cell_of("param:lr", row, row.params.get("lr"), 0.0, ascii_only=False).text for row in rows]
    assert said == ["0.1", "-"]
    said = [
        cell_of("metric:loss:best", row, value, 0.0, ascii_only=False).text
        for row, value in zip(rows, (0.25, None), strict=True)
    ]
    assert said == ["0.25", "-"]


def test_an_age_has_one_unit() -> None:
    assert [age(seconds) for seconds in (-5.0, 30.0, 90.0, 7200.0, 3 * 86400.0, 400 * 86400.0, 1e12)] == [
        *("now", "now", "1m", "2h", "3d", "57w", "999w"),
    ]


def wide_box() -> Box:
    """Runs of a sweep with more params than a narrow table has room for."""
    keys = ("alpha", "beta", "gamma", "delta", "eta")
    return Box(
        [
            make_run(
                no,
                "sweep",
                params={"fixed": "1", **{key: f"{key}-{no * (place + 3)}" for place, key in enumerate(keys)}},
                metrics=(summary("val/acc", 0.8, 100),),
                started_ago_s=1000.0 - no,
            )
            for no in range(1, 6)
        ]
    )


def test_the_table_picks_what_differs_and_scrolls_beside_the_names() -> None:
    async def drive() -> None:
        async with opened(wide_box(), size=(80, 24)) as (app, pilot):
            first = screen_text(app)
            header = first.splitlines()[3]
            assert "›" in header
            assert "fixed" not in header
            await press(pilot, *(["right"] * 30))
            assert app.front.query_one(VirtualTable).hidden_columns[1] == 0
            later = screen_text(app).splitlines()
            assert "‹" in later[3]
            assert "tags" in later[3]
            assert "r5" in later[4]
            assert "sweep" in later[4]
            await press(pilot, *(["left"] * 40))
            assert screen_text(app).splitlines()[3] == header

    asyncio.run(drive())


def test_columns_are_asked_for_again_under_another_filter() -> None:
    async def drive() -> None:
        box = wide_box()
        for detail in box.details[:2]:
            detail.row.params["beta"] = "same"
        async with opened(box, size=(200, 60)) as (app, pilot):
            assert "beta" in screen_text(app).splitlines()[3]
            box.details = box.details[:2]
            await press(pilot, "slash", *"sweep", "enter")
            header = screen_text(app).splitlines()[3]
            assert "beta" not in header
            assert "alpha" in header

    asyncio.run(drive())


def test_the_best_value_of_a_run_without_its_points_is_marked_as_an_estimate() -> None:
    row = make_run(1, "imported", metrics=(summary("acc", 0.91234, step=9, points=0),)).row
    assert row.metric is not None
    unread = row._replace(metric=row.metric._replace(minimum=None, maximum=None))
    assert cell_of("best", unread, None, 0.0, ascii_only=False).text == "~0.91234"
    assert cell_of("best", row._replace(metric=None), None, 0.0, ascii_only=False).text == "-"
    nan_only = unread._replace(metric=row.metric._replace(minimum=None, maximum=None, point_count=3))
    assert cell_of("best", nan_only, None, 0.0, ascii_only=False).text == "-"


@pytest.mark.parametrize("name", sorted(ALIKE))
def test_rows_that_are_alike_say_the_same(name: str) -> None:
    loss, acc = summary("loss", 0.1, 5, "minimize"), summary("val/acc", 0.9, 123_456)
    rows = [
        make_run(1, "a").row,
        make_run(99_999, "a", project="a long name", metrics=(loss,)).row,
        make_run(3, "a", metrics=(loss._replace(by_hand=True),)).row,
        make_run(4, "a", metrics=(acc,)).row._replace(tracker="tensorboard"),
        make_run(5, "a", state="failed", exit_code=3).row,
        make_run(6, "a", state="failed", signal="SIGKILL", exit_code=None).row,
        make_run(7, "a", state="failed", cause="out of memory (limit 2 GiB)", exit_code=None).row,
        make_run(8, "a", state="held", cause="waits for a person").row,
        make_run(9, "a", state="running").row,
    ]
    expected = contents([fact_cell(row, name, 0.0, ascii_only=True).text for row in rows])
    assert seen_in(name, rows, None, NOTHING_SEEN) == expected
    assert seen_in(name, rows[::-1], None, NOTHING_SEEN) == expected
