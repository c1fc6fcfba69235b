#!/usr/bin/env python3
"""Put `pip check`, `uv pip check` and `gpu-doctor check` before every lab, and print the answers as Markdown.

Run it with a Python that has the project and its dev group installed.
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
    command = [str(BIN / "gpu-doctor"), "check", "--prefix", str(prefix), "--format", "json", *recipe.arguments]
    code, text = answer(command, recipe.environment(prefix))
    report = json.loads(text)
    found = {f["rule"]: f["severity"] for case in report["cases"] for run in case["runs"] for f in run["findings"]}
    errors = [rule for rule, severity in found.items() if severity == "error"]
    warnings = [f"({rule})" for rule, severity in found.items() if severity == "warning"]
    return " ".join([f"exit {code}:", *(errors + warnings or ["healthy"])])


def main() -> None:
    print("| lab | pip check | uv pip check | gpu-doctor check |\n|---|---|---|---|")
    for name, recipe in {**SICK, **HEALTHY}.items():
        prefix = build(name)
        pip, _ = answer([sys.executable, "-m", "pip", "--python", str(prefix / "bin/python"), "check"], {})
        uv, _ = answer([str(BIN / "uv"), "pip", "check", "--python", str(prefix / "bin/python")], {})
        says = ["fine" if code == 0 else "complains" for code in (pip, uv)]
        print(f"| {name} | {says[0]} | {says[1]} | {doctor_says(recipe, prefix)} |", flush=True)


if __name__ == "__main__":
    main()
