"""`footplate du` and `gc`: real blocks, a dry run that says what is then done, and what is never touched."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from console.daemon import budget
from store import archive, disk_use, paths
from tests.support import PastRun, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

MIB = 1 << 20
LOG = 4 * MIB


def write_runs(home: Home, count: int = 3) -> list[PastRun]:
    """Ended runs with logs of 4 MiB, the oldest first, all in the index."""
    runs = [
        PastRun(
            number,
            name=f"train-{number}",
            points=[(1, {"loss": 0.5})],
            log=os.urandom(LOG),
            started_at_s=1_760_000_000.0 + 1000 * number,
        )
        for number in range(1, count + 1)
    ]
    for run in runs:
        home.write_run(run)
    for run in runs:
        home.wait_run(run.id, lambda detail: detail.row.state == "finished" and detail.row.metric is not None)
    return runs


def du(home: Home, *arguments: str) -> Any:
    """What `footplate du --json` prints."""
    return json.loads(home.footplate("du", "--json", *arguments).stdout)


def gc(home: Home, budget_bytes: int, *arguments: str) -> Any:
    """What `footplate gc --json` prints."""
    return json.loads(home.footplate("gc", "--budget", str(budget_bytes), "--json", *arguments, check=False).stdout)


def logs_by_size(home: Home, runs: list[PastRun]) -> list[int]:
    """Blocks of each log in KiB."""
    return [os.stat(f"{home.run_dir(run.id)}/output.log").st_blocks // 2 for run in runs]


def test_sizes_are_those_of_the_disk_and_shared_files_count_once(home: Home) -> None:
    runs = write_runs(home)
    first = home.run_dir(runs[0].id)
    os.mkdir(f"{first}/code")
    for name in ("one", "two"):
        if name == "one":
            with open(f"{first}/code/one", "wb") as file:
                file.write(os.urandom(MIB))
        else:
            os.link(f"{first}/code/one", f"{first}/code/two")
    os.link(f"{first}/code/one", f"{home.run_dir(runs[1].id)}/same")
    with open(f"{first}/hole", "wb") as file:
        file.truncate(1 << 40)
    os.symlink("/", f"{first}/everything")
    os.makedirs(os.path.join(home.path, "runs", "stranger"))
    found = du(home, "--sort", "no")
    assert [run["name"] for run in found["runs"]] == ["train-1", "train-2", "train-3"]
    assert [run["log_bytes"] for run in found["runs"]] == [LOG] * 3
    assert MIB <= found["runs"][0]["code_bytes"] < MIB + 65536
    assert found["runs"][0]["other_bytes"] < 65536
    assert found["runs"][1]["other_bytes"] < 65536, "counted with the first that has it"
    assert [each["id"] for each in found["not_in_index"]] == ["stranger"]
    assert found["projects"][0]["run_count"] == 3
    assert found["total_bytes"] == sum(run["total_bytes"] for run in found["runs"]) + sum(
        each["total_bytes"] for each in found["not_in_index"]
    ) + sum(found["shared"].values())
    assert {"index_bytes", "journal_bytes"} <= found["shared"].keys()
    printed = home.footplate("du", "--top", "1").stdout
    assert "2 more runs" in printed
    assert "free on its file system" in printed


def test_a_dry_run_changes_nothing_and_says_what_is_then_done(home: Home) -> None:
    runs = write_runs(home)
    used = du(home)["total_bytes"]
    before = logs_by_size(home, runs)
    plan = gc(home, used - 5 * MIB)
    assert [(step["kind"], step["target"]) for step in plan["steps"]] == [("log", runs[0].id), ("log", runs[1].id)]
    assert logs_by_size(home, runs) == before
    done = gc(home, used - 5 * MIB, "--yes")
    assert [(step["kind"], step["target"]) for step in done["steps"]] == [
        (result["kind"], result["target"]) for result in done["results"]
    ]
    assert done["steps"] == plan["steps"]
    assert [result["freed_bytes"] for result in done["results"]] == [step["frees_bytes"] for step in plan["steps"]]
    assert logs_by_size(home, runs) == [512, 512, 4096]
    assert du(home)["total_bytes"] <= used - 5 * MIB
    assert gc(home, used - 5 * MIB, "--yes")["steps"] == [], "nothing is left to do"
    assert home.client().run("r1").row.metric is not None
    with open(f"{home.run_dir(runs[0].id)}/output.log", "rb") as file:
        kept = file.read()
    assert len(kept) == LOG
    assert kept[: 256 << 10] == runs[0].log[: 256 << 10]
    assert kept[-(256 << 10) :] == runs[0].log[-(256 << 10) :]


def test_pinned_and_live_runs_stay_and_metrics_go_only_when_asked(home: Home) -> None:
    runs = write_runs(home)
    home.footplate("pin", "r1")
    live = home.client().run(home.submit("sh", "-c", "head -c 3000000 /dev/zero; exec sleep 60")).row
    log = f"{home.run_dir(live.id)}/output.log"
    wait_until(lambda: os.path.exists(log) and os.stat(log).st_size >= 3_000_000)
    done = gc(home, 0, "--yes")
    assert {step["target"] for step in done["steps"] if step["kind"] not in ("blobs", "leftovers")} == {
        runs[1].id,
        runs[2].id,
    }
    assert done["after_bytes"] > 0
    words = " ".join(each["words"] for each in done["unreachable"])
    assert "1 pinned runs" in words
    assert "1 runs that have not ended" in words
    assert "--including-metrics" in words
    assert [home.client().run(run.id).row.archived for run in runs] == [False, True, True]
    assert home.client().run("r2").row.metric is not None
    gc(home, 0, "--yes", "--including-metrics")
    left = {row.name for row in home.client().runs().rows}
    assert left == {"train-1", live.name}
    assert os.stat(f"{home.run_dir(runs[0].id)}/output.log").st_blocks * 512 == LOG
    assert os.listdir(archive.folder(home.path)) == []
    home.footplate("stop", live.label)


def test_a_step_that_may_not_be_done_any_more_is_said_and_the_rest_goes_on(home: Home) -> None:
    runs = write_runs(home)
    os.link(f"{home.run_dir(runs[0].id)}/output.log", f"{home.path}/../kept-elsewhere")
    done = home.footplate("gc", "--budget", "0", "--yes", "--json", check=False)
    assert done.returncode == 1
    results = json.loads(done.stdout)["results"]
    (failed,) = [result for result in results if "error" in result]
    assert (failed["kind"], failed["target"]) == ("log", runs[0].id)
    assert "second name" in done.stderr
    assert [home.client().run(run.id).row.archived for run in runs] == [True] * 3


def test_a_daemon_killed_between_steps_leaves_a_sound_state_to_go_on_from(home: Home) -> None:
    runs = write_runs(home, 6)
    before = [json.loads(home.footplate("show", run.id, "--json").stdout)["metrics"] for run in runs]
    client = home.client()
    for position, step in enumerate(gc(home, 0)["steps"]):
        client.post("/chores", {"chore": "gc_step", "kind": step["kind"], "target": step["target"]})
        if position % 3 == 2:
            client.close()
            home.kill_daemon()
            client.status()
    gc(home, 0, "--yes")
    assert gc(home, 0)["steps"] == []
    assert [json.loads(home.footplate("show", run.id, "--json").stdout)["metrics"] for run in runs] == before
    for run in runs:
        home.footplate("archive", "--restore", run.id)
        with open(f"{home.run_dir(run.id)}/output.log", "rb") as file:
            assert file.read(256 << 10) == run.log[: 256 << 10]


def test_captured_code_goes_when_no_run_refers_to_it(home: Home, tmp_path: Path) -> None:
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "train.py").write_text(f"print('{name}')\n")
        home.footplate("run", "--name", name, "--", "python3", "train.py", cwd=folder)
    blobs = os.path.join(home.path, "blobs")

    def kept() -> set[str]:
        return {name for _, _, names in os.walk(blobs) for name in names}

    wait_until(lambda: len(kept()) >= 2)
    before = kept()
    home.footplate("delete", "r1", "--yes")
    assert kept() == before
    home.footplate("archive", "r2")
    steps = [step["kind"] for step in gc(home, 0, "--yes")["steps"]]
    assert "blobs" in steps
    assert len(kept()) == len(before) - 1
    assert "blobs" not in [step["kind"] for step in gc(home, 0)["steps"]]


def test_measuring_many_runs_keeps_the_daemon_answering(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    home.client().status()
    for number in range(1, 1500):
        folder = home.run_dir(PastRun(number).id)
        os.mkdir(folder)
        with open(f"{folder}/output.log", "wb") as file:
            file.write(b"x")
    client = home.client()
    name = client.post("/chores", {"chore": "disk_use"})["id"]
    answered = 0
    while not client.get(f"/chores/{name}")["over"]:
        answered += 1
        client.status()
    found = client.get(f"/chores/{name}")["result"]
    assert len(found["not_in_index"]) == 1499
    assert found["runs"] == []


@pytest.mark.parametrize("text", ["", "many", "-1", "5 parsecs"])
def test_a_budget_that_is_no_size_is_a_usage_error(home: Home, text: str) -> None:
    done = home.footplate("gc", f"--budget={text}", check=False)
    assert done.returncode == 2
    assert "write 500MB, 2GB or 2GiB" in done.stderr


def test_the_order_of_a_plan() -> None:
    use = disk_use.HomeUse(
        runs={
            name: disk_use.RunUse(log=10 * MIB, derived=MIB, code=3 * MIB, other=MIB) for name in ("new", "old", "kept")
        },
        shared={"index": MIB, "leftovers": MIB},
    )
    facts = [
        budget.RunFacts("new", 2, "b", "p", "finished", pinned=False, ended_at_s=20.0, archived=False),
        budget.RunFacts("old", 1, "a", "p", "failed", pinned=False, ended_at_s=10.0, archived=False),
        budget.RunFacts("kept", 3, "c", "p", "finished", pinned=True, ended_at_s=1.0, archived=False),
    ]
    expendable = {"quarantine-20260101T000000Z": 2 * MIB}
    plan = budget.make_plan(use, facts, 0, expendable, unused_blobs=5, including_metrics=True)
    assert [(step.kind, step.target) for step in plan.steps] == [
        ("leftovers", ""),
        ("expendable", "quarantine-20260101T000000Z"),
        ("blobs", ""),
        ("log", "old"),
        ("log", "new"),
        ("archive", "old"),
        ("archive", "new"),
        ("code", "old"),
        ("code", "new"),
        ("delete", "old"),
        ("delete", "new"),
    ]
    enough = budget.make_plan(use, facts, use.total - 4 * MIB, expendable, unused_blobs=5, including_metrics=True)
    assert [step.kind for step in enough.steps] == ["leftovers", "expendable", "blobs", "log"]
    assert enough.unreachable == ()
