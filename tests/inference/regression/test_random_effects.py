"""Laws of `smstudy.inference.regression.random_effects` and of `likeness`; agreement with R in test_multilevels.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likeness import design_effects, shared_part
from smstudy.inference.regression.mixed import mixed_model
from smstudy.inference.regression.random_effects import (
    boundary_p,
    correlations,
    explained_shares,
    standard_deviations,
)


def test_the_edge_halves_the_p_of_a_single_variance():
    assert boundary_p(3.0, 0) == pytest.approx(stats.chi2.sf(3.0, 1) / 2, rel=1e-12)  # closed form
    assert stats.chi2.sf(3.0, 1) < boundary_p(3.0, 1) < stats.chi2.sf(3.0, 2)
    assert boundary_p(-1e-9, 0) == 1.0


def test_a_test_of_no_variance_holds_its_level():
    rng = np.random.default_rng(3)
    groups, ones = np.repeat(np.arange(30), 10), np.ones((300, 1))
    fits = [mixed_model(ones, rng.normal(size=300), ones, groups) for _ in range(400)]
    p = np.array([boundary_p(2 * (fit.log_likelihood - fit.log_likelihood_without), 0) for fit in fits])
    assert 0.02 < (p < 0.05).mean() < 0.085  # three Monte-Carlo errors of 0.011
    assert 0.3 < np.mean([fit.singular for fit in fits]) < 0.65  # about a half of all estimates is zero


def test_explained_shares_add_up():
    marginal, conditional = explained_shares(2.0, 1.0, 5.0)
    assert (marginal, conditional) == (0.25, 0.375)


def test_intervals_cover_and_stay_positive():
    rng = np.random.default_rng(4)
    groups, ones = np.repeat(np.arange(40), 15), np.ones((600, 1))
    covered = []
    for _ in range(150):
        y = 0.5 * rng.normal(size=40)[groups] + rng.normal(size=600)
        found = standard_deviations(mixed_model(ones, y, ones, groups))
        assert (found.low > 0).all()
        covered.append((found.low <= [0.5, 1.0]) & (found.high >= [0.5, 1.0]))
    assert (np.mean(covered, axis=0) > 0.89).all()  # three Monte-Carlo errors of 0.018


def test_a_correlation_stays_within_its_interval():
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(80), 20)
    x = np.column_stack([np.ones(1600), rng.normal(size=1600)])
    effects = rng.multivariate_normal([0, 0], [[0.5, 0.3], [0.3, 0.5]], size=80)
    found = correlations(mixed_model(x, (x * effects[groups]).sum(axis=1) + rng.normal(size=1600), x, groups))
    assert -1 < found.low[0] < 0.6 < found.high[0] < 1


def test_design_effects_are_those_of_the_true_covariance():
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(8), rng.integers(1, 9, 8))
    n = len(groups)
    x = np.column_stack([np.ones(n), rng.normal(size=8)[groups], rng.normal(size=n)])
    influence = least_squares(x, rng.normal(size=n), names=list("abc")).influence
    true = influence @ (0.7 * np.eye(n) + 0.3 * (groups[:, None] == groups)) @ influence.T
    expected = np.diag(true) / np.diag(influence @ influence.T)
    np.testing.assert_allclose(design_effects(influence, groups, 0.3), expected, rtol=1e-12)  # the same sums


def test_equal_groups_give_kishs_design_effect():
    x = np.column_stack([np.ones(60), np.repeat(np.arange(6.0), 10)])
    influence = least_squares(x, x[:, 1] ** 2, names=["a", "b"]).influence
    effects = design_effects(influence, np.repeat(np.arange(6), 10), 0.05)
    np.testing.assert_allclose(effects, 1 + 9 * 0.05, rtol=1e-12)  # closed form


def test_a_centered_driver_shares_nothing():
    groups = np.repeat(np.arange(5), 4)
    column = np.tile([1.0, -1, 2, -2], 5)
    assert shared_part(column, groups) == 0.0
    assert shared_part(groups.astype(float), groups) == pytest.approx(1.0, rel=1e-12)  # the same sums
