"""Laws of `smstudy.models.mechanisms.mediations`: published effects, and words that fit one wave."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.models.mechanisms.mediation_models import MODELS
from smstudy.models.mechanisms.mediations import mediate
from smstudy.models.regressions.regression import regress

HERE = Path(__file__).parents[2] / "reference"
R = json.loads((HERE / "mediation.json").read_text(encoding="utf-8"))
CLOSE = {"rtol": 1e-8, "atol": 1e-10}  # closed forms by other orders of computing
N = 200
ASKED = {"outcome": "y", "driver": "x", "mediators": ["m"], "n_boot": 200}


@pytest.fixture(scope="module")
def jobs():
    return pd.read_csv(HERE / "mediation_jobs.csv")


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(N, 3)), columns=["x", "w", "c"])
    frame["role"] = rng.choice(["clerk", "expert", "head"], N)
    frame["half"] = rng.integers(0, 2, N)
    frame["team"] = np.arange(N) % 20
    frame["m"] = 0.5 * frame["x"] + 0.3 * frame["x"] * frame["w"] + rng.normal(size=N)
    frame["k"] = 0.4 * frame["x"] + 0.3 * frame["m"] + rng.normal(size=N)
    frame["y"] = 0.4 * frame["m"] + 0.3 * frame["k"] + 0.2 * frame["x"] + rng.normal(size=N)
    return frame


def estimates(found):
    return found.tidy()["estimate"].to_numpy()


def test_the_published_example_of_hayes_comes_out():
    media = pd.read_csv(HERE / "mediation_media.csv")
    found = mediate(media, outcome="reaction", driver="cond", mediators=["pmi"], n_boot=5000)
    total, direct, indirect = found.tidy().to_dict("records")
    assert [round(row["estimate"], 4) for row in (total, direct, indirect)] == [0.4957, 0.2544, 0.2413]
    assert indirect["conf_low"] == pytest.approx(0.007, abs=0.02)  # 5,000 resamples here and in the book
    assert indirect["conf_high"] == pytest.approx(0.526, abs=0.03)  # as above


def test_the_published_effects_of_the_jobs_study_come_out(jobs):
    asked = {"outcome": "depress2", "driver": "treat", "mediators": ["job_seek"], "n_boot": 1000}
    found = mediate(jobs, **asked, controls=["econ_hard", "sex", "age"])
    np.testing.assert_allclose(estimates(found), R["cases"]["simple"]["estimate"], **CLOSE)
    low, high = found.tidy().loc[2, ["conf_low", "conf_high"]]
    assert low == pytest.approx(-0.040, abs=0.005) and high == pytest.approx(
        0.01, abs=0.005
    )  # R mediation, 1,000 draws
    assert found.confounding.glance()["rho"] == pytest.approx(R["sensitivity"]["rho"])
    assert found.confounding.glance()["explained_unexplained"] == pytest.approx(R["sensitivity"]["r2_residual"])
    assert found.confounding.glance()["explained_total"] == pytest.approx(R["sensitivity"]["r2_total"])
    more = mediate(jobs, **asked, controls=["depress1", "econ_hard", "sex", "age"])
    assert round(more.confounding.glance()["rho"], 1) == -0.2  # medsens, which searches in steps of 0.1


def test_indirect_effect_and_error_are_near_those_of_lavaan(jobs):
    asked = {"outcome": "depress2", "driver": "treat", "mediators": ["job_seek"], "n_boot": 2000}
    row = mediate(jobs, **asked, controls=["econ_hard", "sex", "age"]).tidy().iloc[2]
    assert row["estimate"] == pytest.approx(R["lavaan"]["indirect"], rel=1e-6)  # lavaan iterates
    assert row["std_error"] == pytest.approx(R["lavaan"]["std_error"], rel=0.1)  # 2,000 resamples against a formula


@pytest.mark.parametrize("number", [number for number in MODELS if MODELS[number]])
def test_conditional_effects_agree_with_r(number):
    protest = pd.read_csv(HERE / "mediation_protest.csv")
    asked = {"outcome": "liking", "driver": "prot2", "mediators": ["respappr"], "moderator": "sexism"}
    found = mediate(protest, **asked, model=number, n_boot=100)
    np.testing.assert_allclose(estimates(found), R["cases"][str(number)]["estimate"], **CLOSE)


def test_serial_mediators_agree_with_r_in_their_order():
    media = pd.read_csv(HERE / "mediation_media.csv")
    found = mediate(media, outcome="reaction", driver="cond", mediators=["importance", "pmi"], model=6, n_boot=100)
    np.testing.assert_allclose(estimates(found), R["cases"]["serial"]["estimate"], **CLOSE)
    assert found.tidy()["term"].tolist()[2:5] == ["importance", "pmi", "importance → pmi"]


def test_paths_are_those_of_regress(frame):
    found = mediate(frame, **ASKED, controls=["C(role)", "c"]).paths.tidy().set_index(["outcome", "term"])
    for formula in ("m ~ x + C(role) + c", "y ~ x + m + C(role) + c"):
        fit = regress(formula, frame).tidy().set_index("term").drop("(intercept)")
        own = found.loc[formula[0]].loc[fit.index]
        for column in ("estimate", "std_error", "p_value", "conf_low"):
            np.testing.assert_allclose(own[column], fit[column], **CLOSE)


def test_clusters_are_drawn_and_errors_of_paths_are_robust_to_them(frame):
    found = mediate(frame, **ASKED, cluster="team")
    fit = regress("m ~ x", frame, cluster="team").tidy()
    assert found.paths.tidy()["std_error"][0] == pytest.approx(fit["std_error"][1])
    assert found.glance()["n_groups"] == 20
    assert "few_clusters" in {finding.name for finding in found.findings}


def test_the_same_seed_gives_the_same_interval(frame):
    one, other, third = (mediate(frame, **ASKED, seed=seed).tidy() for seed in (1, 1, 2))
    assert one.equals(other) and not one.equals(third)


def test_bca_moves_the_ends_not_the_estimate(frame):
    percentile, bca = (mediate(frame, **ASKED, interval=kind).tidy() for kind in ("percentile", "bca"))
    assert (percentile["estimate"] == bca["estimate"]).all()
    assert (percentile["conf_low"] != bca["conf_low"]).all() and bca["p_value"][2:].isna().all()
    for place, formula in ((0, "y ~ x"), (1, "y ~ x + m")):
        assert bca["p_value"][place] == pytest.approx(regress(formula, frame).tidy()["p_value"][1], rel=1e-8)  # same


def test_a_driver_in_words_equals_one_of_0_and_1(frame):
    asked = {**ASKED, "driver": "half"}
    words = frame.assign(half=frame["half"].map({0: "no", 1: "yes"}))
    np.testing.assert_allclose(estimates(mediate(frame, **asked)), estimates(mediate(words, **asked)), **CLOSE)


def test_standardized_effects_are_per_deviation_or_step(frame):
    found = mediate(frame, **ASKED).tidy()
    np.testing.assert_allclose(found["std_estimate"], found["estimate"] * frame["x"].std() / frame["y"].std(), **CLOSE)
    found = mediate(frame, **{**ASKED, "driver": "half"}).tidy()
    np.testing.assert_allclose(found["std_estimate"], found["estimate"] / frame["y"].std(), **CLOSE)


def test_the_share_of_the_total_is_given_only_where_it_has_a_sense(frame):
    found = mediate(frame, **ASKED).tidy()
    assert found["mediated_share"][2] == pytest.approx(found["estimate"][2] / found["estimate"][0])
    opposed = frame.assign(y=0.8 * frame["m"] - frame["x"] + 0.1 * frame["c"])
    assert mediate(opposed, **ASKED).tidy()["mediated_share"].isna().all()
    nothing = frame.assign(y=frame["c"])
    assert mediate(nothing, **ASKED).tidy()["mediated_share"].isna().all()


def test_planted_moderated_mediation_is_found(frame):
    found = mediate(frame, **{**ASKED, "n_boot": 500}, moderator="w", model=7).tidy()
    row = found[found["effect"] == "index"].iloc[0]
    assert row["conf_low"] > 0 and row["reading"] == "indirect effect is stronger where w is high"
    steps = found.loc[found["effect"] == "indirect", ["moderator_value", "estimate"]].to_numpy()
    slope = (steps[2, 1] - steps[0, 1]) / (steps[2, 0] - steps[0, 0])
    assert row["estimate"] == pytest.approx(slope)


def test_words_stay_with_what_one_wave_can_tell(frame):
    found = mediate(frame, **{**ASKED, "mediators": ["m", "k"]})
    assert found.findings[0].name == "one_wave" and found.findings[0].text.startswith("If driver")
    assert not any(word in found.to_text() for word in ("causes", "leads to", "because of", "explains"))
    assert "in line with" in found.to_text()


def test_the_confounding_curve_is_the_indirect_effect_at_zero_and_crosses_at_rho(frame):
    found = mediate(frame, **ASKED)
    curve = found.confounding.tidy().set_index("rho")
    row = found.tidy().iloc[2]
    assert curve.loc[0.0, "estimate"] == pytest.approx(row["estimate"])
    assert curve.loc[0.0, "conf_low"] == pytest.approx(row["conf_low"])
    rho = found.confounding.glance()["rho"]
    assert np.interp(rho, curve.index, curve["estimate"]) == pytest.approx(
        0, abs=0.01
    )  # straight between steps of 0.05
    assert mediate(frame, **{**ASKED, "mediators": ["m", "k"], "model": 6}).confounding is None
    assert mediate(frame, **ASKED, moderator="w", model=7).confounding is None


def test_mediators_side_by_side_are_tried_one_at_a_time(frame):
    found = mediate(frame, **{**ASKED, "mediators": ["m", "k"]})
    table, effects = found.confounding.tidy(), found.tidy().set_index("term")
    for name, other in (("m", "k"), ("k", "m")):
        own = table[table["term"] == name].set_index("rho")
        assert own.loc[0.0, "estimate"] == pytest.approx(effects.loc[name, "estimate"])
        assert own.loc[0.0, "conf_low"] == pytest.approx(effects.loc[name, "conf_low"])
        rho = partial_correlation(frame, name, "y", ["x", other])
        assert np.interp(rho, own.index, own["estimate"]) == pytest.approx(0, abs=0.01)  # straight between steps
        assert f"{name} {rho:.2f}".replace(" 0.", " .") in found.confounding.note
    assert "conf_level" in found.confounding.glance() and "rho" not in found.confounding.glance()


def partial_correlation(frame, one, other, given):
    fits = [regress(f"{name} ~ {' + '.join(given)}", frame) for name in (one, other)]
    return float(np.corrcoef(*(fit.residuals for fit in fits))[0, 1])


def test_a_planted_confounder_of_one_of_two_mediators_is_undone_at_its_rho():
    rng = np.random.default_rng(5)
    x, u, e, o, d = rng.normal(size=(5, 200_000))
    m, k = 0.5 * x + 0.8 * u + e, 0.4 * x + o
    y = 0.3 * m + 0.5 * k + 0.2 * x + 0.6 * u + d
    frame = pd.DataFrame({"x": x, "m": m, "k": k, "y": y})
    table = mediate(frame, **{**ASKED, "mediators": ["m", "k"], "n_boot": 100}).confounding.tidy()
    rho = 0.48 / np.sqrt((0.64 + 1) * (0.36 + 1))  # of 0.8 u + e and 0.6 u + d
    own = table[table["term"] == "m"]
    assert np.interp(rho, own["rho"], own["estimate"]) == pytest.approx(0.15, abs=0.01)  # steps of rho, and 200,000


def test_words_of_a_weaker_negative_effect_do_not_say_that_it_rises(frame):
    turned = frame.assign(x=-frame["x"])
    turned["m"] = -(0.8 - 0.3 * frame["w"]) * turned["x"] + 0.5 * frame["c"]
    turned["y"] = 0.8 * turned["m"] + np.random.default_rng(1).normal(size=N)
    found = mediate(turned, **{**ASKED, "n_boot": 500}, moderator="w", model=7).tidy()
    steps = found.loc[found["effect"] == "indirect", "estimate"].to_numpy()
    assert (steps < 0).all() and found["estimate"].iloc[-1] > 0  # the case is the one meant
    assert found["reading"].iloc[-1] == "indirect effect is weaker where w is high"


def test_effects_of_two_values_are_read_as_in_a_regression(frame):
    frame = frame.assign(y=0.6 * frame["y"].std() * frame["half"] + frame["y"])
    found = mediate(frame, **{**ASKED, "driver": "half"}).tidy()
    assert found["reading"][0] == regress("y ~ half", frame).tidy()["reading"][1] == "medium, positive"


def test_explained_variance_is_that_of_each_equation(frame):
    found = mediate(frame, **ASKED, controls=["c"])
    expected = [regress(formula, frame).glance()["r_squared"] for formula in ("m ~ x + c", "y ~ x + m + c")]
    assert found.glance()["r_squared"] == pytest.approx(expected[1], rel=1e-10)  # the same sums
    assert "R²: m {:.2f} and y {:.2f}".format(*expected).replace("0.", ".") in found.paths.note


def test_very_few_respondents_warn_by_a_finding_only(frame, recwarn):
    found = mediate(frame.head(8), **ASKED)
    assert "too_little_data" in {finding.name for finding in found.findings}
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_very_few_clusters_are_a_serious_finding(frame):
    few = mediate(frame.assign(team=np.arange(N) % 8), **ASKED, cluster="team")
    found = {finding.name: finding for finding in few.findings}["few_clusters"]
    assert found.severity == "serious" and "cannot tell" in found.text


def test_missing_answers_are_left_out_of_all_equations_alike(frame):
    holes = frame.copy()
    holes.loc[:19, "m"], holes.loc[20:29, "y"] = np.nan, np.nan
    found = mediate(holes, **ASKED)
    np.testing.assert_allclose(estimates(found), estimates(mediate(frame[30:], **ASKED)), **CLOSE)
    assert found.glance()["n"] == N - 30 and "many_dropped" in {finding.name for finding in found.findings}


BAD = [
    ({"mediators": ["x"]}, StudyError, "two parts"),
    ({"driver": "y"}, StudyError, "two parts"),
    ({"mediators": []}, StudyError, "1 to 6 mediators"),
    ({"mediators": "m"}, StudyError, "list of names"),
    ({"controls": ["m"]}, StudyError, "control and something else"),
    ({"model": 5}, StudyError, "not known"),
    ({"model": 1}, StudyError, "moderate"),
    ({"model": 6}, StudyError, "2 to 4 mediators"),
    ({"model": 7}, StudyError, "needs a moderator"),
    ({"moderator": "w"}, StudyError, "needs the number"),
    ({"model": 4, "moderator": "w"}, StudyError, "has no moderator"),
    ({"model": 7, "moderator": "role"}, DataError, "more than two levels"),
    ({"model": 7, "moderator": "missing"}, DataError, "no column"),
    ({"driver": "nothing"}, DataError, "no column"),
    ({"driver": "role"}, DataError, "more than two levels"),
    ({"mediators": ["same"]}, DataError, "same value"),
    ({"driver": "same"}, DataError, "same value"),
    ({"mediators": ["half"]}, DataError, "two values"),
    ({"outcome": "half"}, DataError, "two values"),
    ({"mediators": ["role"]}, DataError, "is text"),
    ({"mediators": ["copy"]}, EstimationError, "given exactly"),
    ({"mediators": ["m", "again"]}, EstimationError, "determined"),
    ({"interval": "normal"}, StudyError, "not known"),
    ({"n_boot": 10}, StudyError, "resamples"),
    ({"seed": -1}, StudyError, "seed"),
    ({"conf_level": 2}, DataError, "level"),
    ({"cluster": "half"}, DataError, "2 clusters"),
]


@pytest.mark.parametrize(("change", "error", "says"), BAD)
def test_what_cannot_be_answered_is_refused(frame, change, error, says):
    odd = frame.assign(same=1.0, copy=2 * frame["x"] + 1, again=3 * frame["m"])
    with pytest.raises(error, match=says):
        mediate(odd, **{**ASKED, **change})


def test_few_respondents_are_refused(frame):
    with pytest.raises(DisclosureError):
        mediate(frame.head(4), **ASKED)
    with pytest.raises(DisclosureError):
        mediate(frame.assign(half=(np.arange(N) < 3) * 1), **{**ASKED, "driver": "half"})
    with pytest.raises(DataError, match="cannot carry"):
        mediate(frame.head(7), **ASKED, controls=["c", "w", "k", "team"])


def test_pooling_gives_all_effects_with_the_covariance_of_the_resamples(frame):
    found = mediate(frame, **{**ASKED, "mediators": ["m", "k"]})
    pooled = found.pooling()
    np.testing.assert_allclose(np.sqrt(np.diag(pooled.covariance)), found.tidy()["std_error"], **CLOSE)
    assert len(pooled.keys.drop_duplicates()) == len(pooled.estimates) and "symmetric" in pooled.note


@pytest.mark.parametrize("change", [{}, {"mediators": ["m", "k"]}, {"mediators": ["m", "k", "c"], "model": 6},
                                    {"moderator": "half", "model": 59}])  # fmt: skip
def test_pictures_are_drawn_and_told(frame, change):
    found = mediate(frame, **{**ASKED, **change})
    for result in (found, found.paths, *([found.confounding] if found.confounding else [])):
        axes = result.plot()
        assert axes.get_title(loc="left") == result.title
        assert result.title in result.alt_text() and result.to_html()
        plt.close(axes.get_figure())


def test_the_demo_is_answered_in_its_own_words():
    survey = smstudy.open_study("quarterly-pulse").survey("clean")
    asked = {"outcome": "adoption", "driver": "leadership", "mediators": ["usefulness"], "controls": ["C(unit)"]}
    found = smstudy.mediate(survey, **asked, n_boot=500)
    assert "Leadership support" in found.title and "Department" in found.note
    assert found.drawn()["term"].tolist() == ["total", "direct", "indirect: Usefulness"]
