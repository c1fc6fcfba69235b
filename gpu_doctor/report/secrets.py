"""Strike secrets out of a text: in URLs, in the forms in which services hand them out, and after names that say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

REMOVED = "***"

_SHORTEST = 8
_NAME = re.compile(
    r"(?:^|[_.-])(?:TOKEN|SECRET|PASSW(?:OR)?D|PASSWD|PWD|PASSPHRASE|CREDENTIALS?|AUTH|SIG(?:NATURE)?"
    r"|(?:API|ACCESS|PRIVATE|SECRET|ACCOUNT)[_.-]?KEY|KEY)(?:$|[_.-])",
    re.IGNORECASE,
)
# Variables that end like this name a folder or a file, as PWD and OLDPWD do.
_NO_SECRET = re.compile(r"\A(?:OLD)?PWD\Z|_(?:PATH|FILE|DIR|SOCK|HOME|TYPE|METHOD|BACKEND)\Z", re.IGNORECASE)

_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)([^\s'\"<>`]+)")
_QUERY = re.compile(r"([?&;][\w.~%+\[\]-]+=)([^&;#]+)")
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)
# The forms in which services hand out keys: Hugging Face, GitHub, GitLab, OpenAI and those who follow it, NVIDIA,
# Amazon, Google, Slack, package indexes, container registries, and signed tokens of any service.
_FORMS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{16,}|gh[a-z]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|(?:sk|nvapi)-[\w-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{30,}|xox[a-z]-[\w-]{10,}|npm_\w{30,}|pypi-[\w-]{30,}|dckr_pat_[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
    r")"
)
_BEARER = re.compile(r"\b(Bearer|Authorization:\s*\w+)(\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
# `token`, not `tokens` and `tokenizer`; `auth`, not `author`.
_SAYS_SO = (
    r"token(?!s|iz)|secret|passw(?:or)?d|passwd|passphrase|credentials?|(?:api|access|private)[_-]?key|auth(?![a-z])"
)
_SUSPECT = re.compile(rf"{_SAYS_SO}|key|bearer|authorization", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(?<![\w-])([\w-]*(?:{_SAYS_SO})[\w-]*[\"']?\s*[=:]\s*[\"']?)(?!\*\*\*)([^\s\"'&;,]+)", re.IGNORECASE
)
_OPTION = re.compile(rf"(?<![\w-])(--[\w-]*(?:{_SAYS_SO})[\w-]*\s+)(?![-*])([^\s\"']+)", re.IGNORECASE)
_KEYED = re.compile(
    r"(?<![\w-])([\w-]*key[\"']?\s*[=:\s]\s*[\"']?)(?:[0-9a-f]{16,}|(?=[\w-]*\d)[\w-]{24,})(?!\w)", re.I
)


def strike(words: str, known: Iterable[str] = ()) -> str:
    """Return the text with `***` for what is a secret by its form, by the name before it, or because it is known."""
    for secret in known:
        words = words.replace(secret, REMOVED)
    if "://" in words:
        words = _URL.sub(lambda m: m[1] + _struck_url(m[2]), words)
    if "PRIVATE KEY" in words:
        words = _PEM.sub(REMOVED, words)
    words = _FORMS.sub(REMOVED, words)
    # Most values of an inventory say nothing of the kind, and there are tens of thousands of them.
    if not _SUSPECT.search(words):
        return words
    words = _BEARER.sub(rf"\1\2{REMOVED}", words)
    words = _ASSIGNED.sub(rf"\1{REMOVED}", words)
    words = _OPTION.sub(rf"\1{REMOVED}", words)
    return _KEYED.sub(rf"\1{REMOVED}", words)


def is_secret_name(name: str) -> bool:
    """Tell whether something of this name (a variable, a key of a document) holds a secret."""
    return bool(_NAME.search(name)) and not _NO_SECRET.search(name)


def in_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets among these variables: values of names that say so, and passwords in URLs."""
    for name, value in environ.items():
        if is_secret_name(name) and len(value) >= _SHORTEST and not value.startswith(("/", ".", "~")):
            yield value
        for url in _URL.finditer(value):
            userinfo = url[2].partition("/")[0].rpartition("@")[0]
            for part in userinfo.split(":")[1:]:
                yield from {word for word in (part, unquote(part)) if len(word) >= _SHORTEST}


def _struck_url(rest: str) -> str:
    """Return a URL after its `://` without userinfo and without the values of its query."""
    authority, slash, path = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    if at and userinfo != REMOVED:
        authority = f"{REMOVED}@{host}"
    return _QUERY.sub(lambda m: m[1] + REMOVED, authority + slash + path) if "?" in rest else authority + slash + path
