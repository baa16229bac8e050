"""Weights, strata, populations in `smstudy.models.regressions.regression`: R survey, and what must collapse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.models.differences.estimates import weighted_means
from smstudy.models.regressions.regression import regress
from smstudy.survey.weights import poststratify, rake
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "weighted_regression.json").read_text(encoding="utf-8"))
KNOWN = json.loads((FOLDER / "design.json").read_text(encoding="utf-8"))["extra"]
PEOPLE = pd.read_csv(FOLDER / "design.csv")
HEADS = {"Sales": 240, "IT": 180, "Logistics": 150, "Finance": 90, "HR": 60}
LINEAR, LOGIT = "use ~ days + grade + site", "active ~ use + site"
CLOSED = {"rtol": 1e-8, "atol": 1e-12}  # closed forms; R writes 15 digits
RAKED = {"rtol": 1e-6, "atol": 1e-9}  # iterated: weights or the logit


def design(name):
    if name == "raked":
        weights = rake(PEOPLE, {margin: KNOWN[margin] for margin in ("unit", "grade", "site")}, pool_small=False)
        return {"weights": weights, "population": 720}
    return {
        "weights": {"weights": "weight0"},
        "strata": {"weights": "weight0", "strata": "unit"},
        "clusters": {"weights": "weight0", "cluster": "team"},
        "both": {"weights": "weight0", "strata": "unit", "cluster": "team"},
        "population": {"strata": "unit", "population": {"unit": HEADS}},
        "teams": {"weights": "weight0", "cluster": "team", "population": 80},
        "poststratified": {"weights": poststratify(PEOPLE, {"unit": HEADS})},
    }[name]


@pytest.mark.parametrize("family", ["linear", "logit", "probit"])
@pytest.mark.parametrize("name", REFERENCE["linear"])
def test_agrees_with_svyglm(name, family):
    expected = REFERENCE[family][name]
    result = regress(LINEAR if family == "linear" else LOGIT, PEOPLE, family=family, **design(name))
    tidy, glance = result.tidy(), result.glance()
    exact = CLOSED if family == "linear" and name != "raked" else RAKED
    for column in ("estimate", "std_error", "p_value"):
        np.testing.assert_allclose(tidy[column], expected[column], **exact, err_msg=column)
    np.testing.assert_allclose(tidy[["conf_low", "conf_high"]], expected["conf"], **exact)
    np.testing.assert_allclose(result.matrix, expected["covariance"], **exact)
    assert set(tidy["df"]) == {expected["df"]} == {glance["df_residual"]}
    np.testing.assert_allclose([glance["statistic"], glance["p_value"]], expected["joint"], **exact)


def test_a_constant_alone_is_the_weighted_mean():
    for options in ({"weights": "weight0"}, {"weights": "weight0", "strata": "unit"}):
        mean = weighted_means(PEOPLE, ["use"], **options).tidy().iloc[0]
        row = regress("use ~ 1", PEOPLE, **options).tidy().iloc[0]
        for name in ("estimate", "std_error", "df", "conf_low", "conf_high"):
            assert row[name] == pytest.approx(mean[name], rel=1e-10), name  # the same sums by another route


def test_equal_weights_change_no_estimate_and_say_so():
    weighted, plain = regress(LINEAR, PEOPLE.assign(w=3.7), weights="w"), regress(LINEAR, PEOPLE, covariance="HC0")
    for name in ("estimate", "std_estimate", "vif"):
        np.testing.assert_allclose(weighted.tidy()[name], plain.tidy()[name], rtol=1e-10)  # a factor that cancels
    n = weighted.glance()["n"]
    factor = np.sqrt(n / (n - 1))
    np.testing.assert_allclose(weighted.tidy()["std_error"], factor * plain.tidy()["std_error"], rtol=2e-3)  # 12 gaps
    assert "equal_weights" in {finding.name for finding in weighted.findings}


def test_whole_weights_give_the_estimates_of_repeated_rows():
    frame = PEOPLE.assign(w=1 + PEOPLE["posts"] % 3)
    repeated = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True)
    for family, formula in (("linear", LINEAR), ("logit", LOGIT)):
        weighted, plain = regress(formula, frame, family=family, weights="w"), regress(formula, repeated, family=family)
        np.testing.assert_allclose(weighted.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-9)  # other sums
    linear = (regress(LINEAR, frame, weights="w"), regress(LINEAR, repeated))
    assert linear[0].glance()["r_squared"] == pytest.approx(linear[1].glance()["r_squared"], rel=1e-10)  # other sums
    np.testing.assert_allclose(linear[0].tidy()["std_estimate"], linear[1].tidy()["std_estimate"], rtol=1e-9)  # again


def test_the_unit_of_weights_changes_nothing():
    once, again = (regress(LOGIT, PEOPLE.assign(w=PEOPLE["weight0"] * factor), family="logit", weights="w").tidy()
                   for factor in (1, 1e6))  # fmt: skip
    pd.testing.assert_frame_equal(once, again, rtol=1e-9)  # rounding


def test_it_says_what_was_done_in_known_columns():
    result = regress(LINEAR, PEOPLE, weights="weight0", strata="unit", cluster="team")
    assert result.note.startswith(
        "Linear regression, standard errors by linearization (strata unit, clusters team), t with"
    )
    assert "count by their weights" in result.note
    assert result.glance()["covariance"] == "linearization, strata unit, clusters team"
    assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    assert "aic" not in result.glance()
    json.dumps(result.to_record(), allow_nan=False)


def test_a_heavy_weight_is_a_finding():
    frame = PEOPLE.assign(w=np.where(PEOPLE.index == 5, 40.0, 1.0))
    assert "extreme_weights" in {finding.name for finding in regress(LINEAR, frame, weights="w").findings}


@pytest.mark.parametrize(
    ("change", "options", "error", "said"),
    [
        ({"w": lambda f: f["weight0"].where(f.index > 3)}, {"weights": "w"}, DataError, "a weight above 0"),
        ({"w": lambda f: f["weight0"].where(f.index > 3, 0.0)}, {"weights": "w"}, DataError, "a weight above 0"),
        ({"w": lambda f: f["weight0"].where(f.index > 3, -1.0)}, {"weights": "w"}, DataError, "a weight above 0"),
        ({"w": lambda f: f["site"]}, {"weights": "w"}, DataError, "a weight above 0"),
        ({}, {"weights": "wait"}, DataError, 'no variable or score "wait"'),
        ({}, {"weights": 1.5}, DataError, "rake() or poststratify()"),
        ({}, {"weights": "weight0", "covariance": "HC3"}, StudyError, "Leave covariance= out"),
        ({}, {"strata": "unti"}, DataError, "unti"),
        ({"odd": lambda f: f.index.where(f.index > 0, 1)}, {"strata": "odd"}, EstimationError, 'lonely="adjust"'),
        ({}, {"population": -4}, DataError, "above 0"),
        ({}, {"population": 10}, DataError, "smaller|more respondents"),
        ({}, {"population": {"unit": HEADS}}, DataError, "need strata"),
    ],
)  # fmt: skip
def test_wrong_weights_are_refused_with_the_reason(change, options, error, said):
    with pytest.raises(error, match=said.replace("(", r"\(").replace(")", r"\)")):
        regress(LINEAR, PEOPLE.assign(**change), **options)


def test_too_few_clusters_for_strata_and_terms_are_refused():
    frame = PEOPLE.assign(group=PEOPLE.index % 6, half=PEOPLE.index % 2)
    with pytest.raises(EstimationError, match="no degrees of freedom"):
        regress(LINEAR, frame, strata="half", cluster="group")


def test_weights_that_tell_small_groups_apart_are_refused_with_groups():
    frame = PEOPLE.assign(grade=PEOPLE["grade"].where(PEOPLE.index > 2, "founder"))
    heads = {"grade": {"founder": 3, **KNOWN["grade"]}}
    weights = rake(frame, heads, pool_small=False)
    regress("use ~ days", frame, weights=weights)
    with pytest.raises(DisclosureError, match="tell small groups apart"):
        regress("use ~ days + C(unit)", frame, weights=weights)


def test_linearized_intervals_cover_the_coefficients_of_the_population():
    """Teams high on the driver are drawn more often, which biases the unweighted line."""
    rng, hits, naive = np.random.default_rng(77), [], []
    team = np.repeat(np.arange(300), 20)
    a = rng.normal(size=300)[team] + rng.normal(size=6000)
    y = 0.5 * a + 0.2 * a**2 + rng.normal(size=300)[team] + rng.normal(size=6000)
    truth = np.polyfit(a, y, 1)[0]
    chance = np.where(a[::20] > 0, 0.5, 0.2)
    for _ in range(200):
        chosen = (rng.random(300) < chance)[team]
        frame = pd.DataFrame({"y": y, "a": a, "team": team, "w": 1 / chance[team]})[chosen]
        row = regress("y ~ a", frame, weights="w", cluster="team").tidy().iloc[1]
        hits.append(row["conf_low"] <= truth <= row["conf_high"])
        row = regress("y ~ a", frame, cluster="team").tidy().iloc[1]
        naive.append(row["conf_low"] <= truth <= row["conf_high"])
    assert abs(np.mean(hits) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 200) + 0.01  # Monte Carlo; asymptotic in clusters
    assert np.mean(naive) < 0.85
