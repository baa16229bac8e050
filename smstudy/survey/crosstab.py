"""Two questions against each other: how many people gave each pair of answers, without giving few away."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from smstudy.errors import DataError
from smstudy.inference.regression.design import POOLED
from smstudy.result import Result
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Survey, need_survey
from smstudy.survey.disclosure import NO_GROUP, pool_hidden, protect_two_way

CROSSED = ("category", "unit", "item")


@dataclass(frozen=True, kw_only=True, repr=False)
class CrossTable(Result):
    """Numbers of people by two variables; `rows` as `tidy()` gives them, already protected."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per cell and total: group, answer, n; hidden cells have no n."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The same table: cells are hidden when it is made, because which ones depends on all others."""
        return self.tidy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


def cross_table(survey: Survey, rows: str, columns: str) -> CrossTable:
    """Count respondents by two variables.

    Parameters
    ----------
    survey : Survey
        Clean answers.
    rows, columns : str
        Variables with categories. Departments that other tables hide are counted as one.

    Returns
    -------
    CrossTable
        Every pair of answers of the codebook and the totals. Cells with few people are hidden, and further ones so that
        none follows from the totals, which linear programming checks.

    Raises
    ------
    DataError
        If a variable has no categories, or both are the same.
    DisclosureError
        If no choice of cells is safe.

    Examples
    --------
    >>> import smstudy as sm
    >>> sm.cross_table(sm.open_study("quarterly-pulse").survey(), "tenure", "role").tidy()["answer"].unique().tolist()
    ['Staff', 'Team lead', 'Manager', 'all']
    """
    survey = need_survey(survey, "cross_table")
    sides = [_variable(survey, name) for name in (rows, columns)]
    if rows == columns:
        raise DataError(f'"{rows}" is named twice. Name two variables.')
    answers = pool_hidden(survey, [rows, columns])
    words = [_words(answers[variable.name], variable) for variable in sides]
    counts = pd.crosstab(*words).reindex(index=_order(words[0], sides[0]), columns=_order(words[1], sides[1]))
    protected = protect_two_way(counts.fillna(0).astype(int), privacy=survey.privacy)
    table = protected.table.rename_axis(index="group", columns="answer")
    long = table.stack(future_stack=True).rename("n").reset_index()
    return CrossTable(
        title=f"{sides[0].label} by {sides[1].label}",
        note="Numbers of people. A hidden cell holds few people, or nobody, or is needed so that such a cell does not "
        "follow from the totals.",
        findings=protected.findings,
        privacy=survey.privacy,
        rows=long.assign(hidden=long["n"].isna()),
        n=len(survey.answers),
    )


def _variable(survey: Survey, name: str) -> Variable:
    variable = survey.codebook.variable(name)
    if variable.kind not in CROSSED or not variable.categories:
        raise DataError(
            f'"{name}" ({variable.kind}) has no categories to count by. Name a category, a unit or an item.'
        )
    return variable


def _words(column: pd.Series, variable: Variable) -> pd.Series:
    """The answers as the questionnaire words them."""
    words = column.astype(object)
    if variable.kind == "item":
        words = words.map({float(category.value): category.label for category in variable.categories})
    return words.fillna(NO_GROUP)


def _order(words: pd.Series, variable: Variable) -> list[str]:
    """The answers of the codebook in their order, departments that are counted as one and whoever said nothing last."""
    given = set(words)
    pooled = POOLED in given
    known = [c.label for c in variable.categories if not pooled or c.label in given]
    return [*known, *(word for word in (POOLED, NO_GROUP) if word in given)]
