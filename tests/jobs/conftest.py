"""What tests of logs share."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.jobs.limited_logs import Log, can_punch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """An empty log, the middle of which can be given back."""
    if not can_punch(tmp_path):
        pytest.skip(f"the file system of {tmp_path} cannot give back the middle of a file")
    with closing(Log(tmp_path)) as made:
        yield made
