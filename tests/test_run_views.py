"""`footplate series`, `env`, `code` and `logs --errors` on a real run in a repository with changes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from console import run_curves, run_parts
from console.client import DaemonRefused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, sys, warnings
with open(os.environ["FOOTPLATE_METRICS"], "a") as file:
    for step in range(200):
        values = {"step": step, "loss": 1 / (1 + step), "epoch": step / 100, "_timestamp": 1.76e9 + step}
        file.write(json.dumps(values) + "\\n")
print("val_error=0.1")
warnings.warn("careful")
raise ValueError("bad batch")
"""


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def ran(home: Home, tmp_path: Path) -> Path:
    """A repository in which r1 ran with a change that is not committed."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "aug.py").write_text("tf = 1\n", encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    (folder / "aug.py").write_text("tf = 2\n", encoding="utf-8")
    run_id = home.submit(sys.executable, "train.py", working_dir=str(folder))
    home.wait_run(
        run_id, lambda detail: detail.row.state == "failed" and (detail.code or {}).get("state") == "captured"
    )
    return folder


def test_what_ran_is_shown_and_comes_back(home: Home, ran: Path, tmp_path: Path) -> None:
    commit = git(ran, "rev-parse", "HEAD").strip()
    code = home.footplate("code", "r1").stdout
    assert commit in code
    assert "aug.py  7 B" in code
    assert "changed since the commit" in code
    facts = json.loads(home.footplate("code", "r1", "--json").stdout)
    assert facts["git"]["commit"] == commit
    patch = home.footplate("code", "r1", "--patch").stdout
    assert "-tf = 1\n+tf = 2\n" in patch
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(ran), str(copy))
    subprocess.run(["git", "apply"], cwd=copy, input=patch, text=True, check=True)
    assert (copy / "aug.py").read_text(encoding="utf-8") == "tf = 2\n"
    page = run_parts.patch(home.client(), "r1")
    assert [line.text for line in page.lines] == patch.splitlines()
    refused = home.footplate("code", "r1", "--attempt", "9", check=False)
    assert refused.returncode == 1
    assert "nothing was captured at attempt 9 of r1" in refused.stderr

    environment = home.footplate("env", "r1").stdout
    assert sys.executable in environment
    assert "interpreter" in environment
    packages = home.footplate("env", "r1", "--packages").stdout
    assert any(line.split()[:1] == ["textual"] for line in packages.splitlines())
    known = json.loads(home.footplate("env", "r1", "--json").stdout)
    assert len(known["packages"]) == known["interpreter"]["package_count"]
    assert known["hardware"]["memory_bytes"] > 0

    picture = home.footplate("series", "r1", "loss", "--smooth", "0.9", "--x", "epoch", "--height", "8").stdout
    assert picture.startswith("loss  ━")
    assert "EMA 0.9 · x: epoch" in picture
    assert len(picture.splitlines()) == 8
    plain = home.footplate(
        "series", "r1", "loss", "--log", "xy", env=home.environment(LC_ALL="C", PYTHONUTF8="0")
    ).stdout
    assert plain.isascii()
    found: dict[str, Any] = json.loads(
        home.footplate("series", "r1", "loss", "--from", "50", "--to", "59", "--json").stdout
    )
    assert found["curves"][0]["steps"] == list(range(50, 60))
    assert (found["low"], found["high"]) == (0, 199)
    relative = home.footplate("series", "r1", "loss", "--x", "relative", "--json").stdout
    assert len(json.loads(relative)["curves"][0]["xs"]) > 100
    for wrong, words in (
        (["--smooth", "1"], "--smooth takes 0 to 0.999"),
        (["--bins", "1"], "--bins takes 2 to 2000"),
        (["--from", "3", "--to", "2"], "lies behind"),
    ):
        refused = home.footplate("series", "r1", "loss", *wrong, check=False)
        assert refused.returncode == 2
        assert words in refused.stderr
    unknown = home.footplate("series", "r1", "acc", check=False)
    assert unknown.returncode == 1
    assert "r1 has no metric acc" in unknown.stderr
    assert "loss" in unknown.stderr

    errors = home.footplate("logs", "r1", "--errors").stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in errors] == [
        "Traceback (most recent call last):",
        "ValueError: bad batch",
    ]
    warned = json.loads(home.footplate("logs", "r1", "--warnings", "--json").stdout)
    assert warned["text"].endswith("UserWarning: careful")

    client = home.client()
    for query, words in (
        ({"keys": "loss"}, "keys must be a JSON list"),
        ({"keys": '["loss"]', "axis": "time"}, "no axis 'time'"),
        ({"keys": '["loss"]', "smooth": "nan"}, "smooth must be a finite number"),
        ({"keys": '["loss"]', "smooth": 1}, "smooth must be from 0 to 0.999"),
        ({"keys": '["loss"]', "from": 3, "to": 2}, "from must not be greater than to"),
    ):
        with pytest.raises(DaemonRefused, match=words):
            client.get("/runs/r1/curves", query)
    with pytest.raises(DaemonRefused, match="no kind of mark"):
        client.get("/runs/r1/log/mark", {"kind": "fun"})
    both = run_curves.fetch(client, "r1", ["loss", "none such"], run_curves.Ask(50))
    assert both[0] is not None
    assert both[1] is None
