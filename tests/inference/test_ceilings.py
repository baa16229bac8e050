"""Laws of `smstudy.inference.ceilings`, agreement with R and published values, and the two nulls in simulations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.inference.ceilings import (
    Scope,
    corner_line,
    corners,
    effect_sizes,
    effects_without,
    held_levels,
    latent_correlation,
    less_influential,
    location_and_spread,
    matched_effects,
    n_above,
    observed_scope,
    p_value,
    permuted_effects,
    spread_effects,
)

FOLDER = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((FOLDER / "necessity.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "necessity.csv")
EXAMPLE = Path(__file__).parents[3] / "shared" / "data" / "nca" / "nca.example.csv"
CLOSED = 1e-9  # closed forms; R writes 15 digits
SPREAD = json.loads((FOLDER / "spread.json").read_text(encoding="utf-8"))
KINDS = {"ce_fdh": "step", "cr_fdh": "line"}
points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=40).filter(
    lambda pairs: all(len(set(column)) > 1 for column in zip(*pairs))
)


def effect(x, y, kind="ce_fdh", scope=None):
    return float(effect_sizes(x, y[:, None], scope or observed_scope(x, y), kind)[0])


def columns(pairs):
    return np.array(pairs, dtype=float).T


# Agreement


@pytest.mark.parametrize("condition", list(REFERENCE["observed"]))
def test_agrees_with_plain_r_in_the_observed_scope(condition):
    x, y, expected = PEOPLE[condition].to_numpy(float), PEOPLE["outcome"].to_numpy(), REFERENCE["observed"][condition]
    for kind, name in KINDS.items():
        assert effect(x, y, kind) == pytest.approx(expected[name], rel=CLOSED)
    found = corners(x, y)
    assert found.x.tolist() == pytest.approx(expected["corners_x"])
    assert found.y.tolist() == pytest.approx(expected["corners_y"])
    assert found.counts.sum() == expected["respondents"]
    line = corner_line(found)
    assert line == pytest.approx((expected["intercept"], expected["slope"]), rel=CLOSED)
    assert n_above(x, y, line) == expected["above"]


@pytest.mark.parametrize("condition", list(REFERENCE["possible"]))
def test_agrees_with_plain_r_in_the_scope_of_possible_answers(condition):
    x, y = PEOPLE[condition].to_numpy(float), PEOPLE["outcome"].to_numpy()
    for kind, name in KINDS.items():
        found = effect(x, y, kind, Scope(1, 5, 1, 5))
        assert found == pytest.approx(REFERENCE["possible"][condition][name], rel=CLOSED)


def test_a_turned_condition_asks_for_low_levels():
    x, y = -PEOPLE["scale_b"].to_numpy(), PEOPLE["outcome"].to_numpy()
    assert [effect(x, y, kind) for kind in KINDS] == pytest.approx(
        [REFERENCE["low"]["step"], REFERENCE["low"]["line"]], rel=CLOSED
    )


def test_mean_and_spread_agree_with_gls():
    x, y = (PEOPLE["scale_a"].to_numpy() - 3) / 2, PEOPLE["outcome"].to_numpy(float)
    middle, spread = location_and_spread(x, y)
    np.testing.assert_allclose(middle, SPREAD["middle"], rtol=1e-6)  # both iterate
    np.testing.assert_allclose(spread, SPREAD["spread"], rtol=1e-6)  # both iterate


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the example of R NCA is not on this machine")
def test_agrees_with_the_published_example():
    example = pd.read_csv(EXAMPLE)
    x, y = example["Individualism"].to_numpy(float), example["Innovation performance"].to_numpy(float)
    assert [round(effect(x, y, kind), 2) for kind in KINDS] == [0.42, 0.31]  # as published, two decimals


# Laws


@given(points)
@settings(max_examples=100, deadline=None)
def test_effect_sizes_lie_between_zero_and_one(pairs):
    x, y = columns(pairs)
    assert all(-1e-12 <= effect(x, y, kind) <= 1 for kind in KINDS)  # rounding of areas


@given(points)
@settings(max_examples=100, deadline=None)
def test_the_step_area_is_counted_right(pairs):
    x, y = columns(pairs)
    middles = np.arange(x.min(), x.max()) + 0.5, np.arange(y.min(), y.max()) + 0.5
    empty = [not ((x <= a) & (y >= b)).any() for a in middles[0] for b in middles[1]]
    assert effect(x, y) == pytest.approx(np.mean(empty))


@given(points, st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(pairs, factor, shift):
    x, y = columns(pairs)
    for kind in KINDS:
        assert effect(factor * x + shift, y, kind) == pytest.approx(effect(x, y, kind), abs=1e-9)  # rounding


def test_somebody_with_little_of_the_condition_and_the_highest_outcome_leaves_nothing():
    x, y = np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.2, 0.5])
    assert [effect(x, y, kind) for kind in KINDS] == [0.0, 0.0]


def test_a_scope_that_is_larger_only_adds_what_lies_outside():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    assert effect(x, y, scope=Scope(0, 3, 0, 3)) == pytest.approx((3 + 2 + 1) / 9)


def test_many_outcomes_at_once_equal_one_after_the_other():
    rng = np.random.default_rng(1)
    x, outcomes = rng.integers(1, 6, 60).astype(float), rng.integers(1, 6, (60, 20)).astype(float)
    outcomes[:2] = [[1.0], [5.0]]
    scope = Scope(1, 5, 1, 5)
    for kind in KINDS:
        singles = [effect(x, outcome, kind, scope) for outcome in outcomes.T]
        np.testing.assert_allclose(effect_sizes(x, outcomes, scope, kind), singles, atol=1e-12)  # rounding


# What level is needed


def test_levels_are_the_same_whether_nobody_or_all_but_one_of_the_threshold_are_below():
    x = np.repeat(np.arange(11.0), 10)
    grid = np.arange(11.0)
    before = held_levels(x, x, x_levels=grid, y_levels=grid, min_n=5)
    assert before.tolist() == grid.tolist()
    moved = x.copy()
    moved[-4:] = 0
    assert held_levels(moved, x, x_levels=grid, y_levels=grid, min_n=5).tolist() == before.tolist()
    moved[-5:] = 0
    assert held_levels(moved, x, x_levels=grid, y_levels=grid, min_n=5)[-1] == 0


def test_fewer_than_the_threshold_below_every_level_told_and_more_below_the_next():
    rng = np.random.default_rng(2)
    x, y = rng.random(200), rng.random(200)
    grid = np.linspace(0, 1, 11)
    held = held_levels(x, y, x_levels=grid, y_levels=grid, min_n=5)
    for level, told in zip(grid, held):
        reached = x[y >= level]
        assert np.isnan(told) == (len(reached) < 5)
        if not np.isnan(told):
            assert (reached < told).sum() < 5
            above = grid[grid > told]
            assert not len(above) or (reached < above[0]).sum() >= 5


# Without the most influential


def test_leaving_respondents_out_never_lowers_the_effect_in_a_fixed_scope():
    rng = np.random.default_rng(3)
    x, y = rng.random(80), rng.random(80)
    scope = Scope(0, 1, 0, 1)
    low, high = effects_without(x, y, scope, most=5)
    assert low == effect(x, y, scope=scope) < high


def test_one_respondent_in_the_corner_is_found_out():
    rng = np.random.default_rng(4)
    x = rng.random(100)
    y = x * rng.random(100)
    x[0], y[0] = x.min(), y.max()
    low, high = effects_without(x, y, None, most=1)
    assert effect(x, y) == 0 and low == 0 and high == pytest.approx(effect(x[1:], y[1:]))


def test_respondents_on_one_point_leave_together_or_not_at_all():
    x, y = np.array([0.0, 0, 0, 1, 1, 1, 1]), np.array([1.0, 1, 0, 0, 1, 1, 0])
    assert effects_without(x, y, Scope(0, 1, 0, 1), most=1)[1] == 0
    assert effects_without(x, y, Scope(0, 1, 0, 1), most=2)[1] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", [None, Scope(0, 7, 0, 7)])
def test_who_is_left_gives_the_smallest_and_the_largest_effect(kind, scope):
    rng = np.random.default_rng(9)
    for most in (0, 1, 4):
        x, y = rng.integers(1, 7, (2, 60)).astype(float)
        ends = effects_without(x, y, scope, kind=kind, most=most)
        for stays, expected in zip(less_influential(x, y, scope, kind=kind, most=most), ends):
            assert 0 <= (~stays).sum() <= most
            assert effect(x[stays], y[stays], kind, scope) == pytest.approx(expected, abs=1e-9)  # rounding of areas


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_left_out_changes_nothing(kind):
    x, y = PEOPLE["scale_a"].to_numpy(), PEOPLE["outcome"].to_numpy()
    assert effects_without(x, y, None, kind=kind, most=0) == pytest.approx([effect(x, y, kind)] * 2)


# Tests


def test_p_values_count_the_observed_one():
    assert p_value(0.5, np.array([0.1, 0.5, 0.2])) == 2 / 4


def test_both_nulls_keep_the_answers():
    rng = np.random.default_rng(5)
    x, y = PEOPLE["item"].to_numpy(float), PEOPLE["outcome"].to_numpy()
    scope = observed_scope(x, y)
    for null in (permuted_effects, matched_effects, spread_effects):
        drawn = null(x, y, scope, n_permutations=50, rng=rng)
        assert drawn.shape == (50,) and ((drawn >= 0) & (drawn < 1)).all()


def test_a_planted_mean_and_spread_are_found():
    rng = np.random.default_rng(8)
    x = rng.normal(size=20_000)
    middle, spread = location_and_spread(x, 0.3 - x + 0.2 * x**2 + np.exp(-0.5 + 0.3 * x) * rng.normal(size=len(x)))
    inner = np.abs(x) < 2
    np.testing.assert_allclose(middle[inner], (0.3 - x + 0.2 * x**2)[inner], atol=0.06)  # four standard errors
    np.testing.assert_allclose(spread[inner], np.exp(-0.5 + 0.3 * x)[inner], rtol=0.05)  # four standard errors


def test_an_outcome_that_follows_exactly_has_the_smallest_spread():
    x = np.linspace(-2, 2, 50)
    middle, spread = location_and_spread(x, x)
    np.testing.assert_allclose(middle, x, atol=1e-9)  # rounding
    assert np.isfinite(spread).all() and (spread > 0).all()


def test_equal_spread_makes_both_nulls_of_correlation_alike():
    rng = np.random.default_rng(10)
    x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 2000).T
    scope = observed_scope(x, y)
    means = [null(x, y, scope, n_permutations=200, rng=rng).mean() for null in (matched_effects, spread_effects)]
    assert means[0] == pytest.approx(means[1], abs=0.02)  # fitted parabola and spread of 2,000 respondents


def test_the_correlation_behind_stepped_answers_is_found():
    rng = np.random.default_rng(6)
    normal = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 20_000)
    steps = np.clip(np.round(normal + 3), 1, 5)
    assert latent_correlation(*steps.T) == pytest.approx(0.6, abs=0.02)  # three standard errors of 20,000 respondents


def likert(rng, trait):
    return np.clip(np.rint(3.2 + 0.8 * trait[:, None] + rng.normal(0, 0.8, (len(trait), 4))), 1, 5).mean(axis=1)


def rejections(draw, rounds=40, n=150, seed=7, nulls=(permuted_effects, matched_effects), every=False):
    """Share of data sets in which each null is rejected, or all are."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rounds):
        x, y = draw(rng, n)
        scope, d = observed_scope(x, y), effect(x, y)
        drawn = [null(x, y, scope, n_permutations=99, rng=rng) for null in nulls]
        found.append([p_value(d, each) < 0.05 for each in drawn])
    return np.all(found, axis=1).mean() if every else np.mean(found, axis=0)


@pytest.mark.parametrize("correlation", [0.5, 0.8])
def test_correlation_alone_is_not_called_necessary(correlation):
    def draw(rng, n):
        traits = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n)
        return likert(rng, traits[:, 0]), likert(rng, traits[:, 1])

    permuted, matched = rejections(draw)
    assert permuted > 0.5  # what is wrong with the usual test
    assert matched <= 0.15  # 7 or more of 40 at a level of 5 % have a chance of .3 %


def spreading(rng, n):
    x = rng.normal(size=n)
    return x, 0.5 * x + np.exp(0.2 * x) * rng.normal(size=n)


def counted(rng, n):
    x = rng.normal(size=n)
    return x, rng.poisson(np.exp(0.3 + 0.6 * x)).astype(float)


@pytest.mark.parametrize("draw", [spreading, counted])
def test_an_outcome_that_spreads_more_is_seldom_called_necessary(draw):
    nulls = (matched_effects, spread_effects)
    matched, both = rejections(draw, n=200, nulls=nulls)[0], rejections(draw, n=200, nulls=nulls, every=True)
    assert matched > 0.15  # what is wrong with the null of equal spread
    assert both <= 0.25  # more than 10 of 40 at a rate of 10 % (as simulated) have a chance of .1 %


def test_a_hard_ceiling_is_told_from_unequal_spread():
    def draw(rng, n):
        x = rng.random(n)
        return x, rng.random(n) * np.minimum(1, 0.2 + x)

    assert rejections(draw, n=200, nulls=(matched_effects, spread_effects), every=True) >= 0.8


def test_a_planted_ceiling_is_found_by_both():
    def draw(rng, n):
        x = rng.random(n)
        return x, rng.random(n) * np.minimum(1, 0.2 + x)

    assert (rejections(draw) >= 0.8).all()
