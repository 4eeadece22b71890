"""MLflow's two stores, read as MLflow itself reads them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from store.readers import mlflow_files, mlflow_sqlite
from tests.store.mlflow_stores import FIXTURES, by_key, source

if TYPE_CHECKING:
    from pathlib import Path

SAID = {"RUNNING": "running", "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
INFINITE = {"1.7976931348623157e+308": "inf", "-1.7976931348623157e+308": "-inf"}
"""What MLflow reports of infinities in its SQLite store."""


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_reads_what_mlflow_reports(kind: str, tmp_path: Path) -> None:
    """Everything that MLflow says of its runs is said of them."""
    reported = json.loads((FIXTURES / kind / "reported.json").read_bytes())["runs"]
    deleted_experiments = {"thrown away"}
    runs = by_key(source(kind, tmp_path).look({}, reported))
    for key, said in reported.items():
        run = runs[key]
        assert run.tracker == "mlflow"
        assert run.name == said["name"]
        assert run.group == said["experiment"]
        assert run.said == SAID[said["status"]]
        assert run.is_deleted == (said["lifecycle_stage"] == "deleted" or said["experiment"] in deleted_experiments)
        assert run.started_at_s == said["start_time"] / 1000
        assert run.ended_at_s == (said["end_time"] and said["end_time"] / 1000)
        assert run.params == said["params"]
        assert run.tags == {key: value for key, value in said["tags"].items() if not key.startswith("mlflow.")}
        assert run.note == said["tags"].get("mlflow.note.content", "")
        assert run.command == "train.py"
        assert {key: str(final.last) for key, final in run.metrics.items()} == {
            key: INFINITE.get(value, value) for key, value in said["metrics"].items()
        }
        assert run.from_start
        assert not run.problems
        points = {
            key: sorted([step, at_us // 1000, str(value)] for step, at_us, value in zip(*column, strict=True))
            for key, column in run.points.items()
        }
        assert points == {
            key: sorted([step, at_ms, INFINITE.get(value, value)] for step, at_ms, value in history)
            for key, history in said["histories"].items()
        }
        for metric, final in run.metrics.items():
            finite = [value for value in run.points[metric].values if math.isfinite(value)]
            assert (final.minimum, final.maximum) == (min(finite, default=None), max(finite, default=None))
            assert final.point_count == len(run.points[metric].values)
    assert set(reported) <= set(runs)
    [plain] = [run for run in runs.values() if run.name == "plain"]
    assert plain.params["prompt"] == "first line\n\n  second line\n"
    assert [(each.path, each.kind) for each in plain.artifacts] == [
        ("words.txt", "text"),
        ("report/numbers.json", "text"),
    ]


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_unchanged_is_passed_over(kind: str, tmp_path: Path) -> None:
    """A second look tells nothing, and a later life of the reader knows the signatures."""
    reader = source(kind, tmp_path)
    runs = by_key(reader.look({}, ()))
    assert len(runs) == 5
    assert list(reader.look({}, ())) == []
    signatures = {key: run.signature for key, run in runs.items()}
    again = source(kind, tmp_path)
    assert list(again.look(signatures, ())) == []
    [followed] = again.look(signatures, [next(iter(runs))])
    assert followed.from_start
    assert followed.points


def test_found_by_names() -> None:
    """Stores are known by their names alone."""
    assert list(mlflow_files.found_in("/a", [], ["mlruns", "b"])) == ["/a/mlruns"]
    assert list(mlflow_files.found_in("/a", [], ["0", ".trash"])) == ["/a"]
    assert list(mlflow_files.found_in("/a", ["mlruns"], ["mlartifacts"])) == []
    assert list(mlflow_sqlite.found_in("/a", ["mlflow.db", "other.db"], [])) == ["/a/mlflow.db"]
