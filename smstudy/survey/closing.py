"""Which groups to close because sums over them, and over what is known already, would leave a few people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from smstudy.errors import DisclosureError
from smstudy.result import Finding
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import ALL, group_names, hidden_groups, scale_scores
from smstudy.survey.suppression import small_differences

TOGETHER = ""
WHAT_TO_DO = (
    "If they answered since, leave them out by a rule, or wait until more have answered. If they withdrew, let the "
    "release stand and publish no further one of this wave. If nobody has seen the release, take it back: delete its "
    "folder in released and ledger.json in runs. See docs/how-to/release-a-report.md."
)
Sets = Mapping[str, Sequence[frozenset]]


def close_groups(survey: Survey, units: Sequence[str], *, known: Sets | None = None) -> Survey:
    """Close the groups that, added to and subtracted from what is known, would leave fewer than min_n people.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores; its index names the people.
    units : sequence of str
        Variables a report splits by. Together they may isolate a few people even where each alone does not.
    known : mapping of str to sequence of frozenset, optional
        Score (or "all" for the numbers of people) to the sets of people about whom it was released, by the names of the
        index.

    Returns
    -------
    Survey
        The same answers; its policy names the groups that every table hides.

    Raises
    ------
    DisclosureError
        If the numbers of everybody give the difference away, or no group could be shown.
    """
    min_n, answered = survey.privacy.min_n, _answered(survey)
    before = {variable: (known or {}).get(variable, ()) for variable in answered}
    everybody = pd.Index(
        set(survey.answers.index).union(*(one for sets in before.values() for one in sets)), dtype=object
    )
    known_rows = {variable: _rows(sets, everybody) for variable, sets in before.items()}
    has = {variable: _rows([people], everybody) for variable, people in answered.items()}
    for variable in answered:
        if _new_differences(has[variable], known_rows[variable], min_n):
            raise DisclosureError(_about_everybody(min_n))
    while True:
        shown = shown_sets(survey, units)
        groups = _rows(shown.values(), everybody)
        cuts = {variable: np.vstack([has[variable], groups & has[variable]]) for variable in answered}
        few = {tuple(few) for name, cut in cuts.items() for few in _new_differences(cut, known_rows[name], min_n)}
        if not few:
            return _with_groups(survey, units, shown)
        single = {place: people for place, people in shown.items() if place[1] != TOGETHER}
        if not single:
            raise DisclosureError(_about_every_group(min_n))
        closing = {_next_group(frozenset(everybody[list(one)]), single, before[ALL]) for one in few}
        survey = replace(survey, privacy=survey.privacy.closing(closing))


def close_categories(survey: Survey, variables: Sequence[str], *, known: Mapping[str, Sets]) -> Survey:
    """Close categories as `close_groups` does, each variable by itself; where none could be shown, all are closed.

    Variables are not held against each other: with many of them nearly everybody would be alone in a combination. A
    report need not show a variable of which nothing can be shown, so that does not stop it.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores; its index names the people.
    variables : sequence of str
        Variables a report may split by.
    known : mapping of str to mapping
        For each variable what was released by it, as in `close_groups`.
    """
    for variable in variables:
        try:
            survey = close_groups(survey, [variable], known=known.get(variable))
        except DisclosureError:
            every = {(variable, group) for group in group_names(survey, variable)}
            survey = replace(survey, privacy=survey.privacy.closing(every))
    return survey


def _with_groups(survey: Survey, units: Sequence[str], shown: Mapping[tuple[str, str], frozenset]) -> Survey:
    """Give the survey back if closing has left each unit a group to show."""
    for unit in {unit for unit, _ in survey.privacy.closed if unit in units}:
        if not any(place[0] == unit and place[1] != TOGETHER for place in shown):
            raise DisclosureError(_about_every_group(survey.privacy.min_n))
    return survey


def shown_sets(survey: Survey, units: Sequence[str]) -> dict[tuple[str, str], frozenset]:
    """The people whose numbers a report shows or gives away, by unit and group; the hidden ones of a unit together."""
    sets = {}
    for unit in units:
        groups = group_names(survey, unit)
        shown = groups.mask(groups.isin(hidden_groups(survey, unit)), TOGETHER)
        sets |= {(unit, str(name)): frozenset(people) for name, people in shown.groupby(shown).groups.items()}
    return sets


def moved_groups(
    survey: Survey, previous: Survey, unit: str, person: str, *, hidden: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Name the groups a comparison of two waves hides because fewer than min_n people came or left.

    The number of people times the mean, before minus now, is what those who left answered, minus what those who came
    answered, plus what the others changed. What hardly ever changes, such as age, cancels out but for the few.

    Parameters
    ----------
    survey, previous : Survey
        Clean answers of this wave and the one before.
    unit : str
        Variable that says which group a respondent belongs to.
    person : str
        Variable that is the same for a person in both waves; a code that is missing or used twice is nobody known.
    hidden : frozenset of str
        Groups hidden already.

    Returns
    -------
    frozenset of str
        These and further ones, until also the hidden ones together differ by nobody or by enough. If so few make the
        difference among all, no hiding of groups can help: the change of everybody is shown.
    """
    min_n, waves = survey.privacy.min_n, [_known_members(wave, unit, person) for wave in (previous, survey)]

    def differs_by_few(groups: Iterable[str]) -> bool:
        before, now = (frozenset().union(*(wave.get(group, ()) for group in groups)) for wave in waves)
        return bool(before & now) and 0 < len(before ^ now) < min_n

    every = set(waves[0]) | set(waves[1])
    found = set(hidden) | {group for group in every if differs_by_few([group])}
    rest = sorted(every - found, key=lambda group: (sum(len(wave.get(group, ())) for wave in waves), group))
    while rest and differs_by_few(found) and not differs_by_few(every):
        found.add(rest.pop(0))
    return frozenset(found)


def _known_members(survey: Survey, unit: str, person: str) -> dict[str, frozenset]:
    codes = survey.column(person)
    known = codes[codes.notna() & ~codes.duplicated(keep=False)].astype(str)
    return {str(name): frozenset(part) for name, part in known.groupby(group_names(survey, unit).loc[known.index])}


def refuse_small_difference(first: Survey, second: Survey, *, unit: str = "") -> None:
    """Refuse a second cut of the same answers that differs from the first by fewer than min_n people.

    Parameters
    ----------
    first, second : Survey
        Two selections of the same respondents, such as with and without those who were flagged.
    unit : str, optional
        Variable both are split by.

    Raises
    ------
    DisclosureError
        If numbers of both, compared, would tell about 1 to min_n - 1 people.
    """
    min_n = first.privacy.min_n
    everybody = first.answers.index.union(second.answers.index).astype(object)
    groups = [_rows(shown_sets(survey, [unit] if unit else []).values(), everybody) for survey in (first, second)]
    has = [_answered(survey) for survey in (first, second)]
    for variable in has[0].keys() & has[1].keys():
        rows = [_rows([people[variable]], everybody) for people in has]
        cuts = [np.vstack([own, part & own]) for own, part in zip(rows, groups)]
        if _new_differences(np.vstack(cuts), cuts[0][:0], min_n):
            raise DisclosureError(
                f"The two selections differ by fewer than {min_n} people, so their numbers, compared, would tell about "
                "these alone. Show one of the two, or make the selections differ by more."
            )


def _answered(survey: Survey) -> dict[str, frozenset]:
    """Who is in the survey, and who has each score."""
    index = survey.answers.index
    return {ALL: frozenset(index)} | {
        name: frozenset(index[survey.answers[name].notna()]) for name in scale_scores(survey)
    }


def _rows(sets: Iterable[frozenset], people: pd.Index) -> np.ndarray:
    """Write sets of people as rows of booleans, shape (sets, people)."""
    rows = [people.isin(one) for one in sets]
    return np.array(rows, dtype=bool).reshape(len(rows), len(people))


def _new_differences(sets: np.ndarray, known: np.ndarray, min_n: int) -> list[np.ndarray]:
    """Small differences that the sets add to those known already; a set of fewer than min_n is not shown at all."""
    shown = sets[sets.sum(axis=1) >= min_n]
    found = small_differences(np.vstack([shown, known]), min_n) if len(shown) else []
    already = {tuple(few) for few in small_differences(known, min_n)} if found and len(known) else set()
    return [few for few in found if tuple(few) not in already]


def _next_group(
    few: frozenset, single: Mapping[tuple[str, str], frozenset], known: Sequence[frozenset]
) -> tuple[str, str]:
    """Choose the group to close next: the smallest that holds the few, else the one that changed most since before."""
    holding = [place for place, people in single.items() if people & few]
    if holding:
        return min(holding, key=lambda place: (len(single[place]), place))
    within = min((one for one in known if one & few), key=len, default=frozenset())
    were_in = max(single, key=lambda place: (len(single[place] & within), place))
    if single[were_in] & within:
        return were_in
    changed = {place: min((len(one ^ people) for one in known), default=0) for place, people in single.items()}
    return min(single, key=lambda place: (-changed[place], len(single[place]), place))


def _about_everybody(min_n: int) -> str:
    return (
        f"Fewer than {min_n} people make the difference to what was released before, so the numbers of everybody, "
        f"compared, would tell about these alone. {WHAT_TO_DO}"
    )


def _about_every_group(min_n: int) -> str:
    return (
        f"Every group would be hidden: in each, fewer than {min_n} people make the difference to what was released "
        f"before or to another split. {WHAT_TO_DO}"
    )


def few_gaps(survey: Survey) -> pd.Series:
    """Find the respondents that would make two tables of one page differ by few people, as a boolean per row.

    Each score is shown for those who have it, and a model for those who have all. Where fewer than `min_n` lack a
    score, or have it and lack another, the difference of two tables tells their answers. Leaving them out of all tables
    closes that.
    """
    scores, least = scale_scores(survey), survey.privacy.min_n
    lacks = survey.answers[scores].isna()
    out = pd.Series(False, index=survey.answers.index)
    changed = bool(scores)
    while changed:
        rest = lacks[~out]
        some = rest.any(axis=1)
        parts = [part for name in scores for part in (rest[name], some & ~rest[name])]
        few = next((part for part in parts if 0 < part.sum() < least), None)
        changed = few is not None
        if changed:
            out.loc[few.index[few]] = True
    return out


def on_one_base(survey: Survey) -> Survey:
    """Leave the respondents out that `few_gaps` finds, and say so in a finding."""
    out = few_gaps(survey)
    if not out.any():
        return survey
    text = (
        "A few respondents lack a score that nearly all others have. They are left out of every table but the flow: "
        "two tables, one with and one without them, would tell their answers."
    )
    kept = survey.keep_rows(~out, "respondents left out who alone lack a score")
    return replace(kept, findings=(*kept.findings, Finding(name="few_gaps", text=text, severity="info")))
