"""What can go wrong, by family; each family has its own exit code."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SmstudyError(Exception):
    """Anything a user can mend. The message says what is wrong, what is allowed and what to do."""

    exit_code = 1


class StudyError(SmstudyError):
    """`study.yml`, a parameter or the folder of a study is wrong."""

    exit_code = 10


class CodebookError(SmstudyError):
    """`codebook.yml` is wrong, or does not fit the export."""

    exit_code = 11


class DataError(SmstudyError):
    """The data cannot be read, or cannot carry the analysis asked for."""

    exit_code = 12


class ColumnError(DataError):
    """The data have no column, item or score of the name given; nothing goes on without it."""


class DisclosureError(SmstudyError):
    """What was asked for would show something about a person or a small group."""

    exit_code = 13


class RunError(SmstudyError):
    """A notebook or the machine stopped the run; earlier runs are untouched."""

    exit_code = 14


class EstimationError(SmstudyError):
    """The numbers asked for do not exist or cannot be computed to the promised digits."""

    exit_code = 15


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Name the closest allowed word, else list what is allowed.

    >>> did_you_mean("outcom", ["outcome", "min_n"])
    'Did you mean "outcome"?'
    >>> did_you_mean("OUTCOME", ["outcome", "min_n"])
    'Did you mean "outcome"?'
    >>> did_you_mean("zzz", ["outcome", "min_n"])
    'Allowed: min_n, outcome.'
    """
    allowed = sorted(allowed)
    if not allowed:
        return "There is none to choose from."
    same = [word for word in allowed if word.casefold() == name.casefold()]
    close = same or get_close_matches(name, allowed, n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(f'"{word}"' for word in close) + "?"
    shown = allowed[:20]
    more = f" and {len(allowed) - len(shown)} more" if len(allowed) > len(shown) else ""
    return f"Allowed: {', '.join(shown)}{more}."
