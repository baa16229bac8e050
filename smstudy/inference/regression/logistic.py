"""Logistic regression by iteratively reweighted least squares, and the proof that its estimates exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import expit

from smstudy.display.prose import join_words
from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import LeastSquares, least_squares

Array = NDArray[np.float64]
STEPS = 60
CONVERGED = 1e-11
SUSPECT = 12.0
TOLERANCE = 1e-7
ROWS_AT_ONCE = 1000
CONSTANT = "(intercept)"
ADVICE = "Leave out a term, or merge levels by what they mean."


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """A logistic fit of n respondents on p columns.

    Attributes
    ----------
    coefficients : array, shape (p,)
        On the log-odds scale.
    fitted : array, shape (n,)
        Probabilities.
    residuals : array, shape (n,)
        Observed (0 or 1) minus probability.
    hat : array, shape (n,)
        Leverages of the last weighted fit.
    basis, root : array, shape (n, p) and (p, p)
        Of the design times the square root of the variance (and the weight), as in `LeastSquares`.
    variance : array, shape (n,)
        Variance of the outcome given the probability.
    weights : array, shape (n,)
        How often each respondent counts.
    bread : array, shape (p, p)
        (X'WX)⁻¹, the classical covariance.
    log_likelihood : float
    """

    coefficients: Array
    fitted: Array
    residuals: Array
    hat: Array
    basis: Array
    root: Array
    variance: Array
    weights: Array
    bread: Array
    log_likelihood: float

    @property
    def influence(self) -> Array:
        """(X'WX)⁻¹X' (each respondent times the weight), shape (p, n)."""
        return self.root @ (self.basis * np.sqrt(self.weights / self.variance)[:, None]).T


def logistic(x: Array, y: Array, *, names: Sequence[str], weights: Array | None = None) -> Logistic:
    """Fit a logistic regression by maximum likelihood.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, the constant included.
    y : array, shape (n,)
        0 or 1, both present.
    names : sequence of str, length p
        What the columns are called in messages.
    weights : array, shape (n,), optional
        How often each respondent counts, above 0; once if left out.

    Returns
    -------
    Logistic

    Raises
    ------
    EstimationError
        If columns repeat each other, if the outcome is separated (an estimate would be infinite; the columns are
        named), or if the steps do not settle.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, section 4.4. Agrees with R `glm(family = binomial)`.
    Separation: Albert & Anderson (1984), Biometrika 71, 1-10; linear programs: Konis (2007), doctoral thesis, Oxford.
    """
    least_squares(x, y, names=names)
    weights = np.ones(len(y)) if weights is None else weights
    coefficients, step = _iterate(x, y, weights, names)
    if step is None or np.abs(x @ coefficients).max() > SUSPECT:
        _refuse_separated(x, y, names)
    if step is None:
        raise EstimationError(f"The logistic fit did not settle in {STEPS} steps. {ADVICE}")
    eta = x @ coefficients
    fitted = expit(eta)
    return Logistic(
        coefficients=coefficients,
        fitted=fitted,
        residuals=np.where(y == 1, expit(-eta), -fitted),
        hat=step.hat,
        basis=step.basis,
        root=step.root,
        variance=fitted * expit(-eta),
        weights=weights,
        bread=step.bread,
        log_likelihood=log_likelihood(eta, y, weights),
    )


def log_likelihood(eta: Array, y: Array, weights: Array | float = 1.0) -> float:
    """Log likelihood of 0/1 outcomes given log odds, both of shape (n,)."""
    return float(-(weights * np.logaddexp(0.0, np.where(y == 1, -eta, eta))).sum())


def separated_columns(x: Array, y: Array, *, names: Sequence[str]) -> tuple[str, ...]:
    """Name the columns whose coefficient is infinite because they predict the outcome without error.

    A coefficient is infinite exactly if some direction with it never moves a respondent toward the wrong outcome
    and moves at least one toward the right one. Columns must not repeat each other.

    Parameters and References as for `logistic`. Agrees with the definition behind R `detectseparation`.

    Examples
    --------
    >>> x = np.column_stack([np.ones(4), [1.0, 2.0, 3.0, 4.0]])
    >>> separated_columns(x, np.array([0.0, 0.0, 1.0, 1.0]), names=["(intercept)", "x"])
    ('(intercept)', 'x')
    """
    rows = _toward(x, y)
    if not _separate(rows):
        return ()
    axes = np.eye(x.shape[1])
    infinite = [max(_reach(rows, axis), _reach(rows, -axis)) > TOLERANCE for axis in axes]
    return tuple(name for name, is_infinite in zip(names, infinite, strict=True) if is_infinite)


def separating_columns(x: Array, y: Array, *, names: Sequence[str]) -> tuple[str, ...]:
    """Name the columns that separate the outcome alone; if there is none, a smallest set that does so together.

    Parameters as for `logistic`; every column called "(intercept)" helps all others and is not named.

    Examples
    --------
    >>> x = np.column_stack([np.ones(4), [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 4.0, 2.0]])
    >>> separating_columns(x, np.array([0.0, 0.0, 1.0, 1.0]), names=["(intercept)", "a", "b"])
    ('a',)
    """
    rows = _toward(x, y)
    return tuple(names[j] for j in _culprits(rows, names)) if _separate(rows) else ()


def _toward(x: Array, y: Array) -> Array:
    """Rows whose product with a direction is positive where it moves a respondent toward the right outcome."""
    return np.unique(np.where(y == 1, 1.0, -1.0)[:, None] * x / np.abs(x).max(axis=0), axis=0)


def _separate(rows: Array) -> bool:
    return _reach(rows, -rows.mean(axis=0)) > TOLERANCE


def _reach(rows: Array, objective: Array) -> float:
    """How far one can go against the objective inside the unit box without any row turning negative.

    Starts with some rows and adds those that turned negative until none does: the answer is that of all rows.
    """
    active = np.arange(0, len(rows), 1 + len(rows) // ROWS_AT_ONCE)
    while True:
        solved = linprog(objective, A_ub=-rows[active], b_ub=np.zeros(len(active)), bounds=(-1, 1), method="highs")
        if solved.status != 0:
            raise EstimationError(f"It cannot be told whether the outcome is separated. {ADVICE}")
        margins = rows @ solved.x
        margins[active] = 0.0
        worst = np.argsort(margins, kind="stable")[:ROWS_AT_ONCE]
        if margins[worst[0]] >= -TOLERANCE:
            return float(-solved.fun)
        active = np.union1d(active, worst[margins[worst] < -TOLERANCE])


def _iterate(x: Array, y: Array, weights: Array, names: Sequence[str]) -> tuple[Array, LeastSquares | None]:
    """Newton steps with halving; the last weighted fit is None if they did not settle."""
    coefficients = np.zeros(x.shape[1])
    for _ in range(STEPS):
        eta = x @ coefficients
        variance = expit(eta) * expit(-eta)
        scale = np.sqrt(weights * variance)
        gap = np.where(y == 1, expit(-eta), -expit(eta))
        try:
            with np.errstate(invalid="ignore", divide="ignore"):
                step = least_squares(x * scale[:, None], gap * np.sqrt(weights / variance), names=names)
        except (EstimationError, ValueError):
            return coefficients, None
        moved = step.coefficients
        if np.abs(x @ moved).max() < CONVERGED:
            return coefficients, step
        for _ in range(30):
            if log_likelihood(x @ (coefficients + moved), y, weights) >= log_likelihood(eta, y, weights) - 1e-9:
                break
            moved = moved / 2
        coefficients = coefficients + moved
    return coefficients, None


def _refuse_separated(x: Array, y: Array, names: Sequence[str]) -> None:
    """Refuse a separated outcome and name the columns that do it."""
    rows = _toward(x, y)
    if not _separate(rows):
        return
    named = [f'"{names[j]}"' for j in _culprits(rows, names)] or ["the constant"]
    verb = "tells" if len(named) == 1 else "tell"
    raise EstimationError(
        f"The outcome is separated: {join_words(named)} {verb} some or all outcomes without error, so the estimate "
        f"would be infinite. {ADVICE} Or collect more answers."
    )


def _culprits(rows: Array, names: Sequence[str]) -> list[int]:
    """Columns that separate the outcome alone; if there is none, a smallest set that does so together."""
    constant = [j for j, name in enumerate(names) if name == CONSTANT]
    others = [j for j in range(len(names)) if j not in constant]
    alone = [j for j in others if _separate(rows[:, [*constant, j]])]
    if alone:
        return alone
    needed = others
    for j in others:
        rest = [i for i in needed if i != j]
        if rest and _separate(rows[:, [*constant, *rest]]):
            needed = rest
    return needed
