"""Laws of `smstudy.models.drivers.contributions`, agreement with R, and the planted truth of the demo organization."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, EstimationError, SmstudyError, StudyError
from smstudy.models.drivers.contributions import importance
from smstudy.models.regressions.regression import regress

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "importance.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "importance.csv")
FORMULA = "adoption ~ leadership + readiness + usefulness + concerns"
CLOSED = 1e-10  # closed forms on the same data
QUICK = {"n_boot": 200}


def names_of(result):
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize(
    ("formula", "weights", "case"),
    [
        (FORMULA, None, "plain"),
        (FORMULA, "weight", "weighted"),
        (f"{FORMULA} + C(site)", None, "controlled"),
        ("adoption ~ leadership + readiness + usefulness + role + C(site)", "weight", "grouped"),
    ],
)
def test_agrees_with_all_orders_of_lm(formula, weights, case):
    result, expected = importance(formula, PEOPLE, weights=weights, **QUICK), REFERENCE[case]
    np.testing.assert_allclose(result.tidy()["estimate"], expected["lmg"], atol=CLOSED)
    assert result.glance()["r_squared"] == pytest.approx(expected["full"], abs=CLOSED)
    conditional = result.conditional.tidy()["estimate"].to_numpy().reshape(4, 4)
    np.testing.assert_allclose(conditional, expected["conditional"], atol=CLOSED)
    np.testing.assert_allclose(result.tidy()["alone"], conditional[:, 0], atol=CLOSED)
    np.testing.assert_allclose(result.tidy()["last"], conditional[:, -1], atol=CLOSED)


def test_shares_add_up_to_one_and_r_squared_is_that_of_the_regression():
    result = importance(f"{FORMULA} + C(site)", PEOPLE, **QUICK)
    assert result.tidy()["importance"].sum() == pytest.approx(1)
    full = regress(f"{FORMULA} + C(site)", PEOPLE).glance()["r_squared"]
    assert result.glance()["r_squared"] == pytest.approx(full, abs=CLOSED)
    parts = result.tidy()["estimate"].sum() + result.glance()["r_squared_controls"]
    assert parts == pytest.approx(full, abs=CLOSED)


def test_the_planted_order_of_the_demo_is_found():
    survey = sm.open_study("quarterly-pulse").survey("clean")
    result = importance(FORMULA, survey, **QUICK)
    rows = result.tidy().set_index("term")
    assert rows["rank"].tolist() == [1, 2, 3, 4]
    assert rows.loc["concerns", "importance"] < 0.05
    pairs = result.dominance.tidy().set_index(["term", "other_term"])["verdict"]
    assert pairs["leadership", "usefulness"] == "more important"
    assert pairs["leadership", "readiness"] == "cannot tell"


def test_drivers_that_matter_as_much_cannot_be_told_apart():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(150, 3)), columns=["a", "b", "y"])
    frame["y"] += frame["a"] + frame["b"]
    result = importance("y ~ a + b", frame, **QUICK)
    assert result.dominance.tidy()["verdict"].tolist() == ["cannot tell"]
    assert result.tidy()["reading"].tolist() == ["cannot tell", "cannot tell"]


def test_drivers_of_nothing_are_never_told_apart():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(200, 4)), columns=["a", "b", "c", "y"])
    result = importance("y ~ a + b + c", frame, **QUICK)
    assert "nothing_to_share" in names_of(result)
    assert set(result.dominance.tidy()["verdict"]) == {"cannot tell"}


def test_intervals_of_the_difference_cover_the_truth():
    """Two drivers without overlap, R² of .32 and .18 of a total of .5: shares .64 and .36."""
    rng, covered = np.random.default_rng(3), []
    for _ in range(40):
        frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "y"])
        frame["y"] = 0.8 * frame["a"] + 0.6 * frame["b"] + frame["y"]
        row = importance("y ~ a + b", frame, **QUICK).tidy().iloc[0]
        covered.append(row["importance_low"] <= 0.64 <= row["importance_high"])
    assert np.mean(covered) >= 0.85  # 5 or fewer misses of 40 at 95 % have a chance of .99


def test_equal_drivers_are_seldom_told_apart_however_many_pairs_there_are():
    rng, called = np.random.default_rng(7), 0
    for seed in range(40):
        frame = pd.DataFrame(rng.normal(size=(100, 5)), columns=list("abcde"))
        frame["y"] = 0.3 * frame.sum(axis=1) + rng.normal(size=100)
        pairs = importance("y ~ a + b + c + d + e", frame, seed=seed, **QUICK).dominance.tidy()
        called += (pairs["verdict"] == "more important").any()
    assert called <= 7  # more than 7 of 40 at a level of 5 % have a chance of .3 %


def test_intervals_of_pairs_are_wider_than_each_for_itself():
    result = importance(FORMULA, PEOPLE, **QUICK)
    shares = result.resamples / result.resamples.sum(axis=1, keepdims=True)
    names = result.tidy()["term"].tolist()
    for row in result.dominance.tidy().to_dict("records"):
        away = shares[:, names.index(row["term"])] - shares[:, names.index(row["other_term"])]
        low, high = np.quantile(away, [0.025, 0.975])
        assert row["conf_high"] - row["conf_low"] > high - low


def test_teams_that_are_alike_widen_the_intervals():
    rng = np.random.default_rng(9)
    team = np.arange(300) % 20
    frame = pd.DataFrame({"team": team, "a": rng.normal(size=20)[team], "b": rng.normal(size=20)[team]})
    frame["y"] = 0.5 * frame["a"] + 0.5 * frame["b"] + rng.normal(size=20)[team] + rng.normal(size=300)
    frame[["a", "b"]] += 0.5 * rng.normal(size=(300, 2))
    alone, drawn = importance("y ~ a + b", frame, **QUICK), importance("y ~ a + b", frame, cluster="team", **QUICK)
    widths = [(each.tidy()["conf_high"] - each.tidy()["conf_low"]).mean() for each in (alone, drawn)]
    assert widths[1] > 1.5 * widths[0]
    assert drawn.glance()["n_groups"] == 20 and "few_clusters" in names_of(drawn)
    assert drawn.tidy()["estimate"].equals(alone.tidy()["estimate"])


def test_teams_of_one_are_respondents():
    frame = PEOPLE.assign(person=np.arange(len(PEOPLE)))
    pd.testing.assert_frame_equal(
        importance(FORMULA, frame, cluster="person", **QUICK).tidy(), importance(FORMULA, frame, **QUICK).tidy()
    )


def test_too_few_teams_are_refused():
    with pytest.raises(DataError, match="5 clusters"):
        importance(FORMULA, PEOPLE.assign(team=np.arange(len(PEOPLE)) % 5), cluster="team", **QUICK)


def test_an_outcome_that_is_the_sum_of_its_drivers_is_refused():
    frame = PEOPLE.assign(total=PEOPLE["leadership"] + 2 * PEOPLE["readiness"])
    with pytest.raises(DataError, match="together give the outcome exactly"):
        importance("total ~ leadership + readiness", frame, **QUICK)


def test_a_dozen_respondents_tell_nothing_apart():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(12, 2)), columns=["a", "b"])
    frame["y"] = 3 * frame["a"] + 0.1 * rng.normal(size=12)
    result = importance("y ~ a + b", frame, **QUICK)
    assert set(result.dominance.tidy()["verdict"]) == {"cannot tell"} and "too_little_data" in names_of(result)


def test_a_number_of_numpy_is_a_number():
    assert importance(FORMULA, PEOPLE, n_boot=np.int64(200)).glance()["n_boot"] == 200


def test_equal_weights_change_nothing():
    plain = importance(FORMULA, PEOPLE, **QUICK).tidy()
    weighted = importance(FORMULA, PEOPLE.assign(weight=2.0), weights="weight", **QUICK).tidy()
    pd.testing.assert_frame_equal(plain, weighted)


def test_the_result_repeats_with_its_seed():
    first, second, other = (importance(FORMULA, PEOPLE, seed=seed, **QUICK).tidy() for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(first, second)
    assert not first["conf_low"].equals(other["conf_low"])


def test_it_can_be_pooled():
    pooling = importance(FORMULA, PEOPLE, **QUICK).pooling()
    assert pooling.covariance.shape == (4, 4) and (np.linalg.eigvalsh(pooling.covariance) > 0).all()
    assert pooling.df_complete == len(PEOPLE) - 5


def test_overlap_is_found():
    rng = np.random.default_rng(6)
    frame = PEOPLE.assign(twin=PEOPLE["leadership"] + 0.1 * rng.normal(size=len(PEOPLE)))
    assert "collinearity" in names_of(importance("adoption ~ leadership + twin", frame, **QUICK))


def test_renderings_name_the_most_important_first():
    result = importance("adoption ~ concerns + leadership", PEOPLE, **QUICK)
    text = result.to_text()
    assert text.index("leadership") < text.index("concerns")
    assert result.alt_text().index("leadership") < result.alt_text().index("concerns")
    axes = result.plot()
    assert axes.get_title(loc="left") == result.title
    plt.close(axes.figure)


@pytest.mark.parametrize(
    "formula",
    ["adoption ~ leadership", "adoption ~ leadership * readiness", "adoption ~ 0 + leadership + readiness",
     "adoption ~ leadership + C(site)", "adoption ~ C(site)"],
)  # fmt: skip
def test_formulas_that_compare_nothing_are_refused(formula):
    with pytest.raises(StudyError):
        importance(formula, PEOPLE, **QUICK)


def test_more_drivers_than_can_be_compared_are_refused():
    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 17)), columns=[f"x{i}" for i in range(17)])
    with pytest.raises(StudyError, match="2 to 15"):
        importance("x16 ~ " + " + ".join(f"x{i}" for i in range(16)), frame, **QUICK)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"adoption": 1.0}, "same value"),
        ({"readiness": 1.0}, "same value"),
        ({"adoption": ["a", "b"] * 60}, "text"),
        ({"readiness": PEOPLE["adoption"] * 2}, "gives the outcome exactly"),
    ],
)
def test_data_without_variance_to_split_are_refused(change, match):
    with pytest.raises(DataError, match=match):
        importance("adoption ~ leadership + readiness", PEOPLE.assign(**change), **QUICK)


def test_drivers_that_determine_each_other_are_refused():
    frame = PEOPLE.assign(total=PEOPLE["leadership"] + PEOPLE["readiness"])
    with pytest.raises(EstimationError, match="total"):
        importance("adoption ~ leadership + readiness + total", frame, **QUICK)


def test_too_few_respondents_are_refused():
    with pytest.raises(DataError, match="cannot carry"):
        importance(f"{FORMULA} + weight", PEOPLE[:6], **QUICK)
    with pytest.raises(DisclosureError):
        importance(FORMULA, PEOPLE[:4], **QUICK)


def test_a_driver_only_few_people_differ_in_is_refused():
    frame = PEOPLE.assign(rare=(np.arange(len(PEOPLE)) < 3).astype(float))
    with pytest.raises(DisclosureError):
        importance("adoption ~ leadership + rare", frame, **QUICK)


@pytest.mark.parametrize("options", [{"n_boot": 5}, {"conf_level": 2}, {"weights": "none"}, {"min_n": 2}])
def test_options_that_cannot_be_used_are_refused(options):
    with pytest.raises(SmstudyError):
        importance(FORMULA, PEOPLE, **(QUICK | options))
