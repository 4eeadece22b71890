"""Capture as a user meets it: through the daemon, `footplate show`, retries, copies, and daemons that are killed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from console.daemon import captures
from console.project.summary import summary
from store import identity
from tests.project.folders import git, new_run, repository
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support import Home


def code_of(home: Home, reference: str) -> dict[str, Any]:
    """What the daemon says about the code of a run, once its capture is over."""

    def look() -> dict[str, Any] | None:
        code: dict[str, Any] = home.client().run(reference).code
        return code if code.get("state") != "capturing" else None

    found: dict[str, Any] = wait_until(look)
    return found


def test_a_run_is_captured_and_shown_without_secrets(home: Home, tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", train__py="raise ValueError('password=hunter2 is wrong')\n", b__py="1\n")
    (folder / "b.py").write_text("2\n")
    argv = [sys.executable, "train.py", "--api-key", "abcdef123456", "--lr", "1"]
    home.footplate("run", "--", *argv, cwd=folder, check=False)
    code = code_of(home, "r1")
    assert code["git"]["commit"] == git(folder, "rev-parse", "HEAD")
    assert code["changed"] == ["b.py"]
    detail = home.client().run("r1")
    assert detail.interpreter == sys.executable
    assert detail.row.params == {"api-key": "***", "lr": "1"}
    shown = home.footplate("show", "r1").stdout
    assert "password=***" in detail.evidence
    assert f"python     {sys.executable}" in shown
    assert "on main; 1 changed; diff" in shown
    assert home.client().runs(text="abcdef123456").matched_count == 0
    with open(f"{home.path}/commands.jsonl", encoding="utf-8") as file:
        journal = file.read()
    for text in (shown, home.footplate("show", "r1", "--json").stdout, journal, home.footplate("runs").stdout):
        assert "abcdef123456" not in text
        assert "hunter2" not in text
    with open(f"{home.run_dir(detail.row.id)}/spec.json", encoding="utf-8") as file:
        assert json.load(file)["argv"] == argv


def test_a_retry_says_what_changed_since_the_run_was_enqueued(home: Home, tmp_path: Path) -> None:
    script = "import sys, os; open('out.json', 'w').write('{}'); sys.exit(0 if os.path.exists('ready') else 3)\n"
    folder = repository(tmp_path / "p", train__py=script, same__py="1\n", moved__py="1\n")
    (folder / "moved.py").write_text("2\n")
    # There from the start: the capture at the enqueuing may look before or after the first attempt writes it.
    (folder / "out.json").write_text("{}")
    home.footplate("run", "-d", "--retry", "failure", "--retry-delay", "1s", "--retries", "9", "--", sys.executable,
                   "train.py", cwd=folder)  # fmt: skip
    home.wait_run("r1", lambda detail: detail.row.attempt >= 2)
    assert code_of(home, "r1")["changed_since_enqueue"] == []
    # A commit alone is no difference, another content is.
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "second")
    (folder / "train.py").write_text("print('other')\n")
    (folder / "new.py").write_text("1\n")
    (folder / "ready").write_text("")
    home.wait_ended("r1")
    code = wait_until(lambda: code if (code := code_of(home, "r1"))["changed_since_enqueue"] else None)
    assert code["changed_since_enqueue"] == ["new.py", "train.py"]
    assert (
        "differs    at the last start from when it was enqueued: new.py, train.py"
        in home.footplate("show", "r1").stdout
    )
    run_dir = home.run_dir(home.client().run("r1").row.id)
    attempt = code["compared_at_attempt"]
    assert {"capture.json", f"capture-{attempt}.json", f"diff-{attempt}.patch"} <= set(os.listdir(f"{run_dir}/code"))


def test_an_isolated_run_uses_the_code_of_its_enqueuing_in_every_attempt(home: Home, tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", train__py="x\n")
    (folder / "train.py").write_text(
        "import os, sys\nprint('first version in', os.getcwd())\nopen('model.txt', 'a').write('m')\n"
        "sys.exit(0 if os.environ['FOOTPLATE_ATTEMPT'] == '2' else 3)\n"
    )
    arguments = ["--isolate", "worktree", "--retry", "failure", "--retry-delay", "2s", "--", sys.executable, "train.py"]
    home.footplate("run", "-d", *arguments, cwd=folder)
    home.wait_run("r1", lambda detail: detail.row.attempt >= 2)
    (folder / "train.py").write_text("print('second version')\n")
    detail = home.wait_ended("r1")
    run_dir = home.run_dir(detail.row.id)
    with open(f"{run_dir}/output.log", encoding="utf-8") as file:
        assert file.read() == f"first version in {home.path}/worktrees/{detail.row.id}\n" * 2
    assert (detail.row.state, detail.working_dir) == ("finished", str(folder))
    wait_until(lambda: not os.listdir(f"{home.path}/worktrees"))
    wait_until(lambda: "kept_count" in home.client().run("r1").code["worktree"])
    with open(f"{run_dir}/worktree-files/model.txt", encoding="utf-8") as file:
        assert file.read() == "mm"
    assert f"1 file it wrote there: {run_dir}/worktree-files" in home.footplate("show", "r1").stdout
    assert len(git(folder, "worktree", "list").split("\n")) == 1


def test_a_copy_that_cannot_be_made_fails_the_run_with_one_cause(home: Home, tmp_path: Path) -> None:
    done = home.footplate("run", "--isolate", "worktree", "--json", "--", "true", cwd=tmp_path, check=False)
    row = json.loads(done.stdout)["row"]
    assert (row["state"], row["cause_kind"]) == ("failed", "not_started")
    assert row["cause"].startswith("isolate: there is neither a git commit nor a script to copy")


def test_a_daemon_killed_at_any_time_still_makes_the_copy_and_takes_it_away(home: Home, tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", train__py="import time; time.sleep(3)\n")
    home.footplate("run", "-d", "--isolate", "worktree", "--", sys.executable, "train.py", cwd=folder)
    home.kill_daemon()
    detail = home.wait_run("r1", lambda detail: detail.row.state == "running")
    copy = f"{home.path}/worktrees/{detail.row.id}"
    assert os.path.isfile(f"{copy}/train.py")
    home.kill_daemon()
    home.wait_ended("r1")
    home.client().runs()
    wait_until(lambda: not os.path.exists(copy))


def test_a_capture_that_was_interrupted_says_so(home: Home, tmp_path: Path) -> None:
    home.footplate("run", "--", "true", cwd=tmp_path)
    run_dir = home.run_dir(home.client().run("r1").row.id)
    home.kill_daemon()
    # The worker outlives its daemon, and the next daemon knows of none.
    wait_until(lambda: os.path.exists(f"{run_dir}/code/params.json"))
    os.unlink(f"{run_dir}/code/params.json")
    os.unlink(f"{run_dir}/code/capture.json")
    assert code_of(home, "r1") == {"state": "n/a: interrupted"}
    assert "code       n/a: interrupted" in home.footplate("show", "r1").stdout

    def is_gone() -> bool:
        # A daemon that was killed before it took the params in has them read once more.
        shutil.rmtree(f"{run_dir}/code", ignore_errors=True)
        return not os.path.exists(f"{run_dir}/code")

    wait_until(is_gone)
    assert home.client().run("r1").code == {}


def test_a_worker_that_takes_too_long_is_killed_and_its_runs_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captures, "TIMEOUT_S", 0.0)
    monkeypatch.setattr(captures, "COPY_TIMEOUT_S", 0.0)
    home = tmp_path / "home"
    plain, isolated = new_run(home, tmp_path, "true"), new_run(home, tmp_path, "true", isolate="worktree")
    keeper_side = captures.Captures(str(home))
    keeper_side.ask(plain, "enqueue")
    assert keeper_side.is_pending(plain)
    keeper_side.ask(isolated, "enqueue", copies=True)
    while keeper_side.busy:
        keeper_side.look()
    for run_dir in (plain, isolated):
        assert summary(run_dir, 1)["state"] == "n/a: it took longer than 0 s"
    assert summary(isolated, 1)["worktree"]["error"].endswith("could be made: it took longer than 0 s")


def test_at_most_four_workers_at_once_and_none_is_left(tmp_path: Path) -> None:
    runs = [new_run(tmp_path / "home", tmp_path, "true", isolate="worktree") for _ in range(9)]
    keeper_side = captures.Captures(str(tmp_path / "home"))
    others = set(identity.children_by_parent().get(os.getpid(), []))
    for run_dir in runs:
        keeper_side.ask(run_dir, "enqueue", copies=True)
    most = 0
    while keeper_side.busy:
        children = set(identity.children_by_parent().get(os.getpid(), [])) - others
        most = max(most, len(children))
        keeper_side.look()
        time.sleep(0.01)
    assert 0 < most <= captures.WORKERS_MAX
    assert all(summary(run_dir, 1)["state"] == "captured" for run_dir in runs)


def test_a_sweep_of_runs_is_captured_by_few_workers(home: Home, tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n")
    runs = [home.submit("true", working_dir=str(folder)) for _ in range(30)]
    for run_id in runs:
        home.wait_ended(run_id)
        assert code_of(home, run_id)["state"] == "captured"


def test_secrets_of_a_resume_command_and_of_an_earlier_attempt_are_masked(home: Home) -> None:
    code = "import os, sys; sys.exit('token=abcdef123456') if os.environ['FOOTPLATE_ATTEMPT'] == '1' else 0"
    retry = {"on": ["failure"], "max": 1, "delay_s": 0, "resume": [sys.executable, "-c", "0", "--token", "s3cr3t99"]}
    run_id = home.submit(sys.executable, "-c", code, options={"retry": retry})
    detail = home.wait_run(run_id, lambda detail: detail.row.state == "finished")
    assert detail.options["retry"]["resume"][-1] == "***"
    assert "abcdef123456" not in str(detail)
