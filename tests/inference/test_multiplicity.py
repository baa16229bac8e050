"""Laws of `smstudy.inference.multiplicity`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.errors import DataError
from smstudy.inference.multiplicity import benjamini_hochberg, holm

FILE = Path(__file__).parents[1] / "reference" / "regression.json"
REFERENCE = json.loads(FILE.read_text(encoding="utf-8"))["adjusted"]
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_agrees_with_p_adjust(correct):
    np.testing.assert_allclose(correct(REFERENCE["p"]), REFERENCE[correct.__name__], rtol=1e-14)  # one product each


@given(P_VALUES)
def test_corrections_never_lower_a_p_value_and_keep_the_order(p):
    for correct in (holm, benjamini_hochberg):
        adjusted = correct(p)
        assert (adjusted >= np.array(p) * (1 - 1e-15)).all() and (adjusted <= 1).all()  # p · m / m may round down once
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert (holm(p) >= benjamini_hochberg(p) * (1 - 1e-15)).all()  # the same product rounded in another order


def test_a_single_test_needs_no_correction():
    assert holm([0.03]).tolist() == benjamini_hochberg([0.03]).tolist() == [0.03]


def test_missing_tests_are_not_counted():
    np.testing.assert_array_equal(holm([0.01, np.nan, 0.02]), [0.02, np.nan, 0.02])


def test_nothing_to_correct_gives_nothing():
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("p", [[1.2], [-0.1, 0.5]])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(DataError):
        holm(p)
