"""What the terminal can do, and what is said where it can do nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from console.config import Settings
from console.tui import terminal, terminal_answer
from console.tui.terminal import TerminalProfile, detect, refuse
from console.tui.terminal_answer import Answer
from console.tui.widgets.header_line import HeaderFacts, freshness
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from console.config import SlowChoice


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


def printed_by(code: str) -> str:
    """What a fresh interpreter says."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_nothing_heavy_is_imported_before_the_first_frame() -> None:
    heavy = (
        "duckdb polars numpy pydantic sqlmodel sqlalchemy lightgbm pynvml watchdog click orjson starlette psutil http"
    )
    code = (
        "import sys, console.tui.app; "
        f"print(sorted(set({heavy.split()}) & set(sys.modules)), "
        "sorted(m for m in sys.modules if m.startswith(('console.daemon', 'console.jobs', 'store.'))))"
    )
    assert printed_by(code) == "[] ['store.paths']"


def test_what_answers_and_keys_need_is_imported_after_the_first_frame() -> None:
    later = (
        "console.client console.protocol console.triage console.devices console.run_queries console.asked_of_runs "
        "console.tui.run_cells console.tui.table_layout console.tui.raster console.tui.triage_cells console.tui.lofi "
        "console.tui.run_acts console.tui.screens.run_acting console.tui.screens.confirm console.tui.screens.runs"
    )
    code = (
        "import sys, console.tui.app, console.opening, console.tui.memory; "
        f"print(sorted(set({later.split()}) & set(sys.modules)))"
    )
    assert printed_by(code) == "[]"


def test_no_dataclass_is_compiled_before_the_first_frame() -> None:
    code = (
        "import sys, console.tui.app, console.opening\n"
        "ours = [m for name, m in sys.modules.items() if name.startswith('console')]\n"
        "kinds = {each for m in ours for each in vars(m).values() if isinstance(each, type)}\n"
        "made = [k for k in kinds if k.__module__.startswith('console') and '__dataclass_fields__' in vars(k)]\n"
        "print(made)"
    )
    assert printed_by(code) == "[]"


def test_the_terminal_module_does_not_import_textual() -> None:
    code = "import sys, console.tui.terminal; print('textual' in sys.modules)"
    assert printed_by(code) == "False"


def test_slow_lines_get_charts_and_logs_seldom_and_count_no_seconds() -> None:
    profile = terminal.slowed(detect({"TERM": "xterm", "SSH_CONNECTION": "x"}, has_terminal=True))
    assert 0.1 <= 1 / profile.chart_interval_s <= 0.2
    assert 1 / profile.log_interval_s <= 0.5
    assert profile.seconds_interval_s >= 30
    assert profile.slow
    environ: dict[str, str] = {}
    terminal.apply_environment(profile, environ)
    assert environ["TEXTUAL_FPS"] == "4"


@pytest.mark.parametrize(
    ("wish", "environ", "took_s", "slow"),
    [
        ("auto", {}, None, False),
        ("always", {}, None, True),
        ("auto", {"SSH_CONNECTION": "x"}, 0.02, False),
        ("auto", {"SSH_CONNECTION": "x"}, 0.2, True),
        ("auto", {"SSH_CONNECTION": "x"}, None, True),
        ("never", {"SSH_CONNECTION": "x"}, 0.2, False),
    ],
)
def test_when_a_line_is_slow(
    monkeypatch: pytest.MonkeyPatch, wish: SlowChoice, environ: dict[str, str], took_s: float | None, slow: bool
) -> None:
    answer = Answer(1, took_s) if took_s is not None else None
    monkeypatch.setattr(terminal_answer, "cursor_after", lambda *_, **__: answer)
    profile = detect({"TERM": "xterm", **environ}, has_terminal=True)
    assert terminal.adjusted(profile, Settings(slow=wish)).slow == slow


def test_the_header_says_slow() -> None:
    assert freshness(HeaderFacts(None, "live", 0, slow=True)).plain == "slow live "
    assert freshness(HeaderFacts(None, "live", 0)).plain == "live "


ASK = """
import sys
from console.tui import terminal_answer
print(terminal_answer.cursor_after(sys.argv[1], timeout_s=float(sys.argv[2])))
"""


def test_a_terminal_is_asked_where_its_cursor_is() -> None:
    environ = {**os.environ, "TERM": "xterm"}
    asked = Terminal([sys.executable, "-c", ASK, "abc", "30"], environ)
    silent = Terminal([sys.executable, "-c", ASK, "", "0.1"], environ)
    silent.screen.answer = lambda _: None
    try:
        assert asked.wait() == 0
        assert asked.shows("Answer(column=4, took_s=0.")
        assert not asked.shows("abc")
        assert silent.wait() == 0
        assert silent.shows("None")
    finally:
        asked.close()
        silent.close()


def test_a_file_is_not_asked(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b") as file:
        assert terminal_answer.cursor_after("", file.fileno()) is None
