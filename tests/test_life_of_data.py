"""Deleting and archiving runs with a real daemon: asked for, refused, killed half-way, rebuilt."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from console.cli import long_work
from console.client import ClientError
from store import archive, journal
from tests.support import FOOTPLATE, PastRun, wait_until
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

RUNS = [
    PastRun(
        number, name=f"train-{number}", points=[(1, {"loss": 0.5}), (2, {"loss": 0.25 * number})], log=b"line\n" * 9
    )
    for number in (1, 2, 3)
]


def write_runs(home: Home) -> None:
    """Three ended runs with two points each, all in the index."""
    for run in RUNS:
        home.write_run(run)
    for run in RUNS:
        home.wait_run(run.id, lambda detail: detail.row.state == "finished" and detail.row.metric is not None)


def names(home: Home) -> list[str]:
    """The runs that there are."""
    return sorted(row.name for row in home.client().runs(limit=100).rows)


def actions(home: Home) -> list[str]:
    """What the command journal says was asked for."""
    lines, _ = journal.read_from(os.path.join(home.path, "commands.jsonl"), 0, 1 << 20)
    return [json.loads(line[journal.CRC_BYTES :])["action"] for line in lines]


def restart(home: Home) -> None:
    """Another daemon, as after the end of the first."""
    home.client().close()
    home.end_daemon()
    home.client().status()


def rebuild(home: Home) -> None:
    """Another daemon, which has no index, no backup."""
    home.client().close()
    home.end_daemon()
    for name in os.listdir(home.path):
        if name.startswith("index.duckdb"):
            os.unlink(os.path.join(home.path, name))
    home.client().status()


def kill(home: Home) -> None:
    """kill -9 of the daemon."""
    home.client().close()
    home.kill_daemon()


def seen(home: Home, run_id: str) -> Any:
    """What views show of a run, but for the clock and what archiving is meant to change."""
    detail = json.loads(home.footplate("show", run_id, "--json").stdout)
    for name in ("now_s", "log_size_bytes"):
        del detail[name]
    detail["row"].pop("archived")
    return [detail, [home.client().series(run_id, metric["key"], 50) for metric in detail["metrics"]]]


def test_deleting_takes_directory_index_notes_and_nothing_else(home: Home, tmp_path: Path) -> None:
    write_runs(home)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "model.pt").write_text("weights")
    os.symlink(precious, os.path.join(home.run_dir(RUNS[0].id), "data"))
    home.footplate("note", "r1", "look again")
    done = home.footplate("delete", "r1", "--yes", "--json")
    assert [(each["no"], each["name"]) for each in json.loads(done.stdout)] == [(1, "train-1")]
    assert names(home) == ["train-2", "train-3"]
    assert (precious / "model.pt").read_text() == "weights"
    assert sorted(os.listdir(os.path.join(home.path, "runs"))) == [RUNS[1].id, RUNS[2].id]
    assert actions(home)[-1] == "delete"
    rebuild(home)
    wait_until(lambda: names(home) == ["train-2", "train-3"])
    assert json.loads(home.footplate("show", "r2", "--json").stdout)["notes"] == []


def test_a_number_is_never_given_twice(home: Home) -> None:
    write_runs(home)
    home.footplate("delete", "r3", "r2", "--yes")
    rebuild(home)
    run_id = home.submit("true")
    assert home.wait_ended(run_id).row.label == "r4"
    home.footplate("delete", "r4", "--yes")
    restart(home)
    assert home.client().run(home.submit("true")).row.label == "r5"


def test_live_and_pinned_runs_and_typos_are_refused_before_anything_is_done(home: Home) -> None:
    write_runs(home)
    live = home.client().run(home.submit("sleep", "60")).row
    home.footplate("pin", "r2")
    for arguments, words in (
        (("r1", live.label), "only runs that have ended can be deleted"),
        (("r1", "r2"), "is pinned: pinned runs are never deleted"),
        (("r1", "r99"), "no run 'r99'"),
    ):
        done = home.footplate("delete", *arguments, "--yes", check=False)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 2, "what is wrong, and the next step"
    done = home.footplate("delete", "r1", check=False)
    assert (done.returncode, "--yes" in done.stderr) == (2, True)
    with pytest.raises(ClientError, match="is pinned"):
        long_work.carry_out(home.client(), "delete", run="r2")
    assert names(home) == ["sleep", "train-1", "train-2", "train-3"]
    assert "delete" not in actions(home)
    home.footplate("stop", live.label)


def test_the_name_is_asked_for_at_a_terminal(home: Home) -> None:
    write_runs(home)
    for typed, left in (("no", ["train-1", "train-2", "train-3"]), ("train-1", ["train-2", "train-3"])):
        with contextlib.closing(Terminal([FOOTPLATE, "delete", "r1"], home.environment())) as terminal:
            terminal.read_until(lambda shown: shown.shows("Type its name, train-1:"))
            terminal.type(f"{typed}\r")
            assert terminal.wait() == (0 if typed == "train-1" else 1)
        assert names(home) == left


def test_a_daemon_killed_while_it_removes_files_is_followed_by_one_that_finishes(home: Home) -> None:
    write_runs(home)
    many = os.path.join(home.run_dir(RUNS[0].id), "checkpoints")
    os.mkdir(many)
    for number in range(20_000):
        os.close(os.open(f"{many}/{number}", os.O_WRONLY | os.O_CREAT))
    gone = os.path.join(home.path, "runs", f".gone-{RUNS[0].id}")
    home.client().post("/chores", {"chore": "delete", "run": "r1", "actor": "tester"})
    wait_until(lambda: os.path.isdir(gone))
    kill(home)
    assert os.path.isdir(gone), "killed in the middle"
    wait_until(lambda: names(home) == ["train-2", "train-3"])
    wait_until(lambda: not os.path.exists(gone))


def test_a_deletion_that_only_got_as_far_as_the_name_is_finished(home: Home) -> None:
    write_runs(home)
    home.client().close()
    home.end_daemon()
    os.rename(home.run_dir(RUNS[0].id), os.path.join(home.path, "runs", f".gone-{RUNS[0].id}"))
    os.mkdir(os.path.join(home.path, "runs", f".new-{RUNS[0].id}"))
    assert names(home) == ["train-2", "train-3"]
    wait_until(lambda: sorted(os.listdir(os.path.join(home.path, "runs"))) == [RUNS[1].id, RUNS[2].id])


def test_an_older_index_does_not_bring_deleted_runs_back(home: Home) -> None:
    write_runs(home)
    home.client().close()
    home.end_daemon()
    index = os.path.join(home.path, "index.duckdb")
    shutil.copy(index, f"{home.path}/../older.duckdb")
    home.footplate("delete", "r2", "--yes")
    home.client().close()
    home.end_daemon()
    shutil.copy(f"{home.path}/../older.duckdb", index)
    assert names(home) == ["train-1", "train-3"]


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root to make another user's files")
def test_what_may_not_be_removed_is_said_before_anything_is_changed(home: Home) -> None:
    # Without its capabilities root is a user like any other, who may not look into what belongs to somebody else.
    plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

    def footplate(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*plain, FOOTPLATE, *arguments], capture_output=True, text=True, check=False, env=home.environment()
        )

    ran = footplate("run", "--name", "kept", "--", "true")
    assert ran.returncode == 0, ran.stderr
    run_dir = home.run_dir(os.listdir(os.path.join(home.path, "runs"))[0])
    foreign = os.path.join(run_dir, "foreign")
    os.mkdir(foreign)
    with open(os.path.join(foreign, "file"), "w", encoding="utf-8") as file:
        file.write("theirs")
    os.chown(foreign, 65534, 65534)
    os.chmod(foreign, 0)
    before = sorted(os.listdir(run_dir))
    for command in (("delete", "r1", "--yes"), ("archive", "r1"), ("uninstall", "--purge", "--yes")):
        done = footplate(*command)
        assert done.returncode == 1, command
        assert "foreign belongs to uid 65534 and may not be emptied by uid 0" in done.stderr
        assert "nothing was changed" in done.stderr
    assert sorted(os.listdir(run_dir)) == before
    assert names(home) == ["kept"]
    shutil.rmtree(foreign)
    assert footplate("delete", "r1", "--yes").returncode == 0
    assert os.listdir(os.path.join(home.path, "runs")) == []


def test_an_archived_run_is_seen_as_before_but_for_its_log(home: Home) -> None:
    write_runs(home)
    before = seen(home, RUNS[0].id)
    home.footplate("archive", "r1")
    assert not os.path.exists(home.run_dir(RUNS[0].id))
    assert seen(home, RUNS[0].id) == before
    assert home.client().run("r1").row.archived
    assert "footplate archive --restore r1" in home.footplate("show", "r1").stdout
    done = home.footplate("logs", "r1", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "footplate: r1 train-1 is archived: its log is packed away",
        "           `footplate archive --restore r1` brings it back",
    ]
    again = home.footplate("archive", "r1", check=False)
    assert "is archived already" in again.stderr
    rebuild(home)
    wait_until(lambda: home.client().run("r1").row.state == "finished" and home.client().run("r1").row.archived)
    assert seen(home, RUNS[0].id) == before
    wait_until(lambda: not any(name.startswith(".") for name in os.listdir(os.path.join(home.path, "runs"))))
    home.footplate("archive", "--restore", "r1")
    assert home.footplate("logs", "r1").stdout == "line\n" * 9
    assert seen(home, RUNS[0].id) == before
    assert os.listdir(archive.folder(home.path)) == []


def test_an_archived_run_can_be_deleted(home: Home) -> None:
    write_runs(home)
    home.footplate("archive", "r1")
    home.footplate("delete", "r1", "--yes")
    assert os.listdir(archive.folder(home.path)) == []
    rebuild(home)
    wait_until(lambda: names(home) == ["train-2", "train-3"])


def test_a_daemon_killed_while_it_packs_leaves_the_run_as_it_was(home: Home) -> None:
    write_runs(home)
    with open(os.path.join(home.run_dir(RUNS[0].id), "checkpoint.bin"), "wb") as file:
        file.writelines(os.urandom(1 << 20) for _ in range(64))
    before = seen(home, RUNS[0].id)
    home.client().post("/chores", {"chore": "archive", "run": "r1", "actor": "tester"})
    fresh = archive.temporary_of(archive.path_of(home.path, RUNS[0].id))
    wait_until(lambda: os.path.exists(fresh) and os.stat(fresh).st_size > 1 << 20)
    kill(home)
    assert seen(home, RUNS[0].id) == before
    wait_until(lambda: not os.path.exists(fresh))
    assert os.path.isdir(home.run_dir(RUNS[0].id))
    assert not home.client().run("r1").row.archived


def test_an_archiving_that_stopped_between_two_names_is_undone_or_finished(home: Home) -> None:
    write_runs(home)
    home.footplate("archive", "r1", "r2")
    home.client().close()
    home.end_daemon()
    runs = os.path.join(home.path, "runs")
    # As if the daemon had died before the directory of r1 got its last name, and before that of r2 was removed.
    archive.unpack(home.path, RUNS[0].id, os.path.join(runs, RUNS[0].id))
    archive.unpack(home.path, RUNS[1].id, os.path.join(runs, f".packed-{RUNS[1].id}"))
    # And as if a pack had been lost before its directory went: the directory comes back.
    os.rename(os.path.join(runs, RUNS[2].id), os.path.join(runs, f".packed-{RUNS[2].id}"))
    assert [home.client().run(label).row.archived for label in ("r1", "r2", "r3")] == [False, True, False]
    wait_until(lambda: sorted(os.listdir(runs)) == [RUNS[0].id, RUNS[2].id])
    assert sorted(os.listdir(archive.folder(home.path))) == [f"{RUNS[1].id}.tar.gz"]


def test_a_damaged_pack_cannot_be_restored_and_says_so(home: Home) -> None:
    write_runs(home)
    home.footplate("archive", "r1")
    with open(archive.path_of(home.path, RUNS[0].id), "r+b") as file:
        file.truncate(100)
    done = home.footplate("archive", "--restore", "r1", check=False)
    assert done.returncode == 1
    assert "r1 train-1 cannot be restored" in done.stderr
    assert "is damaged" in done.stderr
    assert home.client().run("r1").row.metric is not None
    assert not any(name.startswith(".new-") for name in os.listdir(os.path.join(home.path, "runs")))


def test_ctrl_c_ends_packing_at_a_safe_point(home: Home) -> None:
    write_runs(home)
    with open(os.path.join(home.run_dir(RUNS[0].id), "checkpoint.bin"), "wb") as file:
        file.writelines(os.urandom(1 << 20) for _ in range(64))
    process = subprocess.Popen(
        [FOOTPLATE, "archive", "r1"], env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    fresh = archive.temporary_of(archive.path_of(home.path, RUNS[0].id))
    wait_until(lambda: os.path.exists(fresh))
    process.send_signal(2)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "left off before it was done" in said
    assert not os.path.exists(fresh)
    assert not home.client().run("r1").row.archived


def test_ctrl_c_before_the_work_has_a_name_ends_it_too(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_runs(home)
    with open(os.path.join(home.run_dir(RUNS[0].id), "checkpoint.bin"), "wb") as file:
        file.writelines(os.urandom(1 << 20) for _ in range(64))
    client = home.client()
    post = client.post

    def pressed(path: str, body: dict[str, Any]) -> dict[str, Any]:
        begun = post(path, body)
        signal.raise_signal(signal.SIGINT)
        return begun

    monkeypatch.setattr(client, "post", pressed)
    with pytest.raises(KeyboardInterrupt):
        long_work.carry_out(client, "archive", run="r1")
    assert "left off before it was done" in capsys.readouterr().err
    assert not home.client().run("r1").row.archived
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_end_of_the_daemon_does_not_wait_for_long_work(home: Home) -> None:
    write_runs(home)
    with open(os.path.join(home.run_dir(RUNS[0].id), "checkpoint.bin"), "wb") as file:
        file.writelines(os.urandom(1 << 20) for _ in range(200))
    home.client().post("/chores", {"chore": "archive", "run": "r1", "actor": "tester"})
    fresh = archive.temporary_of(archive.path_of(home.path, RUNS[0].id))
    wait_until(lambda: os.path.exists(fresh))
    home.client().close()
    home.end_daemon()
    assert not os.path.exists(archive.path_of(home.path, RUNS[0].id))
    assert names(home) == ["train-1", "train-2", "train-3"]
