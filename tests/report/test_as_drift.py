"""What drifted, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from gpu_doctor.model.lock import Drift, Drifted, Lock, LockedPackage
from gpu_doctor.model.remedy import InstallPackages
from gpu_doctor.report import as_drift
from gpu_doctor.report.paper import Look
from tests import kit

LOCK = Lock("0", "1", "healthy", "live", "3.11.7", "x86_64", "", (LockedPackage("torch", "2.6.0"),))
CPU = Drift("torch", "replaced", "2.6.0+cu124", "2.6.0+cpu", "lost CUDA", "by pip on 2026-12-06 12:00 UTC")
REBUILT = Drift("triton", "rebuilt", "3.2.0", "3.2.0", "has the same version and other files")
STEP = InstallPackages(("uv", "pip"), "/home/ada/venv/bin/python", ("torch==2.6.0+cu124",), torch_backend="cu124")


def shown(drifted: Drifted) -> list[str]:
    return as_drift.render(drifted, kit.inventory(), "gpu-doctor.lock", Look(home="/home/ada")).splitlines()[2:]


def test_each_drift_is_one_sentence_and_the_cure_ends_the_report() -> None:
    assert shown(Drifted(LOCK, (CPU, REBUILT), (STEP,), notes=("the driver was not compared",))) == [
        "DRIFTED  2 parts of the GPU stack are not as locked in gpu-doctor.lock.",
        "",
        "torch  2.6.0+cu124 -> 2.6.0+cpu: lost CUDA, by pip on 2026-12-06 12:00 UTC.",
        "",
        "triton  3.2.0: has the same version and other files.",
        "",
        "To restore what was locked:",
        "  uv pip install --python ~/venv/bin/python --torch-backend=cu124 torch==2.6.0+cu124",
        "the driver was not compared",
    ]


def test_what_one_cause_did_stands_below_it() -> None:
    by = "by uv on 2026-12-06 12:00 UTC, brought along by what was asked for then: torch 2.6.0"
    more = tuple(Drift(name, "replaced", "2", "1", "is older", by) for name in ("nvidia-nccl-cu12", "triton"))
    found = as_drift.render(Drifted(LOCK, (CPU, *more)), kit.inventory(), "gpu-doctor.lock", Look(width=200))
    assert found.splitlines()[4:] == [
        "torch  2.6.0+cu124 -> 2.6.0+cpu: lost CUDA, by pip on 2026-12-06 12:00 UTC.",
        "",
        f"B{by[1:]}:",
        "  nvidia-nccl-cu12  2 -> 1: is older.",
        "  triton  2 -> 1: is older.",
    ]
    # What nobody did is no cause in common.
    assert "\n\ntriton  3.2.0" in as_drift.render(
        Drifted(LOCK, (replace(REBUILT, subject="x"), REBUILT)), kit.inventory(), "l", Look()
    )


def test_no_drift_and_no_knowledge_are_two_things() -> None:
    assert shown(Drifted(LOCK, ())) == ["AS LOCKED  1 package of the GPU stack is as locked in gpu-doctor.lock."]
    (first, *_) = shown(Drifted(LOCK, (), open=("torch: no version",)))
    assert first.startswith("UNDETERMINED  Whether the GPU stack is as locked")


def test_what_cannot_be_told_is_said_beside_what_drifted() -> None:
    assert shown(Drifted(LOCK, (CPU,), open=("triton: no version",)))[-1] == "cannot be told: triton: no version"


def test_the_document_holds_the_same() -> None:
    document = json.loads(as_drift.render_json(Drifted(LOCK, (CPU,), (STEP,)), kit.inventory(), "x.lock"))
    schema = json.loads((Path(__file__).parents[2] / "docs/schema/drift-1.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert (document["schema"], document["drifted"], document["lock"]) == ("gpu-doctor/drift/1", True, "x.lock")
    assert document["drifts"][0]["kind"] == "replaced"
    assert document["restore"] == [
        "uv pip install --python /home/ada/venv/bin/python --torch-backend=cu124 torch==2.6.0+cu124"
    ]
