"""Laws of `smstudy.inference.regression.surfaces`."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.regression.surfaces import axes_slopes, data_region, drops, principal_axes, quadratic_terms

BENT = np.array([0.3, -0.2, -0.4, 0.5, -0.6])


def test_the_surface_is_flat_at_its_stationary_point():
    x0, y0 = principal_axes(BENT)[:2]
    b1, b2, b3, b4, b5 = BENT
    assert b1 + 2 * b3 * x0 + b4 * y0 == pytest.approx(0, abs=1e-12)  # rounding
    assert b2 + 2 * b5 * y0 + b4 * x0 == pytest.approx(0, abs=1e-12)  # rounding


def test_axes_are_the_eigenvectors_of_the_curvature_the_first_bending_least():
    curvature = np.array([[BENT[2], BENT[3] / 2], [BENT[3] / 2, BENT[4]]])
    values, vectors = np.linalg.eigh(curvature)
    slopes = vectors[1] / vectors[0]
    np.testing.assert_allclose(principal_axes(BENT)[[3, 5]], slopes[np.argsort(-values)], rtol=1e-12)  # closed form
    assert slopes.prod() == pytest.approx(-1)  # at right angles


def test_slopes_by_complex_steps_are_those_of_small_steps():
    steps = 1e-6 * np.eye(5)
    near = np.array([(principal_axes(BENT + step) - principal_axes(BENT - step)) / 2e-6 for step in steps]).T
    np.testing.assert_allclose(axes_slopes(BENT), near, rtol=1e-7, atol=1e-8)  # error of central differences


def test_many_surfaces_at_once_are_each_alone():
    many = np.random.default_rng(1).normal(size=(5, 5))
    np.testing.assert_array_equal(principal_axes(many)[3], principal_axes(many[3]))


def test_drops_are_differences_of_the_surface():
    got = drops(np.array([0.5]), np.array([-1.0])) @ BENT
    here, there = (quadratic_terms(np.array([x]), np.array([y])) @ BENT for x, y in ((-0.5, 1.5), (0.5, 0.5)))
    np.testing.assert_allclose(got, here - there, rtol=1e-12)  # the same sums


def test_a_plane_has_no_axes():
    assert not np.isfinite(principal_axes(np.array([1.0, 2.0, 0.0, 0.0, 0.0]))).any()


def test_one_person_far_away_does_not_move_the_region():
    rng = np.random.default_rng(2)
    x, y = rng.normal(3, 0.4, (2, 200))
    crowd = data_region(x, y, (1, 5), min_n=5)
    alone = data_region(np.append(x, 1.0), np.append(y, 5.0), (1, 5), min_n=5)
    np.testing.assert_array_equal(crowd.inside, alone.inside)
    assert crowd.inside.any() and not crowd.inside.all()


def test_points_inside_have_enough_respondents_near():
    rng = np.random.default_rng(3)
    x, y = rng.integers(1, 6, (2, 60)).astype(float)
    region = data_region(x, y, (1, 5), min_n=8)
    near = [
        ((np.abs(x - a) <= 0.56) & (np.abs(y - b) <= 0.56)).sum() >= 8 for a, b in zip(region.x.flat, region.y.flat)
    ]
    np.testing.assert_array_equal(region.inside.ravel(), near)
