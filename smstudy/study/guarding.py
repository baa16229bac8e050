"""What a run may show, given what the study has released before."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd

from smstudy.study.ledger import Ledger, Release
from smstudy.study.session import UNRECOGNIZED
from smstudy.survey.closing import Sets, close_categories, close_groups, shown_sets
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import ALL, scale_scores

LENGTH = 12  # hex digits of a hash: 48 bits, so that 10,000 respondents collide with probability 2e-7


def guard(
    survey: Survey,
    raw: Survey,
    ledger: Ledger,
    *,
    run: str,
    case: str,
    units: Sequence[str],
    categories: Sequence[str] = (),
) -> Survey:
    """Close the groups of a survey that would differ by few people from what the study released before.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores.
    raw : Survey
        The same before cleaning; by it people are recognized in a later export.
    ledger : Ledger
        What was released, see `read_ledger`.
    run : str
        Digest of what this run is made from; a run made before shows what it showed then.
    case : str
        Organization and wave of the answers.
    units : sequence of str
        Variables the report splits by.
    categories : sequence of str
        Variables by which it may be split besides, each for itself.

    Returns
    -------
    Survey
        The same answers, groups closed in the policy, which every result by group says, and with a finding if the
        respondents of an earlier release are not recognized.

    Raises
    ------
    DisclosureError
        If the numbers of everybody give the difference away, or no group could be shown.
    """
    earlier = ledger.find(run, case)
    if earlier is not None:
        policy, unrecognized = survey.privacy.closing(earlier.closed), earlier.unrecognized
        return replace(survey, privacy=policy, findings=(*survey.findings, *[UNRECOGNIZED] * unrecognized))
    people = respondents(survey, raw, ledger.key)
    before = [release for release in ledger.releases if release.case == case]
    named = replace(survey, answers=survey.answers.set_axis(people.to_numpy()))
    closed = close_groups(named, units, known=_known(before, survey))
    known = {name: _known(before, survey, split=name) for name in categories}
    policy = close_categories(closed, categories, known=known).privacy
    unrecognized = _unrecognized(before, people)
    return replace(survey, privacy=policy, findings=(*survey.findings, *[UNRECOGNIZED] * unrecognized))


def released(
    survey: Survey,
    raw: Survey,
    ledger: Ledger,
    *,
    run: str,
    case: str,
    units: Sequence[str],
    categories: Sequence[str] = (),
) -> Ledger:
    """Add to the ledger what a run shows of a guarded survey."""
    people = respondents(survey, raw, ledger.key)

    def sets(variables: Sequence[str]) -> frozenset[frozenset[str]]:
        return frozenset(frozenset(people[list(index)]) for index in shown_sets(survey, variables).values())

    groups = sets(units) or frozenset([frozenset(people)])
    splits = {name: sets([name]) for name in categories}
    lacking = {name: frozenset(people[survey.answers[name].isna()]) for name in scale_scores(survey)} | {
        ALL: frozenset()
    }
    closed = tuple(sorted(survey.privacy.closed))
    told = Release(
        run=run,
        case=case,
        closed=closed,
        groups=groups,
        splits=splits,
        lacking=lacking,
        unrecognized=UNRECOGNIZED in survey.findings,
    )
    return ledger.adding(told)


def respondents(survey: Survey, raw: Survey, key: bytes) -> pd.Series:
    """Give every respondent a keyed hash that is the same in a later export, unless a score of theirs changed.

    People are recognized by an identifier if the codebook has one that is there and unique, else by their answers in
    numbers and in their own words; of equal ones the second and further are counted.
    """
    rows = raw.answers.loc[survey.answers.index]
    identity = _identity(raw).loc[rows.index]
    scores = survey.answers[scale_scores(survey)].astype(float).round(9) + 0.0
    values = pd.util.hash_pandas_object(scores, index=False) if scores.shape[1] else np.zeros(len(rows), dtype="uint64")
    hashes = [
        _hash(key, str(who))[: LENGTH // 2] + _hash(key, f"{who}:{what}")[: LENGTH // 2]
        for who, what in zip(identity, values, strict=True)
    ]
    return pd.Series(hashes, index=rows.index)


def _identity(raw: Survey) -> pd.Series:
    answers = raw.answers
    for variable in raw.codebook.of_kind("id"):
        column = answers.get(variable.name)
        if column is not None and column.notna().all() and column.is_unique:
            return column.astype(str)
    kinds = ("item", "number", "date", "text", "weight")
    names = [variable.name for variable in raw.codebook.of_kind(*kinds) if variable.name in answers]
    content = pd.util.hash_pandas_object(answers[names or list(answers)], index=False)
    content = pd.Series(content.to_numpy(), index=answers.index)
    return content.astype(str) + ":" + content.groupby(content).cumcount().astype(str)


def _hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), sha256).hexdigest()


def _known(before: Sequence[Release], survey: Survey, *, split: str = "") -> Sets:
    scores = (ALL, *scale_scores(survey))
    return {name: [one for release in before for one in release.sets(name, split=split)] for name in scores}


def _unrecognized(before: Sequence[Release], people: pd.Series) -> bool:
    """Whether earlier releases of the case hold hardly anybody of this one: then the guard can see no difference."""
    half = LENGTH // 2
    now = {person[:half] for person in people}
    then = [{person[:half] for group in release.groups for person in group} for release in before]
    return not all(len(now & known) >= 0.5 * min(len(now), len(known)) for known in then)
