"""Words of coefficients claim no more than a coefficient says; curves are curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=400), "m": rng.integers(1, 6, 400), "used": rng.integers(0, 2, 400)})
    frame["site"] = np.where(frame["used"] == 1, "b", "a")
    crossed = 0.6 * frame["x"] * (frame["m"] - 3) + rng.normal(size=400)
    bent = 0.5 * frame["x"] - 0.3 * frame["x"] ** 2 + 0.7 * frame["used"] + rng.normal(size=400)
    return frame.assign(crossed=crossed, bent=bent)


def test_a_part_of_a_product_is_not_read_as_the_slope_of_everybody(people):
    fit = sm.regress("crossed ~ x * m", people)
    tidy = fit.tidy().set_index("term")
    assert tidy.loc["x", "reading"] == "holds at one point only: see effects()" and tidy.loc["x", "estimate"] < -1
    assert tidy.loc["x:m", "reading"] == "slopes differ: see moderate()"
    assert tidy["std_estimate"].isna().all() and "crossed with" in fit.note
    assert sm.effects(fit, people, drivers=["x"]).tidy()["reading"][0] == "direction uncertain"


def test_a_curve_is_one_and_its_effect_is_its_mean_slope(people):
    fit = sm.regress("bent ~ x + square(x) + cube(x)", people)
    by_hand = sm.regress("bent ~ x + x2 + x3", people.assign(x2=people["x"] ** 2, x3=people["x"] ** 3))
    np.testing.assert_array_equal(fit.tidy()["estimate"], by_hand.tidy()["estimate"])
    assert set(fit.tidy()["reading"][1:]) <= {"part of a curve: see effects()", "direction uncertain"}
    _, b, c, d = fit.tidy()["estimate"]
    slope = (b + 2 * c * people["x"] + 3 * d * people["x"] ** 2).mean()
    assert sm.effects(fit, people).tidy()["estimate"][0] == pytest.approx(slope, rel=1e-8)  # a slope by a small step
    at = sm.predictions(fit, people, {"x": [-1, 0.8, 1.8]}).tidy()["estimate"]
    assert at[0] < at[1] > at[2]


def test_a_switch_is_read_alike_as_number_and_as_text(people):
    one, other = (sm.regress(f"bent ~ {name}", people).tidy() for name in ("used", "site"))
    assert one["reading"][1] == other["reading"][1] == "medium, positive"
    assert np.isnan(other["std_estimate"][1])


def test_numbers_kept_as_objects_are_numbers(people):
    objects = people.assign(m=pd.Series(people["m"].tolist(), dtype=object))
    pd.testing.assert_frame_equal(sm.regress("crossed ~ m", objects).tidy(), sm.regress("crossed ~ m", people).tidy())


def test_effects_of_other_data_are_refused(people):
    fit = sm.regress("bent ~ x + used", people)
    for changed in (people.assign(x=people["x"] * 12), people.assign(x=people["x"].to_numpy()[::-1])):
        with pytest.raises(DataError, match="drivers have other values"):
            sm.effects(fit, changed)


@pytest.mark.parametrize(("change", "words"), [
    ({"(intercept)": 1.0}, "the constant of the model"),
    ({"x": 1j}, "complex"),
])  # fmt: skip
def test_columns_no_model_can_have_are_refused(people, change, words):
    frame = people.assign(**{name: people["x"] * value for name, value in change.items()})
    with pytest.raises(DataError, match=words):
        sm.regress(f"bent ~ used + `{next(iter(change))}`", frame)
