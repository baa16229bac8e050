"""What it does to ordinary least squares that respondents of one group resemble each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def design_effects(influence: Array, groups: NDArray[np.intp], likeness: float) -> Array:
    """By how much the variance of each coefficient differs from what ordinary least squares says.

    Parameters
    ----------
    influence : array, shape (p, n)
        (X'X)⁻¹X'.
    groups : integer array, shape (n,)
        Number of each respondent's group, from 0.
    likeness : float
        Correlation of the residuals of two members of a group.

    Returns
    -------
    array, shape (p,)
        Above 1 for what members of a group share; below 1 for what differs within groups only.

    References
    ----------
    Kloek (1981), Econometrica 49, 205-207; Moulton (1986), J. Econometrics 32, 385-397, here for several drivers and
    groups of any size.

    Examples
    --------
    >>> shared = np.array([[0.25, 0.25, -0.25, -0.25]])
    >>> design_effects(shared, np.array([0, 0, 1, 1]), 0.1).round(3).tolist()
    [1.1]
    """
    sums = np.array([np.bincount(groups, row) for row in influence])
    return 1 + likeness * ((sums**2).sum(axis=1) / (influence**2).sum(axis=1) - 1)


def shared_part(column: Array, groups: NDArray[np.intp]) -> float:
    """Share of a column's squares around its mean that lies between groups: 1 if members of each have one value.

    >>> shared_part(np.array([1.0, 1, 2, 2]), np.array([0, 0, 1, 1]))
    1.0
    """
    centered = column - column.mean()
    sums, sizes = np.bincount(groups, centered), np.bincount(groups)
    total = float(centered @ centered)
    return min(float((sums**2 / sizes).sum() / total), 1.0) if total else 0.0
