"""Who acts: the name of the user, also of one whom neither the environment nor the password database knows."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from console.person import NAMED_BY, whoami
from tests.daemons import as_second_user

if TYPE_CHECKING:
    import pytest

NAMELESS: Final = next(uid for uid in range(61_234, 65_000) if uid not in {entry.pw_uid for entry in pwd.getpwall()})
AS_NAMELESS: Final = f"""
import os, pwd
from console.cli import shell
os.setgroups([]); os.setgid({NAMELESS}); os.setuid({NAMELESS})
print(shell.context()["actor"])
"""
ROOT: Final = Path(__file__).parents[1]


@as_second_user
def test_a_user_without_an_entry_has_a_name() -> None:
    environment = {key: value for key, value in os.environ.items() if key not in NAMED_BY}
    done = subprocess.run(
        [sys.executable, "-c", AS_NAMELESS], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"uid-{NAMELESS}\n", "")


def test_the_environment_names_the_user_in_the_order_of_getpass(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in reversed(NAMED_BY):
        monkeypatch.setenv(variable, f"by-{variable}")
        assert whoami() == f"by-{variable}"
    for variable in NAMED_BY:
        monkeypatch.setenv(variable, "")
    assert whoami() == pwd.getpwuid(os.getuid()).pw_name


def test_nothing_asks_for_the_name_in_another_way() -> None:
    asking = [path for folder in ("console", "store") for path in (ROOT / folder).rglob("*.py")]
    assert asking
    assert [str(path) for path in asking if "import getpass" in path.read_text()] == []
