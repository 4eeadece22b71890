"""Clones: which words are meant, what follows from them, and that secrets stay hidden and stay the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.daemon.cloning import Change, changes, meant_words, shown_words, with_command
from console.daemon.http import RefusedError
from console.jobs.options import Options, Retry
from console.jobs.spec import Request

ARGV = ("python", "train.py", "--api-key", "hunter2secret", "--lr", "0.1", "data/\udcff.csv")


def request(argv: tuple[str, ...] = ARGV, **more: object) -> Request:
    """What was asked for."""
    made = Request(
        argv=argv, working_dir="/w", environment={}, umask=0o22, limits={}, name="train.py", project="w", grace_s=10.0
    )
    return replace(made, **more)  # type: ignore[arg-type]


def test_words_that_were_left_alone_are_the_hidden_ones() -> None:
    shown = shown_words(ARGV)
    assert shown[3] == "***"
    asked = [*shown[:5], "0.2", *shown[6:], "--amp"]
    assert meant_words(ARGV, asked) == (*ARGV[:5], "0.2", ARGV[6], "--amp")


def test_a_secret_that_was_moved_is_not_guessed() -> None:
    shown = shown_words(ARGV)
    with pytest.raises(RefusedError, match="hides a secret"):
        meant_words(ARGV, [*shown[:2], *shown[4:], "--other", "***"])
    assert meant_words(("echo", "***"), ["printf", "***"]) == ("printf", "***")


def test_changes_are_told_in_order() -> None:
    assert changes(("a", "b", "c"), ("a", "x", "c", "d")) == [Change(("b",), ("x",)), Change((), ("d",))]


def test_params_and_the_command_of_further_attempts_follow_the_words() -> None:
    resume = ("python", "train.py", "--resume", "--lr", "0.1")
    options = Options(retry=Retry(on=("interrupted",), max=2, delay_s=1.0, resume=resume))
    before = request(
        ("python", "t.py", "--lr", "0.1", "small"), options=options, params={"lr": "0.1", "size": "small", "env": "7"}
    )
    after = with_command(before, ("python", "u.py", "--lr", "0.3", "large"))
    assert after.params == {"size": "large", "env": "7"}, "lr is stated by the command itself"
    assert after.options.retry is not None
    assert after.options.retry.resume == ("python", "train.py", "--resume", "--lr", "0.3")
    assert after.name == "train.py", "a name that a person gave stays"
    assert with_command(replace(before, name="t.py"), after.argv).name == "u.py"
