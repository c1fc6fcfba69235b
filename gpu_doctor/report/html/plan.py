"""A plan as a page shows it: what would be done about which finding, and what is left to a person."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.case import Case
from gpu_doctor.model.plan import Treatment
from gpu_doctor.report.html.findings import anchor
from gpu_doctor.report.html.words import line, shell
from gpu_doctor.report.plans import Part, deeds, parts, sentence
from gpu_doctor.report.words import SAFETY


@dataclass(frozen=True, slots=True)
class Planned:
    """Hold what is planned for one finding; `place` is the id of the finding on the page.

    `treated` is False where it is held back; `sentence` then says why.
    """

    treated: bool
    place: str
    message: str
    rule: str
    sentence: str
    safety: str
    price: str
    steps: tuple[str, ...]


def planned(case: Case, key: str) -> tuple[Planned, ...] | None:
    """Return what the plan has, or None where there is none; `key` begins the ids of findings."""
    return None if case.plan is None else tuple(_planned(part, key) for part in parts(case.plan))


def _planned(part: Part, key: str) -> Planned:
    finding, remedy = part.finding, part.remedy
    return Planned(
        treated=isinstance(part, Treatment),
        place=anchor(finding, key),
        message=line(finding.message),
        rule=line(finding.rule),
        sentence=line(sentence(part)),
        safety=SAFETY[remedy.safety] if remedy else "",
        price=line(remedy.price.rstrip(".")) if remedy else "",
        steps=tuple(map(shell, deeds(part))),
    )
