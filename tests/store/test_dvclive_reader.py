from __future__ import annotations

import json
import math
import os
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.readers import dvclive
from store.readers.dvclive import Source, found_in
from store.readers.foreign import UnreadableSourceError

if TYPE_CHECKING:
    from store.readers.foreign import ForeignRun

FIXTURES = Path(__file__).parents[1] / "fixtures" / "dvclive"
TABLE = b"step\tloss\n0\t1.25\n1\t10.75\n2\t100.5\n"


def look(source: Source, follows: bool = True) -> list[ForeignRun]:
    return list(source.look({}, {"."} if follows else set()))


def made(tmp_path: Path, content: bytes = TABLE, name: str = "train/loss") -> tuple[Path, Path]:
    """The folder of DVCLive, and one table in it."""
    folder = tmp_path / "exp" / "dvclive"
    table = folder / "plots" / "metrics" / f"{name}.tsv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_bytes(content)
    return folder, table


def test_what_was_logged_is_read() -> None:
    logged = json.loads((FIXTURES / "logged.json").read_text())["runs"]["digits/dvclive"]
    [run] = look(Source(str(FIXTURES / "digits" / "dvclive")))
    read = {key: list(zip(each.steps, map(repr, each.values), strict=True)) for key, each in run.points.items()}
    assert read == {key: [(step, repr(float(value))) for step, value in each] for key, each in logged.items()}
    assert (run.name, run.tracker, run.said, run.problems, run.from_start) == ("digits", "dvclive", "", [], True)
    assert run.params == {
        "lr": "0.01",
        "model.name": "small",
        "model.layers": "[64, 32]",
        "note": "first line\nsecond: 2\n",
    }
    assert run.metrics["test/f1"][:2] == (0.75, 29)
    assert run.metrics["test/f1"].point_count == 0
    assert run.metrics["train/loss"].point_count == 30
    times = run.points["val/loss"].at_us
    assert sorted(times) == times
    assert len(set(times)) == 3
    assert all(at_us % 1000 == 0 for at_us in times)


def test_found_by_names(tmp_path: Path) -> None:
    folder, _ = made(tmp_path)
    assert found_in(str(folder), [], ["plots"]) == [str(folder)]
    assert found_in("a/dvclive", ["metrics.json"], []) == ["a/dvclive"]
    assert found_in("a/dvclive", ["__init__.py"], ["plots"]) == []
    other = folder.rename(folder.parent / "results")
    assert found_in(str(other), ["metrics.json"], ["plots"]) == [str(other)]
    assert found_in(str(other), [], ["plots"]) == []
    assert look(Source(str(other)))[0].name == "results"


def test_tail_and_new_tables(tmp_path: Path) -> None:
    folder, table = made(tmp_path)
    source = Source(str(folder))
    assert look(source)[0].points["train/loss"].values == [1.25, 10.75, 100.5]
    assert look(source) == []
    with table.open("ab") as file:
        file.write(b"3\t0.5\n4\t0.2")
    made(tmp_path, b"step\tacc\n3\t0.5\n", "acc")
    [run] = look(source)
    assert not run.from_start
    assert {key: (each.steps, each.values) for key, each in run.points.items()} == {
        "train/loss": ([3], [0.5]),
        "acc": ([3], [0.5]),
    }
    made(tmp_path, b"step\tloss\n0\t9\n")
    [run] = look(source)
    assert run.from_start
    assert run.metrics["train/loss"].point_count == run.metrics["acc"].point_count == 1
    table.unlink()
    [run] = look(source)
    assert run.from_start
    assert run.metrics.keys() == {"acc"}


def test_cut_at_every_byte(tmp_path: Path) -> None:
    for length in range(len(TABLE) + 1):
        folder, _ = made(tmp_path, TABLE[:length])
        [run] = look(Source(str(folder)))
        values = [value for each in run.points.values() for value in each.values]
        assert values == [1.25, 10.75, 100.5][: len(values)]
        assert run.problems == []


def test_summary_cut_at_every_byte_keeps_what_it_held(tmp_path: Path) -> None:
    folder, _ = made(tmp_path)
    whole = b'{"train": {"loss": 7}, "test": {"f1": 0.75, "up": "inf"}, "step": 12}'
    (folder / "metrics.json").write_bytes(whole)
    source = Source(str(folder))
    assert look(source)[0].metrics["test/f1"][:2] == (0.75, 12)
    for length in range(len(whole)):
        (folder / "metrics.json").write_bytes(whole[:length])
        for run in look(source):
            assert run.metrics["test/f1"].last == 0.75
            assert run.metrics["test/up"].last == math.inf
            assert run.metrics["train/loss"].last == 100.5
        for run in look(Source(str(folder))):
            assert run.metrics.keys() == {"train/loss"}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[[[", b'{"a": [1], "b": true, "c": null, "d": "x", "\\ud800": 1e999}']
)
def test_foreign_summaries(tmp_path: Path, content: bytes) -> None:
    folder, _ = made(tmp_path)
    (folder / "metrics.json").write_bytes(content)
    (folder / "params.yaml").write_bytes(b"- 1\n- 2\n")
    [run] = look(Source(str(folder)))
    assert set(run.metrics) <= {"train/loss", "?"}
    assert run.params == {}


def test_foreign_tables(tmp_path: Path) -> None:
    made(tmp_path, b"loss\n0.5\n0.25\n", "a/loss")
    made(tmp_path, b"step\n1\n", "empty")
    made(tmp_path, b"timestamp\tstep\tx\nsoon\t1\t5\n-3\t2\ttrue\n1\t3\n\0\xff\t4\t6\n", "x")
    made(tmp_path, b"step\tstep\n1\t5\n", "step")
    folder, _ = made(tmp_path)
    (folder / "plots" / "metrics" / "link.tsv").symlink_to("/dev/zero")
    os.mkfifo(folder / "plots" / "metrics" / "pipe.tsv")
    [run] = look(Source(str(folder)))
    assert run.points["a/loss"][::2] == ([0, 1], [0.5, 0.25])
    assert run.points["x"][::2] == ([1, 4], [5.0, 6.0])
    assert run.points.keys() <= {"a/loss", "x", "train/loss", "step"}
    assert len(run.problems) == 1


@given(st.binary(max_size=200) | st.text(alphabet='step\t"\n\r1.e-_\0', max_size=80).map(str.encode))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise(tmp_path: Path, content: bytes) -> None:
    folder, _ = made(tmp_path, content)
    (folder / "metrics.json").write_bytes(content)
    (folder / "params.yaml").write_bytes(content)
    for run in look(Source(str(folder))):
        json.dumps([run.params, run.problems, list(run.metrics)], ensure_ascii=False).encode()


def test_known_and_followed_later(tmp_path: Path) -> None:
    folder, _ = made(tmp_path)
    source = Source(str(folder))
    [run] = look(source, follows=False)
    assert run.points == {}
    assert list(Source(str(folder)).look({".": run.signature}, set())) == []
    [run] = look(source)
    assert (run.from_start, run.points["train/loss"].steps) == (True, [0, 1, 2])


def test_many_points_come_in_parts_and_a_look_may_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvclive, "POINTS_AT_ONCE", 1000)
    folder, table = made(tmp_path, b"step\tloss\n" + b"".join(b"%d\t0.5\n" % n for n in range(100_000)))
    source = Source(str(folder))
    assert next(iter(source.look({}, {"."}))).from_start
    runs = source.look({}, {"."})
    first = next(runs)
    assert first.from_start
    shutil.rmtree(table.parent)
    rest = list(runs)
    assert [run.from_start for run in rest] == [False] * len(rest)
    assert rest[-1].metrics["train/loss"].point_count == 100_000


def test_sparse_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    folder, table = made(tmp_path)
    os.truncate(table, 2 << 30)
    (folder / "metrics.json").touch()
    os.truncate(folder / "metrics.json", 2 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [run] = look(Source(str(folder)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert run.metrics["train/loss"].point_count == 3
    assert run.problems == ["metrics.json has more than 8 MiB"]


def test_gone(tmp_path: Path) -> None:
    folder, _ = made(tmp_path)
    source = Source(str(folder))
    look(source)
    shutil.rmtree(folder)
    with pytest.raises(UnreadableSourceError, match="expected one with"):
        look(source)
    folder.mkdir()
    assert look(source) == []
