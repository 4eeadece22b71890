"""Runs that other trackers wrote, from their files to the run table, through the real daemon."""

from __future__ import annotations

import difflib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from store import paths
from tests import trackers_live
from tests.store.foreign_files import event, scalar
from tests.support import FOOTPLATE, wait_until

if TYPE_CHECKING:
    from console.protocol import RunRow
    from tests.support import Home

FIXTURES = Path(__file__).parent / "fixtures"
OLD_S = 1_780_000_000.0


def old_copy(source: Path, target: Path) -> Path:
    """A copy of a fixture whose files were written long ago."""
    shutil.copytree(source, target)
    for folder, folders, files in os.walk(target):
        for name in (*folders, *files):
            os.utime(os.path.join(folder, name), (OLD_S, OLD_S))
    return target


def take_in(home: Home, path: Path) -> dict[str, Any]:
    """Import a folder and wait for all of it."""
    found: dict[str, Any] = json.loads(home.footplate("import", "--json", str(path)).stdout)
    return found


def rows(home: Home) -> dict[str, RunRow]:
    """Every run by its name."""
    return {row.name: row for row in home.client().runs(limit=10_000).rows}


def export(home: Home) -> str:
    """Everything the index holds."""
    return home.footplate("export", "--json").stdout


def forget_index(home: Home) -> None:
    """Delete the database, its WAL and its backups."""
    local = paths.local_dir(home.path)
    for name in os.listdir(local):
        if name.startswith("index.duckdb") or name == "backups":
            path = os.path.join(local, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def difference(before: str, after: str) -> str:
    """The lines that differ."""
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[:4000]


def test_runs_of_every_tracker_are_rows_with_what_their_libraries_say(home: Home, tmp_path: Path) -> None:
    folder = old_copy(FIXTURES, tmp_path / "fixtures")
    found = take_in(home, folder)
    assert set(found["by_tracker"]) == {"mlflow", "tensorboard", "wandb", "lightning", "huggingface", "dvclive"}
    assert found["problems"] == []
    by_name = rows(home)
    plain = by_name["plain"]
    assert plain.tracker in ("mlflow", "tensorboard")
    reported = json.loads((FIXTURES / "mlflow" / "files" / "reported.json").read_text())
    assert reported
    shown = home.footplate("show", by_name["out"].label).stdout
    assert "source     Hugging Face" in shown
    assert "finished" in shown
    assert by_name["digits"].state == "unknown"
    assert "does not record how a run ended" in by_name["digits"].cause
    assert by_name["digits"].metric is not None
    assert by_name["digits"].metric.key == "val/loss"
    listed = home.footplate("imports").stdout
    assert str(folder) in listed
    assert "MLflow" in listed


@pytest.mark.parametrize("tracker", trackers_live.TRACKERS)
def test_a_live_run_is_followed(home: Home, tmp_path: Path, tracker: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    live = trackers_live.TRACKERS[tracker](folder)
    live.write(1, 0.5)
    take_in(home, folder)
    row = rows(home)[live.name]
    assert row.state == "running"
    series = home.client().series(row.id, trackers_live.KEY, 100)
    assert series.lasts == (0.5,)
    live.write(2, 0.25)
    wait_until(lambda: (metric := rows(home)[live.name].metric) is not None and metric.last == 0.25)
    wait_until(lambda: home.client().series(row.id, trackers_live.KEY, 100).lasts == (0.5, 0.25))
    assert home.client().run(row.id).metrics[0].point_count == 2


def test_what_was_imported_outlives_its_source_and_the_index(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    lives = [make(folder) for make in trackers_live.TRACKERS.values()]
    for number, live in enumerate(lives):
        for step in range(1, 6):
            live.write(step, number + 1 / step)
    take_in(home, folder)
    for live in lives:
        run = rows(home)[live.name].id
        assert len(home.client().series(run, trackers_live.KEY, 100).steps) == 5
    first = rows(home)[lives[0].name].label
    home.footplate("note", first, "keep this")
    home.footplate("tag", first, "+best")
    shutil.rmtree(folder)
    home.end_daemon()
    before = export(home)
    home.end_daemon()
    forget_index(home)
    home.footplate("rebuild", "--yes")
    after = export(home)
    assert after == before, difference(before, after)
    assert len(json.loads(after)["runs"]) == len(lives)


def test_a_second_import_brings_what_is_new_and_nothing_twice(home: Home, tmp_path: Path) -> None:
    folder = old_copy(FIXTURES / "mlflow" / "files" / "mlruns", tmp_path / "mlruns")
    first = take_in(home, folder)
    again = take_in(home, folder)
    assert again["run_count"] == first["run_count"] == home.client().runs().total_count
    copy = old_copy(FIXTURES / "mlflow" / "files" / "mlruns", tmp_path / "copy" / "mlruns")
    other = take_in(home, copy)
    assert (other["run_count"], other["elsewhere_count"]) == (0, first["run_count"])
    assert other["elsewhere"] == [str(folder)]
    assert home.client().runs().total_count == first["run_count"]
    home.end_daemon()
    assert take_in(home, folder)["run_count"] == first["run_count"] == home.client().runs().total_count


def test_a_run_that_was_deleted_here_stays_away(home: Home, tmp_path: Path) -> None:
    folder = old_copy(FIXTURES / "dvclive", tmp_path / "dvclive-runs")
    take_in(home, folder)
    home.footplate("delete", "--yes", "r1")
    assert home.client().runs().total_count == 0
    assert (folder / "digits" / "dvclive").is_dir()
    take_in(home, folder)
    assert home.client().runs().total_count == 0
    home.end_daemon()
    take_in(home, folder)
    assert home.client().runs().total_count == 0


def test_what_cannot_be_done_with_an_imported_run_is_said(home: Home, tmp_path: Path) -> None:
    take_in(home, old_copy(FIXTURES / "dvclive", tmp_path / "runs"))
    for command, words in (
        (["stop", "r1"], "footplate did not start it and cannot stop it"),
        (["retry", "r1"], "how it was started is not known"),
        (["logs", "r1"], "it has no log here"),
        (["archive", "r1"], "its files are those of its tracker"),
    ):
        done = home.footplate(*command, check=False)
        assert done.returncode != 0
        assert words in done.stderr, command
    home.footplate("note", "r1", "a note")
    home.footplate("log", "r1", "lb=0.9")
    detail = home.client().run("r1")
    assert [note.text for note in detail.notes] == ["a note"]
    assert {metric.key for metric in detail.metrics} >= {"lb", "val/loss"}


def test_a_run_that_says_it_runs_and_is_not_written_to_is_stale(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    live = trackers_live.mlflow_files(folder)
    live.write(1, 0.5)
    for path in folder.rglob("*"):
        os.utime(path, (OLD_S, OLD_S))
    take_in(home, folder)
    row = rows(home)["live-mlflow"]
    assert (row.state, row.cause) == ("stale", "MLflow says running, but nothing has been written since")
    assert home.client().get("/status")["running_count"] == 0
    live.write(2, 0.25)
    take_in(home, folder)
    assert wait_until(lambda: rows(home)["live-mlflow"].state == "running")


def test_a_killed_daemon_goes_on_where_it_was(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    live = trackers_live.tensorboard(folder)
    live.write(1, 0.5)
    take_in(home, folder)
    run = rows(home)[live.name].id
    assert home.client().series(run, trackers_live.KEY, 100).lasts == (0.5,)
    home.kill_daemon()
    live.write(2, 0.25)
    wait_until(lambda: home.client().series(run, trackers_live.KEY, 100).lasts == (0.5, 0.25))
    assert home.client().runs().total_count == 1


def test_a_killed_reader_is_replaced(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    live = trackers_live.lightning(folder)
    live.write(1, 0.5)
    take_in(home, folder)
    found = subprocess.run(["pgrep", "-f", f"console.worker read {folder}"], capture_output=True, text=True, check=True)
    os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    live.write(2, 0.25)
    wait_until(lambda: (metric := rows(home)[live.name].metric) is not None and metric.last == 0.25)


def test_secrets_that_a_tracker_kept_stay_there(home: Home, tmp_path: Path) -> None:
    live = trackers_live.mlflow_files(tmp_path)
    live.write(1, 0.5)
    [run] = [path.parent for path in tmp_path.rglob("metrics")]
    for folder, name, text in (
        ("params", "api_key", "hunter2hunter2"),
        ("params", "user", "hf_abcdefghijklmnopqrstuvwxyz012345"),
        ("tags", "wandb_api_key", "hunter2hunter2"),
        ("tags", "mlflow.note.content", "log in with password=hunter2hunter2"),
    ):
        (run / folder).mkdir(exist_ok=True)
        (run / folder / name).write_text(text)
    home.footplate("import", str(tmp_path))
    row = rows(home)["live-mlflow"]
    assert (row.params["api_key"], row.params["user"]) == ("***", "***")
    assert "wandb_api_key=***" in row.tags
    kept = subprocess.run(["grep", "-rlE", "hunter2|hf_abc", home.path], capture_output=True, text=True, check=False)
    assert kept.stdout == ""


def test_a_watched_folder_is_read_by_itself(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    home.footplate("watch", str(folder))
    live = trackers_live.mlflow_files(folder)
    live.write(1, 0.5)
    row = wait_until(lambda: rows(home).get("live-mlflow"))
    assert row.project == "churn"
    home.footplate("unwatch", str(folder))
    wait_until(lambda: not any(each["watched"] for each in home.client().get("/imports")["imports"]))


def test_a_watched_folder_without_runs_leaves_no_import_behind(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    home.footplate("watch", str(folder))
    wait_until(lambda: any(each["looked"] for each in home.client().get("/imports")["imports"]))
    shutil.rmtree(folder)
    home.footplate("unwatch", str(folder))
    wait_until(lambda: home.client().get("/imports")["imports"] == [])
    assert os.listdir(os.path.join(home.path, "imports")) == []


def test_bad_paths_and_empty_folders_are_told(home: Home, tmp_path: Path) -> None:
    missing = home.footplate("import", str(tmp_path / "nowhere"), check=False)
    assert (missing.returncode, "is not there" in missing.stderr) == (1, True)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "nothing of a tracker that is known was found below it" in home.footplate("import", str(empty)).stdout
    assert "nothing was imported yet" not in home.footplate("imports").stdout
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "mlflow.db").write_bytes(b"this is no database" * 100)
    done = home.footplate("import", str(broken), check=False)
    assert done.returncode == 1
    assert "mlflow.db" in done.stdout


def test_names_that_nobody_would_choose(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9 \x1b[31m")
    folder.mkdir()
    live = trackers_live.tensorboard(folder)
    live.write(1, math.nan)
    done = home.footplate("import", str(folder))
    assert "\x1b" not in done.stdout
    assert "1 runs" in done.stdout
    row = rows(home)[live.name]
    assert row.metric is not None
    assert math.isnan(row.metric.last)
    assert home.client().series(row.id, trackers_live.KEY, 10).not_finite_count == 1


def test_an_import_can_be_left_off(home: Home, tmp_path: Path) -> None:
    root = tmp_path / "mlruns" / "0"
    root.mkdir(parents=True)
    (root / "meta.yaml").write_text("experiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
    for number in range(4000):
        run = root / f"{number:032x}"
        (run / "metrics").mkdir(parents=True)
        (run / "meta.yaml").write_text(
            f"lifecycle_stage: active\nrun_id: {number:032x}\nrun_name: n{number}\nstart_time: {number}\nstatus: 3\n"
        )
        (run / "metrics" / "loss").write_text("1790000000000 0.5 1\n")
    with subprocess.Popen(
        [FOOTPLATE, "import", str(tmp_path)], env=home.environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: home.client().runs().total_count > 0)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    count = home.client().runs().total_count
    if process.returncode == 130:
        assert "were read and stay" in errors
        time.sleep(1.0)
        assert home.client().runs().total_count == count
    assert take_in(home, tmp_path)["run_count"] == 4000 == home.client().runs().total_count


def test_one_process_in_two_trackers_is_one_run(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    first, second = trackers_live.mlflow_files(folder), trackers_live.tensorboard(folder)
    for live in (first, second):
        live.write(1, 0.5)
    # Another process, which began at the same time and came to something else.
    other = trackers_live.dvclive(folder)
    other.write(1, 0.75)
    found = take_in(home, folder)
    assert (found["run_count"], found["twin_count"]) == (2, 1)
    assert set(rows(home)) == {"live-mlflow", "live-dvc"}
    detail = home.client().run(rows(home)["live-mlflow"].id)
    assert [tracker for tracker, _ in detail.also] == ["tensorboard"]
    assert "also in    TensorBoard" in home.footplate("show", detail.row.label).stdout
    home.end_daemon()
    assert take_in(home, folder)["run_count"] == 2
    assert home.client().runs().total_count == 2


def test_two_trackers_in_one_folder_are_one_run_with_the_params_of_both(home: Home, tmp_path: Path) -> None:
    live = trackers_live.lightning(tmp_path)
    live.write(1, 0.5)
    events = tmp_path / "lightning_logs" / "version_7" / f"events.out.tfevents.{int(time.time())}.gpu-03.1.0"
    events.write_bytes(event(time.time(), 1, scalar("other", 0.125)))
    take_in(home, tmp_path)
    (row,) = home.client().runs().rows
    assert (row.tracker, row.params) == ("tensorboard", {"lr": "0.1"})


TRAIN = """
import os, sys, time
sys.path.insert(0, {tests!r})
from tests.store.foreign_files import event, scalar
os.makedirs("tb/exp")
print("step 1 live/loss=9.0 other/loss=3.0", flush=True)
with open(f"tb/exp/events.out.tfevents.{{int(time.time())}}.box.{{os.getpid()}}.0", "ab") as file:
    for step in range(1, 4):
        file.write(event(time.time(), step, scalar("live/loss", 1 / step)))
        file.flush()
        time.sleep({pause})
"""


def test_what_a_run_of_ours_gives_its_tracker_is_its_own(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    root = str(Path(__file__).parents[1])
    (folder / "train.py").write_text(TRAIN.format(tests=root, pause=1.0))
    home.footplate("watch", str(folder))
    run = home.footplate("run", "-d", "--json", "--", sys.executable, "train.py", cwd=folder)
    label = json.loads(run.stdout)["row"]["id"] if "row" in json.loads(run.stdout) else json.loads(run.stdout)["id"]
    home.wait_ended(label)

    def is_whole() -> bool:
        metrics = {metric.key: metric for metric in home.client().run(label).metrics}
        return "live/loss" in metrics and metrics["live/loss"].point_count == 3

    wait_until(is_whole)
    detail = home.client().run(label)
    values = {metric.key: metric.last for metric in detail.metrics}
    assert values == {"live/loss": pytest.approx(1 / 3), "other/loss": 3.0}
    assert home.client().series(detail.row.id, "live/loss", 10).lasts == pytest.approx((1.0, 1 / 2, 1 / 3))
    assert home.client().runs().total_count == 1
    assert detail.row.state == "finished"
    assert [tracker for tracker, _ in detail.also] == ["tensorboard"]
    home.end_daemon()
    before = export(home)
    home.end_daemon()
    forget_index(home)
    home.footplate("rebuild", "--yes")
    after = export(home)
    assert after == before, difference(before, after)
