"""Laws of `smstudy.inference.path_permutation`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from smstudy.inference.partial_least_squares import PathStructure, fit_paths
from smstudy.inference.path_permutation import compare_groups, permutation_p
from smstudy.inference.threads import one_thread

HERE = Path(__file__).resolve().parents[1] / "reference"
QUICK = {"n_permutations": 200, "n_boot": 100, "seed": 1}


def structure():
    drivers = np.zeros((5, 5), dtype=bool)
    for one, other in ((0, 3), (1, 3), (0, 4), (3, 4), (2, 4)):
        drivers[one, other] = True
    return PathStructure(
        blocks=((0, 1, 2), (3, 4), (5, 6, 7), (8, 9, 10), (11,)),
        drivers=drivers,
        formative=np.array([False, False, True, False, False]),
        factors=np.zeros(5, dtype=bool),
    )


def two_constructs():
    drivers = np.array([[False, True], [False, False]])
    none = np.zeros(2, dtype=bool)
    return PathStructure(blocks=((0, 1, 2), (3, 4, 5)), drivers=drivers, formative=none, factors=none)


def sample(rng, n, path):
    cause = rng.normal(size=n)
    effect = path * cause + (1 - path**2) ** 0.5 * rng.normal(size=n)
    return np.repeat(np.column_stack([cause, effect]), 3, axis=1) + 0.7 * rng.normal(size=(n, 6))


def p_of(contrast):
    return permutation_p(np.abs(contrast.permuted[:, 0, 1]) >= abs(contrast.statistic[0, 1]))


def test_groups_and_likeness_agree_with_plain_r():
    data = pd.read_csv(HERE / "paths.csv")
    expected = json.loads((HERE / "paths.json").read_text(encoding="utf-8"))["groups"]
    found = compare_groups(data.iloc[:, :12].to_numpy(float), (data["group"] == "a").to_numpy(), structure(), **QUICK)
    for fit, name in zip(found.fits, "ab", strict=True):
        # weights settle to 1e-10 here and 1e-13 in R
        np.testing.assert_allclose(fit.paths[0], expected["paths"][name], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.likeness, expected["likeness"], rtol=0, atol=1e-8)  # as above


def test_a_resample_within_groups_is_a_fit_of_the_same_rows():
    rng = np.random.default_rng(4)
    values, first = sample(rng, 90, 0.4), np.arange(90) < 40
    found = compare_groups(values, first, two_constructs(), **QUICK)
    assert found.resampled.shape == (100, 2, 2) and found.permuted.shape == (200, 2, 2)
    ones = [fit_paths(np.corrcoef(values[rows], rowvar=False)[None], two_constructs()) for rows in (first, ~first)]
    gap = ones[0].paths[0, 0, 1] - ones[1].paths[0, 0, 1]
    spread = found.resampled[:, 0, 1].std()
    assert abs(found.resampled[:, 0, 1].mean() - gap) < 0.5 * spread  # bias of a resample is small beside its spread


def test_likeness_of_single_items_is_one():
    data = pd.read_csv(HERE / "paths.csv")
    found = compare_groups(data.iloc[:, :12].to_numpy(float), (data["group"] == "a").to_numpy(), structure(), **QUICK)
    assert abs(found.likeness[4] - 1) < 1e-12  # rounding
    np.testing.assert_allclose(found.null_likeness[:, 4], 1, rtol=0, atol=1e-12)  # rounding


def test_means_and_units_of_a_group_do_not_touch_the_test_of_paths():
    rng = np.random.default_rng(5)
    values, first = sample(rng, 120, 0.4), np.arange(120) < 50
    moved = np.where(first[:, None], values, 3 + 2 * values)
    one, other = (compare_groups(each, first, two_constructs(), **QUICK) for each in (values, moved))
    np.testing.assert_allclose(one.statistic[0, 1], other.statistic[0, 1], rtol=0, atol=1e-6)  # slopes by differences
    np.testing.assert_allclose(one.permuted[:, 0, 1], other.permuted[:, 0, 1], rtol=0, atol=1e-6)  # as above


def test_groups_with_other_means_and_the_same_paths_are_wrong_in_five_percent():
    rng = np.random.default_rng(9)
    first = np.arange(120) < 60
    with one_thread():
        p_values = [
            p_of(compare_groups(sample(rng, 120, 0.4) + 3 * first[:, None], first, two_constructs(), n_permutations=99,
                                n_boot=2, seed=i))
            for i in range(150)
        ]  # fmt: skip
    assert np.mean(np.array(p_values) <= 0.05) < 0.05 + 3 * 0.0178  # three standard errors of a share of 150


def test_step_3_compares_means_and_variances_of_scores():
    rng = np.random.default_rng(6)
    first = np.arange(200) < 90
    values = sample(rng, 200, 0.4) * np.where(np.arange(6) < 3, 1, np.where(first, 2, 1)[:, None])
    found = compare_groups(values + first[:, None] * (np.arange(6) < 3), first, two_constructs(), **QUICK).scores
    assert found.p_means[0] < 0.05 < found.p_means[1] and found.p_variances[1] < 0.05 < found.p_variances[0]
    assert found.means[0] > 0 and found.variances[1] > 2


def test_the_test_is_wrong_in_five_percent_of_equal_groups():
    rng = np.random.default_rng(7)
    with one_thread():
        p_values = [
            p_of(
                compare_groups(
                    sample(rng, 80, 0.4), np.arange(80) < 35, two_constructs(), n_permutations=99, n_boot=2, seed=i
                )
            )
            for i in range(200)
        ]
    share = np.mean(np.array(p_values) <= 0.05)
    assert abs(share - 0.05) < 3 * 0.0154  # three standard errors of a share of 200


def test_a_planted_difference_is_found():
    rng = np.random.default_rng(8)
    with one_thread():
        p_values = [
            p_of(compare_groups(np.concatenate([sample(rng, 150, 0.7), sample(rng, 150, 0.1)]), np.arange(300) < 150,
                                two_constructs(), n_permutations=99, n_boot=2, seed=i))
            for i in range(20)
        ]  # fmt: skip
    assert np.mean(np.array(p_values) <= 0.05) > 0.9
