"""Reliability of scales with parts, and of items answered in few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display import apa, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError, did_you_mean
from smstudy.inference.psychometrics.consistency import Floats, alphas_without, pairwise_covariances
from smstudy.inference.psychometrics.hierarchy import Hierarchy, resampled_omegas, schmid_leiman, second_order
from smstudy.inference.psychometrics.ordinal_consistency import alpha_with_error, misfit_of_one, omega_with_error
from smstudy.inference.psychometrics.polychoric import (
    OrdinalSample,
    Polychorics,
    asymptotic_covariance,
    ordinal_codes,
    polychorics,
)
from smstudy.result import Finding
from smstudy.scales.arguments import check_number_of_factors, check_resamples, check_seed
from smstudy.scales.batteries import HANDLING, Battery, Missing, battery_of, correlations_of, repeated_items
from smstudy.scales.reliability import ITEM_REST, Reliability, battery_findings, item_rows, with_column
from smstudy.survey.dataset import Data


@dataclass(frozen=True, kw_only=True, repr=False)
class HierarchicalReliability(Reliability):
    """Reliability of a scale with sub-dimensions, with its items.

    Attributes
    ----------
    omega : float
        Omega total: the share of the variance of the sum that all common factors explain; `estimate` is the share that
        the general factor explains.
    general_share : float
        Share of the common variance of the items that the general factor explains.
    """

    omega: float
    general_share: float

    def glance(self) -> dict[str, int | float | str]:
        """The hierarchical omega with its interval, omega total and the share of the general factor."""
        return {**super().glance(), "omega": self.omega, "general_share": self.general_share}


def omega_hierarchical(
    items: Data,
    scale: str | None = None,
    *,
    n_factors: int = 3,
    dimensions: Mapping[str, Sequence[str]] | None = None,
    conf_level: float = 0.95,
    n_boot: int = 500,
    seed: int = 1,
) -> HierarchicalReliability:
    """Estimate the share of a scale's variance that one general factor above its sub-dimensions explains.

    Parameters
    ----------
    items, scale
        As for `cronbach_alpha`; respondents with all answers are used.
    n_factors : int
        Sub-dimensions to explore, 2 or more: minres, oblimin, Schmid-Leiman. Two share one correlation, so their
        loadings on the general factor are set equal.
    dimensions : mapping of str to sequence of str, optional
        Items of three sub-dimensions or more: a second-order model is then confirmed by maximum likelihood instead.
    conf_level : float
        Level of the interval, between 0 and 1: the estimate and its standard error over resampled respondents (their
        percentiles lie too low), or the delta method for a confirmed model.
    n_boot, seed : int
        Resamples, 100 or more, and what fixes them.

    Returns
    -------
    HierarchicalReliability
        `estimate` in [0, 1]; one row per item with its loadings on the general factor and on its strongest
        sub-dimension.

    Raises
    ------
    DataError
        As for `cronbach_alpha`; or if the dimensions do not part the items.
    EstimationError
        If a model cannot be fitted, or more than one resample in ten cannot.

    References
    ----------
    Zinbarg, Revelle, Yovel & Li (2005), Psychometrika 70, 123-133. Agrees with R psych::omega, and, confirmed, with
    semTools::compRelSEM(higher = , obs.var = FALSE) (tests/reference/omegas.R).
    """
    check_number_of_factors(n_factors)
    check_resamples(n_boot)
    check_seed(seed)
    battery = battery_of(items, scale, conf_level, "listwise")
    parts = None if dimensions is None else _parted(battery, dimensions)
    covariances, pairs = pairwise_covariances(battery.answers)
    rows = item_rows(battery, covariances, pairs, conf_level)
    try:
        fitted, found, method = (
            _explored(battery, covariances, n_factors, conf_level, n_boot, seed)
            if parts is None
            else _confirmed(battery, covariances, parts, conf_level)
        )
    except EstimationError as error:
        raise EstimationError(f"{battery.title}: {error}") from None
    reading = rules.GENERAL_FACTOR.read(fitted["estimate"])
    return HierarchicalReliability(
        title=f"Hierarchical omega: {battery.title}",
        note=f"{method}; {HANDLING['listwise']}. Reading: {reading} ({rules.GENERAL_FACTOR.source}). {ITEM_REST}",
        findings=battery_findings(battery, rows),
        labels=battery.labels,
        privacy=battery.privacy,
        solvable=battery.solvable,
        **fitted,
        omega=found.omega_total,
        general_share=found.general_share,
        conf_level=conf_level,
        n=battery.n,
        n_items=battery.k,
        missing="listwise",
        rows=_with_loadings(rows, found, list(parts) if parts else [f"F{j + 1}" for j in range(n_factors)]),
    )


def omega_categorical(items: Data, scale: str | None = None, *, conf_level: float = 0.95) -> Reliability:
    """Estimate the share of the variance of the sum of ordinal answers that one common factor explains.

    Unlike `omega_total` it takes the answers as steps, not as numbers: one factor stands behind the normal variables
    whose cutting gives the answers.

    Parameters
    ----------
    items, scale, conf_level
        As for `cronbach_alpha`; whole numbers, at least three items. Respondents with all answers are used; the
        interval comes from the delta method, cut to 0 to 1.

    Raises
    ------
    DataError
        As for `cronbach_alpha`, or if answers are not ordinal.
    EstimationError
        If there are only two items, a polychoric correlation is at its limit, the model is improper, or its factor
        would explain more than there is.

    References
    ----------
    Green & Yang (2009), Psychometrika 74, 155-167. Agrees with R semTools::compRelSEM(ord.scale = TRUE) on a one-factor
    lavaan::cfa(estimator = "WLSMV") (tests/reference/omegas.R).
    """
    battery, rows = _ordinal_battery(items, scale, conf_level, "listwise")
    sample, found, gamma = _behind(battery)
    try:
        estimate, error, loadings = omega_with_error(found, gamma, sample.n)
    except EstimationError as reason:
        raise EstimationError(f"{battery.title}: {reason}") from None
    return _ordinal_result(
        battery,
        with_column(rows, "loading", loadings),
        _with_ends(estimate, error, conf_level, 0.0),
        conf_level,
        title=f"Categorical omega: {battery.title}",
        note="Categorical omega (Green & Yang) of one factor behind the ordinal answers, by diagonally weighted least "
        "squares; it speaks of the sum of the answers as given. Interval by the delta method",
        findings=_one_factor_misfit(battery, misfit_of_one(found, gamma, loadings, sample.n)),
    )


def ordinal_alpha(
    items: Data, scale: str | None = None, *, conf_level: float = 0.95, missing: Missing = "pairwise"
) -> Reliability:
    """Estimate alpha of the normal variables behind ordinal answers.

    It says how reliable the scale would be if answers had not been cut into steps, not how reliable the scores in use
    are: for these see `cronbach_alpha` and `omega_categorical`.

    Parameters
    ----------
    items, scale, conf_level, missing
        As for `cronbach_alpha`; whole numbers. The interval comes from the delta method.

    Raises
    ------
    DataError
        As for `cronbach_alpha`, or if answers are not ordinal.
    EstimationError
        If a polychoric correlation is at its limit.

    References
    ----------
    Zumbo, Gadermann & Zeisser (2007), J. Modern Applied Statistical Methods 6, 21-29; warning: Chalmers (2018),
    Educational and Psychological Measurement 78, 1056-1071. Agrees with R psych::alpha on psych::polychoric
    (tests/reference/omegas.R).
    """
    battery, rows = _ordinal_battery(items, scale, conf_level, missing)
    sample, found, gamma = _behind(battery)
    estimate, error = alpha_with_error(found, gamma, sample.n)
    return _ordinal_result(
        battery,
        with_column(rows, "alpha_without", alphas_without(found.correlations)),
        _with_ends(estimate, error, conf_level, -np.inf),
        conf_level,
        title=f"Ordinal alpha: {battery.title}",
        note="Alpha of the polychoric correlations. It speaks of the continuous answers one imagines behind the steps, "
        "not of the scores in use, whose reliability is usually lower: see Cronbach's alpha or categorical omega. "
        "Interval by the delta method",
        findings=_indefinite(battery, found),
    )


def _explored(
    battery: Battery, covariances: Floats, n_factors: int, conf_level: float, n_boot: int, seed: int
) -> tuple[dict[str, float], Hierarchy, str]:
    found = schmid_leiman(correlations_of(covariances), n_factors)
    drawn = resampled_omegas(battery.answers, n_factors, n_boot, seed)
    fitted = _with_ends(found.omega_hierarchical, float(drawn.std(ddof=1)), conf_level, 0.0)
    equal = " (two: their loadings on the general factor are set equal)" if n_factors == 2 else ""
    method = (
        f"Hierarchical omega of {n_factors} sub-dimensions{equal}: minres, oblimin, Schmid-Leiman; interval from "
        f"the standard error over {n_boot} resamples of respondents (seed {seed})"
    )
    return fitted, found, method


def _confirmed(
    battery: Battery, covariances: Floats, parts: Mapping[str, Sequence[str]], conf_level: float
) -> tuple[dict[str, float], Hierarchy, str]:
    n = battery.n
    found, error = second_order(covariances * (n - 1) / n, n, battery.names, parts)
    method = (
        f"Hierarchical omega of a second-order model with {len(parts)} sub-dimensions (maximum likelihood), interval "
        "by the delta method"
    )
    return _with_ends(found.omega_hierarchical, error, conf_level, 0.0), found, method


def _parted(battery: Battery, dimensions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Every item in one dimension."""
    parts = {name: list(members) for name, members in dimensions.items()}
    placed = [item for members in parts.values() for item in members]
    for item in placed:
        if item not in battery.names:
            raise DataError(f'{battery.title}: there is no item "{item}". {did_you_mean(item, battery.names)}')
    twice = sorted({item for item in placed if placed.count(item) > 1})
    left = [name for name in battery.names if name not in placed]
    if twice or left:
        what = f"{join_words(twice)} in two dimensions" if twice else f"{join_words(left)} in no dimension"
        raise DataError(f"{battery.title}: {what}. Put every item into one.")
    return parts


def _with_loadings(rows: pd.DataFrame, found: Hierarchy, names: Sequence[str]) -> pd.DataFrame:
    strongest = np.abs(found.groups).argmax(axis=1)
    loadings = found.groups[np.arange(len(rows)), strongest]
    added = {"loading_general": found.general, "dimension": [names[j] for j in strongest], "loading_group": loadings}
    for name, values in added.items():
        rows = with_column(rows, name, values)
    return rows


def _with_ends(estimate: float, error: float, conf_level: float, floor: float) -> dict[str, float]:
    width = float(stats.norm.isf((1 - conf_level) / 2)) * error
    ends = {"conf_low": max(estimate - width, floor), "conf_high": min(estimate + width, 1.0)}
    return {"estimate": estimate, "std_error": error, **ends}


def _ordinal_battery(
    items: Data, scale: str | None, conf_level: float, missing: Missing
) -> tuple[Battery, pd.DataFrame]:
    battery = battery_of(items, scale, conf_level, missing)
    return battery, item_rows(battery, *pairwise_covariances(battery.answers), conf_level)


def _behind(battery: Battery) -> tuple[OrdinalSample, Polychorics, Floats]:
    """The answers as codes, their polychoric correlations, and the sampling covariance of these."""
    sample = ordinal_codes(pd.DataFrame(battery.answers, columns=list(battery.names)))
    try:
        found = polychorics(sample)
    except EstimationError as error:
        raise EstimationError(f"{battery.title}: {error}") from None
    repeated = repeated_items(battery.answers, battery.names)
    if found.boundary.any() and repeated:
        raise EstimationError(f"{battery.title}: {repeated}")
    if found.boundary.any():
        first, second = (battery.names[place[found.boundary.argmax()]] for place in found.pairs)
        raise EstimationError(
            f"{battery.title}: no answers to {first} and {second} contradict a perfect correlation, so their "
            "polychoric correlation has no estimate below 1. Leave one of them out."
        )
    return sample, found, asymptotic_covariance(sample, found)


def _one_factor_misfit(battery: Battery, misfit: float) -> tuple[Finding, ...]:
    if misfit < rules.RESIDUAL_FIT.cuts[0]:
        return ()
    text = (
        f"{battery.title}: one factor leaves correlations of {apa.bounded(misfit)} over on average, so the items may "
        "measure more than one thing and omega may mislead. Look at a factor analysis."
    )
    return (Finding(name="one_factor_fits_poorly", text=text),)


def _indefinite(battery: Battery, found: Polychorics) -> tuple[Finding, ...]:
    if np.linalg.eigvalsh(found.correlations)[0] > 0:
        return ()
    text = (
        f"{battery.title}: the polychoric correlations contradict each other (they are not positive definite), as "
        "happens with few respondents or rare answers. Read this alpha with care."
    )
    return (Finding(name="not_positive_definite", text=text),)


def _ordinal_result(
    battery: Battery,
    rows: pd.DataFrame,
    fitted: Mapping[str, float],
    conf_level: float,
    *,
    title: str,
    note: str,
    findings: tuple[Finding, ...],
) -> Reliability:
    return Reliability(
        title=title,
        note=f"{note}; {HANDLING[battery.missing]}. {ITEM_REST}",
        findings=(*battery_findings(battery, rows), *findings),
        labels=battery.labels,
        privacy=battery.privacy,
        solvable=battery.solvable,
        **fitted,
        conf_level=conf_level,
        n=battery.n,
        n_items=battery.k,
        missing=battery.missing,
        rows=rows,
    )
