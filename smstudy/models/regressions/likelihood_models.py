"""What models fitted by maximum likelihood share: how they are asked for, tested, told and pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import rules, tables
from smstudy.display.prose import join_words
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.inference.linearization import Sampling, degrees_of_freedom, linearized_covariance
from smstudy.inference.regression.covariance import (
    ENOUGH_CLUSTERS,
    FEWEST_CLUSTERS,
    NAMES,
    Kind,
    check_kind,
    clustered_kind,
    summed_covariance,
)
from smstudy.inference.regression.design import INTERCEPT, POOLED, Design, build_design
from smstudy.inference.regression.diagnostics import describes_too_few
from smstudy.inference.regression.effects import Family
from smstudy.inference.regression.formula import Formula
from smstudy.inference.regression.likelihoods import Likelihood, leverages
from smstudy.inference.regression.small_clusters import SmallClusters, resting_on_one
from smstudy.models.regressions.regression_findings import first_names, overlap_findings, weight_findings
from smstudy.models.samplings import Population, errors_in_words, refuse_telling, sampling_of
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable
from smstudy.survey.dataset import Data, labels_of, privacy_of
from smstudy.survey.disclosure import NO_GROUP, pool_hidden, pooled_column
from smstudy.survey.weights import Weights

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
CONTRIBUTED: tuple[Kind, ...] = ("classical", "HC0", "HC1", "CR0", "CR1")
SCORED: tuple[Kind, ...] = (*CONTRIBUTED, "CR2")
ENOUGH_RESPONDENTS = 30
ENOUGH_PER_PARAMETER = 10
MANY_DROPPED = 0.10
STRONG = 1.0
STRONG_LEVERAGE = 0.5
ENOUGH_DF = 4
CERTAIN = 0.05


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class LikelihoodModel:
    """A model fitted by maximum likelihood; its classes are also a `Result`.

    Attributes
    ----------
    formulas : tuple of str
        As they were asked for; the second is that of the zero part of a count model.
    coefficients : DataFrame
        The tidy table, one row per parameter.
    summary : mapping
        What `glance()` gives.
    ancillary : frozenset of str
        Terms of thresholds, constants and the like, which are no drivers.
    controls : frozenset of str
        Names of coefficients that are controlled for and neither drawn nor in the short table.
    rows : Index
        Rows of the data.
    used : bool array
        Which of them the model was fitted to.
    weights : array, shape (n,)
        Of the rows used.
    matrix : array, shape (q, q)
        Covariance of the parameters.
    family : Family
        How predictions follow from the parameters.
    outcomes : tuple of str
        Categories of the outcome; empty for events.
    """

    formulas: tuple[str, ...]
    coefficients: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    ancillary: frozenset[str]
    controls: frozenset[str] = frozenset()
    rows: pd.Index = field(repr=False)
    used: NDArray[np.bool_] = field(repr=False)
    weights: Array = field(repr=False)
    matrix: Array = field(repr=False)
    family: Family = field(repr=False)
    outcomes: tuple[str, ...] = ()

    def tidy(self) -> pd.DataFrame:
        """One row per parameter."""
        return self.coefficients.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, fit and the test of all terms together."""
        return dict(self.summary)

    def pooling(self) -> Poolable:
        """Parameters with the residual degrees of freedom, as R mice has it, or those of the clusters."""
        table, summary = self.coefficients, self.summary
        unknown = table["std_error"].isna().to_numpy()
        df = table["df"].min()
        return Poolable(
            keys=table[[name for name in ("term", "category") if name in table]],
            estimates=table["estimate"].to_numpy(),
            covariance=np.where(unknown[:, None] | unknown, np.nan, self.matrix),
            df_complete=float(summary["n"] - len(table) if np.isnan(df) else df),
            tested=tuple(dict.fromkeys(term for term in table["term"] if term not in self.ancillary)),
            controls=self.controls,
            n=int(summary["n"]),
            title=self.title,
            note=self.note,
        )

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls, columns without a value, and degrees of freedom that the note tells."""
        told_by_note = ("df",) if shown["df"].nunique() < 2 else ()
        columns = [name for name in shown if name not in told_by_note and shown[name].notna().any()]
        return tables.ratios_with_intervals(shown.loc[~shown["term"].isin(self.controls), columns])

    def drawn(self) -> pd.DataFrame:
        """The drivers, each with the category it is about."""
        shown = self.shown()
        drivers = shown[~shown["term"].isin([*self.ancillary, *self.controls])]
        return named_by_category(drivers, self.labels)


def named_by_category(rows: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Give rows that are about a category of the outcome its name, so that a picture tells them apart."""
    if "category" not in rows or not rows["category"].fillna("").any():
        return rows
    named = [
        f"{labels.get(term, term)}: {category}" if category else labels.get(term, term)
        for term, category in zip(rows["term"], rows["category"].fillna(""), strict=True)
    ]
    return rows.assign(term=named)


class Request(NamedTuple):
    """What every such model is asked for, checked; `reason` says why these errors where nobody asked for them."""

    data: Data
    kind: Kind
    cluster: str | None
    weights: Weights | str | None
    strata: str | None
    population: Population
    conf_level: float
    policy: Privacy
    by_number: bool = False
    reason: str = ""

    @property
    def sampled(self) -> bool:
        """Whether errors follow from how respondents were sampled."""
        return self.weights is not None or bool(self.strata) or self.population is not None

    @property
    def also(self) -> list[str]:
        """Columns besides the formula in which nothing may be missing."""
        return [self.cluster] if self.cluster and not self.sampled else []

    @property
    def errors(self) -> str:
        """How standard errors are computed, in words."""
        if not self.sampled:
            return NAMES[self.kind]
        return errors_in_words(
            self.weights, strata=self.strata or "", clusters=self.cluster or "", population=self.population
        )


def read_request(
    data: Data,
    *,
    covariance: Kind | None,
    cluster: str | None,
    conf_level: float,
    min_n: int | None,
    weights: Weights | str | None = None,
    strata: str | None = None,
    population: Population = None,
    kinds: Sequence[Kind] = CONTRIBUTED,
) -> Request:
    """Check the options all these models have; where CR2 is among the kinds, `sized` may choose it.

    Raises
    ------
    StudyError
        If the covariance or level is none, or a covariance is asked for beside weights.
    """
    if not isinstance(conf_level, (int, float)) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    if weights is not None or strata or population is not None:
        if covariance is not None:
            raise StudyError(
                "With weights, strata or a population, errors follow from the sampling: leave covariance= out."
            )
        return Request(data, "classical", cluster, weights, strata, population, conf_level, policy)
    kind = check_kind(covariance or ("CR1" if cluster else "classical"), clustered=bool(cluster))
    if kind not in kinds:
        raise StudyError(f'covariance = "{kind}" is for linear and logit models. Here use one of {join_words(kinds)}.')
    by_number = bool(cluster) and covariance is None and "CR2" in kinds
    return Request(data, kind, cluster, None, None, None, conf_level, policy, by_number)


def sized(request: Request, design: Design) -> Request:
    """Choose errors by the number of clusters where nobody asked for any.

    Raises
    ------
    DataError
        If there are fewer than 6 clusters.
    """
    if not request.by_number:
        return request
    kind = clustered_kind(int(groups_of(request, design).max()) + 1)
    count = f"fewer than {ENOUGH_CLUSTERS} clusters" if kind == "CR2" else f"{ENOUGH_CLUSTERS} clusters or more"
    return request._replace(kind=kind, reason=f"{kind} because there are {count}")


def respondents(rows: pd.Index, used: NDArray[np.bool_]) -> pd.Index:
    """The names of the rows a model was fitted to; rows of one name are numbered.

    >>> respondents(pd.Index(["a", "a", "b"]), np.array([True, False, True])).tolist()
    [('a', 0), ('b', 0)]
    """
    again = pd.Series(0, index=rows).groupby(level=0).cumcount()
    return pd.MultiIndex.from_arrays([rows, again])[used]


def built(
    parsed: Formula,
    request: Request,
    outcome: pd.Series,
    *,
    also: Sequence[str] = (),
    by_answer: bool = False,
    by_event: bool = False,
) -> Design:
    """Build the design of a model whose outcome is already numbers; `by_answer` and `by_event` as in `build_design`.

    Raises
    ------
    StudyError, DataError, DisclosureError
        If there is no term or no constant, too few respondents, or a coefficient would describe too few of them.
    """
    if not parsed.intercept:
        raise StudyError(f'The formula "{parsed.text}" leaves the constant out, which this model needs. Remove the 0.')
    frame = pool_hidden(request.data, parsed.columns).assign(**{parsed.outcome.column: outcome})
    design = build_design(
        parsed, frame, min_level_n=request.policy.min_n, also=[*request.also, *also], by_answer=by_answer,
        by_event=by_event,
    )  # fmt: skip
    refuse_telling(request.weights, list(design.levels))
    return design


def refuse_few(n: int, n_parameters: int) -> None:
    """Refuse fewer respondents than a model has parameters."""
    if n - n_parameters < 1:
        raise DataError(
            f"{n} complete rows cannot carry {n_parameters} parameters: at least {n_parameters + 1} are needed. "
            "Name fewer terms."
        )


def refuse_described(design: Design, policy: Privacy) -> None:
    """Refuse a design of full rank from whose coefficients something about too few respondents follows."""
    if describes_too_few(design.x, leverages(design.x), min_n=policy.min_n):
        raise DisclosureError(
            f"Some coefficients together give the mean of fewer than {policy.min_n} respondents whom nobody resembles. "
            "Merge values by what they mean, or name fewer terms."
        )


def weights_of(request: Request, used: NDArray[np.bool_]) -> Array:
    """Weights of the rows used, 1 on average."""
    if not request.sampled:
        return np.ones(int(used.sum()))
    own = _sampling(request).weights[used]
    return own / own.mean()


class Tests(NamedTuple):
    """Covariance of the parameters and what tests need; `df` is infinite where the normal distribution is used.

    `clusters` is there with CR2 and tells the degrees of freedom of tests of several parameters.
    """

    covariance: Array
    df: float | Array
    n_groups: int
    unknown: NDArray[np.bool_]
    clusters: SmallClusters | None = None

    @property
    def errors(self) -> Array:
        """Standard errors, missing where none exists."""
        return np.where(self.unknown, np.nan, np.sqrt(np.diag(self.covariance)))


def assessed(
    fit: Likelihood,
    request: Request,
    parts: Sequence[tuple[Design, Sequence[int]]],
    *,
    clusters_of: Callable[[Codes], SmallClusters] | None = None,
) -> Tests:
    """Estimate the covariance as asked for.

    `parts` are the designs, each with the column that every one of its parameters belongs to, in the order of the
    parameters; those that follow belong to none. `clusters_of` gives the CR2 errors of numbered clusters.

    Raises
    ------
    DataError
        If there are fewer than 6 clusters.
    EstimationError
        If strata and coefficients leave a survey no degrees of freedom.
    """
    design, none = parts[0][0], np.zeros(len(fit.parameters), dtype=bool)
    if request.sampled:
        covariance = sampled_covariance(fit.contributions, request, design.used)
        return Tests(covariance, _sampled_df(request, design, max(part.x.shape[1] for part, _ in parts)), 0, none)
    if request.cluster is None:
        matrix = fit.covariance if request.kind == "classical" else summed_covariance(fit.contributions, request.kind)
        return Tests(matrix, np.inf, 0, none)
    groups = groups_of(request, design)
    n_groups = int(groups.max()) + 1
    unknown = np.concatenate([_in_one_cluster(part, groups)[list(columns)] for part, columns in parts])
    none[: len(unknown)] = unknown
    if request.kind == "CR2":
        clusters = clusters_of(groups)
        return Tests(clusters.covariance, clusters.df(), n_groups, none, clusters)
    return Tests(summed_covariance(fit.contributions, request.kind, groups), n_groups - 1.0, n_groups, none)


def _in_one_cluster(design: Design, groups: Codes) -> NDArray[np.bool_]:
    """Columns whose coefficient rests on a single cluster."""
    lengths = np.linalg.norm(design.x, axis=0)
    basis, root = np.linalg.qr(design.x / lengths)
    return resting_on_one(basis, np.linalg.inv(root), groups)


def sampled_covariance(contributions: Array, request: Request, used: NDArray[np.bool_]) -> Array:
    """Taylor-linearized covariance; respondents who are left out stay in the sample and add nothing."""
    everybody = np.zeros((len(used), contributions.shape[1]))
    everybody[used] = contributions
    return linearized_covariance(everybody, _sampling(request))[0]


def _sampled_df(request: Request, design: Design, n_coefficients: int) -> float:
    """Clusters less strata + 1 less coefficients, as R survey::svyglm and svyolr have it."""
    df = degrees_of_freedom(_sampling(request), design.used) + 1 - n_coefficients
    if df < 1:
        raise EstimationError(
            f"{n_coefficients} coefficients leave no degrees of freedom: the complete rows have too few clusters for "
            "so many strata and terms. Name fewer terms, or put strata together."
        )
    return float(df)


def _sampling(request: Request) -> Sampling:
    return sampling_of(
        request.data,
        request.weights,
        strata=request.strata or "",
        clusters=request.cluster or "",
        population=request.population,
    )


def groups_of(request: Request, design: Design) -> Codes | None:
    """Number of each respondent's cluster; none without clusters.

    Raises
    ------
    DataError
        If there are fewer than 6 clusters.
    """
    if request.cluster is None:
        return None
    complete = pooled_column(request.data, request.cluster)[design.used]
    groups, found = pd.factorize(complete.astype(object).fillna(NO_GROUP))
    if len(found) < FEWEST_CLUSTERS:
        raise DataError(
            f'"{request.cluster}" has {len(found)} clusters in the complete rows; cluster-robust errors need at least '
            f"{FEWEST_CLUSTERS}. Leave cluster= out and add C({request.cluster}) to the formula."
        )
    return groups


def spread_of(values: Array, weights: Array) -> Array:
    """Weighted standard deviations of columns."""
    centered = values - np.average(values, axis=0, weights=weights)
    return np.sqrt(np.average(centered**2, axis=0, weights=weights))


def told(estimates: Array, tests: Tests, conf_level: float) -> dict[str, Array]:
    """Errors, tests and intervals of estimates, as columns."""
    errors = tests.errors
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(errors > 0, estimates / errors, np.nan)
    reach = stats.t.isf((1 - conf_level) / 2, tests.df) * errors
    return {
        "std_error": errors,
        "statistic": statistic,
        "df": np.where(np.isfinite(tests.df), tests.df, np.nan) + np.zeros(len(estimates)),
        "p_value": 2 * stats.t.sf(np.abs(statistic), tests.df),
        "conf_low": estimates - reach,
        "conf_high": estimates + reach,
    }


def wald(estimates: Array, covariance: Array, df: float) -> dict[str, float]:
    """Test that all estimates are zero: chi-squared, or F with few degrees of freedom; empty if there is no test."""
    q = len(estimates)
    errors = np.sqrt(np.diag(covariance))
    if q == 0 or q > df or not (errors > 0).all():
        return {}
    correlation, scaled = covariance / np.outer(errors, errors), estimates / errors
    if np.linalg.matrix_rank(correlation, hermitian=True) < q:
        return {}
    statistic = float(scaled @ np.linalg.solve(correlation, scaled))
    if np.isinf(df):
        return {"statistic": statistic, "df": q, "p_value": float(stats.chi2.sf(statistic, q))}
    return {"statistic": statistic / q, "df": q, "p_value": float(stats.f.sf(statistic / q, q, df))}


def joint_test(
    fit: Likelihood, tests: Tests, request: Request, drivers: NDArray[np.bool_], null: float
) -> dict[str, float]:
    """Test all drivers together: by the likelihood ratio where errors are classical, else by Wald."""
    q = int(drivers.sum())
    if request.kind == "classical" and not request.sampled and np.isfinite(null):
        statistic = 2 * (fit.log_likelihood - null)
        return {"statistic": statistic, "df": q, "p_value": float(stats.chi2.sf(statistic, q))}
    if tests.clusters is None:
        return wald(fit.parameters[drivers], tests.covariance[np.ix_(drivers, drivers)], tests.df)
    if q == 0 or not (tests.errors[drivers] > 0).all():
        return {}
    statistic, left, p_value = tests.clusters.joint_test(fit.parameters, np.eye(len(drivers))[drivers])
    found = {"statistic": statistic, "df": q, "df_denominator": left, "p_value": p_value}
    return {} if np.isnan(p_value) else found


def summary_of(
    fit: Likelihood, design: Design, tests: Tests, request: Request, more: Mapping[str, float]
) -> dict[str, int | float | str]:
    """One line about the whole; information criteria only where the likelihood is one."""
    n, q = len(design.y), len(fit.parameters)
    summary: dict[str, int | float | str] = {"n": n, "n_dropped": design.n_dropped}
    if tests.n_groups:
        summary["n_groups"] = tests.n_groups
    if not request.sampled:
        summary |= {
            "log_likelihood": fit.log_likelihood,
            "aic": -2 * fit.log_likelihood + 2 * q,
            "bic": -2 * fit.log_likelihood + float(np.log(n)) * q,
        }
    return {**summary, **more, "covariance": request.errors, "conf_level": float(request.conf_level)}


def common_findings(fit: Likelihood, design: Design, tests: Tests, request: Request | None = None) -> Iterator[Finding]:
    """What must be known of every such model."""
    yield from design.findings
    announced = any(finding.name == "levels_pooled" for finding in design.findings)
    for name, part in design.levels.items():
        if POOLED in part.names and not announced:
            text = f'Small groups of "{name}" are counted together, so that no coefficient tells about few people.'
            yield Finding(name="levels_pooled", text=text, severity="info")
    yield from _sample_findings(len(design.y), len(fit.parameters), design.n_dropped)
    if request is not None and request.weights is not None:
        yield from weight_findings(_sampling(request).weights)
    yield from _cluster_findings(fit, tests, set(design.names) - {INTERCEPT})
    yield from overlap_findings(design, fit.weights)
    if tests.unknown.any():
        text = "Where no standard error is given, none exists: the coefficient rests on a single cluster."
        yield Finding(name="cluster_is_term", text=text)
    pull = ((fit.scores @ fit.covariance) * fit.scores).sum(axis=1) * fit.weights**2 / len(fit.parameters)
    if pull.max() > STRONG:
        text = "At least one respondent alone moves the estimates strongly (Cook's distance above 1)."
        yield Finding(name="influential_respondent", text=text)
    elif leverages(design.x * np.sqrt(fit.weights)[:, None]).max() > STRONG_LEVERAGE:
        text = "A coefficient rests on at least one respondent who is far from the others (leverage above 0.5)."
        yield Finding(name="high_leverage", text=text)


def _cluster_findings(fit: Likelihood, tests: Tests, drivers: set[str]) -> Iterator[Finding]:
    if 0 < tests.n_groups < ENOUGH_CLUSTERS:
        says = (
            f"with fewer than {ENOUGH_CLUSTERS} the intervals may still be too narrow."
            if tests.clusters is None
            else "errors and tests allow for that, but cannot tell much."
        )
        yield Finding(name="few_clusters", text=f"There are only {tests.n_groups} clusters; {says}")
    few = ~tests.unknown & (tests.df < ENOUGH_DF) & (tests.clusters is not None)
    weak = [name for name in dict.fromkeys(np.array(fit.names)[few]) if name in drivers]
    if weak:
        text = (
            f"So few clusters tell about {join_words(first_names(weak))} that p is rough (fewer than {ENOUGH_DF} "
            "degrees of freedom)."
        )
        yield Finding(name="few_degrees_of_freedom", text=text)


def _sample_findings(n: int, q: int, n_dropped: int) -> Iterator[Finding]:
    if n < ENOUGH_RESPONDENTS:
        text = f"Only {n} respondents have all answers needed; fewer than {ENOUGH_RESPONDENTS} are too little data."
        yield Finding(name="too_little_data", text=text, severity="serious")
    elif n / q < ENOUGH_PER_PARAMETER:
        text = (
            f"{n} respondents for {q} parameters are fewer than {ENOUGH_PER_PARAMETER} each: estimates may not hold "
            "elsewhere."
        )
        yield Finding(name="few_respondents", text=text)
    if n_dropped / (n + n_dropped) > MANY_DROPPED:
        share = n_dropped / (n + n_dropped)
        text = f"{share:.0%} of the rows were left out because an answer is missing; those who remain may differ."
        yield Finding(name="many_dropped", text=text)


def ratios(estimates: Array | float) -> Array | float:
    """What a logarithm is the logarithm of; infinite, without a warning, where it is too large for a number."""
    with np.errstate(over="ignore"):
        return np.exp(estimates)


def tabled(columns: Mapping[str, Sequence], reading: Callable[[Mapping[str, object]], str]) -> pd.DataFrame:
    """Make a table of columns and read every row."""
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return pd.DataFrame({**columns, "reading": [reading(row) for row in rows]})


def in_words(row: Mapping[str, object], what: tuple[str, str], times: str) -> str:
    """A coefficient in words: what becomes more or less, and by what factor; its size where it is standardized."""
    low, high = row["conf_low"], row["conf_high"]
    if not np.isfinite([low, high]).all():
        return "cannot tell"
    if low <= 0 <= high:
        return "direction uncertain"
    size = row.get("std_estimate", np.nan)
    word = "" if np.isnan(size) else f", {rules.STANDARDIZED.read(abs(size))}"
    return f"goes with {what[int(row['estimate'] < 0)]}{times}{word}"


def hidden_controls(design: Design) -> frozenset[str]:
    """Names of coefficients that are controlled for; none if there is nothing else to show."""
    pairs = [pair for pair in zip(design.names, design.terms, strict=True) if pair[0] != INTERCEPT]
    if all(term in design.controls for _, term in pairs):
        return frozenset()
    return frozenset(name for name, term in pairs if term in design.controls)


def note_of(first: str, request: Request, tests: Tests, design: Design, more: Sequence[str] = ()) -> str:
    """How it was computed and what levels are compared with."""
    labels = labels_of(request.data)
    parts = [f"{first}, {request.errors} standard errors, {_distribution(tests)}"]
    parts += [*([request.reason] if request.reason else []), *more]
    if request.conf_level != 0.95:
        parts.append(f"Intervals are {request.conf_level:.0%} intervals")
    compared = [f'{labels.get(name, name)} with "{part.names[part.reference]}"' for name, part in design.levels.items()]
    if compared:
        parts.append(f"Levels are compared: {join_words(compared)}")
    if hidden_controls(design):
        names = [term.removeprefix("C(").removesuffix(")") for term in sorted(design.controls)]
        parts.append(f"Controlled for, not shown: {join_words([labels.get(name, name) for name in names])}")
    return ". ".join(parts) + "."


def _distribution(tests: Tests) -> str:
    """What p and intervals come from."""
    if tests.clusters is None:
        return "normal distribution" if np.isinf(tests.df) else f"t with {tests.df:.0f} degrees of freedom"
    known = tests.df[~tests.unknown & np.isfinite(tests.df)]
    if not len(known):
        return "no test"
    low, high = f"{known.min():.1f}", f"{known.max():.1f}"
    return f"t with {low if low == high else f'{low} to {high}'} degrees of freedom (Satterthwaite)"


def labels_of_terms(design: Design, labels: Mapping[str, str]) -> dict[str, str]:
    """Words for coefficients: "Department: Sales" for a level, parts joined by × for an interaction."""
    words = {}
    for name, parts in zip(design.names, design.parts, strict=True):
        spelled = [labels.get(part, part) + (f": {level}" if level else "") for part, level in parts]
        words[name] = " × ".join(spelled)
    return words | {INTERCEPT: "Constant"}
