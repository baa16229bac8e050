"""How R² splits over predictors that overlap: R² of every subset, Shapley shares and dominance, on arrays.

All subsets are computed together: a predictor is swept out of the matrices of cross-products of all subsets so far at
once, so that 2^p subsets cost p steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SAME = 1e-10
CELLS = 4_000_000


def subset_r_squared(products: Array, terms: Sequence[Sequence[int]], *, always: Sequence[int] = ()) -> Array:
    """Compute R² of every subset of terms.

    Parameters
    ----------
    products : array, shape (..., q, q)
        Cross-products (covariances) of the predictors, the outcome last; several matrices at once.
    terms : sequence of sequences of int, length p
        Columns of each term: several for a categorical one.
    always : sequence of int
        Columns in every subset, such as controls.

    Returns
    -------
    array, shape (..., 2^p)
        R² of each subset; term j is in it if bit j of the place is set. A column that those before it determine adds
        nothing.

    References
    ----------
    Sweeping: Beaton (1964); Goodnight (1979), The American Statistician 33, 149-158. Agrees with R `lm`
    (tests/reference/importance.R).

    Examples
    --------
    >>> subset_r_squared(np.array([[1.0, 0, 0.6], [0, 1, 0.3], [0.6, 0.3, 1]]), [[0], [1]]).round(2).tolist()
    [0.0, 0.36, 0.09, 0.45]
    """
    batch, size = products.shape[:-2], products.shape[-1]
    total = np.sqrt(np.diagonal(products, axis1=-2, axis2=-1))
    safe = np.where(total > 0, total, 1.0)
    states = (products / (safe[..., :, None] * safe[..., None, :])).reshape(-1, 1, size, size)
    names = list(range(size))
    for column in always:
        states, names = _swept(states, names, [column])
    for term in terms:
        included, kept = _swept(states, names, term)
        places = [names.index(name) for name in kept]
        states, names = np.concatenate([states[..., places, :][..., :, places], included], axis=1), kept
    left = states[..., names.index(size - 1), names.index(size - 1)]
    return 1.0 - left.reshape(*batch, -1)


def shapley_shares(r_squared: Array) -> Array:
    """Average what each term adds over all orders in which terms can enter (LMG).

    Parameters
    ----------
    r_squared : array, shape (..., 2^p)
        From `subset_r_squared`.

    Returns
    -------
    array, shape (..., p)
        Adds up to R² of all terms minus that of none.

    References
    ----------
    Lindeman, Merenda & Gold (1980); Shapley (1953). The lmg of R relaimpo (Grömping, 2006, J. Statistical Software 17).

    Examples
    --------
    >>> shapley_shares(np.array([0.0, 0.36, 0.25, 0.45])).round(3).tolist()
    [0.28, 0.17]
    """
    return conditional_dominance(r_squared).mean(axis=-1)


def conditional_dominance(r_squared: Array) -> Array:
    """Average what each term adds to subsets of 0, 1, … p - 1 others.

    Returns
    -------
    array, shape (..., p, p)
        Rows are terms, columns the number of others; the first column is R² alone, the last what is added to all.

    References
    ----------
    Azen & Budescu (2003), Psychological Methods 8, 129-148.
    """
    p = _count(r_squared)
    size = _sizes(p - 1)
    weights = np.array([[1 / comb(p - 1, k) if k == each else 0.0 for k in range(p)] for each in range(p)])[size]
    return np.stack([_added(r_squared, term) @ weights for term in range(p)], axis=-2)


def complete_dominance(r_squared: Array) -> NDArray[np.bool_]:
    """Say whether a term adds at least as much as another to every subset of the rest, and more to one.

    Returns
    -------
    bool array, shape (p, p)
        Row dominates column.

    References
    ----------
    Budescu (1993), Psychological Bulletin 114, 542-551.
    """
    p = _count(r_squared)
    found = np.zeros((p, p), dtype=bool)
    places = np.arange(1 << p)
    for first in range(p):
        for second in range(p):
            rest = places[(places >> first & 1 == 0) & (places >> second & 1 == 0)]
            gain = r_squared[rest | 1 << first] - r_squared[rest | 1 << second]
            found[first, second] = first != second and bool((gain >= -SAME).all() and (gain > SAME).any())
    return found


def resampled_shares(
    columns: Array,
    weights: Array,
    terms: Sequence[Sequence[int]],
    *,
    always: Sequence[int] = (),
    n_boot: int,
    seed: int,
    groups: NDArray[np.intp] | None = None,
) -> Array:
    """Shapley shares in resamples of respondents, or of teams.

    Parameters
    ----------
    columns : array, shape (n, q)
        Predictors, the outcome last.
    weights : array, shape (n,)
        Weights, which respondents keep when they are drawn.
    terms, always
        As in `subset_r_squared`; a constant is always in.
    n_boot : int
        Resamples.
    seed : int
    groups : integer array, shape (n,), optional
        Teams from 0, drawn as a whole.

    Returns
    -------
    array, shape (n_boot, p)
    """
    rng, n = np.random.default_rng(seed), len(columns)
    groups = np.arange(n) if groups is None else groups
    step = max(1, min(CELLS // n, CELLS // (1 << len(terms))))
    parts = []
    for start in range(0, n_boot, step):
        drawn = _times_drawn(int(groups.max()) + 1, min(step, n_boot - start), rng)[:, groups] * weights
        parts.append(shapley_shares(subset_r_squared(centered_products(columns, drawn), terms, always=always)))
    return np.concatenate(parts)


def simultaneous_interval(estimates: Array, draws: Array, conf_level: float) -> tuple[Array, Array]:
    """Intervals that hold together for all estimates: the largest deviation of a resample, in standard errors (max-T).

    Parameters
    ----------
    estimates : array, shape (q,)
    draws : array, shape (b, q)
        The same in resamples; those with NaN are left out.
    conf_level : float
        Chance that all intervals hold.

    Returns
    -------
    two arrays, shape (q,)

    References
    ----------
    Westfall & Young (1993), Resampling-Based Multiple Testing, section 2.6; Romano & Wolf (2005), Econometrica 73,
    1237-1282.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(4000, 2))
    >>> simultaneous_interval(np.zeros(2), draws, 0.95)[1].round(1).tolist()
    [2.2, 2.2]
    """
    draws = draws[np.isfinite(draws).all(axis=1)]
    error = draws.std(axis=0, ddof=1)
    away = np.abs(draws - estimates) / np.where(error > 0, error, np.inf)
    half = np.quantile(away.max(axis=1), conf_level) * error
    return estimates - half, estimates + half


def centered_products(columns: Array, weights: Array) -> Array:
    """Weighted covariances of columns for many sets of weights at once.

    Parameters
    ----------
    columns : array, shape (n, q)
    weights : array, shape (b, n)

    Returns
    -------
    array, shape (b, q, q)
    """
    size = columns.shape[1]
    columns = columns - columns.mean(axis=0)
    total = weights.sum(axis=1)
    means = weights @ columns / total[:, None]
    upper = np.triu_indices(size)
    found = np.empty((len(weights), size, size))
    found[:, upper[0], upper[1]] = weights @ (columns[:, upper[0]] * columns[:, upper[1]]) / total[:, None]
    found[:, upper[1], upper[0]] = found[:, upper[0], upper[1]]
    return found - means[:, :, None] * means[:, None, :]


def _times_drawn(n: int, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """How often each of n respondents is in each of `size` resamples, shape (size, n)."""
    places = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(places.ravel(), minlength=size * n).reshape(size, n)


def _swept(states: Array, names: Sequence[int], chosen: Sequence[int]) -> tuple[Array, list[int]]:
    """Take what the chosen columns account for out of all others, and drop them."""
    left = list(names)
    for name in chosen:
        place = left.index(name)
        others = [j for j in range(len(left)) if j != place]
        pivot = states[..., place, place]
        known = pivot > SAME
        column = states[..., others, place]
        factor = np.where(known, 1.0 / np.where(known, pivot, 1.0), 0.0)[..., None] * column
        states = states[..., others, :][..., :, others] - factor[..., :, None] * column[..., None, :]
        left.pop(place)
    return states, left


def _added(r_squared: Array, term: int) -> Array:
    """What a term adds to every subset of the others, in the order of their bits; shape (..., 2^(p-1))."""
    split = r_squared.reshape(*r_squared.shape[:-1], -1, 2, 1 << term)
    return (split[..., 1, :] - split[..., 0, :]).reshape(*r_squared.shape[:-1], -1)


def _count(r_squared: Array) -> int:
    return r_squared.shape[-1].bit_length() - 1


def _sizes(p: int) -> NDArray[np.intp]:
    """How many terms each of the 2^p subsets has."""
    sizes = np.zeros(1, dtype=np.intp)
    for _ in range(p):
        sizes = np.concatenate([sizes, sizes + 1])
    return sizes
