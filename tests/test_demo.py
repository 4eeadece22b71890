"""The main job as the README promises it, the torture in small, and an index that is built anew."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import FOOTPLATE, wait_until
from tests.terminal import Terminal

if TYPE_CHECKING:
    from tests.support import Home

ROOT = Path(__file__).resolve().parent.parent


def test_the_demo_shows_what_happens_to_runs_and_can_be_taken_away(home: Home, tmp_path: Path) -> None:
    environment = home.environment(TMPDIR=str(tmp_path))
    own = tmp_path / "own" / "demo"
    own.mkdir(parents=True)
    home.footplate("run", "--name", "mine", "--", "true", cwd=own)
    assert home.client().run("r1").row.project == "demo"
    done = home.footplate("demo", "--headless", "--json", env=environment, timeout=600)
    rows = [detail["row"] for detail in json.loads(done.stdout)]
    assert len(rows) == 12
    assert {(row["project"], row["sweep"]) for row in rows} == {("demo", "s1")}
    for row in rows[:9]:
        assert (row["state"], row["exit_code"], row["metric"]["key"]) == ("finished", 0, "valid/auc")
        assert 0.7 < row["metric"]["last"] < 1
        assert row["metric"]["point_count"] == 60
        assert row["metric"]["goal_source"] == "manifest"
    diverged, raised, greedy = rows[9:]
    assert (diverged["state"], diverged["exit_code"], diverged["cause_kind"]) == ("finished", 0, "diverged")
    assert (raised["state"], raised["cause"]) == ("failed", "ValueError: 'tenure_month' is not in list")
    assert (greedy["state"], greedy["cause_kind"]) == ("failed", "oom_limit")
    seen = json.loads(home.footplate("runs", "--json").stdout)["rows"]
    old = sorted((row["tracker"], row["state"], row["metric"]["key"]) for row in seen if row["tracker"])
    assert old == [("lightning", "unknown", "valid/loss")] * 3 + [("mlflow", "finished", "valid/auc")] * 4
    pinned = [f"r{row['no']}" for row in rows[:2]]
    home.footplate("pin", *pinned, "r1")
    refuses_pinned_runs(home, environment, pinned)
    with contextlib.closing(Terminal([FOOTPLATE, "demo", "--remove"], environment)) as terminal:
        terminal.read_until(lambda seen: seen.shows("Type demo:"))
        terminal.type("demo\n")
        assert terminal.wait() == 0
        assert terminal.shows("1 of another project of that name stays")
    left = json.loads(home.footplate("runs", "--json").stdout)
    assert [row["name"] for row in left["rows"]] == ["mine"]
    assert left["rows"][0]["pinned"]
    assert [path.name for path in tmp_path.iterdir() if "demo" in path.name] == []
    assert len(os.listdir(os.path.join(home.path, "runs"))) == 1
    assert "demo" not in home.footplate("projects").stdout


def refuses_pinned_runs(home: Home, environment: dict[str, str], labels: list[str]) -> None:
    """Pinned runs are named, and nothing is touched, where nobody can be asked and where a person says no."""
    before = home.footplate("runs", "--json").stdout
    done = home.footplate("demo", "--remove", env=environment, check=False)
    assert done.returncode == 1
    assert all(f"{label} " in done.stderr for label in labels)
    assert "are pinned" in done.stderr
    assert "`footplate demo --remove --yes` lets go of them" in done.stderr
    with contextlib.closing(Terminal([FOOTPLATE, "demo", "--remove"], environment)) as terminal:
        terminal.read_until(lambda seen: seen.shows("Type demo:"))
        terminal.type("no\n")
        assert terminal.wait() == 1
        assert terminal.shows("nothing was removed")
    assert json.loads(home.footplate("runs", "--json").stdout)["rows"] == json.loads(before)["rows"]
    assert "demo" in home.footplate("projects").stdout


def test_a_missing_libgomp_is_one_sentence_in_the_runs_cause(home: Home, tmp_path: Path) -> None:
    sample = tmp_path / "churn"
    shutil.copytree(ROOT / "sample_projects" / "churn", sample)
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')")
    home.footplate("run", "--", sys.executable, "generate.py", "--rows", "400", cwd=sample)
    done = home.footplate(
        *("run", "--", sys.executable, "train.py"),
        cwd=sample,
        env=home.environment(PYTHONPATH=str(fake)),
        check=False,
    )
    assert done.returncode == 4
    detail = home.client().run("r2")
    assert "libgomp1" in detail.evidence
    assert "Traceback" not in done.stdout


def test_the_index_is_built_anew_from_the_run_directories(home: Home) -> None:
    script = "for i in 1 2 3; do echo \"step=$i loss=0.$i\"; echo '{\"acc\": 0.'$i'}' >> $FOOTPLATE_METRICS; done"
    home.footplate("run", "--name", "kept", "--", "sh", "-c", script)
    before = without_clock(home)
    home.client().close()
    home.end_daemon()
    for name in os.listdir(home.path):
        if name.startswith("index.duckdb"):
            os.unlink(os.path.join(home.path, name))
    wait_until(lambda: home.client().run("r1").row.metric is not None)
    wait_until(lambda: without_clock(home) == before)


def without_clock(home: Home) -> list[object]:
    """Everything that can be asked about run 1, without the time of the question."""
    detail = json.loads(home.footplate("show", "r1", "--json").stdout)
    detail.pop("now_s")
    series = [home.client().series("r1", metric["key"], 100) for metric in detail["metrics"]]
    return [detail, series]
