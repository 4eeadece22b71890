"""What a command gets of the shell that it is enqueued from."""

from __future__ import annotations

import os
import resource
from typing import Any

from console.client import ClientError
from console.person import whoami


def context() -> dict[str, Any]:
    """Environment, umask and limits of this process, and who asks, as the daemon takes them."""
    limits = {
        limit: list(resource.getrlimit(getattr(resource, limit)))
        for limit in dir(resource)
        if limit.startswith("RLIMIT_") and limit != "RLIMIT_OFILE"
    }
    umask = os.umask(0o077)
    os.umask(umask)
    return {"environment": dict(os.environ), "umask": umask, "limits": limits, "actor": whoami()}


def working_dir() -> str:
    """Where we are; raises ClientError when that folder is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise ClientError("the current directory was removed", "cd to one that exists") from error
