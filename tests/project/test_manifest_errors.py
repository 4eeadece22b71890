"""One clear error for everything that is wrong in `footplate.toml`."""

from __future__ import annotations

import pytest

from console.project import manifest
from console.project.manifest_model import ManifestError
from tests.project.manifests import error_of, job


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


def test_a_long_chain_of_jobs_is_no_circle() -> None:
    text = '[jobs.j0]\ncommand = "x"\n'
    for number in range(1, 200):
        before = ", ".join(f'"j{earlier}"' for earlier in sorted({number - 1, number // 2}))
        text += f'[jobs.j{number}]\ncommand = "x"\nafter = [{before}]\n'
    assert len(manifest.parse(text).jobs) == 200
    assert "has 201 jobs; expected at most 200" in str(error_of(text + '[jobs.last]\ncommand = "x"\n'))
