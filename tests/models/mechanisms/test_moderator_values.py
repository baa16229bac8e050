"""Laws of `smstudy.models.mechanisms.moderator_values`: places lie where respondents are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smstudy.models.mechanisms.moderator_values import usual_values, without_numbers


def test_the_mean_and_one_deviation_around_it():
    values = np.arange(1.0, 6.0)
    found = [value for _, value in usual_values(values, 1, 5)]
    np.testing.assert_allclose(found, [3 - values.std(ddof=1), 3, 3 + values.std(ddof=1)])


def test_percentiles_where_nobody_is_a_deviation_away():
    values = np.array([1.0] * 80 + [2.0] * 10 + [9.0] * 10)
    names, found = zip(*usual_values(values, 1, 9), strict=True)
    assert names[0].startswith("16th percentile")
    assert min(found) >= 1


def test_both_of_two_values():
    assert usual_values(np.array([1.0, 2.0, 2.0]), 1, 2) == [("1", 1.0), ("2", 2.0)]


def test_names_without_numbers_are_the_same_in_every_imputation():
    words = pd.Series(["mean (2.92)", "mean (−0.10)", "90th less 10th percentile (4.00 less 2.00)", "Team (north)"])
    assert without_numbers(words).tolist() == ["mean", "mean", "90th less 10th percentile", "Team (north)"]
