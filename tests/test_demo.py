"""The main job as the README promises it, the torture in small, and what the docs say against what the program does."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from console.__main__ import COMMANDS
from tests import torture
from tests.support import wait_until

if TYPE_CHECKING:
    from tests.support import Home

ROOT = Path(__file__).resolve().parent.parent


def test_the_demo_ends_with_three_runs_one_of_them_failed_and_can_be_taken_away(home: Home, tmp_path: Path) -> None:
    environment = home.environment(TMPDIR=str(tmp_path))
    home.footplate("run", "--name", "mine", "--", "true")
    done = home.footplate("demo", "--headless", "--json", env=environment)
    rows = [detail["row"] for detail in json.loads(done.stdout)]
    assert [(row["state"], row["exit_code"]) for row in rows] == [("finished", 0), ("finished", 0), ("failed", 3)]
    assert {row["project"] for row in rows} == {"demo"}
    assert rows[0]["metric"]["key"] == "valid/auc"
    assert 0.7 < rows[0]["metric"]["last"] < 1
    assert rows[0]["metric"]["point_count"] == 60
    assert rows[0]["params"] == {"lr": "0.1", "leaves": "31"}
    assert "december.parquet" in json.loads(home.footplate("show", "r4", "--json").stdout)["evidence"]
    home.footplate("demo", "--remove", env=environment)
    left = json.loads(home.footplate("runs", "--json").stdout)
    assert [row["name"] for row in left["rows"]] == ["mine"]
    assert [path.name for path in tmp_path.iterdir() if "demo" in path.name] == []
    assert len(os.listdir(os.path.join(home.path, "runs"))) == 1


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


def test_a_few_kills_lose_double_and_misjudge_nothing(home: Home, tmp_path: Path) -> None:
    findings = torture.torture(home, tmp_path, kills=3, seed=1)
    assert findings.sound, findings
    assert findings.steps > 50


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


def test_every_option_is_documented_and_every_documented_command_exists(home: Home) -> None:
    documented = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
    for name in COMMANDS:
        assert f"footplate {name}" in documented
    for option in re.findall(r"--[a-z-]+", home.footplate("run", "--help").stdout):
        assert option in documented or option == "--help", option
    for name in re.findall(r"(?:^|`)footplate ([a-z]+)", documented, re.MULTILINE):
        assert name in COMMANDS, name


def test_the_readme_has_the_two_commands_and_its_pictures() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install uv && uv run footplate demo" in text
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("uv run just check")
    assert "uv run just check" in text
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / path).exists(), path
