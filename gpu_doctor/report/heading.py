"""The first lines of every text report: which environment, why this one, and which hardware."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Interpreter, Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.paper import Paper

LAYERS = {"system-site": "system packages", "user-site": "user site", "pth": ".pth", "pythonpath": "PYTHONPATH"}
_SHOWN = 8
_MANAGERS = {"system": "system Python", "colab": "Colab"}


def write_heading(paper: Paper, inventory: Inventory) -> None:
    """Write which environment was chosen and why, its Python and manager, and what is layered over it."""
    python = inventory.interpreter
    paper.prose(
        (python.prefix, "bold"),
        f" ({', '.join(_python(python))}) — chosen by {inventory.target.chosen_by}",
    )
    layers = [f"{entry.path} ({LAYERS[entry.kind]})" for entry in python.search_path if entry.kind in LAYERS]
    if layers:
        paper.prose(("also on its path: " + ", ".join(_some(layers)), "dim"), indent=2)
    for note in _some(python.notes):
        paper.prose((note, "yellow"), indent=2)


def write_target(paper: Paper, target: Target) -> None:
    """Write which environment was chosen and why, where nothing more of it was read."""
    paper.prose((target.python or target.prefix or "", "bold"), f" — chosen by {target.chosen_by}")
    paper.blank()


def hardware(inventory: Inventory) -> str:
    """Return the GPUs and the driver that were judged for, in a few words; what is unknown is said."""
    return f"{_gpus(inventory)}, {_driver(inventory)}"


def gpu_words(gpu: Gpu) -> str:
    """Return a GPU's name and architecture; a GPU given as an architecture alone is not named twice."""
    name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    return gpu.sm if name == gpu.sm else f"{name} ({gpu.sm})"


def counted(number: int, noun: str) -> str:
    """Return `1 library` or `2 libraries`."""
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun}"


def _some(texts: Sequence[str]) -> list[str]:
    """Return the first few texts, and how many more there are: the heading must not bury the verdict."""
    left = len(texts) - _SHOWN
    return [*texts[:_SHOWN], *([f"… and {left} more: --format json"] if left > 0 else [])]


def _python(python: Interpreter) -> list[str]:
    version = "Python, version unknown" if isinstance(python.version, Unknown) else f"Python {python.version}"
    words = [version, _MANAGERS.get(python.manager, python.manager)]
    if python.externally_managed:
        words.append("externally managed")
    return words


def _gpus(inventory: Inventory) -> str:
    if isinstance(inventory.gpus, Unknown):
        return "GPU unknown"
    if not inventory.gpus:
        return "no GPU"
    counts: dict[str, int] = {}
    for gpu in inventory.gpus:
        words = gpu_words(gpu) + (" as given" if gpu.assumed else "")
        counts[words] = counts.get(words, 0) + 1
    return ", ".join(words if count == 1 else f"{count} × {words}" for words, count in counts.items())


def _driver(inventory: Inventory) -> str:
    if inventory.driver is None:
        return "no driver"
    if isinstance(inventory.driver, Unknown):
        return "driver unknown"
    return f"driver {inventory.driver.label}" + (" as given" if inventory.driver.assumed else "")
