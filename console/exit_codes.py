"""What the exit codes of `footplate` mean: shown by `footplate help COMMAND` and in docs/commands.md."""

from __future__ import annotations

from typing import Final

EVERYWHERE: Final[dict[int, str]] = {
    0: "done",
    1: "not done: the sentence on stderr says why and what to do; or a question was answered with no",
    2: "the arguments are not understood; nothing was asked of the daemon",
    130: "left with ctrl-c",
}
OF_COMMAND: Final[dict[str, dict[str, str]]] = {
    "run": {
        "0 to 255": "that of the command",
        "128 + n": "signal n ended the command",
        "125": "footplate itself failed",
        "126": "the command cannot be executed",
        "127": "the command was not found",
    },
    "audit": {"1": "with `verify`: a line is not what was written"},
    "config": {"1": "something in a file cannot be used; its default is in force"},
    "daemon": {"1": "`status`: no daemon runs"},
    "demo": {"1": "a run did not end as it should; with `--remove`: nothing was removed"},
    "doctor": {
        "0": "nothing needs repair; there may be warnings",
        "1": "something does not work, or work would be lost",
    },
    "fingerprint": {"1": "some files could not be read"},
    "gc": {"1": "what is kept does not fit the budget, or a step failed"},
    "import": {"1": "there are problems, and no run was taken in", "130": "left off; what was read stays"},
}
"""Where a command has codes of its own, or means something more by one of those above."""


def words_of(name: str) -> str:
    """The exit codes of one command as lines of its help."""
    own = OF_COMMAND.get(name, {})
    rows = own if name == "run" else {**{str(code): words for code, words in EVERYWHERE.items()}, **own}
    return "\n".join(["exit codes:", *(f"  {code:<8}  {words}" for code, words in rows.items())])
