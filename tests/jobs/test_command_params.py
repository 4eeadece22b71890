"""What a command line says beneath its launchers."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.jobs.command_params import params_of
from console.jobs.launchers import beneath

LAUNCHED = [
    ("python train.py --lr 1", "train.py", False),
    ("python3.12 -u -X dev -W ignore train.py --lr 1", "train.py", False),
    ("python -m pkg.train --lr 1", "-m pkg.train", False),
    ("python -m torch.distributed.run --nproc_per_node 4 train.py --lr 1", "train.py", True),
    ("python -m torch.distributed.launch --use_env --nproc_per_node=2 train.py --lr 1", "train.py", True),
    ("torchrun --nproc-per-node=4 train.py lr=1", "train.py", True),
    ("torchrun --standalone --nproc_per_node 1 train.py --lr 1", "train.py", False),
    ("torchrun train.py --lr 1", "train.py", False),
    ("torchrun --nnodes=2 -m pkg.train --lr 1", "-m pkg.train", True),
    ("accelerate launch --num_processes 2 train.py --lr 1", "train.py", True),
    ("accelerate launch train.py --lr 1", "train.py", True),
    ("accelerate launch --config_file a.yaml --multi_gpu -m pkg.train --lr 1", "-m pkg.train", True),
    ("deepspeed --num_gpus 2 train.py --lr 1", "train.py", True),
    ("uv run train.py --lr 1", "train.py", False),
    ("uv run --with torch --frozen python train.py --lr 1", "train.py", False),
    ("env -u X A=b python train.py --lr 1", "train.py", False),
    ("nohup nice -n 10 python train.py --lr 1", "train.py", False),
    ("timeout -k 5 3h stdbuf -oL python train.py --lr 1", "train.py", False),
    ("taskset -c 0-3 python train.py --lr 1", "train.py", False),
    ("taskset 0xff python train.py --lr 1", "train.py", False),
    ("srun -n4 python train.py --lr 1", "train.py", True),
    ("srun --ntasks=1 --gres gpu:1 --pty python train.py --lr 1", "train.py", False),
    ("mpirun -np 4 -H a:2,b:2 -x PATH python train.py --lr 1", "train.py", True),
    ("bash -c 'cd x && A=b python train.py --lr 1'", "train.py", False),
    ("bash -euxo pipefail go.sh --lr 1", "go.sh", False),
    ("conda run -n env --no-capture-output python train.py --lr 1", "train.py", False),
    ("apptainer exec --nv image.sif python train.py --lr 1", "train.py", False),
    ("uv pip install x --lr 1", "uv", False),
]


@pytest.mark.parametrize(
    ("line", "script", "many"), LAUNCHED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_launchers_are_no_part_of_what_is_tried(line: str, script: str, many: bool) -> None:
    found = beneath(shlex.split(line))
    assert (found.script, found.many_processes) == (script, many)
    assert params_of(shlex.split(line)) == {"lr": "1"}


@pytest.mark.parametrize(
    ("words", "params"),
    [
        ("-b 256 -lr 0.1 -v", {"b": "256", "lr": "0.1"}),
        ("-p lr=1 -p depth=2", {"lr": "1", "depth": "2"}),
        ("--cfg-options a.b=1 c.d=2 --amp", {"a.b": "1", "c.d": "2", "amp": "true"}),
        ("--no-amp --no_cuda --no-x 3", {"amp": "false", "cuda": "false", "no-x": "3"}),
        ("--betas 0.9 0.95 --offset -1e-3 out", {"betas": "0.9 0.95", "offset": "-1e-3"}),
        ("hydra.run.dir=x +a=1 ++b=2 ~c", {"a": "1", "b": "2"}),
        ("SOLVER.BASE_LR 0.1 MODEL.WEIGHTS --x 1", {"SOLVER.BASE_LR": "0.1", "x": "1"}),
        ("--text 'a b=c' --url=x=y", {"text": "a b=c", "url": "x=y"}),
    ],
)
def test_params_of_many_styles(words: str, params: dict[str, str]) -> None:
    assert params_of(["python", "train.py", *shlex.split(words)]) == params


@given(
    st.lists(
        st.sampled_from(
            [
                "python",
                "-m",
                "-c",
                "torchrun",
                "uv",
                "run",
                "env",
                "A=b",
                "bash",
                "'",
                "-n",
                "--",
                "x.py",
                "timeout",
                "--a",
            ]
        )
        | st.text(max_size=5),
        max_size=20,
    )
)
def test_any_words_have_an_answer(words: list[str]) -> None:
    assert all(isinstance(value, str) for value in params_of(words).values())
