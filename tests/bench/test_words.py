"""The word error rate: what counts as a word, what as an error, and the laws of a distance."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.bench.words import normalized_words, word_error_rate

SAID = "The quick brown fox doesn't jump over the lazy dog."
FEW = st.lists(st.sampled_from(("one", "two", "three", "don't")), max_size=6)
SOME = st.lists(st.sampled_from(("one", "two", "three", "don't")), min_size=1, max_size=6)


def text(words: list[str]) -> str:
    return " ".join(words)


# --- Known cases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        pytest.param(SAID, 0, id="all of it"),
        pytest.param("the quick brown fox doesn't jump over the lazy", 1, id="a word left out"),
        pytest.param("the quick brown red fox doesn't jump over the lazy dog", 1, id="a word put in"),
        pytest.param("the quick brown box doesn't jump over the lazy dog", 1, id="a word replaced"),
        pytest.param("quick the brown fox doesn't jump over the lazy dog", 2, id="two words exchanged"),
        pytest.param("", 10, id="nothing"),
        pytest.param("so " * 25, 25, id="more than was said"),
    ],
)
def test_each_wrong_word_counts_once(heard: str, errors: int) -> None:
    assert word_error_rate(SAID, heard) == errors / 10


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("well-known – “quoted”…", ["well", "known", "quoted"]),
        ("don’t DON'T don`t donʼt", ["don't"] * 4),
        ("'single' rock 'n' roll", ["single", "rock", "n", "roll"]),
        ("ﬁne １２ Ⅳ", ["fine", "12", "iv"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("in 1998, 3.5 km", ["in", "1998", "3", "5", "km"]),
        ("one\ttwo\n three\u00a0four", ["one", "two", "three", "four"]),
        (" ' -- … ", []),
    ],
)
def test_words_are_compared_without_how_they_are_written(written: str, words: list[str]) -> None:
    assert normalized_words(written) == words


def test_another_word_is_another_word() -> None:
    assert word_error_rate("its", "it's") == 1
    assert word_error_rate("cafe", "café") == 1


@pytest.mark.parametrize("reference", ["", "  \n", "…!?", "''"])
def test_without_words_there_is_no_rate(reference: str) -> None:
    with pytest.raises(ValueError, match="the reference text has no words"):
        word_error_rate(reference, "anything")


# --- Laws -------------------------------------------------------------------------------------------------------------


def by_definition(said: tuple[str, ...], heard: tuple[str, ...]) -> int:
    @cache
    def errors(i: int, j: int) -> int:
        if not i or not j:
            return i or j
        same = said[i - 1] == heard[j - 1]
        return min(errors(i - 1, j - 1) + (not same), errors(i - 1, j) + 1, errors(i, j - 1) + 1)

    return errors(len(said), len(heard))


@given(SOME, FEW)
def test_it_is_the_least_number_of_changes(said: list[str], heard: list[str]) -> None:
    assert word_error_rate(text(said), text(heard)) == by_definition(tuple(said), tuple(heard)) / len(said)


@given(SOME, FEW)
def test_it_lies_between_the_surplus_and_the_longer_text(said: list[str], heard: list[str]) -> None:
    rate = word_error_rate(text(said), text(heard))
    assert abs(len(said) - len(heard)) / len(said) <= rate <= max(len(said), len(heard)) / len(said)


@given(SOME, SOME)
def test_both_ways_are_equally_far(said: list[str], heard: list[str]) -> None:
    there, back = word_error_rate(text(said), text(heard)), word_error_rate(text(heard), text(said))
    assert round(there * len(said)) == round(back * len(heard))


@given(SOME, SOME, SOME)
def test_no_detour_is_shorter(first: list[str], second: list[str], third: list[str]) -> None:
    def far(one: list[str], other: list[str]) -> int:
        return round(word_error_rate(text(one), text(other)) * len(one))

    assert far(first, third) <= far(first, second) + far(second, third)


@given(SOME, FEW, st.text(max_size=40))
def test_case_punctuation_and_space_change_nothing(said: list[str], heard: list[str], noise: str) -> None:
    marks = (
        "".join(char for char in noise if not char.isalnum() and not normalized_words(char) and char not in "'’") or " "
    )
    dressed = (marks + " ").join(word.upper() for word in heard) + "!"
    assert word_error_rate(text(said), dressed) == word_error_rate(text(said), text(heard))


@given(st.text(max_size=60))
def test_what_is_normalized_stays_so(written: str) -> None:
    once = normalized_words(written)
    assert normalized_words(text(once)) == once
    if once:
        assert word_error_rate(written, text(once)) == 0
