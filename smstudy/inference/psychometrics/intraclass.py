"""Intraclass correlations: how alike the members of a group are, or two measurements of the same people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from smstudy.errors import EstimationError

Floats = NDArray[np.float64]
Ends = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """One-way analysis of variance of a score over groups.

    Attributes
    ----------
    single, average : float
        ICC(1), the share of the variance of a single answer that lies between groups, and ICC(2), the reliability of
        the mean of a group of average size, as if all groups were of average size.
    exact, single_ends : float, (float, float)
        ICC(1) by the size of every group, and its interval: where the weighted F ratio is 1, and its quantiles.
    exact_average, average_ends : float, (float, float)
        The same of ICC(2).
    statistic, df, df_residual, p_value : float
        F test of no difference between groups.
    size : float
        Average respondents per group.
    n, n_groups : int
        Respondents, groups.
    """

    single: float
    average: float
    exact: float
    single_ends: Ends
    exact_average: float
    average_ends: Ends
    statistic: float
    df: int
    df_residual: int
    p_value: float
    size: float
    n: int
    n_groups: int


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """Two-way analysis of variance of the same people measured k times.

    Attributes
    ----------
    agreement, agreement_ends : float, (float, float)
        ICC(A,1): shifts of everybody count as disagreement.
    consistency, consistency_ends : float, (float, float)
        ICC(C,1): only the order and distances of people count.
    error : float
        Standard error of measurement of one score, shifts included.
    n : int
        People.
    """

    agreement: float
    agreement_ends: Ends
    consistency: float
    consistency_ends: Ends
    error: float
    n: int


def grouped_correlation(values: Floats, groups: NDArray[np.int64], conf_level: float = 0.95) -> Grouped:
    """Estimate ICC(1) and ICC(2) of a score over groups.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Scores without gaps.
    groups : ndarray of int, shape (n,)
        Number of the group of each respondent, from 0 without gaps.
    conf_level : float
        Level of the intervals.

    Returns
    -------
    Grouped
        Unequal groups enter `single` and `average` with their average size, as R multilevel has it, and may then lie
        outside the interval, which is Wald's: exact for normal scores in groups of any size; for equal groups it is
        that of the F ratio. `exact` and `exact_average` are made as the interval is, and lie in it; for equal groups
        all are the same.

    Raises
    ------
    EstimationError
        If there is one group, every group has one member, or scores do not differ within groups.

    References
    ----------
    Bliese (2000), in Klein & Kozlowski, Multilevel Theory, 349-381. Interval: Wald (1940), Annals of Mathematical
    Statistics 11, 96-100; estimate made alike: Paule & Mandel (1982), J. Research of the National Bureau of Standards
    87, 377-385. Agrees with R multilevel::ICC1, multilevel::ICC2 and, for equal groups, psych::ICC.

    Examples
    --------
    >>> found = grouped_correlation(np.array([1.0, 2, 2, 3, 4, 5]), np.array([0, 0, 1, 1, 2, 2]))
    >>> round(found.single, 3), round(found.average, 3)
    (0.806, 0.893)
    """
    sizes = np.bincount(groups)
    k, n = len(sizes), len(values)
    df, df_residual = k - 1, n - k
    if df < 1 or df_residual < 1:
        raise EstimationError("An intraclass correlation needs two groups or more, and more respondents than groups.")
    means = np.bincount(groups, values) / sizes
    within = ((values - means[groups]) ** 2).sum() / df_residual
    between = (sizes * (means - values.mean()) ** 2).sum() / df
    if within <= np.spacing(np.abs(values).max()) ** 2 * n:
        raise EstimationError("Within groups nobody differs, so an intraclass correlation says nothing.")
    ratio, size = between / within, n / k
    low, exact, high = _exact(means, sizes, within, conf_level)
    return Grouped(
        single=_single(ratio, size),
        average=float(1 - 1 / ratio) if ratio > 0 else float("-inf"),
        exact=exact,
        single_ends=(low, high),
        exact_average=stepped_up(exact, size),
        average_ends=(stepped_up(low, size), stepped_up(high, size)),
        statistic=float(ratio),
        df=df,
        df_residual=df_residual,
        p_value=float(stats.f.sf(ratio, df, df_residual)),
        size=size,
        n=n,
        n_groups=k,
    )


def stepped_up(single: float, size: float) -> float:
    """Reliability of the mean of so many members, by the Spearman-Brown formula.

    >>> round(stepped_up(0.2, 6), 3)
    0.6
    """
    return size * single / (1 + (size - 1) * single)


def size_needed(single: float, wanted: float) -> float:
    """Members a group needs for its mean to have a wanted reliability, by the Spearman-Brown formula.

    Missing if members of a group are not alike.

    >>> size_needed(0.2, 0.6)
    6.0
    """
    if not 0 < single < 1:
        return float("nan")
    return round(wanted / (1 - wanted) * (1 - single) / single, 9)


def repeated_correlation(scores: Floats, conf_level: float = 0.95) -> Repeated:
    """Estimate ICC(A,1) and ICC(C,1) of people measured several times.

    Parameters
    ----------
    scores : ndarray, shape (n, k)
        One row per person, one column per time, without gaps.
    conf_level : float
        Level of the intervals.

    Raises
    ------
    EstimationError
        If there are fewer than 3 people, or they do not differ.

    References
    ----------
    McGraw & Wong (1996), Psychological Methods 1, 30-46, cases 2A and 3A. Standard error of measurement: de Vet,
    Terwee, Knol & Bouter (2006), J. Clinical Epidemiology 59, 1033-1039. Agrees with R psych::ICC(lmer = FALSE), rows
    ICC2 and ICC3.

    Examples
    --------
    >>> found = repeated_correlation(np.array([[1.0, 2], [2, 3], [4, 5], [5, 6]]))
    >>> round(found.agreement, 3), round(found.consistency, 3)
    (0.87, 1.0)
    """
    n, k = scores.shape
    if n < 3 or np.ptp(scores, axis=0).min() == 0:
        raise EstimationError("A test-retest correlation needs three people or more who differ at each time.")
    by_person, by_time = scores.mean(axis=1), scores.mean(axis=0)
    people = k * by_person.var(ddof=1)
    times = n * by_time.var(ddof=1)
    left = scores - by_person[:, None] - by_time + scores.mean()
    error = (left**2).sum() / ((n - 1) * (k - 1))
    agreement = (people - error) / (people + (k - 1) * error + k * (times - error) / n)
    low, high = _ends_of_consistency(people, error, n, k, conf_level)
    return Repeated(
        agreement=float(agreement),
        agreement_ends=_ends_of_agreement(people, times, error, n, k, conf_level),
        consistency=float((people - error) / (people + (k - 1) * error)),
        consistency_ends=(low, high),
        error=float(np.sqrt(error + max(times - error, 0.0) / n)),
        n=n,
    )


def _single(ratio: float, size: float) -> float:
    return float((ratio - 1) / (ratio + size - 1))


def _exact(means: Floats, sizes: Floats, within: float, conf_level: float) -> tuple[float, float, float]:
    """Where the F ratio of the group means, weighted as a correlation asks for, meets 1 and the quantiles around it."""
    k, n = len(sizes), sizes.sum()
    least = -1 / (sizes.max() - 1) + 1e-9

    def ratio(single: float) -> float:
        weights = sizes / (1 + (sizes - 1) * single)
        middle = weights @ means / weights.sum()
        return float((1 - single) * (weights @ (means - middle) ** 2) / ((k - 1) * within))

    def meets(quantile: float) -> float:
        if ratio(least) <= quantile:
            return least
        return float(optimize.brentq(lambda single: ratio(single) - quantile, least, 1.0, xtol=1e-14))

    tail = (1 - conf_level) / 2
    return meets(stats.f.isf(tail, k - 1, n - k)), meets(1.0), meets(stats.f.ppf(tail, k - 1, n - k))


def _ends_of_ratio(ratio: float, df: int, df_residual: int, conf_level: float) -> Ends:
    tail = (1 - conf_level) / 2
    low, high = (ratio / stats.f.ppf(p, df, df_residual) for p in (1 - tail, tail))
    return float(low), float(high)


def _ends_of_consistency(people: float, error: float, n: int, k: int, conf_level: float) -> Ends:
    if error <= np.spacing(people):
        return 1.0, 1.0
    low, high = _ends_of_ratio(people / error, n - 1, (n - 1) * (k - 1), conf_level)
    return _single(low, k), _single(high, k)


def _ends_of_agreement(people: float, times: float, error: float, n: int, k: int, conf_level: float) -> Ends:
    """Satterthwaite's approximation, as McGraw & Wong give it."""
    if error + times <= np.spacing(people):
        return 1.0, 1.0
    icc = (people - error) / (people + (k - 1) * error + k * (times - error) / n)
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    df = (a * times + b * error) ** 2 / ((a * times) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    tail = (1 - conf_level) / 2
    upper, lower = stats.f.isf(tail, n - 1, df), stats.f.isf(tail, df, n - 1)
    rest = k * times + (k * n - k - n) * error
    low = n * (people - upper * error) / (upper * rest + n * people)
    high = n * (lower * people - error) / (rest + n * lower * people)
    return float(low), float(high)
