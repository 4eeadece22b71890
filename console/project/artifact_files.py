"""Where a file lies that an imported run left behind. Trackers name it in their own ways; none may lead elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPERIMENTS_MAX: Final = 10_000
MLFLOW_FOLDERS: Final = ("mlartifacts", "mlruns")
"""What MLflow names its folder of artifacts beside a database."""


class UnresolvedError(Exception):
    """There is no file to show; says why."""


class Origin(NamedTuple):
    """What is known of where a run was read from."""

    tracker: str
    source_path: str
    """The file or folder that it was read from."""
    key: str
    """What it is known by there."""
    group: str
    name: str


class Folder(NamedTuple):
    """Where artifacts of a run lie."""

    anchor: str
    """Chosen by the person who imported it, so it may be a link."""
    inner: str
    """Below it, written by others: followed only as long as it stays below."""


def path_of(origin: Origin, artifact: str) -> str:
    """The real path of an artifact, as its tracker names it. Raises UnresolvedError."""
    if not artifact or artifact.startswith("/") or "\0" in artifact or ".." in artifact.split("/"):
        raise UnresolvedError("its path leads out of the folder of artifacts")
    reason = ""
    for anchor, inner in folders_of(origin):
        outer = os.path.realpath(anchor)
        folder = os.path.join(outer, inner) if inner else outer
        if os.path.realpath(folder) != folder:
            reason = "its folder of artifacts is a link to somewhere else"
            continue
        path = os.path.realpath(os.path.join(folder, artifact))
        if not path.startswith(os.path.join(folder, "")):
            raise UnresolvedError("it is a link that leads out of the folder of artifacts")
        if os.path.isfile(path):
            return path
        if os.path.lexists(path):
            raise UnresolvedError("it is no regular file")
    raise UnresolvedError(reason or missing_reason(origin, artifact))


def folders_of(origin: Origin) -> Iterator[Folder]:
    """Where its artifacts may lie. Raises UnresolvedError when that cannot be told."""
    source = origin.source_path
    if origin.tracker == "tensorboard":
        raise UnresolvedError("TensorBoard keeps it inside its event files, which hold no file of that name")
    if origin.tracker == "mlflow" and not os.path.isdir(source):
        yield from _beside_database(os.path.dirname(source), origin.key)
    elif origin.tracker == "mlflow":
        yield Folder(source, "artifacts")
    elif origin.tracker == "wandb":
        yield Folder(source, "files")
    elif origin.tracker == "trackio":
        parts = (origin.group, origin.name)
        if all(part and "/" not in part and part not in (".", "..") for part in parts):
            yield Folder(os.path.join(os.path.dirname(source), "media"), os.path.join(*parts))
    elif origin.tracker in ("dvclive", "lightning", "huggingface"):
        yield Folder(source, "")
    else:
        raise UnresolvedError("it is not known where this tracker keeps its files")


def _beside_database(folder: str, key: str) -> Iterator[Folder]:
    if not key or "/" in key or key in (".", ".."):
        return
    for name in MLFLOW_FOLDERS:
        top = os.path.join(folder, name)
        try:
            experiments = sorted(entry.name for entry in os.scandir(top))[:EXPERIMENTS_MAX]
        except OSError:
            continue
        for experiment in experiments:
            inner = os.path.join(experiment, key, "artifacts")
            if os.path.isdir(os.path.join(top, inner)):
                yield Folder(top, inner)


def missing_reason(origin: Origin, artifact: str) -> str:
    """Why a file that the tracker lists is not there."""
    if origin.tracker == "wandb" and "/" not in artifact and "." not in artifact:
        return "W&B logged it without a file"
    if origin.tracker == "mlflow" and not os.path.isdir(origin.source_path):
        return (
            "only artifacts beside MLflow's database are looked at, and it is not there (its artifact_uri may differ)"
        )
    return "the file is not there any more"
