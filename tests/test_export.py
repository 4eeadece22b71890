"""The run table and the points of metrics as files, in every format."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any

import polars
import pytest

from tests.support import PastRun

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

RUNS = (
    PastRun(
        no=1,
        name="a|b",
        params={"lr": "0.1", "seed": "1", "data": "x"},
        points=[(0, {"loss": 2.0}), (1, {"loss": 1.0})],
    ),
    PastRun(
        no=2, name="=b\n`c`", params={"lr": "1e-3", "seed": "2", "data": "x"}, points=[(3, {"loss": float("nan")})]
    ),
    PastRun(
        no=3, name="ü", project="other", state="failed", exit_code=1, params={"seed": "007"}, points=[(0, {"auc": 0.5})]
    ),
)


@pytest.fixture
def three(home: Home) -> Home:
    """Three runs in the index."""
    for run in RUNS:
        home.write_run(run)
    for run in RUNS:
        home.wait_ended(run.id)
    return home


def test_csv_has_a_line_a_run_and_every_param_and_metric(three: Home) -> None:
    rows = list(csv.DictReader(io.StringIO(three.footplate("export", "--format", "csv").stdout)))
    assert [row["run"] for row in rows] == ["r1", "r2", "r3"]
    assert rows[1]["name"] == "=b\n`c`"
    assert [row["params.lr"] for row in rows] == ["0.1", "1e-3", ""]
    assert [row["metrics.loss"] for row in rows] == ["1.0", "nan", ""]
    assert (rows[0]["metric"], rows[0]["best"], rows[0]["duration_s"]) == ("loss", "1.0", "60.0")
    assert rows[2]["exit_code"] == "1"


def test_json_has_the_columns_that_are_named(three: Home) -> None:
    columns = "run,params.seed,metrics.loss,metrics.loss.max,metrics.loss.step"
    found = json.loads(three.footplate("export", "--format", "json", "--columns", columns, "--filter", "churn").stdout)
    assert found == [
        {"run": "r1", "params.seed": "1", "metrics.loss": 1.0, "metrics.loss.max": 2.0, "metrics.loss.step": 1},
        {"run": "r2", "params.seed": "2", "metrics.loss": "NaN", "metrics.loss.max": None, "metrics.loss.step": 3},
    ]
    assert json.loads(three.footplate("export", "--format", "json", "--state", "running").stdout) == []


def test_a_column_whose_name_has_a_comma_or_a_backslash_is_named_with_backslashes(home: Home) -> None:
    run = PastRun(no=1, params={"betas=(0.9,0.99)": "on", "a\\b": "c"})
    home.write_run(run)
    home.wait_ended(run.id)
    asked = ("export", "--format", "json", "--columns", r"run,params.betas=(0.9\,0.99),params.a\\b")
    [found] = json.loads(home.footplate(*asked).stdout)
    assert found == {"run": "r1", "params.betas=(0.9,0.99)": "on", "params.a\\b": "c"}


def test_the_best_of_a_metric_goes_by_what_was_pinned(three: Home) -> None:
    asked = ("export", "--format", "csv", "--columns", "run,run,best,metrics.loss.best", "r1")
    assert three.footplate(*asked).stdout == "run,best,metrics.loss.best\nr1,1.0,1.0\n"
    three.footplate("metric", "loss", "--project", "churn", "--goal", "maximize")
    assert three.footplate(*asked).stdout == "run,best,metrics.loss.best\nr1,2.0,2.0\n"


def test_markdown_is_one_table_whatever_names_hold(three: Home) -> None:
    text = three.footplate("export", "--format", "markdown", "r2", "r1").stdout
    header, rule, second, first = text.splitlines()
    assert header.startswith("| run | name | project | state | metric | last | best | step | duration_s | params.")
    assert "params.data" not in header  # the same in both
    assert rule.replace("| --- ", "") == "|"
    assert second.startswith("| r2 | =b \\`c\\` |")
    assert first.startswith("| r1 | a\\|b | churn | finished | loss | 1 | 1 | 1 | 60 |")


def test_parquet_has_types(three: Home, tmp_path: Path) -> None:
    target = tmp_path / "runs.parquet"
    three.footplate("export", "--format", "parquet", "-o", str(target), "r1", "r2")
    frame = polars.read_parquet(target)
    assert frame["params.lr"].to_list() == [0.1, 0.001]
    assert frame.schema["params.seed"] == polars.Int64
    assert frame.schema["params.data"] == polars.String
    assert frame.schema["exit_code"] == polars.Int64
    assert frame.schema["best"] == polars.Float64
    every = tmp_path / "all.parquet"
    three.footplate("export", "--format", "parquet", "-o", str(every))
    assert polars.read_parquet(every)["params.seed"].to_list() == ["1", "2", "007"]
    assert os.stat(target).st_mode & 0o777 == 0o600
    assert [name for name in os.listdir(three.path) if name.startswith("export")] == []


def test_the_points_of_metrics(three: Home, tmp_path: Path) -> None:
    target = tmp_path / "points.parquet"
    three.footplate("export", "--format", "parquet", "--metrics", "-o", str(target), "r1", "r3")
    frame = polars.read_parquet(target)
    assert frame.select("run", "metric", "step", "value", "source").rows() == [
        ("r1", "loss", 0, 2.0, "file"),
        ("r1", "loss", 1, 1.0, "file"),
        ("r3", "auc", 0, 0.5, "file"),
    ]
    text = three.footplate("export", "--format", "csv", "--metrics", "--filter", "other").stdout
    assert [line.split(",")[0] for line in text.splitlines()] == ["run", "r3"]


def test_no_run_fits(three: Home, tmp_path: Path) -> None:
    target = tmp_path / "none.parquet"
    three.footplate("export", "--format", "parquet", "--filter", "nothing-like-it", "-o", str(target))
    assert polars.read_parquet(target).height == 0
    lines = three.footplate("export", "--format", "csv", "--filter", "nothing-like-it").stdout.splitlines()
    assert len(lines) == 1


def test_a_file_that_is_there_is_replaced_only_when_told_to(three: Home, tmp_path: Path) -> None:
    target = tmp_path / "runs.csv"
    target.write_text("mine", encoding="utf-8")
    for arguments in (("--format", "csv"), ("--json",)):
        done = three.footplate("export", *arguments, "-o", str(target), check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"footplate: {target} is there already\n")
        assert target.read_text(encoding="utf-8") == "mine"
    three.footplate("export", "--format", "csv", "-o", str(target), "--force")
    assert target.read_text(encoding="utf-8").startswith("run,id,name")
    assert sorted(os.listdir(tmp_path)) == ["runs.csv", "state"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "give --format"),
        (("--json", "--format", "csv"), 2, "give --format"),
        (("--json", "--filter", "x"), 2, "go with --format"),
        (("--format", "markdown", "--metrics"), 2, "as csv or parquet"),
        (("--format", "csv", "--metrics", "--columns", "run"), 2, "not of points"),
        (("--format", "csv", "--filter", "x", "r1"), 2, "name runs, or give a filter"),
        (("--format", "csv", "--columns", "run,params.nope"), 1, "no run has 'params.nope'"),
        (("--format", "csv", "r9"), 1, "no run 'r9'"),
    ],
)
def test_what_cannot_be_exported_is_said(home: Home, arguments: tuple[str, ...], code: int, words: str) -> None:
    done: Any = home.footplate("export", *arguments, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
