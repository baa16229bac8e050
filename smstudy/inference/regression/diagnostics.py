"""What can be wrong with a regression, as numbers on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.inference.regression.design import INTERCEPT
from smstudy.inference.regression.least_squares import least_squares

Array = NDArray[np.float64]
SATURATED = 1e-6


def variance_inflation(covariance: Array, terms: Sequence[str]) -> Array:
    """How much each term's overlap with the others inflates its variance.

    Parameters
    ----------
    covariance : array, shape (p, p)
        Classical covariance of the coefficients.
    terms : sequence of str, length p
        Term each coefficient belongs to; those of a term are judged together.

    Returns
    -------
    array, shape (p,)
        VIF of a term with one coefficient, GVIF^(1/df) of a term with df; missing for the constant, if there is only
        one term, and without a constant, where it says nothing sensible.

    References
    ----------
    Fox & Monette (1992), J. American Statistical Association 87, 178-183. Agrees with R `car::vif`, whose last column
    is the square root.

    Examples
    --------
    >>> variance_inflation(np.eye(3), ["(intercept)", "a", "b"]).tolist()
    [nan, 1.0, 1.0]
    """
    names = np.array(terms)
    rest = names != INTERCEPT
    values = np.full(len(names), np.nan)
    if len(set(names[rest])) < 2 or rest.all():
        return values
    errors = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(errors, errors)
    whole = _log_det(correlation, rest)
    for term in dict.fromkeys(names[rest]):
        own = names == term
        log_gvif = _log_det(correlation, own) + _log_det(correlation, rest & ~own) - whole
        values[own] = np.exp(log_gvif / own.sum())
    return values


def overlap(x: Array, weights: Array, made_of: Sequence[frozenset[str]]) -> dict[str, float]:
    """How much each variable's overlap with the others inflates its variance, leaving out products with it.

    A product or a level of one always overlaps with what it is made of, which says nothing about the variables.

    Parameters
    ----------
    x : array, shape (n, p)
        Columns of a design with a constant, without it.
    weights : array, shape (n,)
    made_of : sequence of frozenset of str, length p
        Variables each column is made of.

    Returns
    -------
    dict of str to float
        GVIF^(1/df) of a variable's own columns beside all columns that it has no part in; no variable if there is
        nothing beside it.

    References
    ----------
    Fox & Monette (1992), J. American Statistical Association 87, 178-183; without products as R `car::vif`.

    Examples
    --------
    >>> a, b = np.array([1.0, 2, 3, 4]), np.array([1.0, -1, -1, 1])
    >>> found = overlap(np.column_stack([a, b, a * b]), np.ones(4), [frozenset("a"), frozenset("b"), frozenset("ab")])
    >>> found == {"a": 1.0, "b": 1.0}
    True
    """
    centered = (x - np.average(x, axis=0, weights=weights)) * np.sqrt(weights)[:, None]
    centered = centered / np.linalg.norm(centered, axis=0)
    correlation, found = centered.T @ centered, {}
    for variable in dict.fromkeys(next(iter(names)) for names in made_of if len(names) == 1):
        own = np.array([names == {variable} for names in made_of])
        beside = np.array([variable not in names for names in made_of])
        if beside.any():
            apart = _log_det(correlation, own) + _log_det(correlation, beside)
            found[variable] = float(np.exp((apart - _log_det(correlation, own | beside)) / own.sum()))
    return found


def cooks_distance(residuals: Array, hat: Array, spread: Array | float, p: int) -> Array:
    """How far all estimates together move when one respondent is left out.

    Parameters
    ----------
    residuals, hat : array, shape (n,)
        Observed minus fitted, and leverages.
    spread : float or array, shape (n,)
        Standard deviation of the outcome around its fitted value.
    p : int
        Number of coefficients.

    Returns
    -------
    array, shape (n,)

    References
    ----------
    Cook (1977), Technometrics 19, 15-18. Agrees with R `cooks.distance` for `lm` and binomial `glm`.
    """
    room = np.maximum(1 - hat, np.finfo(float).eps)
    return (residuals / spread) ** 2 * hat / (room**2 * p)


def breusch_pagan(x: Array, residuals: Array, *, names: Sequence[str]) -> float:
    """Test whether residuals of a linear model spread more for some respondents than for others.

    Parameters
    ----------
    x : array, shape (n, p)
        Design matrix with a constant.
    residuals : array, shape (n,)
    names : sequence of str, length p
        What the columns are called.

    Returns
    -------
    float
        p value.

    References
    ----------
    Koenker (1981), J. Econometrics 17, 107-112. Agrees with R `lmtest::bptest`.
    """
    squares = residuals**2
    auxiliary = least_squares(x, squares, names=names).residuals
    spread = squares - squares.mean()
    share = 1 - float(auxiliary @ auxiliary / (spread @ spread))
    return float(stats.chi2.sf(len(squares) * share, x.shape[1] - 1))


def describes_too_few(x: Array, hat: Array, *, min_n: int) -> bool:
    """Say whether a fitted value is the mean of fewer respondents than may be shown, so that coefficients give it away.

    Of m respondents with the same predictors each has a leverage of at most 1/m, and exactly 1/m if nobody else has a
    say in their fitted value.

    Parameters
    ----------
    x : array, shape (n, p)
        Design matrix.
    hat : array, shape (n,)
        Leverages.
    min_n : int
        Smallest number of respondents that may be shown.

    Examples
    --------
    >>> x = np.column_stack([np.ones(9), np.eye(9)[0]])
    >>> describes_too_few(x, np.array([1.0] + [1 / 8] * 8), min_n=5)
    True
    """
    if hat.max() * (min_n - 1) <= 1 - SATURATED:
        return False
    _, place, counts = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    alike = counts[place.ravel()]
    return bool(((alike < min_n) & (hat * alike > 1 - SATURATED)).any())


def _log_det(matrix: Array, chosen: NDArray[np.bool_]) -> float:
    return float(np.linalg.slogdet(matrix[np.ix_(chosen, chosen)])[1])
