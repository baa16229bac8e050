"""Laws of `smstudy.models.timelines.hazards`: R's numbers, readings, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.models.timelines.hazards import hazard

REFERENCE = Path(__file__).parents[2] / "reference"
R = json.loads((REFERENCE / "survival.json").read_text())
LUNG = pd.read_csv(REFERENCE / "survival_lung.csv")
VETERAN = pd.read_csv(REFERENCE / "survival_veteran.csv")
WEEKS = pd.read_csv(REFERENCE / "survival_weeks.csv")
FORMULA = "week ~ support + trained"
HOW = {"event": "adopted"}
ITERATED = {"rtol": 1e-6}  # iterative in R and here


def names(result):
    return {finding.name for finding in result.findings}


def test_cox_agrees_with_coxph():
    table = hazard(FORMULA, WEEKS, **HOW).tidy()
    np.testing.assert_allclose(table["estimate"], R["cox_weeks"]["estimate"], **ITERATED)
    np.testing.assert_allclose(table["std_error"] ** 2, np.diag(R["cox_weeks"]["covariance"]), **ITERATED)


def test_clustered_errors_agree_with_coxph():
    table = hazard(FORMULA, WEEKS, **HOW, cluster="team", covariance="CR0").tidy()
    np.testing.assert_allclose(table["std_error"] ** 2, np.diag(R["cox_weeks"]["robust"]), **ITERATED)
    assert (table["df"] == 29).all()


def test_terms_of_several_columns_are_tested_as_one():
    result = hazard("time ~ trt + celltype + karno + age", VETERAN, event="status")
    np.testing.assert_allclose(result.proportionality.tidy()["statistic"], R["cox_veteran"]["zph"], **ITERATED)
    assert "hazards_not_proportional" in names(result) and result.proportionality.to_text()


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_discrete_time_agrees_with_glm(link):
    table = hazard(FORMULA, WEEKS, **HOW, model="discrete", link=link).tidy()
    np.testing.assert_allclose(table["estimate"], R[link]["estimate"], **ITERATED)
    np.testing.assert_allclose(table["std_error"] ** 2, np.diag(R[link]["covariance"]), **ITERATED)
    assert ("odds_ratio" in table) == (link == "logit")


def test_discrete_time_finds_what_was_planted():
    """Planted: .35 and .5 on the complementary log-log scale, with teams that differ (errors by team)."""
    table = hazard(FORMULA, WEEKS, **HOW, model="discrete", cluster="team").tidy()
    assert ((table["estimate"] - [0.35, 0.5]).abs() < 3 * table["std_error"]).all()  # one draw: 3 standard errors
    assert table["reading"].str.startswith("goes with an earlier event").all()


def test_everything_is_drawn_told_and_pooled():
    result = hazard(FORMULA, WEEKS, **HOW)
    plt.close(result.plot().figure)
    assert result.to_html() and result.alt_text() and result.to_record()["kind"] == "HazardModel"
    assert result.pooling().covariance.shape == (2, 2)


@pytest.mark.parametrize(
    ("formula", "options", "error", "words"),
    [
        ("log(week) ~ support", {}, StudyError, "taken as they are"),
        ("week ~ adopted", {}, StudyError, "cannot be a driver"),
        ("week ~ 1", {}, StudyError, "names no driver"),
        ("week ~ support - 1", {}, StudyError, "leaves the constant out"),
        (FORMULA, {"model": "weibull"}, StudyError, "model ="),
        (FORMULA, {"ties": "exact"}, StudyError, "ties ="),
        (FORMULA, {"link": "probit"}, StudyError, "link ="),
        (FORMULA, {"covariance": "HC3"}, StudyError, "linear and logit"),
        (FORMULA, {"event": None}, StudyError, "event= names a column"),
        ("week ~ nothing", {}, DataError, "nothing"),
        ("weak ~ support", {}, DataError, "weak"),
    ],
)
def test_what_cannot_be_fitted_is_refused(formula, options, error, words):
    with pytest.raises(error, match=words):
        hazard(formula, WEEKS, **HOW | options)


def test_bad_times_events_and_small_levels_are_refused_or_pooled():
    for change, words in (({"week": 0}, "above 0"), ({"adopted": 3}, "must be 1"), ({"adopted": 0}, "censored")):
        with pytest.raises(DataError, match=words):
            hazard(FORMULA, WEEKS.assign(**change), **HOW)
    with pytest.raises(DisclosureError):
        hazard(FORMULA, WEEKS.assign(adopted=[1] * 4 + [0] * 596), **HOW)
    with pytest.raises(DisclosureError):
        hazard("week ~ few", WEEKS.assign(few=[1] * 3 + [0] * 597), **HOW)
    with pytest.raises(DisclosureError, match='"never"'):
        hazard("week ~ never", WEEKS.assign(never=WEEKS["adopted"]), **HOW)
    with pytest.raises(EstimationError, match="infinite"):
        hazard("week ~ never", WEEKS.assign(never=WEEKS["adopted"] * (20 - WEEKS["week"])), **HOW)
    with pytest.raises(DataError, match="whole periods"):
        hazard("week ~ support", WEEKS.assign(week=WEEKS["week"] + 0.5), **HOW, model="discrete")


def test_few_clusters_are_refused():
    with pytest.raises(DataError, match="clusters"):
        hazard(FORMULA, WEEKS.assign(half=WEEKS["team"] < "t15"), **HOW, cluster="half")


@pytest.mark.parametrize("model", ["cox", "discrete"])
def test_terms_that_determine_each_other_or_tell_the_order_are_refused(model):
    with pytest.raises(EstimationError, match="determined by"):
        hazard("week ~ support + twice", WEEKS.assign(twice=2 * WEEKS["support"]), **HOW, model=model)
    with pytest.raises(EstimationError, match="infinite"):
        hazard("week ~ order", WEEKS.assign(order=-WEEKS["week"], adopted=1), **HOW, model=model)


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_few_clusters_have_errors_of_their_own(link):
    """CR2 with Satterthwaite's degrees of freedom, as `regress`; clubSandwich's numbers."""
    result = hazard(FORMULA, WEEKS, **HOW, model="discrete", link=link, cluster="team")
    np.testing.assert_allclose(result.tidy()["std_error"] ** 2, np.diag(R[link]["cr2"]), **ITERATED)
    np.testing.assert_allclose(result.tidy()["df"], R[link]["cr2_df"], **ITERATED)
    assert "CR2 because there are fewer than 40 clusters" in result.note


@pytest.mark.parametrize("model", ["cox", "discrete"])
def test_a_driver_of_three_teams_is_no_false_alarm(model):
    """Twenty teams that differ, three of them with a driver that does nothing: CR1 calls 15 to 22 % an effect."""
    rejected = np.zeros(2)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        team = np.repeat(np.arange(20), 20)
        time = np.ceil(rng.exponential(6 * np.exp(-rng.normal(0, 0.5, 20)[team])))
        frame = pd.DataFrame({"team": team, "x": team < 3, "t": np.minimum(time, 12), "e": time <= 12}).astype(float)
        for k, kind in enumerate((None, "CR1")):
            found = hazard("t ~ x", frame, event="e", cluster="team", model=model, covariance=kind).tidy()
            rejected[k] += found["p_value"].item() < 0.05
    assert rejected[0] / 60 < 0.15 < 0.05 + rejected[1] / 60  # 5 % and 3 standard errors of 60
