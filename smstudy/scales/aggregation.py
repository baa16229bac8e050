"""May the answers of a department be averaged to say something about the department?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil

import numpy as np
import pandas as pd

from smstudy.display import apa, figures, rules
from smstudy.display.prose import join_words, lower_first
from smstudy.errors import ColumnError, DataError, EstimationError, SmstudyError, did_you_mean
from smstudy.inference.psychometrics.consensus import (
    group_variances,
    skewed_variance,
    uniform_variance,
    within_group_agreement,
)
from smstudy.inference.psychometrics.consistency import pairwise_covariances
from smstudy.inference.psychometrics.intraclass import Grouped, grouped_correlation, size_needed
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_level, check_options, check_word
from smstudy.scales.batteries import battery_of, numbers_as_text, refuse_opposed
from smstudy.scales.scoring import items_of, scales_of, score
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import NO_GROUP, alike, group_names, hidden_groups, protect

ALLOWED, NOT_ALLOWED, CANNOT_TELL, REFUSED = "allowed", "not allowed", "cannot tell", "refused"
AGREED = rules.AGREED.cuts[0]
RELIABLE = rules.GROUP_MEANS.cuts[0]
TOLD = ["rwg", "rwg_skewed"]
RELIABILITIES = ("icc_2", "icc_2_low", "icc_2_high")
LAYOUT = ("term", "n", "n_groups", "icc_1", "icc_1_low", "icc_1_high", "icc_2", "icc_2_low", "icc_2_high", "p_value",
          "rwg", "rwg_skewed", "rwg_share", "n_needed", "verdict", "reason")  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class DepartmentAgreement(Result):
    """How far the members of each department agree, one row per scale and department; small ones are hidden."""

    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(partial(figures.bars, value="rwg"))

    def tidy(self) -> pd.DataFrame:
        """One row per scale and department; n counts those who answered all items."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """As `tidy()`, rWG(J) in two decimals, and of small departments its reading only.

        In a department of few that nearly agrees, the exact number is the one answer in which they differ.
        """
        shown = super().shown()
        few = shown["n"] < 2 * self.privacy.min_n
        return shown.assign(**{name: shown[name].mask(few).round(2) for name in TOLD})


@dataclass(frozen=True, kw_only=True, repr=False)
class Agreement(Result):
    """Whether the scores of scales may be averaged to groups, one row per scale.

    Attributes
    ----------
    conf_level : float
        Level of the intervals.
    rows : DataFrame
        One row per scale.
    departments : DepartmentAgreement
        One row per scale and group.
    """

    conf_level: float
    rows: pd.DataFrame = field(repr=False)
    departments: DepartmentAgreement = field(repr=False)

    picture = staticmethod(
        partial(figures.estimates, value="icc_1", ends=("icc_1_low", "icc_1_high"), xlabel="ICC(1), with interval")
    )

    def tidy(self) -> pd.DataFrame:
        """One row per scale; n and n_groups count what the intraclass correlations are made from."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """As `tidy()`, rWG(J) in two decimals: the median may be that of a small department."""
        shown = super().shown()
        return shown.assign(**{name: shown[name].round(2) for name in TOLD})

    def glance(self) -> dict[str, int | float | str]:
        """Groups and level of the intervals."""
        return {"n_groups": int(self.rows["n_groups"].max()), "conf_level": self.conf_level}

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave the F ratio, its degrees of freedom and a second way of estimating to the CSV file.

        ICC(2) below 0 is written as 0: it is a reliability, and a mean that tells nothing cannot tell less.
        """
        return shown[list(LAYOUT)].assign(**{name: shown[name].clip(lower=0.0) for name in RELIABILITIES})


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One scale: its items and scores, the codes of its answers, and why it is refused, if it is."""

    name: str
    items: pd.DataFrame
    scores: pd.Series
    codes: tuple[float, ...]
    refused: str = ""

    def complete(self, where: pd.Series) -> pd.DataFrame:
        return self.items[where].dropna()


def agreement(
    data: Data,
    scales: Sequence[str] | None = None,
    *,
    by: str | None = None,
    options: int | None = None,
    conf_level: float = 0.95,
) -> Agreement:
    """Judge whether the scores of scales may be averaged to departments.

    Parameters
    ----------
    data : Survey or DataFrame
        Answers and codebook, reversed items are turned round; or the items of one scale and the column of groups.
    scales : sequence of str, optional
        Scales to judge; all of the codebook if left out.
    by : str, optional
        Variable with the group of each respondent; may be left out if the codebook has one of kind unit.
    options : int, optional
        How many answers the items of a frame had, from 1; without it rWG(J) cannot be told. A codebook says it.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    Agreement
        Verdict `allowed` if the median rWG(J) is at least .70, against answers spread evenly and against answers that
        lean slightly to one side, the interval of ICC(1) lies above 0 and that of ICC(2) is not below .60; `not
        allowed` if the median is lower against both, or one of the intervals lies wholly on the other side; else
        `cannot tell`. A scale that cannot be judged becomes a serious
        finding. `departments` has a row per group; those that are small, or in which everybody agrees, are hidden and,
        in a survey, left out of all numbers.

    Raises
    ------
    DataError
        If there is no such group variable, fewer than two groups that may be shown, or no group has two respondents.

    References
    ----------
    LeBreton & Senter (2008), Organizational Research Methods 11, 815-852; Bliese (2000), in Klein & Kozlowski,
    Multilevel Theory, 349-381. Agrees with R multilevel::ICC1, ICC2 and rwg.j (tests/reference/aggregation.R): its
    estimates, which count all groups as if they were of average size and so may lie outside their interval, are the
    columns icc_1_mean_size and icc_2_mean_size; those of groups of equal size are the same.
    """
    frame_of(data)
    check_level(conf_level)
    _check_options(data, scales, options)
    unit = _unit(data, by)
    tasks = _tasks_of_survey(data, scales) if isinstance(data, Survey) else [_task_of_frame(data, unit, options)]
    groups = _groups(data, unit)
    hidden = _hidden(data, tasks, groups, unit)
    kept = groups[~groups.isin(hidden)] if isinstance(data, Survey) else groups
    kept = kept[kept != NO_GROUP]
    _check_groups(kept, unit)
    departments = _departments(data, tasks, groups, hidden, unit)
    rows, findings = zip(*(_judge(data, task, kept, departments, conf_level) for task in tasks), strict=True)
    return Agreement(
        title=f"Averaging scores by {lower_first(labels_of(data).get(unit, unit))}",
        note=_note(tasks, data),
        findings=(*(one for some in findings for one in some), *departments.findings),
        labels=labels_of(data),
        privacy=privacy_of(data),
        conf_level=conf_level,
        rows=pd.DataFrame(rows),
        departments=departments,
    )


def _check_options(data: Data, scales: Sequence[str] | None, options: int | None) -> None:
    if isinstance(data, Survey) and options is not None:
        raise DataError("options is for frames: a survey's codebook says how many answers there are. Leave it out.")
    if not isinstance(data, Survey) and scales is not None:
        raise DataError("A table has no scales: give the items of one and the column of groups.")
    if options is not None:
        check_options(options)


def _unit(data: Data, by: str | None) -> str:
    columns = list(map(str, frame_of(data).columns))
    if by is not None:
        check_word("by", by, "unit")
        if by not in columns:
            raise ColumnError(f'There is no variable "{by}" to group by. {did_you_mean(by, columns)}')
        return by
    units = [variable.name for variable in data.codebook.of_kind("unit")] if isinstance(data, Survey) else []
    if isinstance(data, Survey) and not units:
        raise DataError("The codebook has no variable of kind unit, so there are no departments to average to.")
    if len(units) != 1:
        raise DataError('Which groups? Say it with by=, such as by="unit".')
    return units[0]


def _groups(data: Data, unit: str) -> pd.Series:
    if isinstance(data, Survey):
        return group_names(data, unit)
    return data[unit].astype(object).fillna(NO_GROUP).astype(str)


def _tasks_of_survey(survey: Survey, scales: Sequence[str] | None) -> list[_Task]:
    return [_task_of_scale(survey, scale.name) for scale in scales_of(survey, scales)]


def _task_of_scale(survey: Survey, name: str) -> _Task:
    items = items_of(survey, name)
    variables = [survey.codebook.variable(item) for item in items]
    codes = {tuple(sorted(float(category.value) for category in variable.categories)) for variable in variables}
    scores = score(survey, [name]).survey.answers[name]
    return _Task(
        name=name,
        items=items,
        scores=scores.astype(float),
        codes=codes.pop() if len(codes) == 1 else (),
        refused=_refusal(survey, name),
    )


def _task_of_frame(frame: pd.DataFrame, unit: str, options: int | None) -> _Task:
    items = frame.drop(columns=unit)
    _refuse_no_items(items, unit)
    if items.shape[1] < 2:
        raise DataError("Agreement about a scale needs two items or more beside the column of groups. Add items.")
    battery = battery_of(items, None, 0.95, "pairwise")
    refuse_opposed(battery, *pairwise_covariances(battery.answers), 0.95)
    codes = tuple(map(float, range(1, (options or 0) + 1)))
    if codes and ((items < 1) | (items > options)).to_numpy().any():
        raise DataError(f"An answer lies outside 1 to {options}. Recode the answers to 1, 2, 3 … first.")
    return _Task(name="items", items=items.astype(float), scores=_half_answered(items), codes=codes)


def _refuse_no_items(frame: pd.DataFrame, unit: str) -> None:
    stored = numbers_as_text(frame)
    numeric = pd.api.types.is_numeric_dtype
    text = [str(name) for name, column in frame.items() if not numeric(column) and str(name) not in stored]
    if text:
        hold = "holds" if len(text) == 1 else "hold"
        raise DataError(f"{join_words(text)} {hold} no numbers. Give only the items and {unit}, without other columns.")


def _half_answered(items: pd.DataFrame) -> pd.Series:
    return items.mean(axis=1).where(items.notna().mean(axis=1) >= 0.5).astype(float)


def _refusal(survey: Survey, name: str) -> str:
    try:
        battery = battery_of(survey, name, 0.95, "pairwise")
        refuse_opposed(battery, *pairwise_covariances(battery.answers), 0.95)
    except SmstudyError as error:
        return str(error)
    return ""


def _hidden(data: Data, tasks: Sequence[_Task], groups: pd.Series, unit: str) -> frozenset[str]:
    """Groups whose rows would tell about few people, and those that protect them; the same for all scales."""
    together = {}
    for task in tasks:
        complete = task.items.notna().all(axis=1)
        together[f"{task.name}/items"] = complete.groupby(groups).sum()
        together[f"{task.name}/scores"] = task.scores.notna().groupby(groups).sum()
    sizes = pd.DataFrame(together)
    closed = set().union(*(_of_one_mind(task, groups) for task in tasks))
    closed |= _closed_by_house(data, tasks, unit)
    names = list(sizes)
    table = sizes.rename_axis("group").reset_index().assign(hidden=lambda t: t["group"].isin(closed))
    found = protect(table, group="group", counts=names, numbers=[], privacy=privacy_of(data)).table
    return frozenset(found.loc[found["hidden"], "group"])


def _closed_by_house(data: Data, tasks: Sequence[_Task], unit: str) -> frozenset[str]:
    """What every page about these groups hides."""
    if not isinstance(data, Survey):
        return frozenset()
    scored = data.with_columns(pd.DataFrame({task.name: task.scores for task in tasks}), "scored")
    return hidden_groups(scored, unit, scores=[task.name for task in tasks])


def _of_one_mind(task: _Task, groups: pd.Series) -> frozenset[str]:
    """Groups in which all who have a score, or have answered all items, agree: rWG(J) would give them away."""
    complete = task.items.dropna()
    same = complete.groupby(groups[complete.index]).nunique().eq(1).all(axis=1)
    return frozenset(same.index[same]) | alike(task.scores.to_frame(), groups)


def _check_groups(groups: pd.Series, unit: str) -> None:
    sizes = groups.value_counts()
    if len(sizes) < 2:
        raise DataError(f'"{unit}" has fewer than two groups that may be shown, so nothing can be compared.')
    if sizes.max() < 2:
        raise DataError(f'Every group of "{unit}" has one respondent. Choose a variable with larger groups.')


def _departments(
    data: Data, tasks: Sequence[_Task], groups: pd.Series, hidden: frozenset[str], unit: str
) -> DepartmentAgreement:
    rows = pd.concat([_department_rows(task, groups, hidden) for task in tasks if not task.refused] or [_no_rows()])
    closed = rows["hidden"].to_numpy(bool)
    numbers = ["n", *TOLD]
    table = rows.astype(dict.fromkeys(numbers, float)).reset_index(drop=True)
    table.loc[closed, numbers] = np.nan
    table.loc[closed, "reading"] = None
    return DepartmentAgreement(
        title=f"Agreement by {lower_first(labels_of(data).get(unit, unit))}",
        note="rWG(J) against answers spread evenly, and against answers that lean slightly to one side. n: respondents "
        f"who answered all items; where they are fewer than {2 * privacy_of(data).min_n}, only the reading is shown. "
        f"Reading: {rules.WITHIN_GROUP.source}.",
        findings=_hidden_finding(hidden, privacy_of(data).min_n),
        labels=labels_of(data),
        privacy=privacy_of(data),
        rows=table,
    )


def _no_rows() -> pd.DataFrame:
    return pd.DataFrame(columns=["term", "group", "n", "rwg", "rwg_skewed", "reading", "hidden"])


def _department_rows(task: _Task, groups: pd.Series, hidden: frozenset[str]) -> pd.DataFrame:
    names = sorted(set(groups) - {NO_GROUP}, key=lambda name: (name in hidden, name))
    complete = task.complete(groups != NO_GROUP)
    places = pd.Categorical(groups[complete.index], categories=names).codes.astype(np.int64)
    variances = group_variances(complete.to_numpy(float), places, len(names))
    even = _rwg(task, variances, uniform_variance)
    return pd.DataFrame(
        {
            "term": task.name,
            "group": names,
            "n": np.bincount(places, minlength=len(names)),
            "rwg": even,
            "rwg_skewed": _rwg(task, variances, skewed_variance),
            "reading": [rules.WITHIN_GROUP.read(value) for value in even],
            "hidden": [name in hidden for name in names],
        }
    )


def _rwg(task: _Task, variances: np.ndarray, expected: Callable[[Sequence[float]], float]) -> np.ndarray:
    if not task.codes:
        return np.full(len(variances), np.nan)
    return within_group_agreement(variances, expected(task.codes), task.items.shape[1])


def _judge(
    data: Data, task: _Task, kept: pd.Series, departments: DepartmentAgreement, conf_level: float
) -> tuple[dict[str, object], list[Finding]]:
    """One row of the table, or nothing and the reason as a finding."""
    label = labels_of(data).get(task.name, task.name)
    scores = task.scores[kept.index].dropna()
    try:
        if task.refused:
            raise EstimationError(task.refused)
        places = pd.factorize(kept[scores.index])[0]
        found = grouped_correlation(scores.to_numpy(), places, conf_level)
    except EstimationError as error:
        if not isinstance(data, Survey):
            raise DataError(str(error)) from None
        text = str(error) if task.refused else f"{label}: {error}"
        refused = Finding(name="scale_refused", text=text, severity="serious")
        empty = dict.fromkeys((name for name in _row_names() if name not in ("term", "n")), np.nan)
        return {"term": task.name, "n": 0, **empty, "n_groups": 0, "verdict": REFUSED, "reason": "see below"}, [refused]
    shown = departments.rows[departments.rows["term"] == task.name]
    row = {"term": task.name, **_numbers(found), **_agreed(shown)}
    verdict, reason = _verdict(found, (row["rwg_skewed"], row["rwg"]), row["n_needed"])
    return {**row, "verdict": verdict, "reason": reason}, []


def _row_names() -> tuple[str, ...]:
    more = ("icc_1_mean_size", "icc_2_mean_size", "statistic", "df", "df_residual")
    return (*LAYOUT[:3], "group_size", *LAYOUT[3:9], *more, *LAYOUT[9:])


def _numbers(found: Grouped) -> dict[str, float]:
    needed = size_needed(found.exact, RELIABLE)
    return {
        "n": found.n,
        "n_groups": found.n_groups,
        "group_size": found.size,
        "icc_1": found.exact,
        "icc_1_low": found.single_ends[0],
        "icc_1_high": found.single_ends[1],
        "icc_2": found.exact_average,
        "icc_2_low": found.average_ends[0],
        "icc_2_high": found.average_ends[1],
        "icc_1_mean_size": found.single,
        "icc_2_mean_size": found.average if np.isfinite(found.average) else np.nan,
        "statistic": found.statistic,
        "df": found.df,
        "df_residual": found.df_residual,
        "p_value": found.p_value,
        "n_needed": needed if np.isnan(needed) else ceil(needed),
    }


def _agreed(shown: pd.DataFrame) -> dict[str, float]:
    """Median rWG(J) over the groups that are shown, and the share of them that reach the yardstick."""
    values = shown["rwg"].dropna()
    if values.empty:
        return {"rwg": np.nan, "rwg_skewed": np.nan, "rwg_share": np.nan}
    share = float((values >= AGREED).mean())
    return {"rwg": values.median(), "rwg_skewed": shown["rwg_skewed"].median(), "rwg_share": share}


def _verdict(found: Grouped, rwg: tuple[float, float], needed: float) -> tuple[str, str]:
    """Verdict and reason; `rwg` is the median against answers that lean to one side, and against even ones."""
    (single_low, single_high), (mean_low, mean_high) = found.single_ends, found.average_ends
    parts = {
        _clause_of_agreement(*rwg): _standing(float(np.fmin(*rwg)), rwg[1], AGREED),
        _clause_of_difference(found): _standing(single_low, single_high, 0.0),
        _clause_of_means(found, needed): _standing(mean_low, mean_high, RELIABLE),
    }
    standings = set(parts.values())
    verdict = NOT_ALLOWED if NOT_ALLOWED in standings else CANNOT_TELL if CANNOT_TELL in standings else ALLOWED
    told = [text for text, standing in parts.items() if standing == verdict]
    return verdict, "; ".join(told) + "."


def _standing(low: float, high: float, yardstick: float) -> str:
    """On which side of a yardstick an interval lies."""
    if low >= yardstick and (yardstick or low > 0):
        return ALLOWED
    return NOT_ALLOWED if high < yardstick or high <= 0 else CANNOT_TELL


def _clause_of_agreement(skewed: float, rwg: float) -> str:
    if np.isnan(rwg):
        return "rWG(J) is not known, so nobody can tell whether members agree"
    if skewed < AGREED <= rwg:
        return (
            "members agree if answers without any agreement would be spread evenly, not if they would lean to one side "
            f"(median rWG(J) {apa.bounded(rwg)} and {apa.bounded(skewed)})"
        )
    return f"{rules.AGREED.read(rwg)} (median rWG(J) {apa.bounded(rwg)})"


def _clause_of_difference(found: Grouped) -> str:
    low, high = found.single_ends
    words = "differ" if low > 0 else "do not differ" if high <= 0 else "may not differ at all"
    chance = "; below 0: no more than chance would make them" if found.exact < 0 else ""
    return f"departments {words} (ICC(1) {_with_interval(found.exact, low, high)}{chance})"


def _clause_of_means(found: Grouped, needed: float) -> str:
    low, mean, high = (max(each, 0.0) for each in (found.average_ends[0], found.exact_average, found.average_ends[1]))
    size = found.size
    words = "reliable enough" if low >= RELIABLE else "too unreliable" if high < RELIABLE else "perhaps too unreliable"
    text = f"means of departments are {words} (ICC(2) {_with_interval(mean, low, high)})"
    if low >= RELIABLE or np.isnan(needed):
        return text
    if needed <= size:
        return f"{text}; more departments or respondents would narrow the interval"
    more = ceil(needed - size)
    return f"{text}; about {more} more respondents per department would bring ICC(2) to {apa.bounded(RELIABLE)}"


def _with_interval(estimate: float, low: float, high: float) -> str:
    return f"{apa.bounded(estimate)} [{apa.bounded(low)}, {apa.bounded(high)}]"


def _note(tasks: Sequence[_Task], data: Data) -> str:
    unknown = not isinstance(data, Survey) and not tasks[0].codes
    skewed = all(len(task.codes) for task in tasks) and not np.isnan([skewed_variance(t.codes) for t in tasks]).all()
    lean = ", also against answers that lean slightly to one side (skewed)" if skewed else ""
    return (
        f"Allowed if the median rWG(J) is at least {apa.bounded(AGREED)}{lean} ({rules.AGREED.source}), the interval "
        "of ICC(1) lies above 0 and that of ICC(2), the reliability of a department's mean, is not below "
        f"{apa.bounded(RELIABLE)} ({rules.GROUP_MEANS.source}). ICC(1) below 0: departments differ no more than chance "
        "would make them; ICC(2) is then written as 0. Estimates count every department by its size, intervals are "
        "Wald's, exact for normal scores. Needed n: "
        f"respondents per department for an ICC(2) of {apa.bounded(RELIABLE)}. Where averaging is not allowed, analyze "
        "respondents, not departments."
        + (" rWG(J) needs options=, the number of answers the items had." if unknown else "")
    )


def _hidden_finding(hidden: frozenset[str], min_n: int) -> tuple[Finding, ...]:
    if not hidden - {NO_GROUP}:
        return ()
    text = (
        f"Departments are hidden: fewer than {min_n} respondents, all with the same answer, or needed so that such a "
        "one does not follow. A survey's hidden departments are in none of the numbers."
    )
    return (Finding(name="groups_hidden", text=text, severity="info"),)
