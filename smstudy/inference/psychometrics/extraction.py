"""Common factors behind a correlation matrix, before rotation: numbers on arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.fit_indices import rmsea_interval
from smstudy.inference.factor_models.fitted import ChiSquare

Floats = NDArray[np.float64]
Method = Literal["minres", "ml", "pa"]

LEAST_UNIQUENESS = 0.005
MOST_UNIQUENESS = 1.0
SMALLEST_EIGENVALUE = 1e-10
GRADIENT_GOAL = 1e-11
GRADIENT_LIMIT = 1e-7
MAX_STEPS = 200
HALVINGS = 0.5 ** np.arange(25)
FLATTEST = 1e-8
ROUNDING = 1e-14
AXIS_GOAL = 1e-10
AT_BOUND = 1e-9
EMPTY = 1e-6
AXIS_STEPS = 20_000
UNKNOWN = ("p_value", "rmsea", "rmsea_low", "rmsea_high", "tli", "bic")


class Slopes(NamedTuple):
    """What a minimizer needs at one point: the value, its gradient, shape (p,), and how to get its curvature, (p, p).

    `roots` and `axes` are those of the reduced correlation matrix, whose largest are the factors.
    """

    value: float
    gradient: Floats
    curvature: Callable[[], Floats]
    roots: Floats
    axes: Floats


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """Unrotated factors.

    Attributes
    ----------
    loadings : ndarray, shape (p, m)
        By falling variance; the sum of each column is not negative.
    uniquenesses : ndarray, shape (p,)
        Share of each item's variance that no factor explains.
    discrepancy : float
        Least value of what the method minimizes: half the sum of squared residual correlations below and above the
        diagonal ("minres", "pa"), or the likelihood discrepancy ("ml").
    """

    loadings: Floats
    uniquenesses: Floats
    discrepancy: float


def extract(correlations: Floats, n_factors: int, *, method: Method = "minres") -> Extraction:
    """Extract common factors from a correlation matrix.

    Uniquenesses are searched with Newton steps between 0.005 and 1; the eigenvectors give the loadings. "pa" repeats
    the principal axes of the reduced correlation matrix until the communalities stay the same: a slow road to the
    minres solution.

    Parameters
    ----------
    correlations : ndarray, shape (p, p)
        Correlations of p items.
    n_factors : int
        Number of factors, m.
    method : {"minres", "ml", "pa"}
        Minimum residual (unweighted least squares), maximum likelihood, or iterated principal axes.

    Raises
    ------
    EstimationError
        If there are more factors than the degrees of freedom allow, the matrix is singular, the search does not end, or
        a uniqueness ends at its lower bound (a Heywood case).

    References
    ----------
    Harman & Jones (1966), Psychometrika 31, 351-368; Joreskog (1967), Psychometrika 32, 443-482. The minima are
    those of R psych::fa(fm = "minres"), stats::factanal and psych::fa(fm = "pa"), see tests/reference/factors.R.

    Examples
    --------
    >>> true = np.array([0.5, 0.6, 0.7, 0.8])
    >>> extract(np.outer(true, true) + np.diag(1 - true**2), 1, method="ml").loadings[:, 0].round(6).tolist()
    [0.5, 0.6, 0.7, 0.8]
    """
    check_identified(len(correlations), n_factors)
    check_positive_definite(correlations)
    return _principal_axes(correlations, n_factors) if method == "pa" else _searched(correlations, n_factors, method)


@dataclass(frozen=True, kw_only=True)
class FactorFit:
    """How well factors reproduce the correlations.

    Attributes
    ----------
    statistic, df, p_value
        Bartlett's corrected likelihood ratio test that nothing is left; p is missing without degrees of freedom.
    rmsea, rmsea_low, rmsea_high : float
        Root mean square error of approximation with its 90 % interval.
    tli : float
        Tucker-Lewis index.
    bic : float
        Statistic minus df times log n.
    rmsr : float
        Root mean square of the residual correlations.
    """

    statistic: float
    df: int
    p_value: float
    rmsea: float
    rmsea_low: float
    rmsea_high: float
    tli: float
    bic: float
    rmsr: float


def judge_fit(correlations: Floats, extraction: Extraction, n: int) -> FactorFit:
    """Judge how well factors reproduce the correlations of n respondents; rotation changes nothing.

    The likelihood ratio is taken at the estimates whatever the method was, as R psych::fa does. Without degrees of
    freedom only `rmsr` is known.

    References
    ----------
    Bartlett (1950), British J. of Psychology, Statistical Section 3, 77-85. Agrees with R psych::factor.stats, whose
    RMSEA divides by n and n - 1 in turn.
    """
    p, m = extraction.loadings.shape
    model = extraction.loadings @ extraction.loadings.T
    residual = (correlations - model)[~np.eye(p, dtype=bool)]
    np.fill_diagonal(model, 1.0)
    df, free = degrees_of_freedom(p, m), p * (p - 1) // 2
    ratio = np.linalg.solve(model, correlations)
    objective = float(np.trace(ratio) - np.linalg.slogdet(ratio)[1] - p)
    nothing = float(-np.linalg.slogdet(correlations)[1])
    times = n - 1 - (2 * p + 5) / 6 - 2 * m / 3
    statistic, rmsr = max(times * objective, 0.0), float(np.sqrt((residual**2).mean()))
    if df == 0:
        return FactorFit(statistic=statistic, df=0, rmsr=rmsr, **dict.fromkeys(UNKNOWN, float("nan")))
    low, high = rmsea_interval(ChiSquare(statistic, df), n - 1)
    return FactorFit(
        statistic=statistic,
        df=df,
        p_value=float(stats.chi2.sf(statistic, df)),
        rmsea=float(np.sqrt(max(statistic / (df * n) - 1 / (n - 1), 0.0))),
        rmsea_low=low,
        rmsea_high=high,
        tli=(nothing / free - objective / df) / (nothing / free - 1 / times),
        bic=float(statistic - df * np.log(n)),
        rmsr=rmsr,
    )


def degrees_of_freedom(n_items: int, n_factors: int) -> int:
    """Correlations minus free parameters of an exploratory model.

    >>> degrees_of_freedom(9, 3)
    12
    """
    return ((n_items - n_factors) ** 2 - n_items - n_factors) // 2


def check_identified(n_items: int, n_factors: int) -> None:
    """Refuse a number of factors that so many items cannot carry."""
    if not isinstance(n_factors, int | np.integer) or n_factors < 1:
        raise EstimationError(f"n_factors = {n_factors} is not possible. Ask for one factor or more.")
    if n_items < 3 or degrees_of_freedom(n_items, n_factors) < 0:
        most = max((m for m in range(n_items) if degrees_of_freedom(n_items, m) >= 0), default=0)
        allowed = f"At most {most}" if n_items > 2 and most else "None"
        raise EstimationError(
            f"{n_factors} factors are too many for {n_items} items: the model has more parameters than there are "
            f"correlations. {allowed} can be extracted; ask for fewer factors or add items."
        )


def check_positive_definite(correlations: Floats) -> None:
    """Refuse a correlation matrix that is not positive definite."""
    try:
        if not np.isfinite(correlations).all():
            raise np.linalg.LinAlgError
        np.linalg.cholesky(correlations - SMALLEST_EIGENVALUE * np.eye(len(correlations)))
    except np.linalg.LinAlgError:
        raise EstimationError(
            "The correlations of the items are not positive definite: an item is constant or follows from the others, "
            "or there are fewer respondents than items. Leave out the repeated item, or collect more answers."
        ) from None


def squared_multiple_correlations(correlations: Floats) -> Floats:
    """Share of each item's variance that the others explain, shape (..., p), for matrices of shape (..., p, p)."""
    return 1 - 1 / np.diagonal(np.linalg.inv(correlations), axis1=-2, axis2=-1)


def _searched(correlations: Floats, m: int, method: Method) -> Extraction:
    slopes, start, low, high = _problem(correlations, m, method)
    point, end = _minimize(slopes, start, low, high)
    uniquenesses = np.exp(point) if method == "ml" else point
    _refuse_heywood(uniquenesses)
    kept = end.roots[: -m - 1 : -1]
    _refuse_empty(kept)
    loadings = end.axes[:, : -m - 1 : -1] * np.sqrt(kept)
    if method == "ml":
        loadings = np.sqrt(uniquenesses)[:, None] * loadings
    return Extraction(loadings=_arranged(loadings), uniquenesses=uniquenesses, discrepancy=end.value)


def _arranged(loadings: Floats) -> Floats:
    """Factors by falling variance, those turned round whose loadings have a negative sum."""
    order = np.argsort(-(loadings**2).sum(axis=0), kind="stable")
    return (loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0))[:, order]


def _problem(correlations: Floats, m: int, method: Method) -> tuple[Callable[[Floats], Slopes], Floats, float, float]:
    """What to minimize, where to begin, and between which bounds: uniquenesses, or their logarithms for "ml"."""
    smc = squared_multiple_correlations(correlations)
    if method == "minres":
        start = np.clip(1 - smc, LEAST_UNIQUENESS, MOST_UNIQUENESS)
        return lambda x: _residual_slopes(x, correlations, m), start, LEAST_UNIQUENESS, MOST_UNIQUENESS
    start = np.clip((1 - 0.5 * m / len(correlations)) * (1 - smc), LEAST_UNIQUENESS, MOST_UNIQUENESS)
    low, high = np.log(LEAST_UNIQUENESS), np.log(MOST_UNIQUENESS)
    return lambda x: _likelihood_slopes(x, correlations, m), np.log(start), low, high


def _residual_slopes(uniquenesses: Floats, correlations: Floats, m: int) -> Slopes:
    """Half the sum of squared residuals of the best m factors given the uniquenesses, and its derivatives in them."""
    roots, axes = np.linalg.eigh(correlations - np.diag(uniquenesses))
    left, kept, rest = roots[:-m], roots[-m:], axes[:, :-m]

    def curvature() -> Floats:
        ratios = 2 * left[:, None] / _apart(left[:, None] - kept)
        return (rest @ rest.T) ** 2 + _mixed_curvature(axes, ratios, m)

    return Slopes(0.5 * float(left @ left), -(rest**2) @ left, curvature, roots, axes)


def _likelihood_slopes(logs: Floats, correlations: Floats, m: int) -> Slopes:
    """The likelihood discrepancy of the best m factors, and its derivatives in the logarithms of the uniquenesses."""
    weights = np.exp(-logs / 2)
    roots, axes = np.linalg.eigh(correlations * np.outer(weights, weights))
    left, kept, rest = roots[:-m], roots[-m:], axes[:, :-m]

    def curvature() -> Floats:
        ratios = (left[:, None] - 1) * (left[:, None] + kept) / _apart(left[:, None] - kept)
        return (rest * left @ rest.T) * (rest @ rest.T) + _mixed_curvature(axes, ratios, m)

    return Slopes(float((left - np.log(left) - 1).sum()), rest**2 @ (1 - left), curvature, roots - 1, axes)


def _mixed_curvature(axes: Floats, ratios: Floats, m: int) -> Floats:
    """Curvature from the axes left out turning towards those kept."""
    products = (axes[:, -m:, None] * axes[:, None, :-m]).reshape(len(axes), -1)
    return (products * ratios.T.ravel()) @ products.T


def _apart(differences: Floats) -> Floats:
    """Differences of roots, kept away from zero."""
    return np.minimum(differences, -FLATTEST)


def _minimize(slopes: Callable[[Floats], Slopes], start: Floats, low: float, high: float) -> tuple[Floats, Slopes]:
    """Newton steps that stay between bounds; a point at a bound that pulls outward is held there."""
    point, here = start, slopes(start)
    for _ in range(MAX_STEPS):
        free = _free(point, here.gradient, low, high)
        if np.abs(here.gradient[free]).max(initial=0.0) < GRADIENT_GOAL:
            return point, here
        step = _newton_step(here, free)
        for size in HALVINGS:
            tried = np.clip(point + size * step, low, high)
            there = slopes(tried)
            if _lower(there, here, free):
                break
        else:
            break
        point, here = tried, there
    left = np.abs(here.gradient[_free(point, here.gradient, low, high)]).max(initial=0.0)
    if left > GRADIENT_LIMIT:
        raise EstimationError(
            "The search for the factors did not end in a minimum. Ask for fewer factors, use another method, or look "
            "for items that repeat each other."
        )
    return point, here


def _free(point: Floats, gradient: Floats, low: float, high: float) -> NDArray[np.bool_]:
    return ~((point <= low) & (gradient > 0)) & ~((point >= high) & (gradient < 0))


def _lower(there: Slopes, here: Slopes, free: NDArray[np.bool_]) -> bool:
    """Whether a point is lower; or flatter, where values differ by their rounding only."""
    if there.value < here.value or there.value > here.value * (1 + ROUNDING):
        return there.value < here.value
    return bool(np.abs(there.gradient[free]).max() < np.abs(here.gradient[free]).max())


def _newton_step(here: Slopes, free: NDArray[np.bool_]) -> Floats:
    """A step downhill in the free places: curvatures count by their size, flat ones as a little curved."""
    slope, curvature = here.gradient[free], here.curvature()[np.ix_(free, free)]
    step = np.zeros(len(free))
    try:
        np.linalg.cholesky(curvature - FLATTEST * np.abs(curvature).max() * np.eye(len(slope)))
        step[free] = -np.linalg.solve(curvature, slope)
    except np.linalg.LinAlgError:
        roots, axes = np.linalg.eigh(curvature)
        step[free] = -axes @ ((axes.T @ slope) / np.maximum(np.abs(roots), FLATTEST * np.abs(roots).max()))
    return step


def _principal_axes(correlations: Floats, m: int) -> Extraction:
    communalities = squared_multiple_correlations(correlations)
    reduced = correlations.copy()
    for _ in range(AXIS_STEPS):
        np.fill_diagonal(reduced, communalities)
        roots, axes = np.linalg.eigh(reduced)
        loadings = axes[:, ::-1][:, :m] * np.sqrt(np.maximum(roots[::-1][:m], 0))
        before, communalities = communalities, (loadings**2).sum(axis=1)
        _refuse_heywood(1 - communalities)
        if np.abs(communalities - before).max() < AXIS_GOAL:
            left = roots[:-m]
            _refuse_empty(roots[-m:])
            return Extraction(
                loadings=_arranged(loadings),
                uniquenesses=1 - communalities,
                discrepancy=0.5 * float(left @ left),
            )
    raise EstimationError(
        f'The principal axes still moved after {AXIS_STEPS:,} rounds. Use method = "minres", which has the same '
        "solution, or ask for fewer factors."
    )


def _refuse_empty(roots: Floats) -> None:
    there = int((roots > EMPTY).sum())
    if there < len(roots):
        raise EstimationError(
            f"The items have only {there} common factors, so {len(roots)} cannot be extracted. Ask for fewer factors."
        )


def _refuse_heywood(uniquenesses: Floats) -> None:
    low = np.flatnonzero(uniquenesses <= LEAST_UNIQUENESS * (1 + AT_BOUND))
    if len(low):
        raise HeywoodError(low)


class HeywoodError(EstimationError):
    """Factors explain an item fully, which no answer allows; `places` are the numbers of these items, from 0."""

    def __init__(self, places: NDArray[np.int64], names: tuple[str, ...] = ()) -> None:
        self.places = tuple(int(place) for place in places)
        words = ", ".join(names) if names else ", ".join(f"item {place + 1}" for place in self.places)
        super().__init__(
            f"The factors explain all of {words}: nothing unique is left (a Heywood case), so the numbers mean "
            "nothing. Ask for fewer factors, collect more answers, or look for items that repeat each other."
        )
