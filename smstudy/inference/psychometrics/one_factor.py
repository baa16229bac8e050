"""One factor behind a set of items, estimated by maximum likelihood: numbers on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import EstimationError

Floats = NDArray[np.float64]

GRADIENT_GOAL = 1e-10
GRADIENT_LIMIT = 1e-7
MAX_STEPS = 1000
SMALLEST_EIGENVALUE = 1e-10


@dataclass(frozen=True, kw_only=True)
class OneFactor:
    """A fitted model with one factor of variance 1.

    Attributes
    ----------
    loadings : ndarray, shape (k,)
        In units of the items; their sum is not negative.
    residuals : ndarray, shape (k,)
        Residual variances, all positive.
    covariance : ndarray, shape (2k, 2k)
        Sampling covariance of loadings and residuals, from the expected information.
    discrepancy : float
        Minimum of the fit function; times n it is the chi-squared statistic with k(k - 3)/2 degrees of freedom.
    """

    loadings: Floats
    residuals: Floats
    covariance: Floats
    discrepancy: float


def fit_one_factor(covariances: Floats, n: int) -> OneFactor:
    """Fit one factor to a covariance matrix by maximum likelihood (Fisher scoring in the metric of correlations).

    Parameters
    ----------
    covariances : ndarray, shape (k, k)
        Covariances of k >= 3 items with divisor n.
    n : int
        Respondents.

    Raises
    ------
    EstimationError
        If there are fewer than three items, the matrix is not positive definite, the iterations do not end in a
        minimum, or a residual variance is zero or negative (a Heywood case).

    References
    ----------
    Joreskog (1967), Psychometrika 32, 443-482. Agrees with R lavaan::cfa(std.lv = TRUE), see
    tests/reference/reliability.R.

    Examples
    --------
    >>> true = np.array([0.5, 0.6, 0.7, 0.8])
    >>> fit_one_factor(np.outer(true, true) + np.diag(1 - true**2), 200).loadings.round(4).tolist()
    [0.5, 0.6, 0.7, 0.8]
    """
    spread = np.sqrt(np.diag(covariances))
    correlations = covariances / np.outer(spread, spread)
    _refuse_unusable(correlations)
    k = len(spread)
    parameters, gradient = _minimize(correlations)
    if np.abs(gradient).max() > GRADIENT_LIMIT:
        raise EstimationError("The one-factor model did not converge. Use Cronbach's alpha, or look at the items.")
    if (parameters[k:] <= 0).any():
        raise EstimationError(
            "The one-factor model ends in a residual variance of zero or less (a Heywood case), so its numbers mean "
            "nothing. Use Cronbach's alpha, collect more answers, or look for an item that belongs elsewhere."
        )
    scale = np.concatenate([spread, spread**2])
    sampling = _inverse(_information(parameters)) * (2 / n) * np.outer(scale, scale)
    sign = 1.0 if spread @ parameters[:k] >= 0 else -1.0
    flip = np.concatenate([np.full(k, sign), np.ones(k)])
    fitted = parameters * scale * flip
    least = _discrepancy(parameters, correlations) - np.linalg.slogdet(correlations)[1] - k
    return OneFactor(
        loadings=fitted[:k],
        residuals=fitted[k:],
        covariance=sampling * np.outer(flip, flip),
        discrepancy=max(float(least), 0.0),
    )


def omega_of(model: OneFactor) -> tuple[float, float]:
    """McDonald's omega total and its standard error by the delta method.

    The share of the variance of the sum of all items, as the model implies it, that the factor explains.

    References
    ----------
    McDonald (1999), Test Theory; Raykov & Marcoulides (2004), Structural Equation Modeling 11, 621-637.
    """
    explained = model.loadings.sum() ** 2
    residual = model.residuals.sum()
    total = explained + residual
    by_loading = 2 * model.loadings.sum() * residual / total**2
    k = len(model.loadings)
    gradient = np.concatenate([np.full(k, by_loading), np.full(k, -explained / total**2)])
    return float(explained / total), float(np.sqrt(gradient @ model.covariance @ gradient))


def _refuse_unusable(correlations: Floats) -> None:
    if len(correlations) < 3:
        raise EstimationError("One factor needs three items or more.")
    if not np.isfinite(correlations).all() or np.linalg.eigvalsh(correlations)[0] < SMALLEST_EIGENVALUE:
        raise EstimationError(
            "The covariances of the items are not positive definite: an item is constant or follows from the others, "
            "or there are fewer respondents than items. Leave out the repeated item."
        )


def _minimize(correlations: Floats) -> tuple[Floats, Floats]:
    parameters = _start(correlations)
    value = _discrepancy(parameters, correlations)
    gradient = _gradient(parameters, correlations)
    for _ in range(MAX_STEPS):
        if np.abs(gradient).max() < GRADIENT_GOAL:
            break
        direction = -_inverse(_information(parameters)) @ gradient
        for size in 0.5 ** np.arange(30):
            tried = parameters + size * direction
            new = _discrepancy(tried, correlations)
            if new < value:
                break
        else:
            break
        parameters, value, gradient = tried, new, _gradient(tried, correlations)
    return parameters, gradient


def _start(correlations: Floats) -> Floats:
    """Joreskog's start: residuals from the inverse, loadings from the largest root given these residuals."""
    k = len(correlations)
    residuals = (1 - 0.5 / k) / np.diag(np.linalg.inv(correlations))
    roots, vectors = np.linalg.eigh(correlations / np.sqrt(np.outer(residuals, residuals)))
    return np.concatenate([np.sqrt(residuals) * vectors[:, -1] * np.sqrt(max(roots[-1] - 1, 0.01)), residuals])


def _implied(parameters: Floats) -> Floats:
    loadings, residuals = np.split(parameters, 2)
    return np.outer(loadings, loadings) + np.diag(residuals)


def _discrepancy(parameters: Floats, correlations: Floats) -> float:
    """The fit function without its constant; infinite where the implied matrix is not positive definite."""
    try:
        root = np.linalg.cholesky(_implied(parameters))
    except np.linalg.LinAlgError:
        return float("inf")
    return float(
        2 * np.log(np.diag(root)).sum() + np.trace(np.linalg.solve(root.T, np.linalg.solve(root, correlations)))
    )


def _gradient(parameters: Floats, correlations: Floats) -> Floats:
    precision = _inverse(_implied(parameters))
    slope = precision - precision @ correlations @ precision
    return np.concatenate([2 * slope @ parameters[: len(correlations)], np.diag(slope)])


def _information(parameters: Floats) -> Floats:
    """Expected second derivatives of the fit function; times n/2 the Fisher information."""
    loadings = np.split(parameters, 2)[0]
    precision = _inverse(_implied(parameters))
    weighted = precision @ loadings
    by_loading = 2 * ((loadings @ weighted) * precision + np.outer(weighted, weighted))
    mixed = 2 * precision * weighted
    return np.block([[by_loading, mixed], [mixed.T, precision**2]])


def _inverse(matrix: Floats) -> Floats:
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        raise EstimationError(
            "The one-factor model is not identified: an item shares nothing with the others. "
            "Use Cronbach's alpha, or leave the item out."
        ) from None
