"""Write docs/rules and docs/remedies from the rules: `python -m gpu_doctor.checks.engine.document [--check]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gpu_doctor.checks.engine.registry import LoadedRule, load_rules
from gpu_doctor.model.finding import STAGES, Rule
from gpu_doctor.model.probes import Kind

COMMAND = "python -m gpu_doctor.checks.engine.document"
FOLDER = Path(__file__).resolve().parents[3] / "docs" / "rules"
REMEDIES = FOLDER.with_name("remedies")
INDEX = "README.md"

_GENERATED = f"<!-- Written by `{COMMAND}` from the rule's own file; change that. -->"
_HEAD = f"""# Rules
{_GENERATED}

One rule finds one illness. Its severity is the worst that it reports: `error` is certain, from the files or because it
was seen to fail; a `warning` is inferred; a `note` is worth knowing and no illness. A rule's stage orders causes: what
is wrong earlier explains what is wrong later. `gpu-doctor explain RULE` shows the same words."""

_ASKS: dict[Kind, str] = {
    "import": "each package of the GPU stack is imported",
    "cuda-init": "CUDA is started through the driver's own library",
    "cudnn": "the first calls of cuDNN are made, which need no GPU",
    "library": "libraries that others open by name are opened where those would look",
    "ort-session": "tiny models are run in sessions of ONNX Runtime, with each provider",
    "ctranslate2": "tiny models are run in CTranslate2, on the CPU and on each GPU",
    "torch-gpu": "torch computes on each GPU, and the results are compared with the CPU's",
    "devices": "each framework is asked which GPUs it sees",
    "cufft": "where a transform fails, experiments tell its causes apart",
}

_HEALS = ("What to do", "What does not heal")
# A paragraph of a rule's docstring that begins like this gets the words as its heading.
_HEADING = re.compile(r"^((?:What|Why|How)\b[^.\n]{0,40})\.\s+")


def pages(rules: Iterable[LoadedRule]) -> dict[str, str]:
    """Return the text of every page by file name; raise ValueError for a rule that could not be loaded."""
    known = tuple(rules)
    for item in known:
        if item.broken:
            raise ValueError(f"{item.origin} could not be loaded: {item.broken}")
    found = {f"{item.rule.id}.md": _joined(_page(item, known)) for item in known}
    return {INDEX: _joined(_index(known)), **found}


def remedies(rules: Iterable[LoadedRule]) -> dict[str, str]:
    """Return the text of every remedy's page by file name: what heals, what does not, and how to do and undo it."""
    known = tuple(rules)
    index = [f"- [{item.rule.id}]({item.rule.id}.md): {item.rule.title}" for item in known]
    head = f"# Remedies\n{_GENERATED}\n\nHow a repair works and is taken back: [repair.md](../repair.md)."
    pages = {f"{item.rule.id}.md": _joined(_remedy(item)) for item in known}
    return {INDEX: _joined((head, "\n".join(index))), **pages}


def stale(wanted: dict[str, str], folder: Path) -> tuple[str, ...]:
    """Return the names of pages that are missing, differ, or describe no rule, sorted."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return tuple(sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name)))


def write(wanted: dict[str, str], folder: Path) -> None:
    """Make the folder hold exactly these pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale(wanted, folder):
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()


def main(arguments: Sequence[str], folder: Path = FOLDER, healing: Path = REMEDIES) -> str | None:
    """Write the pages, or with `--check` only name those that are not what the rules say; None where all is well."""
    # What other installed packages add is theirs to document.
    rules = [item for item in load_rules() if item.origin.startswith("gpu_doctor.checks.")]
    both = ((pages(rules), folder), (remedies(rules), healing))
    if "--check" not in arguments:
        for wanted, place in both:
            write(wanted, place)
        return None
    names = [f"docs/{place.name}/{name}" for wanted, place in both for name in stale(wanted, place)]
    return f"not what the rules say: {', '.join(names)}: {COMMAND}" if names else None


def _index(rules: tuple[LoadedRule, ...]) -> Iterator[str]:
    yield _HEAD
    for stage in STAGES:
        here = [item.rule for item in rules if item.rule.stage == stage]
        if here:
            yield f"## Stage {stage}"
            rows = [f"| [{rule.id}]({rule.id}.md) | {rule.severity} | {_cell(rule.title)} |" for rule in here]
            yield "\n".join(("| rule | severity | title |", "| --- | --- | --- |", *rows))


def _page(loaded: LoadedRule, rules: tuple[LoadedRule, ...]) -> Iterator[str]:
    rule = loaded.rule
    yield f"# {rule.id}\n{_GENERATED}"
    yield f"**{rule.title}.** Severity: {rule.severity} at worst. Stage: {rule.stage}."
    for paragraph in loaded.doc.split("\n\n"):
        heading = _HEADING.match(paragraph)
        if heading:
            yield f"## {heading[1]}"
        yield paragraph[heading.end() :] if heading else paragraph
    yield from _asks(rule)
    if rule.symptoms:
        yield "## Error texts that it explains\n\nAs regular expressions:"
        yield "\n".join(("```text", *rule.symptoms, "```"))
    yield from _relations(rule, [item.rule for item in rules])


def _remedy(loaded: LoadedRule) -> Iterator[str]:
    rule = loaded.rule
    yield f"# How {rule.id} is healed\n{_GENERATED}"
    yield f"**{rule.title}.** What it is and how it is told: [{rule.id}](../rules/{rule.id}.md)."
    for paragraph in loaded.doc.split("\n\n"):
        heading = _HEADING.match(paragraph)
        if heading and heading[1].startswith(_HEALS):
            yield f"## {heading[1]}\n\n{paragraph[heading.end() :]}"
    yield f"""```console
gpu-doctor fix {rule.id} --dry-run         # the plan, with the price of each remedy
gpu-doctor fix {rule.id}                   # asks, applies, proves; undone where it does not heal
gpu-doctor undo                            # every byte as it was
```"""
    yield "What needs root, a reboot or a driver is shown with its commands and left to you: [repair.md](../repair.md)."


def _asks(rule: Rule) -> Iterator[str]:
    if rule.probes:
        yield "## What it asks the live interpreter"
        yield "Each in a process of its own; `--static` asks nothing, and the rule then judges by the files, if it can."
        yield "\n".join(f"- `{kind}`: {_ASKS[kind]}" for kind in rule.probes)


def _relations(rule: Rule, rules: list[Rule]) -> Iterator[str]:
    explained = [other.id for other in rules if rule.id in other.yields_to]
    if rule.yields_to or explained:
        yield "## Causes and consequences"
    if rule.yields_to:
        yield f"Where one of these is found in the same place, this is its consequence: {_links(rule.yields_to)}."
    if explained:
        yield f"Where this is found, these in the same place are its consequences: {_links(explained)}."


def _links(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}]({name}.md)" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _joined(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
