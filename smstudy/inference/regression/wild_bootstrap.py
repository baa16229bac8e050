"""Wild cluster bootstrap of a linear model: p and interval of one coefficient when clusters are few."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import DataError
from smstudy.inference.regression.covariance import FEWEST_CLUSTERS

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
MOST_ENUMERATED = 12
N_DRAWS = 9999
TIED = 1e-10
DOUBLINGS = 12
HALVINGS = 60


class WildTest(NamedTuple):
    """p of the hypothesis that a coefficient is zero, and the interval of all values that are not rejected.

    The ends are NaN where no value far away is rejected: so few clusters carry no interval of this level.
    """

    p_value: float
    conf_low: float
    conf_high: float


class _Draws(NamedTuple):
    """Per draw, coefficients of polynomials in the gap: the statistic is top / sqrt(bottom)."""

    top: tuple[Array, Array]
    bottom: tuple[Array, Array, Array]


def cluster_signs(n_clusters: int, *, n_draws: int = N_DRAWS, seed: int = 1) -> Array:
    """Signs of the clusters, one row per draw; all there are up to 12 clusters, the first of which is the data.

    A draw with all signs turned has the same statistic but for its sign, so that half of all sign vectors suffice.

    Raises
    ------
    DataError
        If there are fewer than 6 clusters: p could not fall below 1/16.

    Examples
    --------
    >>> cluster_signs(6).shape, cluster_signs(20, n_draws=99).shape
    ((32, 6), (100, 20))
    """
    if n_clusters < FEWEST_CLUSTERS:
        raise DataError(
            f"{n_clusters} clusters are too few for a wild bootstrap, which needs {FEWEST_CLUSTERS}: with fewer, p "
            "cannot become small. Compare the groups without a test."
        )
    if n_clusters <= MOST_ENUMERATED:
        number = np.arange(2 ** (n_clusters - 1))
        return 1.0 - 2.0 * (number[:, None] >> np.arange(n_clusters) & 1)
    drawn = np.random.default_rng(seed).integers(0, 2, (n_draws, n_clusters))
    return np.vstack([np.ones(n_clusters), 1.0 - 2.0 * drawn])


def wild_test(
    basis: Array, root: Array, residuals: Array, groups: Codes, place: int, *, estimate: float, signs: Array,
    conf_level: float = 0.95,
) -> WildTest:  # fmt: skip
    """Test one coefficient of a linear model by the wild cluster bootstrap with the null hypothesis imposed.

    In every draw the residuals of the model without the coefficient keep or turn their sign, cluster by cluster; the
    statistic is the coefficient by its CR1 error. The interval holds all values that are not rejected.

    Parameters
    ----------
    basis, root : array, shape (n, p) and (p, p)
        From `least_squares`.
    residuals : array, shape (n,)
        Observed minus fitted.
    groups : integer array, shape (n,)
        Number of each respondent's cluster, from 0.
    place : int
        Which coefficient.
    estimate : float
        Its estimate.
    signs : array, shape (draws, G)
        From `cluster_signs`.
    conf_level : float
        Level of the interval.

    Returns
    -------
    WildTest

    References
    ----------
    Cameron, Gelbach & Miller (2008), Review of Economics and Statistics 90, 414-427; Roodman, Nielsen, MacKinnon & Webb
    (2019), Stata Journal 19, 4-60 (`boottest`), whose statistic and p this equals when all signs are enumerated.
    """
    row = root[place]
    influence = basis @ row
    alone = influence / (row @ row)
    fixed, moved = (_numbers(basis, groups, influence, part) for part in (residuals, alone))
    draws = _draws(signs, fixed, moved)
    error = float((fixed[0] ** 2).sum())
    ends = [_crossing(draws, error, side * np.sqrt(error), 1 - conf_level) for side in (1.0, -1.0)]
    return WildTest(_p_value(draws, error, estimate), estimate - ends[0], estimate - ends[1])


def _numbers(basis: Array, groups: Codes, influence: Array, values: Array) -> tuple[Array, Array]:
    """Each cluster's part in the coefficient (G,), and how it spreads over all clusters after the fit (G, G)."""
    parts = np.bincount(groups, weights=influence * values)
    weights, totals = (
        np.column_stack([np.bincount(groups, weights=column * part) for column in basis.T])
        for part in (influence, values)
    )
    return parts, np.diag(parts) - weights @ totals.T


def _draws(signs: Array, fixed: tuple[Array, Array], moved: tuple[Array, Array]) -> _Draws:
    """With the coefficient fixed `gap` below its estimate, residuals are `fixed` plus gap times `moved`."""
    (parts, spread), (more_parts, more_spread) = fixed, moved
    scores, more = signs @ spread.T, signs @ more_spread.T
    return _Draws(
        top=(signs @ parts, signs @ more_parts),
        bottom=((scores**2).sum(axis=1), 2 * (scores * more).sum(axis=1), (more**2).sum(axis=1)),
    )


def _p_value(draws: _Draws, error: float, gap: float) -> float:
    """p of the hypothesis that the coefficient is `gap` below its estimate."""
    top = (draws.top[0] + gap * draws.top[1]) ** 2
    bottom = draws.bottom[0] + gap * draws.bottom[1] + gap**2 * draws.bottom[2]
    return float((top * error >= gap**2 * bottom * (1 - TIED)).mean())


def _crossing(draws: _Draws, error: float, step: float, level: float) -> float:
    """The gap from which on values are rejected, by bisection; NaN if even far ones are not."""
    near, far = 0.0, step
    for _ in range(DOUBLINGS):
        if _p_value(draws, error, far) <= level:
            break
        near, far = far, 2 * far
    else:
        return float("nan")
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        near, far = (near, middle) if _p_value(draws, error, middle) <= level else (middle, far)
    return far
