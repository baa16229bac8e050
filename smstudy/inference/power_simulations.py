"""The chance that a test finds an effect, by simulation, where there is no formula.

Each function draws all repetitions at once and says which were significant, as a bool array of shape (draws,). What
a test needs is drawn directly where its distribution is known: moments, counts and slopes instead of respondents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.inference.randomization import assignments, count_assignments

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
PRODUCTS = 1000
FEWEST_UNITS, SHUFFLED_UNITS = 6, 40
ROUNDING = 1e-10
MOST_NUMBERS = 2_000_000


def mediated(
    n: int, first: float, second: float, direct: float, *, draws: int, seed: int, alpha: float = 0.05
) -> Flags:  # fmt: skip
    """Simulate tests of an indirect effect by its Monte-Carlo interval.

    Parameters
    ----------
    n : int
        Respondents.
    first, second, direct : float
        Standardized paths: to the mediator, from it to the outcome, and past it.
    draws : int
        Repetitions.
    seed : int
        The same seed gives the same repetitions.
    alpha : float
        One minus the level of the interval, which is significant if it does not hold 0.

    References
    ----------
    Preacher & Selig (2012), Communication Methods and Measures 6, 77-98: as wide as the percentile bootstrap.
    """
    rng = np.random.default_rng(seed)
    total = direct + first * second
    scale = np.array([[1, first, total], [first, 1, second + first * direct], [total, second + first * direct, 1]])
    s = stats.wishart.rvs(n - 1, scale, size=draws, random_state=rng)
    a = s[:, 0, 1] / s[:, 0, 0]
    left = s[:, 1, 1] - a * s[:, 0, 1]
    a_error = np.sqrt(left / (n - 2) / s[:, 0, 0])
    b = (s[:, 1, 2] - a * s[:, 0, 2]) / left
    rest = s[:, 2, 2] - s[:, 0, 2] ** 2 / s[:, 0, 0] - b**2 * left
    b_error = np.sqrt(rest / (n - 3) / left)
    found = []
    for part in _parts(draws, PRODUCTS):
        a_drawn = a[part, None] + a_error[part, None] * rng.standard_normal((len(a[part]), PRODUCTS))
        b_drawn = b[part, None] + b_error[part, None] * rng.standard_normal((len(a[part]), PRODUCTS))
        low, high = np.quantile(a_drawn * b_drawn, [alpha / 2, 1 - alpha / 2], axis=1)
        found.append((low > 0) | (high < 0))
    return np.concatenate(found)


def moderated(
    n: int, effect: float, correlation: float, reliability: float, *, draws: int, seed: int, alpha: float = 0.05
) -> Flags:  # fmt: skip
    """Simulate t tests of the product of two drivers that are measured with error.

    Parameters
    ----------
    n, draws, seed, alpha
        As in `mediated`.
    effect : float
        Coefficient of the product of the two standardized standings; outcome of variance 1.
    correlation : float
        Of the two standings.
    reliability : float
        Of both measured drivers; that of their product is about its square (Busemeyer & Jones 1983).
    """
    rng = np.random.default_rng(seed)
    spread = np.sqrt(1 - effect**2 * (1 + correlation**2))
    found = []
    for part in _parts(draws, 5 * n):
        shape = (len(range(draws)[part]), n)
        x = rng.standard_normal(shape)
        z = correlation * x + np.sqrt(1 - correlation**2) * rng.standard_normal(shape)
        y = effect * x * z + spread * rng.standard_normal(shape)
        seen, other = (
            np.sqrt(reliability) * each + np.sqrt(1 - reliability) * rng.standard_normal(shape) for each in (x, z)
        )
        design = np.stack([np.ones(shape), seen, other, seen * other], axis=2)
        found.append(_last_is_significant(design, y, alpha))
    return np.concatenate(found)


def within_teams(
    teams: int, effect: float, team_size: int, slope_sd: float, icc: float, *, draws: int, seed: int,
    alpha: float = 0.05,
) -> Flags:  # fmt: skip
    """Simulate tests of a driver of people in teams, whose slope differs from team to team.

    The slopes of the teams are averaged with the best weights, and tested with teams less 1 degrees of freedom (Hartung
    & Knapp 2001, Statistics in Medicine 20, 3875-3889), as a mixed model with a random slope nearly does. Weights take
    the variances as known, so the chance is a little too high for very few teams.

    Parameters
    ----------
    teams, team_size : int
        Number of teams and people in each.
    effect : float
        Mean slope; driver within the team and outcome have variance 1.
    slope_sd : float
        Standard deviation of the slopes over teams.
    icc : float
        Share of the variance of the outcome that lies between teams.
    draws, seed, alpha
        As in `mediated`.
    """
    rng = np.random.default_rng(seed)
    left = 1 - icc - effect**2 - slope_sd**2
    found = []
    for part in _parts(draws, teams):
        shape = (len(range(draws)[part]), teams)
        variance = slope_sd**2 + left / rng.chisquare(team_size - 1, size=shape)
        slopes, weights = effect + np.sqrt(variance) * rng.standard_normal(shape), 1 / variance
        total = weights.sum(axis=1)
        mean = (weights * slopes).sum(axis=1) / total
        error = np.sqrt((weights * (slopes - mean[:, None]) ** 2).sum(axis=1) / (teams - 1) / total)
        found.append(np.abs(mean) > stats.t.isf(alpha / 2, teams - 1) * error)
    return np.concatenate(found)


def piloted(
    units: int, others: int, effect: float, spread: float, *, draws: int, seed: int, alpha: float = 0.05
) -> Flags:  # fmt: skip
    """Simulate differences in differences, tested by CR2 errors and by randomization inference; both must speak.

    All units begin at one wave, and as many answer in each unit and wave. Beyond 40 units randomization inference is
    taken to say what the t test says. One unit in the pilot, fewer than 6 units, and too few ways to choose the units
    find nothing, as `pilot` would.

    Parameters
    ----------
    units, others : int
        Units in the pilot and beside it.
    effect : float
        Mean change in the pilot beyond that of the others.
    spread : float
        Standard deviation of the changes of units, as they are seen.
    draws, seed, alpha
        As in `mediated`.
    """
    labels = np.repeat([1, 0], [units, others])
    few = units + others <= SHUFFLED_UNITS
    if min(units, others) < 2 or len(labels) < FEWEST_UNITS or (few and count_assignments(labels) * alpha < 1):
        return np.zeros(draws, dtype=bool)
    rng = np.random.default_rng(seed)
    ways = (assignments(labels, seed=seed) if few else labels[None]).astype(float)
    contrasts = (ways / units - (1 - ways) / others).T
    parts = np.array([1 / units, 1 / others])
    df = parts.sum() ** 2 / (parts**2 / (np.array([units, others]) - 1)).sum()
    found = []
    for part in _parts(draws, max(len(ways), len(labels))):
        changes = effect * labels + spread * rng.standard_normal((len(range(draws)[part]), len(labels)))
        inside, outside = changes[:, :units], changes[:, units:]
        gap = inside.mean(axis=1) - outside.mean(axis=1)
        error = np.sqrt(inside.var(axis=1, ddof=1) / units + outside.var(axis=1, ddof=1) / others)
        shown = np.abs(gap) > stats.t.isf(alpha / 2, df) * error
        if few:
            shown &= (np.abs(changes @ contrasts) >= np.abs(gap)[:, None] - ROUNDING).mean(axis=1) < alpha
        found.append(shown)
    return np.concatenate(found)


def ordered(
    n: int, m: int, odds_ratio: float, shares: Sequence[float], *, draws: int, seed: int, alpha: float = 0.05
) -> Flags:  # fmt: skip
    """Simulate tests of ordered answers of two groups: Wilcoxon's with ties, the score test of an ordinal logit.

    Parameters
    ----------
    n, m : int
        Respondents of the groups.
    odds_ratio : float
        By how much the odds of any higher answer are larger in the second group.
    shares : sequence of float
        How the first group answers, from the lowest answer to the highest.
    draws, seed, alpha
        As in `mediated`.

    References
    ----------
    Whitehead (1993), Statistics in Medicine 12, 2257-2271.
    """
    rng = np.random.default_rng(seed)
    up_to = np.cumsum(shares)[:-1]
    shifted = np.diff(np.concatenate([[0.0], up_to / (up_to + odds_ratio * (1 - up_to)), [1.0]]))
    first, second = rng.multinomial(n, shares, size=draws), rng.multinomial(m, shifted, size=draws)
    both = (first + second).astype(float)
    ranks = np.cumsum(both, axis=1) - (both - 1) / 2
    people = n + m
    surplus = (second * ranks).sum(axis=1) - m * (people + 1) / 2
    ties = (both**3 - both).sum(axis=1)
    variance = n * m / 12 * (people + 1 - ties / (people * (people - 1)))
    return surplus**2 > stats.chi2.isf(alpha, 1) * np.maximum(variance, np.finfo(float).tiny)


def _last_is_significant(design: Array, y: Array, alpha: float) -> Flags:
    """The t test of the last column of each of many regressions; design of shape (r, n, k), y of shape (r, n)."""
    n, k = design.shape[1:]
    cross = design.transpose(0, 2, 1) @ design
    sides = design.transpose(0, 2, 1) @ y[:, :, None]
    inverse = np.linalg.inv(cross)
    estimates = inverse @ sides
    left = (y**2).sum(axis=1) - (estimates * sides).sum(axis=(1, 2))
    error = np.sqrt(left / (n - k) * inverse[:, -1, -1])
    return np.abs(estimates[:, -1, 0]) > stats.t.isf(alpha / 2, n - k) * error


def _parts(total: int, width: int) -> Iterator[slice]:
    """Blocks of repetitions that fit into memory."""
    step = max(1, MOST_NUMBERS // width)
    yield from (slice(start, min(start + step, total)) for start in range(0, total, step))
