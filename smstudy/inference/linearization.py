"""Standard errors of estimates from a sample with strata, clusters, weights and a finite population, on arrays.

The core is `linearized_covariance`: whatever an estimate is, once each respondent's part in it (the score, with the
weight) is known, its covariance follows from how respondents were sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit

from smstudy.errors import DataError, EstimationError, did_you_mean
from smstudy.inference.calibration import Calibration, calibration_residuals, sums_by

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]
Lonely = Literal["refuse", "adjust"]
SAME = 1e-12


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How respondents were sampled; all arrays have shape (n,).

    Attributes
    ----------
    weights : array
        People each respondent stands for, above 0.
    strata, clusters : integer arrays, optional
        Groups sampled separately, and groups sampled as a whole; without clusters each respondent is one.
    population : array, optional
        Clusters (people, if there are none) in the respondent's stratum of the population.
    subclusters, subpopulation : arrays, optional
        The same within the cluster, if only part of a cluster was asked; needs `population`.
    calibration : Calibration, optional
        How the weights were fitted to known totals.
    lonely : {"refuse", "adjust"}
        What to do with a stratum of one cluster: refuse, or take its distance from the mean of all.
    """

    weights: Array = field(repr=False)
    strata: Codes | None = field(default=None, repr=False)
    clusters: Codes | None = field(default=None, repr=False)
    population: Array | None = field(default=None, repr=False)
    subclusters: Codes | None = field(default=None, repr=False)
    subpopulation: Array | None = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    lonely: Lonely = "refuse"

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=float)
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise DataError("Weights must be numbers above 0. Leave respondents without a weight out first.")
        if self.lonely not in get_args(Lonely):
            hint = did_you_mean(str(self.lonely), get_args(Lonely))
            raise DataError(f'lonely = "{self.lonely}" is not known. {hint}')
        if self.subclusters is not None and (self.population is None or self.subpopulation is None):
            raise DataError("Sampling within clusters needs the population of both stages.")

    @property
    def n(self) -> int:
        """Respondents."""
        return len(self.weights)

    @property
    def first_stage(self) -> tuple[Codes, Codes]:
        """Stratum of each respondent, and cluster, numbered over all strata."""
        strata = np.zeros(self.n, dtype=np.intp) if self.strata is None else _numbered(self.strata)
        return strata, np.arange(self.n) if self.clusters is None else _numbered(strata, self.clusters)


class Linearized(NamedTuple):
    """Estimates of p quantities with their covariance matrix (NaN without degrees of freedom) and these."""

    estimate: Array
    covariance: Array
    df: int

    @property
    def std_error(self) -> Array:
        """Standard errors, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))


def linearized_covariance(scores: Array, sampling: Sampling) -> tuple[Array, int]:
    """Compute the covariance of estimates from each respondent's part in them (Taylor linearization).

    Parameters
    ----------
    scores : array, shape (n, p)
        Weight times influence: the estimates change by about the sum of the scores. For a mean, w (y - mean) / sum(w);
        for a regression, the w x residual of each respondent times the inverse of X'WX. 0 outside a subpopulation:
        its rows must stay, because they tell how the sample was drawn.
    sampling : Sampling

    Returns
    -------
    covariance : array, shape (p, p)
    df : int
        Clusters less strata.

    Raises
    ------
    EstimationError
        If a stratum has one cluster only and `lonely` is "refuse".
    DataError
        If the population differs within a stratum or is smaller than its sample.

    References
    ----------
    Binder (1983), International Statistical Review 51, 279-292; calibrated weights: Deville & Särndal (1992), JASA 87,
    376-382. Agrees with R survey::svyrecvar to 1e-10 (tests/reference/design.R).
    """
    scores = np.asarray(scores, dtype=float)
    if sampling.calibration is not None:
        scores = calibration_residuals(scores, sampling.calibration)
    strata, clusters = sampling.first_stage
    covariance, fraction = _stage(scores, strata, clusters, sampling.population, np.ones(sampling.n), sampling.lonely)
    if sampling.subclusters is not None:
        within = _numbered(clusters, sampling.subclusters)
        second, _ = _stage(scores, clusters, within, sampling.subpopulation, fraction, sampling.lonely)
        covariance = covariance + second
    return covariance, degrees_of_freedom(sampling)


def degrees_of_freedom(sampling: Sampling, domain: Mask | None = None) -> int:
    """Count clusters less strata, of those that occur in a subpopulation."""
    strata, clusters = sampling.first_stage
    inside = slice(None) if domain is None else domain
    return len(np.unique(clusters[inside])) - len(np.unique(strata[inside]))


def linearized_means(values: Array, sampling: Sampling, domain: Mask | None = None) -> Linearized:
    """Estimate the means of columns in the population or a subpopulation; a share is the mean of zeros and ones.

    Parameters
    ----------
    values : array, shape (n, p)
        Without gaps inside the subpopulation.
    sampling : Sampling
    domain : bool array, shape (n,), optional
        Who belongs to the subpopulation.

    References
    ----------
    Agrees with R survey::svymean and, with a subpopulation, survey::svyby to 1e-10.

    Examples
    --------
    >>> found = linearized_means(np.array([[1.0], [2.0], [3.0]]), Sampling(weights=np.ones(3)))
    >>> found.estimate, found.std_error.round(4), found.df
    (array([2.]), array([0.5774]), 2)
    """
    inside, values = _inside(values, sampling, domain)
    weights = sampling.weights * inside
    share = weights / weights.sum()
    mean = share @ values
    return _linearized(mean, share[:, None] * (values - mean), sampling, inside)


def linearized_totals(values: Array, sampling: Sampling, domain: Mask | None = None) -> Linearized:
    """Estimate the totals of columns in the population or a subpopulation; agrees with R survey::svytotal."""
    inside, values = _inside(values, sampling, domain)
    scores = (sampling.weights * inside)[:, None] * values
    return _linearized(scores.sum(axis=0), scores, sampling, inside)


def linearized_ratios(
    numerators: Array, denominators: Array, sampling: Sampling, domain: Mask | None = None
) -> Linearized:
    """Estimate ratios of totals, column by column; agrees with R survey::svyratio.

    Parameters
    ----------
    numerators, denominators : arrays, shape (n, p)
    """
    inside, over = _inside(numerators, sampling, domain)
    _, under = _inside(denominators, sampling, domain)
    weights = (sampling.weights * inside)[:, None]
    total = (weights * under).sum(axis=0)
    ratio = (weights * over).sum(axis=0) / total
    return _linearized(ratio, weights * (over - ratio * under) / total, sampling, inside)


def _linearized(estimate: Array, scores: Array, sampling: Sampling, inside: Mask) -> Linearized:
    """Add the covariance; one cluster per stratum tells none, unless all clusters of the population were asked."""
    covariance, df = linearized_covariance(scores, sampling)[0], degrees_of_freedom(sampling, inside)
    told = df > 0 or _asked_in_full(sampling, inside)
    return Linearized(estimate, covariance if told else np.full_like(covariance, np.nan), df)


def _asked_in_full(sampling: Sampling, inside: Mask) -> bool:
    """Say whether the sample has all clusters of the strata that occur in a subpopulation."""
    if sampling.population is None:
        return False
    strata, clusters = sampling.first_stage
    asked = np.bincount(strata[np.unique(clusters, return_index=True)[1]])
    return bool((asked[strata] == np.asarray(sampling.population, dtype=float))[inside].all())


def mean_design_effects(values: Array, sampling: Sampling, found: Linearized, domain: Mask | None = None, *,
                        with_replacement: bool = False) -> Array:  # fmt: skip
    """Divide the variances of means by those of a simple random sample of as many respondents.

    Parameters
    ----------
    values : array, shape (n, p)
        What `found` was computed from.
    found : Linearized
        From `linearized_means`.
    with_replacement : bool
        Compare with a sample from an endless population; else from as many people as the weights add up to.

    Returns
    -------
    array, shape (p,)
        NaN where the weights add up to no more people than respondents, or nothing varies.

    References
    ----------
    Kish (1965), Survey Sampling, section 8.2. Agrees with R survey::svymean(deff = TRUE) and deff = "replace".
    """
    inside, values = _inside(values, sampling, domain)
    weights = sampling.weights * inside
    n, people = int(inside.sum()), float(weights.sum())
    variance = weights @ (values - found.estimate) ** 2 / people * n / (n - 1) if n > 1 else np.zeros(values.shape[1])
    left = 1.0 if with_replacement else 1 - n / people
    simple = np.where(variance > (SAME * found.estimate) ** 2, variance * left / n, 0.0)
    return np.divide(np.diag(found.covariance), simple, out=np.full(len(simple), np.nan), where=simple > 0)


def check_level(conf_level: float) -> None:
    """Refuse a level that is no number between 0 and 1.

    >>> check_level(0.95)
    """
    if not (isinstance(conf_level, Real) and 0 < conf_level < 1):
        raise DataError(f"conf_level = {conf_level!r} is no level. Use a number between 0 and 1, such as 0.95.")


def t_interval(found: Linearized, *, conf_level: float = 0.95) -> tuple[Array, Array]:
    """Ends of the t intervals, each of shape (p,); NaN without degrees of freedom."""
    half = _quantile(found.df, conf_level) * found.std_error
    return found.estimate - half, found.estimate + half


def logit_interval(found: Linearized, *, conf_level: float = 0.95) -> tuple[Array, Array]:
    """Ends of intervals of shares that stay between 0 and 1; NaN for a share of 0 or 1, where it does not exist.

    References
    ----------
    Korn & Graubard (1998), Survey Methodology 24, 193-201. Agrees with R survey::svyciprop(method = "logit").
    """
    share = np.where((found.estimate > 0) & (found.estimate < 1), found.estimate, np.nan)
    half = _quantile(found.df, conf_level) * found.std_error / (share * (1 - share))
    return expit(logit(share) - half), expit(logit(share) + half)


def _quantile(df: int, conf_level: float) -> float:
    check_level(conf_level)
    return float(stats.t.isf((1 - conf_level) / 2, df)) if df > 0 else float("nan")


def _inside(values: Array, sampling: Sampling, domain: Mask | None) -> tuple[Mask, Array]:
    """Say who counts, and set everybody else's values to 0."""
    inside = np.ones(sampling.n, dtype=bool) if domain is None else np.asarray(domain, dtype=bool)
    if not inside.any():
        raise EstimationError("Nobody belongs to the subpopulation, so nothing can be estimated for it.")
    values = np.where(inside[:, None], np.asarray(values, dtype=float), 0.0)
    if not np.isfinite(values).all():
        raise DataError("A value is missing or infinite. Leave such respondents out of the subpopulation.")
    return inside, values


def _numbered(*codes: Codes) -> Codes:
    """Number the combinations of codes that occur from 0."""
    number = np.unique(codes[0], return_inverse=True)[1]
    for other in codes[1:]:
        second = np.unique(other, return_inverse=True)[1]
        number = np.unique(number * (second.max() + 1) + second, return_inverse=True)[1]
    return number


def _stage(
    scores: Array, strata: Codes, clusters: Codes, population: Array | None, factor: Array, lonely: Lonely
) -> tuple[Array, Array]:
    """Covariance from the spread of clusters within strata; and, per respondent, the factor of the next stage."""
    first = np.unique(clusters, return_index=True)[1]
    stratum = strata[first]
    n = np.bincount(stratum)
    asked = np.ones(len(n)) if population is None else n / _people(population, strata, n)
    left = 1.0 - asked if population is not None else asked
    alone = n == 1
    if lonely == "refuse" and (alone & (left > 0)).any():
        raise EstimationError(
            "A stratum has one respondent or one cluster only, so the spread inside it cannot be told. Put strata "
            'together, or say lonely="adjust", which takes its distance from the mean of all.'
        )
    totals = sums_by(clusters, scores, len(first))
    means = sums_by(stratum, totals, len(n)) / n[:, None]
    spread = totals - np.where(alone[:, None], 0.0, means)[stratum]
    scale = factor[first] * (left * np.where(alone, 1.0, n / np.maximum(n - 1, 1)))[stratum]
    return (spread * scale[:, None]).T @ spread, asked[strata]


def _people(population: Array, strata: Codes, n: Codes) -> Array:
    """The population of each stratum."""
    people = np.asarray(population, dtype=float)
    largest = np.full(len(n), -np.inf)
    np.maximum.at(largest, strata, people)
    if not np.array_equal(largest[strata], people):
        raise DataError("The population differs within a stratum, or is missing. Give one number for each stratum.")
    if (largest < n).any():
        raise DataError("A stratum has more respondents or clusters than its population. Check the head counts.")
    return largest
