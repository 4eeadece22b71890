"""Primary metric, goal, params and folds of real command lines and logs: every expected answer of the table is met."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console.daemon import launch, translate
from console.jobs import launchers
from console.jobs.spec import FORMAT, Spec, params_of
from store import database, derive
from store.ingest import Index, read_batch
from store.queries.run_table import find_run

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parent / "fixtures" / "zero-config"
CASES: list[dict[str, Any]] = tomllib.loads((FOLDER / "cases.toml").read_text(encoding="utf-8"))["case"]
ID = "01K7000000000000000000000A"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[database.Database]:
    found = database.open_database(str(tmp_path_factory.mktemp("zero-config") / "index.duckdb"))
    yield found
    found.close()


@pytest.fixture
def emptied(opened: database.Database) -> database.Database:
    with opened.reading() as cursor:
        for (table,) in cursor.execute("select table_name from duckdb_tables()").fetchall():
            if table != "schema_version":
                cursor.execute(f"delete from {table}")
    return opened


def summary(opened: database.Database, folder: Path, case: dict[str, Any]) -> dict[str, Any] | None:
    """The primary metric as a client gets it, from the log as the daemon reads it."""
    argv = tuple(shlex.split(case["command"]))
    asked = Spec(FORMAT, ID, 1, "a", "p", argv, "/", 1.0, params_of(argv), 1.0, "host")
    (folder / "output.log").write_text(case.get("log", "").lstrip("\n"), encoding="utf-8")
    (folder / "metrics.jsonl").write_text(case.get("file", "").lstrip("\n"), encoding="utf-8")
    index = Index(opened.cursor())
    index.add_runs([launch.columns_of_spec(asked)])
    many = launchers.beneath(argv).many_processes
    state = derive.open_derivation(ID, str(folder), many_processes=many)
    while derive.derive(state, 1_000_000, final=True):
        pass
    state.close()
    while batch := read_batch(ID, 1, str(folder), index.cursor_of(ID), state.generation, many_writers=many):
        index.commit([batch], {})
    with opened.reading() as cursor:
        found = find_run(cursor, "r1")
    assert found is not None
    shown = translate.row(found)
    assert shown["params"] == case["params"]
    metric: dict[str, Any] | None = shown["metric"]
    return metric


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_expected_answer_is_met(emptied: database.Database, tmp_path: Path, case: dict[str, Any]) -> None:
    metric = summary(emptied, tmp_path, case)
    assert metric is not None
    assert (metric["key"], metric["goal"], metric["goal_source"]) == (case["primary"], case["goal"], "guessed")
    assert (metric["folds"] or {"bests": []})["bests"] == pytest.approx(case["folds"])
    if "last" in case:
        assert [metric["last_step"], metric["last"]] == pytest.approx(case["last"])


def test_the_table_is_large_enough_and_every_origin_is_described() -> None:
    assert len(CASES) >= 40
    origins = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [case["name"] for case in CASES if case["name"] not in origins] == []
