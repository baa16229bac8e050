"""Laws of `smstudy.inference.group_tests`: R's numbers, special cases, and intervals that hold their level."""

from __future__ import annotations

import json
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
    paired_standardized,
    score_of_difference,
    share_interval,
    standardized_contrast,
    standardized_difference,
    superiority,
    welch_test,
)

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
    np.testing.assert_allclose(omega_squared(welch_test(ages)), EXPECTED["omega"], **SEARCHED)
    assert omega_squared(welch_test(moments(GROUPS))).estimate == 0  # F below 1 is no share below 0
    found = epsilon_squared(kruskal_test(GROUPS), len(DATA))
    np.testing.assert_allclose(found.estimate, EXPECTED["kruskal"]["epsilon"], **CLOSED)
    np.testing.assert_allclose(found[1:], EXPECTED["epsilon"], **SEARCHED)


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
    assert np.isnan(found.p_value)


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


def test_intervals_of_omega_squared_hold_the_truth():
    means = np.array([0.0, 0.3, 0.6])
    between = means.var()

    def draw(rng):
        return ([rng.normal(mean, 1, 30) for mean in means],)

    got = coverage(
        lambda groups: omega_squared(welch_test(moments(groups))), between / (1 + between), draw, n_draws=600
    )
    assert got == pytest.approx(0.95, abs=0.027)  # three Monte Carlo errors in 600 samples


def test_intervals_of_shares_hold_the_truth_in_small_groups():
    def draw(rng):
        return (Shares((float(rng.binomial(15, 0.8)), float(rng.binomial(25, 0.6))), (15.0, 25.0)),)

    assert coverage(share_interval, 0.2, draw) == pytest.approx(0.95, abs=0.025)  # discrete counts hold it roughly
