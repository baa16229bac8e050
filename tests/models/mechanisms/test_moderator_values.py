"""Laws of `smstudy.models.mechanisms.moderator_values`: places lie where respondents are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smstudy.models.mechanisms.moderator_values import (
    quantile_of_several,
    usual_values,
    without_numbers,
)
from smstudy.models.ranges import range_of_several


def test_the_mean_and_one_deviation_around_it():
    values = np.arange(1.0, 6.0)
    found = [value for _, value in usual_values(values, 1, 5, 5)]
    np.testing.assert_allclose(found, [3 - values.std(ddof=1), 3, 3 + values.std(ddof=1)])


def test_percentiles_where_nobody_is_a_deviation_away():
    values = np.array([1.0] * 80 + [2.0] * 10 + [9.0] * 10)
    names, found = zip(*usual_values(values, 1, 9, 5), strict=True)
    assert names[0].startswith("16th percentile")
    assert min(found) >= 1


def test_both_of_two_values():
    assert usual_values(np.array([1.0, 2.0, 2.0]), 1, 2, 5) == [("1", 1.0), ("2", 2.0)]


def test_percentiles_and_ends_of_a_range_are_nobodys_own_value():
    rng = np.random.default_rng(2)
    for values in (rng.normal(size=40), rng.exponential(size=40), rng.integers(1, 6, 40).astype(float)):
        ends = range_of_several(values, 5)
        assert (values <= ends[0]).sum() >= 5 and (values >= ends[1]).sum() >= 5
        for found in (*ends, *(quantile_of_several(values, share, 5) for share in (0.1, 0.16, 0.5, 0.84, 0.9))):
            assert (values == found).sum() >= 5 or not np.isclose(values, found, rtol=0, atol=1e-6).any()


def test_names_without_numbers_are_the_same_in_every_imputation():
    words = pd.Series(["mean (2.92)", "mean (−0.10)", "90th less 10th percentile (4.00 less 2.00)", "Team (north)"])
    assert without_numbers(words).tolist() == ["mean", "mean", "90th less 10th percentile", "Team (north)"]
