"""Where runs of ours work, what other runs have left is nobody's business: not even the next daemon's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import wait_until

if TYPE_CHECKING:
    from tests.support import Home

FIXTURE = Path(__file__).parent / "fixtures" / "lightning"


def test_only_what_runs_of_ours_write_is_taken_in_also_after_the_daemon_was_killed(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(FIXTURE, folder)
    run_id = home.submit("sleep", "1000", working_dir=str(folder))
    home.wait_run(run_id, lambda detail: detail.row.state == "running")

    def is_read() -> bool:
        rows = home.client().get("/imports")["imports"]
        return any(row["root"] == str(folder) and row["looked"] for row in rows)

    wait_until(is_read)
    assert home.client().runs().total_count == 1
    home.kill_daemon()
    wait_until(is_read)
    assert home.client().runs().total_count == 1
    # Somebody who asks for them gets them, from later daemons as well.
    said = json.loads(home.footplate("import", "--json", str(folder)).stdout)
    count = home.client().runs().total_count
    assert count == 1 + said["run_count"] > 1
    home.kill_daemon()
    wait_until(is_read)
    assert home.client().runs().total_count == count
    home.client().stop(run_id, "test")
