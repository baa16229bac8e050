"""What a reader of a regression must know to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smstudy.display import rules
from smstudy.display.prose import join_words
from smstudy.inference.regression.covariance import ENOUGH_CLUSTERS
from smstudy.inference.regression.design import INTERCEPT, POOLED, Design
from smstudy.inference.regression.diagnostics import breusch_pagan, cooks_distance, overlap
from smstudy.inference.regression.formula import variable_of
from smstudy.models.regressions.regression_fits import Family, Fit, Inference, Model
from smstudy.result import Finding
from smstudy.survey.weights import extreme_weights

Array = NDArray[np.float64]
ENOUGH_RESPONDENTS = 30
ENOUGH_PER_COEFFICIENT = 10
ENOUGH_DF = 4
MANY_DROPPED = 0.10
STRONG_COOK = 1.0
STRONG_LEVERAGE = 0.5
UNEQUAL = 0.05
MOST_NAMED = 4
SAME = 1e-12


def findings_of(model: Model) -> Iterator[Finding]:
    """Everything worth saying about a fitted model, in the order of its making."""
    yield from model.design.findings
    yield from _pooled_findings(model.design)
    yield from _sample_findings(model.design, model.family)
    if model.how.weighted:
        yield from weight_findings(model.how.sampling.weights)
    yield from _census_finding(model.fit, model.tests)
    yield from _cluster_findings(model)
    yield from overlap_findings(model.design, model.fit.weights)
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
    if family != "linear" and min(design.y.sum(), n - design.y.sum()) / p < ENOUGH_PER_COEFFICIENT:
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


def weight_findings(weights: Array) -> Iterator[Finding]:
    """Weights of few respondents who speak for many, and weights that change nothing."""
    yield from extreme_weights(weights)
    if np.ptp(weights) <= SAME * weights.max():
        text = "All weights are the same: the estimates are those without weights."
        yield Finding(name="equal_weights", text=text, severity="info")


def _census_finding(fit: Fit, tests: Inference) -> Iterator[Finding]:
    if not fit.exact and (tests.errors == 0).all():
        text = "All of the population were asked, so nothing about it is uncertain and there is nothing to test."
        yield Finding(name="asked_in_full", text=text, severity="info")


def _cluster_findings(model: Model) -> Iterator[Finding]:
    design, how, tests = model.design, model.how, model.tests
    if 0 < tests.n_groups < ENOUGH_CLUSTERS:
        says = (
            "errors and tests allow for that, but cannot tell much."
            if how.kind in ("CR2", "wild")
            else f"with fewer than {ENOUGH_CLUSTERS} the intervals may still be too narrow."
        )
        yield Finding(name="few_clusters", text=f"There are only {tests.n_groups} clusters; {says}")
    terms = np.array(design.names)
    weak = terms[~tests.unknown & (tests.df < ENOUGH_DF)] if how.kind == "CR2" else []
    if len(weak):
        text = (
            f"So few clusters tell about {join_words(first_names(weak))} that p is rough (fewer than {ENOUGH_DF} "
            "degrees of freedom)."
        )
        also = ' Look at covariance="wild" too.' if model.family == "linear" else ""
        yield Finding(name="few_degrees_of_freedom", text=text + also)
    if how.kind == "wild" and (np.isnan(tests.conf_low) & ~tests.unknown).any():
        text = f"So few clusters carry no interval of {how.conf_level:.0%} for some terms. Use a lower conf_level."
        yield Finding(name="no_interval", text=text)
    if tests.unknown.any():
        words = dict.fromkeys(term for term, unknown in zip(design.terms, tests.unknown, strict=True) if unknown)
        yield Finding(
            name="cluster_is_term",
            text=f"No cluster-robust error exists for {join_words(list(words))}: they rest on a single cluster each.",
        )


def first_names(names: Sequence[str]) -> list[str]:
    """At most four names, the constant as a word."""
    words = ["the constant" if name == INTERCEPT else str(name) for name in names]
    return words if len(words) <= MOST_NAMED else [*words[:MOST_NAMED], "others"]


def overlap_findings(design: Design, weights: Array) -> Iterator[Finding]:
    """Drivers that overlap; that a product overlaps with what it is made of says nothing."""
    if INTERCEPT not in design.names:
        return
    rest = np.array(design.names) != INTERCEPT
    made_of = [frozenset(variable_of(part) for part, _ in parts) for parts in design.parts]
    inflated = overlap(design.x[:, rest], weights, [own for own, kept in zip(made_of, rest, strict=True) if kept])
    high = [variable for variable, vif in inflated.items() if vif >= rules.COLLINEARITY.cuts[0]]
    if high:
        word = rules.COLLINEARITY.read(max(inflated[variable] for variable in high))
        yield Finding(name="collinearity", text=f"The variance inflation of {join_words(high)} is {word}.")


def _shape_findings(model: Model) -> Iterator[Finding]:
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


def _strongest(model: Model) -> float:
    """Largest Cook's distance."""
    design, fit = model.design, model.fit
    spread = fit.sigma if fit.variance is None else np.sqrt(fit.variance)
    return float(cooks_distance(fit.residuals * np.sqrt(fit.weights), fit.hat, spread, design.x.shape[1]).max())


def _spread_unequal(model: Model) -> bool:
    """Whether classical errors of a linear model were asked for although the Breusch-Pagan test speaks against them."""
    names = model.design.names
    if (model.family, model.how.kind) != ("linear", "classical") or INTERCEPT not in names or len(names) < 2:
        return False
    return breusch_pagan(model.design.x, model.fit.residuals, names=names) < UNEQUAL
