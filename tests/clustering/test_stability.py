from __future__ import annotations

import numpy as np

from smstudy.clustering.kmeans import fit
from smstudy.clustering.stability import bootstrap_stability, jaccard
from smstudy.inference.lloyd import standardize


def test_agrees_with_fpc_clujaccard(reference):
    place = np.array(reference["fits"][1]["place"]) - 1
    again = np.array(reference["again"]) - 1
    drawn = np.zeros(again.shape, dtype=bool)
    for row, draws in zip(drawn, reference["draws"], strict=True):
        row[np.array(draws) - 1] = True
    np.testing.assert_allclose(jaccard(place, again, drawn, 3), reference["jaccard"], atol=1e-14)  # ratios of counts


def test_the_same_groups_under_other_names_are_fully_alike():
    place = np.array([0, 0, 1, 1, 2])
    assert jaccard(place, np.array([[2, 2, 0, 0, 1]]), np.ones((1, 5), dtype=bool), 3).tolist() == [[1.0, 1.0, 1.0]]


def test_a_group_split_in_half_is_half_alike():
    place = np.zeros(4, dtype=int)
    assert jaccard(place, np.array([[0, 0, 1, 1]]), np.ones((1, 4), dtype=bool), 2)[0, 0] == 0.5


def test_far_groups_are_stable_and_wrong_numbers_are_not(planted):
    z = standardize(planted(280, 1, separation=2.5).to_numpy())
    lowest = {}
    for k in (4, 6):
        centers, place, _ = fit(z, k, seed=1, n_init=20)
        lowest[k] = bootstrap_stability(z, place, centers, n_boot=40, rng=np.random.default_rng(1)).min()
    assert lowest[4] > 0.9 > lowest[6]
