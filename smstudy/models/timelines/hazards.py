"""What goes with an earlier or later event, such as adoption: proportional hazards, in continuous or discrete time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import apa, figures, tables
from smstudy.display.prose import join_words
from smstudy.errors import DisclosureError, StudyError, did_you_mean
from smstudy.inference.person_periods import (
    Link,
    discrete_clusters,
    discrete_hazard,
    merged_periods,
    person_periods,
)
from smstudy.inference.regression.covariance import Kind
from smstudy.inference.regression.design import INTERCEPT, Design
from smstudy.inference.regression.formula import Factor, Formula, parse_formula
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import Likelihood
from smstudy.inference.regression.small_clusters import SmallClusters
from smstudy.inference.survival import CoxFit, cox, joined_times
from smstudy.inference.threads import one_thread
from smstudy.models.regressions.likelihood_models import (
    CERTAIN,
    SCORED,
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
    read_request,
    refuse_described,
    refuse_few,
    sized,
    spread_of,
    summary_of,
    tabled,
    told,
)
from smstudy.models.timelines.durations import (
    FEW_TIMES,
    Times,
    any_few,
    declared,
    need_events,
    read_times,
    step_counts,
)
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, frame_of, labels_of

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Model = Literal["cox", "discrete"]
Ties = Literal["efron", "breslow"]
EVENTS_PER_TERM = 10
WORDS = {"cloglog": "complementary log-log link, hazard ratios", "logit": "logit link, odds ratios"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Proportionality(Result):
    """Whether what goes with the event does so alike early and late."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per term, and one for all together."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class HazardModel(Result):
    """What goes with an earlier event.

    Attributes
    ----------
    coefficients : DataFrame
        The tidy table.
    summary : mapping
        What `glance()` gives.
    controls : frozenset of str
        Names of coefficients that are controlled for and neither drawn nor in the short table.
    matrix : array, shape (p, p)
        Covariance of the estimates.
    proportionality : Proportionality, optional
        Of a Cox model: the test whether hazards stay proportional.
    """

    coefficients: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    controls: frozenset[str] = frozenset()
    matrix: Array = field(repr=False)
    proportionality: Proportionality | None = None

    picture: ClassVar = staticmethod(
        partial(figures.estimates, xlabel="Above 0: earlier; log of the ratio per unit of the driver, with interval")
    )

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient."""
        return self.coefficients.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, fit and the test of all terms together."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls, degrees of freedom and columns without a value."""
        columns = [name for name in shown if name != "df" and shown[name].notna().any()]
        return tables.ratios_with_intervals(shown.loc[~shown["term"].isin(self.controls), columns])

    def drawn(self) -> pd.DataFrame:
        """The drivers."""
        shown = super().drawn()
        return shown[~shown["term"].isin(self.controls)]

    def pooling(self) -> Poolable:
        """Coefficients; as many degrees of freedom as respondents less terms, or those of the clusters."""
        table, unknown = self.coefficients, self.coefficients["std_error"].isna().to_numpy()
        df = table["df"].min()
        return Poolable(
            keys=table[["term"]],
            estimates=table["estimate"].to_numpy(),
            covariance=np.where(unknown[:, None] | unknown, np.nan, self.matrix),
            df_complete=float(self.summary["n"] - len(table) if np.isnan(df) else df),
            tested=tuple(table["term"]),
            controls=self.controls,
            n=int(self.summary["n"]),
            title=self.title,
            note=self.note,
        )


class _Asked(NamedTuple):
    """What was asked for."""

    parsed: Formula
    event: str
    model: Model
    link: Link
    ties: Ties
    request: Request


class _Fitted(NamedTuple):
    """What came out: the coefficients, the log-likelihood without them, CR2 errors, and the Cox model if it is one."""

    fit: Likelihood
    null: float
    clusters_of: Callable[[Codes], SmallClusters]
    cox: CoxFit | None
    n_baseline: int


def hazard(
    formula: str,
    data: Data,
    *,
    event: str | None = None,
    model: Model = "cox",
    ties: Ties = "efron",
    link: Link = "cloglog",
    covariance: Kind | None = None,
    cluster: str | None = None,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> HazardModel:
    """Explain how soon something happens.

    Parameters
    ----------
    formula : str
        Such as `"weeks ~ leadership + C(unit)"`, the outcome being how long each person was followed; see `regress`.
    data : Survey or DataFrame
        One row per person; rows with a missing answer in a column needed are left out and counted.
    event : str
        Column that is 1 if it happened at that time, 0 if it had not happened yet (censored), which must be named.
    model : {"cox", "discrete"}
        Cox's proportional hazards, or a hazard per period, for times in few whole steps such as waves or months.
    ties : {"efron", "breslow"}
        How a Cox model handles events at one time.
    link : {"cloglog", "logit"}
        Of a discrete model: hazard ratios, or odds ratios of the event in a period.
    covariance : {"classical", "HC0", "HC1", "CR0", "CR1", "CR2"}, optional
        Left out: classical; where `cluster` is named, CR2 below 40 clusters and CR1 from there on. CR2 has
        Satterthwaite's degrees of freedom, each coefficient its own.
    cluster : str, optional
        Column of the groups within which people resemble each other.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold below which levels are pooled or refused.

    Returns
    -------
    HazardModel
        `estimate` is a log hazard ratio (log odds ratio with the logit link); `.proportionality` tests whether hazards
        stay proportional over time. Everybody counts the same, without survey weights or strata.

    Raises
    ------
    StudyError, DataError
        As `regress` and `survival`.
    DisclosureError
        As `regress` and `survival`; or if few people with one of two values, or of a combination of levels, had the
        event (levels are counted with others where that is enough). With times in 5 steps or fewer also if few had not,
        or if drivers are categories only and few of a group had the event at a step.
    EstimationError
        If terms determine each other, or an estimate would be infinite.

    References
    ----------
    Cox (1972), J. Royal Statistical Society B 34, 187-220; Lin & Wei (1989), JASA 84, 1074-1078. Agrees with R
    `survival::coxph`, `cox.zph`, and with `glm` and `clubSandwich` on person-periods (tests/reference/survival.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=300)})
    >>> frame["week"] = np.ceil(rng.exponential(8 * np.exp(-0.7 * frame["x"])))
    >>> frame = frame.assign(adopted=(frame["week"] <= 12).astype(int), week=frame["week"].clip(upper=12))
    >>> round(hazard("week ~ x", frame, event="adopted").tidy()["estimate"].item(), 1)
    0.7
    """
    request = read_request(
        data, covariance=covariance, cluster=cluster, conf_level=conf_level, min_n=min_n, kinds=SCORED
    )
    event = declared(event)
    for name, value, allowed in (("model", model, Model), ("ties", ties, Ties), ("link", link, Link)):
        if value not in get_args(allowed):
            raise StudyError(f'{name} = "{value}" is not known. {did_you_mean(str(value), get_args(allowed))}')
    asked = _Asked(_parsed(formula, event), event, model, link, ties, request)
    design, times = _design(asked)
    _refuse_few_steps(asked, design, times)
    refuse_few(len(design.y), design.x.shape[1])
    asked = asked._replace(request=sized(request, design))
    with one_thread():
        least_squares(design.x, times.time, names=design.names)  # refuses terms that determine each other
        refuse_described(design, request.policy)
        found = _fit(asked, design, times)
        drivers = design.x.shape[1] - 1
        tests = assessed(found.fit, asked.request, [(design, range(1, drivers + 1))], clusters_of=found.clusters_of)
        return _result(asked, design, times, found, tests)


def _parsed(formula: str, event: str) -> Formula:
    parsed = parse_formula(formula)
    if parsed.outcome.transform:
        raise StudyError(f"Times are taken as they are, not as {parsed.outcome.label}. Name the column alone.")
    if not parsed.terms:
        raise StudyError(f'The formula "{formula}" names no driver. Name one, or use survival() for the curve.')
    if event in parsed.columns:
        raise StudyError(f'"{event}" tells whether the event happened and cannot be a driver. Take it out.')
    return parsed


def _design(asked: _Asked) -> tuple[Design, Times]:
    """Drivers and times; levels in which few had the event are counted with others or refused.

    Errors tell the number of events nearly, and with the size of the level that of the others: of few steps exactly, so
    that there the others must not be few either.
    """
    frame, request, time = frame_of(asked.request.data), asked.request, asked.parsed.outcome.column
    known = read_times(request.data, time, asked.event, also=[])
    need_events(known, request.policy)
    until = frame[time].astype(float) * frame[asked.event].astype(float)  # 0 without the event
    few = len(np.unique(known.time)) <= FEW_TIMES
    design = built(asked.parsed, request, until, by_event=True, by_answer=few)
    rows = frame[design.used]
    times = Times(joined_times(rows[time].to_numpy(float)), rows[asked.event].to_numpy(float), design.used)
    need_events(times, request.policy)
    return design, times


def _refuse_few_steps(asked: _Asked, design: Design, times: Times) -> None:
    """Refuse a model of categories at very few times that gives a table of events by group and time."""
    factors = asked.parsed.factors
    rows = frame_of(asked.request.data)[design.used]
    if len(np.unique(times.time)) > FEW_TIMES or any(not _codes(factor, design, rows).any() for factor in factors):
        return
    if any_few(step_counts(times, _cells(factors, design, rows)), asked.request.policy):
        raise DisclosureError(
            f"Times are {FEW_TIMES} steps or fewer and all drivers are categories, so that the model would tell how "
            f"many of a group had the event at a step, or left, and these are fewer than {asked.request.policy.min_n}. "
            "Give finer times, merge groups by what they mean, or use survival(by=)."
        )


def _cells(factors: Sequence[Factor], design: Design, rows: pd.DataFrame) -> Codes:
    """Number of each person's combination of levels."""
    codes = [_codes(factor, design, rows) for factor in factors]
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].ravel()


def _codes(factor: Factor, design: Design, rows: pd.DataFrame) -> Codes:
    """Number of each person's level or of one of two values; 0 for everybody where a number has more."""
    if factor.column in design.levels:
        return design.levels[factor.column].codes
    codes, found = pd.factorize(rows[factor.column].to_numpy(float))
    return codes if len(found) == 2 else np.zeros(len(codes), dtype=np.intp)


def _fit(asked: _Asked, design: Design, times: Times) -> _Fitted:
    x, names = design.x[:, 1:], design.names[1:]
    if asked.model == "cox":
        found = cox(x, times.time, times.event, names=names, efron=asked.ties == "efron")
        return _Fitted(found.likelihood, found.null_log_likelihood, found.clusters, found, 0)
    rows = person_periods(times.time, times.event)
    baseline = merged_periods(rows, asked.request.policy.min_n)
    fit = discrete_hazard(x, rows, baseline=baseline, names=names, link=asked.link)
    return _Fitted(
        fit.likelihood, fit.null_log_likelihood,
        lambda groups: discrete_clusters(fit, x, rows, groups, link=asked.link), None, int(baseline.max()) + 1,
    )  # fmt: skip


def _result(asked: _Asked, design: Design, times: Times, found: _Fitted, tests: Tests) -> HazardModel:
    labels = dict(labels_of(asked.request.data))
    words = labels | labels_of_terms(design, labels)
    shared = {"labels": words, "privacy": asked.request.policy}
    proportional = None if found.cox is None else _proportionality(found.cox, design, shared)
    findings = (*_findings(found, design, tests, times), *_proportion_findings(proportional))
    summary = summary_of(found.fit, design, tests, asked.request, _more(found, tests, asked, times))
    return HazardModel(
        title=f"What goes with an earlier event: {labels.get(asked.event, asked.event)}",
        note=_note(asked, design, found, tests),
        findings=findings,
        coefficients=_table(asked, design, found.fit, tests),
        summary={name: value for name, value in summary.items() if name != "bic"},
        controls=hidden_controls(design),
        matrix=tests.covariance,
        proportionality=proportional,
        **shared,
    )


def _more(found: _Fitted, tests: Tests, asked: _Asked, times: Times) -> dict[str, float]:
    """The test of all drivers; by Wald where the likelihood without them would tell how many had the event when."""
    drivers = np.ones(len(found.fit.parameters), dtype=bool)
    counts = step_counts(times, np.zeros(len(times.time), dtype=np.intp))
    tells = counts.shape[1] <= FEW_TIMES and any_few(counts, asked.request.policy)
    return joint_test(found.fit, tests, asked.request, drivers, float("nan") if tells else found.null)


def _ratio(asked: _Asked) -> str:
    return "odds_ratio" if asked.model == "discrete" and asked.link == "logit" else "hazard_ratio"


def _table(asked: _Asked, design: Design, fit: Likelihood, tests: Tests) -> pd.DataFrame:
    ratio, x = _ratio(asked), design.x[:, 1:]
    spread = np.where(design.numeric[1:], spread_of(x, fit.weights), np.nan)
    columns = {"term": fit.names, "estimate": fit.parameters, ratio: np.exp(fit.parameters)}
    columns |= told(fit.parameters, tests, asked.request.conf_level)
    columns["per_sd"] = fit.parameters * spread
    return tabled(columns, partial(_reading, ratio=ratio))


def _reading(row: Mapping[str, object], *, ratio: str) -> str:
    what = "odds" if ratio == "odds_ratio" else "chance"
    return in_words(row, ("an earlier event", "a later event"), f": {what} at any time × {apa.number(row[ratio])}")


def _proportionality(fit: CoxFit, design: Design, shared: Mapping[str, object]) -> Proportionality:
    terms = list(dict.fromkeys(term for term in design.terms if term != INTERCEPT))
    places = [[j - 1 for j, own in enumerate(design.terms) if own == term] for term in terms]
    statistic, df, p_value = fit.proportionality(places)
    rows = {"term": [*terms, "all terms"], "statistic": statistic, "df": df, "p_value": p_value}
    words = [term.removeprefix("C(").removesuffix(")") for term in terms]
    labels = dict(shared["labels"]) | dict(zip(terms, (shared["labels"].get(w, w) for w in words), strict=True))
    return Proportionality(
        title="Do hazards stay proportional?",
        note="Score test against the share to whom it happened before; a small p says that a driver matters more early "
        "or more late.",
        rows=pd.DataFrame(rows),
        n=len(fit.time),
        **{**shared, "labels": labels},
    )


def _findings(found: _Fitted, design: Design, tests: Tests, times: Times) -> Iterator[Finding]:
    yield from common_findings(found.fit, design, tests)
    if times.event.sum() < EVENTS_PER_TERM * len(found.fit.parameters):
        text = f"The event happened fewer than {EVENTS_PER_TERM} times per coefficient: estimates tend to be too large."
        yield Finding(name="few_events", text=text)


def _proportion_findings(test: Proportionality | None) -> Iterator[Finding]:
    rows = [] if test is None else test.rows[:-1].to_dict("records")
    named = [test.labels.get(row["term"], row["term"]) for row in rows if row["p_value"] < CERTAIN]
    if named:
        text = (
            f"The hazard ratio of {join_words(named)} changes over time, so that one number is an average. Look at "
            "early and late separately."
        )
        yield Finding(name="hazards_not_proportional", text=text)


def _note(asked: _Asked, design: Design, found: _Fitted, tests: Tests) -> str:
    more = ["Censored people are supposed to be like those followed for longer"]
    if asked.model == "cox":
        first = f"Cox regression (estimates are log hazard ratios; ties: {asked.ties.capitalize()})"
    else:
        first = f"Discrete-time hazard model ({WORDS[asked.link]} as logs)"
        more.append(
            f"Periods have a hazard of their own, neighbors together where fewer than {asked.request.policy.min_n} "
            f"events happened ({found.n_baseline} in all)"
        )
    return note_of(first, asked.request, tests, design, more)
