"""Laws of `smstudy.inference.matching`: R's distances, the best of all matchings, and balance."""

from __future__ import annotations

import json
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.matching import balance, distances, match, pooled_covariance

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "pilots.json").read_text())["units"]
UNITS = pd.read_csv(REFERENCE / "pilots_units.csv")
X, TREATED = UNITS[["size", "base"]].to_numpy(float), UNITS["piloted"].to_numpy(bool)


def test_distances_and_balance_agree_with_r():
    np.testing.assert_allclose(distances(X, TREATED).T, R["distance"], rtol=1e-10)  # closed form
    found = balance(X, TREATED, np.sqrt(np.diag(pooled_covariance(X, TREATED))))
    np.testing.assert_allclose(found.difference, R["smd"], rtol=1e-10)  # as above
    np.testing.assert_allclose(found.ratio, R["ratio"], rtol=1e-10)  # as above


def test_distances_do_not_depend_on_units_of_measurement():
    np.testing.assert_allclose(distances(X * [1000, 0.01] + 7, TREATED), distances(X, TREATED), rtol=1e-8)  # rounding


def test_matching_is_the_best_of_all():
    rng = np.random.default_rng(1)
    for _ in range(20):
        distance = rng.random((3, 5))
        best = min(sum(distance[i, j] for i, j in enumerate(way)) for way in permutations(range(5), 3))
        found = match(distance)[:, 0]
        np.testing.assert_allclose(distance[np.arange(3), found].sum(), best)
        assert len(set(found)) == 3


def test_caliper_matches_as_many_as_it_can():
    distance = np.array([[0.1, 0.2, 5.0], [0.1, 5.0, 5.0], [5.0, 5.0, 5.0]])
    assert match(distance, caliper=1).ravel().tolist() == [1, 0, -1]


def best_in_full(distance, ratio, caliper, row=0, used=frozenset()):
    """Most units that get all their matches, and their smallest distance, by trying every way."""
    if row == len(distance):
        return 0, 0.0
    found = [best_in_full(distance, ratio, caliper, row + 1, used)]
    free = [j for j in range(distance.shape[1]) if j not in used and distance[row, j] <= caliper]
    for own in combinations(free, ratio):
        count, apart = best_in_full(distance, ratio, caliper, row + 1, used | set(own))
        found.append((count + 1, apart + distance[row, list(own)].sum()))
    return max(found, key=lambda each: (each[0], -each[1]))


def test_units_get_all_their_matches_or_none_and_as_many_as_can():
    two = np.array([[1.0, 1.2, 9, 9], [9, 1.0, 9, 9]])
    assert match(two, ratio=2, caliper=1.5).tolist() == [[0, 1], [-1, -1]]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        distance, caliper = rng.random((3, 7)), rng.uniform(0.2, 0.7)
        found = match(distance, ratio=2, caliper=caliper)
        full = (found >= 0).all(axis=1)
        assert (full == (found >= 0).any(axis=1)).all() and len(set(found[full].ravel())) == 2 * full.sum()
        apart = np.take_along_axis(distance, np.maximum(found, 0), axis=1)[full].sum()
        count, least = best_in_full(distance, 2, caliper)
        assert full.sum() == count
        np.testing.assert_allclose(apart, least, atol=1e-12)  # the same sum in another order


def test_several_matches_are_nearest_first_and_used_once():
    distance = np.random.default_rng(2).random((3, 9))
    found = match(distance, ratio=2)
    assert len(set(found.ravel())) == 6
    own = np.take_along_axis(distance, found, axis=1)
    assert (own[:, 0] <= own[:, 1]).all()


def test_identical_groups_are_balanced():
    found = balance(np.vstack([X, X]), np.repeat([True, False], len(X)), np.ones(2))
    np.testing.assert_allclose(found.difference, 0, atol=1e-12)  # rounding
    np.testing.assert_allclose(found.ratio, 1, rtol=1e-12)  # rounding


def test_columns_that_repeat_or_do_not_vary_are_refused():
    with pytest.raises(EstimationError, match="determine each other"):
        distances(np.column_stack([X, X[:, 0] * 2]), TREATED)
    with pytest.raises(EstimationError, match="does not vary"):
        distances(np.column_stack([X, TREATED]), TREATED)
