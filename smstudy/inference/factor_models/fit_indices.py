"""How well a factor model reproduces what was observed: indices of fit, on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from smstudy.inference.factor_models.fitted import ChiSquare, Fitted
from smstudy.inference.factor_models.full_information import FittedIncomplete
from smstudy.inference.factor_models.normal_theory import means_are_free, n_counted

Floats = NDArray[np.float64]

CLOSE = 0.05
RMSEA_LEVEL = 0.90


@dataclass(frozen=True, kw_only=True)
class FitIndices:
    """Indices of fit; missing (NaN) where a saturated model leaves nothing to judge, or there is no likelihood.

    Attributes
    ----------
    chi_square, df, p_value : float, int, float
        The test of exact fit, corrected as the estimator wants it.
    scale : float
        What the statistic was divided by.
    cfi, tli : float
        Comparative fit index, Tucker-Lewis index.
    rmsea, rmsea_low, rmsea_high, close_p : float
        Root mean square error of approximation, its 90 % interval, and the probability of data as bad if it is 0.05.
    srmr : float
        Standardized root mean square residual.
    aic, bic : float
        Information criteria.
    n_parameters : int
        Free parameters; means that follow the data in a single group without gaps are not counted.
    """

    chi_square: float
    df: int
    p_value: float
    scale: float
    cfi: float
    tli: float
    rmsea: float
    rmsea_low: float
    rmsea_high: float
    close_p: float
    srmr: float
    aic: float
    bic: float
    n_parameters: int


def fit_indices(fitted: Fitted) -> FitIndices:
    """Judge the fit of a model.

    CFI, TLI and RMSEA estimate, under "MLR" and "FIML", what they would be if answers were normal and complete (robust
    versions of Brosseau-Liard and Savalei, of Li and Bentler, and of Zhang and Savalei); under "WLSMV" they come from
    the scaled and shifted statistic.

    References
    ----------
    Bentler (1990), Psychological Bulletin 107, 238-246; Steiger (1990), Multivariate Behavioral Research 25, 173-180;
    Brosseau-Liard & Savalei (2014), Multivariate Behavioral Research 49, 460-470; Zhang & Savalei (2023),
    Psychological Methods 28, 263-283. Agrees with R lavaan::fitMeasures: cfi, tli, rmsea under ML, their .robust
    versions under MLR and FIML, their .scaled versions under WLSMV (tests/reference/confirmatory.R).
    """
    test, baseline = _judged(fitted)
    groups = fitted.structure.n_groups
    n = fitted.n - groups if fitted.estimator == "WLSMV" else fitted.n  # as lavaan and Mplus count
    low, high = rmsea_interval(test, n, groups)
    counted = n_parameters(fitted)
    return FitIndices(
        chi_square=fitted.test.corrected,
        df=fitted.test.df,
        p_value=fitted.test.p_value,
        scale=fitted.test.scale,
        cfi=cfi(test, baseline),
        tli=tli(test, baseline),
        rmsea=rmsea(test, n, groups),
        rmsea_low=low,
        rmsea_high=high,
        close_p=close_fit(test, n, groups),
        srmr=srmr(fitted),
        aic=-2 * fitted.log_likelihood + 2 * counted,
        bic=-2 * fitted.log_likelihood + float(np.log(fitted.n)) * counted,
        n_parameters=counted,
    )


def n_parameters(fitted: Fitted) -> int:
    """Free parameters as lavaan counts them: without means that follow the data in a single complete group."""
    return fitted.structure.n_parameters if models_means(fitted) else n_counted(fitted.structure)


def models_means(fitted: Fitted) -> bool:
    """Whether means are a part of what is fitted: with gaps, in several groups, or if anything restricts them."""
    return fitted.estimator == "FIML" or not means_are_free(fitted.structure)


def cfi(test: ChiSquare, baseline: ChiSquare) -> float:
    """Comparative fit index: how much of the misfit of independent items the model takes away."""
    if test.df == 0:
        return float("nan")
    left = max(test.statistic - test.scale * test.df, 0.0)
    most = max(left, baseline.statistic - baseline.scale * baseline.df)
    return 1 - left / most if most > 0 else 1.0


def tli(test: ChiSquare, baseline: ChiSquare) -> float:
    """Tucker-Lewis index: the same per degree of freedom; it may leave the range from 0 to 1."""
    if test.df == 0:
        return float("nan")
    left = (test.statistic - test.scale * test.df) / test.df
    most = (baseline.statistic - baseline.scale * baseline.df) / baseline.df
    return 1 - left / most if most else 1.0


def rmsea(test: ChiSquare, n: int, groups: int = 1) -> float:
    """Root mean square error of approximation."""
    if test.df == 0:
        return float("nan")
    return float(np.sqrt(max(test.statistic / test.df - test.scale, 0.0) / n * groups))


def rmsea_interval(test: ChiSquare, n: int, groups: int = 1, *, conf_level: float = RMSEA_LEVEL) -> tuple[float, float]:
    """Interval of the RMSEA from the noncentrality of its statistic."""
    if test.df == 0:
        return float("nan"), float("nan")
    statistic = test.statistic / test.scale
    tail = (1 - conf_level) / 2
    ends = (_noncentrality(statistic, test.df, probability) for probability in (1 - tail, tail))
    low, high = (float(np.sqrt(test.scale * end * groups / (n * test.df))) for end in ends)
    return low, high


def close_fit(test: ChiSquare, n: int, groups: int = 1) -> float:
    """Probability of a statistic at least as large if the RMSEA is 0.05."""
    if test.df == 0:
        return float("nan")
    noncentrality = n * test.df * CLOSE**2 / (test.scale * groups)
    return float(stats.ncx2.sf(test.statistic / test.scale, test.df, noncentrality))


def srmr(fitted: Fitted) -> float:
    """Standardized root mean square residual, means included where they are fitted; groups weigh by their size."""
    implied, total, ordinal = fitted.implied, 0.0, fitted.estimator == "WLSMV"
    for sample, covariances, expected in zip(fitted.observed, implied.covariances, implied.means, strict=True):
        spread = np.sqrt(np.diag(sample.covariances))
        scale = np.sqrt(np.diag(covariances)) if ordinal else np.ones(len(spread))
        gaps = (sample.covariances - covariances / np.outer(scale, scale)) / np.outer(spread, spread)
        squares = gaps[np.tril_indices(len(spread))] ** 2
        if models_means(fitted) and not ordinal:
            squares = np.append(squares, ((sample.means - expected) / spread) ** 2)
        total += sample.n / fitted.n * float(np.sqrt(squares.mean()))
    return total


def _judged(fitted: Fitted) -> tuple[ChiSquare, ChiSquare]:
    """The tests that indices are made of."""
    if isinstance(fitted, FittedIncomplete):
        return fitted.complete_test, fitted.complete_baseline
    if fitted.estimator == "WLSMV":
        return tuple(ChiSquare(each.corrected, each.df) for each in (fitted.test, fitted.baseline))
    return fitted.test, fitted.baseline


def _noncentrality(statistic: float, df: int, probability: float) -> float:
    """The noncentrality at which smaller statistics have a probability; 0 if they are less likely even without any."""

    def above(noncentrality: float) -> float:
        return float(special.chndtr(statistic, df, noncentrality)) - probability

    if float(stats.chi2.cdf(statistic, df)) <= probability:
        return 0.0
    end = max(statistic, 1.0)
    while above(end) > 0:
        end *= 2
    return float(optimize.brentq(above, 0.0, end, xtol=1e-10))
