"""`footplate queue`: what waits, why, and about when it starts; its order, its slots, its devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.cli import output
from console.client import Client
from console.person import whoami
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json

COLUMNS: Final = (
    ("", "<", 4),
    ("run", "<", 7),
    ("name", "<", 20),
    ("project", "<", 14),
    ("sweep", "<", 6),
    ("prio", ">", 4),
    ("state", "<", 8),
    ("starts", ">", 9),
    ("why", "<", 90),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("-n", "--limit", type=int, default=50, help="how many (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the queue as JSON")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    limit = actions.add_parser("limit", help="how many runs may run at once")
    limit.add_argument("slots", help="a number, or auto for what suits the machine")
    devices = actions.add_parser("devices", help="declare devices that runs have to themselves")
    devices.add_argument("names", help="such as 0,1,2,3; none for no devices")
    devices.add_argument("--dir", default="", help="where their leases lie, for users who share them")
    front = actions.add_parser("front", help="put runs in front of all others")
    front.add_argument("runs", nargs="+", metavar="run")
    before = actions.add_parser("before", help="put runs in front of another one")
    before.add_argument("target")
    before.add_argument("runs", nargs="+", metavar="run")
    priority = actions.add_parser("priority", help="-100 to 100, higher goes first")
    priority.add_argument("number", type=int)
    priority.add_argument("runs", nargs="+", metavar="run")
    for each in (limit, devices, front, before, priority):
        each.add_argument("--json", action="store_true", default=False, help="print the queue as JSON")
    parser.epilog = "A priority below zero stands behind --: footplate queue priority -- -5 r12"


def execute(options: Namespace) -> int:
    """Show the queue, or change it and show it then."""
    client, actor = Client(), whoami()
    if options.action == "limit":
        if options.slots != "auto" and not options.slots.isdigit():
            return output.usage_error(f"{options.slots!r} is no number of runs; write a number, or auto")
        slots = -1 if options.slots == "auto" else int(options.slots)
        found = client.post("/queue/limits", {"slots": slots, "actor": actor})
    elif options.action == "devices":
        names = [] if options.names == "none" else [name for name in options.names.split(",") if name]
        asked = {"devices": names, "devices_dir": options.dir, "actor": actor}
        found = client.post("/queue/limits", asked)
    elif options.action in ("front", "before"):
        target = options.target if options.action == "before" else ""
        found = client.post("/queue/place", {"runs": options.runs, "before": target, "actor": actor})
    elif options.action == "priority":
        found = client.post("/queue/place", {"runs": options.runs, "priority": options.number, "actor": actor})
    else:
        found = client.get("/queue", {"limit": max(1, options.limit)})
    if options.json:
        output.print_json(found)
    else:
        print_queue(found)
    return 0


def print_queue(found: dict[str, Json]) -> None:
    """The queue for people."""
    chosen = "" if found["slots_chosen"] else ", half of the processors"
    print(f"{found['live_count']} live, {found['waiting_count']} waiting, {found['slots']} at once{chosen}")
    if found["devices"]:
        print("devices  " + "  ".join(map(device_words, found["devices"])))
    for pause in found["pauses"]:
        print(f"paused   {visible(pause['scope'])}: {visible(pause['words'])}")
    rows = [cells_of(entry, found["now_s"]) for entry in found["entries"]]
    if not rows:
        return
    output.print_table(rows, COLUMNS)
    left = found["waiting_count"] - len(rows)
    if left > 0:
        print(f"{left} more: -n {found['waiting_count']}")
    if any(entry["expected_start_s"] is not None for entry in found["entries"]):
        print("~ by the median time of the last finished runs of the same name, in order")


def cells_of(entry: dict[str, Any], now_s: float) -> list[str]:
    """One waiting run as texts that are safe to print."""
    starts_at_s = entry["expected_start_s"]
    return [
        str(entry["position"]),
        f"r{entry['no']}",
        visible(entry["name"]),
        visible(entry["project"]),
        entry["sweep"],
        str(entry["priority"]) if entry["priority"] else "",
        entry["state"],
        "n/a" if starts_at_s is None else f"~{text_format.duration(max(0.0, starts_at_s - now_s))}",
        visible(entry["reason"]),
    ]


def device_words(device: dict[str, Any]) -> str:
    """One declared device and who has it."""
    name = visible(device["name"])
    if device["taken"] is None:
        return f"{name} n/a (its lease file is gone)"
    if not device["taken"]:
        return f"{name} free"
    if device["run"] is not None:
        return f"{name} r{device['run']}"
    return f"{name} pid {device['pid']}" if device["pid"] is not None else f"{name} taken"
