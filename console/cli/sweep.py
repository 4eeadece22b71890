"""`footplate sweep`: one run for each set of params, after a look at what that comes to."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from console.cli import output, shell
from console.client import Client, ClientError
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json

COMMAND_AFTER_DASHES: Final = True
LIST_MAX_BYTES: Final = 16 << 20
SHOWN_SETS: Final = 5


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.usage = "footplate sweep JOB -p NAME=VALUES ... | footplate sweep -p NAME=VALUES ... -- COMMAND with {NAME}"
    parser.add_argument("job", nargs="?", default="", help="a job of the footplate.toml here or in a folder above")
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="a,b,c or 1..5 or 0..1..0.25; with --random also log(1e-5..1e-1), uniform(0..1), int(1..9)",
    )
    parser.add_argument("--zip", action="store_true", help="first values together, then the second ones, ...")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="draw N sets instead of all combinations")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of --random (default: 0)")
    parser.add_argument("--list", default="", metavar="FILE", help="sets of params, one JSON object a line; - is stdin")
    parser.add_argument("--priority", type=int, default=None, metavar="N", help="-100 to 100, higher goes first")
    parser.add_argument("--name", default="", help="what to call the runs (default: the job, or the script)")
    parser.add_argument("--chain", action="store_true", help="each run is followed by the jobs that come after it")
    parser.add_argument("--plan", action="store_true", help="say what it comes to, enqueue nothing")
    parser.add_argument("-y", "--yes", action="store_true", help="enqueue without asking")
    parser.add_argument("--json", action="store_true", help="print the plan, or the sweep, as JSON")
    parser.epilog = (
        "footplate sweep train -p lr=1e-3,1e-4 -p seed=1..5 enqueues ten runs. A comma in a value is written \\,. "
        "The first run goes alone until it has lived ten seconds; if it fails sooner, the sweep is paused."
    )


def execute(options: Namespace) -> int:
    """Show the plan, ask, enqueue."""
    if bool(options.job) == bool(options.command):
        return output.usage_error(
            "name a job, or give a command after --: footplate sweep -p lr=1,2 -- python t.py {lr}"
        )
    asked = shell.context() | {
        "folder": shell.working_dir(),
        "job": options.job,
        "argv": options.command,
        "axes": options.param,
        "rows": read_list(options.list) if options.list else [],
        "zip": options.zip,
        "random": options.random,
        "seed": options.seed,
        "priority": options.priority,
        "name": options.name,
        "followers": options.chain,
        "sweep": True,
    }
    client = Client()
    plan = client.post("/jobs", asked | {"plan": True})
    if options.plan:
        if options.json:
            output.print_json(plan)
        else:
            print_plan(plan)
        return 0
    if not options.yes:
        print_plan(plan, file=sys.stderr)
        if not sys.stdin.isatty():
            raise ClientError("nothing was enqueued: nobody is there to confirm it", "--yes enqueues without asking")
        print(f"enqueue {plan['run_count']} runs? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing was enqueued", file=sys.stderr)
            return 1
    found = client.post("/jobs", asked)
    if options.json:
        output.print_json(found)
    else:
        runs = found["runs"]
        span = f"r{runs[0]['no']}" + (f" to r{runs[-1]['no']}" if len(runs) > 1 else "")
        print(f"{found['sweep']}: {len(runs)} runs, {span};  footplate sweeps {found['sweep']}")
        for note in found["notes"]:
            print(visible(note))
    return 0


def read_list(path: str) -> list[dict[str, Any]]:
    """Sets of params from a file of JSON lines. Raises ClientError naming the line that is wrong."""
    try:
        if path == "-":
            text = sys.stdin.read(LIST_MAX_BYTES + 1)
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read(LIST_MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"the list {path} cannot be read: {error}") from error
    if len(text) > LIST_MAX_BYTES:
        raise ClientError(f"the list {path} has more than {LIST_MAX_BYTES >> 20} MiB")
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ClientError(f"{path}:{number}: not JSON: {error}", 'one object a line: {"lr": 0.1}') from error
        if not isinstance(row, dict):
            raise ClientError(f"{path}:{number}: not an object", 'one object a line: {"lr": 0.1}')
        rows.append(row)
    if not rows:
        raise ClientError(f"the list {path} is empty", 'one object a line: {"lr": 0.1}')
    return rows


def print_plan(plan: dict[str, Json], file: Any = None) -> None:
    """What a sweep comes to, for people."""
    file = file or sys.stdout
    print(f"{plan['run_count']} runs of {visible(plan['name'])}, {plan['slots']} at once", file=file)
    for row in plan["sets"][:SHOWN_SETS]:
        print("  " + "  ".join(f"{visible(name)}={visible(value)}" for name, value in row.items()), file=file)
    if plan["set_count"] > SHOWN_SETS:
        print(f"  ... {plan['set_count'] - SHOWN_SETS} more", file=file)
    print(f"command  {visible(plan['command'])}", file=file)
    if plan["typical_s"] is None:
        print(f"time     n/a: {visible(plan['typical_reason'])}", file=file)
    else:
        each, all_of_it = map(text_format.duration, (plan["typical_s"], plan["total_s"]))
        print(f"time     ~{each} each, ~{all_of_it} in all ({visible(plan['typical_reason'])})", file=file)
    for note in plan["notes"]:
        print(visible(note), file=file)
