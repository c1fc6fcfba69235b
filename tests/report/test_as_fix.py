"""The face of `fix`, whole outputs: what would be done as a diff, and what became of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.plan import HeldBack, Plan, Treatment
from gpu_doctor.model.repair import Healing, Outcome
from gpu_doctor.report import as_fix
from gpu_doctor.report.paper import Look
from tests import kit
from tests.report.patients import HOME
from tests.report.repairs import LINKS, LOADED, MUCH, OLD, PLAN, SICK, SILENT, TREATMENT, UPGRADE, case, healed

LOOK = Look(home=HOME)
ASCII = Look(home=HOME, unicode=False)

PLANNED = """\
~/venv (Python 3.11.7, uv) — chosen by --python

PLAN  2 repairs, 11 steps; nothing is changed yet.

ctranslate2 4.6.1 brings its own cuDNN loader, and none of the parts that this
loader opens lies where it looks: the first convolution ends the process.
  cudnn-unreachable · ctranslate2 4.6.1

  Place links beside the loader (safe: changes no package)
  Price: a reinstall of ctranslate2 takes them away.
    lib/python3.11/site-packages/ctranslate2.libs
      + libcudnn_cnn.so.9 -> ../nvidia/cudnn/lib/
      + libcudnn_ops.so.9 -> ../nvidia/cudnn/lib/
    lib/python3.11/site-packages/ctranslate2-4.6.1.dist-info
      ~ RECORD: 2 paths listed
  --prefer durable: Install ctranslate2 4.6.3 or newer (changes packages).
  Price: 52 MB are downloaded.

Both write into onnxruntime/; the CPU build was written last and wins.
  ort-packages-clash · onnxruntime, onnxruntime-gpu

  Do very much (changes packages)
    lib/python3.11/site-packages/ctranslate2.libs
      - libcudnn_adv.so.8 (a link that leads to nowhere.so)
      ~ libcudnn-74a4c495.so.9.1.0: libcudnn-74a4c495.so.9.1.0.bak comes back under its old name
      ~ libctranslate2-a7a60d30.so.4.6.1: no executable stack
      + libcudnn.so -> libcudnn-74a4c495.so.9.1.0
    lib/python3.11/site-packages/ctranslate2-4.6.1.dist-info
      ~ RECORD: 1 path listed, 1 taken out
    ~/src
      ~ pyproject.toml: torch==2.8.0, ctranslate2==4.6.3
    $ uv pip uninstall --python ~/venv/bin/python onnxruntime
    $ unset LD_LIBRARY_PATH

LEFT  The driver is older than CUDA 12 needs.
  driver-too-old · driver 520.61
  this is for a person to do.
  Install driver 525 or newer (by hand)
    sudo apt install nvidia-driver-580

LEFT  torch has no code for this GPU.
  kernel-image-missing · torch on sm_120
  no remedy is known that the files alone tell.
"""

BECAME = """\
HEALED  cudnn-unreachable · ctranslate2 4.6.1
  proof: the first calls of cuDNN, after import ctranslate2: version 91002, code
  0
NOT HEALED  ort-packages-clash · onnxruntime, onnxruntime-gpu
  the finding is still there afterwards. Nothing of this repair is left.
    rm ~/venv/lib/python3.11/site-packages/ctranslate2.libs/libcudnn_adv.so.8
    mv ~/venv/lib/python3.11/site-packages/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0.bak ~/venv/lib/python3.11/site-packages/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
    ln -sfn libcudnn-74a4c495.so.9.1.0 ~/venv/lib/python3.11/site-packages/ctranslate2.libs/libcudnn.so
    uv pip uninstall --python ~/venv/bin/python onnxruntime
    unset LD_LIBRARY_PATH

repair 20261120-101112-ab12; `gpu-doctor undo` takes it back

LEFT  The driver is older than CUDA 12 needs.
  driver-too-old · driver 520.61
  this is for a person to do.
  Install driver 525 or newer (by hand)
    sudo apt install nvidia-driver-580

LEFT  torch has no code for this GPU.
  kernel-image-missing · torch on sm_120
  no remedy is known that the files alone tell.
"""


def in_ascii(text: str) -> str:
    return text.replace("·", "-").replace("—", "-")


def test_a_plan_is_a_diff_with_what_is_left_to_a_person() -> None:
    assert as_fix.render_plan(SICK, PLAN, LOOK) == PLANNED


def test_a_plan_in_ascii_says_the_same() -> None:
    shown = as_fix.render_plan(SICK, PLAN, ASCII)
    assert shown.isascii()
    assert shown == in_ascii(PLANNED)


def test_an_outcome_names_proof_failure_and_the_way_back() -> None:
    assert as_fix.render_outcome(healed(), LOOK, "gpu-doctor undo") == BECAME


def test_an_outcome_in_ascii_says_the_same() -> None:
    assert as_fix.render_outcome(healed(), ASCII, "gpu-doctor undo") == in_ascii(BECAME)


def test_a_plan_without_steps_is_none() -> None:
    shown = as_fix.render_plan(SICK, Plan((), (HeldBack(SILENT, None, "no remedy is known"),)), LOOK)
    assert (
        shown
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python

PLAN  there is nothing to do here.

LEFT  torch has no code for this GPU.
  kernel-image-missing · torch on sm_120
  no remedy is known.
"""
    )


def test_the_remedy_that_was_not_chosen_is_named_with_how_to_choose_it() -> None:
    lasting = as_fix.render_plan(SICK, Plan((durable(),), ()), LOOK)
    assert lasting.endswith("""\
  Install ctranslate2 4.6.3 or newer (changes packages)
  Price: 52 MB are downloaded.
    $ uv pip install --python ~/venv/bin/python 'ctranslate2>=4.6.3'
  --prefer minimal: Place links beside the loader (safe: changes no package).
  Price: a reinstall of ctranslate2 takes them away.
""")


def durable() -> Treatment:
    return replace(TREATMENT, remedy=UPGRADE, steps=UPGRADE.steps, instead=LINKS)


def test_nothing_to_do_is_said() -> None:
    assert (
        as_fix.render_nothing(Healing(case(), Plan((), ()), case()), LOOK)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
NOTHING TO DO  there is nothing to repair.
"""
    )


def test_what_only_a_person_can_do_and_what_was_not_meant_is_said() -> None:
    plan = Plan((), (HeldBack(OLD, OLD.remedy, "this is for a person to do"),))
    assert (
        as_fix.render_nothing(Healing(SICK, plan, SICK, remaining=(OLD,)), LOOK)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python

LEFT  The driver is older than CUDA 12 needs.
  driver-too-old · driver 520.61
  this is for a person to do.
  Install driver 525 or newer (by hand)
    sudo apt install nvidia-driver-580

also ill here: cudnn-unreachable, kernel-image-missing (`gpu-doctor check`)
"""
    )


def test_what_was_not_tried_remains() -> None:
    healing = Healing(SICK, Plan((), ()), case(LOADED), (), None, True, (LOADED,))
    assert (
        as_fix.render_outcome(healing, LOOK, "gpu-doctor undo")
        == """\

REMAINS  ctranslate2 4.6.1 brings its own cuDNN loader, and none of the parts
         that this loader opens lies where it looks: the first convolution ends
         the process.
  cudnn-unreachable · ctranslate2 4.6.1
"""
    )


@pytest.mark.parametrize(
    ("probe", "proof"),
    [
        (None, "the rule ran again and finds nothing"),
        (kit.probe("import", "ctranslate2"), "the rule ran again and finds nothing"),
        (kit.probe("cudnn", "torch"), "the rule ran again and finds nothing"),
        (kit.probe("cudnn", "ctranslate2", "crashed"), "the rule ran again and finds nothing"),
        (kit.probe("cudnn", "ctranslate2"), "the first calls of cuDNN: answered"),
        (
            kit.probe("cudnn", "ctranslate2", "answered", kit.trial("a"), kit.trial("b", "skipped")),
            "the first calls of cuDNN: 1 of 2 experiments passed",
        ),
        (
            kit.probe("cudnn", "ctranslate2", "answered", kit.trial("a", version="91002")),
            "the first calls of cuDNN: version 91002",
        ),
    ],
)
def test_the_proof_is_what_was_asked_about_the_same_subject_and_answered(probe: object, proof: str) -> None:
    after = case(probes=(probe,) if probe else ())
    shown = as_fix.render_outcome(Healing(SICK, PLAN, after, (Outcome(TREATMENT, True),), "1", True), LOOK, "undo")
    assert shown.splitlines()[:2] == ["HEALED  cudnn-unreachable · ctranslate2 4.6.1", f"  proof: {proof}"]


def test_colours_mark_what_is_added_and_taken_away() -> None:
    shown = as_fix.render_plan(SICK, PLAN, Look(home=HOME, colour=True))
    assert "\x1b[32m+ libcudnn_cnn.so.9 -> ../nvidia/cudnn/lib/\x1b[0m" in shown
    assert "\x1b[31m- libcudnn_adv.so.8 (a link that leads to nowhere.so)\x1b[0m" in shown
    assert "\x1b[33m~ RECORD: 2 paths listed\x1b[0m" in shown


def test_what_is_foreign_cannot_steer_the_terminal() -> None:
    evil = replace(LOADED, message="\x1b[2Jgone", subject="\x9bx\n\rHEALED")
    treatment = replace(TREATMENT, finding=evil)
    held = HeldBack(evil, MUCH.remedy, "\x1b]0;owned\x07")
    healing = Healing(SICK, PLAN, SICK, (Outcome(treatment, False, "\x1b[1m"),), None, True, (evil,))
    for shown in (
        as_fix.render_plan(SICK, Plan((treatment,), (held,)), LOOK),
        as_fix.render_outcome(healing, LOOK, "undo"),
        as_fix.render_nothing(Healing(SICK, Plan((), (held,)), SICK, remaining=(evil,)), LOOK),
    ):
        assert not set(shown) & set("\x1b\x9b\x07\r")
        assert "\nHEALED" not in shown
