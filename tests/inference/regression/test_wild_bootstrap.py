"""Laws of `smstudy.inference.regression.wild_bootstrap`: it equals refitting the model for every vector of signs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from smstudy.errors import DataError
from smstudy.inference.regression.covariance import clustered
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.wild_bootstrap import cluster_signs, wild_test

NAMES = ["(intercept)", "a", "b"]


def data(n_clusters=7, n=60, seed=3, effect=0.6):
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)])
    a = rng.normal(size=n_clusters)[groups] + rng.normal(size=n)
    x = np.column_stack([np.ones(n), a, rng.normal(size=n)])
    return x, effect * a + 0.7 * rng.normal(size=n_clusters)[groups] + rng.normal(size=n), groups


def test_of(x, y, groups, place=1, signs=None, **options):
    fit = least_squares(x, y, names=NAMES)
    signs = cluster_signs(groups.max() + 1) if signs is None else signs
    return wild_test(
        fit.basis, fit.root, fit.residuals, groups, place, estimate=fit.coefficients[place], signs=signs, **options
    )


test_of.__test__ = False


def by_refitting(x, y, groups, value, place=1):
    """p of `value`: impose it, turn signs cluster by cluster, fit again, count statistics at least as large."""

    def statistic(outcome):
        fit = least_squares(x, outcome, names=NAMES)
        error = np.sqrt(clustered(fit.influence, fit.residuals, groups, "CR1")[place, place])
        return (fit.coefficients[place] - value) / error

    others = np.delete(x, place, axis=1)
    fitted = value * x[:, place]
    fitted = fitted + others @ np.linalg.lstsq(others, y - fitted, rcond=None)[0]
    observed = abs(statistic(y))
    signs = product([-1.0, 1.0], repeat=groups.max() + 1)
    drawn = [abs(statistic(fitted + np.array(sign)[groups] * (y - fitted))) for sign in signs]
    return np.mean(np.array(drawn) >= observed * (1 - 1e-9))  # ties differ by rounding


@pytest.mark.parametrize("place", [1, 2])
def test_p_equals_the_share_of_all_refitted_models(place):
    x, y, groups = data()
    assert test_of(x, y, groups, place).p_value == by_refitting(x, y, groups, 0.0, place)


def test_the_interval_holds_exactly_the_values_that_refitting_does_not_reject():
    x, y, groups = data()
    found = test_of(x, y, groups, conf_level=0.9)
    width = found.conf_high - found.conf_low
    for end, inward in ((found.conf_low, 1), (found.conf_high, -1)):
        assert by_refitting(x, y, groups, end + inward * 1e-6 * width) > 0.1
        assert by_refitting(x, y, groups, end - inward * 1e-6 * width) <= 0.1


def test_p_is_below_the_level_exactly_if_zero_is_outside_the_interval():
    for seed in range(12):
        found = test_of(*data(n_clusters=9, seed=seed))
        assert (found.p_value <= 0.05) == (not found.conf_low <= 0 <= found.conf_high)


def test_all_signs_up_to_twelve_clusters_then_draws_by_seed():
    assert len(np.unique(cluster_signs(12), axis=0)) == 2048
    assert (cluster_signs(12)[0] == 1).all() and (cluster_signs(12)[:, -1] == 1).all()
    once, again, other = (cluster_signs(13, n_draws=50, seed=seed) for seed in (1, 1, 2))
    assert (once == again).all() and (once != other).any() and once.shape == (51, 13)


def test_draws_come_near_all_signs():
    x, y, groups = data(n_clusters=12, n=120, effect=0.2)
    exact = test_of(x, y, groups)
    rng = np.random.default_rng(8)
    drawn = test_of(x, y, groups, signs=np.vstack([np.ones(12), rng.choice([-1.0, 1.0], (20_000, 12))]))
    margin = 4 * np.sqrt(exact.p_value * (1 - exact.p_value) / 20_000)  # four Monte-Carlo errors
    assert drawn.p_value == pytest.approx(exact.p_value, abs=margin)


def test_five_clusters_are_refused():
    with pytest.raises(DataError, match="too few for a wild bootstrap"):
        cluster_signs(5)


def test_six_clusters_carry_no_interval_of_99_percent():
    found = test_of(*data(n_clusters=6), conf_level=0.99)
    assert np.isnan([found.conf_low, found.conf_high]).all() and found.p_value >= 1 / 32


def test_units_change_nothing():
    x, y, groups = data()
    plain, scaled = test_of(x, y, groups), test_of(x * [1, 1e5, 1], y, groups)
    assert scaled.p_value == plain.p_value
    np.testing.assert_allclose(np.array(scaled[1:]) * 1e5, plain[1:], rtol=1e-8)  # bisection


def test_it_rejects_a_true_null_as_often_as_it_says_with_eight_unequal_clusters():
    """The driver is the cluster's own, where CR1 with the normal distribution rejects far too often."""
    rng, rejected, naive = np.random.default_rng(4), [], []
    groups = np.repeat(np.arange(8), [5, 8, 10, 12, 15, 18, 20, 25])
    for _ in range(400):
        x = np.column_stack([np.ones(len(groups)), rng.normal(size=8)[groups], rng.normal(size=len(groups))])
        y = rng.normal(size=8)[groups] + rng.normal(size=len(groups))
        fit = least_squares(x, y, names=NAMES)
        rejected.append(test_of(x, y, groups).p_value <= 0.05)
        naive.append(fit.coefficients[1] ** 2 > 1.96**2 * clustered(fit.influence, fit.residuals, groups)[1, 1])
    assert np.mean(rejected) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)  # three Monte-Carlo errors
    assert np.mean(naive) > 0.12
