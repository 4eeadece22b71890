"""A stop ends the whole tree; side by side with what task-spooler leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import tree_kill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home


def test_a_stop_leaves_nothing_of_a_tree_within_grace_and_a_second(home: Home, tmp_path: Path) -> None:
    ours = tree_kill.by_footplate(home, tmp_path / "footplate")
    print("\n" + tree_kill.table(ours, None, "not compared in this test"))
    assert ours.left == []
    assert all(seconds is not None and seconds <= tree_kill.GRACE_S + 1 for seconds in ours.gone_after_s.values())


def test_side_by_side_with_task_spooler(home: Home, tmp_path: Path) -> None:
    try:
        tsp = tree_kill.task_spooler(tmp_path / "package")
    except tree_kill.Unavailable as why:
        pytest.skip(str(why))
    theirs = tree_kill.by_task_spooler(tsp, tmp_path / "tsp")
    ours = tree_kill.by_footplate(home, tmp_path / "footplate")
    print("\n" + tree_kill.table(ours, theirs))
    assert ours.left == []
    assert {"session", "daemon", "deaf"} <= set(theirs.left)
