"""Indexes that several files of tests share."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from store import database
from tests.store.query_runs import index_of
from tests.store.query_samples import RUNS
from tests.store.samples import empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.database import Cursor, Database


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One index for all tests of a file."""
    with closing(database.open_database(str(tmp_path_factory.mktemp("index") / "index.duckdb"))) as found:
        yield found


@pytest.fixture
def cursor(opened: Database) -> Iterator[Cursor]:
    """Of the index of the file, emptied of what the test before has left."""
    with closing(opened.cursor()) as found:
        empty(found)
        yield found


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cursor]:
    """Of an index with the runs that queries look for."""
    with index_of(tmp_path_factory.mktemp("query"), RUNS) as cursor:
        yield cursor
