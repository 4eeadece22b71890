"""What is said about commands, and what a shell completes."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from console import exit_codes
from console.__main__ import COMMANDS
from console.cli import completing, completion
from tests.support import FOOTPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

ASK_BASH = """
source <(footplate completion bash)
COMP_WORDS=(footplate "$@"); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); COMPREPLY=()
_footplate
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_codes_are_told_of_commands_that_exist() -> None:
    assert set(exit_codes.OF_COMMAND) <= set(COMMANDS)


def test_help_of_a_command_ends_with_its_exit_codes(home: Home) -> None:
    told = home.footplate("help", "run").stdout
    assert told == home.footplate("run", "--help").stdout
    assert told.startswith("usage: footplate run")
    assert re.search(r"exit codes:\n.*  127 +the command was not found\n", told, re.DOTALL)
    assert "footplate help COMMAND" in home.footplate("help").stdout
    done = home.footplate("help", "rum", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown command 'rum'" in done.stderr


def completed(home: Home, *words: str, cwd: str = "/") -> list[str]:
    """What bash offers in place of the last word."""
    environment = home.environment(PATH=f"{os.path.dirname(FOOTPLATE)}:{os.environ['PATH']}")
    argv = ["bash", "--norc", "-c", ASK_BASH, "bash", *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=60, cwd=cwd)
    assert "command not found" not in done.stderr
    return [line for line in done.stdout.split("\n") if line]


def test_bash_completes_commands_options_and_choices_without_a_daemon(home: Home) -> None:
    assert completed(home, "re") == ["release", "retry", "resume", "reparse", "rebuild"]
    assert completed(home, "help", "aud") == ["audit"]
    assert completed(home, "runs", "--so") == ["--sort"]
    assert completed(home, "runs", "--sort", "st") == ["state", "step", "started"]
    assert completed(home, "runs", "--sort", "=", "st") == ["state", "step", "started"]
    assert completed(home, "queue", "li") == ["limit"]
    assert completed(home, "queue", "limit", "--j") == ["--json"]
    assert completed(home, "--read") == ["--readonly"]
    assert completed(home, "show", "") == []  # names are the daemon's, and none is started for them
    assert completed(home, "nonsense", "") == []
    assert home.daemon_pid() is None


def test_bash_completes_what_the_daemon_knows(home: Home, tmp_path: Path) -> None:
    project = tmp_path / "churn"
    project.mkdir()
    (project / "footplate.toml").write_text('[jobs.train]\ncommand = "true"\n', encoding="utf-8")
    home.footplate("watch", str(project))
    ended = home.wait_ended(home.python("print('loss=0.5'); print('valid auc: 0.7')")).row.label
    alive = home.client().run(home.python("import time; time.sleep(60)")).row.label
    assert completed(home, "show", "r") == [alive, ended]
    assert completed(home, "stop", "") == [alive]
    assert completed(home, "retry", "r") == [ended]
    assert completed(home, "stop", ended, "--json", "") == [alive]
    assert completed(home, "unwatch", "c") == ["churn"]
    assert completed(home, "start", "t", cwd=str(project)) == ["train"]
    assert completed(home, "start", "t") == []
    assert completed(home, "metric", "lo") == ["loss"]
    assert completed(home, "log", ended, "lo") == ["loss="]
    assert completed(home, "audit", "ver") == ["verify"]


def test_what_a_name_holds_is_nothing_that_the_shell_executes(home: Home) -> None:
    line = '{"$(touch /tmp/x); `id` a b": 1.0}'
    home.wait_ended(home.python(f"import os; open(os.environ['FOOTPLATE_METRICS'], 'a').write({line!r} + chr(10))"))
    [offered] = completed(home, "metric", "$")
    assert offered.startswith("\\$\\(touch")
    assert subprocess.run(
        ["bash", "-c", f"printf %s {offered}"], capture_output=True, check=True, text=True
    ).stdout == ("$(touch /tmp/x); `id` a b")


def test_paths_are_left_to_the_shell() -> None:
    assert completing.candidates(["watch", ""]) == [completing.Candidate(completing.FILES)]
    assert completing.candidates(["run", "--", "pyth"]) == [completing.Candidate(completing.FILES)]


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_every_shell_that_is_installed_accepts_its_script(home: Home, shell: str) -> None:
    script = home.footplate("completion", shell).stdout
    assert "__complete" in script
    program = next(
        (f"{folder}/{shell}" for folder in os.get_exec_path() if os.access(f"{folder}/{shell}", os.X_OK)), ""
    )
    if not program:
        pytest.skip(f"{shell} is not installed")
    subprocess.run(
        [program, "-n", "-c", script] if shell != "fish" else [program, "-c", script], check=True, timeout=60
    )
