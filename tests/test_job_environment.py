"""Jobs that know nothing of footplate, and folders whose packages have the names of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from footplate_launcher import drop_foreign_paths, package_roots

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home


BASE_PYTHON = os.path.realpath(sys.executable)
"""The interpreter below the virtual environment: it has no footplate."""


WRITE_METRICS = """
import importlib.util, json, os
assert importlib.util.find_spec("console") is None
assert importlib.util.find_spec("footplate_launcher") is None
with open(os.environ["FOOTPLATE_METRICS"], "a") as file:
    for step in range(5):
        file.write(json.dumps({"step": step, "loss": step / 2}) + "\\n")
"""


def test_a_job_in_a_virtual_environment_without_footplate_reports_metrics(house: Home, tmp_path: Path) -> None:
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", str(tmp_path / "own")], check=True)
    detail = house.wait_ended(house.submit(str(tmp_path / "own" / "bin" / "python"), "-c", WRITE_METRICS))
    assert (detail.row.state, detail.evidence) == ("finished", "")
    assert [(metric.key, metric.point_count, metric.last) for metric in detail.metrics] == [("loss", 5, 2.0)]


def test_a_job_without_site_packages_reports_metrics(house: Home) -> None:
    detail = house.wait_ended(house.submit(BASE_PYTHON, "-I", "-S", "-c", WRITE_METRICS))
    assert (detail.row.state, detail.evidence) == ("finished", "")
    assert [(metric.key, metric.point_count, metric.last) for metric in detail.metrics] == [("loss", 5, 2.0)]


def test_a_job_in_no_python_at_all_reports_metrics(house: Home) -> None:
    script = 'for i in 1 2 3; do echo "{\\"step\\": $i, \\"loss\\": 0.$i}" >> "$FOOTPLATE_METRICS"; done'
    detail = house.wait_ended(house.submit("sh", "-c", script))
    assert [(metric.key, metric.point_count, metric.last) for metric in detail.metrics] == [("loss", 3, 0.3)]


@pytest.fixture
def namesakes(tmp_path: Path) -> Path:
    """A user's project with packages of our names, and modules of names that we import."""
    for name in ("store", "console", "textual", "orjson"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f'raise RuntimeError("this is the user\'s {name}")\n')
    for name in ("json", "argparse", "footplate_launcher", "signal"):
        (tmp_path / f"{name}.py").write_text(f'raise RuntimeError("this is the user\'s {name}")\n')
    return tmp_path


def test_a_first_command_in_a_folder_with_our_package_names_starts_our_daemon(home: Home, namesakes: Path) -> None:
    shutil.rmtree(namesakes / "textual")
    for name in ("json", "argparse", "footplate_launcher", "signal"):
        (namesakes / f"{name}.py").unlink()
    done = home.footplate("ps", cwd=namesakes, env=home.environment(PYTHONPATH="."))
    assert done.stdout.startswith("nothing runs")
    assert home.client().status().version


@pytest.mark.parametrize("python_path", ["", ".", ":", "./", "{here}", "{here}/", "/nowhere:.", "{here}/../{name}"])
def test_commands_are_ours_in_a_folder_with_our_package_names(house: Home, namesakes: Path, python_path: str) -> None:
    if python_path:
        # Before a line of ours runs, the interpreter itself looks for these along PYTHONPATH: nobody could help that.
        for name in ("json", "argparse", "footplate_launcher", "signal"):
            (namesakes / f"{name}.py").unlink()
    value = python_path.format(here=namesakes, name=namesakes.name)
    environment = house.environment(PYTHONPATH=value) if value else house.environment()
    house.footplate("ps", cwd=namesakes, env=environment)


def test_a_job_sees_the_users_own_packages(house: Home, namesakes: Path) -> None:
    for name in ("json", "argparse", "footplate_launcher", "signal"):
        (namesakes / f"{name}.py").unlink()
    for package in ("store", "console"):
        done = house.footplate(
            *("run", "--", sys.executable, "-c", f"import {package}"),
            cwd=namesakes,
            env=house.environment(PYTHONPATH="."),
            check=False,
        )
        assert done.returncode == 1
        assert f"RuntimeError: this is the user's {package}" in done.stdout


def test_a_python_path_that_names_our_own_library_folders_takes_nothing_away(house: Home) -> None:
    import sysconfig

    for key in ("stdlib", "purelib"):
        environment = house.environment(PYTHONPATH=sysconfig.get_path(key))
        done = house.footplate("run", "--name", "名前", "--", "echo", "said", env=environment)
        assert done.stdout == "said\n"
        assert "名前" in house.footplate("runs", env=environment).stdout


@pytest.mark.parametrize(
    ("path", "python_path", "left"),
    [
        (["/user", "/lib", "/site"], "/user", ["/lib", "/site"]),
        (["/user", "/lib"], "/user/", ["/lib"]),
        (["/user/", "/lib"], "/user", ["/lib"]),
        (["/a", "/b", "/lib"], "/b:/a", ["/lib"]),
        (["", ".", "/lib"], "", ["/lib"]),
        (["/user", "/lib"], "", ["/user", "/lib"]),
        (["/ours", "/user", "/lib"], "/ours:/user", ["/ours", "/lib"]),
        (["/ours/../user", "/lib"], "/user", ["/lib"]),
        (["/lib"], "::", ["/lib"]),
    ],
)
def test_what_python_path_added_leaves_the_search_path(path: list[str], python_path: str, left: list[str]) -> None:
    assert drop_foreign_paths(path, python_path, {"/ours"}) == left


def test_the_working_folder_leaves_the_search_path_under_its_full_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for python_path in (".", "", "sub/.."):
        path = [str(tmp_path), "/lib"] if python_path else ["", "/lib"]
        assert drop_foreign_paths(path, python_path, set()) == ["/lib"]


def test_our_own_packages_stay_on_the_search_path_even_where_python_path_names_them() -> None:
    roots = package_roots("/src/footplate/console/launcher/footplate_launcher.py")
    assert roots == {"/src/footplate/console/launcher", "/src/footplate"}
    assert drop_foreign_paths(["/src/footplate", "/user"], "/src/footplate:/user", roots) == ["/src/footplate"]
