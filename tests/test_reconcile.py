"""Runs as killed machines leave them: what their end is taken to be, and what damage costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from console.jobs import reconcile, spec
from console.jobs.reconcile import Facts, Judgement
from store import identity
from store.identity import ProcessIdentity
from tests.daemons import is_gone, pid_of_daemon
from tests.support import Home, PastRun, wait_until


def write_run_dir(home: Home, no: int, supervisor: Any, status: Any = None, command: Any = None) -> str:
    """A run that a supervisor had taken; `status` overrides what it last wrote, False: it wrote nothing."""
    run_id = home.write_run(PastRun(no=no))
    folder = home.run_dir(run_id)
    os.unlink(f"{folder}/status.json")
    Path(f"{folder}/attempt-1.claim").write_text(json.dumps(supervisor))
    if status is None:
        status = {
            "format": 1,
            "attempt": 1,
            "state": "running",
            "supervisor": supervisor,
            "command": command,
            "started_at_s": 1_760_000_000.0,
            "ended_at_s": None,
            "exit_code": None,
            "signal": "",
            "cause": "",
            "evidence": "",
        }
    if status is not False:
        Path(f"{folder}/status.json").write_text(status if isinstance(status, str) else json.dumps(status))
    return run_id


def dead_process() -> dict[str, Any]:
    """The identity of a process of this boot that is gone."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        found = identity.identify(process.pid)
        process.kill()
    assert found is not None
    return found.to_json()


def test_runs_whose_processes_are_all_dead_get_the_end_that_can_be_known(home: Home) -> None:
    dead = dead_process()
    other_boot = dead | {"boot_id": "of-another-time"}
    # Alive now, but of another boot: only the boot id tells.
    ours = identity.identify(os.getpid())
    assert ours is not None
    rebooted_alike = ours.to_json() | {"boot_id": "of-another-time"}
    reused = ours.to_json() | {"start_ticks": ours.start_ticks - 1}
    expected = {
        write_run_dir(home, 1, dead, command=dead): ("failed", "supervisor lost"),
        write_run_dir(home, 2, dead, status=False): ("failed", "supervisor lost"),
        write_run_dir(home, 3, reused, command=reused): ("failed", "supervisor lost"),
        write_run_dir(home, 4, other_boot, command=other_boot): ("interrupted", "rebooted"),
        write_run_dir(home, 5, other_boot, status=False): ("interrupted", "rebooted"),
        write_run_dir(home, 6, rebooted_alike, command=rebooted_alike): ("interrupted", "rebooted"),
    }
    for run_id, (state, words) in expected.items():
        row = home.wait_ended(run_id).row
        assert row.state == state, run_id
        assert words in row.cause
        assert row.exit_code is None
        assert row.ended_at_s is not None
    # The verdict is in the run directory: the index can go.
    pid = pid_of_daemon(home)
    before = [home.client().get(f"/runs/{run_id}")["row"] for run_id in expected]
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid))
    os.unlink(f"{home.path}/index.duckdb")
    for run_id in expected:
        home.wait_ended(run_id)
    assert [home.client().get(f"/runs/{run_id}")["row"] for run_id in expected] == before


@pytest.mark.parametrize(
    "status",
    ["{}", "[]", "null", "{", "", "\0" * 100, '{"ended_at_s": 1}', '{"supervisor": "me", "ended_at_s": null}',
     '{"supervisor": {"pid": 1}, "ended_at_s": null}', '{"ended_at_s": "soon", "state": 7, "cause": null}'],
)  # fmt: skip
def test_a_damaged_status_costs_its_own_run_and_nothing_else(tmp_path: Path, status: str) -> None:
    facts_or_refusal(tmp_path, "status.json", status)


@pytest.mark.parametrize("claim", ["{}", "[]", "{", "", '"me"', '{"pid": "one", "boot_id": 1, "start_ticks": null}'])
def test_a_damaged_claim_costs_its_own_run_and_nothing_else(tmp_path: Path, claim: str) -> None:
    facts_or_refusal(tmp_path, "attempt-1.claim", claim)


def facts_or_refusal(folder: Path, name: str, content: str) -> Judgement:
    """The verdict about a run directory with one damaged file; whatever it is, it must come without an exception."""
    dead = dead_process()
    (folder / "attempt-1.claim").write_text(json.dumps(dead))
    (folder / name).write_text(content)
    return reconcile.judge(reconcile.gather(str(folder)))


BAD_SPECS: list[dict[str, Any]] = [
    {"no": "three"},
    {"params": None},
    {"params": ["lr"]},
    {"name": None},
    {"name": "\ud800"},
    {"argv": None},
    {"argv": [1]},
    {"argv": []},
    {"created_at_s": "then"},
    {"grace_s": "long"},
    {"id": "somebody-else"},
]


@pytest.mark.parametrize("change", BAD_SPECS, ids=ascii)
def test_a_spec_of_the_wrong_types_is_refused_before_anybody_uses_it(tmp_path: Path, change: dict[str, Any]) -> None:
    home = Home(tmp_path / "state")
    run_dir = home.run_dir(home.write_run(PastRun(no=1)))
    whole = json.loads(Path(f"{run_dir}/spec.json").read_text())
    assert spec.read_spec(run_dir).no == 1
    Path(f"{run_dir}/spec.json").write_text(json.dumps(whole | change))
    with pytest.raises(ValueError, match=r"spec\.json"):
        spec.read_spec(run_dir)


def test_damaged_run_directories_do_not_keep_the_daemon_from_the_sound_ones(home: Home) -> None:
    dead = dead_process()
    sound = home.write_run(PastRun(no=1, points=[(1, {"loss": 0.5})]))
    write_run_dir(home, 2, dead, status="{}")
    write_run_dir(home, 3, dead, status='{"ended_at_s": 1}')
    runs = Path(home.path) / "runs"
    for no, content in enumerate(("", "{", "[]", '{"format": 1}', '{"format": 99}')):
        folder = runs / PastRun(no=100 + no).id
        folder.mkdir()
        (folder / "spec.json").write_text(content)
    whole = json.loads((runs / sound / "spec.json").read_text())
    for no, change in enumerate(BAD_SPECS):
        folder = runs / PastRun(no=200 + no).id
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps(whole | {"id": folder.name, "no": 200 + no} | change))
    (runs / "a stray file").write_text("")
    (runs / "empty folder").mkdir()
    try:
        wait_until(lambda: home.client().run(sound).row.state == "finished", timeout_s=15)
        fresh = home.submit("true")
        wait_until(lambda: home.client().run(fresh).row.state == "finished", timeout_s=15)
    finally:
        home.kill_daemon()


SOMEBODY = ProcessIdentity("this-boot", 4, 2)
RUNNING = {"state": "running", "ended_at_s": None}
OVER = {"state": "finished", "ended_at_s": 1.0}
VERDICT = {"state": "failed", "ended_at_s": 1.0}


def facts(**known: Any) -> Facts:
    nothing: dict[str, Any] = {
        "status": None,
        "reconciled": None,
        "supervisor": None,
        "survivors": (),
        "supervisor_alive": False,
        "same_boot": False,
    }
    return Facts(**(nothing | known))


TAKEN: dict[str, Any] = {"supervisor": SOMEBODY, "same_boot": True}
STARTED: dict[str, Any] = TAKEN | {"status": RUNNING}


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        ({}, "start"),
        ({"reconciled": VERDICT}, "ended"),
        (TAKEN, "lost"),
        (TAKEN | {"supervisor_alive": True}, "adopt"),
        (STARTED, "lost"),
        (STARTED | {"supervisor_alive": True}, "adopt"),
        (STARTED | {"supervisor_alive": True, "survivors": (SOMEBODY,)}, "adopt"),
        (STARTED | {"survivors": (SOMEBODY,)}, "unattended"),
        (TAKEN | {"survivors": (SOMEBODY,)}, "unattended"),
        ({"taken": True}, "lost"),
        ({"held": True}, "held"),
        (TAKEN | {"held": True, "supervisor_alive": True}, "adopt"),
        (STARTED | {"status": OVER}, "ended"),
        (STARTED | {"status": OVER, "supervisor_alive": True}, "ended"),
        (STARTED | {"status": OVER, "same_boot": False}, "ended"),
        (TAKEN | {"same_boot": False}, "reboot"),
        (STARTED | {"same_boot": False}, "reboot"),
        (STARTED | {"reconciled": VERDICT}, "ended"),
        (STARTED | {"reconciled": VERDICT, "same_boot": False}, "ended"),
    ],
)
def test_the_verdict_about_a_run_follows_from_what_is_found(known: dict[str, Any], verdict: Judgement) -> None:
    assert reconcile.judge(facts(**known)) == verdict


def test_an_end_is_never_said_of_a_run_that_lives_and_no_run_starts_twice() -> None:
    import itertools

    booleans = (False, True)
    for status, alive, command_alive, same_boot in itertools.product((None, RUNNING), booleans, booleans, booleans):
        if (alive or command_alive) and not same_boot:
            continue  # nothing of another boot lives
        known = facts(
            status=status,
            supervisor=SOMEBODY,
            supervisor_alive=alive,
            survivors=(SOMEBODY,) if command_alive else (),
            same_boot=same_boot,
        )
        verdict = reconcile.judge(known)
        assert verdict != "start"
        if alive or command_alive:
            assert verdict in ("adopt", "unattended")
