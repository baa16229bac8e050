"""Average predictions agree with the delta method by hand in R, and laws about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, StudyError
from smstudy.models.regressions import predicted
from smstudy.models.regressions.rebuilt import bases_of

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "predictions.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "categories.csv").dropna().assign(high=lambda people: (people["agree"] >= 4) * 1.0)
RIGHT = "leadership * trained + log(tenure) + role"
ROLES = sorted(PEOPLE["role"].unique())
AT = {"leadership": [2, 4], "role": ROLES}
DERIVED = {"rtol": 1e-6, "atol": 1e-8}  # R's slopes are numerical
TOLD = {"linear": DERIVED, "poisson": {"rtol": 5e-3}}  # events are told to three digits
SHARES = {"atol": 5.1e-4}  # shares are told to three decimals
FITS = {
    "linear": lambda: sm.regress(f"agree ~ {RIGHT}", PEOPLE, covariance="HC3"),
    "logit": lambda: sm.regress(f"high ~ {RIGHT}", PEOPLE, family="logit"),
    "ordinal": lambda: sm.ordinal(f"agree ~ {RIGHT}", PEOPLE),
    "poisson": lambda: sm.counts(f"posts ~ {RIGHT}", PEOPLE, exposure="years", covariance="HC0"),
}


@pytest.mark.parametrize("name", FITS)
def test_agrees_with_the_delta_method_by_hand(name):
    tidy = sm.predictions(FITS[name](), PEOPLE, AT).tidy()
    near = TOLD.get(name, SHARES)
    np.testing.assert_allclose(tidy["estimate"], REFERENCE[name]["estimate"], **near)
    np.testing.assert_allclose(tidy["std_error"], REFERENCE[name]["se"], **near)


@pytest.mark.parametrize("name", FITS)
def test_what_is_rounded_agrees_with_r_before_it_is_rounded(name):
    fit = FITS[name]()
    bases = bases_of(fit, PEOPLE)
    estimates, slopes = predicted._averages(fit, bases, predicted._places(bases, AT))
    np.testing.assert_allclose(estimates, REFERENCE[name]["estimate"], **DERIVED)
    np.testing.assert_allclose(np.sqrt(np.diag(slopes @ fit.matrix @ slopes.T)), REFERENCE[name]["se"], **DERIVED)


def test_agrees_with_emmeans():
    fit = sm.regress("high ~ leadership + trained + role", PEOPLE, family="logit")
    tidy = sm.predictions(fit, PEOPLE, {"role": ROLES}).tidy()
    np.testing.assert_allclose(tidy["estimate"], REFERENCE["emmeans"]["estimate"], **SHARES)
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["emmeans"]["se"], **SHARES)


# Laws


@pytest.mark.parametrize("name", FITS)
def test_two_predictions_differ_by_the_average_effect(name):
    fit = FITS[name]()
    at = sm.predictions(fit, PEOPLE, {"trained": [0, 1]}).tidy()["estimate"].to_numpy().reshape(2, -1)
    effect = sm.effects(fit, PEOPLE, drivers=["trained"]).tidy()["estimate"]
    near = 1e-12 if name == "linear" else 0.011 if name == "poisson" else 1.1e-3  # the same averages; told to 3 digits
    np.testing.assert_allclose(at[1] - at[0], effect, atol=near)


def test_shares_of_all_answers_add_up_to_one_and_stay_between_nothing_and_everybody():
    tidy = sm.predictions(FITS["ordinal"](), PEOPLE, {"leadership": [2, 4]}).tidy()
    np.testing.assert_allclose(tidy.groupby("term")["estimate"].sum(), 1, atol=2.6e-3)  # five of 3 decimals
    assert (tidy["conf_low"] > 0).all() and (tidy["conf_high"] < 1).all()
    assert ((tidy["conf_low"] < tidy["estimate"]) & (tidy["estimate"] < tidy["conf_high"])).all()


def test_the_prediction_at_the_means_of_a_linear_model_is_the_mean_outcome():
    fit = sm.regress("agree ~ leadership + trained", PEOPLE, covariance="classical")
    means = {name: PEOPLE[name].mean() for name in ("leadership", "trained")}
    row = sm.predictions(fit, PEOPLE, means).tidy().iloc[0]
    assert row["estimate"] == pytest.approx(PEOPLE["agree"].mean(), rel=1e-12)  # a property of least squares
    sigma = fit.glance()["sigma"]
    assert row["std_error"] == pytest.approx(sigma / np.sqrt(len(PEOPLE)), rel=1e-10)  # the same, by the textbook


def test_intervals_hold_the_true_share_in_95_of_100_samples():
    rng, hits = np.random.default_rng(3), 0
    for _ in range(300):
        x = rng.normal(size=120)
        frame = pd.DataFrame({"x": x, "y": (rng.random(120) < 1 / (1 + np.exp(2 - x))) * 1})
        row = sm.predictions(sm.regress("y ~ x", frame, family="logit"), frame, {"x": [1.0]}).tidy().iloc[0]
        hits += row["conf_low"] <= 1 / (1 + np.exp(1)) <= row["conf_high"]
    assert hits / 300 == pytest.approx(0.95, abs=0.038)  # three Monte Carlo errors in 300 samples


def test_predictions_are_pooled_over_imputations():
    survey = sm.open_study("quarterly-pulse").survey("clean")
    made = sm.impute(survey, m=5, seed=1)

    def predicted(completed):
        fit = sm.regress("adoption ~ leadership + readiness", completed)
        return sm.predictions(fit, completed, {"leadership": [2, 4]})

    pooled = sm.pool(made, predicted).tidy()
    assert pooled["term"].tolist() == ["leadership = 2", "leadership = 4"]
    assert pooled["estimate"].is_monotonic_increasing


def test_names_are_those_of_the_codebook():
    survey = sm.open_study("quarterly-pulse").survey("clean")
    fit = sm.regress("adoption ~ leadership + C(unit)", survey)
    found = sm.predictions(fit, survey, {"leadership": 3, "unit": ["Sales", "(small groups)"]})
    assert "leadership" not in found.labels["leadership = 3; unit = Sales"] and len(found.tidy()) == 2


def test_no_cell_of_one_person_follows_from_many_predictions():
    """Averages over a logit curve at 60 values are a linear system with one unknown per cell."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"x": rng.normal(size=160), "item": rng.integers(1, 6, 160).astype(float)})
    frame["y"] = (rng.random(160) < 1 / (1 + np.exp(-frame["x"] - 0.4 * frame["item"] + 1))) * 1
    fit = sm.regress("y ~ x + item", frame, family="logit")
    b, at = fit.tidy()["estimate"].to_numpy(), np.linspace(-1, 1, 60)
    curve = 1 / (1 + np.exp(-(b[0] + b[1] * at[:, None] + b[2] * np.arange(1, 6))))
    cells = frame["item"].value_counts().sort_index().to_numpy()
    exact = np.linalg.lstsq(curve, curve @ cells / 160, rcond=None)[0] * 160
    told = sm.predictions(fit, frame, {"x": at.tolist()}).tidy()["estimate"].to_numpy()
    found = np.linalg.lstsq(curve, told, rcond=None)[0] * 160
    assert np.abs(exact - cells).max() < 0.5 < np.abs(found - cells).max()  # the attack works on exact numbers only


@pytest.mark.parametrize(("at", "error", "words"), [
    ({}, StudyError, "at= takes variables"),
    (["leadership"], StudyError, "at= takes variables"),
    ({"leadrship": [2]}, StudyError, 'Did you mean "leadership"'),
    ({"role": ["chief"]}, StudyError, '"role" has no level "chief"'),
    ({"leadership": ["high"]}, StudyError, "is a number in this model"),
    ({"leadership": []}, StudyError, "asks for 0 combinations"),
    ({"leadership": list(range(61))}, StudyError, "Ask for 1 to 60"),
    ({"tenure": [-1]}, DataError, "fewer than 5 respondents. Look at values from"),
    ({"leadership": [3, 9]}, DataError, '"leadership" lies so far out'),
])  # fmt: skip
def test_what_cannot_be_predicted_is_said(at, error, words):
    with pytest.raises(error, match=words):
        sm.predictions(FITS["linear"](), PEOPLE, at)
