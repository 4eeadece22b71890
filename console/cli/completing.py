"""What may stand where the cursor is: commands and options from the parsers, names from a daemon that runs already."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console import protocol, watched_projects
from console.client import Client, ClientError

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser
    from collections.abc import Callable, Iterable, Sequence

PATIENCE_S: Final = 1.0
"""How long a shell waits for names at most."""
RUNS_OFFERED: Final = 500
NAMES_OFFERED: Final = 200
FILES: Final = ":files"
STATES: Final = {
    "stop": "blocked,queued,held,starting,running,stopping",
    "release": "held",
    "retry": "finished,failed,stopped,interrupted",
    "archive": "finished,failed,stopped,interrupted,skipped",
    "delete": "finished,failed,stopped,interrupted,skipped",
}
"""Which runs a command can do something with; others take any."""
KINDS: Final = {
    "run": "runs",
    "runs": "runs",
    "target": "runs",
    "after": "runs",
    "project": "projects",
    "job": "jobs",
    "key": "metrics",
    "values": "metrics",
    "folder": "files",
    "path": "files",
    "output": "files",
    "bundle": "files",
    "command": "files",
    "sweep": "sweeps",
    "sort": "fields",
}
"""What an argument of this name takes."""


class Candidate(NamedTuple):
    """One word that may stand here, and what it is."""

    word: str
    words: str = ""


def main(words: Sequence[str]) -> int:
    """Print what may stand in place of the last of these words; never starts a daemon, never waits long."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        found = candidates(words or [""])
    except (ClientError, OSError, ValueError, KeyError):
        return 0
    current = words[-1] if words else ""
    current = "" if current == "=" else current
    for each in found:
        if each.word.startswith(current) and each.word.isprintable():
            shown = "".join(character for character in each.words if character.isprintable())
            print(f"{each.word}\t{shown}" if shown else each.word)
    if FILES in (each.word for each in found):
        print(FILES)
    return 0


def candidates(words: Sequence[str]) -> list[Candidate]:
    """What may stand in place of the last of these words, as far as can be known."""
    from console.__main__ import COMMANDS, module_of, parser_of

    *before, current = words
    if not before:
        if current.startswith("-"):
            from console.opening import parser

            return options_of(parser())
        return [Candidate(name, summary) for name, summary in COMMANDS.items()]
    name, *before = before
    if name == "help":
        return [Candidate(other, summary) for other, summary in COMMANDS.items()] if not before else []
    if name not in COMMANDS:
        return []
    if "--" in before:
        return [Candidate(FILES)]
    return below(parser_of(name, module_of(name)), name, before, current)


def below(parser: ArgumentParser, command: str, before: Sequence[str], current: str) -> list[Candidate]:
    """What may stand after the words `before` of a command."""
    options = {word: action for action in parser._actions for word in action.option_strings}
    places = [action for action in parser._actions if not action.option_strings]
    wanting: Action | None = None
    taken = 0
    for at, word in enumerate(before):
        if word == "=":
            continue  # bash hands `--option=value` over in three words
        if wanting is not None:
            wanting = None
        elif word in options:
            wanting = options[word] if takes_value(options[word]) else None
        elif not word.startswith("-"):
            place = places[min(taken, len(places) - 1)] if places else None
            inner = inner_parser(place, word)
            if inner is not None:
                return below(inner, command, before[at + 1 :], current)
            taken += 1
    if wanting is not None:
        return of_action(wanting, command)
    if current.startswith("-") or not places:
        return options_of(parser)
    place = places[min(taken, len(places) - 1)]
    return of_action(place, command) if taken < len(places) or place.nargs in ("*", "+", "...") else []


def takes_value(action: Action) -> bool:
    """Whether a word follows the option."""
    return action.nargs != 0


def inner_parser(action: Action | None, word: str) -> ArgumentParser | None:
    """The parser of a command within a command, as `footplate queue limit`."""
    choices: Any = action.choices if action is not None else None
    found = choices.get(word) if isinstance(choices, dict) else None
    return found if hasattr(found, "parse_args") else None


def options_of(parser: ArgumentParser) -> list[Candidate]:
    """The long options of a parser, and the short ones that have none."""
    return [
        Candidate(
            max(action.option_strings, key=len), str(action.help or "").replace("%(default)s", str(action.default))
        )
        for action in parser._actions
        if action.option_strings
    ]


def of_action(action: Action, command: str) -> list[Candidate]:
    """What an option or a place takes."""
    if action.choices is not None:
        helps = {each.dest: str(each.help or "") for each in getattr(action, "_choices_actions", ())}
        return [Candidate(str(choice), helps.get(str(choice), "")) for choice in action.choices]
    kind = KINDS.get(action.dest, "")
    if kind == "files":
        return [Candidate(FILES)]
    if kind == "fields":
        return [Candidate(field) for field in protocol.SORT_KEYS]
    if kind == "runs" and command == "audit":
        return [Candidate("verify", "check the chain"), *names_of("runs", command)]
    return list(names_of(kind, command)) if kind else []


def names_of(kind: str, command: str) -> Iterable[Candidate]:
    """Names that the daemon knows. Raises ClientError where none runs."""
    with contextlib.closing(Client(start_daemon=False)) as client:
        return READERS[kind](client, command)


def runs(client: Client, command: str) -> list[Candidate]:
    """The newest runs that the command can do something with."""
    page = client.runs(states=STATES.get(command, ""), limit=RUNS_OFFERED)
    return [Candidate(row.label, f"{row.name[:40]}  {row.state}") for row in page.rows]


def projects(client: Client, _: str) -> list[Candidate]:
    """Watched projects."""
    return [Candidate(project.name, project.root) for project in watched_projects.all_of(client)]


def jobs(client: Client, _: str) -> list[Candidate]:
    """The jobs of the project around this folder."""
    import os

    here = os.path.join(os.getcwd(), "")
    return [
        Candidate(job.name, job.command[:60])
        for project in watched_projects.all_of(client)
        if here.startswith(os.path.join(project.root, ""))
        for job in project.jobs
    ]


def metrics(client: Client, command: str) -> list[Candidate]:
    """Keys of metrics; with what follows them in `footplate log r12 KEY=NUMBER`."""
    names = client.get("/names/metrics", {"limit": NAMES_OFFERED})["names"]
    return [Candidate(f"{name}=" if command == "log" else str(name)) for name in names]


def sweeps(client: Client, _: str) -> list[Candidate]:
    """The sweeps."""
    return [Candidate(str(each["label"]), str(each.get("name", ""))) for each in client.get("/sweeps")["sweeps"]]


READERS: Final[dict[str, Callable[[Client, str], list[Candidate]]]] = {
    "runs": runs,
    "projects": projects,
    "jobs": jobs,
    "metrics": metrics,
    "sweeps": sweeps,
}
