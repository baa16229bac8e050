"""Tables in which no hidden number follows from the shown ones.

The law of this module: from the shown cells and the totals nobody learns more about a hidden small count than the word
"hidden" says, that is 1 to min_n - 1. What readers know from elsewhere is not guarded; suppression is not anonymity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from smstudy.errors import DataError, DisclosureError, did_you_mean
from smstudy.inference.design import POOLED
from smstudy.privacy import Privacy
from smstudy.result import Finding
from smstudy.survey.dataset import Data, Survey

ALL = "all"
NO_GROUP = "(not stated)"


class Protected(NamedTuple):
    """A table that may be shown, and what to say about it."""

    table: pd.DataFrame
    findings: tuple[Finding, ...]


def protect(
    table: pd.DataFrame,
    *,
    group: str,
    counts: Sequence[str],
    numbers: Sequence[str],
    privacy: Privacy,
    total_known: bool = True,
) -> Protected:
    """Hide the rows of small groups, and further rows so that no hidden count follows from the totals.

    Parameters
    ----------
    table : DataFrame
        One row per group.
    group : str
        Column that names the group.
    counts : sequence of str
        Columns with numbers of people; a count of 0 shows nobody and stays.
    numbers : sequence of str
        Columns to blank beside the counts.
    privacy : Privacy
        The thresholds.
    total_known : bool
        Whether the sum of each count over all groups is known to readers; then the next smallest groups are hidden too,
        until at least two are hidden and each could be anything from 1 to min_n - 1.

    Returns
    -------
    Protected
        The table with numbers blanked and a flag `hidden`, and the findings.

    Raises
    ------
    DataError
        If a column is not there.

    References
    ----------
    Hundepool et al. (2012), Statistical Disclosure Control, chapter 4. Known limit: a reader who reckons with the next
    smallest group being hidden can sometimes narrow the guess.

    Examples
    --------
    >>> table = pd.DataFrame({"group": ["A", "B", "C"], "n": [20, 3, 8], "mean": [3.1, 4.0, 2.5]})
    >>> protect(table, group="group", counts=["n"], numbers=["mean"], privacy=Privacy()).table
      group     n  mean  hidden
    0     A  20.0   3.1   False
    1     B   NaN   NaN    True
    2     C   NaN   NaN    True
    """
    _need(table, [group, *counts, *numbers])
    before = table["hidden"].astype(bool).to_numpy() if "hidden" in table else np.zeros(len(table), dtype=bool)
    hidden = hidden_rows(table[list(counts)].to_numpy(float), privacy.min_n, total_known=total_known, hidden=before)
    shown = blank(table, hidden, [*counts, *numbers])
    return Protected(shown, _findings(hidden, privacy.min_n))


def hidden_groups(survey: Survey, unit: str) -> frozenset[str]:
    """Choose the groups of a survey that every table hides.

    The choice looks at all scores at once, so that no two tables of one wave hide different groups and thereby give
    away what each hides. Respondents who state no group are one.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores.
    unit : str
        Variable that says which group a respondent belongs to.
    """
    scores = [scale.name for scale in survey.codebook.scales if scale.name in survey.answers]
    answered = survey.answers[scores].notna().assign(**{ALL: True}).groupby(group_names(survey, unit)).sum()
    hidden = hidden_rows(answered.to_numpy(float), survey.privacy.min_n)
    return frozenset(answered.index[hidden])


def group_names(survey: Survey, unit: str) -> pd.Series:
    """The group of every respondent, those who state none included."""
    return survey.column(unit).astype(object).fillna(NO_GROUP).astype(str)


def pool_hidden(data: Data, columns: Iterable[str]) -> pd.DataFrame:
    """Give the answers with the hidden groups counted as one, for analyses that tell about groups.

    Parameters
    ----------
    data : Survey or DataFrame
        A frame has no codebook that says which column holds groups, so it stays as it is.
    columns : iterable of str
        Columns an analysis uses; those of kind unit are pooled, and whoever states no group is in "(not stated)".
    """
    if not isinstance(data, Survey):
        return data
    units = [variable.name for variable in data.codebook.of_kind("unit") if variable.name in set(columns)]
    names = {unit: group_names(data, unit) for unit in units}
    pooled = {unit: column.mask(column.isin(hidden_groups(data, unit)), POOLED) for unit, column in names.items()}
    return data.answers.assign(**pooled)


def hidden_rows(
    counts: np.ndarray, min_n: int, *, total_known: bool = True, hidden: np.ndarray | None = None
) -> np.ndarray:
    """Choose the rows to hide, shape (n groups,), for counts of shape (n groups, k columns) with known column sums.

    >>> hidden_rows(np.array([[20], [3], [8]]), 5)
    array([False,  True,  True])
    """
    counts = np.nan_to_num(counts)
    small = (counts > 0) & (counts < min_n)
    hidden = small.any(axis=1) | (False if hidden is None else hidden)
    size = np.where(counts > 0, counts, np.inf).min(axis=1, initial=np.inf)
    while total_known and hidden.any() and not hidden.all() and not _safe(counts[hidden], min_n):
        candidates = np.where(hidden, np.inf, size)
        if not np.isfinite(candidates).any():
            return np.ones(len(hidden), dtype=bool)
        hidden[np.argmin(candidates)] = True
    return hidden


def _safe(counts: np.ndarray, min_n: int) -> bool:
    """Say whether hidden counts with known sums (one per column) leave each of them open from 1 to min_n - 1."""
    people = counts > 0
    some = people.sum(axis=0)
    return len(counts) > 1 and bool(np.all((some == 0) | ((some > 1) & (counts.sum(axis=0) >= min_n + some - 2))))


def blank(table: pd.DataFrame, hidden: np.ndarray, numbers: Sequence[str]) -> pd.DataFrame:
    """Blank the numbers of hidden rows and flag them; a table with nothing hidden is given back as it is."""
    if not np.any(hidden):
        return table
    shown = table.astype({name: float for name in numbers})
    shown.loc[np.asarray(hidden), list(numbers)] = float("nan")
    shown["hidden"] = np.asarray(hidden)
    return shown


def hide_cells(
    values: np.ndarray, equations: np.ndarray, min_n: int, *, hidden: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Choose cells to hide so that no small count can be narrowed down by linear equations readers know.

    Parameters
    ----------
    values : array, shape (n,)
        Counts of people; those from 1 to min_n - 1 are hidden first.
    equations : array, shape (m, n)
        Coefficients of the sums readers know; what each adds up to is taken from the values.
    min_n : int
        Smallest count that may be shown.
    hidden : array of bool, shape (n,)
        Cells that are hidden anyway, above all those of 0, which would else tell that the hidden ones are not empty.
    last : array of bool, shape (n,)
        Totals: hidden only if nothing else helps, and known not to be empty.

    Returns
    -------
    array of bool, shape (n,)

    Raises
    ------
    DisclosureError
        If no choice is safe.
    """
    small = (values > 0) & (values < min_n)
    hidden = small | hidden
    for cell in np.flatnonzero(small):
        while not covers(possible_values(cell, values, equations, hidden, least=last.astype(float)), min_n):
            hidden[_next_cell(cell, values, equations, hidden, last)] = True
    return hidden


def covers(bounds: tuple[float, float], min_n: int) -> bool:
    """Say whether every count from 1 to min_n - 1 lies within the bounds."""
    return bounds[0] <= 1 and bounds[1] >= min_n - 1


def possible_values(
    cell: int, values: np.ndarray, equations: np.ndarray, hidden: np.ndarray, *, least: np.ndarray
) -> tuple[float, float]:
    """Find the least and the greatest whole number a hidden cell could be, given the shown cells and the sums.

    `least`, shape (n,), says what a reader knows each hidden cell to be at least.
    """
    free = equations[:, hidden]
    used = np.any(free != 0, axis=1)
    rest = (equations @ (values * hidden))[used]
    target = (np.flatnonzero(hidden) == cell).astype(float)
    if not np.any(free[:, target > 0]):
        return float(least[cell]), np.inf
    limits = [(floor, None) for floor in least[hidden]]
    ends = []
    for sign in (1, -1):
        found = linprog(sign * target, A_eq=free[used], b_eq=rest, bounds=limits)
        ends.append(np.inf if found.status == 3 else sign * found.fun)
    return float(np.ceil(ends[0] - 1e-6)), float(np.floor(ends[1] + 1e-6))


def _next_cell(cell: int, values: np.ndarray, equations: np.ndarray, hidden: np.ndarray, last: np.ndarray) -> int:
    """Choose the smallest shown count near a cell: in one of its sums if there is one; cells marked last come last."""
    near = np.any(equations[equations[:, cell] != 0] != 0, axis=0)
    linked = np.any(equations[np.any(equations[:, hidden] != 0, axis=1)] != 0, axis=0)
    for choice in (near & ~last, linked & ~last, near & last, linked & last):
        places = np.flatnonzero(choice & ~hidden & (values > 0))
        if len(places):
            return int(places[np.argmin(values[places])])
    raise DisclosureError(
        "This table cannot be shown: whatever is hidden, a count of a small group follows from the totals. "
        "Combine groups, or leave the table out."
    )


def _why(min_n: int) -> str:
    return f"fewer than {min_n} respondents, or needed to hide a group that has fewer"


def _findings(hidden: np.ndarray, min_n: int, *, what: str = "groups") -> tuple[Finding, ...]:
    if not np.any(hidden):
        return ()
    text = f"{int(np.sum(hidden))} of {len(hidden)} {what} are hidden: {_why(min_n)}."
    everything = " Nothing is left to show; combine groups." if np.all(hidden) else ""
    return (Finding(name="groups_hidden", text=text + everything, severity="warning" if everything else "info"),)


def _need(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in table:
            hint = did_you_mean(name, map(str, table.columns))
            raise DataError(f'The table to protect has no column "{name}". {hint}')
