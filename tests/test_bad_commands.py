"""Commands that cannot start, end badly, or come in ways that a shell would mangle."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from footplate_launcher import drop_foreign_paths, package_roots

from console.client import Client, DaemonRefused
from console.jobs import spec
from tests.support import FOOTPLATE, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Home

BASE_PYTHON = os.path.realpath(sys.executable)
"""The interpreter below the virtual environment: it has no footplate."""

SAY_ARGV = "import json, os, sys; print(json.dumps([os.fsencode(word).hex() for word in sys.argv[1:]]))"


class Bad(NamedTuple):
    """A program that cannot be started."""

    program: str
    exit_code: int
    words: str
    """What the sentence must say."""


BAD_PROGRAMS = [
    Bad("no-such-program-anywhere", 127, "command not found: no-such-program-anywhere"),
    Bad("./nothing", 127, "command not found: ./nothing"),
    Bad("./plain.py/below", 127, "command not found: ./plain.py/below"),
    Bad("./plain.py", 126, "not executable: ./plain.py"),
    Bad("./folder", 126, "not executable: ./folder"),
    Bad("./bare", 126, "not executable: ./bare"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home that the tests share which leave the daemon alone."""
    with opened_home(tmp_path_factory.mktemp("bad-commands") / "state") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with files that are no programs."""
    (tmp_path / "plain.py").write_text("print('never')\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bare").write_text("echo never\n")
    (tmp_path / "bare").chmod(0o755)
    (tmp_path / "lost").write_text("#!/no/such/interpreter\necho never\n")
    (tmp_path / "lost").chmod(0o755)
    return tmp_path


def run_count(home: Home) -> int:
    return home.client().runs().total_count


@pytest.mark.parametrize("bad", BAD_PROGRAMS, ids=lambda bad: bad.program)
def test_a_program_that_cannot_start_is_refused_in_one_sentence_and_makes_no_run(
    house: Home, folder: Path, bad: Bad
) -> None:
    before = run_count(house)
    done = house.footplate("run", "--", bad.program, "argument", check=False, cwd=folder)
    assert done.returncode == bad.exit_code
    assert done.stdout == ""
    assert done.stderr.startswith(f"footplate: {bad.words}")
    assert len(done.stderr.splitlines()) == 1
    assert run_count(house) == before


@pytest.mark.parametrize("bad", BAD_PROGRAMS, ids=lambda bad: bad.program)
def test_a_program_that_cannot_start_past_the_check_fails_with_its_cause(house: Home, folder: Path, bad: Bad) -> None:
    detail = house.wait_ended(house.submit(bad.program, working_dir=str(folder)))
    assert (detail.row.state, detail.row.exit_code) == ("failed", bad.exit_code)
    assert detail.row.cause.startswith(bad.words)


def test_a_script_whose_interpreter_is_missing_is_not_said_to_be_missing_itself(house: Home, folder: Path) -> None:
    detail = house.wait_ended(house.submit("./lost", working_dir=str(folder)))
    assert detail.row.state == "failed"
    assert detail.row.exit_code in (126, 127)
    assert "interpreter" in detail.row.cause


def test_an_empty_program_name_is_refused(house: Home) -> None:
    before = run_count(house)
    done = house.footplate("run", "--", "", check=False)
    assert done.returncode == 127
    assert len(done.stderr.splitlines()) == 1
    assert run_count(house) == before


def test_a_removed_working_directory_is_refused_in_words_and_makes_no_run(house: Home, folder: Path) -> None:
    before = run_count(house)
    # With a relative entry in PYTHONPATH, Python itself cannot start in a folder that is gone.
    for python_path in ({}, {"PYTHONPATH": str(folder)}):
        gone = folder / "gone"
        gone.mkdir()
        done = subprocess.run(
            ["sh", "-c", 'rmdir "$PWD" && exec "$0" run -- true', FOOTPLATE],
            cwd=gone,
            env=house.environment(**python_path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (125, 126), done.stderr
        assert done.stderr.startswith("footplate: the current directory was removed")
        assert "Traceback" not in done.stderr
    assert run_count(house) == before


@pytest.mark.parametrize("where", ["gone", "plain.py"])
def test_a_working_directory_that_is_none_past_the_check_is_named_in_the_cause(
    house: Home, folder: Path, where: str
) -> None:
    detail = house.wait_ended(house.submit("true", working_dir=str(folder / where)))
    assert (detail.row.state, detail.row.exit_code) == ("failed", 126)
    assert f"cannot enter the working directory {folder / where}" in detail.row.cause


def test_the_callers_path_decides_which_program_starts(house: Home, tmp_path: Path) -> None:
    tool = tmp_path / "my-tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    done = house.footplate("run", "--", "my-tool", env=house.environment(PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert done.stdout == "mine\n"


def test_an_argument_longer_than_the_kernel_takes_fails_with_its_cause(house: Home) -> None:
    detail = house.wait_ended(house.submit("echo", "x" * 200_000))
    assert (detail.row.state, detail.row.exit_code) == ("failed", 126)
    assert "Argument list too long" in detail.row.cause


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (1, "SIGHUP"), (40, "signal 40")],
)
def test_a_job_killed_by_a_signal_has_failed_and_says_which(house: Home, number: int, name: str) -> None:
    done = house.footplate("run", "--", "sh", "-c", f"ulimit -c 0; kill -{number} $$; sleep 60", check=False)
    row = house.client().runs(limit=1, sort="no").rows[0]
    assert (row.state, row.exit_code, row.signal) == ("failed", None, name)
    assert name in row.cause
    assert row.cause_kind == "signal"
    assert name in house.footplate("show", row.label).stdout
    assert done.returncode == 128 + number


def test_a_job_killed_from_outside_has_failed_and_says_by_which_signal(house: Home) -> None:
    run_id = house.submit("sleep", "1000")
    pid = house.wait_run(run_id, lambda detail: detail.pid is not None and detail.row.state == "running").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    row = house.wait_ended(run_id).row
    assert (row.state, row.signal) == ("failed", "SIGKILL")


WRITE_METRICS = """
import importlib.util, json, os
assert importlib.util.find_spec("console") is None
assert importlib.util.find_spec("footplate_launcher") is None
with open(os.environ["FOOTPLATE_METRICS"], "a") as file:
    for step in range(5):
        file.write(json.dumps({"step": step, "loss": step / 2}) + "\\n")
"""


def test_a_job_in_a_virtual_environment_without_footplate_reports_metrics(house: Home, tmp_path: Path) -> None:
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", str(tmp_path / "own")], check=True)
    detail = house.wait_ended(house.submit(str(tmp_path / "own" / "bin" / "python"), "-c", WRITE_METRICS))
    assert (detail.row.state, detail.evidence) == ("finished", "")
    assert [(metric.key, metric.point_count, metric.last) for metric in detail.metrics] == [("loss", 5, 2.0)]


def test_a_job_without_site_packages_reports_metrics(house: Home) -> None:
    detail = house.wait_ended(house.submit(BASE_PYTHON, "-I", "-S", "-c", WRITE_METRICS))
    assert (detail.row.state, detail.evidence) == ("finished", "")
    assert [(metric.key, metric.point_count, metric.last) for metric in detail.metrics] == [("loss", 5, 2.0)]


def test_a_job_in_no_python_at_all_reports_metrics(house: Home) -> None:
    script = 'for i in 1 2 3; do echo "{\\"step\\": $i, \\"loss\\": 0.$i}" >> "$FOOTPLATE_METRICS"; done'
    detail = house.wait_ended(house.submit("sh", "-c", script))
    assert [(metric.key, metric.point_count, metric.last) for metric in detail.metrics] == [("loss", 3, 0.3)]


@pytest.fixture
def namesakes(tmp_path: Path) -> Path:
    """A user's project with packages of our names, and modules of names that we import."""
    for name in ("store", "console", "textual", "orjson"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f'raise RuntimeError("this is the user\'s {name}")\n')
    for name in ("json", "argparse", "footplate_launcher", "signal"):
        (tmp_path / f"{name}.py").write_text(f'raise RuntimeError("this is the user\'s {name}")\n')
    return tmp_path


def test_a_first_command_in_a_folder_with_our_package_names_starts_our_daemon(home: Home, namesakes: Path) -> None:
    shutil.rmtree(namesakes / "textual")
    for name in ("json", "argparse", "footplate_launcher", "signal"):
        (namesakes / f"{name}.py").unlink()
    done = home.footplate("ps", cwd=namesakes, env=home.environment(PYTHONPATH="."))
    assert done.stdout.startswith("nothing runs")
    assert home.client().status().version


@pytest.mark.parametrize("python_path", ["", ".", ":", "./", "{here}", "{here}/", "/nowhere:.", "{here}/../{name}"])
def test_commands_are_ours_in_a_folder_with_our_package_names(house: Home, namesakes: Path, python_path: str) -> None:
    if python_path:
        # Before a line of ours runs, the interpreter itself looks for these along PYTHONPATH: nobody could help that.
        for name in ("json", "argparse", "footplate_launcher", "signal"):
            (namesakes / f"{name}.py").unlink()
    value = python_path.format(here=namesakes, name=namesakes.name)
    environment = house.environment(PYTHONPATH=value) if value else house.environment()
    house.footplate("ps", cwd=namesakes, env=environment)


def test_a_job_sees_the_users_own_packages(house: Home, namesakes: Path) -> None:
    for name in ("json", "argparse", "footplate_launcher", "signal"):
        (namesakes / f"{name}.py").unlink()
    for package in ("store", "console"):
        done = house.footplate(
            *("run", "--", sys.executable, "-c", f"import {package}"),
            cwd=namesakes,
            env=house.environment(PYTHONPATH="."),
            check=False,
        )
        assert done.returncode == 1
        assert f"RuntimeError: this is the user's {package}" in done.stdout


def test_a_python_path_that_names_our_own_library_folders_takes_nothing_away(house: Home) -> None:
    import sysconfig

    for key in ("stdlib", "purelib"):
        environment = house.environment(PYTHONPATH=sysconfig.get_path(key))
        done = house.footplate("run", "--name", "名前", "--", "echo", "said", env=environment)
        assert done.stdout == "said\n"
        assert "名前" in house.footplate("runs", env=environment).stdout


@pytest.mark.parametrize(
    ("path", "python_path", "left"),
    [
        (["/user", "/lib", "/site"], "/user", ["/lib", "/site"]),
        (["/user", "/lib"], "/user/", ["/lib"]),
        (["/user/", "/lib"], "/user", ["/lib"]),
        (["/a", "/b", "/lib"], "/b:/a", ["/lib"]),
        (["", ".", "/lib"], "", ["/lib"]),
        (["/user", "/lib"], "", ["/user", "/lib"]),
        (["/ours", "/user", "/lib"], "/ours:/user", ["/ours", "/lib"]),
        (["/ours/../user", "/lib"], "/user", ["/lib"]),
        (["/lib"], "::", ["/lib"]),
    ],
)
def test_what_python_path_added_leaves_the_search_path(path: list[str], python_path: str, left: list[str]) -> None:
    assert drop_foreign_paths(path, python_path, {"/ours"}) == left


def test_the_working_folder_leaves_the_search_path_under_its_full_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for python_path in (".", "", "sub/.."):
        path = [str(tmp_path), "/lib"] if python_path else ["", "/lib"]
        assert drop_foreign_paths(path, python_path, set()) == ["/lib"]


def test_our_own_packages_stay_on_the_search_path_even_where_python_path_names_them() -> None:
    roots = package_roots("/src/footplate/console/launcher/footplate_launcher.py")
    assert roots == {"/src/footplate/console/launcher", "/src/footplate"}
    assert drop_foreign_paths(["/src/footplate", "/user"], "/src/footplate:/user", roots) == ["/src/footplate"]


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


GOOD: dict[str, Any] = {
    "argv": ["true"],
    "working_dir": "/",
    "environment": {"PATH": "/usr/bin:/bin"},
    "umask": 18,
    "limits": {"RLIMIT_CORE": [0, -1]},
    "name": "",
    "project": "",
    "grace_s": 1.0,
    "actor": "tester",
}

BAD_FIELDS: list[tuple[str, Any]] = [
    ("argv", None),
    ("argv", []),
    ("argv", "true"),
    ("argv", [""]),
    ("argv", ["true", 3]),
    ("argv", ["true", None]),
    ("argv", ["true", "a\0b"]),
    ("argv", ["true", "\ud800"]),
    ("working_dir", None),
    ("working_dir", ""),
    ("working_dir", "relative"),
    ("working_dir", "/a\0b"),
    ("working_dir", "/\ud800"),
    ("working_dir", 7),
    ("environment", None),
    ("environment", []),
    ("environment", {"A": 1}),
    ("environment", {"A=B": "x"}),
    ("environment", {"": "x"}),
    ("environment", {"A": "x\0y"}),
    ("environment", {"A": "\ud800"}),
    ("environment", {"\udfff": "x"}),
    ("umask", "022"),
    ("umask", -1),
    ("umask", 0o1000),
    ("umask", 1.5),
    ("limits", []),
    ("limits", {"RLIMIT_CORE": 0}),
    ("limits", {"RLIMIT_CORE": [0]}),
    ("limits", {"RLIMIT_CORE": ["0", "0"]}),
    ("limits", {"RLIMIT_CORE": [2**70, 2**70]}),
    ("limits", {"getrusage": [1, 1]}),
    ("grace_s", "soon"),
    ("grace_s", -1),
    ("grace_s", 1e9),
    ("grace_s", None),
    ("name", 5),
    ("name", "\ud800"),
    ("project", ["x"]),
    ("project", "\ud800"),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda item: ascii(item)[:40])
def test_a_field_that_cannot_become_a_run_is_refused_by_name(field: str, value: Any) -> None:
    spec.parse_request(GOOD)
    with pytest.raises(spec.SpecError, match=field.split("_", maxsplit=1)[0]):
        spec.parse_request(GOOD | {field: value})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"run"',
        b"7",
        b"{}",
        b"[" * 200_000,
        json.dumps(GOOD | {"argv": []}).encode(),
        json.dumps(GOOD | {"grace_s": float("nan")}).encode(),
        json.dumps(GOOD | {"umask": 10**400}).encode(),
    ],
    ids=lambda body: ascii(body)[:30],
)
def test_a_malformed_request_is_answered_with_400_and_a_sentence(house: Home, body: bytes) -> None:
    before = run_count(house)
    pid = house.daemon_pid()
    client = Client()
    try:
        with pytest.raises(DaemonRefused) as refused:
            client.call("POST", "/runs", body)
    finally:
        client.close()
    assert refused.value.status == 400
    assert refused.value.message
    assert "HTTP status" not in refused.value.message
    assert (run_count(house), house.daemon_pid()) == (before, pid)


def test_a_request_of_many_megabytes_is_refused(house: Home) -> None:
    client = Client()
    try:
        with pytest.raises(DaemonRefused) as refused:
            client.call("POST", "/runs", json.dumps(GOOD | {"argv": ["true", "x" * (17 << 20)]}).encode())
    finally:
        client.close()
    assert refused.value.status == 413
    assert house.client().status().host


def test_a_malformed_stop_is_answered_with_400_and_stops_nothing(house: Home) -> None:
    run_id = house.submit("sleep", "1000")
    house.wait_run(run_id, lambda detail: detail.row.state == "running")
    with pytest.raises(DaemonRefused) as refused:
        house.client().call("POST", f"/runs/{run_id}/stop", b"{not json")
    assert refused.value.status == 400
    assert house.client().run(run_id).row.state == "running"
    house.client().stop(run_id, "tester")
    house.wait_ended(run_id)


def test_text_that_no_encoding_can_carry_is_refused_and_does_not_keep_a_daemon_from_starting(home: Home) -> None:
    good = home.submit("sleep", "1000")
    with pytest.raises(DaemonRefused) as refused:
        home.submit("echo", "\ud800")
    assert refused.value.status == 400
    home.kill_daemon()
    assert [row.id for row in home.client().runs().rows] == [good]


def test_an_actor_that_no_encoding_can_carry_does_not_end_the_daemon(home: Home) -> None:
    run_id = home.submit("sleep", "1000")
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    pid = home.daemon_pid()
    with contextlib.suppress(DaemonRefused):
        home.client().stop(run_id, "\ud800")
    look = Client()
    try:
        wait_until(lambda: look.run(run_id).row.state != "running", timeout_s=10)
    except AssertionError:
        look.stop(run_id, "tester")  # the odd request was refused as a whole, which is as well
        wait_until(lambda: look.run(run_id).row.state == "stopped", timeout_s=10)
    finally:
        look.close()
    assert home.daemon_pid() == pid
