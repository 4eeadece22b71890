"""State directories that cannot be used, and an index that is newer or damaged: one sentence each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from store import database, paths
from tests.daemons import NOBODY, as_second_user, assert_one_sentence
from tests.support import FOOTPLATE, Home

AS_NOBODY = """
import os, sys
import argparse, importlib.metadata, json, pwd, signal, socket, subprocess, unicodedata
import console.cli.output, console.cli.ps, console.cli.run, console.client, console.tui.text_format
from console.__main__ import main
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@as_second_user
@pytest.mark.parametrize("kind", ["no right to create it", "of another user", "not writable", "not to be entered"])
def test_a_state_directory_without_the_right_to_write_is_one_sentence(open_folder: Path, kind: str) -> None:
    state = open_folder / "state"
    if kind != "no right to create it":
        state.mkdir(mode=0o700)
        (state / "runs").mkdir(mode=0o700)
        if kind != "of another user":
            os.chown(state, NOBODY, NOBODY)
            os.chown(state / "runs", NOBODY, NOBODY)
        state.chmod({"of another user": 0o755, "not writable": 0o500, "not to be entered": 0o600}[kind])
    environment = {key: value for key, value in os.environ.items() if key != "FOOTPLATE_HOME"}
    for command in (["ps"], ["run", "--", "true"]):
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *command],
            env=environment | {"FOOTPLATE_HOME": str(state), "HOME": "/nonexistent"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert_one_sentence(done, 1 if command == ["ps"] else 125)
        assert str(state) in done.stderr


@pytest.mark.parametrize("name", ["state", "state/runs", "parent"])
def test_a_file_in_place_of_the_state_directory_is_one_sentence(tmp_path: Path, name: str) -> None:
    state = tmp_path / ("parent/state" if name == "parent" else "state")
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("in the way")
    home = Home(state)
    done = home.footplate("ps", check=False)
    assert_one_sentence(done)
    assert str(place) in done.stderr
    assert place.read_text() == "in the way"


def test_a_daemon_started_by_hand_where_a_file_lies_ends_with_one_sentence(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.write_text("in the way")
    command = [sys.executable, "-I", "-m", "console.daemon", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(place) in done.stderr


def test_a_read_only_file_system_is_one_sentence(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o ro none {tmp_path}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a read-only file system here")
    home = Home(tmp_path / "state")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$0" ps', FOOTPLATE],
        env=home.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_sentence(done)
    assert "ead-only file system" in done.stderr


def test_an_index_of_a_newer_footplate_is_one_sentence_and_stays_as_it_is(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    path = paths.database_path(home.path)
    database.open_database(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("insert into schema_version values (999, 0)")
    done = home.footplate("ps", check=False)
    assert_one_sentence(done)
    assert "schema 999" in done.stderr
    assert "newer footplate" in done.stderr
    with duckdb.connect(path) as connection:
        assert connection.execute("select max(version) from schema_version").fetchone() == (999,)


def test_a_damaged_index_is_set_aside_and_said(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    Path(paths.database_path(home.path)).write_bytes(b"this was never a database" * 1000)
    home.footplate("ps")
    notice = home.client().status().notice
    assert notice.startswith("the index was damaged (kept in quarantine-")
    folder = notice.partition("(kept in ")[2].partition(")")[0]
    assert Path(home.path, folder, "index.duckdb").read_bytes().startswith(b"this was never a database")
