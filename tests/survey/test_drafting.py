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
from smstudy.survey.drafting import draft_variables, variable_of
from smstudy.survey.drafts.languages import spoken_in
from smstudy.survey.drafts.wordings import order_answers
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
    return Codebook(title="drafted", variables=tuple(variable_of(d) for d in drafts))


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
    ("weight", ["0.5", "1.25", "0.8"], "weight", 0),
    ("weight", ["60.5", "71.25", "88"], "number", 0),
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


def test_an_answer_that_nobody_else_gave_stays_out_of_the_draft():
    for cells in (["Hello World!"], ["My own words", "Others of mine"]):
        made = Export(cells=pd.DataFrame({"q": cells}, dtype="str"), source="made.csv", form="table")
        [found] = draft_variables(made)
        assert found.kind == "text" and not found.categories


@pytest.mark.parametrize(
    "wordings",
    [[], ["Q1", "q2_no", "do_it"], ["Mein Team und ich", "My team and the others", "Ich mag es nicht", "To be or not"]],
)
def test_no_language_is_guessed_from_too_little_or_from_two(wordings):
    assert spoken_in(wordings) == ""


def test_codes_of_no_answer_are_declared_to_be_confirmed():
    assert draft(["1", "2", "3", "-99", "99"]).missing == {"-99": "code to be confirmed", "99": "code to be confirmed"}
    assert draft(["Yes", "No", "n/a"]).missing == {"n/a": "not applicable"}
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


# ---- questions asked in rows, batteries, rankings -------------------------------------------------------------------


def labeled(labels, **columns):
    return Export(**{**vars(export(**columns)), "labels": labels})


@pytest.mark.parametrize("wording", ["Rate these - {}", "Rate these | {}", "Rate these [{}]", "Rate these – {}"])
def test_a_row_of_a_question_has_its_own_words_as_title_and_the_whole_as_description(wording):
    labels = {name: wording.format(row) for name, row in (("a", "the speed"), ("b", "the look - and feel"))}
    drafts = draft_variables(labeled(labels, a=["1", "2", "3"], b=["3", "2", "1"]))
    assert [d.title for d in drafts] == ["the speed", "the look - and feel"]
    assert [d.description for d in drafts] == list(labels.values())


def test_a_dash_in_a_single_question_parts_nothing():
    [found] = draft_variables(labeled({"a": "Job title - be precise"}, a=["x", "y"]))
    assert (found.title, found.description) == ("Job title - be precise", "")


FORMS = {
    "I know whom to ask.": ["Disagree", "Agree", "Strongly agree"],
    "Leaders take part.": ["Strongly disagree", "Disagree", "Neutral", "Agree"],
    "It saves time.": ["Neutral", "Agree"],
}


def test_statements_as_headers_share_one_answer_scale():
    drafts = draft_variables(export(**FORMS))
    assert len({d.categories for d in drafts}) == 1 and {d.kind for d in drafts} == {"item"}
    assert dict(drafts[0].categories)["5"] == "Strongly agree"


def test_declared_numbers_are_items_in_a_battery_and_names_alone():
    colors = {"1": "Red", "2": "Green", "3": "Blue"}
    made = export(color=["1", "2", "3"], **{f"q{i}": ["1", "2", "3"] for i in range(3)})
    battery = {f"q{i}": {"1": "Bad", "2": "So so", "3": "Good"} for i in range(3)}
    drafts = draft_variables(Export(**{**vars(made), "choices": {"color": colors, **battery}}))
    assert [d.kind for d in drafts] == ["category", "item", "item", "item"]


def test_a_ranking_is_no_battery():
    rng = np.random.default_rng(2)
    places = np.array([rng.permutation(4) + 1 for _ in range(60)]).astype(str)
    drafts = draft_variables(export(**{f"r_{i}": list(places[:, i]) for i in range(4)}))
    assert {d.kind for d in drafts} == {"number"} and {d.bounds for d in drafts} == {(1, 4)}
    assert "ranking of 4" in drafts[0].confirm and not any(d.confirm for d in drafts[1:])


def test_the_same_battery_with_ties_is_no_ranking():
    rng = np.random.default_rng(3)
    codes = rng.integers(1, 5, (60, 4)).astype(str)
    assert {d.kind for d in draft_variables(export(**{f"r_{i}": list(codes[:, i]) for i in range(4)}))} == {"item"}


def test_labels_are_asked_for_once_an_answer_scale():
    drafts = draft_variables(export(q1=["1", "2", "3"], q2=["1", "2", "3"], q3=["3", "2", "1", "2"]))
    assert ["write them in" in d.confirm for d in drafts] == [True, False, False]


def test_a_scale_from_zero_to_ten_asks_for_its_ends():
    found = draft([str(i) for i in range(11)], labels={"x": ""})
    assert found.kind == "item" and "two ends" in found.confirm


# ---- choices -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cells", "answers"),
    [
        ("tools___3", ["0", "1"], {"0": "not chosen", "1": "chosen"}),
        ("tools___4", ["0"], {"0": "not chosen", "1": "chosen"}),
        ("form_complete", ["0", "2"], {"0": "Incomplete", "1": "Unverified", "2": "Complete"}),
        ("Q1[SQ001]", ["Y", "N"], {"Y": "Yes", "N": "No"}),
    ],
)
def test_one_choice_of_several_says_what_its_codes_mean(name, cells, answers):
    assert dict(draft(cells, name).categories) == answers


def test_a_column_that_repeats_its_own_words_is_a_choice():
    names = {"Which do you use? - Chat": ["Chat", ""], "Which do you use? - Wiki": ["Wiki", "", ""]}
    drafts = draft_variables(export(**names))
    assert [d.categories for d in drafts] == [(("Chat", "chosen"),), (("Wiki", "chosen"),)]
    assert all("not asked" in d.note for d in drafts)


def test_a_comma_within_an_answer_makes_no_multi_select():
    found = draft(["No, not at all", "Yes, a bit", "Yes, very"])
    assert found.kind == "category" and len(found.categories) == 3


def test_spellings_of_one_department_are_one():
    found = draft(["Sales & Service", "Sales and Service", "SALES AND SERVICE", "Lab", "Sales & Service"], "department")
    assert [(label, set(more[0]) if more else set()) for _, label, *more in found.categories] == [
        ("Lab", set()), ("Sales & Service", {"Sales and Service", "SALES AND SERVICE"}),
    ]  # fmt: skip


def test_departments_that_differ_by_a_letter_are_asked_about():
    found = draft(["Customer Service", "Custmer Service", "Legal", "Lab"], "department")
    assert "perhaps spellings of one" in found.confirm and "Legal" not in found.confirm


RANGES = [
    ["Less than 2 years", "2 to 5 years", "6 to 10 years", "More than 10 years"],
    ["$0 - $24,999", "$25,000 - $49,999", "$100,000 - $149,999", "$150,000+"],
    ["18-29", "30-44", "45-60", "> 60"],
    ["Under 5 ft.", "5'2\"", "5'10\"", "6'0\""],
]


@pytest.mark.parametrize("ordered", RANGES)
def test_ranges_are_in_order(ordered):
    assert [label for _, label, *_ in draft(ordered[::-1]).categories] == ordered


REASONS = {
    "Prefer not to say": "refused", "Not applicable": "not applicable", "Don't know": "no opinion",
    "Not shown": "not shown", "Unfamiliar (N/A)": "not applicable",
}  # fmt: skip


@pytest.mark.parametrize("word", REASONS)
def test_words_for_no_answer_come_with_their_reason(word):
    found = draft(["Agree", "Neutral", "Disagree", word])
    assert found.kind == "item" and found.missing == {word: REASONS[word]}


def test_what_the_file_declares_missing_is_no_answer():
    made = Export(**{**vars(export(q=["1", "2", "-1"])), "choices": {"q": {"1": "low", "2": "high", "-1": "not asked"}},
                     "missing": {"q": ("-1",)}})  # fmt: skip
    [found] = draft_variables(made)
    assert dict(found.categories) == {"1": "low", "2": "high"} and found.missing == {"-1": "not asked"}


@pytest.mark.parametrize("kind", ["id", "date", "text", "number"])
def test_what_the_platform_says_wins_if_it_can_be_read(kind):
    cells = {"id": ["77", "78"], "date": ["2025-01-02"], "text": ["1", "2"], "number": ["3", "4", "5"]}[kind]
    made = export(q=cells)
    assert draft_variables(Export(**{**vars(made), "kinds": {"q": kind}}))[0].kind == kind
    words = export(q=["some", "words"])
    assert draft_variables(Export(**{**vars(words), "kinds": {"q": "date"}}))[0].kind == "text"


def test_the_delimiter_of_the_file_is_taken():
    made = export(q=["a|b", "a", "b|c"])
    [found] = draft_variables(Export(**{**vars(made), "kinds": {"q": "multi-select"}, "delimiters": {"q": "|"}}))
    assert (found.kind, found.delimiter) == ("multi-select", "|")
    assert [label for _, label in found.categories] == ["a", "b", "c"]


def test_clock_times_are_no_ids():
    assert draft([f"{i % 24:02}:{i:02}:00" for i in range(60)]).kind == "text"


NASTY = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.sampled_from(["a - b", "a - c", "s [x]", "s [y]", "[]", " - ", " | ", "q___1", "___", "x_complete", "weight",
                     "A1", "{{ x }}", "null", "flag_x", "#", "-", "Q1[SQ001]", "Department", "🙂 - 🙂", "a" * 200]),
)  # fmt: skip


SHORT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
CELL = st.one_of(
    SHORT, st.sampled_from(["1", "2", "3", "-99", "NA", "Agree", "a;b", "1,5", "2.5", "2025-01-01", "1e5", "yes", "",
                            "Y", "A1", "A2", "0", "10", "Neutral", "< 5", "agree", "09:30"])
)  # fmt: skip
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(NASTY, min_size=width, max_size=width),
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


@pytest.mark.parametrize("own", ["My boss bullies me every day", "anna.muster@example.org"])
def test_own_words_never_become_the_answers_of_a_codebook(own):
    words = ["More training"] * 12 + ["Nothing"] * 10 + [own]
    export = Export(cells=pd.DataFrame({"q": words}, dtype="str"), source="x.csv", form="table")
    (draft,) = draft_variables(export)
    assert (draft.kind, draft.categories) == ("text", ())
