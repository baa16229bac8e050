"""Laws of the schema diff: nothing changed gives nothing, each change has its name, and no rare answer is quoted."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.survey.codebook import Codebook
from smstudy.survey.decoding import decode
from smstudy.survey.exports import Export
from smstudy.survey.schema import STATUSES, STOPS, compare_schemas

WORDS = ("Strongly disagree", "Disagree", "Neither", "Agree", "Strongly agree")
AGREE = [{"value": i, "label": word} for i, word in enumerate(WORDS, 1)]
UNITS = [{"value": name, "label": name} for name in ("Sales", "Service", "Research")]
STEM = "How far do you agree? - "
ASKED = {
    "Q1_1": "My manager takes part visibly.",
    "Q1_2": "I know what is expected of me.",
    "Q1_3": "It helps me to find the right person.",
}
FIVE = ["1", "2", "3", "4", "5"] * 12


def export(labels=None, **columns):
    cells = pd.DataFrame({name: list(cells) for name, cells in columns.items()}, dtype="str")
    return Export(cells=cells, source="made.csv", form="table", labels=labels or {}, rows_read=len(cells))


def item(name, column, **more):
    return {"name": name, "column": column, "kind": "item", "categories": AGREE, **more}


def book(*variables):
    return Codebook.model_validate({"title": "t", "variables": list(variables)})


def wave(labels=None, **changed):
    columns = {**dict.fromkeys(ASKED, FIVE), "unit": ["Sales", "Service", "Research"] * 20, **changed}
    kept = {name: cells for name, cells in columns.items() if cells is not None}
    return export({**{name: STEM + text for name, text in ASKED.items()}, **(labels or {})}, **kept)


BOOK = book(
    *(item(f"use_{i}", column, title=STEM + text) for i, (column, text) in enumerate(ASKED.items(), 1)),
    {"name": "unit", "kind": "unit", "categories": UNITS},
)


def changes(now, codebook=BOOK, previous=None):
    return compare_schemas(now, codebook, previous=previous).tidy()


def only(now, codebook=BOOK, previous=None):
    rows = changes(now, codebook, previous)
    assert len(rows) == 1, rows
    return rows.iloc[0]


def test_an_export_that_fits_has_no_difference():
    assert changes(wave()).empty and changes(wave(), previous=wave()).empty


def test_every_status_has_its_place():
    assert len(set(STATUSES)) == len(STATUSES)


def test_what_stops_a_run_is_what_the_decoder_refuses():
    for now in (wave(), wave(Q1_1=["0", "1", "2", "3", "4"] * 12), wave(unit=None), wave(Q1_2=["Agree", "x"] * 30)):
        stops = changes(now)["status"].isin(STOPS).any()
        try:
            decode(now, BOOK)
            assert not stops
        except Exception:
            assert stops


# ---- columns -------------------------------------------------------------------------------------------------------


def test_a_renamed_column_is_known_by_its_wording():
    now = wave(Q1_2=None, **{"Q7_2": FIVE}, labels={"Q7_2": STEM + ASKED["Q1_2"]})
    row = changes(now, previous=wave()).iloc[0]
    assert (row["term"], row["status"], row["old"], row["new"]) == ("use_2", "renamed", "Q1_2", "Q7_2")
    assert 'column: "Q7_2", former_columns: ["Q1_2"]' in row["repair"]


def test_the_line_to_write_repairs_both_waves():
    now = wave(Q1_2=None, **{"Q7_2": FIVE}, labels={"Q7_2": STEM + ASKED["Q1_2"]})
    repaired = book(
        *(
            v.model_dump() | ({"column": "Q7_2", "former_columns": ["Q1_2"]} if v.name == "use_2" else {})
            for v in BOOK.variables
        )
    )
    assert not changes(now, repaired, wave())["status"].isin(STOPS).any()
    assert not changes(wave(), repaired)["status"].isin(STOPS).any()


def test_a_question_used_as_header_is_known_after_an_edit():
    old, new = "I use the platform to coordinate tasks.", "I use our platform to coordinate my tasks."
    codebook = book(item("tasks", old), item("other", "I know what is expected."))
    before = export(**{old: FIVE, "I know what is expected.": FIVE})
    row = only(export(**{new: FIVE, "I know what is expected.": FIVE}), codebook, before)
    assert (row["status"], row["old"], row["new"]) == ("renamed", old, new)


def test_columns_that_differ_in_their_number_are_not_taken_for_each_other():
    rows = changes(wave(Q1_2=None, Q9_2=FIVE, labels={"Q9_2": "Something else entirely, about canteens"}))
    assert set(rows["status"]) == {"not in the export", "added"}


def test_the_same_answers_are_needed_for_a_rename():
    now = wave(Q1_2=None, **{"Q1-2": ["some", "words", "here"] * 20}, labels={"Q1-2": ""})
    assert "renamed" not in set(changes(now, previous=wave())["status"])


def test_two_columns_as_near_are_left_to_a_person():
    codebook = book({"name": "use", "column": "use of it", "kind": "number"})
    rows = changes(export(**{"use of it a": ["1"], "use of it b": ["2"]}), codebook)
    assert rows.iloc[0]["status"] == "perhaps renamed" and "Cannot tell" in rows.iloc[0]["repair"]


def test_a_wording_that_moved_to_another_column_is_a_doubt():
    swapped = {"Q1_1": STEM + ASKED["Q1_2"], "Q1_2": STEM + ASKED["Q1_1"]}
    rows = changes(wave(labels=swapped), previous=wave())
    assert list(rows["status"]) == ["in another column"] * 2
    assert 'write column: "Q1_2"' in rows.loc[rows["term"] == "use_1", "repair"].item()


def test_another_question_in_the_same_column_is_a_doubt():
    row = only(wave(labels={"Q1_1": "Please rate lunch"}), previous=wave())
    assert row["status"] == "perhaps another question" and "Cannot tell" in row["repair"]


def test_an_edited_wording_is_told():
    row = only(wave(labels={"Q1_1": STEM + "My own manager takes part visibly."}), previous=wave())
    assert row["status"] == "wording edited" and row["old"] != row["new"]


def test_added_dropped_and_moved_columns_are_told():
    assert only(wave(extra=["a"] * 60))["status"] == "added"
    assert only(wave(unit=None))["status"] == "not in the export"
    assert only(wave(), previous=wave(extra=["a"] * 60))["status"] == "dropped"
    now = wave()
    moved = Export(**{**vars(now), "cells": now.cells[["Q1_2", "Q1_1", "Q1_3", "unit"]]})
    assert only(moved, previous=wave())["status"] == "moved"
    assert 'after "Q1_2"' in only(moved, previous=wave())["new"] or 'after ""' in only(moved, previous=wave())["new"]


def test_an_added_column_with_known_answers_comes_with_its_answer_scale():
    data = BOOK.model_dump() | {"answer_scales": {"agree5": AGREE}}
    codebook = Codebook.model_validate({**data, "variables": list(data["variables"])})
    assert "kind: item, categories: agree5" in only(wave(q_new=FIVE), codebook)["repair"]


def test_a_former_column_is_found_and_no_difference():
    codebook = book(item("use", "new header", former_columns=["Q1_1"]))
    assert changes(export(Q1_1=FIVE), codebook).empty


# ---- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "status", "words"),
    [
        (["0", "1", "2", "3", "4"], "coding shifted", "choice text"),
        (["2", "3", "4", "5", "6"], "coding shifted", "choice text"),
        (["0", "1", "2", "3"], "coding shifted", "Cannot tell for sure"),
        (["8", "9", "10", "11", "14"], "recoded", 'aliases: ["14"]'),
        (["1", "2", "3", "4", "6"], "recoded", "Cannot tell"),
        (["1", "2", "9"], "answers not in the codebook", 'missing: {"9": "why"}'),
        (["Stimme zu", "Weder noch", "Stimme gar nicht zu"], "other language", '"Agree": aliases: ["Stimme zu"]'),
        (["Agree", "Strongly  agre"], "spelled differently", 'aliases: ["Strongly  agre"]'),
        (["Agree", "Banana"], "answers not in the codebook", "write kind: text if people wrote their own words there"),
    ],
)
def test_unknown_answers_are_explained(cells, status, words):
    row = only(wave(Q1_1=(cells * 60)[:60]))
    assert row["status"] == status and words in row["repair"] + row["new"], row.to_dict()


def test_the_line_for_recoded_answers_reads_the_export():
    codes = ["8", "9", "10", "11", "14"]
    aliases = [{**answer, "aliases": [code]} for answer, code in zip(AGREE, codes, strict=True)]
    now = export(Q1_1=codes * 12)
    survey = decode(now, book({**item("use", "Q1_1"), "categories": aliases}))
    assert list(survey.answers["use"][:5]) == [1, 2, 3, 4, 5]


def test_a_few_words_among_codes_do_not_hide_that_they_are_shifted():
    row = only(wave(Q1_1=["0", "1", "2", "3", "4"] * 11 + ["Agree"] * 5))
    assert row["status"] == "coding shifted"


def test_words_among_known_codes_are_no_other_coding():
    for codes in (["1", "2", "3", "4"], ["1", "2", "3", "4", "5"]):
        row = only(wave(Q1_1=[*(codes * 15)[:59], "something else"]))
        assert (row["status"], row["new"]) == ("answers not in the codebook", "text not shown")


OWN_WORDS = (
    "bad, my boss Anna Smith", "Anna Smith", "Smith", "Agree, says Anna", "Strongly agree with my boss", "Sales Anna",
    "A.Smith", "anna@example.org", "no opinion of Smith", "P29700", "470011", "0170 1234567", "Agreed! Anna",
)  # fmt: skip


@pytest.mark.parametrize("words", OWN_WORDS)
@pytest.mark.parametrize("kind", ["item", "category", "unit", "multi-select", "number", "weight", "date"])
def test_nobodys_own_words_are_quoted_however_many_gave_them(kind, words):
    answers = (
        {"categories": [*AGREE, {"value": 6, "label": "Sales"}]} if kind not in ("number", "weight", "date") else {}
    )
    codebook = book({"name": "q", "column": "Q", "kind": kind, **answers})
    cells = [*FIVE[:30], *[words] * 20, *["n/a"] * 10]
    if kind in ("number", "weight") and words.isdigit():
        return
    diff = compare_schemas(export(Q=cells), codebook, previous=export(Q=FIVE))
    back = compare_schemas(export(Q=FIVE), codebook, previous=export(Q=cells))
    for result in (diff, back):
        told = (
            result.to_text() + result.to_html() + result.to_csv() + str(result.to_record()) + str(result.tidy().values)
        )
        assert words not in told and "Smith" not in told and "Anna" not in told


def test_long_numbers_with_as_many_values_as_answers_are_not_quoted():
    staff = [f"4700{code}" for code in range(11, 16)] * 12
    row = only(export(Q=staff), book(item("q", "Q")))
    assert "4700" not in str(row.to_dict())


def test_rare_answers_are_counted_and_never_quoted():
    secret = "my boss Zyxomma"
    diff = compare_schemas(
        wave(Q1_1=[*FIVE[:-3], *[secret] * 3], unit=["Sales"] * 49 + [secret] * 4 + ["Salse"] * 6 + ["Researhc"]), BOOK
    )
    assert secret not in diff.to_text() + diff.to_html() + diff.to_csv() + str(diff.to_record())
    shown = diff.shown().set_index("term")
    assert "Salse" in shown.loc["unit", "new"] and "text not shown" in shown.loc["unit", "new"]
    assert "Researhc" not in shown.loc["unit", "new"] + shown.loc["unit", "repair"]
    assert np.isnan(shown.loc["use_1", "n"]) and shown.loc["unit", "n"] == 11


def test_codes_that_the_export_itself_explains_otherwise_are_a_doubt():
    turned = {str(6 - i): word for i, word in enumerate(WORDS, 1)}
    now = wave()
    row = only(Export(**{**vars(now), "choices": {"Q1_1": turned}}))
    assert row["status"] == "codes mean other answers" and "1 = Strongly agree" in row["new"]


def test_a_turned_distribution_can_only_be_suspected():
    high, low = ["4", "5", "5", "5", "1"] * 12, ["2", "1", "1", "1", "5"] * 12
    row = changes(wave(Q1_1=low), previous=wave(Q1_1=high)).iloc[0]
    assert row["status"] == "perhaps reversed" and "Cannot tell" in row["repair"]
    assert changes(wave(Q1_1=["3", "4", "5"] * 20), previous=wave(Q1_1=high))["status"].ne("perhaps reversed").all()


def test_answers_that_are_gone_are_told_if_many_gave_them():
    row = only(wave(unit=["Sales", "Service"] * 30), previous=wave())
    assert row["status"] == "answers gone" and row["old"] == '"Research"'


def test_words_and_codes_of_one_answer_are_told_apart():
    spoken = [WORDS[int(code) - 1] for code in FIVE]
    assert only(wave(Q1_1=spoken), previous=wave())["status"] == "words instead of codes"
    assert only(wave(), previous=wave(Q1_1=spoken))["status"] == "codes instead of words"


def test_a_column_nobody_uses_tells_its_new_type():
    row = only(wave(extra=["one", "two"] * 30), previous=wave(extra=["1", "2"] * 30))
    assert (row["status"], row["old"], row["new"]) == ("type changed", "numbers", "words")


# ---- anything ------------------------------------------------------------------------------------------------------

HEADER = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12),
    st.sampled_from(["Q1_1", "Q1 [SQ001]", "stem - item", "a|b", "[]", " - ", '"', "{{x}}", "null", "q" * 300]),
)
ANSWER = st.sampled_from(
    ["1", "2", "-99", "0", "", "Agree", "agree ", "8", "x;y", "2025-01-01", "1,5", "9" * 40, "\u202e"]
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_two_waves_can_be_compared(data):
    waves = []
    for _ in range(2):
        names = data.draw(st.lists(HEADER, min_size=1, max_size=4, unique=True))
        rows = data.draw(st.integers(1, 8))
        cells = {name: data.draw(st.lists(ANSWER, min_size=rows, max_size=rows)) for name in names}
        waves.append(export({name: data.draw(HEADER) for name in names}, **cells))
    kinds = data.draw(st.lists(st.sampled_from(["item", "number", "date", "text", "category"]), min_size=1, max_size=3))
    headers = data.draw(st.lists(HEADER, min_size=len(kinds), max_size=len(kinds), unique=True))
    variables = [
        {"name": f"v{i}", "column": header, "kind": kind, **({"categories": AGREE} if kind == "item" else {})}
        for i, (kind, header) in enumerate(zip(kinds, headers, strict=True))
    ]
    diff = compare_schemas(waves[0], book(*variables), previous=waves[1])
    assert set(diff.tidy()["status"]) <= set(STATUSES) and diff.to_text() and diff.to_html()


def test_a_long_export_is_compared_by_its_different_answers():
    """Time is not asserted; what is looked at once per row is only the counting."""
    rng = np.random.default_rng(1)
    cells = pd.DataFrame({f"Q1_{i}": pd.Series(rng.integers(1, 6, 100_000).astype(str), dtype="str") for i in range(5)})
    long = Export(cells=cells, source="long.csv", form="table", rows_read=len(cells))
    began = time.perf_counter()
    assert changes(long, book(*(item(f"v{i}", f"Q1_{i}") for i in range(5)))).empty
    print(f"{time.perf_counter() - began:.2f} s")
