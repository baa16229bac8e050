"""How far the members of a group agree on the items of a scale, against answering at random: numbers on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SLIGHT_SKEW = {5: 1.34, 6: 1.85, 7: 2.90, 8: 3.47, 9: 5.66, 10: 6.30, 11: 7.31}


def uniform_variance(codes: Sequence[float]) -> float:
    """Variance of answers at random when every answer is equally likely: (a^2 - 1) / 12 for the codes 1 to a.

    >>> uniform_variance([1, 2, 3, 4, 5])
    2.0
    """
    return float(np.var(codes))


def skewed_variance(codes: Sequence[float]) -> float:
    """Variance of answers at random that lean slightly to one side; missing where none is published.

    References
    ----------
    LeBreton & Senter (2008), Organizational Research Methods 11, 815-852, table 2, for 5 to 11 answers.

    Examples
    --------
    >>> skewed_variance([1, 2, 3, 4, 5])
    1.34
    """
    by_one = uniform_variance(range(len(codes)))
    return SLIGHT_SKEW.get(len(codes), float("nan")) * uniform_variance(codes) / by_one


def group_variances(items: Floats, groups: NDArray[np.int64], n_groups: int) -> Floats:
    """Mean over items of the variance within each group, shape (g,); missing for groups of fewer than two.

    Parameters
    ----------
    items : ndarray, shape (n, k)
        Answers without gaps.
    groups : ndarray of int, shape (n,)
        Number of the group of each respondent, from 0.
    n_groups : int
        Groups.
    """
    sizes = np.bincount(groups, minlength=n_groups)
    sums = np.zeros((n_groups, items.shape[1]))
    np.add.at(sums, groups, items)
    squares = np.zeros_like(sums)
    means = sums / np.maximum(sizes, 1)[:, None]
    np.add.at(squares, groups, (items - means[groups]) ** 2)
    return np.where(sizes > 1, squares.mean(axis=1) / np.maximum(sizes - 1, 1), np.nan)


def within_group_agreement(variances: Floats, expected: float, n_items: int) -> Floats:
    """rWG(J) of each group: 1 if all its members agree, 0 if they differ as at random or more.

    Parameters
    ----------
    variances : ndarray, shape (g,)
        Mean variance of the items within each group.
    expected : float
        Variance of answers at random.
    n_items : int
        Items of the scale.

    References
    ----------
    James, Demaree & Wolf (1984), J. Applied Psychology 69, 85-98. Agrees with R multilevel::rwg.j, which also sets
    groups that differ more than at random to 0.

    Examples
    --------
    >>> within_group_agreement(np.array([0.0, 1.0, 2.5]), 2.0, 4).round(2).tolist()
    [1.0, 0.8, 0.0]
    """
    left = np.minimum(variances / expected, 1.0)
    return n_items * (1 - left) / (n_items * (1 - left) + left)
