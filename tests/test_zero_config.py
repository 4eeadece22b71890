"""What footplate makes of runs without any configuration, through the real daemon: params, folds, pins, by hand."""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.client import DaemonRefused
from tests.support import wait_until

if TYPE_CHECKING:
    from tests.support import Home

FOLDS = """
for fold in range(5):
    for step in range(3):
        print(f"step={step} valid/auc={0.80 + fold / 1000 + step / 100:.3f} train/loss={1 / (step + 1):.3f}")
"""


def export_of(home: Home) -> str:
    wait_until(lambda: home.client().get("/store")["catching_up"]["total_count"] == 0)
    return home.footplate("export", "--json").stdout


def rebuilt(home: Home) -> None:
    home.end_daemon()
    for path in glob.glob(f"{home.path}/index.duckdb*"):
        os.unlink(path)
    shutil.rmtree(f"{home.path}/backup", ignore_errors=True)


def test_folds_are_shown_with_their_spread_and_survive_a_rebuild(home: Home) -> None:
    run = home.python(FOLDS, name="cv")
    home.wait_ended(run)
    for _ in range(2):
        detail = home.client().run(run)
        metric = detail.row.metric
        assert metric is not None
        assert (metric.key, metric.goal, metric.goal_source) == ("valid/auc", "maximize", "guessed")
        assert metric.folds is not None
        assert [round(best or 0, 3) for best in metric.folds.bests] == [0.82, 0.821, 0.822, 0.823, 0.824]
        assert (round(metric.folds.mean or 0, 4), round(metric.folds.sd or 0, 5)) == (0.822, 0.00158)
        shown = home.footplate("show", run).stdout
        assert "CV valid/auc 0.8220 ± 0.0016 over 5 folds (0.82 0.821" in shown
        assert "valid/auc ↑ guessed" in home.footplate("runs").stdout
        assert "0.8220 ± 0.0016" in home.footplate("runs").stdout
        assert home.client().series(run, "valid/auc", 50, 2).lasts[-1] == 0.821
        before = export_of(home)
        rebuilt(home)
        assert export_of(home) == before


def test_a_pin_holds_for_runs_that_have_the_metric_and_for_those_that_come(home: Home) -> None:
    def keys() -> dict[str, tuple[str, str, str]]:
        rows = home.client().runs().rows
        return {row.name: (row.metric.key, row.metric.goal, row.metric.goal_source) for row in rows if row.metric}

    first = home.python("print('step=1 val_acc=0.5 val_loss=2')", name="first")
    other = home.python("print('step=1 val_acc=0.5')", name="other")
    for run in (first, other):
        home.wait_ended(run)
    project = home.client().run(first).row.project
    assert keys() == dict.fromkeys(("first", "other"), ("val_acc", "maximize", "guessed"))
    said = home.footplate("metric", "val_loss", first).stdout
    assert said == f"{project}: val_loss ↓, for 1 of 2 runs and those to come\n"
    later = home.python("print('step=1 val_acc=0.5 val_loss=2')", name="later")
    home.wait_ended(later)
    expected = {
        "first": ("val_loss", "minimize", "pinned"),
        "other": ("val_acc", "maximize", "guessed"),
        "later": ("val_loss", "minimize", "pinned"),
    }
    assert keys() == expected
    assert home.client().run(first).metrics[0].goal_source == "pinned"
    rebuilt(home)
    export_of(home)
    assert keys() == expected
    home.footplate("metric", "val_loss", "--goal", "maximize", "--project", project)
    assert keys()["later"] == ("val_loss", "maximize", "pinned")
    assert json.loads(home.footplate("metric", "--unpin", later, "--json").stdout)["source"] == "guessed"
    assert set(keys().values()) == {("val_acc", "maximize", "guessed")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("metric", "nope", "r1"), "no run of"),
        (("metric", "loss", "--project", "nowhere"), "no run of a project 'nowhere'"),
        (("metric",), "name a metric, or give --unpin"),
        (("metric", "loss", "r9"), "no run 'r9'"),
        (("log", "r1", "lb"), "'lb' is not KEY=NUMBER"),
        (("log", "r1", "=3"), "'=3' is not KEY=NUMBER"),
        (("log", "r1", "lb=good"), "the value of lb is not a number: 'good'"),
        (("log", "r1", "lb=nan"), "the value of lb is not a finite number"),
        (("log", "r9", "lb=1"), "no run 'r9'"),
        (("log", "r1", "loss=1"), "r1 reports 'loss' itself"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
def test_what_cannot_be_pinned_or_added_is_refused(home: Home, words: tuple[str, ...], said: str) -> None:
    home.wait_ended(home.python("print('step=1 loss=0.5')"))
    refused = home.footplate(*words, check=False)
    assert refused.returncode in (1, 2)
    assert said in refused.stderr
    assert [metric.key for metric in home.client().run("r1").metrics] == ["loss"]


def test_a_metric_by_hand_is_marked_counts_once_and_comes_back(home: Home) -> None:
    run = home.python("print('step=1 loss=0.5')")
    home.wait_ended(run)
    assert "lb ↑" not in home.footplate("log", run, "lb=0.8041", "public=0.79").stdout
    home.footplate("log", run, "lb=0.81")
    home.footplate("log", run, "lb=0.8", "--step", "7")
    asked = {"runs": [run], "values": {"once": 1.5}, "step": None, "request": "0" * 26}
    for _ in range(2):
        home.client().post("/metrics", asked)
    for _ in range(2):
        detail = home.client().run(run)
        found = {each.key: (each.last, each.last_step, each.point_count, each.by_hand) for each in detail.metrics}
        assert found == {
            "loss": (0.5, 1, 1, False),
            "lb": (0.8, 7, 3, True),
            "public": (0.79, 0, 1, True),
            "once": (1.5, 0, 1, True),
        }
        assert detail.row.metric is not None
        assert detail.row.metric.key == "loss"
        assert "lb  by hand" in home.footplate("show", run).stdout
        before = export_of(home)
        assert [point[1::2] for point in json.loads(before)["runs"][0]["metrics"]["lb"]] == [
            [0, 0.8041],
            [1, 0.81],
            [7, 0.8],
        ]
        rebuilt(home)
        assert export_of(home) == before


def test_what_a_run_reports_later_goes_before_what_was_added(home: Home) -> None:
    run = home.python(
        "import time, os\nwhile not os.path.exists('go'): time.sleep(0.05)\nprint('step=3 lb=0.5', flush=True)",
        working_dir=str(home.path),
    )
    home.wait_run(run, lambda detail: detail.row.state == "running")
    home.footplate("log", run, "lb=0.9")
    Path(home.path, "go").touch()
    home.wait_ended(run)
    for _ in range(2):
        (metric,) = home.client().run(run).metrics
        assert (metric.last, metric.point_count, metric.by_hand) == (0.5, 1, False)
        rebuilt(home)
        export_of(home)
    with pytest.raises(DaemonRefused, match="itself"):
        home.client().post_known("/metrics", {"runs": [run], "values": {"lb": 1.0}})


def script_run(home: Home, folder: Path, text: str, *words: str) -> str:
    (folder / "train.py").write_text(text, encoding="utf-8")
    run = home.footplate("run", "-d", "--json", "--", sys.executable, "train.py", *words, cwd=folder).stdout
    found = str(json.loads(run)["id"])
    home.wait_ended(found)
    run_dir = home.run_dir(found)
    wait_until(lambda: os.path.exists(f"{run_dir}/code/params.json"))
    return found


def test_params_come_from_a_config_file_and_from_hydra(home: Home, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("model: {depth: 4, name: tiny}\nlr: 0.1\n", encoding="utf-8")
    os.mkfifo(tmp_path / "other.yaml")
    configured = script_run(home, tmp_path, "pass", "--config", "base.yaml", "--lr", "0.3", "other.yaml")
    expected = {"model.depth": "4", "model.name": "tiny", "lr": "0.3", "config": "base.yaml"}
    wait_until(lambda: home.client().run(configured).row.params == expected)
    assert home.client().run(configured).row.param_sources == dict.fromkeys(("model.depth", "model.name"), "base.yaml")
    shown = home.footplate("show", configured).stdout
    assert "config=base.yaml  lr=0.3\n           base.yaml: model.depth=4  model.name=tiny" in shown
    hydra = """
import os
os.makedirs("outputs/2026-11-24/12-00-00/.hydra")
open("outputs/2026-11-24/12-00-00/.hydra/overrides.yaml", "w").write("- optimizer.lr=0.5\\n")
open("outputs/2026-11-24/12-00-00/.hydra/config.yaml", "w").write("optimizer: {lr: 0.5, name: adam}\\nseed: 1\\n")
"""
    composed = script_run(home, tmp_path, hydra, "optimizer.lr=0.5")
    params = {"optimizer.lr": "0.5", "optimizer.name": "adam", "seed": "1"}
    wait_until(lambda: home.client().run(composed).row.params == params)
    assert home.client().run(composed).row.param_sources == dict.fromkeys(("optimizer.name", "seed"), ".hydra")
    assert [row.label for row in home.client().runs(text="optimizer.name=adam").rows] == ["r2"]
    before = export_of(home)
    rebuilt(home)
    assert export_of(home) == before
    assert home.client().run(composed).row.params == params


def test_where_no_params_differ_changed_literals_of_the_script_stand_in(home: Home, tmp_path: Path) -> None:
    text = "params = {{'num_leaves': {leaves}}}\nlr = 0.1\nprint('step=1 auc=0.5')\n"
    runs = [script_run(home, tmp_path, text.format(leaves=leaves)) for leaves in (31, 63)]

    def params() -> list[dict[str, str]]:
        return [home.client().run(run).row.params for run in runs]

    wait_until(lambda: params() == [{"num_leaves": "31"}, {"num_leaves": "63"}])
    assert home.client().run(runs[1]).row.param_sources == {"num_leaves": "train.py:1"}
    assert "num_leaves=63 (train.py:1)" in home.footplate("show", runs[1]).stdout
    rebuilt(home)
    export_of(home)
    assert params() == [{"num_leaves": "31"}, {"num_leaves": "63"}]
    script_run(home, tmp_path, text.format(leaves=31), "--lr", "1")
    wait_until(lambda: params() == [{}, {}])
