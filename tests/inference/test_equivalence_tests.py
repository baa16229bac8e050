"""Laws of `smstudy.inference.equivalence_tests`: R's numbers, intervals that are the tests turned round, and size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.inference.equivalence_tests import (
    Equivalence,
    equivalent_correlation,
    equivalent_estimate,
    equivalent_pairs_standardized,
    equivalent_share,
    equivalent_shares,
    equivalent_standardized,
)
from smstudy.inference.group_tests import Shares, contrast, moments, paired_above, pairs

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "comparisons.json").read_text())
DATA = pd.read_csv(REFERENCE / "comparisons.csv")
FIRST, SECOND = (DATA.loc[DATA["level"] == level, "agree"].to_numpy() for level in ("e3", "e5"))
PAIR = np.array([1.0, -1.0])
CLOSED = {"rtol": 1e-8, "atol": 1e-14}  # closed forms, against R with 15 printed digits
SIZE = 0.05


def of_means(x, y, bounds) -> Equivalence:
    found = contrast(moments([x, y]), PAIR)
    return equivalent_estimate(found.estimate, found.std_error, found.df, bounds)


def of_mean(x, bounds) -> Equivalence:
    found = contrast(moments([x]), np.ones(1))
    return equivalent_estimate(found.estimate, found.std_error, found.df, bounds)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (of_means(FIRST, SECOND, (-0.3, 0.3)), "tost_groups"),
        (of_mean((DATA["agree"] - DATA["social"]).to_numpy(), (-0.3, 0.3)), "tost_pairs"),
        (of_mean((DATA["agree"] - 4.7).to_numpy(), (-0.1, 0.1)), "tost_value"),
    ],
)
def test_two_one_sided_t_tests_agree_with_r(found, name):
    expected = EXPECTED[name]
    assert found.p_equivalent == pytest.approx(max(expected["p"]), rel=1e-8)  # closed form
    np.testing.assert_allclose([found.narrow_low, found.narrow_high], expected["narrow"], **CLOSED)


def test_correlations_agree_with_cor_test():
    expected = EXPECTED["tost_r"]
    found = equivalent_correlation(expected["r"], len(DATA), (-0.15, 0.15))
    assert found.p_equivalent == pytest.approx(max(expected["p"]), rel=1e-8)  # closed form
    got = [found.conf_low, found.conf_high, found.narrow_low, found.narrow_high]
    np.testing.assert_allclose(got, [*expected["wide"], *expected["narrow"]], **CLOSED)


def test_a_share_agrees_with_prop_test():
    expected = EXPECTED["share"]
    found = equivalent_share(float(DATA["high"].sum()), len(DATA), 0.7, (-0.05, 0.05))
    assert found.p_value == pytest.approx(expected["p"], rel=1e-8)  # closed form
    np.testing.assert_allclose([found.conf_low, found.conf_high], expected["wide"], **CLOSED)


def test_bounds_in_standard_deviations_agree_with_the_noncentral_t_of_r():
    found = equivalent_standardized(moments([FIRST[:60], SECOND[:60]]), PAIR, (-0.5, 0.5))
    assert found.p_equivalent == pytest.approx(EXPECTED["tost_sd"], rel=1e-7)  # R's pt() warns beyond 8 digits


def test_pairs_in_standard_deviations_agree_with_integrals_of_r():
    for expected in EXPECTED["tost_pairs_sd"]:
        x, y = (np.array(expected[name], float) for name in ("x", "y"))
        found = equivalent_pairs_standardized(x, y, (-0.5, 0.5))
        assert found.p_equivalent == pytest.approx(max(expected["p"]), rel=1e-5)  # 40 nodes against integrate()
        assert found.p_value == pytest.approx(expected["zero"], rel=1e-10)  # the paired t test of R
        np.testing.assert_allclose([found.conf_low, found.conf_high], expected["wide"], atol=1e-5)  # as the p


def examples() -> list[tuple[Equivalence, tuple[float, float]]]:
    rng, bounds = np.random.default_rng(3), (-0.3, 0.3)
    found = []
    for _ in range(40):
        x, y = rng.normal(rng.uniform(-0.4, 0.4), 1, 60), rng.normal(0, 1, 90)
        n = (60.0, 90.0)
        shares = Shares((float(rng.binomial(60, 0.5)), float(rng.binomial(90, rng.uniform(0.2, 0.6)))), n)
        found += [
            of_means(x, y, bounds), equivalent_standardized(moments([x, y]), PAIR, bounds),
            equivalent_pairs_standardized(x, x * 0.5 + y[:60], bounds), equivalent_shares(shares, bounds),
            equivalent_share(float((x > 0).sum()), 60, 0.5, bounds),
            equivalent_correlation(float(np.corrcoef(x, y[:60])[0, 1]), 60, bounds),
        ]  # fmt: skip
    return [(each, bounds) for each in found]


def test_intervals_are_the_tests_turned_round():
    for found, (low, high) in examples():
        assert (found.p_value < SIZE) == (not found.conf_low <= 0 <= found.conf_high)
        assert (found.p_equivalent < SIZE) == (low < found.narrow_low and found.narrow_high < high)


# At the bound every test may say "equivalent" in 5 % of samples; three Monte Carlo errors of 1,500 samples are .017.
@pytest.mark.parametrize("spreads", [(1.0, 1.0), (1.6, 0.7)])
def test_welch_test_at_the_bound_is_right_in_95_of_100_samples(spreads):
    rng, bounds = np.random.default_rng(11), (-0.6, 0.6)
    said = [
        of_means(rng.normal(0.6, spreads[0], 30), rng.normal(0, spreads[1], 60), bounds).p_equivalent < SIZE
        for _ in range(1500)
    ]
    assert np.mean(said) == pytest.approx(SIZE, abs=0.017)  # as said above


@pytest.mark.parametrize(("n", "bound"), [(10, 0.9), (20, 0.6), (60, 0.4)])
def test_pairs_in_standard_deviations_at_the_bound_are_right_in_95_of_100_samples(n, bound):
    rng, said = np.random.default_rng(12), []
    for _ in range(1500):
        base = rng.normal(0, 0.8, n)
        x, y = base + rng.normal(bound, 0.6, n), base + rng.normal(0, 0.6, n)  # both have variance 1
        found = pairs(x, y)
        said.append(max(1 - paired_above(found, -bound), paired_above(found, bound)) < SIZE)
    assert np.mean(said) == pytest.approx(SIZE, abs=0.017)  # three Monte Carlo errors of 1,500 samples


def test_standard_deviations_at_the_bound_are_right_in_95_of_100_samples():
    rng, bounds = np.random.default_rng(13), (-0.8, 0.8)
    said = [
        equivalent_standardized(moments([rng.normal(0.8, 1, 20), rng.normal(0, 1, 40)]), PAIR, bounds).p_equivalent
        < SIZE
        for _ in range(250)
    ]
    assert np.mean(said) == pytest.approx(SIZE, abs=0.041)  # three Monte Carlo errors of 250 samples


def test_shares_at_the_bound_are_right_in_95_of_100_samples():
    rng, bounds = np.random.default_rng(14), (-0.2, 0.2)
    events = zip(rng.binomial(40, 0.6, 1000), rng.binomial(80, 0.4, 1000), strict=True)
    said = [
        equivalent_shares(Shares((float(a), float(b)), (40.0, 80.0)), bounds).p_equivalent < SIZE for a, b in events
    ]
    assert np.mean(said) <= SIZE + 0.021  # three Monte Carlo errors of 1,000 samples; counts make steps
