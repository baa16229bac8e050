"""Laws of `smstudy.models.nested.dependence`: each advice where it belongs, and a simulation of following it."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import DataError, DisclosureError, EstimationError, SmstudyError, StudyError
from smstudy.models.nested.dependence import nesting
from smstudy.models.nested.multilevels import multilevel
from smstudy.models.regressions.regression import regress
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
R = json.loads((FOLDER / "multilevel.json").read_text(encoding="utf-8"))["nesting"]
FORMULA = "y ~ climate + x"


def people(n_teams=20, size=15, *, likeness=0.15, seed=0, slope=0.0, context=0.0):
    """Teams share a climate that does nothing; x differs within teams, its team mean may work by itself."""
    rng = np.random.default_rng(seed)
    team = np.repeat(np.arange(n_teams), size)
    mean = rng.normal(size=n_teams)
    x = mean[team] + rng.normal(size=len(team))
    y = np.sqrt(likeness) * rng.normal(size=n_teams)[team] + np.sqrt(1 - likeness) * rng.normal(size=len(team))
    y += (0.3 + slope * rng.normal(size=n_teams)[team]) * x + context * mean[team]
    return pd.DataFrame(
        {"unit": [f"t{g:03d}" for g in team], "climate": rng.normal(size=n_teams)[team], "x": x, "y": y}
    )


def names_of(result):
    return {finding.name for finding in result.findings}


def test_numbers_agree_with_r():
    army = pd.read_csv(FOLDER / "multilevel_army.csv")
    advice = nesting("WBEING ~ HRS + LEAD", army, group="GRP")
    rows = advice.tidy()
    np.testing.assert_allclose(rows["icc_1"], R["icc_1"], rtol=1e-8)  # closed forms
    assert advice.glance()["icc_1_residual"] == pytest.approx(R["icc_1_residual"], rel=1e-8)  # as above
    ratio, df = np.array(R["ratio"])[1:], np.array(R["df"])[1:]
    np.testing.assert_allclose(rows["deff"][1], ratio[1], rtol=1e-8)  # the larger one, as above
    np.testing.assert_allclose(rows["deff_high"], ratio * df / stats.chi2.ppf(0.025, df), rtol=1e-8)  # as above


def test_members_who_differ_more_than_strangers_have_a_negative_icc():
    frame = people().assign(x=lambda f: f["x"] - f.groupby("unit")["x"].transform("mean"))
    assert nesting("y ~ x", frame).tidy()["icc_1"][0] == pytest.approx(-1 / 14)  # all of the squares are within


def test_likeness_and_a_driver_of_whole_teams_call_for_a_mixed_model():
    advice = nesting("y ~ climate", people())
    assert advice.verdict == "mixed model" and "use multilevel()" in advice.reason
    rows = advice.tidy().set_index("term")
    assert rows.loc["climate", "icc_1"] == pytest.approx(1.0, rel=1e-12)  # the same sums
    assert rows.loc["climate", "deff"] > 2 and "too small" in rows.loc["climate", "reading"]


def test_many_teams_that_hardly_differ_may_be_ignored():
    frame = people(3000, 3, likeness=0.0, seed=1)
    frame["x"] = np.random.default_rng(2).normal(size=len(frame))
    frame["y"] = 0.3 * frame["x"] + np.random.default_rng(3).normal(size=len(frame))
    advice = nesting("y ~ x", frame)
    assert advice.verdict == "ignore the teams" and "regress() is enough" in advice.reason


def test_no_significant_likeness_is_no_licence_to_ignore():
    frame = people(12, 12, likeness=0.02, seed=6)
    advice = nesting(FORMULA, frame)
    assert advice.glance()["conf_low"] == 0.0
    assert advice.verdict == "clustered errors" and "cannot rule out" in advice.reason


def test_few_teams_cannot_tell():
    advice = nesting(FORMULA, people(5, 40))
    assert advice.verdict == "cannot tell" and "too few" in advice.reason


def test_many_teams_with_different_effects_call_for_clustered_errors():
    advice = nesting(FORMULA, people(80, 15, slope=0.5))
    assert advice.verdict == "clustered errors" and "the effect of x differs" in advice.reason
    assert "slopes_differ" in names_of(advice)


def test_few_teams_with_different_effects_call_for_slopes():
    advice = nesting(FORMULA, people(25, 15, slope=0.7))
    assert advice.verdict == "mixed model" and "with slopes= for x" in advice.reason


def test_teams_are_not_ignored_where_effects_differ():
    frame = people(60, 15, likeness=0.0, slope=0.5, seed=3)
    frame["x"] -= frame.groupby("unit")["x"].transform("mean")
    rng = np.random.default_rng(1)
    frame["y"] = rng.normal(scale=0.5, size=60)[pd.factorize(frame["unit"])[0]] * frame["x"] + rng.normal(size=900)
    advice = nesting("y ~ x", frame)
    row = advice.tidy().iloc[0]
    assert row["deff"] > 2 and "too small" in row["reading"] and advice.verdict == "clustered errors"


def test_the_design_effect_is_that_of_slopes_that_differ():
    """Brute force: the variance over many samples against what robust errors say on average."""
    rng, team = np.random.default_rng(2), np.repeat(np.arange(32), 20)
    x = rng.normal(size=640)
    slopes = 0.3 * rng.normal(size=(2000, 32))[:, team]
    y = slopes * x + rng.normal(size=(2000, 640))
    centered = x - x.mean()
    estimates = y @ centered / (centered @ centered)
    left = y - y.mean(axis=1, keepdims=True) - estimates[:, None] * centered
    told = left**2 @ centered**2 / (centered @ centered) ** 2
    frames = [pd.DataFrame({"x": x, "y": row, "unit": team}) for row in y[:40]]
    ratio = [nesting("y ~ x", frame).tidy()["deff"][0] for frame in frames]
    expected = estimates.var() / told.mean()
    assert np.mean(ratio) == pytest.approx(expected, rel=0.15)  # three Monte-Carlo errors of 5 %


def test_a_driver_whose_effect_differs_is_never_about_right():
    for seed in range(12):
        advice = nesting("y ~ x", people(32, 20, likeness=0.1, slope=0.25, seed=seed))
        assert "about right" not in advice.tidy()["reading"][0] and advice.verdict != "ignore the teams"


def test_a_context_that_works_otherwise_is_a_finding():
    assert "context_differs" in names_of(nesting("y ~ x", people(60, 15, context=0.6)))
    assert "context_differs" not in names_of(nesting("y ~ x", people(60, 15, seed=2)))


def test_following_the_advice_keeps_false_alarms_at_the_level_where_effects_differ_unseen():
    rng, followed = np.random.default_rng(8), []
    team = np.repeat(np.arange(32), 20)
    for _ in range(60):
        frame = pd.DataFrame({"x": rng.normal(size=640), "unit": team})
        frame["y"] = rng.normal(scale=0.35, size=32)[team] + rng.normal(scale=0.2, size=32)[team] * frame["x"]
        frame["y"] += rng.normal(scale=0.9, size=640)
        advice = nesting("y ~ x", frame)
        assert advice.verdict != "ignore the teams"  # where a regression has 14 % false alarms
        slopes = ["x"] if "with slopes=" in advice.reason else []
        mixed = advice.verdict == "mixed model"
        fit = multilevel("y ~ x", frame, slopes=slopes) if mixed else regress("y ~ x", frame, cluster="unit")
        followed.append(fit.tidy()["p_value"][1] < 0.05)
    assert np.mean(followed) <= 0.134  # 5 % and three Monte-Carlo errors of 2.8 %


def test_following_the_advice_keeps_false_alarms_at_the_level_and_ignoring_does_not():
    rng, followed, ignored = np.random.default_rng(7), [], []
    for seed in rng.integers(10**6, size=80):
        frame = people(20, 12, seed=int(seed))
        advice = nesting(FORMULA, frame).verdict
        assert advice in ("mixed model", "clustered errors")
        chosen = multilevel(FORMULA, frame) if advice == "mixed model" else regress(FORMULA, frame, cluster="unit")
        followed.append(chosen.tidy()["p_value"][1] < 0.05)
        ignored.append(regress(FORMULA, frame).tidy()["p_value"][1] < 0.05)
    assert np.mean(followed) <= 0.12  # 5 % and three Monte-Carlo errors of 2.4 %
    assert np.mean(ignored) > 0.12  # far more than 5 %


def test_columns_are_those_of_the_vocabulary():
    advice = nesting(FORMULA, people())
    assert set(advice.tidy()) <= set(TIDY) and set(advice.glance()) <= set(GLANCE)
    json.dumps(advice.to_record(), allow_nan=False)
    assert "Design effect" in advice.plot().get_xlabel() or advice.plot().get_title(loc="left")
    plt.close("all")


@pytest.mark.parametrize(
    ("change", "formula", "options", "error", "said"),
    [
        ({}, FORMULA, {"group": "team"}, DataError, "Name the teams: group="),
        ({"unit": "one"}, FORMULA, {}, DataError, "one team only"),
        ({"unit": range(300)}, FORMULA, {}, DataError, "one respondent"),
        ({"unit": np.linspace(0.5, 9.9, 300)}, FORMULA, {}, DataError, "decimals"),
        ({}, "y ~ x + unit", {}, StudyError, "cannot be a term too"),
        ({}, "y ~ 1", {}, StudyError, "name at least one"),
        ({}, FORMULA, {"conf_level": 95}, StudyError, "conf_level"),
        ({"y": 1.0}, FORMULA, {}, DataError, "same value"),
        ({"z": lambda f: f["x"] * 2}, "y ~ x + z", {}, EstimationError, "determined by"),
        ({}, FORMULA, {"min_n": 2}, DisclosureError, "raised"),
        ({"y": lambda f: f["unit"].str[1:].astype(float)}, "y ~ climate", {}, EstimationError, "Within groups"),
    ],
)
def test_bad_input_gets_one_clear_error(change, formula, options, error, said):
    with pytest.raises(error, match=said):
        nesting(formula, people().assign(**change), **options)


def test_fewer_respondents_than_coefficients_are_refused():
    frame = people(3, 4).assign(z=range(12), v=lambda f: f["z"] ** 2 % 7, w=lambda f: f["z"] ** 3 % 11)
    with pytest.raises(SmstudyError, match="cannot carry"):
        nesting("y ~ x * z * v * w", frame)


def test_a_small_range_of_likeness_is_read_with_care():
    rows = nesting("y ~ x", people(30, 10, likeness=0.01, seed=4)).tidy()
    assert rows["deff_high"][0] >= rows["deff"][0]
