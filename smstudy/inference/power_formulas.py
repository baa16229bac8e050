"""The chance that a test finds an effect of a given size: closed forms, all two-sided, both tails counted.

Sizes of samples are numbers or arrays of one shape; chances come back in that shape.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from smstudy.inference.partial_least_squares import PathStructure
from smstudy.inference.path_errors import normal_path_error

Array = NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(96)
ENDS = 1e-15


def t_power(effect: ArrayLike, std_error: ArrayLike, df: ArrayLike, *, alpha: float = 0.05) -> Array:
    """Chance that a t test is significant.

    Parameters
    ----------
    effect, std_error, df : array
        True value, its standard error, degrees of freedom.
    alpha : float
        Level of the test.

    References
    ----------
    Agrees with R `power.t.test(strict = TRUE)` to 1e-8 (tests/reference/power.R); R without `strict` leaves out the
    chance of a significant result in the wrong direction.

    Examples
    --------
    >>> round(float(t_power(0.5, np.sqrt(2 / 64), 126)), 4)
    0.8015
    """
    df, shift = np.asarray(df, dtype=float), np.asarray(effect, dtype=float) / std_error
    cut = stats.t.isf(alpha / 2, df)
    return np.clip(stats.nct.sf(cut, df, shift) + stats.nct.sf(cut, df, -shift), 0, 1)


def equivalence_power(margin: ArrayLike, std_error: ArrayLike, df: ArrayLike, *, alpha: float = 0.05) -> Array:
    """Chance that two one-sided t tests show a difference to lie within the margins if there is none.

    References
    ----------
    Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15, 657-680; the exact chance, integrated over the
    estimated standard deviation (Owen 1965, Biometrika 52, 437-446).

    Examples
    --------
    >>> round(float(equivalence_power(0.5, np.sqrt(2 / 70), 138)), 3)
    0.806
    """
    df, room = np.asarray(df, dtype=float), np.abs(np.asarray(margin, dtype=float)) / std_error
    cut = stats.t.isf(alpha, df) / np.sqrt(df)

    def inside(spread: Array) -> Array:
        return np.maximum(2 * stats.norm.cdf(room[..., None] - cut[..., None] * spread) - 1, 0)

    return _over_spread(inside, df, room / cut)


def correlation_power(rho: float, n: ArrayLike, *, alpha: float = 0.05) -> Array:
    """Chance that the correlation of two normal variables is significant, exactly.

    Given one variable the test is a t test whose shift grows with the spread that variable happens to have; the chance
    is the average over that spread.

    References
    ----------
    Hotelling (1953), J. Royal Statistical Society B 15, 193-232. R `pwr::pwr.r.test` uses an approximation.

    Examples
    --------
    >>> round(float(correlation_power(0.3, 84)), 3)
    0.8
    """
    n, slope = np.asarray(n, dtype=float), rho / np.sqrt(1 - rho**2)
    return _over_spread(lambda spread: t_power(slope * spread, 1.0, n[..., None] - 2, alpha=alpha), n - 1)


def f_power(f_squared: float, n: ArrayLike, terms: int, rest: int = 0, *, alpha: float = 0.05) -> Array:
    """Chance that some terms of a linear regression are significant together.

    Parameters
    ----------
    f_squared : float
        What the terms add to R², divided by what all terms leave unexplained (Cohen's f²).
    n : array
        Respondents.
    terms, rest : int
        Terms that are tested, and further ones besides the constant.

    References
    ----------
    Cohen (1988), Statistical Power Analysis, chapter 9. With `terms` one less than the groups it is that of an analysis
    of variance, as R `power.anova.test`.

    Examples
    --------
    >>> round(float(f_power(0.15, 55, 1, 2)), 3)
    0.805
    """
    n = np.asarray(n, dtype=float)
    df = n - terms - rest - 1
    shift = np.maximum(f_squared * n, ENDS)  # scipy gives 0 for a shift of 0
    return np.clip(stats.ncf.sf(stats.f.isf(alpha, terms, df), terms, df, shift), 0, 1)


def share_power(base: float, difference: float, n: ArrayLike, *, alpha: float = 0.05) -> Array:
    """Chance that a share is found to differ from a known one, by the normal approximation.

    References
    ----------
    Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, section 2.5.

    Examples
    --------
    >>> round(float(share_power(0.5, 0.1, 194)), 3)
    0.8
    """
    other = base + difference
    return _normal_power(difference, base * (1 - base) / np.asarray(n), other * (1 - other) / np.asarray(n), alpha)


def shares_power(base: float, difference: float, n: ArrayLike, m: ArrayLike, *, alpha: float = 0.05) -> Array:
    """Chance that two shares are found to differ, by the normal approximation.

    References
    ----------
    Fleiss, Levin & Paik (2003), section 4.2. Agrees with R `power.prop.test(strict = TRUE)` for groups of one size.

    Examples
    --------
    >>> round(float(shares_power(0.5, 0.25, 58, 58)), 3)
    0.802
    """
    n, m, other = np.asarray(n, dtype=float), np.asarray(m, dtype=float), base + difference
    pooled = (n * base + m * other) / (n + m)
    equal, unequal = pooled * (1 - pooled) * (1 / n + 1 / m), base * (1 - base) / n + other * (1 - other) / m
    return _normal_power(difference, equal, unequal, alpha)


def logit_power(odds_ratio: float, n: ArrayLike, share: float, overlap: float = 0.0, *, alpha: float = 0.05) -> Array:
    """Chance that a normal driver of a yes or no is significant, by the normal approximation.

    Parameters
    ----------
    odds_ratio : float
        For one standard deviation more of the driver.
    n : array
        Respondents.
    share : float
        Share of yes where the driver has its mean.
    overlap : float
        R² of the driver by the other drivers.

    References
    ----------
    Hsieh, Bloch & Larsen (1998), Statistics in Medicine 17, 1623-1634, formulas 1 and 3.

    Examples
    --------
    >>> round(float(logit_power(1.5, 190, 0.5)), 2)
    0.8
    """
    variance = 1 / (np.asarray(n, dtype=float) * share * (1 - share) * (1 - overlap))
    return _normal_power(np.log(odds_ratio), variance, variance, alpha)


def survival_power(
    hazard_ratio: float, n: ArrayLike, m: ArrayLike, events: float, *, alpha: float = 0.05
) -> Array:  # fmt: skip
    """Chance that a log-rank test finds two groups to differ in their times.

    Parameters
    ----------
    hazard_ratio : float
        Of the second group to the first, at all times.
    n, m : array
        People of the groups, all watched equally long.
    events : float
        Share of the first group that has had the event by the end; of the second 1 - (1 - events) ** hazard_ratio.

    References
    ----------
    Schoenfeld (1981), Biometrika 68, 316-319.

    Examples
    --------
    >>> round(float(survival_power(0.5, 50, 50, 0.75)), 2)
    0.78
    """
    n, m = np.asarray(n, dtype=float), np.asarray(m, dtype=float)
    expected = n * events + m * (1 - (1 - events) ** hazard_ratio)
    variance = (n + m) ** 2 / (n * m * expected)
    return _normal_power(np.log(hazard_ratio), variance, variance, alpha)


def path_power(
    path: float, n: ArrayLike, *, other: float = 0.0, correlation: float = 0.0, items: int = 3, loading: float = 0.75,
    alpha: float = 0.05,
) -> Array:  # fmt: skip
    """Chance that one path between constructs, corrected for unreliability (PLSc), is significant.

    Parameters
    ----------
    path : float
        The standardized path.
    n : array
        Respondents.
    other, correlation : float
        Path of another driver of the same outcome, and how the two drivers correlate.
    items, loading : int, float
        Items per construct, and their standardized loading.

    References
    ----------
    Errors by the delta method for normal items (`smstudy.inference.path_errors`), t distribution with respondents less
    constructs as degrees of freedom.

    Examples
    --------
    >>> round(float(path_power(0.3, 150)), 2)
    0.88
    """
    outcome = (path + correlation * other, other + correlation * path)
    traits = np.array([[1, correlation, outcome[0]], [correlation, 1, outcome[1]], [*outcome, 1]])
    if not other and not correlation:  # a construct that goes with nothing has no weights
        traits = traits[np.ix_([0, 2], [0, 2])]
    k = len(traits)
    loadings = np.kron(np.eye(k), np.full((items, 1), loading))
    shared = loadings @ traits @ loadings.T
    drivers, none = np.zeros((k, k), dtype=bool), np.zeros(k, dtype=bool)
    drivers[:-1, -1] = True
    blocks = tuple(tuple(range(j * items, (j + 1) * items)) for j in range(k))
    structure = PathStructure(blocks=blocks, drivers=drivers, formative=none, factors=~none)
    error = normal_path_error(shared - np.diag(np.diag(shared)) + np.eye(len(shared)), structure, (0, k - 1))
    n = np.asarray(n, dtype=float)
    return t_power(path, error / np.sqrt(n), n - k, alpha=alpha)


def design_effect(team_size: float, icc: float) -> float:
    """How many times the variance is larger if teams of one size, whose members resemble each other, come as a whole.

    References
    ----------
    Kish (1965), Survey Sampling, section 5.4.

    Examples
    --------
    >>> design_effect(10, 0.1)
    1.9
    """
    return 1 + (team_size - 1) * icc


def _normal_power(effect: float, null: Array, true: Array, alpha: float) -> Array:
    """Chance that an estimate is significant whose variance differs without an effect and with it."""
    cut = stats.norm.isf(alpha / 2) * np.sqrt(null)
    return stats.norm.sf((cut - effect) / np.sqrt(true)) + stats.norm.sf((cut + effect) / np.sqrt(true))


def _over_spread(chance: Callable[[Array], Array], df: Array, most: ArrayLike = np.inf) -> Array:
    """Average of a chance over a chi variable with some degrees of freedom, counted as none above `most`."""
    low, high = np.sqrt(stats.chi2.ppf(ENDS, df)), np.minimum(np.sqrt(stats.chi2.isf(ENDS, df)), most)
    half = np.maximum(high - low, 0) / 2
    spread = (low + half)[..., None] + half[..., None] * NODES
    return np.clip(half * (chance(spread) * stats.chi.pdf(spread, df[..., None]) @ WEIGHTS), 0, 1)
