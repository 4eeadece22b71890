"""Reading `footplate.toml`: what is in it, and one clear error for everything that cannot be."""

from __future__ import annotations

import itertools
import os
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from console.jobs.exit_cause import RETRY_GROUPS
from console.project import globs, manifest
from console.project.manifest_lines import KeyLines
from console.project.manifest_model import After, ManifestError, PrimaryMetric, Trigger

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
[project]
name = "churn"
primary_metric = { key = "valid/auc", goal = "maximize" }

[jobs.train]
command = "{python} train.py --lr {lr} --leaves {leaves}"   # {python}: the project's interpreter
params  = { lr = 1e-3, leaves = 31, tag = "a b", fast = true }
gpus    = 1
memory  = "2GB"
timeout = "2h"
retry   = { on = ["interrupted", "gpu_lost"], max = 2, delay = "1m", resume = "{python} train.py --resume" }
outputs = ["model.txt"]
priority = -3
env = { OMP_NUM_THREADS = 4 }
cwd = "./training/"
mutex = "db"
isolate = "worktree"
checkpoint = { signal = "USR1", time = "1m" }

[jobs.eval]
command = ["{python}", "eval.py", "a b"]
after   = ["train", { job = "generate", on = "any" }]
trigger = { on_change = ["data/*.parquet"], cron = "@daily", cooldown = "5m" }

[jobs.generate]
command = "echo {{}} > data.txt"
shell = true

[cost]
gpu_hour = 2.10

[monitor.scoring]
reference = "data/reference.parquet"
"""


def error_of(text: str) -> ManifestError:
    """The error that a text gives."""
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text)
    error = caught.value
    assert str(error).startswith(f"footplate.toml:{error.line}: ") or not error.line
    assert f"{error.problem}; expected {error.expected}" in str(error)
    assert error.expected
    return error


def job(line: str, command: str = 'command = "true"') -> str:
    """A manifest of one job; `line` is its third line."""
    return f"[jobs.train]\n{command}\n{line}\n"


def test_everything_that_can_be_written_is_read() -> None:
    read = manifest.parse(WHOLE)
    train, evaluate, generate = read.jobs.values()
    assert (read.name, read.primary_metric) == ("churn", PrimaryMetric("valid/auc", "maximize"))
    assert read.text_hash == blake3(WHOLE.encode()).hexdigest()
    assert read.text == WHOLE
    assert train.params == {"lr": 0.001, "leaves": 31, "tag": "a b", "fast": True}
    assert (train.gpus, train.memory_bytes, train.timeout_s, train.priority) == (1, 2_000_000_000, 7200.0, -3)
    assert train.retry is not None
    assert (train.retry.on, train.retry.max, train.retry.delay_s) == (("interrupted", "gpu_lost"), 2, 60.0)
    assert train.resume == "{python} train.py --resume"
    assert (train.outputs, train.cwd, train.mutex, train.isolate) == (("model.txt",), "training", ("db",), "worktree")
    assert train.env == {"OMP_NUM_THREADS": "4"}
    assert (train.checkpoint_signal, train.checkpoint_s) == ("SIGUSR1", 60.0)
    assert evaluate.after == (After("train", "ok"), After("generate", "any"))
    assert evaluate.trigger == Trigger(("data/*.parquet",), "@daily", 300.0)
    assert evaluate.command == ("{python}", "eval.py", "a b")
    assert generate.shell
    assert read.cost == {"gpu_hour": 2.1}
    assert read.monitors == {"scoring": {"reference": "data/reference.parquet"}}
    assert read.notices == ()


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "[project]\nname = 'x'\n", "[jobs]\n"])
def test_a_manifest_without_jobs_is_right_and_says_so(text: str) -> None:
    read = manifest.parse(text)
    assert read.jobs == {}
    assert "defines no jobs" in read.notices[0]


def test_without_a_goal_the_name_of_the_metric_decides() -> None:
    assert manifest.parse('[project]\nprimary_metric = { key = "valid/loss" }\n').primary_metric == PrimaryMetric(
        "valid/loss", "minimize"
    )


def test_an_error_has_file_line_key_and_expectation() -> None:
    text = job('memory = "2 gigs"')
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text, "/home/ana/footplate.toml")
    assert str(caught.value) == (
        "/home/ana/footplate.toml:3: jobs.train.memory: cannot read '2 gigs'; "
        'expected a size such as "500MB", "2GB" or "2GiB"'
    )


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("memory = 2", "memory", 'cannot read 2; expected a size such as "500MB"'),
        ('memory = "1MB"', "memory", "is out of range; expected at least 16MiB"),
        ('memory = "99999999999999999999TB"', "memory", "out of range"),
        ('timeout = "soon"', "timeout", 'a time such as "90s"'),
        ('timeout = "9999d"', "timeout", "is too long; expected at most 366d"),
        ("timeout = 1979-05-27", "timeout", "cannot read 1979-05-27"),
        ('gpus = "1"', "gpus", "a whole number from 0 to 64"),
        ("gpus = -1", "gpus", "cannot take -1"),
        ("gpus = true", "gpus", "cannot take true"),
        ("gpus = 1.0", "gpus", "cannot take 1.0"),
        ("priority = 101", "priority", "from -100 to 100"),
        ("gpu = 1", "gpu", "did you mean 'gpus'?"),
        ('Command = "x"', "Command", "did you mean 'command'?"),
        ('zzzz = "x"', "zzzz", "is no key that footplate knows; expected one of command, shell"),
        ('"a key" = 1', "'a key'", "is no key"),
        ('shell = "yes"', "shell", "'yes' is text; expected true or false"),
        ("description = 3", "description", "3 is a number; expected text in quotes"),
        ("params = 3", "params", "3 is a number; expected a table"),
        ("params = { lr = [1, 2] }", "params.lr", "a list is a list; expected text, a number, true or false"),
        ("params = { python = 1 }", "params.python", "has a meaning of its own"),
        ('params = { "a b" = 1 }', "params.'a b'", "is no name"),
        ("params = { a-b = 1, a_b = 2 }", "params.a_b", "has the same variable FOOTPLATE_PARAM_a_b as a-b"),
        ('params = { x = "a\\u0000b" }', "params.x", "has a NUL in it"),
        ('env = { "A B" = "x" }', "env.'A B'", "is no name of a variable"),
        ('env = { FOOTPLATE_RUN_ID = "x" }', "env.FOOTPLATE_RUN_ID", "is a variable of footplate's own"),
        ("env = { A = [1] }", "env.A", "expected text in quotes"),
        ('retry = "oom"', "retry", "'oom' is text; expected a table"),
        ('retry = { on = ["oomm"] }', "retry.on", "did you mean 'oom'?"),
        ("retry = { on = [] }", "retry.on", "expected a list of failure"),
        ("retry = { max = 0 }", "retry.max", "from 1 to 100"),
        ("retry = { times = 2 }", "retry.times", "expected one of on, max, delay, resume"),
        ('retry = { resume = "x {y}" }', "retry.resume", "unknown placeholder '{y}'"),
        ('after = "eval"', "after", "there is no job 'eval'; expected one of train"),
        ('after = "trian"', "after", "did you mean 'train'?"),
        ("after = 3", "after", "3 is a number; expected the name of a job"),
        ('after = { on = "ok" }', "after.job", "is missing"),
        ('after = { job = "train", on = "failed" }', "after.on", 'expected one of "ok", "any", "not-ok"'),
        ('after = { job = "train", when = "ok" }', "after.when", "expected one of job, on"),
        ('after = ["train", { job = "train", on = "not-ok" }]', "after", "names the job 'train' twice"),
        ('after = "train"', "after", "the jobs wait for each other: train after train"),
        ('trigger = { cron = "0 0 30 2 *" }', "trigger.cron", "never falls due"),
        ('trigger = { cron = "0 0 31 2,4,6,9,11 *" }', "trigger.cron", "never falls due"),
        ('trigger = { cron = "0 25 * * *" }', "trigger.cron", "has a bad hour"),
        ('trigger = { cron = "0 3 * *" }', "trigger.cron", "has 4 fields; expected five fields"),
        ('trigger = { cron = "@fortnightly" }', "trigger.cron", "is none of @yearly"),
        ('trigger = { cron = "* * * * *", cooldown = "-1s" }', "trigger.cooldown", "cannot read '-1s'"),
        ("trigger = {}", "trigger", "triggers nothing; expected on_change or cron"),
        ('trigger = "data/*"', "trigger", "expected a table"),
        ('trigger = { on_change = "/data/x" }', "trigger.on_change", "leads out of the project's folder"),
        ('outputs = ["a", "../b"]', "outputs", "leads out of the project's folder"),
        ('outputs = ["a**b"]', "outputs", "has ** beside other characters"),
        ('outputs = [""]', "outputs", "is empty"),
        ("outputs = [3]", "outputs", "3 is a number"),
        ('cwd = "../x"', "cwd", "leads out of the project's folder"),
        ('cwd = "/tmp"', "cwd", "leads out"),
        ('mutex = ["a b"]', "mutex", "is no name"),
        ('isolate = "container"', "isolate", 'expected "worktree"'),
        ('log_limit = "1MB"', "log_limit", "at least 4MiB"),
        ('checkpoint = { signal = "USR7" }', "checkpoint.signal", "is no signal"),
        ("checkpoint = { }", "checkpoint.signal", "is missing; expected signal"),
        ('autoresume = "yes"', "autoresume", "expected true or false"),
    ],
)
def test_a_wrong_key_of_a_job(line: str, key: str, words: str) -> None:
    error = error_of(job(line))
    assert error.line == 3
    assert error.key == f"jobs.train.{key}"
    assert words in f"{error.problem}; expected {error.expected}"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ('command = ""', "is empty; expected a command"),
        ("command = []", "is empty"),
        ('command = ["", "x"]', "expected a command"),
        ("command = 3", "cannot take 3"),
        ('command = ["a", 3]', "3 is a number"),
        ('command = "train --lr {rate}"', "unknown placeholder '{rate}'; expected one of {python}, or an entry 'rate'"),
        ('command = "train {}"', "'{}' is no placeholder; expected {{ or }}"),
        ('command = "train {"', "'{' is no placeholder"),
        ("""command = 'train --cfg "{\\"a\\": 1}"'""", "is no placeholder"),
        ('command = "a | b"', "| means something to a shell only; expected it in quotes, or `shell = true`"),
        ('command = "a && b"', "&& means something to a shell only"),
        ('command = "a > b"', "> means"),
        ('command = "a; b"', "; means"),
        ('command = "a &"', "& means"),
        ('command = "a $HOME"', "$HOME means"),
        ("""command = 'a "$(id)"' """, "$( means"),
        ('command = "a `id`"', "` means"),
        ('command = "a *.csv"', "* means"),
        ('command = "a ~/x"', "~ means"),
        ('command = "a\\nb"', "a second line means"),
        ("command = 'a \"b'", "no closing quotation"),
        ('command = "a {x}"\nshell = true', "unknown placeholder '{x}'"),
        ("""command = "a '{python}'"\nshell = true""", "stands in single quotes"),
        ('command = ["a"]\nshell = true', "is a list, and shell is true"),
    ],
)
def test_a_wrong_command(command: str, words: str) -> None:
    error = error_of(f"[jobs.train]\n{command}\n")
    assert (error.line, error.key) == (2, "jobs.train.command")
    assert words in f"{error.problem}; expected {error.expected}"


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("[jobs.train\n", 1, "jobs.train", "is no TOML"),
        ('[jobs.train]\ncommand = "x\n', 2, "jobs.train.command", "is no TOML: Illegal character"),
        ("[project]\n\nname =\n", 3, "project.name", "is no TOML: Invalid value"),
        ("name = '''abc\n\nx\n", 3, "name", "is no TOML"),
        ("\ufeff[project]\n", 1, "", "begins with a byte order mark"),
        ('[jobs.a]\ncommand="x"\n\n[jobs.a]\ncommand="y"\n', 4, "jobs.a", "is defined twice, first on line 1"),
        ('[jobs.a]\ncommand="x"\ncommand="y"\n', 3, "jobs.a.command", "is defined twice"),
        ('[jobs]\na = { command = "x" }\n[jobs.a]\ncommand = "y"\n', 3, "jobs.a", "is defined twice"),
        ("[job.train]\ncommand = 'x'\n", 1, "job", "did you mean 'jobs'?"),
        ("jobs = 3\n", 1, "jobs", "3 is a number; expected a table"),
        ("[jobs]\ntrain = 'python train.py'\n", 2, "jobs.train", "is text; expected a table [jobs.train]"),
        ("[[jobs]]\nname = 'train'\n", 1, "jobs", "a list is a list; expected a table"),
        ("[jobs.'a b']\ncommand = 'x'\n", 1, "jobs.'a b'", "is no name for a job"),
        ("[jobs.train]\n", 1, "jobs.train.command", "is missing; expected text or list of words"),
        ("[project]\nname = 3\n", 2, "project.name", "expected text in quotes"),
        ("[project]\nprimary_metric = 'auc'\n", 2, "project.primary_metric", "'auc' is text; expected a table"),
        ("[project.primary_metric]\nkey = 'auc'\ngoal = 'max'\n", 3, "project.primary_metric.goal", '"maximize"'),
        ("cost = 3\n", 1, "cost", "expected a table"),
        ("[monitor]\nscoring = 3\n", 2, "monitor.scoring", "expected a table"),
        ("a = " + "[" * 5000 + "]" * 5000, 1, "", "too deep"),
        ("\na" + ".a" * 120_000 + " = 1", 2, "", "too deep"),
        ("\na = " + "{ a = " * 40_000, 2, "", "too deep"),
        ("[a" + ".a" * 51 + "]", 1, "", "lists, tables or names lie too deep in each other; expected at most 50"),
    ],
)
def test_a_wrong_file(text: str, line: int, key: str, words: str) -> None:
    error = error_of(text)
    assert (error.line, error.key) == (line, key)
    assert words in f"{error.problem}; expected {error.expected}"


def test_the_first_of_several_errors_is_told() -> None:
    error = error_of('[jobs.a]\ncommand = "x"\ngpus = -1\n[jobs.b]\nmemory = "x"\n')
    assert (error.line, error.key) == (3, "jobs.a.gpus")


def test_a_circle_of_jobs_is_named() -> None:
    text = "".join(f'[jobs.{name}]\ncommand = "x"\nafter = "{before}"\n' for name, before in ("ab", "bc", "ca"))
    error = error_of(text)
    assert (error.line, error.key) == (3, "jobs.a.after")
    assert "a after b after c after a" in error.problem


def test_errors_stay_short_whatever_is_in_the_file() -> None:
    ring = "".join(f'[jobs.j{n}]\ncommand = "x"\nafter = "j{(n + 1) % 150}"\n' for n in range(150))
    for text in (
        ring,
        ring.replace('"j5"', f'"{"x" * 4000}"'),
        f"[jobs.{'x' * 200_000}]\n",
        f"{'x' * 200_000} = 1\n",
        f"[jobs.a]\ncommand = 'x {{{'a' * 100_000}}}'\n",
        f"[jobs.a]\ncommand = 'x'\nmemory = '{'x' * 100_000}'\n",
        f"[jobs.a]\ncommand = 'x'\noutputs = '{'x' * 4000}'\n",
        f"[jobs.a]\ncommand = 'x'\ngpus = {'9' * 4000}\n",
        f"[jobs.a]\ncommand = 'x'\ntrigger = {{ cron = '{'*,' * 1000}* * * * *' }}\n",
    ):
        assert len(str(error_of(text))) < 500


def test_a_long_chain_of_jobs_is_no_circle() -> None:
    text = '[jobs.j0]\ncommand = "x"\n'
    for number in range(1, 200):
        before = ", ".join(f'"j{earlier}"' for earlier in sorted({number - 1, number // 2}))
        text += f'[jobs.j{number}]\ncommand = "x"\nafter = [{before}]\n'
    assert len(manifest.parse(text).jobs) == 200
    assert "has 201 jobs; expected at most 200" in str(error_of(text + '[jobs.last]\ncommand = "x"\n'))


@pytest.mark.parametrize(
    ("outputs", "pattern"),
    [
        ("model.txt", "*.txt"),
        ("data", "data/*.parquet"),
        ("data/", "data/x/y.parquet"),
        ("out/*/best.pt", "out/**"),
        ("*.pt", "best.*"),
        ("run-[0-9].csv", "run-5.csv"),
        ("./model.txt", "model.txt"),
    ],
)
def test_a_trigger_on_what_the_job_writes(outputs: str, pattern: str) -> None:
    error = error_of(job(f'outputs = "{outputs}"\ntrigger = {{ on_change = "{pattern}" }}'))
    assert (error.line, error.key) == (4, "jobs.train.trigger.on_change")
    assert "it would start for ever" in error.problem


@pytest.mark.parametrize(
    ("outputs", "pattern"),
    [
        ("model.txt", "*.csv"),
        ("data", "database.csv"),
        ("model.txt", "**/mymodel.txt"),
        ("out/*.pt", "out/a/*.pt"),
        ("run-[!0-9].csv", "run-5.csv"),
    ],
)
def test_a_trigger_on_something_else(outputs: str, pattern: str) -> None:
    assert manifest.parse(job(f'outputs = "{outputs}"\ntrigger = {{ on_change = "{pattern}" }}')).jobs["train"].trigger


def test_a_trigger_on_what_a_follower_writes() -> None:
    text = """\
[jobs.train]
command = "x"
trigger = { on_change = ["reports/*"] }
[jobs.eval]
command = "x"
after = "train"
[jobs.report]
command = "x"
after = { job = "eval", on = "any" }
outputs = ["reports"]
"""
    error = error_of(text)
    assert (error.line, error.key) == (3, "jobs.train.trigger.on_change")
    assert "which report writes, started by this job (train → eval → report → train)" in error.problem
    assert manifest.parse(text.replace('after = "train"\n', "")).jobs


def test_two_jobs_that_trigger_each_other() -> None:
    text = "".join(
        f'[jobs.{name}]\ncommand = "x"\noutputs = "{name}.out"\ntrigger = {{ on_change = "{other}.out" }}\n'
        for name, other in ("ab", "ba")
    )
    assert "started by this job" in error_of(text).problem


def test_patterns_made_to_be_slow_are_refused() -> None:
    written, read = ([f"{'*a' * 95}{end}{n}" for n in range(50)] for end in ("", "b"))
    text = job(f"outputs = {written}\ntrigger = {{ on_change = {read} }}")
    assert "too many patterns to compare" in error_of(text).problem


def test_reading_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        manifest.read(str(tmp_path))
    path = tmp_path / "footplate.toml"
    path.write_bytes(WHOLE.replace("\n", "\r\n").encode())
    read = manifest.read(str(tmp_path))
    assert read.path == str(path)
    assert read.text_hash == blake3(path.read_bytes()).hexdigest()
    assert list(read.jobs) == ["train", "eval", "generate"]


def test_ten_megabytes_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "footplate.toml").write_bytes(b"# nothing\n" * 1_000_000)
    with pytest.raises(ManifestError, match=r"footplate.toml: has 10000000 bytes; expected at most 262144"):
        manifest.read(str(tmp_path))


def test_bytes_that_are_no_text_have_a_line(tmp_path: Path) -> None:
    (tmp_path / "footplate.toml").write_bytes(b"[project]\nname = 'caf\xe9'\n")
    with pytest.raises(ManifestError, match=r"footplate.toml:2: has the byte 0xe9; expected text in UTF-8"):
        manifest.read(str(tmp_path))


def test_a_pipe_a_folder_and_a_way_out_are_refused(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    path = project / "footplate.toml"
    os.mkfifo(path)
    with pytest.raises(ManifestError, match="is no regular file"):
        manifest.read(str(project))
    path.unlink()
    path.mkdir()
    with pytest.raises(ManifestError, match="is no regular file"):
        manifest.read(str(project))
    path.rmdir()
    (tmp_path / "other.toml").write_text("")
    path.symlink_to("../other.toml")
    with pytest.raises(ManifestError, match="is a link that leads out of the folder"):
        manifest.read(str(project))
    path.unlink()
    (project / "inside.toml").write_text("")
    path.symlink_to("inside.toml")
    assert manifest.read(str(project)).jobs == {}
    path.unlink()
    path.symlink_to("footplate.toml")
    with pytest.raises(ManifestError):
        manifest.read(str(project))


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: File name too long; expected a file that you may read"):
        manifest.read(str(tmp_path / ("x" * 300)))


def test_lines_of_every_form_of_key() -> None:
    text = '''\
a = 1
b.c = { d = 1, "e.f" = [ 1, { g = 2 } ] }
text = """
[not.a.table]
x = 1
"""
list = [
  1, # [no]
  """a
  b""",
  { z = 3 },
]
['quoted "name"'."\\u0041"]
k = 1
[[rows]]
v = 1
[[rows]]
v = 2
[rows.sub]
w = 3
'''
    tomllib.loads(text)
    lines = KeyLines(text)
    expected = {
        ("a",): 1,
        ("b", "c", "d"): 2,
        ("b", "c", "e.f", 1, "g"): 2,
        ("text",): 3,
        ("list", 1): 9,
        ("list", 2, "z"): 11,
        ('quoted "name"', "A", "k"): 14,
        ("rows", 0, "v"): 16,
        ("rows", 1, "v"): 18,
        ("rows", 1, "sub", "w"): 20,
    }
    assert {key: lines.line(key) for key in expected} == expected
    assert lines.line(("b", "c", "unknown")) == 2
    assert lines.line(("unknown",)) == 1


def keys_of(value: Any, key: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every key below a value."""
    found = {key} if key else set()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in items:
        found |= keys_of(below, (*key, name))
    return found


PIECES = st.sampled_from(
    ["a", "b", "'c d'", '"e"', ".", "=", "[", "]", "[[", "]]", "{", "}", ",", "\n", "1", "#", '"""', "'''", " ", "true"]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_lines_are_found_for_every_key_that_tomllib_finds_and_nothing_hangs(text: str) -> None:
    lines = KeyLines(text)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(ManifestError):
            manifest.parse(text)
        return
    assert {key for key in keys_of(tables) if key not in lines.first} == set()


SEGMENTS = st.lists(st.sampled_from("ab*?"), min_size=1, max_size=3).map("".join).filter(lambda name: "**" not in name)
PATTERNS = st.lists(SEGMENTS | st.just("**"), min_size=1, max_size=3).map("/".join)
PATHS = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(PATTERNS, PATTERNS, PATHS)
def test_patterns_that_mean_one_path_meet(one: str, other: str, path: str) -> None:
    if globs.matches(one, path) and globs.matches(other, path):
        assert globs.meet(one, other)


NAMES = ["".join(letters) for length in (1, 2, 3) for letters in itertools.product("ab", repeat=length)]
BELOW = ["", *(f"/{one}" for one in NAMES), *(f"/{one}/{other}" for one in NAMES for other in NAMES)]


@given(
    PATTERNS.filter(lambda text: len(text) < 7), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
)
def test_a_pattern_meets_a_plain_path_only_when_it_means_it_or_what_is_below(pattern: str, path: str) -> None:
    assert globs.meet(pattern, path) == any(globs.matches(pattern, f"{path}{rest}") for rest in BELOW)


def test_causes_of_a_retry_are_all_allowed() -> None:
    words = ", ".join(f'"{word}"' for word in RETRY_GROUPS)
    retry = manifest.parse(job(f"retry = {{ on = [{words}] }}")).jobs["train"].retry
    assert retry is not None
    assert set(retry.on) == set(RETRY_GROUPS)


def test_a_pattern_for_log_lines_is_tried_when_the_manifest_is_read() -> None:
    read = manifest.parse("[project]\nlog_pattern = 'it (?P<step>\\d+) loss (?P<loss>\\S+)'\n")
    assert read.log_pattern == r"it (?P<step>\d+) loss (?P<loss>\S+)"
    assert manifest.parse(WHOLE).log_pattern == ""
    for pattern, problem in (
        (r"'loss (?P<loss'", "cannot be read"),
        (r"'loss \S+'", "no named groups"),
        (r"'(?P<step>\d+)'", "names no metric"),
        (r"'(?P<loss>(\d+\s*)+)x'", "a repetition within"),
        ("''", "is empty"),
        ("3", "3 is a number"),
    ):
        error = error_of(f"[project]\nname = 'churn'\nlog_pattern = {pattern}\n")
        assert (error.line, error.key) == (3, "project.log_pattern")
        assert problem in error.problem, pattern
