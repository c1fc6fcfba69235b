"""peaks.toml: what a GPU computes in one clock, and which share of its peak a healthy one reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.load import read_table
from gpu_doctor.facts.peaks import Peaks
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability
from tests.facts.slips import slip

FACTS = Facts.load()
KINDS = ("float32", "tf32", "float16", "bfloat16", "fp8")


@pytest.mark.parametrize(
    ("capability", "kind", "multiprocessors", "ghz", "tflops"),
    [
        ((6, 0), "float32", 56, 1.48, 10.6),
        ((7, 0), "float32", 80, 1.53, 15.7),
        ((7, 0), "float16", 80, 1.53, 125),
        ((7, 5), "float16", 72, 1.77, 130.5),
        ((8, 0), "float32", 108, 1.41, 19.5),
        ((8, 0), "tf32", 108, 1.41, 156),
        ((8, 0), "bfloat16", 108, 1.41, 312),
        ((8, 6), "float32", 82, 1.695, 35.6),
        ((8, 6), "float16", 84, 1.8, 154.8),
        ((8, 9), "float32", 128, 2.52, 82.6),
        ((9, 0), "tf32", 132, 1.83, 494.7),
        ((9, 0), "float16", 132, 1.83, 989.4),
        ((9, 0), "fp8", 132, 1.83, 1978.9),
        ((10, 0), "float16", 148, 1.85, 2250),
        ((12, 0), "float32", 170, 2.407, 104.8),
    ],
)
def test_the_peaks_are_those_of_the_data_sheets(
    capability: Capability, kind: str, multiprocessors: int, ghz: float, tflops: float
) -> None:
    flop = FACTS.flop_per_clock(capability, kind)
    assert flop is not None
    assert flop * multiprocessors * ghz * 1e9 / 1e12 == pytest.approx(tflops, rel=0.01)


@pytest.mark.parametrize(
    ("capability", "kind"), [((8, 9), "float16"), ((8, 9), "tf32"), ((8, 9), "fp8"), ((8, 6), "tf32")]
)
def test_a_row_is_the_strongest_members(capability: Capability, kind: str) -> None:
    """A GeForce has half of it: RTX 4090 165.2, 82.6 and 330.3, RTX 3090 35.6 TFLOP/s."""
    sheet = {("float16", 9): 165.2, ("tf32", 9): 82.6, ("fp8", 9): 330.3, ("tf32", 6): 35.6}[kind, capability[1]]
    clocks = (128 * 2.52e9) if capability == (8, 9) else (82 * 1.695e9)
    flop = FACTS.flop_per_clock(capability, kind)
    assert flop is not None
    assert flop * clocks / 1e12 == pytest.approx(2 * sheet, rel=0.01)


@pytest.mark.parametrize(
    ("capability", "kind"),
    [
        ((6, 1), "float16"),
        ((7, 0), "tf32"),
        ((7, 5), "bfloat16"),
        ((8, 6), "fp8"),
        ((9, 0), "memory"),
        ((19, 0), "float32"),
    ],
)
def test_what_a_gpu_lacks_or_nobody_knows_is_none(capability: Capability, kind: str) -> None:
    assert FACTS.flop_per_clock(capability, kind) is None
    assert kind == "memory" or FACTS.floor(kind, capability) is None


def test_every_gpu_that_is_known_by_name_has_a_throughput() -> None:
    groups = [row["capability"] for row in read_table("gpus").data["group"]]
    new = [text for text in groups if tuple(map(int, text.split("."))) >= (5, 0)]
    peaks = {row["capability"] for row in read_table("peaks").data["throughput"]}
    assert set(new) - peaks == set()


def test_a_name_raises_the_floor() -> None:
    whole = FACTS.floor("float16", (9, 0))
    assert whole is not None
    assert FACTS.floor("float16", (9, 0), "NVIDIA H20") == whole
    for name in ("NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA GH200 480GB", "NVIDIA H100-SXM5"):
        assert (FACTS.floor("float16", (9, 0), name) or 0) > whole
    assert FACTS.floor("float16", (7, 5), "Tesla T4") != FACTS.floor("float16", (7, 5), "NVIDIA GeForce GTX 1650")


# What healthy GPUs reached, of the peak by their highest clock: where it was measured is said in the table's sources.
@pytest.mark.parametrize(
    ("name", "capability", "kind", "reached"),
    [
        ("NVIDIA A100-PCIE-40GB", (8, 0), "bfloat16", 252 / 312),
        ("NVIDIA H100 80GB HBM3", (9, 0), "bfloat16", 794 / 1070),
        ("NVIDIA H100 PCIe", (9, 0), "tf32", 222 / 483),
        ("NVIDIA H20", (9, 0), "float16", 0.9 * 148 / 632),
        ("NVIDIA B200", (10, 0), "bfloat16", 1745 / 2400),
        ("NVIDIA L4", (8, 9), "float16", 87 / 121),
        ("NVIDIA GeForce RTX 5090", (12, 0), "bfloat16", 224 / 538),
        ("NVIDIA GeForce RTX 3090", (8, 6), "float16", 65 / 176),
        ("NVIDIA GeForce RTX 5060 Ti", (12, 0), "memory", 388 / 448),
    ],
)
def test_healthy_gpus_lie_well_above_the_floor(name: str, capability: Capability, kind: str, reached: float) -> None:
    floor = FACTS.floor(kind, capability, name)
    assert floor is not None
    assert floor < 0.75 * reached


def test_a_gpu_at_a_quarter_of_its_memory_clock_is_below() -> None:
    discrete: list[Capability] = [(7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)]
    assert all((FACTS.floor("memory", capability) or 0) > 0.25 for capability in discrete)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('capability = "5.2"', 'capability = "5.0"', "has the same key"),
        ('capability = "8.9"\n', 'capability = "8.1"\n', "capability is lower than in the row before"),
        ("tf32 = 1024", "tf32 = 1000", "tf32 does not fit: 1000 .Accept a power of two"),
        ("tf32 = 1024", "tf32 = 64", "a narrower format is slower than a wider one"),
        ("bfloat16 = 2048", "bfloat16 = 1024", "bfloat16 differs from float16"),
        ("float32 = 256\n", "", "float32 is missing"),
        ("tf32 = 1024", "tf33 = 1024", "unknown key tf33"),
        ('kind = "memory"', 'kind = "memroy"', "kind does not fit"),
        ("least = 0.5", "least = 1.5", "least does not fit"),
        ('capabilities = ["7.0", "8.0"', 'capabilities = ["6.1", "8.0"', "float16 has no throughput for 6.1"),
        ('capabilities = ["8.6", "8.9"', 'capabilities = ["8.0", "8.9"', "8.0 has this floor already"),
        ("least = 0.35", "least = 0.05", "no lower floor for the other GPUs"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FactsError, match=rf"(?s)peaks\.toml, .*{message}"):
        Peaks(slip(tmp_path, "peaks", old, new))
