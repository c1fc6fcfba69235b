import datetime
import re

import pytest

from gpu_doctor.errors import FactsError
from gpu_doctor.facts import load, parse
from gpu_doctor.facts.load import ascending, newest_check, read_table, unique

GOOD = """
checked = 2026-01-02

[sources]
page = "a page"

[[row]]
name = "first"
sizes = ["1", "2"]
source = "page"

[[row]]
name = "second"
source = "page"
checked = 2026-03-04
confidence = "medium"
"""


@pytest.fixture
def table(tmp_path):
    def read(text):
        (tmp_path / "sample.toml").write_text(text, encoding="utf-8")
        return read_table("sample", tmp_path)

    return read


def broken(table, old, new):
    with pytest.raises(FactsError) as caught:
        for row in table(GOOD.replace(old, new, 1)).rows("row"):
            row.take("name", parse.text)
            row.maybe("sizes", parse.texts, ())
            row.done()
    return caught.value.message


def test_a_row_gives_its_values_source_and_date(table):
    first, second = table(GOOD).rows("row")
    assert (first.take("name", parse.text), first.take("sizes", parse.texts)) == ("first", ("1", "2"))
    assert (first.source, first.checked, first.confidence) == ("a page", datetime.date(2026, 1, 2), "high")
    assert (second.checked, second.confidence) == (datetime.date(2026, 3, 4), "medium")
    assert second.maybe("sizes", parse.texts, None) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "first"\n', "", "sample.toml, row 1 (page): name is missing"),
        (
            'name = "first"',
            "name = 3",
            "sample.toml, row 1 (3): name does not fit: 3 (Accept a text that is not empty.)",
        ),
        ('"first"', '""', "sample.toml, row 1 (): name does not fit: '' (Accept a text that is not empty.)"),
        ('["1", "2"]', '["1", "1"]', "sizes does not fit: ['1', '1'] (Accept a list of different texts.)"),
        ('source = "page"\n', "", "sample.toml, row 1 (first): source is missing"),
        ('source = "page"', 'source = "pag"', "row 1 (first): source is not one of the table's sources: 'pag'"),
        ("checked = 2026-01-02\n", "", "sample.toml, row 1 (first): checked is missing or not a date"),
        ("checked = 2026-03-04", 'checked = "2026-03-04"', "row 2 (second): checked is missing or not a date"),
        ('"medium"', '"sure"', "row 2 (second): confidence is not one of high, medium"),
        ("confidence", "confidnce", "sample.toml, row 2 (second): unknown key confidnce"),
    ],
)
def test_a_slip_is_named_with_its_table_and_row(table, old, new, message):
    assert message in broken(table, old, new)


def test_nested_rows_inherit_what_they_do_not_state(table):
    row = table(GOOD + '\n[[row.part]]\nname = "a"\n[[row.part]]\nname = "b"\nconfidence = "derived"\n').rows("row")[1]
    parts = row.rows("part")
    assert [(part.source, str(part.checked), part.confidence) for part in parts] == [
        ("a page", "2026-03-04", "medium"),
        ("a page", "2026-03-04", "derived"),
    ]
    with pytest.raises(FactsError, match=re.escape("row 2 (second), part 1 (a): source is missing")):
        row.rows("part", inherits=("checked",))


def test_a_table_without_rows_is_broken(table):
    with pytest.raises(FactsError, match=re.escape("sample.toml: no rows of rows")):
        table(GOOD).rows("rows")


def test_a_file_that_is_missing_or_not_toml_is_named(table, tmp_path):
    with pytest.raises(FactsError, match=r"absent\.toml: cannot be read: No such file"):
        read_table("absent", tmp_path)
    with pytest.raises(FactsError, match=r"sample\.toml: not TOML: "):
        table("name = [")


def test_keys_are_unique_and_ascend(table):
    rows = table(GOOD).rows("row")
    unique(zip(rows, "ab", strict=True))
    ascending(zip(rows, (1, 1), strict=True), "size")
    with pytest.raises(FactsError, match=re.escape("row 2 (second): has the same key as row 1 (first)")):
        unique(zip(rows, "aa", strict=True))
    with pytest.raises(FactsError, match=re.escape("row 2 (second): size is lower than in the row before")):
        ascending(zip(rows, (2, 1), strict=True), "size")


def test_the_newest_date_is_that_of_the_newest_row(table, tmp_path):
    table(GOOD)
    assert newest_check(tmp_path) == "2026-03-04"
    (tmp_path / "sample.toml").unlink()
    with pytest.raises(FactsError, match="no fact table"):
        newest_check(tmp_path)


def test_no_real_row_was_checked_in_the_future():
    assert datetime.date.fromisoformat(load.newest_check()) <= datetime.date.today()
