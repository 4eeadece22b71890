"""Triggers that would start a job for ever, and when two patterns mean one path."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.project import globs, manifest
from tests.project.manifests import error_of, job


@pytest.mark.parametrize(
    ("outputs", "pattern"),
    [
        ("model.txt", "*.txt"),
        ("data", "data/*.parquet"),
        ("data/", "data/x/y.parquet"),
        ("out/*/best.pt", "out/**"),
        ("*.pt", "best.*"),
        ("run-[0-9].csv", "run-5.csv"),
        ("./model.txt", "model.txt"),
    ],
)
def test_a_trigger_on_what_the_job_writes(outputs: str, pattern: str) -> None:
    error = error_of(job(f'outputs = "{outputs}"\ntrigger = {{ on_change = "{pattern}" }}'))
    assert (error.line, error.key) == (4, "jobs.train.trigger.on_change")
    assert "it would start for ever" in error.problem


@pytest.mark.parametrize(
    ("outputs", "pattern"),
    [
        ("model.txt", "*.csv"),
        ("data", "database.csv"),
        ("model.txt", "**/mymodel.txt"),
        ("out/*.pt", "out/a/*.pt"),
        ("run-[!0-9].csv", "run-5.csv"),
    ],
)
def test_a_trigger_on_something_else(outputs: str, pattern: str) -> None:
    assert manifest.parse(job(f'outputs = "{outputs}"\ntrigger = {{ on_change = "{pattern}" }}')).jobs["train"].trigger


def test_a_trigger_on_what_a_follower_writes() -> None:
    text = """\
[jobs.train]
command = "x"
trigger = { on_change = ["reports/*"] }
[jobs.eval]
command = "x"
after = "train"
[jobs.report]
command = "x"
after = { job = "eval", on = "any" }
outputs = ["reports"]
"""
    error = error_of(text)
    assert (error.line, error.key) == (3, "jobs.train.trigger.on_change")
    assert "which report writes, started by this job (train → eval → report → train)" in error.problem
    assert manifest.parse(text.replace('after = "train"\n', "")).jobs


def test_two_jobs_that_trigger_each_other() -> None:
    text = "".join(
        f'[jobs.{name}]\ncommand = "x"\noutputs = "{name}.out"\ntrigger = {{ on_change = "{other}.out" }}\n'
        for name, other in ("ab", "ba")
    )
    assert "started by this job" in error_of(text).problem


def test_patterns_made_to_be_slow_are_refused() -> None:
    written, read = ([f"{'*a' * 95}{end}{n}" for n in range(50)] for end in ("", "b"))
    text = job(f"outputs = {written}\ntrigger = {{ on_change = {read} }}")
    assert "too many patterns to compare" in error_of(text).problem


SEGMENTS = st.lists(st.sampled_from("ab*?"), min_size=1, max_size=3).map("".join).filter(lambda name: "**" not in name)
PATTERNS = st.lists(SEGMENTS | st.just("**"), min_size=1, max_size=3).map("/".join)
PATHS = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(PATTERNS, PATTERNS, PATHS)
def test_patterns_that_mean_one_path_meet(one: str, other: str, path: str) -> None:
    if globs.matches(one, path) and globs.matches(other, path):
        assert globs.meet(one, other)


NAMES = ["".join(letters) for length in (1, 2, 3) for letters in itertools.product("ab", repeat=length)]
BELOW = ["", *(f"/{one}" for one in NAMES), *(f"/{one}/{other}" for one in NAMES for other in NAMES)]


@given(
    PATTERNS.filter(lambda text: len(text) < 7), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
)
def test_a_pattern_meets_a_plain_path_only_when_it_means_it_or_what_is_below(pattern: str, path: str) -> None:
    assert globs.meet(pattern, path) == any(globs.matches(pattern, f"{path}{rest}") for rest in BELOW)
