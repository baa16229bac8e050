"""Do the same groups come back when other respondents had answered?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.lloyd import fit_many

Array = NDArray[np.float64]
STARTS = 3


def jaccard(original: NDArray[np.intp], again: NDArray[np.intp], drawn: NDArray[np.bool_], k: int) -> Array:
    """Measure how well each original group is found again.

    Parameters
    ----------
    original : int array, shape (n,)
        Group of every row.
    again : int array, shape (B, n)
        Group of every row in each repetition.
    drawn : bool array, shape (B, n)
        Rows that took part in the repetition; only these are compared.

    Returns
    -------
    array, shape (B, k)
        Largest Jaccard similarity of each original group with any group of the repetition; 0 when nothing was drawn.
    """
    before = (original[None, :, None] == np.arange(k)) & drawn[:, :, None]
    after = (again[:, :, None] == np.arange(k)) & drawn[:, :, None]
    both = before.transpose(0, 2, 1).astype(float) @ after.astype(float)
    either = before.sum(axis=1)[:, :, None] + after.sum(axis=1)[:, None, :] - both
    return (both / np.maximum(either, 1)).max(axis=2)


def bootstrap_stability(
    z: Array, assignment: NDArray[np.intp], centers: Array, *, n_boot: int, rng: np.random.Generator
) -> Array:
    """Estimate the stability of each group of a k-means fit (Hennig 2007, bootstrap scheme).

    Parameters
    ----------
    z : array, shape (n, p)
        Standardized rows.
    assignment : int array, shape (n,)
    centers : array, shape (k, p)
        Centers of the fit; one of the starts of every repetition, beside STARTS by k-means++.
    n_boot : int
        Bootstrap samples.

    Returns
    -------
    array, shape (k,)
        Mean Jaccard similarity of each group over the bootstrap samples.

    References
    ----------
    Hennig (2007), Computational Statistics & Data Analysis 52, 258-271. R: fpc::clusterboot.
    """
    n, k = len(z), len(centers)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=n_boot).astype(float)
    fits = fit_many(np.broadcast_to(z, (n_boot, *z.shape)), k, rng, starts=STARTS, weights=weights, centers=centers)
    return jaccard(assignment, fits.assignment, weights > 0, k).mean(axis=0)
