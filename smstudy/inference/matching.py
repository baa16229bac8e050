"""Comparison units that resemble those treated, and how alike the two groups are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csr_array, eye_array
from scipy.sparse import hstack as sparse_hstack

from smstudy.errors import EstimationError

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]
SINGULAR = 1e-10
FAR = 1e6
HALF = 0.5


def pooled_covariance(x: Array, treated: Flags) -> Array:
    """Covariance within both groups, shape (p, p); a group of one tells nothing."""
    parts = [x[treated == group] - x[treated == group].mean(axis=0) for group in (True, False)]
    return sum(part.T @ part for part in parts) / (len(x) - 2)


def distances(x: Array, treated: Flags) -> Array:
    """Mahalanobis distance of each treated unit (rows) to each other one (columns), by the pooled covariance.

    Raises
    ------
    EstimationError
        If the columns do not vary within groups or determine each other, or there are too few units for so many.

    References
    ----------
    Rubin (1980), Biometrics 36, 293-298. Agrees with R `mahalanobis` (tests/reference/pilots.R).

    Examples
    --------
    >>> distances(np.array([[1.0], [3.0], [0.0], [2.0]]), np.array([True, True, False, False])).round(3).tolist()
    [[0.707, 0.707], [2.121, 0.707]]
    """
    covariance = pooled_covariance(x, treated)
    spread = np.sqrt(np.diag(covariance))
    if not spread.all() or len(x) - 2 < x.shape[1]:
        raise EstimationError(
            "There are too few units, or one column does not vary within groups. Match on fewer columns."
        )
    correlation = covariance / np.outer(spread, spread)
    if np.linalg.eigvalsh(correlation)[0] < SINGULAR:
        raise EstimationError("The columns to match on determine each other. Leave one out.")
    root = np.linalg.cholesky(np.linalg.inv(correlation))
    z = x / spread @ root
    return np.linalg.norm(z[treated][:, None, :] - z[~treated][None, :, :], axis=2)


def match(distance: Array, *, ratio: int = 1, caliper: float = np.inf) -> Codes:
    """Give each treated unit its comparison units so that distances are smallest in all; nobody is used twice.

    Parameters
    ----------
    distance : array, shape (t, c)
        From `distances`.
    ratio : int
        Comparison units per treated unit; c at least ratio · t.
    caliper : float
        Largest distance allowed.

    Returns
    -------
    integer array, shape (t, ratio)
        Columns of the comparison units, nearest first; -1 throughout where not enough are near. As many treated units
        as possible are matched, in full.

    References
    ----------
    Rosenbaum (1989), JASA 84, 1024-1032.

    Examples
    --------
    >>> match(np.array([[1.0, 2.0, 9.0], [1.1, 5.0, 9.0]])).tolist()
    [[1], [0]]
    """
    near = distance <= caliper
    filled = _fillable(distance, near, ratio)
    cost = np.where(near, distance, FAR * (1 + distance[near].max(initial=1.0)))
    rows, columns = linear_sum_assignment(np.repeat(cost[filled], ratio, axis=0))
    own = np.flatnonzero(filled)[rows // ratio]
    chosen = np.full((len(distance), ratio), -1, dtype=np.intp)
    chosen[filled] = np.where(near[own, columns], columns, -1).reshape(-1, ratio)
    apart = np.where(chosen >= 0, np.take_along_axis(distance, np.maximum(chosen, 0), axis=1), np.inf)
    return np.take_along_axis(chosen, np.argsort(apart, axis=1, kind="stable"), axis=1)


def _fillable(distance: Array, near: Flags, ratio: int) -> Flags:
    """Choose the treated units that get all their matches: as many as possible, then those with the least distance."""
    everybody = np.ones(len(distance), dtype=bool)
    if ratio == 1 or near.all():
        return everybody
    i, j = np.nonzero(near)
    t, pairs = len(distance), np.arange(len(i))
    of_treated = csr_array((np.ones(len(i)), (i, pairs)), shape=(t, len(i)))
    of_other = csr_array((np.ones(len(i)), (j, pairs)), shape=(distance.shape[1], len(i)))
    full = sparse_hstack([of_treated, -ratio * eye_array(t)])
    once = sparse_hstack([of_other, csr_array((distance.shape[1], t))])
    gain = np.concatenate([np.zeros(len(i)), np.ones(t)])
    most = _best(-gain, [LinearConstraint(full, 0, 0), LinearConstraint(once, 0, 1)], gain)
    count = np.round(gain @ most)
    rules = [LinearConstraint(full, 0, 0), LinearConstraint(once, 0, 1), LinearConstraint(gain[None, :], count, count)]
    return _best(np.concatenate([distance[i, j], np.zeros(t)]), rules, gain)[len(i) :] > HALF


def _best(cost: Array, rules: list[LinearConstraint], whole: Array) -> Array:
    """Shares from 0 to 1, some of them whole, of the least cost; whole units make the pairs whole, too."""
    found = milp(cost, integrality=whole, bounds=Bounds(0, 1), constraints=rules)
    if found.x is None:
        raise EstimationError("No best matching was found. Match without caliper=, or with ratio=1.")
    return found.x


class Balance(NamedTuple):
    """Per column: difference of means in standard deviations, and ratio of variances (NaN with a group of one)."""

    difference: Array
    ratio: Array


def balance(x: Array, treated: Flags, spread: Array) -> Balance:
    """Compare two groups.

    Parameters
    ----------
    x : array, shape (n, p)
    treated : bool array, shape (n,)
    spread : array, shape (p,)
        Standard deviations to count differences in: the same before and after matching.

    References
    ----------
    Austin (2009), Statistics in Medicine 28, 3083-3107. Plain R: tests/reference/pilots.R.
    """
    one, other = x[treated], x[~treated]
    ratio = np.full(x.shape[1], np.nan)
    if min(len(one), len(other)) > 1:
        below = other.var(axis=0, ddof=1)
        ratio = np.divide(one.var(axis=0, ddof=1), below, out=ratio, where=below > 0)
    return Balance((one.mean(axis=0) - other.mean(axis=0)) / spread, ratio)
