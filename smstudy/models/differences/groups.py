"""Scores of departments with their intervals, and what changed since the previous wave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smstudy.display import apa, figures, tables
from smstudy.display.prose import join_words, lower_first
from smstudy.errors import EstimationError
from smstudy.inference.means import Estimate, mean_interval, overlapping_change
from smstudy.inference.multiplicity import benjamini_hochberg
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Refusal, Result
from smstudy.scales.invariances import ALLOWED, NOT_ALLOWED, Gate, Invariance
from smstudy.survey.closing import moved_groups
from smstudy.survey.dataset import Survey, need_survey
from smstudy.survey.disclosure import NO_GROUP, group_names, hidden_groups, protect, scale_scores

EVERYBODY = "Everybody"
CHANGED, CANNOT_TELL, NOT_TESTED = "changed", "cannot tell", "not tested"
LEVEL = 0.95
FEW = 20
MOST_STEPS = 11
SPREAD = ["std_dev", "std_error", "conf_low", "conf_high"]


@dataclass(frozen=True, kw_only=True, repr=False)
class GroupScores(Result):
    """One row per score and group: n, mean, standard deviation and interval. Small groups are hidden."""

    rows: pd.DataFrame
    picture = staticmethod(figures.group_estimates)

    def tidy(self) -> pd.DataFrame:
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        return {"n_groups": len(set(self.rows["group"]) - {EVERYBODY, NO_GROUP}), "conf_level": LEVEL}

    def pooling(self) -> Poolable:
        """The means, each for itself; hidden groups have none."""
        return Poolable(
            keys=self.rows[["term", "group"]],
            estimates=self.rows["estimate"].to_numpy(float),
            covariance=np.diag(self.rows["std_error"].to_numpy(float) ** 2),
            df_complete=self.rows["df"].to_numpy(float),
            n=int(self.rows["n"].max()),
            title=self.title,
            note="Means; small groups are hidden.",
        )

    def drawn(self) -> pd.DataFrame:
        """The groups of the first score that are not hidden."""
        drawn = super().drawn()
        return drawn[drawn["term"] == drawn["term"].iloc[0]] if len(drawn) else drawn

    def table(self) -> tables.Table:
        """One row per group, one column per score."""
        shown = self.shown()
        scores = list(dict.fromkeys(shown["term"]))
        groups = {group: part.set_index("term") for group, part in shown.groupby("group", sort=False)}
        return tables.Table(
            title=self.title,
            headings=("Group", "n", *(apa.say("term", score, self.labels) for score in scores)),
            rows=tuple((str(group), _most(part), *_cells(part, scores)) for group, part in groups.items()),
            numeric=(False, True, *(True for _ in scores)),
            note=self.note,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class WaveChanges(Result):
    """One row per score (and group): both means, the change, its interval, p corrected over the page, verdict."""

    rows: pd.DataFrame
    picture = staticmethod(figures.changes)

    def tidy(self) -> pd.DataFrame:
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        return {"conf_level": LEVEL}

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out the columns that only computations need."""
        return shown[["term", "group", "n_previous", "n", "previous", "mean", "difference", "conf_low", "conf_high",
                      "p_adjusted", "verdict"]]  # fmt: skip


def by_group(survey: Survey, scores: Sequence[str], unit: str) -> GroupScores:
    """Estimate the mean of each score in each department, and over everybody.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores.
    scores : sequence of str
        Scores or numbers to average.
    unit : str
        Variable that says which group a respondent belongs to.

    Returns
    -------
    GroupScores
        Means with t intervals; a group below the threshold is hidden, and so is a second one whenever the hidden one
        could be computed from the total. Respondents whose group is not known are a group of their own. Of a single
        statement with three to 11 answers, groups with fewer than 20 respondents have no spread and no interval:
        number, mean and spread would tell how many gave each answer.

    Raises
    ------
    DataError
        If a score or the unit is not there.
    """
    survey = _grouped(need_survey(survey, "by_group"), unit)
    columns = [survey.column(name).astype(float) for name in scores]
    rows = pd.concat([_score_rows(values, survey.column(unit), name) for name, values in zip(scores, columns)])
    table, findings = _protected(rows, hidden_groups(survey, unit, scores=scores), survey.privacy)
    statements = set(scores) - set(scale_scores(survey))
    few = [name for name, values in zip(scores, columns) if name in statements and has_few_values(values.dropna())]
    telling = _telling_spread(table, few)
    table.loc[telling, SPREAD] = np.nan
    findings = (*findings, few_values_finding(few)) if telling.any() else findings
    return GroupScores(
        title=f"Scores by {_words(survey, unit)}",
        note="Means with 95% t intervals; n: respondents who have the score that most have. An interval that holds "
        "another group's mean does not tell the two apart.",
        findings=findings,
        labels=survey.codebook.labels,
        privacy=survey.privacy,
        rows=_ordered(table),
    )


def changes(
    survey: Survey,
    previous: Survey | None,
    scores: Sequence[str],
    *,
    person: str = "",
    unit: str = "",
    comparable: Invariance | Refusal | None = None,
) -> WaveChanges:
    """Estimate what changed since the previous wave.

    Parameters
    ----------
    survey, previous : Survey
        Clean answers of this wave and the one before; without a previous one the table is empty and says so.
    scores : sequence of str
        Scores or numbers to compare.
    person : str, optional
        Variable that is the same for a person in both waves; without it all respondents count as different people.
    unit : str, optional
        Give one row per group of this variable instead of one for everybody.
    comparable : Invariance or Refusal, optional
        What `invariance()` said of the two waves.

    Returns
    -------
    WaveChanges
        The change with its interval; verdict `changed` if p, corrected over all rows shown (Benjamini &
        Hochberg 1995), is below .05, else `cannot tell`. It is `cannot tell` as well where `comparable` does not allow
        to compare the means; where it cannot tell, a finding says so.

    References
    ----------
    See `smstudy.inference.means.overlapping_change`.
    """
    if previous is None:
        return _no_previous(need_survey(survey, "changes"))
    survey, previous = need_survey(survey, "changes"), need_survey(previous, "changes")
    if unit:
        survey, previous = _grouped(survey, unit), _grouped(previous, unit)
    pieces = [_changes_of(name, survey, previous, person, unit) for name in scores]
    rows, findings = pd.concat(pieces, ignore_index=True), ()
    if unit:
        closed = frozenset().union(*(hidden_groups(wave, unit, scores=scores) for wave in (survey, previous)))
        closed = moved_groups(survey, previous, unit, person, hidden=closed) if person else closed
        rows, findings = _protected(rows, closed, survey.privacy)
    rows["p_adjusted"] = benjamini_hochberg(rows["p_value"].to_numpy(float))
    gates = {name: gate for name, gate in getattr(comparable, "gates", {}).items() if name in scores}
    rows["verdict"] = [
        CHANGED if p < 1 - LEVEL and not (term in gates and gates[term].verdict == NOT_ALLOWED) else CANNOT_TELL
        for p, term in zip(rows["p_adjusted"], rows["term"], strict=True)
    ]
    if comparable is not None:
        scales = {scale.name for scale in survey.codebook.scales}
        rows["means"] = [
            gates[term].verdict if term in gates else NOT_TESTED if term in scales else "" for term in rows["term"]
        ]
    return WaveChanges(
        title=_title(survey, previous, scores, unit),
        note=(
            "Respondents of both waves count as pairs, the others as they are. Intervals are for each row alone; the "
            "verdict uses p corrected for all rows shown here. Cannot tell is not the same as no change."
        ),
        findings=(*findings, *_link_finding(survey, previous, person), *_comparability(gates, comparable)),
        labels=survey.codebook.labels,
        privacy=survey.privacy,
        rows=rows,
    )  # fmt: skip


def _comparability(gates: Mapping[str, Gate], comparable: Invariance | Refusal | None) -> tuple[Finding, ...]:
    """What stands in the way of reading a changed mean as a changed opinion."""
    if isinstance(comparable, Refusal):
        text = f"Whether the questions mean the same in both waves could not be tested: {comparable.reason}"
        return (Finding(name="comparability_not_tested", text=text),)
    return tuple(gate.finding() for gate in gates.values() if gate.verdict != ALLOWED)


def _title(survey: Survey, previous: Survey, scores: Sequence[str], unit: str) -> str:
    what = f": {survey.codebook.labels.get(scores[0], scores[0])}" if len(scores) == 1 else ""
    by = f" by {_words(survey, unit)}" if unit else ""
    return f"Change from wave {previous.wave} to wave {survey.wave}{by}{what}"


def _no_previous(survey: Survey) -> WaveChanges:
    columns = ["term", "group", "n_previous", "n", "previous", "mean", "difference", "conf_low", "conf_high",
               "p_adjusted", "verdict"]  # fmt: skip
    text = "There is no previous wave, so nothing can be said about change."
    return WaveChanges(
        title="Change since the previous wave",
        note=text,
        findings=(Finding(name="one_wave", text=text, severity="info"),),
        privacy=survey.privacy,
        rows=pd.DataFrame(columns=columns),
    )


def _grouped(survey: Survey, unit: str) -> Survey:
    """Name the group of those who did not state theirs: they count in the total, so they must count as a group."""
    groups = group_names(survey, unit)
    return survey.with_columns(groups.to_frame(unit), f"{unit}: respondents without one are a group")


def _words(survey: Survey, unit: str) -> str:
    return lower_first(survey.codebook.labels.get(unit, unit))


def _score_rows(values: pd.Series, groups: pd.Series, name: str) -> pd.DataFrame:
    frame = pd.DataFrame({"value": values, "group": groups}).dropna(subset="value")
    parts = [(EVERYBODY, frame), *frame.groupby("group")]
    return pd.DataFrame([{"term": name, "group": group, **_mean_row(part["value"])} for group, part in parts])


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Put everybody first, then groups by their mean, then the hidden ones by name: their place must say nothing."""
    place = pd.DataFrame({
        "term": table["term"].map({term: i for i, term in enumerate(dict.fromkeys(table["term"]))}),
        "everybody": table["group"] != EVERYBODY,
        "hidden": table["hidden"],
        "mean": -table["estimate"],
        "group": table["group"],
    })  # fmt: skip
    return table.loc[place.sort_values(list(place)).index].reset_index(drop=True)


def _protected(
    rows: pd.DataFrame, hidden: frozenset[str], privacy: Privacy
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Hide the same groups in every row of a page: what one score shows must not give away what another hides."""
    counts = [name for name in ("n", "n_previous") if name in rows]
    groups = rows[rows["group"] != EVERYBODY]
    sizes = groups.pivot_table(index="group", columns="term", values=counts, aggfunc="min", fill_value=0)
    sizes.columns = ["/".join(column) for column in sizes.columns]
    sizes = sizes.reset_index().assign(hidden=lambda table: table["group"].isin(hidden))
    decided = protect(sizes, group="group", counts=[c for c in sizes if "/" in c], numbers=[], privacy=privacy)
    closed = set(decided.table.loc[decided.table["hidden"], "group"])
    table = rows.reset_index(drop=True)
    numbers = table.select_dtypes("number").columns
    table["hidden"] = table["group"].isin(closed)
    table[numbers] = table[numbers].astype(float).mask(table["hidden"])
    return table, decided.findings


def has_few_values(values: pd.Series | np.ndarray) -> bool:
    """Whether number, mean and spread of few respondents can be solved for how many gave each answer.

    Of two answers the mean alone tells, and groups have enough respondents with each.
    """
    return 2 < len(np.unique(values)) <= MOST_STEPS


def few_values_finding(names: Sequence[str]) -> Finding:
    """Say why the spread of statements is left out in small groups."""
    quoted, verb = [f'"{name}"' for name in names], "has" if len(names) == 1 else "have"
    text = (
        f"{join_words(quoted)} {verb} few values, so that number, mean and spread of fewer than {FEW} respondents tell "
        "how many gave each answer. The spread of such groups is left out, and of a further one where the total would "
        "tell it; take a scale of several statements to compare them."
    )
    return Finding(name="few_values", text=text, severity="info")


def _telling_spread(table: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Rows whose spread tells single answers, and a further one if the spread of all would tell it."""
    telling = table["term"].isin(names) & (table["n"] < FEW)
    for name in names:
        groups = (table["term"] == name) & (table["group"] != EVERYBODY)
        others = table["n"].where(groups & ~telling & ~table["hidden"])
        if (telling & groups).any() and (groups & (telling | table["hidden"])).sum() == 1 and others.notna().any():
            telling |= table.index == others.idxmin()
    return telling


def _most(part: pd.DataFrame) -> str:
    return tables.HIDDEN if part["hidden"].any() else apa.count(part["n"].max())


def _cells(part: pd.DataFrame, scores: Sequence[str]) -> list[str]:
    """Mean and interval of one group for each score."""
    if part["hidden"].any():
        return [tables.HIDDEN for _ in scores]
    rows = [part.loc[score] if score in part.index else None for score in scores]
    return [apa.EMPTY if row is None else f"{apa.number(row['estimate'])} {_interval(row)}" for row in rows]


def _interval(row: pd.Series) -> str:
    return apa.interval(row["conf_low"], row["conf_high"])


def _mean_row(values: pd.Series) -> dict[str, float]:
    x = values.to_numpy(float)
    row = {"n": len(x), "std_dev": float(np.std(x, ddof=1)) if len(x) > 1 else np.nan}
    if len(x) < 2:
        return row | {"estimate": np.nan, "std_error": np.nan, "df": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    mean = mean_interval(x, conf_level=LEVEL)
    return row | {k: v for k, v in mean._asdict().items() if k not in ("statistic", "p_value")}


def _changes_of(name: str, survey: Survey, previous: Survey, person: str, unit: str) -> pd.DataFrame:
    joined = _joined(name, survey, previous, person, unit)
    groups = joined.groupby("group") if unit else [(EVERYBODY, joined)]
    min_n = survey.privacy.min_n
    return pd.DataFrame([{"term": name, "group": group, **_change_row(part, min_n)} for group, part in groups])


def _joined(name: str, survey: Survey, previous: Survey, person: str, unit: str) -> pd.DataFrame:
    """One row per person: the score before and after (NaN where absent) and the group."""
    before, after = (_one_wave(name, wave, person, unit) for wave in (previous, survey))
    keys = ["person", "group"] if unit else ["person"]
    joined = before.merge(after, on=keys, how="outer", suffixes=("_before", "_after"))
    return joined.rename(columns={"value_before": "before", "value_after": "after"})


def _one_wave(name: str, survey: Survey, person: str, unit: str) -> pd.DataFrame:
    frame = pd.DataFrame({"value": survey.column(name).astype(float)})
    nobody = pd.Series([f"{survey.wave}:{row}" for row in frame.index], index=frame.index)
    frame["person"] = _unique_people(survey.column(person), nobody) if person else nobody
    if unit:
        frame["group"] = survey.column(unit)
    return frame.dropna()


def _unique_people(person: pd.Series, nobody: pd.Series) -> pd.Series:
    """A code that is missing or used twice in a wave links nobody."""
    usable = person.notna() & ~person.duplicated(keep=False)
    return person.astype(object).where(usable, nobody)


def _unpaired(before: np.ndarray, after: np.ndarray, min_n: int) -> tuple[np.ndarray, np.ndarray]:
    """Take pairs apart where they are too few: the standard error would tell how these few people moved."""
    pair = ~np.isnan(before) & ~np.isnan(after)
    if pair.sum() >= min_n or not pair.any():
        return before, after
    return np.append(before, np.full(pair.sum(), np.nan)), np.append(np.where(pair, np.nan, after), after[pair])


def _change_row(part: pd.DataFrame, min_n: int) -> dict[str, float]:
    before, after = _unpaired(part["before"].to_numpy(float), part["after"].to_numpy(float), min_n)
    change = _change(before, after)
    return {
        "n_previous": int((~np.isnan(before)).sum()),
        "n": int((~np.isnan(after)).sum()),
        "previous": _mean(before),
        "mean": _mean(after),
        "difference": change.estimate,
        **{key: value for key, value in change._asdict().items() if key != "estimate"},
    }


def _change(before: np.ndarray, after: np.ndarray) -> Estimate:
    try:
        return overlapping_change(before, after, conf_level=LEVEL)
    except EstimationError:
        return Estimate(*[np.nan] * 7)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if (~np.isnan(values)).any() else np.nan


def _link_finding(survey: Survey, previous: Survey, person: str) -> tuple[Finding, ...]:
    n = len(_people(survey, person) & _people(previous, person)) if person else 0
    if n >= survey.privacy.min_n:
        some = all(survey.privacy.allows(len(wave.answers) - n) for wave in (survey, previous))
        text = f"{n if some else 'Most'} respondents of this wave are also in the previous one and count as pairs."
        return (Finding(name="linked", text=text, severity="info"),)
    who = f"Fewer than {survey.privacy.min_n}" if person else "No"
    text = (
        f"{who} respondents could be linked between the waves; the others count as different people, which makes "
        "intervals wide."
    )
    return (Finding(name="not_linked", text=text),)


def _people(survey: Survey, person: str) -> set[object]:
    """Codes that stand for one person of a wave."""
    codes = survey.column(person).dropna()
    return set(codes[~codes.duplicated(keep=False)])
