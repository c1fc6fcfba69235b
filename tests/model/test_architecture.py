from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.model.architecture import Capability, compiles_at_start, parse, runs_natively, sort_key, verdict

CAPABILITIES = (
    (5, 0),
    (5, 3),
    (6, 1),
    (7, 0),
    (7, 2),
    (7, 5),
    (8, 0),
    (8, 6),
    (8, 7),
    (8, 9),
    (9, 0),
    (10, 0),
    (10, 3),
    (11, 0),
    (12, 0),
    (12, 1),
)
NAMES = st.builds(
    lambda c, suffix: f"sm_{c[0]}{c[1]}{suffix}", st.sampled_from(CAPABILITIES), st.sampled_from(("", "a", "f"))
)


@pytest.mark.parametrize(
    ("name", "capability", "suffix"),
    [
        ("sm_35", (3, 5), ""),
        ("sm_90a", (9, 0), "a"),
        ("sm_100f", (10, 0), "f"),
        ("sm_121a", (12, 1), "a"),
        ("compute_120", (12, 0), ""),
    ],
)
def test_names_are_split(name: str, capability: Capability, suffix: str) -> None:
    assert parse(name) == (capability, suffix)


@pytest.mark.parametrize(
    "text", ["", "sm_", "sm_9", "sm_90b", "sm90", "90", "sm_90a ", "SM_90", "lto_90", "sm_９０a\n"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a GPU architecture"):
        parse(text)


@pytest.mark.parametrize(
    ("sass", "runs_on", "not_on"),
    [
        ("sm_80", [(8, 0), (8, 6), (8, 9)], [(7, 5), (9, 0), (12, 0), (8, 7)]),
        ("sm_86", [(8, 6), (8, 9)], [(8, 0), (9, 0)]),
        ("sm_89", [(8, 9)], [(8, 6), (9, 0)]),
        ("sm_90", [(9, 0)], [(8, 9), (10, 0), (12, 0)]),
        ("sm_90a", [(9, 0)], [(10, 0), (8, 9)]),
        ("sm_70", [(7, 0), (7, 5)], [(7, 2), (8, 0)]),
        ("sm_75", [(7, 5)], [(7, 0), (7, 2)]),
        ("sm_53", [(5, 3)], [(5, 2), (6, 0)]),
        ("sm_50", [(5, 0), (5, 2)], [(5, 3), (6, 1)]),
        ("sm_60", [(6, 0), (6, 1)], [(6, 2), (7, 0)]),
        ("sm_87", [(8, 7)], [(8, 9), (8, 6)]),
        ("sm_100", [(10, 0), (10, 3)], [(10, 1), (11, 0), (12, 0)]),
        ("sm_100a", [(10, 0)], [(10, 3), (12, 0)]),
        ("sm_100f", [(10, 0), (10, 3)], [(12, 0), (11, 0)]),
        ("sm_103f", [(10, 3)], [(10, 0)]),
        ("sm_120", [(12, 0), (12, 1)], [(10, 0), (9, 0)]),
        ("sm_120a", [(12, 0)], [(12, 1)]),
        ("sm_120f", [(12, 0), (12, 1)], [(10, 3)]),
        ("sm_110", [(11, 0)], [(10, 1), (12, 0)]),
    ],
)
def test_machine_code_runs_on_its_major_from_its_minor_on(
    sass: str, runs_on: list[Capability], not_on: list[Capability]
) -> None:
    assert {c: runs_natively(sass, c) for c in runs_on} == dict.fromkeys(runs_on, True)
    assert {c: runs_natively(sass, c) for c in not_on} == dict.fromkeys(not_on, False)


@pytest.mark.parametrize(
    ("ptx", "serves", "not_these"),
    [
        ("compute_50", [(5, 0), (8, 7), (12, 1)], [(3, 7)]),
        ("compute_86", [(8, 6), (8, 9), (12, 0)], [(8, 0), (7, 5)]),
        ("compute_90a", [(9, 0)], [(10, 0), (12, 0)]),
        ("compute_100f", [(10, 0), (10, 3)], [(12, 0)]),
        ("compute_120", [(12, 0), (12, 1)], [(9, 0), (10, 0)]),
    ],
)
def test_ptx_is_compiled_for_anything_as_new(ptx: str, serves: list[Capability], not_these: list[Capability]) -> None:
    assert [c for c in serves if not compiles_at_start(ptx, c)] == []
    assert [c for c in not_these if compiles_at_start(ptx, c)] == []


def test_machine_code_is_preferred_to_ptx() -> None:
    assert verdict(["sm_80"], ["compute_80"], (8, 9)) == "native"
    assert verdict(["sm_80"], ["compute_80"], (9, 0)) == "jit"
    assert verdict(["sm_80"], ["compute_90"], (8, 0)) == "native"
    assert verdict(["sm_90"], ["compute_90"], (8, 0)) == "none"
    assert verdict([], [], (8, 0)) == "none"


def test_architectures_are_ordered_as_numbers() -> None:
    mixed = ["sm_120", "sm_90a", "sm_100", "sm_90", "sm_53", "sm_103a"]
    assert sorted(mixed, key=sort_key) == ["sm_53", "sm_90", "sm_90a", "sm_100", "sm_103a", "sm_120"]


@given(NAMES, st.sampled_from(CAPABILITIES))
def test_what_runs_is_of_the_same_major_and_not_newer(name: str, capability: Capability) -> None:
    built, suffix = parse(name)
    if runs_natively(name, capability):
        assert built[0] == capability[0]
        assert built <= capability
    assert runs_natively(name, built)
    if suffix == "a":
        assert runs_natively(name, capability) == (built == capability)


@given(NAMES, st.sampled_from(CAPABILITIES))
def test_a_suffix_never_widens_where_code_runs(name: str, capability: Capability) -> None:
    if runs_natively(name, capability):
        assert runs_natively(name.rstrip("af"), capability)
