"""`footplate init`: proposals for real and for hostile folders; each parses, and nothing is ever overwritten."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.cli import init
from console.client import ClientError
from console.project import manifest
from console.project.command_template import fill
from console.project.manifest_model import After, Trigger
from console.project.proposal import propose
from console.project.script_flags import flags_of
from console.project.trust import judge
from tests.support import FOOTPLATE

if TYPE_CHECKING:
    from console.project.manifest_model import Manifest

ROOT = Path(__file__).resolve().parent.parent


def proposed(folder: Path) -> Manifest:
    """The proposal for a folder, parsed."""
    return manifest.parse(propose(str(folder)).text)


def footplate(*arguments: str, folder: Path, home: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
    """The command, with a state directory that cannot be made: no daemon is needed."""
    return subprocess.run(
        [FOOTPLATE, *arguments],
        cwd=folder,
        env=os.environ | {"FOOTPLATE_HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def churn(tmp_path: Path) -> Path:
    """A copy of the sample project."""
    return Path(shutil.copytree(ROOT / "sample_projects" / "churn", tmp_path / "churn"))


def test_the_churn_sample(churn: Path) -> None:
    done = footplate("init", folder=churn)
    assert (done.returncode, done.stderr) == (0, "")
    assert "footplate.toml with 4 jobs: generate, history, train, eval\n" in done.stdout
    assert "footplate watch" in done.stdout
    read = manifest.read(str(churn))
    assert read.name == "churn"
    train = fill(read.jobs["train"], {"lr": "3e-4"}, "/opt/python")
    assert train.argv == (
        *("/opt/python", "train.py", "--lr", "3e-4", "--leaves", "31", "--rounds", "60", "--seed", "7"),
        *("--data", "data/train.parquet", "--model", "trees", "--scale", "standard", "--repeat", "1"),
    )
    assert read.jobs["eval"].after == (After("train"),)
    assert '# trigger = { on_change = ["data/train.parquet"] }' in read.text
    assert judge(str(churn), None).state == "untrusted"


def test_what_is_there_stays(churn: Path) -> None:
    path = churn / "footplate.toml"
    path.write_text("# mine\n")
    done = footplate("init", folder=churn)
    assert done.returncode == 1
    assert f"{path} is there and stays as it is" in done.stderr
    assert path.read_text() == "# mine\n"
    path.unlink()
    path.symlink_to("nowhere")
    assert footplate("init", str(churn), folder=churn).returncode == 1
    assert not (churn / "nowhere").exists()


def test_of_many_at_once_one_writes(churn: Path) -> None:
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            init.write_new(str(churn / "footplate.toml"), f"# {number}\n")
            outcomes.append(f"# {number}\n")
        except ClientError:
            outcomes.append("")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [text for text in outcomes if text] == [(churn / "footplate.toml").read_text()]


def test_where_nothing_can_be_written_no_half_of_a_file_is_left(churn: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from console.__main__ import main\n"
        "sys.exit(main(['init']))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=churn, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "footplate.toml cannot be written: File too large" in done.stderr
    assert not (churn / "footplate.toml").exists()


def test_print_and_json_write_nothing(churn: Path) -> None:
    printed = footplate("init", "--print", folder=churn)
    assert manifest.parse(printed.stdout).jobs.keys() == {"generate", "history", "train", "eval"}
    answer = json.loads(footplate("init", "--print", "--json", folder=churn).stdout)
    assert (answer["written"], answer["jobs"], answer["text"]) == (
        False,
        ["generate", "history", "train", "eval"],
        printed.stdout,
    )
    assert not (churn / "footplate.toml").exists()
    assert json.loads(footplate("init", "--json", folder=churn).stdout)["written"]
    assert (churn / "footplate.toml").read_text() == printed.stdout


def test_a_folder_without_anything(tmp_path: Path) -> None:
    done = footplate("init", folder=tmp_path)
    assert "without a job: nothing was found" in done.stdout
    text = (tmp_path / "footplate.toml").read_text()
    example = "\n".join(line.removeprefix("# ") for line in text.split("One looks like this:\n#\n")[1].splitlines())
    assert list(manifest.parse(example).jobs) == ["train"]
    assert footplate("init", "gone", folder=tmp_path).stderr.startswith("footplate: gone is no folder")


def test_a_loose_umask_makes_no_file_that_others_can_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        init.write_new(str(tmp_path / "footplate.toml"), "")
    finally:
        os.umask(before)
    assert (tmp_path / "footplate.toml").stat().st_mode & 0o777 == 0o644


SCRIPT = """\
import argparse
from pathlib import Path

raise SystemExit("executed")

parser = argparse.ArgumentParser()
parser.add_argument("-l", "--learning-rate", type=float, default=3e-4)
parser.add_argument("--tiny", type=float, default=1.)
parser.add_argument("--steps", type=int, default=-1)
parser.add_argument("--out", type=Path, default=Path("out {x}"))
parser.add_argument("--fast", action="store_true")
parser.add_argument("--layers", nargs="+", type=int, default=[1, 2])
parser.add_argument("--resume", default=None)
parser.add_argument("--seed", default=make_seed())
parser.add_argument("--run-name", required=True)
parser.add_argument("--python", default="x")
parser.add_argument("data")
parser.add_argument("--quote", default='a "b" \\\\ \\x7f é')
parser.add_argument("--lone", default="\\ud800")
"""


def test_options_of_argparse(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    read = proposed(tmp_path)
    command = fill(read.jobs["train"], {"data": "d.csv", "run_name": "r 1"}, "python")
    assert command.argv == (
        *("python", "train.py", "--learning-rate", "3e-4", "--tiny", "1.0", "--steps", "-1", "--out", "out {x}"),
        *("--run-name", "r 1", "d.csv", "--quote", 'a "b" \\ \x7f é'),
    )
    assert "# --run-name is required and has no default: fill in run_name" in read.text
    assert "# not used: --fast, --layers, --resume, --seed, --lone" in read.text


def test_options_of_click_and_absl() -> None:
    click = b"""
import click
@click.command()
@click.option("--lr", "-l", default=0.1, show_default=True)
@click.option("--shout/--no-shout", default=False)
@click.option("--fast", is_flag=True)
@click.argument("path")
def main(lr, path): ...
"""
    assert [(flag.name, flag.option, flag.default, flag.required, flag.is_switch) for flag in flags_of(click)] == [
        ("lr", "--lr", 0.1, False, False),
        ("fast", "--fast", None, False, True),
        ("path", "", None, True, False),
    ]
    absl = b"""
from absl import flags
flags.DEFINE_float("lr", 1e-3, "rate")
flags.DEFINE_integer("steps", 10, "steps")
flags.DEFINE_bool("fast", False, "fast")
flags.DEFINE_string("name", None, "name")
"""
    assert [(flag.name, flag.default, flag.is_switch) for flag in flags_of(absl)] == [
        ("lr", 0.001, False),
        ("steps", 10, False),
        ("fast", False, True),
        ("name", None, False),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"def (",
        b"\0",
        b"(" * 3000 + b")" * 3000,
        b"\xff\xfe",
        b"x = '\\d'\n",
        b"-" * 90_000,
        b"1+" * 90_000 + b"1",
        b"add_argument()\n",
    ],
)
def test_what_is_no_python_has_no_options(content: bytes) -> None:
    assert flags_of(content) == []


DVC = """\
stages:
  prepare:
    cmd: python prepare.py --in data/raw.csv --out data/clean.csv
    deps: [prepare.py, data/raw.csv]
    outs: [data/clean.csv]
  train:
    cmd: python train.py --lr ${train.lr} data/clean.csv
    deps: [data/clean.csv, train.py]
    params: [train.lr]
    outs:
      - model.pkl
    metrics:
      - metrics.json: {cache: false}
  report:
    wdir: reports
    cmd: [python make.py > out.txt, "echo '{done}'"]
    deps: [../model.pkl, "../a[1].csv"]
    outs: [out.txt]
  each:
    foreach: [a, b]
    do: {cmd: "echo ${item}"}
  unknown:
    cmd: python x.py ${nothing}
"""


def test_the_stages_of_dvc(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text("train: {lr: 0.01}\n")
    (tmp_path / "train.py").write_text("import argparse\n")
    (tmp_path / "eval.py").write_text("import argparse\n")
    read = proposed(tmp_path)
    assert list(read.jobs) == ["prepare", "train", "report", "eval"]
    prepare, train, report, evaluate = read.jobs.values()
    assert prepare.command == "{python} prepare.py --in data/raw.csv --out data/clean.csv"
    assert prepare.trigger == Trigger(("data/raw.csv",))
    assert (train.after, train.outputs, train.trigger) == ((After("prepare"),), ("model.pkl", "metrics.json"), None)
    assert fill(train, {}, "python").argv == ("python", "train.py", "--lr", "0.01", "data/clean.csv")
    assert (report.shell, report.cwd, report.outputs) == (True, "reports", ("reports/out.txt",))
    assert report.trigger == Trigger(("a[[]1].csv",))
    assert fill(report, {}, "p").argv[2] == "\"${FOOTPLATE_PYTHON}\" make.py > out.txt && echo '{done}'"
    assert evaluate.after == (After("train"),)
    assert "# it has no command that can be taken over (foreach and matrix are not)" in read.text
    assert "# ${nothing} has no plain value in params.yaml" in read.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages: [", "dvc.yaml is no YAML that can be read on line"),
        ("[]", "dvc.yaml has no table `stages`"),
        ("a: " + "[" * 100_000, "dvc.yaml is nested deeper than 60 levels"),
        ("a: &a {x: 1}\n" + "".join(f"b{n}: &a {{<<: *a, <<: *a}}\n" for n in range(40)), "dvc.yaml merges or refers"),
        ("a: 2026-99-99", "dvc.yaml has a value that cannot be read"),
        ("a: " + "9" * 10_000, "dvc.yaml has a value that cannot be read"),
        ("x" * 300_000, "dvc.yaml has more than"),
        ("!!python/object/apply:os.system ['touch executed']", "dvc.yaml is no YAML"),
    ],
)
def test_a_dvc_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "dvc.yaml").write_text(text)
    found = propose(str(tmp_path))
    assert words in found.notes[0]
    assert manifest.parse(found.text).jobs == {}
    assert os.listdir(tmp_path) == ["dvc.yaml"]


def test_stages_that_wait_for_each_other_are_given_without_it(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  a: {cmd: x, deps: [b.txt], outs: [a.txt]}\n  b: {cmd: y, deps: [a.txt], outs: [b.txt]}\n"
    )
    read = proposed(tmp_path)
    assert list(read.jobs) == ["b", "a"] or list(read.jobs) == ["a", "b"]
    assert "no after: the jobs wait for each other" in read.text


def test_targets_of_a_makefile(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "PY := python\n.PHONY: train\n\nall: train\n\ntrain: data \\\n  more\n\t@echo hi\n\t$(PY) train.py\n\n"
        "lint:\n\truff check\n\nfit-%:\n\tpython fit.py $*\n\nsmoke:\n\tpython -m pytest\n"
    )
    read = proposed(tmp_path)
    assert {name: job.command for name, job in read.jobs.items()} == {"train": "make train", "smoke": "make smoke"}


def test_evaluations_follow_the_training_of_their_name(tmp_path: Path) -> None:
    for name in ("train_gpt", "eval_gpt", "train_cnn", "predict_cnn", "evaluate"):
        (tmp_path / f"{name}.py").write_text("import argparse\n")
    jobs = proposed(tmp_path).jobs
    assert {name: job.after for name, job in jobs.items() if job.after} == {
        "eval_gpt": (After("train_gpt"),),
        "predict_cnn": (After("train_cnn"),),
    }


def test_names_that_are_hard_to_write(tmp_path: Path) -> None:
    names = [
        "a b.py",
        "new\nline.py",
        os.fsdecode(b"caf\xe9.py"),
        "-rf.py",
        "{x}.py",
        "'q\".py",
        "ü.py",
        "a-b.py",
        "$x.sh",
    ]
    for name in names:
        (tmp_path / name).write_text("import argparse\n")
    (tmp_path / "run $(touch executed).sh").write_text("#!/bin/bash\n")
    jobs = proposed(tmp_path).jobs
    words = {fill(job, {}, "python").argv[1] for job in jobs.values()}
    assert words == {
        "a b.py",
        "new\nline.py",
        "-rf.py",
        "{x}.py",
        "'q\".py",
        "ü.py",
        "a-b.py",
        "run $(touch executed).sh",
    }


def test_a_folder_of_very_many_scripts(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"s{number:02}.py").write_text("import argparse\n")
    found = propose(str(tmp_path))
    assert len(found.jobs) == 30
    assert found.notes == ("s30.py and what comes after it: more than 30 jobs are not proposed",)
