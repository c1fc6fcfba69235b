"""Read which distribution owns which file, from the RECORD files."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpu_doctor.model.inventory import Distribution, Observation
from gpu_doctor.readers.text import read_text

_RECORD_LIMIT = 64 << 20
_MOST_LINES = 500_000  # torch has 12,000
# bin, share and include of an environment lie three folders above its site-packages.
_HIGHEST = "../../../"
_ODD_STARTS = frozenset('./"')


@dataclass(frozen=True, slots=True)
class Claim:
    """Hold what a RECORD says of one file: `algorithm=digest` (empty: nothing) and size in bytes."""

    digest: str
    size: int | None

    @property
    def empty(self) -> bool:
        """Tell whether a RECORD says nothing of the content, as of what was placed after the installation."""
        return not self.digest and self.size is None


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one distribution's files: paths relative to its site folder with the rest of their line, unparsed.

    Most lines of a RECORD are never asked about; `claim` parses the others.
    """

    distribution: Distribution
    files: dict[str, str]

    def claim(self, path: str) -> Claim:
        """Return what this RECORD says of a file that it lists."""
        digest, _, size = self.files[path].rpartition(",")
        return Claim(digest, int(size) if size.isdecimal() and len(size) < 20 else None)


class Records:
    """Answer who owns a file; `shared` maps site folders to the paths that several active distributions claim."""

    def __init__(self, records: Sequence[Record], observations: Iterable[Observation] = ()) -> None:
        self.records = tuple(records)
        self.observations = tuple(observations)
        self.shared = _shared(self.records)
        self._owners: dict[str, str] | None = None

    @property
    def owners(self) -> dict[str, str]:
        """Return the owner of every recorded file by absolute path; a shared file belongs to whose size it has."""
        if self._owners is None:
            owners: dict[str, str] = {}
            for record in reversed(self.records):  # the earlier folder of the search path counts
                prefix, name = record.distribution.location + "/", record.distribution.name
                owners.update({prefix + path: name for path in record.files})
            for site, paths in self.shared.items():
                for path, claimants in paths.items():
                    owners[f"{site}/{path}"] = _likely_owner(f"{site}/{path}", path, claimants)
            self._owners = owners
        return self._owners

    def owner_of(self, path: str) -> str | None:
        """Return the distribution whose RECORD lists this absolute path, or None."""
        return self.owners.get(os.path.normpath(path))

    def placed(self, path: str) -> bool:
        """Tell whether this absolute path is listed without size and digest, as a repair lists its links."""
        mine = (r for r in self.records if path.startswith(f"{r.distribution.location}/"))
        names = ((r, path.removeprefix(f"{r.distribution.location}/")) for r in mine)
        claims = [record.claim(name) for record, name in names if name in record.files]
        return bool(claims) and all(claim.empty for claim in claims)


def read_records(distributions: Iterable[Distribution]) -> Records:
    """Read the RECORD of every distribution that has one; what makes no sense in it becomes an observation."""
    records, observations = [], []
    for distribution in distributions:
        if not distribution.record:
            continue
        where = f"{distribution.metadata}/RECORD"
        text = read_text(where, limit=_RECORD_LIMIT)
        if text is None:
            observations.append(Observation(where, "cannot be read"))
            continue
        if text.count("\n") > _MOST_LINES:
            observations.append(Observation(where, f"has more than {_MOST_LINES} lines; ignored"))
            continue
        files, strange = parse_record(text)
        if strange:
            what = (
                f"lists {len(strange)} paths that leave the environment or make no sense, such as {strange[0][:200]!r}"
            )
            observations.append(Observation(where, f"{what}; ignored"))
        records.append(Record(distribution, files))
    return Records(records, observations)


def parse_record(text: str) -> tuple[dict[str, str], list[str]]:
    """Return ({path: `digest,size`}, lines that make no sense); paths are normalised, relative to the site folder."""
    files: dict[str, str] = {}
    odd = []
    for line in text.replace("\0", "\ufffd").split("\n"):
        path, comma, rest = line.partition(",")
        if not comma or not path or line[0] in _ODD_STARTS or "/." in path or "//" in path:
            odd.append(line)
        else:
            files[path] = rest
    strange = []
    for line in odd:
        if not line.strip():
            continue
        parsed = _parse_odd(line)
        if parsed is None:
            strange.append(line)
        else:
            files[parsed[0]] = parsed[1]
    if "\r" in text:
        files = {path: rest.rstrip("\r") for path, rest in files.items()}
    return files, strange


def is_content(path: str) -> bool:
    """Tell whether a recorded path is one of a package's own files: no bytecode, no metadata, no script."""
    return not (path.endswith(".pyc") or ".dist-info/" in path or path.startswith("../"))


def _parse_odd(line: str) -> tuple[str, str] | None:
    """Parse a line with quotes, dots or doubled slashes; None where its path is absolute or leaves the environment."""
    try:
        row = next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error:
        return None
    if len(row) != 3 or not row[0] or row[0].startswith("/"):
        return None
    path = os.path.normpath(row[0])
    if path.startswith(_HIGHEST + ".."):
        return None
    return path, f"{row[1]},{row[2]}"


def _shared(records: Sequence[Record]) -> dict[str, dict[str, tuple[Record, ...]]]:
    by_site: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.distribution.active:
            by_site[record.distribution.location].append(record)
    shared = {}
    for site, owners in by_site.items():
        distinct = len(set().union(*(record.files for record in owners)))
        if distinct == sum(len(record.files) for record in owners):
            continue
        counts = Counter(path for record in owners for path in record.files)
        twice = sorted(path for path, count in counts.items() if count > 1)
        shared[site] = {path: tuple(r for r in owners if path in r.files) for path in twice}
    return shared


def _likely_owner(full: str, path: str, claimants: tuple[Record, ...]) -> str:
    """Return the owner whose recorded size the file has, else the first; hashing is left to who needs proof."""
    try:
        size = os.stat(full).st_size
    except OSError:
        size = None
    fitting = [record for record in claimants if size is not None and record.claim(path).size == size]
    return (fitting or claimants)[0].distribution.name
