"""The log of an ended run is read once more: as a whole or not at all, and a lost index comes to the same."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import FOOTPLATE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

SCRIPT = """
import time
for it in range(5):
    print(f"it {it} >> q {1 / (it + 1)} / r {it * 2}", flush=True)
    time.sleep(0.3)
print("step=9 loss=0.5")
"""
Q = r"it (?P<step>\d+) >> q (?P<q>\S+)"
R = r"it (?P<step>\d+) .* r (?P<r>\S+)"


def pin(folder: Path, pattern: str) -> None:
    """Write the manifest of a project."""
    folder.mkdir(exist_ok=True)
    line = f"log_pattern = '{pattern}'\n" if pattern else ""
    job = f'[jobs.train]\ncommand = "{sys.executable} train.py"\n'
    (folder / "footplate.toml").write_text(f"[project]\n{line}\n{job}", encoding="utf-8")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")


def values_of(home: Home, run: str, key: str) -> list[list[Any]]:
    """Step and value of each point of a metric."""
    metrics = json.loads(exported(home))["runs"][int(run[1:]) - 1]["metrics"]
    return [[point[1], point[3]] for point in metrics.get(key, [])]


def keys_of(home: Home, run: str) -> list[str]:
    return sorted(metric.key for metric in home.client().run(run).metrics)


def exported(home: Home) -> str:
    wait_until(lambda: home.client().get("/store")["catching_up"]["total_count"] == 0)
    return home.footplate("export", "--json").stdout


def rebuilt(home: Home) -> str:
    """The export of an index that is made of nothing but the run directories and the command journal."""
    home.end_daemon()
    for path in glob.glob(f"{home.path}/index.duckdb*"):
        os.unlink(path)
    shutil.rmtree(f"{home.path}/backup", ignore_errors=True)
    home.footplate("rebuild", "--yes")
    return exported(home)


def reparse(home: Home, run: str, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.footplate("reparse", run, *options, "--json").stdout)
    return found


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> Path:
    """A watched project with a pattern, and r1 in it, which has ended."""
    made = tmp_path / "work"
    pin(made, Q)
    home.footplate("watch", str(made))
    home.python(SCRIPT, working_dir=str(made))
    home.wait_ended("r1")
    return made


def test_a_run_is_read_by_its_pattern_until_it_is_read_anew(home: Home, folder: Path) -> None:
    assert keys_of(home, "r1") == ["q"]
    assert values_of(home, "r1", "q") == [[it, 1 / (it + 1)] for it in range(5)]
    run_dir = home.run_dir(home.client().run("r1").row.id)
    with open(f"{run_dir}/spec.json", encoding="utf-8") as file:
        assert json.load(file)["log_pattern"] == Q
    before = exported(home)
    times = [point[2] for point in json.loads(before)["runs"][0]["metrics"]["q"]]
    assert times == sorted(times)
    assert len(set(times)) > 1

    pin(folder, R)
    assert rebuilt(home) == before
    done = reparse(home, "r1")
    assert (done["pattern"], done["point_count"], done["metrics"]) == (R, 5, ["r"])
    assert keys_of(home, "r1") == ["r"]
    assert home.client().run("r1").row.metric.key == "r"  # type: ignore[union-attr]
    after = exported(home)
    points = json.loads(after)["runs"][0]["metrics"]["r"]
    assert [point[2] for point in points] == times, "the times at which the lines were seen are kept"
    assert rebuilt(home) == after
    audit = home.footplate("audit", "--json").stdout
    assert '"reparse"' in audit

    pin(folder, "")
    said = home.footplate("reparse", "r1").stdout
    assert said == "r1 python: 1 points of 1 metrics in its log, read by the grammar\n"
    assert values_of(home, "r1", "loss") == [[9, 0.5]]
    reparse(home, "r1", "--pattern", Q)
    assert exported(home) == before, "reading by the first pattern gives what it gave at first"
    assert rebuilt(home) == before
    home.footplate("start", "train", cwd=folder)
    home.wait_ended("r2")
    assert keys_of(home, "r2") == ["loss"]


def test_a_job_of_a_folder_that_is_not_watched_has_the_pattern_too(home: Home, tmp_path: Path) -> None:
    pin(tmp_path / "work", Q)
    home.footplate("start", "train", cwd=tmp_path / "work")
    home.wait_ended("r1")
    assert keys_of(home, "r1") == ["q"]
    home.footplate("retry", "r1")
    home.wait_ended("r2")
    assert keys_of(home, "r2") == ["q"]


def test_a_pattern_is_known_to_a_daemon_that_starts(home: Home, folder: Path) -> None:
    home.end_daemon()
    pin(folder, R)
    home.footplate("projects")
    wait_until(lambda: R in json.dumps(json.loads(project_text(home))["log_pattern"]).replace("\\\\", "\\"))
    home.end_daemon()
    home.python(SCRIPT, working_dir=str(folder))
    home.wait_ended("r2")
    assert keys_of(home, "r2") == ["r"]


def project_text(home: Home) -> str:
    (path,) = glob.glob(f"{home.path}/projects/*/project.json")
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_what_came_from_the_metrics_file_and_by_hand_stays(home: Home, folder: Path) -> None:
    code = (
        "import os\nopen(os.environ['FOOTPLATE_METRICS'], 'w').write('{\"step\": 1, \"r\": 7}')\n"
        "import time; time.sleep(2)\n" + SCRIPT
    )
    home.python(code, working_dir=str(folder))
    home.footplate("log", "r2", "loss=3")
    home.wait_ended("r2")
    home.footplate("metric", "q", "r2", "--goal", "minimize")
    assert keys_of(home, "r2") == ["loss", "q", "r"]
    reparse(home, "r2", "--pattern", "")
    assert (keys_of(home, "r2"), values_of(home, "r2", "loss")) == (["loss", "r"], [[9, 0.5]])
    reparse(home, "r2", "--pattern", R)
    assert (values_of(home, "r2", "loss"), values_of(home, "r2", "r")) == ([[0, 3.0]], [[1, 7.0]])
    after = exported(home)
    assert rebuilt(home) == after


def test_attempts_and_folds_are_those_of_the_first_reading(home: Home) -> None:
    retry = {"retry": {"on": ["failure"], "max": 1, "delay_s": 0}}
    code = "import sys\nfor i in (1, 2, 1, 2): print(f'step={i} loss={i} auc={i}')\nsys.exit(3)"
    home.python(code, options=retry)
    home.wait_ended("r1")
    before = exported(home)
    assert [point[0] for point in json.loads(before)["runs"][0]["metrics"]["loss"]] == [1] * 4 + [2] * 4
    assert reparse(home, "r1")["point_count"] == 16
    assert exported(home) == before
    assert rebuilt(home) == before


def test_what_cannot_be_read_again_is_refused_and_changes_nothing(home: Home, folder: Path) -> None:
    live = home.python("print('step=1 loss=1', flush=True)\nimport time; time.sleep(600)", working_dir=str(folder))
    home.wait_run(live, lambda detail: detail.row.state == "running")

    def refused(*arguments: str) -> str:
        done = home.footplate("reparse", *arguments, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    before = exported(home)
    assert "only runs that have ended can be read again" in refused(live)
    assert "has no named groups" in refused("r1", "--pattern", "loss")
    assert "no run" in refused("r77")
    (folder / "footplate.toml").write_text("[project]\nlog_pattern = '('\n", encoding="utf-8")
    assert "footplate.toml:2: project.log_pattern" in refused("r1")
    home.client().stop(live, "ana")
    home.wait_ended(live)
    log = f"{home.run_dir(home.client().run('r1').row.id)}/output.log"
    with open(log, "r+b") as file:
        size = os.path.getsize(log)
        file.truncate(size + (4 << 20))
    assert "was given up" in refused("r1", "--pattern", Q)
    os.truncate(log, size)
    home.footplate("archive", "r1")
    assert "--restore" in refused("r1")
    home.footplate("archive", "--restore", "r1")
    assert reparse(home, "r1", "--pattern", Q)["point_count"] == 5
    assert json.loads(exported(home))["runs"][0] == json.loads(before)["runs"][0]


def test_a_daemon_that_is_killed_leaves_the_old_points_or_the_new_ones(home: Home, folder: Path) -> None:
    lines = "for i in range(60000): print(f'it {i} >> q {i} / r {i}')"
    home.python(lines, working_dir=str(folder))
    home.wait_ended("r2")
    known = {"q": exported(home)}
    reparse(home, "r2", "--pattern", R)
    home.kill_daemon()
    known["r"] = exported(home)
    assert keys_of(home, "r2") == ["r"]
    assert rebuilt(home) == known["r"]
    pattern = {"q": Q, "r": R}
    for delay_s in (0.2, 0.5, 0.8, 1.2, 1.7, 2.5):
        [now] = keys_of(home, "r2")
        wanted = "q" if now == "r" else "r"
        command = [FOOTPLATE, "reparse", "r2", "--pattern", pattern[wanted]]
        with subprocess.Popen(command, env=home.environment(), stdout=-3, stderr=-3) as client:
            time.sleep(delay_s)
            home.kill_daemon()
            client.wait()
        found = exported(home)
        assert found in known.values(), delay_s
        wait_until(lambda: not glob.glob(f"{home.path}/runs/.new-*"))
    last = exported(home)
    assert rebuilt(home) == last


def test_an_index_from_before_catches_up(home: Home, folder: Path) -> None:
    home.footplate("backup")
    home.end_daemon()
    index = f"{home.path}/index.duckdb"
    shutil.copyfile(index, f"{index}.before")
    reparse(home, "r1", "--pattern", R)
    after = exported(home)
    home.end_daemon()
    os.rename(f"{index}.before", index)
    assert not os.path.exists(f"{index}.wal")
    assert exported(home) == after
    home.end_daemon()
    with open(index, "r+b") as file:
        file.write(b"\0" * 65536)
    assert exported(home) == after
    assert folder.is_dir()
