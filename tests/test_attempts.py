"""Attempts, holds after a reboot, and runs whose supervisor is gone: what the daemon decides, with real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from console.client import ClientError, DaemonRefused
from console.jobs import options, reconcile
from console.jobs.exit_cause import KINDS, RETRY_GROUPS
from store import identity, paths
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

FAIL_TWICE = """
import json, os, sys
attempt = int(os.environ["FOOTPLATE_ATTEMPT"])
with open(os.environ["FOOTPLATE_METRICS"], "a") as metrics:
    for step in range(attempt * 10):
        metrics.write(json.dumps({"step": step, "loss": attempt + step / 100}) + "\\n")
print("resume", os.environ.get("FOOTPLATE_RESUME", "no"), "attempt", attempt, flush=True)
sys.exit(0 if attempt == 3 else 7)
"""


def retrying(on: tuple[str, ...] = ("exit_code",), most: int = 2, **more: Any) -> dict[str, Any]:
    return {"retry": {"on": list(on), "max": most, "delay_s": 0.1} | more}


def test_attempts_are_one_run_and_the_last_decides(home: Home) -> None:
    run_id = home.python(FAIL_TWICE, options=retrying())
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.exit_code, detail.row.attempt, detail.row.attempts_max) == (
        "finished",
        0,
        3,
        3,
    )
    assert [(each.attempt, each.exit_code) for each in detail.attempts] == [(1, 7), (2, 7)]
    log = home.footplate("logs", run_id).stdout.splitlines()
    assert log == ["resume no attempt 1", "resume 1 attempt 2", "resume 1 attempt 3"]
    assert {name for name in os.listdir(home.run_dir(run_id)) if name.endswith(".claim")} == {
        f"attempt-{number}.claim" for number in (1, 2, 3)
    }
    # Steps that three attempts wrote count once, with the value of the last.
    series = home.client().series(run_id, "loss", 100)
    assert dict(zip(series.steps, series.lasts, strict=True)) == {step: 3 + step / 100 for step in range(30)}


def test_the_last_attempt_fails_as_the_run(home: Home) -> None:
    run_id = home.python("import sys; sys.exit(5)", options=retrying(most=1))
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.exit_code, detail.row.attempt) == ("failed", 5, 2)


def test_a_resume_command_is_what_further_attempts_execute(home: Home, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    first = f"open({str(marks)!r}, 'a').write('first '); raise SystemExit(1)"
    resume = [sys.executable, "-c", f"open({str(marks)!r}, 'a').write('resumed ')"]
    detail = home.wait_ended(home.python(first, options=retrying(resume=resume)))
    assert (detail.row.state, marks.read_text(encoding="utf-8")) == ("finished", "first resumed ")


def test_only_the_named_causes_are_tried_again(home: Home) -> None:
    run_id = home.python("import sys; sys.exit(5)", options=retrying(on=("interrupted", "timeout")))
    assert home.wait_ended(run_id).row.attempt == 1


def test_what_somebody_stopped_is_not_tried_again(home: Home) -> None:
    code = """
import signal, sys, time
signal.signal(15, lambda *_: sys.exit(5))
print('ready', flush=True)
time.sleep(60)
"""
    run_id = home.python(code, options=retrying(on=("failure",)))
    wait_until(lambda: home.client().log(run_id).lines)
    home.footplate("stop", run_id)
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.attempt, detail.row.exit_code) == ("stopped", 1, 5)


def test_a_run_that_waits_for_its_next_attempt_can_be_stopped(home: Home) -> None:
    run_id = home.python("import sys; sys.exit(5)", options=retrying(delay_s=600))
    waiting = home.wait_run(run_id, lambda detail: detail.row.state == "queued" and detail.row.attempt == 2)
    assert "attempt 1 of 3: exit code 5" in waiting.row.cause
    home.footplate("stop", run_id)
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.attempt) == ("stopped", 2)


def test_a_daemon_killed_between_two_attempts_forgets_and_doubles_none(home: Home, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"open({str(marks)!r}, 'a').write('x'); raise SystemExit(1)"
    run_id = home.python(code, options=retrying(delay_s=1.5, most=1))
    home.wait_run(run_id, lambda detail: detail.row.state == "queued" and detail.row.attempt == 2)
    home.kill_daemon()
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.attempt, marks.read_text(encoding="utf-8")) == ("failed", 2, "xx")


def test_a_lost_supervisor_is_tried_again_with_the_tree_gone(home: Home, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"""
import os, time
open({str(marks)!r}, 'a').write('x')
time.sleep(0 if 'FOOTPLATE_RESUME' in os.environ else 600)
"""
    run_id = home.python(code, options=retrying(on=("interrupted",)))
    running = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    wait_until(lambda: marks.exists() and marks.read_text(encoding="utf-8"))
    assert running.supervisor_pid is not None
    assert running.pid is not None
    os.kill(running.supervisor_pid, signal.SIGKILL)
    alone = home.wait_run(run_id, lambda detail: detail.supervisor_pid is None)
    # It lives: so it is running, with nobody to record its end.
    assert (alone.row.state, alone.pid) == ("running", running.pid)
    os.kill(running.pid, signal.SIGKILL)
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.attempt, marks.read_text(encoding="utf-8")) == ("finished", 2, "xx")
    assert detail.attempts[0].cause_kind == "supervisor_lost"


def rewrite(path: str, **changes: Any) -> None:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    paths.write_atomically(path, json.dumps(content | changes).encode())


def cut_off(home: Home, run_id: str) -> None:
    """Kill the supervisor and the command of a run that runs, while there is no daemon."""
    running = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    home.end_daemon()
    assert running.supervisor_pid is not None
    assert running.pid is not None
    os.kill(running.supervisor_pid, signal.SIGKILL)
    os.kill(running.pid, signal.SIGKILL)


def move_to_another_boot(run_dir: str) -> None:
    """Have its supervisor recorded as that of an earlier boot."""
    with open(f"{run_dir}/status.json", encoding="utf-8") as file:
        supervisor = json.load(file)["supervisor"] | {"boot_id": "another-boot"}
    rewrite(f"{run_dir}/status.json", supervisor=supervisor)


def as_before_a_reboot(home: Home, **option_changes: Any) -> str:
    """A run that was enqueued in an earlier boot and never started."""
    run_id = home.python("import time; time.sleep(600)")
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    home.footplate("stop", run_id)
    home.end_daemon()
    run_dir = home.run_dir(run_id)
    for name in ("status.json", "attempt-1.claim", "stop.json"):
        os.unlink(f"{run_dir}/{name}")
    with open(f"{run_dir}/spec.json", encoding="utf-8") as file:
        spec = json.load(file)
    rewrite(
        f"{run_dir}/spec.json",
        boot_id="another-boot",
        argv=[sys.executable, "-c", "print('started')"],
        options=spec["options"] | option_changes,
    )
    context = {"format": 1, "environment": home.environment(), "umask": 18, "limits": {}}
    paths.write_atomically(f"{run_dir}/environment.json", json.dumps(context).encode())
    os.unlink(paths.database_path(home.path))
    return run_id


def test_after_a_reboot_the_queue_is_held_until_released(home: Home) -> None:
    run_id = as_before_a_reboot(home)
    held = home.wait_run(run_id, lambda detail: detail.row.state == "held")
    assert "rebooted" in held.row.cause
    assert not os.path.exists(f"{home.run_dir(run_id)}/attempt-1.claim")
    # A daemon that is replaced does not forget the hold.
    home.kill_daemon()
    assert home.wait_run(run_id, lambda detail: detail.row.state == "held")
    assert home.footplate("release", "--all").stdout.count("train") == 0
    detail = home.wait_ended(run_id)
    assert (detail.row.state, home.footplate("logs", run_id).stdout) == ("finished", "started\n")


def test_autoresume_starts_by_itself_after_a_reboot(home: Home) -> None:
    run_id = as_before_a_reboot(home, autoresume=True)
    assert home.wait_ended(run_id).row.state == "finished"


def test_a_held_run_can_be_stopped_and_only_a_held_one_released(home: Home) -> None:
    run_id = as_before_a_reboot(home)
    home.wait_run(run_id, lambda detail: detail.row.state == "held")
    home.footplate("stop", run_id)
    assert home.wait_ended(run_id).row.state == "stopped"
    refused = home.footplate("release", run_id, check=False)
    assert refused.returncode == 1
    assert "is not held (stopped)" in refused.stderr
    assert home.footplate("release", check=False).returncode == 2


@pytest.mark.parametrize("autoresume", [False, True])
def test_an_attempt_after_a_reboot_waits_for_a_person_unless_told(home: Home, autoresume: bool) -> None:
    run_id = home.python("import time; time.sleep(600)", options=retrying(on=("interrupted",)))
    cut_off(home, run_id)
    run_dir = home.run_dir(run_id)
    move_to_another_boot(run_dir)
    with open(f"{run_dir}/spec.json", encoding="utf-8") as file:
        spec = json.load(file)
    rewrite(
        f"{run_dir}/spec.json",
        options=spec["options"] | {"autoresume": autoresume},
        argv=[sys.executable, "-c", "print('again')"],
    )
    if not autoresume:
        held = home.wait_run(run_id, lambda detail: detail.row.state == "held")
        assert held.attempts[0].cause_kind == "reboot"
        home.footplate("release", run_id)
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.attempt) == ("finished", 2)


def test_an_interrupted_run_without_retry_says_so(home: Home) -> None:
    run_id = home.python("import time; time.sleep(600)")
    cut_off(home, run_id)
    move_to_another_boot(home.run_dir(run_id))
    row = home.wait_ended(run_id).row
    assert (row.state, row.cause, row.cause_kind) == ("interrupted", "the machine was rebooted", "reboot")


def test_a_pid_that_was_given_to_somebody_else_is_not_the_command(home: Home) -> None:
    run_id = home.python("import time; time.sleep(600)")
    cut_off(home, run_id)
    me = identity.identify(os.getpid())
    assert me is not None
    # Our own pid, with the start time of the process that had it before.
    claimed = {**me.to_json(), "start_ticks": me.start_ticks - 1}
    rewrite(f"{home.run_dir(run_id)}/status.json", supervisor=claimed, command=claimed)
    assert home.wait_ended(run_id).row.cause_kind == "supervisor_lost"
    assert identity.is_alive(me)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timeout_s": 0}, "timeout_s must be from"),
        ({"timeout_s": "2h"}, "timeout_s must be a number"),
        ({"timeout_s": float("nan")}, "timeout_s must be a number"),
        ({"memory_bytes": 5}, "memory_bytes must be from"),
        ({"log_limit_bytes": 1000}, "log_limit_bytes must be 0"),
        ({"checkpoint_signal": "SIGNOTHING"}, "must name a signal"),
        ({"retry": {"on": ["bad luck"]}}, "retry.on must be a list of"),
        ({"retry": {"on": []}}, "retry.on must be a list of"),
        ({"retry": {"max": 1000}}, "max must be from 1 to 100"),
        ({"retry": {"resume": "python train.py"}}, "retry.resume must be a list of strings"),
        ({"retry": [1]}, "retry must be an object"),
        ({"isolate": "container"}, "isolate must be empty or 'worktree'"),
        ({"autoresume": 1}, "autoresume must be true or false"),
        ([], "options must be an object"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(home: Home, wrong: Any, said: str) -> None:
    with pytest.raises(DaemonRefused, match=said):
        home.submit("true", options=wrong)
    assert home.client().runs().total_count == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timeout", "soon"], "--timeout 'soon' is no time"),
        (["--memory", "lots"], "--memory 'lots' is no size"),
        (["--memory", "2 parsecs"], "is no size"),
        (["--resume", "python x.py"], "--resume needs --retry"),
        (["--retry", "oom", "--retry-delay=-1s"], "is no time"),
    ],
)
def test_a_wrong_option_of_the_command_line_is_one_sentence(home: Home, arguments: list[str], said: str) -> None:
    done = home.footplate("run", *arguments, "--", "true", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_every_word_of_retry_stands_for_kinds_that_exist_or_will() -> None:
    kinds = {*KINDS, "gpu_lost"}
    assert all(group <= kinds for group in RETRY_GROUPS.values())
    assert not any(kind in group for group in RETRY_GROUPS.values() for kind in ("ok", "stopped"))


def test_the_delay_doubles_up_to_an_hour() -> None:
    retry = options.Retry(("oom",), 20, delay_s=10)
    assert [options.retry_delay_s(retry, attempt) for attempt in (1, 2, 3, 12)] == [10, 20, 40, 3600]
    assert options.retry_delay_s(options.Retry(("oom",), 3, delay_s=7200), 2) == 7200


def test_options_of_a_newer_version_are_passed_over() -> None:
    assert options.parse_options({"timeout_s": 5, "priority": "high"}) == options.Options(timeout_s=5)
    assert options.parse_options(None) == options.Options()


def test_an_unknown_run_is_refused(home: Home) -> None:
    with pytest.raises(ClientError, match="no run"):
        home.client().release("r99", "tester")


def test_the_attempt_under_way_is_one_more_than_those_set_aside(tmp_path: Path) -> None:
    assert reconcile.current_attempt(str(tmp_path)) == 1
    (tmp_path / "attempt-1.json").write_text("{}", encoding="utf-8")
    assert reconcile.current_attempt(str(tmp_path)) == 2


def test_a_traceback_of_an_earlier_attempt_is_no_cause_of_a_later_one(home: Home) -> None:
    code = "import os, sys; print(1 / (int(os.environ['FOOTPLATE_ATTEMPT']) - 1)); sys.exit(6)"
    detail = home.wait_ended(home.python(code, options=retrying(on=("failure",), most=1)))
    assert detail.attempts[0].cause_kind == "exception"
    assert (detail.row.cause_kind, detail.row.exit_code) == ("exit_code", 6)


def test_a_run_that_finished_is_not_tried_again_though_its_loss_is_nan(home: Home) -> None:
    code = "import os; open(os.environ['FOOTPLATE_METRICS'], 'a').write('{\"step\": 1, \"loss\": NaN}\\n')"
    row = home.wait_ended(home.python(code, options=retrying(on=("failure",)))).row
    assert (row.state, row.cause_kind, row.attempt) == ("finished", "diverged", 1)
