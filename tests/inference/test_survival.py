"""Laws of `smstudy.inference.survival`: R survival's numbers, statsmodels, and what must collapse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.hazard_regression import PHReg

from smstudy.errors import EstimationError
from smstudy.inference.regression.covariance import summed_covariance
from smstudy.inference.survival import (
    _information,
    _steps,
    cox,
    joined_times,
    kaplan_meier,
    log_rank,
    quantile_time,
)

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "survival.json").read_text())
LUNG = pd.read_csv(REFERENCE / "survival_lung.csv")
VETERAN = pd.read_csv(REFERENCE / "survival_veteran.csv")
RATS = pd.read_csv(REFERENCE / "survival_rats.csv")
WEEKS = pd.read_csv(REFERENCE / "survival_weeks.csv")
CLOSED = {"rtol": 1e-10, "atol": 1e-12}  # closed form
ITERATED = {"rtol": 1e-6, "atol": 1e-9}  # R stops where the likelihood changes by less than 1e-14 of it
CELLS = pd.get_dummies(VETERAN["celltype"], dtype=float)[["large", "smallcell", "squamous"]].to_numpy()


def fits():
    v, w = VETERAN, WEEKS
    full = np.column_stack([v["trt"], CELLS, v[["karno", "age"]]]).astype(float)
    return {
        "cox_lung": (
            LUNG[["age", "sex", "ecog"]].to_numpy(float),
            LUNG["time"],
            LUNG["event"],
            True,
            LUNG["inst"],
            None,
        ),
        "cox_veteran": (full, v["time"], v["status"], True, None, [[0], [1, 2, 3], [4], [5]]),
        "cox_breslow": (v[["trt", "karno"]].to_numpy(float), v["time"], v["status"], False, None, None),
        "cox_weeks": (w[["support", "trained"]].to_numpy(float), w["week"], w["adopted"], True, w["team"], None),
        "cox_rats": (RATS[["rx"]].to_numpy(float), RATS["time"], RATS["status"], True, RATS["litter"], None),
    }


def fitted(name):
    x, time, event, efron, cluster, terms = fits()[name]
    names = [f"x{j}" for j in range(x.shape[1])]
    fit = cox(x, time.to_numpy(float), event.to_numpy(float), names=names, efron=efron)
    groups = np.arange(len(x)) if cluster is None else pd.factorize(cluster)[0]
    return fit, groups, terms or [[j] for j in range(x.shape[1])]


def test_curve_agrees_with_survfit():
    curve, expected = kaplan_meier(LUNG["time"].to_numpy(float), LUNG["event"].to_numpy(float)), R["lung"]
    for name, found in (("time", curve.time), ("n_risk", curve.at_risk), ("events", curve.events)):
        np.testing.assert_array_equal(found, expected[name])
    np.testing.assert_allclose(curve.survival, expected["survival"], **CLOSED)
    np.testing.assert_allclose(curve.std_error, expected["std_error"], **CLOSED)
    low, high = (np.array(expected[name], dtype=float) for name in ("low", "high"))
    np.testing.assert_allclose(curve.conf_low, low, **CLOSED)
    np.testing.assert_allclose(curve.conf_high, high, **CLOSED)


def test_medians_agree_with_survfit():
    parts = [LUNG, LUNG[LUNG["sex"] == 1], LUNG[LUNG["sex"] == 2]]
    for part, expected in zip(parts, [R["lung_median"], *R["lung_sex"]], strict=True):
        curve = kaplan_meier(part["time"].to_numpy(float), part["event"].to_numpy(float))
        ends = [curve.survival, np.nan_to_num(curve.conf_low, nan=1.0), np.nan_to_num(curve.conf_high, nan=1.0)]
        assert [quantile_time(curve.time, each) for each in ends] == [float(each) for each in expected]


def test_log_rank_agrees_with_survdiff():
    sex = log_rank(LUNG["time"].to_numpy(float), LUNG["event"].to_numpy(float), LUNG["sex"].to_numpy() - 1)
    cells = pd.factorize(VETERAN["celltype"], sort=True)[0]
    cell = log_rank(VETERAN["time"].to_numpy(float), VETERAN["status"].to_numpy(float), cells)
    for found, expected in ((sex, R["rank_sex"]), (cell, R["rank_cell"])):
        np.testing.assert_allclose(found.statistic, expected["chisq"], **CLOSED)
    np.testing.assert_allclose(sex.expected, R["rank_sex"]["expected"], **CLOSED)
    np.testing.assert_allclose(np.sort(cell.expected), np.sort(R["rank_cell"]["expected"]), **CLOSED)


@pytest.mark.parametrize("name", list(fits()))
def test_cox_agrees_with_coxph(name):
    fit, groups, _ = fitted(name)
    expected, found = R[name], fit.likelihood
    np.testing.assert_allclose(fit.null_log_likelihood, np.atleast_1d(expected["loglik"])[0], rtol=1e-10)  # no search
    np.testing.assert_allclose(found.log_likelihood, expected["loglik"][1], rtol=1e-10)  # flat at the top
    if name == "cox_veteran":  # R's reference cell type is another one
        return
    np.testing.assert_allclose(found.parameters, np.atleast_1d(expected["estimate"]), **ITERATED)
    np.testing.assert_allclose(found.covariance, np.atleast_2d(expected["covariance"]), **ITERATED)
    robust = summed_covariance(found.contributions, "CR0" if groups is not None else "HC0", groups)
    np.testing.assert_allclose(robust, np.atleast_2d(expected["robust"]), **ITERATED)


@pytest.mark.parametrize("name", list(fits()))
def test_proportionality_agrees_with_cox_zph(name):
    fit, _, terms = fitted(name)
    statistic, df, p_value = fit.proportionality(terms)
    np.testing.assert_allclose(statistic, R[name]["zph"], **ITERATED)
    np.testing.assert_array_equal(df, R[name]["zph_df"])
    np.testing.assert_allclose(p_value, R[name]["zph_p"], **ITERATED)


@pytest.mark.parametrize("efron", [True, False])
def test_cox_agrees_with_statsmodels(efron):
    x = WEEKS[["support", "trained"]].to_numpy(float)
    fit = cox(x, WEEKS["week"].to_numpy(float), WEEKS["adopted"].to_numpy(float), names=["a", "b"], efron=efron)
    ties = "efron" if efron else "breslow"
    other = PHReg(WEEKS["week"], x, status=WEEKS["adopted"], ties=ties).fit(method="newton", disp=0, tol=1e-12)
    np.testing.assert_allclose(fit.likelihood.parameters, other.params, **ITERATED)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.likelihood.covariance)), other.bse, **ITERATED)


def test_scores_add_up_to_nothing_at_the_maximum():
    fit, *_ = fitted("cox_weeks")
    np.testing.assert_allclose(fit.likelihood.scores.sum(axis=0), 0, atol=1e-8)  # rounding of 600 rows


def test_without_censoring_the_curve_is_the_share_left():
    time = np.array([3.0, 1, 2, 5, 5, 8])
    curve = kaplan_meier(time, np.ones(6))
    np.testing.assert_allclose(curve.survival, [(time > t).mean() for t in curve.time], atol=1e-15)  # rounding


def test_log_rank_of_two_groups_is_the_cox_score_test_without_ties():
    rng = np.random.default_rng(2)
    time, event, group = rng.exponential(size=80), (rng.random(80) < 0.7).astype(float), rng.integers(0, 2, 80)
    found = log_rank(time, event, group)
    x, score, info = group.astype(float), 0.0, 0.0
    for i in np.flatnonzero(event):
        share = x[time >= time[i]].mean()
        score, info = score + x[i] - share, info + share * (1 - share)
    np.testing.assert_allclose(found.statistic, score**2 / info, rtol=1e-12)  # rounding


def test_a_curve_that_never_reaches_half_has_no_median():
    curve = kaplan_meier(np.array([1.0, 2, 3, 4]), np.array([1.0, 0, 0, 0]))
    assert np.isnan(quantile_time(curve.time, curve.survival))


def test_an_infinite_estimate_is_refused():
    time, group = np.arange(1.0, 41), np.repeat([0.0, 1.0], 20)
    with pytest.raises(EstimationError, match="infinite"):
        cox(group[:, None], time, 1 - group, names=["group"])


def test_a_term_that_repeats_another_is_refused():
    x = np.random.default_rng(1).normal(size=40)
    with pytest.raises(EstimationError, match="determined by"):
        cox(np.column_stack([x, 2 * x]), np.arange(1.0, 41), np.ones(40), names=["a", "b"])


def test_groups_never_at_risk_together_are_refused():
    time = np.array([1.0, 1, 1, 1, 2, 2, 2, 2])
    with pytest.raises(EstimationError, match="at risk together"):
        log_rank(time, np.array([0.0, 0, 0, 0, 1, 1, 1, 1]), np.repeat([0, 1], 4))


def test_intervals_cover_the_truth():
    """Exponential times, a third censored: the interval at the true median covers .5 in 95 % of 1,000 samples."""
    rng, covered = np.random.default_rng(4), 0
    for _ in range(1000):
        own, end = rng.exponential(1, 80), rng.exponential(2, 80)
        curve = kaplan_meier(np.minimum(own, end), (own <= end).astype(float))
        place = np.searchsorted(curve.time, np.log(2), side="right") - 1
        covered += curve.conf_low[place] <= 0.5 <= curve.conf_high[place]
    assert 0.93 < covered / 1000 < 0.97  # 95 % within 3 standard errors of 1,000 samples


def test_times_that_differ_by_rounding_are_one_as_in_r():
    stamps = np.array([0.1 + 0.2, 0.3, 0.5, 0.7, 0.1 + 0.6, 1, 2, 2, 3, 4])
    np.testing.assert_array_equal(joined_times(stamps), R["joined"])


@pytest.mark.parametrize("efron", [True, False])
def test_clusters_of_one_person_each_are_all_the_information(efron):
    """What persons have of the information adds up to it; many clusters give nearly the sandwich without correction."""
    x = WEEKS[["support", "trained"]].to_numpy(float)
    fit = cox(x, WEEKS["week"].to_numpy(float), WEEKS["adopted"].to_numpy(float), names=["a", "b"], efron=efron)
    steps = _steps(fit.time, fit.event, efron)
    z = fit.centered[steps.order]
    parts = _information(z, np.exp(z @ fit.likelihood.parameters), steps)
    np.testing.assert_allclose(parts.sum(axis=0).reshape(2, 2) @ fit.likelihood.covariance, np.eye(2), atol=1e-12)
    assert np.linalg.eigvalsh(parts.reshape(-1, 2, 2)).min() > -1e-10  # rounding: each part is a covariance
    clusters = fit.clusters(np.arange(len(x)))
    plain = summed_covariance(fit.likelihood.contributions, "CR0", np.arange(len(x)))
    np.testing.assert_allclose(np.diag(clusters.covariance), np.diag(plain), rtol=0.02)  # 600 persons: order 1/600
    assert (clusters.df() > 100).all()


def test_no_time_but_one_allows_no_test_of_proportionality():
    rng = np.random.default_rng(1)
    fit = cox(rng.normal(size=(40, 1)), np.full(40, 3.0), (np.arange(40) % 2).astype(float), names=["x"])
    assert np.isnan(fit.proportionality([[0]])[0]).all()
