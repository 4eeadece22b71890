"""The queue of a real daemon: order, slots, devices, what runs wait for, sweeps, pauses, deaths of the daemon."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.support import FOOTPLATE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

QUEUED = {"takes_slot": True}


def queue_of(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.footplate("queue", "--json").stdout)
    return found


def states(home: Home) -> dict[int, str]:
    return {row.no: row.state for row in home.client().runs(limit=1000).rows}


def wait_states(home: Home, wanted: dict[int, str]) -> None:
    wait_until(lambda: wanted.items() <= states(home).items())


def test_slots_priorities_and_places(home: Home, tmp_path: Path) -> None:
    home.footplate("queue", "limit", "1")
    stopper = home.submit("sleep", "1000", queueing=QUEUED)
    home.wait_run(stopper, lambda detail: detail.row.state == "running")
    order = tmp_path / "order"
    for number in range(2, 6):
        home.submit("sh", "-c", f"echo {number} >> {order}", queueing=QUEUED | {"priority": 5 if number == 4 else 0})
    assert [entry["no"] for entry in queue_of(home)["entries"]] == [4, 2, 3, 5]
    home.footplate("queue", "before", "r2", "r5")
    found = queue_of(home)
    assert [entry["no"] for entry in found["entries"]] == [4, 5, 2, 3]
    assert found["entries"][0]["reason"] == "all slots are taken"
    assert home.client().run("r5").row.cause == "all slots are taken"
    home.submit("sh", "-c", f"echo now >> {order}")
    wait_until(lambda: order.exists() and order.read_text() == "now\n")
    home.kill_daemon()
    home.footplate("stop", "r1")
    wait_until(lambda: order.read_text().split() == ["now", "4", "5", "2", "3"])


def test_after_ok_any_and_not_ok(home: Home) -> None:
    home.footplate("pause", "--reason", "until all are there")
    bad = home.submit("false", queueing=QUEUED)
    ids = {on: home.submit("true", queueing={"after": [{"run": bad, "on": on}]}) for on in ("ok", "any", "not-ok")}
    last = home.submit("true", queueing={"after": [{"run": ids["ok"], "on": "any"}]})
    never = home.submit("true", queueing={"after": [{"run": ids["ok"], "on": "not-ok"}]})
    wait_states(home, {1: "held", 2: "blocked", 3: "blocked", 4: "blocked", 5: "blocked", 6: "blocked"})
    assert home.client().run(ids["ok"]).row.cause == "after r1"
    assert "until all are there" in home.client().run("r1").row.cause
    home.kill_daemon()
    home.footplate("resume")
    wait_states(home, {1: "failed", 2: "skipped", 3: "finished", 4: "finished", 5: "finished", 6: "skipped"})
    assert home.client().run(ids["ok"]).row.cause == "it waited for r1 to finish well, which did not finish well"
    assert home.client().run(never).row.cause == "it waited for r2 not to finish well, which was skipped"
    assert home.wait_ended(last).row.exit_code == 0
    again = home.submit("true", queueing={"after": [{"run": bad, "on": "not-ok"}]})
    assert home.wait_ended(again).row.state == "finished"


def test_after_a_run_that_was_deleted_and_by_the_command_line(home: Home) -> None:
    home.footplate("run", "--", "true")
    home.footplate("pause")
    done = home.footplate("run", "-d", "--after", "r1:any", "--queue", "--", "true")
    assert done.stdout == "r2\n"
    missing = home.footplate("run", "-d", "--after", "r77", "--", "true", check=False)
    assert "no run 'r77'" in missing.stderr
    wrong = home.footplate("run", "-d", "--after", "r1:maybe", "--", "true", check=False)
    assert wrong.returncode == 2
    assert "ok, any or not-ok" in wrong.stderr


def test_devices_are_given_to_one_run_at_a_time_and_outlive_the_daemon(home: Home) -> None:
    home.footplate("queue", "devices", "0,1")
    show = "echo $FOOTPLATE_DEVICES $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER; exec sleep 1000"
    first = home.submit("sh", "-c", show, queueing={"devices": 1})
    second = home.submit("sh", "-c", show, queueing={"devices": 1})
    for run_id in (first, second):
        home.wait_run(run_id, lambda detail: detail.log_size_bytes > 0)
    logs = {home.client().raw_log(run_id, 0, wait=False)[0] for run_id in (first, second)}
    assert logs == {b"0 0 PCI_BUS_ID\n", b"1 1 PCI_BUS_ID\n"}
    third = home.submit("true", queueing={"devices": 2})
    fourth = home.submit("true", queueing={"devices": 1})
    assert "wants 2 devices, 0 free" in home.client().run(third).row.cause
    assert "in front of it" in home.client().run(fourth).row.cause
    assert {device["run"] for device in queue_of(home)["devices"]} == {1, 2}
    home.kill_daemon()
    assert {device["taken"] for device in queue_of(home)["devices"]} == {True}
    # The supervisor dies, the command lives: it still has its device.
    supervisor = home.client().run(first).supervisor_pid
    assert supervisor is not None
    os.kill(supervisor, 9)
    home.footplate("stop", "r2")
    taken = [device["taken"] for device in queue_of(home)["devices"]]
    assert sorted(taken) == [False, True]
    home.footplate("stop", "r1")
    for run_id in (third, fourth):
        assert home.wait_ended(run_id).row.state == "finished"


def test_devices_of_another_holder_are_left_alone(home: Home, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    home.footplate("queue", "devices", "a,b", "--dir", str(shared))
    import fcntl

    with open(shared / "a.lease", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run_id = home.submit("sh", "-c", "echo $FOOTPLATE_DEVICES", queueing={"devices": 1})
        home.wait_ended(run_id)
        assert home.client().raw_log(run_id, 0, wait=False)[0] == b"b\n"
        both = home.submit("sh", "-c", "echo $FOOTPLATE_DEVICES", queueing={"devices": 2})
        assert home.client().run(both).row.state == "queued"
        assert [device["pid"] for device in queue_of(home)["devices"]] == [os.getpid(), None]
    assert home.wait_ended(both).row.state == "finished"
    os.chmod(shared, 0o777)
    refused = home.footplate("queue", "devices", "a,b", "--dir", str(shared), check=False)
    assert "can be written to by others" in refused.stderr


def test_a_mutex_group_runs_one_at_a_time(home: Home, tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/alone && sleep 0.3 && rmdir {tmp_path}/alone"
    for _ in range(4):
        home.submit("sh", "-c", script, queueing={"mutex": ["db"]})
    wait_states(home, dict.fromkeys(range(1, 5), "finished"))


def test_a_waiting_run_is_stopped_and_a_second_daemon_agrees(home: Home) -> None:
    home.footplate("pause")
    run_id = home.submit("true", queueing=QUEUED)
    dependent = home.submit("true", queueing={"after": [{"run": run_id, "on": "ok"}]})
    stopped = home.footplate("stop", "r1", "--json")
    assert json.loads(stopped.stdout)[0]["row"]["cause"].endswith("before it started")
    wait_states(home, {1: "stopped", 2: "skipped"})
    home.kill_daemon()
    assert states(home) == {1: "stopped", 2: "skipped"}
    assert not os.path.exists(f"{home.run_dir(dependent)}/environment.json")


def test_a_sweep_is_planned_enqueued_listed_stopped_and_retried(home: Home) -> None:
    asked = ("sweep", "-p", "lr=1e-3,1e-4", "-p", "seed=1..3", "--name", "t")
    command = ("--", "sh", "-c", "echo lr=$0 seed=$1; test $1 != 2", "{lr}", "{seed}")
    plan = json.loads(home.footplate(*asked, "--plan", "--json", *command).stdout)
    assert (plan["run_count"], plan["typical_s"]) == (6, None)
    refused = home.footplate(*asked, *command, check=False)
    assert "nobody is there to confirm" in refused.stderr
    assert "6 runs of t" in refused.stderr
    assert home.client().runs().total_count == 0
    assert home.footplate(*asked, "--yes", *command).stdout.startswith("s1: 6 runs, r1 to r6")
    wait_states(home, dict.fromkeys((1, 3, 4, 6), "finished") | dict.fromkeys((2, 5), "failed"))
    rows = {row.no: row for row in home.client().runs(limit=100).rows}
    assert (rows[1].params["lr"], rows[6].params["seed"], rows[6].sweep) == ("1e-3", "3", "s1")
    found = json.loads(home.footplate("sweeps", "--json").stdout)["sweeps"]
    assert found[0]["counts"] == {"finished": 4, "failed": 2}
    assert home.footplate("sweeps", "s1").stdout.count("lr=") >= 1
    home.footplate("pause", "s1")
    retried = json.loads(home.footplate("retry", "s1", "--json").stdout)["runs"]
    assert [run["no"] for run in retried] == [7, 8]
    wait_states(home, {7: "held", 8: "held"})
    home.footplate("stop", "s1")
    wait_states(home, {7: "stopped", 8: "stopped"})
    again = home.footplate("stop", "s1", check=False)
    assert "has ended already" in again.stderr
    plan = json.loads(home.footplate(*asked, "--plan", "--json", *command).stdout)
    assert plan["typical_s"] is not None
    assert plan["total_s"] >= plan["typical_s"]


def test_the_startup_guard_pauses_the_sweep_whose_first_run_dies_and_no_other(home: Home) -> None:
    home.footplate("queue", "limit", "4")
    typo = ("sweep", "-p", "seed=1..9", "--yes", "--", sys.executable, "-c", "import nosuchmodule", "{seed}")
    home.footplate(*typo)
    home.footplate("sweep", "-p", "seed=1..3", "--yes", "--", "true", "{seed}")
    wait_states(home, {1: "failed", 2: "held", 9: "held", 10: "finished", 12: "finished"})
    assert "its first run r1 failed after" in home.client().run("r2").row.cause
    assert "ModuleNotFoundError" in home.client().run("r2").row.cause
    home.kill_daemon()
    wait_states(home, {2: "held", 9: "held"})
    home.footplate("resume", "s1")
    wait_states(home, {2: "failed", 3: "held", 9: "held"})


def test_bad_sweeps_and_bad_requests(home: Home) -> None:
    def said(*arguments: str) -> str:
        done = home.footplate(*arguments, check=False)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr

    million = said("sweep", "-p", "a=1..1000", "-p", "b=1..1000", "--yes", "--", "true", "{a}{b}")
    assert "1,000,000 combinations" in million
    assert "--random" in million
    assert "does not use the param b" in said("sweep", "-p", "a=1", "-p", "b=2", "--yes", "--", "true", "{a}")
    assert "{c}" in said("sweep", "-p", "a=1", "--yes", "--", "true", "{a}", "{c}")
    assert "no sweep 's9'" in said("stop", "s9")
    assert "no sweep 's9'" in said("pause", "s9")
    assert "is not paused" in said("resume")
    assert "no number of runs" in said("queue", "limit", "many")
    assert "different names" in said("queue", "devices", "0,0")
    assert "different names" in said("queue", "devices", "../etc")
    assert "no run 'r9'" in said("queue", "front", "r9")
    assert "no footplate.toml" in said("start", "train")
    home.footplate("run", "--", "true")
    assert "does not wait" in said("queue", "front", "r1")
    assert home.client().runs().total_count == 1


def test_a_sweep_that_a_killed_daemon_was_making_is_not_there(home: Home) -> None:
    home.footplate("pause")
    home.footplate("sweep", "-p", "a=1..3", "--yes", "--", "true", "{a}")
    home.footplate("run", "-d", "--queue", "--", "true")
    home.kill_daemon()
    # As it is from the first run directory until all are there.
    with open(f"{home.path}/sweeps/s1.json", "w", encoding="utf-8"):
        pass
    for name in ("index.duckdb", "index.duckdb.wal"):
        if os.path.exists(f"{home.path}/{name}"):
            os.unlink(f"{home.path}/{name}")
    wait_until(lambda: states(home) == {4: "held"})
    assert json.loads(home.footplate("sweeps", "--json").stdout) == {"sweeps": []}


def test_retries_stand_in_line_like_everybody_else(home: Home, tmp_path: Path) -> None:
    home.footplate("queue", "limit", "1")
    order = tmp_path / "order"
    retry = {"retry": {"on": ["failure"], "max": 1, "delay_s": 0}}
    first = home.submit(*("sh", "-c", f"echo a$FOOTPLATE_ATTEMPT >> {order}; exit 1"), queueing=QUEUED, options=retry)
    home.submit("sh", "-c", f"echo b >> {order}", queueing=QUEUED | {"priority": 1})
    home.wait_ended(first)
    assert home.client().run(first).row.attempt == 2
    wait_until(lambda: order.read_text().split() == ["a1", "b", "a2"])


def test_hostile_params_reach_the_command_as_they_are(home: Home) -> None:
    value = "$(touch /tmp/footplate-was-here) `id` \"'; rm -rf x\n# \\ é"
    quoted = value.replace("\\", "\\\\").replace(",", "\\,")
    home.footplate(
        "sweep", "-p", f"a={quoted}", "--yes", "--", sys.executable, "-c", "import sys; print(sys.argv[1:])", "{a}"
    )
    wait_states(home, {1: "finished"})
    assert home.footplate("logs", "r1").stdout.strip() == str([value])
    assert not os.path.exists("/tmp/footplate-was-here")
    assert os.path.exists(FOOTPLATE)


def test_a_long_chain_whose_first_run_fails_is_skipped_at_once_and_a_lost_directory_holds_nobody_up(home: Home) -> None:
    home.footplate("pause")
    previous = home.submit("false", queueing=QUEUED)
    for _ in range(60):
        previous = home.submit("true", queueing={"after": [{"run": previous, "on": "ok"}]})
    shutil.rmtree(home.run_dir(previous))
    lone = home.submit("true", queueing=QUEUED)
    home.footplate("resume")
    wait_until(lambda: set(states(home).values()) == {"failed", "skipped", "finished"})
    assert home.client().run(lone).row.state == "finished"
    assert "which was skipped" in home.client().run("r61").row.cause


def test_a_daemon_without_anything_to_do_does_nothing(home: Home) -> None:
    home.footplate("sweep", "-p", "a=1..3", "--yes", "--", "true", "{a}")
    wait_states(home, dict.fromkeys((1, 2, 3), "finished"))
    pid = home.daemon_pid()
    assert pid is not None

    def processor_ticks() -> int:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(") ")[2].split()
        return int(fields[11]) + int(fields[12])

    def is_quiet() -> bool:
        before = processor_ticks()
        time.sleep(2)
        return processor_ticks() - before <= 2

    # Code is still captured for a moment; then nothing moves any more.
    wait_until(is_quiet)
