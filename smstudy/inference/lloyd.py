"""Many small k-means fits at once, on arrays.

Bootstraps, null distributions and many starts repeat k-means hundreds of times on a few hundred rows, where the cost of
a call per fit would dominate; and exchanging single rows finds better fits than scikit-learn's KMeans, which only
alternates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MAX_ROUNDS = 100
TOO_LITTLE = 1e-12


@dataclass(frozen=True)
class Fits:
    """Fits of one number of groups to B samples.

    Attributes
    ----------
    centers : array, shape (B, k, p)
    assignment : int array, shape (B, n)
        Nearest center of every row, rows of weight 0 included.
    within : array, shape (B,)
        Weighted sum of squared distances to the nearest center.
    """

    centers: Array
    assignment: NDArray[np.intp]
    within: Array


def standardize(samples: Array) -> Array:
    """Give every column of every sample mean 0 and standard deviation 1; a constant column becomes 0.

    Parameters
    ----------
    samples : array, shape (..., n, p)
    """
    centered = samples - samples.mean(axis=-2, keepdims=True)
    sds = centered.std(axis=-2, ddof=1, keepdims=True)
    return centered / np.where(sds > 0, sds, 1.0)


def seed_centers(samples: Array, k: int, rng: np.random.Generator, weights: Array | None = None) -> Array:
    """Choose starting centers by k-means++ (Arthur & Vassilvitskii 2007), one set per sample.

    Parameters
    ----------
    samples : array, shape (B, n, p)
    weights : array, shape (B, n), optional
        How often a row counts; 0 leaves it out.

    Returns
    -------
    array, shape (B, k, p)
    """
    size = samples.shape[0]
    chance = np.ones(samples.shape[:2]) if weights is None else weights.astype(float)
    nearest = np.full(samples.shape[:2], np.inf)
    centers = np.empty((size, k, samples.shape[2]))
    for step in range(k):
        pull = chance if step == 0 else np.where(nearest.sum(axis=1, keepdims=True) > 0, chance * nearest, chance)
        heap = pull.cumsum(axis=1)
        row = (heap < rng.random((size, 1)) * heap[:, -1:]).sum(axis=1)
        centers[:, step] = samples[np.arange(size), row]
        nearest = np.minimum(nearest, ((samples - centers[:, None, step]) ** 2).sum(axis=2))
    return centers


def refine(samples: Array, centers: Array, weights: Array | None = None) -> Fits:
    """Move centers to a local minimum by Lloyd's algorithm, all samples side by side.

    Parameters
    ----------
    samples : array, shape (B, n, p)
    centers : array, shape (B, k, p)
        Where to start.
    weights : array, shape (B, n), optional
    """
    centers = centers.copy()
    assignment = np.full(samples.shape[:2], -1)
    active = np.arange(len(samples))
    for _ in range(MAX_ROUNDS):
        rows = samples[active]
        nearest = _nearest(rows, centers[active])
        moved = (nearest != assignment[active]).any(axis=1)
        assignment[active] = nearest
        active, rows, nearest = active[moved], rows[moved], nearest[moved]
        if not len(active):
            break
        centers[active] = _means(rows, nearest, centers[active], None if weights is None else weights[active])
    assignment = _nearest(samples, centers)
    return Fits(centers, assignment, _within(samples, centers, assignment, weights))


def exchange(samples: Array, fits: Fits) -> Fits:
    """Improve fits by moving single rows as long as that lowers the within sum of squares (Hartigan & Wong 1979).

    Alternating between centers and nearest rows can stop where one such move would still help.

    Parameters
    ----------
    samples : array, shape (B, n, p)
    fits : Fits
        Without weights.
    """
    centers, assignment = fits.centers.copy(), fits.assignment.copy()
    sizes = (assignment[:, :, None] == np.arange(centers.shape[1])).sum(axis=1).astype(float)
    active = np.arange(len(samples))
    for _ in range(samples.shape[1]):
        gain, row, target = _best_move(samples[active], centers[active], assignment[active], sizes[active])
        better = gain > TOO_LITTLE * np.maximum(fits.within[active], 1e-300)
        active, row, target = active[better], row[better], target[better]
        if not len(active):
            break
        source, point = assignment[active, row], samples[active, row]
        sizes[active, source] -= 1
        sizes[active, target] += 1
        centers[active, source] -= (point - centers[active, source]) / sizes[active, source][:, None]
        centers[active, target] += (point - centers[active, target]) / sizes[active, target][:, None]
        assignment[active, row] = target
    centers = _means(samples, assignment, centers, None)
    return Fits(centers, assignment, _within(samples, centers, assignment, None))


def fit_many(
    samples: Array,
    k: int,
    rng: np.random.Generator,
    *,
    starts: int,
    weights: Array | None = None,
    centers: Array | None = None,
) -> Fits:
    """Fit k groups to every sample from several starts and keep the best fit of each.

    Parameters
    ----------
    samples : array, shape (B, n, p)
    starts : int
        Starts by k-means++.
    centers : array, shape (k, p), optional
        One more start, the same for every sample.
    """
    begin = [] if centers is None else [np.broadcast_to(centers, (len(samples), *centers.shape))]
    begin += [seed_centers(samples, k, rng, weights) for _ in range(starts)]
    return reduce(_better, (refine(samples, start, weights) for start in begin))


def _better(one: Fits, other: Fits) -> Fits:
    wins = other.within < one.within
    return Fits(
        np.where(wins[:, None, None], other.centers, one.centers),
        np.where(wins[:, None], other.assignment, one.assignment),
        np.where(wins, other.within, one.within),
    )


def _best_move(
    rows: Array, centers: Array, assignment: NDArray[np.intp], sizes: Array
) -> tuple[Array, NDArray[np.intp], NDArray[np.intp]]:
    distances = ((rows[:, :, None, :] - centers[:, None]) ** 2).sum(axis=3)
    own_size = np.take_along_axis(sizes, assignment, axis=1)
    own = np.take_along_axis(distances, assignment[:, :, None], axis=2)[:, :, 0]
    leaving = np.where(own_size > 1, own * own_size / np.maximum(own_size - 1, 1), -np.inf)
    joining = distances * (sizes / (sizes + 1))[:, None, :]
    np.put_along_axis(joining, assignment[:, :, None], np.inf, axis=2)
    gains = leaving - joining.min(axis=2)
    row = gains.argmax(axis=1)
    every = np.arange(len(rows))
    return gains[every, row], row, joining[every, row].argmin(axis=1)


def _nearest(rows: Array, centers: Array) -> NDArray[np.intp]:
    closeness = rows @ centers.transpose(0, 2, 1)
    closeness -= 0.5 * (centers**2).sum(axis=2)[:, None, :]
    return closeness.argmax(axis=2)


def _means(rows: Array, nearest: NDArray[np.intp], before: Array, weights: Array | None) -> Array:
    member = (nearest[:, None, :] == np.arange(before.shape[1])[:, None]).astype(float)
    if weights is not None:
        member *= weights[:, None, :]
    size = member.sum(axis=2, keepdims=True)
    return np.where(size > 0, (member @ rows) / np.maximum(size, 1e-300), before)


def _within(samples: Array, centers: Array, assignment: NDArray[np.intp], weights: Array | None) -> Array:
    own = np.take_along_axis(centers, assignment[:, :, None], axis=1)
    squares = ((samples - own) ** 2).sum(axis=2)
    return squares.sum(axis=1) if weights is None else (squares * weights).sum(axis=1)
