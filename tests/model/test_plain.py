"""An inventory survives the way to JSON and back; a document that is not one is refused with the place named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from gpu_doctor.errors import UsageError
from gpu_doctor.model import plain
from gpu_doctor.model.inventory import UNASKED, Inventory
from gpu_doctor.model.libraries import Tried
from gpu_doctor.model.unknown import Unknown, known
from tests import kit

st.register_type_strategy(Version, st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3}){0,3}(\+cu[0-9]{1,3})?\Z").map(Version))

# No clock measures an endless time, and JSON has no word for it.
st.register_type_strategy(float, st.floats(min_value=0, allow_nan=False, allow_infinity=False))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.from_type(Inventory))
def test_every_inventory_survives_the_way_to_json_and_back(inventory: Inventory) -> None:
    assert plain.loads(plain.dumps(inventory)) == inventory


def test_the_search_of_a_resolution_survives_although_repr_hides_it() -> None:
    resolution = kit.resolution("a.so", None, "libb.so", found=None, tried=(Tried("/x/libb.so", "cache", "absent"),))
    inventory = kit.inventory(resolutions=(resolution,))
    assert plain.loads(plain.dumps(inventory)).resolutions[0].tried == resolution.tried


def test_what_is_unknown_is_said_with_its_reason() -> None:
    document = plain.to_plain(kit.inventory(gpus=Unknown("no NVML here"), driver=None))
    assert document["gpus"] == {"unknown": "no NVML here"}
    assert document["driver"] is None


def test_versions_are_strings() -> None:
    document = plain.to_plain(kit.inventory(kit.dist("torch", "2.8.0", cuda="12.8")))
    assert document["distributions"][0]["version"] == "2.8.0"
    assert document["distributions"][0]["built_for"]["cuda"] == "12.8"


def test_the_text_is_ascii_even_where_a_path_is_not_text() -> None:
    inventory = kit.inventory(kit.dist("torch", "2.8.0", location="/opt/\udcff\u202e\x1b"))
    text = plain.dumps(inventory)
    assert text.isascii()
    assert plain.loads(text) == inventory


def test_a_field_of_a_later_version_is_passed_over() -> None:
    document = plain.to_plain(kit.inventory())
    assert plain.from_plain({**document, "weather": "fine"}) == kit.inventory()


def test_what_was_asked_survives_with_all_that_a_crash_left_behind() -> None:
    crash = kit.probe(
        "import", "torch", "crashed", kit.trial("load", "died", "SIGSEGV", bytes="9"), measured={"version": "2.8.0"},
        reason="was killed by SIGSEGV", loading="/opt/a.so", stack=("a.py:1 in f",), log="x\ny", after=("jax",),
        seconds=1.5,
    )  # fmt: skip
    assert plain.loads(plain.dumps(kit.inventory(probes=(crash,)))).probes == (crash,)


def test_an_inventory_of_before_there_were_live_questions_is_one_of_files_only() -> None:
    document = plain.to_plain(kit.inventory())
    del document["probes"]
    assert plain.from_plain(document).probes == UNASKED


def test_a_whole_number_of_seconds_is_a_number() -> None:
    document = damaged("probes", 0, "seconds", value=2)
    (probe,) = known(plain.from_plain(document).probes)
    assert probe.seconds == 2.0


def refused(document: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        plain.from_plain(document)
    return caught.value


def damaged(*path: str | int, value: Any) -> dict[str, Any]:
    """A good document with one value replaced."""
    probes = (kit.probe("torch-gpu", "GPU 0", "answered", kit.trial("matmul")),)
    document = json.loads(plain.dumps(kit.inventory(kit.dist("torch", "2.8.0"), probes=probes)))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return dict(document)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("host", "cpu_count"), "8", "inventory.host.cpu_count"),
        (("host", "cpu_count"), True, "inventory.host.cpu_count"),
        (("host", "devices"), "abc", "inventory.host.devices"),
        (("distributions", 0, "version"), "not a version", "inventory.distributions[0].version"),
        (("distributions", 0, "version"), 2, "inventory.distributions[0].version"),
        (("interpreter", "manager"), "rpm", "inventory.interpreter.manager"),
        (("gpus", 0, "capability"), [8, 9, 0], "inventory.gpus[0].capability"),
        (("gpus",), {"unknown": 5}, "inventory.gpus"),
        (("target",), None, "inventory.target"),
        (("probes", 0, "seconds"), "1", "inventory.probes[0].seconds"),
        (("probes", 0, "seconds"), float("nan"), "inventory.probes[0].seconds"),
        (("probes", 0, "seconds"), 10**400, "inventory.probes[0].seconds"),
        (("probes", 0, "ending"), "asleep", "inventory.probes[0].ending"),
        (("probes", 0, "kind"), "palm", "inventory.probes[0].kind"),
        (("probes", 0, "trials", 0, "outcome"), "maybe", "inventory.probes[0].trials[0].outcome"),
        (("probes",), {"unknown": 5}, "inventory.probes"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(path: tuple[str | int, ...], value: Any, named: str) -> None:
    assert named in refused(damaged(*path, value=value)).message


def test_many_mistakes_are_counted_not_listed() -> None:
    message = refused({"schema": plain.SCHEMA}).message
    assert "target" in message
    assert message.endswith("more")
    assert len(message) < 700


def test_a_report_is_not_an_inventory() -> None:
    error = refused({"schema": "gpu-doctor/report/1"})
    assert "gpu-doctor/report/1" in error.message
    assert "gpu-doctor inventory" in error.hint


def test_a_newer_inventory_asks_for_a_newer_doctor() -> None:
    assert refused({"schema": "gpu-doctor/inventory/2"}).hint == "update gpu-doctor"


@pytest.mark.parametrize("document", [[], "text", None, {}, {"schema": 1}])
def test_other_json_is_refused(document: object) -> None:
    assert refused(document).exit_code == 2


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, "1" * 5000, "\x00"])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an inventory"):
        plain.loads(text)
