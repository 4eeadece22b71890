"""Twenty kills of the torture; `just torture --kills 200` does more."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests import killpoints
from tests.support import wait_until
from tests.torture import VICTIMS, Torture

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support import Home


def test_twenty_kills_lose_double_repeat_and_misjudge_nothing(home: Home, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    findings = Torture(home, tmp_path, seed).run(20)
    assert findings.sound, f"seed {seed}: {findings}"
    assert sum(findings.kills.values()) == 20
    assert findings.steps > 0


def test_every_kind_of_victim_and_point_is_there() -> None:
    assert set(VICTIMS) == {
        "daemon",
        "daemon at a point",
        "supervisor",
        "supervisor at a point",
        "console",
        "terminal",
    }
    places = {point.rpartition(" ")[0] for point in (*killpoints.DAEMON_POINTS, *killpoints.SUPERVISOR_POINTS)}
    assert {"claim", "journal", "commit", "checkpoint", "reply"} <= places


def test_a_wrong_state_is_told_with_what_may_explain_it(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Torture(home, tmp_path, 1)
    (tmp_path / "enough").touch()
    run_id = session.start_job("0", 3, tmp_path / "enough")
    pid = wait_until(home.daemon_pid)
    session.kill_process(pid, "daemon")
    assert session.ended_as(run_id, 3)
    assert not capsys.readouterr().err
    assert not session.ended_as(run_id, 4)
    told = capsys.readouterr().err
    assert all(part in told for part in (run_id, "attempt-1.claim", "supervisor.log", '"exit_code": 3', f"pid {pid} "))
