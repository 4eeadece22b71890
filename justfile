# Some build machines set these; they hide what users meet (without bytecode the first frame takes three times as long).
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONUNBUFFERED

# List the recipes
default:
    @just --list --unsorted

# What must hold before every commit, in less than three minutes: format, lint, pins, types, contracts, tests, torture
check: style types (test "-m 'not slow'")

# Run the tests; arguments go to pytest
test *ARGS:
    uv run pytest -n 4 --maxschedchunk 4 {{ ARGS }}  # as a rule xdist hands out a sixteenth of all tests at once

# Everything that must hold before a change lands: what `just check` does, and the tests that take longer
ci: style types-and-tests

[private]
style:
    uv run ruff format --check
    uv run ruff check
    uv run python .ci/lock.py --check

[private]
types:
    uv run mypy
    uv run lint-imports

# mypy alone would leave all cores but one without work for half a minute.
[parallel]
[private]
types-and-tests: types test

# Put the code into its standard form
format:
    uv run ruff check --fix
    uv run ruff format

# Measure start-up, commands, idle cost; prints medians with the load of the machine
bench *ARGS:
    uv run python -m tests.bench {{ ARGS }}

# Measure what the screens write to a terminal, idle and live, and how soon they answer a key
bench-bytes *ARGS:
    uv run python -m tests.bench_bytes {{ ARGS }}

# Measure the store: backlog, live points, curves, quiet runs; prints medians with the load of the machine
bench-store *ARGS:
    uv run python -m tests.bench_store {{ ARGS }}

# Measure the queue: ten thousand waiting runs, a sweep of a thousand, from the command to its start
bench-queue *ARGS:
    uv run python -m tests.bench_queue {{ ARGS }}

# Measure the table of runs in a real terminal with 100,000 runs, beside DataTable and bare queries
bench-tui *ARGS:
    uv run python -m tests.bench_tui {{ ARGS }}

# Measure fingerprints beside DVC, and what a storm of events costs the daemon
bench-watch *ARGS:
    uv run python -m tests.bench_watch {{ ARGS }}

# Measure the readers of trackers beside the trackers' own, and what live imports cost
bench-readers *ARGS:
    uv run python -m tests.bench_readers {{ ARGS }}

# Write 300 runs of four trackers with their own libraries into a folder
old-runs *ARGS:
    uv run python -m tests.old_runs {{ ARGS }}

# Do what docs/tour.md says from an empty environment, on a folder that `just old-runs` has filled
tour *ARGS:
    uv run python -m tests.tour {{ ARGS }}

# Have the trackers' own libraries write runs, import them, and compare with what those libraries say
writers *ARGS:
    uv run pytest -m slow tests/test_writers.py {{ ARGS }}

# Damage files of trackers in every way and have their readers read them
fuzz *ARGS:
    uv run python -m tests.fuzz_readers {{ ARGS }}

# Kill daemon, supervisors, consoles and terminals while jobs write, then count what every witness saw
torture *ARGS:
    uv run python -m tests.torture {{ ARGS }}

# Produce every cause of an end by a real process and print what is said about it
causes:
    uv run python -m tests.causes

# Stop a tree of processes, side by side with task-spooler
tree-kill:
    uv run python -m tests.tree_kill

# Run the sample project and open the console
demo *ARGS:
    uv run footplate demo {{ ARGS }}

# Make the pictures of the README and of docs/
screenshots *ARGS:
    uv run python -m tests.screenshots {{ ARGS }}

# Build the wheel and run the demo from it in an empty environment
wheel:
    uv run python -m tests.wheel

# Resolve anew and write the exact pins into pyproject.toml
lock:
    uv run python .ci/lock.py
