"""Interrupted time series: did one series jump or turn when something began?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, event_study, figures
from smstudy.errors import DataError, DisclosureError, StudyError, did_you_mean
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.time_series import (
    INTERRUPTED,
    AutoRegression,
    autoregressive,
    breusch_godfrey,
    interrupted_design,
    newey_west,
    usual_lags,
)
from smstudy.inference.threads import one_thread
from smstudy.models.timelines.waves import (
    Stack,
    answers,
    named,
    numbers_of,
    sizes_of,
    stacked,
    times_of,
    wave_place,
    waves_of,
)
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, Survey

Array = NDArray[np.float64]
Errors = Literal["autoregressive", "newey_west"]
EFFECT, CANNOT_TELL = "effect", "cannot tell"
NAMES: dict[Errors, str] = {
    "autoregressive": "AR(1) by restricted maximum likelihood, Satterthwaite degrees of freedom",
    "newey_west": "Newey-West",
}
LEVEL = 0.05
FEWEST = 4
ENOUGH = 12
EXACT = 1e-10
SERIES_ROWS = 9
MOST_GAPS = 3
ROUNDING = 1e-9
UNLIKE = 3.0
ASSUMED = (
    "The jump and the change of slope are effects only if the course before had gone on without the start and nothing "
    "else began then; one series has nothing to compare with"
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Series(Result):
    """A series over time, with what the model fits and what it would have gone on to without the start."""

    rows: pd.DataFrame = field(repr=False)
    n: int
    start: int

    picture: ClassVar = staticmethod(event_study.interrupted)

    def tidy(self) -> pd.DataFrame:
        """One row per time: wave, n, mean, fitted and expected without the start."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents in all."""
        return {"n": self.n}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the series from left to right."""
        return super().plot(ax or figures.new_axes(SERIES_ROWS))

    def alt_text(self) -> str:
        """First and last value in words."""
        rows = self.drawn()
        first, last = rows.iloc[0], rows.iloc[-1]
        return (
            f"{self.title}. From {apa.number(first['mean'])} ({first['wave']}) to {apa.number(last['mean'])} "
            f"({last['wave']}); the course before would have led to {apa.number(last['expected'])}."
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class InterruptedSeries(Result):
    """Segmented regression of one series.

    Attributes
    ----------
    rows : DataFrame
        What `tidy()` gives.
    matrix : array, shape (4, 4)
        Covariance of the coefficients.
    series : Series
        What was modeled, wave by wave.
    summary : mapping
        What `glance()` gives.
    """

    rows: pd.DataFrame = field(repr=False)
    matrix: Array = field(repr=False)
    series: Series
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(figures.estimates)

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient: level and slope before, jump, change of slope."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, times, autocorrelation and the verdict."""
        return dict(self.summary)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the series."""
        return self.series.plot(ax)

    def alt_text(self) -> str:
        """The series in words."""
        return self.series.alt_text()

    def pooling(self) -> Poolable:
        """The four coefficients with their covariance."""
        return Poolable(
            keys=self.rows[["term"]],
            estimates=self.rows["estimate"].to_numpy(float),
            covariance=self.matrix,
            df_complete=self.rows["df"].to_numpy(float),
            tested=INTERRUPTED[2:],
            n=int(self.summary["n"]),
            title=self.title,
            note=f"Segmented regression, errors: {self.summary['covariance']}. {ASSUMED}.",
        )


class _Points(NamedTuple):
    """The series: mean and people per wave, the names of the waves, and when each was, usual steps from the start.

    `declared` says that times in the data were put aside for an order that counts every wave as one step.
    """

    means: Array
    sizes: Array
    names: tuple[str, ...]
    times: Array
    n_dropped: int
    declared: bool

    @property
    def start(self) -> int:
        """Waves before the start."""
        return int((self.times < 0).sum())

    @property
    def steps(self) -> Array:
        """Time from each wave to the next."""
        return np.diff(self.times)

    @property
    def gaps(self) -> str:
        """Where steps are longer than usual, in words; empty where all are alike."""
        if np.ptp(self.steps) < ROUNDING:
            return ""
        longer = np.flatnonzero(self.steps > 1 + ROUNDING)
        told = [f'"{self.names[i]}" and "{self.names[i + 1]}"' for i in longer[:MOST_GAPS]]
        more = f", and {len(longer) - MOST_GAPS} more" if len(longer) > MOST_GAPS else ""
        return f": more than a usual step lies between {', '.join(told)}{more}" if told else ""


def interrupted_series(
    data: Data | Sequence[Survey],
    outcome: str,
    *,
    since: object,
    wave: str | None = None,
    waves: Sequence[object] | None = None,
    size: str | None = None,
    covariance: Errors = "autoregressive",
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> InterruptedSeries:
    """Ask whether one series jumped or turned when something began for everybody.

    Parameters
    ----------
    data : Survey, DataFrame or list of Survey
        Respondents of many waves; or one row per time with `size`.
    outcome : str
        Score or number.
    since : object
        First wave after the start.
    wave, waves : optional
        Column of the waves and their order, as in `pilot`. Numbers count as times, dates as months (as days if the days
        of the month differ), and waves without answers leave a gap. With `waves`, or a list of surveys, every wave is
        one step.
    size : str, optional
        Column with the number of people each row stands for; needed where there is one row per time.
    covariance : {"autoregressive", "newey_west"}
        Neighboring waves may be alike: errors that follow the one before (AR(1); the less the more time lies between
        them) and vary more where fewer people answered; or least squares with errors after Newey & West, whose rule of
        1994 gives the lags, for waves equally far apart.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    InterruptedSeries
        Jump at the start and change of slope after it. "Effect" if one of them differs from zero (Holm); with
        Newey-West errors always "cannot tell".

    Raises
    ------
    StudyError, DataError
        If fewer than 4 waves before or after the start have answers, or the order of the waves is not clear.
    DisclosureError
        If a wave has fewer people than the threshold, or fewer with one of two answers, or all with the same answer.

    Notes
    -----
    Simulated without any effect at 5 %, 8 to 100 waves, neighbors alike by 0 to .7, with and without months missing,
    and with up to 100 times as many people per wave on one side: autoregressive errors reject in 3 to 11 %; Newey-West
    errors, with as many people in every wave, in 8 to 46 %. Waves count as they are, without survey weights. Where
    units that did not begin are at hand, `pilot` tells more.

    References
    ----------
    Wagner et al. (2002), J. Clinical Pharmacy and Therapeutics 27, 299-309; Newey & West (1987), Econometrica 55,
    703-708; Turner et al. (2021), BMC Medical Research Methodology 21, 181. Agrees with R `nlme::gls` (`corAR1()`,
    `corCAR1()`, `varConstProp()`), `lm` and `sandwich::NeweyWest` (tests/reference/pilots.R).

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=24)
    >>> frame = pd.DataFrame({"month": range(24), "logins": 40 + 5 * (np.arange(24) >= 12) + noise, "people": 90})
    >>> interrupted_series(frame, "logins", wave="month", since=12, size="people").glance()["verdict"]
    'effect'
    """
    if not isinstance(conf_level, (int, float)) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")
    stack = stacked(data, wave, min_n)
    points = _points(stack, outcome, since, waves, size)
    if covariance not in get_args(Errors):
        raise StudyError(f'covariance = "{covariance}" is not known. {did_you_mean(str(covariance), get_args(Errors))}')
    if covariance == "newey_west" and np.ptp(points.steps) > ROUNDING:
        raise StudyError(
            f'covariance = "newey_west" is for waves equally far apart{points.gaps}. Use "autoregressive", which '
            "counts the time between waves."
        )
    with one_thread():
        x = interrupted_design(points.times)
        fit = least_squares(x, points.means, names=INTERRUPTED)
        if np.linalg.norm(fit.residuals) <= EXACT * np.linalg.norm(points.means):
            raise DataError("Two straight lines give the series exactly, so there is nothing to test against.")
        alike = breusch_godfrey(x, fit.residuals, points.steps)
        if covariance == "autoregressive":
            found = autoregressive(x, points.means, names=INTERRUPTED, steps=points.steps, people=points.sizes)
        else:
            matrix = newey_west(fit, lags=usual_lags(len(x)))
            found = AutoRegression(fit.coefficients, matrix, np.full(4, len(x) - 4.0), alike[0])
    return _result(stack, outcome, points, found, alike, covariance, conf_level)


def _points(stack: Stack, outcome: str, since: object, waves: Sequence[object] | None, size: str | None) -> _Points:
    values, sizes = numbers_of(stack, outcome), sizes_of(stack, size)
    places, order = waves_of(stack, waves)
    start = wave_place(order, since)
    known = np.isfinite(values) & (places >= 0)
    people = np.bincount(places[known], sizes[known], minlength=len(order))
    if size is None and len(order) > 1 and (np.bincount(places[known], minlength=len(order)) <= 1).all():
        raise DataError(
            "There is one row per wave. Say in size= which column holds the number of people behind each, so that "
            "nothing is told about few."
        )
    told = people > 0
    if (people[told] < stack.policy.min_n).any():
        raise DisclosureError(stack.policy.too_few("answered in one of the waves") + " Use longer waves.")
    n_before, n_after = int(told[:start].sum()), int(told[start:].sum())
    if min(n_before, n_after) < FEWEST:
        raise DataError(
            f"There are {n_before} waves with answers before the start and {n_after} from then on; a course needs at "
            f"least {FEWEST} of each. Compare two waves by changes(), or units by pilot()."
        )
    means = np.bincount(places[known], sizes[known] * values[known], minlength=len(order))[told] / people[told]
    if np.ptp(means) == 0:
        raise DataError(f'"{outcome}" is the same in all waves. What does not vary cannot be explained.')
    min_n = stack.policy.min_n
    _refuse_few(answers(values[known], sizes[known]).few(places[known], len(order), min_n), min_n)
    times, declared = _times(stack, order, start, told, waves is not None)
    names = tuple(named(each) for each, shown in zip(order, told, strict=True) if shown)
    return _Points(means, people[told], names, times, int(sizes[~known].sum()), declared)


def _times(
    stack: Stack, order: Sequence[object], start: int, told: NDArray[np.bool_], given: bool
) -> tuple[Array, bool]:
    """When waves with answers were, in usual steps from the start, and whether an order given puts times aside."""
    places = np.arange(len(order), dtype=float)
    own = _usual_steps(times_of(stack, order), start) if _timed(stack) else _usual_steps(places, start)
    if not given:
        return own[told], False
    return (places - start)[told], bool((own != places - start).any())


def _timed(stack: Stack) -> bool:
    """Whether the waves are numbers, dates, or steps of an ordered Categorical."""
    column = stack.frame[stack.wave]
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered
    return ordered or pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)


def _usual_steps(times: Array, start: int) -> Array:
    steps = (times - times[start]) / np.median(np.diff(times))
    return np.where(np.abs(steps - np.round(steps)) < ROUNDING, np.round(steps), steps)


def _refuse_few(few: NDArray[np.bool_], min_n: int) -> None:
    """Refuse a series in which the mean of a wave tells what few answered: the lines and other means give it."""
    if few.any():
        raise DisclosureError(
            f"In one of the waves fewer than {min_n} respondents gave one of two answers, or all gave the same, so "
            "that its mean tells what single people answered. Use longer waves, or an outcome with more answers."
        )


def _result(
    stack: Stack, outcome: str, points: _Points, found: AutoRegression, alike: tuple[float, float, float],
    kind: Errors, conf_level: float,
) -> InterruptedSeries:  # fmt: skip
    estimates, errors = found.coefficients, np.sqrt(np.diag(found.covariance))
    reach = stats.t.isf((1 - conf_level) / 2, found.df) * errors
    p_value = 2 * stats.t.sf(np.abs(estimates / errors), found.df)
    rows = pd.DataFrame(
        {
            "term": INTERRUPTED, "estimate": estimates, "std_error": errors, "conf_low": estimates - reach,
            "conf_high": estimates + reach, "statistic": estimates / errors, "df": found.df, "p_value": p_value,
        }
    )  # fmt: skip
    rows["reading"] = ["", *(_reading(row) for row in rows[1:].to_dict("records"))]
    label = stack.labels.get(outcome, outcome)
    shared = {"labels": stack.labels, "privacy": stack.policy}
    effect = kind == "autoregressive" and p_value[2:].min() * 2 < LEVEL
    return InterruptedSeries(
        title=f"What changed at the start: {label}",
        note=f"Segmented regression, errors: {NAMES[kind]}; slopes per usual step between waves. {ASSUMED}.",
        findings=tuple(_findings(points, alike, kind)),
        rows=rows,
        matrix=found.covariance,
        series=_series(label, points, estimates, shared),
        summary={
            "n": int(points.sizes.sum()), "n_dropped": points.n_dropped, "n_waves": len(points.means),
            "alike": found.alike, "p_alike": alike[2], "verdict": EFFECT if effect else CANNOT_TELL,
            "conf_level": float(conf_level), "covariance": NAMES[kind],
        },
        **shared,
    )  # fmt: skip


def _reading(row: Mapping[str, object]) -> str:
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return "direction uncertain"
    return "up" if row["estimate"] > 0 else "down"


def _series(label: str, points: _Points, estimates: Array, shared: Mapping[str, object]) -> Series:
    x = interrupted_design(points.times)
    rows = pd.DataFrame(
        {
            "wave": points.names, "time": points.times, "n": points.sizes.astype(int), "mean": points.means,
            "fitted": x @ estimates,
            "expected": np.where(x[:, 2] == 1, x[:, :2] @ estimates[:2], np.nan),
        }
    )  # fmt: skip
    return Series(
        title=f"Before and after the start: {label}",
        note="Line: two straight lines fitted; dashed: where the course before would have led.",
        rows=rows,
        n=int(points.sizes.sum()),
        start=points.start,
        **shared,
    )


def _findings(points: _Points, alike: tuple[float, float, float], kind: Errors) -> Iterator[Finding]:
    few = min(points.start, len(points.means) - points.start)
    if alike[2] < LEVEL:
        text = (
            f"Neighboring waves resemble each other (correlation {apa.bounded(alike[0])} of what two lines leave): the "
            "series says less than as many separate waves would."
        )
        yield Finding(name="autocorrelation", text=text, severity="info" if kind == "autoregressive" else "warning")
    if kind == "newey_west":
        text = "Newey-West errors are too small in series of this kind: they call chance an effect in 8 to 46 %."
        yield Finding(name="errors_too_small", text=text, severity="serious")
    yield from _time_findings(points)
    if few < ENOUGH:
        text = f"There are {few} waves on one side of the start; fewer than {ENOUGH} tell little about a course."
        yield Finding(name="few_waves", text=text)


def _time_findings(points: _Points) -> Iterator[Finding]:
    if points.declared:
        text = "Every wave counts as one step, in the order given, although the data have them unequally far apart."
        yield Finding(name="steps_as_declared", text=text)
    elif points.gaps or np.ptp(points.steps) > ROUNDING:
        text = (
            f"Waves are not equally far apart{points.gaps}. Time counts as it passed; where the waves are names rather "
            "than times, give their order in waves=."
        )
        yield Finding(name="unequal_steps", text=text)
    before, after = (float(np.median(part)) for part in np.split(points.sizes, [points.start]))
    if max(before, after) > UNLIKE * min(before, after):
        text = (
            f"A wave has about {before:.0f} people before the start and {after:.0f} from then on: means of few vary "
            "more, and errors allow for it."
        )
        yield Finding(name="people_differ", text=text, severity="info")
