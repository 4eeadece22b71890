"""`footplate gpus` on a machine without a card."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from console import devices
from console.gpu import presence

if TYPE_CHECKING:
    from tests.support import Home


@pytest.mark.skipif(not presence.reason_for_none(os.environ), reason="this machine has an NVIDIA driver")
def test_without_a_card_there_is_one_line_with_the_reason_and_the_hosts_figures(home: Home) -> None:
    lines = home.footplate("gpus").stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["gpus", "cpu", "memory", "disk"]
    assert "NVIDIA" in lines[0]
    said = json.loads(home.footplate("gpus", "--json").stdout)
    assert said["gpus"] == []
    assert said["gpu_reason"] in lines[0]
    assert said["memory_total_bytes"] > 0
    found = devices.decode_devices(said)
    assert found.disks[0].path == home.path
    assert found.disks[0].used_percent is not None
    assert home.client().status().gpus is None
