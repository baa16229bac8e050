"""Means and shares of the people, not of the respondents: weighted, with errors that know how people were sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import figures
from smstudy.display.prose import lower_first
from smstudy.errors import DataError
from smstudy.inference.linearization import (
    Linearized,
    Lonely,
    Sampling,
    check_level,
    linearized_means,
    logit_interval,
    mean_design_effects,
    t_interval,
)
from smstudy.models.samplings import Population, column_of, errors_in_words, refuse_telling, sampling_of
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import ALL, NO_GROUP, alike, hidden_groups, protect_two_way
from smstudy.survey.margins import category_word
from smstudy.survey.suppression import hidden_rows
from smstudy.survey.weights import EVERYBODY, Weights, extreme_weights

NUMBERS = ("n", "estimate", "std_error", "df", "conf_low", "conf_high", "unweighted", "shift", "deff", "n_effective")
HIDDEN_TOGETHER = "\0hidden"
ASIDE = "\0answer "
ROUNDING = 1e-9


def _draw(ax: Axes, frame: pd.DataFrame, **words: object) -> Axes:
    """Draw the groups of one variable, or all variables if there are no groups."""
    if frame["group"].nunique() > 1:
        return figures.group_estimates(ax, frame, **words)
    return figures.estimates(ax, frame, **words, zero=False)


@dataclass(frozen=True, kw_only=True, repr=False)
class WeightedMeans(Result):
    """One row per variable (or answer) and group: weighted mean or share with its interval, and the unweighted one."""

    rows: pd.DataFrame = field(repr=False)
    n: int
    conf_level: float
    errors: str

    picture: ClassVar[Callable[..., Axes]] = _draw

    def tidy(self) -> pd.DataFrame:
        """One row per variable or answer, and group; small groups and answers of a few are hidden."""
        return self.rows.copy()

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what only computations need."""
        about = [name for name in ("term", "answer", "group") if name in shown]
        about = [name for name in about if name != "group" or (shown["group"] != EVERYBODY).any()]
        return shown[[*about, "n", "estimate", "std_error", "conf_low", "conf_high", "unweighted", "shift", "deff"]]

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, level and how errors are computed."""
        return {"n": self.n, "conf_level": self.conf_level, "covariance": self.errors}

    def drawn(self) -> pd.DataFrame:
        """The rows of the first variable if there are groups, else all; answers go by their words."""
        drawn = super().drawn()
        if "answer" in drawn:
            drawn = drawn.assign(term=drawn["answer"].where(drawn["answer"].notna(), drawn["term"]))
        grouped = len(drawn) and (drawn["group"] != EVERYBODY).any()
        return drawn[drawn["term"] == drawn["term"].iloc[0]] if grouped else drawn

    def pooling(self) -> Poolable:
        """The estimates, each for itself; hidden ones have none."""
        return Poolable(
            keys=self.rows[[name for name in ("term", "answer", "group") if name in self.rows]],
            estimates=self.rows["estimate"].to_numpy(float),
            covariance=np.diag(self.rows["std_error"].to_numpy(float) ** 2),
            df_complete=self.rows["df"].to_numpy(float),
            n=self.n,
            title=self.title,
            note="Means, and shares from 0 to 1; small groups and answers of a few are hidden.",
        )


def weighted_means(
    data: Data,
    variables: Sequence[str],
    *,
    weights: Weights | str | None = None,
    by: str = "",
    strata: str = "",
    clusters: str = "",
    population: Population = None,
    lonely: Lonely = "refuse",
    conf_level: float = 0.95,
) -> WeightedMeans:
    """Estimate means of numbers and shares of answers for all people, over everybody and by group.

    Parameters
    ----------
    data : Survey or DataFrame
        Clean answers with scores.
    variables : sequence of str
        Scores, items and numbers give means; categories, and numbers that are 0 and 1 only, the share of each answer.
    weights : Weights or str, optional
        From `rake` or `poststratify`, which also tell the errors what the head counts already fix; or a variable with
        weights. Without any, everybody counts the same, unless `population` is given by stratum.
    by : str, optional
        Variable with groups to estimate separately. Groups that other tables hide are hidden here too.
    strata, clusters : str, optional
        Variable with groups that were sampled separately; and with groups asked as a whole, such as teams.
    population : float, DataFrame or mapping, optional
        People (clusters, if there are any) in all, or head counts by stratum: of N people of whom n answered only N - n
        are uncertain. Without it errors hold for an endless population, which is the careful choice when
        those who answered are not like a random sample.
    lonely : {"refuse", "adjust"}
        What to do with a stratum of one respondent or cluster.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    WeightedMeans
        Means with t intervals, shares with logit intervals, degrees of freedom being clusters less strata in the group.
        The design effect compares with a simple random sample of as many respondents, from the same population if
        that is given. An effective n above the number of respondents is told only if head counts by stratum explain it,
        else it is missing: weights alone bring no respondents. A single cluster has no standard error.

    Raises
    ------
    DataError
        If a variable is not there or no number, or weights, strata or head counts do not fit.
    DisclosureError
        If weights tell small groups apart and groups are asked for.
    EstimationError
        If a stratum has one respondent or cluster only.

    References
    ----------
    Lumley (2010), Complex Surveys. Agrees with R survey (svymean, svyby, svyciprop) to 1e-9; see
    `smstudy.inference.linearization`.

    Examples
    --------
    >>> answers = pd.DataFrame({"use": [3.0, 4, 4, 5, 2, 5]})
    >>> weighted_means(answers, ["use"]).tidy()[["estimate", "std_error"]].round(3).values.tolist()
    [[3.833, 0.477]]
    """
    refuse_telling(weights, [by] if by else [])
    check_level(conf_level)
    answers, variables = frame_of(data), _names(data, variables)
    sampling = sampling_of(data, weights, strata=strata, clusters=clusters, population=population, lonely=lonely)
    groups = _groups(data, by)
    columns = [_indicators(data, name) for name in variables]
    numbers = [name for name, column in zip(variables, columns, strict=True) if "" in column]
    closed = _closed(data, by, groups, columns)
    wanted = [EVERYBODY, *sorted(set(groups) - {EVERYBODY})]
    parts = [_rows(name, column, groups, wanted, sampling, conf_level, replace=population is None)
             for name, column in zip(variables, columns, strict=True)]  # fmt: skip
    table, findings = _protected(pd.concat(parts, ignore_index=True), columns, variables, groups, closed, data)
    return WeightedMeans(
        title=_title(data, variables, by, weighted=weights is not None),
        note=_note(weights, population, numbers, variables, table),
        findings=(*extreme_weights(sampling.weights), *findings),
        labels=labels_of(data),
        privacy=privacy_of(data),
        rows=_ordered(table),
        n=len(answers),
        conf_level=conf_level,
        errors=errors_in_words(weights, strata=strata, clusters=clusters, population=population),
    )


def _names(data: Data, variables: Sequence[str]) -> list[str]:
    """Each variable once."""
    if isinstance(variables, str):
        raise DataError(f'Give the variables as a list, such as ["{variables}"].')
    if not len(variables) or frame_of(data).empty:
        raise DataError("There is nothing to estimate: name a variable at least, and check that respondents are left.")
    return list(dict.fromkeys(variables))


def _named(data: Data, name: str) -> pd.Series:
    return column_of(data, name).astype(object).fillna(NO_GROUP).astype(str)


def _groups(data: Data, by: str) -> pd.Series:
    return _named(data, by) if by else pd.Series(EVERYBODY, index=frame_of(data).index)


def _indicators(data: Data, name: str) -> dict[str, NDArray[np.float64]]:
    """A number as it is, under ""; a category as one column of 0 and 1 per answer, in the order of the codebook."""
    column = column_of(data, name)
    known = data.codebook.variables if isinstance(data, Survey) else ()
    variable = next((v for v in known if v.name == name), None)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(float, na_value=np.nan)
        return _zero_one(values, variable) if set(values[~np.isnan(values)]) == {0.0, 1.0} else {"": values}
    if pd.api.types.is_datetime64_any_dtype(column):
        raise DataError(f'"{name}" is a date. Turn it into a number, such as years, first.')
    if variable is not None and variable.kind in ("id", "text"):
        raise DataError(f'"{name}" is of kind {variable.kind}, so it has neither a mean nor shares. Name another.')
    declared = [category.label for category in variable.categories] if variable else []
    words = column.astype(object)
    answers = list(dict.fromkeys([*declared, *sorted(map(str, words.dropna().unique()))]))
    if not answers:
        raise DataError(f'Nobody answered "{name}", so it has neither a mean nor shares. Name another.')
    return {answer: np.where(words.isna(), np.nan, words.astype(str) == answer).astype(float) for answer in answers}


def _zero_one(values: NDArray[np.float64], variable: Variable | None) -> dict[str, NDArray[np.float64]]:
    """A number that is 0 or 1 as two answers: its mean is a share, and so is its interval."""
    return {category_word(variable, 0.0): 1 - values, category_word(variable, 1.0): values}


def _closed(data: Data, by: str, groups: pd.Series, columns: Sequence[Mapping[str, NDArray]]) -> frozenset[str]:
    """Groups that all tables of the survey hide, and those in which all give the same answer here."""
    if not by:
        return frozenset()
    values = pd.DataFrame({f"{ASIDE}{i}": _as_numbers(column) for i, column in enumerate(columns)}, index=groups.index)
    if isinstance(data, Survey):
        return hidden_groups(data.with_columns(values, "answers as numbers"), by, scores=list(values))
    return alike(values, groups)


def _as_numbers(column: Mapping[str, NDArray]) -> NDArray[np.float64]:
    """Numbers as they are, answers as their places."""
    return column[""] if "" in column else sum(i * part for i, part in enumerate(column.values()))


def _rows(
    name: str, column: Mapping[str, NDArray], groups: pd.Series, wanted: Sequence[str], sampling: Sampling,
    level: float, *, replace: bool,
) -> pd.DataFrame:  # fmt: skip
    values = np.column_stack(list(column.values())) if column else np.empty((sampling.n, 0))
    answered = ~np.isnan(values).any(axis=1)
    parts = []
    for group in wanted:
        inside = answered & (True if group == EVERYBODY else (groups == group).to_numpy())
        about = {"term": name, "answer": list(column), "group": group, "n": int(inside.sum())}
        parts.append(pd.DataFrame(about | _estimates(values, inside, sampling, level, "" not in column, replace)))
    return pd.concat(parts, ignore_index=True)


def _estimates(
    values: NDArray, inside: NDArray, sampling: Sampling, level: float, shares: bool, replace: bool
) -> dict[str, NDArray]:
    """Estimates for one group; without two respondents there is nothing but gaps."""
    n, k = int(inside.sum()), values.shape[1]
    if n < 2:
        return {name: np.full(k, np.nan) for name in NUMBERS if name != "n"}
    found: Linearized = linearized_means(values, sampling, inside)
    low, high = (logit_interval if shares else t_interval)(found, conf_level=level)
    deff = mean_design_effects(values, sampling, found, inside, with_replacement=replace)
    plain = values[inside].mean(axis=0)
    return {
        "estimate": found.estimate, "std_error": found.std_error, "df": np.full(k, float(found.df)),
        "conf_low": low, "conf_high": high, "unweighted": plain, "shift": found.estimate - plain,
        "deff": deff, "n_effective": _effective(n, deff, sampling),
    }  # fmt: skip


def _effective(n: int, deff: NDArray, sampling: Sampling) -> NDArray:
    """Effective n; above n only if strata asked nearly in full explain it, or it is the n / (n - 1) of a part."""
    explained = sampling.population is not None and np.ptp(sampling.population) > 0
    least = ROUNDING if explained else (1 - 1 / n) * (1 - ROUNDING)
    found = np.divide(n, deff, out=np.full(len(deff), np.nan), where=deff > least)
    return found if explained else np.minimum(found, n)


def _protected(
    rows: pd.DataFrame, columns: Sequence[Mapping[str, NDArray]], variables: Sequence[str], groups: pd.Series,
    closed: frozenset[str], data: Data,
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:  # fmt: skip
    """Hide the same groups for every variable, and answers of a few."""
    privacy = privacy_of(data)
    closed = closed | _small_groups(rows, closed, privacy)
    hidden = rows["group"].isin(closed).to_numpy(copy=True)
    for name, column in zip(variables, columns, strict=True):
        if "" not in column:
            shown = _told_answers(column, groups, closed, privacy)
            own = (rows["term"] == name).to_numpy()
            pairs = zip(rows.loc[own, "group"], rows.loc[own, "answer"], strict=True)
            hidden[own] |= [pair not in shown for pair in pairs]
    table = rows.astype({name: float for name in NUMBERS}).assign(hidden=hidden)
    table.loc[hidden, list(NUMBERS)] = np.nan
    if (table["answer"] == "").all():
        table = table.drop(columns="answer")
    text = (
        f"Some groups or answers are hidden: they have fewer than {privacy.min_n} respondents, or are needed so that "
        "such a number does not follow."
    )
    return table, (Finding(name="groups_hidden", text=text, severity="info"),) if hidden.any() else ()


def _small_groups(rows: pd.DataFrame, closed: frozenset[str], privacy: Privacy) -> frozenset[str]:
    groups = rows[rows["group"] != EVERYBODY]
    if groups.empty:
        return frozenset()
    sizes = groups.pivot_table(index="group", columns="term", values="n", aggfunc="min")
    return frozenset(sizes.index[hidden_rows(sizes.to_numpy(float), privacy.min_n, hidden=sizes.index.isin(closed))])


def _told_answers(
    column: Mapping[str, NDArray], groups: pd.Series, closed: frozenset[str], privacy: Privacy
) -> set[tuple[str, str]]:
    """Pairs of group and answer that may be shown; hidden groups count as one in all sums."""
    counts = pd.DataFrame(column).fillna(0.0)
    everybody = counts.sum()
    if set(groups) == {EVERYBODY}:
        alike = everybody.max() == everybody.sum()
        hidden = np.full(len(everybody), True) if alike else hidden_rows(everybody.to_numpy()[:, None], privacy.min_n)
        return {(EVERYBODY, answer) for answer, closes in zip(everybody.index, hidden, strict=True) if not closes}
    names = groups.where(~groups.isin(closed), HIDDEN_TOGETHER).to_numpy()
    table = protect_two_way(counts.groupby(names).sum(), privacy=privacy).table
    whole = table[table[ALL].notna()].drop(columns=ALL).rename(index={ALL: EVERYBODY}).stack()
    return set(whole.dropna().index) - {(HIDDEN_TOGETHER, answer) for answer in column}


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Put everybody first, then the other groups by name: their place must say nothing."""
    place = pd.DataFrame({
        "term": table["term"].map({term: i for i, term in enumerate(dict.fromkeys(table["term"]))}),
        "everybody": table["group"] != EVERYBODY,
        "group": table["group"],
    })  # fmt: skip
    return table.loc[place.sort_values(list(place), kind="stable").index].reset_index(drop=True)


def _title(data: Data, variables: Sequence[str], by: str, *, weighted: bool) -> str:
    labels = labels_of(data)
    what = "Weighted means" if weighted else "Means"
    grouped = f" by {lower_first(labels.get(by, by))}" if by else ""
    return f"{what}{grouped}" + (f": {labels.get(variables[0], variables[0])}" if len(variables) == 1 else "")


def _note(
    weights: Weights | str | None, population: Population, numbers: Sequence[str], names: Sequence[str],
    table: pd.DataFrame,
) -> str:  # fmt: skip
    said = ["Unweighted: every respondent counts the same."] if weights is not None else []
    if numbers:
        said.append("Means have t intervals.")
    if len(numbers) < len(names):
        said.append("Shares are from 0 to 1, with logit intervals.")
    said.append(
        "Errors are for the people who did not answer, as if those who did were a random sample of their group."
        if population is not None
        else "Errors are for an endless population."
    )
    if (table["n_effective"] > table["n"] * (1 + ROUNDING)).any():
        said.append("The effective n exceeds n where a stratum was asked nearly in full.")
    return " ".join(said)
