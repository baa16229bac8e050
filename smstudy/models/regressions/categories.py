"""Outcomes that are categories: ordered answers and choices without an order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import apa, figures
from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, DisclosureError, StudyError, did_you_mean
from smstudy.inference.regression.covariance import Kind, summed_covariance
from smstudy.inference.regression.design import INTERCEPT, Design
from smstudy.inference.regression.effects import Ordered, Unordered
from smstudy.inference.regression.formula import Factor, Formula, parse_formula
from smstudy.inference.regression.likelihoods import Likelihood, null_log_likelihood, pseudo_r_squared
from smstudy.inference.regression.multinomial import multinomial_clusters, multinomial_fit
from smstudy.inference.regression.ordinal import (
    CURVES,
    Link,
    Proportionality,
    ordinal_clusters,
    ordinal_fit,
    proportionality,
)
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
    groups_of,
    hidden_controls,
    in_words,
    joint_test,
    labels_of_terms,
    note_of,
    ratios,
    read_request,
    refuse_described,
    refuse_few,
    sampled_covariance,
    sized,
    spread_of,
    summary_of,
    tabled,
    told,
    weights_of,
)
from smstudy.models.samplings import Population
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of
from smstudy.survey.disclosure import pool_hidden
from smstudy.survey.weights import Weights

Array = NDArray[np.float64]
MOST_ANSWERS = 20
LINKS: dict[Link, str] = {
    "logit": "Ordinal logistic regression (proportional odds; estimates are log odds of a higher answer)",
    "probit": "Ordinal probit regression (estimates are standard deviations of what stands behind the answers)",
}
ORDER = "Answers in order: {}; thresholds stand between them"
CHOICE = 'Multinomial logistic regression (estimates are log odds against "{}")'
ALTERNATIVES = (
    "The model supposes that the odds between two choices do not depend on which other choices there are (independence "
    "of irrelevant alternatives)"
)
HIGHER = ("higher answers", "lower answers")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class OrdinalRegression(LikelihoodModel, Result):
    """A fitted cumulative model: coefficients first, then the thresholds between answers."""

    picture: ClassVar = staticmethod(
        partial(figures.estimates, xlabel="Above 0: higher answers; per unit of the driver, with interval")
    )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class MultinomialRegression(LikelihoodModel, Result):
    """A fitted multinomial logit: one set of coefficients per choice."""

    picture: ClassVar = staticmethod(
        partial(figures.estimates, xlabel="Log odds against the reference, per unit of the driver, with interval")
    )


def ordinal(
    formula: str,
    data: Data,
    *,
    link: Link = "logit",
    covariance: Kind | None = None,
    cluster: str | None = None,
    weights: Weights | str | None = None,
    strata: str | None = None,
    population: Population = None,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> OrdinalRegression:
    """Explain answers that have an order, such as from "disagree" to "agree".

    Parameters
    ----------
    formula : str
        Such as `"agree ~ leadership + C(unit)"`; see `regress`. The outcome holds numbers, is an ordered Categorical,
        or has its order from the codebook.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    link : {"logit", "probit"}
    covariance : {"classical", "HC0", "HC1", "CR0", "CR1", "CR2"}, optional
        Left out: classical; where `cluster` is named, CR2 below 40 clusters and CR1 from there on; linearization with
        weights. CR2 is made of scores and expected information and has Satterthwaite's degrees of freedom, each
        coefficient its own; CR0 and CR1 have G − 1.
    cluster : str, optional
        Column of the groups within which respondents resemble each other. With weights: groups that were sampled as a
        whole.
    weights, strata, population : optional
        How respondents were sampled; see `weighted_means`. Tests use t with clusters less strata less drivers' columns
        degrees of freedom.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold below which levels are pooled or refused.

    Returns
    -------
    OrdinalRegression
        `estimate` is positive where higher answers go with a driver; thresholds ("low|high") as SPSS and R polr print
        them; `std_estimate` in standard deviations of the driver and of what stands behind the answers;
        `p_proportional` tests whether a driver works alike at every step from answer to answer, by the likelihood ratio
        (by Wald where errors are not classical); in `glance()` all drivers together, as SPSS tests parallel lines.

    Raises
    ------
    StudyError
        If the formula or an option cannot be read.
    DataError
        If the outcome has no order, does not vary or has more than 20 answers, or respondents are too few.
    DisclosureError
        If an answer was given by fewer respondents than the threshold, or a coefficient would describe too few.
    EstimationError
        If terms determine each other or tell some answers from others without error.

    References
    ----------
    McCullagh (1980), J. Royal Statistical Society B 42, 109-142; proportional odds: Peterson & Harrell (1990),
    Applied Statistics 39, 205-217; standardized: McKelvey & Zavoina (1975), J. Mathematical Sociology 4, 103-120.
    Agrees with R `MASS::polr`, `ordinal::clm` and its `nominal_test`, `sandwich::vcovCL`, `survey::svyolr`
    (tests/reference/categories.R).

    Examples
    --------
    >>> answers = pd.DataFrame({"x": np.arange(60) % 6, "agree": (np.arange(60) % 6 + np.arange(60) % 7) // 4})
    >>> ordinal("agree ~ x", answers).tidy()["term"].tolist()
    ['x', '0|1', '1|2']
    """
    if link not in LINKS:
        raise StudyError(f'link = "{link}" is not known. {did_you_mean(str(link), get_args(Link))}')
    request = read_request(
        data, covariance=covariance, cluster=cluster, conf_level=conf_level, min_n=min_n, weights=weights,
        strata=strata, population=population, kinds=SCORED,
    )  # fmt: skip
    parsed = parse_formula(formula)
    _need_drivers(parsed)
    answers = ordered_answers(data, parsed.outcome)
    design = built(parsed, request, answers.codes)
    request = sized(request, design)
    y, given = _answered(answers, design, request)
    refuse_few(len(y), design.x.shape[1] + len(given) - 2)
    with one_thread():
        fit = ordinal_fit(
            design.x[:, 1:], y, names=design.names[1:], weights=weights_of(request, design.used), link=link
        )
        refuse_described(design, request.policy)
        columns = [*range(1, design.x.shape[1]), *(0 for _ in given[1:])]
        tests = assessed(
            fit, request, [(design, columns)],
            clusters_of=lambda groups: ordinal_clusters(fit, design.x[:, 1:], y, groups),
        )  # fmt: skip
        return _ordinal_result(_Model(parsed, request, design, answers.words, given, y, fit, tests))


def multinomial(
    formula: str,
    data: Data,
    *,
    reference: str | None = None,
    covariance: Kind | None = None,
    cluster: str | None = None,
    weights: Weights | str | None = None,
    strata: str | None = None,
    population: Population = None,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> MultinomialRegression:
    """Explain a choice among several that have no order, such as the channel a person uses most.

    Parameters
    ----------
    formula : str
        Such as `"channel ~ leadership + C(unit)"`; see `regress`.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    reference : str, optional
        The choice others are compared with; left out: the first, in the order of the codebook, of a Categorical, or of
        the alphabet.
    covariance, cluster, weights, strata, population, conf_level, min_n
        As in `ordinal`.

    Returns
    -------
    MultinomialRegression
        One row per term and choice; `risk_ratio` is the factor by which the odds of the choice against the reference
        change for one unit more, `per_sd` the estimate per standard deviation of the driver.

    Raises
    ------
    StudyError, DataError, DisclosureError, EstimationError
        As in `ordinal`.

    References
    ----------
    McFadden (1974), in Frontiers in Econometrics, 105-142. Agrees with R `nnet::multinom` after more of its steps, and
    with the sandwich by hand (tests/reference/categories.R).

    Examples
    --------
    >>> people = pd.DataFrame({"x": np.arange(60) % 6, "tool": list("abcbca" * 5 + "bacabc" * 5)})
    >>> multinomial("tool ~ x", people).tidy()[["term", "category"]].values.tolist()
    [['(intercept)', 'b'], ['x', 'b'], ['(intercept)', 'c'], ['x', 'c']]
    """
    request = read_request(
        data, covariance=covariance, cluster=cluster, conf_level=conf_level, min_n=min_n, weights=weights,
        strata=strata, population=population, kinds=SCORED,
    )  # fmt: skip
    parsed = parse_formula(formula)
    _need_drivers(parsed)
    answers = _referenced(unordered_answers(data, parsed.outcome), parsed.outcome.column, reference)
    design = built(parsed, request, answers.codes, by_answer=True)
    request = sized(request, design)
    y, given = _answered(answers, design, request)
    if reference is not None and given[0] != reference:
        raise DataError(f'Nobody with all answers needed chose "{reference}". Name another reference=.')
    p, r = design.x.shape[1], len(given) - 1
    refuse_few(len(y), p * r)
    with one_thread():
        fit = multinomial_fit(design.x, y, names=design.names, weights=weights_of(request, design.used))
        refuse_described(design, request.policy)
        tests = assessed(
            fit, request, [(design, list(range(p)) * r)],
            clusters_of=lambda groups: multinomial_clusters(fit, design.x, groups),
        )  # fmt: skip
        return _multinomial_result(_Model(parsed, request, design, answers.words, given, y, fit, tests))


class Answers(NamedTuple):
    """Number of each respondent's answer (missing as NaN) and the words for the numbers."""

    codes: pd.Series
    words: tuple[str, ...]


def ordered_answers(data: Data, outcome: Factor) -> Answers:
    """Read the order of answers from numbers, an ordered Categorical or the codebook.

    Raises
    ------
    DataError
        If there is no such column, or it is text without an order.
    """
    column = _outcome_column(data, outcome)
    declared = _declared(data, outcome.column)
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        return _coded(column, list(column.cat.categories), [str(value) for value in column.cat.categories])
    if pd.api.types.is_numeric_dtype(column.dtype):
        words = {float(value): label for value, label in declared.items() if _is_number(value)}
        if words and set(column.dropna().astype(float)) <= set(words):
            values = sorted(words)
            return _coded(column.astype(float), values, [words[value] for value in values])
        values = sorted(column.dropna().unique().tolist())
        return _coded(column, values, [f"{value:.6g}" for value in values])
    labels = list(dict.fromkeys(declared.values()))
    if labels and set(column.dropna()) <= set(labels):
        return _coded(column, labels, labels)
    raise DataError(
        f'The outcome "{outcome.column}" is text without an order. Give it one: an ordered pandas Categorical, '
        "categories in the codebook, or numbers."
    )


def unordered_answers(data: Data, outcome: Factor) -> Answers:
    """Read choices; their order tells only which comes first.

    Raises
    ------
    DataError
        If there is no such column, or it holds dates or the like.
    """
    column = _outcome_column(data, outcome)
    if pd.api.types.is_numeric_dtype(column.dtype) or not isinstance(column.dtype, pd.CategoricalDtype):
        labels = list(dict.fromkeys(_declared(data, outcome.column).values()))
        if pd.api.types.is_numeric_dtype(column.dtype) or (labels and set(column.dropna()) <= set(labels)):
            return ordered_answers(data, outcome)
        if not all(isinstance(value, (str, bool)) for value in column.dropna()):
            raise DataError(f'The outcome "{outcome.column}" holds values that are no text and no numbers. Recode it.')
        values = sorted(column.dropna().unique().tolist(), key=str)
        return _coded(column, values, [str(value) for value in values])
    return _coded(column, list(column.cat.categories), [str(value) for value in column.cat.categories])


def _referenced(answers: Answers, name: str, reference: str | None) -> Answers:
    """Put the reference first."""
    if reference is None:
        return answers
    if reference not in answers.words:
        raise DataError(f'"{name}" has no answer "{reference}". {did_you_mean(str(reference), answers.words)}')
    place = answers.words.index(reference)
    codes = answers.codes.where(answers.codes > place, answers.codes + 1).mask(answers.codes == place, 0.0)
    words = (reference, *(word for word in answers.words if word != reference))
    return Answers(codes.where(answers.codes.notna()), words)


def _outcome_column(data: Data, outcome: Factor) -> pd.Series:
    if outcome.transform:
        raise StudyError(f'The outcome is a category, not {outcome.label}. Write "{outcome.column} ~ ...".')
    frame = frame_of(data)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"The data must be a Survey or a DataFrame, not {type(frame).__name__}.")
    if outcome.column not in frame:
        hint = did_you_mean(outcome.column, map(str, frame.columns))
        raise ColumnError(f'There is no column "{outcome.column}". {hint}')
    column = pool_hidden(data, [outcome.column])[outcome.column]
    if isinstance(column, pd.DataFrame):
        raise DataError(f'Two columns are called "{outcome.column}". Rename one of them.')
    return column


def _declared(data: Data, name: str) -> dict[str, str]:
    """Codes and labels of a variable's categories in the codebook; none for a frame."""
    if not isinstance(data, Survey):
        return {}
    variable = next((variable for variable in data.codebook.variables if variable.name == name), None)
    if variable is None or isinstance(variable.categories, str):
        return {}
    return {str(category.value): category.label for category in variable.categories}


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _coded(column: pd.Series, values: list, words: list[str]) -> Answers:
    codes = pd.Index(values).get_indexer(column).astype(float)
    return Answers(pd.Series(np.where(codes >= 0, codes, np.nan), index=column.index), tuple(words))


def _need_drivers(parsed: Formula) -> None:
    if not parsed.terms:
        raise StudyError(f'The formula "{parsed.text}" names nothing that could go with the outcome. Name a term.')


def _answered(answers: Answers, design: Design, request: Request) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """The answers that were given by complete rows, numbered from 0 without a gap.

    Raises
    ------
    DataError
        If there are too many.
    DisclosureError
        If fewer respondents than the threshold gave one of them.
    """
    found, y, counts = np.unique(design.y.astype(int), return_inverse=True, return_counts=True)
    if len(found) > MOST_ANSWERS:
        raise DataError(
            f"The outcome has {len(found)} different values; at most {MOST_ANSWERS} can be answers. Use regress(), or "
            "merge values."
        )
    if not all(request.policy.allows(count) for count in counts):
        raise DisclosureError(
            f"Fewer than {request.policy.min_n} respondents gave one of the answers; estimates would describe "
            "single persons. Merge answers by what they mean."
        )
    return y, tuple(answers.words[place] for place in found)


class _Model(NamedTuple):
    """What was asked for, what it was fitted to, and what came out; `words` of all answers, `given` of those given."""

    parsed: Formula
    request: Request
    design: Design
    words: tuple[str, ...]
    given: tuple[str, ...]
    y: NDArray[np.intp]
    fit: Likelihood
    tests: Tests


def _ordinal_result(model: _Model) -> OrdinalRegression:
    request, design, fit = model.request, model.design, model.fit
    labels = dict(labels_of(request.data))
    thresholds = _thresholds(model.given)
    parallel = _parallel(model)
    table = _ordinal_table(model, thresholds, parallel)
    outcome = model.parsed.outcome.column
    return OrdinalRegression(
        title=f"What goes with {labels.get(outcome, outcome)}",
        note=note_of(LINKS[fit.link], request, model.tests, design, [ORDER.format(", ".join(model.given))]),
        findings=tuple(_ordinal_findings(model, parallel)),
        labels=labels | labels_of_terms(design, labels),
        privacy=request.policy,
        formulas=(model.parsed.text,),
        coefficients=table,
        summary=_ordinal_summary(model, parallel),
        ancillary=frozenset(thresholds),
        controls=hidden_controls(design),
        rows=frame_of(request.data).index,
        used=design.used,
        weights=fit.weights,
        matrix=model.tests.covariance,
        family=Ordered(fit.n_thresholds, fit.link),
        outcomes=model.given,
    )


def _thresholds(given: tuple[str, ...]) -> list[str]:
    return [f"{lower}|{upper}" for lower, upper in zip(given[:-1], given[1:], strict=True)]


def _ordinal_table(model: _Model, thresholds: list[str], parallel: Mapping[str, Proportionality]) -> pd.DataFrame:
    design, fit = model.design, model.fit
    none = np.full(fit.n_thresholds, np.nan)
    spread = np.where(design.numeric[1:], spread_of(design.x[:, 1:], fit.weights), np.nan)
    latent = spread_of((design.x[:, 1:] @ fit.coefficients)[:, None], fit.weights) ** 2 + CURVES[fit.link].variance
    columns = {"term": [*design.names[1:], *thresholds], "estimate": fit.parameters}
    if fit.link == "logit":
        columns["odds_ratio"] = np.append(ratios(fit.coefficients), none)
    columns |= told(fit.parameters, model.tests, model.request.conf_level)
    columns["std_estimate"] = np.append(fit.coefficients * spread / np.sqrt(latent), none)
    chances = [parallel[term].p_value if term in parallel else np.nan for term in design.terms[1:]]
    columns["p_proportional"] = np.append(chances, none)
    return tabled(columns, lambda row: "" if row["term"] in thresholds else _ordinal_reading(row, fit.link))


def _ordinal_reading(row: Mapping[str, object], link: Link) -> str:
    return in_words(row, HIGHER, _times(row["estimate"]) if link == "logit" else "")


def _times(estimate: float) -> str:
    """By what factor the odds of what is named are larger."""
    return f": odds {apa.number(ratios(abs(estimate)))} times as large"


def _parallel(model: _Model) -> dict[str, Proportionality]:
    """The test of every driver, and of all together under an empty name; controls are not tested."""
    design, tests = model.design, model.tests
    terms = [term for term in dict.fromkeys(design.terms[1:]) if term not in design.controls]
    columns = [[j for j, own in enumerate(design.terms[1:]) if own == term] for term in terms]
    if model.fit.n_thresholds < 2 or not terms:
        return {}
    together = [sum(columns, [])] if len(terms) > 1 else []
    few = tests.clusters is not None
    found = proportionality(
        model.fit, design.x[:, 1:], model.y, [*columns, *together], covariance_of=None if few else _robust(model),
        df_errors=np.inf if few else tests.df, groups=groups_of(model.request, design) if few else None,
    )  # fmt: skip
    return dict(zip([*terms, ""], [*found, found[-1]][: len(terms) + 1], strict=True))


def _robust(model: _Model) -> Callable[[Array], Array] | None:
    """How contributions become the covariance that was asked for; None for the classical one."""
    request, design = model.request, model.design
    if request.sampled:
        return lambda parts: sampled_covariance(parts, request, design.used)
    if request.kind == "classical":
        return None
    return lambda parts: summed_covariance(parts, request.kind, groups_of(request, design))


def _ordinal_summary(model: _Model, parallel: Mapping[str, Proportionality]) -> dict[str, int | float | str]:
    fit, null = model.fit, null_log_likelihood(model.y, model.fit.weights)
    drivers = np.arange(len(fit.parameters)) < len(fit.coefficients)
    more = {
        **joint_test(fit, model.tests, model.request, drivers, null),
        **pseudo_r_squared(fit.log_likelihood, model.y, fit.weights),
    }
    if "" in parallel and np.isfinite(parallel[""].p_value):
        more["p_proportional"] = parallel[""].p_value
    return summary_of(fit, model.design, model.tests, model.request, more)


def _ordinal_findings(model: _Model, parallel: Mapping[str, Proportionality]) -> Iterator[Finding]:
    yield from common_findings(model.fit, model.design, model.tests, model.request)
    yield from _empty_findings(model)
    labels = labels_of(model.request.data)
    apart = [labels.get(term, term) for term, test in parallel.items() if term and test.p_value < CERTAIN]
    if apart:
        text = (
            f"{join_words(apart)} may work more strongly at some steps from answer to answer than at others "
            "(proportional odds do not hold): one number per driver is an average. Look at effects() per answer."
        )
        yield Finding(name="not_proportional", text=text)
    unknown = [labels.get(term, term) for term, test in parallel.items() if term and np.isnan(test.p_value)]
    if unknown:
        text = f"Whether {join_words(unknown)} works alike at every step from answer to answer cannot be told."
        yield Finding(name="proportionality_unknown", text=text, severity="info")


def _empty_findings(model: _Model) -> Iterator[Finding]:
    none = [f'"{word}"' for word in model.words if word not in model.given]
    if none:
        text = f"Nobody with all answers needed chose {join_words(none)}: nothing is said about it."
        yield Finding(name="empty_category", text=text)


def _multinomial_result(model: _Model) -> MultinomialRegression:
    request, design, given = model.request, model.design, model.given
    labels = dict(labels_of(request.data))
    outcome = model.parsed.outcome.column
    return MultinomialRegression(
        title=f"What goes with {labels.get(outcome, outcome)}",
        note=note_of(CHOICE.format(given[0]), request, model.tests, design, [ALTERNATIVES]),
        findings=(*common_findings(model.fit, design, model.tests, request), *_empty_findings(model)),
        labels=labels | labels_of_terms(design, labels),
        privacy=request.policy,
        formulas=(model.parsed.text,),
        coefficients=_multinomial_table(model),
        summary=_multinomial_summary(model),
        ancillary=frozenset((INTERCEPT,)),
        controls=hidden_controls(design),
        rows=frame_of(request.data).index,
        used=design.used,
        weights=model.fit.weights,
        matrix=model.tests.covariance,
        family=Unordered(),
        outcomes=given,
    )


def _multinomial_table(model: _Model) -> pd.DataFrame:
    design, fit, given = model.design, model.fit, model.given
    p, r = design.x.shape[1], len(given) - 1
    spread = np.where(design.numeric, spread_of(design.x, fit.weights), np.nan)
    columns = {
        "term": fit.names,
        "category": np.repeat(given[1:], p).tolist(),
        "estimate": fit.parameters,
        "risk_ratio": ratios(fit.parameters),
        **told(fit.parameters, model.tests, model.request.conf_level),
        "per_sd": fit.parameters * np.tile(spread, r),
    }
    return tabled(columns, lambda row: _multinomial_reading(row, given[0]))


def _multinomial_reading(row: Mapping[str, object], reference: str) -> str:
    if row["term"] == INTERCEPT:
        return ""
    what = (f'"{row["category"]}" rather than "{reference}"', f'"{reference}" rather than "{row["category"]}"')
    return in_words(row, what, _times(row["estimate"]))


def _multinomial_summary(model: _Model) -> dict[str, int | float | str]:
    fit = model.fit
    null = null_log_likelihood(model.y, model.fit.weights)
    drivers = np.array(fit.names) != INTERCEPT
    more = {
        **joint_test(fit, model.tests, model.request, drivers, null),
        **pseudo_r_squared(fit.log_likelihood, model.y, fit.weights),
    }
    return summary_of(fit, model.design, model.tests, model.request, more)
