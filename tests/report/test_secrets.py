"""Secrets are struck by their form, by the name before them, or because they are known; ordinary words stay."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.report.secrets import in_variables, is_secret_name, strike

SECRET = "s3cr3tS3cr3ts3cr3t0"

HIDING = (
    "https://ada:{}@idx.example/simple",
    "https://{}@idx.example/simple",
    "--index-url https://__token__:{}@idx.example/simple torch",
    "git+ssh://git:{}@git.example/a.git@v1#egg=a",
    "https://idx.example/x?token={}",
    "https://idx.example/x?a=1&X-Amz-Signature={}&b=2",
    "postgresql://ada:{}@db/x",
    "Authorization: Bearer {}",
    "bearer {}",
    "Authorization: Basic {}",
    "HF_TOKEN={}",
    "export WANDB_API_KEY='{}'",
    '{{"password": "{}"}}',
    "password: {}",
    "passwd={}",
    "client_secret = {}",
    "x-auth-token: {}",
    "aws_secret_access_key={}",
    "--token {}",
    "--hf-token={}",
    "key 0123456789abcdef{}".replace("{}", "0123456789abcdef"),
    "hf_{}",
    "ghp_{}",
    "github_pat_{}",
    "glpat-{}",
    "sk-proj-{}",
    "nvapi-{}",
    "pypi-{}{}",
    "npm_{}{}",
    "dckr_pat_{}",
    "xoxb-{}",
)


@pytest.mark.parametrize("hiding", HIDING)
@pytest.mark.parametrize("around", ["{}", "see {} there", "line\n{}\nline", "'{}'", "a={};"])
def test_a_secret_is_struck_wherever_it_stands(hiding: str, around: str) -> None:
    text = around.format(hiding.format(SECRET, SECRET))
    struck = strike(text)
    assert SECRET not in struck
    assert "0123456789abcdef" not in struck
    assert "***" in struck
    assert strike(struck) == struck


@pytest.mark.parametrize(
    "text",
    ["AKIAIOSFODNN7EXAMPLE", "AIzaSyD-0123456789abcdefghijklmnopqrs", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"],
)  # fmt: skip
def test_a_form_of_a_service_is_struck_whole(text: str) -> None:
    assert strike(f"({text})") == "(***)"


def test_a_private_key_is_struck_to_its_end() -> None:
    text = "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza\nQAAAAA\n-----END OPENSSH PRIVATE KEY-----\nz"
    assert strike(text) == "a\n***\nz"
    assert strike("-----BEGIN PRIVATE KEY-----\nb3Blb") == "***"


@pytest.mark.parametrize(
    "text",
    [
        "hf_transfer hf_hub_download sk-learn",
        "TOKENIZERS_PARALLELISM=false max_tokens=4096 tokenizer=llama author=ada",
        "monkey patching; keyboard: us; keyword arguments",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://idx.example/simple/torch/#sha256=9f86d081884c7d659a2feaa0c55ad015",
        "https://github.com/org/repo/issues/12",
        "git@github.com:org/repo",
        "numpy @ file:///opt/app/numpy.whl",
        "torch 2.8.0+cu128 built for sm_120, libcudnn-74a4c495.so.9.1.0",
        "/opt/app/venv/lib/python3.11/site-packages/secretstorage",
        "GPU-5ebe9d38-0000-1111-2222-333344445555",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert strike(text) == text


def test_what_is_known_goes_wherever_it_stands() -> None:
    assert strike("x-correct-horse-y", ("correct-horse",)) == "x-***-y"


def test_variables_tell_their_secrets_but_no_paths_and_no_short_words() -> None:
    found = in_variables(
        {
            "HF_TOKEN": "correct-horse",
            "PIP_INDEX_URL": "https://__token__:battery%21staple@idx.example/simple",
            "MY_SECRET": "short",
            "GOOGLE_APPLICATION_CREDENTIALS": "/opt/app/key.json",
            "SSH_AUTH_SOCK": "somewhere-else",
            "PWD": "where-i-stand",
            "CUDA_VISIBLE_DEVICES": "0000000001",
            "TOKENIZERS_PARALLELISM": "falsefalse",
        }
    )
    assert sorted(found) == ["battery!staple", "battery%21staple", "correct-horse"]


@pytest.mark.parametrize("name", ["token", "HF_TOKEN", "api_key", "X-Auth", "db.password", "AWS_SECRET_ACCESS_KEY"])
def test_a_name_that_says_so_is_one_of_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["", "tokens", "author", "keys", "PWD", "monkey", "memory_bytes", "TOKEN_PATH", "signal"]
)
def test_other_names_are_not(name: str) -> None:
    assert not is_secret_name(name)


@given(st.text(alphabet=string.printable, max_size=200))
def test_striking_twice_is_striking_once(text: str) -> None:
    assert strike(strike(text)) == strike(text)
