"""Means and changes of a department in which nearly everybody may answer: what stays uncertain then.

Of N people of whom n answered, only the scores of the N - n others are unknown, so the usual finite-population
correction multiplies the variance of a mean by 1 - n/N. But an answer is a person's standing plus a passing error, and
the errors of those who answered do not go away when all others answer too: only the part `reliability` of the variance
may be corrected. The variance of a mean then is S² (1/n - reliability/N).

Everything works on numbers and on arrays of one shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.means import Estimate

Array = NDArray[np.float64]
FEWEST_PAIRS = 3
NOTHING = 1e-12


def mean_variance(
    n: ArrayLike, *, sd: float = 1.0, population: ArrayLike = np.inf, reliability: float = 1.0
) -> Array:  # fmt: skip
    """Variance of the mean of n respondents around the mean standing of the whole population.

    Parameters
    ----------
    n : array
        Respondents.
    sd : float
        Standard deviation of the scores.
    population : array
        People in all; infinite without a correction.
    reliability : float
        Share of the variance of scores that is not passing error; 1 gives the usual finite-population correction.

    References
    ----------
    Cochran (1977), Sampling Techniques, section 2.6, for reliability 1, as R `survey::svymean(fpc=)` has it.

    Examples
    --------
    >>> [round(float(mean_variance(10, population=10, reliability=each)), 3) for each in (1.0, 0.8)]
    [0.0, 0.02]
    """
    return np.float64(sd) ** 2 * (1 / np.asarray(n, dtype=float) - reliability / np.asarray(population, dtype=float))


def change_variance(
    n: tuple[ArrayLike, ArrayLike],
    *,
    sd: tuple[float, float] = (1.0, 1.0),
    population: tuple[ArrayLike, ArrayLike] = (np.inf, np.inf),
    reliability: float = 1.0,
    correlation: float = 0.0,
    overlap: ArrayLike | None = None,
) -> Array:
    """Variance of the change of a mean between two waves in which some people answer twice.

    Parameters
    ----------
    n : pair of arrays
        Respondents in each wave.
    sd : pair of floats
        Standard deviation of the scores in each wave.
    population : pair of arrays
        People in each wave; those of the smaller wave belong to both.
    reliability : float
        Share of the variance of scores that is not passing error.
    correlation : float
        Correlation of the scores of people who answer twice.
    overlap : array, optional
        How many answer in both waves. Left out: as many as chance brings, which the correlation then does not matter
        for: what pairs save is what the correction by the population had taken already.

    References
    ----------
    Without a population the variance of Derrick, Russ, Toher & White (2017), J. Modern Applied Statistical Methods
    16(1), 137-157. Kish (1965), Survey Sampling, section 12.4, for reliability 1.

    Examples
    --------
    >>> round(float(change_variance((10, 10), correlation=0.6, overlap=10)), 3)
    0.08
    """
    parts = [
        mean_variance(size, sd=s, population=people, reliability=reliability)
        for size, s, people in zip(n, sd, population, strict=True)
    ]
    return parts[0] + parts[1] - 2 * correlation * sd[0] * sd[1] * shared_weight(n, population, overlap)


def shared_weight(
    n: tuple[ArrayLike, ArrayLike], population: tuple[ArrayLike, ArrayLike], overlap: ArrayLike | None
) -> Array:
    """Weight of the covariance of two waves in the covariance of their means; 0 for an overlap by chance."""
    if overlap is None:
        return np.float64(0.0)
    first, second = (np.asarray(people, dtype=float) for people in population)
    by_chance = np.where(np.isinf(first) | np.isinf(second), 0.0, 1 / np.maximum(first, second))
    return np.asarray(overlap, dtype=float) / (np.asarray(n[0], dtype=float) * n[1]) - by_chance


def forced_overlap(n: tuple[float, float], population: tuple[float, float]) -> float:
    """How many must have answered in both waves, since there are no more people.

    >>> forced_overlap((10, 8), (12, 12)), forced_overlap((10, 8), (np.inf, np.inf))
    (6.0, 0.0)
    """
    return float(max(n[0] + n[1] - max(population), 0.0))


def overlap_df(
    n: tuple[ArrayLike, ArrayLike], *, sd: tuple[float, float] = (1.0, 1.0), overlap: ArrayLike = 0.0
) -> Array:  # fmt: skip
    """Degrees of freedom of a change: Welch's for different people, pairs less 1 for the same, between them else.

    References
    ----------
    Derrick, Russ, Toher & White (2017), as in `smstudy.inference.means.overlapping_change`.

    Examples
    --------
    >>> float(overlap_df((10, 10))), float(overlap_df((10, 10), overlap=10))
    (18.0, 9.0)
    """
    size, other, pairs = (np.asarray(each, dtype=float) for each in (*n, overlap))
    a, b = sd[0] ** 2 / size, sd[1] ** 2 / other
    welch = (a + b) ** 2 / (a**2 / (size - 1) + b**2 / (other - 1))
    mixed = pairs - 1 + (welch - pairs + 1) / (size + other) * (size + other - 2 * pairs)
    return np.where(pairs < FEWEST_PAIRS, welch, mixed)


def finite_change(
    before: Array,
    after: Array,
    *,
    population: tuple[float, float],
    reliability: float,
    linked: bool = True,
    conf_level: float = 0.95,
) -> Estimate:
    """Estimate the change of a mean in a department of which many answered.

    Parameters
    ----------
    before, after : array, shape (n,)
        One place per person; NaN in the wave a person did not answer.
    population : pair of floats
        People in the department in each wave.
    reliability : float
        Of the scores; better from all respondents than from those of a small department.
    linked : bool
        Whether one place is the same person in both waves; if not, people are taken to answer independently in each.
    conf_level : float
        Level of the interval.

    Raises
    ------
    EstimationError
        If a wave has fewer than 2 answers or more than people, or nothing is left uncertain.

    Examples
    --------
    >>> before, after = np.array([3.0, 2.0, 4.0, 3.5]), np.array([3.5, 2.5, 4.5, 3.0])
    >>> round(finite_change(before, after, population=(5, 5), reliability=0.8, linked=False).std_error, 3)
    0.362
    """
    x, y = before[~np.isnan(before)], after[~np.isnan(after)]
    n, both = (len(x), len(y)), ~np.isnan(before) & ~np.isnan(after)
    if min(n) < 2 or n[0] > population[0] or n[1] > population[1]:
        raise EstimationError("A change needs 2 answers in each wave at least, and no more answers than people.")
    sd, pairs = (float(np.std(x, ddof=1)), float(np.std(y, ddof=1))), int(both.sum()) if linked else 0
    known = pairs >= FEWEST_PAIRS and np.ptp(before[both]) > 0 and np.ptp(after[both]) > 0
    r = float(np.corrcoef(before[both], after[both])[0, 1]) if known else 0.0
    variance = change_variance(
        n, sd=sd, population=population, reliability=reliability, correlation=r, overlap=pairs if known else None
    )
    if variance <= NOTHING * (sd[0] ** 2 + sd[1] ** 2):
        raise EstimationError("Nothing is uncertain by these numbers, so no interval can be given. Check reliability.")
    df = float(overlap_df(n, sd=sd, overlap=pairs if known else forced_overlap(n, population)))
    estimate, error = float(y.mean() - x.mean()), float(np.sqrt(variance))
    half, statistic = stats.t.isf((1 - conf_level) / 2, df) * error, estimate / error
    p_value = float(2 * stats.t.sf(abs(statistic), df))
    return Estimate(estimate, error, df, statistic, p_value, float(estimate - half), float(estimate + half))
