"""Measure the table of runs with 100,000 runs of 20 metrics and 20 params: `just bench-tui`.

The console runs in a real pseudo-terminal of 120x40; a figure is the time from the key to the bytes of the last line
that it changes. Beside each stands a bare baseline of the same run: the smallest Textual program, Textual's DataTable,
the query alone in DuckDB. Nothing here fails because a machine is busy; the load is printed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import duckdb

from console.tui.widgets.prompt import TYPING_PAUSE_S
from store import paths
from tests import big_index
from tests.bench import BARE_APP, resident_mib
from tests.support import FOOTPLATE, Home, opened_home
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VISIBLE_ROWS: Final = 35
"""Of the table at 120x40."""
REPEATS: Final = 7
SORT_ROUNDS: Final = 4
KEY_PAUSE_S: Final = 0.1
"""Between the last two keys of somebody who types fast; shorter than what the prompt waits for more letters."""
FILTER_ROUNDS: Final = 7
TYPING_ROUNDS: Final = 3
SORTS: Final = ("metric", "duration", "step", "name", "project", "state", "no")
"""What `s` goes through, from `started` on; names and projects begin at the smallest."""
QUERIES: Final = (
    "vit-b adam",
    "val/acc > 0.5",
    "lr < 1e-3 and optimizer = sgd",
    "state:failed",
    "tag:paper",
    "best(val/loss) < 0.2",
)
BARE_QUERIES: Final[dict[str, str]] = {
    "sort": """select run.no from run left join metric_latest latest on latest.run_no = run.no
        and latest.key_id = run.primary_key_id order by latest.value desc nulls last limit 256""",
    "filter": "select no from run where contains(search_text, 'vit-b') order by started_at_s desc limit 256",
}
DATA_TABLE: Final = """
import sys
from textual.app import App
from textual.widgets import DataTable
class Table(App):
    def compose(self):
        yield DataTable(cursor_type="row")
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns(*(f"column {n}" for n in range(12)))
        table.add_rows([(f"r{row}", *(f"{row % 97}.{n}" for n in range(11))) for row in range(int(sys.argv[1]))])
        table.focus()
Table().run()
"""


class RawTerminal(Terminal):
    """Does not draw what it reads, which takes longer than what is measured."""

    def draw(self, data: bytes) -> None:
        pass

    def until(self, wanted: str, *, keys: str = "", timeout_s: float = 30.0) -> float:
        """Press keys and read until a text comes; returns how long that took in ms."""
        self.written = bytearray()
        began_s = time.perf_counter()
        if keys:
            self.type(keys)
        pattern = re.compile(f"(?:{wanted})(?!\\d)".encode())
        while not pattern.search(self.written):
            if time.perf_counter() - began_s > timeout_s:
                raise AssertionError(f"{wanted!r} never came")
            self.read(0.05)
        return (time.perf_counter() - began_s) * 1000


class Line(NamedTuple):
    """One line of the report."""

    name: str
    values_ms: Sequence[float]
    bound: str
    beside: str

    def text(self) -> str:
        """Median and 95th percentile as a row of a Markdown table."""
        ordered = sorted(self.values_ms)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        figures = f"{statistics.median(ordered):.0f} | {p95:.0f}"
        return f"| {self.name} | {figures} | {self.bound} | {self.beside} | {os.getloadavg()[0]:.2f} |"


def first_frame_ms(argv: Sequence[str], home: Home, wanted: str, keys: str = "", then: str = "") -> tuple[float, float]:
    """From exec to a text, and on to the text that keys pressed then lead to."""
    terminal = RawTerminal(argv, home.environment(TERM="xterm-256color", COLORTERM="truecolor"))
    terminal.until(wanted)
    painted_ms = (time.perf_counter() - terminal.started_at_s) * 1000
    if then:
        terminal.until(then, keys=keys)
    shown_ms = (time.perf_counter() - terminal.started_at_s) * 1000
    terminal.close()
    return painted_ms, shown_ms


def label_on_line(home: Home, row: int, **query: object) -> str:
    """The run on a row of the table, as the daemon says."""
    found = home.client().runs(offset=row, limit=1, **query).rows  # type: ignore[arg-type]
    return found[0].label if found else ""


def start_up(home: Home) -> list[Line]:
    """The first frame and the first rows, in turn with the smallest Textual program."""
    newest = label_on_line(home, VISIBLE_ROWS - 1)
    leave_a_frame(home)
    ours, anew, bare = [], [], []
    for _ in range(REPEATS):
        ours.append(first_frame_ms([FOOTPLATE], home, "Triage", "2", newest))
        # One that only looks finds no frame that was kept for it, as the very first does.
        anew.append(first_frame_ms([FOOTPLATE, "--readonly"], home, "Triage", "2", newest))
        bare.append(first_frame_ms([sys.executable, "-I", "-c", BARE_APP], home, "hello")[0])
    beside = f"bare Textual program {statistics.median(bare):.0f} ms"
    rows = "rows of the table on the screen, by `2` at the first frame"
    return [
        Line("first painted frame, as the last console left it", [pair[0] for pair in ours], "<= 300", beside),
        Line("first painted frame of Textual", [pair[0] for pair in anew], "<= 300", beside),
        Line(rows, [pair[1] for pair in ours], "<= 800", beside),
        Line(f"{rows} of Textual", [pair[1] for pair in anew], "<= 800", beside),
    ]


def leave_a_frame(home: Home) -> None:
    """Open a console and leave it, so that the next ones have a first frame that was kept."""
    terminal = RawTerminal([FOOTPLATE], home.environment(TERM="xterm-256color", COLORTERM="truecolor"))
    terminal.until("Triage")
    terminal.read_for(2.0)
    terminal.type("q")
    terminal.wait()
    terminal.close()


def pages(terminal: RawTerminal, newest_no: int, count: int) -> list[float]:
    """Page after page from the top."""
    return [terminal.until(f"r{newest_no - VISIBLE_ROWS * page}", keys="\x1b[6~") for page in range(1, count + 1)]


def sorts(terminal: RawTerminal, home: Home) -> list[float]:
    """Every order that `s` goes through and each turned around by `S`, until rows come that were not on the screen."""
    taken = []
    before = labels_of(home)
    for sort in SORTS:
        usual = sort not in ("name", "project")
        for key, descending in (("s", usual), ("S", not usual)):
            # The cursor follows its run, and with it goes what is in view.
            terminal.type("g")
            terminal.read_for(0.3)
            labels = labels_of(home, sort=sort, descending=descending)
            if new := labels - before:
                taken.append(terminal.until("|".join(sorted(new)), keys=key))
            else:
                terminal.type(key)
            before = labels
            terminal.read_for(0.8)
    return taken


def labels_of(home: Home, **query: object) -> set[str]:
    """The runs of the first page."""
    return {row.label for row in home.client().runs(limit=256, **query).rows}  # type: ignore[arg-type]


def filters(
    terminal: RawTerminal, home: Home, order: dict[str, object], ending: str, *, pasted: bool = False
) -> list[float]:
    """Queries, from their last key to the rows; what goes before it is typed KEY_PAUSE_S earlier, or pasted with it."""
    taken = []
    before = labels_of(home, **order)
    for query in QUERIES:
        found = home.client().runs(limit=VISIBLE_ROWS, text=query, **order).rows  # type: ignore[arg-type]
        wanted = "|".join(sorted({row.label for row in found} - before))
        if not wanted:
            continue
        terminal.type("g")
        terminal.read_for(0.3)
        terminal.type("/")
        terminal.read_for(0.3)
        if pasted:
            taken.append(terminal.until(wanted, keys=f"\x1b[200~{query}\x1b[201~{ending}"))
        else:
            keys = query + ending
            terminal.type(keys[:-1])
            terminal.read_for(KEY_PAUSE_S)
            taken.append(terminal.until(wanted, keys=keys[-1]))
        terminal.read_for(0.8)
        terminal.type("\x1b")
        terminal.read_for(0.8)
    return taken


def opened_table(home: Home) -> RawTerminal:
    """A console with the table of runs in front, as it comes."""
    argv = [FOOTPLATE, "--fresh"]
    terminal = RawTerminal(argv, home.environment(TERM="xterm-256color", COLORTERM="truecolor"))
    terminal.until("Triage")
    terminal.until(label_on_line(home, VISIBLE_ROWS - 1), keys="2")
    terminal.read_for(2.0)
    return terminal


def data_table(home: Home, rows: int) -> list[float]:
    """Page after page in Textual's own table; the first figure is how long it loads."""
    terminal = RawTerminal([sys.executable, "-I", "-c", DATA_TABLE, str(rows)], home.environment(TERM="xterm-256color"))
    taken = [terminal.until("r20 ")]
    terminal.read_for(3.0)
    for _ in range(20):
        terminal.written = bytearray()
        began_s = time.perf_counter()
        terminal.type("\x1b[6~")
        while not terminal.read(0.15) and time.perf_counter() - began_s < 5:
            pass
        last_s = time.perf_counter()
        while terminal.read(0.06):
            last_s = time.perf_counter()
        taken.append((last_s - began_s) * 1000)
    terminal.close()
    return taken


def bare_query_ms(path: str, sql: str) -> float:
    """A query alone, on a copy of the index."""
    with duckdb.connect(path, read_only=True, config={"threads": "2"}) as connection:
        taken = []
        for _ in range(REPEATS):
            began_s = time.perf_counter()
            connection.execute(sql).fetchall()
            taken.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(taken)


def bench(home: Home, run_count: int, copy: str, say: Callable[[str], None]) -> None:
    """Every figure, a line each."""
    say("| figure | median ms | p95 ms | bound | beside | load |\n|---|---|---|---|---|---|")
    home.client().runs(limit=1)
    for line in start_up(home):
        say(line.text())
    terminal = opened_table(home)
    paged = pages(terminal, run_count, 40)
    table = data_table(home, 10_000)
    said = f"DataTable of 10,000 rows {statistics.median(table[1:]):.0f} ms, loaded in {table[0] / 1000:.1f} s"
    say(Line("page down, 40 pages", paged, "<= 30", said).text())
    terminal.close()
    taken = []
    for _ in range(SORT_ROUNDS):
        terminal = opened_table(home)
        taken += sorts(terminal, home)
        terminal.close()
    sort_ms = bare_query_ms(copy, BARE_QUERIES["sort"])
    say(Line(f"sort, {len(taken)} times", taken, "<= 80", f"the query alone {sort_ms:.0f} ms").text())
    filter_ms = bare_query_ms(copy, BARE_QUERIES["filter"])
    beside = f"one word alone {filter_ms:.0f} ms"
    terminal = opened_table(home)
    order: dict[str, object] = {"sort": "started", "descending": True}
    typing = f"while typing, with its pause of {TYPING_PAUSE_S * 1000:.0f} ms"
    for name, ending, pasted, bound, rounds in (
        ("from enter", "\r", False, "<= 80", FILTER_ROUNDS),
        ("pasted together with enter", "\r", True, "<= 80", FILTER_ROUNDS),
        (typing, "", False, "", TYPING_ROUNDS),
    ):
        taken = [each for _ in range(rounds) for each in filters(terminal, home, order, ending, pasted=pasted)]
        say(Line(f"filter, {len(taken)} queries, {name}", taken, bound, beside).text())
    say(f"\nconsole, resident: {resident_mib(terminal.pid):.0f} MiB (bound 200)")
    terminal.close()


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000, help="how many (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footplate-bench-") as name:
        state = Path(name) / "state"
        big_index.fill(str(state), options.runs)
        copy = str(Path(name) / "copy.duckdb")
        shutil.copyfile(paths.database_path(str(state)), copy)
        with opened_home(state) as home:
            os.environ["XDG_CONFIG_HOME"] = str(Path(name) / "config")
            bench(home, options.runs, copy, lambda line: print(line, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
