"""Two one-sided tests: is an effect smaller than what matters? On numbers and arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from smstudy.inference.group_tests import (
    Moments,
    Shares,
    noncentral_t_above,
    paired_above,
    paired_standardized,
    pairs,
    score_of_difference,
    share_interval,
    standardized_contrast,
)

Array = NDArray[np.float64]
Bounds = tuple[float, float]
WIDE, NARROW = 0.95, 0.90
EDGE = 1e-12


class Equivalence(NamedTuple):
    """An effect against the bounds from which on it matters.

    Attributes
    ----------
    estimate, std_error, df : float
        The latter two are NaN where the tests do not rest on them; df is NaN with the normal distribution.
    p_value : float
        Two-sided, of no effect.
    p_equivalent : float
        Larger p of the two one-sided tests that the effect is at a bound or beyond it.
    conf_low, conf_high, narrow_low, narrow_high : float
        95 % and 90 % intervals, which are the tests turned round: 0 outside the 95 % interval is p < .05, the 90 %
        interval within the bounds is p < .05 of equivalence.
    """

    estimate: float
    std_error: float
    df: float
    p_value: float
    p_equivalent: float
    conf_low: float
    conf_high: float
    narrow_low: float
    narrow_high: float


def equivalent_estimate(estimate: float, std_error: float, df: float, bounds: Bounds) -> Equivalence:
    """Test any estimate with a standard error and t degrees of freedom (infinite for the normal distribution).

    References
    ----------
    Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15, 657-680; Lakens (2017), Social Psychological and
    Personality Science 8, 355-362. Agrees with two one-sided `t.test` of R (tests/reference/comparisons.R).

    Examples
    --------
    >>> round(equivalent_estimate(0.1, 0.1, 98, (-0.3, 0.3)).p_equivalent, 4)
    0.0241
    """
    below, above = (bounds[0] - estimate) / std_error, (bounds[1] - estimate) / std_error
    p_equivalent = max(stats.t.cdf(below, df), stats.t.sf(above, df))
    ends = [estimate + side * stats.t.isf((1 - level) / 2, df) * std_error for level in (WIDE, NARROW)
            for side in (-1, 1)]  # fmt: skip
    p_value = 2 * stats.t.sf(abs(estimate / std_error), df)
    freedom = df if np.isfinite(df) else np.nan
    return Equivalence(estimate, std_error, freedom, *map(float, (p_value, p_equivalent, *ends)))


def equivalent_standardized(found: Moments, weights: Array, bounds: Bounds) -> Equivalence:
    """Test a weighted sum of means in standard deviations within groups, by the noncentral t distribution.

    Unlike bounds that are multiplied with the observed standard deviation this counts that it is uncertain too.

    References
    ----------
    Weber & Popova (2012), Communication Methods and Measures 6, 190-213. Agrees with the noncentral t in plain R.
    """
    spread, df = float(np.sqrt(found.pooled_variance)), float((found.n - 1).sum())
    unit = float(np.sqrt((weights**2 / found.n).sum()))
    t = float(weights @ found.mean) / spread / unit
    p_low = noncentral_t_above(t, df, bounds[0] / unit)
    p_high = 1 - noncentral_t_above(t, df, bounds[1] / unit)
    wide, narrow = (standardized_contrast(found, weights, level) for level in (WIDE, NARROW))
    p_value = float(2 * stats.t.sf(abs(t), df))
    return Equivalence(
        wide.estimate, np.nan, df, p_value, max(p_low, p_high), *wide[1:], *narrow[1:]
    )  # fmt: skip


def equivalent_pairs_standardized(x: Array, y: Array, bounds: Bounds) -> Equivalence:
    """Test the mean of x - y of the same people in standard deviations of their scores, which are uncertain too.

    References
    ----------
    Weerahandi (1995), Exact Statistical Methods for Data Analysis; see `group_tests.paired_above`.
    """
    found, df = pairs(x, y), len(x) - 1
    p_equivalent = max(1 - paired_above(found, bounds[0]), paired_above(found, bounds[1]))
    p_value = float(2 * stats.t.sf(abs(found.mean) * np.sqrt(found.n / found.change), df))
    wide, narrow = (paired_standardized(x, y, level) for level in (WIDE, NARROW))
    return Equivalence(wide.estimate, np.nan, df, p_value, p_equivalent, *wide[1:], *narrow[1:])


def equivalent_shares(found: Shares, bounds: Bounds) -> Equivalence:
    """Test a difference of two shares by score tests, which hold their level in small groups too.

    References
    ----------
    Farrington & Manning (1990), Statistics in Medicine 9, 1447-1454.
    """
    p_low = stats.norm.sf(score_of_difference(found, bounds[0]))
    p_high = stats.norm.cdf(score_of_difference(found, bounds[1]))
    p_value = 2 * stats.norm.sf(abs(score_of_difference(found, 0.0)))
    ends = (*share_interval(found, WIDE), *share_interval(found, NARROW))
    return Equivalence(found.difference, np.nan, np.nan, float(p_value), float(max(p_low, p_high)), *ends)


def equivalent_share(events: float, n: float, against: float, bounds: Bounds) -> Equivalence:
    """Test one share against a value by score tests; intervals are Wilson's.

    References
    ----------
    Wilson (1927), JASA 22, 209-212. Agrees with R `prop.test(correct = FALSE)`.

    Examples
    --------
    >>> round(equivalent_share(52, 100, 0.5, (-0.1, 0.1)).p_equivalent, 4)
    0.0512
    """
    share = events / n

    def score(to: float) -> float:
        to = min(max(against + to, EDGE), 1 - EDGE)
        return (share - to) / np.sqrt(to * (1 - to) / n)

    p_equivalent = max(stats.norm.sf(score(bounds[0])), stats.norm.cdf(score(bounds[1])))
    p_value = 2 * stats.norm.sf(abs(score(0.0)))
    ends = []
    for level in (WIDE, NARROW):
        z = float(ndtri((1 + level) / 2))
        middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        ends += [(middle + side * half) / (1 + z**2 / n) - against for side in (-1, 1)]
    return Equivalence(share - against, np.nan, np.nan, *map(float, (p_value, p_equivalent, *ends)))


def equivalent_correlation(correlation: float, n: float, bounds: Bounds) -> Equivalence:
    """Test a correlation by Fisher's z; intervals as R `cor.test` gives them.

    References
    ----------
    Goertzen & Cribbie (2010), British J. Mathematical and Statistical Psychology 63, 527-537.

    Examples
    --------
    >>> round(equivalent_correlation(0.02, 200, (-0.15, 0.15)).p_equivalent, 4)
    0.0328
    """
    error = float(1 / np.sqrt(n - 3))
    found = equivalent_estimate(float(np.arctanh(correlation)), error, np.inf, tuple(np.arctanh(bounds)))
    ends = (float(np.tanh(end)) for end in found[5:])
    return Equivalence(correlation, np.nan, np.nan, found.p_value, found.p_equivalent, *ends)
