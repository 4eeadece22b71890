"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import HIDING_VARIABLES, opened_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Home

for name in HIDING_VARIABLES:
    os.environ.pop(name, None)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A state directory of its own, named by FOOTPLATE_HOME; its daemon and runs end with the test."""
    with opened_home(tmp_path / "state") as opened:
        yield opened
