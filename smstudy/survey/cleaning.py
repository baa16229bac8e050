"""Cleaning as data: rules with reasons, applied in the same order in every wave, and the flow of respondents.

Every rule is tried on all rows that entered, so that all reasons of a respondent are known; the first one removes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, figures
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.result import Finding, Result, Rows
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.decoding import normalize
from smstudy.survey.disclosure import NO_GROUP, blank, hidden_rows, hide_cells
from smstudy.survey.rules import STAGES, Rule

FLOW = ("stage", "rule", "reason", "action", "n_before", "n_hit", "n_removed", "n_after")
COUNTS = ("n_before", "n_hit", "n_removed", "n_after")


@dataclass(frozen=True)
class _State:
    """What a rule looks at: the answers as they are now, of all rows that entered, and who is out already."""

    survey: Survey
    out: pd.Series
    frame: pd.DataFrame

    def column(self, rule: Rule, name: str) -> pd.Series:
        if name in self.frame:
            return self.frame[name]
        made = " Quality flags are there after with_flags()." if name.startswith("flag_") else ""
        hint = did_you_mean(name, map(str, self.frame.columns))
        raise StudyError(f'Cleaning rule "{rule.id}": there is no variable "{name}". {hint}{made}')

    def block(self, rule: Rule) -> pd.DataFrame:
        """The columns of a rule, scales spelled out as their items."""
        scales = {scale.name: scale.items for scale in self.survey.codebook.scales}
        names = [name for entry in rule.columns for name in scales.get(entry, (entry,))]
        return pd.DataFrame({name: self.column(rule, name) for name in dict.fromkeys(names)})

    def variable(self, name: str) -> Variable | None:
        return next((v for v in self.survey.codebook.variables if v.name == name), None)


def match_category(variable: Variable, value: float | str) -> str | None:
    """Find the label of a category by its label, code or another spelling, whatever the case; None if there is none.

    >>> from smstudy.survey.codebook import Category
    >>> unit = Variable(name="u", kind="unit", categories=(Category(value="1", label="Sales", aliases=("Sls",)),))
    >>> match_category(unit, 1.0), match_category(unit, " sales "), match_category(unit, "HR")
    ('Sales', 'Sales', None)
    """
    code, words = _folded(value), normalize(str(value))
    for category in variable.categories:
        labels = {normalize(word) for word in (category.label, *category.aliases)}
        if code in (_folded(category.value), _folded(category.label)) or words in labels:
            return category.label
    return None


def _folded(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).casefold()


def _comparable(state: _State, rule: Rule, value: float | str) -> float | str | pd.Timestamp:
    """Turn a value of a rule into what stands in the column: a label, a number or a time."""
    column, variable = state.column(rule, rule.columns[0]), state.variable(rule.columns[0])
    if pd.api.types.is_datetime64_any_dtype(column):
        return _as_time(rule, value, column)
    if pd.api.types.is_numeric_dtype(column):
        return _as_number(rule, value, variable)
    if variable is None or not variable.categories:
        return _folded(value)
    label = match_category(variable, value)
    if label is None and variable.unknown_codes != "keep":
        hint = did_you_mean(str(value), [category.label for category in variable.categories])
        raise StudyError(f'Cleaning rule "{rule.id}": "{rule.columns[0]}" has no answer "{value}". {hint}')
    return _folded(value if label is None else label)


def _as_number(rule: Rule, value: float | str, variable: Variable | None) -> float:
    if variable is not None and isinstance(value, str):
        label = match_category(variable, value)
        value = next((category.value for category in variable.categories if category.label == label), value)
    try:
        return float(value)
    except ValueError:
        raise StudyError(
            f'Cleaning rule "{rule.id}": "{rule.columns[0]}" holds numbers, but the value "{value}" is none. '
            "Give a number, or a label of the codebook."
        ) from None


def _as_time(rule: Rule, value: float | str, column: pd.Series) -> pd.Timestamp:
    try:
        time = pd.Timestamp(str(value))
        return time.tz_localize(column.dt.tz) if column.dt.tz is not None and time.tzinfo is None else time
    except ValueError:
        raise StudyError(
            f'Cleaning rule "{rule.id}": "{rule.columns[0]}" holds dates, but "{value}" is none. Write 2026-03-31.'
        ) from None


def _values(state: _State, rule: Rule) -> pd.Series:
    """The column as it is compared: numbers and times as they are, text without regard to case and spaces."""
    column = state.column(rule, rule.columns[0])
    ordered = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    return column if ordered else column.map(_folded, na_action="ignore")


def _ordered(state: _State, rule: Rule) -> tuple[pd.Series, object]:
    wanted = _comparable(state, rule, rule.value)
    if isinstance(wanted, str):
        raise StudyError(
            f'Cleaning rule "{rule.id}": "{rule.columns[0]}" holds words, and {rule.op} compares numbers or dates. '
            "Use equals or in."
        )
    return _values(state, rule), wanted


def _equals(state: _State, rule: Rule) -> pd.Series:
    return _values(state, rule).isin([_comparable(state, rule, value) for value in rule.values])


def _not_equals(state: _State, rule: Rule) -> pd.Series:
    return ~_equals(state, rule) & _not_missing(state, rule)


def _less(state: _State, rule: Rule) -> pd.Series:
    values, wanted = _ordered(state, rule)
    return values < wanted


def _greater(state: _State, rule: Rule) -> pd.Series:
    values, wanted = _ordered(state, rule)
    return values > wanted


def _missing(state: _State, rule: Rule) -> pd.Series:
    return state.column(rule, rule.columns[0]).isna()


def _not_missing(state: _State, rule: Rule) -> pd.Series:
    return ~_missing(state, rule)


def _missing_share_above(state: _State, rule: Rule) -> pd.Series:
    return state.block(rule).isna().mean(axis=1) > rule.value


def _duplicate_of_earlier(state: _State, rule: Rule) -> pd.Series:
    """Rows that repeat another in all columns; of each set the best is kept: not out, most items answered, earliest.

    A row without an identifier cannot be told to be a repetition; missing items are equal to missing items.
    """
    block = state.block(rule)
    items = [name for name in block if (v := state.variable(name)) is not None and v.kind == "item"]
    known = block.drop(columns=items).notna().all(axis=1) & block.notna().any(axis=1)
    answered = [v.name for v in state.survey.codebook.of_kind("item") if v.name in state.frame]
    rank = pd.DataFrame({"out": state.out, "missing": state.frame[answered or list(state.frame)].isna().sum(axis=1)})
    order = rank.sort_values(["out", "missing"], kind="stable").index
    return (block.loc[order].duplicated(keep="first") & known.loc[order]).reindex(block.index)


def _flagged(state: _State, rule: Rule) -> pd.Series:
    names = [name if name in state.frame else flag_name(name) for name in rule.columns]
    return pd.DataFrame({name: state.column(rule, name) > 0 for name in names}).any(axis=1)


OPERATORS: dict[str, Callable[[_State, Rule], pd.Series]] = {
    "equals": _equals,
    "not_equals": _not_equals,
    "in": _equals,
    "not_in": _not_equals,
    "less": _less,
    "greater": _greater,
    "missing": _missing,
    "not_missing": _not_missing,
    "missing_share_above": _missing_share_above,
    "duplicate_of_earlier": _duplicate_of_earlier,
    "flagged": _flagged,
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Cleaning(Result):
    """The cleaned survey and the flow of respondents that led to it.

    Attributes
    ----------
    survey : Survey
        What is left.
    flow : DataFrame
        One row per rule in the order applied, ungated; `tidy()` gives the same.
    hits : Rows
        One row per respondent that entered, one boolean column per rule.
    """

    survey: Survey = field(repr=False)
    entered: Survey = field(repr=False)
    flow: pd.DataFrame = field(repr=False)
    hits: Rows

    picture: ClassVar[Callable[..., Axes]] = figures.flow

    def tidy(self) -> pd.DataFrame:
        """One row per rule: stage, rule, reason, action, n_before, n_hit, n_removed, n_after."""
        return self.flow.copy()

    def shown(self) -> pd.DataFrame:
        """The flow with small counts hidden, and with them all that would give them away."""
        return gate_flow(self.flow, self.privacy.min_n)

    def glance(self) -> dict[str, int | float | str]:
        """Respondents left."""
        return {"n": len(self.survey.answers)}

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        rows = self.shown().dropna(subset=["n_after"])
        left = [f"{reason}: {apa.count(n)}" for reason, n in zip(rows["reason"], rows["n_after"], strict=True)]
        return f"{self.title}. Respondents left after each step. {'; '.join(left)}."

    def first_reason(self) -> Rows:
        """The rule that removed each respondent, one text column `rule`; missing for those who stayed."""
        return Rows(_first_reason(self.hits.frame, self.flow).to_frame("rule"))

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
        groups = _unit_column(self.entered, unit).astype(object).fillna(NO_GROUP).astype(str)
        if self.flow.empty:
            raise DataError("There are no cleaning rules, so there is no flow to split.")
        first = _first_reason(self.hits.frame, self.flow)
        parts = [_unit_flow(name, groups, first, self.hits.frame, self.flow) for name in sorted(groups.unique())]
        return UnitFlow(
            title=f"{self.title}, by {self.entered.codebook.labels.get(groups.name, groups.name)}",
            note=self.note,
            privacy=self.privacy,
            flow=pd.concat(parts, ignore_index=True),
            overall=self.flow,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class UnitFlow(Result):
    """The flow of respondents by department; most cells are small, so most are hidden."""

    flow: pd.DataFrame = field(repr=False)
    overall: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per department and rule."""
        return self.flow.copy()

    def shown(self) -> pd.DataFrame:
        """The flow with cells hidden so that none follows from departments, rules or the flow of all."""
        return gate_unit_flow(self.flow, self.overall, self.privacy.min_n)


def clean(survey: Survey, rules: Sequence[Rule]) -> Cleaning:
    """Apply cleaning rules.

    Parameters
    ----------
    survey : Survey
        Answers as read.
    rules : sequence of Rule
        Applied by stage, within a stage in the order given.

    Returns
    -------
    Cleaning
        The cleaned survey and the flow table; n before, hit, newly removed and after reconcile in every row.

    Raises
    ------
    StudyError
        If a rule names a variable or answer that is not there, two rules have one id, or a rule recodes answers into
        what an earlier rule acts on.
    DataError
        If no respondent is left.
    """
    ordered = sorted(rules, key=lambda rule: STAGES.index(rule.stage))
    _refuse_same_id(ordered)
    if survey.answers.empty:
        raise DataError("There are no answers to clean: the export has no rows.")
    cleaned, flow, hits = _apply(survey, ordered)
    _refuse_changing_again(cleaned, ordered)
    return Cleaning(
        title="Flow of respondents",
        note="Every rule is tried on all rows that entered; a respondent is removed by the first that applies.",
        findings=_findings(flow, survey.privacy.min_n),
        privacy=survey.privacy,
        survey=cleaned,
        entered=survey,
        flow=flow,
        hits=Rows(hits),
    )


def _apply(survey: Survey, rules: Sequence[Rule]) -> tuple[Survey, pd.DataFrame, pd.DataFrame]:
    frame, missing = survey.answers, survey.missing
    out = pd.Series(False, index=frame.index)
    hits: dict[str, pd.Series] = {}
    flow = []
    for rule in rules:
        state = _State(survey, out, frame)
        hit = OPERATORS[rule.op](state, rule).fillna(False).astype(bool)
        removed = hit & ~out if rule.action == "exclude" else pd.Series(False, index=frame.index)
        before = int((~out).sum())
        out = out | removed
        frame, missing = _changed(state, rule, hit, missing)
        hits[rule.id] = hit
        counts = (before, int(hit.sum()), int(removed.sum()), int((~out).sum()))
        flow.append(dict(zip(FLOW, (rule.stage, rule.id, rule.reason, rule.action, *counts), strict=True)))
        if counts[-1] == 0:
            raise DataError(
                f'No respondent is left after the cleaning rule "{rule.id}" ({rule.reason}). '
                "Correct its column, op or value."
            )
    steps = tuple(f'{rule.stage}: rule "{rule.id}" ({rule.action}): {rule.reason}' for rule in rules)
    changed = replace(survey, answers=frame, missing=missing, log=(*survey.log, *steps))
    kept = changed.keep_rows(~out, "rows removed by cleaning rules") if out.any() else changed
    return kept, pd.DataFrame(flow, columns=list(FLOW)), pd.DataFrame(hits, index=frame.index)


def _changed(state: _State, rule: Rule, hit: pd.Series, missing: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Do what a rule other than exclude does to the answers."""
    frame = state.frame
    if rule.action == "flag":
        name = flag_name(rule.id)
        return frame.assign(**{name: (hit | (frame.get(name, 0) > 0)).astype(float)}), missing
    if rule.action == "exclude" or not hit.any():
        return frame, missing
    name = rule.columns[0]
    if rule.action == "recode":
        return frame.assign(**{name: frame[name].mask(hit, _recoded(state, rule))}), missing
    newly = frame.index[hit & frame[name].notna()]
    why = pd.DataFrame({"row": newly, "variable": name, "reason": rule.reason})
    reasons = pd.concat([missing, why], ignore_index=True) if len(why) else missing
    return frame.assign(**{name: frame[name].mask(hit)}), reasons


def _recoded(state: _State, rule: Rule) -> object:
    """The new answer as it stands in the column: a label, a number or a time."""
    variable = state.variable(rule.columns[0])
    value = _comparable(state, rule, rule.to)
    if not isinstance(value, str):
        return value
    return (match_category(variable, rule.to) if variable is not None and variable.categories else None) or str(rule.to)


def flag_name(name: str) -> str:
    """Name of the column that holds a flag: 1 where it speaks, else 0.

    >>> flag_name("too-fast")
    'flag_too_fast'
    """
    return "flag_" + name.replace("-", "_")


def _refuse_same_id(rules: Sequence[Rule]) -> None:
    ids = [rule.id for rule in rules]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise StudyError(f"Two cleaning rules have the id {', '.join(twice)}. Give each its own.")


def _refuse_changing_again(cleaned: Survey, rules: Sequence[Rule]) -> None:
    """Refuse rules that would act once more on their own outcome: an earlier rule acts on what a later one writes."""
    if not any(rule.action in ("recode", "set_missing") for rule in rules):
        return
    again, frame = cleaned.answers, cleaned.answers
    out = pd.Series(False, index=frame.index)
    for rule in rules:
        state = _State(cleaned, out, frame)
        hit = OPERATORS[rule.op](state, rule).fillna(False).astype(bool)
        frame = _changed(state, rule, hit, cleaned.missing)[0]
        if (rule.action == "exclude" and hit.any()) or not frame.equals(again):
            raise StudyError(
                f'The cleaning rule "{rule.id}" acts on answers that a later rule sets missing or recodes, so cleaning '
                "twice would give something else. Put the rule that changes answers first."
            )


def _findings(flow: pd.DataFrame, min_n: int) -> tuple[Finding, ...]:
    shown = gate_flow(flow, min_n)
    if "hidden" not in shown:
        return ()
    text = (
        f"{int(shown['hidden'].sum())} of {len(flow)} cleaning rules are hidden in the flow: fewer than {min_n} "
        "respondents, or needed to hide such a count. Running totals are those of the rows shown."
    )
    found = [Finding(name="rules_hidden", text=text, severity="info")]
    if not _together(flow["n_removed"].to_numpy(), min_n)[1]:
        text = (
            "So few respondents were removed that the number entered is hidden. Do not show it beside the number left: "
            "the difference would give a small count away."
        )
        found.append(Finding(name="few_removed", text=text))
    return tuple(found)


def gate_flow(flow: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Hide rules that hit or removed few respondents, so that none of these counts follows from the totals.

    Hidden rules are counted together in a last row. If their sum would narrow one of them down, the rule with the next
    smallest number of removed joins them. Running totals are those of the shown rows, in their order: nobody is removed
    twice, so they reconcile in any order. Where the hits of a shown rule would say something about some of the hidden
    ones (hits beyond the removed were removed before), they are left out.

    Parameters
    ----------
    flow : DataFrame
        Columns as `FLOW`.
    min_n : int
        Smallest count that may be shown.

    Returns
    -------
    DataFrame
        The same rows with numbers blanked and `hidden` true where needed, and a row of the hidden ones together. It is
        left out, and with it the number entered, if so few were removed in all that their sum gives a count away.
    """
    if flow.empty or 0 < flow["n_after"].iloc[-1] < min_n:
        return blank(flow, np.ones(len(flow), dtype=bool), COUNTS)
    together, known = _together(flow["n_removed"].to_numpy(), min_n)
    hidden = together | flow["n_hit"].between(1, min_n - 1).to_numpy()
    if not hidden.any():
        return flow
    shown = pd.concat([flow, _together_row(flow, together)]) if known and together.any() else flow
    shown = shown.reset_index(drop=True)
    added = (0, len(shown) - len(flow))
    mask = np.pad(hidden, added)
    after = flow["n_after"].iloc[-1] + shown["n_removed"].where(~mask, 0)[::-1].cumsum()[::-1]
    shown = shown.assign(n_before=after, n_after=after - shown["n_removed"].where(~mask, 0))
    before = np.pad(np.cumsum(together) - together, added)
    some = (before > 0) & ((before < together.sum()) | (not known))
    partial = some & (shown["n_hit"] > shown["n_removed"]).to_numpy()
    shown["n_hit"] = shown["n_hit"].astype(float).mask(partial)
    return blank(shown, mask, COUNTS)


def _together(removed: np.ndarray, min_n: int) -> tuple[np.ndarray, bool]:
    """Choose the rules to count together, and say whether their sum may be shown."""
    together = (removed > 0) & (removed < min_n)
    order = [place for place in np.argsort(removed, kind="stable") if removed[place] >= min_n]
    while together.any() and not _open(removed[together], min_n):
        if not order:
            return together, False
        together[order.pop(0)] = True
    return together, True


def _open(removed: np.ndarray, min_n: int) -> bool:
    """Say whether removals whose sum is known leave each of them open from 1 to min_n - 1."""
    return len(removed) > 1 and removed.sum() >= min_n + len(removed) - 2


def _together_row(flow: pd.DataFrame, together: np.ndarray) -> pd.DataFrame:
    words = {"stage": "several", "rule": "hidden rules", "reason": "The hidden rules together", "action": "exclude"}
    return pd.DataFrame([{**words, "n_hit": np.nan, "n_removed": flow.loc[together, "n_removed"].sum()}])


def gate_unit_flow(flow: pd.DataFrame, overall: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Hide cells of a flow by department so that none follows from its row, its rule or the flow of all respondents.

    The removals by department and rule, and all removals, the rows entered and the rows left of each department are the
    cells of one system of sums, checked by linear programming (see `disclosure.hide_cells`). Running totals are shown
    for departments in which nothing is hidden.
    """
    groups, rules = list(dict.fromkeys(flow["group"])), len(overall)
    cube = {name: flow[name].to_numpy(float).reshape(len(groups), rules) for name in COUNTS}
    entered, left = cube["n_before"][:, 0], cube["n_after"][:, -1]
    removed = np.column_stack([cube["n_removed"], cube["n_removed"].sum(axis=1), entered, left])
    live = removed.sum(axis=0)[:rules] > 0
    start = np.zeros(removed.shape, dtype=bool)
    start[:, :rules] = (removed[:, :rules] < min_n) & live
    start[:, rules : rules + 2] = hidden_rows(
        removed[:, rules : rules + 2], min_n, hidden=(removed[:, rules] < min_n) & live.any()
    )[:, None]
    start[:, rules + 2] = hidden_rows(removed[:, [rules + 2]], min_n)
    equations = _unit_equations(len(groups), _known_sums(overall, min_n))
    totals = np.tile(np.arange(rules + 3) > rules, len(groups))
    hidden = hide_cells(removed.ravel(), equations, min_n, hidden=start.ravel(), last=totals).reshape(removed.shape)
    cells = hidden[:, :rules] | hidden_rows(np.column_stack([entered, left]), min_n)[:, None]
    cells = _hide_hits(cells, cube["n_hit"], cube["n_removed"], min_n)
    closed = np.repeat(cells.any(axis=1) | hidden[:, rules:].any(axis=1), rules)
    shown = blank(flow, cells.ravel(), COUNTS)
    return shown.assign(n_before=shown["n_before"].mask(closed), n_after=shown["n_after"].mask(closed))


def _hide_hits(cells: np.ndarray, hit: np.ndarray, removed: np.ndarray, min_n: int) -> np.ndarray:
    """Extend hidden cells, shape (departments, rules), until the hits by rule give none away either.

    A rule that hits more than it removes says how many were out before, so after a hidden cell it is hidden too.
    """
    cells = cells | ((hit < min_n) & (hit.sum(axis=0) > 0))
    before = np.zeros_like(cells)
    while not np.array_equal(before, cells):
        before = cells.copy()
        cells |= (hit > removed) & (np.cumsum(cells, axis=1) - cells > 0)
        for rule in range(cells.shape[1]):
            cells[:, rule] = hidden_rows(hit[:, [rule]], min_n, hidden=cells[:, rule])
    return cells


def _known_sums(overall: pd.DataFrame, min_n: int) -> np.ndarray:
    """The sums over rules that the shown flow of all respondents gives away, one row of ones and zeros for each."""
    together, known = _together(overall["n_removed"].to_numpy(), min_n)
    single = np.eye(len(overall))[~together]
    return np.vstack([single, together]) if known and together.any() else single


def _unit_equations(groups: int, sums: np.ndarray) -> np.ndarray:
    """Known sums over the cells of every department: its rules, then removed, entered and left.

    Within a department its rules add up to the removed, and entered - removed - left = 0; over departments the known
    sums of rules, and the numbers left. The numbers entered follow from these.
    """
    rules = sums.shape[1]
    own = np.array([[1.0] * rules + [-1, 0, 0], [0.0] * rules + [-1, 1, -1]])
    all_left = np.eye(1, rules + 3, rules + 2)
    across = np.vstack([np.pad(sums, ((0, 0), (0, 3))), all_left])
    return np.vstack([np.kron(np.eye(groups), own), np.tile(across, (1, groups))])


def _unit_flow(name: str, groups: pd.Series, first: pd.Series, hits: pd.DataFrame, flow: pd.DataFrame) -> pd.DataFrame:
    mine = groups == name
    removed = np.array([int((first[mine] == rule).sum()) for rule in flow["rule"]], dtype=int)
    after = int(mine.sum()) - np.cumsum(removed)
    counts = {"n_before": after + removed, "n_hit": hits[mine].sum().to_numpy(), "n_removed": removed, "n_after": after}
    return pd.concat([pd.Series(name, index=flow.index, name="group"), flow[list(FLOW[:4])]], axis=1).assign(**counts)


def _first_reason(hits: pd.DataFrame, flow: pd.DataFrame) -> pd.Series:
    excluding = hits[flow.loc[flow["action"] == "exclude", "rule"]]
    if excluding.shape[1] == 0:
        return pd.Series(None, index=hits.index, dtype=object)
    return excluding.idxmax(axis=1).astype(object).where(excluding.any(axis=1))


def _unit_column(survey: Survey, unit: str | None) -> pd.Series:
    units = survey.codebook.of_kind("unit")
    if unit is None and not units:
        raise DataError("The codebook has no variable of kind unit. Name the variable to split by, or declare one.")
    return survey.column(unit or units[0].name)
