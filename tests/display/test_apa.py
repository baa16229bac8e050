"""Numbers as APA 7 writes them, whatever number it is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.display import apa
from smstudy.vocabulary import AUGMENT, GLANCE, TIDY

NOTHING = [None, float("nan"), np.nan, pd.NA, pd.NaT]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("value", NOTHING)
@pytest.mark.parametrize("write", [write for kind, write in apa.WRITERS.items() if kind != "flag"])
def test_what_is_missing_is_a_dash(write, value):
    assert write(value) == apa.EMPTY


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0.00"), (-0.0, "0.00"), (-0.004, "0.00"), (-0.005001, "−0.01"), (1234.5, "1,234.50"),
        (-1234.5, "−1,234.50"), (9_999_999.0, "9,999,999.00"), (12_345_678.9, "1.23e+07"), (-2.5e-9, "0.00"),
        (1e300, "1.00e+300"), (np.inf, "∞"), (-np.inf, "−∞"), (np.float32(0.5), "0.50"), (np.int64(3), "3.00"),
    ],
)  # fmt: skip
def test_number_has_two_decimals_and_a_true_minus(value, words):
    assert apa.number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, ".50"),
        (-0.5, "−.50"),
        (0.996, "1.00"),
        (-0.996, "−1.00"),
        (1.0, "1.00"),
        (-0.001, ".00"),
        (10.05, "10.05"),
    ],
)
def test_bounded_has_no_leading_zero(value, words):
    assert apa.bounded(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "< .001"), (0.00099, "< .001"), (0.001, ".001"), (0.0499, ".050"), (0.05, ".050"), (1.0, "1.000")],
)
def test_p_has_three_decimals_and_never_says_zero(value, words):
    assert apa.p_value(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (-0.0, "0"), (3.0, "3"), (12_345_678, "12,345,678"), (-2, "−2")]
)
def test_count_is_whole(value, words):
    assert apa.count(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "0 %"), (-0.001, "0 %"), (0.625, "62 %"), (1, "100 %"), (-0.5, "−50 %")]
)
def test_share_is_a_whole_percentage(value, words):
    assert apa.share(value) == words


@pytest.mark.parametrize(("value", "words"), [(30.0, "30"), (30.25, "30.2"), (np.inf, "∞"), (1500, "1,500")])
def test_degrees_of_freedom_are_whole_when_they_are(value, words):
    assert apa.degrees(value) == words


@given(NUMBERS)
def test_no_hyphen_stands_for_a_minus_and_no_zero_is_negative(value):
    for write in (apa.number, apa.bounded, apa.share, apa.count):
        words = write(value)
        assert not words.startswith("-")
        assert words.strip("0., %") != apa.MINUS


@given(st.floats(-1e6, 1e6))
def test_number_reads_back_to_half_a_unit(value):
    back = float(apa.number(value).replace(apa.MINUS, "-").replace(",", ""))
    assert abs(back - value) <= 0.005 + 1e-9  # half of the last decimal shown, and rounding of the sum


def test_an_interval_with_an_end_missing_is_a_dash():
    assert apa.interval(0.1, float("nan")) == apa.EMPTY
    assert apa.interval(-1, np.inf) == "[−1.00, ∞]"


def test_every_column_of_the_vocabulary_can_be_written():
    for name in {**TIDY, **GLANCE, **AUGMENT}:
        assert isinstance(apa.write(name, 0.5), str) and isinstance(apa.write(name, "words"), str)


def test_only_names_become_labels():
    labels = {"leadership": "Support"}
    assert apa.say("term", "leadership", labels) == "Support"
    assert apa.say("reason", "leadership", labels) == "leadership"
    assert apa.column("no_such_column").kind == "text"


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0.00"), (-0.0042, "−0.004"), (0.00471, "0.005"), (0.00012, "0.0001"), (0.25, "0.25"), (-0.005001, "−0.01"),
     (1e-17, "0.00"), (-0.00004, "0.00"), (10.0, "10.00"), (np.nan, apa.EMPTY)],
)  # fmt: skip
def test_a_change_shows_more_decimals_where_two_would_show_nothing(value, words):
    assert apa.change(value) == words
    assert apa.write("difference", value) == apa.write("shift", value) == words


@given(st.floats(-1e6, 1e6))
def test_a_change_is_written_as_nothing_only_where_four_decimals_show_none(value):
    shows_nothing = not apa.number(value, apa.MOST_DECIMALS).strip("0." + apa.MINUS)
    assert (apa.change(value) == "0.00") == shows_nothing
