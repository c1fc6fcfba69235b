"""The list of rules, and the words of one."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.report import as_rules
from gpu_doctor.report.paper import Look
from tests.report.patients import RULES

DOC = """It is too old.

What it finds. A driver below the line, in lines that were wrapped
for the source.

- first
  and more
- second"""


def test_the_list_shows_id_severity_and_title_and_what_is_broken() -> None:
    pairs = [(RULES[0], ""), (RULES[3], ""), (RULES[4], "ImportError: no module named 'x'")]
    assert (
        as_rules.listed(pairs, Look(width=60))
        == """\
driver-too-old        error          The driver is too old
library-path-shadows  warning        LD_LIBRARY_PATH shadows
                                     a library
kernel-image-missing  BROKEN   ImportError: no module named
                               'x'
"""
    )


def test_a_rule_that_asks_live_says_what() -> None:
    rule = replace(RULES[2], probes=("import", "cudnn"))
    assert (
        as_rules.listed([(rule, "")], Look()) == "cudnn-unreachable  error    live  A package cannot open its cuDNN\n"
    )
    assert as_rules.explained(rule, "", "", Look()).startswith(
        "cudnn-unreachable (error at worst; stage: libraries; asks live: import, cudnn)\n"
    )


def test_an_explanation_wraps_prose_anew_and_keeps_lists() -> None:
    assert (
        as_rules.explained(RULES[0], DOC, "", Look(width=60))
        == """\
driver-too-old (error at worst; stage: host)

It is too old.

What it finds. A driver below the line, in lines that were
wrapped for the source.

- first
  and more
- second
"""
    )


def test_a_broken_rule_says_so() -> None:
    assert "this rule cannot be loaded: boom" in as_rules.explained(RULES[0], "", "boom", Look())
