"""Clusters in `smstudy.models.regressions.regression`: CR2 where they are few, wild bootstrap, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.wild_bootstrap import cluster_signs, wild_test
from smstudy.models.regressions.regression import regress
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
EXPECTED = json.loads((FOLDER / "clusters.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "clusters.csv")
FEW = PEOPLE[PEOPLE["team"] <= "team 12"]
LINEAR, LOGIT = "use ~ support + climate + role", "active ~ support + climate + role"
CLOSED = {"rtol": 1e-8, "atol": 1e-12}  # closed forms; R writes 15 digits
ITERATED = {"rtol": 1e-6, "atol": 1e-10}  # two iterations that stop at different places


def names_of(result):
    return {finding.name for finding in result.findings}


def check(result, expected, exact, terms=None):
    tidy = result.tidy() if terms is None else result.tidy().set_index("term").loc[terms].reset_index()
    for name in ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(tidy[name], expected[name], **exact, err_msg=name)


def joint(result):
    return [result.glance()[name] for name in ("statistic", "df_denominator", "p_value")]


@pytest.mark.parametrize(("name", "frame"), [("few", FEW), ("many", PEOPLE)])
def test_cr2_agrees_with_clubsandwich(name, frame):
    result = regress(LINEAR, frame, cluster="team", covariance="CR2")
    check(result, EXPECTED[name], CLOSED)
    np.testing.assert_allclose(joint(result), EXPECTED[name]["joint"], **CLOSED)


@pytest.mark.parametrize(("name", "frame"), [("logit_few", FEW), ("logit_many", PEOPLE)])
def test_cr2_of_a_logit_agrees_with_clubsandwich(name, frame):
    check(regress(LOGIT, frame, family="logit", cluster="team", covariance="CR2"), EXPECTED[name], ITERATED)


def test_cr2_of_a_probit_agrees_with_clubsandwich():
    check(regress(LOGIT, FEW, family="probit", cluster="team", covariance="CR2"), EXPECTED["probit"], ITERATED)


def test_a_coefficient_per_team_agrees_with_clubsandwich():
    result = regress("use ~ support + role + C(team)", FEW, cluster="team")
    check(result, EXPECTED["fixed"], ITERATED, ["support", "role[expert]", "role[manager]"])
    np.testing.assert_allclose(joint(result), EXPECTED["fixed"]["joint"], **ITERATED)
    assert result.glance()["df"] == 3 and "leaves out what is only controlled for" in result.note
    assert "cluster_is_term" in names_of(result)
    assert result.tidy().set_index("term").loc["team[team 05]", ["std_error", "p_value"]].isna().all()


def test_below_forty_clusters_cr2_is_the_default_and_said():
    few, many = (regress(LINEAR, frame, cluster="team") for frame in (FEW, PEOPLE))
    assert few.glance()["covariance"] == "cluster-robust (CR2)"
    assert "CR2 because there are fewer than 40 clusters" in few.note and "(Satterthwaite)" in few.note
    assert many.glance()["covariance"] == "cluster-robust (CR1)" and set(many.tidy()["df"]) == {98}
    assert "CR1 because there are 40 clusters or more" in many.note
    assert "df" in few.table().headings and "df" not in many.table().headings
    asked = regress(LINEAR, FEW, cluster="team", covariance="CR1")
    assert "because" not in asked.note and "CR1" in asked.note


def test_pooling_gives_each_coefficient_its_degrees_of_freedom():
    result = regress(LINEAR, FEW, cluster="team")
    np.testing.assert_array_equal(result.pooling().df_complete, result.tidy()["df"])
    assert result.pooling().note.startswith("Linear regression, cluster-robust (CR2) standard errors. CR2 because")
    nested = regress("use ~ support + C(team)", FEW, cluster="team").pooling()
    assert np.isfinite(nested.df_complete).all() and np.isnan(nested.covariance).any()


def test_contrasts_have_degrees_of_freedom_of_their_own():
    contrast = np.array([[0.0, 1, -1, 0, 0]])
    result = regress(LINEAR, PEOPLE, cluster="team", covariance="CR2")
    np.testing.assert_allclose(result.contrast_df(contrast), EXPECTED["many"]["contrast"][2], **CLOSED)
    np.testing.assert_allclose(result.contrast_df(np.eye(5)), result.tidy()["df"], **CLOSED)
    assert regress(LINEAR, PEOPLE, cluster="team").contrast_df(contrast).tolist() == [98]
    assert regress(LINEAR, PEOPLE).contrast_df(contrast).tolist() == [len(PEOPLE) - 5]
    assert regress(LOGIT, PEOPLE, family="logit").contrast_df(contrast).tolist() == [np.inf]


def test_few_clusters_are_said_and_a_term_of_few_is_pointed_out():
    result = regress("use ~ support + trained", FEW, cluster="team")
    check(result, EXPECTED["trained"], CLOSED)
    assert {"few_clusters", "few_degrees_of_freedom"} <= names_of(result)
    (finding,) = [finding for finding in result.findings if finding.name == "few_degrees_of_freedom"]
    assert "trained" in finding.text and "support" not in finding.text


def test_a_column_that_singles_out_one_team_has_no_error():
    frame = FEW.assign(pilot=np.where(FEW["team"] == "team 03", 1.0, -1.0))
    for covariance in ("CR1", "CR2", "wild"):
        tidy = regress("use ~ support + pilot", frame, cluster="team", covariance=covariance).tidy().set_index("term")
        assert np.isnan(tidy.loc["pilot", ["std_error", "p_value", "conf_low"]].to_numpy(float)).all()
        assert tidy.loc["support", "p_value"] < 0.05


def test_the_wild_bootstrap_gives_p_and_intervals_of_its_own():
    result, plain = (regress(LINEAR, FEW, cluster="team", covariance=kind) for kind in ("wild", "CR1"))
    tidy, other = result.tidy(), plain.tidy()
    for name in ("estimate", "std_error", "statistic"):
        np.testing.assert_array_equal(tidy[name], other[name])
    x = np.column_stack(
        [np.ones(len(FEW)), FEW[["support", "climate"]], FEW["role"] == "expert", FEW["role"] == "manager"]
    )
    fit = least_squares(x.astype(float), FEW["use"].to_numpy(), names=list("abcde"))
    groups = pd.factorize(FEW["team"])[0]
    for place in range(5):
        found = wild_test(fit.basis, fit.root, fit.residuals, groups, place, estimate=fit.coefficients[place],
                          signs=cluster_signs(12))  # fmt: skip
        told = tidy.loc[place, ["p_value", "conf_low", "conf_high"]].to_numpy(float)
        np.testing.assert_allclose(told, found, rtol=1e-8)  # the ends of the interval are searched for
    assert (tidy["p_value"] * 2048 % 1 == 0).all() and tidy["df"].isna().all()
    assert "wild cluster bootstrap with all 4,096 combinations of signs" in result.note
    assert set(tidy) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    with pytest.raises(EstimationError, match="cannot be pooled"):
        result.pooling()


def test_the_wild_bootstrap_with_many_clusters_draws_by_seed():
    once, again, other = (regress("use ~ climate", PEOPLE, cluster="team", covariance="wild", seed=seed).tidy()
                          for seed in (1, 1, 2))  # fmt: skip
    pd.testing.assert_frame_equal(once, again)
    assert 0 < abs(once["p_value"][1] - other["p_value"][1]) < 0.03  # Monte Carlo with 9,999 draws


def test_six_clusters_carry_no_interval_of_99_percent():
    six = PEOPLE[PEOPLE["team"] <= "team 06"]
    result = regress("use ~ support", six, cluster="team", covariance="wild", conf_level=0.99)
    assert "no_interval" in names_of(result)
    assert result.tidy()["conf_low"].isna().all() and result.tidy()["reading"][1] == "cannot tell"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"cluster": "one"}, DataError, "has 1 cluster "),
        ({"cluster": "five"}, DataError, "has 5 clusters"),
        ({"cluster": "five", "covariance": "wild"}, DataError, "has 5 clusters"),
        ({"cluster": "team", "seed": -1}, StudyError, "whole number"),
        ({"covariance": "CR2"}, StudyError, "cluster="),
        ({"covariance": "wild"}, StudyError, "cluster="),
        ({"cluster": "team", "covariance": "HC3"}, StudyError, "CR2 or wild"),
        ({"cluster": "team", "covariance": "wild", "family": "logit"}, StudyError, "linear models"),
    ],
)
def test_wrong_clusters_are_refused_with_the_reason(options, error, said):
    frame = FEW.assign(one="all", five=np.arange(len(FEW)) % 5)
    with pytest.raises(error) as caught:
        regress("active ~ support" if "family" in options else "use ~ support", frame, **options)
    assert said in str(caught.value)


def test_a_perfect_fit_in_few_clusters_has_no_test():
    frame = FEW.assign(y=2 * FEW["support"] + FEW["climate"])
    for covariance in ("CR2", "wild"):
        result = regress("y ~ support + climate", frame, cluster="team", covariance=covariance)
        assert "perfect_fit" in names_of(result) and result.tidy()["p_value"].isna().all()
