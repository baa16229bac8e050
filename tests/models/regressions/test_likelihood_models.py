"""Errors and findings that ordinal, multinomial and count models share: agreement with R, laws, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.models.regressions.categories import multinomial, ordinal
from smstudy.models.regressions.event_counts import counts
from smstudy.models.regressions.marginal import effects

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "likelihood_errors.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "categories.csv").dropna()
PEOPLE = PEOPLE.assign(small=(PEOPLE["unit"].str[1:].astype(int) % 7).astype(str))
ITERATED = {"rtol": 1e-6, "atol": 1e-9}  # two iterations that stop at different places
DERIVED = {"rtol": 1e-5}  # chances are differentiated numerically in R


def names_of(result):
    return {finding.name for finding in result.findings}


def ordered(cluster, **options):
    return ordinal("agree ~ leadership + readiness + trained", PEOPLE, cluster=cluster, **options)


# Agreement with R


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
@pytest.mark.parametrize("cluster", ["unit", "small"])
def test_counts_of_few_clusters_agree_with_clubsandwich(family, cluster):
    result = counts("posts ~ leadership + trained", PEOPLE, family=family, exposure="years", cluster=cluster)
    expected = REFERENCE["counted"][family + ("_small" if cluster == "small" else "")]
    tidy, glance = result.tidy()[:3], result.glance()
    for ours, theirs in (("std_error", "se"), ("df", "df"), ("p_value", "p")):
        np.testing.assert_allclose(tidy[ours], expected[theirs], **ITERATED)
    assert "(CR2)" in glance["covariance"]
    if family == "poisson":  # with theta in the table, R's test of the drivers is the same; its theta is taken as known
        assert glance["statistic"] == pytest.approx(expected["statistic"], rel=1e-6)  # iterated
        assert glance["p_value"] == pytest.approx(expected["p_all"], rel=1e-6)  # iterated
        assert glance["df_denominator"] == pytest.approx(expected["df_denominator"], rel=1e-6)  # iterated


@pytest.mark.parametrize(("name", "link", "cluster"), [
    ("logit", "logit", "unit"), ("probit", "probit", "unit"), ("logit_small", "logit", "small"),
])  # fmt: skip
def test_ordinal_errors_of_few_clusters_agree_with_scores_by_hand(name, link, cluster):
    tidy, expected = ordered(cluster, link=link).tidy(), REFERENCE["scored"][name]
    np.testing.assert_allclose(tidy["std_error"], expected["se"], **DERIVED)
    np.testing.assert_allclose(tidy["df"], expected["df"], **DERIVED)


def test_multinomial_errors_of_few_clusters_agree_with_scores_by_hand():
    tidy = multinomial("tool ~ leadership + trained", PEOPLE, cluster="small").tidy()
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["scored"]["multinomial"]["se"], **DERIVED)
    np.testing.assert_allclose(tidy["df"], REFERENCE["scored"]["multinomial"]["df"], **DERIVED)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("kind", ["HC0", "HC1"])
def test_proportional_odds_with_robust_errors_agree_with_a_step_by_hand(link, kind):
    tidy = ordinal("agree ~ leadership + trained", PEOPLE, link=link, covariance=kind).tidy()
    expected = REFERENCE["proportional"][link][kind]
    assert tidy["p_proportional"][0] == pytest.approx(expected, rel=1e-4)  # numerical Hessian in R


def test_weighted_tests_agree_with_svyglm():
    result = counts("posts ~ leadership + trained + role", PEOPLE, exposure="years", weights="weight", cluster="unit")
    tidy, expected = result.tidy(), REFERENCE["weighted"]["poisson"]
    assert set(tidy["df"]) == {expected["df"]}
    for ours, theirs in (("p_value", "p"), ("conf_low", "low"), ("conf_high", "high")):
        np.testing.assert_allclose(tidy[ours], expected[theirs], **ITERATED)


def test_weighted_tests_agree_with_svyolr():
    tidy, expected = ordered("unit", weights="weight").tidy(), REFERENCE["weighted"]["ordinal"]
    assert set(tidy["df"]) == {expected["df"]}
    np.testing.assert_allclose(tidy["p_value"][:3], expected["p"], rtol=2e-3)  # svyolr has a numerical Hessian


# Laws


MODELS = {
    "ordinal": lambda **more: ordinal("agree ~ leadership + trained", PEOPLE, **more),
    "multinomial": lambda **more: multinomial("tool ~ leadership + trained", PEOPLE, **more),
    "poisson": lambda **more: counts("posts ~ leadership + trained", PEOPLE, **more),
    "negative_binomial": lambda **more: counts(
        "posts ~ leadership + trained", PEOPLE, family="negative_binomial", **more
    ),
    "zero_inflated": lambda **more: counts(
        "posts ~ leadership + trained", PEOPLE, family="zero_inflated_negative_binomial", zero="~ readiness", **more
    ),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_few_clusters_get_cr2_and_it_is_said(name):
    result, plain = MODELS[name](cluster="unit"), MODELS[name](cluster="unit", covariance="CR1")
    assert result.glance()["covariance"] == "cluster-robust (CR2)"
    assert "CR2 because there are fewer than 40 clusters" in result.note
    assert "(Satterthwaite)" in result.note
    tidy = result.tidy()
    assert (tidy["df"] < 13).all()
    np.testing.assert_array_equal(tidy["estimate"], plain.tidy()["estimate"])
    assert set(plain.tidy()["df"]) == {13}
    assert "few_clusters" in names_of(result)
    assert set(effects(result, PEOPLE).tidy()["df"]) <= set(tidy["df"])


@pytest.mark.parametrize("name", list(MODELS))
def test_cr2_gives_back_what_a_cluster_took_from_its_residuals(name):
    few, plain = (np.diag(MODELS[name](cluster="unit", covariance=kind).matrix) for kind in ("CR2", "CR0"))
    assert (few > plain).all()
    assert (np.sqrt(few / plain) < 1.25).all()  # 14 clusters of like size: about 1 / (1 - 1/14), theta more


def test_forty_clusters_get_cr1():
    people = PEOPLE.assign(team=(np.arange(len(PEOPLE)) % 40).astype(str))
    result = ordinal("agree ~ leadership", people, cluster="team")
    assert "CR1 because there are 40 clusters or more" in result.note
    assert set(result.tidy()["df"]) == {39}


def test_a_driver_that_clusters_share_has_fewer_degrees_of_freedom():
    people = PEOPLE.assign(size=PEOPLE["small"].astype(int) ** 2)
    df = ordinal("agree ~ size + leadership", people, cluster="small").tidy().set_index("term")["df"]
    assert df["size"] < 4 < df["leadership"]


def test_the_unit_of_a_driver_changes_no_test():
    shifted = PEOPLE.assign(leadership=PEOPLE["leadership"] * 1e-6 + 1e-3)
    for model in (lambda data: ordinal("agree ~ leadership", data, cluster="unit"),
                  lambda data: multinomial("tool ~ leadership", data, cluster="unit"),
                  lambda data: counts("posts ~ leadership", data, cluster="unit")):  # fmt: skip
        one, two = (model(data).tidy() for data in (PEOPLE, shifted))
        for column in ("p_value", "df"):
            driver = one["term"] == "leadership"
            np.testing.assert_allclose(one[column][driver], two[column][driver], rtol=1e-6)  # cancels 3 digits


# Findings


def test_a_weight_like_thousands_is_found():
    rng = np.random.default_rng(3)
    people = pd.DataFrame({"x": rng.normal(size=300), "agree": rng.integers(1, 6, 300), "posts": rng.poisson(2, 300)})
    people["weight"] = np.where(np.arange(300) == 0, 1e6, 1.0)
    for result in (ordinal("agree ~ x", people, weights="weight"), counts("posts ~ x", people, weights="weight")):
        assert {"extreme_weights", "high_leverage"} <= names_of(result)
    same = ordinal("agree ~ x", people.assign(weight=2.0), weights="weight")
    assert "equal_weights" in names_of(same)


def test_drivers_that_overlap_are_found_in_every_model():
    rng = np.random.default_rng(4)
    people = pd.DataFrame({"x": rng.normal(size=300), "agree": rng.integers(1, 6, 300), "posts": rng.poisson(2, 300)})
    people = people.assign(twin=people["x"] + 1e-6 * rng.normal(size=300), tool=rng.choice(["a", "b", "c"], 300))
    for model, outcome in ((ordinal, "agree"), (counts, "posts"), (multinomial, "tool")):
        assert "collinearity" in names_of(model(f"{outcome} ~ x + twin", people))
        assert "collinearity" not in names_of(model(f"{outcome} ~ x", people))


# Bad input


def test_a_survey_that_leaves_no_degrees_of_freedom_is_refused():
    formula = "agree ~ leadership + readiness + trained + log(tenure) + years + posts + weight"
    with pytest.raises(EstimationError, match="leave no degrees of freedom"):
        ordinal(formula, PEOPLE, weights="weight", cluster="small")
    with pytest.raises(EstimationError, match="leave no degrees of freedom"):
        counts(formula.replace("agree", "posts").replace(" + posts", ""), PEOPLE, weights="weight", cluster="small")


@pytest.mark.parametrize("covariance", [None, "CR1", "CR2"])
def test_five_clusters_are_refused(covariance):
    people = PEOPLE.assign(five=(np.arange(len(PEOPLE)) % 5).astype(str))
    with pytest.raises(DataError, match="at least 6"):
        ordinal("agree ~ leadership", people, cluster="five", covariance=covariance)


def test_the_wild_bootstrap_is_refused():
    with pytest.raises(StudyError, match="is for linear and logit models"):
        ordered("unit", covariance="wild")
