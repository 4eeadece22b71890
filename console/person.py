"""The name of the user that this process runs as. Every command imports it: standard library only."""

from __future__ import annotations

import os
from typing import Final

NAMED_BY: Final = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Variables that name the user, in the order of `getpass.getuser` (docs.python.org, library/getpass)."""


def whoami() -> str:
    """The user's name by the environment, else by the password database; `uid-1234` for one without an entry.

    `docker run -u 1234` gives a user that neither knows.
    """
    for variable in NAMED_BY:
        if name := os.environ.get(variable):
            return name
    import pwd

    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
