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

from store.readers import gathered, lightning_csv
from store.readers.foreign import UnreadableSourceError
from store.readers.lightning_csv import Source, found_in
from store.readers.plain_params import ParamsError, flattened, load_yaml

if TYPE_CHECKING:
    from store.readers.foreign import ForeignRun

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lightning"
BOMB = "a: &a [1]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
TABLE = b'epoch,"loss, ""train""",step\r\n0,1.25,0\r\n0,,1\r\n1,10.75,2\r\n'


def look(source: Source, follows: bool = True) -> list[ForeignRun]:
    return list(source.look({}, {"."} if follows else set()))


def made(tmp_path: Path, content: bytes = TABLE) -> Path:
    folder = tmp_path / "logs" / "exp" / "version_3"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", ["logs/digits/version_0", "lightning_logs/version_0"])
def test_what_was_logged_is_read(name: str) -> None:
    logged = json.loads((FIXTURES / "logged.json").read_text())["runs"][name]
    [run] = look(Source(str(FIXTURES / name)))
    read = {key: list(zip(each.steps, map(repr, each.values), strict=True)) for key, each in run.points.items()}
    assert read == {key: [(step, repr(float(value))) for step, value in each] for key, each in logged.items()}
    assert run.problems == []
    assert run.from_start
    assert {key: each.point_count for key, each in run.metrics.items()} == {k: len(each) for k, each in logged.items()}


def test_names_and_params() -> None:
    [run] = look(Source(str(FIXTURES / "logs/digits/version_0")))
    assert (run.name, run.group, run.said, run.tracker) == ("digits/version_0", "logs", "", "lightning")
    assert run.params == {
        "lr": "0.001",
        "batch_size": "32",
        "betas": "[0.9, 0.999]",
        "model.name": "small",
        "model.dropout": "null",
        "model.layers": "[64, 64]",
        "data": "pathlib.PurePosixPath(data, train)",
        "prompt": "first line\nsecond line: 1\n",
        "shuffle": "true",
    }
    [diverged] = look(Source(str(FIXTURES / "lightning_logs/version_0")))
    assert (diverged.name, diverged.group) == ("lightning_logs/version_0", "lightning_logs")
    assert math.isnan(diverged.metrics["loss"].last)
    assert diverged.metrics["loss"].maximum == 3.0


def test_found_by_names() -> None:
    assert found_in("a/version_0", ["metrics.csv"], []) == ["a/version_0"]
    assert found_in("a/b", ["metrics.csv", "hparams.yaml"], []) == ["a/b"]
    assert found_in("a/b", ["metrics.csv"], []) == []
    assert found_in("a/version_0", ["hparams.yaml"], []) == []


def test_tail_and_new_header(tmp_path: Path) -> None:
    folder = made(tmp_path)
    source = Source(str(folder))
    assert look(source)[0].points['loss, "train"'].steps == [0, 2]
    assert look(source) == []
    with (folder / "metrics.csv").open("ab") as file:
        file.write(b"1,3.5,3\r\n1,4")
    [run] = look(source)
    assert not run.from_start
    assert run.points['loss, "train"'][::2] == ([3], [3.5])
    (folder / "metrics.csv").write_bytes(b"acc,epoch,step\r\n,0,0\r\n0.5,0,1\r\n" + b"0.5,0,1\r\n" * 50)
    [run] = look(source)
    assert run.from_start
    assert run.metrics.keys() == {"acc"}
    assert run.metrics["acc"].point_count == 51
    (folder / "metrics.csv").write_bytes(b"")
    assert look(source) == []
    (folder / "metrics.csv").write_bytes(b"acc,epoch,step\r\n0.25,0,0\r\n")
    [run] = look(source)
    assert (run.from_start, run.metrics["acc"].last, run.metrics["acc"].point_count) == (True, 0.25, 1)


def test_replaced_by_another_of_the_same_header(tmp_path: Path) -> None:
    folder = made(tmp_path, b"loss,step\n" + b"".join(b"%d.5,%d\n" % (n, n) for n in range(100)))
    source = Source(str(folder))
    look(source)
    (folder / "metrics.csv").write_bytes(b"loss,step\n" + b"".join(b"%d.7,%d\n" % (n, n) for n in range(200)))
    [run] = look(source)
    assert run.from_start
    assert run.metrics["loss"].point_count == 200
    assert run.metrics["loss"].minimum == 0.7


def test_known_and_followed_later(tmp_path: Path) -> None:
    folder = str(made(tmp_path))
    [run] = look(Source(folder), follows=False)
    assert run.points == {}
    assert list(Source(folder).look({".": run.signature}, set())) == []
    source = Source(folder)
    assert list(source.look({".": run.signature}, set())) == []
    [again] = list(source.look({".": run.signature}, {"."}))
    assert again.from_start
    assert len(again.points) == 1


def test_many_points_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning_csv, "POINTS_AT_ONCE", 1000)
    folder = made(tmp_path, b"loss,step\n" + b"".join(b"0.5,%d\n" % n for n in range(100_000)))
    runs = look(Source(str(folder)))
    assert [run.from_start for run in runs] == [True] + [False] * (len(runs) - 1)
    assert [step for run in runs for each in run.points.values() for step in each.steps] == list(range(100_000))
    assert len(runs) > 2
    assert gathered.POINTS_AT_ONCE > 1000


def test_cut_at_every_byte(tmp_path: Path) -> None:
    for length in range(len(TABLE) + 1):
        [run] = look(Source(str(made(tmp_path, TABLE[:length]))))
        assert run.problems == []
        values = [value for each in run.points.values() for value in each.values]
        assert values == [1.25, 10.75][: len(values)]
        assert set(run.points) <= {'loss, "train"'}


def test_grows_byte_by_byte(tmp_path: Path) -> None:
    folder = made(tmp_path, b"")
    source = Source(str(folder))
    values: list[float] = []
    for position in range(len(TABLE)):
        with (folder / "metrics.csv").open("ab") as file:
            file.write(TABLE[position : position + 1])
        for run in look(source):
            values += [value for each in run.points.values() for value in each.values]
    assert values == [1.25, 10.75]


@given(st.binary(max_size=300) | st.text(alphabet='a,"\n\r1.e-_\0', max_size=80).map(str.encode))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise(tmp_path: Path, content: bytes) -> None:
    folder = made(tmp_path, content)
    (folder / "hparams.yaml").write_bytes(content)
    for run in look(Source(str(folder))):
        json.dumps([run.params, run.problems, list(run.metrics)], ensure_ascii=False).encode()


def test_foreign_cells(tmp_path: Path) -> None:
    content = b"a,a,b,step\n1,9,True,0\n1_0,9,text,1\n-inf,9,,2.0\n2,9,1e400,x\n3,9\n"
    [run] = look(Source(str(made(tmp_path, content))))
    assert run.points["a"][::2] == ([0, 2, 3], [1.0, -math.inf, 2.0])
    assert run.points["b"].values == [math.inf]
    assert run.problems == ["metrics.csv: 1 lines have other cells than the header names"]
    [run] = look(Source(str(made(tmp_path, b"epoch,loss\n4,0.5\n"))))
    assert run.points["loss"].steps == [4]
    assert run.points["epoch"].values == [4.0]


def test_twelve_thousand_columns(tmp_path: Path) -> None:
    names = ",".join(f"layer.{n}/norm" for n in range(12_000))
    rows = "".join(f"{step}," + ",".join(["0.5"] * 12_000) + "\r\n" for step in range(5))
    [run] = look(Source(str(made(tmp_path, f"step,{names}\r\n{rows}".encode()))))
    assert len(run.points) == 12_000
    assert {each.point_count for each in run.metrics.values()} == {5}


@pytest.mark.parametrize("start", [b"", b"loss,step\n0.5,1\n"])
def test_sparse_file_does_not_fill_the_memory(tmp_path: Path, start: bytes) -> None:
    folder = made(tmp_path, start)
    os.truncate(folder / "metrics.csv", 2 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [run] = look(Source(str(folder)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert len(run.metrics) == bool(start)
    assert bool(run.problems) == (not start)


def test_gone_or_unreadable(tmp_path: Path) -> None:
    folder = made(tmp_path)
    source = Source(str(folder))
    look(source)
    shutil.rmtree(folder)
    with pytest.raises(UnreadableSourceError, match=r"metrics\.csv in .*; expected a CSV file"):
        look(source)
    (folder / "metrics.csv").mkdir(parents=True)
    with pytest.raises(UnreadableSourceError):
        look(source)


def test_deleted_while_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning_csv, "POINTS_AT_ONCE", 10)
    folder = made(tmp_path, b"loss,step\n" + b"0.5,1\n" * 200_000)
    source = Source(str(folder))
    runs = source.look({}, {"."})
    next(runs)
    shutil.rmtree(folder)
    assert list(runs)[-1].metrics["loss"].point_count == 200_000


def test_params_alone_change(tmp_path: Path) -> None:
    folder = made(tmp_path)
    source = Source(str(folder))
    look(source)
    (folder / "hparams.yaml").write_text("lr: 1")
    [run] = look(source)
    assert (run.params, run.points, run.from_start) == ({"lr": "1"}, {}, False)
    (folder / "hparams.yaml").write_text("lr: [")
    [run] = look(source)
    assert run.params == {"lr": "1"}
    assert run.problems == ["hparams.yaml is no YAML that can be read on line 2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "comes to more than"),
        ("a: &a [*a]", "refers to itself"),
        ("[" * 5000, "nested deeper"),
        ("a: 2026-99-99", "value that cannot be read"),
        ("a: b: c", "no YAML"),
    ],
)  # fmt: skip
def test_yaml_that_would_end_us(text: str, words: str) -> None:
    with pytest.raises(ParamsError, match=words):
        load_yaml(text.encode())


def test_nothing_is_constructed() -> None:
    text = b"""
a: !!python/object/apply:os.system [touch x]
b: !!python/name:os.system ''
c: !new.Kind {d: 1}
e: !!python/object/new:a.B
  args: [1]
"""
    assert flattened(load_yaml(text)) == {"a": "os.system(touch x)", "b": "os.system", "c.d": "1", "e.args": "[1]"}
