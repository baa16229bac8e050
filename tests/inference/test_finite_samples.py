"""Laws of `smstudy.inference.finite_samples`, agreement with R survey, and false alarms in small departments."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.errors import EstimationError
from smstudy.inference.finite_samples import change_variance, finite_change, mean_variance, overlap_df
from smstudy.inference.means import overlapping_change
from smstudy.inference.power_formulas import t_power

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "power.json").read_text(encoding="utf-8"))
ENDLESS = (np.inf, np.inf)
TRUE_SD, ERROR_SD, RESPONSE, DRAWS = 0.7, 0.4, 0.65, 2000
RELIABILITY = TRUE_SD**2 / (TRUE_SD**2 + ERROR_SD**2)


def test_agrees_with_svymean_where_scores_are_exact():
    case = REFERENCE["fpc"]
    found = mean_variance(len(case["y"]), sd=np.std(case["y"], ddof=1), population=case["population"])
    assert np.sqrt(found) == pytest.approx(case["std_error"], rel=1e-12)  # closed form


def test_nothing_is_uncertain_of_exact_scores_once_everybody_answered():
    assert mean_variance(12, population=12) == 0


def test_errors_of_measurement_stay_when_everybody_answered():
    assert mean_variance(12, population=12, reliability=0.8) == pytest.approx(0.2 / 12)  # (1 - reliability) / n


@given(st.integers(3, 60), st.integers(3, 60), st.floats(-0.9, 0.9))
def test_an_endless_population_gives_the_variance_of_the_change_test(n, m, correlation):
    pairs = min(n, m)
    found = change_variance((n, m), correlation=correlation, overlap=pairs)
    assert found == pytest.approx(1 / n + 1 / m - 2 * correlation * pairs / (n * m))  # rounding only


@given(st.integers(3, 20), st.integers(3, 20), st.integers(20, 500), st.floats(-0.9, 0.9))
def test_a_correlation_does_not_matter_for_an_overlap_by_chance(n, m, people, correlation):
    told = {"population": (people, people), "reliability": 0.8, "correlation": correlation}
    by_chance = change_variance((n, m), overlap=n * m / people, **told)
    assert by_chance == pytest.approx(change_variance((n, m), **told))  # rounding only


def test_variances_are_those_of_repeated_sampling_from_one_department():
    rng, people, n, m = np.random.default_rng(3), 14, 9, 8
    first, second = rng.normal(size=people), rng.normal(size=people)
    order = np.argsort(rng.random((200_000, 2, people)), axis=2)
    change = second[order[:, 1, :m]].mean(axis=1) - first[order[:, 0, :n]].mean(axis=1)
    sd = (np.std(first, ddof=1), np.std(second, ddof=1))
    found = change_variance((n, m), sd=sd, population=(people, people))
    assert np.var(change) == pytest.approx(found, rel=0.02)  # 4 standard errors of a variance from 200,000 draws


def test_an_endless_population_gives_the_change_test_itself():
    rng = np.random.default_rng(8)
    before, after = rng.normal(size=30), rng.normal(size=30)
    before[:8], after[20:] = np.nan, np.nan
    found = finite_change(before, after, population=ENDLESS, reliability=1.0)
    np.testing.assert_allclose(found, overlapping_change(before, after), rtol=1e-10)  # same formula, other order


def test_degrees_of_freedom_fall_from_different_people_to_the_same():
    assert overlap_df((10, 10)) == 18 and overlap_df((10, 10), overlap=10) == 9
    assert 9 < overlap_df((10, 10), overlap=6) < 18


@pytest.mark.parametrize("before, people", [([1.0, 2.0, 3.0], 2), ([1.0, np.nan, np.nan], 9)])
def test_more_answers_than_people_or_too_few_are_refused(before, people):
    with pytest.raises(EstimationError, match="2 answers in each wave"):
        finite_change(np.array(before), np.array([1.0, 2.0, 4.0]), population=(people, 9), reliability=0.8)


def test_exact_scores_of_everybody_leave_nothing_to_test():
    scores = np.array([1.0, 2.0, 4.0])
    with pytest.raises(EstimationError, match="Nothing is uncertain"):
        finite_change(scores, scores + 1, population=(3, 3), reliability=1.0, linked=False)


@cache
def rejections(people: int, change: float, reliability: float, linked: bool) -> float:
    """Share of significant changes of a department of which a random part answers, measured with error."""
    rng = np.random.default_rng(people)
    found = []
    for _ in range(DRAWS):
        standing = rng.normal(0, TRUE_SD, people)
        moved = standing + change + _centered(rng.normal(0, 0.3, people))
        waves = [_answered(rng, each) for each in (standing, moved)]
        if min(np.isfinite(wave).sum() for wave in waves) >= 3:
            test = finite_change(*waves, population=(people, people), reliability=reliability, linked=linked)
            found.append(test.p_value < 0.05)
    return float(np.mean(found))


def _centered(moves):
    return moves - moves.mean()


def _answered(rng, standing):
    answers = standing + rng.normal(0, ERROR_SD, len(standing))
    return np.where(rng.random(len(standing)) < RESPONSE, answers, np.nan)


@pytest.mark.parametrize("people", [10, 15, 30])
def test_false_alarms_of_a_small_department_stay_near_five_percent(people):
    assert 0.03 < rejections(people, 0.0, RELIABILITY, False) < 0.07  # 5 % give or take 4 simulation errors of 0.5


@pytest.mark.parametrize("people", [10, 30])
def test_known_pairs_bring_no_false_alarms_but_some_caution(people):
    assert 0.02 < rejections(people, 0.0, RELIABILITY, True) < 0.07  # few pairs leave few degrees of freedom


@pytest.mark.parametrize("people", [15, 30])
def test_the_plain_correction_gives_clearly_more_false_alarms(people):
    plain = rejections(people, 0.0, 1.0, False)
    assert plain > 1.5 * rejections(people, 0.0, RELIABILITY, False) and plain > 0.075  # the prototype: about twice


@pytest.mark.parametrize("people", [10, 30])
def test_a_planned_chance_is_the_share_of_changes_found(people):
    n = RESPONSE * people
    error = np.sqrt(change_variance((n, n), sd=(0.85, 0.85), population=(people, people), reliability=RELIABILITY))
    planned = float(t_power(0.4, error, overlap_df((n, n))))
    assert rejections(people, 0.4, RELIABILITY, False) == pytest.approx(planned, abs=0.05)  # n varies around its mean


def test_a_team_of_ten_can_rarely_show_a_change_of_four_tenths():
    assert rejections(10, 0.4, RELIABILITY, False) < 0.3  # the prototype found .21
