"""The sensitivity line: the key estimates with everybody, and with the flagged respondents left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from smstudy.errors import DataError
from smstudy.inference.means import mean_interval
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Survey, need_survey
from smstudy.survey.disclosure import blank

STAYS, CHANGES, TOO_FEW = "stays", "changes its verdict", "too few flagged to tell"
NOBODY = "nobody left out"
ABOUT = ("outcome", "term", "other_term", "group", "segment")
NUMBERS = ("n_without", "estimate", "conf_low", "conf_high", "estimate_without", "difference")
NEEDED = ("estimate", "conf_low", "conf_high")
INTERCEPT = "(intercept)"


@dataclass(frozen=True, kw_only=True, repr=False)
class Sensitivity(Result):
    """Estimates with everybody beside those without the flagged respondents.

    Attributes
    ----------
    rows : DataFrame
        One row per estimate, ungated; `closed` says which rows would tell about fewer than `min_n` respondents.
    """

    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per estimate: estimate and interval of everybody, n and estimate without, difference, verdict.

        How many everybody are is left out: beside the numbers of other tables it could tell how few a rule removed.
        """
        return self.rows.drop(columns=["closed", "n"])

    def shown(self) -> pd.DataFrame:
        """The rows in which enough respondents are left out, and enough left."""
        closed = self.rows["closed"].to_numpy(dtype=bool)
        return blank(self.tidy(), closed, [name for name in NUMBERS if name in self.rows])

    def glance(self) -> dict[str, int | float | str]:
        """The worst verdict of the rows shown."""
        verdicts = set(self.shown()["verdict"])
        return {"verdict": next((word for word in (CHANGES, STAYS, NOBODY) if word in verdicts), TOO_FEW)}


def sensitivity(
    survey: Survey,
    flagged: str | pd.Series,
    *,
    scores: Sequence[str] | None = None,
    analysis: Callable[[Survey], Result] | None = None,
) -> Sensitivity:
    """Compare the key estimates with everybody to those without the flagged respondents.

    Parameters
    ----------
    survey : Survey
        Scored answers, the flagged respondents among them.
    flagged : str or Series of bool
        A column of numbers that is above 0 for those flagged, such as `flag_any`, or one value per row of the answers.
    scores : sequence of str, optional
        Scales whose means are compared; all that are scored if left out.
    analysis : callable, optional
        Survey -> Result, such as `lambda data: regress("adoption ~ leadership", data)`; its estimates are compared
        instead of means.

    Returns
    -------
    Sensitivity
        A verdict stays if the estimate without the flagged lies inside the interval of everybody and the two
        intervals lie on the same side of zero. A row that would tell about 1 to 4 respondents is hidden as a whole:
        the difference of two means gives their answers away. That nobody is left out is said: 0 is no small count,
        and the quality card shows it too.

    Raises
    ------
    DataError
        If the flag or a score is not there, the flag is text, nobody would be left, or the analysis gives no Result
        with estimates and intervals.
    """
    survey = need_survey(survey, "sensitivity")
    mask = _mask(survey, flagged)
    if mask.all():
        raise DataError("Everybody is flagged, so nobody would be left. Check the flag.")
    without = survey.keep_rows(~mask, "flagged respondents left out")
    estimates = _analyzed(analysis) if analysis else _means(scores)
    rows = _compared(estimates(survey), estimates(without))
    closed = _closed(rows, survey, mask, survey.privacy)
    rows = rows.assign(verdict=np.where(closed, TOO_FEW if mask.any() else NOBODY, rows["verdict"]), closed=closed)
    return Sensitivity(
        title="Estimates with and without the flagged respondents",
        note=_note(rows, scores_only=analysis is None),
        findings=_findings(rows, survey),
        labels=survey.codebook.labels,
        privacy=survey.privacy,
        rows=rows,
    )


def _mask(survey: Survey, flagged: str | pd.Series) -> pd.Series:
    flag = survey.column(flagged) if isinstance(flagged, str) else flagged
    if not isinstance(flag, pd.Series):
        raise DataError(
            f"The flag is a {type(flag).__name__}. Give the name of a column, or a Series of true and false with one "
            "value per row of the answers."
        )
    if not flag.index.equals(survey.answers.index):
        raise DataError("The flag must have one value per row of the answers, in their order. Build it from them.")
    known = flag.dropna().infer_objects()
    if len(known) and not pd.api.types.is_numeric_dtype(known):
        raise DataError("The flag holds words or dates. It must be true and false, or numbers above 0 for the flagged.")
    return (known > 0).astype(bool).reindex(flag.index, fill_value=False)


def _means(scores: Sequence[str] | None) -> Callable[[Survey], pd.DataFrame]:
    """The means of scores with t intervals, one row per score."""

    def estimates(survey: Survey) -> pd.DataFrame:
        names = list(scores or [scale.name for scale in survey.codebook.scales if scale.name in survey.answers])
        if not names:
            raise DataError("There are no scores to compare. Call score(survey) first, or name columns in scores.")
        return pd.DataFrame([_mean_row(name, survey.column(name)) for name in names])

    return estimates


def _mean_row(name: str, column: pd.Series) -> dict[str, object]:
    values = column.dropna().to_numpy(dtype=float)
    if len(values) < 2:
        return {"term": name, "n": len(values), **dict.fromkeys(NEEDED, float("nan"))}
    found = mean_interval(values)
    return {"term": name, "n": len(values), **{key: getattr(found, key) for key in NEEDED}}


def _analyzed(analysis: Callable[[Survey], Result]) -> Callable[[Survey], pd.DataFrame]:
    """What an analysis shows: its own hidden rows stay hidden."""

    def estimates(survey: Survey) -> pd.DataFrame:
        result = analysis(survey)
        if not isinstance(result, Result):
            raise DataError(
                f"The analysis gave a {type(result).__name__} and no Result. Give a function of the survey such as "
                'lambda data: regress("adoption ~ leadership", data).'
            )
        table = result.shown()
        absent = [name for name in NEEDED if name not in table]
        if absent:
            raise DataError(
                f"A {type(result).__name__} has no {', '.join(absent)}, so its estimates cannot be compared. "
                "Give an analysis with estimates and intervals, such as regress."
            )
        about = [name for name in ABOUT if name in table]
        if table.duplicated(about).any():
            raise DataError(f"The rows of a {type(result).__name__} cannot be told apart. Give another analysis.")
        n = table["n"] if "n" in table else result.glance().get("n", len(survey.answers))
        return table[[*about, *NEEDED]].assign(n=n)

    return estimates


def _compared(everybody: pd.DataFrame, without: pd.DataFrame) -> pd.DataFrame:
    """Put both sides beside each other, in the order of everybody's."""
    about = [name for name in ABOUT if name in everybody]
    rows = everybody.merge(without, on=about, how="left", suffixes=("", "_without"), validate="one_to_one")
    rows["difference"] = rows["estimate_without"] - rows["estimate"]
    inside = rows["estimate_without"].between(rows["conf_low"], rows["conf_high"])
    same_side = _side(rows, "") == _side(rows, "_without")
    rows["verdict"] = np.where(inside & same_side, STAYS, CHANGES)
    return rows[[*about, "n", *NUMBERS, "verdict"]]


def _side(rows: pd.DataFrame, end: str) -> np.ndarray:
    """On which side of zero an interval lies: -1, 0 if it holds zero, 1."""
    return (rows[f"conf_low{end}"] > 0).to_numpy().astype(int) - (rows[f"conf_high{end}"] < 0).to_numpy()


def _closed(rows: pd.DataFrame, survey: Survey, mask: pd.Series, privacy: Privacy) -> np.ndarray:
    """Choose the rows whose two estimates differ by too few respondents, or leave too few, shape (n rows,)."""
    n, left = rows["n"].to_numpy(float), rows["n_without"].to_numpy(float)
    absent = rows[["estimate", "estimate_without"]].isna().any(axis=1).to_numpy()
    few = ((n - left > 0) & (n - left < privacy.min_n)) | (left < privacy.min_n) | (n < left)
    split = "group" in rows or "segment" in rows  # the parts add up, so one hidden part follows from the others
    everything = mask.sum() < privacy.min_n or (split and few.any())
    return absent | few | everything | _about_few(rows, survey, mask, privacy)


def _about_few(rows: pd.DataFrame, survey: Survey, mask: pd.Series, privacy: Privacy) -> np.ndarray:
    """Choose the rows that tell about levels of a variable, one of which holds too few of the flagged.

    A coefficient of a level plus the intercept is a mean, so the intercept goes with the levels.
    """
    terms = rows["term"].astype(str) if "term" in rows else pd.Series("", index=rows.index)
    words = [column for column in survey.answers if terms.str.contains(f"{column}[", regex=False).any()]
    words += [name for name in _group_columns(rows, survey) if name not in words]
    closed = np.zeros(len(rows), dtype=bool)
    for column in words:
        counts = survey.answers.loc[mask, column].value_counts(dropna=False)
        if counts.between(1, privacy.min_n - 1).any():
            about = terms.str.contains(f"{column}[", regex=False) | (terms == INTERCEPT)
            closed |= about.to_numpy() | ("group" in rows)
    return closed


def _group_columns(rows: pd.DataFrame, survey: Survey) -> list[str]:
    """The variables a column of groups may stand for."""
    if "group" not in rows:
        return []
    groups = set(rows["group"])
    named = [v for v in survey.codebook.variables if v.name in survey.answers]
    return [v.name for v in named if groups & {category.label for category in v.categories}]


def _note(rows: pd.DataFrame, *, scores_only: bool) -> str:
    what = "Means with 95% t intervals" if scores_only else "Estimates and intervals of the same analysis, run twice"
    return (
        f"{what}. Change: without the flagged minus everybody. A verdict stays if the estimate without the flagged "
        "lies inside the interval of everybody and both intervals lie on the same side of zero. That the flagged "
        "answered carelessly is likely, not certain: read both columns."
    )


def _findings(rows: pd.DataFrame, survey: Survey) -> tuple[Finding, ...]:
    found = []
    if (rows["verdict"] == NOBODY).any():
        text = "Nobody is left out, so there is nothing to compare."
        found.append(Finding(name="nobody_left_out", text=text, severity="info"))
    elif rows["closed"].any():
        least = survey.privacy.min_n
        text = (
            f"{int(rows['closed'].sum())} of {len(rows)} estimates are not compared: fewer than {least} respondents "
            "would be left out or left, or have no estimate of their own, and the difference would tell about them."
        )
        found.append(Finding(name="too_few_flagged", text=text, severity="info"))
    moved = rows.loc[~rows["closed"] & (rows["verdict"] == CHANGES)]
    if len(moved):
        names = [survey.codebook.labels.get(term, term) for term in moved.get("term", moved.iloc[:, 0])]
        text = f"Without the flagged respondents the verdict changes for: {', '.join(dict.fromkeys(names))}."
        found.append(Finding(name="verdict_depends_on_flagged", text=text))
    return tuple(found)
