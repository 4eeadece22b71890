"""Control groups where the test machine has none of the kind: plain files stand in for what the kernel shows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from console.jobs import containment
from console.jobs.containment import IN_MEMORY, IN_UNIFIED, Containment
from store import identity

if TYPE_CHECKING:
    from pathlib import Path

    from store.identity import ProcessIdentity

RUN_ID = "01TEST"


def me() -> ProcessIdentity:
    """This process, as the supervisor."""
    found = identity.identify(os.getpid())
    assert found is not None
    return found


def group(path: Path, **files: str) -> Path:
    """A directory with the files of a group in it, in whose names `__` stands for the dot."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in ({"cgroup__procs": ""} | files).items():
        (path / name.replace("__", ".")).write_text(content)
    return path


def run_group(base: Path, **files: str) -> Path:
    """The group that the first attempt of the run is going to have below `base`."""
    return group(base / f"footplate.{RUN_ID}.1.{me().pid}.{me().start_ticks}", **files)


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scope of the one hierarchy of v2 that is delegated to us, with us as the only process."""
    base = group(
        tmp_path / "run.scope",
        cgroup__procs=f"{os.getpid()}\n",
        cgroup__controllers="cpu memory pids\n",
        cgroup__subtree_control="",
    )
    inner = group(base / containment.SUPERVISOR_GROUP)
    answers = iter([(str(base), ""), (str(inner), "")])
    monkeypatch.setattr(containment, "own_groups", lambda: next(answers))
    return base


def test_in_a_scope_of_its_own_the_supervisor_makes_room_for_the_memory_controller(scope: Path) -> None:
    made = run_group(
        scope,
        memory__max="max",
        memory__swap__max="max",
        memory__events="low 0\noom 3\noom_kill 2\n",
        memory__stat="anon 1000\nfile 900000\nshmem 24\n",
        cpu__stat="usage_usec 3000000\nuser_usec 2500000\nsystem_usec 500000\n",
        cgroup__kill="",
    )
    held = Containment(RUN_ID, 1, me(), 1 << 30)
    assert (scope / containment.SUPERVISOR_GROUP / "cgroup.procs").read_text() == "0"
    assert (scope / "cgroup.subtree_control").read_text() == "+memory"
    assert (held.unified, held.memory, held.limited) == (str(made), str(made), True)
    assert (made / "memory.max").read_text().startswith(str(1 << 30))
    assert (made / "memory.swap.max").read_text().startswith("0")
    assert held.enter() == IN_UNIFIED | IN_MEMORY
    held.sample()
    assert (held.limit_kills(), held.resident_bytes, held.cpu_s()) == (2, 1024, (2.5, 0.5))
    held.expel(77)
    assert (scope / containment.SUPERVISOR_GROUP / "cgroup.procs").read_text() == "77"
    held.kill()
    assert (made / "cgroup.kill").read_text() == "1"


def test_a_group_with_other_processes_is_not_rearranged(scope: Path) -> None:
    (scope / "cgroup.procs").write_text(f"1\n{os.getpid()}\n")
    run_group(scope)
    held = Containment(RUN_ID, 1, me(), 1 << 30)
    assert (scope / "cgroup.subtree_control").read_text() == ""
    assert (bool(held.unified), held.memory, held.limited) == (True, "", False)
    assert held.limit_kills() == 0


def test_a_group_that_the_command_could_not_enter_is_given_up(scope: Path) -> None:
    made = run_group(scope, memory__max="max")
    held = Containment(RUN_ID, 1, me(), 1 << 30)
    (made / "cgroup.procs").unlink()
    entered = held.enter()
    held.leave_out(entered)
    assert (entered, held.unified, held.memory, held.limited, held.pids()) == (0, "", "", False, set())


@pytest.mark.parametrize(
    ("group_of_ours", "expected"),
    [
        ("/sys/fs/cgroup/user.slice/a.scope", "/sys/fs/cgroup/user.slice/a.scope"),
        ("/sys/fs/cgroup/a.scope/footplate.supervisor", "/sys/fs/cgroup/a.scope"),
        ("/sys/fs/cgroup/footplate.01A.1.2.3/footplate.01B.1.2.3", "/sys/fs/cgroup"),
    ],
)
def test_a_run_started_from_within_a_run_lies_beside_it(group_of_ours: str, expected: str) -> None:
    assert containment.outside_of_runs(group_of_ours) == expected


def test_a_mount_point_may_have_blanks() -> None:
    assert containment.unescaped("/mnt/my\\040groups\\134x") == "/mnt/my groups\\x"


def test_the_groups_of_this_machine_are_found_or_there_are_none() -> None:
    for found in containment.own_groups():
        assert not found or os.getpid() in containment.pids_of(found)
