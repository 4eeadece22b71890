"""`footplate metric`: which metric stands for the runs of a project, and what is better of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from console.cli import output
from console.client import Client
from console.person import whoami
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("key", nargs="?", help="the metric, as `footplate show` names it")
    parser.add_argument("run", nargs="?", help="a run of the project; else --project, else the name of this folder")
    parser.add_argument("--goal", choices=("minimize", "maximize"), help="what is better; else guessed from the name")
    parser.add_argument("--project", metavar="NAME", help="whose runs it is for")
    parser.add_argument("--unpin", action="store_true", help="go back to the metric that is guessed")
    parser.add_argument("--json", action="store_true", help="print what counts now as JSON")


def execute(options: Namespace) -> int:
    """Pin or unpin."""
    run = options.run
    if options.unpin:
        if options.goal is not None or run is not None:
            return output.usage_error("--unpin takes a run or --project, and no metric")
        run = options.key
    elif options.key is None:
        return output.usage_error("name a metric, or give --unpin")
    if run is not None and options.project is not None:
        return output.usage_error("give a run or --project, not both")
    asked = {"key": None if options.unpin else options.key, "goal": options.goal, "actor": whoami()}
    whose = {"runs": [run]} if run is not None else {"project": options.project or os.path.basename(os.getcwd())}
    facts = Client().post_known("/metrics/pin", {**asked, **whose})
    if options.json:
        output.print_json(facts)
        return 0
    project = visible(facts["project"])
    if facts["key"] is None:
        print(f"{project}: the metric of its runs is guessed")
    else:
        title = output.metric_words(facts["key"], facts["goal"], facts["source"])
        print(f"{project}: {title}, for {facts['pinned_run_count']} of {facts['run_count']} runs and those to come")
    return 0
