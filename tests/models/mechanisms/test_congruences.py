"""Laws of `smstudy.models.mechanisms.congruences`: R's numbers, verdicts on planted surfaces, hidden people."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, StudyError
from smstudy.models.mechanisms.congruences import CANNOT_TELL, CONGRUENCE, NOT_SHOWN, congruence
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey

FOLDER = Path(__file__).parents[2] / "reference"
EXPECTED = json.loads((FOLDER / "congruence.json").read_text())
PEOPLE = pd.read_csv(FOLDER / "congruence.csv")
ASKED = {"outcome": "trust", "first": "say", "second": "do", "answers": (1, 5)}
LINES = ["a1", "a2", "a3", "a4", "a5"]
CLOSED = {"rtol": 1e-8, "atol": 1e-10}  # closed forms, against R with 15 printed digits
DELTA = {"rtol": 1e-6, "atol": 1e-9}  # car differentiates symbolically, ratios of small numbers cancel


def planted(surface, n=300, seed=1, noise=1.0):
    """Answers from 1 to 5 that go together, and an outcome by a surface of both less 3."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0, 0.7, n)
    say, do = (np.clip(np.round(3 + base + rng.normal(0, 1, n)), 1, 5) for _ in range(2))
    return pd.DataFrame({"say": say, "do": do, "trust": surface(say - 3, do - 3) + rng.normal(0, noise, n)})


def agreeing(x, y):
    return -0.3 * (x - y) ** 2


def names_of(result):
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"covariance": "HC3"}, "HC3"),
        ({"covariance": "classical"}, "classical"),
        ({"cluster": "team", "covariance": "CR1"}, "CR1"),
        ({"cluster": "team", "covariance": "CR2"}, "CR2"),
    ],
)
def test_surface_and_axes_agree_with_the_delta_method_of_r(options, name):
    found = congruence(PEOPLE, **ASKED, **options).tidy()
    np.testing.assert_allclose(found[["estimate", "std_error"]], EXPECTED[name], **DELTA)


def test_tests_and_their_correction_agree_with_r():
    rows = congruence(PEOPLE, **ASKED).tidy().iloc[:5]
    np.testing.assert_allclose(rows["p_value"], EXPECTED["p"], **CLOSED)
    np.testing.assert_allclose(rows["p_adjusted"], EXPECTED["holm"], **CLOSED)
    assert rows["statistic"][3] ** 2 == pytest.approx(EXPECTED["a4_f"], rel=1e-8)  # car::linearHypothesis


def test_degrees_of_freedom_in_clusters_agree_with_clubsandwich():
    rows = congruence(PEOPLE, **ASKED, cluster="team").tidy().iloc[:5]
    np.testing.assert_allclose(rows["df"], EXPECTED["CR2_tests"]["df"], rtol=1e-6)  # as small_clusters.py is tested
    np.testing.assert_allclose(rows["p_value"], EXPECTED["CR2_tests"]["p"], rtol=1e-6, atol=1e-12)  # from these df


def test_the_fit_is_that_of_r():
    assert congruence(PEOPLE, **ASKED).glance()["r_squared"] == pytest.approx(EXPECTED["r2"], rel=1e-10)  # closed form


def test_swapping_both_keeps_the_verdict_and_turns_a3_and_a5():
    one = congruence(PEOPLE, **ASKED).tidy().set_index("term")["estimate"]
    two = congruence(PEOPLE, **ASKED | {"first": "do", "second": "say"}).tidy().set_index("term")["estimate"]
    np.testing.assert_allclose(two[LINES], one[LINES] * [1, 1, -1, 1, -1], rtol=1e-9)  # the same least squares
    assert two["x0"] == pytest.approx(one["y0"], rel=1e-9)  # the same point


def test_the_midpoint_moves_slopes_but_not_curvatures():
    one = congruence(PEOPLE, **ASKED).tidy().set_index("term")["estimate"]
    two = congruence(PEOPLE, **ASKED, midpoint=2).tidy().set_index("term")["estimate"]
    np.testing.assert_allclose(two[["a2", "a4", "a5"]], one[["a2", "a4", "a5"]], rtol=1e-8)  # shifted columns
    assert two["a1"] != pytest.approx(one["a1"])


def test_planted_agreement_is_found_and_strict():
    result = congruence(planted(agreeing, 600), **ASKED)
    assert result.verdict == CONGRUENCE and "strict_congruence" in names_of(result)
    assert (result.checklist.tidy()["verdict"] == "met").all() and result.ridge is not None
    reading = result.tidy().set_index("term").loc["a4", "reading"]
    assert reading == "lower the more both differ (large)"


def test_agreement_at_a_rising_level_is_found_and_not_strict():
    result = congruence(planted(lambda x, y: 0.5 * (x + y) + agreeing(x, y), 600), **ASKED)
    assert result.verdict == CONGRUENCE and "strict_congruence" not in names_of(result)


def test_a_plane_from_many_is_no_congruence_and_from_few_cannot_be_told():
    many = congruence(planted(lambda x, y: 0.4 * x + 0.4 * y, 5000), **ASKED)
    few = congruence(planted(lambda x, y: 0.1 * (x + y) - 0.08 * (x - y) ** 2, 60, seed=5), **ASKED)
    assert (many.verdict, few.verdict) == (NOT_SHOWN, CANNOT_TELL)


def test_a_shifted_ridge_contradicts_congruence():
    result = congruence(planted(lambda x, y: -0.3 * (x - y - 1) ** 2, 600), **ASKED)
    checks = result.checklist.tidy().set_index("check")["verdict"]
    assert result.verdict == NOT_SHOWN and (checks == "contradicted").sum() >= 2


# What is no congruence may be called one in at most 5 % of samples; 30 samples have a Monte Carlo error of .04.
@pytest.mark.parametrize(
    "surface",
    [
        lambda x, y: 0 * x,
        lambda x, y: 0.4 * x + 0.4 * y,
        lambda x, y: 0.4 * x - 0.3 * y,
        lambda x, y: -0.3 * x**2,
        lambda x, y: -0.25 * (x - y - 1.5) ** 2,
        lambda x, y: -0.2 * (x**2 + y**2) - 0.3 * x * y,
        lambda x, y: -0.3 * (x**2 + y**2),
        lambda x, y: 0.3 * x * y,
    ],
    ids=["nothing", "both raise", "one raises", "one bends", "shifted", "ridge across", "dome", "product"],
)
@pytest.mark.parametrize("n", [150, 500])
def test_no_congruence_is_called_congruence_in_at_most_5_of_100_samples(surface, n):
    said = [congruence(planted(surface, n, seed), **ASKED).verdict == CONGRUENCE for seed in range(30)]
    assert np.mean(said) <= 0.05 + 0.04  # one Monte Carlo error of 30 samples


def test_planted_agreement_is_called_so_in_most_samples():
    said = [congruence(planted(agreeing, 400, seed), **ASKED).verdict == CONGRUENCE for seed in range(40)]
    assert np.mean(said) >= 0.7  # 27 of 30 when it was written


def test_planted_agreement_is_seldom_denied():
    said = [congruence(planted(agreeing, 150, seed), **ASKED).verdict == NOT_SHOWN for seed in range(30)]
    assert np.mean(said) <= 0.17  # more than 5 of 30 at a rate of 5 % have a chance of .3 %


def test_a_wide_interval_around_the_value_is_open_and_not_met():
    checks = congruence(planted(lambda x, y: -0.3 * (x**2 + y**2), 300), **ASKED).checklist.tidy()
    slope = checks[checks["check"].str.contains("p11")].iloc[0]
    assert slope["verdict"] != "met"


def test_resamples_give_intervals_near_those_of_the_delta_method():
    delta, drawn = (congruence(planted(agreeing, 600), **ASKED, n_boot=n).tidy().set_index("term") for n in (0, 400))
    widths = [each.loc["p11", "conf_high"] - each.loc["p11", "conf_low"] for each in (delta, drawn)]
    assert widths[0] == pytest.approx(widths[1], rel=0.25)  # Monte Carlo and small sample
    again = congruence(planted(agreeing, 600), **ASKED, n_boot=400).tidy()
    pd.testing.assert_frame_equal(drawn.reset_index(), again, check_like=True)


def test_controls_are_held_constant():
    frame = PEOPLE.assign(trust=lambda table: table["trust"] + 2 * table["tenure"])
    plain = congruence(frame, **ASKED, controls=["tenure"]).tidy()
    np.testing.assert_allclose(plain["estimate"][:5],
                               congruence(PEOPLE, **ASKED, controls=["tenure"]).tidy()["estimate"][:5],
                               rtol=1e-8, atol=1e-10)  # fmt: skip


def test_weights_of_regress_are_taken():
    frame = PEOPLE.assign(w=np.random.default_rng(1).uniform(0.5, 2, len(PEOPLE)))
    assert "linearization" in congruence(frame, **ASKED, weights="w").glance()["covariance"]


def test_respondents_on_one_side_only_tell_nothing_about_the_other():
    frame = planted(agreeing, 400)
    frame = frame[frame["say"] >= frame["do"]]
    result = congruence(frame, **ASKED)
    assert result.verdict != CONGRUENCE and "one_sided" in names_of(result)


def book(second_answers):
    agree = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
    other = [{"value": code, "label": f"answer {code}"} for code in range(1, second_answers + 1)]
    return Codebook.model_validate({"title": "Test", "variables": [
        {"name": "say", "title": "What we say", "kind": "item", "categories": agree},
        {"name": "do", "title": "What we do", "kind": "item", "categories": other},
        {"name": "trust", "title": "Trust", "kind": "number"},
    ]})  # fmt: skip


def survey(second_answers=5):
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=planted(agreeing), codebook=book(second_answers), missing=nothing, wave="1")


def test_a_survey_brings_the_answer_scale_and_words():
    result = congruence(survey(), "trust", "say", "do")
    plain = congruence(planted(agreeing), **ASKED)
    np.testing.assert_allclose(result.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-12)  # the same equations
    assert result.title == "Agreement of what we say and what we do: Trust"


def test_different_answer_scales_are_refused():
    with pytest.raises(DataError, match="different answer scales"):
        congruence(survey(7), "trust", "say", "do")
    with pytest.raises(DataError, match="different answer scales"):
        congruence(survey(7), "trust", "say", "do", answers=(1, 5))


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        ({}, {"answers": None}, DataError, "are not known"),
        ({}, {"answers": (1, 4)}, DataError, "values outside 1 to 4"),
        ({}, {"answers": (5, 1)}, StudyError, "^answers is no range"),
        ({}, {"midpoint": 9}, StudyError, "outside the answers"),
        ({}, {"second": "say"}, StudyError, "named twice"),
        ({}, {"second": "don"}, DataError, 'Did you mean "do"'),
        ({}, {"controls": "age"}, StudyError, "as a list"),
        ({}, {"covariance": "wild"}, StudyError, "wild"),
        ({}, {"n_boot": 5}, StudyError, "n_boot"),
        ({"say": "often"}, {}, DataError, "no number"),
        ({"trust": 3.0}, {}, DataError, "same value"),
        ({"trust": [f"w{i}" for i in range(300)]}, {}, DataError, "A surface needs a number"),
        ({"trust": ["no", "yes"] * 150}, {}, DataError, "A surface needs a number"),
        ({"do": 2.0}, {}, DataError, '"do" has the same value'),
        ({"do": lambda table: table["say"]}, {}, DataError, "never differ"),
    ],
)
def test_bad_input_gets_one_clear_error(change, options, error, says):
    with pytest.raises(error, match=says):
        congruence(planted(agreeing).assign(**change), **ASKED | options)


def test_too_few_respondents_are_refused():
    with pytest.raises((DataError, DisclosureError)):
        congruence(planted(agreeing, 6), **ASKED)


def test_the_picture_is_drawn_only_where_enough_respondents_are():
    frame = planted(agreeing, 300)
    crowd = congruence(frame, **ASKED).grid["fitted"].notna()
    strict = congruence(frame, **ASKED, min_n=20).grid["fitted"].notna()
    assert strict.sum() < crowd.sum() < len(crowd) and not (strict & ~crowd).any()
    ax = congruence(frame, **ASKED).plot()
    assert ax.get_xlim() == (1, 5) and ax.get_title(loc="left")
    plt.close(ax.get_figure())


def test_a_number_of_the_surface_can_be_tested_for_equivalence():
    found = sm.equivalence(congruence(planted(agreeing, 1500), **ASKED), "a3", bounds=0.3).tidy()
    assert found["verdict"][0] == "equivalent"


def test_pooling_equal_data_gives_the_same_errors():
    result = congruence(PEOPLE, **ASKED)
    found = result.pooling()
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), result.tidy()["std_error"], rtol=1e-10)  # a root
