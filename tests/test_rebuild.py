"""The index can be lost whole: the run directories and the command journal give it back, to the byte."""

from __future__ import annotations

import glob
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from store import journal, recovery
from tests.support import PastRun, wait_until

if TYPE_CHECKING:
    from tests.support import Home

CHATTY = """
import json, os, sys
for step in range(200):
    print(f"epoch={step} loss={1 / (step + 1):.5f} noise={'x' * 500}")
    with open(os.environ["FOOTPLATE_METRICS"], "a") as metrics:
        metrics.write(json.dumps({"step": step, "score": step / 7, "odd": float("nan")}) + "\\n")
sys.stdout.flush()
"""


def delete_index(home: Home, *, backups: bool = True) -> None:
    """Everything that can be rebuilt goes, while no daemon runs."""
    for path in glob.glob(f"{home.path}/index.duckdb*"):
        os.unlink(path)
    if backups:
        shutil.rmtree(f"{home.path}/backup", ignore_errors=True)


def blank_middle(path: str, kept: int = 4096) -> None:
    """What a log over its limit looks like: the middle is a hole."""
    size = os.path.getsize(path)
    assert size > 4 * kept
    with open(path, "r+b") as log:
        log.seek(kept)
        log.write(b"\0" * (size - 2 * kept))


def exported(home: Home) -> str:
    """The whole index as the user exports it, once everything is in it."""
    wait_until(lambda: home.client().get("/store")["catching_up"]["total_count"] == 0)
    return home.footplate("export", "--json").stdout


def populate(home: Home) -> list[str]:
    """Runs of every kind, with what people add to them."""
    chatty = home.python(CHATTY, name="chatty")
    failed = home.python("raise ValueError('no such column')", name="failed")
    retried = home.python(
        "import os, sys; print('step=1 loss=' + os.environ['FOOTPLATE_ATTEMPT']); sys.exit(3)",
        name="retried",
        options={"retry": {"on": ["failure"], "max": 1, "delay_s": 0}},
    )
    stopped = home.python("import time; print('step=1 loss=0.5', flush=True); time.sleep(600)", name="stopped")
    home.wait_run(stopped, lambda detail: bool(detail.metrics))
    home.client().stop(stopped, "ana")
    for run in (chatty, failed, retried, stopped):
        home.wait_ended(run)
    home.footplate("note", chatty, "the one with the good learning rate")
    home.footplate("tag", chatty, failed, "+best", "+paper")
    home.footplate("tag", failed, "-paper")
    home.footplate("pin", retried)
    return [chatty, failed, retried, stopped]


def test_rebuild_gives_a_byte_identical_export(home: Home) -> None:
    chatty, *_ = populate(home)
    before = exported(home)
    assert [run["name"] for run in json.loads(before)["runs"]] == ["chatty", "failed", "retried", "stopped"]
    home.end_daemon()
    blank_middle(f"{home.run_dir(chatty)}/output.log")
    home.footplate("backup")
    home.end_daemon()
    delete_index(home)
    said = home.footplate("rebuild", "--yes").stdout
    assert "4 runs" in said
    assert "1 notes and 3 tags" in said
    assert exported(home) == before
    again = json.loads(home.footplate("rebuild", "--yes", "--json").stdout)
    assert again["counts"]["runs"] == 4
    assert len(again["quarantines"]) >= 1
    assert exported(home) == before


def test_a_rebuild_asks_first(home: Home) -> None:
    refused = home.footplate("rebuild", check=False)
    assert refused.returncode == 1
    assert "--yes" in refused.stderr


def test_a_rebuild_goes_on_around_a_live_run(home: Home) -> None:
    run = home.python("import time\nfor i in range(600):\n print(f'step={i} loss={i}', flush=True)\n time.sleep(0.1)")
    home.wait_run(run, lambda detail: bool(detail.metrics))
    pid = home.client().run(run).pid
    home.footplate("rebuild", "--yes")
    count = home.client().run(run).metrics[0].point_count
    detail = home.wait_run(run, lambda detail: detail.metrics[0].point_count > count + 2)
    assert detail.pid == pid
    assert detail.row.state == "running"
    home.client().stop(run, "ana")
    points = json.loads(exported(home))["runs"][0]["metrics"]["loss"]
    assert [point[1] for point in points] == list(range(len(points)))


def test_many_runs_are_brought_in_while_the_daemon_answers(home: Home) -> None:
    for no in range(1, 201):
        home.write_run(PastRun(no=no, points=[(0, {"loss": 1.0}), (1, {"loss": 0.5})], log=b"step=1 acc=0.5\n"))
    assert home.client().runs(limit=1).total_count == 200
    wait_until(lambda: home.client().get("/store")["catching_up"]["total_count"] == 0)
    facts = home.client().get("/store")
    assert facts["counts"] == {"runs": 200, "points": 600, "notes": 0, "tags": 0}
    assert home.client().status().notice == ""
    assert {row.state for row in home.client().runs(limit=300).rows} == {"finished"}


def test_an_archived_run_comes_back_archived(home: Home) -> None:
    _, _, retried, stopped = populate(home)
    home.footplate("archive", retried, stopped)
    before = exported(home)
    assert [run["archived_at_s"] is not None for run in json.loads(before)["runs"]] == [False, False, True, True]
    home.end_daemon()
    delete_index(home)
    assert exported(home) == before
    home.footplate("rebuild", "--yes")
    assert exported(home) == before
    assert home.client().run(retried).row.pinned


def test_a_copy_on_demand_is_listed(home: Home) -> None:
    home.write_run(PastRun(no=1, points=[(0, {"loss": 1.0})]))
    home.wait_ended(PastRun(no=1).id)
    made = json.loads(home.footplate("backup", "--json").stdout)
    assert [set(copy) for copy in made] == [{"path", "size_bytes", "made_at_s"}]
    assert os.path.getsize(made[0]["path"]) == made[0]["size_bytes"]
    assert "index-" in home.footplate("backup", "--list").stdout


def test_damage_is_told_to_clients_and_the_index_caught_up_from_a_backup(home: Home) -> None:
    populate(home)
    home.footplate("backup")
    late = home.python("print('step=1 late=1')", name="late")
    home.wait_ended(late)
    home.footplate("note", late, "after the backup")
    before = exported(home)
    home.end_daemon()
    with open(f"{home.path}/index.duckdb", "r+b") as index:
        index.write(b"\xff" * 4096)
    assert exported(home) == before
    notice = home.client().status().notice
    assert notice.startswith("the index was damaged (kept in quarantine-")
    assert "put back from index-" in notice
    (folder,) = recovery.quarantines(home.path)
    assert os.path.getsize(f"{home.path}/{folder}/index.duckdb") > 4096


def test_damage_found_while_the_daemon_runs_replaces_the_index(home: Home) -> None:
    for no in range(1, 4):
        home.write_run(PastRun(no=no, points=[(step, {"loss": step / 3}) for step in range(20_000)]))
    home.wait_ended(PastRun(no=3).id)
    before = exported(home)
    home.end_daemon()
    size = os.path.getsize(f"{home.path}/index.duckdb")
    with open(f"{home.path}/index.duckdb", "r+b") as index:
        # Every block but those that opening reads is overwritten in its middle: found only by who reads the points.
        for offset in range(12288 + 131072, size, 262144):
            index.seek(offset)
            index.write(b"\x55" * 64)
    home.client().status()
    pid = home.daemon_pid()
    home.footplate("export", "--json", check=False)
    wait_until(lambda: home.daemon_pid() != pid)
    assert exported(home) == before


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "log", "at_us": "now", "end": 5, "step": 1, "values": {"loss": 1.0}, "carry": {}},
        {"kind": "log", "at_us": 1, "end": 5, "step": 2**80, "values": {"loss": 1.0}, "carry": {}},
        {"kind": "log", "at_us": 1, "end": 5, "step": 1, "values": {"loss": ["a"]}, "carry": {}},
        {"kind": "log", "at_us": 1, "end": 5, "step": 1, "values": [1, 2], "carry": {}},
        {"kind": "log", "at_us": 1, "end": 5, "step": 1, "values": {"loss": 1.0}, "attempt": 10**9, "carry": {}},
        {"kind": "metrics", "at_us": 1, "end": -7, "generation": 0},
        {"kind": "metrics", "at_us": 1, "end": "all", "generation": 0},
        {"kind": "metrics", "at_us": 1, "end": 2**62, "generation": 0},
        {"kind": "metrics"},
        {"kind": "surprise", "x": 1},
        {"kind": ["list"]},
        [1, 2, 3],
        "text",
        None,
    ],
    ids=str,
)
def test_a_line_with_a_right_checksum_and_absurd_content_is_passed_over(home: Home, record: Any) -> None:
    good = PastRun(no=1, points=[(0, {"loss": 1.0})])
    poisoned = PastRun(no=2, points=[(0, {"loss": 2.0})], log=b"step=1 acc=0.5\n")
    home.write_run(good)
    home.write_run(poisoned)
    with open(f"{home.run_dir(poisoned.id)}/derived.jsonl", "wb") as derived:
        derived.write(journal.encode_line({"kind": "header", "format": 1, "run": poisoned.id}))
        derived.write(journal.encode_line(record))
        derived.write(b"torn line without a checksum\n")
    assert home.wait_ended(good.id).metrics[0].last == 1.0
    detail = home.wait_ended(poisoned.id)
    assert {metric.key: metric.last for metric in detail.metrics} == {"acc": 0.5, "loss": 2.0}
    assert detail.skipped_line_count >= 1
    assert home.client().status().notice == ""


@pytest.mark.parametrize(
    "record",
    [
        {"format": 1, "at_s": 1.0, "actor": "ana", "action": "note", "run": 5, "note": [], "text": {}},
        {"format": 1, "at_s": "x", "actor": "ana", "action": "tag", "runs": ["a"], "add": ["b"]},
        {"format": 1, "at_s": 1e308, "actor": 7, "action": "pin", "runs": "all"},
        {"format": 99, "action": "surprise"},
        {"action": None},
        [1],
        7,
    ],
    ids=str,
)
def test_absurd_lines_of_the_command_journal_are_passed_over(home: Home, record: Any) -> None:
    run = home.submit("true")
    home.wait_ended(run)
    home.footplate("note", run, "kept")
    before = exported(home)
    home.end_daemon()
    with open(f"{home.path}/commands.jsonl", "ab") as commands:
        commands.write(journal.encode_line(record))
        commands.write(b"00000000 {torn\n")
    delete_index(home)
    assert exported(home) == before
    assert home.footplate("note", run, "goes on").returncode == 0


def test_every_json_file_of_a_run_directory_has_a_format_number(home: Home) -> None:
    runs = populate(home)
    lost = home.python("import time; time.sleep(600)", name="lost")
    supervisor = home.wait_run(lost, lambda detail: detail.pid is not None).supervisor_pid
    home.end_daemon()
    assert supervisor is not None
    os.kill(supervisor, 9)
    home.client().stop(lost, "ana")
    home.wait_ended(lost)
    seen = set()
    for run in [*runs, lost]:
        for path in glob.glob(f"{home.run_dir(run)}/**", recursive=True):
            if not path.endswith((".json", ".claim")):
                continue
            with open(path, "rb") as file:
                assert isinstance(json.load(file)["format"], int), path
            seen.add(os.path.basename(path))
    assert {"spec.json", "status.json", "stop.json", "attempt-1.json", "attempt-1.claim"} <= seen, seen


def test_export_of_some_runs_and_as_csv(home: Home) -> None:
    home.write_run(PastRun(no=1, points=[(0, {"loss": 1.0}), (1, {"loss": float("inf")})], params={"lr": "0.1"}))
    home.write_run(PastRun(no=2, name='a,"b"\n', points=[(0, {"loss, quoted": float("nan")})]))
    for no in (1, 2):
        home.wait_ended(PastRun(no=no).id)
    one = json.loads(home.footplate("export", "--json", "r2").stdout)["runs"]
    assert [run["no"] for run in one] == [2]
    assert one[0]["metrics"]["loss, quoted"][0][3] == "NaN"
    lines = home.footplate("export", "--csv", "r1").stdout.splitlines()
    assert lines[0] == "run,id,metric,attempt,step,at_us,value,source"
    assert lines[2].split(",")[2:5] + lines[2].split(",")[6:] == ["loss", "1", "1", "inf", "file"]
    assert '"loss, quoted"' in home.footplate("export", "--csv").stdout
    assert home.footplate("export", "--json", "r9", check=False).returncode == 1
    assert home.footplate("export", check=False).returncode == 2


def test_export_to_a_file_appears_whole_and_private(home: Home) -> None:
    home.write_run(PastRun(no=1, points=[(0, {"loss": 1.0})]))
    home.wait_ended(PastRun(no=1).id)
    target = f"{home.path}/out.json"
    home.footplate("export", "--json", "-o", target)
    assert os.stat(target).st_mode & 0o777 == 0o600
    with open(target, encoding="utf-8") as file:
        assert file.read() == exported(home)
    refused = home.footplate("export", "--json", "-o", f"{home.path}/nowhere/out.json", check=False)
    assert refused.returncode == 1
    assert "cannot write" in refused.stderr
