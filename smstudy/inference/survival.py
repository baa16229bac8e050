"""How long things take when some have not happened yet: survival curves, the log-rank test, proportional hazards.

Times come with a flag: 1 if the event happened then, 0 if until then it had not (censored).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import NOWHERE, Likelihood, Slopes, maximize
from smstudy.inference.regression.small_clusters import SmallClusters, cluster_sums, likelihood_clusters

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
SUSPECT = 20.0
SAME_TIME = 1.5e-8
NOTHING_LEFT = 1e-12


class Curve(NamedTuple):
    """A survival curve at the times anything happens, each of shape (k,)."""

    time: Array
    at_risk: Array
    events: Array
    censored: Array
    survival: Array
    std_error: Array
    conf_low: Array
    conf_high: Array


def kaplan_meier(time: Array, event: Array, *, conf_level: float = 0.95) -> Curve:
    """Estimate the share to whom the event has not happened yet.

    Parameters
    ----------
    time, event : array, shape (n,)
        As in the module; whoever is censored at a time is at risk of an event at it.
    conf_level : float
        Level of the pointwise log-log intervals.

    Returns
    -------
    Curve
        `std_error` is Greenwood's of the survival. No interval where the curve is 1 or 0.

    References
    ----------
    Kaplan & Meier (1958), JASA 53, 457-481. Agrees with R `survival::survfit(conf.type = "log-log")`.

    Examples
    --------
    >>> kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 1.0])).survival.round(3).tolist()
    [0.667, 0.667, 0.0]
    """
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, event, minlength=len(times))
    everybody = np.bincount(place, minlength=len(times)).astype(float)
    at_risk = everybody[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        reach = stats.norm.isf((1 - conf_level) / 2) * np.sqrt(greenwood) / np.log(survival)
        low, high = survival ** np.exp(-reach), survival ** np.exp(reach)
        error = survival * np.sqrt(greenwood)
    known = (survival > 0) & (survival < 1)
    low, high = np.where(known, low, np.nan), np.where(known, high, np.nan)
    return Curve(times, at_risk, events, everybody - events, survival, np.where(survival > 0, error, np.nan), low, high)


def quantile_time(time: Array, curve: Array, share: float = 0.5) -> float:
    """First time by which a falling curve is at or below a share; NaN if it never is.

    As R `quantile.survfit`, a curve that stays at the share for a while gives the middle of that while.
    """
    digits = 1e-12
    below = np.flatnonzero(curve <= share + digits)
    if not len(below):
        return float("nan")
    first = below[0]
    further = np.flatnonzero(curve < share - digits)
    flat = abs(curve[first] - share) <= digits and len(further)
    return float((time[first] + time[further[0]]) / 2 if flat else time[first])


def joined_times(time: Array) -> Array:
    """Make times that differ by rounding only the same, the earliest of them.

    References
    ----------
    R `survival::aeqSurv` (timefix): differences up to 1.5e-8, absolute or of the mean time.

    Examples
    --------
    >>> joined_times(np.array([0.3, 0.1 + 0.2, 1.0])).tolist()
    [0.3, 0.3, 1.0]
    """
    found, place = np.unique(time, return_inverse=True)
    if not len(found):
        return time
    steps = np.diff(found)
    apart = (steps > SAME_TIME) & (steps > SAME_TIME * np.abs(found).mean())
    first = np.concatenate([[0], np.flatnonzero(apart) + 1])
    return found[first[np.searchsorted(first, place, side="right") - 1]]


class LogRank(NamedTuple):
    """Chi-squared, degrees of freedom and p; events of each group, seen and expected without any difference."""

    statistic: float
    df: int
    p_value: float
    observed: Array
    expected: Array


def log_rank(time: Array, event: Array, groups: Codes) -> LogRank:
    """Test whether groups have one survival curve.

    Parameters
    ----------
    time, event : array, shape (n,)
        As in the module.
    groups : integer array, shape (n,)
        From 0, two groups at least.

    Raises
    ------
    EstimationError
        If nothing could differ, as when groups are never at risk together.

    References
    ----------
    Mantel (1966), Cancer Chemotherapy Reports 50, 163-170. Agrees with R `survival::survdiff`.
    """
    times, place = np.unique(time[event == 1], return_inverse=True)
    k = int(groups.max()) + 1
    deaths = np.zeros((len(times), k))
    np.add.at(deaths, (place, groups[event == 1]), 1)
    at_risk = np.column_stack([_at_least(time[groups == j], times) for j in range(k)])
    total, all_at_risk = deaths.sum(axis=1), at_risk.sum(axis=1)
    share = at_risk / all_at_risk[:, None]
    spare = np.divide(all_at_risk - total, all_at_risk - 1, out=np.zeros_like(total), where=all_at_risk > 1)
    weight = total * spare
    variance = np.diag(weight @ share) - (share * weight[:, None]).T @ share
    gap = (deaths - share * total[:, None]).sum(axis=0)
    if np.linalg.matrix_rank(variance, hermitian=True) < k - 1:
        raise EstimationError("The groups are hardly ever at risk together, so their curves cannot be compared.")
    statistic = float(gap[1:] @ np.linalg.solve(variance[1:, 1:], gap[1:]))
    expected = (share * total[:, None]).sum(axis=0)
    return LogRank(statistic, k - 1, float(stats.chi2.sf(statistic, k - 1)), deaths.sum(axis=0), expected)


def _at_least(values: Array, limits: Array) -> Array:
    """How many values reach each limit."""
    return len(values) - np.searchsorted(np.sort(values), limits, side="left").astype(float)


class _Steps(NamedTuple):
    """Cox's partial likelihood has one step per event; those tied at one time remove the others bit by bit (Efron)."""

    order: Codes  # rows by falling time
    last: Codes  # per step: the last row, in that order, that is at risk
    share: Array  # per step: which share of those tied is gone
    tie: Codes  # per step: number of its time
    dying: Codes  # rows, in that order, with an event
    tie_of_dying: Codes


def _steps(time: Array, event: Array, efron: bool) -> _Steps:
    order = np.lexsort((event, -time))
    t, e = time[order], event[order] == 1
    dying = np.flatnonzero(e)
    _, tie = np.unique(-t[dying], return_inverse=True)
    counts = np.bincount(tie)
    rank = np.arange(len(dying)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = rank / np.repeat(counts, counts) if efron else np.zeros(len(dying))
    last = np.searchsorted(-t, -t[dying], side="right") - 1
    return _Steps(order, last, share, np.repeat(np.arange(len(counts)), counts), dying, tie)


class _Moments(NamedTuple):
    """Per step: total risk, mean and covariance of the design among those at risk."""

    total: Array
    mean: Array
    covariance: Array


def _moments(x: Array, risk: Array, steps: _Steps) -> _Moments:
    """Parameters in the order of the steps: rows by falling time."""
    p = x.shape[1]
    cross = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
    columns = np.column_stack([risk, risk[:, None] * x, risk[:, None] * cross])
    sums = np.cumsum(columns, axis=0)[steps.last]
    gone = np.zeros((int(steps.tie.max()) + 1, columns.shape[1]))
    np.add.at(gone, steps.tie_of_dying, columns[steps.dying])
    left = sums - steps.share[:, None] * gone[steps.tie]
    total = np.where(left[:, :1] > 0, left[:, :1], np.nan)
    mean = left[:, 1 : p + 1] / total
    second = (left[:, p + 1 :] / total).reshape(-1, p, p)
    return _Moments(left[:, 0], mean, second - mean[:, :, None] * mean[:, None, :])


@dataclass(frozen=True, kw_only=True)
class CoxFit:
    """A proportional hazards model: the fit by partial likelihood, and what its test of proportionality needs."""

    likelihood: Likelihood
    null_log_likelihood: float
    centered: Array = field(repr=False)
    time: Array = field(repr=False)
    event: Array = field(repr=False)
    efron: bool

    def clusters(self, groups: Codes) -> SmallClusters:
        """Compute CR2 errors of a fit to persons in clusters.

        What persons add to the scores is independent of others' if the model is right (martingales), so that each has a
        part of its own in the information; `likelihood_clusters` does the rest.

        Parameters
        ----------
        groups : integer array, shape (n,)
            Number of each person's cluster, from 0.

        References
        ----------
        Lin & Wei (1989), JASA 84, 1074-1078; Pustejovsky & Tipton (2018), J. Business & Economic Statistics 36,
        672-683. The scores agree with R `survival::coxph` (tests/reference/survival.R).
        """
        steps = _steps(self.time, self.event, self.efron)
        x, p = self.centered[steps.order], self.centered.shape[1]
        parts = np.empty((len(x), p * p))
        parts[steps.order] = _information(x, np.exp(x @ self.likelihood.parameters), steps)
        sums = cluster_sums(self.likelihood.scores, groups)
        return likelihood_clusters(sums, cluster_sums(parts, groups).reshape(-1, p, p), self.likelihood.covariance)

    def proportionality(self, terms: Sequence[Sequence[int]]) -> tuple[Array, Array, Array]:
        """Test whether hazards stay proportional over time: one test per set of columns, and one of all together.

        Returns
        -------
        tuple of array, each of shape (terms + 1,)
            Chi-squared, degrees of freedom, p; NaN where events at one time, or too few of a kind, allow no test.

        References
        ----------
        Grambsch & Therneau (1994), Biometrika 81, 515-526, as a score test against the share to whom the event
        happened before. Agrees with R `survival::cox.zph`.
        """
        steps = _steps(self.time, self.event, self.efron)
        x = self.centered[steps.order]
        moments = _moments(x, np.exp(x @ self.likelihood.parameters), steps)
        clock = self._clock(steps)
        residuals = np.zeros_like(moments.mean)
        residuals += x[steps.dying] - moments.mean
        score = clock @ residuals
        one, two, three = (np.einsum("k,kpq->pq", clock**power, moments.covariance) for power in (0, 1, 2))
        p = len(score)
        sets = [*(list(term) for term in terms), list(range(p))]
        values = [float(_added(score[j], one, two[:, j], three[np.ix_(j, j)])) for j in sets]
        df = np.array([len(j) for j in sets], dtype=float)
        return np.array(values), df, stats.chi2.sf(values, df)

    def _clock(self, steps: _Steps) -> Array:
        """Share with an event before each step's time, centered over the events."""
        curve = kaplan_meier(self.time, self.event)
        own = self.time[steps.order][steps.dying]
        place = np.searchsorted(curve.time, own, side="left")
        clock = 1 - np.concatenate([[1.0], curve.survival])[place]
        return clock - clock.mean()


def _added(score: Array, one: Array, two: Array, three: Array) -> float:
    """Score test of added columns whose own information is `three`, given the fitted ones; NaN if nothing is left."""
    left = three - two.T @ np.linalg.solve(one, two)
    scale = np.sqrt(np.diag(three))
    if not (scale > 0).all() or np.linalg.eigvalsh(left / np.outer(scale, scale))[0] < NOTHING_LEFT:
        return float("nan")
    return score @ np.linalg.solve(left, score)


def cox(x: Array, time: Array, event: Array, *, names: Sequence[str], efron: bool = True) -> CoxFit:
    """Fit a proportional hazards model.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, without a constant.
    time, event : array, shape (n,)
        As in the module.
    names : sequence of str, length p
        What the columns are called in messages.
    efron : bool
        How events at one time are handled: Efron's way, or Breslow's.

    Returns
    -------
    CoxFit
        Its likelihood's scores add up over a cluster to what robust errors need.

    Raises
    ------
    EstimationError
        If columns determine each other, or an estimate would be infinite because nobody of a group has the event.

    References
    ----------
    Cox (1972), J. Royal Statistical Society B 34, 187-220; Efron (1977), JASA 72, 557-565. Agrees with R
    `survival::coxph` and with statsmodels `PHReg`.
    """
    centered = x - x.mean(axis=0)
    scale = np.linalg.norm(centered, axis=0)
    least_squares(np.column_stack([np.ones(len(x)), x]), time, names=["(intercept)", *names])
    steps = _steps(time, event, efron)
    z = (centered / scale * np.sqrt(len(x)))[steps.order]

    def slopes(at: Array) -> Slopes:
        line = z @ at
        high = line.max()
        moments = _moments(z, np.exp(line - high), steps)
        if not (moments.total > 0).all():
            return NOWHERE
        value = float(line[steps.dying].sum() - np.log(moments.total).sum() - high * len(steps.dying))
        return Slopes(value, (z[steps.dying] - moments.mean).sum(axis=0), moments.covariance.sum(axis=0))

    settled = maximize(slopes, np.zeros(x.shape[1]), n=len(x))
    if settled is None or np.abs(z @ settled[0]).max() > SUSPECT:
        raise EstimationError(
            "An estimate would be infinite: some combination of the terms tells who has no event, or who has it first. "
            "Leave out a term, or merge levels by what they mean."
        )
    at, here = settled
    unit = np.sqrt(len(x)) / scale
    scores = np.empty_like(z)
    scores[steps.order] = _scores(z, np.exp(z @ at), event[steps.order], steps)
    fit = Likelihood(
        names=tuple(names),
        parameters=at * unit,
        covariance=np.linalg.inv(here.information) * np.outer(unit, unit),
        scores=scores / unit,
        weights=np.ones(len(x)),
        log_likelihood=here.value,
    )
    null = slopes(np.zeros(x.shape[1])).value
    return CoxFit(likelihood=fit, null_log_likelihood=null, centered=centered, time=time, event=event, efron=efron)


def _scores(x: Array, risk: Array, event: Array, steps: _Steps) -> Array:
    """Each row's slope of the partial log-likelihood, in the order of the steps."""
    moments = _moments(x, risk, steps)
    ties = int(steps.tie.max()) + 1
    rate, lean, gone = np.zeros(ties), np.zeros((ties, x.shape[1])), np.zeros(ties)
    own, gone_lean = np.zeros_like(lean), np.zeros_like(lean)
    np.add.at(rate, steps.tie, 1 / moments.total)
    np.add.at(lean, steps.tie, moments.mean / moments.total[:, None])
    np.add.at(gone, steps.tie, steps.share / moments.total)
    np.add.at(gone_lean, steps.tie, (steps.share / moments.total)[:, None] * moments.mean)
    np.add.at(own, steps.tie, moments.mean)
    counts = np.bincount(steps.tie)
    # ties are numbered by falling time: who leaves later was at risk at all ties from its own on
    first = np.searchsorted(steps.last[np.cumsum(counts) - counts], np.arange(len(x)), side="left")
    rates, leans = (
        np.concatenate([np.cumsum(part[::-1], axis=0)[::-1], np.zeros_like(part[:1])]) for part in (rate, lean)
    )
    scores = -risk[:, None] * (x * rates[first][:, None] - leans[first])
    dying, tie = steps.dying, steps.tie_of_dying
    scores[dying] += x[dying] - (own / counts[:, None])[tie]
    scores[dying] += risk[dying][:, None] * (x[dying] * gone[tie][:, None] - gone_lean[tie])
    return scores


def _information(x: Array, risk: Array, steps: _Steps) -> Array:
    """Each row's part of the information, in the order of the steps, shape (n, p²): they add up to it."""
    moments = _moments(x, risk, steps)
    n, p = x.shape
    mean = moments.mean
    square = (mean[:, :, None] * mean[:, None, :]).reshape(-1, p * p)
    rates = np.column_stack([np.ones(len(mean)), mean, square]) / moments.total[:, None]
    ties = int(steps.tie.max()) + 1
    whole, gone = np.zeros((ties, rates.shape[1])), np.zeros((ties, rates.shape[1]))
    np.add.at(whole, steps.tie, rates)
    np.add.at(gone, steps.tie, steps.share[:, None] * rates)
    counts = np.bincount(steps.tie)
    first = np.searchsorted(steps.last[np.cumsum(counts) - counts], np.arange(n), side="left")
    later = np.concatenate([np.cumsum(whole[::-1], axis=0)[::-1], np.zeros_like(whole[:1])])[first]
    later[steps.dying] -= gone[steps.tie_of_dying]
    own = (x[:, :, None] * x[:, None, :]).reshape(n, p * p)
    crossed = x[:, :, None] * later[:, None, 1 : p + 1]
    crossed = (crossed + np.swapaxes(crossed, 1, 2)).reshape(n, p * p)
    return risk[:, None] * (own * later[:, :1] - crossed + later[:, p + 1 :])
