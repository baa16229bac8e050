"""Laws of drafting: what is drafted can be decoded, guesses say what they are, nothing is reversed by a guess."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import DataError, SmstudyError
from smstudy.survey.codebook import Codebook
from smstudy.survey.decoding import decode
from smstudy.survey.drafting import draft_variables, order_answers
from smstudy.survey.exports import Export, read_export


def export(**columns):
    """An export of these columns; lists are repeated to 60 rows."""
    given = {name: list(cells) for name, cells in columns.items()}
    rows = max(60, *(len(cells) for cells in given.values()))
    cells = pd.DataFrame({name: (cells * rows)[:rows] for name, cells in given.items()}, dtype="str")
    return Export(cells=cells, source="made.csv", form="table", rows_read=len(cells))


def draft(cells, name="x", **more):
    return next(d for d in draft_variables(export(**{name: cells}, **more)) if d.column == name)


def codebook_of(drafts):
    variables = [
        {
            "name": d.name, "column": d.column, "title": d.title, "kind": d.kind, "missing": dict(d.missing),
            "categories": [{"value": value, "label": label} for value, label in d.categories],
            **({"delimiter": d.delimiter} if d.delimiter else {}),
        }
        for d in drafts
    ]  # fmt: skip
    return Codebook.model_validate({"title": "drafted", "variables": variables})


KINDS = [
    ("q1", ["1", "2", "3", "4", "5"], "item", 5),
    ("q1", ["1", "2", "4", "5"], "item", 5),  # nobody ticked 3
    ("q1", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"], "item", 11),
    ("q1", ["1", "2", "3", "-99"], "item", 3),
    ("q1", ["Agree", "Strongly agree", "Neutral", "Disagree", "Prefer not to say"], "item", 4),
    ("q1", ["1 = never", "2", "3", "4 = always"], "item", 4),
    ("q1", ["Yes", "No"], "category", 2),
    ("q1", ["1", "2"], "category", 2),
    ("age", ["23", "45", "61", "37", "29", "52"], "number", 0),
    ("age", ["23", "45", "61", "-99"], "number", 0),
    ("weight", ["0.5", "1.25", "0.8"], "number", 0),
    ("day", ["2025-03-01", "2025-03-02 10:11:12"], "date", 0),
    ("Department", ["1", "2", "14"], "category", 3),
    ("Status", ["0"], "category", 1),
    ("Finished", ["1", "0"], "category", 2),
    ("Progress", ["100", "7"], "number", 0),
    ("Duration (in seconds)", ["100", "250"], "number", 0),
    ("ResponseId", ["R_1", "R_2"], "id", 0),
    ("tools", ["Chat;", "Wiki;", "Chat;Wiki;", "Blog;Chat;", "Blog;"], "multi-select", 3),
    ("q5_TEXT", ["fine", "fine", "bad"], "text", 0),
    ("Comments", ["ok", "ok", "no"], "text", 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cells", "kind", "n"), KINDS)
def test_a_column_is_taken_for_what_it_looks_like(name, cells, kind, n):
    found = draft(cells, name)
    assert (found.kind, len(found.categories)) == (kind, n)


def test_own_words_are_text_and_stay_out_of_the_draft():
    found = draft([f"my thoughts, number {i}, on this" for i in range(60)])
    assert found.kind == "text" and not found.categories and not found.missing


def test_codes_of_no_answer_are_declared_to_be_confirmed():
    assert draft(["1", "2", "3", "-99", "99"]).missing == {"-99": "code to be confirmed", "99": "code to be confirmed"}
    assert draft(["Yes", "No", "n/a"]).missing == {"n/a": "no answer"}
    assert draft(["35", "99", "61", "47"], "age").missing == {}  # somebody may be 99


def test_missing_codes_are_shared_by_items_with_the_same_answers():
    drafts = draft_variables(export(q1=["1", "2", "3", "-99"], q2=["3", "2", "1"]))
    assert [d.missing for d in drafts] == [{"-99": "code to be confirmed"}] * 2


def test_unlabeled_answers_ask_for_labels():
    assert "write them in" in draft(["1", "2", "3"]).confirm
    assert draft(["Agree", "Neutral", "Disagree"]).confirm == ""


@pytest.mark.parametrize(
    "cells", [(["1", "2", "3", "4", "5"], ["2", "3", "4"]), (["Agree", "Neutral", "Disagree"], ["Agree", "Neutral"])]
)
def test_items_of_a_battery_share_their_answers(cells):
    first, second = draft_variables(export(q6_1=cells[0], q6_2=cells[1]))
    assert first.categories == second.categories and first.kind == second.kind == "item"


def test_an_item_against_its_neighbors_is_marked_and_never_reversed():
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 6, 90)
    good = {f"q{i}": [str(code) for code in np.clip(truth + rng.integers(-1, 2, 90), 1, 5)] for i in range(1, 4)}
    against = [str(6 - code) for code in truth]
    *others, last = draft_variables(export(**good, q4=against))
    assert "reverse: true" in last.confirm and not any("reverse" in d.confirm for d in others)
    assert not hasattr(last, "reverse")


@pytest.mark.parametrize("name", ["null", "true", "1", "ß", "flag_any", "Пол", "a" * 300, "x.y", "Q1: How?"])
def test_names_can_be_used_in_formulas(name):
    [found] = draft_variables(export(**{name: ["a", "b"]}))
    assert found.name.isidentifier() and found.name.isascii() and not found.name.startswith("flag_")
    assert found.name not in ("null", "true", "false") and len(found.name) <= 50


def test_headers_that_are_there_twice_are_left_out():
    twice = export(s1=["1", "2", "3"], s2=["a", "b"], **{"s1 (2)": ["x", "y"]})
    assert [d.column for d in draft_variables(Export(**{**vars(twice), "duplicates": ("s1 (2)",)}))] == ["s2"]


def test_an_export_without_any_answer_is_refused():
    with pytest.raises(DataError, match="no column"):
        draft_variables(export(x=[""], y=[" "]))


def test_order_is_known_or_none():
    assert order_answers(["Often", "Never", "Sometimes"]) == ("Never", "Sometimes", "Often")
    assert order_answers(["Red", "Green"]) is None and order_answers([]) is None


def test_declared_labels_are_taken_and_gaps_filled():
    made = export(q=["1", "4", "7", "9"], age=["31", "47", "99"])
    labeled = Export(
        **{**vars(made), "choices": {"q": {"1": "Disagree", "7": "Agree", "9": "No answer"}, "age": {"99": "Refused"}}}
    )
    q, age = draft_variables(labeled)
    assert q.kind == "item" and q.missing == {"9": "No answer"}
    assert dict(q.categories) == {"1": "Disagree", "4": "answer 4", "7": "Agree"}
    assert age.kind in ("item", "number") and age.missing == {"99": "Refused"}
    decode(labeled, codebook_of([q, age]))


SHORT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
CELL = st.one_of(
    SHORT, st.sampled_from(["1", "2", "3", "-99", "NA", "Agree", "a;b", "1,5", "2.5", "2025-01-01", "1e5", "yes", ""])
)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(SHORT, min_size=width, max_size=width),
        st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=12),
    )
)


@settings(max_examples=150, deadline=None)
@given(table=TABLES)
def test_any_table_is_drafted_and_decoded_or_refused_in_one_line(table, tmp_path_factory):
    header, rows = table
    path = tmp_path_factory.getbasetemp() / "any.csv"
    written = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (header, *rows)]
    path.write_text("\n".join(written) + "\n", encoding="utf-8", newline="")
    try:
        read = read_export(path)
        drafts = draft_variables(read)
    except SmstudyError as error:
        assert "\n" not in str(error)
        return
    survey = decode(read, codebook_of(drafts))
    assert len(survey.answers) == read.rows_read
