"""Linear, logit and probit regression with errors that survive unequal variances and clustered respondents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import apa, figures, tables
from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError, did_you_mean
from smstudy.inference.linearization import Lonely
from smstudy.inference.regression.covariance import (
    ENOUGH_CLUSTERS,
    FEWEST_CLUSTERS,
    NAMES,
    Kind,
    check_kind,
    clustered_kind,
)
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.diagnostics import describes_too_few, variance_inflation
from smstudy.inference.regression.formula import parse_formula
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import pseudo_r_squared
from smstudy.inference.regression.small_clusters import SmallClusters
from smstudy.inference.regression.wild_bootstrap import MOST_ENUMERATED, N_DRAWS
from smstudy.inference.threads import one_thread
from smstudy.models.regressions.readings import CROSSED, POINT, contexts, size_words
from smstudy.models.regressions.regression_findings import findings_of
from smstudy.models.regressions.regression_fits import Errors, Family, Fit, Model, fit_model, infer, weighted_spread
from smstudy.models.samplings import Population, errors_in_words, refuse_telling, sampling_of
from smstudy.privacy import Privacy
from smstudy.result import Poolable, Result, Rows
from smstudy.survey.dataset import Data, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import NO_GROUP, pool_hidden, pooled_column
from smstudy.survey.weights import Weights

Array = NDArray[np.float64]
FAMILIES: dict[Family, str] = {
    "linear": "Linear regression",
    "logit": "Logistic regression (estimates are log odds)",
    "probit": "Probit regression (estimates are standard deviations of what stands behind the outcome)",
}
STANDARDIZED_AXIS = "Standard deviations of the outcome per standard deviation of the driver, with interval"
SHOWN = (
    "term", "estimate", "odds_ratio", "std_error", "conf_low", "conf_high", "std_estimate", "per_sd", "statistic",
    "df", "p_value", "vif", "reading",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Regression(Result):
    """A fitted regression.

    Attributes
    ----------
    formula : str
        As it was asked for.
    family : {"linear", "logit", "probit"}
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
    weights : array, shape (n,)
        Of the rows used, 1 on average.
    fitted, residuals, hat : array, shape (n,)
        One number per row used; on the scale of the outcome (probabilities in a logit or probit).
    matrix : array, shape (p, p)
        Covariance of the coefficients.
    clusters : SmallClusters, optional
        With CR2 errors: what degrees of freedom follow from.
    """

    formula: str
    family: Family
    coefficients: pd.DataFrame
    summary: Mapping[str, int | float | str]
    controls: frozenset[str] = frozenset()
    rows: pd.Index
    used: NDArray[np.bool_]
    weights: Array
    fitted: Array
    residuals: Array
    hat: Array
    matrix: Array
    clusters: SmallClusters | None = None

    picture = staticmethod(figures.estimates)

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient, the constant first."""
        return self.coefficients.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, fit and the test of all terms together."""
        return dict(self.summary)

    def pooling(self) -> Poolable:
        """Coefficients (log odds in a logit), with the residual degrees of freedom also for a logit, as R mice does.

        Raises
        ------
        EstimationError
            If p and intervals come from the wild bootstrap, which has no degrees of freedom.
        """
        table, summary = self.coefficients, self.summary
        if summary["covariance"] == NAMES["wild"]:
            raise EstimationError('A wild bootstrap cannot be pooled over imputations. Use covariance="CR2".')
        residual = summary["n_groups"] - 1 if "n_groups" in summary else summary["df_residual"]
        fitted, _, more = self.note.partition(". ")
        unknown = table["std_error"].isna().to_numpy()
        return Poolable(
            keys=table[["term"]],
            estimates=table["estimate"].to_numpy(),
            covariance=np.where(unknown[:, None] | unknown, np.nan, self.matrix),
            df_complete=table["df"].fillna(residual).to_numpy(float),
            scale="log_odds" if "odds_ratio" in table else "identity",
            tested=tuple(term for term in table["term"] if term != INTERCEPT),
            controls=self.controls,
            n=int(summary["n"]),
            title=self.title,
            note=f"{fitted.rpartition(', ')[0]}. {more}".strip(),
        )

    def contrast_df(self, contrasts: Array) -> Array:
        """Degrees of freedom of contrasts, rows of shape (p,): with CR2 of each its own, infinite with the normal."""
        if self.clusters is not None:
            return self.clusters.df(contrasts)
        known = self.coefficients["df"].dropna().to_numpy(float)
        return np.full(len(contrasts), known[0] if len(known) else np.inf)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls, columns without a value, and degrees of freedom that the note tells."""
        columns = [name for name in SHOWN if name in shown and shown[name].notna().any()]
        if shown["df"].nunique() < 2:
            columns = [name for name in columns if name != "df"]
        return tables.ratios_with_intervals(shown.loc[~shown["term"].isin(self.controls), columns])

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


def regress(
    formula: str,
    data: Data,
    *,
    family: Family = "linear",
    covariance: Kind | None = None,
    cluster: str | None = None,
    weights: Weights | str | None = None,
    strata: str | None = None,
    population: Population = None,
    lonely: Lonely = "refuse",
    seed: int = 1,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Regression:
    """Explain one variable by others.

    Parameters
    ----------
    formula : str
        Such as `"adoption ~ leadership * readiness + C(unit)"`: columns (odd names in backticks) joined by + - * : **
        and parentheses as in R, `C(x, ref='level')` for categories, and log, log1p, sqrt, square, cube, center and
        scale of one column. Terms made of `C()` alone are controls: estimated, in `tidy()`, but not shown or drawn.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    family : {"linear", "logit", "probit"}
        "logit" and "probit" need an outcome of 0 and 1, or of two levels of which the second is modelled.
    covariance : {"classical", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "wild"}, optional
        Left out: HC3 for a linear model, classical for the others; where `cluster` is named, CR2 below 40 clusters and
        CR1 from there on. CR2 has Satterthwaite's degrees of freedom, each coefficient its own, CR0 and CR1 have
        G − 1. "wild" is CR1 with p and intervals by the wild cluster bootstrap, for linear models only.
    cluster : str, optional
        Column of the groups within which respondents resemble each other, or that were sampled as a whole.
    weights : Weights or str, optional
        From `rake` or `poststratify`, or a column with weights, all above 0. With weights, strata or a population,
        errors are those of a survey (Taylor linearization): each cluster, or respondent, a unit of its stratum; t with
        clusters less strata + 1 less coefficients degrees of freedom.
    strata : str, optional
        Column of the groups that were sampled separately.
    population, lonely
        As in `weighted_means`.
    seed : int
        Of the wild bootstrap with more than 12 clusters; up to 12 all combinations of signs are counted.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold below which levels are pooled or refused.

    Returns
    -------
    Regression
        `estimate` in units of the outcome per unit of the term (log odds in a logit, standard deviations of what stands
        behind the outcome in a probit); `std_estimate` in standard deviations, `per_sd` of the other families per
        standard deviation of the driver, both missing for parts of products and curves; `vif` with a term of several
        columns as GVIF^(1/df). Levels, and drivers of 0 and 1, are read by their difference in standard deviations of
        the outcome.

    Raises
    ------
    StudyError
        If the formula, family or covariance cannot be read.
    DataError
        If columns are unknown, the outcome does not vary, there are fewer respondents than coefficients or fewer
        than 6 clusters, or a weight is missing or not above 0.
    DisclosureError
        If a coefficient would describe fewer respondents than the threshold.
    EstimationError
        If terms determine each other or separate an outcome of two values, or strata and terms leave no degrees of
        freedom.

    References
    ----------
    Agrees with R `lm`, `glm(binomial)` with both links, `sandwich::vcovHC` and `vcovCL`, `car::vif`, `AIC`, `BIC`
    (tests/reference/regression.R), `clubSandwich` (clusters.R) and `survey::svyglm` (weighted_regression.R). Clusters:
    Cameron & Miller (2015), J. Human Resources 50, 317-372; fewer than 40: Pustejovsky & Tipton (2018), J. Business &
    Economic Statistics 36, 672-683; weights: Lumley (2010), Complex Surveys, chapter 5.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": range(40), "y": [2 * i + (-1) ** i for i in range(40)]})
    >>> float(regress("y ~ x", frame).tidy()["estimate"][1].round(2))
    2.0
    """
    sampled = weights is not None or strata is not None or population is not None
    _check_options(family, covariance, cluster, conf_level, seed, sampled=sampled)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    parsed = parse_formula(formula)
    frame = pool_hidden(data, parsed.columns)
    design = build_design(parsed, frame, min_level_n=policy.min_n, also=[cluster] if cluster else [])
    _check_design(design, family, formula)
    groups = _clusters(pooled_column(data, cluster)[design.used]) if cluster else None
    if sampled:
        refuse_telling(weights, list(design.levels))
        names = {"strata": strata or "", "clusters": cluster or "", "population": population}
        sampling = sampling_of(data, weights, **names, lonely=lonely)
        how = Errors(
            "linearized", conf_level, errors_in_words(weights, **names), groups, sampling, weighted=weights is not None
        )
    else:
        kind = covariance or _default_kind(family, groups)
        how = Errors(kind, conf_level, NAMES[kind], groups, seed=seed, reason=_reason(kind, groups, covariance))
    with one_thread():
        fit = fit_model(design, family, how.sampling)
        _refuse_described(design, fit, policy)
        model = Model(parsed, family, how, design, fit, infer(design, fit, family, how))
        return _result(model, data, policy)


def _check_options(
    family: str, covariance: str | None, cluster: str | None, conf_level: float, seed: int, *, sampled: bool
) -> None:
    if family not in get_args(Family):
        raise StudyError(f'family = "{family}" is not known. {did_you_mean(str(family), get_args(Family))}')
    if not isinstance(conf_level, (int, float)) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")
    if not isinstance(seed, int) or seed < 0:
        raise StudyError(f"seed = {seed!r} is no seed. Give a whole number from 0 on, such as 1.")
    if covariance is None:
        return
    check_kind(covariance, clustered=bool(cluster))
    if sampled:
        raise StudyError(
            f'covariance = "{covariance}" does not fit weights, strata or a population: they have errors of their own, '
            "by linearization. Leave covariance= out."
        )
    if covariance == "wild" and family != "linear":
        raise StudyError('covariance = "wild" is for linear models. Leave covariance= out, or name CR2.')


def _default_kind(family: Family, groups: NDArray[np.intp] | None) -> Kind:
    if groups is not None:
        return clustered_kind(int(groups.max()) + 1)
    return "HC3" if family == "linear" else "classical"


def _reason(kind: Kind, groups: NDArray[np.intp] | None, asked: str | None) -> str:
    """Why these errors, where nobody asked for them by name."""
    if groups is None or asked is not None:
        return ""
    return f"{kind} because there are " + (
        f"fewer than {ENOUGH_CLUSTERS} clusters" if kind == "CR2" else f"{ENOUGH_CLUSTERS} clusters or more"
    )


def _check_design(design: Design, family: Family, formula: str) -> None:
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
        raise DataError(f'A {family} needs an outcome of 0 and 1, or of two levels. Recode it, or use family="linear".')


def _refuse_described(design: Design, fit: Fit, policy: Privacy) -> None:
    weighted = np.ptp(fit.weights) > 0
    hat = least_squares(design.x, design.y, names=design.names).hat if weighted else fit.hat
    if describes_too_few(design.x, hat, min_n=policy.min_n):
        raise DisclosureError(
            f"Some coefficients together give the mean of fewer than {policy.min_n} respondents whom nobody resembles. "
            "Merge values by what they mean, or name fewer terms."
        )


def _clusters(column: pd.Series) -> NDArray[np.intp]:
    """Number the clusters of the complete rows from 0; those who do not state theirs are one, as in tables."""
    groups, found = pd.factorize(column.astype(object).fillna(NO_GROUP))
    if len(found) < FEWEST_CLUSTERS:
        raise DataError(
            f'"{column.name}" has {plural(len(found), "cluster")} in the complete rows; cluster-robust errors need at '
            f"least {FEWEST_CLUSTERS}. Leave cluster= out and add C({column.name}) to the formula."
        )
    return groups


def _tidy(model: Model) -> pd.DataFrame:
    design, fit, tests = model.design, model.fit, model.tests
    table = pd.DataFrame(
        {
            "term": design.names,
            "estimate": fit.coefficients,
            "std_error": tests.errors,
            "statistic": tests.statistic,
            "df": tests.df,
            "p_value": tests.p_value,
            "conf_low": tests.conf_low,
            "conf_high": tests.conf_high,
        }
    )
    if model.family == "logit":
        table["odds_ratio"] = np.exp(fit.coefficients)
    about = contexts(model.formula, design)
    alone = design.numeric & np.array([not words for words in about])
    per_sd = fit.coefficients * np.where(alone, weighted_spread(design.x, fit.weights), np.nan)
    sizes = ("",) * len(table)
    if model.family == "linear":
        spread = weighted_spread(design.y, fit.weights)
        table["std_estimate"] = per_sd / spread
        sizes = size_words(design, per_sd / spread, fit.coefficients / spread)
    else:
        table["per_sd"] = per_sd
    table["vif"] = variance_inflation(fit.bread, design.terms)
    table["reading"] = [_reading(*read) for read in zip(table.to_dict("records"), about, sizes, strict=True)]
    return table


def _reading(row: Mapping[str, object], about: str, size: str) -> str:
    """A coefficient in words: what it is about, its size, and its direction where that is clear."""
    low, high = row["conf_low"], row["conf_high"]
    if row["term"] == INTERCEPT:
        return ""
    if not np.isfinite([low, high]).all():
        return "cannot tell"
    if low <= 0 <= high:
        return "direction uncertain"
    if about:
        return about
    if "per_sd" in row:
        more = "more likely" if row["estimate"] > 0 else "less likely"
        return f"{more}: odds {apa.number(row['odds_ratio'])} times as large" if "odds_ratio" in row else more
    direction = "positive" if row["estimate"] > 0 else "negative"
    return f"{size}, {direction}" if size else direction


def _summary(model: Model) -> dict[str, int | float | str]:
    design, fit, tests = model.design, model.fit, model.tests
    n, p = design.x.shape
    sampled = model.how.sampling is not None
    summary: dict[str, int | float | str] = {"n": n, "n_dropped": design.n_dropped}
    if tests.n_groups:
        summary["n_groups"] = tests.n_groups
    if model.family == "linear":
        explained = _explained(design, fit)
        summary |= {"r_squared": explained["r_squared"]} if sampled else explained
    summary |= {"df_residual": int(tests.df[0]) if sampled else n - p, **tests.joint}
    if not (fit.exact or sampled):
        parameters = p + (model.family == "linear")
        summary["log_likelihood"] = fit.log_likelihood
        summary["aic"] = -2 * fit.log_likelihood + 2 * parameters
        summary["bic"] = -2 * fit.log_likelihood + float(np.log(n)) * parameters
        if model.family != "linear" and INTERCEPT in design.names:
            summary |= pseudo_r_squared(fit.log_likelihood, design.y, fit.weights)
    return {**summary, "covariance": model.how.words, "conf_level": float(model.how.conf_level)}


def _explained(design: Design, fit: Fit) -> dict[str, float]:
    n, p = design.x.shape
    constant = int(INTERCEPT in design.names)
    total = design.y - constant * np.average(design.y, weights=fit.weights)
    unexplained = float(fit.weights @ fit.residuals**2 / (fit.weights @ total**2))
    return {
        "r_squared": 1 - unexplained,
        "adj_r_squared": 1 - unexplained * (n - constant) / (n - p),
        "sigma": fit.sigma,
    }


def _result(model: Model, data: Data, policy: Privacy) -> Regression:
    design, fit = model.design, model.fit
    labels = dict(labels_of(data))
    tidy = _tidy(model)
    hidden = _hidden(design)
    outcome = model.formula.outcome.label
    return Regression(
        title=f"What goes with {labels.get(outcome, outcome)}",
        note=_note(model, labels, hidden=bool(hidden)),
        findings=tuple(findings_of(model)),
        labels=labels | _labels(design, labels),
        privacy=policy,
        formula=model.formula.text,
        family=model.family,
        coefficients=tidy,
        summary=_summary(model),
        controls=hidden,
        rows=frame_of(data).index,
        used=design.used,
        weights=fit.weights,
        fitted=fit.fitted,
        residuals=fit.residuals,
        hat=fit.hat,
        matrix=np.zeros_like(model.tests.covariance) if fit.exact else model.tests.covariance,
        clusters=model.tests.clusters,
    )


def _hidden(design: Design) -> frozenset[str]:
    """Names of coefficients that are controlled for; none if there is nothing else to show."""
    pairs = list(zip(design.names, design.terms, strict=True))
    if all(term in design.controls or term == INTERCEPT for _, term in pairs):
        return frozenset()
    return frozenset(name for name, term in pairs if term in design.controls)


def _note(model: Model, labels: Mapping[str, str], *, hidden: bool) -> str:
    design, how = model.design, model.how
    parts = [f"{FAMILIES[model.family]}, {_errors(how)}, {_distribution(model)}"]
    if how.reason:
        parts.append(how.reason)
    if np.ptp(model.fit.weights) > 0:
        parts.append("Respondents count by their weights")
    if how.conf_level != 0.95:
        parts.append(f"Intervals are {how.conf_level:.0%} intervals")
    if POINT in contexts(model.formula, design):
        parts.append(CROSSED)
    if design.event:
        parts.append(f'Modelled is the outcome "{design.event}"')
    compared = [f'{labels.get(name, name)} with "{part.names[part.reference]}"' for name, part in design.levels.items()]
    if compared and INTERCEPT in design.names and not hidden:
        parts.append(f"Levels are compared: {join_words(compared)}")
    if model.tests.joint and model.tests.joint["df"] < sum(name != INTERCEPT for name in design.names):
        parts.append("The test of all together leaves out what is only controlled for")
    if hidden:
        names = [term.removeprefix("C(").removesuffix(")") for term in sorted(design.controls)]
        parts.append(f"Controlled for, not shown: {join_words([labels.get(name, name) for name in names])}")
    return ". ".join(parts) + "."


def _errors(how: Errors) -> str:
    if how.kind == "linearized":
        sampled = how.words.partition(", ")[2]
        return "standard errors by linearization" + (f" ({sampled})" if sampled else "")
    return f"{NAMES['CR1' if how.kind == 'wild' else how.kind]} standard errors"


def _distribution(model: Model) -> str:
    """What p and intervals come from, without a comma."""
    df, n_groups = model.tests.df, model.tests.n_groups
    if model.how.kind == "wild":
        draws = f"all {2**n_groups:,}" if n_groups <= MOST_ENUMERATED else f"{N_DRAWS:,} drawn"
        return f"p and intervals by a wild cluster bootstrap with {draws} combinations of signs"
    known = df[np.isfinite(df) & ~model.tests.unknown]
    if not len(known):
        return "normal distribution"
    low, high = f"{known.min():.1f}", f"{known.max():.1f}"
    if model.how.kind == "CR2":
        return f"t with {low if low == high else f'{low} to {high}'} degrees of freedom (Satterthwaite)"
    return f"t with {known[0]:.0f} degrees of freedom"


def _labels(design: Design, labels: Mapping[str, str]) -> dict[str, str]:
    """Words for coefficients: "Department: Sales" for a level, parts joined by × for an interaction."""
    words = {}
    for name, parts in zip(design.names, design.parts, strict=True):
        spelled = [labels.get(part, part) + (f": {level}" if level else "") for part, level in parts]
        words[name] = " × ".join(spelled)
    return words | {INTERCEPT: "Constant"}
