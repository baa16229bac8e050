"""A linear, logit or probit model on a design: its fit, the errors asked for, and the tests that follow from them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.linearization import Sampling, degrees_of_freedom, linearized_covariance
from smstudy.inference.regression.covariance import Kind, clustered, robust
from smstudy.inference.regression.design import INTERCEPT, Design
from smstudy.inference.regression.formula import Formula
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.logistic import log_likelihood, logistic
from smstudy.inference.regression.probit import probit
from smstudy.inference.regression.small_clusters import SmallClusters, resting_on_one, small_clusters
from smstudy.inference.regression.wild_bootstrap import cluster_signs, wild_test

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Family = Literal["linear", "logit", "probit"]
EXACT = 1e-10
ROUNDING = 1e-13


class Errors(NamedTuple):
    """The errors asked for, and in words; clusters of the rows used; how all rows of the data were sampled."""

    kind: Kind | Literal["linearized"]
    conf_level: float
    words: str
    groups: Codes | None = None
    sampling: Sampling | None = None
    seed: int = 1
    reason: str = ""
    weighted: bool = False


class Fit(NamedTuple):
    """What all families have in common; `bread` is the classical covariance, `weights` have mean one."""

    coefficients: Array
    fitted: Array
    residuals: Array
    hat: Array
    basis: Array
    root: Array
    variance: Array | None
    weights: Array
    bread: Array
    log_likelihood: float
    sigma: float
    exact: bool

    @property
    def contributions(self) -> Array:
        """Each respondent's part in the estimates, shape (n, p)."""
        return self.basis @ self.root.T * (self.residuals * self._factor)[:, None]

    @property
    def influence(self) -> Array:
        """What residuals are multiplied with, shape (p, n)."""
        return (self.basis @ self.root.T * self._factor[:, None]).T

    @property
    def _factor(self) -> Array:
        return np.sqrt(self.weights / (1.0 if self.variance is None else self.variance))


class Inference(NamedTuple):
    """Standard errors and what follows from them, one number per coefficient.

    `df` is missing where none belongs to the test, `unknown` marks coefficients without a standard error, `joint` is
    the test of all terms together, `clusters` tells the degrees of freedom of contrasts with CR2.
    """

    covariance: Array
    errors: Array
    statistic: Array
    df: Array
    p_value: Array
    conf_low: Array
    conf_high: Array
    n_groups: int
    unknown: NDArray[np.bool_]
    joint: dict[str, float]
    clusters: SmallClusters | None


class Model(NamedTuple):
    """What was asked for, what it was fitted to, and what came out."""

    formula: Formula
    family: Family
    how: Errors
    design: Design
    fit: Fit
    tests: Inference


def fit_model(design: Design, family: Family, sampling: Sampling | None) -> Fit:
    """Fit the model, each respondent counting by the weight."""
    weights = np.ones(len(design.y)) if sampling is None else sampling.weights[design.used]
    weights = weights / weights.mean()
    return _linear(design, weights) if family == "linear" else _binary(design, family, weights)


def _linear(design: Design, weights: Array) -> Fit:
    n, p = design.x.shape
    root = np.sqrt(weights)
    x = design.x if np.ptp(weights) == 0 else design.x * root[:, None]
    fit = least_squares(x, design.y * root, names=design.names)
    squares = float(fit.residuals @ fit.residuals)
    size = np.linalg.norm(design.y)
    exact = squares <= max(EXACT * weighted_spread(design.y, weights) * np.sqrt(n), ROUNDING * size) ** 2
    likelihood = float("nan") if exact else -n / 2 * (np.log(2 * np.pi * squares / n) + 1)
    variance = squares / (n - p)
    return Fit(
        coefficients=fit.coefficients,
        fitted=design.y - fit.residuals / root,
        residuals=fit.residuals / root,
        hat=fit.hat,
        basis=fit.basis,
        root=fit.root,
        variance=None,
        weights=weights,
        bread=fit.bread * variance,
        log_likelihood=float(likelihood),
        sigma=float(np.sqrt(variance)),
        exact=exact,
    )


def _binary(design: Design, family: Family, weights: Array) -> Fit:
    fitting = logistic if family == "logit" else probit
    fit = fitting(design.x, design.y, names=design.names, weights=weights)
    return Fit(
        coefficients=fit.coefficients,
        fitted=fit.fitted,
        residuals=fit.residuals,
        hat=fit.hat,
        basis=fit.basis,
        root=fit.root,
        variance=fit.variance,
        weights=weights,
        bread=fit.bread,
        log_likelihood=fit.log_likelihood,
        sigma=1.0,
        exact=False,
    )


def weighted_spread(values: Array, weights: Array) -> Array:
    """Standard deviations of columns, each row counting by its weight; with equal weights those by n − 1."""
    n, share = len(weights), weights / weights.sum()
    return np.sqrt(share @ (values - share @ values) ** 2 * n / (n - 1))


def infer(design: Design, fit: Fit, family: Family, how: Errors) -> Inference:
    """Test every coefficient, and all terms together."""
    unknown = np.zeros(len(fit.coefficients), dtype=bool)
    if how.groups is not None:
        unknown = resting_on_one(fit.basis, fit.root, how.groups)
    covariance, df, clusters = _covariance(design, fit, family, how)
    spread = np.zeros(len(unknown)) if fit.exact else np.sqrt(np.diag(covariance))
    errors = np.where(unknown, np.nan, spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(errors > 0, fit.coefficients / errors, np.nan)
    reach = stats.t.isf((1 - how.conf_level) / 2, df) * errors
    tests = Inference(
        covariance=covariance,
        errors=errors,
        statistic=statistic,
        df=np.where(np.isfinite(df), df, np.nan),
        p_value=2 * stats.t.sf(np.abs(statistic), df),
        conf_low=fit.coefficients - reach,
        conf_high=fit.coefficients + reach,
        n_groups=0 if how.groups is None else int(how.groups.max()) + 1,
        unknown=unknown,
        joint={},
        clusters=clusters,
    )
    if how.kind == "wild":
        return tests if fit.exact else _wild(fit, tests, how)
    return tests._replace(joint=_joint_test(design, fit, family, how, tests, df))


def _covariance(design: Design, fit: Fit, family: Family, how: Errors) -> tuple[Array, Array, SmallClusters | None]:
    """Covariance of the coefficients, and degrees of freedom of each: infinite where the normal is used."""
    n, p = design.x.shape
    clusters = None
    if how.kind == "linearized":
        covariance, df = _linearized(design, fit, how.sampling)
    elif how.kind == "CR2":
        clusters = small_clusters(fit.basis, fit.root, fit.residuals, how.groups, variance=fit.variance)
        covariance, df = clusters.covariance, clusters.df()
    elif how.groups is not None:
        covariance = clustered(fit.influence, fit.residuals, how.groups, "CR0" if how.kind == "CR0" else "CR1")
        df = how.groups.max()
    else:
        classical = how.kind == "classical"
        covariance = fit.bread if classical else robust(fit.influence, fit.residuals, fit.hat, how.kind)
        df = n - p if family == "linear" else np.inf
    return covariance, np.broadcast_to(np.asarray(df, dtype=float), p), clusters


def _linearized(design: Design, fit: Fit, sampling: Sampling) -> tuple[Array, int]:
    """Taylor linearization; rows that are left out stay as zeros, because they tell how the sample was drawn."""
    scores = np.zeros((len(design.used), len(fit.coefficients)))
    scores[design.used] = fit.contributions
    covariance, _ = linearized_covariance(scores, sampling)
    df = degrees_of_freedom(sampling, design.used) + 1 - len(fit.coefficients)
    if df < 1:
        raise EstimationError(
            f"{len(fit.coefficients)} coefficients leave no degrees of freedom: the complete rows have too few "
            "clusters for so many strata and terms. Name fewer terms, or put strata together."
        )
    return covariance, df


def _wild(fit: Fit, tests: Inference, how: Errors) -> Inference:
    """Replace p and intervals by those of the wild cluster bootstrap."""
    signs = cluster_signs(tests.n_groups, seed=how.seed)
    found = np.full((len(fit.coefficients), 3), np.nan)
    for place in np.flatnonzero(~tests.unknown):
        found[place] = wild_test(
            fit.basis, fit.root, fit.residuals, how.groups, place,
            estimate=fit.coefficients[place], signs=signs, conf_level=how.conf_level,
        )  # fmt: skip
    p_value, low, high = found.T
    return tests._replace(df=np.full(len(found), np.nan), p_value=p_value, conf_low=low, conf_high=high)


def _joint_test(design: Design, fit: Fit, family: Family, how: Errors, tests: Inference, df: Array) -> dict[str, float]:
    """Test all terms together; where they are too many for the clusters, those that are not only controlled for.

    Likelihood ratio in a classical logit or probit, HTZ with CR2, else Wald: F, or chi-squared with the normal.
    """
    tested = np.array(design.names) != INTERCEPT
    if not _testable(tested, tests):
        tested &= ~np.isin(design.terms, list(design.controls))
    if fit.exact or not _testable(tested, tests):
        return {}
    q = int(tested.sum())
    if family != "linear" and how.kind == "classical" and not tested.all():
        odds = np.log(design.y.mean() / (1 - design.y.mean()))
        statistic = 2 * (fit.log_likelihood - log_likelihood(np.full(len(design.y), odds), design.y))
        return {"statistic": float(statistic), "df": q, "p_value": float(stats.chi2.sf(statistic, q))}
    if tests.clusters is not None:
        statistic, left, p_value = tests.clusters.joint_test(fit.coefficients, np.eye(len(tested))[tested])
        found = {"statistic": statistic, "df": q, "df_denominator": left, "p_value": p_value}
        return {} if np.isnan(p_value) else found
    scaled = fit.coefficients[tested] / tests.errors[tested]
    correlation = tests.covariance[np.ix_(tested, tested)] / np.outer(tests.errors[tested], tests.errors[tested])
    wald = float(scaled @ np.linalg.solve(correlation, scaled))
    if np.isinf(df).all():
        return {"statistic": wald, "df": q, "p_value": float(stats.chi2.sf(wald, q))}
    left = {"df_denominator": float(df[0])} if tests.n_groups else {}
    return {"statistic": wald / q, "df": q, **left, "p_value": float(stats.f.sf(wald / q, q, df[0]))}


def _testable(tested: NDArray[np.bool_], tests: Inference) -> bool:
    """Whether there is something to test, every part of it has an error, and clusters are more."""
    q, known = int(tested.sum()), ~tests.unknown & (tests.errors != 0)
    return q > 0 and bool(known[tested].all()) and not (tests.n_groups and q >= tests.n_groups)
