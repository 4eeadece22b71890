"""What runs are called in lists, and how much room that gets."""

from __future__ import annotations

import pytest

from console.tui.run_cells import long_name
from console.tui.run_names import name_of, named, params_alike
from console.tui.screens.beside import RUN_LEAST_CELLS, shares
from tests.tui.pilots import opened, press, run, screen_text
from tests.tui.stand_in import example_box
from tests.tui.stand_in_runs import make_run
from tests.tui.triage_boxes import triage_box


def test_a_list_names_only_what_tells_its_runs_apart() -> None:
    runs = [
        ("vit", "train", {"lr": "0.1", "model": "b", "aug": "rand", "seed": "1"}),
        ("vit", "train", {"lr": "0.2", "model": "b", "seed": "1"}),
        ("vit", "eval", {"seed": "2"}),
        ("churn", "train", {"lr": "0.1", "model": "b"}),
    ]
    alike = params_alike(runs)
    assert [named(name, project, params, alike) for project, name, params in runs] == [
        "train lr=0.1 aug=rand seed=1",
        "train lr=0.2 seed=1",
        "eval seed=2",
        "train lr=0.1 model=b",
    ]


def test_what_only_some_runs_of_one_name_have_is_said() -> None:
    runs = [("p", "train", {"warm": "yes"}), ("p", "train", {"warm": "yes"}), ("p", "train", {})]
    alike = params_alike(runs)
    assert [named(name, project, params, alike) for project, name, params in runs] == [
        "train warm=yes",
        "train warm=yes",
        "train",
    ]


def test_nothing_is_said_twice() -> None:
    row = make_run(1, "train lr=0.1", params={"lr": "0.1", "leaves": "7"}).row
    assert name_of(row) == "train lr=0.1 leaves=7"
    assert long_name(row, ()).text == long_name(row, ("leaves", "lr")).text == "train lr=0.1 leaves=7"


@pytest.mark.parametrize(
    ("wanted", "room", "given"),
    [
        ([18, 27, 16], 200, [18, 27, 16]),
        ([18, 27, 27], 65, [18, 22, 22]),
        ([30, 30, 30, 30], 61, [19, 19, 20, 19]),
        ([40], 12, [11]),
        ([16, 40], 100, [16, 40]),
    ],
)
def test_runs_side_by_side_share_the_room(wanted: list[int], room: int, given: list[int]) -> None:
    assert shares(wanted, room) == given
    shown = max(1, min(len(wanted), room // (RUN_LEAST_CELLS + 1)))
    assert sum(given[:shown]) + shown <= room


def test_three_runs_stand_side_by_side_in_80_columns() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, "down", "down", "space", "space", "down", "down", "space", "b")
            text = screen_text(app)
            assert all(f"{label} " in text.splitlines()[3] for label in ("r219", "r218", "r216"))

    run(drive)


@pytest.mark.parametrize("columns", [80, 160, 200])
def test_names_are_whole_before_outcomes_take_the_rest(columns: int) -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(columns, 40)) as (app, _):
            assert "vit-b lr=1e-3 aug=rand" in screen_text(app)
            assert "churn lr=0.1 leaves=63" in screen_text(app)

    run(drive)


def test_triage_leaves_out_what_the_runs_have_in_common() -> None:
    async def drive() -> None:
        async with opened(triage_box(), size=(160, 48), opens_runs=False) as (app, _):
            assert "vit-b lr=1e-3 aug=rand  " in screen_text(app)
            assert "model=vit-b  " not in "\n".join(screen_text(app).partition("Running")[2].splitlines()[:4])

    run(drive)
