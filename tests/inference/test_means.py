"""Laws of means and changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.means import mean_interval, overlapping_change

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "means.json").read_text())
EXACT = 1e-10  # closed form; R prints 16 digits, and both sum in double precision
GAP = np.nan


def _agrees(ours, theirs):
    for name in ("statistic", "df", "p_value", "std_error"):
        assert getattr(ours, name) == pytest.approx(theirs[name], rel=EXACT)
    assert (ours.conf_low, ours.conf_high) == pytest.approx(tuple(theirs["conf"]), rel=EXACT)


def test_the_mean_agrees_with_t_test():
    ours = mean_interval(np.array(REFERENCE["x"]))
    assert ours.estimate == pytest.approx(REFERENCE["mean"]["estimate"], rel=EXACT)
    theirs = REFERENCE["mean"]
    assert (ours.conf_low, ours.conf_high) == pytest.approx(tuple(theirs["conf"]), rel=EXACT)


def test_with_everybody_in_both_waves_it_is_the_paired_test():
    _agrees(overlapping_change(np.array(REFERENCE["x"]), np.array(REFERENCE["y"])), REFERENCE["paired"])


def test_with_nobody_in_both_waves_it_is_welchs_test():
    x, z = np.array(REFERENCE["x"]), np.array(REFERENCE["z"])
    before = np.r_[x, np.full(len(z), GAP)]
    after = np.r_[np.full(len(x), GAP), z]
    _agrees(overlapping_change(before, after), REFERENCE["welch"])


def test_swapping_the_waves_turns_the_sign():
    x, y = np.array(REFERENCE["x"]), np.array(REFERENCE["y"])
    there, back = overlapping_change(x, y), overlapping_change(y, x)
    assert there.estimate == -back.estimate and there.p_value == pytest.approx(back.p_value, rel=EXACT)


def test_partly_linked_intervals_hold_the_truth_at_their_rate():
    rng = np.random.default_rng(11)
    seeds, people, planted, held = 1000, 200, 0.3, 0
    for _ in range(seeds):
        person = rng.normal(0, 0.7, people)
        waves = [3 + person + rng.normal(0, 0.5, people), 3 + planted + person + rng.normal(0, 0.6, people)]
        for wave in waves:
            wave[rng.random(people) > 0.62] = GAP
        change = overlapping_change(*waves)
        held += change.conf_low <= planted <= change.conf_high
    assert abs(held / seeds - 0.95) < 0.021  # three standard errors of a share of .95 in 1,000 seeds


@pytest.mark.parametrize("before", [np.array([GAP, 3.0, GAP]), np.full(3, GAP)])
def test_one_answer_is_not_enough(before):
    with pytest.raises(EstimationError, match="at least 2"):
        overlapping_change(before, np.array([1.0, 2.0, 3.0]))


def test_without_any_spread_it_refuses():
    with pytest.raises(EstimationError, match="varies"):
        overlapping_change(np.full(5, 3.0), np.full(5, 4.0))
