"""The places that footplate writes to: room, permissions, network file systems, cleaners."""

from __future__ import annotations

import glob
import os
import stat
from typing import TYPE_CHECKING, Final

from console.doctor.finding import fail, ok, warn
from console.tui.text_format import bytes_size
from store import local_home, paths

if TYPE_CHECKING:
    from console.doctor.finding import Finding

TMPFILES_DIRS: Final = ("/usr/lib/tmpfiles.d", "/run/tmpfiles.d", "/etc/tmpfiles.d")
"""From the weakest to the strongest (tmpfiles.d(5))."""
KEEPING: Final = frozenset("xX")
"""Line types that keep a path from being cleaned."""
LOW_FREE_BYTES: Final = 5 << 30
NO_FREE_BYTES: Final = 256 << 20
LOW_INODES_PERCENT: Final = 5.0


def checks(home: str, config: str, root: str = "") -> list[Finding]:
    """All of them, for a state directory and a configuration directory."""
    folders = list(dict.fromkeys([home, paths.local_dir(home)]))
    return [
        of_home(home),
        of_permissions(home, config),
        *(of_room(folder) for folder in folders),
        of_network(home),
        of_cleaners(folders, root),
    ]


def of_home(home: str) -> Finding:
    """Whether the state directory can be written to."""
    there = existing(home)
    if there != home:
        if os.access(there, os.W_OK | os.X_OK):
            return ok("state", f"{home} is made when it is needed")
        return fail(
            "state", f"{home} cannot be made: {there} is not writable", "set FOOTPLATE_HOME to a folder that is"
        )
    if not os.path.isdir(home):
        return fail("state", f"{home} is not a directory", "move it away, or set FOOTPLATE_HOME")
    if not os.access(home, os.W_OK | os.X_OK):
        return fail("state", f"{home} is not writable", "chmod u+rwx it, or set FOOTPLATE_HOME to a folder that is")
    return ok("state", home)


def of_permissions(home: str, config: str) -> Finding:
    """Whether others may read or change what is ours."""
    wrong = []
    for path in [home, *glob.glob(f"{glob.escape(home)}/*")]:
        try:
            facts = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISLNK(facts.st_mode):
            continue
        if facts.st_uid != os.getuid():
            wrong.append(f"{path} belongs to uid {facts.st_uid}")
        elif stat.S_IMODE(facts.st_mode) & 0o077 and (path == home or not os.path.isdir(path)):
            wrong.append(f"{path} has mode {stat.S_IMODE(facts.st_mode):04o}")
    wrong += [
        f"others may write {path}"
        for path in (config, os.path.join(config, "config.toml"))
        if os.path.exists(path) and stat.S_IMODE(os.stat(path).st_mode) & 0o022
    ]
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return warn("permissions", f"{wrong[0]}{more}", f"chmod -R go= {home}; chmod go-w {config}")
    return ok("permissions", "nobody else reads or writes what is yours")


def of_room(folder: str) -> Finding:
    """Free bytes and inodes of a file system."""
    name = "disk"
    try:
        facts = os.statvfs(existing(folder))
    except OSError as error:
        return warn(name, f"{folder}: n/a, {error.strerror}", f"df {folder}")
    free_bytes = facts.f_bavail * facts.f_frsize
    found = f"{folder}: {bytes_size(free_bytes)} free"
    if free_bytes < NO_FREE_BYTES:
        return fail(
            name, f"{found}: metrics wait in the journals of the runs", "footplate du; footplate gc --budget SIZE"
        )
    if facts.f_files and 100.0 * facts.f_favail / facts.f_files < LOW_INODES_PERCENT:
        words = f"{facts.f_favail} inodes left of {facts.f_files}; {found}"
        return warn(name, words, "many small files fill the disk: `du --inodes`; footplate archive")
    if free_bytes < LOW_FREE_BYTES:
        return warn(name, found, "footplate du; footplate gc --budget SIZE")
    return ok(name, found)


def of_network(home: str) -> Finding:
    """Whether index, lock and socket lie on a local disk, and what becomes of them there."""
    local = paths.local_dir(home)
    mount = local_home.mount_of(local_home.mountinfo(), os.path.realpath(existing(local)))
    if mount is None:
        return warn("file system", "n/a: /proc/self/mountinfo does not say", "mount /proc")
    if local_home.is_network(mount.type):
        found = f"{local} is on {mount.type}, where locks and sockets fail"
        return fail("file system", found, "start the daemon anew: it chooses a local place and says so")
    if local != home:
        return ok("file system", f"state on a network; index, lock and socket in {local}: {local_home.fate(local)}")
    if mount.type in ("tmpfs", "ramfs"):
        found = f"{home} is in memory ({mount.type}): every run is lost at a reboot"
        return warn("file system", found, "set FOOTPLATE_HOME to a folder on a disk")
    return ok("file system", mount.type)


def of_cleaners(folders: list[str], root: str = "") -> Finding:
    """Whether systemd-tmpfiles removes what was not touched for a while."""
    rules = list(tmpfiles_rules(root))
    for folder in folders:
        age, path = cleaned_after(folder, rules)
        if age:
            found = f"what was not touched for {age} is deleted below {path}, and {folder} lies there"
            return warn("cleaners", found, f"echo 'x {folder}' | sudo tee /etc/tmpfiles.d/footplate-{os.getuid()}.conf")
    return ok("cleaners", "no rule of tmpfiles.d cleans what is ours")


def cleaned_after(folder: str, rules: list[tuple[str, str, str]]) -> tuple[str, str]:
    """The age after which files of a folder are removed, and the path of the rule; empty texts for never."""
    found = ("", "")
    longest = -1
    for kind, path, age in rules:
        if not local_home.within(folder, path) and not glob_matches(folder, path):
            continue
        if kind in KEEPING:
            return "", ""
        # The rule for the nearest folder above counts.
        if len(path) > longest and kind[0] in "dDevqQC":
            longest, found = len(path), (age if age not in ("", "-") else "", path)
    return found


def glob_matches(folder: str, pattern: str) -> bool:
    """Whether a rule with wildcards means a folder or one above it."""
    import fnmatch

    if not set(pattern) & set("*?["):
        return False
    parts = folder.split("/")
    return any(fnmatch.fnmatch("/".join(parts[:end]), pattern) for end in range(2, len(parts) + 1))


def tmpfiles_rules(root: str = "") -> list[tuple[str, str, str]]:
    """Type, path and age of every rule; of files of one name only the strongest is read."""
    files: dict[str, str] = {}
    for folder in TMPFILES_DIRS:
        for path in glob.glob(f"{root}{folder}/*.conf"):
            files[os.path.basename(path)] = path
    rules = []
    for name in sorted(files):
        try:
            with open(files[name], encoding="utf-8", errors="replace") as file:
                lines = [line.split() for line in file if line.strip() and not line.lstrip().startswith("#")]
        except OSError:
            continue
        rules += [
            (words[0], words[1].rstrip("/") or "/", words[5] if len(words) > 5 else "-") for words in lines if words[1:]
        ]
    return rules


def existing(path: str) -> str:
    """The path, else the nearest folder above it that is there."""
    while not os.path.exists(path) and path not in ("/", ""):
        path = os.path.dirname(path)
    return path or "/"
