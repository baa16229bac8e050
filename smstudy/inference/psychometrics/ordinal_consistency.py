"""Reliability of the sum of ordinal items, and of the normal variables behind them: numbers on arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from smstudy.errors import EstimationError
from smstudy.inference.psychometrics.bivariate import bivariate_density, bivariate_probability, normal_density
from smstudy.inference.psychometrics.consistency import Floats, alpha_of
from smstudy.inference.psychometrics.polychoric import Polychorics

STEPS = 200
SETTLED = 1e-12
FAR_CUT = 38.0


def fit_one_ordinal_factor(correlations: Floats, weights: Floats) -> Floats:
    """Standardized loadings of one factor behind polychoric correlations by diagonally weighted least squares.

    Parameters
    ----------
    correlations : ndarray, shape (k, k)
        Polychoric correlations of k >= 3 items.
    weights : ndarray, shape (k(k - 1)/2,)
        Of the pairs (1, 2), (1, 3) …: reciprocals of their sampling variances.

    Returns
    -------
    ndarray, shape (k,)
        Their sum is not negative.

    Raises
    ------
    EstimationError
        If there are fewer than three items, the search does not end, or a loading is 1 or more (a Heywood case).

    References
    ----------
    Muthen, du Toit & Spisic (1997), unpublished. Agrees with R lavaan::cfa(estimator = "WLSMV", std.lv = TRUE).
    """
    k = len(correlations)
    if k < 3:
        raise EstimationError("One factor behind ordinal items needs three items or more. Use ordinal_alpha for two.")
    pairs = np.triu_indices(k, 1)
    observed = correlations[pairs]
    roots, axes = np.linalg.eigh(correlations)
    loadings = axes[:, -1] * np.sqrt(roots[-1] * 0.7)
    for _ in range(STEPS):
        step = _step(loadings, observed, weights)
        loadings = loadings + step * min(1.0, 0.5 / np.abs(step).max(initial=1e-300))
        if np.abs(step).max() < SETTLED:
            break
    else:
        raise EstimationError("The one-factor model of the ordinal items did not converge. Look at a factor analysis.")
    if np.abs(loadings).max() >= 1:
        raise EstimationError(
            "The one-factor model of the ordinal items ends in a loading of 1 or more (a Heywood case), so its numbers "
            "mean nothing. Collect more answers, or look for an item that belongs elsewhere."
        )
    return loadings * (1.0 if loadings.sum() >= 0 else -1.0)


def green_yang(loadings: Floats, thresholds: Floats, correlations: Floats) -> float:
    """Categorical omega: share of the variance of the sum of the answers that the one factor explains.

    Parameters
    ----------
    loadings : ndarray, shape (k,)
        Standardized loadings of the normal variables.
    thresholds : ndarray, shape (k, m)
        Where these are cut into answers; padded with +inf.
    correlations : ndarray, shape (k, k)
        Polychoric correlations; the variance of the sum comes from them, not from the model.

    References
    ----------
    Green & Yang (2009), Psychometrika 74, 155-167, equation 21. Agrees with R semTools::compRelSEM(ord.scale = TRUE),
    called "omega3" by semTools::reliability.

    Examples
    --------
    >>> many = np.linspace(-4, 4, 81) + np.zeros((3, 1))
    >>> normal = np.full((3, 3), 0.49) + 0.51 * np.eye(3)
    >>> round(green_yang(np.full(3, 0.7), many, normal), 3)
    0.742
    """
    return _variance(thresholds, np.outer(loadings, loadings)).total / _variance(thresholds, correlations).total


def omega_with_error(found: Polychorics, gamma: Floats, n: int) -> tuple[float, float, Floats]:
    """Categorical omega, its standard error by the delta method, and the loadings.

    Parameters
    ----------
    found : Polychorics
        Thresholds and correlations.
    gamma : ndarray, shape (q, q)
        Their covariance over samples, times n, from `asymptotic_covariance`.
    n : int
        Respondents.

    Raises
    ------
    EstimationError
        If one factor would explain more than there is.
    """
    weights = 1 / np.diag(gamma)[int(found.n_thresholds.sum()) :]
    loadings = fit_one_ordinal_factor(found.correlations, weights)
    true = _variance(found.thresholds, np.outer(loadings, loadings))
    observed = _variance(found.thresholds, found.correlations)
    by_loading = 2 * true.by_correlation @ loadings
    by_pair = by_loading @ _loading_slopes(loadings, found.correlations[found.pairs], weights)
    share = true.total / observed.total
    if share >= 1:
        raise EstimationError(
            "One factor would explain more than all of the variance, so it is not what stands behind these answers. "
            "Look at a factor analysis: there may be several things, or an item that runs against the others."
        )
    by_pair = by_pair - share * 2 * observed.by_correlation[found.pairs]
    by_cut = (true.by_threshold - share * observed.by_threshold)[np.isfinite(found.thresholds)]
    slope = np.concatenate([by_cut, by_pair]) / observed.total
    return share, float(np.sqrt(slope @ gamma @ slope / n)), loadings


def misfit_of_one(found: Polychorics, gamma: Floats, loadings: Floats, n: int) -> float:
    """Root mean square of the correlations that one factor leaves over, less what chance adds.

    References
    ----------
    Maydeu-Olivares (2017), Psychometrika 82, 533-558: the standardized root mean squared residual without bias.
    """
    left = (found.correlations - np.outer(loadings, loadings))[found.pairs]
    chance = np.diag(gamma)[int(found.n_thresholds.sum()) :] / n
    return float(np.sqrt(max(np.mean(left**2 - chance), 0.0)))


def alpha_with_error(found: Polychorics, gamma: Floats, n: int) -> tuple[float, float]:
    """Alpha of the polychoric correlations and its standard error by the delta method; parameters as above."""
    k, total = len(found.names), found.correlations.sum()
    of_pairs = gamma[int(found.n_thresholds.sum()) :, int(found.n_thresholds.sum()) :]
    slope = 2 * k**2 / ((k - 1) * total**2)
    return alpha_of(found.correlations), float(slope * np.sqrt(of_pairs.sum() / n))


def _slopes(loadings: Floats) -> Floats:
    """How products of loadings move with them, shape (pairs, k)."""
    one, other = np.triu_indices(len(loadings), 1)
    slopes = np.zeros((len(one), len(loadings)))
    slopes[np.arange(len(one)), one] = loadings[other]
    slopes[np.arange(len(one)), other] = loadings[one]
    return slopes


def _step(loadings: Floats, observed: Floats, weights: Floats) -> Floats:
    """Gauss-Newton."""
    slopes = _slopes(loadings)
    one, other = np.triu_indices(len(loadings), 1)
    left = weights * (observed - loadings[one] * loadings[other])
    return _solved(slopes.T @ (weights[:, None] * slopes), slopes.T @ left)


def _loading_slopes(loadings: Floats, observed: Floats, weights: Floats) -> Floats:
    """How the fitted loadings move with the correlations, shape (k, pairs)."""
    slopes = _slopes(loadings)
    pairs = np.triu_indices(len(loadings), 1)
    curvature = slopes.T @ (weights[:, None] * slopes)
    bend = np.zeros_like(curvature)
    bend[pairs] = weights * (observed - np.outer(loadings, loadings)[pairs])
    return _solved(curvature - bend - bend.T, slopes.T * weights)


def _solved(matrix: Floats, right: Floats) -> Floats:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        raise EstimationError(
            "The one-factor model of the ordinal items is not identified: an item shares nothing with the others."
        ) from None


class _Variance(NamedTuple):
    """Variance of the sum of the answers 0, 1, 2 …, and how it moves with thresholds and single correlations."""

    total: float
    by_threshold: Floats
    by_correlation: Floats


def _variance(thresholds: Floats, correlations: Floats) -> _Variance:
    """Cut normal variables into answers; thresholds (k, m) and correlations (k, k).

    The diagonal of `by_correlation` is only right below 1.
    """
    cuts = np.minimum(thresholds, FAR_CUT)
    first, second = cuts[:, None, :, None], cuts[None, :, None, :]
    rho = correlations[:, :, None, None]
    both = bivariate_probability(first, second, rho)
    alone = special.ndtr(cuts)
    product = alone[:, None, :, None] * alone[None, :, None, :]
    one = rho >= 1
    below = np.where(one, 0.0, rho)
    given = np.where(
        one, 0.5 + 0.5 * np.sign(second - first), special.ndtr((second - below * first) / np.sqrt(1 - below**2))
    )
    return _Variance(
        total=float((both - product).sum()),
        by_threshold=2 * normal_density(cuts) * (given - alone[None, :, None, :]).sum(axis=(1, 3)),
        by_correlation=np.where(one, 0.0, bivariate_density(first, second, below)).sum(axis=(2, 3)),
    )
