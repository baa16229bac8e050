"""One result from analyses of several imputed surveys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit

from smstudy.display import figures, tables
from smstudy.errors import EstimationError, SmstudyError, StudyError
from smstudy.inference.pooling import Pooled, pool_estimates, pooled_wald
from smstudy.inference.regression.design import INTERCEPT
from smstudy.models.regressions.likelihood_models import named_by_category
from smstudy.result import Finding, Poolable, Refusal, Result, Scale
from smstudy.scales.scoring import score
from smstudy.survey.dataset import Data, Survey
from smstudy.survey.imputations import Imputations

Array = NDArray[np.float64]
Analysis = Callable[[Data], Result]
BACK: dict[Scale, Callable[[Array], Array]] = {"identity": np.asarray, "log_odds": np.asarray, "fisher_z": np.tanh}
SCALES: dict[Scale, str] = {
    "identity": "",
    "log_odds": " Estimates are log odds.",
    "fisher_z": " Pooled as Fisher's z, on which SE stands; estimates and intervals are turned back.",
}
NEARLY_NORMAL = 1e5  # degrees of freedom from which on the t distribution is the normal one to 5 digits
SHOWN = (
    "effect", "outcome", "term", "other_term", "at", "answer", "category", "group", "estimate", "odds_ratio",
    "std_error", "conf_low", "conf_high", "df", "p_value", "fmi", "complete_estimate", "complete_low", "complete_high",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class PooledResult(Result):
    """Estimates pooled over imputations, each with the one that uses only the answers given."""

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    controls: frozenset[str] = frozenset()
    tested: tuple[str, ...] = ()

    picture: ClassVar = staticmethod(figures.estimates)

    def tidy(self) -> pd.DataFrame:
        """One row per estimate; `complete_` columns are the analysis without imputation."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, imputations, and the test of all terms together."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls and columns without a value."""
        columns = [name for name in SHOWN if name in shown and shown[name].notna().any()]
        return tables.ratios_with_intervals(shown.loc[~shown["term"].isin(self.controls), columns])

    def drawn(self) -> pd.DataFrame:
        """What is not hidden, without constants, thresholds and controls; answers and categories go by their words."""
        drawn = super().drawn()
        if "answer" in drawn:
            drawn = drawn.assign(term=drawn["answer"].where(_shares(drawn), drawn["term"]))
        aside = drawn["term"].isin([INTERCEPT, *self.controls])
        apart = aside | ~drawn["term"].isin(self.tested) if self.tested else aside
        return named_by_category(drawn[~apart], self.labels)


def pool(imputed: Imputations, analysis: Analysis, *, conf_level: float = 0.95) -> PooledResult:
    """Analyze every imputed survey and pool the estimates by Rubin's rules.

    Parameters
    ----------
    imputed : Imputations
        From `impute`.
    analysis : callable, Survey (or DataFrame) to Result
        Such as `lambda s: regress("adoption ~ leadership", s)`. Scores in the survey are made again from the imputed
        items before it is called; other columns computed from imputed ones it must compute itself.
    conf_level : float
        Level of the intervals.

    Returns
    -------
    PooledResult
        `df` after Barnard & Rubin, `fmi` the fraction of missing information; next to each estimate the same analysis
        of the answers given, with its own way to leave out what is missing. Means and shares are not tested against 0,
        and shares have logit intervals, as without imputation.

    Raises
    ------
    StudyError
        If `analysis` is no function or gives no Result, or the level is none.
    EstimationError
        If this kind of result cannot be pooled, or its terms differ between imputations.

    References
    ----------
    See `smstudy.inference.pooling.pool_estimates`; agrees with R `mice::pool` on given imputations
    (tests/reference/pooling.R). Correlations: Schafer (1997), Analysis of Incomplete Multivariate Data, section 4.2.
    Intervals of shares: Korn & Graubard (1998), Survey Methodology 24, 193-201, with the pooled share and its error.
    """
    if not isinstance(conf_level, float) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Use a number from 0.5 to below 1, such as 0.95.")
    if isinstance(imputed, Refusal):
        raise EstimationError(imputed.reason)
    if not isinstance(imputed, Imputations):
        raise StudyError("pool() needs imputations: pool(impute(survey, seed=1), analysis).")
    if not callable(analysis):
        raise StudyError(
            f"The analysis is a {type(analysis).__name__}, not a function. Put lambda s: before it, such as "
            'lambda s: regress("adoption ~ leadership", s).'
        )
    results = [_analyzed(analysis, _rescored(data)) for data in imputed]
    first = results[0]
    parts = [_aligned(_poolable(result), first.pooling().keys) for result in results]
    pooled = pool_estimates(
        np.array([part.estimates for part in parts]),
        np.array([part.covariance for part in parts]),
        np.min([np.broadcast_to(part.df_complete, part.estimates.shape) for part in parts], axis=0),
    )
    rows = _tidy(parts[0], pooled, conf_level, tested="p_value" in first.tidy())
    summary, untested = _summary(parts, pooled, imputed.m, conf_level)
    given, told = _without_imputation(imputed.data, analysis, parts[0], conf_level)
    return PooledResult(
        title=f"{parts[0].title} (pooled over {imputed.m} imputations)",
        note=_note(parts[0], imputed.m),
        findings=(*told, *untested, *_findings(pooled, imputed), *imputed.findings, *first.findings),
        labels=first.labels,
        privacy=first.privacy,
        rows=_flagged(pd.concat([rows, given], axis=1), any("hidden" in result.shown() for result in results)),
        summary=summary,
        controls=parts[0].controls,
        tested=parts[0].tested,
    )


def _rescored(data: Data) -> Data:
    """Make the scores of a survey again from its items."""
    if not isinstance(data, Survey):
        return data
    scales = [scale.name for scale in data.codebook.scales if scale.name in data.answers]
    return score(data, scales).survey if scales else data


def _analyzed(analysis: Analysis, data: Data) -> Result:
    result = analysis(data)
    if not isinstance(result, Result):
        raise StudyError(
            f"The analysis gave a {type(result).__name__}, not a result. Use a function that returns one, such as "
            'lambda s: regress("adoption ~ leadership", s).'
        )
    return result


def _poolable(result: Result) -> Poolable:
    """What can be pooled, without the rows that are hidden to protect people."""
    part, shown = result.pooling(), result.shown()
    hidden = shown["hidden"].to_numpy(bool) if "hidden" in shown else np.zeros(len(shown), dtype=bool)
    return replace(
        part,
        estimates=np.where(hidden, np.nan, part.estimates),
        covariance=np.where(hidden[:, None] | hidden, np.nan, part.covariance),
    )


def _aligned(part: Poolable, keys: pd.DataFrame) -> Poolable:
    """Put the estimates in the order of the keys."""
    wanted = pd.MultiIndex.from_frame(keys)
    own = pd.MultiIndex.from_frame(part.keys)
    if set(wanted) != set(own):
        raise EstimationError(
            "The terms differ between the imputations, so they cannot be pooled: a group is large enough in one and "
            "too small in another. Merge small groups by what they mean, or leave the term out."
        )
    order = own.get_indexer(wanted)
    return replace(
        part,
        keys=keys,
        estimates=part.estimates[order],
        covariance=part.covariance[np.ix_(order, order)],
        df_complete=np.broadcast_to(part.df_complete, part.estimates.shape)[order],
    )


def _tidy(part: Poolable, pooled: Pooled, conf_level: float, *, tested: bool) -> pd.DataFrame:
    """The pooled rows; tested against 0 only if the analysis tests its own."""
    errors = pooled.std_error
    low, high = _limits(part, pooled.estimate, errors, pooled.df, conf_level)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(errors > 0, pooled.estimate / errors, np.nan)
    table = part.keys.reset_index(drop=True).assign(
        estimate=BACK[part.scale](pooled.estimate),
        std_error=errors,
        statistic=statistic,
        df=np.where(pooled.df <= NEARLY_NORMAL, pooled.df, np.nan),
        p_value=2 * stats.t.sf(np.abs(statistic), pooled.df),
        conf_low=low,
        conf_high=high,
        riv=pooled.riv,
        fmi=pooled.fmi,
    )
    table = table if tested else table.drop(columns=["statistic", "p_value"])
    return table.assign(odds_ratio=np.exp(pooled.estimate)) if part.scale == "log_odds" else table


def _limits(part: Poolable, estimates: Array, errors: Array, df: Array, conf_level: float) -> tuple[Array, Array]:
    """Ends of t intervals, of shares on the logit scale; missing for a share of 0 or 1."""
    reach, shares = stats.t.isf((1 - conf_level) / 2, df) * errors, _shares(part.keys)
    share = np.where(shares & (estimates > 0) & (estimates < 1), estimates, np.nan)
    half, back = reach / (share * (1 - share)), BACK[part.scale]
    low = np.where(shares, expit(logit(share) - half), back(estimates - reach))
    return low, np.where(shares, expit(logit(share) + half), back(estimates + reach))


def _shares(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows are shares: those that name an answer."""
    named = rows["answer"].fillna("") != "" if "answer" in rows else pd.Series(False, index=rows.index)
    return named.to_numpy(bool)


def _without_imputation(
    data: Data, analysis: Analysis, wanted: Poolable, conf_level: float
) -> tuple[pd.DataFrame, list[Finding]]:
    """The same analysis of the answers given; missing with the reason where it is refused."""
    empty = pd.DataFrame(
        np.nan, index=range(len(wanted.keys)), columns=["complete_estimate", "complete_low", "complete_high"]
    )
    try:
        result = _analyzed(analysis, data)
        part = _poolable(result)
    except SmstudyError as error:
        text = f"The same analysis of the answers given, without imputation, is refused: {error}"
        return empty, [Finding(name="complete_refused", text=text)]
    own = pd.MultiIndex.from_frame(part.keys)
    order = own.get_indexer(pd.MultiIndex.from_frame(wanted.keys))
    numbers = (BACK[part.scale](part.estimates), *_ends(result, part, conf_level))
    for name, values in zip(empty, numbers, strict=True):
        empty[name] = np.where(order >= 0, values[order], np.nan)
    return empty, []


def _ends(result: Result, part: Poolable, conf_level: float) -> tuple[Array, Array]:
    """Interval of a single analysis: its own where it has one of this level, else t with its degrees of freedom."""
    shown = result.shown()
    if {"conf_low", "conf_high"} <= set(shown) and result.glance().get("conf_level") == conf_level:
        return shown["conf_low"].to_numpy(float), shown["conf_high"].to_numpy(float)
    errors = np.sqrt(np.diag(part.covariance))
    return _limits(part, part.estimates, errors, np.broadcast_to(part.df_complete, errors.shape), conf_level)


def _flagged(rows: pd.DataFrame, some_hidden: bool) -> pd.DataFrame:
    """Hide all numbers of a row that is hidden in one of the imputations."""
    return rows.assign(hidden=rows["estimate"].isna()) if some_hidden else rows


def _note(part: Poolable, m: int) -> str:
    shares = " Intervals of shares are symmetric on the logit scale." if _shares(part.keys).any() else ""
    return (
        f"{part.note} Pooled over {m} imputations by Rubin's rules, degrees of freedom after Barnard and "
        "Rubin; FMI is the fraction of information lost to missing answers, which stays a little above 0, by 2 / (df + "
        f"3), also where none is missing.{SCALES[part.scale]}{shares} Not imputed: the same analysis of the answers "
        "given."
    ).strip()


def _summary(
    parts: list[Poolable], pooled: Pooled, m: int, conf_level: float
) -> tuple[dict[str, int | float | str], list[Finding]]:
    """Sample and the test of all terms together; without it, and with the reason, where it does not hold."""
    summary: dict[str, int | float | str] = {"n": min(part.n for part in parts), "m": m}
    terms, told = parts[0].keys["term"].isin(parts[0].tested).to_numpy(), []
    if terms.any() and (np.diag(pooled.within)[terms] > 0).all():
        try:
            statistic, df, df_residual, p = _together(parts, terms, m)
            summary |= {"statistic": statistic, "df": df, "df_residual": df_residual, "p_value": p}
        except EstimationError as error:
            told.append(Finding(name="not_tested_together", text=f"No test of all terms together: {error}"))
    return {**summary, "conf_level": conf_level}, told


def _together(parts: list[Poolable], terms: NDArray[np.bool_], m: int) -> tuple[float, int, float, float]:
    block = np.ix_(terms, terms)
    tested = pool_estimates(
        np.array([part.estimates[terms] for part in parts]), np.array([part.covariance[block] for part in parts])
    )
    return pooled_wald(tested, m, float(min(np.min(part.df_complete) for part in parts)))


def _findings(pooled: Pooled, imputed: Imputations) -> Iterator[Finding]:
    largest = np.nanmax(pooled.share_missing, initial=0.0)
    if imputed.m < 100 * largest:
        text = (
            f"Up to {largest:.0%} of the variance of an estimate is due to missing answers; with {imputed.m} "
            "imputations standard errors and p may change in a repetition. "
            f"Use m = {int(np.ceil(100 * largest))} or more."
        )
        yield Finding(name="few_imputations", text=text)
