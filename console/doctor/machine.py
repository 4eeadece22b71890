"""The machine: watches of inotify, GPUs, a library that LightGBM needs, the clock."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any, Final

from console.doctor.finding import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.devices import Devices
    from console.doctor.finding import Finding

FEW_WATCHES: Final = 65536
CLOCK_STEP_S: Final = 5.0
ASK_TIMEOUT_S: Final = 5.0
GOMP: Final = "libgomp.so.1"
LIBRARY_DIRS: Final = (
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
)
NVML: Final = "libnvidia-ml.so.1"


def of_watches(daemon_pid: int | None, root: str = "") -> Finding:
    """How many folders inotify lets this user watch; the daemon takes a quarter at most, and polls the rest."""
    limit = number_in(f"{root}/proc/sys/fs/inotify/max_user_watches")
    instances = number_in(f"{root}/proc/sys/fs/inotify/max_user_instances")
    if limit is None or instances is None:
        return warn(
            "inotify", "n/a: /proc/sys/fs/inotify is not there", "watched folders are looked at every few seconds"
        )
    used = watches_of(daemon_pid, root) if daemon_pid is not None else 0
    found = f"{used} of {limit} watches taken by the daemon, {instances} instances allowed"
    if limit < FEW_WATCHES:
        advice = "sudo sysctl fs.inotify.max_user_watches=524288, and the same line in /etc/sysctl.d/; or it polls"
        return warn("inotify", found, advice)
    return ok("inotify", found)


def watches_of(pid: int, root: str = "") -> int:
    """The inotify watches that a process holds (proc_pid_fdinfo(5))."""
    count = 0
    folder = f"{root}/proc/{pid}/fdinfo"
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    for name in names:
        try:
            with open(f"{folder}/{name}", encoding="ascii", errors="replace") as file:
                count += sum(line.startswith("inotify ") for line in file)
        except OSError:
            continue
    return count


def of_gpus(devices: Devices | None, environ: Mapping[str, str], root: str = "") -> Finding:
    """What the daemon measures; without one, whether the driver's library is there."""
    if devices is not None:
        if devices.stalled_s is not None:
            found = f"the driver has not answered for {devices.stalled_s:.0f} s"
            return warn("gpus", found, "nvidia-smi; `dmesg | grep NVRM` names a card that fell off the bus")
        broken = [gpu for gpu in devices.gpus if gpu.problem]
        if broken:
            return warn("gpus", f"GPU {broken[0].number}: {broken[0].problem}", "nvidia-smi; dmesg | grep NVRM")
        if devices.gpus:
            return ok("gpus", f"{len(devices.gpus)} measured by NVML")
        if "no NVIDIA driver" in devices.gpu_reason and "PCI" not in devices.gpu_reason:
            return ok("gpus", f"n/a: {devices.gpu_reason}")
        return warn("gpus", f"n/a: {devices.gpu_reason}", "nvidia-smi says more")
    path = library(NVML, environ, root)
    if path:
        return ok("gpus", f"{path} is there; `footplate gpus` asks it")
    return ok("gpus", f"n/a: no NVIDIA driver ({NVML} is not there)")


def of_gomp(environ: Mapping[str, str], root: str = "") -> Finding:
    """Whether LightGBM can be loaded."""
    path = library(GOMP, environ, root)
    if path:
        return ok("openmp", path)
    advice = "sudo apt install libgomp1 (Debian, Ubuntu), sudo dnf install libgomp (Fedora, RHEL)"
    return warn("openmp", f"{GOMP} is not there: LightGBM cannot be loaded", advice)


def library(name: str, environ: Mapping[str, str], root: str = "") -> str:
    """Where the loader would find a library; empty for nowhere. Nothing is loaded to find out."""
    folders = [folder for folder in environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    for folder in [*folders, *(f"{root}{folder}" for folder in LIBRARY_DIRS)]:
        if os.path.exists(f"{folder}/{name}"):
            return f"{folder}/{name}".removeprefix(root)
    try:
        with open(f"{root}/etc/ld.so.cache", "rb") as file:
            entry = file.read().partition(b"/" + name.encode() + b"\0")
    except OSError:
        return ""
    folder = entry[0].rpartition(b"\0")[2].decode("utf-8", "replace")
    return f"{folder}/{name}" if entry[1] and os.path.exists(f"{root}{folder}/{name}") else ""


def of_clock(daemon: Mapping[str, Any] | None, now_s: float, started_at_s: float | None, synchronized: str) -> Finding:
    """Whether the clock was set since the daemon started, and whether something keeps it right."""
    if daemon is not None and started_at_s is not None:
        step_s = now_s - started_at_s - float(daemon["uptime_s"])
        if abs(step_s) > CLOCK_STEP_S:
            found = f"the clock went {abs(step_s):.0f} s {'on' if step_s > 0 else 'back'} since the daemon started"
            return warn("clock", f"{found} (set, or the machine slept)", "times of runs from before may not fit")
    if synchronized == "no":
        return warn("clock", "not synchronized", "sudo timedatectl set-ntp true, or chrony")
    return ok("clock", "synchronized" if synchronized == "yes" else "no step seen; timedatectl does not say more")


def clock_synchronized() -> str:
    """What systemd says of the clock: yes, no, or nothing."""
    argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=ASK_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def of_daemon(daemon: Mapping[str, Any] | None, notes: Mapping[str, Any], version: str, last_words: str) -> Finding:
    """Whether a daemon answers, and whether it is of our version."""
    from console.version import is_newer

    if daemon is None:
        if notes.get("failing") is not None:
            return fail("daemon", f"it died again and again: {last_words}", "footplate daemon start, then daemon.log")
        if notes.get("stopped") is not None:
            actor = notes["stopped"].get("actor", "somebody")
            return ok("daemon", f"stopped by {actor}; the next command that needs it starts it")
        return ok("daemon", "not running; the next command that needs it starts it")
    theirs = str(daemon["version"])
    if theirs != version:
        advice = "any command replaces it" if is_newer(version, theirs) else "upgrade this footplate"
        return warn("daemon", f"version {theirs}, this is {version}", advice)
    return ok("daemon", f"version {theirs}, pid {daemon['pid']}")


def number_in(path: str) -> int | None:
    """A number in a file of the kernel's; None where there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
