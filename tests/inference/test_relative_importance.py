"""Laws of `smstudy.inference.relative_importance` and agreement with all orders of R lm."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.inference.relative_importance import (
    centered_products,
    complete_dominance,
    conditional_dominance,
    resampled_shares,
    shapley_shares,
    simultaneous_interval,
    subset_r_squared,
)

FOLDER = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((FOLDER / "importance.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "importance.csv")
NUMBERS = ["leadership", "readiness", "usefulness", "concerns"]
CLOSED = 1e-10  # closed forms on the same data
CASES = {
    "plain": (NUMBERS, False, False),
    "weighted": (NUMBERS, False, True),
    "controlled": (NUMBERS, True, False),
    "grouped": ([*NUMBERS[:3], "role"], True, True),
}


def case(name):
    drivers, controlled, weighted = CASES[name]
    parts = {driver: pd.get_dummies(PEOPLE[[driver]], drop_first=True, dtype=float) for driver in drivers}
    controls = pd.get_dummies(PEOPLE["site"], drop_first=True, dtype=float).iloc[:, : 2 if controlled else 0]
    frame = pd.concat([*parts.values(), controls, PEOPLE["adoption"]], axis=1)
    places = iter(range(frame.shape[1]))
    terms = [[next(places) for _ in range(part.shape[1])] for part in parts.values()]
    always = [next(places) for _ in range(controls.shape[1])]
    weights = PEOPLE["weight"].to_numpy() if weighted else np.ones(len(PEOPLE))
    return frame.to_numpy(float), weights, terms, always


def simulated(p, seed=1, n=60):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) + rng.normal(size=(n, 1))
    return np.column_stack([x, x @ rng.normal(size=p) + rng.normal(size=n)])


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_all_orders_of_lm(name):
    columns, weights, terms, always = case(name)
    r_squared = subset_r_squared(centered_products(columns, weights[None, :])[0], terms, always=always)
    expected = REFERENCE[name]
    np.testing.assert_allclose(shapley_shares(r_squared), expected["lmg"], atol=CLOSED)
    np.testing.assert_allclose(conditional_dominance(r_squared), expected["conditional"], atol=CLOSED)
    np.testing.assert_allclose([r_squared[0], r_squared[-1]], [expected["none"], expected["full"]], atol=CLOSED)


def test_every_subset_is_the_r_squared_of_its_own_regression():
    columns = simulated(4)
    found = subset_r_squared(np.cov(columns.T), [[j] for j in range(4)])
    y = columns[:, -1] - columns[:, -1].mean()
    for size in range(5):
        for chosen in combinations(range(4), size):
            x = np.column_stack([np.ones(len(y)), columns[:, chosen]])
            rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
            place = sum(1 << j for j in chosen)
            assert found[place] == pytest.approx(1 - rest @ rest / (y @ y), abs=CLOSED)


@given(st.integers(2, 6), st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_shares_add_up_to_r_squared_and_none_is_negative(p, seed):
    r_squared = subset_r_squared(np.cov(simulated(p, seed).T), [[j] for j in range(p)])
    shares = shapley_shares(r_squared)
    assert shares.sum() == pytest.approx(r_squared[-1], abs=CLOSED)
    assert (shares >= -CLOSED).all()


def test_without_overlap_a_share_is_the_squared_correlation():
    products = np.array([[1.0, 0, 0.5], [0, 4.0, 0.6], [0.5, 0.6, 1.0]])
    np.testing.assert_allclose(shapley_shares(subset_r_squared(products, [[0], [1]])), [0.25, 0.09], atol=CLOSED)


def test_the_order_of_the_formula_does_not_matter():
    columns, order = simulated(4), [2, 0, 3, 1]
    plain = shapley_shares(subset_r_squared(np.cov(columns.T), [[j] for j in range(4)]))
    moved = shapley_shares(subset_r_squared(np.cov(columns.T), [[j] for j in order]))
    np.testing.assert_allclose(moved, plain[order], atol=CLOSED)


def test_units_do_not_matter():
    columns = simulated(3)
    scaled = columns * [1e6, 1e-6, 1, 1e3]
    shares = [shapley_shares(subset_r_squared(np.cov(part.T), [[0], [1], [2]])) for part in (columns, scaled)]
    np.testing.assert_allclose(*shares, atol=CLOSED)


def test_a_column_that_others_determine_adds_nothing_last():
    columns = simulated(2)
    doubled = np.column_stack([columns[:, 0], columns[:, 0], columns[:, 1:]])
    by_size = conditional_dominance(subset_r_squared(np.cov(doubled.T), [[0], [1], [2]]))
    np.testing.assert_allclose(by_size[0], by_size[1], atol=CLOSED)
    assert by_size[0, -1] == pytest.approx(0, abs=CLOSED)


def test_complete_dominance_is_never_mutual_and_implies_the_order_of_shares():
    for seed in range(20):
        r_squared = subset_r_squared(np.cov(simulated(4, seed).T), [[j] for j in range(4)])
        dominates, shares = complete_dominance(r_squared), shapley_shares(r_squared)
        assert not (dominates & dominates.T).any()
        assert (np.subtract.outer(shares, shares)[dominates] > 0).all()


def test_several_matrices_at_once_equal_one_after_the_other():
    products = np.stack([np.cov(simulated(3, seed).T) for seed in range(5)])
    together = subset_r_squared(products, [[0], [1], [2]])
    alone = [subset_r_squared(each, [[0], [1], [2]]) for each in products]
    np.testing.assert_allclose(together, alone, atol=1e-15)  # the same sums


def test_weights_count_like_repeated_respondents():
    columns = simulated(3)
    counts = np.random.default_rng(2).integers(1, 4, len(columns))
    repeated = np.repeat(columns, counts, axis=0)
    weighted = centered_products(columns, counts[None, :].astype(float))[0]
    np.testing.assert_allclose(weighted, np.cov(repeated.T, bias=True), atol=1e-12)  # rounding


def test_resamples_spread_around_the_estimate_and_repeat_with_the_seed():
    columns, terms = simulated(3, n=400), [[0], [1], [2]]
    drawn = resampled_shares(columns, np.ones(400), terms, n_boot=300, seed=5)
    again = resampled_shares(columns, np.ones(400), terms, n_boot=300, seed=5)
    assert np.array_equal(drawn, again) and drawn.shape == (300, 3)
    estimate = shapley_shares(subset_r_squared(np.cov(columns.T), terms))
    assert (np.abs(drawn.mean(axis=0) - estimate) < drawn.std(axis=0)).all()  # bias is far smaller than the spread


def test_simultaneous_intervals_of_one_estimate_are_its_own():
    draws = np.random.default_rng(1).normal(2.0, 1.5, size=(20_000, 1))
    low, high = simultaneous_interval(np.array([2.0]), draws, 0.95)
    assert (high - low).item() == pytest.approx(2 * 1.96 * 1.5, rel=0.03)  # Monte Carlo error of 20,000 draws


def test_simultaneous_intervals_of_independent_estimates_are_those_of_sidak():
    draws = np.random.default_rng(2).normal(size=(20_000, 10))
    high = simultaneous_interval(np.zeros(10), draws, 0.95)[1]
    np.testing.assert_allclose(high, 2.7999, rtol=0.03)  # normal quantile of (1 + .95^(1/10)) / 2; Monte Carlo error
