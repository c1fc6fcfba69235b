"""What a real torch says of a simulated driver: the very words by which people search, and which a rule must know."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.checks.engine.registry import load_rules
from tests.simulated.driver import RTX_4090, simulated_driver

pytestmark = pytest.mark.lab

ASK_TORCH = """\
import warnings
warnings.simplefilter("error")
import torch
try:
    torch.cuda.init()
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        (100, "cuda-init-unknown"),
        (802, "fabric-manager-down"),
        (803, "driver-library-mismatch"),
        (804, "driver-library-mismatch"),
        (999, "cuda-init-unknown"),
    ],
)
def test_torchs_words_for_each_error_lead_to_its_rule(
    lab: Callable[[str], Path], tmp_path: Path, code: int, rule: str
) -> None:
    python = lab("ok-4090") / "bin" / "python"
    environ = simulated_driver(tmp_path, RTX_4090, cuda_init=code, environ={"PATH": os.defpath})
    said = subprocess.run([python, "-B", "-c", ASK_TORCH], env=environ, capture_output=True, text=True, timeout=300)
    (symptoms,) = (item.rule.symptoms for item in load_rules() if item.rule.id == rule)
    assert any(re.search(pattern, said.stdout) for pattern in symptoms), said.stdout + said.stderr
