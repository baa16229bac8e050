"""Linear and logistic regression with errors that survive unequal variances and clustered respondents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import figures, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, DisclosureError, StudyError, did_you_mean
from smstudy.inference.regression.covariance import NAMES, Kind, check_kind, clustered, robust
from smstudy.inference.regression.design import INTERCEPT, POOLED, Design, build_design
from smstudy.inference.regression.diagnostics import (
    breusch_pagan,
    cooks_distance,
    describes_too_few,
    variance_inflation,
)
from smstudy.inference.regression.formula import Formula, parse_formula
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.logistic import log_likelihood, logistic
from smstudy.inference.threads import one_thread
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result, Rows
from smstudy.survey.dataset import Data, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import NO_GROUP, pool_hidden

Array = NDArray[np.float64]
Family = Literal["linear", "logit"]
FAMILIES: dict[Family, str] = {"linear": "Linear regression", "logit": "Logistic regression (estimates are log odds)"}
FEWEST_CLUSTERS = 6
ENOUGH_CLUSTERS = 40
ENOUGH_RESPONDENTS = 30
ENOUGH_PER_COEFFICIENT = 10
MANY_DROPPED = 0.10
STRONG_COOK = 1.0
STRONG_LEVERAGE = 0.5
UNEQUAL = 0.05
EXACT = 1e-10
ROUNDING = 1e-13
STANDARDIZED_AXIS = "Standard deviations of the outcome per standard deviation of the driver, with interval"
SHOWN = (
    "term", "estimate", "odds_ratio", "std_error", "conf_low", "conf_high", "std_estimate", "statistic", "p_value",
    "vif", "reading",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Regression(Result):
    """A fitted regression.

    Attributes
    ----------
    formula : str
        As it was asked for.
    coefficients : DataFrame
        The tidy table.
    summary : mapping
        What `glance()` gives.
    controls : frozenset of str
        Names of coefficients that are controlled for and neither drawn nor in the short table.
    rows : Index
        Rows of the data.
    used : bool array
        Which of them the model was fitted to.
    fitted, residuals, hat : array, shape (n,)
        One number per row used; on the scale of the outcome (probabilities in a logit).
    matrix : array, shape (p, p)
        Covariance of the coefficients.
    """

    formula: str
    coefficients: pd.DataFrame
    summary: Mapping[str, int | float | str]
    controls: frozenset[str] = frozenset()
    rows: pd.Index
    used: NDArray[np.bool_]
    fitted: Array
    residuals: Array
    hat: Array
    matrix: Array

    picture = staticmethod(figures.estimates)

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient, the constant first."""
        return self.coefficients.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, fit and the test of all terms together."""
        return dict(self.summary)

    def pooling(self) -> Poolable:
        """Coefficients (log odds in a logit), with the residual degrees of freedom also for a logit, as R mice does."""
        table, summary = self.coefficients, self.summary
        clustered = "n_groups" in summary
        fitted, _, more = self.note.partition(". ")
        unknown = table["std_error"].isna().to_numpy()
        return Poolable(
            keys=table[["term"]],
            estimates=table["estimate"].to_numpy(),
            covariance=np.where(unknown[:, None] | unknown, np.nan, self.matrix),
            df_complete=float(summary["n_groups"] - 1 if clustered else summary["df_residual"]),
            scale="log_odds" if "odds_ratio" in table else "identity",
            tested=tuple(term for term in table["term"] if term != INTERCEPT),
            controls=self.controls,
            n=int(summary["n"]),
            title=self.title,
            note=f"{fitted.rpartition(', ')[0]}. {more}".strip(),
        )

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls and columns without a value."""
        columns = [name for name in SHOWN if name in shown and shown[name].notna().any()]
        return shown.loc[~shown["term"].isin(self.controls), columns]

    def augment(self, data: Data) -> Rows:
        """Give the data with `.fitted`, `.resid` and `.hat`, missing where a row was left out.

        Raises
        ------
        DataError
            If these are not the rows the model was fitted to.
        """
        frame = frame_of(data)
        if not frame.index.equals(self.rows):
            raise DataError("augment() needs the data the model was fitted to; these have other rows.")
        added = frame.copy()
        for name, values in ((".fitted", self.fitted), (".resid", self.residuals), (".hat", self.hat)):
            added[name] = np.nan
            added.loc[self.used, name] = values
        return Rows(added)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the drivers with their intervals, in standard deviations where every driver has them."""
        drawn = self.drawn()
        draw = partial(figures.estimates, xlabel=STANDARDIZED_AXIS if self._standardized else "")
        draw = draw if len(drawn) else figures.nothing
        return draw(ax or figures.new_axes(len(drawn)), drawn, labels=self.labels, title=self._caption())

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        return figures.describe(self.drawn(), title=self._caption(), labels=self.labels)

    def drawn(self) -> pd.DataFrame:
        """The drivers, without the constant and what is only controlled for."""
        shown = self.shown()
        drivers = shown[~shown["term"].isin([INTERCEPT, *self.controls])]
        if not self._standardized:
            return drivers
        factor = drivers["std_estimate"] / drivers["estimate"]
        return drivers.assign(**{name: drivers[name] * factor for name in ("estimate", "conf_low", "conf_high")})

    def _caption(self) -> str:
        return f"{self.title} (in standard deviations)" if self._standardized else self.title

    @cached_property
    def _standardized(self) -> bool:
        drivers = self.coefficients[~self.coefficients["term"].isin([INTERCEPT, *self.controls])]
        return "std_estimate" in drivers and bool(drivers["std_estimate"].notna().all())


class _Fit(NamedTuple):
    """What both families have in common; `bread` is the classical covariance."""

    coefficients: Array
    fitted: Array
    residuals: Array
    hat: Array
    influence: Array
    bread: Array
    log_likelihood: float
    sigma: float
    exact: bool


class _Tests(NamedTuple):
    """Standard errors and what follows from them.

    `df` is infinite where the normal distribution is used; `unknown` marks coefficients without a standard error.
    """

    covariance: Array
    errors: Array
    df: float
    n_groups: int
    unknown: NDArray[np.bool_]


class _Model(NamedTuple):
    """What was asked for, what it was fitted to, and what came out."""

    formula: Formula
    family: Family
    kind: Kind
    conf_level: float
    design: Design
    fit: _Fit
    tests: _Tests


def regress(
    formula: str,
    data: Data,
    *,
    family: Family = "linear",
    covariance: Kind | None = None,
    cluster: str | None = None,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Regression:
    """Explain one variable by others.

    Parameters
    ----------
    formula : str
        Such as `"adoption ~ leadership + readiness + C(unit)"`; see `smstudy.inference.regression.formula`. Terms made
        of `C()` alone are controls: estimated, kept in `tidy()`, but not shown or drawn by default.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    family : {"linear", "logit"}
        "logit" needs an outcome of 0 and 1, or of two levels of which the second is modelled.
    covariance : {"classical", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1"}, optional
        Left out: HC3 for a linear model, classical for a logit, CR1 where `cluster` is named.
    cluster : str, optional
        Column of the groups within which respondents resemble each other; tests then use t with G − 1 degrees of
        freedom.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold below which levels are pooled or refused.

    Returns
    -------
    Regression
        `estimate` in units of the outcome per unit of the term (log odds in a logit); `std_estimate` in standard
        deviations; `vif` with a term of several columns as GVIF^(1/df).

    Raises
    ------
    StudyError
        If the formula, family or covariance cannot be read.
    DataError
        If columns are unknown, the outcome does not vary, or there are fewer respondents than coefficients or fewer
        than 6 clusters.
    DisclosureError
        If a coefficient would describe fewer respondents than the threshold.
    EstimationError
        If terms determine each other or a logit is separated.

    References
    ----------
    Agrees with R `lm`, `glm(binomial)`, `sandwich::vcovHC` and `vcovCL`, `car::vif`, `AIC`, `BIC`
    (tests/reference/regression.R). Cluster degrees of freedom: Cameron & Miller (2015), J. Human Resources 50, 317-372.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": range(40), "y": [2 * i + (-1) ** i for i in range(40)]})
    >>> float(regress("y ~ x", frame).tidy()["estimate"][1].round(2))
    2.0
    """
    kind = _check_options(family, covariance, cluster, conf_level)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    parsed = parse_formula(formula)
    frame = pool_hidden(data, parsed.columns)
    design = build_design(parsed, frame, min_level_n=policy.min_n, also=[cluster] if cluster else [])
    _check_design(design, family, formula, policy)
    groups = _clusters(frame_of(data).loc[design.used], cluster)
    with one_thread():
        fit = _linear(design) if family == "linear" else _logit(design)
        _refuse_described(design, fit, policy)
        tests = _test(design, fit, family, kind, groups)
        return _result(_Model(parsed, family, kind, conf_level, design, fit, tests), data, policy)


def _check_options(family: str, covariance: str | None, cluster: str | None, conf_level: float) -> Kind:
    if family not in get_args(Family):
        raise StudyError(f'family = "{family}" is not known. {did_you_mean(str(family), get_args(Family))}')
    if not isinstance(conf_level, (int, float)) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")
    default = "CR1" if cluster else "HC3" if family == "linear" else "classical"
    return check_kind(covariance or default, clustered=bool(cluster))


def _check_design(design: Design, family: Family, formula: str, policy: Privacy) -> None:
    n, p = design.x.shape
    if p == 0:
        raise StudyError(f'The formula "{formula}" leaves nothing to estimate. Name a term, or keep the constant.')
    if n - p < 1:
        raise DataError(
            f"{n} complete rows cannot carry {p} coefficients: at least {p + 1} are needed. Name fewer terms."
        )
    if family == "linear":
        if design.event:
            raise DataError('The outcome has two categories. Use family="logit", or an outcome that is a number.')
        return
    if not np.isin(design.y, (0.0, 1.0)).all():
        raise DataError('A logit needs an outcome of 0 and 1, or of two levels. Recode it, or use family="linear".')
    rarer = min(design.y.sum(), n - design.y.sum())
    if not policy.allows(rarer):
        raise DisclosureError(
            f"Fewer than {policy.min_n} respondents have the rarer outcome; estimates would describe single persons. "
            "Choose another outcome."
        )


def _refuse_described(design: Design, fit: _Fit, policy: Privacy) -> None:
    if describes_too_few(design.x, fit.hat, min_n=policy.min_n):
        raise DisclosureError(
            f"Some coefficients together give the mean of fewer than {policy.min_n} respondents whom nobody resembles. "
            "Merge values by what they mean, or name fewer terms."
        )


def _clusters(complete: pd.DataFrame, cluster: str | None) -> NDArray[np.intp] | None:
    if cluster is None:
        return None
    groups, found = pd.factorize(complete[cluster].astype(object).fillna(NO_GROUP))
    if len(found) < FEWEST_CLUSTERS:
        raise DataError(
            f'"{cluster}" has {len(found)} clusters in the complete rows; cluster-robust errors need at least '
            f"{FEWEST_CLUSTERS}. Leave cluster= out and add C({cluster}) to the formula."
        )
    return groups


def _linear(design: Design) -> _Fit:
    n, p = design.x.shape
    fit = least_squares(design.x, design.y, names=design.names)
    squares = float(fit.residuals @ fit.residuals)
    spread, size = np.linalg.norm(design.y - design.y.mean()), np.linalg.norm(design.y)
    exact = squares <= max(EXACT * spread, ROUNDING * size) ** 2
    likelihood = float("nan") if exact else -n / 2 * (np.log(2 * np.pi * squares / n) + 1)
    variance = squares / (n - p)
    return _Fit(
        coefficients=fit.coefficients,
        fitted=design.y - fit.residuals,
        residuals=fit.residuals,
        hat=fit.hat,
        influence=fit.influence,
        bread=fit.bread * variance,
        log_likelihood=float(likelihood),
        sigma=float(np.sqrt(variance)),
        exact=exact,
    )


def _logit(design: Design) -> _Fit:
    fit = logistic(design.x, design.y, names=design.names)
    return _Fit(
        coefficients=fit.coefficients,
        fitted=fit.fitted,
        residuals=fit.residuals,
        hat=fit.hat,
        influence=fit.influence,
        bread=fit.bread,
        log_likelihood=fit.log_likelihood,
        sigma=1.0,
        exact=False,
    )


def _test(design: Design, fit: _Fit, family: Family, kind: Kind, groups: NDArray[np.intp] | None) -> _Tests:
    n, p = design.x.shape
    if groups is not None:
        matrix = clustered(fit.influence, fit.residuals, groups, kind)
        unknown, n_groups = _without_cluster_error(design, groups), int(groups.max()) + 1
        df = n_groups - 1.0
    else:
        matrix = fit.bread if kind == "classical" else robust(fit.influence, fit.residuals, fit.hat, kind)
        unknown, n_groups = np.zeros(p, dtype=bool), 0
        df = float(n - p) if family == "linear" else float("inf")
    errors = np.zeros(p) if fit.exact else np.sqrt(np.diag(matrix))
    return _Tests(matrix, np.where(unknown, np.nan, errors), df, n_groups, unknown)


def _without_cluster_error(design: Design, groups: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Coefficients that rest on a single cluster; with a level's they are the whole factor's and the constant."""
    alone = np.array([len(np.unique(groups[column != 0])) == 1 for column in design.x.T])
    nested = {name for name, part in design.levels.items() if _has_lone_level(part.codes, groups)}
    whole = np.array([any(level and name in nested for name, level in parts) for parts in design.parts])
    return alone | whole | ((np.array(design.names) == INTERCEPT) & bool(nested))


def _has_lone_level(codes: NDArray[np.intp], groups: NDArray[np.intp]) -> bool:
    pairs = np.unique(np.column_stack([codes, groups]), axis=0)
    return bool((np.bincount(pairs[:, 0]) == 1).any())


def _tidy(model: _Model) -> pd.DataFrame:
    design, fit, tests = model.design, model.fit, model.tests
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(tests.errors > 0, fit.coefficients / tests.errors, np.nan)
    reach = stats.t.isf((1 - model.conf_level) / 2, tests.df) * tests.errors
    table = pd.DataFrame(
        {
            "term": design.names,
            "estimate": fit.coefficients,
            "std_error": tests.errors,
            "statistic": statistic,
            "df": tests.df if np.isfinite(tests.df) else np.nan,
            "p_value": 2 * stats.t.sf(np.abs(statistic), tests.df),
            "conf_low": fit.coefficients - reach,
            "conf_high": fit.coefficients + reach,
        }
    )
    if model.family == "logit":
        table["odds_ratio"] = np.exp(fit.coefficients)
    else:
        spread = np.where(design.numeric, design.x.std(axis=0, ddof=1), np.nan)
        table["std_estimate"] = fit.coefficients * spread / design.y.std(ddof=1)
    table["vif"] = variance_inflation(fit.bread, design.terms)
    table["reading"] = [_reading(row) for row in table.to_dict("records")]
    return table


def _reading(row: Mapping[str, object]) -> str:
    """A coefficient in words: its size by the rule for standardized ones, its direction where that is clear."""
    low, high = row["conf_low"], row["conf_high"]
    if row["term"] == INTERCEPT:
        return ""
    if not np.isfinite([low, high]).all():
        return "cannot tell"
    if low <= 0 <= high:
        return "direction uncertain"
    direction = "positive" if row["estimate"] > 0 else "negative"
    size = row.get("std_estimate", float("nan"))
    return direction if np.isnan(size) else f"{rules.STANDARDIZED.read(abs(size))}, {direction}"


def _summary(model: _Model) -> dict[str, int | float | str]:
    design, fit, tests = model.design, model.fit, model.tests
    n, p = design.x.shape
    parameters = p + (model.family == "linear")
    summary: dict[str, int | float | str] = {"n": n, "n_dropped": design.n_dropped}
    if tests.n_groups:
        summary["n_groups"] = tests.n_groups
    if model.family == "linear":
        summary |= _explained(design, fit)
    summary |= {"df_residual": n - p, **_joint_test(model)}
    if not fit.exact:
        summary["log_likelihood"] = fit.log_likelihood
        summary["aic"] = -2 * fit.log_likelihood + 2 * parameters
        summary["bic"] = -2 * fit.log_likelihood + float(np.log(n)) * parameters
    return {**summary, "covariance": NAMES[model.kind], "conf_level": float(model.conf_level)}


def _explained(design: Design, fit: _Fit) -> dict[str, float]:
    n, p = design.x.shape
    constant = int(INTERCEPT in design.names)
    total = design.y - design.y.mean() if constant else design.y
    unexplained = float(fit.residuals @ fit.residuals / (total @ total))
    return {
        "r_squared": 1 - unexplained,
        "adj_r_squared": 1 - unexplained * (n - constant) / (n - p),
        "sigma": fit.sigma,
    }


def _joint_test(model: _Model) -> dict[str, float]:
    """Test all terms together: Wald F, chi-squared where the normal is used, likelihood ratio in a classical logit."""
    design, fit, tests = model.design, model.fit, model.tests
    tested = np.array(design.names) != INTERCEPT
    q = int(tested.sum())
    if q == 0 or fit.exact or tests.unknown.any() or (tests.n_groups and q >= tests.n_groups):
        return {}
    if model.family == "logit" and model.kind == "classical" and not tested.all():
        odds = np.log(design.y.mean() / (1 - design.y.mean()))
        statistic = 2 * (fit.log_likelihood - log_likelihood(np.full(len(design.y), odds), design.y))
        return {"statistic": float(statistic), "df": q, "p_value": float(stats.chi2.sf(statistic, q))}
    scaled = fit.coefficients[tested] / tests.errors[tested]
    correlation = tests.covariance[np.ix_(tested, tested)] / np.outer(tests.errors[tested], tests.errors[tested])
    wald = float(scaled @ np.linalg.solve(correlation, scaled))
    if np.isinf(tests.df):
        return {"statistic": wald, "df": q, "p_value": float(stats.chi2.sf(wald, q))}
    return {"statistic": wald / q, "df": q, "p_value": float(stats.f.sf(wald / q, q, tests.df))}


def _findings(model: _Model, tidy: pd.DataFrame) -> Iterator[Finding]:
    yield from model.design.findings
    yield from _pooled_findings(model.design)
    yield from _sample_findings(model.design, model.family)
    yield from _cluster_findings(model.design, model.tests)
    yield from _overlap_findings(model.design, tidy)
    yield from _shape_findings(model)


def _sample_findings(design: Design, family: Family) -> Iterator[Finding]:
    n, p = design.x.shape
    if n < ENOUGH_RESPONDENTS:
        yield Finding(
            name="too_little_data",
            text=f"Only {n} respondents have all answers needed; fewer than {ENOUGH_RESPONDENTS} are too little data.",
            severity="serious",
        )
    elif n / p < ENOUGH_PER_COEFFICIENT:
        yield Finding(
            name="few_respondents",
            text=f"{n} respondents for {p} coefficients are fewer than {ENOUGH_PER_COEFFICIENT} each: estimates may "
            "not hold elsewhere.",
        )
    dropped = design.n_dropped / (n + design.n_dropped)
    if dropped > MANY_DROPPED:
        text = f"{dropped:.0%} of the rows were left out because an answer is missing; those who remain may differ."
        yield Finding(name="many_dropped", text=text)
    if family == "logit" and min(design.y.sum(), n - design.y.sum()) / p < ENOUGH_PER_COEFFICIENT:
        yield Finding(
            name="few_events",
            text=f"The rarer outcome occurs fewer than {ENOUGH_PER_COEFFICIENT} times per coefficient: estimates tend "
            "to be too large.",
        )


def _pooled_findings(design: Design) -> Iterator[Finding]:
    """Say where groups that the whole survey hides were counted together before the model saw them."""
    told = any(finding.name == "levels_pooled" for finding in design.findings)
    for name, part in design.levels.items():
        if POOLED in part.names and not told:
            text = f'Small groups of "{name}" are counted together, so that no coefficient tells about few people.'
            yield Finding(name="levels_pooled", text=text, severity="info")


def _cluster_findings(design: Design, tests: _Tests) -> Iterator[Finding]:
    if 0 < tests.n_groups < ENOUGH_CLUSTERS:
        yield Finding(
            name="few_clusters",
            text=f"There are only {tests.n_groups} clusters; with fewer than {ENOUGH_CLUSTERS} the intervals may still "
            "be too narrow.",
        )
    if tests.unknown.any():
        terms = dict.fromkeys(term for term, unknown in zip(design.terms, tests.unknown, strict=True) if unknown)
        yield Finding(
            name="cluster_is_term",
            text=f"No cluster-robust error exists for {join_words(list(terms))}: they rest on a single cluster each.",
        )


def _overlap_findings(design: Design, tidy: pd.DataFrame) -> Iterator[Finding]:
    inflated = dict(zip(design.terms, tidy["vif"], strict=True))
    high = [term for term, vif in inflated.items() if vif >= rules.COLLINEARITY.cuts[0]]
    if high:
        word = rules.COLLINEARITY.read(max(inflated[term] for term in high))
        yield Finding(name="collinearity", text=f"The variance inflation of {join_words(high)} is {word}.")


def _shape_findings(model: _Model) -> Iterator[Finding]:
    if model.fit.exact:
        text = "The terms give the outcome exactly, so there is no error to test against. Is it computed from them?"
        yield Finding(name="perfect_fit", text=text, severity="serious")
        return
    if _strongest(model) > STRONG_COOK:
        text = "At least one respondent alone moves the estimates strongly (Cook's distance above 1)."
        yield Finding(name="influential_respondent", text=text)
    elif model.fit.hat.max() > STRONG_LEVERAGE:
        text = "A coefficient rests on at least one respondent who is far from the others (leverage above 0.5)."
        yield Finding(name="high_leverage", text=text)
    if _spread_unequal(model):
        text = 'Residuals spread more for some respondents than for others: classical errors are off, use "HC3".'
        yield Finding(name="unequal_variances", text=text)


def _strongest(model: _Model) -> float:
    """Largest Cook's distance."""
    design, fit = model.design, model.fit
    spread = fit.sigma if model.family == "linear" else np.sqrt(fit.fitted * (1 - fit.fitted))
    return float(cooks_distance(fit.residuals, fit.hat, spread, design.x.shape[1]).max())


def _spread_unequal(model: _Model) -> bool:
    """Whether classical errors of a linear model were asked for although the Breusch-Pagan test speaks against them."""
    names = model.design.names
    if (model.family, model.kind) != ("linear", "classical") or INTERCEPT not in names or len(names) < 2:
        return False
    return breusch_pagan(model.design.x, model.fit.residuals, names=names) < UNEQUAL


def _result(model: _Model, data: Data, policy: Privacy) -> Regression:
    design, fit = model.design, model.fit
    labels = dict(labels_of(data))
    tidy = _tidy(model)
    hidden = _hidden(design)
    outcome = model.formula.outcome.label
    return Regression(
        title=f"What goes with {labels.get(outcome, outcome)}",
        note=_note(model, labels, hidden=bool(hidden)),
        findings=tuple(_findings(model, tidy)),
        labels=labels | _labels(design, labels),
        privacy=policy,
        formula=model.formula.text,
        coefficients=tidy,
        summary=_summary(model),
        controls=hidden,
        rows=frame_of(data).index,
        used=design.used,
        fitted=fit.fitted,
        residuals=fit.residuals,
        hat=fit.hat,
        matrix=np.zeros_like(model.tests.covariance) if fit.exact else model.tests.covariance,
    )


def _hidden(design: Design) -> frozenset[str]:
    """Names of coefficients that are controlled for; none if there is nothing else to show."""
    pairs = list(zip(design.names, design.terms, strict=True))
    if all(term in design.controls or term == INTERCEPT for _, term in pairs):
        return frozenset()
    return frozenset(name for name, term in pairs if term in design.controls)


def _note(model: _Model, labels: Mapping[str, str], *, hidden: bool) -> str:
    design, df = model.design, model.tests.df
    distribution = "normal distribution" if np.isinf(df) else f"t with {df:.0f} degrees of freedom"
    parts = [f"{FAMILIES[model.family]}, {NAMES[model.kind]} standard errors, {distribution}"]
    if model.conf_level != 0.95:
        parts.append(f"Intervals are {model.conf_level:.0%} intervals")
    if design.event:
        parts.append(f'Modelled is the outcome "{design.event}"')
    compared = [f'{labels.get(name, name)} with "{part.names[part.reference]}"' for name, part in design.levels.items()]
    if compared and INTERCEPT in design.names and not hidden:
        parts.append(f"Levels are compared: {join_words(compared)}")
    if hidden:
        names = [term.removeprefix("C(").removesuffix(")") for term in sorted(design.controls)]
        parts.append(f"Controlled for, not shown: {join_words([labels.get(name, name) for name in names])}")
    return ". ".join(parts) + "."


def _labels(design: Design, labels: Mapping[str, str]) -> dict[str, str]:
    """Words for coefficients: "Department: Sales" for a level, parts joined by × for an interaction."""
    words = {}
    for name, parts in zip(design.names, design.parts, strict=True):
        spelled = [labels.get(part, part) + (f": {level}" if level else "") for part, level in parts]
        words[name] = " × ".join(spelled)
    return words | {INTERCEPT: "Constant"}
