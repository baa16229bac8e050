"""Agreement of `smstudy.inference.power_formulas` with R, its laws, and nominal chances in simulations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from smstudy.inference.finite_samples import change_variance, overlap_df
from smstudy.inference.partial_least_squares import PathStructure, fit_paths
from smstudy.inference.power_formulas import (
    correlation_power,
    design_effect,
    equivalence_power,
    f_power,
    logit_power,
    path_power,
    share_power,
    shares_power,
    survival_power,
    t_power,
)
from smstudy.inference.survival import log_rank
from smstudy.inference.threads import one_thread

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "power.json").read_text(encoding="utf-8"))
CLOSE = {"abs": 1e-8}  # noncentral distributions of two libraries
DRAWS = 20_000
NEAR = {"abs": 0.014}  # 4 simulation errors of a share of 20,000 draws


@pytest.mark.parametrize("case", REFERENCE["means"], ids=str)
def test_two_means_agree_with_power_t_test(case):
    n = case["n"]
    assert t_power(case["smallest"], np.sqrt(2 / n), 2 * n - 2) == pytest.approx(case["power"], **CLOSE)


@pytest.mark.parametrize("case", REFERENCE["paired"], ids=str)
def test_a_change_of_the_same_people_agrees_with_the_paired_power_t_test(case):
    n = (case["n"], case["n"])
    error = np.sqrt(change_variance(n, correlation=case["correlation"], overlap=n[0]))
    assert t_power(case["smallest"], error, overlap_df(n, overlap=n[0])) == pytest.approx(case["power"], **CLOSE)


def test_groups_of_two_sizes_agree_with_welch_in_r():
    case = REFERENCE["welch"]
    n, sd = case["n"], (case["sd"], case["sd"])
    error = np.sqrt(change_variance(n, sd=sd))
    assert t_power(case["smallest"], error, overlap_df(n, sd=sd)) == pytest.approx(case["power"], **CLOSE)


@pytest.mark.parametrize("case", REFERENCE["shares"], ids=str)
def test_two_shares_agree_with_power_prop_test(case):
    found = shares_power(case["base"], case["smallest"], case["n"], case["n"])
    assert found == pytest.approx(case["power"], **CLOSE)


@pytest.mark.parametrize("case", REFERENCE["groups"], ids=str)
def test_several_groups_agree_with_power_anova_test(case):
    found = f_power(case["smallest"] ** 2, case["n"] * case["groups"], case["groups"] - 1)
    assert found == pytest.approx(case["power"], **CLOSE)


def test_regressions_agree_with_the_noncentral_f_of_r():
    one, all_terms = REFERENCE["coefficient"], REFERENCE["r_squared"]
    r2 = all_terms["smallest"]
    assert f_power(one["smallest"], one["n"], 1, one["drivers"] - 1) == pytest.approx(one["power"], **CLOSE)
    assert f_power(r2 / (1 - r2), 90, all_terms["drivers"]) == pytest.approx(all_terms["power"], **CLOSE)


@pytest.mark.parametrize("case", REFERENCE["correlation"], ids=str)
def test_a_correlation_agrees_with_the_integral_in_r(case):
    assert correlation_power(case["smallest"], case["n"]) == pytest.approx(case["power"], **CLOSE)


@pytest.mark.parametrize("case", REFERENCE["equivalence"], ids=str)
def test_equivalence_agrees_with_the_integral_in_r(case):
    found = equivalence_power(case["smallest"], np.sqrt(2 / case["n"]), 2 * case["n"] - 2)
    assert found == pytest.approx(case["power"], **CLOSE)


def test_one_share_and_a_logit_agree_with_their_formulas_in_r():
    share, logit = REFERENCE["share"], REFERENCE["logit"]
    found = share_power(share["base"], share["smallest"], share["n"])
    assert found == pytest.approx(share["power"], **CLOSE)
    found = logit_power(logit["odds_ratio"], logit["n"], logit["share"], logit["overlap"])
    assert found == pytest.approx(logit["power"], **CLOSE)


def test_the_sample_of_hsieh_has_the_chance_wanted():
    case = REFERENCE["logit"]
    found = logit_power(case["odds_ratio"], case["needed"], case["share"])
    assert found == pytest.approx(0.8, abs=1e-4)  # the published formula leaves out the wrong direction


@given(st.floats(0.05, 2), st.integers(3, 200))
def test_chances_grow_with_the_effect_and_the_sample(effect, n):
    smaller = t_power(effect, np.sqrt(2 / n), 2 * n - 2)
    assert smaller <= t_power(effect * 1.2, np.sqrt(2 / n), 2 * n - 2) + 1e-9  # rounding near 1
    assert smaller <= t_power(effect, np.sqrt(2 / (n + 5)), 2 * n + 8) + 1e-9


def test_without_an_effect_the_chance_is_the_level():
    assert t_power(0, 1, 10, alpha=0.03) == pytest.approx(0.03)
    assert correlation_power(0.0, 20) == pytest.approx(0.05)
    assert f_power(0.0, 40, 3) == pytest.approx(0.05)
    assert share_power(0.3, 0.0, 50) == pytest.approx(0.05)
    assert shares_power(0.3, 0.0, 50, 40) == pytest.approx(0.05)
    assert logit_power(1.0, 50, 0.3) == pytest.approx(0.05)


def test_two_groups_are_an_analysis_of_variance():
    assert f_power(0.25**2, 60, 1) == pytest.approx(t_power(0.5, np.sqrt(2 / 30), 58), **CLOSE)


def test_chances_come_in_the_shape_of_the_samples():
    n = np.array([10, 20, 40])
    assert correlation_power(0.3, n).shape == equivalence_power(0.5, np.sqrt(2 / n), 2 * n - 2).shape == (3,)
    assert correlation_power(0.3, n)[1] == pytest.approx(float(correlation_power(0.3, 20)), rel=1e-12)  # rounding


def test_teams_of_one_have_no_design_effect():
    assert design_effect(1, 0.3) == 1 and design_effect(20, 0.0) == 1


# The chances in simulated studies


def test_the_chance_of_a_correlation_is_what_studies_find():
    rng = np.random.default_rng(1)
    x, e = rng.standard_normal((2, DRAWS, 12))
    y = 0.6 * x + 0.8 * e
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    r = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found = np.abs(r) / np.sqrt((1 - r**2) / 10) > stats.t.isf(0.025, 10)
    assert found.mean() == pytest.approx(float(correlation_power(0.6, 12)), **NEAR)


def test_the_chance_of_equivalence_is_what_studies_find():
    rng, n = np.random.default_rng(2), 25
    a, b = rng.standard_normal((2, DRAWS, n))
    error = np.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / n)
    found = np.abs(a.mean(axis=1) - b.mean(axis=1)) + stats.t.isf(0.05, 2 * n - 2) * error < 0.8
    assert found.mean() == pytest.approx(float(equivalence_power(0.8, np.sqrt(2 / n), 2 * n - 2)), **NEAR)


@pytest.mark.parametrize("smallest", [0.0, 0.12])
def test_the_chance_of_shares_is_what_studies_find(smallest):
    rng, n = np.random.default_rng(3), 150
    a, b = rng.binomial(n, 0.4, DRAWS) / n, rng.binomial(n, 0.4 + smallest, DRAWS) / n
    pooled = (a + b) / 2
    found = np.abs(a - b) > stats.norm.isf(0.025) * np.sqrt(2 * pooled * (1 - pooled) / n)
    expected = float(shares_power(0.4, smallest, n, n))
    assert found.mean() == pytest.approx(expected, abs=0.03)  # counts are whole: the normal formula is 2 points off


@pytest.mark.parametrize("smallest", [0.0, 0.5])
def test_whole_teams_in_two_groups_have_the_chance_of_their_design_effect(smallest):
    rng, teams, size, icc = np.random.default_rng(4), 12, 10, 0.2
    between = np.sqrt(icc + (1 - icc) / size)
    a, b = rng.normal(0, between, (2, DRAWS, teams))
    test = stats.ttest_ind(a, b + smallest, axis=1)
    error = np.sqrt(design_effect(size, icc) * 2 / (teams * size))
    assert (test.pvalue < 0.05).mean() == pytest.approx(float(t_power(smallest, error, 2 * teams - 2)), **NEAR)


@pytest.mark.parametrize("odds_ratio", [1.0, 1.6])
def test_the_chance_of_a_logit_is_about_what_studies_find(odds_ratio):
    rng, n, draws = np.random.default_rng(5), 200, 2000
    x = rng.standard_normal((draws, n))
    y = rng.random((draws, n)) < 1 / (1 + np.exp(-np.log(odds_ratio) * x))
    score = ((y - y.mean(axis=1, keepdims=True)) * x).sum(axis=1)
    information = y.mean(axis=1) * (1 - y.mean(axis=1)) * n * x.var(axis=1)
    found = np.abs(score) / np.sqrt(information) > stats.norm.isf(0.025)
    expected = float(logit_power(odds_ratio, n, 0.5))
    assert found.mean() == pytest.approx(expected, abs=0.04)  # 4 simulation errors; the formula is an approximation


@pytest.mark.parametrize(("ratio", "sizes", "events"), [(1.6, (100, 100), 0.5), (0.6, (60, 120), 0.7)])
def test_the_chance_of_the_log_rank_test_is_about_what_studies_find(ratio, sizes, events):
    rng, groups = np.random.default_rng(1), np.repeat([0, 1], sizes)
    end, found = -np.log(1 - events), []
    for _ in range(800):
        waits = rng.exponential(size=len(groups)) / np.where(groups == 1, ratio, 1.0)
        found.append(log_rank(np.minimum(waits, end), (waits < end).astype(float), groups).p_value < 0.05)
    # three simulation errors of a share of 800, and Schoenfeld's formula is a normal approximation near no difference
    assert np.mean(found) == pytest.approx(float(survival_power(ratio, *sizes, events)), abs=3 * 0.0177 + 0.02)


def test_a_path_between_exact_constructs_has_the_chance_of_a_correlation():
    exact = float(path_power(0.3, 120, items=4, loading=0.999))
    # n: 1 - r² for the error of r at r, the test of r = 0 uses 1 at r = 0; the chance differs by that much at most
    assert exact == pytest.approx(float(correlation_power(0.3, 120)), abs=0.05)


def test_a_path_has_the_chance_that_its_spread_over_studies_gives():
    rng, n, items = np.random.default_rng(2), 400, 3
    drivers, none = np.array([[False, True], [False, False]]), np.zeros(2, bool)
    model = PathStructure(blocks=((0, 1, 2), (3, 4, 5)), drivers=drivers, formative=none, factors=~none)
    cause = rng.standard_normal((1000, n))
    effect = 0.2 * cause + (1 - 0.04) ** 0.5 * rng.standard_normal((1000, n))
    traits = np.repeat(np.stack([cause, effect], axis=2), items, axis=2)
    answers = 0.75 * traits + (1 - 0.75**2) ** 0.5 * rng.standard_normal(traits.shape)
    with one_thread():
        fits = fit_paths(np.array([np.corrcoef(each, rowvar=False) for each in answers]), model)
    drawn = fits.paths[fits.usable, 0, 1]
    found = (drawn > 1.96 * drawn.std()).mean()
    # three simulation errors of a share of 1,000; small samples find a little more, by their bias of order 1 / sqrt(n)
    assert found == pytest.approx(float(path_power(0.2, n)), abs=3 * 0.0158 + 0.03)


def test_worse_items_and_overlapping_drivers_cost_power():
    plain = path_power(0.2, 200)
    assert path_power(0.2, 200, loading=0.6) < plain < path_power(0.2, 200, items=6)
    assert path_power(0.2, 200, other=0.3, correlation=0.6) < path_power(0.2, 200, other=0.3, correlation=0.1)
