"""How many of those asked answered: respondents per head count, by department."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.prose import join_words
from smstudy.errors import DataError, did_you_mean
from smstudy.result import Finding, Result
from smstudy.survey.cleaning import match_category
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import NO_GROUP, group_names, hidden_groups, protect


def _draw_response(ax: Axes, frame: pd.DataFrame, **words: object) -> Axes:
    """Draw the response of each department, or the respondents where no head count is known."""
    return figures.bars(ax, frame, value="response" if frame["response"].notna().any() else "n", **words)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response(Result):
    """Respondents per head count, by department; `closed` names departments that all tables of the survey hide."""

    rows: pd.DataFrame = field(repr=False)
    closed: frozenset[str] = frozenset()

    picture: ClassVar[Callable[..., Axes]] = _draw_response

    def tidy(self) -> pd.DataFrame:
        """One row per department: group, n_frame, n, response."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The table with small departments hidden, and further ones so that none follows from the totals."""
        rows, counts = self.rows.assign(hidden=self.rows["group"].isin(self.closed)), ["n", "n_frame"]
        return protect(rows, group="group", counts=counts, numbers=["response"], privacy=self.privacy).table

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out head counts and response where none is known."""
        unknown = ["n_frame", "response"] if self.rows["n_frame"].isna().all() else []
        return shown.drop(columns=unknown)

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, departments and the response of all."""
        stated = self.rows[self.rows["group"] != NO_GROUP]
        n, asked = int(self.rows["n"].sum()), stated["n_frame"].sum(skipna=False)
        response = {"response": float(n / asked)} if asked > 0 else {}
        return {"n": n, "n_groups": len(stated), **response}


def response_table(survey: Survey, frame: pd.DataFrame | None, unit: str | None = None) -> Response:
    """Compare respondents with head counts.

    Parameters
    ----------
    survey : Survey
        Who answered.
    frame : DataFrame or None
        Columns `unit` (labels, codes or other spellings of the codebook) and `headcount`, one row per department.
    unit : str, optional
        Variable that says which department somebody belongs to; the first one of kind unit if left out.

    Returns
    -------
    Response
        One row per department, those without an answer included, and one for respondents who did not state theirs.

    Raises
    ------
    DataError
        If the frame lacks a column, names a department twice, or a head count is no whole number above 0.
    """
    variable = _unit(survey, unit)
    answered = group_names(survey, variable.name).value_counts()
    asked = _head_counts(frame, variable) if frame is not None else pd.Series(dtype=float)
    groups = sorted(set(answered.index) | set(asked.index))
    n = answered.reindex(groups, fill_value=0).to_numpy(int)
    n_frame = asked.reindex(groups).to_numpy(float)
    rows = pd.DataFrame({"group": groups, "n_frame": n_frame, "n": n, "response": n / n_frame})
    return Response(
        title=f"Response by {variable.label}",
        note="Respondents left after cleaning, per head count.",
        findings=_response_findings(rows, frame is not None),
        privacy=survey.privacy,
        rows=rows,
        closed=hidden_groups(survey, variable.name),
    )


def _unit(survey: Survey, unit: str | None) -> Variable:
    units = survey.codebook.of_kind("unit")
    if unit:
        return survey.codebook.variable(unit)
    if not units:
        raise DataError("The codebook has no variable of kind unit. Declare the one that names the department.")
    return units[0]


def _head_counts(frame: pd.DataFrame, variable: Variable) -> pd.Series:
    for name in ("unit", "headcount"):
        if name not in frame:
            raise DataError(f'The head counts have no column "{name}". {did_you_mean(name, map(str, frame.columns))}')
    counts = pd.to_numeric(frame["headcount"], errors="coerce").astype(float)
    names = [match_category(variable, str(name)) or str(name).strip() for name in frame["unit"]]
    bad = [name for name, count in zip(names, counts, strict=True) if not (count > 0 and count == int(count))]
    if bad:
        raise DataError(f"The head count of {join_words(bad[:3])} is no whole number above 0. Correct the head counts.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"The head counts name {join_words(twice[:3])} twice. Keep one row for each department.")
    return pd.Series(counts.to_numpy(), index=names)


def _response_findings(rows: pd.DataFrame, counted: bool) -> tuple[Finding, ...]:
    if not counted:
        text = "Head counts are not given, so nothing can be said about who did not answer."
        return (Finding(name="no_head_count", text=text),)
    found = []
    absent = rows.loc[rows["n_frame"].isna() & (rows["group"] != NO_GROUP), "group"].tolist()
    if absent:
        text = f"The head counts do not name {join_words(absent[:5])}. The response of all is not computed."
        found.append(Finding(name="unit_without_head_count", text=text))
    if (rows["n"] > rows["n_frame"]).any():
        text = "At least one department has more respondents than people. Check the head counts and the duplicates."
        found.append(Finding(name="more_than_head_count", text=text, severity="serious"))
    return tuple(found)
