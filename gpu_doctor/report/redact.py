"""Take secrets and names of people and machines out of a report, and leave everything else as it is.

Names go by whole word and whole path component: the user `root` leaves `root-cause` alone. Keys of a document are never
touched, so what is redacted has the same shape and is read by the same programs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import quote

from gpu_doctor.model.bench import Workload
from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.comparison import Comparison
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.plan import Plan
from gpu_doctor.report import secrets

_Noun = TypeVar("_Noun")
_Kind = TypeVar("_Kind")

USER, HOST, HOME = "[user]", "[host]", "~"

# Names of nobody: in a report such a word is a package, a tool or a state, and replacing it would hide the illness.
_NOBODY = frozenset(
    {
        *("root", "user", "admin", "nobody", "ubuntu", "debian", "centos", "runner", "vscode", "codespace", "jovyan"),
        *("app", "docker", "jenkins", "gitlab-runner", "ec2-user", "host", "localhost", "gpu", "cuda", "nvidia"),
        *(
            "python",
            "pip",
            "uv",
            "conda",
            "mamba",
            "poetry",
            "pipenv",
            "system",
            "colab",
            "torch",
            "home",
            "opt",
            "usr",
        ),
        *("linux", "library", "error", "warning", "note"),
    }
)
_NAMED = ("USER", "LOGNAME", "USERNAME", "SUDO_USER")
_SHORT = 3
_PACKAGES = re.compile(r"(?:site|dist)-packages/[^\s:'\"=]*\Z")
_HOMES = re.compile(r"(?<![\w.~\]-])(/(?:home|Users)/)(?!\[user\])([\w.-]+)(?=/|$|[^\w.-])")


@dataclass(frozen=True, slots=True)
class Private:
    """Hold what must not be told: names of people, of machines, home folders and secrets, the longest first.

    `components` are names that are also ordinary words: they are replaced as a part of a path alone.
    """

    names: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str], user: str = "", host: str = "", home: str = "") -> Private:
        """Return what these say of a person and a machine; the variables add other names and the secrets in them."""
        homes = _homes(home, environ.get("HOME", ""))
        people = {user, *(environ.get(name, "") for name in _NAMED), *(h.rpartition("/")[2] for h in homes)}
        nobody = _NOBODY | _vocabulary()
        people = {name for name in people if name and name.lower() not in nobody}
        machines = {full for full in (host, environ.get("HOSTNAME", "")) if full}
        machines |= {full.partition(".")[0] for full in machines}
        return cls(
            names=_longest(name for name in people if len(name) >= _SHORT),
            components=_longest(name for name in people if len(name) < _SHORT),
            hosts=_longest(m for m in machines if len(m) >= _SHORT and m.lower() not in nobody),
            homes=_longest(homes),
            secrets=_longest(secrets.in_variables(environ)),
        )

    def also_at(self, home: str) -> Private:
        """Return the same, with another path of the home folder."""
        return replace(self, homes=_longest((*self.homes, *_homes(home))))

    def sparing(self, words: Iterable[str]) -> Private:
        """Return the same, with names that are also these words (packages, say) replaced as parts of paths alone."""
        spared = {word.lower() for word in words}
        both = {name for name in self.names if name.lower() in spared}
        if not both and spared.isdisjoint(host.lower() for host in self.hosts):
            return self
        return replace(
            self,
            names=tuple(name for name in self.names if name not in both),
            components=_longest({*self.components, *both}),
            hosts=tuple(host for host in self.hosts if host.lower() not in spared),
        )


NOBODY = Private()


def redacted(noun: _Noun, private: Private = NOBODY) -> _Noun:
    """Return a report, or a tuple of nouns, without secrets and private names; what belongs together still does."""
    packages = (package.name for inventory in _held(noun, Inventory) for package in inventory.distributions)
    careful = private.sparing(packages)
    told: _Noun = _changed(noun, str, lambda words: text(words, careful))
    # The fingerprint of a cause follows from its words, which are new.
    new = {a.fingerprint: b.fingerprint for a, b in zip(_held(noun, Finding), _held(told, Finding), strict=True)}
    joined: _Noun = _changed(
        told, Finding, lambda one: replace(one, consequence_of=new.get(one.consequence_of, one.consequence_of))
    )
    return joined


def plain(document: object, private: Private = NOBODY) -> object:
    """Return a JSON-like document without secrets and private names in its values; its keys stay as they are."""
    careful = private.sparing(_package_names(document))
    return _plain(document, careful, "")


def text(words: str, private: Private = NOBODY) -> str:
    """Return a text without secrets, with home folders as `~` and private names replaced; doing it twice is once."""
    struck = secrets.strike(words, private.secrets)
    told = _without_homes(struck, private)
    for pattern, instead in _patterns(private):
        told = pattern.sub(instead, told)
    # What was a path may look like a part of a URL now.
    return told if told == struck else secrets.strike(told)


def unquoted(words: str) -> str:
    """Return shell lines with a home folder that a shell expands: `'~/my venv'` is `~/'my venv'`."""
    return re.sub(r"'~/([^'\n]*)'", lambda m: f"~/{shlex.quote(m[1]) if m[1] else ''}", words)


def _without_homes(words: str, private: Private) -> str:
    if "/" not in words:
        return words
    for home in private.homes:
        for spelled in {home, quote(home)}:
            if spelled in words:
                words = _home_pattern(spelled).sub(lambda m: f"/{HOME}" if m[1] else HOME, words)
    return _HOMES.sub(rf"\1{USER}", words)


@lru_cache(maxsize=64)
def _home_pattern(home: str) -> re.Pattern[str]:
    # In file:///home/ada the path begins after two slashes, and is no longer one without its own.
    return re.compile(rf"(?:(?<=(:)//)|(?<![\w./~-])){re.escape(home)}(?=/|\Z|[^\w.-])")


Replacement = Callable[[re.Match[str]], str] | str


@lru_cache(maxsize=16)
def _patterns(private: Private) -> tuple[tuple[re.Pattern[str], Replacement], ...]:
    found: list[tuple[re.Pattern[str], Replacement]] = []
    if private.hosts:
        found.append((re.compile(rf"(?<![\w-])(?:{_any(private.hosts)})(?![\w-])", re.IGNORECASE), HOST))
    if private.names:
        found.append((re.compile(rf"(?<![\w-])(?:{_any(private.names)})(?![\w-])"), USER))
    if private.components:
        found.append((re.compile(rf"(?<=/)(?:{_any(private.components)})(?=/|\Z|[\s:'\"])"), _component))
    return tuple(found)


def _component(match: re.Match[str]) -> str:
    """Return what stands for a name in a path: below site-packages it is a package's."""
    return match[0] if _PACKAGES.search(match.string[: match.start()]) else USER


def _changed(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Return a noun with everything of this kind in it changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, tuple):
        told = tuple(_changed(item, kind, change) for item in value)
        return value if all(a is b for a, b in zip(told, value, strict=True)) else told
    if not _has_parts(value, kind):
        return value
    changed = {}
    for field in fields(value):
        old = getattr(value, field.name)
        # What the rules say of themselves is the doctor's own, and their patterns must stay what they are.
        if isinstance(value, Case) and field.name == "rules":
            continue
        new = _changed(old, kind, change)
        if new is not old and new != old:
            changed[field.name] = new
    return replace(value, **changed) if changed else value


def _held(value: Any, kind: type[_Kind]) -> Iterator[_Kind]:
    """Yield everything of this kind in a noun, in the order in which it stands there."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _held(item, kind)
    elif _has_parts(value, kind):
        for field in fields(value):
            yield from _held(getattr(value, field.name), kind)


def _has_parts(value: Any, kind: type) -> bool:
    """Tell whether a value is a noun in which this kind may stand; an inventory is large, and has no findings."""
    whole = kind is Finding and isinstance(value, Inventory)
    return is_dataclass(value) and not isinstance(value, type) and not whole


def _plain(value: object, private: Private, key: str) -> object:
    if isinstance(value, str):
        if secrets.is_secret_name(key) and value:
            return secrets.REMOVED
        return text(value, private)
    if isinstance(value, Mapping):
        # {"name": "HF_TOKEN", "value": …}: the name of the value is a value itself.
        named = str(value.get("name", "")) if isinstance(value.get("value"), str) else ""
        return {k: _plain(v, private, named if k == "value" and named else str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, private, key) for item in value]
    return value


def _package_names(document: object) -> Iterator[str]:
    if isinstance(document, Mapping):
        packages = document.get("distributions")
        for package in packages if isinstance(packages, list) else ():
            if isinstance(package, Mapping):
                yield str(package.get("name", ""))
        for key in ("inventory", "cases"):
            yield from _package_names(document.get(key))
    elif isinstance(document, list):
        for item in document:
            yield from _package_names(item)


def _homes(*paths: str) -> list[str]:
    """Return the paths that can be home folders: `/` and relative ones are none."""
    return [path.rstrip("/") for path in paths if path.startswith("/") and path.rstrip("/")]


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    """Return the words that the nouns are written with, such as `passed`: a name like them stays, or they would go."""
    words: set[str] = set()
    seen: set[Any] = set()
    late = {"Plan": Plan, "Comparison": Comparison, "Workload": Workload}  # a case imports them for type checkers alone
    waiting: list[Any] = [Report]
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if get_origin(kind) is Literal:
            words.update(word for word in get_args(kind) if isinstance(word, str))
        elif is_dataclass(kind):
            waiting.extend(get_type_hints(kind, localns=late).values())
        else:
            waiting.extend(get_args(kind))
    return frozenset(words)


def _longest(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words), key=lambda word: (-len(word), word)))


def _any(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))
