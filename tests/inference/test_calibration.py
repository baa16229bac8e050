"""Raking, trimming and design effects on arrays: R survey, brute force, and cases that must collapse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError
from smstudy.inference.calibration import (
    Calibration,
    calibration_residuals,
    kish_design_effect,
    rake_trimmed,
    rake_weights,
    trim_weights,
)

HERE = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((HERE / "design.json").read_text())
PEOPLE = pd.read_csv(HERE / "design.csv")
EXACT = 1e-10  # both rake until margins are off by 1e-12; the way there multiplies that by the number of rounds left
NAMES = ("unit", "grade", "site")


def margins(names=NAMES):
    counts = [REFERENCE["extra"][name] for name in names]
    codes = [pd.Categorical(PEOPLE[name], list(count)).codes.astype(int) for name, count in zip(names, counts)]
    return codes, [np.array(list(count.values()), dtype=float) for count in counts]


@pytest.mark.parametrize("name", ["raked", "raked_base"])
def test_raking_agrees_with_r_survey(name):
    base = PEOPLE["weight0"].to_numpy() if name == "raked_base" else np.ones(len(PEOPLE))
    assert rake_weights(base, *margins()).weights == pytest.approx(REFERENCE[name]["weights"], rel=EXACT)


def test_post_stratification_agrees_with_r_survey():
    weights = rake_weights(PEOPLE["weight0"].to_numpy(), *margins(["unit"])).weights
    assert weights == pytest.approx(REFERENCE["post_base"]["weights"], rel=1e-14)  # one division each


def test_all_margins_add_up():
    codes, targets = margins()
    weights = rake_weights(np.ones(len(PEOPLE)), codes, targets).weights
    for code, target in zip(codes, targets, strict=True):
        assert np.bincount(code, weights=weights) == pytest.approx(target, abs=1e-9)  # 1e-12 of 720 people


def test_raking_is_plain_iteration_over_rows():
    codes, targets = margins()
    weights = np.ones(len(PEOPLE))
    for _ in range(300):
        for code, target in zip(codes, targets, strict=True):
            weights = weights * (target / np.bincount(code, weights=weights))[code]
    assert rake_weights(np.ones(len(PEOPLE)), codes, targets).weights == pytest.approx(weights, rel=EXACT)


def test_raking_twice_changes_nothing():
    codes, targets = margins()
    once = rake_weights(np.ones(len(PEOPLE)), codes, targets)
    twice = rake_weights(once.weights, codes, targets)
    assert twice.rounds == 1
    assert twice.weights == pytest.approx(once.weights, rel=EXACT)


def test_the_order_of_margins_and_the_scale_of_weights_mean_nothing():
    codes, targets = margins()
    weights = rake_weights(np.ones(len(PEOPLE)), codes, targets).weights
    turned = rake_weights(np.full(len(PEOPLE), 7.0), codes[::-1], targets[::-1]).weights
    assert turned == pytest.approx(weights, rel=EXACT)


def test_a_sample_that_looks_like_the_frame_gets_equal_weights():
    unit, grade = np.repeat([0, 1, 2], 20), np.tile([0, 1], 30)
    weights = rake_weights(np.ones(60), [unit, grade], [np.full(3, 100.0), np.full(2, 150.0)]).weights
    assert weights == pytest.approx(np.full(60, 5.0), rel=1e-14)  # exact but for one division


def test_head_counts_that_contradict_the_combinations_do_not_settle():
    unit = np.array([0, 0, 1, 1])  # unit and site are the same, but the head counts differ
    with pytest.raises(EstimationError, match="does not settle"):
        rake_weights(np.ones(4), [unit, unit], [np.array([10.0, 30.0]), np.array([20.0, 20.0])])


def test_empty_categories_and_different_totals_are_refused():
    with pytest.raises(DataError, match="no respondents"):
        rake_weights(np.ones(2), [np.array([0, 0])], [np.array([3.0, 4.0])])
    with pytest.raises(DataError, match="different totals"):
        rake_weights(np.ones(2), [np.array([0, 1])] * 2, [np.array([3.0, 4.0]), np.array([4.0, 4.0])])


def test_trimming_agrees_with_r_survey():
    weights = np.array(REFERENCE["raked_base"]["weights"])
    trimmed = trim_weights(weights, 2 * weights.mean())
    assert trimmed == pytest.approx(REFERENCE["extra"]["trimmed"], rel=1e-9)  # when trimming ends
    assert trimmed.sum() == pytest.approx(weights.sum(), rel=1e-12)  # rounding only


def test_trimmed_weights_keep_the_margins_and_the_limit():
    codes, targets = margins()
    base = PEOPLE["weight0"].to_numpy()
    free = rake_weights(base, codes, targets).weights
    found = rake_trimmed(base, codes, targets, 2.0)
    assert free.max() > 2 * free.mean()
    assert found.weights.max() <= 2 * found.weights.mean() * (1 + 1e-8)  # the limit is met to 1e-9
    for code, target in zip(codes, targets, strict=True):
        assert np.bincount(code, weights=found.weights) == pytest.approx(target, abs=1e-9)  # 1e-12 of 720 people


def test_a_limit_nothing_exceeds_changes_nothing():
    codes, targets = margins()
    free = rake_weights(np.ones(len(PEOPLE)), codes, targets)
    assert np.array_equal(rake_trimmed(np.ones(len(PEOPLE)), codes, targets, 50.0).weights, free.weights)


def test_a_limit_that_cannot_be_met_is_refused():
    unit = np.array([0] * 9 + [1])
    with pytest.raises(EstimationError, match="found no weights .* Try a larger limit"):
        rake_trimmed(np.ones(10), [unit], [np.array([50.0, 50.0])], 3.0)
    with pytest.raises(EstimationError, match="below the mean"):
        trim_weights(np.array([1.0, 3.0]), 1.5)


def test_equal_weights_have_no_design_effect_and_scale_means_nothing():
    assert kish_design_effect(np.full(7, 3.0)) == pytest.approx(1, rel=1e-15)  # one division
    weights = np.random.default_rng(1).gamma(2, size=50)
    cv = weights.std() / weights.mean()
    assert kish_design_effect(4 * weights) == pytest.approx(1 + cv**2, rel=1e-12)  # the same sum in another order


def test_residuals_of_margins_are_zero():
    codes, targets = margins()
    fit = rake_weights(np.ones(len(PEOPLE)), codes, targets)
    indicators = np.column_stack([codes[0] == 1, codes[2] == 0]) * fit.weights[:, None]
    assert np.abs(calibration_residuals(indicators, fit)).max() < 1e-6  # ten projections leave the rounding


def test_residuals_of_one_margin_are_distances_from_its_weighted_means():
    codes, base = np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 2.0, 2.0])
    fit = Calibration(margins=(codes,), base=base, weights=np.ones(4))
    found = calibration_residuals(np.array([[4.0], [8.0], [1.0], [3.0]]), fit)
    assert found.ravel().tolist() == [-3.0, 1.0, -1.0, 1.0]
