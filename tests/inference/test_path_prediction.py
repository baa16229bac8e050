"""Laws of `smstudy.inference.path_prediction`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.inference.partial_least_squares import PathStructure
from smstudy.inference.path_prediction import cross_predict, draw_folds, mean_gain

HERE = Path(__file__).resolve().parents[1] / "reference"
DRIVERS = np.zeros((5, 5), dtype=bool)
for one, other in ((0, 3), (1, 3), (0, 4), (3, 4), (2, 4)):
    DRIVERS[one, other] = True
STRUCTURE = PathStructure(
    blocks=((0, 1, 2), (3, 4), (5, 6, 7), (8, 9, 10), (11,)),
    drivers=DRIVERS,
    formative=np.array([False, False, True, False, False]),
    factors=np.zeros(5, dtype=bool),
)


def test_agrees_with_plain_r_fold_by_fold():
    data = pd.read_csv(HERE / "paths.csv")
    expected = json.loads((HERE / "paths.json").read_text(encoding="utf-8"))["prediction"]
    found = cross_predict(data.iloc[:, :12].to_numpy(float), STRUCTURE, data["fold"].to_numpy()[None])
    assert [data.columns[item] for item in found.items] == expected["items"]
    for place, name in enumerate(("path", "linear", "mean")):
        # weights settle to 1e-10 here and 1e-13 in R
        np.testing.assert_allclose(found.root_mean_square[place], expected[name]["rmse"], rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.mean_absolute[place], expected[name]["mae"], rtol=0, atol=1e-8)  # as above
    np.testing.assert_allclose(found.skew, expected["skew"], rtol=0, atol=1e-7)  # third powers


def test_correction_for_unreliability_does_not_change_predictions():
    data = pd.read_csv(HERE / "paths.csv").iloc[:, :12].to_numpy(float)
    folds = draw_folds(len(data), folds=5, repeats=2, seed=3)
    corrected = PathStructure(
        blocks=STRUCTURE.blocks,
        drivers=DRIVERS,
        formative=STRUCTURE.formative,
        factors=np.array([True, True, False, True, False]),
    )
    one, other = (cross_predict(data, structure, folds) for structure in (STRUCTURE, corrected))
    np.testing.assert_array_equal(one.root_mean_square, other.root_mean_square)


def test_noise_is_predicted_no_better_than_by_its_mean():
    noise = np.random.default_rng(1).normal(size=(200, 12))
    found = cross_predict(noise, STRUCTURE, draw_folds(200, folds=10, repeats=5, seed=1))
    assert found.q_squared.mean() < 0


def test_every_part_is_left_out_as_often():
    folds = draw_folds(23, folds=10, repeats=4, seed=1)
    assert folds.shape == (4, 23)
    assert all(sorted(np.bincount(row)) == [2] * 7 + [3] * 3 for row in folds)
    assert len({tuple(row) for row in folds}) == 4


def test_losses_are_the_squared_errors_of_each_respondent():
    data = pd.read_csv(HERE / "paths.csv")
    answers = data.iloc[:, :12].to_numpy(float)
    found = cross_predict(answers, STRUCTURE, data["fold"].to_numpy()[None])
    variances = answers[:, list(found.items)].var(axis=0)
    whole = (found.root_mean_square**2 / variances).mean(axis=1)
    np.testing.assert_allclose(found.losses[:, :, -1].mean(axis=0), whole, rtol=1e-12)  # rounding
    by_items = found.losses[:, :, :-1] @ [3 / 4, 1 / 4]  # three items and one
    np.testing.assert_allclose(by_items, found.losses[:, :, -1], rtol=1e-12)  # rounding


def test_gains_are_paired_t_tests():
    data = pd.read_csv(HERE / "paths.csv").iloc[:, :12].to_numpy(float)
    losses = cross_predict(data, STRUCTURE, draw_folds(len(data), folds=10, repeats=2, seed=1)).losses
    for benchmark in (1, 2):
        expected = stats.ttest_rel(losses[:, benchmark], losses[:, 0])
        found = mean_gain(losses, benchmark)
        np.testing.assert_allclose(found.p_value, expected.pvalue, rtol=1e-9)  # two ways to the same tail
        np.testing.assert_allclose(found.conf_low, expected.confidence_interval().low, rtol=0, atol=1e-12)  # rounding
