"""Tables in which no hidden number follows from the shown ones.

The law of this module: from the shown cells and the totals nobody learns more about a hidden small count than the word
"hidden" says, that is 1 to min_n - 1. What readers know from elsewhere is not guarded; suppression is not anonymity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, eye_array, kron, vstack

from smstudy.errors import DataError, DisclosureError, did_you_mean
from smstudy.inference.regression.design import POOLED
from smstudy.privacy import Privacy
from smstudy.result import Finding
from smstudy.survey.dataset import Data, Survey
from smstudy.survey.suppression import covers as covers
from smstudy.survey.suppression import hidden_rows, hide_cells
from smstudy.survey.suppression import possible_values as possible_values

ALL = "all"
NO_GROUP = "(not stated)"
DIFFERENCE = "difference_hidden"


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
    return Protected(shown, _findings(hidden, privacy))


def protect_two_way(table: pd.DataFrame, *, privacy: Privacy, parents: Mapping[str, str] | None = None) -> Protected:
    """Hide cells of a cross-tabulation so that none follows from the totals of rows, columns and larger units.

    Parameters
    ----------
    table : DataFrame, shape (r, c)
        Numbers of people; the index names the groups, for example teams.
    privacy : Privacy
        The thresholds.
    parents : mapping, optional
        Group to the larger unit it belongs to, such as team to department, and department to division.

    Returns
    -------
    Protected
        The counts as floats, a row for each larger unit, and the totals of rows and columns, named "all"; NaN is
        hidden. Cells of 0 are hidden as small ones are, unless their whole line is empty: beside them nobody learns
        that a hidden cell is not empty. Every choice is checked by linear programming: the least and the greatest value
        a hidden count could have, given what is shown.

    Raises
    ------
    DataError
        If a name is used twice.
    DisclosureError
        If no choice of cells is safe, because all respondents together are too few.

    Examples
    --------
    >>> protect_two_way(pd.DataFrame({"x": [9, 3], "y": [8, 20]}, index=["a", "b"]), privacy=Privacy()).table
            x     y   all
    a     NaN   NaN  17.0
    b     NaN   NaN  23.0
    all  12.0  28.0  40.0
    """
    full, sums = _with_sums(table.astype(float), parents or {})
    full[ALL] = full.sum(axis=1)
    shape, counts = full.shape, full.to_numpy()
    across = np.append(np.ones(shape[1] - 1), -1.0)
    equations = vstack([kron(sums, eye_array(shape[1])), kron(eye_array(shape[0]), across[None, :])])
    last = np.zeros(shape, dtype=bool)
    last[:, -1], last[len(table) :] = True, True
    empty = (counts == 0) & (counts[:, [-1]] > 0) & (counts[[-1], :] > 0) & ~last
    cells = np.arange(counts.size - 1)
    everybody = counts.ravel()[-1]
    if 0 < everybody < privacy.min_n:
        raise DisclosureError(f"Fewer than {privacy.min_n} respondents in all: no table of them can be shown.")
    hidden = hide_cells(
        counts.ravel()[cells], csr_array(equations)[:, cells], privacy.min_n, hidden=empty.ravel()[cells],
        last=(last & (counts > 0)).ravel()[cells],
    )  # fmt: skip
    hidden = np.append(hidden, False).reshape(shape)
    return Protected(full.mask(hidden), _findings(hidden.ravel(), privacy, what="cells"))


def protect_hierarchy(
    table: pd.DataFrame, *, group: str, parent: str, counts: Sequence[str], numbers: Sequence[str], privacy: Privacy
) -> Protected:
    """Hide groups at every level so that no hidden one follows from larger units and the groups shown beside it.

    Parameters
    ----------
    table : DataFrame
        One row per group of every level: teams, departments, everybody. The groups of a unit must add up to it.
    group, parent : str
        Columns with the name of a group, used once each, and of the larger unit it belongs to; missing at the top.
    counts : sequence of str
        Columns with numbers of people.
    numbers : sequence of str
        Columns to blank beside the counts.
    privacy : Privacy
        The thresholds.

    Returns
    -------
    Protected
        The table with numbers blanked and a flag `hidden`; larger units are hidden only where nothing else helps.

    Raises
    ------
    DataError
        If a column or a larger unit is not there, a name is used twice, or groups do not add up to their unit.
    DisclosureError
        If no choice is safe.

    Examples
    --------
    >>> table = pd.DataFrame({"group": ["all", "S", "S1", "S2", "T"], "unit": [None, "all", "S", "S", "all"],
    ...                       "n": [40, 21, 3, 18, 19]})
    >>> shown = protect_hierarchy(table, group="group", parent="unit", counts=["n"], numbers=[], privacy=Privacy())
    >>> shown.table["group"][shown.table["hidden"]].tolist()
    ['S1', 'S2']
    """
    _need(table, [group, parent, *counts, *numbers])
    above = table[parent].astype(object)
    sums = _hierarchy(table[group].tolist(), above.where(above.notna(), None).tolist())
    values = table[list(counts)].to_numpy(float)
    if np.any(sums @ values != 0):
        raise DataError(f'The groups do not add up to their larger unit in "{counts[0]}". Give everybody a group.')
    top = (sums.toarray() < 0).any(axis=0)
    hidden = table["hidden"].astype(bool).to_numpy() if "hidden" in table else np.zeros(len(table), dtype=bool)
    before = None
    while before is None or not np.array_equal(before, hidden):
        before = hidden
        for column in values.T:
            some = column > 0
            hidden = hidden | hide_cells(
                column, sums, privacy.min_n, hidden=hidden & some, last=top & some, least=_least(some, sums)
            )
    return Protected(blank(table, hidden, [*counts, *numbers]), _findings(hidden, privacy))


def _with_sums(table: pd.DataFrame, parents: Mapping[str, str]) -> tuple[pd.DataFrame, csr_array]:
    """Add a row for each larger unit and one for all, and give the equations between the rows."""
    level = table.set_axis([str(name) for name in table.index])
    rows = [level]
    while any(name in parents for name in level.index):
        level = level[[name in parents for name in level.index]]
        level = level.groupby([parents[name] for name in level.index], sort=False).sum()
        rows.append(level)
    rows.append(table.sum(axis=0).to_frame(ALL).T)
    full = pd.concat(rows)
    names = full.index.tolist()
    return full, _hierarchy(names, [*(parents.get(name, ALL) for name in names[:-1]), None])


def _hierarchy(names: Sequence[str], parents: Sequence[str | None]) -> csr_array:
    """One equation per larger unit: its groups minus itself is 0; shape (units, groups)."""
    place = {name: i for i, name in enumerate(names)}
    if len(place) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f'Two groups are named "{twice}". Give each its own name, such as "Sales / North".')
    units = {unit: i for i, unit in enumerate(dict.fromkeys(parent for parent in parents if parent is not None))}
    for unit in units:
        if unit not in place:
            raise DataError(f'There is no row for "{unit}". {did_you_mean(unit, names)}')
    parts = [(units[unit], j, 1.0) for j, unit in enumerate(parents) if unit is not None]
    whole = [(i, place[unit], -1.0) for unit, i in units.items()]
    rows, columns, signs = zip(*parts, *whole) if parts else ((), (), ())
    return csr_array((signs, (rows, columns)), shape=(len(units), len(names)))


def _least(some: np.ndarray, sums: csr_array) -> np.ndarray:
    """At least one person is in every group that is not empty, so a unit has as many as it has such groups."""
    least, before = some.astype(float), None
    parts, units = sums.maximum(0), sums.argmin(axis=1) if sums.shape[0] else []
    while before is None or not np.array_equal(before, least):
        before = least.copy()
        least[units] = np.maximum(least[units], parts @ least)
    return least


def hidden_groups(survey: Survey, unit: str, *, scores: Sequence[str] = ()) -> frozenset[str]:
    """Choose the groups of a survey that every table hides.

    The choice looks at all scores at once, so that no two tables of one wave hide different groups and thereby give
    away what each hides; other numbers on a page only add to the groups that all tables hide. A group is hidden if it
    is small in any score, if all its members have the same value of one (their mean is each member's answer), or if the
    policy has closed it, for example because it would differ by few people from what was released before. Respondents
    who state no group are one.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores.
    unit : str
        Variable that says which group a respondent belongs to.
    scores : sequence of str
        Numbers on the page besides the scales of the codebook.
    """
    names, groups = scale_scores(survey), group_names(survey, unit)
    closed = frozenset(group for name, group in survey.privacy.closed if name == unit)
    hidden = _hidden_with(survey, groups, names, closed)
    more = [name for name in dict.fromkeys(scores) if name not in names]
    return _hidden_with(survey, groups, [*names, *more], hidden) if more else hidden


def _hidden_with(survey: Survey, groups: pd.Series, names: Sequence[str], closed: frozenset[str]) -> frozenset[str]:
    """The groups that must not be shown beside these numbers, those closed already among them."""
    values = survey.answers[list(names)].astype(float)
    answered = values.notna().assign(**{ALL: True}).groupby(groups).sum()
    hidden = answered.index.isin(alike(values, groups) | closed)
    while True:
        hidden = hidden_rows(answered.to_numpy(float), survey.privacy.min_n, hidden=hidden)
        together = groups.isin(answered.index[hidden])
        if hidden.all() or not alike(values[together], together[together]):
            return frozenset(answered.index[hidden])
        hidden[np.argmin(np.where(hidden, np.inf, answered[ALL]))] = True


def counted_as_one(survey: Survey, variable: str) -> frozenset[str]:
    """Groups that tables of numbers of people and models put together or hide.

    Those of a variable of kind unit that every table hides; of another variable only where the policy closes one.
    """
    unit = survey.codebook.variable(variable).kind == "unit"
    closed = any(name == variable for name, _ in survey.privacy.closed)
    return hidden_groups(survey, variable) if unit or closed else frozenset()


def scale_scores(survey: Survey) -> list[str]:
    """Names of the scores of the codebook's scales that the survey has."""
    return [scale.name for scale in survey.codebook.scales if scale.name in survey.answers]


def alike(values: pd.DataFrame, groups: pd.Series) -> frozenset[str]:
    """Find the groups in which all who answered have the same value of one column: the mean is everybody's answer.

    >>> alike(pd.DataFrame({"use": [5.0, 5, 2, 3]}), pd.Series(["A", "A", "B", "B"]))
    frozenset({'A'})
    """
    same = (values.groupby(groups.to_numpy(object)).nunique() == 1).any(axis=1)
    return frozenset(same.index[same])


def group_names(survey: Survey, unit: str) -> pd.Series:
    """The group of every respondent, those who state none included."""
    return survey.column(unit).astype(object).fillna(NO_GROUP).astype(str)


def pool_hidden(data: Data, columns: Iterable[str]) -> pd.DataFrame:
    """Give the answers with the hidden departments and closed categories counted as one, for analyses of groups.

    Parameters
    ----------
    data : Survey or DataFrame
        A frame has no codebook that says which column holds groups, so it stays as it is.
    columns : iterable of str
        Columns an analysis uses; whoever states no group of one that is pooled is in "(not stated)".
    """
    if not isinstance(data, Survey):
        return data
    used = [variable for variable in data.codebook.of_kind("unit", "category") if variable.name in set(columns)]
    hidden = {variable.name: counted_as_one(data, variable.name) for variable in used}
    names = {v.name: group_names(data, v.name) for v in used if v.kind == "unit" or hidden[v.name]}
    pooled = {name: column.mask(column.isin(hidden[name]), POOLED) for name, column in names.items()}
    return data.answers.assign(**pooled)


def pooled_column(data: Data, name: str) -> pd.Series:
    """Who belongs together, hidden groups counted as one: what a model tells of each would tell two of them apart."""
    return pool_hidden(data, [name])[name]


def blank(table: pd.DataFrame, hidden: np.ndarray, numbers: Sequence[str]) -> pd.DataFrame:
    """Blank the numbers of hidden rows and flag them; a table with nothing hidden is given back as it is."""
    if not np.any(hidden):
        return table
    shown = table.astype({name: float for name in numbers})
    shown.loc[np.asarray(hidden), list(numbers)] = float("nan")
    shown["hidden"] = np.asarray(hidden)
    return shown


def why_hidden(min_n: int) -> str:
    """The reasons for hiding groups; one text for all, because to tell them apart would narrow the guess.

    Where two hidden counts add up to a known sum, to know that one of them is not small can fix the other.
    """
    return f"fewer than {min_n} respondents, all with the same answer, or needed so that such a group does not follow"


def why_closed(min_n: int) -> str:
    """Why the policy closes groups."""
    return (
        "Some groups are hidden because their numbers, compared with an earlier release of the same wave or another "
        f"split, would tell about fewer than {min_n} people."
    )


def _findings(hidden: np.ndarray, privacy: Privacy, *, what: str = "groups") -> tuple[Finding, ...]:
    if not np.any(hidden):
        return ()
    text = f"{int(np.sum(hidden))} of {len(hidden)} {what} are hidden: {why_hidden(privacy.min_n)}."
    everything = " Nothing is left to show; combine groups." if np.all(hidden) else ""
    severity = "warning" if everything else "info"
    found = (Finding(name="groups_hidden", text=text + everything, severity=severity),)
    return (*found, Finding(name=DIFFERENCE, text=why_closed(privacy.min_n))) if privacy.closed else found


def _need(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in table:
            hint = did_you_mean(name, map(str, table.columns))
            raise DataError(f'The table to protect has no column "{name}". {hint}')
