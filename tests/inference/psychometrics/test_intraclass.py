"""Laws of intraclass correlations and of agreement within groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.psychometrics.consensus import (
    group_variances,
    skewed_variance,
    uniform_variance,
    within_group_agreement,
)
from smstudy.inference.psychometrics.intraclass import (
    grouped_correlation,
    repeated_correlation,
    size_needed,
    stepped_up,
)

HERE = Path(__file__).parents[2] / "reference"
R = json.loads((HERE / "aggregation.json").read_text(encoding="utf-8"))


def complete() -> tuple[np.ndarray, np.ndarray, list[str]]:
    answers = pd.read_csv(HERE / "aggregation.csv").dropna()
    places, names = pd.factorize(answers["group"])
    return answers.iloc[:, 1:].to_numpy(float), places, list(names)


# R


def test_agrees_with_multilevel_on_unequal_groups() -> None:
    items, groups, _ = complete()
    found, expected = grouped_correlation(items.mean(axis=1), groups), R["unequal"]
    assert found.single == pytest.approx(expected["icc_1"], abs=1e-12)  # closed form
    assert found.average == pytest.approx(expected["icc_2"], abs=1e-12)  # closed form
    assert found.single_ends[0] < found.exact < found.single_ends[1]
    assert found.statistic == pytest.approx(expected["F"], abs=1e-10)  # ratio of two sums of a hundred squares
    assert found.p_value == pytest.approx(expected["p"], rel=1e-8)  # far in the tail
    assert [found.df, found.df_residual] == expected["df"]


def test_agrees_with_psych_and_lme4_on_equal_groups() -> None:
    data = pd.read_csv(HERE / "aggregation_balanced.csv")
    found, expected = grouped_correlation(data["score"].to_numpy(), pd.factorize(data["group"])[0]), R["equal"]
    single, average = ([expected[name][i] for name in ("icc", "low", "high")] for i in (0, 1))
    np.testing.assert_allclose([found.single, *found.single_ends], single, atol=1e-10)  # a root to 1e-14 against R's qf
    np.testing.assert_allclose([found.average, *found.average_ends], average, atol=1e-10)  # as above
    np.testing.assert_allclose([found.exact, found.exact_average], [found.single, found.average], atol=1e-12)  # a root
    assert found.single == pytest.approx(expected["lme4"], abs=1e-6)  # lme4 searches the likelihood


def test_agrees_with_multilevel_rwg_j() -> None:
    items, groups, names = complete()
    variances = group_variances(items, groups, len(names))
    expected = R["unequal"]
    assert names == expected["groups"]
    for key, spread in (("rwg", uniform_variance(range(1, 6))), ("skewed", skewed_variance(range(1, 6)))):
        found = within_group_agreement(variances, spread, 4)
        np.testing.assert_allclose(found, expected[key], atol=1e-12)  # closed form


def test_agrees_with_psych_on_repeated_scores() -> None:
    scores = pd.read_csv(HERE / "retest.csv")[["before", "after"]].to_numpy()
    found, expected = repeated_correlation(scores), R["retest"]
    agreement, consistency = ([expected[name][i] for name in ("icc", "low", "high")] for i in (0, 1))
    np.testing.assert_allclose([found.agreement, *found.agreement_ends], agreement, atol=1e-10)  # R prints 16 digits
    np.testing.assert_allclose([found.consistency, *found.consistency_ends], consistency, atol=1e-10)  # as above
    assert found.error == pytest.approx(expected["error"], abs=1e-12)  # closed form


# brute force


def test_icc_1_is_the_variance_share_of_group_means_by_hand() -> None:
    values, groups = np.array([1.0, 3, 2, 4, 6, 8]), np.array([0, 0, 1, 1, 2, 2])
    between = 2 * np.var([2, 3, 7], ddof=1)
    within = 2.0
    found = grouped_correlation(values, groups)
    assert found.single == pytest.approx((between - within) / (between + within), abs=1e-12)  # a few sums


def test_rwg_is_the_formula_of_the_textbook_group_by_group() -> None:
    items, groups, names = complete()
    found = within_group_agreement(group_variances(items, groups, len(names)), 2.0, 4)
    for place in range(len(names)):
        left = min(np.mean([np.var(column, ddof=1) for column in items[groups == place].T]) / 2, 1)
        assert found[place] == pytest.approx(4 * (1 - left) / (4 * (1 - left) + left), abs=1e-12)  # a few sums


# special cases


def test_a_group_of_one_has_no_agreement() -> None:
    assert np.isnan(group_variances(np.array([[1.0], [2.0], [3.0]]), np.array([0, 1, 1]), 2)[0])


def test_variance_of_answers_at_random_follows_the_codes() -> None:
    for options in (2, 5, 7, 11):
        assert uniform_variance(range(1, options + 1)) == pytest.approx((options**2 - 1) / 12, abs=1e-12)  # a few sums
    assert skewed_variance([0, 2, 4, 6, 8]) == pytest.approx(
        4 * skewed_variance([1, 2, 3, 4, 5]), abs=1e-12
    )  # as above
    assert np.isnan(skewed_variance([0, 1]))


def test_the_needed_size_gives_the_wanted_reliability() -> None:
    for single in (0.02, 0.15, 0.7):
        size = size_needed(single, 0.6)
        assert stepped_up(single, size) == pytest.approx(0.6, abs=1e-6)  # the size is rounded to nine decimals
    assert np.isnan(size_needed(-0.01, 0.6))


def test_identical_waves_agree_fully() -> None:
    scores = np.arange(8.0)[:, None] + np.zeros((8, 2))
    found = repeated_correlation(scores)
    assert (found.agreement, found.consistency, found.error) == (1.0, 1.0, 0.0)
    assert found.agreement_ends == found.consistency_ends == (1.0, 1.0)


def test_a_common_shift_lowers_agreement_and_leaves_consistency() -> None:
    scores = np.random.default_rng(1).normal(size=(50, 2)) * 0.3 + np.random.default_rng(2).normal(size=(50, 1))
    before, after = repeated_correlation(scores), repeated_correlation(scores + [0, 1])
    assert after.consistency == pytest.approx(before.consistency, abs=1e-12)  # a few sums
    assert after.agreement < before.agreement
    assert after.error > before.error


# bad input


@pytest.mark.parametrize(
    ("values", "groups"), [([1.0, 2, 3], [0, 0, 0]), ([1.0, 2, 3], [0, 1, 2]), ([1.0, 1, 2, 2], [0, 0, 1, 1])]
)
def test_groups_that_cannot_be_compared_are_refused(values: list[float], groups: list[int]) -> None:
    with pytest.raises(EstimationError):
        grouped_correlation(np.array(values), np.array(groups))


def test_people_who_do_not_differ_are_refused() -> None:
    with pytest.raises(EstimationError):
        repeated_correlation(np.column_stack([np.ones(9), np.arange(9.0)]))


# planted truth


@pytest.mark.parametrize("planted", [0.0, 0.15, 0.4])
def test_the_interval_of_icc_1_covers_at_its_rate_in_unequal_groups(planted: float) -> None:
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(25), [5] * 20 + [60] * 5)
    covered = 0
    for _ in range(400):
        scores = np.sqrt(planted) * rng.normal(size=25)[groups] + np.sqrt(1 - planted) * rng.normal(size=len(groups))
        low, high = grouped_correlation(scores, groups).single_ends
        covered += low <= planted <= high
    assert 0.915 < covered / 400 < 0.985  # 95 % and three standard errors of a share of 400


def test_the_intervals_of_the_retest_correlations_cover_at_their_rate() -> None:
    rng = np.random.default_rng(8)
    covered = np.zeros(2)
    for _ in range(400):
        scores = rng.normal(size=(40, 1)) + 0.6 * rng.normal(size=(40, 2))
        found = repeated_correlation(scores)
        truth = 1 / 1.36
        covered += [low <= truth <= high for low, high in (found.agreement_ends, found.consistency_ends)]
    assert ((covered / 400 > 0.915) & (covered / 400 < 0.985)).all()  # 95 % and three standard errors of a share of 400
