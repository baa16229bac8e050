"""Laws of `smstudy.inference.person_periods`: R's glm on person-periods."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.inference import person_periods as module
from smstudy.inference.person_periods import discrete_clusters, discrete_hazard, merged_periods, person_periods

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "survival.json").read_text())
WEEKS = pd.read_csv(REFERENCE / "survival_weeks.csv")
X = WEEKS[["support", "trained"]].to_numpy(float)


def rows():
    return person_periods(WEEKS["week"].to_numpy(float), WEEKS["adopted"].to_numpy(float))


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_agrees_with_glm(link):
    found = rows()
    fit = discrete_hazard(X, found, baseline=found.period - 1, names=["support", "trained"], link=link).likelihood
    np.testing.assert_allclose(fit.parameters, R[link]["estimate"], rtol=1e-6)  # iterative
    np.testing.assert_allclose(fit.covariance, R[link]["covariance"], rtol=1e-6)  # as above
    np.testing.assert_allclose(fit.log_likelihood, R[link]["loglik"], rtol=1e-10)  # flat at the top


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_errors_of_few_clusters_agree_with_clubsandwich(link, monkeypatch):
    found, teams = rows(), pd.factorize(WEEKS["team"])[0]
    fit = discrete_hazard(X, found, baseline=found.period - 1, names=["a", "b"], link=link)
    clusters = discrete_clusters(fit, X, found, teams, link=link)
    np.testing.assert_allclose(clusters.covariance, R[link]["cr2"], rtol=1e-6)  # iterative
    np.testing.assert_allclose(clusters.df(), R[link]["cr2_df"], rtol=1e-6)  # as above
    monkeypatch.setattr(module, "MOST_NUMBERS", 1)
    large = discrete_clusters(fit, X, found, teams, link=link)
    np.testing.assert_allclose(large.covariance, clusters.covariance, rtol=0.01)  # another root of the same matrices
    np.testing.assert_allclose(large.df(), clusters.df(), rtol=0.01)  # as above


def test_the_likelihood_without_drivers_is_that_of_the_shares():
    found = rows()
    fit = discrete_hazard(X * 0 + np.arange(600)[:, None] ** [1, 2], found, baseline=found.period - 1, names=["a", "b"])
    alone = sum(
        np.log(np.where(part == 1, part.mean(), 1 - part.mean())).sum()
        for part in (found.happened[found.period == k] for k in range(1, 13))
    )
    np.testing.assert_allclose(fit.null_log_likelihood, alone, rtol=1e-12)  # the same sum


def test_every_person_has_a_row_per_period_and_one_event_at_most():
    found = rows()
    assert len(found.period) == WEEKS["week"].sum() and found.happened.sum() == WEEKS["adopted"].sum()
    assert np.bincount(found.person, found.happened).max() == 1


def test_contributions_of_persons_add_up_to_nothing():
    found = rows()
    fit = discrete_hazard(X, found, baseline=found.period - 1, names=["a", "b"]).likelihood
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
    with pytest.raises(EstimationError, match='infinite: "group" tell without'):
        discrete_hazard(group, never, baseline=np.zeros(len(never.person), int), names=["group"])
    with pytest.raises(EstimationError, match="determined by"):
        discrete_hazard(np.column_stack([X, X[:, 0]]), found, baseline=found.period - 1, names=["a", "b", "c"])
