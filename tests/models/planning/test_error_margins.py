"""Laws of `smstudy.models.planning.error_margins`, agreement with R and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from smstudy.errors import EstimationError, SmstudyError, StudyError
from smstudy.models.planning.error_margins import KINDS, margin_of_error
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
COMPARISONS = json.loads((FOLDER / "comparisons.json").read_text(encoding="utf-8"))
REFERENCE = json.loads((FOLDER / "power.json").read_text(encoding="utf-8"))
EXAMPLES = {
    "mean": {"sd": 0.8},
    "share": {"base": 0.3},
    "change": {"sd": 0.8, "correlation": 0.6, "overlap": 1},
    "correlation": {"correlation": 0.3},
    "alpha": {"alpha": 0.8, "items": 5},
}


def test_alpha_agrees_with_feldt_in_r():
    case = REFERENCE["alpha"]
    found = margin_of_error("alpha", n=case["n"], alpha=case["alpha"], items=case["items"]).glance()["margin"]
    assert found == pytest.approx((case["conf"][1] - case["conf"][0]) / 2, rel=1e-10)  # closed form


def test_the_sample_for_alpha_is_near_that_of_bonett():
    case = REFERENCE["alpha"]
    found = margin_of_error("alpha", margin=0.05, alpha=case["alpha"], items=case["items"]).glance()["n_planned"]
    assert found == pytest.approx(case["bonett"], rel=0.06)  # Bonett's interval is another one, about as wide


def test_a_mean_has_the_t_interval():
    found = margin_of_error("mean", n=25, sd=2).glance()["margin"]
    assert found == pytest.approx(stats.t.isf(0.025, 24) * 2 / 5)


def test_a_department_of_exact_scores_has_the_margin_of_svymean():
    case = REFERENCE["fpc"]
    told = {"sd": np.std(case["y"], ddof=1), "population": 10, "reliability": 1}
    found = margin_of_error("mean", n=7, **told).glance()["margin"]
    assert found == pytest.approx(stats.t.isf(0.025, 6) * case["std_error"])


def test_usual_samples_come_out():
    assert margin_of_error("share", margin=0.05).glance()["n_planned"] == 381  # 385 less 1.96², as Wilson's interval
    assert margin_of_error("share", margin=0.03).glance()["n_planned"] == 1064


def test_the_margin_of_a_share_is_half_of_prop_test():
    for n, share, margin in COMPARISONS["margins"]:
        found = margin_of_error("share", n=n, base=share).glance()["margin"]
        assert found == pytest.approx(margin, rel=1e-10)  # closed form


def test_the_margin_of_a_rare_answer_reaches_neither_below_nobody_nor_misses_it():
    margin = margin_of_error("share", n=30, base=0.01)
    inverse = stats.norm.isf(0.025) ** 2 / 30
    middle = (0.01 + inverse / 2) / (1 + inverse)
    assert 0 < middle - margin.glance()["margin"] < 0.01 and "Wilson" in margin.note


def test_everybody_in_a_department_who_answers_exactly_leaves_no_margin():
    assert margin_of_error("share", n=50, population=50, reliability=1).glance()["margin"] == pytest.approx(0)


@pytest.mark.parametrize("what", KINDS)
def test_the_sample_is_the_smallest_with_the_margin(what):
    result = margin_of_error(what, margin=0.09, **EXAMPLES[what])
    n = result.glance()["n_planned"]
    assert result.glance()["margin"] <= 0.09 < margin_of_error(what, n=n - 1, **EXAMPLES[what]).glance()["margin"]
    assert result.tidy()["margin"].is_monotonic_decreasing and n in set(result.tidy()["n_planned"])
    assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    plt.close(result.plot().get_figure())
    assert result.alt_text().startswith(result.title)


def test_a_department_is_told_in_words():
    result = margin_of_error("mean", n=6, population=10, reliability=0.75, sd=0.8)
    assert result.reading == "6 respondents of a department of 10 tell a mean to within ± 0.623."


@pytest.mark.parametrize(
    "what, told, words",
    [
        ("meen", {"n": 10}, 'Did you mean "mean"'),
        (3, {"n": 10}, "no margin of error"),
        ("mean", {}, "either n or margin"),
        ("mean", {"n": 10, "margin": 0.1}, "either n or margin"),
        ("mean", {"n": 1}, "from 2"),
        ("mean", {"margin": 0}, "above 0"),
        ("mean", {"margin": "small"}, "above 0"),
        ("mean", {"n": 12, "population": 10, "reliability": 0.8}, "from 2 to 10"),
        ("mean", {"n": 5, "population": 10}, "reliability"),
        ("alpha", {"n": 50, "alpha": 0.8}, "needs items"),
        ("correlation", {"n": 50, "correlation": 1}, "below 1"),
        ("share", {"n": 50, "observed": 0.3}, "no option"),
    ],
)
def test_bad_plans_are_refused_in_words(what, told, words):
    with pytest.raises(StudyError, match=words):
        margin_of_error(what, **told)


def test_a_margin_out_of_reach_and_a_level_that_is_none_are_refused():
    with pytest.raises(EstimationError, match="Even if all 10 people answer"):
        margin_of_error("mean", margin=0.1, population=10, reliability=0.7)
    with pytest.raises(SmstudyError, match="conf_level"):
        margin_of_error("mean", n=10, conf_level=95)


def test_a_share_of_a_department_has_the_variance_of_sampling_without_return():
    plain, department = (margin_of_error("share", n=80, base=0.3, **told).glance()["margin"]
                         for told in ({}, {"population": 200, "reliability": 1.0}))  # fmt: skip
    alike = 80 * 199 / (200 - 80)  # people of an endless population with the variance p (1 - p) (N - n) / (n (N - 1))
    z = stats.norm.isf(0.025)
    wilson = z * np.sqrt(0.21 / alike + (z / 2 / alike) ** 2) / (1 + z**2 / alike)
    assert department == pytest.approx(wilson, rel=1e-12) and department < plain  # rounding


def test_exact_scores_of_a_department_are_named():
    told = {"n": 10, "population": 10}
    assert [each.name for each in margin_of_error("mean", reliability=1.0, **told).findings] == ["exact_scores"]
    assert not margin_of_error("mean", reliability=0.8, **told).findings
