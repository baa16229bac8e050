"""Batched bootstrap: many resamples at once, for statistics that need only how often each respondent was drawn.

A statistic is a function of counts, shape (b, n), one row per resample, that gives estimates of shape (b, q). Whatever
follows from sums over respondents is such a function: `counts @ products` are the sums of all resamples in one product
of matrices, and `moment_matrices` are the crossproducts of columns, from which regressions, correlations and paths
follow without another look at the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smstudy.errors import EstimationError, StudyError, did_you_mean

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Statistic = Callable[[Array], Array]
Interval = Literal["percentile", "bca"]
MOST_NUMBERS = 4_000_000
MOST_FAILED = 0.05


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Estimates of q quantities in many resamples.

    Attributes
    ----------
    estimate : array, shape (q,)
        From the data themselves.
    draws : array, shape (resamples that worked, q)
    n_failed : int
        Resamples in which an estimate did not exist.
    left_out : array, shape (n or G, q), optional
        Estimates without each respondent, or cluster, in turn; BCa intervals need them.
    """

    estimate: Array
    draws: Array = field(repr=False)
    n_failed: int = 0
    left_out: Array | None = field(default=None, repr=False)

    @property
    def covariance(self) -> Array:
        """Covariance of the estimates, shape (q, q)."""
        return np.atleast_2d(np.cov(self.draws, rowvar=False))

    @property
    def std_error(self) -> Array:
        """Standard errors, shape (q,)."""
        return self.draws.std(axis=0, ddof=1)

    def interval(self, conf_level: float = 0.95, *, kind: Interval = "percentile") -> tuple[Array, Array]:
        """Ends of the intervals, each of shape (q,).

        Parameters
        ----------
        conf_level : float
            Level of the intervals.
        kind : {"percentile", "bca"}
            BCa corrects for bias and for a spread that changes with the estimate; NaN where it does not exist.

        Raises
        ------
        StudyError
            If the kind is not known, or is "bca" and nobody was left out in turn.

        References
        ----------
        Efron (1987), JASA 82, 171-185; Davison & Hinkley (1997), Bootstrap Methods, section 5.3. With the same draws
        agrees with R `boot::boot.ci(type = c("perc", "bca"))` but for its interpolation between draws.
        """
        if kind not in get_args(Interval):
            raise StudyError(f'interval = "{kind}" is not known. {did_you_mean(str(kind), get_args(Interval))}')
        tails = np.array([(1 - conf_level) / 2, (1 + conf_level) / 2])
        if kind == "percentile":
            low, high = np.quantile(self.draws, tails, axis=0)
            return low, high
        ends = [_quantiles(draws, tail) for draws, tail in zip(self.draws.T, self._corrected(tails), strict=True)]
        low, high = np.array(ends).reshape(-1, 2).T
        return low, high

    def _corrected(self, tails: Array) -> Array:
        """BCa: which quantiles of the draws the ends are, shape (q, 2)."""
        if self.left_out is None:
            raise StudyError("BCa intervals need the estimates without each respondent. Say leave_out=True.")
        below = (self.draws < self.estimate).mean(axis=0) + (self.draws == self.estimate).mean(axis=0) / 2
        gaps = self.left_out.mean(axis=0) - self.left_out
        with np.errstate(divide="ignore", invalid="ignore"):
            skewed = (gaps**3).sum(axis=0) / (6 * (gaps**2).sum(axis=0) ** 1.5)
            bias = ndtri(below)[:, None]
            shifted = bias + ndtri(tails)
            return ndtr(bias + shifted / (1 - skewed[:, None] * shifted))

    def p_value(self) -> Array:
        """Twice the smaller share of resamples on one side of zero, shape (q,): percentile intervals turned round."""
        m = len(self.draws)
        above, under = (self.draws >= 0).sum(axis=0), (self.draws <= 0).sum(axis=0)
        return np.minimum(1.0, 2 * (np.minimum(above, under) + 1) / (m + 1))


def bootstrap(
    statistic: Statistic, n: int, *, n_boot: int = 2000, seed: int = 1, groups: Codes | None = None,
    strata: Codes | None = None, leave_out: bool = False,
) -> Bootstrap:  # fmt: skip
    """Draw respondents, or clusters, with replacement and compute a statistic of each resample.

    Parameters
    ----------
    statistic : callable, (b, n) counts to (b, q) estimates
        NaN where a resample gives none.
    n : int
        Respondents.
    n_boot : int
        Resamples.
    seed : int
        The same seed gives the same draws.
    groups : integer array, shape (n,), optional
        Clusters from 0, drawn as a whole.
    strata : integer array, shape (n,), optional
        Groups from 0 of a fixed number of respondents each; not together with clusters.
    leave_out : bool
        Also compute the statistic without each respondent (cluster) in turn, for BCa intervals.

    Returns
    -------
    Bootstrap

    Raises
    ------
    EstimationError
        If the statistic does not exist in more than 5 % of the resamples: the rest would be a chosen few.

    References
    ----------
    Davison & Hinkley (1997), Bootstrap Methods and their Application, chapters 2 and 3.

    Examples
    --------
    >>> values = np.arange(50.0)
    >>> found = bootstrap(lambda counts: (counts @ values / counts.sum(axis=1))[:, None], 50, seed=3)
    >>> found.estimate.item(), bool(abs(found.std_error.item() - values.std() / 50**0.5) < 0.1)
    (24.5, True)
    """
    estimate = np.asarray(statistic(np.ones((1, n))), dtype=float)[0]
    drawn = [statistic(counts) for counts in resamples(n, n_boot=n_boot, seed=seed, groups=groups, strata=strata)]
    draws = np.concatenate(drawn)
    worked = np.isfinite(draws).all(axis=1)
    failed = int((~worked).sum())
    if failed > MOST_FAILED * n_boot or not np.isfinite(estimate).all():
        raise EstimationError(
            f"The estimates do not exist in {failed / n_boot:.0%} of the resamples, so that the others would mislead. "
            "Name fewer terms, or merge small groups."
        )
    left_out = np.concatenate([statistic(counts) for counts in _without_each(n, groups)]) if leave_out else None
    return Bootstrap(estimate=estimate, draws=draws[worked], n_failed=failed, left_out=left_out)


def resamples(
    n: int, *, n_boot: int, seed: int = 1, groups: Codes | None = None, strata: Codes | None = None
) -> Iterator[Array]:
    """Say how often each respondent is drawn, in blocks of shape (b, n) that fit into memory.

    Examples
    --------
    >>> blocks = list(resamples(4, n_boot=3, seed=1))
    >>> blocks[0].shape, blocks[0].sum(axis=1).tolist()
    ((3, 4), [4.0, 4.0, 4.0])
    """
    rng = np.random.default_rng(seed)
    units = n if groups is None else int(groups.max()) + 1
    order = np.arange(units) if strata is None else np.argsort(strata, kind="stable")
    sizes = np.array([units]) if strata is None else np.bincount(strata)
    first, width = np.repeat(np.cumsum(sizes) - sizes, sizes), np.repeat(sizes, sizes)
    for size in _blocks(n_boot, max(n, units)):
        places = order[first + (rng.random((size, units)) * width).astype(np.intp)]
        flat = places + units * np.arange(size)[:, None]
        counts = np.bincount(flat.ravel(), minlength=size * units).reshape(size, units).astype(float)
        yield counts if groups is None else counts[:, groups]


def moment_matrices(columns: Array) -> Callable[[Array], Array]:
    """Prepare crossproducts of columns, so that those of many resamples come from one product of matrices.

    Parameters
    ----------
    columns : array, shape (n, k)
        A column of ones among them gives sums and means.

    Returns
    -------
    callable
        From counts, shape (b, n), to crossproducts, shape (b, k, k).

    Examples
    --------
    >>> moment_matrices(np.array([[1.0, 2.0], [1.0, 4.0]]))(np.array([[2.0, 0.0]])).tolist()
    [[[2.0, 4.0], [4.0, 8.0]]]
    """
    k = columns.shape[1]
    rows, others = np.triu_indices(k)
    products = columns[:, rows] * columns[:, others]
    place = np.zeros((k, k), dtype=np.intp)
    place[rows, others] = place[others, rows] = np.arange(len(rows))
    return lambda counts: (counts @ products)[:, place]


def _blocks(total: int, width: int) -> Iterator[int]:
    """Sizes of blocks of resamples; they depend on the data only, so that a seed always gives the same draws."""
    step = max(1, MOST_NUMBERS // max(width, 1))
    yield from (min(step, total - done) for done in range(0, total, step))


def _without_each(n: int, groups: Codes | None) -> Iterator[Array]:
    """Counts that leave out each respondent or cluster in turn."""
    codes = np.arange(n) if groups is None else groups
    start = 0
    for size in _blocks(int(codes.max()) + 1, n):
        yield (codes != np.arange(start, start + size)[:, None]).astype(float)
        start += size


def _quantiles(draws: Array, tails: Array) -> Array:
    return np.quantile(draws, tails) if np.isfinite(tails).all() else np.full(2, np.nan)
