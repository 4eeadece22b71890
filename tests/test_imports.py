"""Who imports what, seen from inside a fresh interpreter: the static contracts cannot see what is deferred."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("duckdb", "polars", "numpy", "pydantic", "sqlmodel", "sqlalchemy", "lightgbm", "pynvml", "watchdog", "click")
SERVER = ("starlette", "uvicorn", "orjson", "ulid", "blake3")
SIZE_LIMIT_LINES = 400


def loaded_after(statement: str) -> set[str]:
    """Top-level modules in `sys.modules` of a fresh interpreter after `statement`."""
    code = f"{statement}\nimport sys\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import console.tui.app",
        "import console.tui.terminal, console.client, console.protocol",
        "import console.cli.ps, console.cli.runs, console.cli.show, console.cli.logs, console.cli.stop",
        "import console.cli.run",
        "import console.cli.demo, console.cli.follow, console.cli.init",
        "import console.cli.fingerprint, console.cli.sweep, console.cli.queue, console.cli.start",
        "import console.cli.watch, console.cli.trust, console.cli.gpus",
        "import console.project.manifest, console.project.trust, console.project.discovery, console.project.cron",
    ],
)
def test_nothing_heavy_on_the_way_to_the_first_frame_or_answer(statement: str) -> None:
    assert loaded_after(statement) & {*HEAVY, *SERVER} == set()


def test_commands_do_not_import_textual() -> None:
    modules = "ps, runs, show, logs, stop, run, follow, demo, output"
    statement = "".join(f"import console.cli.{name}\n" for name in modules.split(", "))
    assert loaded_after(statement) & {"textual", "rich"} == set()


def test_the_daemon_is_quick_to_its_first_answer() -> None:
    loaded = loaded_after("import console.daemon.lifecycle")
    later = {"sqlmodel", "sqlalchemy", "pydantic", "polars", "numpy", "textual", "lightgbm", "watchdog", "yaml"}
    assert loaded & later == set()


def test_a_loser_of_the_start_race_imports_nothing_before_the_lock() -> None:
    assert loaded_after("import console.daemon.__main__") & {*HEAVY, *SERVER, "asyncio"} == set()


def test_the_driver_of_the_gpus_is_spoken_to_by_the_sampler_alone() -> None:
    assert "pynvml" not in loaded_after("import console.daemon.lifecycle, console.daemon.app")
    assert loaded_after("import console.gpu.sampler") & {*HEAVY, *SERVER} == {"pynvml"}


def test_the_supervisor_uses_the_standard_library_only() -> None:
    loaded = loaded_after("import console.jobs.supervisor")
    foreign = loaded - sys.stdlib_module_names - {"__main__", "console", "store"}
    # What the interpreter's own start-up brings (editable installs, site customisation) is not ours.
    assert foreign - loaded_after("pass") == set()
    # Every run waits for these imports.
    assert loaded & {"dataclasses", "inspect", "asyncio", "http"} == set()


@pytest.mark.parametrize("package", ["console", "store", "tests", "sample_projects"])
def test_modules_stay_small_enough_to_know_one_thing(package: str) -> None:
    modules = [path for path in (ROOT / package).rglob("*.py") if ".venv" not in path.parts]
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert len(sizes) > 0
    assert {name: size for name, size in sizes.items() if size > SIZE_LIMIT_LINES} == {}


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = [
        line
        for section in ("dependencies = [", "dev = [")
        for line in text.split(section, 1)[1].split("\n]")[0].split("\n")
    ]
    assert [line for line in lines if '"' in line and "  # " not in line] == []


def test_no_module_runs_code_of_a_sample_project() -> None:
    for path in [*(ROOT / "console").rglob("*.py"), *(ROOT / "store").rglob("*.py")]:
        if "sample_projects" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("sample_projects") or name == "pickle" for name in names), path
