"""From a command to its numbers: client, daemon, supervisor, journals, index and commands together."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import FOOTPLATE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

TRAIN = """
import json, os, sys
for step in range(50):
    print(f"[{step}]\\tvalid_0's auc: {0.5 + step / 100}", flush=True)
    with open(os.environ["FOOTPLATE_METRICS"], "a") as file:
        file.write(json.dumps({"step": step, "loss": 1 / (step + 1)}) + "\\n")
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""


def test_a_run_is_recorded_with_exit_code_metrics_and_log(home: Home) -> None:
    done = home.footplate("run", "--", sys.executable, "-c", TRAIN, "3", check=False)
    assert done.returncode == 3
    assert "[49]\tvalid_0's auc: 0.99" in done.stdout
    detail = home.client().run("r1")
    assert (detail.row.state, detail.row.exit_code, detail.row.cause) == ("failed", 3, "exit code 3")
    by_key = {metric.key: metric for metric in detail.metrics}
    assert by_key["loss"].point_count == 50
    assert by_key["loss"].last == pytest.approx(1 / 50)
    assert by_key["valid_0/auc"].point_count == 50
    assert by_key["valid_0/auc"].best == pytest.approx(0.99)
    assert detail.row.metric is not None
    assert detail.row.metric.key == "valid_0/auc"


def test_commands_print_json_for_programs(home: Home) -> None:
    home.footplate("run", "--", "sh", "-c", "echo loss=1; echo loss=nan")
    page = json.loads(home.footplate("runs", "--json").stdout)
    assert [row["no"] for row in page["rows"]] == [1]
    assert page["rows"][0]["metric"]["last"] == "NaN"
    assert json.loads(home.footplate("show", "r1", "--json").stdout)["row"]["state"] == "finished"
    assert json.loads(home.footplate("ps", "--json").stdout)["rows"] == []
    lines = [json.loads(line) for line in home.footplate("logs", "r1", "--json").stdout.splitlines()]
    assert lines == [{"offset_bytes": 0, "text": "loss=1"}, {"offset_bytes": 7, "text": "loss=nan"}]


def test_detached_run_is_listed_stopped_and_says_by_whom(home: Home) -> None:
    started = json.loads(home.footplate("run", "-d", "--json", "--", "sleep", "1000").stdout)
    home.wait_run(started["id"], lambda detail: detail.row.state == "running")
    assert "sleep" in home.footplate("ps").stdout
    stopped = json.loads(home.footplate("stop", "r1", "--json").stdout)[0]["row"]
    assert (stopped["state"], stopped["signal"]) == ("stopped", "SIGTERM")
    assert stopped["cause"].startswith("stopped by ")
    again = home.footplate("stop", "r1", check=False)
    assert again.returncode == 1
    assert "has ended already" in again.stderr


def test_stop_ends_the_whole_tree_even_what_left_the_session_and_ignores_term(home: Home) -> None:
    tree = (
        "trap '' TERM; setsid sleep 3333 & "
        "(setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &) ; "
        "echo $$ ready; while :; do sleep 1; done"
    )
    run_id = home.submit("sh", "-c", tree, grace_s=0.5)
    wait_until(lambda: b"ready" in home.client().raw_log(run_id, 0, wait=False)[0])
    home.client().stop(run_id, "tester")
    assert home.wait_ended(run_id).row.signal == "SIGKILL"
    assert processes_of(run_id) == []


def test_what_outlives_the_command_is_ended(home: Home) -> None:
    run_id = home.submit("sh", "-c", "setsid sleep 4444 & exit 5", grace_s=0.5)
    assert home.wait_ended(run_id).row.exit_code == 5
    assert processes_of(run_id) == []


def test_logs_follow_until_the_end_and_count_lines(home: Home) -> None:
    home.footplate("run", "-d", "--", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done; printf end")
    followed = home.footplate("logs", "-f", "r1").stdout
    assert followed == "".join(f"line {number}\n" for number in range(1, 6)) + "end"
    assert home.footplate("logs", "-n", "2", "r1").stdout == "line 5\nend"


def test_the_command_gets_the_callers_environment_directory_umask_and_no_terminal(home: Home, tmp_path: Path) -> None:
    script = "import os; print(os.getcwd(), oct(os.umask(0)), os.environ['MARK'], os.environ['PYTHONUNBUFFERED'])"
    script += "; print(os.isatty(0), sorted(k for k in os.environ if k.startswith('FOOTPLATE_R')))"
    work = tmp_path / "wörk dir"
    work.mkdir()
    done = home.footplate(
        *("run", "--", sys.executable, "-c", script),
        cwd=work,
        env=home.environment(MARK="ö\udcff", PYTHONUTF8="1"),
        umask=0o027,
    )
    assert done.stdout.startswith(f"{work} 0o27 ö")
    assert "False ['FOOTPLATE_RUN_DIR', 'FOOTPLATE_RUN_ID']" in done.stdout


def test_environment_file_is_private_and_gone_after_the_end(home: Home) -> None:
    run_id = home.submit("sleep", "1000")
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    assert os.stat(f"{home.run_dir(run_id)}/environment.json").st_mode & 0o777 == 0o600
    home.client().stop(run_id, "tester")
    home.wait_ended(run_id)
    wait_until(lambda: not os.path.exists(f"{home.run_dir(run_id)}/environment.json"))
    for folder, _, names in os.walk(home.path):
        assert os.stat(folder).st_mode & 0o077 == 0, folder
        for name in names:
            assert os.lstat(os.path.join(folder, name)).st_mode & 0o077 == 0, name


def test_runs_filter_and_sort(home: Home) -> None:
    for value in ("3", "1", "2"):
        home.footplate("run", "--name", f"try-{value}", "--", "sh", "-c", f"echo loss={value} # --lr 0.{value}")
    names = [row["name"] for row in json.loads(home.footplate("runs", "--sort", "metric", "--json").stdout)["rows"]]
    assert names == ["try-3", "try-2", "try-1"]
    found = json.loads(home.footplate("runs", "try-2", "--json").stdout)
    assert (found["matched_count"], found["total_count"]) == (1, 3)
    assert "none of the 3 runs fits" in home.footplate("runs", "nothing-like-it").stdout


def test_unknown_names_are_refused_with_the_next_step(home: Home) -> None:
    assert "no run 'r99'" in home.footplate("show", "r99", check=False).stderr
    assert "`footplate runs` lists them" in home.footplate("show", "r99", check=False).stderr
    unknown = home.footplate("frobnicate", check=False)
    assert unknown.returncode == 2
    assert "unknown command 'frobnicate'" in unknown.stderr
    assert home.footplate("run", check=False).returncode == 2


def test_every_command_is_listed_and_has_help(home: Home) -> None:
    from console.__main__ import COMMANDS

    listed = home.footplate("--help").stdout
    for name in COMMANDS:
        assert f"  {name} " in listed
        assert "usage: footplate " + name in home.footplate(name, "--help").stdout
    assert os.path.exists(FOOTPLATE)


def test_a_command_without_arguments_has_the_options_that_the_parser_would_give() -> None:
    from console.__main__ import parse
    from console.cli import ps

    assert vars(parse("ps", ps, [])) == vars(ps.QUICK_OPTIONS[()])


def processes_of(run_id: str) -> list[int]:
    """Processes that carry the run's id in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if f"FOOTPLATE_RUN_ID={run_id}".encode() in file.read():
                        found.append(int(name))
            except OSError:
                continue
    return found
