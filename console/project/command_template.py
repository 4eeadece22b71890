"""Commands with placeholders: what `{lr}` and `{python}` become. Pure; a value never becomes part of a program.

Without a shell, the words are split first and filled afterwards: a value stays one word whatever is in it. With
`shell = true`, a placeholder becomes a reference to a variable, in double quotes, and the value travels in the
environment. `{{` and `}}` stand for a brace.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from console.project.manifest_model import value_text
from console.project.placeholders import PYTHON, TemplateError, fill_word, variable
from console.project.shell_template import shell_script

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from console.jobs.options import Retry
    from console.project.manifest_model import Job

SHELL: Final = "/bin/sh"
VALUE_MAX_BYTES: Final = 65536
"""The kernel takes 128 KiB for one word."""
_OPERATORS: Final = "|&;<>()`"


@dataclass(frozen=True, slots=True)
class FilledCommand:
    """A command that can be executed."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    """Each parameter as FOOTPLATE_PARAM_<name>, and what the shell's script refers to."""
    params: Mapping[str, str]
    """Every parameter of the job with the value of this run, as typed."""
    retry: Retry | None
    """With the argv of further attempts."""


def fill(job: Job, overrides: Mapping[str, str], python: str) -> FilledCommand:
    """The command of a job with these values in place of its defaults; `python` is the path for `{python}`.

    Raises TemplateError for a parameter that the job does not have, and for a value that no command can be given.
    """
    for name, value in overrides.items():
        if name not in job.params:
            known = ", ".join(job.params) or "it has none"
            raise TemplateError(f"job {job.name!r} has no parameter {name!r}", f"one of its parameters: {known}")
        check_value(name, value)
    params = {name: overrides.get(name, value_text(value)) for name, value in job.params.items()}
    values = params | {PYTHON: python}
    environment = {variable(name): value for name, value in params.items()}
    if job.shell:
        environment[variable(PYTHON)] = python
    retry = job.retry
    if retry is not None and job.resume:
        retry = replace(retry, resume=filled_words(job.resume, values, shell=job.shell))
    return FilledCommand(filled_words(job.command, values, shell=job.shell), environment, params, retry)


def filled_words(command: str | tuple[str, ...], values: Mapping[str, str], *, shell: bool) -> tuple[str, ...]:
    """The argv of a command template; raises TemplateError."""
    if shell and isinstance(command, str):
        return (SHELL, "-c", shell_script(command, values))
    words = command if isinstance(command, tuple) else split_words(command)
    return tuple(fill_word(word, values) for word in words)


def check(command: str | tuple[str, ...], names: Collection[str], *, shell: bool) -> None:
    """Raise TemplateError for a template that cannot be filled with values for `names` and `python`."""
    filled_words(command, dict.fromkeys([*names, PYTHON], ""), shell=shell)


def check_value(name: str, value: str) -> None:
    """Raise TemplateError for a value that cannot be a word of a command line."""
    try:
        size_bytes = len(os.fsencode(value))
    except UnicodeEncodeError:
        raise TemplateError(f"the value of {name} has a character that is not Unicode text", "text") from None
    if "\0" in value:
        raise TemplateError(f"the value of {name} has a NUL in it", "text without one")
    if size_bytes > VALUE_MAX_BYTES:
        raise TemplateError(f"the value of {name} has {size_bytes} bytes", f"at most {VALUE_MAX_BYTES}")


def split_words(command: str) -> tuple[str, ...]:
    """The words of a command that needs no shell; raises TemplateError for one that does."""
    needs = shell_need(command.strip())
    if needs:
        raise TemplateError(f"{needs} means something to a shell only", "it in quotes, or `shell = true`")
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise TemplateError(f"{str(error).lower()}", "quotes in pairs") from None


def shell_need(command: str) -> str:
    """The first piece outside of quotes that only a shell understands; empty when there is none."""
    quote = ""
    at = 0
    while at < len(command):
        character = command[at]
        word_start = at == 0 or command[at - 1].isspace()
        if quote == "'":
            quote = "" if character == "'" else quote
        elif character == "\\":
            at += 1
        elif character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        elif character == "$" and re.match(r"\$[A-Za-z_{(0-9?*@#!$-]", command[at:]):
            found = re.match(r"\$(\w+|.)", command[at:])
            return found.group() if found else "$"
        elif character == "`":
            return "`"
        elif not quote:
            if character in _OPERATORS:
                doubled = command[at : at + 2] in ("&&", "||", ">>", "<<")
                return command[at : at + 2] if doubled else character
            if character in "*?" or (word_start and character in "~#"):
                return character
            if character in "\r\n":
                return "a second line"
        at += 1
    return ""
