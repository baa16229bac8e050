"""What the answers will not allow the notebook on pilots, said before it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from smstudy.display.prose import join_words, plural
from smstudy.documents import entry_lines
from smstudy.engine.parameters import declared_parameters
from smstudy.models.timelines.pilots import pilot
from smstudy.models.timelines.waves import stacked
from smstudy.result import Refusal, attempt
from smstudy.study.definition import Step, find_notebook
from smstudy.study.naming import PILOTED, departments_of, refuse_no_department
from smstudy.study.session import StudyRun
from smstudy.survey.codebook import Category
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import NO_GROUP

PILOTS = "65-pilots"


def pilot_notes(run: StudyRun) -> list[str]:
    """Try the pilots of a study on its answers, and say which will not be computed and what to do.

    Looked at is the shipped notebook; a copy in the folder of the study may do anything.

    Raises
    ------
    StudyError
        If a department of the pilot has no answers in either wave, with the nearest that has.
    """
    steps = [step for step in run.study.notebooks if step.name == PILOTS]
    shipped = steps and find_notebook(run.folder, PILOTS).parent != run.folder
    return [note for step in steps for note in _notes(run, step)] if shipped and run.study.unit else []


def _notes(run: StudyRun, step: Step) -> list[str]:
    declared = declared_parameters(find_notebook(run.folder, PILOTS))
    asked = {name: parameter.default for name, parameter in declared.items()} | dict(step.parameters)
    previous, survey = run.previous_survey(), run.survey("clean")
    if previous is None:
        return [f"{PILOTS} compares two waves, and there is no previous wave: the pilot would not be computed."]
    chosen, min_n = list(asked[PILOTED]), max(int(asked["min_n"]), run.privacy.min_n)
    waves = [previous, survey]
    people = pd.DataFrame({wave.wave: _people(wave, run.unit, asked["outcome"]) for wave in waves}).fillna(0)
    _refuse_absent(run, chosen, people)
    hidden = stacked(waves, None, min_n).hidden(run.unit, outcome=asked["outcome"])
    options = {"unit": run.unit, "treated": chosen, "since": survey.wave, "min_n": min_n}
    found = attempt(pilot, waves, asked["outcome"], **options)
    refused = f" {found.reason}" if isinstance(found, Refusal) else ""
    names = sorted(name for name in hidden if name != NO_GROUP)
    apart = bool(refused) and len({name in chosen for name in names}) > 1
    notes = [f"{PILOTS}: the pilot would not be computed.{refused}"] if refused and not apart else []
    if names and (refused or {*names} & {*chosen}):
        small = [name for name in names if (people.reindex([name]).fillna(0) < min_n).any(axis=None)]
        notes.append(_of_hidden(run, names, small, min_n, apart=apart) + _cure(run, small, chosen))
    return notes


def _people(survey: Survey, unit: str, outcome: str) -> pd.Series:
    """How many people of each department have the outcome."""
    known = survey.answers[survey.column(outcome).notna()]
    return known[unit].dropna().astype(str).value_counts()


def _refuse_absent(run: StudyRun, chosen: Sequence[str], people: pd.DataFrame) -> None:
    declared = departments_of(run.codebook, run.unit)
    large = people.index[(people >= run.privacy.min_n).all(axis=1)]
    known = [name for name in people.index if name in (declared or large) or name in chosen]
    refuse_no_department(chosen, known, f"notebook {PILOTS}", place=f" with answers in wave {' or '.join(people)}")


def _of_hidden(run: StudyRun, names: Sequence[str], small: Sequence[str], min_n: int, *, apart: bool) -> str:
    """Which departments are hidden, and what comes of it; words that the codebook does not have are not quoted."""
    declared = set(departments_of(run.codebook, run.unit))
    told = join_words(_quoted(names)) if declared.issuperset(names) else plural(len(names), "department")
    few = [name for name in small if name in declared]
    why = f"fewer than {min_n} people answered in {join_words(_quoted(few))}" if few else "to protect people"
    hide = f"tables hide {told} ({why})"
    if apart:
        return f"{PILOTS}: the pilot would not be computed, because {hide} and it would tell them apart."
    return f"{PILOTS}: {hide}, so they count as one department."


def _cure(run: StudyRun, small: Sequence[str], chosen: Collection[str]) -> str:
    """Where to write that a department counts as another."""
    categories: Mapping[str, Category] = {c.label: c for c in run.codebook.variable(run.unit).categories}
    own = next((categories[name] for name in small if name in categories), None)
    if own is None:
        return ""
    line = entry_lines(run.folder / "codebook.yml", "variables").get(run.unit, 1)
    words = dict.fromkeys([own.value, own.label, *own.aliases])
    return (
        f' To put "{own.label}" together with another department that is {"also" if own.label in chosen else "not"} in '
        f'the pilot, take it out of the categories of "{run.unit}" (codebook.yml line {line}) and write at that one '
        f"aliases: [{', '.join(_quoted(words))}]."
    )


def _quoted(names: Collection[str]) -> list[str]:
    return [f'"{name}"' for name in names]
