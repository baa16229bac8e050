"""Careless indices against R, brute force and cases whose answer is plain."""

import json
from itertools import groupby
from pathlib import Path
from statistics import stdev

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.errors import DataError
from smstudy.survey.careless import (
    area_under_curve,
    average_string,
    contradictions,
    even_odd,
    failed_checks,
    longstring,
    mahalanobis,
    missing_share,
    person_total,
    psychometric_synonyms,
    relative_speed,
    response_variability,
    seconds_per_item,
    straight_share,
    synonym_pairs,
    zero_variance,
)

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
R = json.loads((REFERENCE / "careless.json").read_text(encoding="utf-8"))
CARELESS = Path(__file__).resolve().parents[3] / "shared" / "data" / "careless"
ROWS = st.lists(st.lists(st.integers(1, 5), min_size=7, max_size=7), min_size=1, max_size=6)


def answers(name):
    file = REFERENCE / "careless.csv" if name == "simulated" else CARELESS / f"{name}.csv"
    if not file.is_file():
        pytest.skip("the reference data of R careless are not on this machine")
    return pd.read_csv(file).to_numpy(float)


def ours(items, case):
    found = {
        "longstring": longstring(items),
        "average_string": average_string(items),
        "irv": response_variability(items),
        "even_odd": even_odd(items, case["factors"]),
        "synonyms": psychometric_synonyms(items, critical=case["critical"]),
        "person_total": person_total(items),
        "mahalanobis": mahalanobis(items),
    }
    if case["antonym_pairs"]:
        critical = case["critical_antonyms"]
        found["antonyms"] = psychometric_synonyms(items, critical=critical, antonyms=True)
    return found


@pytest.mark.parametrize("name", ["simulated", "careless_dataset", "careless_dataset2"])
def test_indices_agree_with_r(name):
    case, items = R[name], answers(name)
    rows = np.atleast_1d(case["rows"]) - 1
    for index, values in ours(items, case).items():
        expected = np.array(case["values"][index], dtype=float)
        # R writes 15 digits; sums of up to 100 terms and one inverted matrix in another order
        assert values[rows] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), index
    assert len(synonym_pairs(items, critical=case["critical"])[0]) == case["pairs"]
    assert len(synonym_pairs(items, critical=case["critical_antonyms"], antonyms=True)[0]) == case["antonym_pairs"]


@pytest.mark.parametrize("index", ["mahalanobis", "irv", "longstring"])
def test_area_under_the_curve_agrees_with_proc(index):
    scores, failed = np.array(R["simulated"]["values"][index], dtype=float), np.array(R["failed"])
    use = ~np.isnan(scores)
    expected = R["areas"][index]
    found = area_under_curve(scores[use], failed[use])
    values = [expected["area"], expected["error"], expected["low"], expected["high"]]
    assert list(found) == pytest.approx(values, rel=1e-10)  # R writes 15 digits; means of 100 ranks


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=4, max_size=12))
def test_the_area_is_the_share_of_pairs_in_the_right_order(rows):
    scores, failed = np.array([row[0] for row in rows], dtype=float), np.array([row[1] for row in rows])
    if not 2 <= failed.sum() <= len(rows) - 2:
        return
    pairs = [(bad > good) + (bad == good) / 2 for bad in scores[failed] for good in scores[~failed]]
    assert area_under_curve(scores, failed).estimate == pytest.approx(np.mean(pairs), abs=1e-12)  # sums of 36 halves


@given(ROWS)
def test_longstring_and_its_average_count_runs_of_equal_answers(rows):
    runs = [[len(list(run)) for _, run in groupby(row)] for row in rows]
    assert longstring(np.array(rows, dtype=float)).tolist() == [max(lengths) for lengths in runs]
    expected = [sum(lengths) / len(lengths) for lengths in runs]
    assert average_string(np.array(rows, dtype=float)).tolist() == expected


def test_a_missing_answer_ends_a_run_and_is_one_of_its_own():
    items = np.array([[2, 2, np.nan, 2, 2, 2], [np.nan] * 6])
    assert longstring(items).tolist() == [3, 1]
    assert average_string(items).tolist() == [2, 1]


@given(ROWS)
def test_response_variability_is_the_standard_deviation_of_a_row(rows):
    found = response_variability(np.array(rows, dtype=float))
    assert found == pytest.approx([stdev(row) for row in rows], abs=1e-12)  # two ways of summing seven small numbers


def test_response_variability_leaves_missing_answers_out():
    assert response_variability(np.array([[1, np.nan, 4], [2, np.nan, np.nan]]))[0] == pytest.approx(stdev([1, 4]))
    assert np.isnan(response_variability(np.array([[2, np.nan, np.nan]]))[0])


def test_zero_variance_needs_half_of_the_items():
    items = np.array([[3, 3, 3, 3], [3, 3, np.nan, np.nan], [3, np.nan, np.nan, np.nan], [3, 3, 3, 4]], dtype=float)
    assert np.array_equal(zero_variance(items), [1, 1, np.nan, 0], equal_nan=True)


def test_speed_is_per_answered_item_and_the_median_respondent_has_speed_one():
    items, seconds = np.array([[1, 2], [1, np.nan], [3, 3.0]]), np.array([10.0, 10, 40])
    assert seconds_per_item(items, seconds).tolist() == [5, 10, 20]
    assert relative_speed(items, seconds).tolist() == [2, 1, 0.5]
    assert relative_speed(items, seconds, median=20).tolist() == [4, 2, 1]
    assert missing_share(items).tolist() == [0, 0.5, 0]


def test_even_odd_is_minus_one_for_halves_that_agree_and_one_for_halves_that_oppose():
    items = np.array([[1, 1, 3, 3, 5, 5], [1, 5, 3, 3, 5, 1], [3, 1, 3, 2, 3, 4]], dtype=float)
    assert np.array_equal(even_odd(items, [2, 2, 2]), [-1, 1, np.nan], equal_nan=True)


def test_even_odd_leaves_out_a_scale_whose_half_is_missing():
    full = np.array([[1, 2, 4, 3, 5, 5, 2, 2]], dtype=float)
    gap = np.concatenate([full, [[2.0, np.nan]]], axis=1)
    assert even_odd(gap, [2, 2, 2, 2, 2])[0] == even_odd(full, [2, 2, 2, 2])[0]


@pytest.mark.parametrize("factors", [[4], [2, 1], [3, 3]])
def test_even_odd_refuses_scales_that_do_not_fill_the_columns(factors):
    with pytest.raises(DataError, match="at least 2 scales"):
        even_odd(np.ones((2, 4)), factors)


def test_without_pairs_there_are_no_synonyms():
    items = np.random.default_rng(1).integers(1, 6, (200, 6)).astype(float)
    with pytest.raises(DataError, match="No two items correlate above 0.6"):
        psychometric_synonyms(items)
    with pytest.raises(DataError, match="below -0.6"):
        psychometric_synonyms(items, antonyms=True)


def test_mahalanobis_is_the_textbook_form_where_nothing_is_missing():
    items = np.random.default_rng(1).normal(size=(60, 4))
    apart = items - items.mean(axis=0)
    inverse = np.linalg.inv(np.cov(items, rowvar=False))
    expected = [row @ inverse @ row for row in apart]
    assert mahalanobis(items) == pytest.approx(expected, rel=1e-10)  # one 4 x 4 inverse in double precision


@pytest.mark.parametrize("change", ["constant", "copy", "few"])
def test_mahalanobis_is_refused_where_covariances_cannot_be_inverted(change):
    items = np.random.default_rng(1).normal(size=(60, 4))
    broken = {
        "constant": np.column_stack([items, np.ones(60)]),
        "copy": np.column_stack([items, items[:, 0]]),
        "few": items[:4],
    }[change]
    with pytest.raises(DataError, match="cannot be inverted"):
        mahalanobis(broken)


def test_straight_lines_are_counted_by_battery():
    items = np.array([[2, 2, 2, 4, 4, 4], [2, 2, 2, 1, 5, 3], [1, 2, 3, 3, 3, 3], [2, np.nan, np.nan, 1, 2, 1]], float)
    assert straight_share(items, [[0, 1, 2], [3, 4, 5]]).tolist() == [1, 0.5, 0.5, 0]
    assert contradictions(items, [[0, 1, 2], [3, 4, 5]], [3, 3]).tolist() == [2, 1, 0, 0]


def test_a_check_that_was_not_answered_is_not_failed():
    failed = np.array([[1, 1], [0, np.nan], [np.nan, np.nan]])
    assert np.array_equal(failed_checks(failed), [2, 0, np.nan], equal_nan=True)


@given(ROWS)
def test_indices_do_not_change_when_all_answers_move_by_one(rows):
    items = np.array(rows, dtype=float)
    for index in (longstring, average_string, lambda x: even_odd(x, [2, 2, 3]), person_total):
        assert index(items + 1) == pytest.approx(index(items), abs=1e-9, nan_ok=True)  # rounding of means


EVERY = {
    "longstring": longstring,
    "average_string": average_string,
    "response_variability": response_variability,
    "zero_variance": zero_variance,
    "straight_share": lambda items: straight_share(items, [range(items.shape[1])]),
    "no_batteries": lambda items: straight_share(items, []),
    "contradictions": lambda items: contradictions(items, [range(items.shape[1])], [3.0]),
    "even_odd": lambda items: even_odd(items, [items.shape[1] // 2, items.shape[1] - items.shape[1] // 2]),
    "person_total": person_total,
    "missing_share": missing_share,
    "seconds_per_item": lambda items: seconds_per_item(items, np.ones(len(items))),
    "relative_speed": lambda items: relative_speed(items, np.ones(len(items))),
    "failed_checks": failed_checks,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize("name", EVERY)
def test_nobody_or_no_item_gives_a_value_per_row_and_no_warning(name, shape):
    for fill in (2.0, np.nan):
        assert EVERY[name](np.full(shape, fill)).shape == (shape[0],)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize("index", [mahalanobis, psychometric_synonyms])
def test_indices_that_need_correlations_refuse_empty_answers(index, shape):
    with pytest.raises(DataError):
        index(np.full(shape, 2.0))


@pytest.mark.parametrize("high", [True, False])
def test_sides_wholly_apart_have_an_area_and_no_interval(high):
    area = area_under_curve(np.arange(10.0), (np.arange(10) >= 5) == high)
    assert area.estimate == float(high) and np.isnan(area[1:]).all()


def test_a_curve_needs_two_of_each_side():
    with pytest.raises(DataError, match="at least 2"):
        area_under_curve(np.arange(4.0), np.arange(4) > 2)
