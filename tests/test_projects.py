"""Watched projects of a real daemon: trust, triggers, chains, and a whole day of them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from store import paths
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

TRAIN = """
[jobs.train]
command = "sh -c 'echo trained >> log.txt; echo auc=0.8'"
trigger = { on_change = ["data/*.csv"], cooldown = "1s" }
outputs = ["log.txt"]

[jobs.eval]
command = "sh -c 'echo evaluated >> log.txt'"
after = "train"
outputs = ["log.txt"]
"""


def project(home: Home) -> dict[str, Any]:
    found = json.loads(home.footplate("projects", "--json").stdout)["projects"]
    assert len(found) == 1
    return dict(found[0])


def log_of_states(home: Home) -> list[tuple[int, str, str]]:
    """Every run: number, job, state."""
    rows = sorted(home.client().runs(limit=1000).rows, key=lambda row: row.no)
    return [(row.no, row.job, row.state) for row in rows]


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=ana", "-c", "user.email=ana@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "churn"
    (made / "data").mkdir(parents=True)
    (made / "data" / "a.csv").write_text("1\n")
    return made


def trusted(home: Home, folder: Path, text: str) -> None:
    """A watched and trusted project whose triggers have had their first look."""
    (folder / "footplate.toml").write_text(text)
    home.footplate("watch", str(folder))
    home.footplate("trust", str(folder), "--yes")
    wait_until(lambda: first_look_is_over(home))


def first_look_is_over(home: Home) -> bool:
    path = f"{home.path}/projects/{project(home)['id']}/triggers.json"
    with open(path, encoding="utf-8") as file:
        jobs = json.load(file)["jobs"].values()
    return all(job["content_id"] for job in jobs if any(job["globs"]))


def test_a_scripted_day(home: Home, folder: Path, tmp_path: Path) -> None:
    # Morning: a folder with a script gets a manifest, and is watched. Nothing has started by itself.
    (folder / "train.py").write_text("print('auc=0.8')\n")
    git(folder, "init", "-q")
    home.footplate("init", cwd=folder)
    assert "[jobs.train]" in (folder / "footplate.toml").read_text()
    (folder / "footplate.toml").write_text(TRAIN)
    (folder / ".gitignore").write_text("data\nlog.txt\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    home.footplate("watch", cwd=folder)
    (folder / "data" / "a.csv").write_text("2\n")
    assert project(home)["trust"] == "untrusted"
    only = json.loads(home.footplate("start", "train", "--json", cwd=folder).stdout)
    assert "`footplate trust` changes that" in only["notes"][0]
    home.wait_ended("r1")
    assert log_of_states(home) == [(1, "train", "finished")]

    # Trusted: what a person starts is followed by what comes after it.
    home.footplate("trust", "--yes", cwd=folder)
    wait_until(lambda: first_look_is_over(home))
    home.footplate("start", "train", cwd=folder)
    home.wait_ended("r3")
    assert log_of_states(home)[1:] == [(2, "train", "finished"), (3, "eval", "finished")]

    # A data file changes: one chain, however often it is touched without changing.
    (folder / "data" / "a.csv").write_text("3\n")
    home.wait_ended_when_there("r5")
    for _ in range(3):
        os.utime(folder / "data" / "a.csv")
        (folder / "data" / "a.csv").write_text("3\n")
    assert log_of_states(home)[3:] == [(4, "train", "finished"), (5, "eval", "finished")]
    assert home.client().run("r4").row.cause == ""
    assert project(home)["jobs"][0]["last_reason"] == "data/a.csv changed"

    # git pull brings another manifest, and data change: nothing runs until somebody has looked.
    other = tmp_path / "colleague"
    subprocess.run(["git", "clone", "-q", str(folder), str(other)], check=True)
    (other / "footplate.toml").write_text(TRAIN + '\n[jobs.evil]\ncommand = "touch evil"\nafter = "train"\n')
    git(other, "commit", "-qam", "more")
    git(folder, "pull", "-q", str(other))
    (folder / "data" / "a.csv").write_text("4\n")
    wait_until(lambda: project(home)["trust"] == "changed")
    attention = project(home)["attention"][0]
    assert (attention["kind"], attention["command"]) == ("changed", f"footplate trust {folder}")
    assert "+[jobs.evil]" in "\n".join(project(home)["diff"])
    assert len(log_of_states(home)) == 5

    # Trusted anew, it makes up for the change it was not allowed to act on; the new job is part of the chain.
    home.footplate("trust", "--yes", cwd=folder)
    wait_until(lambda: len(log_of_states(home)) == 8)
    for label in ("r6", "r7", "r8"):
        home.wait_ended(label)
    assert {(job, state) for _, job, state in log_of_states(home)[5:]} == {
        ("train", "finished"),
        ("eval", "finished"),
        ("evil", "finished"),
    }

    # The machine goes down with runs in the queue: they are held until they are released.
    home.footplate("pause")
    home.footplate("start", "train", cwd=folder)
    home.end_daemon()
    for row in ("r9", "r10", "r11"):
        reboot(home, row)
    home.footplate("resume")
    wait_until(lambda: [state for _, _, state in log_of_states(home)[8:]] == ["held"] * 3)
    assert "rebooted" in home.client().run("r9").row.cause
    home.footplate("release", "--all")
    for label in ("r9", "r10", "r11"):
        assert home.wait_ended(label).row.state == "finished"
    audit = home.footplate("audit", "--json", "-n", "100").stdout
    for action in ("watch", "trust", "start", "trigger", "pause", "resume", "release"):
        assert f'"{action}"' in audit


def reboot(home: Home, label: str) -> None:
    """A run directory as it is after the machine went down."""
    for name in os.listdir(f"{home.path}/runs"):
        path = f"{home.path}/runs/{name}/spec.json"
        with open(path, encoding="utf-8") as file:
            spec = json.load(file)
        if f"r{spec['no']}" == label:
            paths.write_atomically(path, json.dumps(spec | {"boot_id": "another-boot"}).encode())


def test_what_a_job_writes_itself_starts_nothing(home: Home, folder: Path) -> None:
    text = """
[jobs.train]
command = "sh -c 'echo x >> data/made.csv; sleep 0.5'"
trigger = { on_change = ["data/*.csv"], cooldown = "0s" }
"""
    trusted(home, folder, text)
    (folder / "data" / "a.csv").write_text("2\n")
    home.wait_ended_when_there("r1")
    wait_until(lambda: "counts as that run's" in json.dumps(project(home)["attention"]))
    assert log_of_states(home) == [(1, "train", "finished")]
    (folder / "data" / "b.csv").write_text("by hand\n")
    wait_until(lambda: len(log_of_states(home)) == 2)


def test_a_change_within_the_cooldown_waits_and_counts_once(home: Home, folder: Path) -> None:
    trusted(home, folder, TRAIN.replace('cooldown = "1s"', 'cooldown = "12s"'))
    (folder / "data" / "a.csv").write_text("2\n")
    home.wait_ended_when_there("r2")
    (folder / "data" / "a.csv").write_text("3\n")
    wait_until(lambda: project(home)["jobs"][0]["pending"])
    (folder / "data" / "b.csv").write_text("3\n")
    home.wait_ended_when_there("r4")
    home.kill_daemon()
    assert [number for number, _, _ in log_of_states(home)] == [1, 2, 3, 4]


def test_a_change_while_the_daemon_was_away_is_not_lost(home: Home, folder: Path) -> None:
    trusted(home, folder, TRAIN)
    home.kill_daemon()
    (folder / "data" / "a.csv").write_text("2\n")
    home.footplate("ps")
    home.wait_ended_when_there("r2")
    home.kill_daemon()
    home.footplate("ps")
    wait_until(lambda: project(home)["watch"] == "inotify")
    assert len(log_of_states(home)) == 2


def test_a_run_that_nobody_typed_is_held_when_its_manifest_changes_before_it_starts(home: Home, folder: Path) -> None:
    trusted(home, folder, TRAIN)
    home.footplate("pause")
    (folder / "data" / "a.csv").write_text("2\n")
    wait_until(lambda: len(log_of_states(home)) == 2)
    (folder / "footplate.toml").write_text(TRAIN + "# another text\n")
    home.footplate("resume")
    held = home.wait_run("r1", lambda detail: detail.row.state == "held")
    assert "footplate.toml has changed since it was trusted" in held.row.cause
    home.footplate("trust", "--yes", str(folder))
    assert home.wait_ended("r2").row.state == "finished"


def test_a_broken_manifest_says_what_is_wrong_and_the_last_good_one_is_used(home: Home, folder: Path) -> None:
    trusted(home, folder, TRAIN)
    (folder / "footplate.toml").write_text(TRAIN.replace("outputs", "output", 1))
    wait_until(lambda: project(home)["trust"] == "broken")
    found = project(home)
    assert "jobs.train.output" in found["attention"][0]["text"]
    assert "footplate.toml:5" in found["attention"][0]["text"]
    assert [job["name"] for job in found["jobs"]] == ["train", "eval"]
    said = json.loads(home.footplate("start", "train", "--json", cwd=folder).stdout)
    assert "the last good text is used" in said["notes"][0]
    (folder / "data" / "a.csv").write_text("2\n")
    home.wait_ended("r1")
    refused = home.footplate("trust", "--yes", str(folder), check=False)
    assert "jobs.train.output" in refused.stderr
    assert len(log_of_states(home)) == 1


def test_a_manifest_that_others_can_write_to_starts_nothing(home: Home, folder: Path) -> None:
    trusted(home, folder, TRAIN)
    os.chmod(folder / "footplate.toml", 0o666)
    (folder / "data" / "a.csv").write_text("2\n")
    wait_until(lambda: project(home)["trust"] == "unsafe")
    assert home.footplate("trust", "--yes", str(folder), check=False).returncode == 1
    assert log_of_states(home) == []


def test_watch_unwatch_and_names(home: Home, folder: Path, tmp_path: Path) -> None:
    (folder / "footplate.toml").write_text('[project]\nname = "kündigung"\n')
    second = tmp_path / "more" / "churn"
    second.mkdir(parents=True)
    (second / "train.py").write_text("import argparse\n")
    found = json.loads(home.footplate("watch", str(tmp_path), "--json").stdout)
    assert sorted(each["name"] for each in found["projects"]) == ["churn", "kündigung"]
    again = home.footplate("watch", str(folder), check=False)
    assert "is watched already" in again.stderr
    missing = home.footplate("watch", str(tmp_path / "nowhere"), check=False)
    assert "is no folder" in missing.stderr
    home.footplate("run", "--", "true", cwd=folder / "data")
    assert home.client().run("r1").row.project == "kündigung"
    home.kill_daemon()
    home.footplate("unwatch", "churn")
    assert "kündigung" in home.footplate("projects").stdout
    home.footplate("unwatch", cwd=folder / "data")
    assert "no folder is watched" in home.footplate("projects").stdout
    assert "no watched project" in home.footplate("unwatch", "churn", check=False).stderr


def test_a_time_of_a_trusted_manifest_starts_its_job(home: Home, folder: Path) -> None:
    text = '[jobs.nightly]\ncommand = "true"\ntrigger = { cron = "* * * * *" }\n'
    trusted(home, folder, text)
    path = f"{home.path}/projects/{project(home)['id']}/triggers.json"
    home.end_daemon()
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    # As if the daemon had been away for two minutes: the latest moment counts, once.
    found["jobs"]["nightly"]["cron_checked_at_s"] -= 120
    paths.write_atomically(path, json.dumps(found).encode())
    home.footplate("ps")
    home.wait_ended_when_there("r1")
    assert [job for _, job, _ in log_of_states(home)] == ["nightly"]
    assert project(home)["jobs"][0]["last_reason"] == "cron * * * * *"
