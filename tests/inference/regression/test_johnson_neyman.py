"""Laws of `smstudy.inference.regression.johnson_neyman`: regions are where the interval leaves out zero."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from smstudy.inference.regression.johnson_neyman import Line, false_discovery_level, regions

REFERENCE = json.loads((Path(__file__).parents[2] / "reference" / "moderation.json").read_text(encoding="utf-8"))


def line_of(own, product, covariance, df=60.0):
    return Line(np.array([own, product]), np.array(covariance), lambda rows: np.full(len(rows), df))


@pytest.fixture
def line():
    return line_of(-0.4, 0.3, [[0.04, -0.01], [-0.01, 0.004]])


def test_borders_are_the_roots_of_the_quadratic_equation(line):
    (b, d), v, t2 = line.coefficients, line.covariance, stats.t.isf(0.025, 60) ** 2
    wanted = np.sort(np.roots([d**2 - t2 * v[1, 1], 2 * (b * d - t2 * v[0, 1]), b**2 - t2 * v[0, 0]]))
    found = regions(line, -10, 10)
    np.testing.assert_allclose([part.high for part in found[:-1]], wanted, rtol=1e-10)  # both exact but for rounding
    assert [part.sign for part in found] == [-1, 0, 1]


def test_regions_cover_the_range_without_gaps(line):
    found = regions(line, -3, 4)
    assert (found[0].low, found[-1].high) == (-3, 4)
    assert all(one.high == other.low for one, other in zip(found[:-1], found[1:], strict=True))


def test_inside_a_region_the_interval_agrees(line):
    values = np.linspace(-3, 4, 317)
    low, high = line.at(values).interval(0.95)
    clear = (low > 0) | (high < 0)
    for part in regions(line, -3, 4):
        inside = (values > part.low) & (values < part.high)
        assert (clear[inside] == (part.sign != 0)).all()


def test_degrees_of_freedom_may_change_along_the_moderator():
    line = Line(np.array([0.0, 0.5]), np.diag([0.01, 0.01]), lambda rows: 3 + rows[:, 1] ** 2)
    border = regions(line, 0.0, 5.0)[0].high
    slopes = line.at(np.array([border]))
    assert slopes.p_value().item() == pytest.approx(0.05, abs=1e-10)  # the end of a search to 1e-14


def test_a_higher_level_leaves_less(line):
    widths = [
        sum(part.high - part.low for part in regions(line, -3, 4, conf_level=level) if part.sign)
        for level in (0.9, 0.99)
    ]
    assert widths[0] > widths[1]


def test_the_false_discovery_level_is_that_of_benjamini_and_hochberg():
    p = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216])
    adjusted = stats.false_discovery_control(p)
    level = false_discovery_level(p, 0.05)
    assert ((p <= level) == (adjusted <= 0.05)).all()
    assert false_discovery_level(np.array([0.5, 0.9]), 0.05) == 0.025


def test_nothing_is_clear_without_a_slope():
    found = regions(line_of(0.0, 0.0, [[1.0, 0.0], [0.0, 1.0]]), -1, 1)
    assert [part.sign for part in found] == [0]
