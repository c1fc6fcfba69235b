#!/usr/bin/env python3
"""Put `pip check`, `uv pip check` and `gpu-doctor check --static` before every lab, and print the answers as Markdown.

Run it with a Python that has the project and its dev group, such as `.cache/test-env/bin/python`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.labs.build import build
from tests.labs.recipes import HEALTHY, SICK, Recipe

BIN = Path(sys.executable).parent


def answer(command: list[str], variables: dict[str, str]) -> tuple[int, str]:
    environment = {**os.environ, **variables}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout


def doctor_says(recipe: Recipe, prefix: Path) -> str:
    command = [str(BIN / "gpu-doctor"), "check", "--static", "--format", "json"]
    command += ["--prefix", str(prefix), *recipe.arguments]
    _, text = answer(command, recipe.environment(prefix))
    findings = [f for case in json.loads(text)["cases"] for run in case["runs"] for f in run["findings"]]
    return ", ".join(f"`{f['rule']}`" for f in findings if f["severity"] == "error") or "no error"


def row(recipe: Recipe, prefix: Path) -> tuple[str, str, str]:
    pip, _ = answer([sys.executable, "-m", "pip", "--python", str(prefix / "bin/python"), "check"], {})
    uv, _ = answer([str(BIN / "uv"), "pip", "check", "--python", str(prefix / "bin/python")], {})
    return ("complains" if pip else "fine", "complains" if uv else "fine", doctor_says(recipe, prefix))


def main() -> None:
    print("| environment | `pip check` | `uv pip check` | errors of `gpu-doctor check --static` |\n|---|---|---|---|")
    for what in dict.fromkeys(recipe.what for recipe in SICK.values()):
        name = next(name for name, recipe in SICK.items() if recipe.what == what)
        print("|", what, "|", " | ".join(row(SICK[name], build(name))), "|", flush=True)
    rows = [row(recipe, build(name)) for name, recipe in HEALTHY.items()]
    columns = [" / ".join(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    print(f"| the {len(rows)} healthy twins |", " | ".join(columns), "|")


if __name__ == "__main__":
    main()
