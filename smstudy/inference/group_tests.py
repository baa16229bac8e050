"""Groups compared, on arrays: tests that need no equal variances, and effect sizes with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import gammaln

from smstudy.errors import EstimationError
from smstudy.inference.means import Estimate

Array = NDArray[np.float64]
Spread = Literal["pooled", "average", "control"]
FAR = 40.0
FARTHEST_EXACT, MOST_DF_EXACT = 37.0, 1e5
CLOSE = 1e-12


class Effect(NamedTuple):
    """An effect size with its interval."""

    estimate: float
    conf_low: float
    conf_high: float


class GroupTest(NamedTuple):
    """A test of all groups together; `df_residual` is missing for chi-squared."""

    statistic: float
    df: float
    df_residual: float
    p_value: float


class Moments(NamedTuple):
    """Sizes, means and variances of groups, arrays of shape (k,)."""

    n: Array
    mean: Array
    variance: Array

    @property
    def pooled_variance(self) -> float:
        """Variance within groups, all groups sharing one."""
        df = self.n - 1
        return float(df @ self.variance / df.sum())


def moments(groups: Sequence[Array]) -> Moments:
    """Sizes, means and variances of groups.

    Raises
    ------
    EstimationError
        If a group has fewer than two values.

    Examples
    --------
    >>> moments([np.array([1.0, 3.0]), np.array([2.0, 2.0, 5.0])]).mean.tolist()
    [2.0, 3.0]
    """
    if min(map(len, groups)) < 2:
        raise EstimationError("Each group needs at least 2 respondents. Merge groups by what they mean.")
    return Moments(
        np.array([len(x) for x in groups], dtype=float),
        np.array([np.mean(x) for x in groups]),
        np.array([np.var(x, ddof=1) for x in groups]),
    )


def estimate_of(estimate: float, std_error: float, df: float, conf_level: float = 0.95) -> Estimate:
    """Add the t statistic, p and interval to an estimate.

    >>> round(estimate_of(2.0, 1.0, np.inf).p_value, 4)
    0.0455
    """
    half = stats.t.isf((1 - conf_level) / 2, df) * std_error
    statistic = estimate / std_error if std_error > 0 else float("nan")
    p_value = float(2 * stats.t.sf(abs(statistic), df))
    return Estimate(estimate, std_error, df, statistic, p_value, float(estimate - half), float(estimate + half))


def contrast(found: Moments, weights: Array, *, equal_variances: bool = False, conf_level: float = 0.95) -> Estimate:
    """Estimate a weighted sum of means.

    Parameters
    ----------
    found : Moments
        Of k groups.
    weights : array, shape (k,)
        1 and -1 give the difference of two means, and Welch's test.
    equal_variances : bool
        Whether all groups share one variance; else each has its own and Satterthwaite's degrees of freedom.
    conf_level : float
        Level of the interval.

    References
    ----------
    Welch (1947), Biometrika 34, 28-35; Satterthwaite (1946), Biometrics Bulletin 2, 110-114. Agrees with R
    `t.test` and, with equal variances, `emmeans::contrast` (tests/reference/comparisons.R).

    Examples
    --------
    >>> found = moments([np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])])
    >>> round(contrast(found, np.array([1.0, -1.0])).df, 3)
    2.941
    """
    variance = np.full(len(weights), found.pooled_variance) if equal_variances else found.variance
    parts = weights**2 * variance / found.n
    total = parts.sum()
    if total <= 0:
        raise EstimationError("Nothing varies within the groups, so there is no error to compare them with.")
    df = (found.n - 1).sum() if equal_variances else total**2 / (parts**2 / (found.n - 1)).sum()
    return estimate_of(float(weights @ found.mean), float(np.sqrt(total)), float(df), conf_level)


def welch_test(found: Moments) -> GroupTest:
    """Test whether means of k groups are equal, each group having its own variance.

    References
    ----------
    Welch (1951), Biometrika 38, 330-336. Agrees with R `oneway.test`.
    """
    k = len(found.n)
    if (found.variance == 0).any():
        raise EstimationError("In a group nothing varies, so Welch's test does not exist. Merge groups, or use ranks.")
    weights = found.n / found.variance
    share = weights / weights.sum()
    spread = weights @ (found.mean - share @ found.mean) ** 2 / (k - 1)
    lack = ((1 - share) ** 2 / (found.n - 1)).sum() / (k**2 - 1)
    statistic, df = spread / (1 + 2 * (k - 2) * lack), 1 / (3 * lack)
    return GroupTest(float(statistic), k - 1, float(df), float(stats.f.sf(statistic, k - 1, df)))


def kruskal_test(groups: Sequence[Array]) -> GroupTest:
    """Test whether k groups answer alike, by ranks; ties share their ranks.

    References
    ----------
    Kruskal & Wallis (1952), JASA 47, 583-621. Agrees with R `kruskal.test`.
    """
    values = np.concatenate(groups)
    n, sizes = len(values), np.array([len(x) for x in groups])
    ranks = stats.rankdata(values)
    sums = np.add.reduceat(ranks, np.cumsum(sizes) - sizes)
    ties = np.unique(values, return_counts=True)[1].astype(float)
    room = 1 - (ties**3 - ties).sum() / (float(n) ** 3 - n)
    if room <= CLOSE:
        raise EstimationError("All respondents gave the same answer, so nothing can be compared.")
    statistic = (12 / (n * (n + 1)) * (sums**2 / sizes).sum() - 3 * (n + 1)) / room
    return GroupTest(float(statistic), len(groups) - 1, float("nan"), float(stats.chi2.sf(statistic, len(groups) - 1)))


def omega_squared(test: GroupTest, conf_level: float = 0.95) -> Effect:
    """Share of the variance that lies between groups, from an F test; never below 0.

    The interval turns the noncentral F distribution round; its level is exact where variances are equal and nearly so
    with Welch's F.

    References
    ----------
    Hays (1963), Statistics for Psychologists; interval: Steiger (2004), Psychological Methods 9, 164-182. Agrees with
    the same in plain R.

    Examples
    --------
    >>> round(omega_squared(GroupTest(5.0, 2, 57, 0.01)).estimate, 4)
    0.1176
    """
    f, df, rest = test.statistic, test.df, test.df_residual
    low, high = _noncentrality(lambda away: stats.ncf.sf(f, df, rest, away) if away else stats.f.sf(f, df, rest),
                               max(df * f, 1.0), conf_level)  # fmt: skip
    n = df + rest + 1
    return Effect(max(0.0, df * (f - 1) / (df * (f - 1) + n)), low / (low + n), high / (high + n))


def epsilon_squared(test: GroupTest, n: int, conf_level: float = 0.95) -> Effect:
    """Share of the variance of ranks that lies between groups, from a Kruskal-Wallis test of n respondents.

    The interval turns the noncentral chi-squared distribution round, which is right for small and medium effects.

    References
    ----------
    Kelley (1935), PNAS 21, 554-559; Tomczak & Tomczak (2014), Trends in Sport Sciences 1, 19-25. Agrees with the same
    in plain R.

    Examples
    --------
    >>> round(epsilon_squared(GroupTest(10.0, 2, float("nan"), 0.007), 101).estimate, 4)
    0.1
    """
    h, df = test.statistic, test.df
    low, high = _noncentrality(lambda away: stats.ncx2.sf(h, df, away) if away else stats.chi2.sf(h, df),
                               max(h, 1.0), conf_level)  # fmt: skip
    return Effect(h / (n - 1), min(1.0, low / (n - 1)), min(1.0, high / (n - 1)))


def small_sample_factor(df: float) -> float:
    """What makes Cohen's d an unbiased estimate.

    References
    ----------
    Hedges (1981), J. Educational Statistics 6, 107-128.

    Examples
    --------
    >>> round(small_sample_factor(10), 4)
    0.9227
    """
    return float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) * np.sqrt(2 / df))


def standardized_contrast(found: Moments, weights: Array, conf_level: float = 0.95) -> Effect:
    """Hedges' g: a weighted sum of means in standard deviations within the groups.

    The estimate is corrected for small samples; the interval is that of the true value, by the noncentral t
    distribution, exact for normal values of one variance.

    References
    ----------
    Steiger & Fouladi (1997), in Harlow et al., What If There Were No Significance Tests?, chapter 9. Agrees with R
    `psych::cohen.d` and the noncentral t in plain R.

    Examples
    --------
    >>> found = moments([np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])])
    >>> round(standardized_contrast(found, np.array([-1.0, 1.0])).estimate, 3)
    0.798
    """
    spread, df = np.sqrt(found.pooled_variance), float((found.n - 1).sum())
    unit = np.sqrt((weights**2 / found.n).sum())
    if spread <= 0:
        raise EstimationError("Nothing varies within the groups, so no difference can be put in standard deviations.")
    d = float(weights @ found.mean / spread)
    low, high = noncentral_t_limits(d / unit, df, conf_level)
    return Effect(small_sample_factor(df) * d, low * unit, high * unit)


def standardized_difference(found: Moments, spread: Spread = "pooled", conf_level: float = 0.95) -> Effect:
    """First mean minus second in standard deviations.

    Parameters
    ----------
    found : Moments
        Of two groups.
    spread : {"pooled", "average", "control"}
        Standard deviation: "pooled" gives Hedges' g; "average" the root of the average variance, which needs no equal
        variances; "control" that of the second group (Glass's delta). The latter two have Bonett's intervals.
    conf_level : float
        Level of the interval.

    References
    ----------
    Bonett (2008), Psychological Methods 13, 99-109, equations 10 to 13.

    Examples
    --------
    >>> found = Moments(np.array([30.0, 40.0]), np.array([3.4, 3.0]), np.array([1.0, 1.0]))
    >>> [round(number, 3) for number in standardized_difference(found, "average")]
    [0.4, -0.085, 0.885]
    """
    if spread == "pooled":
        return standardized_contrast(found, np.array([1.0, -1.0]), conf_level)
    df, variance = found.n - 1, found.variance
    unit = variance.mean() if spread == "average" else variance[1]
    if unit <= 0:
        raise EstimationError("Nothing varies in the group whose standard deviation is the unit. Name another unit.")
    d = float((found.mean[0] - found.mean[1]) / np.sqrt(unit))
    about = (variance / df).sum() / unit
    own = d**2 * ((variance / unit) ** 2 / df).sum() / 8 if spread == "average" else d**2 / (2 * df[1])
    return _normal(d, float(np.sqrt(own + about)), conf_level)


def paired_standardized(x: Array, y: Array, conf_level: float = 0.95) -> Effect:
    """Mean of x - y of the same people in standard deviations of their scores (root of the average variance).

    Unlike a mean in standard deviations of the differences it does not grow with the correlation of both.

    References
    ----------
    Bonett (2008), equation 17; Cumming (2012), Understanding the New Statistics, chapter 11 (d average).
    """
    df, variance = len(x) - 1, np.array([np.var(x, ddof=1), np.var(y, ddof=1)])
    shared, unit = np.cov(x, y)[0, 1], variance.mean()
    if unit <= 0:
        raise EstimationError("Nothing varies, so no difference can be put in standard deviations.")
    d = float(np.mean(x - y) / np.sqrt(unit))
    own = d**2 * ((variance**2).sum() + 2 * shared**2) / (8 * df * unit**2)
    about = (variance.sum() - 2 * shared) / (df * unit)
    return _normal(d, float(np.sqrt(own + about)), conf_level)


def noncentral_t_limits(t: float, df: float, conf_level: float = 0.95) -> tuple[float, float]:
    """Noncentralities that make a t statistic just too large, and just too small, to be expected.

    >>> [round(limit, 3) for limit in noncentral_t_limits(2.0, 28)]
    [-0.045, 4.012]
    """
    tail = (1 - conf_level) / 2
    ends = (t - FAR - abs(t), t + FAR + abs(t))
    low, high = (
        float(brentq(lambda away, at=level: noncentral_t_above(t, df, away) - at, *ends, xtol=CLOSE))
        for level in (tail, 1 - tail)
    )
    return low, high


def noncentral_t_above(t: float, df: float, away: float) -> float:
    """Probability of a t above this one, away being the noncentrality; nearly so where it is beyond the exact series.

    References
    ----------
    Far away: Abramowitz & Stegun (1972), 26.7.10.

    Examples
    --------
    >>> round(noncentral_t_above(2.0, 28, 0.0), 4)
    0.0276
    """
    if abs(away) < CLOSE:
        return float(stats.t.sf(t, df))
    exact = float("nan")
    if abs(away) <= FARTHEST_EXACT and df <= MOST_DF_EXACT:
        exact = stats.nct.sf(t, df, away) if away > 0 else stats.nct.cdf(-t, df, -away)
    near = stats.norm.sf((t * (1 - 1 / (4 * df)) - away) / np.sqrt(1 + t**2 / (2 * df)))
    return float(exact if np.isfinite(exact) else near)


class Superiority(NamedTuple):
    """How often a respondent of one group is above one of another.

    Attributes
    ----------
    delta : Effect
        Cliff's delta: share of pairs in which the first is higher minus share in which the second is; the same as the
        rank-biserial correlation.
    std_error, df, statistic, p_value : float
        Test that neither is higher more often, without the assumption of equal spreads (Brunner & Munzel).
    """

    delta: Effect
    std_error: float
    df: float
    statistic: float
    p_value: float

    @property
    def share(self) -> float:
        """Probability that a respondent of the first group is higher, ties counting half."""
        return (self.delta.estimate + 1) / 2


def superiority(x: Array, y: Array, conf_level: float = 0.95) -> Superiority:
    """Compare two groups by pairs of their respondents.

    Parameters
    ----------
    x, y : arrays, shapes (n,) and (m,)
        Without gaps.
    conf_level : float
        Level of the interval.

    References
    ----------
    Cliff (1993), Psychological Bulletin 114, 494-509; interval: Feng & Cliff (2004), J. Modern Applied Statistical
    Methods 3(2), 322-332; test: Brunner & Munzel (2000), Biometrical Journal 42, 17-25. Agrees with both in plain R.

    Examples
    --------
    >>> superiority(np.array([3.0, 4, 5, 5]), np.array([1.0, 2, 3, 4])).share
    0.875
    """
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise EstimationError("Each group needs at least 2 respondents. Merge groups by what they mean.")
    over_y, over_x = _net_share(x, y), -_net_share(y, x)
    delta = float(over_y.mean())
    parts = np.array([np.var(over_y, ddof=1) / n, np.var(over_x, ddof=1) / m])
    total = float(parts.sum())
    df = total**2 / float(parts**2 @ (1 / np.array([n - 1, m - 1]))) if total > 0 else float("nan")
    error = float(np.sqrt(total))
    statistic = delta / error if error > 0 else float("nan")
    p_value = float(2 * stats.t.sf(abs(statistic), df)) if error > 0 else float("nan")
    ends = _delta_interval(delta, _delta_variance(x, y, over_y, over_x), n, m, conf_level)
    return Superiority(Effect(delta, *ends), error, df, statistic, p_value)


def _net_share(x: Array, y: Array) -> Array:
    """For each x, share of y below it minus share above."""
    rising = np.sort(y)
    return (np.searchsorted(rising, x, "left") + np.searchsorted(rising, x, "right")) / len(y) - 1


def _delta_variance(x: Array, y: Array, over_y: Array, over_x: Array) -> float:
    """Unbiased variance of Cliff's delta, not below its smallest possible value."""
    n, m, delta = len(x), len(y), float(over_y.mean())
    rising = np.sort(y)
    ties = float((np.searchsorted(rising, x, "right") - np.searchsorted(rising, x, "left")).sum())
    cells = n * m - ties - n * m * delta**2
    rows, columns = ((over_y - delta) ** 2).sum(), ((over_x - delta) ** 2).sum()
    unbiased = (m**2 * rows + n**2 * columns - cells) / (n * m * (n - 1) * (m - 1))
    return max(float(unbiased), (1 - delta**2) / (n * m - 1))


def _delta_interval(delta: float, variance: float, n: int, m: int, conf_level: float) -> tuple[float, float]:
    """Asymmetric interval; where the groups do not overlap, that of a share of the smaller group."""
    z = float(stats.norm.isf((1 - conf_level) / 2))
    room = 1 - delta**2
    if room <= CLOSE:
        end = (min(n, m) - z**2) / (min(n, m) + z**2)
        return (end, 1.0) if delta > 0 else (-1.0, -end)
    half = z * np.sqrt(variance) * np.sqrt(room**2 + z**2 * variance)
    middle, whole = delta - delta**3, room + z**2 * variance
    return max(-1.0, float((middle - half) / whole)), min(1.0, float((middle + half) / whole))


class Shares(NamedTuple):
    """Events and respondents of two groups."""

    events: tuple[float, float]
    n: tuple[float, float]

    @property
    def difference(self) -> float:
        """First share minus second."""
        return self.events[0] / self.n[0] - self.events[1] / self.n[1]


def score_of_difference(found: Shares, against: float) -> float:
    """Score statistic of a difference of two shares against a value between -1 and 1, normal if it is the true one.

    References
    ----------
    Farrington & Manning (1990), Statistics in Medicine 9, 1447-1454, with the factor N / (N - 1) of Miettinen &
    Nurminen (1985), ibid. 4, 213-226. Agrees with restricted maximum likelihood in plain R.

    Examples
    --------
    >>> round(score_of_difference(Shares((30, 20), (50, 50)), 0.0), 4)
    1.99
    """
    first, second = _restricted_shares(found, against)
    n, m = found.n
    variance = (first * (1 - first) / n + second * (1 - second) / m) * (n + m) / (n + m - 1)
    gap = found.difference - against
    if variance <= CLOSE**2:
        return 0.0 if abs(gap) < CLOSE else float(np.sign(gap) * np.inf)
    return float(gap / np.sqrt(variance))


def share_interval(found: Shares, conf_level: float = 0.95) -> tuple[float, float]:
    """Interval of a difference of two shares: the values the score test does not reject.

    References
    ----------
    Miettinen & Nurminen (1985), Statistics in Medicine 4, 213-226.

    Examples
    --------
    >>> [round(end, 3) for end in share_interval(Shares((30, 20), (50, 50)))]
    [0.003, 0.382]
    """
    z = float(stats.norm.isf((1 - conf_level) / 2))
    edge = 1 - 1e-9

    def crossing(side: float, end: float) -> float:
        if side * score_of_difference(found, end) <= z:
            return end
        return float(brentq(lambda at: score_of_difference(found, at) - side * z, *sorted((found.difference, end))))

    return crossing(1.0, -edge), crossing(-1.0, edge)


def _restricted_shares(found: Shares, against: float) -> tuple[float, float]:
    """Most likely shares if their difference is the given one: the middle root of a cubic, found in closed form."""
    (events, others), (n, m) = found.events, found.n
    ratio = n / m
    p, q = events / n, others / m
    a = 1 + 1 / ratio
    b = -(1 + 1 / ratio + p + q / ratio + against * (1 / ratio + 2))
    c = against**2 + against * (2 * p + 1 / ratio + 1) + p + q / ratio
    d = -p * against * (1 + against)
    v = b**3 / (27 * a**3) - b * c / (6 * a**2) + d / (2 * a)
    u = np.copysign(np.sqrt(max(b**2 / (9 * a**2) - c / (3 * a), 0.0)), v)
    angle = (np.pi + np.arccos(np.clip(v / u**3, -1, 1))) / 3 if abs(u) > 0 else np.pi / 2
    first = float(np.clip(2 * u * np.cos(angle) - b / (3 * a), max(0.0, against), min(1.0, 1 + against)))
    return first, float(np.clip(first - against, 0.0, 1.0))


def _noncentrality(above: Callable[[float], float], start: float, conf_level: float) -> tuple[float, float]:
    """Noncentralities at which the statistic is at the upper and at the lower end of what is expected; 0 if none is."""
    tail = (1 - conf_level) / 2
    ends = []
    for level in (tail, 1 - tail):
        high = start
        while above(high) < level:
            high *= 2
        ends.append(0.0 if above(0.0) >= level else float(brentq(lambda a, at=level: above(a) - at, 0.0, high)))
    return ends[0], ends[1]


def _normal(estimate: float, std_error: float, conf_level: float) -> Effect:
    half = float(stats.norm.isf((1 - conf_level) / 2)) * std_error
    return Effect(estimate, estimate - half, estimate + half)
