"""Laws of `smstudy.inference.regression.mixed`: agreement with brute force, derivatives, edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smstudy.errors import DataError, EstimationError
from smstudy.inference.regression import mixed
from smstudy.inference.regression.mixed import Slopes, descend, mixed_model
from smstudy.inference.threads import one_thread


@pytest.fixture(autouse=True)
def few_threads():
    with one_thread():
        yield


def drawn(n_groups=14, *, seed=0, level=0.7, slope=0.5, largest=12):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest, n_groups)
    groups = np.repeat(np.arange(n_groups), sizes)
    n = len(groups)
    x = np.column_stack([np.ones(n), rng.normal(3, 1, n), rng.normal(size=n_groups)[groups]])
    y = x @ [1.0, 0.5, 0.2] + level * rng.normal(size=n_groups)[groups] + rng.normal(size=n)
    return x, y + slope * rng.normal(size=n_groups)[groups] * x[:, 1], x[:, :2], groups


def brute_force(x, y, z, groups, random, variance, *, reml):
    """Log likelihood and the covariance of the coefficients from the n × n covariance matrix."""
    v = (groups[:, None] == groups) * (z @ random @ z.T) + variance * np.eye(len(y))
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    coefficients = np.linalg.solve(information, x.T @ inverse @ y)
    left = y - x @ coefficients
    df = len(y) - x.shape[1] if reml else len(y)
    value = np.linalg.slogdet(v)[1] + left @ inverse @ left + df * np.log(2 * np.pi)
    value += np.linalg.slogdet(information)[1] if reml else 0.0
    return -value / 2, coefficients, np.linalg.inv(information)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("q", [1, 2])
def test_likelihood_and_coefficients_are_those_of_the_whole_covariance_matrix(q, reml):
    x, y, z, groups = drawn()
    fit = mixed_model(x, y, z[:, :q], groups, reml=reml)
    found = brute_force(x, y, z[:, :q], groups, fit.random, fit.sigma**2, reml=reml)
    assert fit.log_likelihood == pytest.approx(found[0], rel=1e-10)  # two closed forms
    np.testing.assert_allclose(fit.coefficients, found[1], rtol=1e-9)  # as above
    np.testing.assert_allclose(fit.covariance, found[2], rtol=1e-8, atol=1e-12)  # an inverse of an inverse


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("q", [1, 2])
def test_no_place_beside_the_estimate_is_better(q, reml):
    x, y, z, groups = drawn(seed=1)
    fit = mixed_model(x, y, z[:, :q], groups, reml=reml)
    rng = np.random.default_rng(2)
    for size in (1e-1, 1e-3):
        for _ in range(20):
            change = np.eye(q) + size * rng.normal(size=(q, q))
            near = change @ fit.random @ change.T, fit.sigma**2 * np.exp(size * rng.normal())
            assert brute_force(x, y, z[:, :q], groups, *near, reml=reml)[0] <= fit.log_likelihood + 1e-9  # rounding


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("q", [1, 2, 3])
def test_derivatives_are_those_of_the_deviance(q, reml):
    x, y, z, groups = drawn(seed=3)
    z = np.column_stack([z, x[:, 2] + np.arange(len(y)) % 3])[:, :q]
    data = mixed._summarized(x, y, z, groups)
    theta = np.random.default_rng(1).normal(scale=0.4, size=q * (q + 1) // 2)
    here, step = mixed._profile(theta, data, reml=reml), 1e-5
    beside = [
        [mixed._profile(theta + sign * step * axis, data, reml=reml) for sign in (1, -1)] for axis in np.eye(len(theta))
    ]
    slopes = [(up.value - down.value) / (2 * step) for up, down in beside]
    bends = [(up.gradient - down.gradient) / (2 * step) for up, down in beside]
    np.testing.assert_allclose(here.gradient, slopes, rtol=1e-6, atol=1e-6)  # differences of values near 100
    np.testing.assert_allclose(here.curvature, bends, rtol=1e-6, atol=1e-6)  # differences of gradients


def test_degrees_of_freedom_follow_from_how_the_variances_are_spread():
    x, y, z, groups = drawn(25, seed=4, largest=10)
    fit = mixed_model(x, y, z, groups)
    lower = np.tril_indices(2)

    def value(at, k):
        factor = np.zeros((2, 2))
        factor[lower] = at[:3]
        return brute_force(x, y, z, groups, factor @ factor.T, np.exp(at[3]), reml=True)[k]

    at = np.append(np.linalg.cholesky(fit.random)[lower], np.log(fit.sigma**2))
    step, axes = 1e-3, np.eye(4)
    bend = np.array(
        [
            [sum(a * b * value(at + step * (a * i + b * j), 0) for a in (1, -1) for b in (1, -1)) for j in axes]
            for i in axes
        ]
    )
    spread = np.linalg.inv(-bend / (4 * step**2))
    slopes = np.array([np.diag(value(at + step * i, 2) - value(at - step * i, 2)) / (2 * step) for i in axes])
    expected = 2 * np.diag(fit.covariance) ** 2 / np.einsum("ik,ij,jk->k", slopes, spread, slopes)
    np.testing.assert_allclose(fit.df, expected, rtol=1e-3)  # second differences of a value near 400


@pytest.mark.parametrize("n_groups", [6, 10])
def test_few_groups_hardly_raise_false_alarms_about_what_groups_share(n_groups):
    rng, alarms = np.random.default_rng(1), []
    for _ in range(400):
        groups = np.repeat(np.arange(n_groups), rng.integers(8, 25, n_groups))
        x = np.column_stack([np.ones(len(groups)), rng.normal(size=n_groups)[groups]])
        y = np.sqrt(0.15) * rng.normal(size=n_groups)[groups] + np.sqrt(0.85) * rng.normal(size=len(groups))
        fit = mixed_model(x, y, x[:, :1], groups)
        statistic = abs(fit.coefficients[1]) / np.sqrt(fit.covariance[1, 1])
        alarms.append(2 * stats.t.sf(statistic, fit.df[1]) < 0.05)
    assert np.mean(alarms) < 0.10  # up to 7 % where half of the fits touch the edge, three Monte-Carlo errors of 1.1 %


def test_three_random_effects_are_fitted():
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(60), 25)
    x = np.column_stack([np.ones(1500), rng.normal(size=(1500, 2))])
    effects = rng.normal(size=(60, 3)) @ np.diag([0.8, 0.5, 0.3])
    y = (x * effects[groups]).sum(axis=1) + rng.normal(size=1500)
    fit = mixed_model(x, y, x, groups)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.random)), [0.8, 0.5, 0.3], atol=0.2)  # 60 groups: errors near 0.07
    np.testing.assert_allclose(fit.sigma, 1.0, atol=0.06)  # three standard errors
    assert not fit.singular and fit.evaluations < 15


def test_a_slope_that_no_group_has_is_singular():
    fits = [mixed_model(*drawn(40, slope=0.0, seed=seed, largest=20)) for seed in range(12)]
    singular = [fit for fit in fits if fit.singular]
    assert singular and len(singular) < 12
    for fit in singular:
        assert np.linalg.det(fit.random) == pytest.approx(0.0, abs=1e-9)  # rounding
        assert np.isfinite(fit.df).all()


def test_a_fit_on_the_edge_is_the_best_there_is():
    fits = [(seed, mixed_model(*drawn(40, slope=0.0, seed=seed, largest=20))) for seed in range(12)]
    for seed, fit in fits:
        x, y, z, groups = drawn(40, slope=0.0, seed=seed, largest=20)
        for more in (np.diag([0.0, 1e-3]), np.diag([1e-3, 0.0]), 1e-3 * np.eye(2)):
            near = brute_force(x, y, z, groups, fit.random + more, fit.sigma**2, reml=True)[0]
            assert near <= fit.log_likelihood + 1e-9  # rounding


def test_groups_that_are_almost_all_of_the_variance_are_fitted():
    x, y, z, groups = drawn(20, level=1e4, slope=0.0, seed=2)
    fit = mixed_model(x, y, z[:, :1], groups)
    assert 5e3 < np.sqrt(fit.random[0, 0]) < 2e4 and 0.7 < fit.sigma < 1.4


def test_what_does_not_differ_within_groups_is_refused():
    x, y, z, groups = drawn()
    for outcome in (groups.astype(float), groups + x[:, 1]):
        with pytest.raises(DataError, match="does not differ within groups"):
            mixed_model(x, outcome, z[:, :1], groups)
    with pytest.raises(DataError, match="give the outcome exactly"):
        mixed_model(x, x @ [1.0, 2.0, 3.0], z[:, :1], groups)


def test_a_search_without_a_minimum_is_refused():
    def falling(at):
        return Slopes(-float(at[0]), np.array([-1.0]), np.array([[0.0]]))

    with pytest.raises(EstimationError, match="The slope did not settle. Stop."), np.errstate(all="ignore"):
        descend(falling, np.array([1.0]), what="The slope", advice="Stop.")


def test_a_search_leaves_a_saddle():
    def saddle(at):
        a, b = at
        return Slopes(a**2 + b**4 - b**2, np.array([2 * a, 4 * b**3 - 2 * b]), np.diag([2.0, 12 * b**2 - 2]))

    at, _ = descend(saddle, np.array([1.0, 0.01]), what="", advice="")
    np.testing.assert_allclose(np.abs(at), [0.0, np.sqrt(0.5)], atol=1e-7)  # the search's own tolerance
