"""Params that stand in files: read as data, bounded, whatever lies there."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from console.jobs.spec import FORMAT, Spec
from console.project import hydra_runs, param_files
from console.project.param_files import config_files, config_params, literals_of
from store import database
from store.ingest import Index
from store.queries.literals import changed_literals, put_literals

if TYPE_CHECKING:
    from pathlib import Path

RUN = {
    "project": "p",
    "script": "t.py",
    "params": {},
    "search_text": "",
    "state": "finished",
    "command": "x",
    "argv": ["x"],
    "working_dir": "/",
    "host": "h",
    "created_at_s": 1.0,
}


def spec_of(folder: Path, *words: str) -> Spec:
    return Spec(FORMAT, "a", 1, "a", "p", ("python", "train.py", *words), str(folder), 1.0, {}, 1.0, "h")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.yaml", b"lr: 1e-3\nmodel: {depth: 4, use: true, none: null}\n",
         {"lr": "1e-3", "model.depth": "4", "model.use": "true", "model.none": "null"}),
        ("a.json", b'{"lr": 0.1, "layers": [64, 32], "deep": [{"a": 1}]}', {"lr": "0.1", "layers": "[64, 32]"}),
        ("a.toml", b"[model]\ndepth = 3\n", {"model.depth": "3"}),
        ("a.yaml", b"api_key: sk-0123456789abcdefghijklmn\n", {"api_key": "***"}),
        ("a.yaml", b"x: !!python/object/apply:os.system ['true']\n", {}),
        ("a.yaml", b"- 1\n- 2\n", {}),
        ("a.yaml", b"a: [\n", {}),
        ("a.json", b"[" * 100_000, {}),
        ("a.yaml", b"\xff\xfe", {}),
        ("a.yaml", b"a: 1\n#" + b"x" * (300 << 10), {}),
        ("a.yaml", b"", {}),
    ],
    ids=["yaml", "json", "toml", "secret", "code", "list", "broken", "deep", "bytes", "large", "empty"],
)  # fmt: skip
def test_config_files_are_plain_values(tmp_path: Path, name: str, content: bytes, expected: dict[str, str]) -> None:
    (tmp_path / name).write_bytes(content)
    found = config_params(["python", "train.py", "--config", name], str(tmp_path))
    assert {key: value for key, value, _ in found} == expected
    assert {file for _, _, file in found} <= {name}


def test_a_small_file_that_is_a_huge_tree_is_bounded(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{{', '.join(f'k{m}: *a{n - 1}' for m in range(9))}}}" for n in range(1, 12)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert len(config_params(["python", "t.py", "bomb.yaml"], str(tmp_path))) <= param_files.ENTRIES_MAX


def test_a_pipe_and_a_folder_are_no_config_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert config_params(["python", "t.py", "pipe.yaml", "folder.yaml", "gone.yaml"], str(tmp_path)) == []


def test_data_sets_are_no_config_files() -> None:
    words = ["t.py", "--train_file", "a.json", "--config=b.json", "c.yaml", "--hparams", "d.toml", "e.json", "x=f.yml"]
    assert config_files(["python", *words]) == ["b.json", "c.yaml", "d.toml"]


def test_literals_have_the_names_that_they_have_in_the_script() -> None:
    source = b"""
lr = 3e-4
params = {"num_leaves": 31, 'objective': "binary", "callbacks": [print]}
def fit(depth=3, *, width: int = -2):
    model = Model(num_leaves=63, on=True)
parser.add_argument("--epochs", type=int, default=5, help="how long")
width: int = 4
name = f"{lr}"
"""
    found = {name: tuple(each) for name, each in literals_of(source).items()}
    assert found == {
        "lr": ("0.0003", 2),
        "num_leaves": ("31", 3),
        "objective": ("binary", 3),
        "depth": ("3", 4),
        "width": ("-2", 4),
        "num_leaves#2": ("63", 5),
        "on": ("true", 5),
        "epochs": ("5", 6),
        "width#2": ("4", 7),
    }
    assert literals_of(b"def (") == literals_of(b"x = " + b"(" * 5000) == literals_of(b"\0") == {}
    assert literals_of(b"password = 'hunter22222'")["password"].value == "***"


def hydra_output(folder: Path, name: str, overrides: str, config: str, at_s: float) -> None:
    place = folder / name / ".hydra"
    place.mkdir(parents=True)
    (place / "overrides.yaml").write_text(overrides, encoding="utf-8")
    (place / "config.yaml").write_text(config, encoding="utf-8")
    os.utime(place / "config.yaml", (at_s, at_s))


def test_hydras_config_is_that_of_this_run(tmp_path: Path) -> None:
    hydra_output(tmp_path, "outputs/2026-01-01/10-00-00", "- lr=1", "lr: 1\nold: 1", 100.0)
    hydra_output(tmp_path, "outputs/2026-01-01/11-00-00", "- lr=1", "lr: 1\nmodel: {a: 2}", 1000.0)
    hydra_output(tmp_path, "outputs/2026-01-01/11-00-01", "- lr=2", "lr: 2", 1001.0)
    ((path, flat),) = hydra_runs.matching(spec_of(tmp_path, "lr=1"), 999.0, 1010.0)
    assert path.endswith("11-00-00/.hydra/config.yaml")
    assert flat == {"lr": "1", "model.a": "2"}
    assert hydra_runs.matching(spec_of(tmp_path, "lr=3"), 999.0, 1010.0) == []
    hydra_output(tmp_path, "runs/x/deep", "- lr=1", "lr: 1\nnamed: 1", 1000.0)
    named = spec_of(tmp_path, "lr=1", "hydra.run.dir=runs/${now:%Y}/deep")
    assert [flat for _, flat in hydra_runs.matching(named, 999.0, 1010.0)] == [{"lr": "1", "named": "1"}]
    assert hydra_runs.may_have_config(named)
    assert not hydra_runs.may_have_config(replace(named, argv=("python", "x.py"), working_dir=str(tmp_path / "runs")))


def test_jobs_of_a_multirun_share_what_was_not_swept(tmp_path: Path) -> None:
    for number in (0, 1):
        hydra_output(tmp_path, f"multirun/d/t/{number}", f"- lr={number}", f"lr: {number}\nseed: 7", 1000.0)
    run_dir = tmp_path / "run"
    (run_dir / "code").mkdir(parents=True)
    hydra_runs.write(str(run_dir), spec_of(tmp_path, "-m", "lr=0,1"), 999.0, 1001.0)
    assert '"params": {"seed": "7"}' in (run_dir / "code" / "hydra.json").read_text(encoding="utf-8")


def test_literals_differ_by_what_is_there_not_by_its_order(tmp_path: Path) -> None:
    given = {"a": {"x": ("1", 1), "y": ("1", 2)}, "b": {"x": ("2", 3), "y": ("1", 4)}, "c": {"x": ("1", 1)}}
    answers = []
    for number, order in enumerate((["a", "b", "c"], ["c", "b", "a"])):
        opened = database.open_database(str(tmp_path / f"{number}.duckdb"))
        cursor = opened.cursor()
        index = Index(cursor)
        for no, name in enumerate(order):
            index.add_runs([{**RUN, "id": name, "no": no, "name": name}])
            put_literals(cursor, {name: given[name]})
            put_literals(cursor, {name: given[name]})
        answers.append(changed_literals(cursor, ["a", "b", "c"]))
        index.commit([], {"c": {"params": '{"lr": "1"}'}})
        assert changed_literals(cursor, ["a", "b", "c"]) == {}
        cursor.close()
        opened.close()
    assert answers[0] == answers[1]
    assert {name: {key: each.value for key, each in found.items()} for name, found in answers[0].items()} == {
        "a": {"x": "1", "y": "1"},
        "b": {"x": "2", "y": "1"},
        "c": {"x": "1"},
    }
