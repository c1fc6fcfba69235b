"""The inventory as text, and the published shape of the saved one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from gpu_doctor.model import plain
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import UNASKED, Damage, Inventory, Observation, Overlap
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report import as_inventory
from gpu_doctor.report.paper import Look
from tests import kit
from tests.report.patients import ASKED, CRASH, HOME, SITE, environment

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "inventory-1.json").read_text(encoding="utf-8"))


def full() -> Inventory:
    return environment(
        kit.dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"),
        kit.dist("onnxruntime", "1.20.1", built="1.20.1"),
        kit.dist("numpy", "2.0"),
        kit.dist("ctranslate2", "4.6.1", active=False),
        libraries=(kit.lib("a.so", "ctranslate2", sass="80"), kit.lib("b.so", "numpy")),
        resolutions=(kit.resolution("a.so", "ctranslate2", "libcublas.so.12", found=None),),
        host=kit.host(
            variables=(Variable("LD_LIBRARY_PATH", "/opt/cudnn"),), container="docker", glibc=Unknown("musl")
        ),
        overlaps=(Overlap(("a", "b"), 3, (f"{SITE}/x.py",), (), "a"),),
        damages=(Damage(f"{SITE}/y.so", "torch", "truncated", "10", "5"),),
        observations=(Observation("/opt/z", "corrupt"),),
        probes=(
            *ASKED,
            replace(CRASH, subject="torchaudio", trials=(kit.trial("load", "died"),)),
            kit.probe(
                "cudnn", "torch", "answered", *(kit.trial(f"part {n}", "failed") for n in range(5)), after=("torch",)
            ),
            kit.probe("cuda-init", "", "skipped", reason="no GPU visible"),
            *(kit.probe("torch-gpu", f"cuda:{n}", "skipped", reason="no GPU visible") for n in range(2)),
        ),
    )


def test_the_text_shows_the_machine_the_gpu_packages_and_the_troubles() -> None:
    assert (
        as_inventory.render(full(), Look(home=HOME))
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python

hardware         RTX 4090 (sm_89), driver 580.95.05
system           Linux 6.1.0 x86_64, glibc unknown (musl), in docker
memory           64.0 GiB; /dev/shm 32.0 GiB; 8 CPUs
libcuda          none
LD_LIBRARY_PATH  /opt/cudnn

4 packages, 2 shared libraries
  torch 2.8.0+cu128 (built for CUDA 12.8)
  onnxruntime 1.20.1 (built without CUDA)
  ctranslate2 4.6.1 (shadowed by an earlier folder)

4 questions asked live
  import torch: answered (4.1 s)
  import ctranslate2: answered (0.4 s)
  import torchaudio: crashed: was killed by SIGSEGV (Segmentation fault), load
  died (1.2 s)
  the first calls of cuDNN, after import torch: answered, but part 0 failed;
  part 1 failed; part 2 failed; … and 2 more
  not tried: CUDA init, 2 torch GPU experiments (no GPU visible)

a and b both own 3 files, such as ~/venv/lib/python3.11/site-packages/x.py
~/venv/lib/python3.11/site-packages/y.so of torch is truncated
not read: /opt/z: corrupt
"""
    )


def test_where_nothing_was_asked_the_text_says_why() -> None:
    text = as_inventory.render(environment(probes=UNASKED), Look(home=HOME))
    assert "\nnothing was asked live: only files were read\n" in text


@pytest.mark.parametrize("inventory", [full(), kit.inventory(driver=None, gpus=Unknown("no NVML"))])
def test_the_saved_form_follows_the_published_schema(inventory: Inventory) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(plain.dumps(inventory)))
