"""`footplate uninstall`: nothing goes without being asked for, and nothing that is not ours goes at all."""

from __future__ import annotations

import contextlib
import glob
import json
import os
from typing import TYPE_CHECKING

from tests.support import FOOTPLATE, PastRun, wait_until
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home


def environment(home: Home, tmp_path: Path) -> dict[str, str]:
    """A shell whose configuration lies in the test's own folder."""
    return home.environment(XDG_CONFIG_HOME=str(tmp_path / "config"), HOME=str(tmp_path))


def test_without_purge_the_data_stay_and_their_place_is_told(home: Home, tmp_path: Path) -> None:
    home.write_run(PastRun(1))
    home.client().status()
    home.client().close()
    done = home.footplate("uninstall", env=environment(home, tmp_path))
    assert home.daemon_pid() is None
    assert os.path.exists(os.path.join(home.path, "daemon.stopped"))
    assert f"all runs are kept in {home.path}" in done.stdout
    assert "pip uninstall footplate" in done.stdout
    assert os.path.isdir(home.run_dir(PastRun(1).id))


def test_purge_is_refused_while_runs_have_not_ended(home: Home, tmp_path: Path) -> None:
    live = home.client().run(home.submit("sleep", "60")).row
    done = home.footplate("uninstall", "--purge", "--yes", check=False, env=environment(home, tmp_path))
    assert done.returncode == 1
    assert f"runs have not ended: {live.label} sleep" in done.stderr
    assert os.path.isdir(home.run_dir(live.id))
    home.footplate("stop", live.label)


def test_purge_takes_all_that_is_ours_and_lists_what_is_not(home: Home, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "model.pt").write_text("weights")
    for number in (1, 2, 3):
        home.write_run(PastRun(number, log=b"x"))
    os.symlink(precious, os.path.join(home.run_dir(PastRun(1).id), "data"))
    for number in (1, 2, 3):
        home.wait_ended(PastRun(number).id)
    home.footplate("archive", "r2")
    home.footplate("backup")
    os.symlink(precious, os.path.join(home.path, "quarantine-20260101T000000Z"))
    os.symlink(precious, os.path.join(home.path, "runs", PastRun(9).id))
    for name in ("thesis.tex", "runs/my notes", "archive/other.tar.gz"):
        with open(os.path.join(home.path, name), "w", encoding="utf-8") as file:
            file.write("mine")
    config = tmp_path / "config" / "footplate"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("")
    home.client().close()
    done = home.footplate("uninstall", "--purge", "--yes", "--json", env=environment(home, tmp_path))
    kept = json.loads(done.stdout)["kept"]
    assert kept == [
        os.path.join(home.path, name) for name in ("archive", "quarantine-20260101T000000Z", "runs", "thesis.tex")
    ]
    assert sorted(os.listdir(os.path.join(home.path, "runs"))) == [PastRun(9).id, "my notes"]
    assert os.listdir(os.path.join(home.path, "archive")) == ["other.tar.gz"]
    assert (precious / "model.pt").read_text() == "weights"
    assert not config.exists()
    assert home.daemon_pid() is None


def test_purge_leaves_nothing_behind_when_nothing_else_is_there(home: Home, tmp_path: Path) -> None:
    home.footplate("run", "--", "true")
    home.footplate("note", "r1", "a note")
    home.client().close()
    done = home.footplate("uninstall", "--purge", "--yes", env=environment(home, tmp_path))
    assert not os.path.exists(home.path)
    assert "nothing of footplate is left" in done.stdout
    again = home.footplate("uninstall", "--purge", "--yes", env=environment(home, tmp_path))
    assert "footplate has written nothing here" in again.stdout
    assert not os.path.exists(home.path)


def test_purge_takes_what_projects_sweeps_devices_and_fingerprints_have_left(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.csv").write_text("1")
    manifest = '[jobs.train]\ncommand = "true {lr}"\nparams = { lr = 1 }\ntrigger = { on_change = "data/*" }\n'
    (folder / "footplate.toml").write_text(manifest)
    home.footplate("fingerprint", str(folder))
    home.footplate("watch", str(folder))
    home.footplate("trust", str(folder), "--yes")
    home.footplate("queue", "devices", "0,1")
    home.footplate("sweep", "train", "-p", "lr=1,2", "--yes", cwd=folder)
    for label in ("r1", "r2"):
        home.wait_ended(label)
    wait_until(lambda: glob.glob(f"{home.path}/projects/*/fingerprints.sqlite"))
    made = set(os.listdir(home.path))
    assert {"fingerprints", "projects", "sweeps", "queue.json", "leases"} <= made
    use = json.loads(home.footplate("du", "--json").stdout)["shared"]
    assert all(use[f"{purpose}_bytes"] > 0 for purpose in ("cache", "projects", "queue"))
    home.client().close()
    done = home.footplate("uninstall", "--purge", "--yes", env=environment(home, tmp_path))
    assert "nothing of footplate is left" in done.stdout
    assert not os.path.exists(home.path)
    assert (folder / "footplate.toml").read_text() == manifest


def test_purge_asks_for_the_word(home: Home, tmp_path: Path) -> None:
    home.write_run(PastRun(1))
    home.wait_ended(PastRun(1).id)
    home.client().close()
    done = home.footplate("uninstall", "--purge", check=False, env=environment(home, tmp_path))
    assert (done.returncode, "--purge --yes" in done.stderr) == (2, True)
    for typed, there in (("yes", True), ("footplate", False)):
        program = [FOOTPLATE, "uninstall", "--purge"]
        with contextlib.closing(Terminal(program, environment(home, tmp_path), columns=200)) as terminal:
            terminal.read_until(lambda shown: shown.shows("Type footplate:"))
            terminal.type(f"{typed}\r")
            assert terminal.wait() == (1 if there else 0)
        assert os.path.exists(home.path) == there


def test_a_socket_directory_outside_goes_too(tmp_path: Path, home: Home) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    changed = environment(home, tmp_path) | {"FOOTPLATE_HOME": str(deep)}
    home.footplate("run", "--", "true", env=changed)
    with open(deep / "socket.path", encoding="utf-8") as note:
        folder = os.path.dirname(note.read())
    assert os.path.isdir(folder)
    home.footplate("uninstall", "--purge", "--yes", env=changed)
    assert not os.path.exists(folder)
    assert not deep.exists()
