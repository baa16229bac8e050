"""Multiple imputation by chained equations with predictive mean matching, on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

from smstudy.errors import EstimationError
from smstudy.inference.threads import one_thread

Array = NDArray[np.float64]
RIDGE = 1e-5
SMALLEST_PIVOT = 1e-8
ROWS_PER_PREDICTOR = 2
TIED = 1e8
BY_CHANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class Chains:
    """What chained equations gave.

    Attributes
    ----------
    values : tuple of arrays
        Per column the imputed values, shape (m, missing cells of the column), rows in the order of the data.
    means, deviations : arrays, shape (iterations, m, p)
        Mean and standard deviation of the imputed values after each iteration; NaN for a column without gaps.
    """

    values: tuple[Array, ...] = field(repr=False)
    means: Array = field(repr=False)
    deviations: Array = field(repr=False)


def chained_equations(
    data: Array,
    *,
    also: Array | None = None,
    m: int,
    iterations: int,
    donors: int,
    seed: int,
    names: Sequence[str] | None = None,
) -> Chains:
    """Impute every gap of every column from all other columns, m times.

    Each iteration goes through the columns with gaps: a linear regression on all others is drawn from its posterior,
    and each gap takes the observed value of one of the `donors` rows whose prediction is nearest (type 1 matching).

    Parameters
    ----------
    data : array, shape (n, p)
        Numbers; NaN is a gap.
    also : array, shape (n, q), optional
        Further predictors without gaps.
    m, iterations, donors : int
        Imputations, rounds of each chain, and candidates for each gap.
    seed : int
        Each chain has its own stream, so that a longer run begins with the shorter one.
    names : sequence of str, optional
        What the columns are called in messages.

    Raises
    ------
    EstimationError
        If a column does not vary or has too few answers for its predictors.

    References
    ----------
    van Buuren & Groothuis-Oudshoorn (2011), J. Statistical Software 45(3); matching: Little (1988), J. Business &
    Economic Statistics 6, 287-296; donors: Morris, White & Royston (2014), BMC Medical Research Methodology 14, 75.
    As R `mice(method = "pmm")`; draws differ, their distribution does not (tests/inference/test_imputation.py).

    Examples
    --------
    >>> data = np.column_stack([np.arange(20.0), np.arange(20.0) % 7])
    >>> data[3, 1] = np.nan
    >>> chains = chained_equations(data, m=3, iterations=2, donors=5, seed=1)
    >>> chains.values[1].shape
    (3, 1)
    """
    gaps = np.isnan(data)
    fixed = np.empty((len(data), 0)) if also is None else also
    _check(data, gaps, fixed.shape[1], names or [f"column {j + 1}" for j in range(data.shape[1])])
    center, spread = np.nanmean(data, axis=0), np.nanstd(data, axis=0)
    scaled = np.column_stack([(data - center) / np.where(spread > 0, spread, 1), _standardized(fixed)])
    streams = np.random.default_rng(seed).spawn(m)
    with one_thread():
        runs = [_chain(data, scaled, gaps, iterations, donors, stream) for stream in streams]
    return Chains(
        values=tuple(np.array([run[0][j] for run in runs]) for j in range(data.shape[1])),
        means=np.array([run[1] for run in runs]).swapaxes(0, 1),
        deviations=np.array([run[2] for run in runs]).swapaxes(0, 1),
    )


def scale_reduction(trace: Array) -> Array:
    """Potential scale reduction of chains, shape (p,), from a trace of shape (iterations, m, p).

    Near 1 where the chains agree; larger where they still keep apart.

    References
    ----------
    Gelman & Rubin (1992), Statistical Science 7, 457-472.

    Examples
    --------
    >>> apart = np.array([[[0.0], [5.0]], [[0.1], [5.1]], [[0.0], [5.0]]])
    >>> bool(scale_reduction(apart)[0] > 10)
    True
    """
    t = len(trace)
    within = trace.var(axis=0, ddof=1).mean(axis=0)
    between = trace.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(between == 0, 1.0, np.sqrt((t - 1) / t + between / within))


def chance_reduction(iterations: int, m: int, columns: int) -> float:
    """What the scale reduction of settled chains reaches by chance, in at least one of the columns, in 1 % of cases.

    Fixed limits such as 1.2 are for chains of hundreds of draws. Two chains of 5 draws exceed 1.2 often, though they
    are settled: then the mean squares between and within them have an F distribution.

    References
    ----------
    Gelman & Rubin (1992), Statistical Science 7, 457-472, section 3: the F distribution of the ratio of variances.

    Examples
    --------
    >>> round(chance_reduction(5, 2, 1), 2), round(chance_reduction(500, 4, 1), 2)
    (1.75, 1.0)
    """
    ratio = stats.f.isf(BY_CHANCE / columns, m - 1, m * (iterations - 1))
    return float(np.sqrt((iterations - 1 + ratio) / iterations))


def _check(data: Array, gaps: NDArray[np.bool_], extra: int, names: Sequence[str]) -> None:
    predictors = data.shape[1] - 1 + extra
    for name, column, gap in zip(names, data.T, gaps.T, strict=True):
        if not gap.any():
            continue
        known = column[~gap]
        if len(known) == 0 or np.ptp(known) == 0:
            raise EstimationError(f'"{name}" has no answers that vary, so nothing tells what is missing. Leave it out.')
        if len(known) < max(ROWS_PER_PREDICTOR * predictors, predictors + 3):
            raise EstimationError(
                f'"{name}" has too few answers to be predicted from {predictors} columns: at least '
                f"{max(ROWS_PER_PREDICTOR * predictors, predictors + 3)} are needed. Name fewer variables."
            )


def _standardized(fixed: Array) -> Array:
    spread = fixed.std(axis=0)
    return (fixed[:, spread > 0] - fixed[:, spread > 0].mean(axis=0)) / spread[spread > 0]


def _chain(
    data: Array, scaled: Array, gaps: NDArray[np.bool_], iterations: int, donors: int, rng: np.random.Generator
) -> tuple[list[Array], Array, Array]:
    """Run one chain; the columns of `scaled` after those of the data have no gaps."""
    p = data.shape[1]
    open_columns = [j for j in range(p) if gaps[:, j].any()]
    z = np.column_stack([np.ones(len(data)), scaled])
    for j in open_columns:
        known = z[~gaps[:, j], j + 1]
        z[gaps[:, j], j + 1] = rng.choice(known, size=int(gaps[:, j].sum()))
    means, deviations = np.full((iterations, p), np.nan), np.full((iterations, p), np.nan)
    values = [np.empty(0) for _ in range(p)]
    for i in range(iterations):
        cross = z.T @ z
        for j in open_columns:
            picked = _matched(z, cross, gaps[:, j], j + 1, donors, rng)
            _replace(z, cross, gaps[:, j], j + 1, z[picked, j + 1])
            values[j] = data[picked, j]
            means[i, j], deviations[i, j] = values[j].mean(), values[j].std()
    return values, means, deviations


def _replace(z: Array, cross: Array, gap: NDArray[np.bool_], j: int, new: Array) -> None:
    """Put new values into the gaps of a column and bring its cross products up to date."""
    z[gap, j] = new
    cross[j] = cross[:, j] = z.T @ z[:, j]


def _matched(z: Array, cross: Array, gap: NDArray[np.bool_], j: int, donors: int, rng: np.random.Generator) -> Array:
    """Choose for each gap of column j the row it takes its value from."""
    inside, known = z[gap], np.flatnonzero(~gap)
    moments = cross - inside.T @ inside
    expected, drawn = np.zeros(z.shape[1]), np.zeros(z.shape[1])
    others = np.arange(z.shape[1]) != j
    expected[others], drawn[others] = _draw(
        moments[others][:, others], moments[others, j], float(moments[j, j]), len(known), rng
    )
    return known[nearest((z @ expected)[known], inside @ drawn, donors, rng)]


def _draw(moments: Array, product: Array, total: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Least-squares coefficients, and a draw from their posterior under a flat prior."""
    factor = _factor(moments)
    expected = dpotrs(factor, product, lower=True)[0]
    residual = max(total - float(expected @ product), 0.0)
    sigma = np.sqrt(residual / rng.chisquare(max(n - len(product), 1)))
    noise = dtrtrs(factor, rng.standard_normal(len(product)), lower=True, trans=True)[0]
    return expected, expected + sigma * noise


def _factor(moments: Array) -> Array:
    """Cholesky factor; columns that determine each other get a small ridge, as in mice."""
    factor, failed = dpotrf(moments, lower=True, clean=True)
    if failed == 0 and (np.diag(factor) ** 2 / np.diag(moments)).min() > SMALLEST_PIVOT:
        return factor
    return np.linalg.cholesky(moments + np.diag(RIDGE * np.maximum(np.diag(moments), 1.0)))


def nearest(observed: Array, wanted: Array, donors: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """For each wanted prediction choose at random one of the `donors` observed predictions nearest to it.

    Predictions on a standardized scale that are the same to 8 decimals tie, and ties are broken at random. Sorting
    whole numbers that all differ gives the same order on every machine.

    Parameters
    ----------
    observed : array, shape (n,)
    wanted : array, shape (k,)

    Returns
    -------
    integer array, shape (k,)
        Places in `observed`.

    Examples
    --------
    >>> nearest(np.array([5.0, 1.0, 9.0]), np.array([8.0, 0.0]), 1, np.random.default_rng(1)).tolist()
    [2, 1]
    """
    donors = min(donors, len(observed))
    shuffled, bits = rng.permutation(len(observed)), len(observed).bit_length()
    keys = (np.rint(observed[shuffled] * TIED).astype(np.int64) << bits) + np.arange(len(observed))
    keys.sort()
    order, rising = shuffled[keys & (2**bits - 1)], (keys >> bits) / TIED
    first, last = np.searchsorted(rising, wanted, "left"), np.searchsorted(rising, wanted, "right")
    place = first + (rng.random(len(wanted)) * (last - first + 1)).astype(np.intp)
    window = place[:, None] + np.arange(-donors, donors)
    inside = (window >= 0) & (window < len(rising))
    window = np.clip(window, 0, len(rising) - 1)
    distance = np.where(inside, np.abs(rising[window] - wanted[:, None]), np.inf)
    closest = np.argpartition(distance, donors - 1, axis=1)[:, :donors]
    chosen = closest[np.arange(len(wanted)), rng.integers(donors, size=len(wanted))]
    return order[window[np.arange(len(wanted)), chosen]]
