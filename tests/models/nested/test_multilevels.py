"""Laws of `smstudy.models.nested.multilevels`: agreement with lme4, lmerTest and nlme, doubt, refusals, privacy."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.special import expit
from scipy.stats import t

from smstudy.errors import DataError, DisclosureError, EstimationError, SmstudyError, StudyError
from smstudy.inference.regression.random_logit import random_logit
from smstudy.models.nested.multilevels import multilevel
from smstudy.models.regressions.regression import regress
from smstudy.privacy import Privacy
from smstudy.survey.codebook import Codebook, Variable
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "multilevel.json").read_text(encoding="utf-8"))
DATA = {name: pd.read_csv(FOLDER / f"multilevel_{name}.csv") for name in ("sleep", "schools", "army", "cows")}
DATA["cows"] = DATA["cows"].assign(period=DATA["cows"]["period"].astype(str))
MODELS = {
    "sleep_level": ("Reaction ~ Days", "Subject", ()),
    "sleep_slope": ("Reaction ~ Days", "Subject", ("Days",)),
    "schools_slope": ("MathAch ~ SES + Sex", "School", ("SES",)),
    "army_slope": ("WBEING ~ HRS + LEAD", "GRP", ("LEAD",)),
    "army_hours": ("WBEING ~ HRS + LEAD", "GRP", ("HRS",)),
}
METHODS = ("REML", "ML")
ITERATED = 1e-6  # two searches that stop at different places
NUMERIC = 1e-4  # lmerTest takes the derivatives behind its degrees of freedom by differences


def fitted(name, method="REML"):
    formula, group, slopes = MODELS[name]
    return multilevel(formula, DATA[name.split("_")[0]], group=group, slopes=slopes, method=method)


def names_of(result):
    return {finding.name for finding in result.findings}


def people(n_teams=12, size=15, *, seed=0, between=0.6, slope=0.0):
    rng = np.random.default_rng(seed)
    team = np.repeat(np.arange(n_teams), size)
    x = rng.normal(size=len(team))
    y = 0.5 * x + rng.normal(scale=between, size=n_teams)[team] + slope * rng.normal(size=n_teams)[team] * x
    return pd.DataFrame({"y": y + rng.normal(size=len(team)), "x": x, "unit": [f"team {g:02d}" for g in team]})


# Agreement with R


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_lme4_and_lmertest(name, method):
    expected, result = REFERENCE[f"{name}_{method}"], fitted(name, method)
    tidy, glance = result.tidy(), result.glance()
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], rtol=ITERATED)
    np.testing.assert_allclose(tidy["std_error"], expected["std_error"], rtol=ITERATED)
    np.testing.assert_allclose(tidy["df"], expected["df"], rtol=NUMERIC)
    np.testing.assert_allclose(tidy["p_value"], expected["p_value"], rtol=1e-3)  # follows the df, far in the tail
    for key in ("log_likelihood", "aic", "bic"):
        assert glance[key] == pytest.approx(expected[key], rel=1e-9)  # flat at its highest point
    shares = [glance["r_squared_marginal"], glance["r_squared_conditional"]]
    np.testing.assert_allclose(shares, expected["r_squared"], rtol=ITERATED)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_variances_agree_with_lme4(name, method):
    expected, rows = REFERENCE[f"{name}_{method}"], fitted(name, method).variances.tidy()
    residual = rows["term"] == "(residual)"
    ours = [*rows.loc[~residual, "estimate"], *rows.loc[residual, "estimate"]]
    np.testing.assert_allclose(ours, expected["sdcor"], rtol=5e-6)  # the deviance is flattest along a correlation


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "close"), [("sleep_level", 1e-3), ("sleep_slope", 1e-5)])
def test_intervals_of_variances_agree_with_nlme_and_with_differences(name, close, method):
    rows = fitted(name, method).variances.tidy()
    residual = rows["term"] == "(residual)"
    ours = pd.concat([rows[~residual], rows[residual]])[["conf_low", "estimate", "conf_high"]]
    expected = REFERENCE[f"{name}_{method}"]["intervals"]
    np.testing.assert_allclose(ours, expected, rtol=close)  # plain differences in nlme, Richardson's for slopes


@pytest.mark.parametrize("name", ["sleep_level", "sleep_slope", "schools_slope", "army_slope"])
def test_likelihood_ratio_agrees_with_lme4_and_halves_its_tail(name):
    rows = fitted(name).variances.tidy()
    place = 1 if MODELS[name][2] else 0
    assert rows["statistic"][place] == pytest.approx(REFERENCE[f"{name}_REML"]["statistic"], rel=ITERATED)
    level = fitted("sleep_level").variances.tidy().iloc[0]
    assert level["df"] == 1 and level["p_value"] < 1e-20


@pytest.mark.parametrize("name", ["schools_slope", "army_slope"])
def test_teams_agree_with_ranef_at_the_mean_of_the_driver(name):
    expected, result = REFERENCE[f"{name}_REML"], fitted(name)
    wide = result.teams.tidy().pivot(index="group", columns="term", values=["estimate", "std_error"])
    slope = MODELS[name][2][0]
    for column, key in (("estimate", "modes"), ("std_error", "mode_errors")):
        ours = wide.loc[expected["groups"], column]
        np.testing.assert_allclose(ours[slope], np.array(expected[key])[:, 1], rtol=1e-5)  # digits are lost near zero
        np.testing.assert_allclose(ours["(intercept)"], REFERENCE["at_mean"][name][key], rtol=1e-5)  # as above
    assert f"Levels are those at the mean of {slope}" in result.teams.note


def test_where_a_driver_has_its_zero_does_not_move_teams():
    frame = people(20, 12, slope=0.6)
    once = multilevel("y ~ x", frame, slopes=["x"]).teams.tidy()
    again = multilevel("y ~ x", frame.assign(x=frame["x"] + 50), slopes=["x"]).teams.tidy()
    pd.testing.assert_frame_equal(once, again, rtol=1e-6)  # two digits are lost beside 50


@pytest.mark.parametrize("written", ["center(x)", "scale(x)"])
def test_a_slope_may_be_named_by_its_column(written):
    frame = people(slope=0.5)
    once, again = (multilevel(f"y ~ {written}", frame, slopes=[name]) for name in ("x", written))
    pd.testing.assert_frame_equal(once.variances.tidy(), again.variances.tidy())
    with pytest.raises(StudyError, match='slopes names "x"'):
        multilevel("y ~ log(x)", frame.assign(x=lambda f: f["x"] + 9), slopes=["x"])


def test_a_variance_of_zero_agrees_with_lme4():
    expected = REFERENCE["nothing"]
    frame = pd.DataFrame({"Batch": expected["batch"], "Yield": expected["yield"]})
    result = multilevel("Yield ~ 1", frame, group="Batch")
    assert expected["singular"] and "singular_fit" in names_of(result)
    rows = result.variances.tidy()
    assert rows["estimate"][0] == 0 and rows["p_value"][0] == 1
    assert np.isnan(rows["conf_low"][0]) and np.isfinite(rows["conf_low"][1])
    assert rows["estimate"][1] == pytest.approx(expected["sdcor"][1], rel=ITERATED)
    tidy = result.tidy()
    assert tidy["estimate"][0] == pytest.approx(expected["estimate"], rel=ITERATED)
    assert tidy["std_error"][0] == pytest.approx(expected["std_error"], rel=ITERATED)
    assert tidy["df"][0] == pytest.approx(expected["df"], rel=NUMERIC)


@pytest.mark.parametrize("name", ["army", "schools"])
def test_intraclass_correlations_agree_with_multilevel(name):
    glance = fitted(f"{name}_slope").glance()
    ours = [glance["icc_1_outcome"], glance["icc_2"]]
    np.testing.assert_allclose(ours, REFERENCE["icc"][name], rtol=1e-8)  # closed forms


def test_members_who_differ_more_than_strangers_are_told_as_they_are():
    expected = REFERENCE["nothing"]
    frame = pd.DataFrame({"Batch": expected["batch"], "Yield": expected["yield"]})
    glance = multilevel("Yield ~ 1", frame, group="Batch").glance()
    means, within = (frame.groupby("Batch")["Yield"].agg(how) for how in ("mean", "var"))
    ratio = 5 * means.var() / within.mean()
    expected = [(ratio - 1) / (ratio + 4), 1 - 1 / ratio]
    np.testing.assert_allclose([glance["icc_1_outcome"], glance["icc_2"]], expected, rtol=1e-10)  # closed forms
    assert glance["icc_2"] < 0


@pytest.mark.parametrize(
    ("key", "formula", "group"), [("cows", "sick ~ period", "herd"), ("army_logit", "well ~ HRS + LEAD", "GRP")]
)
def test_a_logit_agrees_with_glmer(key, formula, group):
    frame = DATA["army"].assign(well=(DATA["army"]["WBEING"] > 3) * 1.0) if key == "army_logit" else DATA["cows"]
    expected, result = REFERENCE[key], multilevel(formula, frame, group=group, family="logit")
    tidy, glance = result.tidy(), result.glance()
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], rtol=1e-5)  # glmer stops at the sixth digit
    np.testing.assert_allclose(tidy["std_error"], expected["std_error"], rtol=1e-4)  # glmer's differences
    level = result.variances.tidy().iloc[0]
    assert level["estimate"] == pytest.approx(expected["deviation"], rel=1e-5)  # as above
    assert level["statistic"] == pytest.approx(2 * (expected["log_likelihood"] - expected["without"]), rel=1e-5)  # same
    for name in ("log_likelihood", "aic", "bic"):
        assert glance[name] == pytest.approx(expected[name], rel=1e-8)  # flat at its highest point
    shares = [glance["r_squared_marginal"], glance["r_squared_conditional"]]
    np.testing.assert_allclose(shares, expected["r_squared"], rtol=1e-4)  # squares of what agrees to 1e-5
    rows = result.teams.tidy().set_index("group")
    groups = [name for name in expected["groups"] if name in rows.index]
    places = [expected["groups"].index(name) for name in groups]
    assert groups
    np.testing.assert_allclose(rows.loc[groups, "estimate"], np.array(expected["modes"])[places], rtol=1e-4)  # same
    np.testing.assert_allclose(rows.loc[groups, "std_error"], np.array(expected["mode_errors"])[places], rtol=1e-4)


def test_settles_on_real_teams_where_statsmodels_does_not():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = smf.mixedlm("WBEING ~ HRS + LEAD", DATA["army"], groups="GRP", re_formula="~HRS").fit()
    ours = fitted("army_hours")
    assert not theirs.converged
    assert ours.glance()["log_likelihood"] > theirs.llf + 300  # the place where it gave up is far away
    assert not names_of(ours)


# Special cases that must collapse


def test_equal_teams_give_the_analysis_of_variance():
    frame = people(10, 8).assign(constant=1.0)
    means = frame.groupby("unit")["y"].mean()
    within = frame.groupby("unit")["y"].var().mean()
    result = multilevel("y ~ 1", frame)
    deviation, residual = result.variances.tidy()["estimate"]
    assert residual**2 == pytest.approx(within, rel=1e-10)  # closed form
    assert deviation**2 == pytest.approx(means.var() - within / 8, rel=1e-8)  # closed form, one search
    row = result.tidy().iloc[0]
    assert row["std_error"] == pytest.approx(means.std() / np.sqrt(10), rel=1e-8)  # closed form
    assert row["df"] == pytest.approx(9, rel=1e-8)  # closed form


def test_without_differences_between_teams_it_is_the_ordinary_regression():
    frame = people(10, 8, between=0.0)
    frame["y"] -= frame.groupby("unit")["y"].transform("mean")
    frame["x"] -= frame.groupby("unit")["x"].transform("mean")
    mixed, plain = multilevel("y ~ x", frame), regress("y ~ x", frame, covariance="classical")
    columns = ["estimate", "std_error", "df", "p_value", "conf_low", "std_estimate"]
    np.testing.assert_allclose(mixed.tidy()[columns], plain.tidy()[columns], rtol=1e-8, atol=1e-15)  # two routes
    assert "singular_fit" in names_of(mixed)


@pytest.mark.parametrize(("factor", "shift"), [(1000.0, 0.0), (1.0, 1e6), (1e-6, 5.0)])
def test_units_and_zero_points_of_a_driver_do_not_matter(factor, shift):
    frame = people(slope=0.4)
    once = multilevel("y ~ x", frame, slopes=["x"])
    again = multilevel("y ~ x", frame.assign(x=frame["x"] * factor + shift), slopes=["x"])
    assert again.glance()["log_likelihood"] == pytest.approx(
        once.glance()["log_likelihood"] - np.log(factor), rel=1e-8
    )  # a restricted likelihood moves with the units
    for column, power in (("estimate", -1), ("std_error", -1), ("df", 0), ("p_value", 0)):
        expected = once.tidy()[column][1] * factor**power
        assert again.tidy()[column][1] == pytest.approx(expected, rel=1e-6)  # six digits are left of x + 1e6


def test_an_outcome_far_from_zero_is_no_exact_one():
    frame = people(20, 12, slope=0.4)
    once, far = (multilevel("y ~ x", frame.assign(y=frame["y"] + shift), slopes=["x"]) for shift in (0, 1e12))
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(far.tidy()[columns][1:], once.tidy()[columns][1:], rtol=1e-3)  # y has four digits left
    with pytest.raises(DataError, match="give the outcome exactly"):
        multilevel("y ~ x", frame.assign(y=2 * frame["x"] + 1e12))


def test_order_of_rows_does_not_matter():
    frame = people(slope=0.4)
    once, again = (multilevel("y ~ x", data, slopes=["x"]) for data in (frame, frame.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(once.tidy(), again.tidy(), rtol=1e-8)  # sums in another order
    pd.testing.assert_frame_equal(once.teams.tidy(), again.teams.tidy(), rtol=1e-6)  # as above


def test_data_are_not_changed():
    frame = people()
    before = frame.copy()
    multilevel("y ~ scale(x)", frame)
    pd.testing.assert_frame_equal(frame, before)


# Planted truth


def test_recovers_planted_variances_and_holds_its_level():
    rng = np.random.default_rng(4)
    deviations, slopes, covered = [], [], []
    for seed in rng.integers(10**6, size=60):
        result = multilevel("y ~ x", people(20, 12, seed=int(seed), between=0.6, slope=0.4), slopes=["x"])
        deviations.append(result.variances.tidy()["estimate"][:2])
        row = result.tidy().iloc[1]
        slopes.append(row["estimate"])
        covered.append(row["conf_low"] <= 0.5 <= row["conf_high"])
    np.testing.assert_allclose(np.mean(deviations, axis=0), [0.6, 0.4], atol=0.04)  # Monte-Carlo error 0.014
    assert np.mean(slopes) == pytest.approx(0.5, abs=0.05)  # Monte-Carlo error 0.014
    assert 0.87 <= np.mean(covered) <= 1.0  # three Monte-Carlo errors of 0.028


def test_recovers_a_planted_logit():
    rng = np.random.default_rng(5)
    frame = people(60, 30, seed=3, between=0.0)
    place = rng.normal(scale=0.8, size=60)[pd.factorize(frame["unit"])[0]]
    frame["y"] = (rng.random(len(frame)) < 1 / (1 + np.exp(-(0.7 * frame["x"] + place)))) * 1.0
    result = multilevel("y ~ x", frame, family="logit")
    row, level = result.tidy().iloc[1], result.variances.tidy().iloc[0]
    assert row["conf_low"] < 0.7 < row["conf_high"]
    assert level["conf_low"] < 0.8 < level["conf_high"]
    assert "points, positive" in row["reading"]


# What a reader sees


def test_columns_are_those_of_the_vocabulary():
    frame = people(slope=0.4).assign(high=lambda f: (f["y"] > 0) * 1.0)
    for result in (multilevel("y ~ x", frame, slopes=["x"]), multilevel("high ~ x", frame, family="logit")):
        for part in (result, result.variances, result.teams):
            assert set(part.tidy()) <= set(TIDY) and set(part.glance()) <= set(GLANCE)
            assert all(type(value) in (int, float, str) for value in part.glance().values())
            json.dumps(part.to_record(), allow_nan=False)
            assert part.to_text() and part.plot().get_title(loc="left")
    plt.close("all")


def test_levels_and_controls_read_as_in_a_regression():
    frame = people(16, 15).assign(role=lambda f: np.resize(["a", "b", "c"], len(f)))
    result = multilevel("y ~ x + C(role)", frame)
    assert "Controlled for, not shown: role" in result.note
    assert [row[0] for row in result.table().rows] == ["Constant", "x"]
    assert result.labels["role[b]"] == "role: b"


def test_a_logit_has_the_degrees_of_freedom_of_teams_for_what_teams_share():
    rng, team = np.random.default_rng(21), np.repeat(np.arange(9), 20)
    frame = pd.DataFrame({"unit": team.astype(str), "x": rng.normal(size=9)[team], "z": rng.normal(size=180)})
    frame["y"] = (rng.normal(0, 0.8, 9)[team] + rng.logistic(size=180) > 0) * 1.0
    result = multilevel("y ~ x + z", frame, family="logit")
    np.testing.assert_array_equal(result.tidy()["df"], [7, 7, np.nan])
    assert "t with 7 degrees of freedom (teams less such terms)" in result.note


def test_tests_of_a_logit_hold_their_level_with_eight_teams():
    rng, team, rejected, rounds = np.random.default_rng(22), np.repeat(np.arange(8), 20), 0, 100
    for _ in range(rounds):
        x = np.column_stack([np.ones(160), rng.normal(size=8)[team]])
        y = (rng.normal(0, 0.7, 8)[team] + rng.logistic(size=160) > 0) * 1.0
        fit = random_logit(x, y, team, names=["constant", "x"])
        statistic = abs(fit.coefficients[1]) / np.sqrt(fit.covariance[1, 1])
        rejected += (2 * t.sf(statistic, 6) < 0.05) / rounds
    assert rejected <= 0.05 + 3 * 0.022  # three simulation errors; the normal distribution rejects in 13 %


def test_coefficients_are_read_as_those_of_a_regression():
    frame = people(20, 40).assign(half=lambda f: np.resize([0, 1], len(f)))
    frame["side"] = frame["half"].map({0: "a", 1: "b"})
    frame["y"] += 0.8 * frame["half"] + 0.4 * frame["x"] * frame["half"]
    for formula in ("y ~ x + half", "y ~ x + side", "y ~ x * half", "y ~ x + square(x)", "y ~ x * side"):
        mixed, plain = (fit.tidy() for fit in (multilevel(formula, frame), regress(formula, frame, cluster="unit")))
        clear = ~(mixed["reading"].eq("direction uncertain") | plain["reading"].eq("direction uncertain"))
        assert clear[1:].any() and mixed["reading"][clear].tolist() == plain["reading"][clear].tolist()
        np.testing.assert_array_equal(mixed["std_estimate"].isna(), plain["std_estimate"].isna())
    assert multilevel("y ~ x + half", frame).tidy()["reading"][2] == "medium, positive"
    assert "at 0, or in the reference group" in multilevel("y ~ x * half", frame).note


def test_products_of_a_logit_are_read_as_in_a_regression():
    frame = people(20, 40).assign(half=lambda f: np.resize([0, 1], len(f)))
    frame["y"] = (frame["y"] + 2 * frame["x"] * frame["half"] > 0) * 1.0
    reading = multilevel("y ~ x * half", frame, family="logit").tidy()["reading"]
    assert reading[1].startswith("holds at one point only") and reading[3] == "slopes differ: see moderate()"


def test_a_difference_of_zero_is_not_proved():
    result = multilevel("y ~ x", people(10, 8, between=0.0, seed=3))
    text = {finding.name: finding.text for finding in result.findings}["singular_fit"]
    assert "the estimated difference between teams is 0, which 10 teams cannot prove" in text
    assert "chance" not in text


def test_a_level_of_a_logit_is_read_in_points():
    frame = people(20, 20).assign(role=lambda f: np.resize(["a", "b"], len(f)))
    frame["y"] = ((frame["y"] + (frame["role"] == "b")) > 0.5) * 1.0
    result = multilevel("y ~ role", frame, family="logit")
    raw = frame.groupby("role")["y"].mean().diff().iloc[-1]
    points = int(result.tidy()["reading"][1].split()[0])
    assert abs(points - 100 * raw) < 2  # the model's share of a level is near the observed one


def test_can_be_pooled():
    result = fitted("army_slope")
    part = result.pooling()
    np.testing.assert_array_equal(part.df_complete, result.tidy()["df"])
    np.testing.assert_allclose(np.sqrt(np.diag(part.covariance)), result.tidy()["std_error"], rtol=1e-12)  # same
    assert part.tested == ("HRS", "LEAD") and part.n == 7382


# Doubt is printed


def test_few_teams_are_a_finding():
    assert "few_teams" in names_of(multilevel("y ~ x", people(6, 20)))
    assert not names_of(multilevel("y ~ x", people(30, 20)))


def test_teams_of_one_are_allowed_and_most_of_them_a_finding():
    frame = people(30, 8)
    some = pd.concat([frame, people(5, 1, seed=9).assign(unit=[f"alone {i}" for i in range(5)])])
    assert "teams_of_one" not in names_of(multilevel("y ~ x", some))
    many = pd.concat([frame, people(40, 1, seed=9).assign(unit=[f"alone {i}" for i in range(40)])])
    assert "teams_of_one" in names_of(multilevel("y ~ x", many))


def test_teams_smaller_than_the_number_of_slopes_are_allowed():
    frame = pd.concat([people(20, 10, slope=0.5), people(8, 1, seed=9).assign(unit=[f"alone {i}" for i in range(8)])])
    assert np.isfinite(multilevel("y ~ x", frame, slopes=["x"]).tidy()["std_error"]).all()


def test_unequal_teams_are_a_finding():
    frame = people(20, 10)
    large = people(1, 300, seed=5).assign(unit="large")
    assert "unequal_teams" in names_of(multilevel("y ~ x", pd.concat([frame, large])))


def test_rows_without_a_team_are_left_out_and_counted():
    frame = people(20, 10)
    frame.loc[:39, "unit"] = None
    result = multilevel("y ~ x", frame)
    assert result.glance()["n_dropped"] == 40 and "many_dropped" in names_of(result)


# Refusals


@pytest.mark.parametrize(
    ("change", "formula", "options", "error", "said"),
    [
        ({}, "y ~ x", {"group": "team"}, DataError, 'no column "team".*Name the teams: group='),
        ({"unit": "one"}, "y ~ x", {}, DataError, "one team only"),
        ({"unit": range(180)}, "y ~ x", {}, DataError, "Every team of \"unit\" has one respondent"),
        ({"unit": np.linspace(0.5, 7.7, 180)}, "y ~ x", {}, DataError, "numbers with decimals"),
        ({"y": 3.0}, "y ~ x", {}, DataError, "same value in all complete rows"),
        ({"y": "text"}, "y ~ x", {}, DataError, "text with 1 level"),
        ({}, "y ~ x", {"slopes": ["z"]}, StudyError, 'slopes names "z"'),
        ({}, "y ~ x", {"slopes": "x"}, StudyError, r'slopes=\["x"\]'),
        ({}, "y ~ x", {"slopes": ["x", "x"]}, StudyError, "twice"),
        ({}, "y ~ x", {"method": "reml"}, StudyError, "REML"),
        ({}, "y ~ x", {"family": "probit"}, StudyError, "family"),
        ({}, "y ~ x", {"conf_level": 95}, StudyError, "conf_level"),
        ({}, "y ~ 0 + x", {}, StudyError, "needs the constant"),
        ({}, "y ~ x * C(unit)", {}, StudyError, "cannot be a term too"),
        ({}, "y ~ x", {"family": "logit"}, DataError, "0 and 1"),
        ({}, "y ~ x", {"family": "logit", "slopes": ["x"]}, StudyError, "random intercept only"),
        ({}, "y ~ x", {"min_n": 3}, DisclosureError, "raised"),
        ({"z": lambda f: 2 * f["x"]}, "y ~ x + z", {}, EstimationError, "determined by"),
        ({"y": lambda f: 2 * f["x"] + 1}, "y ~ x", {}, DataError, "give the outcome exactly"),
        ({"y": lambda f: f["unit"].str[-2:].astype(float)}, "y ~ x", {}, DataError, "does not differ within groups"),
        ({"y": lambda f: (f["x"] > 0) * 1.0}, "y ~ x", {"family": "logit"}, EstimationError, "separated"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_error(change, formula, options, error, said):
    with pytest.raises(error, match=said):
        multilevel(formula, people(12, 15).assign(**change), **options)


def test_a_driver_of_whole_teams_has_no_slope_that_differs_between_them():
    frame = people(12, 15).assign(climate=lambda f: f["unit"].str[-2:].astype(float))
    with pytest.raises(DataError, match="does not vary within any team"):
        multilevel("y ~ x + climate", frame, slopes=["climate"])
    assert multilevel("y ~ x + climate", frame).tidy()["df"][2] < 12


def test_fewer_respondents_than_parameters_are_refused():
    with pytest.raises(SmstudyError):
        multilevel(
            "y ~ x * z * v * w", people(3, 5).assign(**{n: np.random.default_rng(1).normal(size=15) for n in "zvw"})
        )


def test_teams_that_tell_a_logit_without_error_are_refused():
    frame = people(20, 10).assign(y=lambda f: f["unit"].str[-1].astype(int) % 2 * 1.0)
    with pytest.raises(EstimationError):
        multilevel("y ~ x", frame, family="logit")


# Privacy


def test_small_teams_count_but_are_never_named():
    frame = pd.concat([people(20, 10), people(2, 3, seed=8).assign(unit=np.repeat(["secret A", "secret B"], 3))])
    result = multilevel("y ~ x", frame)
    assert result.glance()["n_groups"] == 22
    for part in (result, result.variances, result.teams):
        assert "secret" not in part.to_text() + json.dumps(part.to_record()) + part.alt_text()
    assert set(result.teams.tidy()["group"]) < set(frame["unit"])
    assert "groups_hidden" in names_of(result.teams)


def test_a_lone_small_team_takes_another_with_it():
    frame = pd.concat([people(20, 10), people(1, 3, seed=8).assign(unit="secret")])
    assert len(multilevel("y ~ x", frame).teams.tidy()) == 19


def test_a_team_of_one_mind_is_not_shown():
    frame = people(20, 10)
    frame.loc[frame["unit"] == "team 03", "y"] = 2.0
    assert "team 03" not in set(multilevel("y ~ x", frame).teams.tidy()["group"])


def answers_told(result):
    """The attack: how many of each team said yes, from what is shown of teams, the constant and the variances."""
    teams, variances = result.teams.shown().set_index("group"), result.variances.tidy()["estimate"]
    level, between = result.tidy()["estimate"][0], variances[0] ** 2
    if "odds_ratio" in result.tidy():
        return teams["n"] * expit(level + teams["estimate"]) + teams["estimate"] / between
    drawn = teams["n"] * between / (teams["n"] * between + variances[1] ** 2)
    return teams["n"] * (level + teams["estimate"] / drawn)


@pytest.mark.parametrize("family", ["linear", "logit"])
def test_how_few_of_a_team_gave_an_answer_does_not_follow(family, monkeypatch):
    rng, sizes = np.random.default_rng(1), np.repeat([9, 25, 60], 8)
    unit = np.repeat([f"team {place:02d}" for place in range(24)], sizes)
    chance = expit(np.repeat(rng.normal(-0.8, 0.7, 24), sizes))
    frame = pd.DataFrame({"unit": unit, "y": (rng.random(len(unit)) < chance) * 1.0})
    result = multilevel("y ~ 1", frame, family=family)
    yes = answers_told(result)
    np.testing.assert_allclose(yes, frame.groupby("unit")["y"].sum()[yes.index], atol=1e-3)  # a maximum searched for
    no = result.teams.tidy().set_index("group")["n"] - yes
    assert len(yes) > 5 and yes.min() > 5 - 1e-3 and no.min() > 5 - 1e-3
    assert "with one of two answers" in result.teams.findings[0].text
    monkeypatch.setattr("smstudy.models.nested.multilevels._people", lambda model: model.teams.sizes[:, None])
    assert (answers_told(multilevel("y ~ 1", frame, family=family)).round() < 5).any()  # the attack works unprotected


def test_a_lone_team_with_few_of_an_answer_takes_another_with_it():
    frame = people(6, 40).assign(y=lambda f: (np.arange(len(f)) % 3 == 0) * 1.0)
    frame.loc[frame.index[frame["unit"] == "team 03"][2:], "y"] = 0.0
    assert len(multilevel("y ~ x", frame, family="logit").teams.tidy()) == 4


def test_a_raised_threshold_hides_more_teams():
    frame = pd.concat([people(10, 20), people(10, 8, seed=8).assign(unit=lambda f: "small " + f["unit"])])
    assert len(multilevel("y ~ x", frame, min_n=9).teams.tidy()) == 10


def test_a_survey_hides_what_all_its_tables_hide():
    frame = pd.concat([people(10, 20), people(2, 7, seed=8).assign(unit=np.repeat(["near A", "near B"], 7))])
    variables = [Variable(name="unit", column="unit", title="Department", kind="unit")]
    variables += [Variable(name=name, column=name, title=name.upper(), kind="number") for name in ("y", "x")]
    survey = Survey(
        answers=frame.reset_index(drop=True),
        codebook=Codebook(title="Test", variables=tuple(variables)),
        missing=pd.DataFrame(columns=["row", "variable", "reason"]),
        privacy=Privacy(min_n=5).closing([("unit", "near A")]),
    )
    result = multilevel("y ~ x", survey)
    assert "near A" not in set(result.teams.tidy()["group"])
    assert result.title == "What goes with Y, in teams" and "(Department)" in result.teams.title
