"""Which Python is chosen, and which packages are read from it without executing it."""

from __future__ import annotations

import json
import os
import sys
import venv
from importlib import metadata
from typing import TYPE_CHECKING

from console.project import interpreter, packages

if TYPE_CHECKING:
    from pathlib import Path


def program(path: Path, text: str = "\x7fELF") -> str:
    """Something with the permission to be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_the_order_of_places(tmp_path: Path) -> None:
    project = tmp_path / "p" / "sub"
    project.mkdir(parents=True)
    (tmp_path / "p" / ".git").mkdir()
    on_path = program(tmp_path / "bin" / "python")
    environment = {"PATH": str(tmp_path / "bin")}
    folder = str(project)
    assert interpreter.choose(["python", "a.py"], {"PATH": "/nowhere"}, folder) == ""
    assert interpreter.choose(["python", "a.py"], environment, folder) == on_path
    own = program(tmp_path / "p" / ".venv" / "bin" / "python")
    assert interpreter.choose(["python", "a.py"], environment, folder) == own
    nearer = program(project / ".venv" / "bin" / "python")
    assert interpreter.choose(["python", "a.py"], environment, folder) == nearer
    conda = program(tmp_path / "conda" / "bin" / "python")
    environment["CONDA_PREFIX"] = str(tmp_path / "conda")
    assert interpreter.choose(["sh", "run.sh"], environment, folder) == conda
    active = program(tmp_path / "active" / "bin" / "python")
    environment["VIRTUAL_ENV"] = str(tmp_path / "active")
    assert interpreter.choose(["python"], environment, folder) == active
    environment["VIRTUAL_ENV"] = str(tmp_path / "deleted")
    assert interpreter.choose(["python"], environment, folder) == conda
    assert (
        interpreter.choose(["./.venv/bin/python3.11", "a.py"], environment, folder) == f"{folder}/.venv/bin/python3.11"
    )


def test_a_venv_above_the_repository_is_not_the_projects(tmp_path: Path) -> None:
    project = tmp_path / "p"
    project.mkdir()
    program(tmp_path / ".venv" / "bin" / "python")
    assert interpreter.choose(["python"], {"PATH": "/nowhere"}, str(project)) == ""


def test_a_shim_of_pyenv_leads_to_its_interpreter(tmp_path: Path) -> None:
    shim = program(tmp_path / "pyenv" / "shims" / "python", "#!/bin/sh\n")
    real = program(tmp_path / "pyenv" / "versions" / "3.12.1" / "bin" / "python")
    other = program(tmp_path / "pyenv" / "versions" / "3.9" / "bin" / "python")
    environment = {"PATH": os.path.dirname(shim)}
    project = tmp_path / "p"
    project.mkdir()
    assert interpreter.choose(["python"], environment, str(project)) == shim
    (tmp_path / "pyenv" / "version").write_text("3.12.1\n")
    assert interpreter.choose(["python"], environment, str(project)) == real
    (project / ".python-version").write_text("3.9\n")
    assert interpreter.choose(["python"], environment, str(project)) == other
    assert interpreter.choose(["python"], environment | {"PYENV_VERSION": "3.12.1"}, str(project)) == real
    assert "shim" in packages.describe(str(tmp_path), shim, {})["reason"]


def test_the_packages_of_this_interpreter_are_those_that_it_names_itself(tmp_path: Path) -> None:
    found = packages.describe(str(tmp_path), sys.executable, {"PYTHONNOUSERSITE": "1"})
    assert found["version"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    with open(tmp_path / "packages" / f"{found['packages']}.json", encoding="utf-8") as file:
        listed = {name: version for name, version, *_ in json.load(file)["packages"]}
    for name in ("pytest", "duckdb", "polars"):
        assert listed[name] == metadata.version(name)
    assert found["package_count"] == len(listed)


def test_the_list_is_made_anew_when_a_package_comes(tmp_path: Path) -> None:
    venv.create(tmp_path / "v", symlinks=True, with_pip=False)
    path = str(tmp_path / "v" / "bin" / "python")
    first = packages.describe(str(tmp_path), path, {})
    assert first["package_count"] == 0
    assert first["version"] == sys.version.split()[0]
    assert packages.describe(str(tmp_path), path, {}) == first
    (site,) = (tmp_path / "v").glob("lib/python3.*/site-packages")
    (site / "torch-2.9.0+cu130.dist-info").mkdir()
    (site / "My_Pack.age-1.0.dist-info").mkdir()
    (site / "My_Pack.age-1.0.dist-info" / "direct_url.json").write_text(
        '{"url": "file:///src/p", "dir_info": {"editable": true}}'
    )
    (site / "__pycache__").mkdir()
    second = packages.describe(str(tmp_path), path, {})
    assert second["packages"] != first["packages"]
    with open(tmp_path / "packages" / f"{second['packages']}.json", encoding="utf-8") as file:
        assert json.load(file)["packages"] == [["my-pack-age", "1.0", "file:///src/p"], ["torch", "2.9.0+cu130"]]


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    assert packages.describe(str(tmp_path), "", {})["reason"] == "no Python was found"
    missing = packages.describe(str(tmp_path), str(tmp_path / "v" / "bin" / "python"), {"PYTHONNOUSERSITE": "1"})
    assert missing["reason"] == "no site-packages folder was found"
