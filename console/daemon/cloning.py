"""A run once more with another command: which words changed, what that does to its params, and its hidden secrets."""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from console.daemon.http import RefusedError
from console.daemon.launch import readable
from console.jobs.command_params import params_of
from console.jobs.spec import default_name
from console.project.masking import MASK, mask_argv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.jobs.spec import Request


class Change(NamedTuple):
    """Neighbouring words of a command that give way to others; either may be empty."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def shown_words(argv: Sequence[str]) -> list[str]:
    """The words of a command as clients see them."""
    return [readable(word) for word in mask_argv(argv)]


def meant_words(argv: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """What somebody means who changed the words that are shown of `argv` into `asked`: words that were left alone stand
    for those of `argv`, with secrets and bytes that cannot be shown. Raises RefusedError for a secret that was moved.
    """
    meant = list(asked)
    for block in SequenceMatcher(None, shown_words(argv), list(asked), autojunk=False).get_matching_blocks():
        meant[block.b : block.b + block.size] = argv[block.a : block.a + block.size]
    hidden = next((word for word, typed in zip(meant, asked, strict=True) if word == typed and MASK in word), None)
    if hidden is not None and hidden not in argv:
        raise RefusedError(400, f"{hidden!r} hides a secret that cannot be found again", "type its value")
    return tuple(meant)


def changes(before: Sequence[str], after: Sequence[str]) -> list[Change]:
    """The words that differ, in the order of the command."""
    matcher = SequenceMatcher(None, list(before), list(after), autojunk=False)
    return [
        Change(tuple(before[a:a_end]), tuple(after[b:b_end]))
        for kind, a, a_end, b, b_end in matcher.get_opcodes()
        if kind != "equal"
    ]


def with_command(request: Request, argv: Sequence[str]) -> Request:
    """The same request with another command, and with what follows from that: its params, the command of further
    attempts, and its name where that came from the command."""
    swapped = {
        old: new
        for change in changes(request.argv, argv)
        if len(change.before) == len(change.after)
        for old, new in zip(change.before, change.after, strict=True)
        if request.argv.count(old) == 1
    }
    stated = params_of(argv)
    params = {key: swapped.get(value, value) for key, value in request.params.items() if key not in stated}
    options = request.options
    if options.retry is not None and options.retry.resume:
        resume = tuple(swapped.get(word, word) for word in options.retry.resume)
        options = replace(options, retry=replace(options.retry, resume=resume))
    was_default = request.name == default_name(list(request.argv))
    name = default_name(list(argv)) if was_default else request.name
    return replace(request, argv=tuple(argv), params=params, options=options, name=name)
