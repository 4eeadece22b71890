"""The config that Hydra composed for a run: `.hydra/config.yaml` in the output directory that the run made.

For workers, once a run has ended.

    code/hydra.json    {"format": 1, "file": ".../.hydra/config.yaml", "params": {key: value, ...}}
"""

from __future__ import annotations

import glob
import itertools
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from console.jobs import launchers
from console.project import param_files
from console.project.masking import mask_mapping
from store import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.jobs.spec import Spec

FORMAT: Final = 1
NAME: Final = "hydra.json"
CANDIDATES_MAX: Final = 500
SLACK_S: Final = 2.0
"""Clocks of file systems are not quite ours."""
DIRECTORY: Final = re.compile(r"hydra\.(?:run|sweep)\.dir=(.+)", re.DOTALL)
INTERPOLATION: Final = re.compile(r"\$\{[^{}]*\}")


def path_of(run_dir: str) -> str:
    """Where the composed config of a run is written down."""
    return f"{run_dir}/code/{NAME}"


def may_have_config(spec: Spec) -> bool:
    """Whether it is worth a worker to look: an output directory of Hydra's is named or there."""
    if any(DIRECTORY.fullmatch(word) for word in spec.argv):
        return True
    return any(os.path.isdir(os.path.join(spec.working_dir, name)) for name in ("outputs", "multirun"))


def write(run_dir: str, spec: Spec, started_at_s: float, ended_at_s: float) -> None:
    """Write down the config of a run that ran in this time, if there is one. Raises OSError when ours cannot be."""
    found = matching(spec, started_at_s, ended_at_s)
    if not found:
        return
    configs = [flat for _, flat in found]
    # Jobs of a multirun differ in what was swept; of the run they share the rest.
    common = {key: value for key, value in configs[0].items() if all(each.get(key) == value for each in configs)}
    record = {"format": FORMAT, "file": found[0][0], "params": mask_mapping(common)}
    paths.write_atomically(path_of(run_dir), json.dumps(record).encode())


def matching(spec: Spec, started_at_s: float, ended_at_s: float) -> list[tuple[str, dict[str, str]]]:
    """Path and flat config of the newest output directory of the run, or of all of them where it was a multirun."""
    given = overrides_of(spec.argv)
    several = any(word in ("-m", "--multirun") for word in launchers.beneath(spec.argv).arguments)
    found: list[tuple[float, str, dict[str, str]]] = []
    for path in itertools.islice(candidates(spec), CANDIDATES_MAX):
        try:
            modified_at_s = os.stat(path).st_mtime
        except OSError:
            continue
        if not started_at_s - SLACK_S <= modified_at_s <= ended_at_s + SLACK_S:
            continue
        overrides = param_files.load(os.path.join(os.path.dirname(path), "overrides.yaml"))
        if not several and sorted(map(str, overrides or [])) != sorted(given):
            continue
        data = param_files.load(path)
        if isinstance(data, dict):
            found.append((modified_at_s, path, param_files.flattened(data)))
    found.sort(key=lambda each: each[:2])
    return [(path, flat) for _, path, flat in (found if several else found[-1:])]


def candidates(spec: Spec) -> Iterator[str]:
    """Where configs of this run may lie, the newest names first."""
    named = [match[1] for word in spec.argv if (match := DIRECTORY.fullmatch(word))]
    patterns = [INTERPOLATION.sub("*", glob.escape(each).replace("[$]", "$")) for each in named]
    patterns += [f"{each}/*" for each in patterns]
    if not patterns:
        patterns = ["outputs/*/*", "multirun/*/*/*"]
    for pattern in patterns:
        found = glob.iglob(os.path.join(glob.escape(spec.working_dir), pattern, ".hydra", "config.yaml"))
        yield from sorted(itertools.islice(found, 20 * CANDIDATES_MAX), reverse=True)


def overrides_of(argv: Sequence[str]) -> list[str]:
    """The words of a command line that Hydra writes down as overrides of the task."""
    words: list[Any] = [word for word in launchers.beneath(argv).arguments if not word.startswith("-")]
    return [word for word in words if ("=" in word or word.startswith("~")) and not word.startswith("hydra")]
