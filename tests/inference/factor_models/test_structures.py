"""Factor models as matrices."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.factor_models.structures import FIXED, fixed, freed, measurement_model, tied, with_starts

ITEMS = [f"x{i}" for i in range(9)]
THREE = {"a": ITEMS[:3], "b": ITEMS[3:6], "c": ITEMS[6:]}
STEP = 1e-6


def two_groups():
    method = {**THREE, "m": ["x0", "x4", "x8"]}
    model = measurement_model(ITEMS, method, uncorrelated=["m"], correlated_errors=[("x1", "x5")], n_groups=2)
    return tied(freed(model, "factor_means", [(1, 0, 0), (1, 1, 0)]), "loadings")


def second_order():
    model = measurement_model(ITEMS, THREE, higher={"g": ["a", "b", "c"]})
    return freed(model, "factor_means", [(0, 0, 0), (0, 3, 0)])


@pytest.fixture(params=[two_groups, second_order])
def model(request):
    return request.param()


@pytest.fixture
def parameters(model):
    return np.random.default_rng(1).normal(0.5, 0.2, model.n_parameters)


def differences(number, parameters):
    """Central differences, one row per parameter."""
    steps = STEP * np.eye(len(parameters))
    return np.array([(number(parameters + step) - number(parameters - step)) / (2 * STEP) for step in steps])


def test_covariances_are_what_factors_and_residuals_make():
    model = with_starts(
        measurement_model(["a", "b", "c", "d"], {"f": ["a", "b"], "g": ["c", "d"]}), loadings=np.array(0.5)
    )
    cells = model.at(model.start())
    by_hand = cells["loadings"][0] @ cells["factor_covariances"][0] @ cells["loadings"][0].T + cells["residuals"][0]
    assert np.array_equal(model.moments(model.start()).covariances[0], by_hand)


def test_slopes_are_those_of_differences(model, parameters):
    slopes, q = model.slopes(parameters), model.n_parameters
    for group in range(model.n_groups):
        numeric = differences(lambda at, g=group: model.moments(at).covariances[g], parameters)
        numeric_means = differences(lambda at, g=group: model.moments(at).means[g], parameters)
        # central differences with steps of 1e-6 are right to about 1e-9 of slopes near 1
        assert slopes.covariances(group, q) == pytest.approx(numeric, abs=1e-7)
        assert slopes.mean_elements(group, q) == pytest.approx(numeric_means.T, abs=1e-7)


def test_elements_are_cells_of_the_covariance_slopes(model, parameters):
    rows, columns = np.tril_indices(len(ITEMS), -1)
    slopes, q = model.slopes(parameters), model.n_parameters
    for group in range(model.n_groups):
        some = slopes.elements(group, q, rows, columns)
        assert some == pytest.approx(
            slopes.covariances(group, q)[:, rows, columns].T, abs=1e-14
        )  # sums in another order


def test_gradient_is_that_of_a_number_of_the_moments(model, parameters):
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(model.n_groups, 9, 9))
    weights, by_mean = weights + weights.mT, rng.normal(size=(model.n_groups, 9))

    def number(at):
        moments = model.moments(at)
        return (weights * moments.covariances).sum() + (by_mean * moments.means).sum()

    gradient = model.slopes(parameters).gradient(weights, by_mean, model.n_parameters)
    assert gradient == pytest.approx(differences(number, parameters), abs=1e-6)  # differences of a sum of 200 terms


def test_tied_cells_are_one_parameter_and_kept_ones_are_not():
    model = measurement_model(ITEMS, THREE, n_groups=3)
    keep = np.zeros((9, 3), bool)
    keep[4, 1] = True
    assert model.n_parameters - tied(model, "loadings").n_parameters == 2 * 9
    assert model.n_parameters - tied(model, "loadings", keep).n_parameters == 2 * 8


def test_freeing_and_fixing_again_changes_nothing():
    model = measurement_model(ITEMS, THREE)
    again = fixed(freed(model, "residuals", [(0, 1, 0)], 0.3), "residuals", [(0, 1, 0)], 0.0)
    assert all(np.array_equal(again.places[name], model.places[name]) for name in model.places)
    assert all(np.array_equal(again.values[name], model.values[name]) for name in model.values)


def test_changing_a_model_leaves_the_first_as_it_was():
    model = measurement_model(ITEMS, THREE)
    freed(model, "residuals", [(0, 1, 0)])
    assert model.places["residuals"][0, 0, 1] == FIXED
    assert model.n_parameters == 9 + 3 + 9 + 9
