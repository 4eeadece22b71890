"""Metrics as jobs really write them: torn, not finite, taken away. Nothing is lost, doubled or believed."""

from __future__ import annotations

import glob
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from console.client import Client
from tests.odd_output import printed, summary
from tests.support import Home, wait_until

if TYPE_CHECKING:
    from pathlib import Path


class Lines(NamedTuple):
    """What a job writes to its metrics file, and what must become of it."""

    content: bytes
    counts: dict[str, int]
    skipped: int = 0
    example: str = ""


METRICS: dict[str, Lines] = {
    "nothing": Lines(b"", {}),
    "blank lines": Lines(b"\n\n  \n\r\n", {}),
    "not finite": Lines(b'{"a": NaN}\n{"a": Infinity}\n{"a": -Infinity}\n{"a": 1}\n', {"a": 4}),
    "numbers in strings": Lines(b'{"a": "0.5"}\n{"a": "nan"}\n{"a": "1e-3"}\n', {"a": 3}),
    "words": Lines(b'{"a": "good"}\n{"a": 1, "note": "hello"}\n', {"a": 1}, 2, "a"),
    "nested": Lines(b'{"a": {"b": 1, "c": {"d": 2}}}\n', {"a/b": 1, "a/c/d": 1}),
    "arrays": Lines(b'{"a": [1, 2], "b": 1}\n[1, 2]\n', {"b": 1}, 2, "a"),
    "huge ints": Lines(b'{"a": %d, "b": %d, "c": 1}\n' % (10**100, 10**350), {"a": 1, "c": 1}, 1, "b"),
    "ints of 5000 digits": Lines(b'{"a": %s, "c": 1}\n' % (b"9" * 5000), {"c": 1}, 1, "a"),
    "huge steps": Lines(b'{"step": %d, "a": 1}\n{"step": 1e30, "a": 1}\n' % 2**70, {}, 2, "step"),
    "torn in the middle": Lines(b'{"step": 1, "a"\n: 1}\n{"step": 2, "a": 1}\n', {"a": 1}, 2, "step"),
    "torn by the end": Lines(b'{"step": 1, "a": 1}\n{"step": 2, "a": 0.', {"a": 1}, 1, "step"),
    "whole without a last line end": Lines(b'{"step": 1, "a": 1}\n{"step": 2, "a": 2}', {"a": 2}),
    "a line of 10 MB": Lines(b'{"a": 1}\n{"b": "' + b"x" * 10_000_000 + b'"}\n{"a": 2}\n', {"a": 2}, 1, "bytes"),
    "10 MB without a line end": Lines(b'{"a": 1}\n' + b"x" * 10_000_000, {"a": 1}, 1, "bytes"),
    "binary": Lines(bytes(range(256)) * 4 + b'\n{"a": 1}\n', {"a": 1}, 5),
    "NUL bytes of a torn page": Lines(b'{"a": 1}\n' + b"\0" * 4096 + b'\n{"a": 2}\n', {"a": 2}, 1),
    "deep nesting": Lines(b'{"a": ' * 100_000 + b"\n" + b'{"a": 1}\n', {"a": 1}, 1),
    "a byte order mark": Lines(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n', {"a": 2}),
    "keys that are no text": Lines(b'{"\\ud800": 1, "caf\xe9": 2, "": 3, "b\\n": 4}\n', {}, 1),
    "one key twice": Lines(b'{"a": 1, "a": 2}\n', {"a": 1}),
    "30,000 keys": Lines(
        b"{" + b", ".join(b'"k%d": 1' % n for n in range(30_000)) + b'}\n{"a": 1}\n', {"a": 1}, 1, "more than"
    ),
}


def reporting(home: Home, content: bytes, source: Path) -> str:
    """The id of a run that writes this to its metrics file."""
    source.write_bytes(content)
    return home.submit("sh", "-c", 'cat "$0" >> "$FOOTPLATE_METRICS"', str(source))


@pytest.fixture(scope="module")
def metric_runs(shared: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs of every kind of metrics file, all at once."""
    folder = tmp_path_factory.mktemp("metrics")
    return {kind: reporting(shared, lines.content, folder / kind) for kind, lines in METRICS.items()}


@pytest.mark.parametrize("kind", METRICS)
def test_metrics_of_any_kind_are_counted_exactly_and_what_is_left_out_is_told(
    house: Home, metric_runs: dict[str, str], kind: str
) -> None:
    lines = METRICS[kind]
    detail = house.wait_ended(metric_runs[kind])
    assert detail.row.state == "finished"
    counts = {metric.key: metric.point_count for metric in detail.metrics}
    assert {key: counts.get(key) for key in lines.counts} == lines.counts
    assert kind.startswith("keys") or counts.keys() == lines.counts.keys()
    assert detail.skipped_line_count == lines.skipped
    assert lines.example in detail.skipped_example
    assert bool(detail.skipped_example) == bool(lines.skipped)
    assert len(detail.skipped_example) <= 300
    assert "\n" not in detail.skipped_example


def test_values_that_are_not_finite_are_shown_but_never_best(house: Home, tmp_path: Path) -> None:
    content = b'{"loss": 2}\n{"loss": NaN}\n{"loss": -Infinity}\n{"loss": 1}\n{"loss": Infinity}\n'
    detail = house.wait_ended(reporting(house, content, tmp_path / "content"))
    loss = summary(detail, "loss")
    assert (loss.point_count, loss.minimum, loss.maximum, loss.last) == (5, 1.0, 2.0, float("inf"))
    series = house.client().series(detail.row.id, "loss", 10)
    assert (series.point_count, series.not_finite_count) == (5, 3)
    assert series.lasts == (2.0, 1.0)


def go(folder: Path) -> None:
    """Let a job go on that waits for `$0/go`."""
    (folder / "go").touch()


WAIT_FOR_GO = 'while [ ! -e "$0/go" ]; do sleep 0.02; done'

TEN_LINES = 'for i in 0 1 2 3 4 5 6 7 8 9; do echo "{\\"step\\": $i, \\"a\\": 1.000}" >> "$FOOTPLATE_METRICS"; done'
GOOD_RUN = {"argv": ["sh", "-c", TEN_LINES], "working_dir": "/", "project": "test", "actor": "tester"}


def point_count(house: Home, run_id: str, key: str) -> int:
    return {metric.key: metric.point_count for metric in house.client().run(run_id).metrics}.get(key, 0)


def test_a_metrics_line_written_in_two_pieces_counts_once(house: Home, tmp_path: Path) -> None:
    pieces = f"""printf '{{"a": 1}}\\n{{"a": 2, "b"' >> "$FOOTPLATE_METRICS"; {WAIT_FOR_GO}
        printf ': 3}}\\n{{"a": 4}}\\n' >> "$FOOTPLATE_METRICS" """
    run_id = house.submit("sh", "-c", pieces, str(tmp_path))
    wait_until(lambda: point_count(house, run_id, "a") == 1)
    go(tmp_path)
    detail = house.wait_ended(run_id)
    assert {metric.key: metric.point_count for metric in detail.metrics} == {"a": 3, "b": 1}
    assert detail.skipped_line_count == 0


@pytest.mark.parametrize(
    "harm",
    [
        ': > "$FOOTPLATE_METRICS"',
        'rm "$FOOTPLATE_METRICS"',
        ': > "$FOOTPLATE_METRICS"; echo "{\\"a\\": 2}" >> "$FOOTPLATE_METRICS"',
        'rm "$FOOTPLATE_METRICS"; echo "{\\"a\\": 2}" > "$FOOTPLATE_METRICS"',
    ],
    ids=["truncated", "deleted", "written anew", "replaced"],
)
def test_a_metrics_file_taken_away_keeps_its_points_and_is_told(house: Home, tmp_path: Path, harm: str) -> None:
    run_id = house.submit("sh", "-c", f"{TEN_LINES}; {WAIT_FOR_GO}; {harm}; sleep 0.6", str(tmp_path))
    wait_until(lambda: point_count(house, run_id, "a") == 10)
    go(tmp_path)
    detail = house.wait_ended(run_id)
    assert detail.row.state == "finished"
    assert summary(detail, "a").point_count >= 10
    assert detail.skipped_line_count >= 1
    assert "metrics" in detail.skipped_example


@pytest.mark.parametrize(
    "harm",
    ['rm -f "$F"; mkdir "$F"', 'rm -f "$F"; mkfifo "$F"', 'ln -sfn /dev/zero "$F"'],
    ids=["a directory", "a pipe", "a link to endless zeros"],
)
def test_one_run_that_replaces_its_files_harms_no_other(home: Home, harm: str) -> None:
    files = '"$FOOTPLATE_METRICS" "$FOOTPLATE_RUN_DIR/output.log"'
    bad = home.submit("sh", "-c", f"for F in {files}; do {harm}; done; sleep 0.6")
    look = Client()
    try:
        wait_until(lambda: os.path.exists(f"{home.run_dir(bad)}/attempt-1.claim"))
        good = look.submit(GOOD_RUN | {"environment": home.environment()}).id
        wait_until(lambda: look.run(good).row.state == "finished", timeout_s=12)
        assert point_count(home, good, "a") == 10
        wait_until(lambda: look.run(bad).row.state in ("finished", "failed"), timeout_s=12)
    finally:
        look.close()
        home.kill_daemon()  # it may hang in the file: it need not be asked to leave


def test_a_key_in_both_file_and_output_counts_once_and_from_the_file(house: Home, tmp_path: Path) -> None:
    script = f"""for i in 1 2 3 4 5 6 7; do echo "step=$i loss=0.5 acc=0.$i"; done; {WAIT_FOR_GO}
        for i in 1 2 3; do echo "{{\\"step\\": $i, \\"loss\\": 9}}" >> "$FOOTPLATE_METRICS"; done
        for i in 8 9; do echo "step=$i loss=0.5 acc=0.$i"; done"""
    run_id = house.submit("sh", "-c", script, str(tmp_path))
    wait_until(lambda: point_count(house, run_id, "loss") == 7)
    go(tmp_path)
    detail = house.wait_ended(run_id)
    loss = summary(detail, "loss")
    assert (loss.point_count, loss.minimum, loss.maximum, loss.last, loss.last_step) == (3, 9.0, 9.0, 9.0, 3)
    assert house.client().series(run_id, "loss", 100).lasts == (9.0, 9.0, 9.0)
    assert summary(detail, "acc").point_count == 9


def test_a_metric_line_of_the_output_without_a_last_line_end_counts(house: Home, tmp_path: Path) -> None:
    run_id = printed(house, b"\xff\nstep=1 loss=0.5\n\0\nstep=2 loss=0.25", tmp_path)
    assert summary(house.client().run(run_id), "loss").point_count == 2


def everything(home: Home) -> list[Any]:
    """All that the index says, but the clock."""
    client = home.client()
    page = client.get("/runs", {"limit": 100})
    found: list[Any] = [{key: value for key, value in page.items() if key != "now_s"}]
    for row in page["rows"]:
        detail = client.get(f"/runs/{row['id']}")
        found.append({key: value for key, value in detail.items() if key != "now_s"})
        found += [
            client.get(f"/runs/{row['id']}/series", {"key": metric["key"], "bins": 50}) for metric in detail["metrics"]
        ]
    return found


def test_the_index_built_anew_from_the_run_directories_says_the_same(home: Home, tmp_path: Path) -> None:
    for kind in ("not finite", "nested", "torn in the middle", "a line of 10 MB", "binary"):
        reporting(home, METRICS[kind].content, tmp_path / kind)
    script = f"""for i in 1 2 3; do echo "step=$i loss=0.5 auc=0.$i"; done; {WAIT_FOR_GO}; {TEN_LINES}
        echo '{{"loss": 2}}' >> "$FOOTPLATE_METRICS"; echo step=4 loss=1 auc=0.9; exit 3"""
    both = home.submit("sh", "-c", script, str(tmp_path), name="both --lr", project="other")
    wait_until(lambda: point_count(home, both, "loss") == 3)
    go(tmp_path)
    home.submit("no-such-program")
    home.python("raise ValueError('why')")
    home.submit("sh", "-c", "kill -9 $$")
    for row in home.client().runs().rows:
        home.wait_ended(row.id)
    before = everything(home)
    assert len(before) > 10
    pid = home.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: home.daemon_pid() is None)
    for path in glob.glob(f"{home.path}/index.duckdb*"):
        os.unlink(path)
    wait_until(lambda: all(row["ended_at_s"] for row in home.client().get("/runs")["rows"]))
    assert everything(home) == before


def test_a_daemon_killed_while_a_run_writes_reads_every_point_once(home: Home, tmp_path: Path) -> None:
    script = f"""
import os, time
with open(os.environ["FOOTPLATE_METRICS"], "a", buffering=1) as file:
    for step in range(2000):
        print(f"step={{step}} auc=0.5", flush=True)
        file.write('{{"step": %d, "loss": 1}}\\n' % step)
        time.sleep(0.0005)
while not os.path.exists({str(tmp_path)!r} + "/go"):
    time.sleep(0.02)
"""
    run_id = home.submit(sys.executable, "-c", script)
    for _ in range(2):
        wait_until(lambda: point_count(home, run_id, "loss") > 0)
        home.kill_daemon()
    go(tmp_path)
    detail = home.wait_ended(run_id)
    assert (summary(detail, "loss").point_count, summary(detail, "auc").point_count) == (2000, 2000)
