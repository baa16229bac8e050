"""Laws of the bivariate normal distribution: high-precision values, R, symmetry, its derivative."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from smstudy.inference.psychometrics.bivariate import bivariate_density, bivariate_probability, unlikely_rectangle

R = json.loads((Path(__file__).parents[2] / "reference" / "polychoric.json").read_text(encoding="utf-8"))
# mpmath with 40 digits: integral of the density of the first times the conditional distribution of the second.
EXACT = [
    (-1.2, 0.4, 0.3, 0.095145641277717630789),
    (0.7, -0.1, -0.6, 0.2701687371698265645),
    (1.5, 1.4, 0.92, 0.90342891332230605775),
    (-0.5, -0.6, 0.93, 0.23819897944639912808),
    (0.3, 0.35, 0.999, 0.61679078774682784187),
    (-2, 1.9, -0.999, 0.000011741377100736984151),
    (2.1, 2.0, -0.97, 0.95938544748900423602),
]
RECTANGLES = [
    (-np.inf, -2, 2, np.inf, 0.9, 3.738650480648118126e-21),
    (-1, 0.2, 1.4, 1.5, 0.99, 5.0562676915583912885e-20),
    (1.5, 2.5, 1.2, np.inf, -0.9, 2.2299090365132761548e-11),
    (1, np.inf, -np.inf, -1.5, 0.8, 2.249298789583692183e-6),
]
limits = st.floats(-4, 4)
correlations = st.floats(-0.999, 0.999)


@pytest.mark.parametrize(("h", "k", "rho", "exact"), EXACT)
def test_agrees_with_forty_digits(h: float, k: float, rho: float, exact: float) -> None:
    assert abs(bivariate_probability(h, k, rho) - exact) < 1e-15  # a few units in the last digit of a number below 1


def test_agrees_with_mvtnorm() -> None:
    grid = {name: np.array([row[name] for row in R["grid"]]) for name in ("h", "k", "rho", "p")}
    found = bivariate_probability(grid["h"], grid["k"], grid["rho"])
    np.testing.assert_allclose(found, grid["p"], rtol=0, atol=2e-15)  # TVPACK was asked for 1e-15


@pytest.mark.parametrize(("left", "right", "bottom", "top", "rho", "exact"), RECTANGLES)
def test_unlikely_rectangles_keep_their_digits(
    left: float, right: float, bottom: float, top: float, rho: float, exact: float
) -> None:
    low, high = (np.array([left]), np.array([bottom])), (np.array([right]), np.array([top]))
    found = unlikely_rectangle(low, high, np.array([rho]))[0]
    assert found == pytest.approx(exact, rel=1e-12, abs=0)  # 40 nodes on a smooth decay


def test_a_rectangle_on_the_ridge_is_not_unlikely() -> None:
    low, high = (np.array([-1.0]), np.array([-1.0])), (np.array([1.0]), np.array([1.0]))
    assert np.isnan(unlikely_rectangle(low, high, np.array([0.5]))).all()


@settings(max_examples=60, deadline=None)
@given(h=limits, k=limits, rho=correlations)
def test_turning_both_variables_round_gives_the_upper_tail(h: float, k: float, rho: float) -> None:
    both_above = 1 - special.ndtr(h) - special.ndtr(k) + bivariate_probability(h, k, rho)
    assert abs(bivariate_probability(-h, -k, rho) - both_above) < 1e-14  # sums of four numbers up to 1


@settings(max_examples=60, deadline=None)
@given(h=limits, k=limits, rho=correlations)
def test_turning_one_variable_round_turns_the_correlation(h: float, k: float, rho: float) -> None:
    parts = bivariate_probability(h, k, rho) + bivariate_probability(h, -k, -rho)
    assert abs(parts - special.ndtr(h)) < 1e-14  # sums of two numbers up to 1


@pytest.mark.parametrize("rho", [-0.99, -0.926, -0.5, 0.0, 0.31, 0.76, 0.924, 0.98])
def test_density_is_the_derivative_by_the_correlation(rho: float) -> None:
    step = 1e-5
    slope = (bivariate_probability(0.4, -0.2, rho + step) - bivariate_probability(0.4, -0.2, rho - step)) / (2 * step)
    assert bivariate_density(0.4, -0.2, rho) == pytest.approx(slope, rel=1e-5, abs=1e-9)  # central difference


def test_no_correlation_multiplies_and_full_correlation_takes_the_smaller() -> None:
    assert bivariate_probability(0.3, -0.8, 0.0) == pytest.approx(special.ndtr(0.3) * special.ndtr(-0.8), rel=1e-15)
    assert bivariate_probability(0.3, -0.8, 1.0) == pytest.approx(special.ndtr(-0.8), rel=1e-15)
    assert bivariate_probability(0.3, 0.8, -1.0) == pytest.approx(special.ndtr(0.3) + special.ndtr(0.8) - 1, rel=1e-14)


@pytest.mark.parametrize("rho", [-1.0, -0.95, -0.3, 0.5, 0.999])
def test_an_infinite_limit_leaves_the_other_variable(rho: float) -> None:
    assert bivariate_probability(np.inf, 0.7, rho) == pytest.approx(special.ndtr(0.7), rel=1e-14)
    assert bivariate_probability(0.7, -np.inf, rho) == pytest.approx(0.0, abs=1e-16)
    assert bivariate_probability(np.inf, np.inf, rho) == pytest.approx(1.0, rel=1e-15)
    assert bivariate_density(np.inf, 0.7, 0.5) < 1e-200  # infinity is 30 standard deviations
