"""A state directory on a network: a local place for index, lock and socket; two hosts keep out of each other."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console.daemon import foreign
from console.jobs import spec
from store import derive, journal, local_home, paths
from tests.support import FOOTPLATE, Home, PastRun, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = os.uname().nodename
OWN = "22 27 0:21 / /proc rw,relatime - proc proc rw\n27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard\n"
MOUNTS = {
    "nfs4": "612 27 0:52 / /home rw,nosuid,nodev,relatime shared:330 - nfs4 nas.lab:/export/home rw,vers=4.2,hard",
    "nfs": "88 27 0:45 / /home rw,relatime - nfs 10.0.0.2:/vol/home rw,vers=3,rsize=65536,mountproto=udp,addr=10.0.0.2",
    "cifs": "90 27 0:46 / /home/ana rw,relatime - cifs //files/ana rw,vers=3.1.1,sec=krb5,cache=strict,username=ana",
    "smb3": "91 27 0:47 / /home/ana rw,relatime - smb3 //files/ana rw,vers=3.1.1",
    "fuse.sshfs": "92 27 0:48 / /home/ana rw,nosuid,nodev - fuse.sshfs ana@box:/srv/my\\040data rw,user_id=1000",
    "lustre": "93 27 0:49 / /home rw,flock,lazystatfs - lustre 10.3.0.1@o2ib:10.3.0.2@o2ib:/home rw,checksum,flock",
    "beegfs": "94 27 0:50 / /home rw,relatime - beegfs beegfs_nodev rw,cfgFile=/etc/beegfs/beegfs-client.conf",
    "gpfs": "95 27 0:51 / /home rw,relatime - gpfs gpfs0 rw",
    "ceph": "96 27 0:53 / /home rw,relatime - ceph 10.0.0.5:6789,10.0.0.6:6789:/home rw,name=lab,secret=<hidden>,acl",
    "fuse.ceph-fuse": "97 27 0:54 / /home rw,relatime - fuse.ceph-fuse ceph-fuse rw,user_id=0,group_id=0,allow_other",
    "fuse.glusterfs": "98 27 0:55 / /home rw,relatime - fuse.glusterfs gv0:/home rw,user_id=0,allow_other",
    "9p": "99 27 0:56 / /home rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs;path=C:\\;uid=1000;gid=1000",
    "virtiofs": "100 27 0:57 / /home rw,relatime - virtiofs share0 rw",
}
LOCAL = {
    "ext4": "101 27 8:2 / /home rw,relatime shared:2 - ext4 /dev/sda2 rw",
    "xfs": "102 27 8:3 / /home rw,relatime - xfs /dev/mapper/vg-home rw,attr2,inode64",
    "btrfs": "103 27 0:31 /@home /home rw,relatime - btrfs /dev/nvme0n1p2 rw,compress=zstd:1,subvol=/@home",
    "zfs": "104 27 0:32 / /home rw,xattr,posixacl - zfs tank/home rw",
    "tmpfs": "105 27 0:33 / /home rw - tmpfs none rw,size=1024k",
    "overlay": "106 27 0:34 / /home rw - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c",
    "fuse.gocryptfs": "107 27 0:35 / /home rw - fuse.gocryptfs /srv/cipher rw,user_id=1000",
}
HOME_DIR = "/home/ana/.local/state/footplate"


# What mountinfo says


@pytest.mark.parametrize("kind", MOUNTS)
def test_network_file_systems_are_known_as_such(kind: str) -> None:
    found = local_home.mount_of(OWN + MOUNTS[kind] + "\n", HOME_DIR)
    assert found is not None
    assert found.type == kind
    assert local_home.is_network(found.type)
    assert found.type not in local_home.LOCAL_TYPES


@pytest.mark.parametrize("kind", LOCAL)
def test_local_file_systems_are_not(kind: str) -> None:
    found = local_home.mount_of(OWN + LOCAL[kind] + "\n", HOME_DIR)
    assert found is not None
    assert found.type == kind
    assert not local_home.is_network(found.type)


def test_the_innermost_and_latest_mount_counts() -> None:
    automount = "50 27 0:40 / /home rw - autofs systemd-1 rw,fd=30,pgrp=1,timeout=0"
    text = f"{OWN}{automount}\n{MOUNTS['nfs4']}\n110 27 8:9 / /home/ana/.local rw - ext4 /dev/sdb1 rw\n"
    assert local_home.mount_of(text, "/home/ana") == local_home.Mount("/home", "nfs4", "nas.lab:/export/home")
    assert local_home.mount_of(text, HOME_DIR) == local_home.Mount("/home/ana/.local", "ext4", "/dev/sdb1")
    assert local_home.mount_of(text, "/homework") == local_home.Mount("/", "ext4", "/dev/vda1")
    assert local_home.mount_of("garbage\n\n - \n", "/home") is None


def test_escapes_and_optional_fields_are_read() -> None:
    found = local_home.mount_of("9 1 0:9 / /my\\040home rw shared:7 master:2 - cifs //a/b\\134c rw\n", "/my home/x")
    assert found == local_home.Mount("/my home", "cifs", "//a/b\\c")


def test_this_machine_reads_its_own_mounts(tmp_path: Path) -> None:
    assert local_home.mount_of(local_home.mountinfo(), str(tmp_path)) is not None


# The choice


@pytest.fixture
def on_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory that, by what is read as mountinfo, is on NFS."""
    folder = tmp_path / "nfs"
    folder.mkdir()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{OWN}200 27 0:99 / {folder} rw,relatime - nfs4 nas:/export/home rw,vers=4.2\n")
    monkeypatch.setattr(local_home, "MOUNTINFO", str(mounts))
    yield folder / "state"
    for path in paths.local_dirs(str(folder / "state")).values():
        shutil.rmtree(path, ignore_errors=True)


def test_without_a_terminal_the_proposal_is_taken_once_and_said_once(on_a_network: Path) -> None:
    home = str(on_a_network)
    said = local_home.settle(home)
    chosen = paths.local_dir(home)
    assert os.path.dirname(chosen) == "/var/tmp"
    assert os.path.basename(chosen).startswith(f"footplate-{os.getuid()}-")
    assert stat.S_IMODE(os.stat(chosen).st_mode) == 0o700
    assert "nfs4" in said
    assert chosen in said
    assert "survives a reboot" in said
    note = json.loads((on_a_network / "local.json").read_text())
    assert note == {"format": 1, "hosts": {HOST: chosen}}
    assert local_home.settle(home) == ""
    for path in (paths.database_path(home), paths.lock_path(home), paths.socket_path(home)):
        assert os.path.dirname(path) == chosen
    assert paths.runs_dir(home) == f"{home}/runs"
    assert paths.command_journal_path(home) == f"{home}/commands-{HOST}.jsonl"
    assert local_home.is_shared(home)


def test_a_person_is_asked_until_the_answer_will_do(on_a_network: Path, tmp_path: Path) -> None:
    answers = ["relative", str(on_a_network.parent / "there"), "/proc/nowhere", str(tmp_path / "mine") + "\n"]
    questions = []

    def ask(question: str) -> str:
        questions.append(question)
        return answers[len(questions) - 1]

    said = local_home.settle(str(on_a_network), ask)
    assert paths.local_dir(str(on_a_network)) == str(tmp_path / "mine")
    assert "nfs4, nas:/export/home" in questions[0]
    assert "not an absolute path" in questions[1]
    assert "network file system, too" in questions[2]
    assert "/proc/nowhere cannot be used" in questions[3]
    assert "rebuilt" in said


def test_no_answer_takes_the_proposal(on_a_network: Path) -> None:
    local_home.settle(str(on_a_network), lambda _: "")
    assert paths.local_dir(str(on_a_network)).startswith("/var/tmp/footplate-")


def test_a_remembered_place_that_was_reaped_is_made_again(on_a_network: Path) -> None:
    home = str(on_a_network)
    local_home.settle(home)
    chosen = paths.local_dir(home)
    shutil.rmtree(chosen)
    assert local_home.settle(home) == ""
    assert stat.S_IMODE(os.stat(chosen).st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as a second user")
def test_a_place_that_somebody_else_made_is_not_used(on_a_network: Path) -> None:
    home = str(on_a_network)
    first = local_home.propose(home, local_home.mountinfo())
    os.chown(first, 65534, 65534)
    try:
        local_home.settle(home)
        assert os.path.dirname(paths.local_dir(home)) == "/tmp"
        # Nor through a link.
        shutil.rmtree(first)
        os.symlink("/root", first)
        assert local_home.propose(home, local_home.mountinfo()).startswith("/tmp/")
    finally:
        if os.path.islink(first):
            os.unlink(first)
        else:
            shutil.rmtree(first)


def test_a_home_on_a_local_disk_is_left_alone(tmp_path: Path) -> None:
    assert local_home.settle(str(tmp_path / "state")) == ""
    assert not (tmp_path / "state").exists()
    assert paths.lock_path("/x") == "/x/daemon.lock"
    assert paths.command_journal_path("/x") == "/x/commands.jsonl"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"hosts": 1}', f'{{"hosts": {{"{HOST}": "relative"}}}}', "null"])
def test_a_damaged_note_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "local.json").write_text(content)
    assert paths.local_dir(str(tmp_path)) == str(tmp_path)


def test_the_choice_of_another_host_stays(on_a_network: Path) -> None:
    on_a_network.mkdir()
    (on_a_network / "local.json").write_text('{"format": 1, "hosts": {"other": "/scratch/ana"}}')
    local_home.settle(str(on_a_network))
    assert paths.local_dirs(str(on_a_network)).keys() == {"other", HOST}


# A daemon with a place of its own


def remember(home: Home, hosts: dict[str, str]) -> None:
    """The choices of hosts, written by hand."""
    paths.ensure_state_dir(home.path)
    Path(f"{home.path}/local.json").write_text(json.dumps({"format": 1, "hosts": hosts}))


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Home]:
    """A home whose index lies elsewhere."""
    with opened_home(tmp_path / "state") as home:
        remember(home, {HOST: str(tmp_path / "local")})
        yield home


def test_index_lock_and_socket_lie_in_the_local_place_and_the_rest_stays(away: Home, tmp_path: Path) -> None:
    run_id = away.wait_ended(away.submit("true")).row.id
    of_this_host = {"daemon.lock", "daemon.sock", "daemon.json", "index.duckdb"}
    assert of_this_host <= set(os.listdir(tmp_path / "local"))
    here = set(os.listdir(away.path))
    assert not of_this_host & here
    assert {"runs", f"commands-{HOST}.jsonl", "local.json", "daemon.log"} <= here
    assert "commands.jsonl" not in here
    assert away.footplate("daemon", "status", "--json").stdout.count(str(tmp_path / "local")) == 2
    away.footplate("daemon", "stop")
    assert not away.is_locked()
    shutil.rmtree(tmp_path / "local")
    assert run_id in away.footplate("runs", "--json").stdout


def foreign_run(home: Home, *, no: int = 7, ended: bool = False) -> Path:
    """A run that another host is at, as its files look from here."""
    run = PastRun(no=no, host="gpu-03", points=[(step, {"loss": 1.0 / (step + 1)}) for step in range(5)])
    folder = Path(home.run_dir(home.write_run(run)))
    status = json.loads((folder / "status.json").read_text())
    status |= {"state": "running", "ended_at_s": None, "exit_code": None, "cause": ""}
    (folder / "status.json").write_text(json.dumps(status))
    if ended:
        end_foreign_run(folder)
    return folder


def end_foreign_run(folder: Path) -> None:
    """What its own supervisor and daemon write at its end."""
    status = json.loads((folder / "status.json").read_text())
    status |= {"state": "failed", "ended_at_s": 1_760_000_100.0, "exit_code": 3, "cause": "exit code 3"}
    writer = journal.Journal(str(folder / "derived.jsonl"))
    size = (folder / "metrics.jsonl").stat().st_size
    writer.append(
        [
            {"kind": "header", "format": derive.FORMAT, "run": folder.name},
            {"kind": "metrics", "at_us": 1, "end": size, "generation": 0},
        ]
    )
    writer.close()
    paths.write_atomically(str(folder / "status.json"), json.dumps(status).encode())


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


def test_a_run_of_another_host_is_not_judged_and_nothing_is_written_to_it(away: Home) -> None:
    folder = foreign_run(away)
    before = files_of(folder)
    row = away.wait_run("r7", lambda detail: detail.row.state == "running").row
    assert row.id == folder.name
    time.sleep(1)
    assert away.client().run("r7").row.state == "running"
    assert files_of(folder) == before
    found = json.loads(away.footplate("daemon", "status", "--json").stdout)
    assert found["live_count"] == 0


def test_its_end_and_its_points_come_from_its_own_files(away: Home) -> None:
    folder = foreign_run(away)
    away.wait_run("r7", lambda detail: detail.row.state == "running")
    end_foreign_run(folder)
    before = files_of(folder)
    detail = away.wait_ended("r7")
    assert (detail.row.state, detail.row.exit_code) == ("failed", 3)
    assert [metric.point_count for metric in detail.metrics] == [5]
    assert files_of(folder) == before


def test_a_queued_run_of_another_host_is_not_started_here(away: Home) -> None:
    folder = foreign_run(away)
    for name in ("status.json", "attempt-1.claim"):
        (folder / name).unlink()
    data = json.loads((folder / "spec.json").read_text())
    data |= {"boot_id": "another-boot", "options": {"autoresume": True}, "argv": ["touch", f"{away.path}/started"]}
    (folder / "spec.json").write_text(json.dumps(data))
    assert away.client().run("r7").row.state == "queued"
    time.sleep(1)
    assert away.client().run("r7").row.state == "queued"
    assert not os.path.exists(f"{away.path}/started")
    assert not (folder / "attempt-1.claim").exists()


def test_on_a_disk_of_this_machine_alone_another_name_is_this_machine_renamed(home: Home) -> None:
    mount = local_home.mount_of(local_home.mountinfo(), os.path.realpath(os.path.dirname(home.path)))
    if mount is None or mount.type not in local_home.LOCAL_TYPES:
        pytest.skip("the folder for tests is on a file system that may be shared")
    foreign_run(home)
    assert home.wait_ended("r7").row.state == "interrupted"


def test_runs_that_another_host_makes_later_are_found(away: Home) -> None:
    away.client().status()
    neighbours = foreign.Neighbours(away.path)
    assert neighbours.shared
    folder = foreign_run(away)
    cursor: Any = NothingKnown()
    assert neighbours.newcomers(cursor) == []
    neighbours._next_look_s = 0.0
    assert [found.id for found in neighbours.newcomers(cursor)] == [folder.name]
    assert foreign.is_foreign(spec.read_spec(str(folder)), shared=True)
    assert not foreign.is_foreign(spec.read_spec(str(folder)), shared=False)


class NothingKnown:
    """An index without runs, as far as it is asked here."""

    def execute(self, _: str) -> NothingKnown:
        return self

    def fetchall(self) -> list[tuple[str]]:
        return []


def test_numbers_are_given_once_on_a_shared_home(away: Home) -> None:
    taken = [local_home.claim_number(away.path, 5) for _ in range(3)]
    assert taken == [5, 6, 7]
    assert local_home.claim_number("/nowhere", 5) == 5


# Two hosts at once: another name and another boot, in namespaces of their own

OTHER_HOST = """
hostname other-host && mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"
"""


def test_two_hosts_on_one_home_leave_each_other_alone(home: Home, tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    as_other = ["unshare", "--uts", "-m", "sh", "-c", OTHER_HOST, str(boot)]
    if subprocess.run([*as_other, "true"], capture_output=True, check=False).returncode:
        pytest.skip("may not play a second host here")
    remember(home, {HOST: str(tmp_path / "here"), "other-host": str(tmp_path / "there")})

    def other(*arguments: str) -> str:
        command, environment = [*as_other, FOOTPLATE, *arguments], home.environment()
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def seen_there() -> dict[str, str]:
        return {row["id"]: row["state"] for row in json.loads(other("ps", "--json"))["rows"]}

    def until_seen_there(wanted: dict[str, str]) -> None:
        try:
            wait_until(lambda: seen_there() == wanted)
        finally:
            assert seen_there() == wanted  # says what differs

    ours = home.submit("sleep", "1000")
    before = home.wait_run(ours, lambda detail: detail.row.state == "running" and detail.pid is not None)
    try:
        # The other host sees our run as its files say, and starts one of its own with a number of its own.
        until_seen_there({ours: "running"})
        script = f'echo loss=0.5 step=1; while [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done; exit 6'
        (tmp_path / "job.sh").write_text(script)
        other("run", "-d", "--name", "theirs", "--", "sh", str(tmp_path / "job.sh"))
        third = home.submit("true")
        assert home.wait_ended(third).row.no == 3
        # Both daemons start anew while both runs live, and judge their own only.
        (theirs,) = seen_there().keys() - {ours}
        wait_until(lambda: '"running"' in Path(f"{home.run_dir(theirs)}/status.json").read_text())
        home.kill_daemon()
        other("daemon", "stop")
        assert home.wait_run(theirs, lambda detail: detail.row.state == "running").row.no == 2
        until_seen_there({ours: "running", theirs: "running"})
        (tmp_path / "go").touch()
        until_seen_there({ours: "running"})
        row = home.wait_ended(theirs).row
        assert (row.state, row.exit_code, row.no) == ("failed", 6, 2)
        after = home.client().run(ours)
        assert (after.row.state, after.pid) == ("running", before.pid)
        for folder in (home.run_dir(ours), home.run_dir(theirs)):
            assert not os.path.exists(f"{folder}/reconciled.json")
        names = set(os.listdir(home.path))
        assert {f"commands-{HOST}.jsonl", "commands-other-host.jsonl"} <= names
    finally:
        (tmp_path / "go").touch()
        other("daemon", "stop")


def test_a_question_reaches_a_person_at_a_terminal_and_nobody_else() -> None:
    code = "from console import client; print(client.voice == client.SILENT, client.voice.ask)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True None\n"
