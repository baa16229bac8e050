"""Values of a moderator at which slopes and effects are looked at, with their names."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import apa

Array = NDArray[np.float64]
Places = list[tuple[str, float]]
PERCENTILES = (16, 50, 84)
NUMBERS = re.compile(r" \([−\d.,]+(?: less [−\d.,]+)?\)")


def usual_values(values: Array, low: float, high: float) -> Places:
    """The mean and one standard deviation around it, or percentiles if that is beyond a range; both of two values.

    Parameters
    ----------
    values : array, shape (n,)
        The moderator.
    low, high : float
        Range that enough respondents are on either side of.

    References
    ----------
    Hayes (2022), Introduction to Mediation, Moderation, and Conditional Process Analysis, chapter 7.

    Examples
    --------
    >>> usual_values(np.array([0.0, 1.0, 1.0]), 0, 1)
    [('0', 0.0), ('1', 1.0)]
    >>> usual_values(np.arange(5.0), 0, 4)[0]
    ('mean − 1 SD (0.42)', 0.41886116991581024)
    """
    distinct = np.unique(values)
    if len(distinct) == 2:
        return [(f"{value:g}", float(value)) for value in distinct]
    mean, spread = values.mean(), values.std(ddof=1)
    named = [("mean − 1 SD", mean - spread), ("mean", mean), ("mean + 1 SD", mean + spread)]
    if mean - spread < low or mean + spread > high:
        named = [(f"{share}th percentile", np.quantile(values, share / 100)) for share in PERCENTILES]
    return [(f"{words} ({apa.number(value)})", float(value)) for words, value in named]


def without_numbers(words: pd.Series) -> pd.Series:
    """Names that are the same in every imputation, where numbers differ a little.

    >>> without_numbers(pd.Series(["mean + 1 SD (3.77) less mean − 1 SD (2.08)", "Sales"])).tolist()
    ['mean + 1 SD less mean − 1 SD', 'Sales']
    """
    return words.str.replace(NUMBERS, "", regex=True)
