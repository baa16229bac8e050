"""Laws of `smstudy.models.planning.precision`, R's numbers, refusals, and what departments of the demo can show."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smstudy as sm
from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.models.planning.planned_designs import DESIGNS, error_of_change, settings_of
from smstudy.models.planning.precision import power
from smstudy.privacy import Privacy
from smstudy.vocabulary import GLANCE, TIDY

REFERENCE = json.loads((Path(__file__).parents[2] / "reference" / "power.json").read_text(encoding="utf-8"))
CLOSE = {"abs": 1e-8}  # noncentral distributions of two libraries
EXAMPLES = {
    "means": {"smallest": 0.5},
    "change": {"smallest": 0.4, "correlation": 0.5, "overlap": 0.7},
    "share": {"smallest": 0.1, "base": 0.4},
    "shares": {"smallest": -0.1, "base": 0.4},
    "correlation": {"smallest": 0.3},
    "coefficient": {"smallest": 0.05, "drivers": 4},
    "r_squared": {"smallest": 0.1, "drivers": 4},
    "groups": {"smallest": 0.3, "groups": 4},
    "equivalence": {"smallest": 0.4},
    "logit": {"smallest": 1.6, "share": 0.3},
    "survival": {"smallest": 1.6, "events": 0.5},
    "path": {"smallest": 0.25, "r_squared": 0.3, "correlation": 0.3},
    "pilot": {"smallest": 0.4, "people": 20, "change_sd": 0.1, "draws": 500},
    "ordinal": {"smallest": 2.0, "answers": (0.1, 0.2, 0.4, 0.2, 0.1), "draws": 500},
    "mediation": {"smallest": 0.12, "draws": 500},
    "interaction": {"smallest": 0.25, "reliability": 0.8, "draws": 500},
    "multilevel": {"smallest": 0.25, "team_size": 8, "icc": 0.1, "slope_sd": 0.1, "draws": 500},
}
TEAM = {"smallest": 0.4, "sd": 0.8, "reliability": 0.75, "population": 10}


@pytest.fixture(scope="module")
def run():
    return sm.open_study("quarterly-pulse")


@pytest.fixture(scope="module")
def survey(run):
    return run.survey("clean")


@pytest.fixture(scope="module")
def departments(run, survey):
    return power("change", survey, unit="unit", score="adoption", smallest=0.4, head_counts=run.frame)


def names_of(result):
    return {finding.name for finding in result.findings}


# Agreement with R


def test_agrees_with_r_at_a_given_sample():
    for case in REFERENCE["means"]:
        found = power("means", n=case["n"], smallest=case["smallest"]).glance()["power"]
        assert found == pytest.approx(case["power"], **CLOSE)
    for case in REFERENCE["paired"]:
        told = {"correlation": case["correlation"], "overlap": 1}
        found = power("change", n=case["n"], smallest=case["smallest"], **told).glance()["power"]
        assert found == pytest.approx(case["power"], **CLOSE)
    for case in REFERENCE["shares"]:
        found = power("shares", n=case["n"], base=case["base"], smallest=case["smallest"]).glance()["power"]
        assert found == pytest.approx(case["power"], **CLOSE)
    for case in REFERENCE["groups"]:
        found = power("groups", n=case["n"], groups=case["groups"], smallest=case["smallest"]).glance()["power"]
        assert found == pytest.approx(case["power"], **CLOSE)


@pytest.mark.parametrize("name", ["coefficient", "r_squared", "share"])
def test_agrees_with_the_formulas_in_r(name):
    case = dict(REFERENCE[name])
    expected = case.pop("power")
    assert power(name, **case).glance()["power"] == pytest.approx(expected, **CLOSE)


def test_textbook_samples_come_out():
    assert power("means", smallest=0.5, power=0.8).glance()["n_planned"] == 64  # Cohen (1988), table 2.4.1
    assert power("groups", groups=4, smallest=0.25, power=0.8).glance()["n_planned"] == 45  # table 8.4.4
    assert power("correlation", smallest=0.3, power=0.8).glance()["n_planned"] == 84  # table 3.4.1


# Laws


def test_every_design_has_an_example():
    assert set(EXAMPLES) == set(DESIGNS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_sample_is_the_smallest_that_has_the_chance(name):
    found = power(name, power=0.8, **EXAMPLES[name]).glance()
    less = power(name, n=found["n_planned"] - 1, **EXAMPLES[name]).glance()["power"]
    assert found["power"] >= 0.8 > less


@pytest.mark.parametrize("name", EXAMPLES)
def test_solving_for_the_effect_turns_solving_for_the_chance_round(name):
    told = {**EXAMPLES[name], "base": 0.4} if "base" in EXAMPLES[name] else dict(EXAMPLES[name])
    told.pop("smallest")
    effect = power(name, n=70, power=0.7, **told).glance()["smallest"]
    again = power(name, n=70, smallest=effect, **told).glance()["power"]
    assert again == pytest.approx(0.7, abs=0.02 if DESIGNS[name].simulated else 1e-7)  # steps of the search


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_answer_is_a_point_of_the_curve(name):
    result = power(name, n=40, **EXAMPLES[name])
    row = result.tidy().loc[lambda rows: rows["n_planned"] == 40].iloc[0]
    assert row["power"] == result.glance()["power"]
    assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    axes = result.plot()
    assert len(axes.get_lines()[0].get_xdata()) == len(result.tidy())
    plt.close(axes.get_figure())
    assert "40" in result.reading and result.alt_text().startswith(result.title)


def test_the_curve_runs_over_effects_where_the_effect_was_asked_for():
    result = power("means", n=40, power=0.8)
    assert result.tidy()["smallest"].is_monotonic_increasing and result.tidy()["n_planned"].unique().tolist() == [40]
    axes = result.plot()
    assert axes.get_xlabel() == "Smallest effect"
    plt.close(axes.get_figure())


def test_both_directions_count():
    assert power("logit", n=90, smallest=2, share=0.4).glance()["power"] == pytest.approx(
        power("logit", n=90, smallest=0.5, share=0.4).glance()["power"]
    )


def test_whole_teams_need_more_people():
    alone = power("means", smallest=0.5, power=0.8).glance()["n_planned"]
    teams = power("means", smallest=0.5, power=0.8, team_size=10, icc=0.1).glance()["n_planned"]
    assert teams > 1.9 * alone  # the design effect, and fewer degrees of freedom


@settings(max_examples=25, deadline=None)
@given(st.integers(12, 400), st.floats(0.1, 1.0), st.floats(0.2, 0.8))
def test_counting_the_people_of_a_department_never_costs(people, reliability, smallest):
    n = people // 2
    endless = power("change", n=n, smallest=smallest).glance()["power"]
    counted = power("change", n=n, smallest=smallest, population=people, reliability=reliability).glance()["power"]
    assert counted >= endless - 1e-9  # rounding


def test_exact_scores_of_everybody_show_any_change():
    assert power("change", n=10, smallest=0.01, population=10, reliability=1).glance()["power"] == 1


def test_a_huge_department_is_an_endless_one():
    counted = power("change", n=50, smallest=0.4, population=10_000_000, reliability=0.8).glance()["power"]
    assert counted == pytest.approx(power("change", n=50, smallest=0.4).glance()["power"], abs=1e-5)  # 1/N


def test_a_team_of_ten_can_rarely_show_a_change():
    result = power("change", n=6, **TEAM)
    assert result.reading == (
        "A department of 10 with 6 respondents in each wave can rarely show a change of 0.4: the chance is 18 %."
    )
    assert result.tidy()["n_planned"].max() <= 10


def test_the_plan_of_the_brief_is_computed():
    result = power(
        "change", n=(120, 110), population=(200, 200), sd=0.8, correlation=0.6, reliability=0.8, smallest=0.3
    )
    assert result.glance()["n_planned"] == 230 and "120 and 110" in result.reading
    assert names_of(result) == {"overlap_by_chance"}


def test_a_simulated_chance_comes_with_its_error_and_its_seed():
    result = power("mediation", n=100, smallest=0.1, draws=400, seed=3)
    chance = result.glance()["power"]
    assert result.glance()["power_error"] == pytest.approx(np.sqrt(chance * (1 - chance) / 400))
    assert names_of(result) == {"simulated"} and "power_error" in result.tidy()
    assert power("mediation", n=100, smallest=0.1, draws=400, seed=3).tidy().equals(result.tidy())


def test_findings_warn_where_a_formula_is_weak():
    assert "few_expected" in names_of(power("shares", n=20, base=0.05, smallest=0.1))
    exact = {**TEAM, "reliability": 1}
    assert "exact_scores" in names_of(power("change", n=6, **exact))


def test_the_table_says_what_n_counts():
    assert set(power("change", n=(300, 290), smallest=0.3).tidy()["counted"]) == {"both together"}
    assert set(power("change", n=300, smallest=0.3).tidy()["counted"]) == {"each wave"}
    assert "counted" not in power("correlation", n=50, smallest=0.3).tidy()


def test_people_who_must_answer_twice_count_once():
    told = settings_of("", DESIGNS["change"].options, {"population": 10, "reliability": 0.75})
    error, df = error_of_change((10, 10), told)
    assert df == 9 and error == pytest.approx((2 * (1 / 10 - 0.75 / 10)) ** 0.5)


def test_a_pilot_has_the_chance_that_the_pilot_test_has():
    told = {"people": 15, "change_sd": 0.1, "waves": (1, 1)}
    planned = power("pilot", n=(4, 6), smallest=0.7, **told).glance()["power"]
    rng, found = np.random.default_rng(1), []
    units, treated = [f"u{i}" for i in range(10)], [f"u{i}" for i in range(4)]
    rows = pd.DataFrame([(u, w) for u in units for w in (1, 2) for _ in range(15)], columns=["unit", "wave"])
    for _ in range(100):
        shift = dict(zip(units, 0.1 * rng.standard_normal(10) + 0.7 * np.isin(units, treated), strict=True))
        rows["y"] = rng.standard_normal(len(rows)) + (rows["wave"] == 2) * rows["unit"].map(shift)
        verdict = sm.pilot(rows, "y", unit="unit", wave="wave", treated=treated, since=2).tidy()["verdict"].item()
        found.append(verdict.startswith("effect"))
    assert np.mean(found) == pytest.approx(planned, abs=3 * 0.048)  # three standard errors of a share of 100


def test_few_units_find_nothing_as_pilot_says():
    for n in ((2, 3), (2, 4)):  # fewer than 6 units; 15 ways to choose
        assert power("pilot", n=n, smallest=5, people=50, change_sd=0).glance()["power"] == 0


# Refusals


@pytest.mark.parametrize(
    "name, told, words",
    [
        ("chnage", {"smallest": 0.4, "n": 10}, 'Did you mean "change"'),
        ("diff-in-diff", {"smallest": 0.4, "n": 10}, 'Did you mean "pilot"'),
        ("log rank", {"smallest": 0.4, "n": 10}, 'Did you mean "survival"'),
        ("paths", {"smallest": 0.4, "n": 10}, 'Did you mean "path"'),
        ("pilot", {"smallest": 0.4, "n": 10}, "needs people"),
        ("pilot", {"smallest": 0.4, "units": (3, 5)}, "told by n: n units in the pilot and n others"),
        ("survival", {"smallest": 2, "n": 10, "events": 1.0}, "below 1"),
        ("path", {"smallest": 0.9, "n": 100, "r_squared": 0.5}, "more than there can be"),
        ("shares", {"smallest": -0.3, "n": 40, "base": 0.3}, "between -0.3 and 0.7"),
        (["means"], {"smallest": 0.4, "n": 10}, "no test"),
        ("means", {"smallest": 0.4}, "Give two of smallest, n and power"),
        ("means", {"smallest": 0.4, "n": 10, "power": 0.8}, "Give two of smallest, n and power"),
        ("means", {"smallest": 0, "n": 10}, "no effect"),
        ("logit", {"smallest": 1, "n": 10, "share": 0.5}, "no effect"),
        ("logit", {"smallest": -2, "n": 10, "share": 0.5}, "no ratio"),
        ("means", {"smallest": -0.4, "n": 10}, "below 0"),
        ("means", {"smallest": float("nan"), "n": 10}, "no effect"),
        ("means", {"smallest": 0.4, "n": 1}, "from 2"),
        ("means", {"smallest": 0.4, "n": 10.5}, "whole numbers"),
        ("means", {"smallest": 0.4, "n": 15, "team_size": 10}, "from 20"),
        ("means", {"smallest": 0.4, "n": (10, 20, 30)}, "one n"),
        ("correlation", {"smallest": 0.4, "n": (10, 20)}, "one n"),
        ("means", {"smallest": 0.4, "power": 0.05}, "above alpha"),
        ("means", {"smallest": 0.4, "power": 1}, "below 1"),
        ("means", {"smallest": 0.4, "n": 10, "alpha": 5}, "no level"),
        ("means", {"smallest": 0.4, "n": 10, "sd": -1}, "above 0"),
        ("means", {"smallest": 0.4, "n": 10, "corelation": 0.5}, "no option"),
        ("shares", {"smallest": 0.4, "n": 10}, "needs base"),
        ("shares", {"smallest": 0.6, "n": 10, "base": 0.5}, "more than there can be"),
        ("correlation", {"smallest": 1.2, "n": 10}, "more than there can be"),
        ("change", {**TEAM, "n": 12}, "population"),
        ("change", {"smallest": 0.4, "n": 5, "population": 10}, "doubles its false alarms"),
        ("change", {"smallest": 0.4, "n": 10, "correlation": 1.0, "overlap": 1}, "correlation"),
        ("change", {"smallest": 0.4, "n": 10, "correlation": 0.5}, "Give overlap"),
        ("change", {"smallest": 0.4, "n": 10, "overlap": 1.5}, "up to 1"),
        ("change", {**TEAM, "n": 9, "correlation": 0.9, "overlap": 1}, "above reliability"),
        ("coefficient", {"smallest": 0.1, "n": 6, "drivers": 4}, "from 7"),
        ("ordinal", {"smallest": 2, "n": 50, "answers": (0.5, 0.2)}, "add up to 1"),
        ("mediation", {"smallest": 0.5, "n": 50, "first": 0.4}, "more than there can be"),
        ("mediation", {"power": 0.8, "n": 50, "first": 0}, "no indirect effect"),
        ("multilevel", {"smallest": 0.2, "n": 50}, "needs team_size"),
        ("interaction", {"smallest": 0.2, "n": 100_000}, "20,000"),
        ("means", {"smallest": 0.4, "n": 10, "unit": "unit"}, "Leave the survey out"),
    ],
)
def test_bad_plans_are_refused_in_words(name, told, words):
    with pytest.raises(StudyError, match=words):
        power(name, **told)


@pytest.mark.parametrize("word", ["observed", "estimate", "p_value"])
def test_power_after_the_fact_is_refused_with_the_reason(word):
    with pytest.raises(StudyError, match="restates their p value"):
        power("means", n=20, power=0.8, **{word: 0.3})


def test_a_chance_out_of_reach_is_refused_with_what_there_is():
    with pytest.raises(EstimationError, match="Even if all 10 people answer.*the chance is"):
        power("change", power=0.8, **TEAM)
    with pytest.raises(EstimationError, match="More than 10,000,000"):
        power("means", smallest=1e-5, power=0.8)


# Departments


def test_small_departments_are_hidden_and_large_ones_can_show_more(departments, survey):
    shown = departments.shown()
    hidden = shown[shown["hidden"].astype(bool)]
    assert len(hidden) >= 2 and hidden[["n", "n_frame", "power", "found"]].isna().all().all()
    assert hidden["reading"].isna().all()
    open_rows = shown[~shown["hidden"].astype(bool)]
    assert open_rows["n"].min() >= survey.privacy.min_n
    assert open_rows.set_index("group").loc["Customer Service", "power"] > 0.9
    assert open_rows.set_index("group").loc["Legal", "reading"] == "can rarely show a change of 0.4"


def test_departments_of_other_tables_are_hidden_here_too(departments, survey):
    others = sm.by_group(survey, ["adoption"], "unit").tidy()
    mine = departments.tidy()
    assert set(mine.loc[mine["hidden"], "group"]) == set(others.loc[others["hidden"], "group"])


def test_a_department_has_the_chance_of_its_plan(departments, survey):
    row = departments.tidy().set_index("group").loc["Legal"]
    alpha = sm.cronbach_alpha(survey, "adoption").estimate
    told = {"sd": 0.8, "population": 8, "reliability": alpha}
    near = power("change", n=int(row["n"]), smallest=0.4, **told).glance()["power"]
    assert row["power"] == pytest.approx(near, abs=0.05)  # the spread within departments is 0.75, not 0.8
    same = power("change", n=int(row["n"]), smallest=row["found"] * 0.8 / 0.75, **told).glance()["power"]
    assert same == pytest.approx(0.8, abs=0.01)  # 0.75 is rounded


def test_a_higher_threshold_hides_more(run, survey):
    strict = dataclasses.replace(survey, privacy=Privacy(min_n=20))
    result = power("change", strict, unit="unit", score="adoption", smallest=0.4, head_counts=run.frame)
    assert result.shown().loc[lambda rows: ~rows["hidden"].astype(bool), "n"].min() >= 20


def test_without_head_counts_departments_are_endless_and_show_less(departments, survey):
    endless = power("change", survey, unit="unit", score="adoption", smallest=0.4)
    both = pd.concat([departments.tidy()["power"], endless.tidy()["power"]], axis=1).dropna().to_numpy()
    assert (both[:, 0] > both[:, 1]).all() and "n_frame" not in endless.layout(endless.shown())


def test_a_picture_and_words_of_departments(departments):
    axes = departments.plot()
    plt.close(axes.get_figure())
    assert "Customer Service 96 %" in departments.alt_text() and "Facilities" not in departments.alt_text()


def test_departments_are_refused_in_words(run, survey):
    told = {"unit": "unit", "score": "adoption", "smallest": 0.4}
    for changed, words in (
        ({"smallest": None}, "needs smallest"), ({"unit": ""}, "needs unit"), ({"n": 10}, "come from its departments"),
        ({"smallest": 0.0}, "needs smallest"), ({"population": 10}, "come from its departments"),
        ({"score": "sup_1", "head_counts": run.frame}, "Give reliability"),
    ):  # fmt: skip
        with pytest.raises(StudyError, match=words):
            power("change", survey, **{**told, **changed})
    with pytest.raises(StudyError, match='made for "change"'):
        power("means", survey, **told)
    with pytest.raises(DataError, match="Did you mean"):
        power("change", survey, **{**told, "score": "adoptoin"})
    with pytest.raises(DataError, match="needs a Survey"):
        power("change", survey.answers, **told)
    few = run.frame.assign(headcount=6)
    with pytest.raises(DataError, match="more respondents than people"):
        power("change", survey, head_counts=few, **told)
