"""Outcomes that are counts of events: posts, comments, logins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import apa, figures
from smstudy.errors import ColumnError, DataError, DisclosureError, StudyError, did_you_mean
from smstudy.inference.regression.counts import (
    DISPERSED,
    INFLATED,
    CountFamily,
    CountFit,
    count_clusters,
    count_fit,
    excess_zeros,
    overdispersion,
)
from smstudy.inference.regression.covariance import Kind
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.effects import Events
from smstudy.inference.regression.formula import Formula, parse_formula
from smstudy.inference.threads import one_thread
from smstudy.models.regressions.likelihood_models import (
    CERTAIN,
    SCORED,
    LikelihoodModel,
    Request,
    Tests,
    assessed,
    built,
    common_findings,
    hidden_controls,
    in_words,
    joint_test,
    labels_of_terms,
    note_of,
    ratios,
    read_request,
    refuse_described,
    refuse_few,
    sized,
    spread_of,
    summary_of,
    tabled,
    told,
    weights_of,
)
from smstudy.models.samplings import Population
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, frame_of, labels_of
from smstudy.survey.disclosure import pool_hidden
from smstudy.survey.weights import Weights

Array = NDArray[np.float64]
LOG_THETA = "log(theta)"
RATE, NEVER = "how often", "never"
FAMILIES: dict[CountFamily, str] = {
    "poisson": "Poisson regression (estimates are logs of rate ratios)",
    "negative_binomial": "Negative binomial regression (estimates are logs of rate ratios)",
    "zero_inflated_poisson": "Zero-inflated Poisson regression (how often: logs of rate ratios; never: log odds of "
    "never having an event)",
    "zero_inflated_negative_binomial": "Zero-inflated negative binomial regression (how often: logs of rate ratios; "
    "never: log odds of never having an event)",
}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CountRegression(LikelihoodModel, Result):
    """A fitted regression of counts."""

    picture: ClassVar = staticmethod(
        partial(figures.estimates, xlabel="Change of the log rate (or log odds of never), with interval")
    )


def counts(
    formula: str,
    data: Data,
    *,
    family: CountFamily = "poisson",
    exposure: str | None = None,
    zero: str | None = None,
    covariance: Kind | None = None,
    cluster: str | None = None,
    weights: Weights | str | None = None,
    strata: str | None = None,
    population: Population = None,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> CountRegression:
    """Explain how often something happens, such as the number of posts.

    A coefficient and the constant tell the sum of a level, so levels in which fewer than the threshold have any event
    are put together. How many have none follows where zeros are inflated only; then levels need enough of these, too,
    unless nobody is without an event. Of counts that are 0 or 1 only, both are answers.

    Parameters
    ----------
    formula : str
        Such as `"posts ~ leadership + C(unit)"`; see `regress`. The outcome holds whole numbers from 0 on.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    family : {"poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial"}
        Negative binomial where counts vary more than Poisson expects; zero-inflated where some respondents never have
        an event.
    exposure : str, optional
        Column with the time or chances each respondent had, above 0: rates are per unit of it.
    zero : str, optional
        What goes with never having an event, such as `"~ tenure"` or `"~ 1"`; left out: the terms of the formula, as
        in R zeroinfl.
    covariance, cluster, weights, strata, population, conf_level, min_n
        As in `ordinal`.

    Returns
    -------
    CountRegression
        `rate_ratio` is the factor by which the expected number of events changes for one unit more, `odds_ratio` that
        of the odds of never having an event; `per_sd` the estimate per standard deviation of the driver.

    Raises
    ------
    StudyError
        If the formula or an option cannot be read.
    DataError
        If the outcome is negative, fractional, text or constant, or an exposure is not above 0.
    DisclosureError
        If fewer respondents than the threshold have any event (or none, where zeros are inflated).
    EstimationError
        If terms determine each other, an estimate would be infinite, or counts do not vary enough for the family.

    References
    ----------
    Cameron & Trivedi (2013), Regression Analysis of Count Data; overdispersion: Dean (1992), JASA 87, 451-457. Agrees
    with R `glm(poisson)`, `MASS::glm.nb`, `pscl::zeroinfl`, `sandwich` (tests/reference/event_counts.R).

    Examples
    --------
    >>> people = pd.DataFrame({"x": np.arange(60) % 6, "posts": (np.arange(60) * 7 % 6 + np.arange(60) % 5) // 2})
    >>> counts("posts ~ x", people).tidy()["term"].tolist()
    ['(intercept)', 'x']
    """
    if family not in get_args(CountFamily):
        raise StudyError(f'family = "{family}" is not known. {did_you_mean(str(family), get_args(CountFamily))}')
    if zero is not None and family not in INFLATED:
        raise StudyError(f'zero= is for zero-inflated families, not "{family}". Leave it out, or name another family.')
    request = read_request(
        data, covariance=covariance, cluster=cluster, conf_level=conf_level, min_n=min_n, weights=weights,
        strata=strata, population=population, kinds=SCORED,
    )  # fmt: skip
    parsed, nothing = _parsed(formula, zero, family)
    outcome = _numbers(data, parsed)
    also = [*([exposure] if exposure else []), *(nothing.columns[1:] if nothing else [])]
    design = built(parsed, request, outcome, also=also, by_event=True, by_answer=family in INFLATED)
    request = sized(request, design)
    zeros = _zero_design(nothing, design, outcome, request) if nothing else None
    _refuse_rare(design.y, family, request.policy)
    with one_thread():
        return _fitted(_Asked(parsed, nothing, family, exposure, request), design, zeros)


class _Asked(NamedTuple):
    """What was asked for."""

    parsed: Formula
    nothing: Formula | None
    family: CountFamily
    exposure: str | None
    request: Request


class _Model(NamedTuple):
    """What it was fitted to, and what came out."""

    asked: _Asked
    design: Design
    zeros: Design | None
    log_exposure: Array
    fit: CountFit
    tests: Tests


def _parsed(formula: str, zero: str | None, family: CountFamily) -> tuple[Formula, Formula | None]:
    parsed = parse_formula(formula)
    if parsed.outcome.transform:
        raise StudyError(f"Counts are taken as they are, not as {parsed.outcome.label}. Name the column alone.")
    if not parsed.terms:
        raise StudyError(f'The formula "{formula}" names nothing that could go with the counts. Name a term.')
    if family not in INFLATED:
        return parsed, None
    if zero is None:
        return parsed, parsed
    if not isinstance(zero, str) or not zero.lstrip().startswith("~"):
        raise StudyError('zero= is a formula without an outcome, such as "~ tenure" or "~ 1".')
    nothing = parse_formula(f"`{parsed.outcome.column}` {zero}")
    if not nothing.intercept:
        raise StudyError(f'zero = "{zero}" leaves the constant out, which this model needs. Remove the 0.')
    return parsed, nothing


def _numbers(data: Data, parsed: Formula) -> pd.Series:
    """The outcome, if it holds counts."""
    name, frame = parsed.outcome.column, frame_of(data)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"The data must be a Survey or a DataFrame, not {type(frame).__name__}.")
    if name not in frame:
        raise ColumnError(f'There is no column "{name}". {did_you_mean(name, map(str, frame.columns))}')
    if isinstance(frame[name], pd.DataFrame):
        raise DataError(f'Two columns are called "{name}". Rename one of them.')
    if not pd.api.types.is_numeric_dtype(frame[name].dtype):
        raise DataError(f'The outcome "{name}" is no number. Counts are whole numbers from 0 on: recode it first.')
    given = frame[name].dropna().to_numpy(float)
    if (given < 0).any():
        raise DataError(f'The outcome "{name}" holds negative numbers. Counts are whole numbers from 0 on.')
    if not np.isfinite(given).all() or (given % 1 != 0).any():
        raise DataError(f'The outcome "{name}" holds fractions. Counts are whole numbers: use regress() for amounts.')
    return frame[name].astype(float)


def _zero_design(nothing: Formula, design: Design, outcome: pd.Series, request: Request) -> Design:
    frame = pool_hidden(request.data, nothing.columns).assign(**{nothing.outcome.column: outcome})
    return build_design(
        nothing, frame.loc[design.used], min_level_n=request.policy.min_n, by_event=True, by_answer=True
    )


def _refuse_rare(y: Array, family: CountFamily, policy: Privacy) -> None:
    if not policy.allows((y > 0).sum()) or (family in INFLATED and not policy.allows((y == 0).sum())):
        what = "have an event" if not policy.allows((y > 0).sum()) else "have no event"
        raise DisclosureError(policy.too_few(what) + " Choose another outcome or family.")
    if family in INFLATED and (y > 0).all():
        raise DataError('Everybody has an event, so nobody never has one. Use family="poisson" or "negative_binomial".')


def _log_exposure(asked: _Asked, design: Design) -> Array:
    if asked.exposure is None:
        return np.zeros(len(design.y))
    column = frame_of(asked.request.data).loc[design.used, asked.exposure]
    if not pd.api.types.is_numeric_dtype(column.dtype) or not (np.isfinite(column) & (column > 0)).all():
        raise DataError(f'The exposure "{asked.exposure}" must be a number above 0 for everybody. Correct it.')
    return np.log(column.to_numpy(float))


def _fitted(asked: _Asked, design: Design, zeros: Design | None) -> CountRegression:
    log_exposure, p = _log_exposure(asked, design), design.x.shape[1]
    z = zeros.x.shape[1] if zeros else 0
    refuse_few(len(design.y), p + z + (asked.family in DISPERSED))
    weights = weights_of(asked.request, design.used)
    fit = count_fit(
        design.x, design.y, names=design.names, family=asked.family, offset=log_exposure, weights=weights,
        zero=zeros.x if zeros else None, zero_names=zeros.names if zeros else (),
    )  # fmt: skip
    for part in (design, *([zeros] if zeros else [])):
        refuse_described(part, asked.request.policy)
    parts = [(design, range(p)), *([(zeros, range(z))] if zeros else [])]
    tests = assessed(
        fit, asked.request, parts,
        clusters_of=lambda groups: count_clusters(
            fit, design.x, design.y, groups, offset=log_exposure, zero=zeros.x if zeros else None
        ),
    )  # fmt: skip
    return _result(_Model(asked, design, zeros, log_exposure, fit, tests))


def _table(model: _Model) -> pd.DataFrame:
    fit, design, zeros = model.fit, model.design, model.zeros
    p, q = design.x.shape[1], len(fit.parameters)
    z = zeros.x.shape[1] if zeros else 0
    place, factors = np.arange(q), ratios(fit.parameters)
    columns = {"term": fit.names}
    if zeros:
        columns["category"] = np.select([place < p, place < p + z], [RATE, NEVER], "").tolist()
    columns |= {"estimate": fit.parameters, "rate_ratio": np.where(place < p, factors, np.nan)}
    if zeros:
        columns["odds_ratio"] = np.where((place >= p) & (place < p + z), factors, np.nan)
    columns |= told(fit.parameters, model.tests, model.asked.request.conf_level)
    spreads = [np.where(part.numeric, spread_of(part.x, fit.weights), np.nan) for part in (design, zeros) if part]
    columns["per_sd"] = fit.parameters * np.concatenate([*spreads, np.full(q - p - z, np.nan)])
    return tabled(columns, _reading)


def _reading(row: Mapping[str, object]) -> str:
    if row["term"] in (INTERCEPT, LOG_THETA):
        return ""
    if row.get("category", RATE) == NEVER:
        what = ("never having an event", "having events at all")
        return in_words(row, what, f": odds of never {apa.number(row['odds_ratio'])} times as large")
    return in_words(row, ("more events", "fewer events"), f": {apa.number(row['rate_ratio'])} times as many")


def _summary(model: _Model) -> dict[str, int | float | str]:
    fit, design, asked = model.fit, model.design, model.asked
    null = np.nan
    if asked.family not in INFLATED:
        null = count_fit(
            design.x[:, :1], design.y, names=design.names[:1], family=asked.family, offset=model.log_exposure,
            weights=fit.weights,
        ).log_likelihood  # fmt: skip
    drivers = ~np.isin(fit.names, (INTERCEPT, LOG_THETA))
    more = joint_test(fit, model.tests, asked.request, drivers, null)
    if np.isfinite(null):
        more["r2_mcfadden"] = 1 - fit.log_likelihood / null
    if asked.family == "poisson":
        more["dispersion"] = overdispersion(fit, design.y, len(fit.parameters)).found
    if asked.family in DISPERSED:
        more["theta"] = fit.theta
    return summary_of(fit, design, model.tests, asked.request, more)


def _findings(model: _Model) -> Iterator[Finding]:
    fit, design, family = model.fit, model.design, model.asked.family
    yield from common_findings(fit, design, model.tests, model.asked.request)
    if family == "poisson":
        yield from _spread_findings(model)
    if family not in INFLATED:
        zeros = excess_zeros(fit, design.x, design.y)
        if zeros.p_value < CERTAIN:
            other = "negative_binomial" if family == "poisson" else "zero_inflated_negative_binomial"
            text = (
                f"More have no event than the {apa.share(zeros.expected)} the model expects (p "
                f'{_compared(zeros.p_value)}): compare with family="{other}".'
            )
            yield Finding(name="excess_zeros", text=text)


def _spread_findings(model: _Model) -> Iterator[Finding]:
    """Counts that vary more or less than a Poisson model expects."""
    spread = overdispersion(model.fit, model.design.y, len(model.fit.parameters))
    if spread.p_value >= CERTAIN:
        return
    if spread.statistic > 0:
        text = (
            f"Counts vary {apa.number(spread.found, 1)} times as much as a Poisson model expects (p "
            f"{_compared(spread.p_value)}): classical errors are too small. "
            'Use family="negative_binomial", or covariance="HC0".'
        )
        yield Finding(name="overdispersion", text=text, severity="serious")
    elif model.asked.request.kind == "classical" and not model.asked.request.sampled:
        other = ' The outcome is 0 or 1: use regress(family="logit").' if model.design.y.max() <= 1 else ""
        text = (
            f"Counts vary {apa.number(spread.found)} times as much as a Poisson model expects (p "
            f'{_compared(spread.p_value)}): classical errors are too large. Use covariance="HC0".{other}'
        )
        yield Finding(name="underdispersion", text=text)


def _compared(p: float) -> str:
    written = apa.p_value(p)
    return written if written.startswith("<") else f"= {written}"


def _result(model: _Model) -> CountRegression:
    asked, design, fit = model.asked, model.design, model.fit
    labels = dict(labels_of(asked.request.data))
    outcome = asked.parsed.outcome.column
    exposure = [f"Rates are per unit of {labels.get(asked.exposure, asked.exposure)}"] if asked.exposure else []
    parts = [part for part in (design, model.zeros) if part]
    words = {name: word for part in parts for name, word in labels_of_terms(part, labels).items()}
    return CountRegression(
        title=f"What goes with {labels.get(outcome, outcome)}",
        note=note_of(FAMILIES[asked.family], asked.request, model.tests, design, exposure),
        findings=tuple(_findings(model)),
        labels=labels | words | {LOG_THETA: "Log of theta"},
        privacy=asked.request.policy,
        formulas=(asked.parsed.text, *([asked.nothing.text] if asked.nothing else [])),
        coefficients=_table(model),
        summary=_summary(model),
        ancillary=frozenset((INTERCEPT, LOG_THETA)),
        controls=hidden_controls(design),
        rows=frame_of(asked.request.data).index,
        used=design.used,
        weights=fit.weights,
        matrix=model.tests.covariance,
        family=Events(model.log_exposure),
    )
