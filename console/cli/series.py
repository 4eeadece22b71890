"""`footplate series`: one metric of a run as a curve in the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from console.cli import output
from console.client import Client

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.run_curves import MetricCurves
    from console.tui.chart_layout import Chart, Row
    from console.tui.chart_view import ChartView

HEIGHT: Final = 18
WIDTH_MAX: Final = 120
WIDTH_MIN: Final = 30
COLOUR_CODES: Final = (74, 214, 36, 175, 227, 166, 69, 252, 116, 141)
"""What the colours of series are among the 256 of a terminal."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", help="r12, 12, its id, or the first characters of the id")
    parser.add_argument("key", help="the metric, as `footplate show` names it")
    parser.add_argument(
        "--smooth", type=float, default=0.0, metavar="WEIGHT", help="0 to 0.999: the weight of the past"
    )
    parser.add_argument("--x", choices=("step", "epoch", "wall", "relative"), default="step", help="what x is")
    parser.add_argument("--from", dest="low", type=float, metavar="X", help="the first x")
    parser.add_argument("--to", dest="high", type=float, metavar="X", help="the last x")
    parser.add_argument("--log", choices=("x", "y", "xy"), default="", help="logarithmic axes")
    parser.add_argument("--bins", type=int, help="at most so many, 2 to 2000")
    parser.add_argument("--height", type=int, default=HEIGHT, help="lines of the picture")
    parser.add_argument("--json", action="store_true", help="print the bins as JSON")


def execute(options: Namespace) -> int:
    """Ask, then draw or print."""
    from console import run_curves
    from console.tui.chart_view import ChartView

    if not 0 <= options.smooth < 1:
        return output.usage_error(f"--smooth takes 0 to 0.999, not {options.smooth:g}")
    if options.bins is not None and not 2 <= options.bins <= 2000:
        return output.usage_error(f"--bins takes 2 to 2000, not {options.bins}")
    if options.low is not None and options.high is not None and options.low > options.high:
        return output.usage_error(f"--from {options.low:g} lies behind --to {options.high:g}")
    width = max(WIDTH_MIN, min(output.terminal_width(), WIDTH_MAX))
    view = ChartView(
        axis=options.x,
        smoothing=options.smooth,
        log_x="x" in options.log,
        log_y="y" in options.log,
        low=options.low,
        high=options.high,
    )
    ask = view.ask(options.bins or 2 * width)
    [found] = run_curves.fetch(Client(), options.run, [options.key], ask)
    if found is None:
        return unknown_key(options)
    if options.json:
        output.print_json(as_json(found))
        return 0
    if found.unavailable:
        print(f"footplate: {found.unavailable}", file=sys.stderr)
        return 1
    return draw(found, view, width, max(4, options.height))


def draw(found: MetricCurves, view: ChartView, width: int, height: int) -> int:
    """Print the chart."""
    from console.tui.chart_layout import layout
    from console.tui.run_charts import chart_of
    from console.tui.text_format import number

    front = found.mean or found.curves[-1]
    last = f"{number(front.lasts[-1])} at step {front.steps[-1]}" if front.lasts else ""
    chart = chart_of(found, view, title=found.key, last=last)
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for row in layout(chart, width, height, ascii_only=output.ascii_only()):
        print(line_of(row, chart, coloured=coloured).rstrip())
    return 0


def line_of(row: Row, chart: Chart, *, coloured: bool) -> str:
    """One row as a terminal shows it."""
    if not coloured:
        return "".join(piece.text for piece in row)
    parts = []
    for piece in row:
        code = ""
        if isinstance(piece.role, int) and 0 <= piece.role < len(chart.lines):
            code = f"38;5;{COLOUR_CODES[piece.role % len(COLOUR_CODES)]}" + ";2" * chart.lines[piece.role].dim
        elif piece.role == "title":
            code = "1"
        elif piece.role in ("muted", "axis"):
            code = "2"
        parts.append(f"\x1b[{code}m{piece.text}\x1b[0m" if code and piece.text.strip() else piece.text)
    return "".join(parts)


def as_json(found: MetricCurves) -> dict[str, object]:
    """The bins, as the daemon sends them."""
    curves = [each._asdict() for each in found.curves]
    return found._asdict() | {"curves": curves, "mean": found.mean._asdict() if found.mean else None}


def unknown_key(options: Namespace) -> int:
    """Say what the run has instead."""
    from console.tui.text_format import visible

    detail = Client().run(options.run)
    names = [visible(metric.key) for metric in detail.metrics]
    known = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    print(f"footplate: {detail.row.label} has no metric {visible(options.key)}", file=sys.stderr)
    print(f"           it has: {known or 'none yet'}", file=sys.stderr)
    return 1
