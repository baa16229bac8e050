"""Covariance matrices of coefficients: classical, robust to unequal variances, robust to clusters.

Whatever a model is, estimate − truth ≈ the sum of all respondents' contributions, and HC0, HC1, CR0 and CR1 follow from
these. HC2 and HC3 also need leverages, CR2 the design (`small_clusters`). In a regression, contributions are the
influence matrix A, shape (p, n), times the raw residuals: (X'X)⁻¹X' of a linear model, (X'WX)⁻¹X' of a logit. Products
of A alone keep the digits that (X'X)⁻¹ would lose.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import DataError, EstimationError, StudyError, did_you_mean

Array = NDArray[np.float64]
Robust = Literal["HC0", "HC1", "HC2", "HC3"]
Clustered = Literal["CR0", "CR1", "CR2", "wild"]
Summed = Literal["HC0", "HC1", "CR0", "CR1"]
Kind = Literal["classical", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "wild"]
NAMES: dict[str, str] = {
    "classical": "classical",
    "HC0": "robust (HC0)",
    "HC1": "robust (HC1)",
    "HC2": "robust (HC2)",
    "HC3": "robust (HC3)",
    "CR0": "cluster-robust (CR0)",
    "CR1": "cluster-robust (CR1)",
    "CR2": "cluster-robust (CR2)",
    "wild": "wild cluster bootstrap",
}
FULL_LEVERAGE = 1 - 1e-10
FEWEST_CLUSTERS = 6
ENOUGH_CLUSTERS = 40


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
        names = "CR0, CR1, CR2 or wild"
        need = f"{names} where cluster= names a column" if clustered else f"cluster= with {names}"
        raise StudyError(f'covariance = "{kind}" does not fit. Use {need}, or leave covariance= out.')
    return kind


def clustered_kind(n_clusters: int) -> Clustered:
    """The errors to use unless told otherwise: CR2 below 40 clusters, from there on CR1.

    >>> clustered_kind(12), clustered_kind(40)
    ('CR2', 'CR1')
    """
    return "CR2" if n_clusters < ENOUGH_CLUSTERS else "CR1"


def summed_covariance(contributions: Array, kind: Summed, groups: NDArray[np.intp] | None = None) -> Array:
    """Estimate the covariance of the estimates of any model from each respondent's contribution to them.

    Parameters
    ----------
    contributions : array, shape (n, p)
        The slopes of each respondent's log-likelihood times the inverse of the information; in a regression, raw
        residuals times the influence.
    kind : {"HC0", "HC1", "CR0", "CR1"}
        HC1 multiplies by n/(n−p), CR1 by G/(G−1) · (n−1)/(n−p).
    groups : integer array, shape (n,), optional
        Number of each respondent's cluster, from 0; for CR0 and CR1.

    Returns
    -------
    array, shape (p, p)

    Raises
    ------
    DataError
        If there are fewer than two clusters.

    References
    ----------
    Liang & Zeger (1986), Biometrika 73, 13-22. Agrees with R `sandwich::vcovHC` and `vcovCL` of `lm` and `glm`.

    Examples
    --------
    >>> summed_covariance(np.array([[1.0], [2.0], [-3.0], [1.0]]), "CR0", np.array([0, 0, 1, 1])).item()
    13.0
    """
    n, p = contributions.shape
    factor = n / (n - p) if kind == "HC1" else 1.0
    if groups is not None:
        count = int(groups.max()) + 1
        if count < 2:
            raise DataError(
                "Cluster-robust errors need at least two clusters. Name another column, or leave cluster= out."
            )
        factor = count / (count - 1) * (n - 1) / (n - p) if kind == "CR1" else 1.0
        contributions = np.column_stack([np.bincount(groups, weights=column) for column in contributions.T])
    return factor * contributions.T @ contributions


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
    if kind in ("HC2", "HC3") and hat.max() >= FULL_LEVERAGE:
        raise EstimationError(
            f"{kind} errors do not exist: one respondent alone determines a coefficient (leverage 1). "
            'Leave out or merge the term that singles this respondent out, or ask for covariance="HC1".'
        )
    if kind in ("HC0", "HC1"):
        return summed_covariance((influence * residuals).T, kind)
    scores = influence * (residuals * (1 - hat) ** (-0.5 if kind == "HC2" else -1.0))
    return scores @ scores.T


def clustered(
    influence: Array, residuals: Array, groups: NDArray[np.intp], kind: Literal["CR0", "CR1"] = "CR1"
) -> Array:
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
    return summed_covariance((influence * residuals).T, kind, groups)
