"""Randomization inference: how often would chance alone, by choosing other units, have shown as much?"""

from __future__ import annotations

from itertools import combinations
from math import factorial, prod

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
MOST_ENUMERATED = 10_000
N_DRAWS = 9_999
TIED = 1e-10


def count_assignments(labels: Codes) -> int:
    """How many different ways there are to give the labels to the units.

    >>> count_assignments(np.array([1, 1, 1, 0, 0, 0, 0, 0]))
    56
    """
    return factorial(len(labels)) // prod(factorial(int(size)) for size in np.unique(labels, return_counts=True)[1])


def assignments(labels: Codes, *, seed: int = 1) -> Codes:
    """Give the labels to the units in every other way: all ways up to 10,000, else 9,999 drawn ones.

    Parameters
    ----------
    labels : integer array, shape (G,)
        What each unit was given.
    seed : int
        Of the drawn ways.

    Returns
    -------
    integer array, shape (m, G)
        The way it happened is among them; where they are drawn it is the first.

    Examples
    --------
    >>> assignments(np.array([1, 0, 0])).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    if count_assignments(labels) > MOST_ENUMERATED:
        rng = np.random.default_rng(seed)
        return np.vstack([labels, rng.permuted(np.tile(labels, (N_DRAWS, 1)), axis=1)])
    kinds, sizes = np.unique(labels, return_counts=True)
    order = np.argsort(sizes, kind="stable")
    ways = [(np.full(len(labels), kinds[order[-1]]), np.arange(len(labels)))]
    for kind in order[:-1]:
        ways = [_placed(given, free, kinds[kind], chosen) for given, free in ways
                for chosen in combinations(range(len(free)), sizes[kind])]  # fmt: skip
    return np.array([given for given, _ in ways])


def _placed(given: Codes, free: Codes, label: int, chosen: tuple[int, ...]) -> tuple[Codes, Codes]:
    placed = given.copy()
    placed[free[list(chosen)]] = label
    return placed, np.delete(free, chosen)


def randomization_p(statistics: Array, observed: float) -> float:
    """Share of the assignments whose statistic is at least as far from zero as the observed one.

    Parameters
    ----------
    statistics : array, shape (m,)
        One per assignment, the observed one among them; NaN where none exists.
    observed : float
        Of what happened.

    References
    ----------
    Fisher (1935), The Design of Experiments; Phipson & Smyth (2010), Stat. Appl. Genetics and Molecular Biology 9(39):
    the observed assignment counts, so that p is never 0. Plain R: tests/reference/pilots.R.

    Examples
    --------
    >>> randomization_p(np.array([2.0, -2.0, 1.0, 0.0]), 2.0)
    0.5
    """
    told = np.abs(statistics[np.isfinite(statistics)])
    return float((told >= abs(observed) * (1 - TIED)).mean())
