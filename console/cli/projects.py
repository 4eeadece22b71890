"""`footplate projects`: watched folders, their jobs and triggers, and what of them wants a person."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from console.cli import output
from console.client import Client
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.protocol import Json

TRUST_WORDS: Final = {
    "none": "no manifest",
    "broken": "manifest broken",
    "unsafe": "manifest unsafe",
    "untrusted": "not trusted",
    "changed": "changed since it was trusted",
    "trusted": "trusted",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def execute(options: Namespace) -> int:
    """List them."""
    found = Client().get("/projects")
    if options.json:
        output.print_json(found)
        return 0
    for project in found["projects"]:
        print_project(project)
    if not found["projects"]:
        print("no folder is watched; `footplate watch DIR` looks after one")
    return 0


def print_project(project: dict[str, Json]) -> None:
    """One project for people."""
    watching = project["watch"] + (f" ({visible(project['watch_reason'])})" if project["watch_reason"] else "")
    print(f"{visible(project['name'])}  {visible(project['root'])}")
    print(f"  manifest  {TRUST_WORDS.get(project['trust'], project['trust'])}    watching  {watching}")
    for job in project["jobs"]:
        print(f"  job       {job_words(job)}")
    for each in project["attention"]:
        action = f"  ->  {visible(each['command'])}" if each["command"] else ""
        print(f"  ! {visible(each['text'])}{action}")


def job_words(job: dict[str, Json]) -> str:
    """One job of a project on a line."""
    parts = [visible(job["name"])]
    if job["after"]:
        parts.append(f"after {', '.join(map(visible, job['after']))}")
    if job["on_change"]:
        parts.append(f"on change of {', '.join(map(visible, job['on_change']))}")
    if job["cron"]:
        parts.append(f"cron {visible(job['cron'])}")
    if job.get("last_fired_s"):
        runs = " ".join(f"r{number}" for number in job["last_runs"])
        when = text_format.clock(job["last_fired_s"], time.time())
        parts.append(f"last {when}: {visible(job['last_reason'])} {runs}".rstrip())
    if job.get("pending"):
        parts.append(f"soon: {visible(job['pending'])}")
    return "  ".join(parts)
