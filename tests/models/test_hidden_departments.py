"""What models tell of departments does not tell two hidden ones apart."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.result import Result
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import hidden_groups

MODELS = {
    "regress": lambda survey: sm.regress("leadership ~ readiness", survey, cluster="unit", covariance="CR0"),
    "ordinal": lambda survey: sm.ordinal("sup_1 ~ readiness", survey, cluster="unit"),
    "multilevel": lambda survey: sm.multilevel("leadership ~ readiness", survey),
    "teams": lambda survey: sm.multilevel("leadership ~ readiness", survey).teams,
    "nesting": lambda survey: sm.nesting("leadership ~ readiness", survey),
    "congruence": lambda survey: sm.congruence(
        survey, "adoption", "leadership", "readiness", answers=(1, 5), cluster="unit", n_boot=500
    ),
    "weighted clusters": lambda survey: sm.regress("leadership ~ readiness", survey, cluster="unit", population=90),
    "weighted strata": lambda survey: sm.regress("leadership ~ readiness", survey, strata="unit", lonely="adjust"),
    "means of clusters": lambda survey: sm.weighted_means(survey, ["leadership"], clusters="unit"),
    "means of strata": lambda survey: sm.weighted_means(
        survey, ["leadership"], strata="unit", population=people(survey)
    ),
}

PILOT = {"unit": "unit", "treated": ["Sales", "Marketing", "Production"], "since": 2}
MODELS |= {
    "pilot": lambda survey: piloted(previous(), survey),
    "event study": lambda survey: piloted(previous(), survey).event_study,
    "pilot of one table": lambda survey: sm.pilot(both(survey), "adoption", **PILOT, wave="quarter"),
    "hazard": lambda survey: sm.hazard("weeks ~ readiness", waiting(survey), event="began", cluster="unit"),
    "hazard of departments": lambda survey: sm.hazard("weeks ~ unit", waiting(survey), event="began"),
    "survival": lambda survey: sm.survival(waiting(few_units(survey)), time="weeks", event="began", by="unit"),
}


def people(survey: Survey) -> dict[str, dict[str, float]]:
    """Twice as many people in every department as answered."""
    return {"unit": {str(unit): 2.0 * n for unit, n in survey.answers["unit"].value_counts().items()}}


@cache
def previous() -> Survey:
    return sm.open_study("quarterly-pulse").previous_survey()


def piloted(before: Survey, now: Survey) -> Result:
    return sm.pilot([before, now], "adoption", **PILOT | {"since": now.wave})


def both(survey: Survey) -> Survey:
    """Two waves in one survey."""
    parts = [previous().answers.assign(quarter=1), survey.answers.assign(quarter=2)]
    return replace(survey, answers=pd.concat(parts, ignore_index=True))


def waiting(survey: Survey) -> Survey:
    """How long each respondent took to begin."""
    place = np.arange(len(survey.answers))
    return replace(survey, answers=survey.answers.assign(weeks=1.0 + place * 37 % 12, began=place % 3 < 2))


def few_units(survey: Survey) -> Survey:
    """Departments few enough for curves, two hidden ones among them."""
    kept = [*sorted(hidden_groups(survey, "unit")), "Sales", "Marketing", "Production", "Logistics"]
    return replace(survey, answers=survey.answers[survey.answers["unit"].isin(kept)])


@pytest.fixture(scope="module")
def survey() -> Survey:
    return sm.open_study("quarterly-pulse").survey("clean")


@pytest.fixture(scope="module")
def swapped(survey: Survey) -> Survey:
    """One member of each of two hidden departments has changed places."""
    one, other = sorted(hidden_groups(survey, "unit"))
    unit = survey.answers["unit"].copy()
    first, second = unit.index[unit == one][0], unit.index[unit == other][0]
    unit.loc[[first, second]] = [other, one]
    return replace(survey, answers=survey.answers.assign(unit=unit))


@pytest.mark.parametrize("name", MODELS)
def test_who_of_two_hidden_departments_is_in_which_changes_nothing(name, survey, swapped):
    assert hidden_groups(survey, "unit") == hidden_groups(swapped, "unit")
    before, after = MODELS[name](survey), MODELS[name](swapped)
    pd.testing.assert_frame_equal(before.tidy(), after.tidy(), rtol=1e-9)  # the same sums
    numbers = [[value for value in each.glance().values() if not isinstance(value, str)] for each in (before, after)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9, nan_ok=True)  # as above
