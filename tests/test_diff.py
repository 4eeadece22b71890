"""Runs side by side on the command line."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from console.run_diff import difference, sides_of
from tests.support import PastRun, wait_until
from tests.tui.stand_in_runs import make_run, summary

if TYPE_CHECKING:
    from tests.support import Home


def test_what_differs_comes_first_and_the_metric_of_the_first_run_too() -> None:
    one = make_run(1, "a", params={"lr": "1", "opt": "adam"}, metrics=(summary("z", 0.5, 9), summary("a", 1.0, 9)))
    two = make_run(2, "b", params={"lr": "2", "opt": "adam", "x": "1"}, metrics=(summary("a", 3.0, 9),))
    sides = sides_of([one, two])
    assert [(line.key, line.values, line.differs) for line in sides.params] == [
        ("lr", ("1", "2"), True),
        ("x", (None, "1"), True),
        ("opt", ("adam", "adam"), False),
    ]
    assert [(line.key, line.lasts) for line in sides.metrics] == [("z", (0.5, None)), ("a", (1.0, 3.0))]


def test_a_difference_needs_two_numbers() -> None:
    values = (1.0, 3.0, None, math.inf, math.nan)
    found = [difference(values, place) for place in range(5)]
    assert found[:4] == [None, 2.0, None, None]
    assert found[4] is None
    assert difference((None, 1.0), 1) is None


def test_the_command_prints_and_encodes_it(home: Home) -> None:
    for no in (1, 2, 3):
        points = [(1, {"loss": 1.0 / no}), (2, {"loss": math.nan if no == 3 else 2.0 / no})]
        home.write_run(PastRun(no, name=f"n{no}", params={"lr": str(no), "opt": "adam"}, points=points))
    client = home.client()
    wait_until(lambda: all(row.metric is not None for row in client.runs().rows))
    shown = home.footplate("diff", "r2", "r1").stdout
    assert shown.splitlines()[0].split() == ["r2", "r1"]
    assert "1 equal param is not shown" in shown
    assert "opt" in home.footplate("diff", "--all", "r1", "r2").stdout
    assert "(+1)" in shown
    found = json.loads(home.footplate("diff", "--json", "r1", "r2", "r3").stdout)
    assert found["params"] == {"lr": ["1", "2", "3"]}
    assert found["equal_params"] == {"opt": "adam"}
    assert found["metrics"] == [
        {"key": "loss", "goal": "minimize", "last": [2.0, 1.0, "NaN"], "best": [1.0, 0.5, 1 / 3]}
    ]
    refused = home.footplate("diff", "r1", check=False)
    assert (refused.returncode, "2 to 16" in refused.stderr) == (2, True)
    refused = home.footplate("diff", "r1", "r77", check=False)
    assert (refused.returncode, "r77" in refused.stderr) == (1, True)
