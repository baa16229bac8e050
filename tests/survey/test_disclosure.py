"""Laws of suppression, each checked against a reader who solves for what is hidden."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.errors import DataError
from smstudy.privacy import Privacy
from smstudy.survey.disclosure import (
    hidden_rows,
    protect,
)

COUNTS = st.lists(st.integers(0, 30), min_size=1, max_size=8)


def protected(counts, **options):
    table = pd.DataFrame({"group": [f"g{i}" for i in range(len(counts))], "n": counts, "mean": 3.0})
    return protect(table, group="group", counts=["n"], numbers=["mean"], privacy=Privacy(), **options)


@given(COUNTS)
def test_a_reader_who_knows_the_total_cannot_narrow_a_small_count(counts):
    counts = np.array(counts)
    hidden = hidden_rows(counts[:, None], 5)
    if hidden.all() or not hidden.any():
        return
    total, others = counts[hidden].sum(), hidden.sum() - 1
    for place in np.flatnonzero((counts > 0) & (counts < 5)):
        assert hidden[place]
        assert others >= 1 and total - others >= 4  # each hidden group has 1 or more, so a group has up to the rest


@given(COUNTS)
def test_hidden_numbers_are_blank_and_shown_numbers_unchanged(counts):
    shown, _ = protected(counts)
    hidden = shown.get("hidden", pd.Series(False, index=shown.index))
    assert shown.loc[hidden, ["n", "mean"]].isna().all(axis=None)
    assert (shown.loc[~hidden, "n"] == np.array(counts)[~hidden]).all()


@given(COUNTS)
def test_protecting_is_monotone_when_the_total_is_unknown(counts):
    column = np.array(counts)[:, None]
    assert (hidden_rows(column, 5) >= hidden_rows(column, 5, total_known=False)).all()


def test_the_input_table_is_not_changed():
    table = pd.DataFrame({"group": ["a", "b"], "n": [9, 2]})
    protect(table, group="group", counts=["n"], numbers=[], privacy=Privacy())
    assert table["n"].tolist() == [9, 2] and "hidden" not in table


def test_a_group_that_was_hidden_before_stays_hidden():
    table = pd.DataFrame({"group": ["a", "b", "c"], "n": [9.0, 20, 30], "hidden": [True, False, False]})
    shown, _ = protect(table, group="group", counts=["n"], numbers=[], privacy=Privacy())
    assert shown["hidden"].tolist()[0]


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match='Did you mean "group"'):
        protect(pd.DataFrame({"group": []}), group="groop", counts=[], numbers=[], privacy=Privacy())
