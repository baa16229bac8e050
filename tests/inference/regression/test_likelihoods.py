"""Laws of the search for a maximum, of equal rows, and of the families that share them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import EstimationError
from smstudy.inference.regression.counts import INFLATED, count_fit
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import Slopes, distinct_rows, leverages, maximize
from smstudy.inference.regression.logistic import logistic
from smstudy.inference.regression.multinomial import multinomial_fit
from smstudy.inference.regression.ordinal import ordinal_fit
from smstudy.inference.regression.probit import probit

RNG = np.random.default_rng(11)
N = 300
X = np.column_stack([np.ones(N), RNG.normal(size=N), RNG.integers(0, 2, N)]).astype(float)
LINE = X @ [0.3, 0.5, -0.4]
POSTS = RNG.negative_binomial(1.5, 1.5 / (1.5 + np.exp(LINE))) * (RNG.random(N) < 0.8) * 1.0
STEPS = np.searchsorted([-1, 0.5, 1.5], LINE + RNG.logistic(size=N))
NAMES = ["(intercept)", "a", "b"]
FITS = {
    "ordinal logit": lambda w: ordinal_fit(X[:, 1:], STEPS, names=NAMES[1:], weights=w),
    "ordinal probit": lambda w: ordinal_fit(X[:, 1:], STEPS, names=NAMES[1:], weights=w, link="probit"),
    "multinomial": lambda w: multinomial_fit(X, STEPS, names=NAMES, weights=w),
    **{
        family: lambda w, family=family: count_fit(
            X, POSTS, names=NAMES, family=family, zero=X[:, :1], zero_names=NAMES[:1], weights=w
        )
        for family in ("poisson", "negative_binomial", *INFLATED)
    },
}


@pytest.mark.parametrize("name", list(FITS))
def test_scores_add_up_to_zero_at_the_maximum(name):
    fit = FITS[name](np.arange(N) % 3 + 1.0)
    assert np.abs(fit.weights @ fit.scores @ fit.covariance).max() < 1e-8  # in units of the estimates


@pytest.mark.parametrize("name", list(FITS))
def test_weights_stand_for_repeated_rows(name):
    weighted = FITS[name](np.full(N, 2.0))
    plain = FITS[name](None)
    np.testing.assert_allclose(weighted.parameters, plain.parameters, rtol=1e-7, atol=1e-9)  # two searches
    np.testing.assert_allclose(weighted.covariance * 2, plain.covariance, rtol=1e-6, atol=1e-10)  # as above, squared
    assert weighted.log_likelihood == pytest.approx(2 * plain.log_likelihood, rel=1e-10)  # flat at the top


@pytest.mark.parametrize("name", [name for name in FITS if name != "negative_binomial"])
def test_the_covariance_is_the_inverse_of_minus_the_slopes_of_the_scores(name):
    """Contributions foretell how estimates change with weights; glm.nb's errors are from another information."""
    plain, step = FITS[name](None), 1e-4
    moved = FITS[name](1 + step * (np.arange(N) == 7))
    expected = plain.contributions[7] * step
    np.testing.assert_allclose(moved.parameters - plain.parameters, expected, atol=20 * step**2)  # first order


def test_equal_rows_change_nothing():
    few, place = np.unique(np.round(X[:60]), axis=0), np.arange(N) % 9
    x, answers = few[place % len(few)], STEPS
    shuffled = x + np.column_stack([np.zeros(N), np.arange(N) * 1e-13, np.zeros(N)])
    grouped, single = (ordinal_fit(each[:, 1:], answers, names=NAMES[1:]) for each in (x, shuffled))
    np.testing.assert_allclose(grouped.parameters, single.parameters, rtol=1e-6, atol=1e-8)  # rows differ by 1e-13
    np.testing.assert_allclose(grouped.scores, single.scores, rtol=1e-5, atol=1e-8)  # as above, times the slopes


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.5])), min_size=20, max_size=60))
@settings(max_examples=40, deadline=None)
def test_distinct_rows_give_every_row_back(rows):
    columns = [np.array(column, dtype=float) for column in zip(*rows, strict=True)]
    found = distinct_rows(columns, np.ones(len(rows)))
    if found is not None:
        for column in columns:
            assert (column[found.first][found.place] == column).all()
        assert found.counts.sum() == len(rows)


def test_rows_that_all_differ_are_left_alone():
    assert distinct_rows([np.arange(10.0)], np.ones(10)) is None


def test_leverages_are_those_of_least_squares():
    expected = least_squares(X, POSTS, names=NAMES).hat
    np.testing.assert_allclose(leverages(X), expected, atol=1e-12)  # two ways to one projection


def test_a_surface_without_a_top_gives_nothing():
    assert maximize(lambda at: Slopes(float(at[0]), np.ones(1), np.zeros((1, 1))), np.zeros(1), n=1.0) is None


def test_a_saddle_is_left_behind():
    def bowl(at: np.ndarray) -> Slopes:
        x = at[0]
        return Slopes(-(x**4) / 4 + x**2 / 2, np.array([-(x**3) + x]), np.array([[3 * x**2 - 1]]))

    at, _ = maximize(bowl, np.array([0.1]), n=1.0)
    assert at[0] == pytest.approx(1.0)


def test_an_ordinal_model_of_two_answers_is_a_probit():
    y = (STEPS > 1) * 1
    two = ordinal_fit(X[:, 1:], y, names=NAMES[1:], link="probit")
    fit = probit(X, y.astype(float), names=NAMES)
    np.testing.assert_allclose(fit.coefficients, [-two.thresholds[0], *two.coefficients], rtol=1e-7)  # two searches


def test_a_probit_is_near_a_logit_over_1_6():
    y = (STEPS > 1) * 1.0
    ratio = logistic(X, y, names=NAMES).coefficients[1] / probit(X, y, names=NAMES).coefficients[1]
    assert 1.5 < ratio < 1.8  # Amemiya (1981): about 1.6 to 1.7


def test_separated_choices_are_refused_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fit in (multinomial_fit, probit):
            with pytest.raises(EstimationError, match="separated"):
                fit(X, (X[:, 2] > 0) * 1, names=NAMES)
