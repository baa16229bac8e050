"""Thresholds can only be raised, and the gate blanks whoever is too few."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.errors import DisclosureError
from smstudy.privacy import Privacy


@pytest.mark.parametrize("options", [{"min_n": 4}, {"min_n": 0}, {"min_n": -9}, {"min_n": True}, {"comment_min_n": 9},
                                     {"min_n": float("nan")}, {"comment_min_n": float("nan")}])  # fmt: skip
def test_a_threshold_below_its_floor_is_refused(options):
    with pytest.raises(DisclosureError, match="can only be raised"):
        Privacy(**options)


def test_raising_never_lowers():
    policy = Privacy(min_n=8, comment_min_n=12).raised_to(20)
    assert (policy.min_n, policy.comment_min_n) == (20, 20)
    with pytest.raises(DisclosureError, match="the 20 this study is held to"):
        policy.raised_to(19)


def test_a_closed_group_stays_closed():
    policy = Privacy().closing([("unit", "Sales")]).closing([("unit", "IT")]).raised_to(9)
    assert policy.closed == {("unit", "Sales"), ("unit", "IT")} and policy.min_n == 9


@given(st.integers(5, 30), st.integers(0, 60))
def test_an_empty_group_and_a_large_one_may_be_shown(min_n, n):
    assert Privacy(min_n=min_n).allows(n) == (n == 0 or n >= min_n)


def test_an_unknown_count_is_not_allowed():
    assert not Privacy().allows(float("nan"))


def table(**columns):
    return pd.DataFrame({"group": ["A", "B", "C"], **columns})


@pytest.mark.parametrize("count", ["n", "n_previous", "n_linked"])
def test_every_kind_of_count_closes_its_row(count):
    gated = Privacy().gate(table(**{count: [12, 4, 0]}, mean=[3.0, 4.0, np.nan]))
    assert gated["hidden"].tolist() == [False, True, False]
    assert gated[count].tolist()[::2] == [12, 0] and gated.loc[1, [count, "mean"]].isna().all()


def test_the_threshold_itself_is_shown():
    assert "hidden" not in Privacy(min_n=7).gate(table(n=[7, 70, 0]))


def test_words_for_a_hidden_number_are_hidden_too():
    gated = Privacy().gate(table(n=[12, 4, 9], reading=["good", "weak", "good"], verdict=["x", "y", "z"]))
    assert gated["reading"].tolist()[::2] == ["good", "good"]
    assert pd.isna(gated["reading"][1]) and pd.isna(gated["verdict"][1])


def test_the_reason_of_a_hidden_verdict_is_hidden_and_one_that_names_a_row_stays():
    why = {"n": [12, 4, 9], "reason": ["u", "v", "w"]}
    assert Privacy().gate(table(**why, verdict=["x", "y", "z"]))["reason"].isna().tolist() == [False, True, False]
    assert Privacy().gate(table(**why))["reason"].tolist() == ["u", "v", "w"]


def test_cut_offs_are_about_nobody_and_stay():
    gated = Privacy().gate(table(n=[12, 4, 9], threshold=[1.0, 2.0, 3.0], k=[2, 3, 4], share=[0.1, 0.2, 0.3]))
    assert gated["threshold"].tolist() == [1, 2, 3] and gated["k"].tolist() == [2, 3, 4]
    assert np.isnan(gated["share"][1])


def test_rows_marked_hidden_lose_their_numbers_whatever_their_count():
    gated = Privacy().gate(table(n=[12.0, np.nan, 30], mean=[1.0, 2.0, 3.0], hidden=[False, True, True]))
    assert gated["mean"].isna().tolist() == [False, True, True] and gated["n"].isna().tolist() == [False, True, True]
    assert gated["hidden"].tolist() == [False, True, True]


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64", "Float64"])
def test_every_type_of_count_is_gated(dtype):
    assert Privacy().gate(table(n=pd.array([12, 4, 9], dtype=dtype)))["n"].isna().tolist() == [False, True, False]


def test_tables_without_counts_pass_and_inputs_are_not_changed():
    plain = table(mean=[1.0, 2.0, 3.0])
    assert Privacy().gate(plain).equals(plain)
    small = table(n=[12, 4, 9])
    Privacy().gate(small)
    assert small["n"].tolist() == [12, 4, 9] and "hidden" not in small


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(5, 9))
def test_gating_twice_changes_nothing_and_shows_no_small_count(counts, min_n):
    policy = Privacy(min_n=min_n)
    once = policy.gate(pd.DataFrame({"n": counts, "mean": 1.0}))
    assert not once["n"].between(1, min_n - 1).any()
    pd.testing.assert_frame_equal(policy.gate(once), once)
