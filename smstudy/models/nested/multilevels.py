"""Multilevel models: respondents in teams, whose level and whose effects of drivers may differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from smstudy.display import figures, rules, tables
from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, DisclosureError, StudyError, did_you_mean
from smstudy.inference.psychometrics.intraclass import grouped_correlation
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.diagnostics import describes_too_few, variance_inflation
from smstudy.inference.regression.formula import Formula, parse_formula
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.mixed import MixedFit, mixed_model
from smstudy.inference.regression.random_effects import (
    UNKNOWN,
    Spread,
    boundary_p,
    correlations,
    explained_shares,
    standard_deviations,
)
from smstudy.inference.regression.random_logit import RandomLogit, random_logit
from smstudy.inference.threads import one_thread
from smstudy.models.nested.teams import (
    WITHIN,
    TeamDeviations,
    Teams,
    TeamVariances,
    check_group,
    check_level,
    check_rows,
    closed_teams,
    deviation_rows,
    hidden_finding,
    teams_of,
    variance_rows,
)
from smstudy.models.regressions.likelihood_models import hidden_controls, labels_of_terms
from smstudy.models.regressions.readings import CROSSED, POINT, contexts, size_words
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import pool_hidden, pooled_column

Array = NDArray[np.float64]
Method = Literal["REML", "ML"]
Family = Literal["linear", "logit"]
LOGISTIC_VARIANCE = np.pi**2 / 3
ENOUGH_TEAMS = 10
ENOUGH_RESPONDENTS = 30
MANY_DROPPED = 0.10
ENOUGH_PER_COEFFICIENT = 10
EFFECT_NODES = 15
MOST_ALONE = 0.5
UNEQUAL = 1.0
SHIFTED = ("center", "scale")
SHOWN = (
    "term", "estimate", "odds_ratio", "std_error", "conf_low", "conf_high", "std_estimate", "statistic", "df",
    "p_value", "reading",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Multilevel(Result):
    """A fitted multilevel model.

    Attributes
    ----------
    formula : str
        Fixed effects as they were asked for.
    coefficients : DataFrame
        The tidy table.
    summary : mapping
        What `glance()` gives.
    controls : frozenset of str
        Coefficients that are neither drawn nor in the short table.
    rows : Index
        Rows of the data.
    used : bool array
        Which of them the model was fitted to.
    variances : TeamVariances
        How far teams differ, with tests.
    teams : TeamDeviations
        How far each team that may be shown is from the average one.
    matrix : array, shape (p, p)
        Covariance of the coefficients.
    """

    formula: str
    coefficients: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    controls: frozenset[str] = frozenset()
    rows: pd.Index = field(repr=False)
    used: NDArray[np.bool_] = field(repr=False)
    variances: TeamVariances
    teams: TeamDeviations
    matrix: Array

    picture: ClassVar = staticmethod(figures.estimates)

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient, the constant first."""
        return self.coefficients.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, likeness of members, explained variance and fit."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls and columns without a value."""
        columns = [name for name in SHOWN if name in shown and shown[name].notna().any()]
        return tables.ratios_with_intervals(shown.loc[~shown["term"].isin(self.controls), columns])

    def drawn(self) -> pd.DataFrame:
        """The drivers, without the constant and what is only controlled for."""
        drawn = super().drawn()
        return drawn[~drawn["term"].isin([INTERCEPT, *self.controls])]

    def pooling(self) -> Poolable:
        """Coefficients (log odds in a logit) with their degrees of freedom."""
        table = self.coefficients
        return Poolable(
            keys=table[["term"]],
            estimates=table["estimate"].to_numpy(),
            covariance=self.matrix,
            df_complete=table["df"].fillna(np.inf).to_numpy(),
            scale="log_odds" if "odds_ratio" in table else "identity",
            tested=tuple(term for term in table["term"] if term != INTERCEPT),
            controls=self.controls,
            n=int(self.summary["n"]),
            title=self.title,
            note=self.note,
        )


class _Request(NamedTuple):
    """What was asked for."""

    formula: Formula
    group: str
    slopes: tuple[str, ...]
    method: Method
    family: Family
    conf_level: float


class _Fit(NamedTuple):
    """What both families have in common; in a logit `residual` is π²/3 and `df` infinite for what varies in teams.

    `modes`, `mode_errors`: the level of teams at the mean of drivers whose effect differs, then these effects.
    """

    coefficients: Array
    covariance: Array
    df: Array
    deviations: Spread
    related: Spread
    random_variance: float
    residual: float
    modes: Array
    mode_errors: Array
    log_likelihood: float
    parameters: int
    tests: list[tuple[float, float, float]]
    singular: bool


class _Model(NamedTuple):
    """Request, data and what came out."""

    request: _Request
    design: Design
    teams: Teams
    fit: _Fit


def multilevel(
    formula: str,
    data: Data,
    *,
    group: str = "unit",
    slopes: Sequence[str] = (),
    method: Method = "REML",
    family: Family = "linear",
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Multilevel:
    """Explain one variable by others when respondents belong to teams.

    The level of the outcome may differ between teams (a random intercept), and the effect of drivers as well.

    Parameters
    ----------
    formula : str
        Fixed effects, such as `"adoption ~ leadership + readiness"`, as in `regress`; `C()` of the group is left out,
        since every team has a level of its own.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    group : str
        Column of the teams. A team may have one respondent.
    slopes : sequence of str
        Drivers of the formula, numbers, whose effect differs between teams; correlated with the level and each other.
        The name of a column is enough where the formula has it centered or scaled.
    method : {"REML", "ML"}
        ML only to compare models whose drivers differ; a logit is always ML.
    family : {"linear", "logit"}
        "logit" needs an outcome of 0 and 1, or of two levels of which the second is modelled, and has no slopes.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold below which levels are pooled or refused and teams are not shown.

    Returns
    -------
    Multilevel
        Coefficients with Satterthwaite degrees of freedom (in a logit normal; for the constant and what is the same for
        a whole team t with teams less such terms), read as those of `regress`; `variances` and `teams` are results of
        their own, the latter with the level of teams at the mean of drivers whose effect differs. `glance()` has ICC(1)
        and ICC(2) of the outcome as R multilevel, below 0 where members of a team differ more than strangers; ICC(1) of
        what drivers leave is in `nesting`, rWG(J) in `agreement`.

    Raises
    ------
    StudyError
        If the formula or an option cannot be read, or a slope is not in the formula.
    DataError
        If columns are unknown, there are too few teams, every team has one respondent, or the outcome does not vary.
    DisclosureError
        If a coefficient would describe fewer respondents than the threshold.
    EstimationError
        If terms determine each other, a logit is separated, or the steps do not settle.

    References
    ----------
    Agrees with R `lme4::lmer`, `lmerTest`, `lme4::glmer(nAGQ = 25)`, `nlme::intervals` (tests/reference/multilevel.R).
    Explained variance: Nakagawa & Schielzeth (2013), Johnson (2014), Methods in Ecology and Evolution. Few teams:
    McNeish & Stapleton (2016), Educational Psychology Review 28, 295-314; in a logit: Li & Redden (2015), BMC Medical
    Research Methodology 15, 38.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"unit": np.repeat(list("abcdefghijkl"), 20), "x": rng.normal(size=240)})
    >>> frame["y"] = 2 * frame["x"] + np.repeat(rng.normal(size=12), 20) + rng.normal(size=240)
    >>> float(multilevel("y ~ x", frame).tidy()["estimate"][1].round(1))
    2.0
    """
    request = _request(formula, group, slopes, method, family, conf_level)
    check_group(data, group)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    frame = pool_hidden(data, request.formula.columns)
    design = build_design(request.formula, frame, min_level_n=policy.min_n, also=[group])
    teams = teams_of(pooled_column(data, group)[design.used], group)
    _check_design(design, request, policy)
    with one_thread():
        _refuse_described(design, policy)
        z = _random_columns(design, request, teams)
        fit = _logit(design, teams, conf_level) if family == "logit" else _linear(design, z, teams, request)
        return _result(_Model(request, design, teams, fit), data, policy)


def _request(formula: str, group: str, slopes: Sequence[str], method: str, family: str, conf_level: float) -> _Request:
    for name, value, allowed in (("method", method, get_args(Method)), ("family", family, get_args(Family))):
        if value not in allowed:
            raise StudyError(f'{name} = "{value}" is not known. {did_you_mean(str(value), allowed)}')
    check_level(conf_level)
    if isinstance(slopes, str):
        raise StudyError(f'slopes takes a list of names. Write slopes=["{slopes}"].')
    if slopes and family == "logit":
        raise StudyError("A logit can have a random intercept only. Leave slopes= out.")
    parsed = parse_formula(formula).without_control(group)
    if not parsed.intercept:
        raise StudyError("A multilevel model needs the constant, whose level differs between teams. Keep it.")
    if group in parsed.columns:
        raise StudyError(f'"{group}" says which team a respondent belongs to and cannot be a term too. Remove it.')
    written = tuple(_as_written(name, parsed) for name in slopes)
    return _Request(parsed, group, written, method, family, float(conf_level))


def _as_written(name: str, formula: Formula) -> str:
    """A driver as the formula has it: `center(si)` for `si` where that is its only term."""
    own = [term[0] for term in formula.terms if len(term) == 1 and term[0].column == name]
    return own[0].label if len(own) == 1 and own[0].transform in SHIFTED else name


def _check_design(design: Design, request: _Request, policy: Privacy) -> None:
    check_rows(design)
    if request.family == "linear":
        if design.event:
            raise DataError('The outcome has two categories. Use family="logit", or an outcome that is a number.')
        return
    if not np.isin(design.y, (0.0, 1.0)).all():
        raise DataError('A logit needs an outcome of 0 and 1, or of two levels. Recode it, or use family="linear".')
    if not policy.allows(min(design.y.sum(), (1 - design.y).sum())):
        raise DisclosureError(
            f"Fewer than {policy.min_n} respondents have the rarer outcome; estimates would describe single persons. "
            "Choose another outcome."
        )


def _refuse_described(design: Design, policy: Privacy) -> None:
    hat = least_squares(design.x, design.y, names=design.names).hat
    if describes_too_few(design.x, hat, min_n=policy.min_n):
        raise DisclosureError(
            f"Some coefficients together give the mean of fewer than {policy.min_n} respondents whom nobody resembles. "
            "Merge values by what they mean, or name fewer terms."
        )


def _random_columns(design: Design, request: _Request, teams: Teams) -> Array:
    numbers = [name for name, numeric in zip(design.names, design.numeric, strict=True) if numeric]
    for name in request.slopes:
        if name not in numbers:
            raise StudyError(f'slopes names "{name}", which is no number of the formula. {did_you_mean(name, numbers)}')
    if len(set(request.slopes)) < len(request.slopes):
        raise StudyError("slopes names a driver twice. Name each once.")
    chosen = [design.names.index(name) for name in (INTERCEPT, *request.slopes)]
    z = design.x[:, chosen]
    for name, column in zip(request.slopes, z[:, 1:].T, strict=True):
        means = np.bincount(teams.codes, column) / teams.sizes
        if np.abs(column - means[teams.codes]).max() <= 1e-9 * np.abs(column).max():
            raise DataError(
                f'"{name}" does not vary within any team, so its effect cannot differ between teams. '
                "Leave it out of slopes=."
            )
    return z


def _linear(design: Design, z: Array, teams: Teams, request: _Request) -> _Fit:
    reml = request.method == "REML"
    fit = mixed_model(design.x, design.y, z, teams.codes, reml=reml)
    q = z.shape[1]
    middle = np.eye(q)
    middle[0] = z.mean(axis=0)
    return _Fit(
        coefficients=fit.coefficients,
        covariance=fit.covariance,
        df=fit.df,
        deviations=standard_deviations(fit, request.conf_level),
        related=correlations(fit, request.conf_level),
        random_variance=fit.random_variance,
        residual=fit.sigma**2,
        modes=fit.modes @ middle.T,
        mode_errors=np.sqrt(np.einsum("ki,gij,kj->gk", middle, fit.mode_covariances, middle)),
        log_likelihood=fit.log_likelihood,
        parameters=design.x.shape[1] + q * (q + 1) // 2 + 1,
        tests=_tests(fit, design, z, teams.codes, reml=reml),
        singular=fit.singular,
    )


def _tests(
    fit: MixedFit, design: Design, z: Array, codes: NDArray[np.intp], *, reml: bool
) -> list[tuple[float, float, float]]:
    """Statistic, degrees of freedom and p of each random effect: the level without slopes, a slope beside the rest."""
    q = z.shape[1]
    level = fit if q == 1 else mixed_model(design.x, design.y, z[:, :1], codes, reml=reml)
    tests = [_test(level.log_likelihood, fit.log_likelihood_without, 0)]
    for k in range(1, q):
        kept = [j for j in range(q) if j != k]
        less = level if q == 2 else mixed_model(design.x, design.y, z[:, kept], codes, reml=reml)
        tests.append(_test(fit.log_likelihood, less.log_likelihood, q - 1))
    return tests


def _test(larger: float, smaller: float, others: int) -> tuple[float, float, float]:
    statistic = max(2 * (larger - smaller), 0.0)
    return statistic, others + 1.0, boundary_p(statistic, others)


def _logit(design: Design, teams: Teams, conf_level: float) -> _Fit:
    fit = random_logit(design.x, design.y, teams.codes, names=design.names)
    return _Fit(
        coefficients=fit.coefficients,
        covariance=fit.covariance,
        df=_logit_df(design.x, teams.codes),
        deviations=_logit_deviation(fit, conf_level),
        related=Spread(*np.empty((3, 0))),
        random_variance=fit.deviation**2,
        residual=LOGISTIC_VARIANCE,
        modes=fit.modes[:, None],
        mode_errors=fit.mode_errors[:, None],
        log_likelihood=fit.log_likelihood,
        parameters=len(fit.coefficients) + 1,
        tests=[_test(fit.log_likelihood, fit.log_likelihood_without, 0)],
        singular=fit.singular,
    )


def _logit_df(x: Array, codes: NDArray[np.intp]) -> Array:
    """Teams less columns that are the same for all of a team, for these; infinite for what varies within teams."""
    first = np.unique(codes, return_index=True)[1]
    same = (x == x[first[codes]]).all(axis=0)
    return np.where(same, max(len(first) - int(same.sum()), 1), np.inf)


def _logit_deviation(fit: RandomLogit, conf_level: float) -> Spread:
    error = fit.deviation_error / fit.deviation if fit.deviation else np.nan
    reach = np.exp(stats.norm.isf((1 - conf_level) / 2) * (error if error <= UNKNOWN else np.nan))
    return Spread(*np.array([[fit.deviation], [fit.deviation / reach], [fit.deviation * reach]]))


def _tidy(model: _Model) -> pd.DataFrame:
    design, fit = model.design, model.fit
    errors = np.sqrt(np.diag(fit.covariance))
    statistic = fit.coefficients / errors
    reach = stats.t.isf((1 - model.request.conf_level) / 2, fit.df) * errors
    table = pd.DataFrame(
        {
            "term": design.names,
            "estimate": fit.coefficients,
            "std_error": errors,
            "statistic": statistic,
            "df": np.where(np.isfinite(fit.df), fit.df, np.nan),
            "p_value": 2 * stats.t.sf(np.abs(statistic), fit.df),
            "conf_low": fit.coefficients - reach,
            "conf_high": fit.coefficients + reach,
        }
    )
    about = contexts(model.request.formula, design)
    if model.request.family == "logit":
        table["odds_ratio"] = np.exp(fit.coefficients)
        sizes = tuple(_points(model, j) for j in range(len(table)))
    else:
        alone = design.numeric & np.array([not words for words in about])
        shifts = fit.coefficients / design.y.std(ddof=1)
        table["std_estimate"] = shifts * np.where(alone, design.x.std(axis=0, ddof=1), np.nan)
        sizes = size_words(design, table["std_estimate"].to_numpy(), shifts)
    table["reading"] = [_reading(*read) for read in zip(table.to_dict("records"), about, sizes, strict=True)]
    return table


def _reading(row: Mapping[str, object], about: str, size: str) -> str:
    """A coefficient in words: what it is about, or size and direction, where the direction is clear."""
    if row["term"] == INTERCEPT:
        return ""
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return "direction uncertain"
    if about:
        return about
    return ", ".join(word for word in (size, "positive" if row["estimate"] > 0 else "negative") if word)


def _points(model: _Model, place: int) -> str:
    """How much more likely the outcome is for one unit more, or for a level, averaged over respondents and teams."""
    design, fit = model.design, model.fit
    parts = design.parts[place]
    if len(parts) > 1 or any(len(other) > 1 and parts[0][0] in dict(other) for other in design.parts):
        return ""
    line, column = design.x @ fit.coefficients, design.x[:, place]
    own = [j for j, other in enumerate(design.parts) if other[0][0] == parts[0][0]]
    choice = bool(np.isin(column, (0.0, 1.0)).all())
    base = line - design.x[:, own] @ fit.coefficients[own] if choice else line
    change = 100 * (_average(base + fit.coefficients[place], fit) - _average(base, fit))
    return f"{change:+.0f} points".replace("-", "−")


def _average(line: Array, fit: _Fit) -> float:
    """Mean probability over respondents and over teams like those of the model."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(EFFECT_NODES)
    deviation = float(np.sqrt(fit.random_variance))
    means = [expit(line + deviation * node).mean() for node in nodes]
    return float(weights @ means / weights.sum())


def _summary(model: _Model) -> dict[str, int | float | str]:
    request, design, teams, fit = model
    n = len(design.y)
    fixed = float((design.x @ fit.coefficients).var(ddof=1))
    marginal, conditional = explained_shares(fixed, fit.random_variance, fit.residual)
    summary: dict[str, int | float | str] = {
        "n": n,
        "n_dropped": design.n_dropped,
        "n_groups": len(teams.names),
        "r_squared_marginal": marginal,
        "r_squared_conditional": conditional,
    }
    if request.family == "linear":
        alike = grouped_correlation(design.y, teams.codes)
        sigma = float(np.sqrt(fit.residual))
        summary |= {"icc_1_outcome": alike.single, "icc_2": alike.average, "sigma": sigma}
    return {
        **summary,
        "log_likelihood": fit.log_likelihood,
        "aic": -2 * fit.log_likelihood + 2 * fit.parameters,
        "bic": -2 * fit.log_likelihood + float(np.log(n)) * fit.parameters,
        "estimator": "ML" if request.family == "logit" else request.method,
        "conf_level": request.conf_level,
    }


def _findings(model: _Model) -> Iterator[Finding]:
    yield from model.design.findings
    yield from _sample_findings(model)
    yield from _team_findings(model)
    inflated = dict(zip(model.design.terms, variance_inflation(model.fit.covariance, model.design.terms), strict=True))
    high = [term for term, vif in inflated.items() if vif >= rules.COLLINEARITY.cuts[0]]
    if high:
        word = rules.COLLINEARITY.read(max(inflated[term] for term in high))
        yield Finding(name="collinearity", text=f"The variance inflation of {join_words(high)} is {word}.")


def _sample_findings(model: _Model) -> Iterator[Finding]:
    design = model.design
    n, p = design.x.shape
    if n < ENOUGH_RESPONDENTS:
        text = f"Only {n} respondents have all answers needed; fewer than {ENOUGH_RESPONDENTS} are too little data."
        yield Finding(name="too_little_data", text=text, severity="serious")
    dropped = design.n_dropped / (n + design.n_dropped)
    if dropped > MANY_DROPPED:
        text = f"{dropped:.0%} of the rows were left out because an answer is missing; those who remain may differ."
        yield Finding(name="many_dropped", text=text)
    if model.request.family == "logit" and min(design.y.sum(), n - design.y.sum()) / p < ENOUGH_PER_COEFFICIENT:
        text = f"The rarer outcome occurs fewer than {ENOUGH_PER_COEFFICIENT} times per coefficient: estimates tend to "
        yield Finding(name="few_events", text=text + "be too large.")


def _team_findings(model: _Model) -> Iterator[Finding]:
    sizes, fit = model.teams.sizes, model.fit
    if len(sizes) < ENOUGH_TEAMS:
        text = (
            f"There are only {len(sizes)} teams: how far teams differ is hardly known from fewer than {ENOUGH_TEAMS}, "
            "and effects of what is the same for a whole team are uncertain."
        )
        yield Finding(name="few_teams", text=text)
    if fit.singular:
        yield Finding(name="singular_fit", text=_singular(model))
    if sizes.std() / sizes.mean() > UNEQUAL:
        text = "Teams are of very unequal size, so a few large ones decide; degrees of freedom are less exact."
        yield Finding(name="unequal_teams", text=text, severity="info")
    if (sizes == 1).mean() > MOST_ALONE:
        text = "More than half of the teams have one respondent. Does the column really name teams?"
        yield Finding(name="teams_of_one", text=text)


def _singular(model: _Model) -> str:
    """What a fit at the edge says: an estimate of zero is no proof of zero."""
    teams = plural(len(model.teams.sizes), "team")
    if model.fit.random_variance == 0 or not model.request.slopes:
        found = f"the estimated difference between teams is 0, which {teams} cannot prove. Its interval does not exist"
        return f"The fit is singular: {found}; clustered errors, regress(cluster=), stay right either way."
    return (
        f"The fit is singular: one random effect is estimated as 0 or follows from the others, which {teams} cannot "
        "prove. Intervals of the standard deviations do not exist; drop a slope."
    )


def _result(model: _Model, data: Data, policy: Privacy) -> Multilevel:
    labels = {**labels_of(data)}
    labels |= labels_of_terms(model.design, labels)
    outcome = model.request.formula.outcome.label
    hidden = hidden_controls(model.design)
    title = f"What goes with {labels.get(outcome, outcome)}, in teams"
    return Multilevel(
        title=title,
        note=_note(model, labels, hidden=bool(hidden)),
        findings=tuple(_findings(model)),
        labels=labels,
        privacy=policy,
        formula=model.request.formula.text,
        coefficients=_tidy(model),
        summary=_summary(model),
        controls=hidden,
        rows=frame_of(data).index,
        used=model.design.used,
        variances=_variances(model, labels, policy),
        teams=_deviations(model, data, labels, policy),
        matrix=model.fit.covariance,
    )


def _variances(model: _Model, labels: Mapping[str, str], policy: Privacy) -> TeamVariances:
    request, fit = model.request, model.fit
    own = np.append(fit.deviations.estimate[:1] ** 2, fit.residual)
    shares = np.full(len(fit.deviations.estimate), np.nan)
    if not request.slopes:
        shares = (own / own.sum())[: len(shares)]
    names = (INTERCEPT, *request.slopes)
    spoken = labels.get(request.group, request.group)
    tested = ""
    if request.slopes:
        tested = "The level is that where drivers are 0; it is tested without slopes, each slope beside the rest. "
    return TeamVariances(
        title=f"How far teams differ ({spoken})",
        note=f"{tested}Likelihood-ratio tests; a variance cannot be negative, so p is the mean of those of two "
        "chi-squared distributions, df the larger one's. Intervals are Wald's, of log standard deviations and Fisher's "
        "z. Shares: of the variance that drivers leave" + ("" if request.family == "linear" else ", as log odds") + ".",
        findings=tuple(finding for finding in _team_findings(model) if finding.name in ("singular_fit", "few_teams")),
        labels={**labels, INTERCEPT: "Level of teams", WITHIN: "Within teams"},
        privacy=policy,
        rows=variance_rows(names, fit.deviations, fit.related, shares, fit.tests),
        summary={"n": len(model.design.y), "n_groups": len(model.teams.names), "conf_level": request.conf_level},
    )


def _deviations(model: _Model, data: Data, labels: Mapping[str, str], policy: Privacy) -> TeamDeviations:
    request, teams, fit = model.request, model.teams, model.fit
    hidden = closed_teams(data, request.group, teams.names, _people(model), _alike(model), policy.min_n)
    kept = np.flatnonzero(~hidden)
    rows = deviation_rows(
        (INTERCEPT, *request.slopes), [teams.names[i] for i in kept], teams.sizes[kept], fit.modes[kept],
        fit.mode_errors[kept], request.conf_level,
    )  # fmt: skip
    middle = join_words([f"the mean of {labels.get(name, name)}" for name in request.slopes])
    where = f" Levels are those at {middle}." if middle else ""
    return TeamDeviations(
        title=f"Teams beside the average one ({labels.get(request.group, request.group)})",
        note="What the model expects of each team, given its members and drawn towards the average the more the fewer "
        f"they are; intervals take the coefficients as known.{where} Not a ranking: many intervals overlap.",
        findings=hidden_finding(hidden, policy.min_n),
        labels={**labels, INTERCEPT: "Level"},
        privacy=policy,
        rows=rows,
        summary={"n_groups": len(kept), "conf_level": request.conf_level},
    )


def _people(model: _Model) -> NDArray[np.intp]:
    """Respondents of each team, and those who gave each answer where the outcome has two; shape (G, 1 or 3)."""
    y, teams = model.design.y, model.teams
    if not np.isin(y, (y.min(), y.max())).all():
        return teams.sizes[:, None]
    high = np.bincount(teams.codes[y == y.max()], minlength=len(teams.names))
    return np.column_stack([teams.sizes, high, teams.sizes - high])


def _alike(model: _Model) -> NDArray[np.bool_]:
    """Teams whose members all have the same outcome."""
    order = np.argsort(model.teams.codes, kind="stable")
    starts = np.cumsum(model.teams.sizes) - model.teams.sizes
    y = model.design.y[order]
    return np.maximum.reduceat(y, starts) == np.minimum.reduceat(y, starts)


def _logit_distribution(df: Array) -> str:
    fewest = f"t with {df.min():.0f} degrees of freedom (teams less such terms)"
    return f"{fewest} for what is the same for a whole team, else normal distribution"


def _note(model: _Model, labels: Mapping[str, str], *, hidden: bool) -> str:
    request, design = model.request, model.design
    tested = "t with Satterthwaite's degrees of freedom"
    if request.family == "logit":
        tested = f"estimates are log odds in an average team, {_logit_distribution(model.fit.df)}"
    kind = "Logistic" if request.family == "logit" else "Linear"
    method = "ML by adaptive quadrature" if request.family == "logit" else request.method
    differs = ["the level", *(f"the effect of {labels.get(name, name)}" for name in request.slopes)]
    verb = "differs" if len(differs) == 1 else "differ"
    parts = [
        f"{kind} multilevel model ({method}), {tested}",
        f"Between teams ({labels.get(request.group, request.group)}) {verb} {join_words(differs)}",
    ]
    if request.family == "logit":
        parts.append("Points: by how much the probability differs for one unit more, averaged over people and teams")
    if request.conf_level != 0.95:
        parts.append(f"Intervals are {request.conf_level:.0%} intervals")
    if POINT in contexts(request.formula, design):
        parts.append(CROSSED)
    if design.event:
        parts.append(f'Modelled is the outcome "{design.event}"')
    compared = [f'{labels.get(name, name)} with "{part.names[part.reference]}"' for name, part in design.levels.items()]
    if compared and not hidden:
        parts.append(f"Levels are compared: {join_words(compared)}")
    if hidden:
        names = [term.removeprefix("C(").removesuffix(")") for term in sorted(design.controls)]
        parts.append(f"Controlled for, not shown: {join_words([labels.get(name, name) for name in names])}")
    return ". ".join(parts) + "."
