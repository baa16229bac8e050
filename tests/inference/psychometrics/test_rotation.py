"""Laws of rotation: R's turned loadings, what no rotation may change, brute force, local minima."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from smstudy.inference.psychometrics import rotation as module
from smstudy.inference.psychometrics.rotation import complexities, explained_variances, rotate

HERE = Path(__file__).parents[2] / "reference"
R = json.loads((HERE / "factors.json").read_text(encoding="utf-8"))["cases"]
CASES = list(R)
METHODS = ["oblimin", "varimax", "promax"]
SIGNS = (-1, 1)


def unrotated(case: str) -> np.ndarray:
    return np.array(R[case]["minres"]["loadings"])


def quartimin(loadings: np.ndarray) -> float:
    squares = loadings**2
    return float((squares.sum(axis=1) ** 2 - (squares**2).sum(axis=1)).sum() / 4)


def matched(loadings: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring R's factors into our order and signs."""
    straight = np.abs(loadings[:, :, None] - expected[:, None]).max(axis=0)
    turned = np.abs(loadings[:, :, None] + expected[:, None]).max(axis=0)
    rows, order = linear_sum_assignment(np.minimum(straight, turned))
    return order, np.where(straight < turned, 1.0, -1.0)[rows, order]


def assert_same(found, loadings, correlations, tolerance):
    expected = np.array(loadings)
    order, signs = matched(found.loadings, expected)
    assert found.loadings == pytest.approx(expected[:, order] * signs, abs=tolerance)
    turned = np.array(correlations)[np.ix_(order, order)] * np.outer(signs, signs)
    assert found.correlations == pytest.approx(turned, abs=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_varimax_agrees_with_stats_varimax(case):
    expected, m = R[case]["rotation"], R[case]["m"]
    # at a flat optimum a relative change of 1e-15 of the criterion leaves angles of about 1e-7
    assert_same(rotate(unrotated(case), "varimax"), expected["varimax"], np.eye(m), 1e-6)
    assert_same(rotate(unrotated(case), "varimax", kaiser=False), expected["varimax_bare"], np.eye(m), 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_promax_agrees_with_stats_promax(case):
    expected = R[case]["rotation"]
    # stats::promax begins with a varimax of its own, here from a varimax at the optimum
    assert_same(rotate(unrotated(case), "promax"), expected["promax"], expected["promax_phi"], 1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kaiser", "name"), [(False, "oblimin"), (True, "kaiser")])
def test_oblimin_agrees_with_gparotation(case, kaiser, name):
    expected = R[case]["rotation"]
    found = rotate(unrotated(case), "oblimin", kaiser=kaiser)
    # GPArotation ends at a slope of 1e-7 at best; where the criterion is flat that is 1e-5 of a loading
    assert_same(found, expected[name], expected[f"{name}_phi"], 1e-5)


@pytest.mark.parametrize("case", CASES)
def test_no_value_is_above_that_of_gparotation(case):
    found = rotate(unrotated(case))
    assert quartimin(found.loadings) <= quartimin(np.array(R[case]["rotation"]["oblimin"])) + 1e-12  # rounding


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_rotation_keeps_communalities_order_and_signs(case, method):
    found = rotate(unrotated(case), method)
    model = found.loadings @ found.correlations @ found.loadings.T
    assert model == pytest.approx(unrotated(case) @ unrotated(case).T, abs=1e-12)  # rounding
    explained = explained_variances(found.loadings, found.correlations)
    assert (np.diff(explained) <= 0).all() and (found.loadings.sum(axis=0) >= 0).all()
    assert explained.sum() == pytest.approx((unrotated(case) ** 2).sum(), rel=1e-12)  # rounding
    assert np.diag(found.correlations) == pytest.approx(np.ones(R[case]["m"]), abs=1e-12)  # rounding


def test_explained_variance_and_complexity_agree_with_psych():
    expected = R["bfi"]["fit"]
    found = rotate(unrotated("bfi"))
    explained = explained_variances(found.loadings, found.correlations)
    assert explained == pytest.approx(sorted(expected["explained"], reverse=True), abs=1e-5)  # as oblimin
    assert complexities(found.loadings) == pytest.approx(expected["complexity"], abs=1e-4)  # squares of ratios of these


def test_simple_structure_stays_as_it_is():
    simple = np.kron(np.eye(2), np.array([[0.8], [0.7], [0.6]]))
    angle = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    for method in METHODS:
        assert_same(rotate(simple @ angle, method), simple, np.eye(2), 1e-7)  # steps end at a slope of 1e-9


def test_one_factor_stays_but_for_its_sign():
    loadings = -np.array([[0.5], [0.6], [0.7]])
    for method in METHODS:
        assert (rotate(loadings, method).loadings == -loadings).all()


def test_a_slope_of_zero_is_reached_from_any_turn_of_the_same_factors():
    rng = np.random.default_rng(5)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    straight, turned = rotate(unrotated("bfi")), rotate(unrotated("bfi") @ turn)
    assert turned.loadings == pytest.approx(straight.loadings, abs=1e-7)  # steps end at a slope of 1e-9


def test_no_small_turn_does_better_than_oblimin():
    found = rotate(unrotated("bfi"))
    rng, here = np.random.default_rng(6), quartimin(found.loadings)
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(50):
            root = np.linalg.cholesky(found.correlations).T
            tried = root @ (np.eye(5) + size * rng.standard_normal((5, 5)))
            tried = tried / np.sqrt((tried**2).sum(axis=0))
            assert quartimin(found.loadings @ root.T @ np.linalg.inv(tried).T) >= here - 1e-12  # rounding


def test_local_minima_are_counted():
    rng = np.random.default_rng(7)
    found = rotate(rng.standard_normal((8, 4)) * rng.uniform(0, 1, (8, 4)) ** 3)
    assert 1 <= found.n_agreed < found.n_starts
    assert rotate(unrotated("holzinger")).n_agreed == rotate(unrotated("holzinger")).n_starts


def test_every_case_has_one_minimum_whatever_the_random_turns():
    for case in CASES:
        here = quartimin(rotate(unrotated(case)).loadings)
        for seed in range(2, 7):
            again = rotate(unrotated(case), seed=seed)
            assert quartimin(again.loadings) == pytest.approx(here, rel=1e-12)  # ends at a slope of 1e-9, squared
            assert again.n_agreed == again.n_starts


def test_a_minimum_that_few_starts_reach_is_found():
    loadings = 0.4 * np.random.default_rng(321).standard_normal((10, 4))
    found = rotate(loadings)
    assert found.n_agreed < found.n_starts / 2
    for seed in range(2, 7):
        assert quartimin(rotate(loadings, seed=seed).loadings) >= quartimin(found.loadings) - 1e-12  # rounding


@pytest.mark.parametrize("seed", range(5))
def test_larger_loadings_turn_the_same_way(seed):
    loadings = 0.4 * np.random.default_rng(seed).standard_normal((10, 4))
    small, large = rotate(loadings), rotate(5 * loadings)
    assert large.loadings == pytest.approx(5 * small.loadings, abs=1e-6)  # steps end at a slope of 1e-9 of either


def test_slopes_are_those_of_small_moves():
    rng = np.random.default_rng(8)
    loadings, m = rng.standard_normal((10, 3)), 3
    turns = module._normalized(rng.standard_normal((1, m, m)))

    def value(moves: np.ndarray) -> float:
        moved = module._normalized(turns + turns @ moves.reshape(m, m).T)
        return float(module._criterion(module._turned(loadings, moved))[0])

    turned, correlations = module._turned(loadings, turns), turns.swapaxes(1, 2) @ turns
    gradient = module._gradient(turned, correlations)[0].ravel()
    curvature = module._curvature(turned, correlations)[0].reshape(m * m, m * m)
    size, moves = 1e-4, np.eye(m * m)
    first = np.array([value(size * one) - value(-size * one) for one in moves]) / (2 * size)
    mixed = [[sum(p * q * value(size * (p * a + q * b)) for p in SIGNS for q in SIGNS) for b in moves] for a in moves]
    scale = np.abs(curvature).max()
    assert gradient == pytest.approx(first, abs=1e-6 * scale)  # central differences: errors of size squared
    itself = np.arange(0, m * m, m + 1)  # a factor's move towards itself is not used
    curvature[itself], curvature[:, itself] = 0, 0
    second = np.array(mixed) / (4 * size**2)
    second[itself], second[:, itself] = 0, 0
    assert curvature == pytest.approx(second, abs=1e-5 * scale)  # the same, and rounding over size squared


def test_the_same_seed_gives_the_same_loadings():
    one, other = rotate(unrotated("wiki4he"), seed=3), rotate(unrotated("wiki4he"), seed=3)
    assert (one.loadings == other.loadings).all()
