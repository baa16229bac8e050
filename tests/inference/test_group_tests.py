"""Laws of `smstudy.inference.group_tests`: R's numbers, special cases, and intervals that hold their level."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.group_tests import (
    Moments,
    Shares,
    contrast,
    epsilon_squared,
    kruskal_test,
    moments,
    noncentral_t_above,
    noncentral_t_limits,
    omega_squared,
    paired_above,
    paired_standardized,
    pairs,
    probability_above,
    score_of_difference,
    share_interval,
    standardized_contrast,
    standardized_difference,
    superiority,
    welch_test,
)
from smstudy.inference.multiplicity import holm

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "comparisons.json").read_text())
DATA = pd.read_csv(REFERENCE / "comparisons.csv")
GROUPS = [part.to_numpy() for _, part in DATA.groupby("level")["agree"]]
FIRST, SECOND = GROUPS[2], GROUPS[4]
PAIR = np.array([1.0, -1.0])
CLOSED = {"rtol": 1e-9, "atol": 1e-12}  # closed forms, against R with 15 printed digits
SEARCHED = {"rtol": 1e-6, "atol": 1e-8}  # R searches these with pt() and uniroot(), good to about 8 digits


def test_welch_and_kruskal_tests_agree_with_r():
    found, expected = welch_test(moments(GROUPS)), EXPECTED["welch"]
    np.testing.assert_allclose(found, [expected[name] for name in ("f", "df", "rest", "p")], **CLOSED)
    found, expected = kruskal_test(GROUPS), EXPECTED["kruskal"]
    np.testing.assert_allclose(
        [found.statistic, found.df, found.p_value], [expected[n] for n in ("h", "df", "p")], **CLOSED
    )


def test_shares_of_variance_and_their_intervals_agree_with_plain_r():
    ages = moments([part.to_numpy(float) for _, part in DATA.groupby("level")["age"]])
    np.testing.assert_allclose(omega_squared(ages), EXPECTED["omega"], **SEARCHED)
    assert omega_squared(moments(GROUPS)).estimate == 0  # F below 1 is no share below 0
    found = epsilon_squared(kruskal_test(GROUPS), len(DATA))
    np.testing.assert_allclose(found.estimate, EXPECTED["kruskal"]["epsilon"], **CLOSED)
    np.testing.assert_allclose(found[1:], EXPECTED["epsilon"], **SEARCHED)


def test_omega_squared_of_groups_of_one_size_is_that_of_aov():
    even = moments([part.to_numpy(float)[:30] for _, part in DATA.groupby("level")["age"]])
    assert omega_squared(even).estimate == pytest.approx(EXPECTED["anova"], rel=1e-10)  # closed form


def test_omega_squared_of_two_groups_holds_0_exactly_where_welchs_test_does_not_reject():
    rng = np.random.default_rng(2)
    for _ in range(60):
        found = moments([rng.normal(0.4, 1, 12), rng.normal(0, 3, 30)])
        assert (contrast(found, PAIR).p_value < 0.025) == (omega_squared(found).conf_low > 0)  # F at its upper 2.5 %


def test_a_difference_of_two_means_is_welchs_test():
    found, expected = contrast(moments([FIRST, SECOND]), PAIR), EXPECTED["pair"]
    wanted = [expected["estimate"], expected["se"], expected["df"], expected["p"], *expected["ci"]]
    np.testing.assert_allclose([*found[:3], found.p_value, *found[-2:]], wanted, **CLOSED)


def test_cohens_d_and_hedges_g_agree_with_r():
    small = moments([FIRST[:60], SECOND[:60]])
    np.testing.assert_allclose(standardized_contrast(small, PAIR), EXPECTED["g"], **SEARCHED)
    found = moments([FIRST, SECOND])
    d = (found.mean @ PAIR) / np.sqrt(found.pooled_variance)
    assert d == pytest.approx(EXPECTED["d"], rel=1e-12)  # closed form
    n = found.n.sum()
    assert d * np.sqrt(n / (n - 2)) == pytest.approx(EXPECTED["cohen"], rel=1e-10)  # psych::cohen.d divides by n
    np.testing.assert_allclose(standardized_difference(found, "average"), EXPECTED["average"], **CLOSED)


def test_cliffs_delta_its_interval_and_test_agree_with_pairs_counted_in_r():
    found, expected = superiority(FIRST, SECOND), EXPECTED["cliff"]
    np.testing.assert_allclose(found.delta, [expected["delta"], *expected["ends"]], **CLOSED)
    got = [found.std_error, found.df, found.statistic, found.p_value]
    np.testing.assert_allclose(got, [expected[name] for name in ("se", "df", "statistic", "p")], **CLOSED)


def test_the_test_of_superiority_is_brunner_and_munzels():
    other = stats.brunnermunzel(FIRST, SECOND)
    found = superiority(FIRST, SECOND)
    assert abs(found.statistic) == pytest.approx(abs(other.statistic), rel=1e-10)  # same closed form
    assert found.p_value == pytest.approx(other.pvalue, rel=1e-8)  # same t distribution


def test_swapping_groups_turns_every_difference_round():
    there, back = superiority(FIRST, SECOND), superiority(SECOND, FIRST)
    assert there.share == pytest.approx(1 - back.share, abs=1e-14)  # exact but for rounding
    assert there.delta.conf_low == pytest.approx(-back.delta.conf_high, abs=1e-12)  # the same formula mirrored
    one, other = (standardized_difference(moments(pair)) for pair in ((FIRST, SECOND), (SECOND, FIRST)))
    np.testing.assert_allclose([*one], [-other[0], -other[2], -other[1]], atol=1e-9)  # tolerance of the search


def test_groups_that_do_not_overlap_have_a_delta_of_one_and_still_an_interval():
    found = superiority(np.arange(10.0, 20), np.arange(10.0))
    assert found.delta.estimate == 1 and 0.4 < found.delta.conf_low < 1 and found.delta.conf_high == 1
    assert found.p_value == pytest.approx(2 / math.comb(20, 10), rel=1e-10)  # one way of all, and its mirror
    few = superiority(np.arange(3.0), np.arange(10.0, 13))
    assert few.p_value == pytest.approx(0.1) and few.delta.conf_high >= 0  # too few to tell


def test_small_groups_agree_with_all_ways_to_deal_answers_counted_in_r():
    for expected in EXPECTED["dealt"]:
        found = superiority(np.array(expected["x"], float), np.array(expected["y"], float))
        assert found.statistic == pytest.approx(expected["statistic"], rel=1e-10)  # closed form
        assert found.p_value == pytest.approx(expected["p"], rel=1e-12)  # counts of the same ways
        np.testing.assert_allclose(found.delta[1:], expected["ends"], rtol=1e-7)  # R rounds statistics to 9 digits


def test_random_ways_to_deal_answers_agree_with_all_ways(monkeypatch):
    x, y = np.array([4.0, 2, 5, 5, 3, 4, 5]), np.array([2.0, 1, 4, 3, 3, 2, 2])
    every = superiority(x, y).p_value
    monkeypatch.setattr("smstudy.inference.group_tests.MOST_WAYS", 1)
    drawn = superiority(x, y)
    assert drawn.p_value == superiority(x, y).p_value != superiority(x, y, seed=2).p_value
    assert drawn.p_value == pytest.approx(every, abs=4 * np.sqrt(every / 1e4))  # four Monte Carlo errors
    assert superiority(y, x).p_value == pytest.approx(every, abs=4 * np.sqrt(every / 1e4))  # four Monte Carlo errors


def test_small_groups_have_an_interval_that_holds_0_exactly_where_p_is_not_below_its_level():
    rng = np.random.default_rng(6)
    for case in range(150):
        x, y = rng.normal(1.2, 1, 5 + case % 4), rng.normal(0, 1, 6)
        x, y = (np.round(x), np.round(y)) if case % 2 else (x, y)
        for level in (0.9, 0.95, 0.99):
            found = superiority(x, y, level)
            inside = found.delta.conf_low <= 0 <= found.delta.conf_high and 0 < abs(found.delta.estimate) < 1
            if abs(found.delta.estimate) < 1:
                assert (found.p_value < 1 - level) == (not inside and found.delta.estimate != 0)


@pytest.mark.parametrize(("groups", "steps"), [(5, False), (10, False), (5, True)])
def test_false_alarms_between_groups_of_five_stay_at_five_percent_with_holm(groups, steps):
    rng, false = np.random.default_rng(4), []
    for _ in range(150):
        values = rng.normal(0, 1, (groups, 5))
        values = np.clip(np.round(1.2 * values + 3), 1, 5) if steps else values
        false.append((holm([superiority(x, y).p_value for x, y in combinations(values, 2)]) < 0.05).any())
    assert np.mean(false) <= 0.05 + 0.054  # three Monte Carlo errors of 150 samples; 21 to 30 % without permutation


@pytest.mark.parametrize(("n", "m", "shift", "spread"), [(5, 5, 0.8, 1.0), (5, 8, 0.0, 2.5), (7, 6, 1.8, 1.0)])
def test_intervals_of_cliffs_delta_hold_the_truth_in_groups_of_a_few(n, m, shift, spread):
    truth = 2 * stats.norm.cdf(shift / np.sqrt(1 + spread**2)) - 1

    def draw(rng):
        return rng.normal(shift, 1, n), rng.normal(0, spread, m)

    got = coverage(lambda x, y: superiority(x, y).delta, truth, draw, n_draws=600)
    assert got >= 0.95 - 0.027  # three Monte Carlo errors in 600 samples; few ways to deal make it careful


def test_probability_above_is_that_of_superiority():
    assert probability_above(FIRST, SECOND) == pytest.approx(superiority(FIRST, SECOND).share, abs=1e-14)  # rounding


def test_noncentral_t_is_mirrored_and_near_the_normal_far_away():
    assert noncentral_t_above(1.3, 7, -0.4) == pytest.approx(1 - noncentral_t_above(-1.3, 7, 0.4), abs=1e-12)  # mirror
    low, high = noncentral_t_limits(300.0, 1e6)
    assert low == pytest.approx(300 - 1.96 * np.sqrt(1 + 300**2 / 2e6), abs=0.01)  # normal approximation
    assert high > 300


def test_score_tests_of_shares_agree_with_likelihoods_maximized_in_r():
    men, women = (part["high"] for _, part in DATA.groupby("gender"))
    found = Shares((float(men.sum()), float(women.sum())), (float(len(men)), float(len(women))))
    got = [score_of_difference(found, value) for value in (-0.1, 0.0, 0.1)]
    np.testing.assert_allclose(got, EXPECTED["shares"]["statistics"], rtol=1e-6)  # optimize() stops at 8 digits
    for level, name in ((0.95, "wide"), (0.90, "narrow")):
        np.testing.assert_allclose(share_interval(found, level), EXPECTED["shares"][name], atol=1e-7)  # uniroot()


def test_a_score_test_of_equal_shares_is_pearsons_chi_squared_but_for_one_respondent():
    found = Shares((30.0, 20.0), (50.0, 60.0))
    chi = stats.chi2_contingency([[30, 20], [20, 40]], correction=False).statistic
    assert score_of_difference(found, 0.0) ** 2 == pytest.approx(chi * 109 / 110, rel=1e-10)  # factor (N - 1) / N


def test_shares_of_none_and_all_have_intervals():
    low, high = share_interval(Shares((0.0, 20.0), (20.0, 20.0)))
    assert low == pytest.approx(-1, abs=1e-6) and -1 < high < -0.5  # the edge of what is possible


def test_too_small_or_constant_groups_are_refused():
    with pytest.raises(EstimationError, match="at least 2"):
        moments([np.array([1.0]), FIRST])
    with pytest.raises(EstimationError, match="at least 2"):
        superiority(np.array([1.0]), FIRST)
    constant = Moments(np.array([5.0, 5.0]), np.array([1.0, 2.0]), np.zeros(2))
    for refused in (lambda: contrast(constant, PAIR), lambda: standardized_contrast(constant, PAIR),
                    lambda: standardized_difference(constant, "average"), lambda: welch_test(constant),
                    lambda: kruskal_test([np.ones(5), np.ones(5)]),
                    lambda: paired_standardized(np.ones(5), np.zeros(5))):  # fmt: skip
        with pytest.raises(EstimationError):
            refused()


def coverage(interval, truth, draw, *, n_draws=1500):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(n_draws):
        low, high = interval(*draw(rng))[-2:]
        hits += low <= truth <= high
    return hits / n_draws


# Tolerances below: three Monte Carlo errors of a share of .95 in 1,500 samples are .017.
@pytest.mark.parametrize("true", [0.0, 0.5])
def test_intervals_of_g_hold_the_true_difference_in_95_of_100_samples(true):
    def draw(rng):
        return rng.normal(true, 1, 12), rng.normal(0, 1, 25)

    got = coverage(lambda x, y: standardized_difference(moments([x, y])), true, draw, n_draws=400)
    assert got == pytest.approx(0.95, abs=0.033)  # three Monte Carlo errors in 400 samples


def test_intervals_in_average_standard_deviations_need_no_equal_variances():
    def draw(rng):
        return rng.normal(1, 2, 30), rng.normal(0, 0.8, 20)

    truth = 1 / np.sqrt((4 + 0.64) / 2)
    got = coverage(lambda x, y: standardized_difference(moments([x, y]), "average"), truth, draw)
    assert got == pytest.approx(0.95, abs=0.017)  # three Monte Carlo errors in 1,500 samples


@pytest.mark.parametrize("shift", [0.0, 0.6, 1.2])
def test_intervals_of_cliffs_delta_hold_the_truth_for_answers_of_five_steps(shift):
    cuts, grid = np.array([-1.2, -0.4, 0.4, 1.2]), np.arange(5)
    p, q = (
        np.diff(stats.norm.cdf(np.concatenate([[-9], cuts, [9]]), loc, scale)) for loc, scale in ((shift, 1), (0, 1.6))
    )
    truth = float((p[:, None] * q * np.sign(grid[:, None] - grid)).sum())

    def draw(rng):
        x, y = rng.normal(shift, 1, 25), rng.normal(0, 1.6, 40)
        return np.searchsorted(cuts, x).astype(float), np.searchsorted(cuts, y).astype(float)

    got = coverage(lambda x, y: superiority(x, y).delta, truth, draw)
    assert got == pytest.approx(0.95, abs=0.017)  # three Monte Carlo errors in 1,500 samples


@pytest.mark.parametrize(
    ("sizes", "spreads", "truth"),
    [
        ([30] * 3, [1.0] * 3, 0.05),
        ([30] * 20, [1.0] * 20, 0.2),
        ([30, 300], [1.0, 3.0], 0.05),
        ([30, 300], [3.0, 1.0], 0.2),
        ([30, 300] * 3, [1.0, 3.0] * 3, 0.05),
        ([30, 300] * 10, [3.0, 1.0] * 10, 0.05),
    ],
)
def test_omega_squared_and_its_interval_hold_the_true_share_of_variance(sizes, spreads, truth):
    n, variance = np.array(sizes, float), np.array(spreads) ** 2
    means = np.arange(len(n)) - n @ np.arange(len(n)) / n.sum()
    within = (n - 1) @ variance / (n - 1).sum()
    means = means * np.sqrt(truth / (1 - truth) * within / (n @ means**2 / n.sum()))
    rng, found = np.random.default_rng(7), []
    for _ in range(600):
        drawn = Moments(n, rng.normal(means, np.sqrt(variance / n)), variance * rng.chisquare(n - 1) / (n - 1))
        found.append(omega_squared(drawn))
    estimate, low, high = np.array(found).T
    least = 0.935 - 0.030  # 0.935 in 3,000 samples where a small group varies most; three Monte Carlo errors in 600
    assert np.mean((low <= truth) & (truth <= high)) >= least
    error = 3 * estimate.std() / np.sqrt(600)
    assert estimate.mean() == pytest.approx(truth, abs=error + 0.008)  # a ratio, and cut at 0, so not quite unbiased


@pytest.mark.parametrize(("n", "likeness"), [(5, 0.8), (10, 0.8), (10, 0.0)])
def test_intervals_of_pairs_in_standard_deviations_hold_the_truth(n, likeness):
    def draw(rng):
        x, y = rng.normal(size=(2, n))
        return x + 0.5, likeness * x + np.sqrt(1 - likeness**2) * y

    assert coverage(paired_standardized, 0.5, draw, n_draws=400) >= 0.95 - 0.033  # three errors in 400 samples


def test_pairs_against_0_are_the_paired_t_test():
    x, y = FIRST[:12], SECOND[:12]
    expected = stats.ttest_rel(x, y, alternative="less").pvalue
    assert paired_above(pairs(x, y), 0.0) == pytest.approx(expected, rel=1e-5)  # sums for an integral
    there, back = paired_standardized(x, y), paired_standardized(y, x)
    np.testing.assert_allclose([*there], [-back[0], -back[2], -back[1]], atol=1e-7)  # sums and searches, mirrored


def test_intervals_of_shares_hold_the_truth_in_small_groups():
    def draw(rng):
        return (Shares((float(rng.binomial(15, 0.8)), float(rng.binomial(25, 0.6))), (15.0, 25.0)),)

    assert coverage(share_interval, 0.2, draw) == pytest.approx(0.95, abs=0.025)  # discrete counts hold it roughly
