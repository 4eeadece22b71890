"""Saved views: files that people write, the errors they get, and the commands that use them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console import views
from console.views import Broken, View, ViewError
from tests.support import PastRun

if TYPE_CHECKING:
    from tests.support import Home


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where views lie in this test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "footplate" / "views"


VIEW = View(
    "best", 'val/acc > 0.8 and name ~ "a\\.b"', "best(val/acc)", False, ("param:a,b", "metric:val/acc:best", "age")
)


@pytest.mark.parametrize("view", [VIEW, View("plain"), View("odd", 'tab\t"quote" \\ \x7f é \U0001f600')])
def test_a_view_is_read_as_it_was_written(view: View) -> None:
    path = Path(views.write(view))
    assert views.read(view.name) == view
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("filter = 1\n", r"line 1: filter is 1; expected a text"),
        ('sort = "lr"\nsrot = "lr"\n', r"line 2: srot is unknown; expected one of filter"),
        ('\ncolumns = ["param:lr", 3]\n', r"line 2: columns is \[.param:lr., 3\]; expected a list"),
        ('columns = ["lr"]\n', r"line 1: columns there is no column 'lr'"),
        ('columns = "all"\n', r"line 1: columns is .all.; expected a list"),
        ('filter = "a"\nsort = \n', r"line 2: is no TOML"),
        ('filter = "a"\nfilter = "b"\n', r"line 2: is no TOML"),
        ('descending = "yes"\n', r"line 1: descending is .yes.; expected true or false"),
        ("[columns]\nx = 1\n", r"line 1: columns is"),
        ("x" * 70_000, r"longer than"),
    ],
)
def test_a_broken_file_is_one_error_with_file_line_and_key(folder: Path, text: str, said: str) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(text)
    with pytest.raises(ViewError, match=said) as raised:
        views.read("mine")
    assert str(folder / "mine.toml") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_bytes(b'sort = "lr"\nfilter = "\xff"\n')
    with pytest.raises(ViewError, match="line 2: not UTF-8"):
        views.read("mine")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "a b"])
def test_names_are_names_of_files(name: str) -> None:
    with pytest.raises(ViewError, match="no name of a view"):
        views.write(View(name))


def test_one_broken_view_hides_no_other(folder: Path) -> None:
    views.write(VIEW)
    (folder / "bad.toml").write_text("filter = 1")
    (folder / "notes.txt").write_text("")
    found = views.read_all()
    assert [each.name for each in found] == ["bad", "best"]
    assert isinstance(found[0], Broken)
    assert found[1] == VIEW
    views.delete("bad")
    assert views.read_all() == [VIEW]
    with pytest.raises(ViewError, match="there is no view 'bad'"):
        views.delete("bad")


def test_commands_list_and_use_views(home: Home, folder: Path) -> None:
    for no in (1, 2, 3):
        home.write_run(PastRun(no, name=f"n{no}", params={"lr": str(no / 10), "opt": "adam"}))
    views.write(View("small", "lr < 0.25", "lr", False, ("param:lr", "exit")))
    listed = home.footplate("views").stdout
    assert "small" in listed
    assert "lr < 0.25" in listed
    shown = home.footplate("runs", "--view", "small").stdout.splitlines()
    assert shown[0].split() == ["run", "name", "lr", "exit"]
    assert [line.split()[1:4] for line in shown[1:]] == [["r1", "n1", "0.1"], ["r2", "n2", "0.2"]]
    narrowed = json.loads(home.footplate("runs", "--view", "small", "--json", "n2").stdout)
    assert narrowed["cells"] == {"param:lr": ["0.2"]}
    refused = home.footplate("runs", "--view", "none", check=False)
    assert refused.returncode == 2
    assert "there is no view 'none'" in refused.stderr
    refused = home.footplate("runs", "--columns", "lr", check=False)
    assert refused.returncode == 2
    assert "there is no column 'lr'" in refused.stderr
    (folder / "bad.toml").write_text("filter = 1")
    broken = home.footplate("views", "--json", check=False)
    assert broken.returncode == 1
    assert "bad.toml, line 1: filter" in broken.stderr
    assert [each["name"] for each in json.loads(broken.stdout)["views"]] == ["small"]
