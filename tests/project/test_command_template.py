"""Values of parameters stay values: one word each without a shell, and text only with one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.jobs.options import Retry
from console.project.command_template import fill
from console.project.manifest import parse
from console.project.manifest_model import Job
from console.project.placeholders import TemplateError

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    "",
    " ",
    "a b",
    "'",
    '"',
    "\\",
    "$(touch executed)",
    "`touch executed`",
    "; touch executed",
    "&& touch executed #",
    "| touch executed",
    "\ntouch executed\n",
    "'; touch executed; '",
    '"; touch executed; "',
    "$HOME",
    "${IFS}",
    "*",
    "~",
    "{lr}",
    "{{",
    "}}",
    "-n",
    "%s",
    "a[$(touch executed)]",
    "é\u202e\x1b[31m\x01",
    "\udcff",
]
VALUES = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30
)
SHELLS = [path for name in ("sh", "bash", "dash", "busybox") if (path := shutil.which(name))]


def filled(command: str | tuple[str, ...], *, shell: bool = False, **values: str) -> tuple[str, ...]:
    """The argv of a job with these parameters."""
    return fill(Job("train", command, shell, dict.fromkeys(values, 0)), values, "/opt/python").argv


@given(VALUES, VALUES)
def test_without_a_shell_a_value_is_one_word_whatever_is_in_it(lr: str, seed: str) -> None:
    command = "{python} 'my train.py' --lr {lr} --seed={seed} \"{lr} {seed}\" {{}} a'{lr}'b"
    expected = ("/opt/python", "my train.py", "--lr", lr, f"--seed={seed}", f"{lr} {seed}", "{}", f"a{lr}b")
    assert filled(command, lr=lr, seed=seed) == expected
    assert filled(tuple(shlex.split(command)), lr=lr, seed=seed) == expected


def output_of(shell: str, script: str, environment: dict[str, str], folder: Path) -> bytes:
    """What a script prints; fails when it fails or leaves anything in the folder."""
    argv = [shell, "sh"] if os.path.basename(shell) == "busybox" else [shell]
    done = subprocess.run(
        [*argv, "-c", script],
        env={"PATH": os.environ["PATH"], "HOME": "/home/ana"} | environment,
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert os.listdir(folder) == []
    return done.stdout


SCRIPTS = [
    "printf '%s\\n' {lr}",
    'printf "%s\\n" "{lr}"',
    'printf "%s\\n" a{lr}b"c {lr} d"',
    'printf "%s\\n" "$(printf %s {lr}; printf x)"',
    'printf "%s\\n" "$(printf %s "{lr}"; printf x)"',
    "printf '%s\\n' \"it's {lr}\"",
    "X={lr}; printf '%s\\n' \"$X\"",
    "printf '%s\\n' {lr} | cat",
    "# it's {{a}} comment with 'one quote {lr}\nprintf '%s\\n' {lr}",
    "printf '%s\\n' \\\"{lr}\\\" \\\\{lr}",
    "printf '%s\\n' \"${HOME}{lr}$((1 + (2 * 3)))\" {lr}",
    "( printf '%s\\n' {lr} ) && {{ printf '%s\\n' \"{lr}\"; }}",
]


@pytest.mark.parametrize("script", SCRIPTS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lr=VALUES)
def test_with_a_shell_a_value_is_text_and_nothing_of_it_is_executed(tmp_path: Path, script: str, lr: str) -> None:
    job = Job("train", script, shell=True, params={"lr": 0.1})
    command = fill(job, {"lr": lr}, "/opt/python")
    assert command.argv[:2] == ("/bin/sh", "-c")
    assert command.environment["FOOTPLATE_PARAM_lr"] == lr
    plain = fill(job, {"lr": "VALUE"}, "/opt/python")
    assert plain.argv == command.argv
    for shell in SHELLS[:2]:
        usual = output_of(shell, plain.argv[2], dict(plain.environment), tmp_path)
        # The command substitution takes newlines at the end away, so those scripts print an x after the value.
        assert output_of(shell, command.argv[2], dict(command.environment), tmp_path) == usual.replace(
            b"VALUE", os.fsencode(lr)
        )


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("value", HOSTILE)
def test_every_shell_here_prints_every_hostile_value(tmp_path: Path, shell: str, value: str) -> None:
    command = fill(Job("train", SCRIPTS[0], shell=True, params={"lr": 1}), {"lr": value}, "python")
    assert output_of(shell, command.argv[2], dict(command.environment), tmp_path) == os.fsencode(value) + b"\n"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo '{lr}'", "stands in single quotes"),
        ("echo \"$(echo '{lr}')\"", "stands in single quotes"),
        ("echo $(( {lr} + 1 ))", "stands in (( )), [[ ]] or backquotes"),
        ('echo "$(( {lr} + 1 ))"', "stands in (( ))"),
        ("(( {lr} > 1 )) && x", "stands in (( ))"),
        ("[[ {lr} -eq 1 ]] && x", "[[ ]]"),
        ("echo `echo {lr}`", "backquotes"),
        ("echo $[ {lr} ]", "$[ is not understood"),
        ("cat <<EOF\n{lr}\nEOF", "stands after <<"),
        ("echo \\{lr}", "a backslash stands before a placeholder"),
        ('echo "\\{lr}"', "a backslash stands before a placeholder"),
        ("echo ${HOME:-{lr}}", "is not understood"),
        ("echo ${HOME", "is not understood"),
        ("echo 'a", "no closing '"),
        ('echo "a', 'no closing "'),
        ("f() { echo a; }", "is no placeholder; expected {{ or }}"),
        ("awk '{print}'", "unknown placeholder '{print}'"),
        ("echo {rate}", "unknown placeholder '{rate}'"),
    ],
)
def test_where_a_shell_would_take_a_value_for_something_else_it_is_refused(script: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        filled(script, shell=True, lr="1")
    assert words in str(caught.value)


def test_a_shells_own_words_stay_as_they_are(tmp_path: Path) -> None:
    script = "for x in a b; do printf '%s' \"${x}$((1 << 2))\" '{{}}' $(printf '%s' c); done | awk '{{print $1}}'"
    (_, _, written) = filled(script, shell=True)
    assert output_of("/bin/sh", written, {}, tmp_path) == b"a4{}cb4{}c\n"


def test_the_interpreter_is_a_placeholder_in_both_forms() -> None:
    assert filled("{python} x.py") == ("/opt/python", "x.py")
    command = fill(Job("train", "{python} x.py | tee y", shell=True), {}, "/my env/bin/python")
    assert command.argv[2] == '"${FOOTPLATE_PYTHON}" x.py | tee y'
    assert command.environment == {"FOOTPLATE_PYTHON": "/my env/bin/python"}


def test_values_stay_as_typed_and_defaults_as_written() -> None:
    manifest = parse(
        '[jobs.a]\ncommand = "t {lr} {n} {fast} {opt.name} {big}"\n'
        'params = { lr = 1e-3, n = 31, fast = true, "opt.name" = "a b", big = 1_000.50 }\n'
    )
    command = fill(manifest.jobs["a"], {"n": "1e2"}, "python")
    assert command.argv == ("t", "1e-3", "1e2", "true", "a b", "1000.50")
    assert command.params == {"lr": "1e-3", "n": "1e2", "fast": "true", "opt.name": "a b", "big": "1000.50"}
    assert command.environment["FOOTPLATE_PARAM_opt_name"] == "a b"
    assert list(command.params) == ["lr", "n", "fast", "opt.name", "big"]


def test_a_parameter_that_the_job_does_not_have() -> None:
    job = Job("train", "t {lr}", params={"lr": 1, "seed": 2})
    with pytest.raises(
        TemplateError, match="job 'train' has no parameter 'rate'; expected one of its parameters: lr, seed"
    ):
        fill(job, {"rate": "1"}, "python")
    with pytest.raises(TemplateError, match="it has none"):
        fill(Job("train", "t"), {"rate": "1"}, "python")


@pytest.mark.parametrize(("value", "words"), [("a\0b", "NUL"), ("x" * 65537, "65537 bytes"), ("\ud800", "not Unicode")])
def test_values_that_no_command_can_be_given(value: str, words: str) -> None:
    for shell in (False, True):
        with pytest.raises(TemplateError, match=words):
            filled("t {lr}", shell=shell, lr=value)


def test_further_attempts_are_filled_in_the_same_way() -> None:
    manifest = parse(
        '[jobs.a]\ncommand = "t {lr}"\nparams = { lr = 1 }\nretry = { max = 3, resume = "t {lr} --resume" }\n'
        '[jobs.b]\ncommand = "t {lr} | cat"\nshell = true\nparams = { lr = 1 }\nretry = { resume = "t {lr} | tac" }\n'
        '[jobs.c]\ncommand = "t"\nretry = {}\n'
    )
    values = {"lr": "$(id) x"}
    plain, shell = (fill(manifest.jobs[name], values, "python").retry for name in "ab")
    assert plain == Retry(("interrupted",), 3, 10.0, ("t", "$(id) x", "--resume"))
    assert shell is not None
    assert shell.resume == ("/bin/sh", "-c", 't "${FOOTPLATE_PARAM_lr}" | tac')
    assert fill(manifest.jobs["c"], {}, "python").retry == Retry(("interrupted",), 1)


@given(st.text("ab '\"\\{}$(`);|&<>#\n{lr}", max_size=25))
def test_any_template_is_filled_or_refused_with_what_was_expected(template: str) -> None:
    words: list[str] = []
    for shell in (False, True):
        try:
            argv = filled(template, shell=shell, lr="VALUE")
        except TemplateError as error:
            words.append(error.expected)
        else:
            assert not shell or "VALUE" not in argv[2]
    assert all(words)
