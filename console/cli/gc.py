"""`footplate gc`: bring the state directory within a budget; says what it would do unless told to do it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from console import quantities
from console.cli import long_work, output
from console.client import Client, ClientError
from console.tui import text_format

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--budget", required=True, metavar="SIZE", help="how much footplate may take, such as 50GB")
    parser.add_argument("-y", "--yes", action="store_true", help="do it; without this nothing is changed")
    parser.add_argument(
        "--including-metrics", action="store_true", help="when nothing else is left: delete the oldest runs altogether"
    )
    parser.add_argument("--json", action="store_true", help="print the plan, and what came of it, as JSON")


def execute(options: Namespace) -> int:
    """Make the plan; with --yes carry out exactly that."""
    try:
        budget_bytes = quantities.size_bytes("--budget", options.budget)
    except ValueError as error:
        return output.usage_error(str(error))
    client = Client()
    plan = long_work.carry_out(
        client, "gc_plan", budget_bytes=budget_bytes, including_metrics=options.including_metrics
    )
    if not options.json:
        print_plan(plan)
    results = carry_out(client, plan, quiet=options.json) if options.yes else []
    if options.json:
        output.print_json({**plan, "done": options.yes, "results": results})
    elif not options.yes and plan["steps"]:
        print("nothing was changed; --yes does it")
    return 1 if any("error" in result for result in results) or over_budget(plan) else 0


def over_budget(plan: dict[str, Any]) -> bool:
    """Whether the plan does not lead into the budget."""
    return bool(plan["after_bytes"] > plan["budget_bytes"])


def print_plan(plan: dict[str, Any]) -> None:
    """What takes the disk now, the steps in order, and what may not go."""
    size = text_format.bytes_size
    print(f"{size(plan['used_bytes'])} used, the budget is {size(plan['budget_bytes'])}")
    for number, step in enumerate(plan["steps"], 1):
        print(f"{number:>4}  {size(step['frees_bytes']):>9}  {text_format.visible(step['words'])}")
    if plan["steps"]:
        print(f"about {size(plan['after_bytes'])} afterwards")
    if over_budget(plan):
        print("that is as far as it goes; what may not be touched:")
        for kept in plan["unreachable"]:
            print(f"      {size(kept['bytes']):>9}  {text_format.visible(kept['words'])}")


def carry_out(client: Client, plan: dict[str, Any], *, quiet: bool) -> list[dict[str, Any]]:
    """Every step of the plan; one that cannot be done any more is said and passed over. Ctrl-C ends between two."""
    results: list[dict[str, Any]] = []
    for number, step in enumerate(plan["steps"], 1):
        asked = {"kind": step["kind"], "target": step["target"]}
        try:
            freed = long_work.carry_out(client, "gc_step", **asked)["freed_bytes"]
        except ClientError as error:
            results.append({**asked, "error": error.message})
            print(f"footplate: step {number}: {text_format.visible(error.message)}", file=sys.stderr)
            continue
        except KeyboardInterrupt:
            print(
                f"footplate: left off at step {number} of {len(plan['steps'])}; run it again to go on", file=sys.stderr
            )
            raise
        results.append({**asked, "freed_bytes": freed})
        if not quiet:
            print(f"{number:>4}  {text_format.bytes_size(freed):>9}  freed")
    if not quiet and results:
        total = sum(result.get("freed_bytes", 0) for result in results)
        print(f"{text_format.bytes_size(total)} freed")
    return results
