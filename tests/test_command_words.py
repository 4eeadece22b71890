"""What a command line says: its words reach the job byte for byte, its params and its name are read from it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from console.jobs import spec
from tests.support import run_count

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home


SAY_ARGV = "import json, os, sys; print(json.dumps([os.fsencode(word).hex() for word in sys.argv[1:]]))"


WORDS = [
    "",
    " ",
    "two words",
    "'single'",
    '"double"',
    "back\\slash",
    "$(touch never)",
    "`touch never`",
    "$HOME",
    "*",
    "~",
    "line\nbreak",
    "tab\there",
    "\r\x1b[31m\x07",
    "é漢\u202e",
    "\udcff\udcfe",
    "--",
    "--json",
    "-d",
    "{step}",
    "[/foo]",
    "",
]


def test_the_job_sees_every_argument_byte_for_byte(house: Home, tmp_path: Path) -> None:
    done = house.footplate("run", "--", sys.executable, "-c", SAY_ARGV, *WORDS, cwd=tmp_path)
    assert json.loads(done.stdout) == [os.fsencode(word).hex() for word in WORDS]
    assert os.listdir(tmp_path) == []
    row = house.client().runs(limit=1, sort="no").rows[0]
    for command in (("show", row.label), ("runs", "-n", "1"), ("show", row.label, "--json")):
        shown = house.footplate(*command).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "\u202e" not in shown.replace("\\u202e", "") or "--json" in command


def test_the_job_sees_variables_that_are_not_utf8(house: Home) -> None:
    script = "import os; print(os.environb[b'ODD'].hex())"
    done = house.footplate("run", "--", sys.executable, "-c", script, env=house.environment(ODD="a=b\n\udcff "))
    assert done.stdout.strip() == b"a=b\n\xff ".hex()


@pytest.mark.parametrize(
    ("before", "command", "seen"),
    [
        (["--"], ["a", "--", "b"], ["a", "--", "b"]),
        ([], ["a", "--", "b"], ["a", "--", "b"]),
        ([], ["-d", "--json", "--name", "x"], ["-d", "--json", "--name", "x"]),
        (["--name", "n", "--"], ["--name", "x"], ["--name", "x"]),
        (["--"], ["--"], ["--"]),
        (["--"], ["-h", "--help"], ["-h", "--help"]),
    ],
)
def test_everything_after_the_program_belongs_to_the_program(
    house: Home, before: list[str], command: list[str], seen: list[str]
) -> None:
    done = house.footplate("run", *before, sys.executable, "-c", SAY_ARGV, *command)
    assert [bytes.fromhex(word).decode() for word in json.loads(done.stdout)] == seen


def test_options_of_ours_stand_before_the_command_and_unknown_ones_are_refused(house: Home) -> None:
    before = run_count(house)
    done = house.footplate("run", "--no-such-option", "true", check=False)
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr
    assert house.footplate("run", "--", check=False).returncode == 2
    assert run_count(house) == before


@pytest.mark.parametrize("grace", ["-1", "nan", "inf", "1e9"])
def test_a_grace_time_that_is_none_is_refused(house: Home, grace: str) -> None:
    before = run_count(house)
    done = house.footplate("run", f"--grace={grace}", "--", "true", check=False)
    assert done.returncode in (2, 125)
    assert "grace" in done.stderr
    assert "Traceback" not in done.stderr
    assert run_count(house) == before


@pytest.mark.parametrize(
    ("words", "params"),
    [
        ("train.py --lr 3e-4", {"lr": "3e-4"}),
        ("train.py --lr=3e-4", {"lr": "3e-4"}),
        ("train.py lr=3e-4 model.depth=3", {"lr": "3e-4", "model.depth": "3"}),
        ("train.py +opt=adam ~old=1", {"opt": "adam", "old": "1"}),
        ("train.py --amp --lr 1", {"amp": "true", "lr": "1"}),
        ("train.py --lr 1 --amp", {"lr": "1", "amp": "true"}),
        ("train.py --shift -3", {"shift": "-3"}),
        ("train.py --shift -3.5e-2 --n -x", {"shift": "-3.5e-2", "n": "true"}),
        ("train.py --lr 1 --lr 2", {"lr": "2"}),
        ("train.py --empty=", {"empty": ""}),
        ("train.py --url=a=b", {"url": "a=b"}),
        ("train.py -v -- data", {}),
        ("train.py data/x=3", {"data/x": "3"}),
        ("train.py a-b=3 3=4 ==", {}),
        ("-c print(1)==2", {}),
        ("train.py", {}),
    ],
)  # fmt: skip
def test_params_are_what_the_command_line_states(words: str, params: dict[str, str]) -> None:
    assert spec.params_of(("python", *words.split())) == params


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("python train.py --lr 3", "train.py"),
        ("/usr/bin/python3.11 -u src/train.py", "train.py"),
        ("python -m pkg.train --lr 3", "pkg.train"),
        ("python -m", "python"),
        ("python -c pass", "python"),
        ("python", "python"),
        ("bash scripts/go.sh", "go.sh"),
        ("uv run train.py", "train.py"),
        ("torchrun --nproc 2 train.py", "train.py"),
        ("./train.py data.py", "train.py"),
        ("/opt/tool --x y.py", "tool"),
        ("shuf words.sh", "shuf"),
    ],
)
def test_a_run_is_named_after_what_people_call_the_command(words: str, name: str) -> None:
    assert spec.default_name(words.split()) == name


@pytest.mark.parametrize("argv", [["/"], ["bin/"], ["python", "-m", ""], ["python", "x/.py"]])
def test_a_run_always_has_a_name(argv: list[str]) -> None:
    assert spec.default_name(argv)
