"""How far items agree: alpha, item-rest correlations and their intervals, on covariance matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def alpha_of(covariances: Floats) -> float:
    """Raw alpha from a covariance matrix, shape (k, k).

    >>> alpha_of(np.ones((3, 3)))
    1.0
    """
    k = len(covariances)
    return float((1 - np.trace(covariances) / covariances.sum()) * k / (k - 1))


def alphas_without(covariances: Floats) -> Floats:
    """Alpha of the scale without each item, shape (k,); missing for two items."""
    k = len(covariances)
    if k == 2:
        return np.full(2, np.nan)
    return np.array([alpha_of(np.delete(np.delete(covariances, i, axis=0), i, axis=1)) for i in range(k)])


def item_rests(covariances: Floats) -> Floats:
    """Correlation of each item with the sum of the others, shape (k,)."""
    variances = np.diag(covariances)
    shared = covariances.sum(axis=0) - variances
    rest = covariances.sum() - 2 * shared - variances
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(rest > 0, shared / np.sqrt(variances * rest), np.nan)


def feldt_interval(alpha: float, n: float, k: int, conf_level: float = 0.95) -> tuple[float, float]:
    """Feldt's interval of alpha for n respondents and k items, as R psych::alpha.ci gives it."""
    tail = (1 - conf_level) / 2
    low, high = (1 - (1 - alpha) * stats.f.ppf(p, n - 1, (n - 1) * (k - 1)) for p in (1 - tail, tail))
    return float(low), float(high)


def alpha_error(covariances: Floats, n: float) -> float:
    """Standard error of alpha if answers are normal.

    References
    ----------
    Duhachek & Iacobucci (2004), J. Applied Psychology 89, 792-808; van Zyl, Neudecker & Nel (2000), Psychometrika 65,
    271-280. Agrees with R psych::alpha (`total$ase`), which divides by n.

    Examples
    --------
    >>> round(alpha_error(np.full((3, 3), 0.5) + 0.5 * np.eye(3), 100), 4)
    0.0433
    """
    k, total, trace = len(covariances), covariances.sum(), np.trace(covariances)
    squares = (covariances**2).sum()
    rows = (covariances.sum(axis=0) ** 2).sum()
    variance = total * (squares + trace**2) - 2 * trace * rows
    return float(np.sqrt(2 * k**2 * max(variance, 0.0) / ((k - 1) ** 2 * total**3 * n)))


def correlation_interval(r: Floats, n: Floats, conf_level: float = 0.95) -> tuple[Floats, Floats]:
    """Interval of correlations by Fisher's z; missing for fewer than four pairs of answers.

    >>> low, high = correlation_interval(np.array([0.5]), np.array([28]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.156], [0.736])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        width = stats.norm.isf((1 - conf_level) / 2) / np.sqrt(np.where(np.asarray(n) > 3, n, np.nan) - 3)
        z = np.arctanh(np.clip(r, -1, 1))
        return np.tanh(z - width), np.tanh(z + width)


def pairwise_covariances(answers: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Pairwise covariances, and the number of respondents behind each; both of shape (k, k)."""
    answered = ~np.isnan(answers)
    seen = answered.astype(float)
    centered = np.where(answered, answers - np.nanmean(answers, axis=0), 0.0)
    pairs = seen.T @ seen
    sums = centered.T @ seen
    return (centered.T @ centered - sums * sums.T / pairs) / (pairs - 1), pairs.round().astype(int)
