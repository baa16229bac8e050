"""Defects that only several columns or rows together show: branches, contradictions, units, weights, joins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from smstudy.survey.codebook import Variable
from smstudy.survey.decoding import BLANK
from smstudy.survey.detectors.cell_defects import spelled_otherwise
from smstudy.survey.detectors.evidence import Detection, Look, cannot_tell, named, of_file, of_rows, write_rule
from smstudy.survey.formats.reading import is_wording
from smstudy.survey.scanning import scan_text

SAMPLE = 20_000
MOST_GATES = 12
NOT_ASKED = 0.8
ASKED = 0.3
LEAST_INSIDE = 5
YOUNGEST_WORKER = 14
HEAVY = 5.0
ORDERS = re.compile(
    r"_DO(_|\d|$)|^FL_\d+|(^|[_ ])(display[ _]?order|order|seed|random(ization|ized)?)([_ ]|$)", re.IGNORECASE
)
LOOPS = re.compile(r"^\d{1,3}_(?=[A-Za-z]+\d)|^[A-Za-z]+_?\d+[#.]\d+")
STAFF_NUMBER = re.compile(r"\b(?:[A-Za-z]{1,4}[-_]?\d{4,}|\d{5,})\b")
AGE, TENURE, BIRTH = r"\bage\b|\balter\b|how old", r"tenure|years (with|in|at)|betriebszugeh|seniority", r"birth|geburt"
START, END = ("startdate", "start", "starttime"), ("enddate", "end", "recordeddate", "recorded", "completiontime")


class Branch(NamedTuple):
    """A question that hardly anybody answered who gave one answer to an earlier one, and most others did."""

    gate: str
    answer: str
    follow: str
    inside: np.ndarray
    missing: np.ndarray


def _branches(look: Look) -> Iterator[Branch]:
    """Branches of the questionnaire as the gaps show them: candidates from evenly spaced rows, then all rows."""
    answers, order = look.survey.answers, [v.name for v in look.codebook.variables]
    follows = [v.name for v, _ in look.of_kind("item", "category", "number") if answers[v.name].isna().any()]
    step = max(1, look.n // SAMPLE)
    gaps = answers[follows].iloc[::step].isna().to_numpy()
    for gate in _gates(look):
        codes, levels = pd.factorize(answers[gate])
        after = [j for j, name in enumerate(follows) if order.index(name) > order.index(gate)]
        for code, answer in enumerate(levels if len(levels) <= MOST_GATES else ()):
            inside, some = codes == code, codes[::step] == code
            others = (codes[::step] >= 0) & ~some
            if inside.sum() < LEAST_INSIDE or not some.any() or others.sum() < LEAST_INSIDE:
                continue
            shares = gaps[some].mean(axis=0), gaps[others].mean(axis=0)
            for j in after:
                if shares[0][j] >= NOT_ASKED and shares[1][j] <= ASKED:
                    yield Branch(gate, str(answer), follows[j], inside, answers[follows[j]].isna().to_numpy())


def _gates(look: Look) -> list[str]:
    """Questions that may decide what is asked: categories asked of people, not what the platform writes."""
    written = set(look.called("status", "finished", "distributionchannel", "userlanguage", "startlanguage"))
    return [
        v.name for v, header in look.of_kind("category") if header not in written and len(v.categories) <= MOST_GATES
    ]


def not_shown(look: Look) -> Detection:
    """23: questions that were not shown, read as if they had been skipped."""
    hit, told = np.zeros(look.n, bool), []
    for branch in _branches(look):
        rows = branch.inside & branch.missing & _left_blank(look, branch.follow)
        if rows.any():
            hit |= rows
            told.append(branch)
    follows = named([branch.follow for branch in told])
    gates = named([branch.gate for branch in told])
    repair = (
        "Export questions that were not shown with a code of their own, and declare it in codebook.yml: "
        'missing: {"-77": "not shown"}. Until then the share of missing answers is too high.'
    )
    reason = f"Blank nearly wherever {gates} has one answer, so probably not shown: {follows}."
    found = of_rows(hit, reason, repair, clear="No gap follows from an earlier answer.")
    few = [branch for branch in told if 0 < np.count_nonzero(branch.inside & ~branch.missing) < look.privacy.min_n]
    return replace(found, hidden=bool(few))


def _left_blank(look: Look, name: str) -> np.ndarray:
    missing, blank = look.survey.missing, np.zeros(look.n, bool)
    told = (missing["variable"] == name) & (missing["reason"] == BLANK)
    blank[look.survey.answers.index.get_indexer(missing.loc[told, "row"])] = True
    return blank


def impossible_branches(look: Look) -> Detection:
    """32: questions answered by people to whom they were not put, such as features rated by nonusers."""
    hit, told = np.zeros(look.n, bool), []
    for branch in _branches(look):
        rows = branch.inside & ~branch.missing
        if rows.any():
            hit |= rows
            told.append(branch)
    repair = write_rule(
        id=f"not-asked-{told[0].follow}", stage="analysis", column=told[0].follow, op="not_missing",
        where={"column": told[0].gate, "op": "equals", "value": told[0].answer}, action="set_missing",
        reason="Answered although it should not have been asked",
    ) if told else ""  # fmt: skip
    reason = (
        f"Answered against the branch that {named([b.gate for b in told])} opens: {named([b.follow for b in told])}."
    )
    return of_rows(hit, reason, repair, clear="Nobody answered what hardly anybody of the same branch did.")


def contradictions(look: Look) -> Detection:
    """31: dates, ages and years that cannot all be true."""
    hit, told, repairs = np.zeros(look.n, bool), [], []
    compared = [*_dates_compared(look), *_years_compared(look)]
    for reason, repair, rows in compared:
        if rows.any():
            hit |= rows
            told.append(reason)
            repairs.append(repair)
    if not compared:
        return cannot_tell("There are no two dates, and no age beside years of service, as numbers.")
    return of_rows(hit, " ".join(told), " ".join(repairs), clear="Dates, ages and years agree.")


def _dates_compared(look: Look) -> Iterator[tuple[str, str, np.ndarray]]:
    start, end = (_first(look, names, "date") for names in (START, END))
    if start and end:
        first, last = look.moments(start), look.moments(end)
        rule = write_rule(id="ends-before-start", stage="quality", column=end, op="less_than_column", other=start,
                          action="flag", reason="Ends before it starts")  # fmt: skip
        yield f"{named([end])} lies before {named([start])}.", rule, (last < first).to_numpy()


def _years_compared(look: Look) -> Iterator[tuple[str, str, np.ndarray]]:
    age, tenure = ([look.variable_at[h].name for h in look.about(p, "number")] for p in (AGE, TENURE))
    if age and tenure:
        years = (
            look.survey.answers[tenure[0]].to_numpy(float)
            > look.survey.answers[age[0]].to_numpy(float) - YOUNGEST_WORKER
        )
        rule = write_rule(id="tenure-and-age", stage="quality", column=tenure[0], op="greater_than_column",
                          other=age[0], plus=-YOUNGEST_WORKER, action="flag",
                          reason="More years of service than the age allows")  # fmt: skip
        yield f"{named(tenure[:1])} is more than {named(age[:1])} less {YOUNGEST_WORKER} years.", rule, years


def _first(look: Look, names: tuple[str, ...], kind: str) -> str:
    found = (look.variable_at[h] for h in look.called(*names) if h in look.variable_at)
    return next((variable.name for variable in found if variable.kind == kind), "")


def personal_data(look: Look) -> Detection:
    """33: addresses, telephone and staff numbers in own words; columns of them are dropped when read."""
    texts = [header for _, header in look.of_kind("text")]
    hits = {header: _personal_rows(look, header) for header in texts}
    hit = [header for header, rows in hits.items() if rows.any()]
    all_rows = np.logical_or.reduce([*hits.values(), np.zeros(look.n, bool)])
    note = " Names cannot be found for certain."
    if look.export.dropped:
        note += f" Dropped when read: {named(list(look.export.dropped))}."
    if not texts:
        return Detection(verdict="not found", n=0, reason=f"No question takes own words.{note}")
    reason = f"Addresses, telephone, account or staff numbers in {named(hit)}.{note}"
    repair = "Nothing to write: verbatims() masks them, and no table shows own words."
    return of_rows(all_rows, reason, repair, clear=f"None in {named(texts)}.{note}")


def _personal_rows(look: Look, header: str) -> np.ndarray:
    rows = look.rows_matching(header, r"@|\d{4}|\d[ ()./-]+\d")
    places = np.flatnonzero(rows)
    texts = look.export.cells[header].iloc[places].astype(str)
    rows[places] = [bool(STAFF_NUMBER.search(text) or scan_text(text)) for text in texts]
    return rows


def platform_columns(look: Look) -> Detection:
    """34: columns of the random order, and loops that repeat questions under a prefix."""
    short = [header for header in look.headers if not is_wording(header)]
    orders = [header for header in short if ORDERS.search(header)]
    loops = [header for header in short if LOOPS.search(header)]
    told = [f"Order in which things were shown: {named(orders)}."] if orders else []
    told += [f"Questions repeated in a loop: {named(loops)}."] if loops else []
    repair = "Leave order columns out of codebook.yml. A loop is one variable for each pass, or one row for each pass."
    return of_file(told, repair, clear="No order columns and no loops.")


def units(look: Look) -> Detection:
    """35: departments spelled in many ways, unknown or tiny."""
    hit, told, declared = np.zeros(look.n, bool), [], list(look.of_kind("unit"))
    for variable, header in declared:
        spelled, unknown = spelled_otherwise(look, variable, header), look.unknown_rows(variable)
        hit |= spelled | unknown
        if spelled.any():
            told.append(f"Spelled in several ways: {_spelled_in_ways(look, variable, header, spelled)}.")
        if unknown.any():
            told.append(f"Not in the codebook: departments in {named([header])}.")
        counts = look.survey.answers[variable.name].value_counts()
        if ((counts > 0) & (counts < look.privacy.min_n)).any():
            told.append(
                f"{named([header])} has departments of fewer than {look.privacy.min_n} respondents; tables hide them."
            )
    if not declared:
        return cannot_tell("The codebook has no variable of kind unit.")
    repair = 'Add spellings to "aliases:" of the department; put tiny departments together in the codebook.'
    if told and not hit.any():
        return of_file(told, repair, clear="")
    return of_rows(hit, " ".join(told), repair, clear="Every department is spelled in one way and is large enough.")


def _spelled_in_ways(look: Look, variable: Variable, header: str, spelled: np.ndarray) -> str:
    """The departments spelled otherwise by enough respondents, by their labels; the column alone if there is none."""
    labels = look.survey.answers.loc[spelled, variable.name].value_counts()
    enough = [str(label) for label, n in labels.items() if n >= look.privacy.min_n and variable.categories]
    return f"{named(sorted(enough))} in {named([header])}" if enough else named([header])


def weights(look: Look) -> Detection:
    """36: weights that are missing, zero, negative or extreme."""
    declared = list(look.of_kind("weight"))
    hit = np.zeros(look.n, bool)
    for variable, _ in declared:
        values = look.survey.answers[variable.name].to_numpy(float)
        with np.errstate(invalid="ignore"):
            good = values[values > 0]
            hit |= ~(values > 0) | (values > HEAVY * (good.mean() if len(good) else np.inf))
    if not declared:
        return cannot_tell("The codebook has no variable of kind weight.")
    reason = f"Missing, not above 0, or more than {HEAVY:g} times the mean: {named([v.name for v, _ in declared])}."
    return of_rows(hit, reason, "Make weights anew with rake() and trim.", clear="Weights are above 0 and even enough.")


def joined_twice(look: Look) -> Detection:
    """37: platform logs joined so that one response became several rows."""
    for _, header in look.of_kind("id"):
        rows = look.repeats(header)
        varying = _same_but_for(look, header) if rows.any() else []
        if varying:
            repair = "Count the activity of a person first (one row each), then join it to the responses."
            reason = (
                f"Rows of one {named([header])} are alike but for {named(varying)}: joined with several rows of a log."
            )
            return of_file([reason], repair, clear="")
    if not [*look.of_kind("id")]:
        return cannot_tell("The codebook has no variable of kind id.")
    return Detection(verdict="not found", reason="No identifier stands in rows that differ in a few columns only.")


def _same_but_for(look: Look, header: str) -> list[str]:
    """Columns in which rows of one identifier differ; none if these are the items, or there are none."""
    block = look.export.cells.loc[look.export.cells[header].duplicated(keep=False).to_numpy() & look.filled(header)]
    groups = block[header].astype(str)
    items = [column for _, column in look.of_kind("item")]
    differ = [c for c in look.headers if c != header and (block[c].astype(str).groupby(groups).nunique() > 1).any()]
    return differ if items and not set(differ) & set(items) else []


def idle_items(look: Look) -> Detection:
    """38: items without variance, items that repeat another, answers that nobody gave."""
    answers, told = look.survey.answers, []
    items = [v for v, _ in look.of_kind("item")]
    levels = {v.name: _levels(answers[v.name].to_numpy(float), len(v.categories)) for v in items}
    constant = [name for name, found in levels.items() if len(found) == 1]
    twins = _twin_items(look, [v for v in items if v.name not in constant])
    unused = [v.name for v in items if len(levels[v.name]) and len(levels[v.name]) < len(v.categories)]
    if constant:
        told.append(f"One answer by everybody: {named(constant)}.")
    if twins:
        told.append(f"Repeats another item in every row: {named(twins)}.")
    if unused:
        told.append(f"Some of the answers offered were given by nobody: {named(unused)}.")
    repair = (
        "Leave constant and doubled items out of their scales." if constant or twins else
        "Nothing: tables and charts keep answers that nobody gave."
    )  # fmt: skip
    return of_file(told, repair, clear="Every item varies, none repeats another, every answer was given.")


def _levels(values: np.ndarray, most: int) -> np.ndarray:
    """The different answers; if the first rows have as many as are offered, those."""
    some = pd.unique(values[:SAMPLE])
    some = some[~np.isnan(some)]
    everything = pd.unique(values) if len(some) < most else some
    return everything[~np.isnan(everything)]


def _twin_items(look: Look, items: list[Variable]) -> list[str]:
    """Items that hold in every row what an earlier one holds."""
    if look.n < LEAST_INSIDE:
        return []
    alike: dict[bytes, list[np.ndarray]] = {}
    found = []
    for variable in items:
        values = look.survey.answers[variable.name].to_numpy(float)
        earlier = alike.setdefault(values[:SAMPLE].tobytes(), [])
        if any(np.array_equal(values, other, equal_nan=True) for other in earlier):
            found.append(variable.name)
        earlier.append(values)
    return found
