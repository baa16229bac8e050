"""One factor behind a set of items, and the reliability that it implies: numbers on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smstudy.inference.factor_models.fitted import Fitted, Sample
from smstudy.inference.factor_models.normal_theory import fit_ml
from smstudy.inference.factor_models.structures import measurement_model
from smstudy.inference.psychometrics.consistency import Floats


def fit_one_factor(covariances: Floats, n: int, items: Sequence[str]) -> Fitted:
    """Fit one factor of variance 1 by maximum likelihood; its parameters begin with loadings, then residual variances.

    Parameters
    ----------
    covariances : ndarray, shape (k, k)
        Covariances of k >= 3 items with divisor n.
    n : int
        Respondents.
    items : sequence of str, length k
        Names of the items.

    Raises
    ------
    EstimationError
        As for `fit_ml`.

    References
    ----------
    Joreskog (1967), Psychometrika 32, 443-482. Agrees with R lavaan::cfa(std.lv = TRUE), see
    tests/reference/reliability.R.

    Examples
    --------
    >>> true = np.array([0.5, 0.6, 0.7, 0.8])
    >>> fitted = fit_one_factor(np.outer(true, true) + np.diag(1 - true**2), 200, list("abcd"))
    >>> fitted.parameters[:4].round(4).tolist()
    [0.5, 0.6, 0.7, 0.8]
    """
    return fit_ml(measurement_model(items, {"factor": items}), [Sample(covariances, np.zeros(len(items)), n)])


def omega_of(fitted: Fitted) -> tuple[float, float]:
    """McDonald's omega total of one factor and its standard error by the delta method.

    The share of the variance of the sum of all items, as the model implies it, that the factor explains.

    References
    ----------
    McDonald (1999), Test Theory; Raykov & Marcoulides (2004), Structural Equation Modeling 11, 621-637.
    """
    k = len(fitted.structure.items)
    loading, residual = fitted.parameters[:k].sum(), fitted.parameters[k : 2 * k].sum()
    total = loading**2 + residual
    by_loading, by_residual = 2 * loading * residual / total**2, -(loading**2) / total**2
    gradient = np.repeat([by_loading, by_residual], k)
    return float(loading**2 / total), float(np.sqrt(gradient @ fitted.sampling[: 2 * k, : 2 * k] @ gradient))


def standardized_loadings(fitted: Fitted) -> Floats:
    """Correlations of the items with their one factor, shape (k,)."""
    loadings, residuals, *_ = np.split(fitted.parameters, [k := len(fitted.structure.items), 2 * k])
    return loadings / np.sqrt(loadings**2 + residuals)
