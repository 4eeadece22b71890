"""Which variables of an environment may be kept and shown. Standard library only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from console.project.masking import is_secret_name, mask_text

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWED: Final = re.compile(
    r"(CUDA|NCCL|OMP|KMP|MKL|OPENBLAS|NUMEXPR|PYTHON|PYTORCH|TORCH|XLA|JAX|TRITON|ROCR|HIP|NVIDIA|SLURM|OMPI|PMI"
    r"|CONDA|VIRTUAL_ENV|UV|LC|HYDRA|ACCELERATE|FOOTPLATE)_?\w*"
    r"|TF_(CPP|XLA|GPU|FORCE|ENABLE|NUM|CUDNN|DETERMINISTIC)_?\w*"
    r"|RANK|LOCAL_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT|NODE_RANK|GROUP_RANK"
    r"|LANG|LANGUAGE|TZ|PATH|LD_LIBRARY_PATH|LD_PRELOAD|HOSTNAME|SHELL|TMPDIR"
    r"|HF_(HOME|HUB_CACHE|DATASETS_CACHE|HUB_OFFLINE|DATASETS_OFFLINE|ENDPOINT)|TRANSFORMERS_(CACHE|OFFLINE)"
    r"|TOKENIZERS_PARALLELISM"
    r"|WANDB_(MODE|PROJECT|ENTITY|DIR|NAME|RUN_GROUP|JOB_TYPE|TAGS|BASE_URL)"
    r"|MLFLOW_(TRACKING_URI|EXPERIMENT_NAME|EXPERIMENT_ID)"
)
SECRET_ENDINGS: Final = re.compile(r".*(KEY|KEYS|TOKEN|TOKENS|SECRET|SECRETS|PASSWORD|PASSWD|PWD|CREDENTIALS|JWT|AUTH)")
"""Never kept, whatever the list above lets through."""
VALUE_MAX_CHARACTERS: Final = 4096
COUNT_MAX: Final = 500


def allowed(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that may leave it, in order of their names, with masked values."""
    names = [
        name
        for name in sorted(environment)
        if ALLOWED.fullmatch(name) and not SECRET_ENDINGS.fullmatch(name.upper()) and not is_secret_name(name)
    ]
    return {name: mask_text(environment[name])[:VALUE_MAX_CHARACTERS] for name in names[:COUNT_MAX]}
