"""What a live process says against the model of ld.so: whose word counts, and for which question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.checks.loading.witnesses import NOT_SEEN, SEEN, as_seen, bad, proofs
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.probes import Probe
from tests.kit import SITE, inventory, probe, resolution, trial

LOADER, GRAPH = "pkg.libs/libcudnn-74a4c495.so.9.1.0", "pkg.libs/libcudnn_graph.so.9"
NAMES = ("libcudnn_graph.so.9.1.0", "libcudnn_graph.so.9", "libcudnn_graph.so")
PART = resolution(LOADER, "pkg", *NAMES, found=None)
FURTHER = resolution(GRAPH, "pkg", "libcudnn_heuristic.so.9", found=None)
BLAS = resolution("pkg.libs/libpkg.so", "pkg", "libcublas.so.12", found=None)
MAPPED = f"{SITE}/{LOADER}, /opt/cudnn/libcudnn_graph.so.9"
WORKS = probe(
    *("cudnn", "pkg: libcudnn-74a4c495.so.9.1.0", "answered", trial("cudnnGetVersion")), measured={"mapped": MAPPED}
)
DIES = replace(
    WORKS, ending="crashed", reason="was killed by SIGABRT (Aborted)", trials=(trial("cudnnGetVersion", "died"),)
)


def seen(resolution: Resolution, *probes: Probe) -> Resolution:
    (corrected,) = as_seen(inventory(resolutions=(resolution,), probes=probes))
    return corrected


def test_a_loader_that_works_has_found_its_parts() -> None:
    corrected = seen(PART, WORKS)
    assert (corrected.found, corrected.rule) == ("/opt/cudnn/libcudnn_graph.so.9", SEEN)


def test_of_a_part_that_is_not_mapped_the_name_is_known() -> None:
    assert seen(PART, replace(WORKS, measured=())).found == "libcudnn_graph.so.9"


@pytest.mark.parametrize(
    "unheard",
    [
        DIES,
        replace(WORKS, ending="crashed"),
        replace(WORKS, trials=(*WORKS.trials, trial("cudnnOpsVersionCheck", "wrong"))),
        replace(WORKS, subject="other: libcudnn-74a4c495.so.9.1.0"),
        replace(WORKS, after=("torch",)),
        replace(WORKS, ending="skipped"),
        replace(WORKS, trials=(trial("open the loader"),)),
    ],
    ids=["died", "died later", "failed later", "another package", "other imports", "skipped", "made no call"],
)
def test_otherwise_the_model_is_believed(unheard: Probe) -> None:
    assert seen(PART, unheard) == PART


def test_a_death_takes_nothing_away_that_the_files_show() -> None:
    """Which of the parts is at fault is not known, and a part that is there is not unreachable."""
    there = replace(PART, found=f"{SITE}/{GRAPH}", rule="DT_RPATH")
    assert seen(there, DIES) == there


def test_a_further_part_is_judged_by_its_own_experiment() -> None:
    found = replace(WORKS, trials=(trial("libcudnn_heuristic.so.9", opened="/opt/h.so.9"),))
    assert seen(FURTHER, found).found == "/opt/h.so.9"
    assert seen(FURTHER, WORKS) == FURTHER


def test_a_library_is_found_or_lost_by_its_own_experiment() -> None:
    found = probe("library", "pkg", "answered", trial("libcublas.so.12", opened="/opt/b.so"))
    assert (seen(BLAS, found).found, seen(BLAS, found).rule) == ("/opt/b.so", SEEN)
    lost = probe("library", "pkg", "answered", trial("libcublas.so.12", "failed", "OSError: words"))
    there = replace(BLAS, found="/opt/b.so", rule="DT_RPATH")
    assert (seen(there, lost).found, seen(there, lost).rule) == (None, f"{NOT_SEEN}: OSError: words")


def test_what_a_library_needs_at_its_load_is_not_tried_by_name() -> None:
    needed = replace(BLAS, how="needed")
    assert seen(needed, probe("library", "pkg", "answered", trial("libcublas.so.12", opened="/opt/b.so"))) == needed


def test_the_import_that_fails_for_want_of_it_is_its_proof() -> None:
    needed = replace(BLAS, how="needed")
    words = "ImportError: libcublas.so.12: cannot open shared object file"
    failed = probe("import", "pkg", "raised", reason=words)
    here = inventory(resolutions=(needed,), probes=(failed,))
    assert [row.value for row in proofs(here, needed)] == [words]
    other = inventory(
        resolutions=(needed,), probes=(replace(failed, reason="ImportError: libcufft.so.11: cannot open"),)
    )
    assert proofs(other, needed) == ()


@pytest.mark.parametrize(
    ("ending", "reason", "proves"),
    [
        ("crashed", "was killed by SIGABRT (Aborted)", True),
        ("crashed", "ended with exit code 3 without an answer", True),
        ("crashed", "was killed by SIGKILL (Killed)", False),
        ("crashed", "was stopped because it held 4.0 GiB of memory", False),
        ("timed out", "did not answer in 90 s", False),
        ("stuck", "did not answer in 90 s and cannot be killed", False),
    ],
)
def test_a_child_that_was_ended_from_outside_proves_nothing(ending: str, reason: str, proves: bool) -> None:
    last = trial("cudnnGetVersion", "died", reason)
    assert bad(inventory(), probe("cudnn", "pkg: x", ending, last, reason=reason), last) is proves
