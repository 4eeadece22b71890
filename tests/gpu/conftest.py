"""A driver of NVIDIA's for machines without one: a library built from nvml_stub.c that answers from a text file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gpu.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("nvml_stub.c")
FLAGS = ("-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-fvisibility=hidden")


def built(folder: Path, *definitions: str) -> Path:
    """The library in a folder of its own."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: it builds the stand-in for NVIDIA's driver")
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, *FLAGS, *definitions, "-Wl,-soname,libnvidia-ml.so.1", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="session")
def new_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver of today."""
    return built(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def old_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that knows fewer functions, and those under older names."""
    return built(tmp_path_factory.mktemp("old-nvml"), "-DOLD_DRIVER")


def installed(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A driver that child processes find."""
    driver = Driver(library, tmp_path / "nvml-state")
    for name, value in driver.environment.items():
        monkeypatch.setenv(name, value)
    return driver


@pytest.fixture
def driver(new_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """A driver without cards, until the test says more."""
    yield installed(new_library, tmp_path, monkeypatch)
    assert "FAKE_NVML" in os.environ


@pytest.fixture
def old_driver(old_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The same of years ago."""
    return installed(old_library, tmp_path, monkeypatch)
