"""Laws of `smstudy.inference.person_periods`: R's glm on person-periods."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.inference.person_periods import discrete_hazard, merged_periods, person_periods

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "survival.json").read_text())
WEEKS = pd.read_csv(REFERENCE / "survival_weeks.csv")
X = WEEKS[["support", "trained"]].to_numpy(float)


def rows():
    return person_periods(WEEKS["week"].to_numpy(float), WEEKS["adopted"].to_numpy(float))


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_agrees_with_glm(link):
    found = rows()
    fit, _ = discrete_hazard(X, found, baseline=found.period - 1, names=["support", "trained"], link=link)
    np.testing.assert_allclose(fit.parameters, R[link]["estimate"], rtol=1e-6)  # iterative
    np.testing.assert_allclose(fit.covariance, R[link]["covariance"], rtol=1e-6)  # as above
    np.testing.assert_allclose(fit.log_likelihood, R[link]["loglik"], rtol=1e-10)  # flat at the top


def test_every_person_has_a_row_per_period_and_one_event_at_most():
    found = rows()
    assert len(found.period) == WEEKS["week"].sum() and found.happened.sum() == WEEKS["adopted"].sum()
    assert np.bincount(found.person, found.happened).max() == 1


def test_contributions_of_persons_add_up_to_nothing():
    found = rows()
    fit, _ = discrete_hazard(X, found, baseline=found.period - 1, names=["a", "b"])
    np.testing.assert_allclose(fit.contributions.sum(axis=0), 0, atol=1e-8)  # rounding of 600 persons


def test_merged_periods_have_enough_events():
    found = rows()
    for least in (5, 30, 60, 400):
        merged = merged_periods(found, least)
        counts = np.bincount(merged, found.happened)
        assert len(counts) == 1 or counts.min() >= least
        assert (np.diff(merged[found.person == np.argmax(WEEKS["week"])]) >= 0).all()


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="whole periods"):
        person_periods(np.array([1.5]), np.ones(1))
    with pytest.raises(DataError, match="too many periods"):
        person_periods(np.full(1000, 1e5), np.ones(1000))
    found = rows()
    with pytest.raises(StudyError, match="not known"):
        discrete_hazard(X, found, baseline=found.period - 1, names=["a", "b"], link="probit")
    never = person_periods(np.repeat([2.0, 3.0], 20), np.repeat([0.0, 1.0], 20))
    group = np.repeat([1.0, 0.0], 20)[:, None]
    with pytest.raises(EstimationError, match="infinite"):
        discrete_hazard(group, never, baseline=np.zeros(len(never.person), int), names=["group"])
