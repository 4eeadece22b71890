"""Params that a command line states, read from its words alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from console.jobs.launchers import beneath

if TYPE_CHECKING:
    from collections.abc import Sequence

ASSIGNED: Final = re.compile(r"[+~]{0,2}(?P<key>[A-Za-z_][\w./@]*)=(?P<value>.*)", re.DOTALL)
"""`lr=3e-4`, `+model.depth=4`, `optimizer@group=adam`: as Hydra, OmegaConf and YOLO take them."""
SETTING: Final = re.compile(r"[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)+")
"""`SOLVER.BASE_LR 0.0025`: a key of yacs, whose value is the next word."""
LONG: Final = re.compile(r"--[\w.\-/@]+")
SHORT: Final = re.compile(r"-[A-Za-z][\w.-]*")
HYDRA: Final = ("hydra.", "hydra/")
"""How Hydra itself works is no param of the run."""


def params_of(argv: Sequence[str]) -> dict[str, str]:
    """`--lr 3e-4`, `--lr=3e-4`, `-b 256`, `lr=3e-4`, `-p lr=3e-4`, `--amp` (as "true"), `--no-amp` (amp as "false").

    Options of launchers and interpreters are left out; several numbers after an option are one value; a short option
    without a value (`-v`) says how to run, not what.
    """
    params: dict[str, str] = {}
    words = beneath(argv).arguments
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if assigned := ASSIGNED.fullmatch(word):
            put(params, assigned["key"], assigned["value"])
            continue
        if SETTING.fullmatch(word) and position < len(words) and not words[position].startswith("--"):
            params[word] = words[position]
            position += 1
            continue
        name, equals, value = word.partition("=")
        if not (LONG.fullmatch(name) or (SHORT.fullmatch(name) and not is_number(name))):
            continue
        key = name.lstrip("-")
        values = [value] if equals else values_at(words, position)
        position += 0 if equals else len(values)
        inner = [ASSIGNED.fullmatch(each) for each in values] if not equals else []
        if inner and inner[0]:
            # `-p lr=1`, `--cfg-options optimizer.lr=0.01`: further ones follow as words of their own.
            put(params, inner[0]["key"], inner[0]["value"])
        elif values:
            put(params, key, " ".join(values))
        elif key.startswith(("no-", "no_")) and len(key) > 3:
            put(params, key[3:], "false")
        elif name.startswith("--"):
            put(params, key, "true")
    return params


def put(params: dict[str, str], key: str, value: str) -> None:
    """Take a param, unless it is a setting of Hydra itself."""
    if not key.startswith(HYDRA):
        params[key] = value


def values_at(words: Sequence[str], position: int) -> list[str]:
    """The value of an option: the next word unless it is an option, and further ones as long as all are numbers."""
    if position >= len(words) or (words[position].startswith("-") and not is_number(words[position])):
        return []
    values = [words[position]]
    while is_number(values[0]) and position + len(values) < len(words) and is_number(words[position + len(values)]):
        values.append(words[position + len(values)])
    return values


def is_number(text: str) -> bool:
    """Whether a word is a number, so that a dash in front of it makes it a negative one rather than an option."""
    try:
        float(text)
    except ValueError:
        return False
    return True
