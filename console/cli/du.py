"""`footplate du`: what takes the disk, by project and by run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.cli import long_work, output
from console.client import Client
from console.tui import text_format

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

SIZES: Final = ("log", "metrics", "derived", "code", "other", "archive")
SORTS: Final = ("total", *SIZES, "no", "name")
WIDTH: Final = 9


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--sort", choices=SORTS, default="total", help="what the order goes by (default: total)")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="how many runs; the rest is one line")
    parser.add_argument("--json", action="store_true", help="print every run as JSON")


def execute(options: Namespace) -> int:
    """Measure and print."""
    if options.top < 0:
        return output.usage_error("--top must be 0 or more")
    found = long_work.carry_out(Client(), "disk_use")
    runs = sorted_runs(found["runs"], options.sort)
    projects = by_project(runs)
    if options.json:
        output.print_json({**found, "runs": runs, "projects": projects})
        return 0
    print_table("project", [(project["project"], project) for project in projects])
    print()
    shown, rest = runs[: options.top], runs[options.top :]
    lines = [(f"r{run['no']} {run['name']}{marks(run)}", run) for run in shown]
    if rest:
        lines.append((f"{len(rest)} more runs", summed(rest)))
    print_table("run", lines)
    print()
    print_totals(found)
    return 0


def sorted_runs(runs: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Largest first; by number and name as people read them."""
    if key in ("no", "name"):
        return sorted(runs, key=lambda run: (str(run["name"]).lower() if key == "name" else "", run["no"]))
    return sorted(runs, key=lambda run: (-run[f"{key}_bytes"], run["no"]))


def by_project(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sums by project, the largest first."""
    projects: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        projects.setdefault(run["project"], []).append(run)
    sums = [{"project": name, "run_count": len(mine), **summed(mine)} for name, mine in projects.items()]
    return sorted(sums, key=lambda project: (-project["total_bytes"], project["project"]))


def summed(runs: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Every category added up."""
    return {f"{name}_bytes": sum(run[f"{name}_bytes"] for run in runs) for name in (*SIZES, "total")}


def marks(run: dict[str, Any]) -> str:
    """What matters for whether it can go."""
    words = [word for word, on in (("pinned", run["pinned"]), ("archived", run["archived"])) if on]
    return f" ({', '.join(words)})" if words else ""


def print_table(title: str, lines: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Names with a size for each category that any line has."""
    columns = ["total", *(name for name in SIZES if any(sizes[f"{name}_bytes"] for _, sizes in lines))]
    names = [text_format.visible(name) for name, _ in lines]
    width = min(48, max([len(title), *map(text_format.cell_width, names)]))
    print("  ".join([f"{title:<{width}}", *(f"{column:>{WIDTH}}" for column in columns)]))
    for name, (_, sizes) in zip(names, lines, strict=True):
        cells = [text_format.bytes_size(sizes[f"{column}_bytes"] or None) for column in columns]
        fitted = text_format.fit(name, width, ellipsis="~" if output.ascii_only() else "…")
        print("  ".join([fitted, *(f"{cell:>{WIDTH}}" for cell in cells)]).rstrip())


def print_totals(found: dict[str, Any]) -> None:
    """The state directory as a whole."""
    size = text_format.bytes_size
    lines = [("runs", sum(run["total_bytes"] for run in found["runs"]))]
    lines += [(f"{len(found['not_in_index'])} directories that are no runs", total_of(found["not_in_index"]))]
    lines += [(name.removesuffix("_bytes"), amount) for name, amount in found["shared"].items()]
    for name, amount in lines:
        if amount:
            print(f"{size(amount):>{WIDTH}}  {name}")
    print(f"{size(found['total_bytes']):>{WIDTH}}  in all, in {text_format.visible(found['home'])}")
    print(f"{size(found['free_bytes']):>{WIDTH}}  free on its file system")
    if found["unreadable_count"]:
        print(f"{found['unreadable_count']} directories could not be looked into; they are not counted")


def total_of(entries: Sequence[dict[str, Any]]) -> int:
    """Their bytes."""
    return sum(int(entry["total_bytes"]) for entry in entries)
