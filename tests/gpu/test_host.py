"""Processors, memory and disks: of the machine, and of a control group that leaves less of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from console.gpu import disks as disk_module
from console.gpu.disks import Disks
from console.gpu.host import CpuTimes, Host, machine_times, memory_of, percent_between

if TYPE_CHECKING:
    from pathlib import Path

CPU = min(os.sched_getaffinity(0))
MEMINFO = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n"


def write(root: Path, **files: str) -> Path:
    """Files below a folder; `__` in a name is a slash, `_` a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_used_memory_is_what_cannot_be_had(tmp_path: Path) -> None:
    write(tmp_path, meminfo=MEMINFO)
    assert memory_of(str(tmp_path)) == (400 * 1024, 1000 * 1024, 30 * 1024, 50 * 1024)


def test_what_the_kernel_does_not_say_is_none_and_never_zero(tmp_path: Path) -> None:
    found = Host(str(tmp_path), str(tmp_path)).look()
    assert (found.cpu_percent, found.load, found.limits) == (None, (), "")
    assert found.memory == (None, None, None, None)


def test_waiting_for_a_disk_is_not_being_busy(tmp_path: Path) -> None:
    write(tmp_path, stat=f"cpu 9 9 9 9 9\ncpu{CPU} 10 5 5 60 20 0 0 0 7 7\ncpu99999 500 0 0 0 0\n")
    assert machine_times(str(tmp_path)) == CpuTimes(20, 100)


@pytest.mark.parametrize(
    ("before", "now", "percent"),
    [
        (None, CpuTimes(1, 2), None),
        (CpuTimes(1, 2), None, None),
        (CpuTimes(1, 2), CpuTimes(1, 2), None),
        (CpuTimes(1, 2), CpuTimes(2, 6), 25.0),
        (CpuTimes(5, 6), CpuTimes(4, 8), 0.0),
    ],
)
def test_how_busy_processors_are_takes_two_looks(
    before: CpuTimes | None, now: CpuTimes | None, percent: float | None
) -> None:
    assert percent_between(before, now) == percent


def test_this_machine_has_all_figures() -> None:
    host = Host()
    host.look()
    time.sleep(0.05)
    found = host.look()
    assert found.cpu_percent is not None
    assert found.cpu_count > 0
    assert found.memory.used_bytes is not None
    assert found.memory.total_bytes is not None
    assert 0 < found.memory.used_bytes < found.memory.total_bytes


def test_in_a_container_the_figures_are_those_of_its_limits(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", meminfo=MEMINFO, self__cgroup="0::/box/job\n")
    groups = write(
        tmp_path / "cgroup",
        cgroup_controllers="cpu memory",
        box__memory_max="512000\n",
        box__memory_current="300000\n",
        box__memory_stat="anon 1\ninactive_file 100000\n",
        box__job__memory_max="max\n",
        box__job__cpu_max="50000 100000\n",
        box__job__cpu_stat="usage_usec 1000000\n",
    )
    host = Host(str(proc), str(groups))
    found = host.look()
    assert found.memory[:2] == (200000, 512000)
    assert found.cpu_count == 0.5
    assert found.cpu_percent is None
    usable = len(os.sched_getaffinity(0))
    assert found.limits == f"limited to 0.5 of {usable} CPUs and 500 KiB of memory by a control group"
    time.sleep(0.05)
    assert host.look().cpu_percent == 0.0


def test_version_1_of_control_groups_says_the_same(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", meminfo=MEMINFO, self__cgroup="4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n")
    groups = tmp_path / "cgroup"
    # In a container the folder of the group is the root itself.
    for path, text in {
        "memory/memory.limit_in_bytes": "512000",
        "memory/memory.usage_in_bytes": "300000",
        "memory/memory.stat": "total_inactive_file 100000\n",
        "cpu/cpu.cfs_quota_us": "-1",
        "cpu/cpu.cfs_period_us": "100000",
    }.items():
        (groups / path).parent.mkdir(parents=True, exist_ok=True)
        (groups / path).write_text(text)
    found = Host(str(proc), str(groups)).look()
    assert found.memory[:2] == (200000, 512000)
    assert found.limits == "limited to 500 KiB of memory by a control group"


def test_a_limit_above_what_the_machine_has_is_none(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", meminfo=MEMINFO, self__cgroup="0::/\n")
    groups = write(tmp_path / "cgroup", cgroup_controllers="x", memory_max="99999999", cpu_max="99999999 100000")
    assert Host(str(proc), str(groups)).look().limits == ""


def test_one_file_system_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    [found] = Disks().look([str(tmp_path), str(tmp_path / "below")])
    assert found.path == str(tmp_path)
    assert found.used_percent is not None
    assert 0 < found.used_percent <= 100


def test_a_place_that_is_gone_says_so_beside_the_others(tmp_path: Path) -> None:
    gone, here = Disks().look([str(tmp_path / "gone"), str(tmp_path)])
    assert (gone.problem, gone.used_percent) == ("No such file or directory", None)
    assert here.free_bytes is not None


def test_a_file_system_that_does_not_answer_holds_nobody_up_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = disk_module.ask

    def slow(place: str, look: object) -> None:
        asked.append(place)
        if place != str(tmp_path):
            time.sleep(3600)
        ask(place, look)  # type: ignore[arg-type]

    monkeypatch.setattr(disk_module, "ask", slow)
    monkeypatch.setattr(disk_module, "PATIENCE_S", 0.2)
    disks = Disks()
    for _ in range(2):
        dead, here = disks.look(["/dead/mount", str(tmp_path)])
        assert dead.problem.startswith("no answer for")
        assert here.free_bytes is not None
    assert asked == ["/dead/mount", str(tmp_path)]
