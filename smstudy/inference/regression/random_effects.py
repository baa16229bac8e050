"""What the random effects of a mixed model say: how far groups differ, with intervals, tests and explained variance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.inference.regression.mixed import MixedFit

Array = NDArray[np.float64]
UNKNOWN = 3.0


class Spread(NamedTuple):
    """Estimates and their intervals, shape (k,) each."""

    estimate: Array
    low: Array
    high: Array


def standard_deviations(fit: MixedFit, conf_level: float = 0.95) -> Spread:
    """Standard deviations of the random effects, and last that within groups, with Wald intervals on the log scale.

    Missing where the fit is singular, or so nearly that the error of a logarithm is above 3: the likelihood is not
    quadratic at the edge.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3. Agrees with R `nlme::intervals`, and
    with slopes, where that loses digits, with Richardson derivatives of the deviance (tests/reference/multilevel.R).
    """
    variances = np.append(np.diag(fit.random), fit.sigma**2)
    slopes = np.column_stack([np.diagonal(fit.random_slopes, axis1=1, axis2=2), np.eye(len(fit.random_slopes))[:, -1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = slopes / (2 * variances)
        errors = np.sqrt(np.einsum("mk,ml,lk->k", slopes, fit.parameters_covariance, slopes))
    random = np.arange(len(errors)) < len(errors) - 1
    errors = np.where(random & (fit.singular | (errors > UNKNOWN)), np.nan, errors)
    reach = np.exp(stats.norm.isf((1 - conf_level) / 2) * errors)
    estimate = np.sqrt(variances)
    return Spread(estimate, estimate / reach, estimate * reach)


def correlations(fit: MixedFit, conf_level: float = 0.95) -> Spread:
    """Correlations of the random effects, pairs in the order of the lower triangle, intervals by Fisher's z.

    Missing in a singular fit. References as for `standard_deviations`.
    """
    rows, columns = np.tril_indices(len(fit.random), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.sqrt(np.diag(fit.random))
        estimate = fit.random[rows, columns] / (deviations[rows] * deviations[columns])
        logs = np.diagonal(fit.random_slopes, axis1=1, axis2=2) / (2 * np.diag(fit.random))
        slopes = fit.random_slopes[:, rows, columns] / (deviations[rows] * deviations[columns])
        slopes = (slopes - estimate * (logs[:, rows] + logs[:, columns])) / (1 - estimate**2)
        errors = np.sqrt(np.einsum("mk,ml,lk->k", slopes, fit.parameters_covariance, slopes))
        middle, reach = np.arctanh(estimate), stats.norm.isf((1 - conf_level) / 2) * errors
        low, high = np.tanh(middle - reach), np.tanh(middle + reach)
    unknown = np.full(len(rows), fit.singular)
    return Spread(*(np.where(unknown, np.nan, values) for values in (estimate, low, high)))


def boundary_p(statistic: float, others: int) -> float:
    """p of a likelihood-ratio test that a variance, with its covariances with `others` random effects, is zero.

    A variance cannot be negative, so the statistic follows in equal parts chi-squared with `others` and with one more
    degree of freedom.

    References
    ----------
    Self & Liang (1987), J. American Statistical Association 82, 605-610; Stram & Lee (1994), Biometrics 50, 1171-1177.

    Examples
    --------
    >>> round(boundary_p(2.7055, 0), 4), boundary_p(0.0, 0)
    (0.05, 1.0)
    """
    if statistic <= 0:
        return 1.0
    smaller = float(stats.chi2.sf(statistic, others)) if others else 0.0
    return (smaller + float(stats.chi2.sf(statistic, others + 1))) / 2


def explained_shares(fixed: float, random: float, residual: float) -> tuple[float, float]:
    """Marginal and conditional R²: the share of variance that drivers, and drivers with groups, explain.

    Parameters
    ----------
    fixed : float
        Variance of what the fixed effects predict.
    random : float
        Mean variance the random effects give a respondent, which with slopes depends on the drivers.
    residual : float
        Variance within groups; π²/3 in a logit.

    References
    ----------
    Nakagawa & Schielzeth (2013), Methods in Ecology and Evolution 4, 133-142; slopes: Johnson (2014), ibid. 5, 944-946.

    Examples
    --------
    >>> explained_shares(1.0, 1.0, 2.0)
    (0.25, 0.5)
    """
    total = fixed + random + residual
    return fixed / total, (fixed + random) / total
