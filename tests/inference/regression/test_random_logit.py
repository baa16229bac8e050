"""Laws of `smstudy.inference.regression.random_logit`; glmer in tests/models/nested/test_multilevels.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from smstudy.errors import EstimationError
from smstudy.inference.regression import random_logit as module
from smstudy.inference.regression.logistic import logistic
from smstudy.inference.regression.random_logit import random_logit

NAMES = ["(intercept)", "x"]


def drawn(n_groups=20, size=8, *, seed=0, deviation=1.0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), size)
    x = np.column_stack([np.ones(len(groups)), rng.normal(size=len(groups))])
    odds = x @ [-0.3, 0.8] + deviation * rng.normal(size=n_groups)[groups]
    return x, (rng.random(len(groups)) < expit(odds)) * 1.0, groups


def likelihood(x, y, groups, coefficients, deviation):
    """Log likelihood by an integrator that knows nothing of nodes."""
    line, total = x @ coefficients, 0.0
    for group in np.unique(groups):
        own, signs = line[groups == group], 2 * y[groups == group] - 1
        inside = lambda z, own=own, signs=signs: expit(signs * (own + deviation * z)).prod() * norm.pdf(z)  # noqa: E731
        total += np.log(quad(inside, -9, 9, epsabs=0, epsrel=1e-12)[0])
    return total


def test_the_likelihood_is_the_integral():
    x, y, groups = drawn()
    fit = random_logit(x, y, groups, names=NAMES)
    expected = likelihood(x, y, groups, fit.coefficients, fit.deviation)
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-9)  # 25 nodes


def test_no_place_beside_the_estimate_is_better():
    x, y, groups = drawn(seed=1)
    fit = random_logit(x, y, groups, names=NAMES)
    for change in np.vstack([np.eye(3), -np.eye(3)]) * 1e-2:
        near = likelihood(x, y, groups, fit.coefficients + change[:2], fit.deviation + change[2])
        assert near < fit.log_likelihood


def test_derivatives_are_those_of_the_likelihood():
    x, y, groups = drawn(seed=2)
    data = module._Sorted(x, y, np.arange(20) * 8, np.full(20, 8))
    at, step = np.array([-0.2, 0.6, 0.9]), 1e-5
    here = module._slopes(at, data)
    beside = [[module._slopes(at + sign * step * axis, data) for sign in (1, -1)] for axis in np.eye(3)]
    slopes = [(up.value - down.value) / (2 * step) for up, down in beside]
    bends = [(up.gradient - down.gradient) / (2 * step) for up, down in beside]
    np.testing.assert_allclose(here.gradient, slopes, rtol=1e-6)  # differences of values near 100
    np.testing.assert_allclose(here.curvature, bends, rtol=1e-6, atol=1e-7)  # differences of gradients


def test_memory_blocks_change_nothing(monkeypatch):
    x, y, groups = drawn(seed=3)
    once = random_logit(x, y, groups, names=NAMES)
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 25 * 20)
    again = random_logit(x, y, groups, names=NAMES)
    np.testing.assert_allclose(once.coefficients, again.coefficients, rtol=1e-9)  # sums in another order


def test_without_differences_it_is_the_plain_logit():
    fits = [(drawn(deviation=0.0, seed=seed), seed) for seed in range(8)]
    found = [(data, random_logit(*data, names=NAMES)) for data, _ in fits]
    singular = [(data, fit) for data, fit in found if fit.singular]
    assert singular
    for (x, y, _), fit in singular:
        plain = logistic(x, y, names=NAMES)
        np.testing.assert_allclose(fit.coefficients, plain.coefficients, rtol=1e-7)  # two searches
        np.testing.assert_allclose(fit.covariance, plain.bread, rtol=1e-6)  # as above
        assert fit.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-10)  # flat there
        assert fit.deviation == 0 and np.isnan(fit.deviation_error)


def test_groups_that_tell_the_outcome_are_refused():
    x, _, groups = drawn()
    with pytest.raises(EstimationError):
        random_logit(x, (groups % 2) * 1.0, groups, names=NAMES)
