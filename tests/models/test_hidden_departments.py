"""What models tell of departments does not tell two hidden ones apart."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import smstudy as sm
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import hidden_groups

MODELS = {
    "regress": lambda survey: sm.regress("leadership ~ readiness", survey, cluster="unit", covariance="CR0"),
    "ordinal": lambda survey: sm.ordinal("sup_1 ~ readiness", survey, cluster="unit"),
    "multilevel": lambda survey: sm.multilevel("leadership ~ readiness", survey),
    "teams": lambda survey: sm.multilevel("leadership ~ readiness", survey).teams,
    "nesting": lambda survey: sm.nesting("leadership ~ readiness", survey),
}


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
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)  # as above
