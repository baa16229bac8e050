"""Values of a moderator at which slopes and effects are looked at, with their names."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import apa
from smstudy.models.ranges import value_of_several

Array = NDArray[np.float64]
Places = list[tuple[str, float]]
Ends = tuple[float, bool]
PERCENTILES = (16, 50, 84)
NUMBER = r"−?\d[\d.,]*(?:e[−+]?\d+)?"
NUMBERS = re.compile(rf" \({NUMBER}(?: less {NUMBER})?\)")
DIGITS = 3


def usual_values(values: Array, low: float, high: float, min_n: int) -> Places:
    """The mean and one standard deviation around it, or percentiles if that is beyond a range; both of two values.

    Parameters
    ----------
    values : array, shape (n,)
        The moderator.
    low, high : float
        Range that enough respondents are on either side of.
    min_n : int
        Respondents a percentile must be the value of; see `quantile_of_several`.

    References
    ----------
    Hayes (2022), Introduction to Mediation, Moderation, and Conditional Process Analysis, chapter 7.

    Examples
    --------
    >>> usual_values(np.array([0.0, 1.0, 1.0]), 0, 1, 5)
    [('0', 0.0), ('1', 1.0)]
    >>> usual_values(np.arange(5.0), 0, 4, 5)[0]
    ('mean − 1 SD (0.42)', 0.41886116991581024)
    """
    distinct = np.unique(values)
    if len(distinct) == 2:
        return [(f"{value:g}", float(value)) for value in distinct]
    mean, spread = values.mean(), values.std(ddof=1)
    named = [("mean − 1 SD", mean - spread), ("mean", mean), ("mean + 1 SD", mean + spread)]
    if mean - spread < low or mean + spread > high:
        named = [(f"{share}th percentile", quantile_of_several(values, share / 100, min_n)) for share in PERCENTILES]
    numbers = told_apart(*(value for _, value in named))
    return [(f"{words} ({number})", float(value)) for (words, value), number in zip(named, numbers, strict=True)]


def told_apart(*values: float) -> tuple[str, ...]:
    """Write values with two decimals, or with so many that they are told apart.

    >>> told_apart(2.084, 2.917), told_apart(0.0, 1e-9), told_apart(0.001, 0.0042)
    (('2.08', '2.92'), ('0', '1e−9'), ('0.001', '0.004'))
    """
    apart = np.diff(np.unique(values)).min(initial=np.inf)
    decimals = 2 if apart >= 0.01 or not np.isfinite(apart) else int(np.ceil(-np.log10(apart)))
    if decimals <= DIGITS:
        return tuple(apa.number(value, decimals) for value in values)
    return tuple(_shortest(value, apart) for value in values)


def _shortest(value: float, apart: float) -> str:
    """Enough digits to tell a value from one so far apart."""
    digits = int(np.ceil(np.log10(max(abs(value) / apart, 1.0)))) + 1
    return re.sub(r"e-0*", "e−", f"{value:.{digits}g}").replace("-", "−")


def end_words(first: Ends, last: Ends) -> str:
    """How an effect at a last place stands beside that at a first: stronger, weaker, or of the other sign.

    Each end is an estimate and whether it is clear. Of two signs, one not clear, only which is higher is told.

    >>> end_words((-0.178, True), (-0.085, True)), end_words((-0.2, True), (0.3, True))
    ('weaker', 'changes sign')
    >>> end_words((-0.2, True), (0.1, False))
    'higher'
    """
    (start, known), (end, told) = first, last
    if start * end < 0:
        return "changes sign" if known and told else "higher" if end > start else "lower"
    return "stronger" if abs(end) > abs(start) else "weaker"


def quantile_of_several(values: Array, share: float, min_n: int) -> float:
    """A quantile if at least `min_n` respondents have that value, else the mean of the `min_n` values around it.

    >>> quantile_of_several(np.array([1.0, 1, 1, 2, 3, 4]), 0.25, 3), quantile_of_several(np.arange(9.0), 1, 3)
    (1.0, 7.0)
    """
    ordered = np.sort(values)
    found = float(np.quantile(ordered, share))
    return value_of_several(ordered, found, round(share * (len(ordered) - 1)) - min_n // 2, min_n)


def without_numbers(words: pd.Series) -> pd.Series:
    """Names that are the same in every imputation, where numbers differ a little.

    >>> without_numbers(pd.Series(["mean + 1 SD (3.77) less mean − 1 SD (2.08)", "Sales"])).tolist()
    ['mean + 1 SD less mean − 1 SD', 'Sales']
    """
    return words.str.replace(NUMBERS, "", regex=True)
