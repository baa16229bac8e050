"""Probit regression: how the chance of an outcome depends on other variables, on the scale of a normal latent line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from smstudy.display.prose import join_words
from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import Slopes, maximize
from smstudy.inference.regression.logistic import Logistic, separating_columns

Array = NDArray[np.float64]
SUSPECT = 6.0
ROOT_TWO_PI = float(np.sqrt(2 * np.pi))


def probit(x: Array, y: Array, *, names: Sequence[str], weights: Array | None = None) -> Logistic:
    """Fit a probit regression by maximum likelihood.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, the constant included.
    y : array, shape (n,)
        0 or 1, both present.
    names : sequence of str, length p
        What the columns are called in messages.
    weights : array, shape (n,), optional
        How many respondents each row stands for.

    Returns
    -------
    Logistic
        The same as of a logit, with X'WX the expected information, as in R.

    Raises
    ------
    EstimationError
        As `logistic`.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, section 4.3. Agrees with R `glm(binomial("probit"))`
    (tests/reference/event_counts.R).
    """
    n, toward = np.ones(len(y)) if weights is None else weights, np.where(y == 1, 1.0, -1.0)
    least_squares(x, y, names=names)

    def slopes(at: Array) -> Slopes:
        line = toward * (x @ at)
        pull = _pull(line)
        bend = -pull * (line + pull)
        return Slopes(float(n @ log_ndtr(line)), x.T @ (n * toward * pull), -x.T @ (x * (n * bend)[:, None]))

    settled = maximize(slopes, np.zeros(x.shape[1]), n=n.sum())
    if settled is None or np.abs(x @ settled[0]).max() > SUSPECT:
        _refuse_separated(x, y, names)
    if settled is None:
        raise EstimationError(f"The probit regression on {join_words(names)} did not settle. Leave a term out.")
    return _working(x, toward, n, settled, names)


def _pull(line: Array) -> Array:
    """Density over share."""
    return np.exp(-(line**2) / 2 - log_ndtr(line)) / ROOT_TWO_PI


def _working(x: Array, toward: Array, n: Array, settled: tuple[Array, Slopes], names: Sequence[str]) -> Logistic:
    """The last weighted least-squares fit: weights are density squared over the variance of the outcome."""
    line = x @ settled[0]
    root = np.sqrt(n * _pull(line) * _pull(-line))
    step = least_squares(x * root[:, None], np.zeros_like(line), names=names)
    return Logistic(
        coefficients=settled[0],
        fitted=ndtr(line),
        residuals=toward * ndtr(-toward * line),
        hat=step.hat,
        basis=step.basis,
        root=step.root,
        variance=ndtr(line) * ndtr(-line),
        weights=n,
        bread=step.bread,
        log_likelihood=settled[1].value,
    )


def _refuse_separated(x: Array, y: Array, names: Sequence[str]) -> None:
    told = [f'"{name}"' for name in separating_columns(x, y, names=names)]
    if told:
        verb = "tells" if len(told) == 1 else "tell"
        raise EstimationError(
            f"The outcome is separated: {join_words(told)} {verb} some or all outcomes without error, so the estimate "
            "would be infinite. Leave out a term, or merge levels by what they mean. Or collect more answers."
        )
