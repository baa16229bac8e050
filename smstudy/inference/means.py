"""Means and their differences on arrays, with intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from smstudy.errors import EstimationError


class Estimate(NamedTuple):
    """An estimate with its standard error, degrees of freedom, t statistic, two-sided p and interval."""

    estimate: float
    std_error: float
    df: float
    statistic: float
    p_value: float
    conf_low: float
    conf_high: float


def mean_interval(x: np.ndarray, *, conf_level: float = 0.95) -> Estimate:
    """Estimate a mean with the t interval.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Values without gaps; n at least 2.
    conf_level : float
        Level of the interval.

    Raises
    ------
    EstimationError
        If fewer than two values are given.

    References
    ----------
    Agrees with R t.test.

    Examples
    --------
    >>> mean_interval(np.array([1.0, 2.0, 3.0])).estimate
    2.0
    """
    if len(x) < 2:
        raise EstimationError("A mean needs at least 2 values for an interval.")
    return _estimate(float(np.mean(x)), float(np.std(x, ddof=1)) / np.sqrt(len(x)), len(x) - 1, conf_level)


def overlapping_change(before: np.ndarray, after: np.ndarray, *, conf_level: float = 0.95) -> Estimate:
    """Estimate the change of a mean between two waves that share some respondents.

    Everybody counts; those in both waves as pairs, if there are at least three. With nobody in both it is Welch's test,
    with everybody in both the paired t test.

    Parameters
    ----------
    before, after : ndarray, shape (n,)
        One place per person; NaN in the wave a person did not answer.
    conf_level : float
        Level of the interval.

    Raises
    ------
    EstimationError
        If a wave has fewer than 2 answers, or nothing varies.

    References
    ----------
    Derrick, Russ, Toher & White (2017), J. Modern Applied Statistical Methods 16(1), 137-157, statistic T(new2).
    Its two ends agree with R t.test (tests/reference/means.R).
    """
    in_before, in_after = ~np.isnan(before), ~np.isnan(after)
    both = in_before & in_after
    x, y = before[in_before], after[in_after]
    if min(len(x), len(y)) < 2:
        raise EstimationError("A change needs at least 2 answers in each wave.")
    a, b = np.var(x, ddof=1) / len(x), np.var(y, ddof=1) / len(y)
    shared = _covariance(before[both], after[both], x, y) * both.sum() / (len(x) * len(y))
    variance = a + b - 2 * shared
    if variance <= 1e-12 * (a + b) or a + b == 0:
        raise EstimationError("Nothing varies between the respondents, so no interval can be given.")
    df = _overlap_df(a, b, len(x), len(y), int(both.sum()))
    return _estimate(float(y.mean() - x.mean()), float(np.sqrt(variance)), df, conf_level)


def _covariance(before: np.ndarray, after: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of the pairs times the standard deviations of all; zero when pairs are too few to tell."""
    if len(before) < 3 or np.ptp(before) == 0 or np.ptp(after) == 0:
        return 0.0
    return float(np.corrcoef(before, after)[0, 1] * np.std(x, ddof=1) * np.std(y, ddof=1))


def _overlap_df(a: float, b: float, n: int, m: int, pairs: int) -> float:
    welch = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    if pairs < 3:
        return float(welch)
    singles = n + m - 2 * pairs
    return float(pairs - 1 + (welch - pairs + 1) / (n + m) * singles)


def _estimate(estimate: float, std_error: float, df: float, conf_level: float) -> Estimate:
    half = stats.t.isf((1 - conf_level) / 2, df) * std_error
    statistic = estimate / std_error if std_error > 0 else float("nan")
    p_value = float(2 * stats.t.sf(abs(statistic), df))
    return Estimate(estimate, float(std_error), df, statistic, p_value, float(estimate - half), float(estimate + half))
