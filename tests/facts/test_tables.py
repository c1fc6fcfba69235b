import pytest

from gpu_doctor.facts import load
from gpu_doctor.facts.tables import Facts

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
