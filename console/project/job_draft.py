"""A job that is proposed, and how it is written into `footplate.toml`. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.project.manifest_model import Value

BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
LINE_MAX: Final = 110


@dataclass(slots=True)
class JobDraft:
    """What is guessed about a job; every guess has its comment."""

    name: str
    command: str
    """A template: braces that stand for themselves are doubled."""
    comments: list[str] = field(default_factory=list)
    """Where each guess comes from."""
    shell: bool = False
    params: dict[str, str] = field(default_factory=dict)
    """Names with their defaults as TOML."""
    after: list[str] = field(default_factory=list)
    trigger: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    cwd: str = ""
    hints: list[str] = field(default_factory=list)
    """Lines that are written as comments, for people to take into use."""
    problem: str = ""
    """Why it is written as a comment as a whole."""
    scripts: tuple[str, ...] = ()
    """Files that the command names, relative to the project."""

    def lines(self) -> list[str]:
        """The table as TOML."""
        body = [f"command = {toml_text(self.command)}"]
        if self.shell:
            body.append("shell = true")
        if self.params:
            body += table_lines("params", self.params)
        if self.cwd:
            body.append(f"cwd = {toml_text(self.cwd)}")
        if self.after:
            body.append(f"after = {toml_list(self.after)}")
        if self.trigger:
            body.append(f"trigger = {{ on_change = {toml_list(self.trigger)} }}")
        if self.outputs:
            body.append(f"outputs = {toml_list(self.outputs)}")
        comments = [f"# {line}" for text in self.comments for line in comment_lines(text)]
        hints = [f"# {line}" for text in self.hints for line in text.splitlines()]
        whole = [f"[jobs.{toml_key(self.name)}]", *comments, *body, *hints]
        if self.problem:
            return [f"# {one_line(self.problem)}", *(f"# {line}" for line in whole)]
        return whole


def toml_text(text: str) -> str:
    """A string of TOML; what cannot be one gives ValueError."""
    text.encode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """A key of TOML."""
    return name if BARE_KEY.fullmatch(name) else toml_text(name)


def toml_list(texts: Sequence[str]) -> str:
    """One text, or a list."""
    return toml_text(texts[0]) if len(texts) == 1 else f"[{', '.join(map(toml_text, texts))}]"


def toml_value(value: Value, text: str = "") -> str:
    """A value of TOML, as `text` where the source has a form of its own."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return toml_text(value) if isinstance(value, str) else text or repr(value)


def table_lines(name: str, entries: dict[str, str]) -> list[str]:
    """A table on one line where it fits, else as dotted keys."""
    whole = f"{name} = {{ {', '.join(f'{toml_key(key)} = {value}' for key, value in entries.items())} }}"
    if len(whole) <= LINE_MAX:
        return [whole]
    return [f"{name}.{toml_key(key)} = {value}" for key, value in entries.items()]


def comment_lines(text: str) -> list[str]:
    """A comment broken into lines of a readable length."""
    import textwrap

    return textwrap.wrap(one_line(text), LINE_MAX) or [""]


def one_line(text: str) -> str:
    """Text from outside, fit for a comment."""
    return "".join(character if character.isprintable() else "?" for character in text)


def job_name(text: str, taken: Sequence[str] = ()) -> str:
    """A name for a job from any text, one that is not taken yet."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:60] or "job"
    name, count = plain, 1
    while name in taken:
        count += 1
        name = f"{plain}-{count}"
    return name


def escaped(text: str) -> str:
    """A command of somebody else's as a template: its braces stand for themselves."""
    return text.replace("{", "{{").replace("}", "}}")


def pattern_of(path: str) -> str:
    """A path as a pattern that means it and nothing else."""
    return re.sub(r"[*?\[]", lambda found: f"[{found.group()}]", path)
