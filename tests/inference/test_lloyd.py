from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from smstudy.inference.lloyd import exchange, fit_many, refine, standardize


@pytest.fixture
def samples() -> np.ndarray:
    return standardize(np.random.default_rng(1).standard_normal((6, 80, 3)))


def test_agrees_with_scikit_learn_from_the_same_start(samples):
    for sample in samples:
        start = sample[:4]
        ours = refine(sample[None], start[None])
        theirs = KMeans(4, init=start, n_init=1, tol=0).fit(sample)
        np.testing.assert_allclose(ours.centers[0], theirs.cluster_centers_, atol=1e-12)  # the same sums, other order
        assert ours.within[0] == pytest.approx(theirs.inertia_, rel=1e-12)  # as above


def test_a_weight_is_a_repeated_row(samples):
    sample, rng = samples[0], np.random.default_rng(2)
    weights = rng.integers(0, 3, len(sample))
    start = sample[[0, 20, 40]][None]
    weighted = refine(sample[None], start, weights[None].astype(float))
    repeated = refine(np.repeat(sample, weights, axis=0)[None], start)
    np.testing.assert_allclose(weighted.centers, repeated.centers, atol=1e-12)  # the same sums, other order
    assert weighted.within[0] == pytest.approx(repeated.within[0], rel=1e-12)  # as above


def test_more_starts_never_fit_worse(samples):
    few = fit_many(samples, 4, np.random.default_rng(3), starts=1).within
    many = fit_many(samples, 4, np.random.default_rng(3), starts=12).within
    assert (many <= few).all()


def test_no_exchange_of_a_single_row_can_help_after_exchange(samples):
    fits = exchange(samples, refine(samples, samples[:, :4]))
    for sample, place, within in zip(samples, fits.assignment, fits.within, strict=True):
        for row in range(len(sample)):
            for group in range(4):
                moved = place.copy()
                moved[row] = group
                parts = [sample[moved == g] for g in range(4)]
                assert sum(((p - p.mean(axis=0)) ** 2).sum() for p in parts) >= within * (1 - 1e-11)  # sums


def test_as_many_groups_as_different_rows_leave_nothing(samples):
    points = np.tile(samples[:, :3], (1, 5, 1))
    fits = fit_many(points, 3, np.random.default_rng(4), starts=2)
    np.testing.assert_allclose(fits.within, 0, atol=1e-20)  # every point is a center; squares of rounding errors


def test_constant_columns_become_zero():
    assert (standardize(np.ones((2, 5, 1))) == 0).all()
