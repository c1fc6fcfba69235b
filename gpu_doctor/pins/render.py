"""Write a set as text: constraints, JSON, a part of pyproject.toml, or the command that installs it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from gpu_doctor.model.hardware import driver_text
from gpu_doctor.model.remedy import InstallPackages, command
from gpu_doctor.pins.pinset import PinSet


def as_constraints(pins: PinSet) -> str:
    """Render a constraints file; its head says for what the set was chosen."""
    lines = [f"# {line}" for line in _head(pins)]
    lines += [f"{pin.requirement}  # {_one_line(pin.reason)}" for pin in pins.pins]
    return "\n".join(lines) + "\n"


def as_pyproject(pins: PinSet) -> str:
    """Render the part of pyproject.toml that makes uv take these versions, whatever packages ask of each other."""
    lines = ["[tool.uv]", *(f"# {line}" for line in _head(pins)), "override-dependencies = ["]
    lines += [f'    "{pin.requirement}",  # {_one_line(pin.reason)}' for pin in pins.pins]
    return "\n".join([*lines, "]"]) + "\n"


def as_json(pins: PinSet) -> str:
    """Render one JSON document."""
    place = pins.place
    document = {
        "for": {
            "gpus": [{"name": gpu.name, "architecture": gpu.sm} for gpu in place.gpus],
            "driver": driver_text(place.driver) if place.driver else None,
            "python": str(place.python) if place.python else None,
            "machine": place.machine,
        },
        "facts": pins.facts_date,
        "cuda": str(pins.cuda) if pins.cuda else None,
        "torch_backend": pins.backend,
        "pins": [
            {
                "name": pin.name,
                "version": pin.version,
                "requirement": pin.requirement,
                "installed": pin.now,
                "reason": pin.reason,
                "source": pin.source,
            }
            for pin in pins.pins
        ],
        "left_out": [{"name": item.name, "reason": item.reason} for item in pins.left_out],
        "notes": list(pins.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_command(pins: PinSet) -> str:
    """Render the one command that installs the set with the manager that owns the environment."""
    manager, python = pins.place.manager, pins.place.interpreter
    if manager in ("poetry", "pipenv"):
        return shlex.join((manager, "add" if manager == "poetry" else "install", *pins.requirements)) + "\n"
    # Only uv finds the build of a tag by its name.
    tool = ("uv", "pip") if manager == "uv" or pins.backend else (python, "-m", "pip")
    return command(InstallPackages(tool, python, pins.requirements, torch_backend=pins.backend)) + "\n"


def _head(pins: PinSet) -> Iterator[str]:
    place = pins.place
    yield _one_line(f"Versions that go together on {place.gpu_words}, {place.driver_words} and {place.python_words}.")
    cuda = f" for CUDA {pins.cuda}" if pins.cuda else ""
    yield f"Chosen{cuda} by gpu-doctor from its facts of {pins.facts_date}."
    if pins.backend:
        yield f"A plain install does not bring builds tagged {pins.backend}: give uv --torch-backend={pins.backend},"
        yield f"or give pip PyTorch's own package index for {pins.backend} as an extra index."
    yield from (_one_line(remark) for remark in pins.remarks)


def _one_line(text: str) -> str:
    """Return words that end no comment: names of GPUs and packages come from elsewhere."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
