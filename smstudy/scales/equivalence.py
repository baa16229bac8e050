"""One model after the other: fit the steps of measurement invariance, judge each, and search what may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from smstudy.display import apa, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError
from smstudy.inference.factor_models.admissible import ImproperError
from smstudy.inference.factor_models.fit_indices import FitIndices, fit_indices
from smstudy.inference.factor_models.fitted import ChiSquare, Fitted
from smstudy.inference.factor_models.full_information import fit_fiml
from smstudy.inference.factor_models.invariance_steps import (
    Release,
    Repeated,
    Step,
    held,
    invariant,
    over_groups,
    over_ordinal_groups,
    over_waves,
    released,
    releases,
    step_difference,
)
from smstudy.inference.factor_models.likelihood import Pieces, complete_pieces, pieces_of
from smstudy.inference.factor_models.normal_theory import fit_ml, fit_mlr, sample_of
from smstudy.inference.factor_models.ordinal_structures import OrdinalMoments, fit_wlsmv, ordinal_moments
from smstudy.inference.factor_models.structures import Structure
from smstudy.inference.psychometrics.polychoric import ordinal_codes
from smstudy.scales.occasions import Estimator, Occasions

SUPPORTED, PARTLY, NOT_SUPPORTED = "supported", "supported in part", "not supported"
CANNOT_TELL, NOT_TESTED = "cannot tell", "not tested"
LEVEL = 0.05
FEW = 300  # respondents up to which Chen's stricter limits hold
LEAST_HELD = 2
SHARE_FREED = 3  # one item in so many may be freed
HIDEABLE = rules.EFFECT.cuts[1]
SEARCHED = ("threshold", "metric", "scalar", "strict")
POWERED = ("metric", "scalar")
MOST_TOLD = 2
HIDDEN = {
    "metric": "that, with each standard deviation of standing, answers to one question move {size} standard deviations "
    "more in one group than in another",
    "scalar": "that one question is answered {size} standard deviations higher in one group than in another",
}


class Estimation(NamedTuple):
    """How the models of some answers are fitted, and the groups of people in them, in words."""

    base: Repeated
    fit: Callable[[Structure], Fitted]
    pieces: Pieces | None
    places: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One step: its fit, what it costs against the step before, and what to think of it.

    Attributes
    ----------
    free_from : mapping of str to step
        Items not held equal, and from which step on.
    detectable : float
        Difference in one question, in its standard deviations, that the step would find with a probability of 80 %.
    """

    step: Step
    verdict: str
    reason: str
    n: int = 0
    fitted: Fitted | None = field(default=None, repr=False)
    indices: FitIndices | None = field(default=None, repr=False)
    difference: ChiSquare | None = None
    cfi_change: float = float("nan")
    rmsea_change: float = float("nan")
    free_from: Mapping[str, Step] = field(default_factory=dict)
    detectable: float = float("nan")
    largest: Release | None = None


def estimation_of(occasions: Occasions, estimator: Estimator) -> Estimation:
    """Choose models and estimator for some answers.

    Raises
    ------
    DataError
        If nobody in a group answered an item or all gave the same answer, or answers are ordinal and a group lacks a
        category.
    """
    model, places = occasions.measured, occasions.places
    _refuse_silent(occasions)
    if occasions.together is not None:
        answers = [occasions.together]
        base = over_waves(model.names, model.factors)
        return Estimation(base, lambda structure: fit_fiml(structure, answers), pieces_of(answers)[0], ())
    groups = list(occasions.answers)
    if estimator == "WLSMV":
        samples = _moments(occasions)
        base = over_ordinal_groups(model.names, model.factors, samples)
        return Estimation(base, lambda structure: fit_wlsmv(structure, samples), None, places)
    base = over_groups(model.names, model.factors, len(groups))
    if estimator == "FIML":
        return Estimation(base, lambda structure: fit_fiml(structure, groups), pieces_of(groups)[0], places)
    moments = [sample_of(each) for each in groups]
    if estimator == "ML":
        return Estimation(base, lambda structure: fit_ml(structure, moments), complete_pieces(moments), places)
    return Estimation(base, lambda structure: fit_mlr(structure, groups), complete_pieces(moments), places)


def judge_steps(estimation: Estimation, *, partial: bool) -> list[Judged]:
    """Fit and judge one step after the other, until one fails; where it does, search which items differ.

    The search frees the item with the largest score test (under WLSMV: difference test) until the step holds, at most
    one item in three, and keeps at least two items of every factor equal. Freed items stay free in later steps.
    """
    done: list[Judged] = []
    accepted: Judged | None = None
    for step in estimation.base.steps:
        found = _steps_at(estimation, step, accepted, partial=partial)
        done += found
        if found[-1].verdict in (NOT_SUPPORTED, NOT_TESTED) and step != "configural" or found[-1].fitted is None:
            break
        accepted = found[-1]
    left = estimation.base.steps[len({each.step for each in done}) :]
    return done + [Judged(step=step, verdict=NOT_TESTED, reason="The step before does not hold.") for step in left]


def _steps_at(estimation: Estimation, step: Step, before: Judged | None, *, partial: bool) -> list[Judged]:
    """The step with all items, and the one with some of them free, if that was needed."""
    free = {} if before is None else before.free_from
    first = _attempt(estimation, step, before, free)
    if step == "configural" or first.verdict != NOT_SUPPORTED or not partial:
        return [first]
    search = _search(estimation, first, before, free)
    return [first] if search is None else [first, search]


def _attempt(estimation: Estimation, step: Step, before: Judged | None, free: Mapping[str, Step]) -> Judged:
    try:
        fitted = estimation.fit(invariant(estimation.base, step, free))
        difference = None if before is None else step_difference(fitted, before.fitted)
    except EstimationError as error:
        return Judged(step=step, verdict=NOT_TESTED, reason=_said(error, estimation.places), free_from=dict(free))
    indices = _with_saturated(fit_indices(fitted))
    tested = Judged(
        step=step,
        verdict="",
        reason="",
        n=fitted.n,
        fitted=fitted,
        indices=indices,
        difference=difference,
        cfi_change=float("nan") if before is None else indices.cfi - before.indices.cfi,
        rmsea_change=float("nan") if before is None else indices.rmsea - before.indices.rmsea,
        free_from=dict(free),
    )
    verdict, reason = _configural(indices) if before is None else _changed(tested, level_of(estimation.base.steps))
    return _with_power(estimation, replace(tested, verdict=verdict, reason=reason), free)


def _said(error: EstimationError, places: Sequence[str]) -> str:
    """An error in words, with the groups it belongs to where these are not all."""
    groups = error.groups if isinstance(error, ImproperError) else ()
    if not 0 < len(groups) < len(places):
        return str(error)
    return f"{error} This is so in {join_words([places[group] for group in groups])}."


def level_of(steps: Sequence[Step]) -> float:
    """The level of each difference test, so that one false alarm in all steps has a probability of 5 % (Bonferroni)."""
    return LEVEL / (len(steps) - 1)


def limits_for(n: int) -> tuple[rules.Rule, rules.Rule]:
    """Rules for the changes of CFI and RMSEA with n respondents."""
    if n <= FEW:
        return rules.CFI_CHANGE_FEW, rules.RMSEA_CHANGE_FEW
    return rules.CFI_CHANGE, rules.RMSEA_CHANGE


def _with_saturated(indices: FitIndices) -> FitIndices:
    """A model with no degrees of freedom reproduces everything."""
    return replace(indices, cfi=1.0, rmsea=0.0) if indices.df == 0 else indices


def _configural(indices: FitIndices) -> tuple[str, str]:
    """Whether the questions belong together as assumed at all."""
    if indices.df == 0:
        return NOT_TESTED, "With so few questions the model fits whatever people answer; the next steps can be tested."
    told = f"CFI {apa.bounded(indices.cfi)}, RMSEA {apa.bounded(indices.rmsea)}"
    if indices.cfi < rules.COMPARATIVE_FIT.cuts[0] or indices.rmsea_low >= rules.ONE_FACTOR.cuts[-1]:
        return NOT_SUPPORTED, f"The questions do not belong together as assumed ({told})."
    if indices.rmsea >= rules.ONE_FACTOR.cuts[-1]:
        return CANNOT_TELL, f"Nobody can tell whether the questions belong together as assumed ({told})."
    return SUPPORTED, f"The same questions belong together everywhere ({told})."


def _changed(tested: Judged, level: float) -> tuple[str, str]:
    """Whether fit gets worse by the named rules, beyond what chance does.

    RMSEA alone counts only with the test: with few degrees of freedom it grows by its limit in many equal groups.
    """
    cfi_rule, rmsea_rule = limits_for(tested.n)
    worse_cfi = tested.cfi_change < cfi_rule.cuts[0]
    worse_rmsea = tested.rmsea_change >= rmsea_rule.cuts[0]
    told = f"CFI changes by {apa.change(tested.cfi_change, 3)}, RMSEA by {apa.change(tested.rmsea_change, 3)}"
    by_chance = not tested.difference.p_value < level
    if not worse_cfi and not worse_rmsea:
        return SUPPORTED, told
    if by_chance:
        verdict = CANNOT_TELL if worse_cfi else SUPPORTED
        return verdict, f"{told}, which can be chance (p of the change {_p(tested.difference.p_value)})"
    if worse_cfi:
        return NOT_SUPPORTED, told
    return CANNOT_TELL, f"{told}: the rules for CFI and RMSEA disagree"


def _p(value: float) -> str:
    written = apa.p_value(value)
    return written if written.startswith("<") else f"= {written}"


def _with_power(estimation: Estimation, tested: Judged, free: Mapping[str, Step]) -> Judged:
    """What the groups can hide: a step that holds in small groups may hold because nobody could see more.

    One limit serves both steps: where standing is a standard deviation higher, a loading that differs by half a
    standard deviation of the item moves answers as far as an intercept that differs by as much.
    """
    if tested.step not in POWERED or tested.verdict not in (SUPPORTED, CANNOT_TELL):
        return tested
    try:
        found = _releases(estimation, tested, free)
    except EstimationError as error:
        reason = f"{tested.reason}; what groups of this size can hide cannot be computed: {error}"
        return replace(tested, verdict=CANNOT_TELL, reason=reason)
    if not found:
        return tested
    detectable = max(each.detectable for each in found)
    known = replace(tested, detectable=detectable, largest=found[0])
    if detectable <= HIDEABLE or tested.verdict == CANNOT_TELL:
        return known
    hidden = hidden_in(tested.step, detectable)
    return replace(known, verdict=CANNOT_TELL, reason=f"{tested.reason}; but groups of this size can hide {hidden}")


def hidden_in(step: Step, detectable: float) -> str:
    """What groups can hide, in words."""
    return HIDDEN[step].format(size=apa.number(detectable) if detectable <= MOST_TOLD else f"more than {MOST_TOLD}")


def _releases(estimation: Estimation, tested: Judged, free: Mapping[str, Step]) -> list[Release]:
    """Tests of the items that a step holds equal, the largest first."""
    if estimation.pieces is not None:
        return releases(estimation.base, tested.fitted, tested.step, free, estimation.pieces)
    found = []
    for item in held(estimation.base, tested.step, free):
        wider = estimation.fit(invariant(estimation.base, tested.step, {**free, item: tested.step}))
        found.append(released(estimation.base, tested.fitted, wider, item, tested.step))
    return sorted(found, key=lambda each: -each.statistic)


def _search(estimation: Estimation, first: Judged, before: Judged, free: Mapping[str, Step]) -> Judged | None:
    """Free items until the step holds; None if not even one can be freed."""
    chosen, current = dict(free), first
    most = max(1, len(estimation.base.items) // SHARE_FREED)
    while len(chosen) < most and current.verdict == NOT_SUPPORTED:
        item = _next_item(estimation, current, chosen)
        if item is None:
            break
        chosen[item] = current.step
        current = _attempt(estimation, current.step, before, chosen)
    if current is first:
        return None
    verdict = PARTLY if current.verdict == SUPPORTED else current.verdict
    return replace(current, verdict=verdict)


def _next_item(estimation: Estimation, current: Judged, free: Mapping[str, Step]) -> str | None:
    """The item whose release the answers ask for most, as long as its factors keep enough others."""
    try:
        found = _releases(estimation, current, free)
    except EstimationError:
        return None
    for release in found:
        if release.p_value < LEVEL and _enough_left(estimation.base, {*free, release.item}):
            return release.item
    return None


def _enough_left(base: Repeated, free: set[str]) -> bool:
    loads = base.structure.values["loadings"][0] != 0
    loads |= base.structure.places["loadings"][0] >= 0
    first_items, first_factors = len(base.items), len(base.factors)
    kept = np.array([item not in free for item in base.items])
    return bool((loads[:first_items, :first_factors][kept].sum(axis=0) >= LEAST_HELD).all())


def _refuse_silent(occasions: Occasions) -> None:
    """Refuse items that say nothing in a group: without answers, or with one answer of all."""
    for place, answers in zip(occasions.places, occasions.answers, strict=True):
        for item, column in zip(occasions.measured.names, answers.T, strict=True):
            n_values = len(np.unique(column[~np.isnan(column)]))
            if n_values < 2:
                label = occasions.measured.labels.get(item, item)
                fault = "everybody gave the same answer" if n_values else "nobody answered it"
                raise DataError(f"{label}: in {place} {fault}, so nothing can be compared. Leave the item out.")


def _moments(occasions: Occasions) -> list[OrdinalMoments]:
    """Thresholds and correlations of each group, after all groups agreed on the categories."""
    names = list(occasions.measured.names)
    frame = pd.DataFrame(np.concatenate(occasions.answers), columns=names)
    codes = ordinal_codes(frame, missing="listwise")
    ends = np.cumsum([len(each) for each in occasions.answers])
    place = np.searchsorted(ends, np.arange(len(frame)), side="right")
    samples = [codes.keep(place == group) for group in range(len(ends))]
    lacking = _lacking(names, codes.n_categories, [sample.codes for sample in samples])
    if lacking:
        one = len(lacking) == 1
        raise DataError(
            f"{join_words([occasions.measured.labels.get(name, name) for name in lacking])}: in one of the groups "
            f"nobody gave one of the answers, so {'its' if one else 'their'} thresholds cannot be compared. Join that "
            'answer with its neighbor, leave the item out, or use estimator="MLR".'
        )
    return [ordinal_moments(sample) for sample in samples]


def _lacking(names: Sequence[str], n_categories: Sequence[int], codes: Sequence[np.ndarray]) -> list[str]:
    return [
        name
        for item, (name, count) in enumerate(zip(names, n_categories, strict=True))
        if any(len(np.unique(group[:, item])) < count for group in codes)
    ]
