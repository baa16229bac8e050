"""One series over time: errors that allow for neighbors being alike, and a test whether they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from smstudy.inference.regression.least_squares import LeastSquares, least_squares

Array = NDArray[np.float64]
RANGE = np.linspace(-0.95, 0.98, 40)
HIGHEST = 0.99
LONG_STEP = 1.5
STEP = 1e-3
AS_MANY = 1.5
FAVORED = np.linspace(-9.0, 9.0, 7)
COARSE = RANGE[::3]
INTERRUPTED = ("level at the start", "slope before", "jump", "change of slope")


def interrupted_design(time: Array) -> Array:
    """Columns of a segmented regression: constant, time, after the start, time after it; shape (n, 4).

    Parameters
    ----------
    time : array, shape (n,)
        From the start of what interrupts the series: below 0 before it.

    Examples
    --------
    >>> interrupted_design(np.array([-2.0, -1.0, 0.0, 3.0]))[:, 1:].tolist()
    [[-2.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 1.0, 3.0]]
    """
    return np.column_stack([np.ones(len(time)), time, (time >= 0).astype(float), np.maximum(time, 0.0)])


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


def breusch_godfrey(x: Array, residuals: Array, steps: Array) -> tuple[float, float, float]:
    """Test whether residuals resemble the ones before them.

    Parameters
    ----------
    x, residuals : array, shape (n, p) and (n,)
        Of a linear model, rows in order of time.
    steps : array, shape (n - 1,)
        How far neighbors are apart, usual steps being 1: those farther apart tell nothing here.

    Returns
    -------
    tuple of float
        Correlation with the residual before, chi-squared with one degree of freedom, p.

    References
    ----------
    Godfrey (1978), Econometrica 46, 1293-1301. Agrees with R `lmtest::bgtest(order = 1)`.
    """
    before = np.concatenate([[0.0], np.where(steps < LONG_STEP, residuals[:-1], 0.0)])
    names = [f"column {k}" for k in range(x.shape[1] + 1)]
    fit = least_squares(np.column_stack([x, before]), residuals, names=names)
    statistic = len(residuals) * (1 - fit.residuals @ fit.residuals / (residuals @ residuals))
    alike = float(residuals @ before / (residuals @ residuals))
    return alike, float(statistic), float(stats.chi2.sf(statistic, 1))


class AutoRegression(NamedTuple):
    """A linear model whose errors follow the ones before: coefficients, covariance, df of each, and how alike."""

    coefficients: Array
    covariance: Array
    df: Array
    alike: float


class _Errors(NamedTuple):
    """What is known of errors: how far rows are apart, and how much each varies by its people (1 on average).

    How alike neighbors are is `rho`; `lean` is the log of how much of the variance is the same at all times against how
    much falls with the number of people.
    """

    steps: Array
    shares: Array

    @property
    def equal(self) -> bool:
        """Whether all rows are means of about as many people."""
        return bool((self.shares == 1).all())

    @property
    def whole(self) -> bool:
        """Whether all steps are whole numbers of usual ones, so that neighbors may also be opposite."""
        return bool((self.steps == np.round(self.steps)).all())

    def alike(self, rho: float) -> Array:
        """Correlation of each row with the one before, shape (n - 1,)."""
        sign = np.where(self.steps % 2 == 1, np.sign(rho), 1.0) if self.whole else 1.0
        return sign * np.abs(rho) ** self.steps

    def spread(self, lean: float) -> Array:
        """Standard deviation of each row, up to a factor."""
        constant = expit(lean)
        return np.sqrt(constant + (1 - constant) * self.shares)

    def whitened(self, values: Array, rho: float, lean: float) -> Array:
        """Rows of equal variance that do not resemble each other."""
        scaled = (values.T / self.spread(lean)).T
        alike = self.alike(rho)
        left = (scaled[1:].T - alike * scaled[:-1].T) / np.sqrt(1 - alike**2)
        return np.concatenate([scaled[:1], left.T])

    def log_size(self, rho: float, lean: float) -> float:
        """Log of the root of the determinant of the covariance, up to a factor."""
        return float(np.log1p(-(self.alike(rho) ** 2)).sum() / 2 + np.log(self.spread(lean)).sum())


class _Problem(NamedTuple):
    """A linear model and what is known of its errors."""

    x: Array
    y: Array
    names: tuple[str, ...]
    errors: _Errors

    def fit(self, rho: float, lean: float) -> LeastSquares:
        """Least squares on whitened rows."""
        white = self.errors.whitened
        return least_squares(white(self.x, rho, lean), white(self.y, rho, lean), names=self.names)

    def minus_log(self, log_spread: float, fit: LeastSquares, rho: float, lean: float) -> float:
        """Minus the restricted log-likelihood."""
        n, p = self.x.shape
        squares = float(fit.residuals @ fit.residuals)
        size = self.errors.log_size(rho, lean) - float(np.linalg.slogdet(fit.root)[1])
        return ((n - p) * log_spread + squares / np.exp(log_spread)) / 2 + size

    def at(self, rho: float, lean: float) -> float:
        """The same with the best spread."""
        fit = self.fit(rho, lean)
        best = float(fit.residuals @ fit.residuals) / (len(self.y) - len(self.names))
        return self.minus_log(float(np.log(best)), fit, rho, lean)


def autoregressive(
    x: Array, y: Array, *, names: Sequence[str], steps: Array | None = None, people: Array | None = None
) -> AutoRegression:
    """Fit a linear model with errors that follow the one before, by restricted maximum likelihood.

    The correlation of two rows is rho to the power of the time between them: AR(1) at equal steps, its continuous form
    at unequal ones. Where rows are means of unequal numbers of people n, the variance is a constant and one part that
    falls as 1/n, in a proportion that is estimated.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, rows in order of time.
    y : array, shape (n,)
        What is explained.
    names : sequence of str, length p
        What the columns are called in messages.
    steps : array, shape (n - 1,), optional
        Time from each row to the next, usual steps being 1; rho is negative only where all are whole. Left out: 1.
    people : array, shape (n,), optional
        How many people each row is the mean of; taken as equal if left out, or if the most are at most 1.5 times the
        fewest.

    Returns
    -------
    AutoRegression
        With Satterthwaite's degrees of freedom, at most n - p, which allow for the likeness of neighbors, and the parts
        of the variance, being estimated.

    References
    ----------
    Turner et al. (2021), BMC Medical Research Methodology 21, 181, who compare ways to analyze interrupted series;
    Giesbrecht & Burns (1985), Biometrics 41, 477-486. Estimates and errors agree with R `nlme::gls(method = "REML")`
    with `corAR1()` and `corCAR1()`, and with `weights = varConstProp()` (tests/reference/pilots.R).
    """
    equal = people is None or people.max() <= AS_MANY * people.min()
    shares = np.ones(len(y)) if equal else 1 / people / np.mean(1 / people)
    errors = _Errors(np.ones(len(y) - 1) if steps is None else steps, shares)
    problem = _Problem(x, y, tuple(names), errors)
    rho, lean = _best(problem)
    fit = problem.fit(rho, lean)
    spread = float(fit.residuals @ fit.residuals) / (x.shape[0] - x.shape[1])
    covariance = spread * fit.bread
    return AutoRegression(fit.coefficients, covariance, _satterthwaite(problem, rho, lean, spread, covariance), rho)


def _best(problem: _Problem) -> tuple[float, float]:
    """The most likely likeness of neighbors and part of the variance that is the same at all times."""
    rhos = RANGE if problem.errors.equal else COARSE
    rhos = rhos if problem.errors.whole else rhos[rhos >= 0]
    leans = FAVORED[-1:] if problem.errors.equal else FAVORED
    values = np.array([[problem.at(rho, lean) for lean in leans] for rho in rhos])
    i, j = np.unravel_index(int(np.argmin(values)), values.shape)
    low, high = rhos[max(i - 1, 0)], min([*rhos, HIGHEST][i + 1], HIGHEST)
    if problem.errors.equal:
        found = minimize_scalar(
            lambda rho: problem.at(rho, leans[0]), bounds=(low, high), method="bounded", options={"xatol": 1e-10}
        )
        return float(found.x), float(leans[0])
    ends = ((low, high), (leans[max(j - 1, 0)], leans[min(j + 1, len(leans) - 1)]))
    found = minimize(
        lambda at: problem.at(*at), (rhos[i], leans[j]), bounds=ends, method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-8},
    )  # fmt: skip
    return float(found.x[0]), float(found.x[1])


def _satterthwaite(problem: _Problem, rho: float, lean: float, spread: float, covariance: Array) -> Array:
    """Degrees of freedom from how uncertain spread, likeness and parts of the variance are, by differences."""
    n, p = problem.x.shape
    lowest = -HIGHEST if problem.errors.whole else 0.0
    middle = np.array([float(np.clip(rho, lowest + 5 * STEP, HIGHEST - 5 * STEP)), lean, np.log(spread)])
    free = [0, 2] if problem.errors.equal or abs(lean) > FAVORED[-1] - 5 * STEP else [0, 1, 2]
    moves = {0: np.array([STEP, 0, 0]), 1: np.array([0, 10 * STEP, 0]), 2: np.array([0, 0, STEP])}

    def value(at: Array) -> float:
        return problem.minus_log(at[2], problem.fit(at[0], at[1]), at[0], at[1])

    def slope(k: int) -> Array:
        if k == 2:
            return np.diag(covariance)
        ahead, behind = (np.diag(problem.fit(*(middle + sign * moves[k])[:2]).bread) for sign in (1, -1))
        return spread * (ahead - behind) / (2 * moves[k][k])

    def bend(j: int, k: int) -> float:
        corners = [value(middle + a * moves[j] + b * moves[k]) * a * b for a in (1, -1) for b in (1, -1)]
        return sum(corners) / (4 * moves[j][j] * moves[k][k])

    bent = np.array([[bend(j, k) for k in free] for j in free])
    slopes = np.stack([slope(k) for k in free], axis=1)
    uncertain = np.einsum("ki,ij,kj->k", slopes, np.linalg.pinv(bent, hermitian=True), slopes)
    with np.errstate(divide="ignore"):
        df = 2 * np.diag(covariance) ** 2 / uncertain
    return np.where((df > 0) & (df < n - p), np.maximum(df, 1.0), float(n - p))
