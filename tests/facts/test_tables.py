import re

import pytest
from packaging.version import Version

from gpu_doctor.facts import load
from gpu_doctor.facts.drivers import MinimumDriver
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model import architecture

TABLES = ("_gpus", "_drivers", "_torch", "_ctranslate2", "_onnxruntime", "_cudnn", "_wheels")


def test_opening_the_facts_reads_nothing(tmp_path):
    Facts.load(tmp_path / "absent")


def test_a_table_is_read_once_and_only_when_it_is_asked(monkeypatch):
    read = []

    def remember(name, folder):
        read.append(name)
        return original(name, folder)

    original = load.read_table
    monkeypatch.setattr(load, "read_table", remember)
    facts = Facts.load()
    assert facts.cuda_generation("nvidia-cublas") == facts.cuda_generation("nvidia-cufft")
    assert read == ["wheels"]


@pytest.mark.parametrize("table", TABLES)
def test_every_real_table_holds_its_invariants(table):
    getattr(Facts.load(), table)


def test_the_date_is_the_newest_of_all_tables():
    tables = [load.read_table(file.stem) for file in load.FOLDER.glob("*.toml")]
    rows = [
        row
        for table in tables
        for kind, found in table.data.items()
        if isinstance(found, list)
        for row in table.rows(kind)
    ]
    assert Facts.load().date == str(max(row.checked for row in rows))


def test_rows_hold_values_never_sentences_or_commands():
    def texts(value):
        if isinstance(value, dict):
            return [text for item in value.values() for text in texts(item)]
        if isinstance(value, list):
            return [text for item in value for text in texts(item)]
        return [value] if isinstance(value, str) else []

    for file in load.FOLDER.glob("*.toml"):
        data = load.read_table(file.stem).data
        found = [text for kind, rows in data.items() if isinstance(rows, list) for text in texts(rows)]
        assert [text for text in found if len(text.split()) > 12 or text.endswith(".") or "pip install" in text] == []


def test_the_pins_of_a_build_are_of_its_cuda_generation():
    facts = Facts.load()
    pins = [(build, pin) for build in facts.torch_builds() for pin in build.pins if pin.startswith("nvidia-")]
    strangers = [
        f"{build.release}+{build.tag}: {pin}"
        for build, pin in pins
        if facts.cuda_generation(re.split("[<>=~]", pin)[0]) != build.cuda.major
    ]
    assert strangers == []
    assert len(pins) > 300


def test_every_cuda_that_a_build_needs_has_a_driver():
    facts = Facts.load()
    for cuda in {build.cuda for build in facts.torch_builds()}:
        assert isinstance(facts.minimum_driver(cuda), MinimumDriver), cuda
        assert facts.driver_cuda(Version("615.1")) >= cuda


def test_every_architecture_in_the_tables_is_that_of_a_gpu():
    facts = Facts.load()
    machines = [build for machine in ("x86_64", "aarch64") for build in facts.torch_builds(machine=machine)]
    lists = [item.sass + item.ptx for item in (*machines, *facts.ctranslate2_releases())]
    lists += [item.sass + item.ptx for item in facts.onnxruntime_releases() if item.sass is not None]
    for name in {name for names in lists for name in names}:
        assert facts.find_gpu(name).capability == architecture.parse(name)[0]
