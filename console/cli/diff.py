"""`footplate diff`: runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import run_diff
from console.cli import output
from console.client import Client
from console.protocol import encode_number
from console.tui import text_format
from console.tui.text_format import number, visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from console.run_diff import Sides

WIDEST = 28


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="two runs or more; the first is held against the others")
    parser.add_argument("--all", action="store_true", help="also params that are equal")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def execute(options: Namespace) -> int:
    """Print them side by side."""
    if not 2 <= len(options.runs) <= run_diff.RUNS_MAX:
        return output.usage_error(f"{len(options.runs)} runs are named; give 2 to {run_diff.RUNS_MAX}")
    sides = run_diff.load(Client(), options.runs)
    if options.json:
        output.print_json(as_json(sides))
    else:
        print_sides(sides, everything=options.all)
    return 0


def as_json(sides: Sides) -> dict[str, object]:
    """One list for each param and metric, in the order of the runs."""
    return {
        "runs": [
            {"id": row.id, "no": row.no, "name": row.name, "state": row.state, "cause": row.cause} for row in sides.runs
        ],
        "duration_s": [output.duration_s(row, sides.now_s) for row in sides.runs],
        "params": {line.key: list(line.values) for line in sides.params if line.differs},
        "equal_params": {line.key: line.values[0] for line in sides.params if not line.differs},
        "metrics": [
            {
                "key": line.key,
                "goal": line.goal,
                "last": list(map(encode_number, line.lasts)),
                "best": list(map(encode_number, line.bests)),
            }
            for line in sides.metrics
        ],
    }


def print_sides(sides: Sides, *, everything: bool) -> None:
    """A table with a column for each run."""
    runs = sides.runs
    lines = [
        ["", *(row.label for row in runs)],
        ["name", *(visible(row.name) for row in runs)],
        ["state", *(row.state for row in runs)],
        ["outcome", *(text_format.outcome(row.state, row.cause, row.exit_code, row.signal) or "-" for row in runs)],
        ["took", *(text_format.duration(output.duration_s(row, sides.now_s)) or "-" for row in runs)],
    ]
    equal_count = sum(not line.differs for line in sides.params)
    for line in sides.params:
        if line.differs or everything:
            values = ("-" if value is None else visible(value) for value in line.values)
            lines.append([visible(line.key), *values])
    for metric in sides.metrics:
        title = output.metric_words(metric.key, metric.goal, "")
        lines.append([f"{title} last", *map_values(metric.lasts)])
        lines.append([f"{title} best", *map_values(metric.bests)])
    output.print_cells(lines, [("", "<", WIDEST)] * (len(runs) + 1))
    if equal_count and not everything:
        print(f"{equal_count} equal param{'s are' if equal_count != 1 else ' is'} not shown: --all")


def map_values(values: Sequence[float | None]) -> list[str]:
    """Values, each with how far it is from the first."""
    return [value_words(values, place) for place in range(len(values))]


def value_words(values: Sequence[float | None], place: int) -> str:
    """One value with its difference."""
    value, found = values[place], run_diff.difference(values, place)
    text = "-" if value is None else number(value)
    return text if found is None else f"{text} ({found:+.3g})"
