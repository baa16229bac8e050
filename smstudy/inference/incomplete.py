"""Means and covariances of a normal distribution from rows with gaps, and Little's test, on arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import DataError, EstimationError
from smstudy.inference.threads import one_thread

Array = NDArray[np.float64]
STEPS = 5000
SETTLED = 1e-10
SINGULAR, NEARLY_SINGULAR = 1e-8, 1e-3
PATTERNS_AT_ONCE = 512
REPEATED = (
    "Some variables determine each other, so their covariance has no inverse. Leave out scores that are made of items, "
    "and variables that repeat others or were hardly ever answered together."
)


class Moments(NamedTuple):
    """Maximum-likelihood mean, shape (p,), and covariance, shape (p, p)."""

    mean: Array
    covariance: Array


class LittleStatistic(NamedTuple):
    """Little's test.

    `statistic` is chi-squared with `df` degrees of freedom. `effect_size` is the root mean square distance, per answer,
    of the means of a pattern from everybody's, in standard deviations and without what chance adds.
    """

    statistic: float
    df: int
    p_value: float
    n_patterns: int
    effect_size: float


class _Patterns(NamedTuple):
    """Rows with the same gaps together: which columns are seen, shape (k, p), rows, sums and cross products."""

    seen: NDArray[np.bool_]
    n: Array
    sums: Array
    products: Array


def normal_moments(data: Array) -> Moments:
    """Estimate mean and covariance by maximum likelihood from rows with gaps (EM algorithm).

    Parameters
    ----------
    data : array, shape (n, p)
        NaN is a gap; a row without any number is left out.

    Raises
    ------
    DataError
        If a column does not vary, or there are not more rows than columns.
    EstimationError
        If columns determine each other, or the steps do not settle.

    References
    ----------
    Dempster, Laird & Rubin (1977), J. Royal Statistical Society B 39, 1-38; Little & Rubin (2019), Statistical Analysis
    with Missing Data, section 11.2. Agrees with the saturated moments of R lavaan (tests/reference/missing.R).

    Examples
    --------
    >>> normal_moments(np.array([[1.0, 2.0], [3.0, 5.0], [4.0, np.nan], [6.0, 4.0]])).mean.round(2).tolist()
    [3.5, 3.72]
    """
    center, spread = _scale(data)
    with one_thread():
        moments = _em(_group((data - center) / spread))
    return Moments(moments.mean * spread + center, moments.covariance * np.outer(spread, spread))


def little_statistic(data: Array) -> LittleStatistic:
    """Test whether the means differ between patterns of missing answers.

    Parameters and errors as in `normal_moments`; there must be at least two patterns.

    References
    ----------
    Little (1988), JASA 83, 1198-1202. The covariance is the maximum-likelihood one, as in R naniar::mcar_test and
    BaylorEdPsych::LittleMCAR (tests/reference/missing.R).
    """
    center, spread = _scale(data)
    patterns = _group((data - center) / spread)
    if len(patterns.n) < 2:
        raise DataError("All rows lack the same answers, so there are no patterns to compare.")
    with one_thread():
        moments = _em(patterns)
        statistic = 0.0
        for part in _chunks(patterns):
            gaps = part.sums - part.n[:, None] * moments.mean * part.seen
            inverse = _inverses(part.seen, moments.covariance)
            statistic += float(np.sum(np.einsum("ki,kij,kj->k", gaps, inverse, gaps) / part.n))
    df = int(patterns.seen.sum()) - data.shape[1]
    effect = np.sqrt(max(statistic - df, 0.0) / float(patterns.n @ patterns.seen.sum(axis=1)))
    return LittleStatistic(statistic, df, float(stats.chi2.sf(statistic, df)), len(patterns.n), float(effect))


def _scale(data: Array) -> tuple[Array, Array]:
    known = (~np.isnan(data)).sum(axis=0)
    if known.min() < 2 or not (np.nanmax(data, axis=0) > np.nanmin(data, axis=0)).all():
        raise DataError("A variable has no answers that vary. Leave it out.")
    n = int((~np.isnan(data)).any(axis=1).sum())
    if n <= data.shape[1]:
        raise DataError(f"{data.shape[1]} variables need more than {data.shape[1]} rows with an answer. Name fewer.")
    return np.nanmean(data, axis=0), np.nanstd(data, axis=0)


def _group(data: Array) -> _Patterns:
    data = data[(~np.isnan(data)).any(axis=1)]
    seen, place = np.unique(~np.isnan(data), axis=0, return_inverse=True)
    place = place.ravel()
    order = np.argsort(place, kind="stable")
    n = np.bincount(place)
    blocks = np.split(np.nan_to_num(data[order]), np.cumsum(n)[:-1])
    return _Patterns(
        seen, n.astype(float), np.array([b.sum(axis=0) for b in blocks]), np.array([b.T @ b for b in blocks])
    )


def _chunks(patterns: _Patterns) -> list[_Patterns]:
    starts = range(0, len(patterns.n), PATTERNS_AT_ONCE)
    return [_Patterns(*(part[start : start + PATTERNS_AT_ONCE] for part in patterns)) for start in starts]


def _em(patterns: _Patterns) -> Moments:
    p = patterns.seen.shape[1]
    moments, chunks = Moments(np.zeros(p), np.eye(p)), _chunks(patterns)
    for _ in range(STEPS):
        moved = _step(moments, chunks, float(patterns.n.sum()))
        change = max(np.abs(new - old).max() for new, old in zip(moved, moments, strict=True))
        moments = moved
        _refuse_singular(moments.covariance, SINGULAR)
        if change < SETTLED:
            return moments
    _refuse_singular(moments.covariance, NEARLY_SINGULAR)
    raise EstimationError(f"Means and covariances did not settle in {STEPS} steps. Name fewer variables.")


def _step(moments: Moments, chunks: list[_Patterns], n: float) -> Moments:
    """Fill in what is expected and estimate again; all patterns of a chunk at once."""
    mean, covariance = moments
    shift, scatter = np.zeros(len(mean)), np.zeros_like(covariance)
    for part in chunks:
        seen_mean = mean * part.seen
        deviation = part.sums - part.n[:, None] * seen_mean
        cross = part.sums[:, :, None] * seen_mean[:, None, :]
        squares = part.products - cross - cross.swapaxes(1, 2)
        squares += part.n[:, None, None] * seen_mean[:, :, None] * seen_mean[:, None, :]
        inverse = _inverses(part.seen, covariance)
        regression = inverse @ covariance
        shift += np.einsum("ki,kij->j", deviation, regression)
        scatter += (regression.swapaxes(1, 2) @ squares @ regression).sum(axis=0)
        scatter += part.n.sum() * covariance - covariance @ np.einsum("k,kij->ij", part.n, inverse) @ covariance
    shift /= n
    scatter = scatter / n - np.outer(shift, shift)
    return Moments(mean + shift, (scatter + scatter.T) / 2)


def _inverses(seen: NDArray[np.bool_], covariance: Array) -> Array:
    """Inverse of the covariance of the columns each pattern has, zero elsewhere; shape (k, p, p)."""
    both = seen[:, :, None] & seen[:, None, :]
    filled = np.where(both, covariance, np.eye(len(covariance)))
    try:
        return np.where(both, np.linalg.inv(filled), 0.0)
    except np.linalg.LinAlgError:
        raise EstimationError(REPEATED) from None


def _refuse_singular(covariance: Array, least: float) -> None:
    if np.linalg.eigvalsh(covariance)[0] < least:
        raise EstimationError(REPEATED)
