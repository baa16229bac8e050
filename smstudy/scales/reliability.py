"""How consistently the items of a scale measure one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, figures, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError
from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.psychometrics.consistency import (
    Floats,
    alpha_error,
    alpha_of,
    alphas_without,
    correlation_interval,
    feldt_interval,
    pairwise_covariances,
)
from smstudy.inference.psychometrics.one_factor import fit_one_factor, omega_of, standardized_loadings
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_choice, check_level
from smstudy.scales.batteries import (
    HANDLING,
    Battery,
    ContradictionError,
    Missing,
    battery_of,
    correlations_of,
    refuse_opposed,
    repeated_items,
)
from smstudy.scales.scoring import items_of, scales_of
from smstudy.survey.codebook import Scale
from smstudy.survey.dataset import Data, Survey, need_survey
from smstudy.survey.distributions import without_solvable

Interval = Literal["feldt", "duhachek"]

FEW = 30
ROUNDING = 1e-10
CLOSE_FIT, POOR_FIT = rules.ONE_FACTOR.cuts[0], rules.ONE_FACTOR.cuts[-1]
WEAK_ITEM = rules.ITEM_REST.cuts[0]
ACCEPTABLE = rules.RELIABILITY.cuts[1]
UNLIKE = 4
CONTRADICTS = "contradicts itself"
ITEM_REST = "Item-rest r: correlation with the sum of the other items."
NUMBERS = ("alpha", "alpha_low", "alpha_high", "omega", "omega_low", "omega_high")


@dataclass(frozen=True, kw_only=True, repr=False)
class Reliability(Result):
    """Reliability of one scale, with its items.

    Attributes
    ----------
    estimate : float
        Alpha in (-inf, 1], or omega in [0, 1].
    std_error : float
        Standard error of omega, or of alpha with Duhachek's interval; missing with Feldt's.
    conf_low, conf_high, conf_level : float
        Its confidence interval.
    n, n_items : int
        Respondents used, items.
    missing : str
        How missing answers are handled.
    solvable : frozenset of str
        Items of which few people gave one of few answers: mean and spread would tell how few, and are not shown.
    rows : DataFrame
        One row per item.
    """

    estimate: float
    std_error: float = float("nan")
    conf_low: float
    conf_high: float
    conf_level: float
    n: int
    n_items: int
    missing: str
    solvable: frozenset[str] = frozenset()
    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(partial(figures.estimates, value="item_rest", yardsticks=rules.ITEM_REST.cuts))

    def tidy(self) -> pd.DataFrame:
        """One row per item; conf_low and conf_high are the interval of the item-rest correlation."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """As `tidy()`, without mean and spread of items whose hidden counts could be solved from them."""
        return without_solvable(super().shown(), self.solvable, ("mean", "std_dev"))

    def glance(self) -> dict[str, int | float | str]:
        """The reliability with its interval."""
        names = ("estimate", "std_error", "conf_low", "conf_high", "conf_level", "n", "n_items", "missing")
        line = {name: getattr(self, name) for name in names}
        return {name: value for name, value in line.items() if name != "std_error" or not np.isnan(value)}


@dataclass(frozen=True, kw_only=True, repr=False)
class ReliabilityTable(Result):
    """Reliability of every scale of a questionnaire."""

    n: int
    conf_level: float
    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(
        partial(figures.estimates, value="alpha", ends=("alpha_low", "alpha_high"), yardsticks=(ACCEPTABLE,))
    )

    def tidy(self) -> pd.DataFrame:
        """One row per scale; n counts respondents with an answer to at least one item."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and how missing answers are handled."""
        return {"n": self.n, "conf_level": self.conf_level, "missing": "alpha pairwise, omega listwise"}


def cronbach_alpha(
    items: Data,
    scale: str | None = None,
    *,
    conf_level: float = 0.95,
    missing: Missing = "pairwise",
    interval: Interval = "feldt",
) -> Reliability:
    """Estimate how consistently items measure one thing.

    Parameters
    ----------
    items : DataFrame, shape (n respondents, k items), or Survey
        Answers on one common scale, reversed items already turned round; or a survey, whose codebook says what to turn.
    scale : str, optional
        Name of the scale; needed for a survey.
    conf_level : float
        Level of the intervals, between 0 and 1.
    missing : {"pairwise", "listwise"}
        Covariances from all who answered both items, or only from those who answered all.
    interval : {"feldt", "duhachek"}
        Feldt's interval is exact for items that measure the same with the same error (parallel ones); Duhachek's, from
        a standard error and cut at 1, needs only normal answers.

    Returns
    -------
    Reliability
        `estimate` in (-inf, 1]; one row per item with the item-rest correlation and alpha without it.

    Raises
    ------
    DataError
        If fewer than 2 items or 3 complete rows remain, an item is constant or has no answer, or an item correlates
        clearly negatively (interval below 0) with the rest of its scale.

    References
    ----------
    Cronbach (1951), Psychometrika 16, 297-334. Intervals: Feldt (1965), Psychometrika 30, 357-370; Duhachek & Iacobucci
    (2004), J. Applied Psychology 89, 792-808. The mean of all split-half coefficients is alpha. Agrees with R
    psych::alpha to 1e-10 (tests/reference/reliability.R) where nothing is missing. psych counts all rows for the
    interval, which makes it too short where answers are missing; here it is the harmonic mean of the respondents behind
    each pair of items.

    Examples
    --------
    >>> answers = pd.DataFrame({"a": [1, 2, 3, 4, 5, 3], "b": [2, 2, 3, 5, 5, 4], "c": [1, 3, 3, 4, 4, 2]})
    >>> round(cronbach_alpha(answers).estimate, 3)
    0.93
    """
    check_choice("interval", interval, get_args(Interval))
    battery = battery_of(items, scale, conf_level, missing)
    covariances, pairs = pairwise_covariances(battery.answers)
    rows = item_rows(battery, covariances, pairs, conf_level)
    return Reliability(
        title=f"Cronbach's alpha: {battery.title}",
        note=f"Raw alpha; {HANDLING[missing]}; {interval.title()}'s interval. {ITEM_REST}",
        findings=(*battery_findings(battery, rows), *_contradiction(battery, covariances)),
        labels=battery.labels,
        privacy=battery.privacy,
        solvable=battery.solvable,
        **_alpha(covariances, _respondents_behind(pairs), conf_level, interval),
        conf_level=conf_level,
        n=battery.n,
        n_items=battery.k,
        missing=missing,
        rows=with_column(rows, "alpha_without", alphas_without(covariances)),
    )


def omega_total(items: Data, scale: str | None = None, *, conf_level: float = 0.95) -> Reliability:
    """Estimate the share of a scale's variance that one common factor explains.

    For three items or more a one-factor model is fitted by maximum likelihood to the complete rows and the interval
    comes from the delta method, cut to 0 to 1. Two items cannot carry that model: they get the Spearman-Brown
    reliability, whose interval comes from Fisher's z.

    Parameters
    ----------
    items, scale, conf_level
        As for `cronbach_alpha`.

    Raises
    ------
    DataError
        As for `cronbach_alpha`.
    EstimationError
        If the model does not converge, a residual variance is not positive (Heywood case), or the covariances are not
        positive definite.

    References
    ----------
    McDonald (1999), Test Theory. Two items: Eisinga, te Grotenhuis & Pelzer (2013), Int. J. Public Health 58, 637-642.
    Agrees with R lavaan (a parameter defined with `:=`) and semTools::compRelSEM(obs.var = FALSE)
    (tests/reference/reliability.R).
    """
    battery = battery_of(items, scale, conf_level, "listwise")
    covariances, pairs = pairwise_covariances(battery.answers)
    rows = item_rows(battery, covariances, pairs, conf_level)
    findings = battery_findings(battery, rows)
    if battery.k == 2:
        fitted = _spearman_brown(covariances, battery.n, conf_level)
        method = "Spearman-Brown reliability: two items cannot carry a one-factor model"
    else:
        fitted, loadings, misfit = _omega(covariances, battery, conf_level)
        rows = with_column(rows, "loading", loadings)
        findings = (*findings, *misfit)
        method = "Omega total of a one-factor model (maximum likelihood), interval by the delta method"
    return Reliability(
        title=f"Omega total: {battery.title}",
        note=f"{method}; {HANDLING['listwise']}. {ITEM_REST}",
        findings=findings,
        labels=battery.labels,
        privacy=battery.privacy,
        solvable=battery.solvable,
        **fitted,
        conf_level=conf_level,
        n=battery.n,
        n_items=battery.k,
        missing="listwise",
        rows=rows,
    )


def reliability(data: Survey, scales: Sequence[str] | None = None, *, conf_level: float = 0.95) -> ReliabilityTable:
    """Estimate alpha and omega of every scale; a scale that cannot be judged becomes a serious finding, not an error.

    Parameters
    ----------
    data : Survey
        Answers and codebook.
    scales : sequence of str, optional
        Scales to judge; all of the codebook if left out.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Raises
    ------
    CodebookError
        If a name is no scale, or the codebook has none.
    """
    check_level(conf_level)
    need_survey(data, "reliability")
    judged = [_judge(data, scale, conf_level) for scale in scales_of(data, scales)]
    two = any(row["n_items"] == 2 for row, _ in judged)
    return ReliabilityTable(
        title="Reliability of the scales",
        note=(
            f"alpha: {HANDLING['pairwise']}, Feldt's interval. omega: omega total of a one-factor model, "
            f"{HANDLING['listwise']}, interval by the delta method"
            + ("; for two items the Spearman-Brown reliability. " if two else ". ")
            + f"Reading of alpha: {rules.RELIABILITY.source}. "
            f"Verdict: whether the interval of alpha lies above or below {apa.bounded(ACCEPTABLE)}."
        ),
        findings=tuple(finding for _, findings in judged for finding in findings),
        labels=data.codebook.labels,
        privacy=data.privacy,
        n=len(data.answers),
        conf_level=conf_level,
        rows=pd.DataFrame([row for row, _ in judged]),
    )


def item_rows(battery: Battery, covariances: Floats, pairs: NDArray[np.int64], conf_level: float) -> pd.DataFrame:
    """Describe the items one by one; items answered against the others are refused."""
    rests, low, high = refuse_opposed(battery, covariances, pairs, conf_level)
    return pd.DataFrame(
        {
            "term": battery.names,
            "n": np.diag(pairs),
            "mean": np.nanmean(battery.answers, axis=0),
            "std_dev": np.sqrt(np.diag(covariances)),
            "item_rest": rests,
            "conf_low": low,
            "conf_high": high,
            "missing_share": battery.missing_share,
        }
    )


def with_column(rows: pd.DataFrame, name: str, values: Floats) -> pd.DataFrame:
    """Put a column before the last one."""
    return rows.assign(**{name: values})[[*rows.columns[:-1], name, rows.columns[-1]]]


def _respondents_behind(pairs: NDArray[np.int64]) -> float:
    """Harmonic mean of the respondents behind each covariance: so many complete answers would be as precise."""
    return float(1 / np.mean(1 / pairs[np.triu_indices(len(pairs), 1)]))


def _alpha(covariances: Floats, n: float, conf_level: float, interval: Interval) -> dict[str, float]:
    estimate, k = alpha_of(covariances), len(covariances)
    if interval == "feldt":
        low, high = feldt_interval(estimate, n, k, conf_level)
        return {"estimate": estimate, "conf_low": low, "conf_high": high}
    error = alpha_error(covariances, n)
    width = stats.norm.isf((1 - conf_level) / 2) * error
    ends = {"conf_low": float(estimate - width), "conf_high": float(min(estimate + width, 1.0))}
    return {"estimate": estimate, "std_error": error, **ends}


def _omega(
    covariances: Floats, battery: Battery, conf_level: float
) -> tuple[dict[str, float], Floats, tuple[Finding, ...]]:
    try:
        fitted = fit_one_factor(covariances * (battery.n - 1) / battery.n, battery.n, battery.names)
    except EstimationError as error:
        told = repeated_items(battery.answers, battery.names) or error
        raise EstimationError(f"{battery.title}: {told} Cronbach's alpha needs no model.") from None
    estimate, error = omega_of(fitted)
    width = stats.norm.isf((1 - conf_level) / 2) * error
    ends = {"conf_low": max(estimate - width, 0.0), "conf_high": min(estimate + width, 1.0)}
    return {"estimate": estimate, "std_error": error, **ends}, standardized_loadings(fitted), _misfit(fitted, battery)


def _misfit(fitted: Fitted, battery: Battery) -> tuple[Finding, ...]:
    statistic, df = fitted.test.statistic, fitted.test.df
    if df == 0:
        return ()
    rmsea = np.sqrt(max(statistic / df - 1, 0) / battery.n)
    if rmsea < POOR_FIT or stats.ncx2.sf(statistic, df, battery.n * df * CLOSE_FIT**2) >= 0.05:
        return ()
    text = (
        f"{battery.title}: one factor fits the items poorly (RMSEA {apa.number(rmsea)}), so they may measure more than "
        "one thing and omega may mislead. Look at a factor analysis."
    )
    return (Finding(name="one_factor_fits_poorly", text=text),)


def _spearman_brown(covariances: Floats, n: int, conf_level: float) -> dict[str, float]:
    r = correlations_of(covariances)[:1, 1]
    low, high = correlation_interval(r, np.array([n]), conf_level)
    stepped = {"estimate": r, "conf_low": low, "conf_high": high}
    with np.errstate(divide="ignore"):
        return {name: float((2 * value / (1 + value))[0]) for name, value in stepped.items()}


def battery_findings(battery: Battery, rows: pd.DataFrame) -> tuple[Finding, ...]:
    """Say that respondents are few, items weak, or their answers on unlike scales."""
    found = []
    few = max(FEW, battery.privacy.min_n)
    weak = rows[~(rows["item_rest"] >= WEAK_ITEM)]
    repeated = repeated_items(battery.answers, battery.names)
    if repeated:
        text = f"{battery.title}: {repeated} What repeats itself makes a scale look more reliable than it is."
        found.append(Finding(name="repeated_items", text=text, severity="serious"))
    if battery.n_complete < few:
        text = f"{battery.title}: fewer than {few} respondents answered all items, so the numbers are rough."
        found.append(Finding(name="few_respondents", text=text))
    if len(weak):
        items = join_words([f"{term} ({apa.bounded(r, 3)})" for term, r in weak[["term", "item_rest"]].to_numpy()])
        text = f"{battery.title}: weak correlation with the rest of the scale, below {apa.bounded(WEAK_ITEM)}: {items}."
        found.append(Finding(name="weak_items", text=text))
    return (*found, *_unlike(battery, rows["std_dev"].to_numpy(float)))


def _unlike(battery: Battery, spreads: Floats) -> tuple[Finding, ...]:
    if spreads.max() <= UNLIKE * spreads.min():
        return ()
    widest = [name for name, spread in zip(battery.names, spreads, strict=True) if spread > UNLIKE * spreads.min()]
    text = (
        f"{battery.title}: the items are on unlike scales (the largest SD is more than {UNLIKE} times the smallest), "
        f"so the sum is mostly {join_words(widest)}. Bring the items to one scale first."
    )
    return (Finding(name="unlike_scales", text=text),)


def _contradiction(battery: Battery, covariances: Floats) -> tuple[Finding, ...]:
    if np.linalg.eigvalsh(correlations_of(covariances))[0] > -ROUNDING:
        return ()
    text = (
        f"{battery.title}: the pairwise covariances contradict each other, because different people skipped different "
        'items. Compare with missing="listwise".'
    )
    return (Finding(name="contradicting_pairs", text=text),)


def _judge(data: Survey, scale: Scale, conf_level: float) -> tuple[dict[str, object], list[Finding]]:
    """One row of the table: alpha and omega, or nothing and the reason as a finding."""
    row = {"term": scale.name, "n_items": len(scale.items), "n": 0, **dict.fromkeys(NUMBERS, float("nan"))}
    try:
        row["n"] = int(items_of(data, scale.name).notna().any(axis=1).sum())
        alpha = cronbach_alpha(data, scale.name, conf_level=conf_level)
    except DataError as error:
        verdict = CONTRADICTS if isinstance(error, ContradictionError) else "refused"
        refused = Finding(name="scale_refused", text=str(error), severity="serious")
        reading = verdict if verdict == CONTRADICTS else rules.RELIABILITY.read(float("nan"))
        return {**row, "reading": reading, "verdict": verdict}, [refused]
    row |= {"alpha": alpha.estimate, "alpha_low": alpha.conf_low, "alpha_high": alpha.conf_high}
    findings = list(alpha.findings)
    try:
        omega = omega_total(data, scale.name, conf_level=conf_level)
        row |= {"omega": omega.estimate, "omega_low": omega.conf_low, "omega_high": omega.conf_high}
        findings += [finding for finding in omega.findings if finding.name not in {f.name for f in findings}]
    except (DataError, EstimationError) as error:
        findings.append(Finding(name="omega_refused", text=str(error)))
    few = any(finding.name == "few_respondents" for finding in findings)
    return {**row, "reading": rules.RELIABILITY.read(alpha.estimate), "verdict": _verdict(alpha, few)}, findings


def _verdict(alpha: Reliability, few: bool) -> str:
    if few:
        return "too little data"
    if alpha.conf_low >= ACCEPTABLE:
        return "reliable"
    return "not reliable" if alpha.conf_high < ACCEPTABLE else "cannot tell"
