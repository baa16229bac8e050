"""What it does to ordinary least squares that respondents of one group resemble each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.inference.regression.least_squares import LeastSquares
from smstudy.inference.regression.small_clusters import resting_on_one, small_clusters

Array = NDArray[np.float64]
LEAST = 1e-12


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


def clustered_effects(fit: LeastSquares, groups: NDArray[np.intp], conf_level: float = 0.95) -> tuple[Array, Array]:
    """The variance of each coefficient by clustered errors (CR2) against that by robust ones (HC2), and its upper end.

    Likeness of members shows in it whatever it is made of: a level that groups share, or effects that differ between
    groups. Errors that spread unequally, but not by group, do not show.

    Parameters
    ----------
    fit : LeastSquares
        The regression that ignores the groups, p coefficients.
    groups : integer array, shape (n,)
        Number of each respondent's group, from 0.
    conf_level : float
        Level of the interval whose upper end is given: chi-squared with Satterthwaite's degrees of freedom.

    Returns
    -------
    tuple of array, shape (p,) each
        NaN where a coefficient rests on a single group.

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28, 169-181. Agrees with R `clubSandwich::vcovCR(type = "CR2")` divided
    by `sandwich::vcovHC(type = "HC2")` (tests/reference/multilevel.R).

    Examples
    --------
    >>> basis = np.full((6, 1), 6**-0.5)
    >>> residuals = np.array([1.0, 1, -1, -1, 0, 0])
    >>> mean = LeastSquares(coefficients=np.zeros(1), residuals=residuals, hat=np.full(6, 1 / 6), basis=basis,
    ...                     root=basis[:1])
    >>> clustered_effects(mean, np.array([0, 0, 1, 1, 2, 2]))[0].round(3).tolist()
    [2.5]
    """
    robust = fit.influence**2 @ (fit.residuals**2 / np.maximum(1 - fit.hat, LEAST))
    clusters = small_clusters(fit.basis, fit.root, fit.residuals, groups)
    df = clusters.df()
    alone = resting_on_one(fit.basis, fit.root, groups) | (robust == 0)
    effects = np.divide(np.diag(clusters.covariance), robust, out=np.full(len(df), np.nan), where=~alone)
    return effects, effects * df / stats.chi2.ppf((1 - conf_level) / 2, df)


def shared_part(column: Array, groups: NDArray[np.intp]) -> float:
    """Share of a column's squares around its mean that lies between groups: 1 if members of each have one value.

    >>> shared_part(np.array([1.0, 1, 2, 2]), np.array([0, 0, 1, 1]))
    1.0
    """
    centered = column - column.mean()
    sums, sizes = np.bincount(groups, centered), np.bincount(groups)
    total = float(centered @ centered)
    return min(float((sums**2 / sizes).sum() / total), 1.0) if total else 0.0
