"""Laws of `smstudy.inference.regression.diagnostics`; for R car see tests/models/regressions/test_regression.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.inference.regression.design import build_design
from smstudy.inference.regression.diagnostics import (
    breusch_pagan,
    cooks_distance,
    describes_too_few,
    variance_inflation,
)
from smstudy.inference.regression.formula import parse_formula
from smstudy.inference.regression.least_squares import least_squares

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "regression.json").read_text(encoding="utf-8"))
NAMES = ["(intercept)", "a", "b", "c"]
ROUNDING = 1e-9  # two routes to the same number, each a few hundred roundings


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    x = np.column_stack([np.ones(50), rng.normal(size=(50, 3))])
    x[:, 3] += x[:, 1]
    return x, x @ [1.0, 0.5, 0.0, 0.2] + rng.normal(size=50)


def test_variance_inflation_is_what_the_other_terms_explain(data):
    x, y = data
    found = variance_inflation(least_squares(x, y, names=NAMES).bread, NAMES)
    assert np.isnan(found[0])
    for j in (1, 2, 3):
        rest = np.delete(x, j, axis=1)
        left = least_squares(rest, x[:, j], names=np.delete(NAMES, j)).residuals
        assert found[j] == pytest.approx(((x[:, j] - x[:, j].mean()) ** 2).sum() / (left @ left), rel=ROUNDING)


def test_a_single_term_has_no_inflation():
    assert np.isnan(variance_inflation(np.eye(2), ["(intercept)", "a"])).all()


def test_cooks_distance_is_the_move_when_one_is_left_out(data):
    x, y = data
    fit = least_squares(x, y, names=NAMES)
    sigma = np.sqrt(fit.residuals @ fit.residuals / 46)
    found = cooks_distance(fit.residuals, fit.hat, sigma, 4)
    for i in (0, 17, 49):
        moved = x @ (least_squares(np.delete(x, i, 0), np.delete(y, i), names=NAMES).coefficients - fit.coefficients)
        assert found[i] == pytest.approx(moved @ moved / (4 * sigma**2), rel=ROUNDING)


def test_equal_spread_is_rarely_called_unequal_and_unequal_spread_is(data):
    x, _ = data
    rng = np.random.default_rng(12)
    p = [breusch_pagan(x, rng.normal(size=50), names=NAMES) for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)  # three Monte-Carlo errors
    assert breusch_pagan(x, rng.normal(size=50) * np.exp(1.5 * x[:, 1]), names=NAMES) < 0.05


def test_agrees_with_bptest_and_cooks_distance():
    formula = parse_formula("adoption ~ leadership + readiness + log(tenure) + role")
    design = build_design(formula, pd.read_csv(FOLDER / "regression.csv"), min_level_n=5)
    fit = least_squares(design.x, design.y, names=design.names)
    n, p = design.x.shape
    expected = REFERENCE["linear"]  # closed forms, R writes 15 digits
    assert breusch_pagan(design.x, fit.residuals, names=design.names) == pytest.approx(expected["bp"], rel=1e-8)
    sigma = np.sqrt(fit.residuals @ fit.residuals / (n - p))
    assert cooks_distance(fit.residuals, fit.hat, sigma, p).max() == pytest.approx(expected["cook"], rel=1e-8)


def test_a_group_left_over_by_dummies_is_described_and_a_large_one_is_not():
    for size, described in ((3, True), (4, True), (5, False), (8, False)):
        group = np.repeat([0, 1, 2], [size, 10, 10])
        x = np.column_stack([np.ones(len(group)), group == 1, group == 2]).astype(float)
        hat = least_squares(x, np.arange(len(group), dtype=float), names=NAMES[:3]).hat
        assert describes_too_few(x, hat, min_n=5) is described


def test_an_outlier_whom_others_still_touch_is_not_described():
    x = np.column_stack([np.ones(30), np.r_[np.zeros(15), np.ones(14), 50.0]])
    hat = least_squares(x, np.arange(30.0), names=NAMES[:2]).hat
    assert hat.max() > 0.99
    assert not describes_too_few(x, hat, min_n=5)
