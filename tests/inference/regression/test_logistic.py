"""Laws of `smstudy.inference.regression.logistic`; glm in R: tests/models/regressions/test_regression.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import EstimationError
from smstudy.inference.regression.logistic import log_likelihood, logistic, separated_columns

NAMES = ["(intercept)", "x"]


def with_constant(*columns):
    return np.column_stack([np.ones(len(columns[0])), *columns])


def test_one_level_only_gives_the_log_odds_of_the_share():
    y = np.repeat([0.0, 1.0], [30, 10])
    fit = logistic(np.ones((40, 1)), y, names=NAMES[:1])
    assert fit.coefficients[0] == pytest.approx(np.log(10 / 30), rel=1e-12)  # Newton converges to rounding
    assert fit.bread[0, 0] == pytest.approx(1 / 10 + 1 / 30, rel=1e-10)  # variance of a log odds


def test_a_two_by_two_table_gives_the_log_odds_ratio():
    x = np.repeat([0.0, 0.0, 1.0, 1.0], [20, 10, 8, 22])
    y = np.repeat([0.0, 1.0, 0.0, 1.0], [20, 10, 8, 22])
    fit = logistic(with_constant(x), y, names=NAMES)
    assert fit.coefficients[1] == pytest.approx(np.log(22 * 20 / (8 * 10)), rel=1e-12)  # Newton converges to rounding
    assert np.sqrt(fit.bread[1, 1]) == pytest.approx(np.sqrt(1 / 20 + 1 / 10 + 1 / 8 + 1 / 22), rel=1e-10)  # Woolf


def test_the_estimate_is_a_maximum():
    rng = np.random.default_rng(2)
    x = with_constant(rng.normal(size=200), rng.normal(size=200))
    y = (rng.random(200) < 0.4).astype(float)
    fit = logistic(x, y, names=[*NAMES, "z"])
    np.testing.assert_allclose(x.T @ fit.residuals, 0, atol=1e-8)  # 200 scores of order 1, steps below 1e-11
    moved = [log_likelihood(x @ (fit.coefficients + step), y) for step in rng.normal(scale=0.01, size=(50, 3))]
    assert max(moved) < fit.log_likelihood


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=6, max_size=25))
def test_one_predictor_separates_exactly_if_the_outcomes_do_not_overlap(pairs):
    x, y = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs], float)
    if len(set(x)) < 2 or len(set(y)) < 2:
        return
    zeros, ones = x[y == 0], x[y == 1]
    apart = zeros.max() <= ones.min() or ones.max() <= zeros.min()
    assert ("x" in separated_columns(with_constant(x), y, names=NAMES)) == apart


def test_perfect_separation_is_refused_and_named():
    x = np.arange(40.0)
    with pytest.raises(EstimationError, match='separated: "x" tells'):
        logistic(with_constant(x), (x > 19).astype(float), names=NAMES)


def test_quasi_separation_is_refused_and_named():
    rng = np.random.default_rng(8)
    level = np.repeat([0.0, 1.0], [60, 12])
    y = np.where(level == 1, 1.0, rng.random(72) < 0.5)
    with pytest.raises(EstimationError, match=r'"unit\[Sales\]" tells'):
        logistic(with_constant(rng.normal(size=72), level), y.astype(float), names=[*NAMES, "unit[Sales]"])


def test_separation_by_two_columns_together_is_refused():
    rng = np.random.default_rng(9)
    a, b, c = rng.normal(size=(3, 80))
    with pytest.raises(EstimationError, match='separated: "a" and "b" tell'):
        logistic(with_constant(a, b, c), (a + b > 0).astype(float), names=["(intercept)", "a", "b", "c"])


def test_separation_is_found_in_more_rows_than_are_tried_at_once():
    rng = np.random.default_rng(10)
    a, b = rng.normal(size=(2, 4000))
    y = (a + b > 0).astype(float)
    assert separated_columns(with_constant(a, b), y, names=["(intercept)", "a", "b"])
    y[np.argmin(a + b)] = 1.0
    assert not separated_columns(with_constant(a, b), y, names=["(intercept)", "a", "b"])


def test_a_strong_effect_that_overlaps_is_estimated():
    x = np.linspace(-1, 1, 400)
    y = (x > 0).astype(float)
    y[[195, 204]] = 1 - y[[195, 204]]
    fit = logistic(with_constant(x), y, names=NAMES)
    assert np.isfinite(fit.coefficients).all() and fit.coefficients[1] > 20


def test_repeated_columns_are_refused():
    x = np.arange(20.0)
    with pytest.raises(EstimationError, match="determined by"):
        logistic(with_constant(x, 2 * x), np.tile([0.0, 1.0], 10), names=["(intercept)", "x", "double"])


def test_whole_weights_are_repeated_rows():
    rng = np.random.default_rng(12)
    x = np.column_stack([np.ones(80), rng.normal(size=80)])
    y, weights = (rng.random(80) < 0.5).astype(float), rng.integers(1, 4, 80)
    weighted = logistic(x, y, names=["(intercept)", "a"], weights=weights.astype(float))
    repeated = logistic(np.repeat(x, weights, axis=0), np.repeat(y, weights), names=["(intercept)", "a"])
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-9)  # other sums
    np.testing.assert_allclose(weighted.bread, repeated.bread, rtol=1e-9)  # other sums
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, rel=1e-10)  # other sums


def test_influence_is_what_one_more_respondent_would_change():
    rng = np.random.default_rng(13)
    x = np.column_stack([np.ones(60), rng.normal(size=60)])
    y, weights = (rng.random(60) < 0.5).astype(float), np.ones(60)
    fit = logistic(x, y, names=["(intercept)", "a"])
    heavier = weights.copy()
    heavier[7] += 1e-5
    change = (logistic(x, y, names=["(intercept)", "a"], weights=heavier).coefficients - fit.coefficients) / 1e-5
    np.testing.assert_allclose(change, fit.influence[:, 7] * fit.residuals[7], rtol=1e-4)  # a finite difference
