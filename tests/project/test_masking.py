"""What is masked, and what must stay as it is."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.project.masking import MASK, is_secret_name, mask_argv, mask_mapping, mask_text, mask_value
from console.project.patches import mask_file, mask_patch
from console.project.variables import allowed

HARMLESS_COMMANDS = """
python train.py
python train.py --lr 3e-4 --batch-size 64
python -m torch.distributed.run --nproc_per_node=8 train.py --config configs/llama.yaml
torchrun --nnodes=2 --rdzv-endpoint=10.0.0.1:29500 train.py
accelerate launch --num_processes 4 sft.py --max_tokens 4096
python train.py --pad-token '<pad>' --eos_token '</s>' --num-tokens 1000000
python train.py --tokenizer bert-base-uncased --tokenizer_name gpt2
python train.py --pad_token_id 0 --bos-token-id 1
python train.py --max_new_tokens 256 --tokens-per-step 524288
python eval.py --metric-key valid/auc --sort_key step
python eval.py --primary-key id --foreign-key user_id
python eval.py --ckpt checkpoints/step_41200.pt --commit 95dcd1a4e3f077b453b445c7a6f38a497a0ee462
python eval.py --run 01M7ZDEJ2VK9A0KDRNTXSC1NNJ
python eval.py --md5 d41d8cd98f00b204e9800998ecf8427e
python train.py optimizer.lr=0.01 model.hidden=256 +trainer.max_epochs=10
python train.py hydra.run.dir=outputs/${now:%Y-%m-%d}
python train.py seed=1,2,3 --multirun
python train.py --data s3://bucket/path/train.parquet
python train.py --url https://example.org/data?page=2
python train.py --url https://example.org:8080/data
python train.py --db postgresql://localhost:5432/mlflow
python train.py --image-key image --label-key label
python train.py --keyboard --monkey patch
python train.py --author "Ana B" --authority high
python train.py --token-dropout 0.1 --mask-token '[MASK]'
python train.py --secret-santa
python train.py --no-secrets
python train.py --password-file /run/secrets/db
python train.py --token-path ~/.cache/huggingface/token
python train.py --passes 3 --bypass
python train.py --compass north --pass-through
python train.py --attention flash --kv-cache-tokens 8192
uv run train.py --lr 0.1
sh -c 'for i in 1 2 3; do echo loss=$i; done'
bash run.sh 8 bf16 zero3
deepspeed --hostfile hosts train.py --deepspeed ds.json
python -c "print('hello world')"
python -u main.py --amp --compile --ema 0.999
python main.py --wandb-project churn --wandb-mode offline
python main.py --mlflow-uri http://localhost:5000
make train EPOCHS=3
env OMP_NUM_THREADS=4 python train.py
env CUDA_VISIBLE_DEVICES=0,1 python train.py
nice -n 10 python train.py
dvc repro train
jupyter nbconvert --execute notebook.ipynb
lightgbm config=train.conf num_leaves=31
xgboost train.conf max_depth=6
julia --project=. train.jl
Rscript fit.R --alpha 0.5
./build/train --threads 16 --dataset=/mnt/data/imagenet
python train.py --resume runs/2026-11-21_16-01-44/last.ckpt
python train.py --tags a,b,c --notes 'first try: lower lr'
python train.py --uuid 123e4567-e89b-12d3-a456-426614174000
python train.py --gpu GPU-5c2b5e1d-0d6f-6f3c-8a4f-0123456789ab
python tokenize.py --vocab-size 32000 --special-tokens a b
python train.py --sk-learn-baseline-model random-forest
python train.py --hash sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
python train.py --key-frames 12 --keypoints 17
git log --format=%H -n 1 HEAD~3
rsync -a user@host:/data/ data/
ssh node03 python train.py
""".strip().split("\n")
SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789",
    "hf_abcdefghijklmnopqrstuvwxyz0123456789",
    "sk-proj-abc123def456ghi789jkl012mno345",
    "sk-ant-api03-abcdefghijklmnop-0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "glpat-abcdefghij0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.abcdefghijklmno",
]
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc/def+ghi=\n-----END RSA PRIVATE KEY-----"


def test_realistic_command_lines_stay_as_they_are() -> None:
    assert len(HARMLESS_COMMANDS) >= 60
    for line in HARMLESS_COMMANDS:
        argv = shlex.split(line)
        assert mask_argv(argv) == argv
        assert mask_text(line) == line


@pytest.mark.parametrize("secret", SECRETS)
def test_known_shapes_are_masked_wherever_they_stand(secret: str) -> None:
    for text in (secret, f"key {secret} was refused", f'x = "{secret}"', f"https://host/?a={secret}&b=1", f"+{secret}"):
        masked = mask_text(text)
        assert secret not in masked
        assert MASK in masked
    assert mask_argv(["curl", "-H", f"X: {secret}"])[2] == f"X: {MASK}"


@pytest.mark.parametrize(
    ("argv", "masked"),
    [
        (["a", "--password", "hunter2"], ["a", "--password", "***"]),
        (["a", "--password", "-x-"], ["a", "--password", "***"]),
        (["a", "--api-key=abc"], ["a", "--api-key=***"]),
        (["a", "-token", "abcdef"], ["a", "-token", "***"]),
        (["env", "WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567", "b"], ["env", "WANDB_API_KEY=***", "b"]),
        (["a", "+wandb.api_key=abc", "lr=1"], ["a", "+wandb.api_key=***", "lr=1"]),
        (["a", "--token", "--lr", "1"], ["a", "--token", "--lr", "1"]),
        (["a", "--db", "postgres://ana:s3cr3t@db:5432/x"], ["a", "--db", "postgres://ana:***@db:5432/x"]),
        (["sh", "-c", "TOKEN=abc python t.py --password x1"], ["sh", "-c", "TOKEN=*** python t.py --password ***"]),
        (["curl", "-H", "Authorization: Bearer abcdef123456"], ["curl", "-H", "Authorization: Bearer ***"]),
        (["a", '{"api_key": "abcdef"}'], ["a", '{"api_key": "***"}']),
        (["a", "--hf-token", "5"], ["a", "--hf-token", "5"]),
        (["a", "--secret"], ["a", "--secret"]),
    ],
)
def test_values_beside_secret_names_are_masked_in_command_lines(argv: list[str], masked: list[str]) -> None:
    assert mask_argv(argv) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("export OPENAI_API_KEY=abc123", "export OPENAI_API_KEY=***"),
        ("password = 'hunter2'", "password = '***'"),
        ("password: hunter2", "password: ***"),
        ("?user=a&token=abc123&x=1", "?user=a&token=***&x=1"),
        ("requests.get(url, auth_token='abc def')", "requests.get(url, auth_token='***')"),
        (f"key:\n{PRIVATE_KEY}\nend", "key:\n***\nend"),
        ("remote: https://ana:pw@host/repo.git", "remote: https://ana:***@host/repo.git"),
        ("wandb login --relogin 5", "wandb login --relogin 5"),
        ("token = os.environ['TOKEN']", "token = os.environ['TOKEN']"),
        ("token=token, secret=args.secret", "token=token, secret=args.secret"),
        ("def login(password: str, token: str | None = None)", "def login(password: str, token: str | None = None)"),
        ("password=getpass()", "password=getpass()"),
        ("SyntaxError: unexpected token: name", "SyntaxError: unexpected token: name"),
        ("KeyError: 'token'", "KeyError: 'token'"),
        ("loss=0.5 token=5 tokens/s=12000", "loss=0.5 token=5 tokens/s=12000"),
        ("the password is wrong", "the password is wrong"),
        ("TOKEN=$HF_TOKEN run", "TOKEN=$HF_TOKEN run"),
    ],
)
def test_text_loses_secrets_and_keeps_what_speaks_of_them(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "apiKey", "db-password", "GH_TOKEN"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "", "=", "max_tokens", "pad_token", "tokenizer", "key", "sort_key"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_params_are_masked_by_their_names() -> None:
    assert mask_mapping({"lr": "1", "api_key": "x", "url": "a://b:c@d"}) == {
        "lr": "1",
        "api_key": MASK,
        "url": f"a://b:{MASK}@d",
    }


def test_params_are_masked_one_by_one_wherever_their_secret_stands() -> None:
    harmless = {"lr": "1", "optimizer": "adam", "note": "two\nlines", "empty": ""}
    for _ in range(2):  # the second time their names are known
        assert mask_mapping(harmless) == harmless
        assert mask_mapping(harmless | {"note": "TOKEN=abc12345"}) == harmless | {"note": f"TOKEN={MASK}"}
        assert mask_mapping({"lr": "pass", "n": "word=x"}) == {"lr": "pass", "n": "word=x"}
        assert mask_mapping({"a://b:c@d": "1"}) == {f"a://b:{MASK}@d": "1"}
        assert mask_mapping({"dbPassword": "x", "lr": "1"}) == {"dbPassword": MASK, "lr": "1"}
    for secret in SECRETS:
        assert mask_mapping({"a": "1", "b": secret, "c": "2"})["b"] == mask_text(secret) != secret


WORDS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["--token", "password", "=", ":", "://", "@", " ", '"', "'", "\\", "-----BEGIN PRIVATE KEY-----"]),
    st.sampled_from(["Bearer ", "api_key", "\n", "***", ",", "(", "$", *SECRETS]),
)


@given(st.lists(WORDS, max_size=12).map("".join))
@settings(max_examples=500, deadline=None)
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


@given(st.dictionaries(WORDS, st.lists(WORDS, max_size=4).map("".join), max_size=5))
@settings(max_examples=300, deadline=None)
def test_params_together_are_masked_as_each_is(values: dict[str, str]) -> None:
    assert mask_mapping(values) == {mask_text(name): mask_value(name, value) for name, value in values.items()}


@given(st.lists(WORDS, max_size=8))
@settings(max_examples=300, deadline=None)
def test_command_lines_keep_their_length_and_are_masked_once(argv: list[str]) -> None:
    once = mask_argv(argv)
    assert len(once) == len(argv)
    assert mask_argv(once) == once


def test_hostile_lengths_take_no_time() -> None:
    for unit in (
        "a",
        "token",
        "://",
        "password=",
        "eyJ",
        "-",
        '"',
        "sk-",
        "A.b",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----",
    ):
        mask_text(unit * (200_000 // len(unit)))
    assert mask_text("\udcff password=hunter2") == "\udcff password=***"


def test_patches_are_masked_line_by_line_and_binary_parts_stay() -> None:
    patch = (
        b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,5 @@\n-a\n+TOKEN=abcdef\n+-----BEGIN PRIVATE KEY-----\n+MIIE\n"
        b"+-----END PRIVATE KEY-----\n \xff\n"
        b"diff --git a/y b/y\nGIT binary patch\nliteral 3\nKcmYdpassword=hunter2\n\n"
    )
    masked, count = mask_patch(patch)
    assert count == 4
    assert b"abcdef" not in masked
    assert b"MIIE" not in masked
    assert b"\xff" in masked
    assert masked.endswith(b"KcmYdpassword=hunter2\n\n")
    assert mask_patch(b"diff --git a/x b/x\n+lr = 1\n") == (b"diff --git a/x b/x\n+lr = 1\n", 0)
    assert mask_file(b"\xff plain") == b"\xff plain"


def test_only_listed_variables_are_kept_and_never_secret_ones() -> None:
    environment = {
        "CUDA_VISIBLE_DEVICES": "0",
        "PYTHONPATH": "/x",
        "WANDB_PROJECT": "churn",
        "WANDB_API_KEY": "k",
        "HF_TOKEN": "t",
        "HF_HOME": "/hf",
        "SLURM_JOB_ID": "7",
        "SLURM_JWT": "j",
        "UV_INDEX_URL": "https://ana:pw@host/simple",
        "CONDA_TOKEN": "t",
        "MY_APP": "x",
        "PATH": "/bin",
        "LC_ALL": "C",
        "RANK": "0",
    }
    assert allowed(environment) == {
        "CUDA_VISIBLE_DEVICES": "0",
        "HF_HOME": "/hf",
        "LC_ALL": "C",
        "PATH": "/bin",
        "PYTHONPATH": "/x",
        "RANK": "0",
        "SLURM_JOB_ID": "7",
        "UV_INDEX_URL": "https://ana:***@host/simple",
        "WANDB_PROJECT": "churn",
    }
