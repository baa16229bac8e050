"""Laws of the likelihood: slopes and curvature are those of differences, gaps included."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.factor_models.curvature import curvature
from smstudy.inference.factor_models.likelihood import discrepancy, first_order, information, pieces_of, slope
from smstudy.inference.factor_models.structures import freed, measurement_model, tied

ITEMS = [f"x{i}" for i in range(9)]
THREE = {"a": ITEMS[:3], "b": ITEMS[3:6], "c": ITEMS[6:]}
STEP = 1e-5


def two_groups():
    method = {**THREE, "m": ["x0", "x4", "x8"]}
    model = measurement_model(ITEMS, method, uncorrelated=["m"], correlated_errors=[("x1", "x5")], n_groups=2)
    return tied(freed(model, "factor_means", [(1, 0, 0), (1, 1, 0)]), "loadings")


def second_order():
    model = measurement_model(ITEMS, THREE, higher={"g": ["a", "b", "c"]})
    model = freed(model, "regressions", [(0, 0, 1)], start=0.2)
    return freed(model, "factor_means", [(0, 0, 0), (0, 3, 0)])


@pytest.fixture(params=[two_groups, second_order])
def model(request):
    return request.param()


@pytest.fixture
def answers(model):
    rng = np.random.default_rng(1)
    found = [1 + rng.normal(size=(40, 9)) @ rng.normal(size=(9, 9)) for _ in range(model.n_groups)]
    for each in found:
        each[::3, :3] = np.nan
        each[1::5, 7] = np.nan
    return found


@pytest.fixture
def at(model):
    parameters = np.random.default_rng(2).normal(0.5, 0.2, model.n_parameters)
    for group in range(model.n_groups):
        parameters[np.diag(model.places["residuals"][group])] = 3.0
    return parameters


def differences(number, at):
    """Central differences, one row per parameter; right to about 1e-10 for steps of 1e-5."""
    return np.array([(number(at + step) - number(at - step)) / (2 * STEP) for step in STEP * np.eye(len(at))])


def test_slopes_are_those_of_differences(model, answers, at) -> None:
    pieces, _ = pieces_of(answers)
    numeric = differences(lambda point: discrepancy(model, pieces, point), at)
    assert slope(model, pieces, at).by_parameter == pytest.approx(numeric, abs=1e-7)  # see differences()


def test_observed_information_is_that_of_differences(model, answers, at) -> None:
    pieces, _ = pieces_of(answers)
    numeric = differences(lambda point: slope(model, pieces, point).by_parameter, at) / 2
    assert information(model, pieces, at, "observed") == pytest.approx(numeric, abs=1e-7)  # see differences()


def test_curvature_is_that_of_differences_of_weighted_moments(model, at) -> None:
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(model.n_groups, 9, 9))
    weights, by_mean = weights + weights.mT, rng.normal(size=(model.n_groups, 9))

    def weighted_slopes(point):
        slopes = model.slopes(point)
        return slopes.gradient(weights, by_mean, model.n_parameters)

    assert curvature(model, at, weights, by_mean) == pytest.approx(differences(weighted_slopes, at), abs=1e-7)


def test_expected_information_is_the_mean_of_products_of_slopes(model, at) -> None:
    rng = np.random.default_rng(4)
    moments = model.moments(at)
    answers = [
        rng.multivariate_normal(mean, covariance, 60_000)
        for mean, covariance in zip(moments.means, moments.covariances, strict=True)
    ]
    pieces, rows = pieces_of(answers)
    expected, products = information(model, pieces, at, "expected"), first_order(model, pieces, rows, at)
    spread = np.sqrt(np.diag(expected))
    assert products / np.outer(spread, spread) == pytest.approx(
        expected / np.outer(spread, spread), abs=0.06
    )  # 60,000 products: three or four of their standard errors


def test_slopes_of_single_respondents_add_up(model, answers, at) -> None:
    """The mean product of slopes is that of slopes taken by differences, one respondent at a time."""
    pieces, rows = pieces_of(answers)
    total = np.zeros((model.n_parameters,) * 2)
    for group, each in enumerate(answers):
        for person in each:
            alone = pieces_of([person[None, :]])[0]._replace(groups=np.array([group]))
            mine = -slope(model, alone, at).by_parameter / 2
            total += np.outer(mine, mine)
    assert first_order(model, pieces, rows, at) == pytest.approx(total / pieces.n.sum(), rel=1e-9)  # rounding
