"""How precise an estimate will be: the margin of error of a planned sample, and the sample a margin needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display import apa, power_curves
from smstudy.errors import EstimationError, StudyError, did_you_mean
from smstudy.inference.finite_samples import mean_variance
from smstudy.inference.linearization import check_level
from smstudy.inference.psychometrics.consistency import feldt_interval
from smstudy.models.planning.planned_designs import (
    DESIGNS,
    EXACT_SCORES,
    POPULATION,
    RELIABILITY,
    SD,
    Option,
    Setting,
    Settings,
    error_of_change,
    pair_of,
    reliability_of,
    settings_of,
)
from smstudy.models.planning.power_searches import MOST_PEOPLE, is_number, smallest_n, upper_first
from smstudy.result import Result

SIZES = (0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)


class Kind(NamedTuple):
    """An estimate whose precision can be planned: half the width of its interval follows from n, settings, level."""

    words: str
    half_width: Callable[[float, Settings, float], float]
    options: Mapping[str, Option]
    least: int
    per_wave: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Precision(Result):
    """The margin of error of a planned sample: half the width of the interval to expect.

    Attributes
    ----------
    reading : str
        The answer in plain words.
    rows : DataFrame
        Margins of smaller and larger samples.
    summary : mapping
        What `glance()` gives.
    """

    reading: str
    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(power_curves.margin_curve)

    def tidy(self) -> pd.DataFrame:
        """One row per sample size: n_planned, margin."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Planned n, margin and level."""
        return dict(self.summary)

    def alt_text(self) -> str:
        """The points of the curve, in words."""
        return power_curves.curve_words(self.rows, title=self.title, value="margin")


def margin_of_error(
    what: str, *, n: int | None = None, margin: float | None = None, conf_level: float = 0.95, **settings: Setting
) -> Precision:
    """Plan the precision of an estimate: give `n` or the `margin`, and get the other.

    Parameters
    ----------
    what : {"mean", "share", "change", "correlation", "alpha"}
        What is estimated.
    n : int, optional
        Respondents, in each wave for a change.
    margin : float, optional
        Half the width of the interval.
    conf_level : float
        Level of the interval.
    **settings
        mean: sd (1), population, reliability. share: base (0.5, the least precise), population, reliability. change:
        sd (1), population, reliability, correlation, overlap. correlation: correlation. alpha: alpha, items.

    Returns
    -------
    Precision

    Raises
    ------
    StudyError
        If a name is not known or a number cannot be.
    EstimationError
        If the margin cannot be reached, such as in a small department.

    References
    ----------
    Mean and change: t intervals, see `smstudy.inference.finite_samples`; share: interval of Wilson (1927), JASA 22,
    209-212, as R `prop.test(correct = FALSE)` has it; correlation: Fisher's z; alpha: Feldt's
    interval, whose n is near that of Bonett (2002), J. Educational and Behavioral Statistics 27, 335-340.

    Examples
    --------
    >>> margin_of_error("share", margin=0.05).glance()["n_planned"]
    381
    >>> margin_of_error("share", margin=0.05, population=200, reliability=1.0).glance()["n_planned"]
    132
    """
    if not isinstance(what, str) or what not in KINDS:
        raise StudyError(f'There is no margin of error for "{what}". {did_you_mean(str(what), KINDS)}')
    check_level(conf_level)
    kind = KINDS[what]
    told = settings_of(f'margin_of_error("{what}")', kind.options, settings)
    people = min(pair_of(told.get("population", np.inf)))

    def half(size: float) -> float:
        return float(kind.half_width(float(size), told, conf_level))

    planned = _planned(kind, half, n, margin, people)
    reading = _reading(kind, planned, half(planned), people)
    sizes = sorted({round(planned * factor) for factor in SIZES} | {planned})
    sizes = [size for size in sizes if kind.least <= size <= people]
    return Precision(
        title=f"Margin of error: {kind.words}",
        note=f"{reading} Half the width of the {apa.share(conf_level)} interval to expect.{kind.note}",
        findings=(EXACT_SCORES,) if np.isfinite(people) and told.get("reliability") == 1 else (),
        reading=reading,
        rows=pd.DataFrame({"n_planned": sizes, "margin": [half(size) for size in sizes]}),
        summary={"n_planned": planned, "margin": half(planned), "conf_level": float(conf_level)},
    )


def _planned(kind: Kind, half: Callable[[float], float], n: object, margin: object, people: float) -> int:
    """The sample that is given, or that the margin needs."""
    if (n is None) == (margin is None):
        raise StudyError("Give either n or margin; the other is computed.")
    if n is not None:
        if not is_number(n) or n != int(n) or not kind.least <= n <= people:
            most = f" to {people:,.0f}, the population" if np.isfinite(people) else " up"
            raise StudyError(f"n = {n!r} is no sample. Give a whole number from {kind.least}{most}.")
        return int(n)
    if not is_number(margin) or margin <= 0:
        raise StudyError(f"margin = {margin!r} is no margin of error. Give half the width of the interval, above 0.")
    found = smallest_n(lambda size: half(size) <= margin, kind.least, int(min(people, MOST_PEOPLE)))
    if found is None:
        who = f"all {people:,.0f} people answer" if np.isfinite(people) else f"{MOST_PEOPLE:,} people answer"
        raise EstimationError(
            f"Even if {who}, the margin of error is {half(min(people, MOST_PEOPLE)):.3g}, not {margin:g}. "
            "Accept a wider one, or ask more questions for a more reliable score."
        )
    return found


def _reading(kind: Kind, n: int, margin: float, people: float) -> str:
    department = f" of a department of {people:,.0f}" if np.isfinite(people) else ""
    return f"{upper_first(f'{n:,}')} respondents{kind.per_wave}{department} tell {kind.words} to within ± {margin:.3g}."


def _mean(n: float, s: Settings, level: float) -> float:
    variance = mean_variance(n, sd=s["sd"], population=pair_of(s["population"])[0], reliability=reliability_of(s))
    return stats.t.isf((1 - level) / 2, n - 1) * np.sqrt(variance)


def _share(n: float, s: Settings, level: float) -> float:
    """Half of Wilson's interval; in a department n counts as many as 1 / inverse people of an endless population."""
    people = pair_of(s["population"])[0]
    whole = people / (people - 1) if np.isfinite(people) else 1.0  # S² of a yes or no is p (1 - p) N / (N - 1)
    inverse = whole * mean_variance(n, population=people, reliability=reliability_of(s))
    variance = s["base"] * (1 - s["base"]) * inverse
    z = stats.norm.isf((1 - level) / 2)
    return z * np.sqrt(variance + (z / 2 * inverse) ** 2) / (1 + z**2 * inverse)


def _change(n: float, s: Settings, level: float) -> float:
    error, df = error_of_change((n, n), s)
    return stats.t.isf((1 - level) / 2, df) * error


def _correlation(n: float, s: Settings, level: float) -> float:
    middle, width = np.arctanh(s["correlation"]), stats.norm.isf((1 - level) / 2) / np.sqrt(n - 3)
    return (np.tanh(middle + width) - np.tanh(middle - width)) / 2


def _alpha(n: float, s: Settings, level: float) -> float:
    low, high = feldt_interval(s["alpha"], n, int(s["items"]), level)
    return (high - low) / 2


DEPARTMENT = {"population": POPULATION, "reliability": RELIABILITY}
KINDS: dict[str, Kind] = {
    "mean": Kind("a mean", _mean, {"sd": SD, **DEPARTMENT}, 2),
    "share": Kind(
        "a share",
        _share,
        {"base": Option(words="expected share", default=0.5, high=1), **DEPARTMENT},
        2,
        note=" It is Wilson's, which stays within 0 and 1: its middle lies nearer to 0.5 than the share itself.",
    ),
    "change": Kind("a change", _change, DESIGNS["change"].options, 2, " in each wave"),
    "correlation": Kind(
        "a correlation", _correlation, {"correlation": Option(words="expected correlation", low=-1, high=1)}, 4
    ),
    "alpha": Kind(
        "the reliability of a scale",
        _alpha,
        {
            "alpha": Option(words="expected alpha", high=1),
            "items": Option(words="number of items", low=2, open_ends="high", whole=True),
        },
        3,
    ),
}
