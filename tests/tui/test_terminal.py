"""What the terminal can do, and what is said where it can do nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from console.tui import terminal
from console.tui.terminal import TerminalProfile, detect, refuse


def test_ssh_gets_fewer_frames_and_slower_charts() -> None:
    local = detect({"TERM": "xterm-256color", "LANG": "C.UTF-8"}, has_terminal=True)
    remote = detect({"TERM": "xterm-256color", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, has_terminal=True)
    assert (local.frames_per_second, local.chart_interval_s, local.log_interval_s) == (60, 1.0, 0.25)
    assert (remote.frames_per_second, remote.chart_interval_s, remote.log_interval_s) == (15, 2.0, 1.0)
    assert remote.over_ssh
    assert not local.over_ssh


@pytest.mark.parametrize(
    ("environ", "glyphs"),
    [
        ({"TERM": "xterm", "LANG": "en_US.UTF-8"}, "braille"),
        ({"TERM": "xterm", "LC_ALL": "C.utf8"}, "braille"),
        ({"TERM": "xterm"}, "braille"),
        ({"TERM": "xterm", "LC_ALL": "C", "LANG": "en_US.UTF-8"}, "ascii"),
        ({"TERM": "xterm", "LANG": "de_DE.ISO-8859-1"}, "ascii"),
        ({"TERM": "linux", "LANG": "en_US.UTF-8"}, "ascii"),
        ({"TERM": "xterm", "LANG": "en_US.UTF-8", "FOOTPLATE_GLYPHS": "ascii"}, "ascii"),
        ({"TERM": "linux", "FOOTPLATE_GLYPHS": "braille"}, "braille"),
    ],
)
def test_glyphs(environ: dict[str, str], glyphs: str) -> None:
    assert detect(environ, has_terminal=True).glyphs == glyphs


def test_what_the_person_set_for_textual_stays() -> None:
    environ = {"TEXTUAL_FPS": "5"}
    terminal.apply_environment(detect({"SSH_CONNECTION": "x", "TERM": "xterm"}, has_terminal=True), environ)
    assert environ == {"TEXTUAL_FPS": "5", "TEXTUAL_ANIMATIONS": "none", "TEXTUAL_SMOOTH_SCROLL": "0"}


def test_no_color_is_remembered() -> None:
    assert detect({"NO_COLOR": "1"}, has_terminal=True).no_color
    assert not detect({"NO_COLOR": ""}, has_terminal=True).no_color


def test_refusals_name_what_to_use_instead() -> None:
    assert refuse(TerminalProfile()) is None
    for profile in (TerminalProfile(term="dumb"), TerminalProfile(term=""), TerminalProfile(has_terminal=False)):
        sentence = refuse(profile)
        assert sentence is not None
        assert "footplate runs" in sentence
        assert "footplate logs -f" in sentence
        assert "\n" not in sentence


RUN_TUI = "import sys; from console.tui.app import run_tui; sys.exit(run_tui())"


def test_a_dumb_terminal_is_refused_in_one_sentence() -> None:
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", RUN_TUI],
            env=os.environ | {"TERM": "dumb"},
            stdin=follower,
            stdout=follower,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 2
    assert "TERM=dumb" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_terminal_nothing_is_drawn() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_TUI],
        env=os.environ | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "needs a terminal" in done.stderr.replace("need a", "needs a")


def test_nothing_heavy_is_imported_before_the_first_frame() -> None:
    heavy = (
        "duckdb polars numpy pydantic sqlmodel sqlalchemy lightgbm pynvml watchdog click orjson starlette psutil http"
    )
    code = (
        "import sys, console.tui.app; "
        f"print(sorted(set({heavy.split()}) & set(sys.modules)), "
        "sorted(m for m in sys.modules if m.startswith(('console.daemon', 'console.jobs', 'store.'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[] ['store.paths']"


def test_the_terminal_module_does_not_import_textual() -> None:
    code = "import sys, console.tui.terminal; print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
