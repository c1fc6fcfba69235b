"""The plan: which illnesses, which of two remedies, in which order, and what is left to a person and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.fix.planner import make_plan, meant
from gpu_doctor.model import plain
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import CheckRun, Finding, Rule, Severity
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.plan import Allow, HeldBack, Plan, Prefer, Treatment, Wish
from gpu_doctor.model.remedy import (
    InstallPackages,
    ListInRecord,
    MakeLink,
    Remedy,
    RemoveFile,
    RemovePackages,
    RunByHand,
    SetVariable,
    Step,
)
from tests.checks.judge import judge_all
from tests.kit import PREFIX, SITE, dist, inventory, lib
from tests.patients.record import HERE

PYTHON, UV = f"{PREFIX}/bin/python", ("uv", "pip")
STAGES = {
    "driver-too-old": "host",
    "ort-packages-clash": "packages",
    "cudnn-unreachable": "libraries",
    "torch-import-fails": "running",
}
RULES = tuple(Rule(name, name, "error", stage) for name, stage in STAGES.items())  # type: ignore[arg-type]

LINK = MakeLink(f"{SITE}/ctranslate2.libs/libcudnn_ops.so.9", "../nvidia/cudnn/lib/libcudnn_ops.so.9")
LINKS = Remedy("Place links.", "safe", (LINK,))
HAND = Remedy("Ask an administrator.", "manual", (RunByHand("apt install driver", "it needs root"),))


def install(*requirements: str) -> InstallPackages:
    return InstallPackages(UV, PYTHON, requirements)


def packages(*steps: Step) -> Remedy:
    return Remedy("Change packages.", "ask", steps or (install("ctranslate2>=4.6.3"),))


def ill(rule: str, remedy: Remedy | None, severity: Severity = "error", subject: str = "it", **more: Any) -> Finding:
    return Finding(rule, severity, subject, f"{rule} of {subject}.", (), remedy, **more)


def case(*findings: Finding, seen: Inventory | None = None) -> Case:
    runs = (CheckRun(name, "failed", "", tuple(f for f in findings if f.rule == name)) for name in STAGES)
    return Case(
        seen or inventory(), tuple(run if run.findings else CheckRun(run.rule, "passed") for run in runs), RULES
    )


def plan(*findings: Finding, **wish: Any) -> Plan:
    return make_plan(case(*findings), Wish(**wish))


def treated(made: Plan) -> list[str]:
    return [item.finding.rule for item in made.treatments]


def test_an_illness_with_a_remedy_is_treated() -> None:
    finding = ill("cudnn-unreachable", LINKS)
    assert plan(finding) == Plan((Treatment(finding, LINKS, (LINK,)),), ())


def test_nothing_ill_is_nothing_to_do() -> None:
    assert plan() == Plan((), ())


def test_the_worst_goes_first_and_of_equals_the_earlier_cause() -> None:
    made = plan(
        ill("driver-too-old", packages(install("a")), "warning"),
        ill("torch-import-fails", packages(install("b"))),
        ill("ort-packages-clash", packages(install("c"))),
    )
    assert treated(made) == ["ort-packages-clash", "torch-import-fails", "driver-too-old"]


def test_notes_are_no_illness() -> None:
    assert plan(ill("cudnn-unreachable", LINKS, "note")) == Plan((), ())


def test_the_cause_is_treated_and_not_what_it_explains() -> None:
    cause = ill("ort-packages-clash", packages())
    effect = ill("cudnn-unreachable", LINKS, "note", consequence_of=cause.fingerprint)
    for names in ((), ("cudnn",), ("cudnn-unreachable",), ("ort-packages-clash",)):
        made = plan(cause, effect, names=names)
        assert [item.finding for item in made.treatments] == [cause], names
        assert made.held_back == ()


def test_a_cause_that_is_meant_twice_is_treated_once() -> None:
    cause = ill("ort-packages-clash", packages())
    effects = [ill("cudnn-unreachable", None, "note", s, consequence_of=cause.fingerprint) for s in ("a", "b")]
    assert treated(plan(cause, *effects, names=("cudnn", "onnxruntime"))) == ["ort-packages-clash"]


def test_what_is_not_meant_is_not_even_held_back() -> None:
    assert plan(ill("driver-too-old", HAND), ill("cudnn-unreachable", LINKS), names=("onnxruntime",)) == Plan((), ())
    found = case(ill("driver-too-old", HAND), ill("cudnn-unreachable", LINKS))
    assert [finding.rule for finding in meant(found, ("cudnn",))] == ["cudnn-unreachable"]


# --- Which of two remedies --------------------------------------------------------------------------------------------

BOTH = ill("cudnn-unreachable", LINKS, durable=packages())


@pytest.mark.parametrize(
    ("finding", "prefer", "allow", "chosen", "instead"),
    [
        (BOTH, "minimal", "ask", LINKS, packages()),
        (BOTH, "durable", "ask", packages(), LINKS),
        (BOTH, "durable", "safe", LINKS, packages()),
        (BOTH, "minimal", "safe", LINKS, packages()),
        (replace(BOTH, remedy=packages(), durable=LINKS), "minimal", "safe", LINKS, packages()),
        (replace(BOTH, remedy=HAND), "minimal", "ask", packages(), HAND),
        (replace(BOTH, durable=HAND), "durable", "ask", LINKS, HAND),
        (replace(BOTH, remedy=None), "minimal", "ask", packages(), None),
        (replace(BOTH, durable=None), "durable", "ask", LINKS, None),
        (replace(BOTH, durable=LINKS), "minimal", "ask", LINKS, None),
    ],
)
def test_the_wish_chooses_between_two_remedies_of_which_one_may_be_forbidden(
    finding: Finding, prefer: Prefer, allow: Allow, chosen: Remedy, instead: Remedy | None
) -> None:
    (made,) = plan(finding, prefer=prefer, allow=allow).treatments
    assert (made.remedy, made.instead) == (chosen, instead)
    assert made.steps == chosen.steps


# --- What is held back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remedy", "why"),
    [
        (None, "no remedy is known that the files alone tell"),
        (HAND, "this is for a person to do"),
        (Remedy("Think.", "ask"), "this is for a person to do"),
        (Remedy("Nearly ours.", "manual", (LINK,)), "this is for a person to do"),
        (packages(install("torch"), RunByHand("wsl --shutdown", "in Windows")), "this is for a person to do"),
    ],
    ids=["none", "manual", "no steps", "manual with steps", "one step by hand"],
)
def test_what_a_person_must_do_is_held_back(remedy: Remedy | None, why: str) -> None:
    finding = ill("cudnn-unreachable", remedy)
    assert plan(finding) == Plan((), (HeldBack(finding, remedy, why),))


def test_packages_are_held_back_where_only_safe_remedies_are_allowed() -> None:
    finding = ill("cudnn-unreachable", packages())
    why = "it changes packages, which --allow safe forbids"
    assert plan(finding, allow="safe") == Plan((), (HeldBack(finding, packages(), why),))


@pytest.mark.parametrize(
    ("graver", "milder", "what"),
    [
        (install("torch==2.8.0"), install("Torch==2.9.0"), "torch"),
        (RemovePackages(UV, PYTHON, ("onnxruntime",)), install("onnxruntime==1.22"), "onnxruntime"),
        (install("nvidia_cudnn_cu12==9.10"), RemovePackages(UV, PYTHON, ("nvidia-cudnn-cu12",)), "nvidia-cudnn-cu12"),
        (LINK, replace(LINK, points_to="elsewhere.so"), LINK.path),
        (LINK, RemoveFile(LINK.path, "it is stale"), LINK.path),
        (SetVariable("LD_LIBRARY_PATH", None), SetVariable("LD_LIBRARY_PATH", "/opt/lib"), "LD_LIBRARY_PATH"),
    ],
)
def test_of_two_remedies_that_contradict_each_other_the_milder_illness_waits(
    graver: Step, milder: Step, what: str
) -> None:
    first, second = ill("ort-packages-clash", packages(graver)), ill("cudnn-unreachable", packages(milder))
    made = plan(second, first)
    assert [item.finding for item in made.treatments] == [first]
    why = f"a graver illness changes {what} too: it is judged anew after that"
    assert made.held_back == (HeldBack(second, packages(milder), why),)


def test_remedies_that_touch_different_things_do_not_contradict() -> None:
    made = plan(ill("ort-packages-clash", packages(install("onnxruntime-gpu"))), ill("cudnn-unreachable", LINKS))
    assert treated(made) == ["ort-packages-clash", "cudnn-unreachable"]


def test_what_two_remedies_want_alike_is_done_once() -> None:
    first = ill("ort-packages-clash", packages(install("torch==2.8.0")))
    second = ill("cudnn-unreachable", packages(install("torch==2.8.0"), install("numpy<2")))
    made = plan(first, second)
    assert [item.steps for item in made.treatments] == [(install("torch==2.8.0"),), (install("numpy<2"),)]
    assert made.held_back == ()


# --- RECORDs ----------------------------------------------------------------------------------------------------------


def test_links_come_with_the_record_that_lists_them() -> None:
    owner = dist("ctranslate2", "4.6.1")
    seen = inventory(owner, libraries=(lib("ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", owner.name),))
    (made,) = make_plan(case(ill("cudnn-unreachable", LINKS), seen=seen), Wish()).treatments
    assert made.steps == (LINK, ListInRecord(f"{owner.metadata}/RECORD", ("ctranslate2.libs/libcudnn_ops.so.9",)))


def test_a_recorded_patient_gets_links_or_a_release() -> None:
    found = judge_all(plain.loads((HERE / "whisperx-cudnn.json").read_text(encoding="ascii")))
    least = make_plan(found, Wish(("cudnn",))).treatments
    assert [type(step).__name__ for step in least[0].steps[-2:]] == ["MakeLink", "ListInRecord"]
    (lasting,) = make_plan(found, Wish(("cudnn",), "durable")).treatments
    assert [type(step).__name__ for step in lasting.steps] == ["InstallPackages"]
    assert lasting.instead == least[0].remedy
