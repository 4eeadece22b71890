"""`just tour`: does what docs/tour.md says, from an empty environment, on a folder of old runs; prints the times.

Blocks of `sh` are typed into one shell, line by line; those marked `fails` must end with another code than 0. The table
after a block marked `console` is typed into the console in a pseudo-terminal: what stands in backticks in the column
"you see" must come up on the screen.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tests.support import HIDING_VARIABLES
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "tour.md"
BLOCK: Final = re.compile(r"^```sh ?(?P<kind>fails|console)?\n(?P<text>.*?)^```\n", re.DOTALL | re.MULTILINE)
ROW: Final = re.compile(r"^\| (?P<press>[^|]*`[^|]*) \| (?P<see>[^|]*) \|$", re.MULTILINE)
QUOTED: Final = re.compile(r"`([^`]*)`")
KEYS: Final = {"enter": "\r", "esc": "\x1b", "space": " ", "tab": "\t"}
TABLE_COMMAND: Final = "footplate runs --sort"
"""The line with which the table is sorted and filtered."""


@dataclass(frozen=True)
class Step:
    """Something that a person does."""

    kind: Literal["sh", "fails", "keys"]
    text: str
    seen: tuple[str, ...] = ()
    """What must be on the screen afterwards."""


def steps_of(page: str) -> Iterator[Step]:
    """The steps of the tour, in order."""
    for block in BLOCK.finditer(page):
        if block["kind"] != "console":
            kind: Literal["sh", "fails"] = "fails" if block["kind"] else "sh"
            yield from (Step(kind, line) for line in block["text"].splitlines())
            continue
        after = page[block.end() :].partition("\n## ")[0].partition("```")[0]
        for row in ROW.finditer(after):
            [pressed] = QUOTED.findall(row["press"])
            keys = pressed if row["press"].startswith("type") else KEYS.get(pressed, pressed)
            yield Step("keys", keys, tuple(QUOTED.findall(row["see"])))


class Tour:
    """One walk through the page."""

    def __init__(self, folder: Path, old_runs: Path) -> None:
        home = folder / "home"
        home.mkdir()
        shutil.copytree(old_runs, home / "experiments", ignore=shutil.ignore_patterns("expected-*"))
        kept = {name: value for name, value in os.environ.items() if name not in HIDING_VARIABLES}
        programs = folder / "bin"
        self.environment: Mapping[str, str] = kept | {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "UV_TOOL_DIR": str(folder / "tools"),
            "UV_TOOL_BIN_DIR": str(programs),
            "UV_PYTHON": sys.executable,
            "PATH": f"{programs}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "TERM": "xterm-256color",
        }
        self.environment.pop("FOOTPLATE_HOME", None)
        self.environment.pop("VIRTUAL_ENV", None)
        self._folder = str(ROOT)
        self._console: Terminal | None = None

    def do(self, step: Step) -> str:
        """Do one step; returns what is wrong, or nothing."""
        if step.kind == "keys":
            return self._press(step)
        self._leave_console()
        script = f"{step.text}\ncode=$?\npwd >&3\nexit $code"
        with tempfile.TemporaryFile("w+") as place:
            done = subprocess.run(
                ["bash", "-c", f"exec 3>&{place.fileno()}\n{script}"],
                cwd=self._folder,
                env=self.environment,
                pass_fds=[place.fileno()],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            place.seek(0)
            self._folder = place.read().strip() or self._folder
        sys.stdout.write("".join(f"    {line}\n" for line in (done.stdout + done.stderr).splitlines()[:12]))
        as_wanted = (done.returncode != 0) == (step.kind == "fails")
        return "" if as_wanted else f"ended with {done.returncode}: {done.stderr.strip()[-300:]}"

    def _press(self, step: Step) -> str:
        if self._console is None:
            self._console = Terminal(["footplate"], self.environment, 120, 40, cwd=self._folder)
            self._console.read_until(lambda terminal: terminal.shows("live"))
        console = self._console
        console.type(step.text)
        console.read_for(1.0)  # an esc and the key after it must not be read as one
        if step.text == "q":
            return "" if console.wait() == 0 else "the console did not end well"
        for text in step.seen:
            console.read_until(lambda terminal, text=text: terminal.shows(text), timeout_s=20.0)  # type: ignore[misc]
        return ""

    def _leave_console(self) -> None:
        if self._console is not None:
            self._console.close()
            self._console = None

    def close(self) -> None:
        """End what runs."""
        self._leave_console()
        if shutil.which("footplate", path=self.environment["PATH"]):
            subprocess.run(["footplate", "daemon", "stop"], env=self.environment, capture_output=True, check=False)


def walk(folder: Path, old_runs: Path) -> int:
    """Walk the tour; returns how many steps went wrong."""
    tour = Tour(folder, old_runs)
    wrong, started_s, table_s = 0, time.monotonic(), 0.0
    try:
        for step in steps_of(PAGE.read_text(encoding="utf-8")):
            began_s = time.monotonic()
            try:
                problem = tour.do(step)
            except AssertionError as error:
                problem = str(error)
            shown = repr(step.text) if step.kind == "keys" else step.text
            print(f"{time.monotonic() - began_s:6.2f} s  {shown}")
            if step.text.startswith(TABLE_COMMAND):
                table_s = time.monotonic() - started_s
            if problem:
                wrong += 1
                print(f"          wrong: {problem}")
    finally:
        tour.close()
    load = os.getloadavg()[0]
    print(
        f"from install to a sorted, filtered table: {table_s:.1f} s; all {time.monotonic() - started_s:.1f} s; ", end=""
    )
    print(f"{wrong} wrong; load {load:.1f}")
    return wrong


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old_runs", type=Path, help="a folder that `just old-runs` has filled")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footplate-tour-") as name:
        return 1 if walk(Path(name), options.old_runs.resolve()) else 0


if __name__ == "__main__":
    sys.exit(main())
