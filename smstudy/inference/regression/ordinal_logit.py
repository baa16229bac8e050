"""Ordinal logistic regression: how the odds of a higher answer depend on other variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import expit, log_expit, logit

from smstudy.display.prose import join_words
from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import least_squares

Floats = NDArray[np.float64]

STEPS = 25
SETTLED = 1e-20
HALVINGS = 30


@dataclass(frozen=True, kw_only=True)
class OrdinalLogit:
    """A proportional-odds fit: logit P(y <= k) = threshold k - x coefficients.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
        Above 0: the odds of a higher answer rise.
    thresholds : ndarray, shape (m,)
        Rising, one less than the categories.
    covariance : ndarray, shape (p + m, p + m)
        Of coefficients and thresholds, from the observed information.
    log_likelihood : float
    n : float
        Respondents, the sum of the weights.
    """

    coefficients: Floats
    thresholds: Floats
    covariance: Floats = field(repr=False)
    log_likelihood: float
    n: float


def ordinal_logit(
    x: Floats, y: NDArray[np.int64], *, names: Sequence[str], weights: Floats | None = None
) -> OrdinalLogit:
    """Fit a proportional-odds model by maximum likelihood with Newton steps.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        One column per coefficient, without a constant; p may be 0.
    y : ndarray, shape (n,)
        0, 1 … m; every category chosen by somebody.
    names : sequence of str, length p
        What the columns are called in messages.
    weights : ndarray, shape (n,), optional
        How many respondents each row stands for.

    Returns
    -------
    OrdinalLogit

    Raises
    ------
    EstimationError
        If columns repeat each other or the constant, or the steps do not settle, as when a column tells high answers
        from low ones without error.

    References
    ----------
    McCullagh (1980), J. Royal Statistical Society B 42, 109-142; the likelihood is concave: Pratt (1981), J. American
    Statistical Association 76, 103-106. Agrees with R MASS::polr and ordinal::clm (tests/reference/graded.R).

    Examples
    --------
    >>> fit = ordinal_logit(np.zeros((4, 0)), np.array([0, 0, 1, 2]), names=[])
    >>> fit.thresholds.round(4).tolist()
    [0.0, 1.0986]
    """
    n = np.ones(len(y)) if weights is None else weights
    least_squares(np.column_stack([np.ones(len(y)), x]), y.astype(float), names=["(intercept)", *names])
    center, scale = np.average(x, axis=0, weights=n), np.sqrt(((x - x.mean(axis=0)) ** 2).mean(axis=0))
    at, information, log_likelihood = _climb((x - center) / scale, y, n, names)
    p = x.shape[1]
    back = np.diag(np.append(1 / scale, np.ones(len(at) - p)))
    back[p:, :p] = center / scale
    return OrdinalLogit(
        coefficients=(back @ at)[:p],
        thresholds=(back @ at)[p:],
        covariance=back @ np.linalg.inv(information) @ back.T,
        log_likelihood=log_likelihood,
        n=float(n.sum()),
    )


def _climb(x: Floats, y: NDArray[np.int64], n: Floats, names: Sequence[str]) -> tuple[Floats, Floats, float]:
    """Newton steps with halving from the model without coefficients: estimates, information, log likelihood."""
    shares = np.cumsum(np.bincount(y, n))[:-1] / n.sum()
    at = np.append(np.zeros(x.shape[1]), logit(shares))
    here = _log_likelihood(at, x, y, n)
    for _ in range(STEPS):
        gradient, information = _slopes(at, x, y, n)
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            break
        if gradient @ step < SETTLED * n.sum():
            return at, information, here
        tried = (at + step * 0.5**halving for halving in range(HALVINGS))
        risen = ((new, _log_likelihood(new, x, y, n)) for new in tried)
        at, here = next(((new, value) for new, value in risen if value >= here - 1e-12 * abs(here)), (at, np.nan))
        if np.isnan(here):
            break
    raise EstimationError(
        f"The ordinal regression on {join_words(names)} did not settle: an estimate grows without end, as when one of "
        "them tells high answers from low ones without error. Leave it out, or collect more answers."
    )


def _edges(at: Floats, x: Floats, y: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Upper and lower end of each answer on the latent line around its expectation, shape (n,) each."""
    cuts = np.concatenate([[-np.inf], at[x.shape[1] :], [np.inf]])
    line = x @ at[: x.shape[1]]
    return cuts[y + 1] - line, cuts[y] - line


def _log_probability(upper: Floats, lower: Floats) -> Floats:
    """Log of F(upper) - F(lower) without loss of digits: F(u) F(-l) (1 - exp(l - u))."""
    with np.errstate(divide="ignore"):
        return log_expit(upper) + log_expit(-lower) + np.log(-np.expm1(lower - upper))


def _log_likelihood(at: Floats, x: Floats, y: NDArray[np.int64], n: Floats) -> float:
    upper, lower = _edges(at, x, y)
    if (upper <= lower).any():
        return -np.inf
    return float(n @ _log_probability(upper, lower))


def _slopes(at: Floats, x: Floats, y: NDArray[np.int64], n: Floats) -> tuple[Floats, Floats]:
    """Gradient and observed information of the log likelihood, shapes (q,) and (q, q)."""
    upper, lower = _edges(at, x, y)
    probability = np.exp(_log_probability(upper, lower))
    by_upper = expit(upper) * expit(-upper) / probability
    by_lower = -expit(lower) * expit(-lower) / probability
    bend_upper = by_upper * (expit(-upper) - expit(upper)) - by_upper**2
    bend_lower = by_lower * (expit(-lower) - expit(lower)) - by_lower**2
    cuts = np.eye(y.max() + 2)[:, 1:-1]
    rows_upper, rows_lower = np.column_stack([-x, cuts[y + 1]]), np.column_stack([-x, cuts[y]])
    gradient = rows_upper.T @ (n * by_upper) + rows_lower.T @ (n * by_lower)
    mixed = rows_upper.T @ (rows_lower * (n * by_upper * by_lower)[:, None])
    information = mixed + mixed.T
    information -= rows_upper.T @ (rows_upper * (n * bend_upper)[:, None])
    information -= rows_lower.T @ (rows_lower * (n * bend_lower)[:, None])
    return gradient, information


def nagelkerke_change(
    log_likelihoods: tuple[float, float, float], n: float, df: int, conf_level: float
) -> tuple[float, float, float]:
    """By how much Nagelkerke's R-squared rises from a model to a larger one, and the interval of the rise.

    The rise is a function of the likelihood-ratio statistic; its interval comes from the noncentral chi-squared
    distributions under which a statistic as large or as small has a probability of half of what the level leaves.

    Parameters
    ----------
    log_likelihoods : tuple of float
        Of the model without predictors, the smaller and the larger one.
    n : float
        Respondents.
    df : int
        Parameters the larger model has more.
    conf_level : float
        Level of the interval.

    References
    ----------
    Nagelkerke (1991), Biometrika 78, 691-692; interval: Steiger & Fouladi (1997), in What If There Were No Significance
    Tests, chapter 9.
    """
    empty, small, large = log_likelihoods
    statistic, tail = max(2 * (large - small), 0.0), (1 - conf_level) / 2
    ends = (_noncentrality(statistic, df, probability) for probability in (1 - tail, tail))

    def rise(distance: float) -> float:
        return float(np.exp(2 * (empty - small) / n) * -np.expm1(-distance / n) / -np.expm1(2 * empty / n))

    return rise(statistic), *(rise(end) for end in ends)


def _noncentrality(statistic: float, df: int, probability: float) -> float:
    """The noncentrality at which a smaller statistic has a probability; 0 if it is less likely even without any."""
    if stats.chi2.cdf(statistic, df) <= probability:
        return 0.0
    end = 2 * statistic + 50
    return float(optimize.brentq(lambda shift: stats.ncx2.cdf(statistic, df, shift) - probability, 0.0, end))
