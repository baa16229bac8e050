"""Rubin's rules: one answer from analyses of several imputed data sets, on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import EstimationError

Array = NDArray[np.float64]
LEAST_DIFFERENCES = 4


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Estimates pooled over m imputations.

    Attributes
    ----------
    estimate : array, shape (p,)
        Mean over the imputations.
    covariance, within, between : array, shape (p, p)
        Total covariance, the mean covariance of one analysis, and the covariance between analyses.
    riv : array, shape (p,)
        Relative increase in variance due to the missing answers.
    share_missing : array, shape (p,)
        Share of the variance that is due to the missing answers (lambda).
    fmi : array, shape (p,)
        Fraction of missing information.
    df : array, shape (p,)
        Barnard-Rubin degrees of freedom.
    """

    estimate: Array
    covariance: Array
    within: Array
    between: Array
    riv: Array
    share_missing: Array
    fmi: Array
    df: Array

    @property
    def std_error(self) -> Array:
        """Standard errors, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))


def pool_estimates(estimates: Array, covariances: Array, df_complete: float | Array = np.inf) -> Pooled:
    """Pool estimates of m imputed data sets by Rubin's rules.

    Parameters
    ----------
    estimates : array, shape (m, p)
        One row per imputation, m at least 2.
    covariances : array, shape (m, p, p)
        Covariance of the estimates within each imputation.
    df_complete : float or array, shape (p,)
        Degrees of freedom the analysis would have if nothing were missing.

    Returns
    -------
    Pooled
        A term that is missing (NaN) in one imputation is missing in the result.

    Raises
    ------
    EstimationError
        If there are fewer than two imputations.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, chapter 3; Barnard & Rubin (1999), Biometrika 86,
    948-955. Agrees with R `mice::pool` (tests/reference/pooling.R), except that mice takes a share of missing variance
    below 0.0001 as 0.0001.

    Examples
    --------
    >>> pooled = pool_estimates(np.array([[1.0], [3.0]]), np.ones((2, 1, 1)))
    >>> pooled.estimate.item(), pooled.covariance.item()
    (2.0, 4.0)
    """
    m = len(estimates)
    if m < 2:
        raise EstimationError("Pooling needs at least 2 imputations, because it looks at how they differ.")
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = estimates - estimates.mean(axis=0)
        within, between = covariances.mean(axis=0), deviations.T @ deviations / (m - 1)
        total = within + (1 + 1 / m) * between
        riv = (1 + 1 / m) * np.diag(between) / np.diag(within)
        share = (1 + 1 / m) * np.diag(between) / np.diag(total)
        df = barnard_rubin(share, m, df_complete)
        fmi = np.where(np.isinf(riv), 1.0, (riv + 2 / (df + 3)) / (riv + 1))
    return Pooled(
        estimate=estimates.mean(axis=0),
        covariance=total,
        within=within,
        between=between,
        riv=riv,
        share_missing=share,
        fmi=fmi,
        df=df,
    )


def barnard_rubin(share_missing: Array, m: int, df_complete: float | Array = np.inf) -> Array:
    """Degrees of freedom of pooled estimates, shape (p,), from the share of variance due to missing answers.

    Never more than the complete data would have; infinite where nothing is missing and the complete data have infinity.

    References
    ----------
    Barnard & Rubin (1999), Biometrika 86, 948-955.

    Examples
    --------
    >>> barnard_rubin(np.array([0.0, 0.5]), 5, 100.0).round(1).tolist()
    [98.1, 12.1]
    """
    share = np.asarray(share_missing, dtype=float)
    complete = np.broadcast_to(np.asarray(df_complete, dtype=float), share.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        finite = np.where(np.isinf(complete), 1.0, complete)
        observed = (finite + 1) / (finite + 3) * finite * (1 - share)
        per_observed = np.where(np.isinf(complete), 0.0, 1 / observed)
        return 1 / (share**2 / (m - 1) + per_observed)


def pooled_wald(pooled: Pooled, m: int, df_complete: float = np.inf) -> tuple[float, int, float, float]:
    """Test that all pooled estimates are zero together.

    A single estimate has the degrees of freedom of its t test (Barnard & Rubin), so that both give the same p.

    Parameters
    ----------
    pooled : Pooled
        Estimates of the terms to test, from m imputations.
    df_complete : float
        Degrees of freedom of the complete data.

    Returns
    -------
    tuple
        F statistic, its two degrees of freedom, and p.

    Raises
    ------
    EstimationError
        If the covariance within the imputations is singular, or the imputations or the complete-data degrees of freedom
        are too few for the F distribution to hold.

    References
    ----------
    Li, Raghunathan & Rubin (1991), JASA 86, 1065-1073; with finite complete-data degrees of freedom Reiter (2007),
    Biometrika 94, 502-508. Agrees with R `mice::D1` and `mitml::testModels(method = "D1")` (tests/reference/pooling.R)
    for k > 1 estimates and k(m - 1) > 4. For k(m - 1) <= 4 these ignore finite complete-data degrees of freedom, which
    is refused here; for k = 1 they are not the t test.
    """
    k = len(pooled.estimate)
    sizes = np.sqrt(np.diag(pooled.within))
    try:
        scaled = np.linalg.inv(pooled.within / np.outer(sizes, sizes))
    except np.linalg.LinAlgError:
        raise EstimationError("The terms determine each other, so they cannot be tested together.") from None
    inverse = scaled / np.outer(sizes, sizes)
    increase = (1 + 1 / m) * float(np.trace(pooled.between @ inverse)) / k
    statistic = float(pooled.estimate @ inverse @ pooled.estimate) / (k * (1 + increase))
    df = _wald_df(increase, k, m, df_complete)
    p = stats.f.sf(statistic, k, df) if np.isfinite(df) else stats.chi2.sf(k * statistic, k)
    return statistic, k, df, float(p)


def _wald_df(increase: float, k: int, m: int, df_complete: float) -> float:
    t = k * (m - 1)
    if k == 1:
        return barnard_rubin(np.array([increase / (1 + increase)]), m, df_complete).item()
    if increase == 0:
        return df_complete
    if np.isfinite(df_complete):
        return _reiter_df(increase, k, m, df_complete)
    if t > LEAST_DIFFERENCES:
        return 4 + (t - 4) * (1 + (1 - 2 / t) / increase) ** 2
    return t * (1 + 1 / k) * (1 + 1 / increase) ** 2 / 2


def _reiter_df(increase: float, k: int, m: int, df_complete: float) -> float:
    t = k * (m - 1)
    if t <= LEAST_DIFFERENCES:
        least = LEAST_DIFFERENCES // k + 2
        raise EstimationError(f"{m} imputations are too few to test {k} terms together. Use m = {least} or more.")
    a = increase * t / (t - 2)
    vstar = (df_complete + 1) / (df_complete + 3) * df_complete
    c0 = 1 / (t - 4)
    c1 = vstar - 2 * (1 + a)
    c2 = vstar - 4 * (1 + a)
    if c2 <= 0:
        raise EstimationError(
            f"With {df_complete:.0f} degrees of freedom and so much missing, {k} terms cannot be tested together. "
            "Look at the single terms, or name fewer."
        )
    z = (
        1 / c2
        + c0 * (a**2 * c1 / ((1 + a) ** 2 * c2))
        + c0 * (8 * a**2 * c1 / ((1 + a) * c2**2) + 4 * a**2 / ((1 + a) * c2))
        + c0 * (4 * a**2 / (c2 * c1) + 16 * a**2 * c1 / c2**3)
        + c0 * (8 * a**2 / c2**2)
    )
    return 4 + 1 / z
