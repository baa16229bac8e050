"""Average marginal effects agree with the delta method by hand in R, and laws about them."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, StudyError
from smstudy.inference.multiplicity import benjamini_hochberg, holm
from smstudy.models.regressions.categories import multinomial, ordinal
from smstudy.models.regressions.event_counts import counts
from smstudy.models.regressions.marginal import effects
from smstudy.models.regressions.regression import regress
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "effects.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "categories.csv").dropna().assign(high=lambda people: (people["agree"] >= 4) * 1.0)
RIGHT = "center(leadership) * scale(readiness) + log(tenure) + trained * role"
DERIVED = {"rtol": 1e-6, "atol": 1e-8}  # numerical derivatives on both sides
FITS = {
    "linear": lambda: regress(f"agree ~ {RIGHT}", PEOPLE, covariance="HC3"),
    "logit": lambda: regress(f"high ~ {RIGHT}", PEOPLE, family="logit"),
    "logit_HC0": lambda: regress(f"high ~ {RIGHT}", PEOPLE, family="logit", covariance="HC0"),
    "ordinal_logit": lambda: ordinal(f"agree ~ {RIGHT}", PEOPLE),
    "ordinal_probit": lambda: ordinal(f"agree ~ {RIGHT}", PEOPLE, link="probit"),
    "ordinal_CR1": lambda: ordinal(f"agree ~ {RIGHT}", PEOPLE, link="probit", cluster="unit", covariance="CR1"),
    "multinomial": lambda: multinomial("tool ~ leadership * trained + role", PEOPLE),
    "poisson": lambda: counts("posts ~ leadership * trained + role", PEOPLE, exposure="years", covariance="HC0"),
    "zero_inflated": lambda: counts(
        "posts ~ leadership * trained + role", PEOPLE, exposure="years", zero="~ leadership + readiness",
        family="zero_inflated_negative_binomial",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(FITS))
def test_agrees_with_the_delta_method_by_hand(name):
    tidy = effects(FITS[name](), PEOPLE).tidy()
    np.testing.assert_allclose(tidy["estimate"], REFERENCE[name]["estimate"], **DERIVED)
    np.testing.assert_allclose(tidy["std_error"], REFERENCE[name]["se"], **DERIVED)


def test_agrees_with_emmeans():
    fit = regress("high ~ leadership + readiness + trained + role", PEOPLE, family="logit")
    tidy = effects(fit, PEOPLE, drivers=["trained", "role"]).tidy()
    np.testing.assert_allclose(tidy["estimate"], REFERENCE["emmeans"]["estimate"], **DERIVED)
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["emmeans"]["se"], **DERIVED)


# Laws


def test_the_effect_in_a_plain_linear_model_is_the_coefficient():
    fit = regress("agree ~ leadership + trained + role", PEOPLE, cluster="unit")
    own, tidy = fit.tidy()[1:], effects(fit, PEOPLE).tidy()
    for column in ("estimate", "std_error", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(tidy[column], own[column], rtol=1e-8)  # a difference over a small step


@pytest.mark.parametrize("name", ["ordinal_logit", "multinomial"])
def test_effects_on_all_answers_add_up_to_nothing(name):
    tidy = effects(FITS[name](), PEOPLE).tidy()
    assert tidy.groupby("term")["estimate"].sum().abs().max() < 1e-9  # probabilities add up to one


def test_an_ordinal_model_of_two_answers_has_the_effects_of_a_logit():
    formula = "high ~ leadership * trained + role"
    plain = effects(regress(formula, PEOPLE, family="logit"), PEOPLE).tidy()
    two = effects(ordinal(formula, PEOPLE), PEOPLE).tidy().query("category == '1'")
    for column in ("estimate", "std_error", "conf_low", "p_value"):
        np.testing.assert_allclose(two[column], plain[column], rtol=1e-6)  # two searches of one maximum


def test_the_effect_is_the_mean_of_what_a_changed_answer_does():
    fit = regress("agree ~ log(tenure) * trained", PEOPLE, covariance="classical")
    b = fit.tidy().set_index("term")["estimate"]
    slope = ((b["log(tenure)"] + b["log(tenure):trained"] * PEOPLE["trained"]) / PEOPLE["tenure"]).mean()
    switch = (b["trained"] + b["log(tenure):trained"] * np.log(PEOPLE["tenure"])).mean()
    tidy = effects(fit, PEOPLE).tidy().set_index("term")["estimate"]
    assert (tidy["tenure"], tidy["trained"]) == pytest.approx((slope, switch), rel=1e-8)  # as above


def test_weights_weigh_the_respondents_too():
    twice = pd.concat([PEOPLE, PEOPLE[PEOPLE["weight"] > 1.5]], ignore_index=True)
    weighted = PEOPLE.assign(w=1.0 + (PEOPLE["weight"] > 1.5))
    one = effects(ordinal("agree ~ leadership * role", twice), twice).tidy()["estimate"]
    two = effects(ordinal("agree ~ leadership * role", weighted, weights="w"), weighted).tidy()["estimate"]
    np.testing.assert_allclose(one, two, rtol=1e-6)  # two searches of one maximum


def test_controls_are_left_out_unless_named():
    fit = ordinal("agree ~ leadership + C(role)", PEOPLE)
    assert set(effects(fit, PEOPLE).tidy()["term"]) == {"leadership"}
    assert set(effects(fit, PEOPLE, drivers=["role"]).tidy()["term"]) == {"role[expert]", "role[manager]"}


def test_small_groups_stay_together():
    people = PEOPLE.assign(role=PEOPLE["role"].where(np.arange(len(PEOPLE)) > 6, PEOPLE["unit"]))
    fit = regress("agree ~ leadership + role", people)
    terms = effects(fit, people).tidy()["term"].tolist()
    assert terms == fit.tidy()["term"].tolist()[1:] and "role[(small groups)]" in terms


def test_several_tests_are_corrected_as_asked():
    fit = FITS["multinomial"]()
    by_holm, by_share = (effects(fit, PEOPLE, correction=name) for name in ("holm", "benjamini_hochberg"))
    np.testing.assert_array_equal(by_holm.tidy()["p_adjusted"], holm(by_holm.tidy()["p_value"]))
    np.testing.assert_array_equal(by_share.tidy()["p_adjusted"], benjamini_hochberg(by_share.tidy()["p_value"]))
    assert "by Holm" in by_holm.note and "by Benjamini and Hochberg" in by_share.note
    alone = effects(FITS["logit"](), PEOPLE, drivers=["trained"])
    assert "p_adjusted" not in alone.tidy() and "corrected" not in alone.note
    with pytest.raises(StudyError, match="correction"):
        effects(fit, PEOPLE, correction="sidak")


def test_rows_with_gaps_stay_out():
    gaps = PEOPLE.assign(leadership=PEOPLE["leadership"].where(np.arange(len(PEOPLE)) > 30))
    fit, full = ordinal("agree ~ center(leadership) + role", gaps), gaps.dropna()
    expected = effects(ordinal("agree ~ center(leadership) + role", full), full).tidy()["estimate"]
    np.testing.assert_allclose(effects(fit, gaps).tidy()["estimate"], expected, rtol=1e-8)  # two searches


@pytest.mark.parametrize(("name", "words"), [
    ("ordinal_logit", '+7 points more likely to be "5" for one unit more'),
    ("logit", "+10 points more likely for one unit more"),
    ("linear", "0.37 higher for one unit more"),
    ("poisson", "0.40 events more for one unit more"),
])  # fmt: skip
def test_readings_are_points_and_events(name, words):
    tidy = effects(FITS[name](), PEOPLE, drivers=["leadership"]).tidy()
    assert tidy["reading"].iloc[-1] == words


def test_a_level_is_read_against_its_reference():
    reading = effects(FITS["poisson"](), PEOPLE, drivers=["role"]).tidy()["reading"][0]
    assert reading == '0.76 events more than "clerk"'


@pytest.mark.parametrize("name", list(FITS))
def test_results_can_be_drawn_rendered_and_pooled(name):
    result = effects(FITS[name](), PEOPLE)
    assert set(result.shown()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    plt.close(result.plot().get_figure())
    assert result.to_html() and result.to_record() and result.alt_text()
    pooling = result.pooling()
    assert not pooling.keys.duplicated().any()
    np.testing.assert_allclose(np.sqrt(np.diag(pooling.covariance)), result.tidy()["std_error"])


def test_effects_of_a_hundred_thousand_respondents_take_no_square_of_them():
    many = pd.concat([PEOPLE] * 250, ignore_index=True)
    tidy = effects(ordinal("agree ~ leadership + role", many), many).tidy()
    expected = effects(ordinal("agree ~ leadership + role", PEOPLE), PEOPLE).tidy()
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], rtol=1e-6)  # two searches of one maximum


# Bad input


def test_what_is_no_model_is_refused():
    with pytest.raises(StudyError, match="fitted model"):
        effects(PEOPLE, PEOPLE)


def test_an_unknown_driver_is_refused():
    fit = FITS["linear"]()
    with pytest.raises(StudyError, match="leadership"):
        effects(fit, PEOPLE, drivers=["leadershp"])
    with pytest.raises(StudyError, match="list"):
        effects(fit, PEOPLE, drivers="leadership")


def test_other_data_are_refused():
    fit = FITS["linear"]()
    for other in (
        PEOPLE[:200],
        PEOPLE.drop(columns="role"),
        PEOPLE.assign(role="x"),
        PEOPLE.assign(role=PEOPLE["unit"]),
    ):
        with pytest.raises(DataError):
            effects(fit, other)


def test_a_variable_that_is_number_and_category_at_once_is_refused():
    people = PEOPLE.assign(step=PEOPLE["agree"].clip(2, 4))
    fit = regress("leadership ~ trained + step:readiness + C(step)", people)
    with pytest.raises(DataError, match="number and as C"):
        effects(fit, people)


def test_the_slope_of_a_square_root_at_zero_is_refused():
    people = PEOPLE.assign(tenure=PEOPLE["tenure"].where(np.arange(len(PEOPLE)) > 9, 0.0))
    with pytest.raises(DataError, match="infinite"):
        effects(regress("agree ~ sqrt(tenure)", people), people)
