"""Probit regression and effects of weighted respondents: agreement with R, and what must collapse."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, StudyError
from smstudy.models.regressions.categories import ordinal
from smstudy.models.regressions.marginal import effects
from smstudy.models.regressions.regression import regress

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "probit.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "categories.csv").dropna().assign(high=lambda people: (people["agree"] >= 4) * 1.0)
FORMULA = "high ~ leadership * trained + role"
ITERATED = {"rtol": 1e-6, "atol": 1e-9}  # two iterations that stop at different places


def test_agrees_with_glm():
    result = regress(FORMULA, PEOPLE, family="probit")
    tidy, glance, expected = result.tidy(), result.glance(), REFERENCE["glm"]
    for column in ("estimate", "std_error", "p_value"):
        np.testing.assert_allclose(tidy[column], expected[column], **ITERATED)
    for name in ("log_likelihood", "aic", "bic"):
        assert glance[name] == pytest.approx(expected[name], rel=1e-8)  # flat at the maximum
    assert glance["statistic"] == pytest.approx(expected["lr"], rel=1e-6)  # iterated
    assert result.family == "probit" and "odds_ratio" not in tidy


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3", "CR1"])
def test_robust_errors_agree_with_sandwich(kind):
    options = {"cluster": "unit"} if kind == "CR1" else {}
    tidy = regress(FORMULA, PEOPLE, family="probit", covariance=kind, **options).tidy()
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["glm"][kind], **ITERATED)


def test_effects_of_a_probit_agree_with_the_delta_method_by_hand():
    tidy = effects(regress(FORMULA, PEOPLE, family="probit"), PEOPLE).tidy()
    np.testing.assert_allclose(tidy["estimate"], REFERENCE["effects"]["estimate"], **ITERATED)
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["effects"]["se"], **ITERATED)


@pytest.mark.parametrize("family", ["linear", "logit", "probit"])
def test_effects_of_weighted_respondents_agree_with_svyglm(family):
    tidy = effects(regress(FORMULA, PEOPLE, family=family, weights="weight", cluster="unit"), PEOPLE).tidy()
    expected = REFERENCE["weighted"][family]
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], **ITERATED)
    np.testing.assert_allclose(tidy["std_error"], expected["se"], **ITERATED)


# Laws


def test_weights_are_those_of_the_rows_used_and_one_on_average():
    gaps = PEOPLE.assign(leadership=PEOPLE["leadership"].where(np.arange(len(PEOPLE)) > 30))
    fit = regress("agree ~ leadership", gaps, weights="weight")
    own = gaps["weight"][fit.used]
    np.testing.assert_allclose(fit.weights, own / own.mean(), rtol=1e-12)  # one division
    assert (regress("agree ~ leadership", gaps).weights == 1).all()


def test_the_effect_is_the_weighted_mean_of_what_a_changed_answer_does():
    fit = regress(FORMULA, PEOPLE, family="logit", weights="weight")
    b = fit.tidy().set_index("term")["estimate"]
    part = (PEOPLE[["role"]] == ["expert"]) @ [b["role[expert]"]] + (PEOPLE["role"] == "manager") * b["role[manager]"]
    line = b["(intercept)"] + b["leadership"] * PEOPLE["leadership"] + part
    more = line + b["trained"] + b["leadership:trained"] * PEOPLE["leadership"]
    by_hand = np.average(1 / (1 + np.exp(-more)) - 1 / (1 + np.exp(-line)), weights=PEOPLE["weight"])
    assert effects(fit, PEOPLE, drivers=["trained"]).tidy()["estimate"][0] == pytest.approx(by_hand, rel=1e-10)  # sums


def test_a_probit_is_an_ordinal_probit_of_two_answers():
    binary = regress(FORMULA, PEOPLE, family="probit").tidy()
    two = ordinal(FORMULA, PEOPLE, link="probit").tidy()
    np.testing.assert_allclose(binary["estimate"][1:], two["estimate"][:-1], rtol=1e-6)  # two searches of one maximum
    assert binary["estimate"][0] == pytest.approx(-two["estimate"].iloc[-1], rel=1e-6)  # the same


def test_a_coefficient_per_standard_deviation_does_not_depend_on_the_unit():
    for family in ("logit", "probit"):
        one = regress("high ~ leadership", PEOPLE, family=family).tidy()
        ten = regress("high ~ leadership", PEOPLE.assign(leadership=10 * PEOPLE["leadership"]), family=family).tidy()
        assert one["per_sd"][1] == pytest.approx(ten["per_sd"][1], rel=1e-8)  # two searches of one maximum
        per_sd = one["estimate"][1] * PEOPLE["leadership"].std()
        assert one["per_sd"][1] == pytest.approx(per_sd, rel=1e-12)  # the same product


def test_it_is_said_what_estimates_are():
    result = regress(FORMULA, PEOPLE, family="probit")
    assert result.note.startswith("Probit regression (estimates are standard deviations of what stands behind")
    plain = FORMULA.replace(" * ", " + ")
    assert regress(plain, PEOPLE, family="probit").tidy()["reading"][1] == "more likely"
    odds = regress(plain, PEOPLE, family="logit").tidy()["reading"]
    assert odds[1].startswith("more likely: odds 1.") and odds[1].endswith("times as large")
    plt.close(result.plot().get_figure())
    assert result.to_html() and result.to_record() and result.pooling().scale == "identity"


# Bad input


def test_what_a_probit_cannot_be_is_refused():
    with pytest.raises(StudyError, match="wild"):
        regress(FORMULA, PEOPLE, family="probit", cluster="unit", covariance="wild")
    with pytest.raises(DataError, match="A probit needs"):
        regress("agree ~ leadership", PEOPLE, family="probit")
