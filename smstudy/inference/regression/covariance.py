"""Covariance matrices of coefficients: classical, robust to unequal variances, robust to clusters.

Every function takes the influence matrix A, shape (p, n), for which estimate − truth ≈ A e with e the n raw residuals:
(X'X)⁻¹X' of a linear model, (X'WX)⁻¹X' of a logit. Products of A alone keep the digits that (X'X)⁻¹ would lose.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import DataError, EstimationError, StudyError, did_you_mean

Array = NDArray[np.float64]
Robust = Literal["HC0", "HC1", "HC2", "HC3"]
Clustered = Literal["CR0", "CR1"]
Kind = Literal["classical", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1"]
NAMES: dict[str, str] = {
    "classical": "classical",
    "HC0": "robust (HC0)",
    "HC1": "robust (HC1)",
    "HC2": "robust (HC2)",
    "HC3": "robust (HC3)",
    "CR0": "cluster-robust (CR0)",
    "CR1": "cluster-robust (CR1)",
}
FULL_LEVERAGE = 1 - 1e-10


def check_kind(kind: str, *, clustered: bool) -> Kind:
    """Refuse the name of a covariance that does not exist or does not fit.

    Raises
    ------
    StudyError
        With the names allowed.
    """
    if kind not in NAMES:
        raise StudyError(f'covariance = "{kind}" is not known. {did_you_mean(kind, NAMES)}')
    if clustered != (kind in get_args(Clustered)):
        need = "CR0 or CR1 where cluster= names a column" if clustered else "cluster= with CR0 or CR1"
        raise StudyError(f'covariance = "{kind}" does not fit. Use {need}, or leave covariance= out.')
    return kind


def robust(influence: Array, residuals: Array, hat: Array, kind: Robust = "HC3") -> Array:
    """Estimate the covariance of coefficients when residuals vary more for some respondents than for others.

    Parameters
    ----------
    influence : array, shape (p, n)
        As in the module.
    residuals : array, shape (n,)
        Observed minus fitted.
    hat : array, shape (n,)
        Leverages.
    kind : {"HC0", "HC1", "HC2", "HC3"}
        HC3 holds its level best in small samples.

    Returns
    -------
    array, shape (p, p)

    Raises
    ------
    EstimationError
        If HC2 or HC3 is asked for and one respondent alone determines a coefficient (leverage 1).

    References
    ----------
    MacKinnon & White (1985), J. Econometrics 29, 305-325; Long & Ervin (2000), American Statistician 54, 217-224.
    Agrees with R `sandwich::vcovHC`.
    """
    p, n = influence.shape
    if kind in ("HC2", "HC3") and hat.max() >= FULL_LEVERAGE:
        raise EstimationError(
            f"{kind} errors do not exist: one respondent alone determines a coefficient (leverage 1). "
            'Leave out or merge the term that singles this respondent out, or ask for covariance="HC1".'
        )
    scores = influence * (residuals * _inflation(hat, n, p, kind))
    return scores @ scores.T


def _inflation(hat: Array, n: int, p: int, kind: Robust) -> Array | float:
    if kind in ("HC2", "HC3"):
        return (1 - hat) ** (-0.5 if kind == "HC2" else -1.0)
    return np.sqrt(n / (n - p)) if kind == "HC1" else 1.0


def clustered(influence: Array, residuals: Array, groups: NDArray[np.intp], kind: Clustered = "CR1") -> Array:
    """Estimate the covariance of coefficients when respondents of one cluster resemble each other.

    Parameters
    ----------
    influence : array, shape (p, n)
        As in the module.
    residuals : array, shape (n,)
        Observed minus fitted.
    groups : integer array, shape (n,)
        Number of each respondent's cluster, from 0.
    kind : {"CR0", "CR1"}
        CR1 multiplies by G/(G−1) · (n−1)/(n−p); test against t with G − 1 degrees of freedom.

    Returns
    -------
    array, shape (p, p)

    Raises
    ------
    DataError
        If there are fewer than two clusters.

    References
    ----------
    Liang & Zeger (1986), Biometrika 73, 13-22; Cameron & Miller (2015), J. Human Resources 50, 317-372.
    CR1 agrees with R `sandwich::vcovCL(type = "HC1")`, CR0 with `vcovCL(type = "HC0", cadjust = FALSE)`.
    """
    p, n = influence.shape
    count = int(groups.max()) + 1
    if count < 2:
        raise DataError("Cluster-robust errors need at least two clusters. Name another column, or leave cluster= out.")
    sums = np.column_stack([np.bincount(groups, weights=scores) for scores in influence * residuals])
    factor = count / (count - 1) * (n - 1) / (n - p) if kind == "CR1" else 1.0
    return factor * sums.T @ sums
