"""Laws of `smstudy.inference.randomization`: every way once, drawn where there are too many, and an exact level."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.randomization import N_DRAWS, assignments, count_assignments, randomization_p


@pytest.mark.parametrize("labels", [[1, 0, 0, 0], [1, 1, 0, 0, 2, 2], [3, 3, 3], [2, 0, 1]])
def test_every_way_is_there_once(labels):
    labels = np.array(labels)
    ways = assignments(labels)
    assert len(ways) == len(np.unique(ways, axis=0)) == count_assignments(labels)
    assert (np.sort(ways, axis=1) == np.sort(labels)).all()
    assert (ways == labels).all(axis=1).any()


def test_too_many_ways_are_drawn_from_a_seed_and_begin_with_what_happened():
    labels = np.repeat([0, 1], 12)
    ways = assignments(labels, seed=3)
    assert len(ways) == N_DRAWS + 1 and (ways[0] == labels).all()
    assert (ways.sum(axis=1) == 12).all()
    np.testing.assert_array_equal(ways, assignments(labels, seed=3))
    assert (ways != assignments(labels, seed=4)).any()


def test_drawn_ways_choose_every_unit_equally_often():
    shares = assignments(np.repeat([0, 1], 12))[1:].mean(axis=0)
    assert (np.abs(shares - 0.5) < 4 * 0.5 / N_DRAWS**0.5).all()  # 4 standard errors, 24 units


def test_p_counts_what_happened_and_ties():
    assert randomization_p(np.array([1.0, 1 - 1e-13, -1.0, 0.5]), 1.0) == 0.75
    assert randomization_p(np.array([1.0, np.nan, 0.5]), 1.0) == 0.5


def test_level_is_exact_over_all_assignments():
    """Whatever the data, a share of at most 5 % of the assignments has a p below 5 %."""
    rng = np.random.default_rng(1)
    for values in (rng.normal(size=8), rng.exponential(size=8), np.arange(8.0)):
        ways = assignments(np.array([1, 1, 1, 0, 0, 0, 0, 0]))
        gaps = np.array([values[way == 1].mean() - values[way == 0].mean() for way in ways])
        p_values = np.array([randomization_p(gaps, gap) for gap in gaps])
        assert (p_values <= 0.05).mean() <= 0.05
