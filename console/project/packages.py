"""The packages of an interpreter, read from its folders; nothing is executed. Cached until one comes or goes."""

from __future__ import annotations

import glob
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from store import paths

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = 1
INFO: Final = re.compile(r"(?P<name>[A-Za-z0-9][\w.]*?)-(?P<version>[^-]+)(?:-[^-]+)*\.(?:dist-info|egg-info)")
"""Folders that installers leave (PEP 376): name and version are in the name of the folder."""
PACKAGES_MAX: Final = 5000


def describe(home: str, interpreter: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Path, version and package list of an interpreter; the list goes to `<state dir>/packages/<id>.json`.

    Raises OSError when that cannot be written.
    """
    if not interpreter:
        return {"path": "", "reason": "no Python was found"}
    if is_script(interpreter):
        return {"path": interpreter, "reason": "a script that starts one, such as a shim of pyenv"}
    version, folders = look(interpreter, variables)
    if not folders:
        return {"path": interpreter, "version": version, "reason": "no site-packages folder was found"}
    key = [os.path.realpath(interpreter), version, *((folder, os.stat(folder).st_mtime_ns) for folder in folders)]
    digest = str(blake3(json.dumps(key).encode()).hexdigest())[:32]
    file = os.path.join(home, "packages", f"{digest}.json")
    try:
        with open(file, "rb") as kept:
            count = len(json.load(kept)["packages"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        packages = list_packages(folders)
        count = len(packages)
        content = {"format": FORMAT, "interpreter": interpreter, "version": version, "folders": folders}
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        paths.write_atomically(file, json.dumps(content | {"packages": packages}).encode(), sync=False)
    return {"path": interpreter, "version": version, "packages": digest, "package_count": count}


def look(interpreter: str, variables: Mapping[str, str]) -> tuple[str, list[str]]:
    """Version and existing site-packages folders of an interpreter, by the layouts of venv, conda and distributions."""
    prefix = os.path.dirname(os.path.dirname(interpreter))
    settings = read_settings(os.path.join(prefix, "pyvenv.cfg"))
    own = existing(f"{prefix}/lib*/python3.*/site-packages")
    if settings:
        version = settings.get("version") or settings.get("version_info", "")
        if settings.get("include-system-site-packages", "").lower() == "true" and settings.get("home"):
            own += look(os.path.join(settings["home"], "python3"), variables)[1]
        return version.split(".final")[0], list(dict.fromkeys(own))
    real = os.path.realpath(interpreter)
    prefix = os.path.dirname(os.path.dirname(real))
    found = re.fullmatch(r"python(\d+\.\d+).*", os.path.basename(real))
    version = found[1] if found else ""
    if not version:
        candidates = [
            os.path.basename(path).removeprefix("python") for path in glob.glob(f"{prefix}/lib/python3.[0-9]*")
        ]
        version = candidates[0] if len(candidates) == 1 else ""
    folders = existing(f"{prefix}/lib*/python{version or '3.*'}/*-packages")
    if prefix == "/usr":
        folders += existing(f"/usr/local/lib*/python{version or '3.*'}/*-packages") + existing(
            "/usr/lib/python3/dist-packages"
        )
    if not variables.get("PYTHONNOUSERSITE"):
        folders += existing(os.path.expanduser(f"~/.local/lib/python{version or '3.*'}/site-packages"))
    return full_version(prefix, version), list(dict.fromkeys(folders))


def existing(pattern: str) -> list[str]:
    """Folders that match, each once whatever links lead to it."""
    by_place = {
        os.path.realpath(path): path for path in sorted(glob.glob(pattern), reverse=True) if os.path.isdir(path)
    }
    return sorted(by_place.values())


def full_version(prefix: str, version: str) -> str:
    """3.11.7 where a header of the installation says so, else what is known."""
    try:
        with open(f"{prefix}/include/python{version}/patchlevel.h", encoding="utf-8", errors="replace") as file:
            found = re.search(r'#define\s+PY_VERSION\s+"([^"]+)"', file.read(65536))
    except OSError:
        return version
    return found[1] if found else version


def read_settings(path: str) -> dict[str, str]:
    """`key = value` lines; empty when there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(65536).split("\n")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def list_packages(folders: list[str]) -> list[list[str]]:
    """Name, version and, where it is installed from a folder, that folder's URL; the first folder wins."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for entry in sorted(os.listdir(folder)):
            match = INFO.fullmatch(entry)
            if match is None or len(found) >= PACKAGES_MAX:
                continue
            name = re.sub(r"[-_.]+", "-", match["name"]).lower()
            found.setdefault(name, [name, match["version"], *editable_source(os.path.join(folder, entry))])
    return sorted(found.values())


def editable_source(info: str) -> list[str]:
    """Where an editable package lies (PEP 610); nothing for any other."""
    try:
        with open(os.path.join(info, "direct_url.json"), "rb") as file:
            data = json.load(file)
        return [str(data["url"])] if data["dir_info"]["editable"] else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def is_script(path: str) -> bool:
    """Whether a program is a text that another program executes."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False
