"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import HIDING_VARIABLES, opened_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support import Home

for name in HIDING_VARIABLES:
    os.environ.pop(name, None)

TESTS = Path(__file__).parent
SLOW_FILES = frozenset(
    f"{name}.py"
    for name in (
        "gpu/test_daemon_cards",
        "gpu/test_sampler",
        "jobs/test_causes",
        "jobs/test_log_limit",
        "jobs/test_supervisor_adopt",
        "jobs/test_supervisor_groups",
        "jobs/test_supervisor_options",
        "jobs/test_supervisor_revive",
        "jobs/test_tree_kill",
        "project/test_capture",
        "project/test_isolation",
        "project/test_runs_and_code",
        "store/test_archive",
        "store/test_backup",
        "store/test_folds",
        "store/test_ingest_columns",
        "store/test_ingest_index",
        "store/test_recovery",
        "store/test_removal",
        "store/test_dvclive_reader",
        "store/test_lightning_reader",
        "store/test_mlflow_files_reader",
        "store/test_mlflow_sqlite_reader",
        "store/test_pinned_pattern",
        "store/test_series",
        "store/test_trackio_reader",
        "store/test_trainer_state_reader",
        "test_adopt",
        "test_attempts",
        "test_audit",
        "test_artifacts",
        "test_bad_logs",
        "test_bad_metrics",
        "test_terminal_output",
        "test_fuzz_readers",
        "test_importing",
        "test_reparse",
        "test_writers",
        "test_churn_sample",
        "test_daemon",
        "test_daemon_life",
        "test_demo",
        "test_disk",
        "test_doctor",
        "test_export",
        "test_format_fixture",
        "test_full_disk",
        "test_init",
        "test_life_of_data",
        "test_network_home",
        "test_own_folders",
        "test_people",
        "test_people_journal",
        "test_quiet_runs",
        "test_rebuild",
        "test_remote",
        "test_reparse",
        "test_revive",
        "test_service",
        "test_projects",
        "test_queue",
        "test_uninstall",
        "test_watcher",
        "test_zero_config",
        "tui/test_every_key",
        "tui/test_hang_up",
        "tui/test_hostile",
        "tui/test_memory",
        "tui/test_rough_terminals",
    )
)
"""Files whose tests take minutes together: `just check` leaves them to `just ci`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow files, and have them come first: at the end, other workers would have nothing to do."""
    for item in items:
        if item.path.relative_to(TESTS).as_posix() in SLOW_FILES:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A state directory of its own, named by FOOTPLATE_HOME; its daemon and runs end with the test."""
    with opened_home(tmp_path / "state") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One home for those tests of a module that must not end its daemon."""
    with opened_home(tmp_path_factory.mktemp("shared") / "state") as opened:
        yield opened


@pytest.fixture
def house(shared: Home) -> Iterator[Home]:
    """The shared home; whatever happened, the daemon must be the same one afterwards and able to work."""
    shared.client().status()
    before = shared.daemon_pid()
    yield shared
    assert shared.daemon_pid() == before
    assert shared.client().status().notice == ""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="footplate-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
