"""What the import of a folder says is true when it says it, also where the daemon reads the folder already."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support import Home

FIXTURE = Path(__file__).parent / "fixtures" / "dvclive"
MANY = 300
"""Runs that take longer to read than a second command takes to ask for them."""


def test_a_folder_that_is_being_read_already_is_waited_for_as_well(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    for number in range(MANY):
        shutil.copytree(FIXTURE, folder / f"copy-{number}")
    home.footplate("watch", str(folder))
    said = json.loads(home.footplate("import", "--json", str(folder)).stdout)
    assert said["looked"]
    assert said["run_count"] == home.client().runs().total_count == MANY
    shutil.copytree(FIXTURE, folder / "one-more")
    done = home.footplate("import", str(folder))
    assert f"{MANY + 1} runs" in done.stdout
    assert home.client().runs().total_count == MANY + 1
