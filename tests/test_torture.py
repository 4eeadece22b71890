"""Twenty kills of the torture; `just torture --kills 200` does more."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests import killpoints
from tests.torture import VICTIMS, Torture

if TYPE_CHECKING:
    from pathlib import Path

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
