"""MLflow's two stores out of the fixtures, and their runs by key."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.readers import mlflow_files, mlflow_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.readers.foreign import ForeignRun

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mlflow"


def unpacked(folder: Path) -> str:
    """The fixture of the SQLite store, as MLflow wrote it."""
    shutil.copytree(FIXTURES / "sqlite", folder, dirs_exist_ok=True)
    packed = folder / "mlflow.db.gz"
    (folder / "mlflow.db").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return str(folder / "mlflow.db")


def source(kind: str, folder: Path) -> Any:
    """A reader of one of the fixtures."""
    if kind == "files":
        return mlflow_files.Source(str(FIXTURES / "files" / "mlruns"))
    return mlflow_sqlite.Source(unpacked(folder))


def by_key(runs: Iterator[ForeignRun]) -> dict[str, ForeignRun]:
    """Runs by their keys, each told once."""
    found = list(runs)
    assert len({run.key for run in found}) == len(found)
    return {run.key: run for run in found}
