"""Laws of suppression, each checked against a reader who solves for what is hidden."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smstudy as sm
from smstudy.errors import DataError
from smstudy.privacy import Privacy
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import alike, hidden_groups, protect
from smstudy.survey.suppression import hidden_rows

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


AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
BOOK = Codebook.model_validate(
    {
        "title": "Departments",
        "variables": [
            {"name": "unit", "kind": "unit", "categories": [{"value": name, "label": name} for name in "ABCDE"]},
            {"name": "q", "kind": "item", "categories": AGREE},
        ],
        "scales": [{"name": "use", "items": ["q"]}],
    }
)


def answered(groups, privacy=None):
    """A survey with one score; groups of values by name."""
    pairs = [(name, float(value)) for name, values in groups.items() for value in values]
    rows = pd.DataFrame([{"unit": name, "q": value, "use": value} for name, value in pairs])
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=rows, codebook=BOOK, missing=nothing, privacy=privacy or Privacy())


def test_a_group_in_which_all_answer_the_same_is_hidden_with_a_second_one():
    mixed = {"A": [1, 2, 3, 4, 5, 5, 4], "B": [3, 4, 2, 2, 1, 3], "C": [5] * 12, "D": [2, 3] * 10}
    assert hidden_groups(answered(mixed), "unit") == {"B", "C"}


def test_groups_hidden_together_do_not_all_answer_the_same():
    mixed = {"A": [1, 2, 3, 4, 5, 5, 4], "B": [5] * 6, "C": [5] * 12, "D": [2, 3] * 10}
    assert hidden_groups(answered(mixed), "unit") == {"A", "B", "C"}


def test_a_number_on_the_page_that_is_no_scale_is_looked_at_too():
    survey = answered({"A": [1, 2, 3, 4, 5, 5], "B": [3, 4, 2, 2, 1, 3], "D": [2, 3] * 10})
    years = survey.with_columns(pd.DataFrame({"years": [7.0] * 6 + list(range(26))}), "years")
    assert hidden_groups(years, "unit") == frozenset()
    assert hidden_groups(years, "unit", scores=["years"]) == {"A", "B"}


def test_a_closed_group_is_hidden_whatever_its_size_and_takes_another_with_it():
    groups = {"A": [1, 2, 3, 4, 5] * 4, "B": [3, 4] * 10, "C": [1, 5] * 12}
    assert hidden_groups(answered(groups, Privacy().closing([("unit", "C")])), "unit") == {"A", "C"}
    assert hidden_groups(answered(groups, Privacy().closing([("team", "C")])), "unit") == frozenset()


def test_who_left_an_answer_out_does_not_make_a_group_alike():
    values = pd.DataFrame({"use": [5.0, np.nan, 4, np.nan, np.nan]})
    assert alike(values, pd.Series(list("AAABB"))) == frozenset()
    assert alike(values, pd.Series(list("AABBB"))) == {"A", "B"}


def test_other_numbers_only_add_to_the_groups_that_all_tables_hide():
    """Where they swapped one for another, the small one would follow from two tables."""
    survey = sm.open_study("quarterly-pulse").survey("clean")
    always = hidden_groups(survey, "unit")
    items = [item for scale in survey.codebook.scales for item in scale.items]
    assert always and all(always <= hidden_groups(survey, "unit", scores=[item]) for item in items)
