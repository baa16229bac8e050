"""What people answered: every possible answer of a question with how many gave it, also those nobody gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures, likert
from smstudy.display.likert import NONE_GIVEN
from smstudy.errors import DataError
from smstudy.result import Finding, Result
from smstudy.survey.codebook import Category, Variable
from smstudy.survey.dataset import Data, Survey
from smstudy.survey.disclosure import NO_GROUP, blank, counted_as_one, hidden_rows

SAFE = 5  # with so many unknown counts, their number, mean and spread leave each of them open
ANSWERED = ("item", "category", "unit", "multi-select")


@dataclass(frozen=True, kw_only=True, repr=False)
class Distribution(Result):
    """How often each answer was given.

    Attributes
    ----------
    rows : DataFrame
        Ungated, as `tidy()` gives them.
    asked : int
        Respondents.
    exclusive : bool
        Whether a respondent gives one answer only, so that the counts of a question add up to `asked`.
    closed : frozenset of str
        Departments that all tables of the survey hide.
    rated : frozenset of str
        Variables that have a mean, which other tables show.
    """

    rows: pd.DataFrame = field(repr=False)
    asked: int
    exclusive: bool = True
    closed: frozenset[str] = frozenset()
    rated: frozenset[str] = frozenset()

    picture: ClassVar[Callable[..., Axes]] = staticmethod(likert.stacked)

    def tidy(self) -> pd.DataFrame:
        """One row per question and answer: term, answer, n, share of all respondents."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The table with small counts hidden, and further ones so that none follows from what is known.

        Of items mean and spread are known from other tables, and two or three hidden counts could be solved for them.
        So all answers to an item are hidden if few people gave one of them. How many gave none is not written where
        they are few, as no small count is; but it follows from the number of those who answered and tells nothing about
        an answer, so it hides nothing else.
        """
        counts, hidden = self.rows["n"].to_numpy(), self.rows["answer"].isin(self.closed).to_numpy(copy=True)
        none = self.rows["answer"].eq(NONE_GIVEN).to_numpy()
        for term, places in self.rows.groupby("term", sort=False).indices.items():
            limits = (self.asked, self.privacy.min_n)
            if term in self.rated:
                hidden[places] = _hidden_ratings(counts[places], none[places], *limits)
            elif self.exclusive:
                hidden[places] = _hidden_answers(counts[places], *limits, hidden[places])
            else:
                hidden[places] = _hidden_choices(counts[places], *limits)
        return blank(self.rows, hidden, ["n", "share"])

    @property
    def hidden_ratings(self) -> frozenset[str]:
        """Items all of whose answers are hidden."""
        shown = self.shown()
        hidden = shown["n"].isna() & shown["answer"].ne(NONE_GIVEN) & shown["term"].isin(self.rated)
        return frozenset(shown.loc[hidden, "term"])

    def drawn(self) -> pd.DataFrame:
        """All rows, hidden ones too: a picture shows that they are there, not how many they are."""
        return self.shown()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.asked}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw one bar per question, or one per choice of a question with several answers."""
        draw = likert.stacked if self.exclusive else likert.choices
        bars = self.rows["term"].nunique() if self.exclusive else len(self.rows)
        return draw(ax or figures.new_axes(max(bars, 2)), self.shown(), labels=self.labels, title=self.title)

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        return likert.describe(self.shown(), title=self.title, labels=self.labels)


def distribution(survey: Survey, variables: str | Sequence[str]) -> Distribution:
    """Count how often each answer was given.

    Parameters
    ----------
    survey : Survey
        Answers as they were given: reversed items are not turned round.
    variables : str or sequence of str
        A scale (its items), a variable, or several items or categories that share one list of answers.

    Returns
    -------
    Distribution
        Every answer of the codebook in its order, those that nobody gave with 0; "No answer" last where somebody left
        the question out. Items that rank each other are ordered by their mean rank.

    Raises
    ------
    DataError
        If a variable has no list of answers, the lists differ, or a multi-select stands beside other variables.
    CodebookError
        If there is no such variable or scale.

    Examples
    --------
    >>> import smstudy as sm
    >>> survey = sm.open_study("quarterly-pulse").survey()
    >>> answers = sm.distribution(survey, "role").tidy()
    >>> answers["answer"].tolist()
    ['Staff', 'Team lead', 'Manager']
    """
    chosen = _variables(survey, variables)
    counted = _count_choices if chosen[0].kind == "multi-select" else _count_answers
    rows = pd.concat([counted(survey, variable) for variable in chosen], ignore_index=True)
    ranks = mean_ranks(survey, chosen)
    if ranks is not None:
        rows = rows.sort_values("term", key=lambda terms: terms.map(ranks), kind="stable", ignore_index=True)
    if (rows.loc[rows["answer"] == NONE_GIVEN, "n"] == 0).all():
        rows = rows[rows["answer"] != NONE_GIVEN].reset_index(drop=True)
    asked = len(survey.answers)
    scale = next((s for s in survey.codebook.scales if s.name == variables), None)
    return Distribution(
        title=f"Answers: {scale.label if scale else chosen[0].label if len(chosen) == 1 else 'several questions'}",
        note=_note(chosen, ranks is not None),
        findings=_findings(survey, chosen),
        labels={variable.name: variable.label for variable in chosen},
        privacy=survey.privacy,
        rows=rows.assign(share=rows["n"] / asked),
        asked=asked,
        exclusive=chosen[0].kind != "multi-select",
        closed=_closed(survey, chosen),
        rated=frozenset(variable.name for variable in chosen if variable.kind == "item"),
    )


def mean_ranks(survey: Survey, variables: Sequence[Variable]) -> dict[str, float] | None:
    """Mean rank of each item, if the items rank each other: as many ranks as items, each given once by everybody."""
    if len(variables) < 3 or any(variable.kind != "item" for variable in variables):
        return None
    wanted = np.arange(1, len(variables) + 1)
    codes = sorted(float(category.value) for category in variables[0].categories)
    given = survey.answers[[variable.name for variable in variables]].dropna().to_numpy(float)
    if not np.array_equal(codes, wanted) or not len(given) or not np.all(np.sort(given, axis=1) == wanted):
        return None
    return dict(zip((variable.name for variable in variables), given.mean(axis=0), strict=True))


def _variables(survey: Survey, names: str | Sequence[str]) -> list[Variable]:
    """The variables asked for, all with one list of answers."""
    scales = {scale.name: scale.items for scale in survey.codebook.scales}
    listed = [names] if isinstance(names, str) else list(names)
    chosen = [survey.codebook.variable(name) for entry in listed for name in scales.get(entry, (entry,))]
    if not chosen or survey.answers.empty:
        raise DataError("There is nothing to count: name at least one variable, and check that respondents are left.")
    for variable in chosen:
        if variable.kind not in ANSWERED or not variable.categories:
            raise DataError(
                f'"{variable.name}" ({variable.kind}) has no list of answers to count. '
                "Use describe() for numbers, or give the variable categories in codebook.yml."
            )
        if variable.kind == "multi-select" and len(chosen) > 1:
            raise DataError(f'"{variable.name}" takes several answers. Show it by itself.')
    if len({_answers(variable) for variable in chosen}) > 1:
        raise DataError("These variables do not share one list of answers. Show them one scale at a time.")
    return chosen


def _answers(variable: Variable) -> tuple[tuple[str, str], ...]:
    return tuple((category.value, category.label) for category in variable.categories)


def _count_answers(survey: Survey, variable: Variable) -> pd.DataFrame:
    given = survey.answers[variable.name]
    keys = [_stored(variable, category) for category in variable.categories]
    counts = given.value_counts().reindex(keys, fill_value=0).to_numpy(int)
    labels = [category.label for category in variable.categories]
    counts = [*counts, len(given) - counts.sum()]
    return pd.DataFrame({"term": variable.name, "answer": [*labels, NONE_GIVEN], "n": counts})


def _stored(variable: Variable, category: Category) -> float | str:
    """How an answer stands in the frame: items as numbers, categories as their labels."""
    return float(category.value) if variable.kind == "item" else category.label


def _count_choices(survey: Survey, variable: Variable) -> pd.DataFrame:
    columns = survey.answers[[f"{variable.name}_{category.value}" for category in variable.categories]]
    none = int(columns.isna().all(axis=1).sum())
    labels = [category.label for category in variable.categories]
    counts = [*columns.sum().astype(int), none]
    return pd.DataFrame({"term": variable.name, "answer": [*labels, NONE_GIVEN], "n": counts})


def _hidden_answers(counts: np.ndarray, asked: int, min_n: int, hidden: np.ndarray) -> np.ndarray:
    """Counts that add up to a known number: small ones and more are hidden, and all if everybody answers alike."""
    if asked < min_n or counts.max() == asked:
        return np.ones(len(counts), dtype=bool)
    return hidden_rows(counts[:, None], min_n, hidden=hidden)


def _hidden_ratings(counts: np.ndarray, none: np.ndarray, asked: int, min_n: int) -> np.ndarray:
    """All answers to an item if few people gave one of them, or all the same; a few who gave none do not matter."""
    small, given = (counts > 0) & (counts < min_n), counts[~none]
    few = small[~none].any() or given.max() == given.sum()
    return np.full(len(counts), asked < min_n) | np.where(none, small, few)


def solvable_items(data: Data, names: Sequence[str]) -> frozenset[str]:
    """Items whose hidden counts would follow from their number, mean and spread, so that tables show neither of these.

    Few people gave one of their answers, and there are fewer than five answers. A frame has no codebook that says which
    answers there are, and its counts are shown nowhere.
    """
    if not isinstance(data, Survey):
        return frozenset()
    return frozenset(name for name in names if _solvable(data, name))


def without_solvable(shown: pd.DataFrame, items: frozenset[str], numbers: Sequence[str]) -> pd.DataFrame:
    """A table, one row per item, with some numbers of some items blanked; what was hidden before stays so."""
    chosen = shown["term"].isin(items).to_numpy()
    if not chosen.any():
        return shown
    before = shown["hidden"].to_numpy(bool) if "hidden" in shown else np.zeros(len(shown), dtype=bool)
    return blank(shown, chosen, numbers).assign(hidden=chosen | before)


def _solvable(survey: Survey, name: str) -> bool:
    known = [each for each in survey.codebook.variables if each.name == name and each.kind == "item"]
    if not known or not 0 < len(known[0].categories) < SAFE:
        return False
    return bool(distribution(survey, name).hidden_ratings)


def _hidden_choices(counts: np.ndarray, asked: int, min_n: int) -> np.ndarray:
    """Counts of their own: hidden if those who chose, or those who did not, are few; and if everybody chose."""
    small = (counts > 0) & (counts < min_n)
    few_others = asked - counts < min_n
    return small | few_others


def _closed(survey: Survey, chosen: Sequence[Variable]) -> frozenset[str]:
    """Departments and categories hidden everywhere; whoever states none is "No answer" here."""
    names = [name for v in chosen if v.kind in ("unit", "category") for name in counted_as_one(survey, v.name)]
    return frozenset(NONE_GIVEN if name == NO_GROUP else name for name in names)


def _note(chosen: Sequence[Variable], ranked: bool) -> str:
    several = "Several answers were possible. " if chosen[0].kind == "multi-select" else ""
    order = "Ordered by mean rank, 1 being first. " if ranked else ""
    turned = "Statements worded against their scale are shown as they were answered. "
    against = turned if any(variable.reverse for variable in chosen) else ""
    return f"Shares are of all respondents. {several}{order}{against}".strip()


def _findings(survey: Survey, chosen: Sequence[Variable]) -> tuple[Finding, ...]:
    alike = [v.label for v in chosen if v.kind == "item" and survey.answers[v.name].nunique() == 1]
    if not alike:
        return ()
    text = f"{len(alike)} of {len(chosen)} questions were answered alike by everybody, so their answers are hidden."
    return (Finding(name="all_alike_hidden", text=text),)
