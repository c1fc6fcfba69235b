"""How much of a text was heard wrongly: the word error rate of a transcription."""

from __future__ import annotations

import unicodedata

_APOSTROPHES = str.maketrans(dict.fromkeys("‘’‛ʼ`´＇", "'"))


def word_error_rate(reference: str, heard: str) -> float:
    """Return how many words were left out, put in or replaced, at the least, for each word of the reference.

    0 is perfect; more than 1 is possible where more was heard than said. Words are compared as `normalized_words`
    returns them, so this says nothing for languages that are written without spaces. Raise ValueError for a reference
    without words.
    """
    said = normalized_words(reference)
    if not said:
        raise ValueError("the reference text has no words")
    return _distance(said, normalized_words(heard)) / len(said)


def normalized_words(text: str) -> list[str]:
    """Return the words of a text as they are compared: without case, punctuation and differences of Unicode.

    NFKC, then case folding; an apostrophe of any kind is one within a word (`don't`) and nothing at its ends; whatever
    else is no letter, accent or digit separates words, the hyphen too. Numbers stay as they are written.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    folded = unicodedata.normalize("NFKC", folded)  # folding can take composed letters apart
    kept = "".join(char if char == "'" or unicodedata.category(char)[0] in "LMN" else " " for char in folded)
    return [word for word in (part.strip("'") for part in kept.split()) if word]


def _distance(said: list[str], heard: list[str]) -> int:
    """Return Levenshtein's distance of two lists of words."""
    above = list(range(len(heard) + 1))
    for row, word in enumerate(said, 1):
        current = [row]
        for column, other in enumerate(heard, 1):
            replaced = above[column - 1] + (word != other)
            current.append(min(replaced, above[column] + 1, current[-1] + 1))
        above = current
    return above[-1]
