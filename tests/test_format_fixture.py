"""What an earlier version wrote, every later one reads: a state directory of each format, and what it must come to."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.daemon import audit
from tests.recorded import compare
from tests.support import wait_until

if TYPE_CHECKING:
    from tests.support import Home

FIXTURES = Path(__file__).resolve().parent / "fixtures"
FORMATS = sorted(path.name for path in FIXTURES.glob("format-*"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_state_directory_of_this_format_is_read_as_it_always_was(home: Home, name: str) -> None:
    shutil.copytree(FIXTURES / name / "state", home.path)
    wait_until(lambda: home.client().get("/store")["catching_up"]["total_count"] == 0)
    found = json.loads(home.footplate("export", "--json").stdout)
    compare(FIXTURES / name / "expected.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert home.client().status().notice == ""
    assert "passed over" not in Path(home.path, "daemon.log").read_text(encoding="utf-8")
    assert audit.verify(home.path).findings == ()


@pytest.mark.parametrize("name", FORMATS)
def test_a_fixture_holds_every_kind_of_end_and_nothing_of_the_machine_it_was_made_on(name: str) -> None:
    runs = json.loads((FIXTURES / name / "expected.json").read_text(encoding="utf-8"))["runs"]
    kinds = {run["cause_kind"] for run in runs}
    assert {"ok", "exception", "stopped", "signal", "supervisor_lost"} <= kinds
    assert max(run["attempt"] for run in runs) == 2
    for path in (FIXTURES / name).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(word in content for word in (b"/root", b"/tmp", os.uname().nodename.encode() + b'"')), path
            if path.suffix in (".json", ".claim") and path.name != "expected.json":
                assert json.loads(content)["format"] == 1, path
