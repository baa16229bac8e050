"""Cleaning as data: rules with reasons, applied in the same order in every wave, and the flow of respondents.

Every rule is tried on all rows that entered, so that all reasons of a respondent are known; the first one removes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, diagrams
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.result import Finding, Result, Rows
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import NO_GROUP
from smstudy.survey.flow import (
    FLOW,
    UnitFlow,
    first_reason,
    flow_by_group,
    gate_flow,
    number_entered_is_shown,
)
from smstudy.survey.operators import OPERATORS, State, comparable, flag_name, match_category
from smstudy.survey.overlap import Reasons, RuleChanges, compare_rules, count_reasons
from smstudy.survey.rules import RELATIVE, STAGES, Rule

CUT_OFF_DIGITS = 4
CUTTING = (*RELATIVE, "missing_share_above")


@dataclass(frozen=True, kw_only=True, repr=False)
class Cleaning(Result):
    """The cleaned survey and the flow of respondents that led to it.

    Attributes
    ----------
    survey : Survey
        What is left.
    entered : Survey
        What it was made from.
    flow : DataFrame
        One row per rule in the order applied, ungated; `tidy()` gives the same.
    hits : Rows
        One row per respondent that entered, one boolean column per rule.
    cutoffs : mapping
        The number used by each rule whose cut-off is relative to the sample. Given to `clean` in the next wave it is
        frozen.
    """

    survey: Survey = field(repr=False)
    entered: Survey = field(repr=False)
    flow: pd.DataFrame = field(repr=False)
    hits: Rows
    cutoffs: Mapping[str, float] = field(default_factory=dict)

    picture: ClassVar[Callable[..., Axes]] = diagrams.flow

    def tidy(self) -> pd.DataFrame:
        """One row per rule: stage, rule, reason, action, threshold, n_before, n_hit, n_removed, n_after."""
        return self.flow.copy()

    def shown(self) -> pd.DataFrame:
        """The flow with small counts hidden, and with them all that would give them away."""
        return gate_flow(self.flow, self.privacy.min_n)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave the cut-offs out if no rule has one."""
        return shown if shown["threshold"].notna().any() else shown.drop(columns="threshold")

    def glance(self) -> dict[str, int | float | str]:
        """Respondents left."""
        return {"n": len(self.survey.answers)}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the flow as a diagram: who entered, whom each stage left out and why, who is left."""
        return super().plot(ax or diagrams.new_axes(self.drawn()))

    def drawn(self) -> pd.DataFrame:
        """The rows of the diagram: all of them, hidden ones without numbers, unless nothing may be shown."""
        shown = self.shown()
        return shown if shown["n_after"].notna().any() else shown.iloc[:0]

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        rows = self.shown().dropna(subset=["n_after"])
        left = [f"{reason}: {apa.count(n)}" for reason, n in zip(rows["reason"], rows["n_after"], strict=True)]
        return f"{self.title}. Respondents left after each step. {'; '.join(left)}."

    def first_reason(self) -> Rows:
        """The rule that removed each respondent, one text column `rule`; missing for those who stayed."""
        return Rows(first_reason(self.hits.frame, self.flow).to_frame("rule"))

    def reasons(self) -> Reasons:
        """Count the combinations of rules that hit the same respondents: how far the rules overlap."""
        return count_reasons(self.hits.frame, self.flow, title=f"{self.title}: reasons together", privacy=self.privacy)

    def by_unit(self, unit: str | None = None) -> UnitFlow:
        """Split the flow by department.

        Parameters
        ----------
        unit : str, optional
            Variable to split by; the first one of kind unit if left out.

        Raises
        ------
        DataError
            If there is no such variable.
        """
        column = _unit_column(self.entered, unit)
        if self.flow.empty:
            raise DataError("There are no cleaning rules, so there is no flow to split.")
        groups = column.astype(object).where(column.notna(), NO_GROUP).astype(str)
        return UnitFlow(
            title=f"{self.title}, by {self.entered.codebook.labels.get(groups.name, groups.name)}",
            note=self.note,
            privacy=self.privacy,
            flow=flow_by_group(groups, self.hits.frame, self.flow),
            overall=self.flow,
        )

    def by_wave(self, wave: str) -> UnitFlow:
        """Split the flow of one file that holds several waves.

        Parameters
        ----------
        wave : str
            Variable that says which wave a row belongs to.

        Raises
        ------
        DataError
            If there is no such variable.
        """
        return self.by_unit(wave)

    def compare(self, previous: Cleaning) -> RuleChanges:
        """Compare how often each rule hits with the previous wave."""
        return compare_rules(
            self.flow,
            previous.flow,
            entered=(len(self.entered.answers), len(previous.entered.answers)),
            privacy=self.privacy.raised_to(max(self.privacy.min_n, previous.privacy.min_n)),
        )


def clean(survey: Survey, rules: Sequence[Rule], *, cutoffs: Mapping[str, float] | None = None) -> Cleaning:
    """Apply cleaning rules.

    Parameters
    ----------
    survey : Survey
        Answers as read.
    rules : sequence of Rule
        Applied by stage, within a stage in the order given.
    cutoffs : mapping of rule id to number, optional
        Frozen cut-offs, for rules relative to the sample: used instead of the number this wave would give.

    Returns
    -------
    Cleaning
        The cleaned survey and the flow table; n before, hit, newly removed and after reconcile in every row.

    Raises
    ------
    StudyError
        If a rule names a variable or answer that is not there, two rules have one id, a cut-off belongs to no rule
        relative to the sample, or a rule recodes answers into what an earlier rule acts on.
    DataError
        If no respondent is left, or too few answered for a cut-off relative to the sample.
    """
    ordered = sorted(rules, key=lambda rule: STAGES.index(rule.stage))
    frozen = dict(cutoffs or {})
    _refuse_same_id(ordered)
    _refuse_unknown_cutoffs(ordered, frozen)
    if survey.answers.empty:
        raise DataError("There are no answers to clean: the export has no rows.")
    run = _apply(survey, ordered, frozen)
    _refuse_changing_again(run.cleaned, ordered, run.cutoffs)
    return Cleaning(
        title="Flow of respondents",
        note="Every rule is tried on all rows that entered; a respondent is removed by the first that applies.",
        findings=(*_cutoff_findings(run.cutoffs, frozen), *_hidden_findings(run.flow, survey.privacy.min_n)),
        privacy=survey.privacy,
        survey=run.cleaned,
        entered=survey,
        flow=run.flow,
        hits=Rows(run.hits),
        cutoffs=run.cutoffs,
    )


@dataclass(frozen=True)
class _Run:
    """What applying the rules gave."""

    cleaned: Survey
    flow: pd.DataFrame
    hits: pd.DataFrame
    cutoffs: dict[str, float]


def _apply(survey: Survey, rules: Sequence[Rule], frozen: Mapping[str, float]) -> _Run:
    out = entering = np.zeros(len(survey.answers), dtype=bool)
    changed: dict[str, pd.Series] = {}
    hits: dict[str, np.ndarray] = {}
    cutoffs: dict[str, float] = {}
    flow, why = [], [survey.missing]
    for place, rule in enumerate(rules):
        entering = out if place == 0 or rule.stage != rules[place - 1].stage else entering
        state = State(survey, changed, out, rule.id)
        if rule.relative_to:
            cutoffs[rule.id] = float(frozen[rule.id]) if rule.id in frozen else _relative(state, rule, entering)
        hits[rule.id] = hit = _hit(state, rule, cutoffs)
        changed = {**changed, **_changes(state, rule, hit)}
        why += _why_missing(state, rule, hit)
        before, out = out, out | hit if rule.action == "exclude" else out
        flow.append(_flow_row(rule, cutoffs.get(rule.id), hit, before, out))
        if out.all():
            raise DataError(
                f'No respondent is left after the cleaning rule "{rule.id}" ({rule.reason}). '
                "Correct its column, op or value."
            )
    index = survey.answers.index
    return _Run(
        cleaned=_left(survey, rules, changed, out, why),
        flow=pd.DataFrame(flow, columns=list(FLOW)),
        hits=pd.DataFrame(hits, index=index),
        cutoffs=cutoffs,
    )


def _hit(state: State, rule: Rule, cutoffs: Mapping[str, float]) -> np.ndarray:
    """Say which rows a rule applies to, shape (n rows,)."""
    condition = rule.model_copy(update={"value": cutoffs[rule.id]}) if rule.id in cutoffs else rule
    hit = OPERATORS[rule.op](state, condition)
    return hit if rule.where is None else hit & OPERATORS[rule.where.op](state, rule.where)


def _relative(state: State, rule: Rule, out: np.ndarray) -> float:
    """The cut-off of a rule relative to the median of those still in when its stage began, rounded as it is printed."""
    name, needed = rule.columns[0], state.survey.privacy.min_n
    column = state.column(name)
    if not pd.api.types.is_numeric_dtype(column):
        raise state.error(f'relative_to needs numbers, and "{name}" holds none. Choose another column.')
    values = column.to_numpy(dtype=float, na_value=np.nan)[~out]
    values = values[~np.isnan(values)]
    if len(values) < needed:
        raise DataError(
            f'Cleaning rule "{rule.id}": a cut-off relative to the median of "{name}" needs {needed} answers; there '
            f"are fewer. Give its number in study.yml: cutoffs: {{{rule.id}: NUMBER}}."
        )
    return float(f"{rule.value * np.median(values):.{CUT_OFF_DIGITS}g}")


def _changes(state: State, rule: Rule, hit: np.ndarray) -> dict[str, pd.Series]:
    """The columns as they are after a rule that does not exclude: those it changes."""
    name = rule.columns[0]
    if rule.action == "flag":
        name, index = flag_name(rule.id), state.survey.answers.index
        before = (state.column(name) > 0).to_numpy() if state.has(name) else False
        return {name: pd.Series((hit | before).astype(float), index=index, name=name)}
    if rule.action == "exclude" or not hit.any():
        return {}
    column = state.column(name)
    return {name: _replaced(column, hit, _recoded(state, rule)) if rule.action == "recode" else column.mask(hit)}


def _replaced(column: pd.Series, hit: np.ndarray, value: object) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype) and value not in column.cat.categories:
        column = column.cat.add_categories([value])
    return column.mask(hit, value)


def _recoded(state: State, rule: Rule) -> object:
    """The new answer as it stands in the column: a label, a number or a time."""
    variable = state.variable(rule.columns[0])
    value = comparable(state, rule.columns[0], rule.to)
    if not isinstance(value, str):
        return value
    return (match_category(variable, rule.to) if variable is not None and variable.categories else None) or str(rule.to)


def _why_missing(state: State, rule: Rule, hit: np.ndarray) -> list[pd.DataFrame]:
    """The answers a rule sets missing, with its reason."""
    if rule.action != "set_missing":
        return []
    rows = state.survey.answers.index[hit & state.column(rule.columns[0]).notna().to_numpy()]
    return [pd.DataFrame({"row": rows, "variable": rule.columns[0], "reason": rule.reason})] if len(rows) else []


def _flow_row(rule: Rule, cutoff: float | None, hit: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict:
    threshold = rule.value if cutoff is None and rule.op in CUTTING and isinstance(rule.value, float) else cutoff
    left = [int(np.count_nonzero(~out)) for out in (before, after)]
    counts = (left[0], int(np.count_nonzero(hit)), left[0] - left[1], left[1])
    words = (rule.stage, rule.id, rule.reason, rule.action)
    return dict(zip(FLOW, (*words, float("nan") if threshold is None else threshold, *counts), strict=True))


def _left(
    survey: Survey, rules: Sequence[Rule], changed: Mapping[str, pd.Series], out: np.ndarray, why: list[pd.DataFrame]
) -> Survey:
    steps = tuple(f'{rule.stage}: rule "{rule.id}" ({rule.action}): {rule.reason}' for rule in rules)
    missing = pd.concat(why, ignore_index=True) if len(why) > 1 else survey.missing
    answers = survey.answers.assign(**changed) if changed else survey.answers
    after = replace(survey, answers=answers, missing=missing, log=(*survey.log, *steps))
    keep = pd.Series(~out, index=answers.index)
    return after.keep_rows(keep, "rows removed by cleaning rules") if out.any() else after


def _refuse_same_id(rules: Sequence[Rule]) -> None:
    ids = [rule.id for rule in rules]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise StudyError(f"Two cleaning rules have the id {', '.join(twice)}. Give each its own.")


def _refuse_unknown_cutoffs(rules: Sequence[Rule], frozen: Mapping[str, float]) -> None:
    relative = [rule.id for rule in rules if rule.relative_to]
    for name, number in frozen.items():
        if name not in relative:
            hint = did_you_mean(name, relative) if relative else "No rule has relative_to."
            raise StudyError(f'cutoffs: "{name}" is not a cleaning rule with relative_to. {hint}')
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not np.isfinite(number):
            raise StudyError(f'cutoffs: the cut-off of "{name}" is not a number. Write for instance {name}: 120.')


def _refuse_changing_again(cleaned: Survey, rules: Sequence[Rule], cutoffs: Mapping[str, float]) -> None:
    """Refuse rules that would act once more on their own outcome: an earlier rule acts on what a later one writes."""
    written: set[str] = set()
    suspects: list[Rule] = []
    nobody = np.zeros(len(cleaned.answers), dtype=bool)
    for rule in reversed(rules):
        written |= {rule.columns[0]} if rule.action in ("recode", "set_missing") else set()
        state = State(cleaned, {}, nobody, rule.id)
        if written.intersection(name for entry in rule.reads for name in state.spelled_out(entry)):
            suspects.insert(0, rule)
    for rule in suspects:
        state = State(cleaned, {}, nobody, rule.id)
        if _acts_again(state, rule, _hit(state, rule, cutoffs)):
            raise StudyError(
                f'The cleaning rule "{rule.id}" acts on answers that a later rule sets missing or recodes, so cleaning '
                "twice would give something else. Put the rule that changes answers first."
            )


def _acts_again(state: State, rule: Rule, hit: np.ndarray) -> bool:
    if rule.action == "exclude":
        return bool(hit.any())
    return any(not column.equals(state.column(name)) for name, column in _changes(state, rule, hit).items())


def _cutoff_findings(cutoffs: Mapping[str, float], frozen: Mapping[str, float]) -> tuple[Finding, ...]:
    taken = [f"{name}: {number:g}" for name, number in cutoffs.items() if name not in frozen]
    kept = [f"{name}: {number:g}" for name, number in cutoffs.items() if name in frozen]
    found = []
    if taken:
        text = (
            "Cut-offs relative to the sample are recomputed from this wave. To keep them for the next waves write in "
            f"study.yml: cutoffs: {{{', '.join(taken)}}}."
        )
        found.append(Finding(name="cutoffs_recomputed", text=text, severity="info"))
    if kept:
        text = f"Cut-offs frozen in the study, not recomputed from this wave: {', '.join(kept)}."
        found.append(Finding(name="cutoffs_frozen", text=text, severity="info"))
    return tuple(found)


def _hidden_findings(flow: pd.DataFrame, min_n: int) -> tuple[Finding, ...]:
    shown = gate_flow(flow, min_n)
    found = []
    hidden = shown["hidden"].astype(bool) if "hidden" in shown else shown["n_hit"].isna() & False
    if (shown["n_hit"].isna() & ~hidden & shown["rule"].isin(flow["rule"])).any():
        text = "Hits are left out (–) where they would tell how few of those hit an earlier rule had removed already."
        found.append(Finding(name="hits_left_out", text=text, severity="info"))
    if not hidden.any():
        return tuple(found)
    text = (
        f"{int(shown['hidden'].sum())} of {len(flow)} cleaning rules are hidden in the flow: fewer than {min_n} "
        "respondents, or needed to hide such a count. Running totals are those of the rows shown."
    )
    found.append(Finding(name="rules_hidden", text=text, severity="info"))
    if not number_entered_is_shown(flow, min_n):
        text = (
            "So few respondents were removed that the number entered is hidden. Do not show it beside the number left: "
            "the difference would give a small count away."
        )
        found.append(Finding(name="few_removed", text=text))
    return tuple(found)


def _unit_column(survey: Survey, unit: str | None) -> pd.Series:
    units = survey.codebook.of_kind("unit")
    if unit is None and not units:
        raise DataError("The codebook has no variable of kind unit. Name the variable to split by, or declare one.")
    return survey.column(unit or units[0].name)
