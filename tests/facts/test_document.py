import pytest

from gpu_doctor.facts import document
from gpu_doctor.facts.load import FOLDER

TABLE = """
# Which things there are.
checked = 2026-01-02

[sources]
page = "a page | with a bar"

# Things, oldest first.
[[thing]]
name = "one"
parts = [["a", 1, 2], ["b"]]
bounds = "<2"
good = true
source = "page"

[[thing]]
name = "two"
source = "page"
confidence = "medium"

[[thing.build]]
tag = "x"
"""

PAGE = r"""
- [sample](#sample)

## sample

Which things there are.

Checked 2026-01-02.

### thing

Things, oldest first.

| name | parts | bounds | good | source | confidence |
| --- | --- | --- | --- | --- | --- |
| one | a (1, 2), b | &lt;2 | yes | page |  |
| two |  |  |  | page | medium |

### thing, build

| thing | tag |
| --- | --- |
| two | x |

Sources:

- `page`: a page \| with a bar
"""


def test_a_table_is_rendered(tmp_path):
    (tmp_path / "sample.toml").write_text(TABLE, encoding="utf-8")
    head, _, rest = document.page(tmp_path).partition("- [sample]")
    assert "as of 2026-01-02" in head
    assert "\n- [sample]" + rest == PAGE


def test_the_page_says_what_the_tables_say():
    assert document.main(["--check"]) == 0, "run python -m gpu_doctor.facts.document"


def test_every_gpu_and_every_source_is_on_the_page():
    text = document.page()
    assert "GeForce RTX 5090 (32)" in text
    assert text.count("\n## ") == len(list(FOLDER.glob("*.toml")))


def test_check_tells_a_stale_page_and_writing_heals_it(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "PAGE", tmp_path / "facts.md")
    assert document.main(["--check"]) == 1
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0
    (tmp_path / "facts.md").write_text("old", encoding="utf-8")
    assert document.main(["--check"]) == 1


@pytest.mark.parametrize("forbidden", ["{'", "[["])
def test_no_python_or_toml_shows_through(forbidden):
    assert forbidden not in document.page()
