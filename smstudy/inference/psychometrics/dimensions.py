"""How many dimensions a correlation matrix has, and whether factoring it makes sense: numbers on arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.psychometrics.extraction import check_positive_definite, squared_multiple_correlations

Floats = NDArray[np.float64]

BATCH_CELLS = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Eigenvalues beside those of data without any structure.

    Attributes
    ----------
    observed : ndarray, shape (p,)
        Eigenvalues of the correlations (components), or of the correlations with squared multiple correlations on the
        diagonal (common factors), falling.
    simulated_mean, simulated_quantile : ndarray, shape (p,)
        Mean and quantile of the simulated eigenvalues of the same rank.
    """

    observed: Floats
    simulated_mean: Floats
    simulated_quantile: Floats

    @property
    def n_above_mean(self) -> int:
        """Leading eigenvalues above the mean of the simulated ones."""
        return _leading(self.observed > self.simulated_mean)

    @property
    def n_above_quantile(self) -> int:
        """Leading eigenvalues above the quantile of the simulated ones."""
        return _leading(self.observed > self.simulated_quantile)


@dataclass(frozen=True, kw_only=True)
class ParallelAnalysis:
    """Parallel analysis of components and of common factors, from the same simulated correlations."""

    components: Parallel
    factors: Parallel


@dataclass(frozen=True, kw_only=True)
class PartialCorrelations:
    """Velicer's average partial correlations after 0, 1, 2 … components, shape (p - 1,) each.

    `squared` averages squares (Velicer 1976), `fourth` fourth powers (Velicer, Eaton & Fava 2000).
    """

    squared: Floats
    fourth: Floats


@dataclass(frozen=True, kw_only=True)
class Adequacy:
    """Kaiser's measure of sampling adequacy, for all items and per item, shape (p,)."""

    overall: float
    items: Floats


@dataclass(frozen=True, kw_only=True)
class Sphericity:
    """Bartlett's test that all correlations are zero."""

    statistic: float
    df: int
    p_value: float


def parallel_analysis(
    correlations: Floats,
    n: int,
    *,
    n_draws: int = 500,
    quantile: float = 0.95,
    widening: Floats | None = None,
    seed: int = 1,
) -> ParallelAnalysis:
    """Compare eigenvalues with those of as many respondents whose answers to the items have nothing in common.

    The correlations of independent normal answers are drawn directly (Bartlett's decomposition), so that the time does
    not grow with n. Correlations of answers in categories vary the same to first order, whatever their shape.

    Parameters
    ----------
    correlations : ndarray, shape (p, p)
        Observed correlations.
    n : int
        Respondents; more than items.
    n_draws : int
        Simulated matrices.
    quantile : float
        Quantile of the simulated eigenvalues to beat, between 0 and 1.
    widening : ndarray, shape (p,), optional
        Factor per item by which its simulated correlations are widened: for polychoric correlations, see
        `polychoric_widening`.
    seed : int
        Fixes the draws.

    References
    ----------
    Horn (1965), Psychometrika 30, 179-185; common factors: Humphreys & Ilgen (1969), Educ. Psychol. Meas. 29, 571-578.
    The same definitions as R nFactors::parallel(model = "components" and "factors") and psych::fa.parallel(SMC = TRUE);
    fa.parallel by default takes the communalities of one minres factor instead of squared multiple correlations, which
    suggests as many factors or fewer.
    """
    p = len(correlations)
    check_positive_definite(correlations)
    if n <= p:
        raise EstimationError(f"{p} items need more than {p} respondents. Collect more answers, or use fewer items.")
    wider = np.ones(p) if widening is None else widening
    components, factors = np.empty((n_draws, p)), np.empty((n_draws, p))
    begin = 0
    for drawn in _independent(n, p, n_draws, np.random.default_rng(seed)):
        drawn = _widened(drawn, wider)
        rows = slice(begin, begin := begin + len(drawn))
        components[rows], factors[rows] = _falling(drawn), _falling(reduced(drawn))
    return ParallelAnalysis(
        components=_beside(_falling(correlations), components, quantile),
        factors=_beside(_falling(reduced(correlations)), factors, quantile),
    )


def permuted_parallel(
    answers: Floats, *, n_draws: int = 500, quantile: float = 0.95, seed: int = 1
) -> ParallelAnalysis:
    """Parallel analysis against the same answers, each item shuffled on its own: exact for any shape, and slow.

    Parameters
    ----------
    answers : ndarray, shape (n, p)
        Complete answers.
    n_draws, quantile, seed
        As for `parallel_analysis`.
    """
    rng, p = np.random.default_rng(seed), answers.shape[1]
    standard = (answers - answers.mean(axis=0)) / answers.std(axis=0)
    correlations = standard.T @ standard / len(standard)
    check_positive_definite(correlations)
    components, factors = np.empty((n_draws, p)), np.empty((n_draws, p))
    for i in range(n_draws):
        shuffled = rng.permuted(standard, axis=0)
        drawn = shuffled.T @ shuffled / len(standard)
        components[i], factors[i] = _falling(drawn), _falling(reduced(drawn))
    return ParallelAnalysis(
        components=_beside(_falling(correlations), components, quantile),
        factors=_beside(_falling(reduced(correlations)), factors, quantile),
    )


def polychoric_widening(counts: list[NDArray[np.int64]]) -> Floats:
    """How much wider than Pearson's the polychoric correlations of independent items spread, per item, shape (p,).

    For independent items the polychoric estimate is to first order the correlation of the normal scores of the
    categories, divided by the standard deviations of these scores.

    Parameters
    ----------
    counts : list of ndarray
        Respondents per category, for every item.

    Examples
    --------
    >>> polychoric_widening([np.array([50, 50])]).round(4).tolist()
    [1.2533]
    """
    return np.array([1 / _score_deviation(count / count.sum()) for count in counts])


def reduced(correlations: Floats) -> Floats:
    """Correlations with squared multiple correlations on the diagonal, for matrices of shape (..., p, p)."""
    shrunk = correlations.copy()
    at = np.arange(correlations.shape[-1])
    shrunk[..., at, at] = squared_multiple_correlations(correlations)
    return shrunk


def average_partials(correlations: Floats) -> PartialCorrelations:
    """Average partial correlations between items when components are taken out one after the other.

    The suggested number of components is where the average is least.

    References
    ----------
    Velicer (1976), Psychometrika 41, 321-327; Velicer, Eaton & Fava (2000). R psych::vss gives the squares from one
    component on.
    """
    check_positive_definite(correlations)
    p = len(correlations)
    roots, axes = np.linalg.eigh(correlations)
    components = axes[:, ::-1] * np.sqrt(roots[::-1])
    left = correlations[None] - np.cumsum(components.T[:, :, None] * components.T[:, None, :], axis=0)[: p - 2]
    left = np.concatenate([correlations[None], left])
    spread = np.sqrt(np.diagonal(left, axis1=1, axis2=2))
    squares = (left / (spread[:, :, None] * spread[:, None, :])) ** 2
    pairs = p * (p - 1)
    return PartialCorrelations(
        squared=(squares.sum(axis=(1, 2)) - p) / pairs, fourth=((squares**2).sum(axis=(1, 2)) - p) / pairs
    )


def sampling_adequacy(correlations: Floats) -> Adequacy:
    """Kaiser's measure of sampling adequacy (KMO, MSA).

    References
    ----------
    Kaiser & Rice (1974), Educational and Psychological Measurement 34, 111-117. Agrees with R psych::KMO.
    """
    check_positive_definite(correlations)
    inverse = np.linalg.inv(correlations)
    lengths = np.sqrt(np.diag(inverse))
    partial = (inverse / np.outer(lengths, lengths)) ** 2
    shared = correlations**2
    shared, partial = shared.sum(axis=0) - 1, partial.sum(axis=0) - 1
    return Adequacy(overall=float(shared.sum() / (shared.sum() + partial.sum())), items=shared / (shared + partial))


def sphericity(correlations: Floats, n: int) -> Sphericity:
    """Bartlett's test that the items have nothing in common.

    References
    ----------
    Bartlett (1951), Biometrika 38, 337-344. Agrees with R psych::cortest.bartlett.
    """
    check_positive_definite(correlations)
    p = len(correlations)
    statistic = -np.linalg.slogdet(correlations)[1] * (n - 1 - (2 * p + 5) / 6)
    df = p * (p - 1) // 2
    return Sphericity(statistic=float(statistic), df=df, p_value=float(stats.chi2.sf(statistic, df)))


def optimal_coordinates(eigenvalues: Floats, reference: Floats) -> int:
    """Leading eigenvalues at or above the line through the next and the last one, and at or above a reference.

    References
    ----------
    Raiche, Walls, Magis, Riopel & Blais (2013), Methodology 9, 23-29. Agrees with R nFactors::nScree.
    """
    p = len(eigenvalues)
    rank = np.arange(1, p - 1)
    following, last = eigenvalues[1:-1], eigenvalues[-1]
    line = following + (following - last) / (p - 1 - rank)
    return _leading((eigenvalues[:-2] >= line) & (eigenvalues[:-2] >= reference[:-2]))


def acceleration_factor(eigenvalues: Floats, reference: Floats) -> int:
    """Eigenvalues before the sharpest bend of the scree, looked for where they reach a reference.

    References
    ----------
    As for `optimal_coordinates`.
    """
    bends = np.diff(eigenvalues, 2)
    reached = eigenvalues[:-2] >= reference[:-2]
    return int(np.argmax(np.where(reached, bends, -np.inf))) + 1 if reached.any() else 0


def _independent(n: int, p: int, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Correlations of p independent normal variables for n respondents, in batches of shape (b, p, p)."""
    size = max(1, BATCH_CELLS // p**2)
    lower = np.tril(np.ones((p, p), dtype=bool), -1)
    at = np.arange(p)
    for begin in range(0, n_draws, size):
        roots = np.zeros((min(size, n_draws - begin), p, p))
        roots[:, lower] = rng.standard_normal((len(roots), lower.sum()))
        roots[:, at, at] = np.sqrt(rng.chisquare(n - 1 - at, size=(len(roots), p)))
        roots /= np.sqrt((roots**2).sum(axis=2, keepdims=True))
        yield roots @ np.swapaxes(roots, 1, 2)


def _widened(drawn: Floats, wider: Floats) -> Floats:
    if (wider == 1).all():
        return drawn
    drawn = drawn * np.outer(wider, wider)
    at = np.arange(len(wider))
    drawn[:, at, at] = 1.0
    return drawn


def _score_deviation(shares: Floats) -> float:
    """Standard deviation of the normal scores of categories that occur in these shares."""
    shares = shares[shares > 0]
    density = stats.norm.pdf(stats.norm.ppf(np.concatenate([[0.0], np.cumsum(shares)[:-1], [1.0]])))
    return float(np.sqrt((np.diff(density) ** 2 / shares).sum()))


def _falling(matrices: Floats) -> Floats:
    return np.linalg.eigvalsh(matrices)[..., ::-1]


def _beside(observed: Floats, simulated: Floats, quantile: float) -> Parallel:
    return Parallel(
        observed=observed,
        simulated_mean=simulated.mean(axis=0),
        simulated_quantile=np.quantile(simulated, quantile, axis=0),
    )


def _leading(passed: NDArray[np.bool_]) -> int:
    return int(np.logical_and.accumulate(passed).sum())
