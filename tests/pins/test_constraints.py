"""Pins in a constraints or requirements file, and a set rendered as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from gpu_doctor.errors import UsageError
from gpu_doctor.pins.constraints import edit_constraints
from gpu_doctor.pins.pinset import LeftOut, Pin, PinSet, Place
from gpu_doctor.pins.render import as_constraints, as_pyproject
from tests import kit

PINS = ("torch==2.8.0+cu126", "torchvision==0.23.0")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "torch==2.8.0+cu126\ntorchvision==0.23.0\n"),
        ("numpy", "numpy\ntorch==2.8.0+cu126\ntorchvision==0.23.0\n"),
        (
            "# top\n-r base.txt\ntorch>=2 # why\ntorchvision\n\n",
            "# top\n-r base.txt\ntorch==2.8.0+cu126 # why\ntorchvision==0.23.0\n\n",
        ),
        (
            "Torch[a] ~= 2.6 ; python_version<'3.12'\ntorchvision==0.23.0  # same",
            "Torch[a]==2.8.0+cu126 ; python_version<'3.12'\ntorchvision==0.23.0  # same",
        ),
        (
            "torch==2.6.0; sys_platform == 'win32'\ntorch==2.6.0; sys_platform != 'win32'\ntorchvision==0.23.0\n",
            "torch==2.6.0; sys_platform == 'win32'\ntorch==2.8.0+cu126; sys_platform != 'win32'\ntorchvision==0.23.0\n",
        ),
        (
            "torch \\\n  ==2.6.0 # c\ntorchvision==0.22.0 --config-settings=a=b\n",
            "torch==2.8.0+cu126 # c\ntorchvision==0.23.0 --config-settings=a=b\n",
        ),
        ("torch==2.8.0+cu126 \\\n   --hash=sha256:aa\ntorchvision==0.23.0\n", None),
        ("# torch==1 \\\ntorch==1\ntorchvision\n", "# torch==1 \\\ntorch==2.8.0+cu126\ntorchvision==0.23.0\n"),
        (
            "pytorch==1\ntorch-geometric==2\n",
            "pytorch==1\ntorch-geometric==2\ntorch==2.8.0+cu126\ntorchvision==0.23.0\n",
        ),
        ("-e .\nhttps://host/a.whl\n./torch\n", "-e .\nhttps://host/a.whl\n./torch\n" + "\n".join(PINS) + "\n"),
    ],
)
def test_lines_of_the_same_packages_change_and_the_rest_stays(before: str, after: str | None) -> None:
    wanted = before if after is None else after
    assert edit_constraints(before, PINS) == wanted
    assert edit_constraints(wanted, PINS) == wanted
    windows = before.replace("\n", "\r\n")
    if "\n" in before:
        assert edit_constraints(windows, PINS) == wanted.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("torch==2.6.0 \\\n  --hash=sha256:aa\ntorchvision==0.23.0\n", "line 1 pins torch with hashes"),
        ("a==1 --hash=sha256:aa\n", "line 1 has hashes"),
        ("torch @ file:///a.whl\n", "line 1 names torch by a URL"),
    ],
)
def test_a_line_that_could_not_keep_its_meaning_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        edit_constraints(text, PINS)
    assert caught.value.message.startswith(says)
    assert caught.value.hint


@settings(max_examples=400)
@given(st.text(alphabet="torchvisn=2.80+ \\\n\r#;@-'[]<>~", max_size=60))
def test_any_text_is_edited_once_or_refused(text: str) -> None:
    try:
        edited = edit_constraints(text, PINS)
    except UsageError:
        return
    assert edit_constraints(edited, PINS) == edited
    assert "torch==2.8.0+cu126" in edited


PLACE = Place((kit.gpu(),), Version("580.95.05"), Version("3.11.7"), "x86_64", "uv", "/opt/app/bin/python")
SET = PinSet(
    (Pin("torch", "2.8.0+cu126", "built for CUDA 12.6", "a wheel"), Pin("torchvision", "0.23.0", "belongs", "a wheel")),
    PLACE,
    "2026-11-20",
    Version("12.6"),
    "cu126",
    (LeftOut("whisperx", "no release is for it"),),
    ("Mind this.",),
)


def test_a_set_says_for_what_it_was_chosen_and_what_it_needs() -> None:
    assert (
        as_constraints(SET)
        == """\
# Versions that go together on NVIDIA GeForce RTX 4090 (sm_89), driver 580.95.05 and Python 3.11.
# Chosen for CUDA 12.6 by gpu-doctor from its facts of 2026-11-20.
# A plain install does not bring builds tagged cu126: give uv --torch-backend=cu126,
# or give pip PyTorch's own package index for cu126 as an extra index.
# whisperx is not pinned: no release is for it.
# Mind this.
torch==2.8.0+cu126  # built for CUDA 12.6
torchvision==0.23.0  # belongs
"""
    )


def test_the_rendered_file_holds_its_own_pins_and_foreign_words_end_no_comment() -> None:
    evil = replace(SET, place=replace(PLACE, gpus=(kit.gpu("GTX\nevil==1\r\x1b[2J"),)))
    text = as_constraints(evil)
    assert edit_constraints(text, SET.requirements) == text
    assert [line for line in text.splitlines() if not line.startswith(("#", "torch"))] == []
    assert "\x1b" not in text


def test_the_part_for_uv_is_toml() -> None:
    import tomlkit

    data = tomlkit.parse(as_pyproject(SET)).unwrap()
    assert data == {"tool": {"uv": {"override-dependencies": list(SET.requirements)}}}
