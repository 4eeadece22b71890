"""`footplate gpus`: with cards of every kind, and on a machine without one."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from typing import TYPE_CHECKING

import pytest

from console import devices
from console.cli import gpus, output
from console.devices import Slice
from console.gpu import presence
from tests.gpu.looks import busy_box, card, holder, machine

if TYPE_CHECKING:
    from console.devices import Devices
    from tests.support import Home


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What the command prints of a machine."""
    monkeypatch.setattr(output, "ascii_only", lambda: False)
    return Printed(monkeypatch, capsys)


class Printed:
    """The command with a machine in place of a daemon."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def of(self, found: Devices) -> list[str]:
        """Its lines."""
        self._monkeypatch.setattr("console.devices.devices", lambda *_, **__: found)
        parser = ArgumentParser()
        gpus.add_arguments(parser)
        assert gpus.execute(parser.parse_args([])) == 0
        return self._capsys.readouterr().out.splitlines()


def test_the_table_says_who_holds_what_and_what_holds_it_back(printed: Printed) -> None:
    lines = printed.of(busy_box())
    titles = [title.strip() for title in lines[0].split("  ") if title.strip()]
    assert titles == ["gpu", "name", "util", "memory", "temp", "power", "who", "held back by", "command"]
    words = "0 H100 ███████▉ 98% 71G/80G 63 C 620/700 W ana r218 python train.py"
    assert lines[1].split() == words.split()
    assert "bob pid 4411 +1  too hot" in lines[4]
    assert "bob idle 3h10" in lines[6]
    assert lines[8].rstrip().endswith("free")
    assert [line.split()[0] for line in lines[9:]] == ["cpu", "memory", "disk", "disk"]
    assert lines[-1].endswith("30%  700 GiB free, /scratch")


def test_below_the_table_stands_what_is_not_known_and_why(printed: Printed) -> None:
    odd = card(
        0,
        None,
        5,
        slices=(Slice(0, "MIG-1", "MIG 1g.10gb", 1 << 30, 10 << 30),),
        reasons={"utilization_percent": "split by MIG", "energy_j": "too old", "power_limit_w": "too old"},
        holders=(holder("", pid=99)._replace(reason="in a container, or ended"),),
    )
    lines = printed.of(machine(odd, stalled_s=75.0))
    assert lines[1].split()[2:4] == ["n/a", "5G/80G"]
    assert lines[2:6] == [
        "gpu 0 slice 0: MIG 1g.10gb, memory 1G/10G",
        "gpu 0 pid 99: in a container, or ended",
        "gpu 0 n/a: utilization: split by MIG",
        "gpu 0 n/a: energy, power limit: too old",
    ]
    assert lines[6] == "! sampler stalled 1m00: the figures of the cards are as old; the driver does not answer"


def test_text_from_outside_reaches_no_terminal_raw(printed: Printed) -> None:
    bad = card(0, 5, 5, holders=(holder("\x1b]0;x\x07", command="\x1b[2J"),), reasons={"energy_j": "\x1b[5m"})
    text = "".join(printed.of(machine(bad._replace(name="\x1b[1m"))))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_limits_of_a_container_are_said(printed: Printed) -> None:
    limits = "limited to 4 of 64 CPUs by a control group"
    assert printed.of(machine(limits=limits))[-1].strip() == limits


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
