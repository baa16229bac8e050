"""One series over time: errors that allow for neighbors being alike, and a test whether they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize_scalar

from smstudy.inference.regression.least_squares import LeastSquares, least_squares

Array = NDArray[np.float64]
RANGE = np.linspace(-0.95, 0.98, 40)
HIGHEST = 0.99
STEP = 1e-3
INTERRUPTED = ("level at the start", "slope before", "jump", "change of slope")


def interrupted_design(n: int, start: int) -> Array:
    """Columns of a segmented regression: constant, time from the start, after the start, time after it; shape (n, 4).

    >>> interrupted_design(4, 2)[:, 1:].tolist()
    [[-2.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    time = np.arange(n, dtype=float) - start
    after = (time >= 0).astype(float)
    return np.column_stack([np.ones(n), time, after, np.maximum(time, 0.0)])


def newey_west(fit: LeastSquares, *, lags: int) -> Array:
    """Estimate the covariance of coefficients when residuals near in time resemble each other.

    Parameters
    ----------
    fit : LeastSquares
        Rows in order of time.
    lags : int
        How far apart residuals may resemble each other; weights fall linearly (Bartlett).

    Returns
    -------
    array, shape (p, p)
        Multiplied by n / (n - p).

    References
    ----------
    Newey & West (1987), Econometrica 55, 703-708. Agrees with R `sandwich::NeweyWest(prewhite = FALSE, adjust = TRUE)`.
    """
    n, p = fit.basis.shape
    scores = fit.influence.T * fit.residuals[:, None]
    matrix = scores.T @ scores
    for lag in range(1, lags + 1):
        crossed = (1 - lag / (lags + 1)) * scores[lag:].T @ scores[:-lag]
        matrix += crossed + crossed.T
    return n / (n - p) * matrix


def usual_lags(n: int) -> int:
    """The rule of Newey & West (1994): the whole part of 4 (n/100)^(2/9).

    >>> usual_lags(24), usual_lags(100)
    (2, 4)
    """
    return int(4 * (n / 100) ** (2 / 9))


def breusch_godfrey(x: Array, residuals: Array) -> tuple[float, float, float]:
    """Test whether residuals resemble the ones before them.

    Returns
    -------
    tuple of float
        Correlation with the residual before, chi-squared with one degree of freedom, p.

    References
    ----------
    Godfrey (1978), Econometrica 46, 1293-1301. Agrees with R `lmtest::bgtest(order = 1)`.
    """
    before = np.concatenate([[0.0], residuals[:-1]])
    names = [f"column {k}" for k in range(x.shape[1] + 1)]
    fit = least_squares(np.column_stack([x, before]), residuals, names=names)
    statistic = len(residuals) * (1 - fit.residuals @ fit.residuals / (residuals @ residuals))
    alike = float(residuals[1:] @ residuals[:-1] / (residuals @ residuals))
    return alike, float(statistic), float(stats.chi2.sf(statistic, 1))


class AutoRegression(NamedTuple):
    """A linear model whose errors follow the ones before: coefficients, covariance, df of each, and how alike."""

    coefficients: Array
    covariance: Array
    df: Array
    alike: float


def autoregressive(x: Array, y: Array, *, names: Sequence[str]) -> AutoRegression:
    """Fit a linear model with errors that follow the one before (AR(1)), by restricted maximum likelihood.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, rows in order of time.
    y : array, shape (n,)
        What is explained.
    names : sequence of str, length p
        What the columns are called in messages.

    Returns
    -------
    AutoRegression
        With Satterthwaite's degrees of freedom, at most n - p, which allow for the likeness of neighbors being
        estimated.

    References
    ----------
    Turner et al. (2021), BMC Medical Research Methodology 21, 181, who compare ways to analyze interrupted series;
    Giesbrecht & Burns (1985), Biometrics 41, 477-486. Estimates and errors agree with R `nlme::gls(method = "REML",
    correlation = corAR1())`.
    """
    values = [_restricted(rho, x, y, names)[0] for rho in RANGE]
    best = int(np.argmin(values))
    ends = RANGE[max(best - 1, 0)], min([*RANGE, HIGHEST][best + 1], HIGHEST)
    found = minimize_scalar(
        lambda rho: _restricted(rho, x, y, names)[0], bounds=ends, method="bounded", options={"xatol": 1e-10}
    )
    rho = float(found.x)
    _, fit, spread = _restricted(rho, x, y, names)
    covariance = spread * fit.bread
    return AutoRegression(fit.coefficients, covariance, _satterthwaite(rho, spread, covariance, x, y, names), rho)


def _whitened(values: Array, rho: float) -> Array:
    return np.concatenate([np.sqrt(1 - rho**2) * values[:1], values[1:] - rho * values[:-1]])


def _restricted(rho: float, x: Array, y: Array, names: Sequence[str]) -> tuple[float, LeastSquares, float]:
    """Minus the restricted log-likelihood with the best spread, the fit, and that spread."""
    n, p = x.shape
    fit = least_squares(_whitened(x, rho), _whitened(y, rho), names=names)
    spread = float(fit.residuals @ fit.residuals) / (n - p)
    return _minus_log(rho, np.log(spread), fit, n - p), fit, spread


def _minus_log(rho: float, log_spread: float, fit: LeastSquares, df: int) -> float:
    squares = float(fit.residuals @ fit.residuals)
    size = -float(np.linalg.slogdet(fit.root)[1])
    return (df * log_spread + squares / np.exp(log_spread) - np.log(1 - rho**2)) / 2 + size


def _satterthwaite(rho: float, spread: float, covariance: Array, x: Array, y: Array, names: Sequence[str]) -> Array:
    """Degrees of freedom from how uncertain spread and likeness are, by differences."""
    n, p = x.shape
    middle = float(np.clip(rho, -HIGHEST + 5 * STEP, HIGHEST - 5 * STEP))
    fits = [
        least_squares(_whitened(x, r), _whitened(y, r), names=names) for r in (middle - STEP, middle, middle + STEP)
    ]
    table = [
        [_minus_log(r, np.log(spread) + more, fit, n - p) for more in (-STEP, 0.0, STEP)]
        for r, fit in zip((middle - STEP, middle, middle + STEP), fits, strict=True)
    ]
    ((a, b, c), (d, e, f), (g, h, i)) = table
    bent = np.array([[f - 2 * e + d, (i - g - c + a) / 4], [(i - g - c + a) / 4, h - 2 * e + b]]) / STEP**2
    slopes = np.stack([np.diag(covariance), spread * np.diag(fits[2].bread - fits[0].bread) / (2 * STEP)], axis=1)
    uncertain = np.einsum("ki,ij,kj->k", slopes, np.linalg.pinv(bent, hermitian=True), slopes)
    with np.errstate(divide="ignore"):
        df = 2 * np.diag(covariance) ** 2 / uncertain
    return np.where((df > 0) & (df < n - p), np.maximum(df, 1.0), float(n - p))
