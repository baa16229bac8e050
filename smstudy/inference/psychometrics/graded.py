"""The graded response model: how answers in steps depend on one attitude, by marginal maximum likelihood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError
from smstudy.inference.psychometrics.polychoric import OrdinalSample
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]

FAR = 6.0
POINTS = 61
MOST_POINTS = 961
LOGISTIC_TO_NORMAL = 1.702
BLOCK = 2048
NEGLIGIBLE = 1e-14
CLOSE = 0.1
SETTLED = 1e-16
SLOW = 1e-3
MOST_ROUNDS = 500
MOST_STEPS = 50
ENDLESS = 30.0
PLACED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Graded:
    """A graded response model of p items: P(answer >= category c) = logistic(slope * attitude + intercept c).

    Attributes
    ----------
    names : tuple of str, length p
        Items.
    n : int
        Respondents with any answer.
    slopes : ndarray, shape (p,)
        Discriminations.
    intercepts : ndarray, shape (p, m)
        Falling from the second category on, m of the item with the most; the others are padded with -inf.
    covariance : ndarray, shape (q, q)
        Of the estimates, item by item: slope, then intercepts; the inverse of the observed information.
    gradient : ndarray, shape (q,)
        Of the log likelihood where the search stopped.
    log_likelihood : float
    nodes : ndarray
        Points of the attitude at which the normal distribution is evaluated.
    """

    names: tuple[str, ...]
    n: int
    slopes: Floats
    intercepts: Floats = field(repr=False)
    covariance: Floats = field(repr=False)
    gradient: Floats = field(repr=False)
    log_likelihood: float
    nodes: Floats = field(repr=False)

    @property
    def n_parameters(self) -> int:
        """Slopes and intercepts."""
        return len(self.gradient)

    @property
    def thresholds(self) -> Floats:
        """Attitude at which half choose a category or a higher one, shape (p, m); padded with NaN."""
        return np.where(np.isfinite(self.intercepts), -self.intercepts / self.slopes[:, None], np.nan)

    @property
    def errors(self) -> tuple[Floats, Floats]:
        """Standard errors of slopes, shape (p,), and by the delta method of thresholds, shape (p, m)."""
        free = _free(self.intercepts)
        variances, crossed = np.full(free.shape, np.nan), np.full(free.shape, np.nan)
        first = np.cumsum(free.sum(axis=1)) - free.sum(axis=1)
        variances[free] = np.diag(self.covariance)
        crossed[free] = self.covariance[np.repeat(first, free.sum(axis=1)), np.arange(self.n_parameters)]
        b, slope = self.thresholds, self.slopes[:, None]
        of_thresholds = variances[:, 1:] + 2 * b * crossed[:, 1:] + b**2 * variances[:, :1]
        return np.sqrt(variances[:, 0]), np.sqrt(of_thresholds) / slope


class _Tables(NamedTuple):
    """Log probability of each category, shape (p, K, Q), and its slopes by the parameters of its item, (p, K, K, Q)."""

    log_probability: Floats
    scores: Floats


class _Answers(NamedTuple):
    """Different patterns of answers, those with similar attitudes side by side, and how many gave each."""

    codes: NDArray[np.int8]
    counts: Floats
    n_categories: NDArray[np.int64]

    def blocks(self) -> Iterator[tuple[Floats, Floats]]:
        """Some patterns at a time as 0 and 1 over all categories of all items, shape (b, pK), and their counts."""
        categories = np.arange(self.n_categories.max())
        for start in range(0, len(self.codes), BLOCK):
            chosen = self.codes[start : start + BLOCK, :, None] == categories
            yield chosen.reshape(len(chosen), -1).astype(float), self.counts[start : start + BLOCK]


class _Expected(NamedTuple):
    """Log likelihood, its gradient, shape (p, K), and expected answers at each node, shape (p, K, Q)."""

    log_likelihood: float
    gradient: Floats
    counts: Floats


def graded_model(sample: OrdinalSample) -> Graded:
    """Fit a graded response model to answers that may be missing at random.

    The attitude is standard normal. Its distribution is evaluated at 61 points from -6 to 6, as in mirt; where the
    answers place somebody more sharply than the points lie apart, at twice as many until they do not. EM steps (one
    scoring step for each item instead of a full maximization) lead near the maximum, Newton steps with
    the exact observed information to it.

    Parameters
    ----------
    sample : OrdinalSample
        Answers to at least three items, each category of each item chosen by somebody.

    Returns
    -------
    Graded
        Standard errors come from the observed information (Louis 1982), as those of mirt with `SE.type = "Oakes"`.

    Raises
    ------
    DataError
        If there are fewer than three items: two give more parameters than their answers can tell.
    EstimationError
        If a slope grows without end, or the steps do not settle.

    References
    ----------
    Samejima (1969), Psychometrika Monograph 17; Bock & Aitkin (1981), Psychometrika 46, 443-459; Lange (1995), J. Royal
    Statistical Society B 57, 425-437; Louis (1982), same journal 44, 226-233. Agrees with the published estimates of R
    ltm for LSAT and with the likelihood in plain R (tests/reference/graded.R).
    """
    if len(sample.names) < 3:
        raise DataError("A graded response model needs three items or more. Add items.")
    with one_thread():
        answers = _patterns(sample)
        nodes = _nodes(POINTS)
        at = _approach(answers, _start(answers), nodes, sample.names)
        while len(nodes) < MOST_POINTS and _too_coarse(at, nodes):
            nodes = _nodes(2 * len(nodes) - 1)
        at, expected, information = _arrive(answers, at, nodes, sample.names)
    free = _free(at[:, 1:])
    return Graded(
        names=sample.names,
        n=int(answers.counts.sum()),
        slopes=at[:, 0],
        intercepts=at[:, 1:],
        covariance=np.linalg.inv(information),
        gradient=expected.gradient[free],
        log_likelihood=expected.log_likelihood,
        nodes=nodes,
    )


def item_information(slopes: Floats, intercepts: Floats, attitude: Floats) -> Floats:
    """How much each item tells at each attitude, shape (p, Q), for slopes (p,), intercepts (p, m), attitudes (Q,).

    Samejima (1969): expected curvature of the log likelihood; 1 / sqrt of the sum over items is the standard error.

    Examples
    --------
    >>> item_information(np.array([2.0]), np.array([[0.0]]), np.array([0.0])).tolist()
    [[1.0]]
    """
    at = np.column_stack([slopes, intercepts])
    probability, edges = _probabilities(at, attitude), _edges(at, attitude)
    moved = slopes[:, None, None] * (edges[:, :-1] - edges[:, 1:])
    return np.divide(moved**2, probability, out=np.zeros_like(moved), where=probability > 0).sum(axis=1)


def attitudes(fit: Graded, sample: OrdinalSample) -> tuple[Floats, Floats]:
    """Expected attitude of each respondent given the answers, and its standard deviation, each of shape (n,).

    Bock & Mislevy (1982), Applied Psychological Measurement 6, 431-444 (EAP); NaN where nothing was answered.
    """
    answers = _Answers(sample.codes, np.ones(sample.n), sample.n_categories)
    tables, prior = _tables(np.column_stack([fit.slopes, fit.intercepts]), fit.nodes), _log_prior(fit.nodes)
    weights = np.vstack([_posterior(chosen, tables, prior)[0] for chosen, _ in answers.blocks()])
    mean = weights @ fit.nodes
    spread = np.sqrt(np.maximum(weights @ fit.nodes**2 - mean**2, 0))
    silent = (sample.codes < 0).all(axis=1)
    return np.where(silent, np.nan, mean), np.where(silent, np.nan, spread)


def rest_attitudes(fit: Graded, sample: OrdinalSample, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Expected attitude given the group and the answers to all items but one, shape (n, p), and to all, shape (n,).

    Column j leaves item j out. Each group has its own normal distribution of attitudes, estimated with the items held:
    a score without it draws groups whose attitudes differ toward each other, so that items seem to differ. NaN where no
    other item was answered.

    Parameters
    ----------
    fit : Graded
        The items.
    sample : OrdinalSample
        Their answers.
    groups : ndarray, shape (n,)
        0, 1 … for each respondent.
    """
    answers = _Answers(sample.codes, np.ones(sample.n), sample.n_categories)
    logs = _tables(np.column_stack([fit.slopes, fit.intercepts]), fit.nodes).log_probability
    logs = np.concatenate([logs, np.zeros_like(logs[:, :1])], axis=1)  # the last one is read where no answer was given
    given = np.vstack([chosen @ logs[:, :-1].reshape(-1, len(fit.nodes)) for chosen, _ in answers.blocks()])
    for group in range(groups.max() + 1):
        given[groups == group] += _group_prior(given[groups == group], fit.nodes)
    found = np.empty(sample.codes.shape)
    for item, codes in enumerate(sample.codes.T):
        found[:, item] = _normalized(given - logs[item, codes]) @ fit.nodes
    answered = sample.codes >= 0
    n_answered = answered.sum(axis=1)
    overall = np.where(n_answered > 0, _normalized(given) @ fit.nodes, np.nan)
    return np.where(n_answered[:, None] > answered, found, np.nan), overall


def _group_prior(given: Floats, nodes: Floats) -> Floats:
    """Log weights of the nodes under the normal distribution that fits answers of log likelihood (n, Q) best, by EM."""
    mean, spread = 0.0, 1.0
    for _ in range(MOST_ROUNDS):
        prior = -(((nodes - mean) / spread) ** 2) / 2
        share = _normalized(given + prior).mean(axis=0)
        before, mean = mean, float(share @ nodes)
        change, spread = abs(mean - before), float(np.sqrt(share @ nodes**2 - mean**2))
        if change < PLACED:
            break
    return prior


def _normalized(log_weights: Floats) -> Floats:
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _free(intercepts: Floats) -> NDArray[np.bool_]:
    """Which of slope and intercepts each item has, shape (p, K)."""
    return np.column_stack([np.ones(len(intercepts), bool), np.isfinite(intercepts)])


def _nodes(points: int) -> Floats:
    return np.linspace(-FAR, FAR, points)


def _log_prior(nodes: Floats) -> Floats:
    log_density = -(nodes**2) / 2
    return log_density - np.log(np.exp(log_density).sum())


def _patterns(sample: OrdinalSample) -> _Answers:
    codes, counts = np.unique(sample.codes[(sample.codes >= 0).any(axis=1)], axis=0, return_counts=True)
    given = codes >= 0
    place = (codes * given / (sample.n_categories - 1)).sum(axis=1) / given.sum(axis=1)
    order = np.argsort(place, kind="stable")
    return _Answers(codes[order], counts[order].astype(float), sample.n_categories)


def _start(answers: _Answers) -> Floats:
    """Slopes from the correlation of each item with the mean of the others, intercepts from cumulative shares."""
    given = answers.codes >= 0
    values = np.where(given, answers.codes / (answers.n_categories - 1), np.nan)
    means = np.nansum(values * answers.counts[:, None], axis=0) / (given * answers.counts[:, None]).sum(axis=0)
    gaps = np.where(given, values - means, 0.0)
    rests = (gaps.sum(axis=1, keepdims=True) - gaps) * given
    weighted = answers.counts[:, None] * gaps
    spread = np.sqrt((weighted * gaps).sum(axis=0) * (answers.counts[:, None] * rests**2).sum(axis=0))
    r = (weighted * rests).sum(axis=0) / np.maximum(spread, NEGLIGIBLE)
    loading = np.sign(r) * np.clip(1.1 * np.abs(r), 0.1, 0.9)
    slopes = LOGISTIC_TO_NORMAL * loading / np.sqrt(1 - loading**2)
    categories = np.arange(answers.n_categories.max())
    reached = np.array([((answers.codes >= c) * answers.counts[:, None]).sum(axis=0) for c in categories])
    shares = (reached[1:] / reached[0]).T
    with np.errstate(divide="ignore"):
        return np.column_stack([slopes, logit(shares) * np.sqrt(1 + (slopes / LOGISTIC_TO_NORMAL) ** 2)[:, None]])


def _lines(at: Floats, nodes: Floats) -> Floats:
    """Log odds of each category or a higher one, from the second on, shape (p, m, Q)."""
    return at[:, :1, None] * nodes + at[:, 1:, None]


def _padded(values: Floats, first: float, last: float) -> Floats:
    """The same with what holds before the first category and after the last, shape (p, K + 1, Q)."""
    return np.pad(values, ((0, 0), (1, 1), (0, 0)), constant_values=((0, 0), (first, last), (0, 0)))


def _probabilities(at: Floats, nodes: Floats) -> Floats:
    """Probability of each category, without loss of digits at either end; 0 for categories an item does not have."""
    lines = _lines(at, nodes)
    reached, missed = _padded(expit(lines), 1, 0), _padded(expit(-lines), 0, 1)
    likely = reached[:, :-1] > 0.5
    return np.where(likely, missed[:, 1:] - missed[:, :-1], reached[:, :-1] - reached[:, 1:])


def _edges(at: Floats, nodes: Floats) -> Floats:
    """Slopes of the probabilities of each category or a higher one by their log odds, shape (p, K + 1, Q)."""
    lines = _lines(at, nodes)
    return _padded(expit(lines) * expit(-lines), 0, 0)


def _tables(at: Floats, nodes: Floats) -> _Tables:
    probability, edges = _probabilities(at, nodes), _edges(at, nodes)
    p, k, q = probability.shape
    there = probability > 0
    inverse = np.divide(1, probability, out=np.zeros_like(probability), where=there)
    scores = np.zeros((p, k, k, q))
    scores[:, :, 0] = nodes * (edges[:, :-1] - edges[:, 1:]) * inverse
    for c in range(1, k):
        scores[:, c, c] = edges[:, c] * inverse[:, c]
        scores[:, c - 1, c] = -edges[:, c] * inverse[:, c - 1]
    return _Tables(np.log(probability, out=np.full_like(probability, -1e300), where=there), scores)


def _posterior(chosen: Floats, tables: _Tables, prior: Floats) -> tuple[Floats, Floats]:
    """Weights of the nodes for each pattern, shape (b, Q), and its log likelihood."""
    log_joint = chosen @ tables.log_probability.reshape(-1, len(prior)) + prior
    top = log_joint.max(axis=1, keepdims=True)
    joint = np.exp(log_joint - top)
    total = joint.sum(axis=1, keepdims=True)
    return joint / total, (top + np.log(total))[:, 0]


def _expect(answers: _Answers, at: Floats, nodes: Floats) -> _Expected:
    tables, prior = _tables(at, nodes), _log_prior(nodes)
    counts, total = np.zeros((tables.log_probability.size // len(nodes), len(nodes))), 0.0
    for chosen, n in answers.blocks():
        weights, log_likelihood = _posterior(chosen, tables, prior)
        counts += chosen.T @ (weights * n[:, None])
        total += float(n @ log_likelihood)
    counts = counts.reshape(tables.log_probability.shape)
    return _Expected(total, np.einsum("jkq,jkrq->jr", counts, tables.scores), counts)


def _approach(answers: _Answers, at: Floats, nodes: Floats, names: tuple[str, ...]) -> Floats:
    """EM steps, with one scoring step for each item, until the next one moves little."""
    expected = _expect(answers, at, nodes)
    for _ in range(MOST_ROUNDS):
        tables = _tables(at, nodes)
        expecting = expected.counts.sum(axis=1, keepdims=True) * np.exp(tables.log_probability)
        complete = np.einsum("jkq,jkrq,jksq->jrs", expecting, tables.scores, tables.scores)
        complete += np.eye(at.shape[1]) * ~_free(at[:, 1:])[:, :, None]
        step = np.linalg.solve(complete, expected.gradient[:, :, None])[:, :, 0]
        if (step * expected.gradient).sum() < CLOSE:
            return at
        at, expected = _halved(answers, at, step, nodes, expected, names)
    raise EstimationError(_unsettled())


def _halved(
    answers: _Answers, at: Floats, step: Floats, nodes: Floats, before: _Expected, names: tuple[str, ...]
) -> tuple[Floats, _Expected]:
    """The first of the halved steps that keeps categories in order and does not lower the likelihood."""
    rounding = 1e-13 * abs(before.log_likelihood)
    for size in 0.5 ** np.arange(30):
        tried = at + size * step
        if (np.diff(np.where(np.isfinite(tried[:, 1:]), tried[:, 1:], np.nan), axis=1) >= 0).any():
            continue
        _refuse_endless(tried[:, 0], names)
        expected = _expect(answers, tried, nodes)
        if expected.log_likelihood >= before.log_likelihood - rounding:
            return tried, expected
    raise EstimationError(_unsettled())


def _arrive(answers: _Answers, at: Floats, nodes: Floats, names: tuple[str, ...]) -> tuple[Floats, _Expected, Floats]:
    """Newton steps; the information is computed anew where the one at hand no longer leads fast."""
    expected, information, free = _expect(answers, at, nodes), None, _free(at[:, 1:])
    left = np.inf
    for _ in range(MOST_STEPS):
        gradient, before = expected.gradient[free], left
        if information is not None:
            left = float(gradient @ np.linalg.solve(information, gradient))
        if left < SETTLED:
            return at, expected, _proved(_information(answers, at, nodes))
        if information is None or left > SLOW * before:
            information = _positive(_information(answers, at, nodes))
            left = float(gradient @ np.linalg.solve(information, gradient))
        step = np.zeros_like(at)
        step[free] = np.linalg.solve(information, gradient)
        at, expected = _halved(answers, at, step, nodes, expected, names)
    raise EstimationError(_unsettled())


def _information(answers: _Answers, at: Floats, nodes: Floats) -> Floats:
    """Observed information, shape (q, q): what complete answers would tell less what is lost (Louis 1982).

    In terms of scores s at the nodes and their mean over a posterior: sum over respondents of mean(s) mean(s)' -
    mean(s s' + derivative of s), of which the last two together are second derivatives of probabilities.
    """
    tables, prior = _tables(at, nodes), _log_prior(nodes)
    p, k, _, q = tables.scores.shape
    together, averaged = np.zeros((q, p * k, p * k)), np.zeros((p * k, p * k))
    by_node = tables.scores.reshape(p * k * k, q).T
    for chosen, n in answers.blocks():
        weights, _ = _posterior(chosen, tables, prior)
        means = np.einsum("njc,njcr->njr", chosen.reshape(-1, p, k), (weights @ by_node).reshape(-1, p, k, k))
        means = means.reshape(-1, p * k)
        averaged += means.T @ (means * n[:, None])
        for node in np.flatnonzero(weights.max(axis=0) > NEGLIGIBLE):
            root = chosen * np.sqrt(weights[:, node] * n)[:, None]
            together[node] += root.T @ root
    total = averaged - _crossed(tables.scores, together)
    for item, block in enumerate(_own(at, nodes, together)):
        total[item * k : (item + 1) * k, item * k : (item + 1) * k] -= block
    free = _free(at[:, 1:]).ravel()
    return total[np.ix_(free, free)]


def _crossed(scores: Floats, together: Floats) -> Floats:
    """Sums of products of the scores of different items, shape (pK, pK)."""
    p, k, _, q = scores.shape
    total = np.zeros((p, k, p, k))
    for node in range(q):
        half = np.einsum("jcr,jcx->jrx", scores[..., node], together[node].reshape(p, k, p * k))
        total += np.einsum("jrld,lds->jrls", half.reshape(p, k, p, k), scores[..., node])
    total[np.arange(p), :, np.arange(p), :] = 0
    return total.reshape(p * k, p * k)


def _own(at: Floats, nodes: Floats, together: Floats) -> Floats:
    """For each item the sum of second derivatives of its probabilities divided by them, shape (p, K, K)."""
    p, k, q = len(at), at.shape[1], len(nodes)
    counts = np.diagonal(together, axis1=1, axis2=2).T.reshape(p, k, q)
    probability = _probabilities(at, nodes)
    ratio = np.divide(counts, probability, out=np.zeros_like(counts), where=probability > 0)
    lines = _lines(at, nodes)
    bend = expit(lines) * expit(-lines) * (expit(-lines) - expit(lines)) * (ratio[:, 1:] - ratio[:, :-1])
    blocks = np.zeros((p, k, k))
    blocks[:, 0, 0] = (bend * nodes**2).sum(axis=(1, 2))
    blocks[:, 0, 1:] = blocks[:, 1:, 0] = (bend * nodes).sum(axis=2)
    blocks[:, np.arange(1, k), np.arange(1, k)] = bend.sum(axis=2)
    return blocks


def _proved(information: Floats) -> Floats:
    """The information, if the likelihood falls in every direction from here."""
    if np.linalg.eigvalsh(information)[0] <= 0:
        raise EstimationError(_unsettled())
    return information


def _positive(information: Floats) -> Floats:
    """The information, with directions in which it is not positive turned so that a step along them climbs."""
    roots, vectors = np.linalg.eigh(information)
    least = 1e-8 * roots[-1]
    return information if roots[0] > least else (vectors * np.maximum(np.abs(roots), least)) @ vectors.T


def _too_coarse(at: Floats, nodes: Floats) -> bool:
    """Whether nodes lie further apart than the standard deviation of the sharpest posterior."""
    sharpest = 1 + item_information(at[:, 0], at[:, 1:], nodes).sum(axis=0).max()
    return (nodes[1] - nodes[0]) ** 2 * sharpest > 1


def _refuse_endless(slopes: Floats, names: tuple[str, ...]) -> None:
    endless = [name for name, slope in zip(names, slopes, strict=True) if abs(slope) > ENDLESS]
    if endless:
        raise EstimationError(
            f"The discrimination of {join_words(endless)} grows without end: the other items tell its answers, or "
            "hardly anybody answers it differently. Leave it out, or collect more answers."
        )


def _unsettled() -> str:
    return (
        "The graded response model did not settle. Some items hardly go together, or respondents are too few: leave "
        "weak items out, or join rare categories."
    )
