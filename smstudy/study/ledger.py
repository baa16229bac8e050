"""What a study has released so far, so that a later run does not give away the few who make the difference.

The file holds, for each run and wave, which respondents stood behind each group shown: as keyed hashes, cut short,
without answers. Groups that were hidden stand in it together only, as the report gives them away together. Whoever has
the file and the key beside it and knows all answers of a person (or the person's identifier) can find out the group
that person was counted in; both files therefore stay in the folder of the runs, where the answers themselves are at
hand, and belong in no release. The file alone, without the key, tells the sizes of groups that were shown, and no more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_bytes

from smstudy.errors import RunError

SCHEMA = 1
FILE = "ledger.json"
KEY = "ledger.key"


@dataclass(frozen=True, kw_only=True)
class Release:
    """What one run showed of one wave.

    Attributes
    ----------
    run : str
        What the run was made from (a digest of data, codebook and study); the same again shows the same again.
    case : str
        Organization and wave the answers belong to.
    closed : tuple of (unit, group)
        Groups hidden because of earlier releases.
    groups : frozenset of frozenset
        Hashes of the respondents of each shown group, and of everybody else together.
    splits : mapping of str to frozenset of frozenset
        The same for each category variable by which a table may have been split.
    lacking : mapping of str to frozenset
        Score to the hashes of those who do not have it; "all" to none, for the numbers of people.
    unrecognized : bool
        Whether most respondents of an earlier release were not recognized in this one.
    """

    run: str
    case: str
    closed: tuple[tuple[str, str], ...] = ()
    groups: frozenset[frozenset[str]] = field(default=frozenset(), repr=False)
    splits: Mapping[str, frozenset[frozenset[str]]] = field(default_factory=dict, repr=False)
    lacking: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    unrecognized: bool = False

    def sets(self, variable: str, *, split: str = "") -> list[frozenset[str]]:
        """The sets of people about whom a variable was released, by units or by a category; none if it was not."""
        if variable not in self.lacking:
            return []
        without = self.lacking[variable]
        shown = self.splits.get(split, ()) if split else self.groups
        return [frozenset().union(*self.groups) - without, *(people - without for people in shown)]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All releases of a study; immutable."""

    key: bytes = field(repr=False)
    releases: tuple[Release, ...] = ()

    def find(self, run: str, case: str) -> Release | None:
        """Find what a run showed of a case; None if it was not made."""
        return next((one for one in self.releases if (one.run, one.case) == (run, case)), None)

    def adding(self, release: Release) -> Ledger:
        """Give the ledger with one release more; the same run again replaces itself."""
        others = [one for one in self.releases if (one.run, one.case) != (release.run, release.case)]
        return replace(self, releases=(*others, release))


def read_ledger(runs: Path) -> Ledger:
    """Read the ledger of a study, or begin one.

    Parameters
    ----------
    runs : Path
        Folder of all runs of the study.

    Raises
    ------
    RunError
        If the ledger is damaged, or its key is lost.
    """
    if not (runs / FILE).is_file():
        return Ledger(key=(runs / KEY).read_bytes() if (runs / KEY).is_file() else token_bytes(32))
    try:
        content = json.loads((runs / FILE).read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(content["schema"])
        return Ledger(key=(runs / KEY).read_bytes(), releases=tuple(map(_release, content["releases"])))
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(
            f"{runs / FILE} or {KEY} beside it is damaged, so it cannot be checked what a new run would give away. "
            "Restore both, or delete both together with the runs."
        ) from None


def write_ledger(ledger: Ledger, runs: Path) -> None:
    """Write the ledger and its key beside the runs, complete or not at all; only the owner can read the key."""
    runs.mkdir(parents=True, exist_ok=True)
    if not (runs / KEY).is_file():
        _write(runs / KEY, ledger.key)
    releases = [_record(release) for release in ledger.releases]
    _write(runs / FILE, json.dumps({"schema": SCHEMA, "releases": releases}, indent=1, sort_keys=True).encode())


def _release(entry: Mapping) -> Release:
    return Release(
        run=entry["run"],
        case=entry["case"],
        closed=tuple((unit, group) for unit, group in entry["closed"]),
        groups=_sets(entry["groups"]),
        splits={name: _sets(groups) for name, groups in entry.get("splits", {}).items()},
        lacking={name: frozenset(people) for name, people in entry["lacking"].items()},
        unrecognized=bool(entry.get("unrecognized", False)),
    )


def _sets(groups: Sequence[Sequence[str]]) -> frozenset[frozenset[str]]:
    return frozenset(map(frozenset, groups))


def _record(release: Release) -> dict[str, object]:
    return {
        "run": release.run,
        "case": release.case,
        "closed": sorted(release.closed),
        "groups": sorted(map(sorted, release.groups)),
        "splits": {name: sorted(map(sorted, groups)) for name, groups in release.splits.items()},
        "lacking": {name: sorted(people) for name, people in release.lacking.items()},
        "unrecognized": release.unrecognized,
    }


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(path.name + ".new")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
