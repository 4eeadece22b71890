"""What a command line says beneath its launchers: `nohup env A=b torchrun --nproc-per-node 4 train.py --lr 1`.

Pure: from the words alone. What belongs to a launcher says how a run is started, not what is tried in it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PYTHON: Final = re.compile(r"(?:python|pypy)[\d.]*|ipython3?")
SHELL: Final = re.compile(r"(?:ba|da|z|k)?sh")
SHELL_OPERATORS: Final = frozenset({"&&", "||", ";", "|", "&"})
ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
DEPTH_MAX: Final = 12
"""Launchers within each other; more are an accident."""

FLAGS: Final = _words(
    """--standalone --no-python --no_python --run-path --run_path --use-env --use_env --module --multi_gpu
    --multi-gpu --cpu --tpu --mps --use_deepspeed --use_fsdp --use_megatron_lm --debug -q --quiet --verbose -v
    --force_multi --allow-run-as-root --oversubscribe --tag-output --report-bindings --exclusive --unbuffered -u
    -l --label -K -O --kill-on-bad-exit --pty --overcommit --frozen --locked --isolated --active --exact
    --offline -n --no_ssh --no_local_rank --enable_each_rank_log --bind_cores_to_rank --nv --rocm --cleanenv
    --contain -e --live-stream --no-capture-output --foreground --preserve-status -i --ignore-environment -0
    --null -a --auto-servernum"""
)
"""Options of launchers that take no value, as far as their names alone do not tell."""
WITH_NUMBER: Final = frozenset({"srun", "mpirun", "mpiexec", "mpiexec.hydra", "nice", "conda", "mamba", "micromamba"})
"""Launchers whose -n takes a value."""
SEVERAL: Final = re.compile(r"--?(?:nproc[-_]per[-_]node|num[-_]processes|num[-_]gpus|ntasks(?:-per-node)?|np?|c)")
PREFIXES: Final = frozenset({"nohup", "setsid", "time", "exec", "command", "unbuffer", "catchsegv", "fakeroot"})
SUBCOMMANDS: Final = {
    "accelerate": ("launch",),
    "uv": ("run",),
    "poetry": ("run",),
    "pipenv": ("run",),
    "pdm": ("run",),
    "rye": ("run",),
    "hatch": ("run",),
    "pixi": ("run",),
    "conda": ("run",),
    "mamba": ("run",),
    "micromamba": ("run",),
    "tune": ("run",),
    "singularity": ("exec", "run"),
    "apptainer": ("exec", "run"),
}
"""Programs that launch another one after such a word, and are themselves what runs without it."""
MODULES: Final = {
    "torch.distributed.run": "torchrun",
    "torch.distributed.launch": "torchrun",
    "torch.distributed.launcher": "torchrun",
    "accelerate.commands.launch": "accelerate",
    "deepspeed.launcher.runner": "deepspeed",
    "deepspeed": "deepspeed",
}
MANY_BY_DEFAULT: Final = frozenset({"accelerate", "deepspeed", "mpirun", "mpiexec", "mpiexec.hydra", "horovodrun"})
"""Launchers that start as many processes as there are devices or cores unless told how many."""
MANY_WHEN_TOLD: Final = frozenset({"torchrun", "srun", "tune"})
WRAPPERS: Final = _words(
    """env nice ionice stdbuf timeout taskset numactl chrt xvfb-run sudo torchrun deepspeed srun mpirun mpiexec
    mpiexec.hydra horovodrun composer systemd-run"""
)


class Command(NamedTuple):
    """What a command line comes to."""

    script: str
    """The script as it was named, `-m module`, or the program."""
    arguments: tuple[str, ...]
    """What the script is given."""
    many_processes: bool
    """It is started several times at once, as ranks of one run."""


class Step(NamedTuple):
    """One layer of a command line taken off."""

    rest: Sequence[str]
    script: str | None = None
    """Set when `rest` are its arguments."""
    many: bool = False


Taken: TypeAlias = Callable[[Sequence[str]], Step]


def beneath(argv: Sequence[str]) -> Command:
    """The script of a command line and what it is given, without launchers, interpreters and their options."""
    words, many = list(argv), False
    for _ in range(DEPTH_MAX):
        if not words:
            break
        step = take_off(words)
        many = many or step.many
        if step.script is not None:
            return Command(step.script, tuple(step.rest), many)
        words = list(step.rest)
    return Command(words[0] if words else "", tuple(words[1:]), many)


def take_off(words: Sequence[str]) -> Step:
    """Take one layer off."""
    program = os.path.basename(words[0])
    rest = words[1:]
    if PYTHON.fullmatch(program):
        return of_python(rest)
    if SHELL.fullmatch(program):
        return of_shell(rest)
    if program in PREFIXES:
        return Step(after_options(rest, program))
    if program in SUBCOMMANDS:
        position = next((n for n, word in enumerate(rest) if not word.startswith("-")), None)
        if position is None or rest[position] not in SUBCOMMANDS[program]:
            return Step(rest, words[0])
        return of_launcher(program, rest[position + 1 :])
    if program in WRAPPERS:
        return of_launcher(program, rest)
    return Step(rest, words[0])


def of_python(words: Sequence[str]) -> Step:
    """An interpreter: its own options, then a script, `-m module` or `-c code`."""
    position = 0
    while position < len(words):
        word = words[position]
        if word == "-m" and position + 1 < len(words):
            module, rest = words[position + 1], words[position + 2 :]
            if module in MODULES:
                return of_launcher(MODULES[module], rest[1:] if rest[:1] == ["launch"] else rest)
            return Step(rest, f"-m {module}")
        if word == "-c":
            return Step(words[position + 2 :], "-c")
        if not word.startswith("-") or word == "-":
            return Step(words[position + 1 :], word)
        position += 2 if word in ("-X", "-W", "--check-hash-based-pycs") else 1
    return Step((), "python")


def of_shell(words: Sequence[str]) -> Step:
    """A shell: a script, or the last command of a line."""
    position = 0
    while position < len(words) and words[position].startswith(("-", "+")):
        # `-o pipefail`, also as in `-euxo pipefail`.
        position += 2 if words[position].endswith("o") and not words[position].startswith("--") else 1
    if position >= len(words):
        return Step((), "sh")
    if any(re.fullmatch(r"-[a-z]*c", word) for word in words[:position]):
        try:
            found = shlex.split(words[position])
        except ValueError:
            return Step((), "-c")
        for place in range(len(found) - 1, -1, -1):
            if found[place] in SHELL_OPERATORS or found[place].endswith(";"):
                found = found[place + 1 :] or found[:place]
                break
        while found and ASSIGNMENT.fullmatch(found[0]):
            del found[0]
        return Step(found) if found else Step((), "-c")
    return Step(words[position + 1 :], words[position])


def of_launcher(program: str, words: Sequence[str]) -> Step:
    """A launcher with options of its own in front of what it launches."""
    rest = after_options(words, program)
    own = words[: len(words) - len(rest)]
    many = is_many(program, own)
    if program in ("torchrun", "accelerate", "deepspeed", "tune", "horovodrun", "composer"):
        # These start a Python script without its interpreter.
        module = any(word in ("-m", "--module") for word in own)
        if rest and (module or rest[0].endswith(".py") or program == "tune"):
            return Step(rest[1:], f"-m {rest[0]}" if module else rest[0], many)
    elif program == "uv" and "-m" in own and rest:
        return Step(rest[1:], f"-m {rest[0]}", many)
    elif program in ("timeout", "singularity", "apptainer") or (program == "taskset" and not own):
        # The time, the image, the mask of cores.
        rest = rest[1:]
    return Step(rest, None, many)


def after_options(words: Sequence[str], program: str) -> Sequence[str]:
    """The words from the first one on that is no option of the launcher, no value of one and no assignment."""
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":
            return words[position + 1 :]
        if not word.startswith("-"):
            if program in ("env", "sudo") and ASSIGNMENT.fullmatch(word):
                position += 1
                continue
            return words[position:]
        position += 2 if takes_value(word, program) and position + 1 < len(words) else 1
    return ()


def takes_value(option: str, program: str) -> bool:
    """Whether the word after an option of a launcher belongs to it, as far as names tell."""
    if "=" in option or option.startswith(("--no-", "--no_", "--all-")):
        return False
    if option == "-m":
        return False
    if program == "env":
        return option in ("-u", "-C", "--unset", "--chdir")
    if option == "-n" and program in WITH_NUMBER:
        return True
    if program in ("stdbuf", "nohup", "time", "setsid") or (program in ("nice", "srun") and option[1:2] == "n"):
        return option == "-n"
    if len(option) > 2 and option[1] != "-" and option[2:].isdigit():
        return False
    return option not in FLAGS


def is_many(program: str, own: Sequence[str]) -> bool:
    """Whether a launcher with these options starts several processes."""
    if program not in MANY_BY_DEFAULT and program not in MANY_WHEN_TOLD:
        return False
    told: list[str] = []
    for position, word in enumerate(own):
        name, equals, value = word.partition("=")
        if SEVERAL.fullmatch(name):
            told.append(value if equals else own[position + 1] if position + 1 < len(own) else "")
        elif match := re.fullmatch(r"-n(\d+)", word):
            told.append(match[1])
    if program == "torchrun" and any(word.startswith(("--nnodes", "--nnode")) and word[-2:] != "=1" for word in own):
        told.append("2")
    return any(value != "1" for value in told) if told else program in MANY_BY_DEFAULT
