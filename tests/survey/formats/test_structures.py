"""The definition of a questionnaire explains the columns of its export, and a hostile one gets one line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from smstudy.errors import DataError
from smstudy.survey.exports import Export, read_export
from smstudy.survey.formats import definitions
from smstudy.survey.formats.definitions import Question, Structure
from smstudy.survey.formats.structures import read_structure, with_structure

FIXTURES = Path(__file__).parents[1] / "fixtures"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "raw_exports"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the shared real exports are not here")


def structure(name: str) -> dict[str, Question]:
    return {question.code: question for question in read_structure(FIXTURES / name).questions}


def explained(export: str, name: str) -> Export:
    return with_structure(read_export(FIXTURES / export), read_structure(FIXTURES / name))


def refusal(folder: Path, content: bytes | str, name: str = "structure") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    started = time.perf_counter()
    with pytest.raises(DataError, match="(?s)^[^\n]+$") as caught:
        read_structure(path)
    assert time.perf_counter() - started < 10  # the limit promised for hostile files
    return str(caught.value)


# ---- laws -----------------------------------------------------------------------------------------------------------

PAIRS = [
    ("qualtrics_text.csv", "qualtrics.qsf"),
    ("limesurvey_codes.csv", "limesurvey.lss"),
    ("limesurvey_codes.csv", "limesurvey_old.lss"),
    ("limesurvey_codes.csv", "limesurvey_syntax.R"),
    ("redcap.csv", "redcap_dictionary.csv"),
]


@pytest.mark.parametrize(("export", "name"), PAIRS)
def test_no_cell_changes_and_nothing_is_dropped_without_a_reason(export, name):
    before, after = read_export(FIXTURES / export), explained(export, name)
    assert after.cells.equals(before.cells[after.cells.columns])
    assert set(before.cells) - set(after.cells) == set(after.dropped) - set(before.dropped)
    assert after.notes[: len(before.notes)] == before.notes


@pytest.mark.parametrize(("export", "name"), PAIRS)
def test_a_definition_takes_nothing_away(export, name):
    before, after = read_export(FIXTURES / export), explained(export, name)
    for said in ("labels", "choices", "missing", "kinds", "delimiters"):
        assert set(getattr(before, said)) - set(after.dropped) <= set(getattr(after, said))
        assert set(getattr(after, said)) <= set(after.cells)


@pytest.mark.parametrize(("export", "name"), PAIRS)
def test_reading_a_definition_twice_changes_nothing(export, name):
    once = explained(export, name)
    twice = with_structure(once, read_structure(FIXTURES / name))
    same = {"notes": (), "cells": None}
    assert vars(twice) | same == vars(once) | same


def test_what_a_file_is_shows_in_the_file_not_in_its_name(tmp_path):
    for name in ("qualtrics.qsf", "limesurvey.lss", "limesurvey_syntax.R", "redcap_dictionary.csv"):
        (tmp_path / "anything").write_bytes((FIXTURES / name).read_bytes())
        assert read_structure(tmp_path / "anything").questions == read_structure(FIXTURES / name).questions


def test_what_is_not_explained_is_named():
    notes = explained("qualtrics_text.csv", "qualtrics.qsf").notes
    assert any("explains 6 of 7 columns" in note for note in notes)
    assert any(note == 'It does not explain: "Q2 - Topics".' for note in notes)


def test_columns_are_matched_by_their_wording_if_they_have_no_code(tmp_path):
    header = "Response ID,Date submitted,Last page,Start language,How useful is it? [For me],Hours?"
    (tmp_path / "e.csv").write_text(f"{header}\n1,2024-03-01,3,en,A1,7\n2,,1,en,A2,8\n", encoding="utf-8")
    export = with_structure(read_export(tmp_path / "e.csv"), read_structure(FIXTURES / "limesurvey.lss"))
    assert export.choices["How useful is it? [For me]"] == {"A1": "not useful", "A2": "useful"}
    assert export.kinds["Hours?"] == "number"


def test_a_code_that_fits_two_columns_matches_none(tmp_path):
    (tmp_path / "e.csv").write_text("q_1,Q 1,q2\n1,2,3\n4,5,6\n", encoding="utf-8")
    questions = (Question(code="Q[1]", label="wrong"), Question(code="q2", label="right"))
    told = with_structure(read_export(tmp_path / "e.csv"), Structure(source="s", form="f", questions=questions))
    assert told.labels == {"q2": "right"}


# ---- Qualtrics ------------------------------------------------------------------------------------------------------


def test_qsf_choices_keep_the_order_people_saw_and_the_codes_of_the_export():
    question = structure("qualtrics.qsf")["Q2"]
    assert list(question.choices.items()) == [
        ("2", "Blog"),
        ("1", "Wiki"),
        ("3", "Other, namely:"),
        ("-9", "Prefer not to say"),
    ]
    assert question.recodes == {"4": "2", "16": "3", "17": "-9"}
    assert question.label == "Which tool do you use most?"


def test_qsf_choices_left_out_of_the_analysis_are_missing_with_their_reason():
    assert structure("qualtrics.qsf")["Q2"].missing == {"-9": "Prefer not to say"}
    assert explained("qualtrics_text.csv", "qualtrics.qsf").missing["Q2"] == ("-9",)


def test_qsf_matrix_rows_are_items_with_the_recoded_answers():
    item = structure("qualtrics.qsf")["Q4_2"]
    assert (item.kind, item.label) == ("item", "How much do you agree? - It helps others")
    assert item.choices == {"8": "Disagree", "9": "Neither", "10": "Agree"}


def test_qsf_export_tags_name_the_rows_of_a_matrix():
    assert {"often_read", "often_post"} <= set(structure("qualtrics.qsf"))
    assert "Q6_1" not in structure("qualtrics.qsf")


def test_qsf_multi_select_is_known_in_one_column_and_spread():
    questions = structure("qualtrics.qsf")
    assert (questions["Q5"].kind, questions["Q5"].delimiter) == ("multi-select", ",")
    assert questions["Q5_2"].choices == {"1": "Home"}


def test_qsf_leaves_the_trash_and_what_it_cannot_read():
    read = read_structure(FIXTURES / "qualtrics.qsf")
    assert "old" not in {word for question in read.questions for word in question.choices.values()}
    assert read.notes == ("Questions of type Draw are not read.",)


def test_qsf_validation_tells_numbers_and_addresses():
    questions = structure("qualtrics.qsf")
    assert questions["Q8"].kind == "number"
    assert questions["Q7"].identifier == "e-mail address"
    assert questions["Q10_First Click"].kind == questions["Q13_2"].kind == "number"


# ---- LimeSurvey -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["limesurvey.lss", "limesurvey_old.lss"])
def test_lss_reads_both_layouts_in_the_base_language(name):
    questions = structure(name)
    assert questions["Q1[SQ001]"].label == "How useful is it? - For me"
    assert list(questions["Q1[SQ001]"].choices.items()) == [("A1", "not useful"), ("A2", "useful")]
    assert questions["Q2"].choices == {"S": "Sales", "I": "IT & data"}
    assert questions["Q2[other]"].kind == "text"


def test_lss_types_become_kinds_and_columns():
    questions = structure("limesurvey.lss")
    assert questions["M3[SQ001]"].choices == {"Y": "Yes"}
    assert questions["P4[SQ001comment]"].kind == questions["O12[comment]"].kind == "text"
    assert questions["N5"].kind == "number"
    assert "intro" not in questions
    assert questions["D7[SQ001][1]"].choices == {"1": "bad", "2": "good"}
    assert questions["D7[SQ001][2]"].choices == {"1": "dull", "2": "vivid"}
    assert questions["A8[Y1_X1]"].label == "Count - Posts - This week"
    assert questions["R9[2]"].choices == {"a": "Blog", "b": "Wiki"}
    assert list(questions["A10[SQ001]"].choices) == ["1", "2", "3", "4", "5"]
    assert questions["Y11"].choices == {"Y": "Yes", "N": "No"}


def test_lss_explains_the_columns_of_an_export_by_code():
    export = explained("limesurvey_codes.csv", "limesurvey.lss")
    assert export.labels["Q1[SQ002]"] == "How useful is it? - For my team"
    assert export.choices["Q1[SQ002]"] == {"A1": "not useful", "A2": "useful"}
    assert export.kinds["interviewtime"] == "number"


def test_r_syntax_is_read_and_never_run():
    questions = structure("limesurvey_syntax.R")
    assert questions["Q1_SQ001"].label == '[For me] How "useful" is it?'
    assert list(questions["Q1_SQ001"].choices) == ["A1", "A3", "A2"]
    assert questions["Q1_SQ001"].choices["A3"] == "very, very useful (really)"
    assert questions["M3_SQ001"].choices == {"1": "Yes", "0": "Not selected"}
    assert (questions["id"].kind, questions["submitdate"].kind) == ("number", "date")
    assert explained("limesurvey_codes.csv", "limesurvey_syntax.R").choices["Q1[SQ001]"]["A1"] == "not useful"


def test_old_r_syntax_without_utf8_is_read(tmp_path):
    text = (FIXTURES / "limesurvey_syntax.R").read_text(encoding="utf-8").replace("not useful", "unnütz")
    (tmp_path / "old.R").write_bytes(text.encode("cp1252"))
    questions = {question.code: question for question in read_structure(tmp_path / "old.R").questions}
    assert questions["Q1_SQ001"].choices["A1"] == "unnütz"


# ---- REDCap ---------------------------------------------------------------------------------------------------------


def test_dictionary_spreads_checkboxes_as_the_export_does():
    questions = structure("redcap_dictionary.csv")
    assert questions["tools___2"].label == "Which tools do you use? - Wiki, or pages"
    assert questions["tools____9"].choices == {"0": "Unchecked", "1": "Checked"}
    assert "tools" not in questions and "thanks" not in questions


def test_dictionary_types_become_kinds():
    questions = structure("redcap_dictionary.csv")
    assert questions["participant_id"].kind == "id"
    assert questions["daily"].choices == {"1": "Yes", "0": "No"}
    assert questions["hours"].kind == "number"
    assert questions["asked_on"].kind == "date"
    assert questions["satisfied"].label == "How satisfied are you? - With the wiki"
    assert list(questions["satisfied"].choices) == ["1", "3", "5"]


def test_dictionary_tells_the_decimal_comma(tmp_path):
    rows = (FIXTURES / "redcap.csv").read_text(encoding="utf-8").replace(",", ".").replace(";", ",")
    (tmp_path / "e.csv").write_text(rows, encoding="utf-8")
    before = read_export(tmp_path / "e.csv")
    assert (before.decimal, with_structure(before, read_structure(FIXTURES / "redcap_dictionary.csv")).decimal) == (
        ".",
        ",",
    )


def test_what_the_dictionary_marks_as_identifying_is_dropped_unless_declared(tmp_path):
    (tmp_path / "e.csv").write_text("record_id,mentor,usage_complete\n1,a,2\n2,b,0\n", encoding="utf-8")
    export, read = read_export(tmp_path / "e.csv"), read_structure(FIXTURES / "redcap_dictionary.csv")
    assert "mentor" in with_structure(export, read).dropped
    assert "mentor" in with_structure(export, read, keep=["mentor"]).cells


@NEEDS_SHARED
@pytest.mark.parametrize("folder", sorted({path.parent for path in SHARED.glob("redcap/*/dictionary.csv")}), ids=str)
def test_real_dictionaries_explain_every_column(folder):
    export = with_structure(read_export(folder / "data.csv"), read_structure(folder / "dictionary.csv"))
    told = next(note for note in export.notes if "explains" in note)
    explained_, of = [int(word) for word in told.split() if word.isdigit()]
    assert explained_ == of > 0


@NEEDS_SHARED
def test_real_checkboxes_get_their_wording():
    folder = SHARED / "redcap" / "simple"
    export = with_structure(read_export(folder / "data.csv"), read_structure(folder / "dictionary.csv"))
    assert export.labels["race___4"] == "Race (Select all that apply) - Black or African American"
    assert export.choices["ethnicity"]["2"] == "Hispanic or Latino"
    assert "dob" in export.dropped


# ---- hostile files --------------------------------------------------------------------------------------------------

LAUGHS = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><document>&b;</document>'
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE d SYSTEM "file:///etc/passwd"><document/>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LAUGHS, "document type"),
        (OUTSIDE, "document type"),
        (LAUGHS.encode("utf-16"), "document type"),
        ("<document><questions>", "damaged"),
        ("<document/>", "no questions"),
        ("<a>" * 100_000, "nested deeper"),
        ('<?xml version="1.0" encoding="no-such"?><document/>', "damaged"),
        ("{", "not a complete Qualtrics"),
        ("[" * 100_000, "not a definition"),
        ('{"a":' * 100_000, "not a complete Qualtrics"),
        ('{"SurveyElements": 5}', "not a complete Qualtrics"),
        ('{"SurveyElements": {"SQ": 1}, "x": ' + "9" * 10_000 + "}", "not a complete Qualtrics"),
        ("id,use\n1,2\n", "not a definition"),
        ("", "not a definition"),
        (b"\x00\xff" * 500, "not a definition"),
        ("field_name,field_type,field_label\na,text\n", "cells"),
        ("names(data)[x] <- variable.labels[", "names no columns"),
    ],
)
def test_hostile_and_damaged_definitions_get_one_line(tmp_path, content, words):
    assert words in refusal(tmp_path, content)


def test_definitions_are_limited_in_size(tmp_path):
    assert "larger than 10 MB" in refusal(tmp_path, b"{" + b" " * (11 << 20))
    assert "no such file" in missing(tmp_path / "nowhere.qsf")
    assert "no such file" in missing(tmp_path)


def missing(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_structure(path)
    return str(caught.value)


def test_a_matrix_of_far_too_many_columns_is_refused(tmp_path):
    many = {str(number): {"Display": "x"} for number in range(400)}
    payload = {
        "DataExportTag": "Q1",
        "QuestionType": "Matrix",
        "SubSelector": "MultipleAnswer",
        "Choices": many,
        "Answers": many,
    }
    document = {"SurveyElements": [{"Element": "SQ", "Payload": payload}]}
    assert f"{definitions.MAX_QUESTIONS:,} columns" in refusal(tmp_path, json.dumps(document))


@pytest.mark.parametrize(
    "wrong", [None, 5, "x", [], {}, [[]], {"1": None}, {"1": {"Display": {}}}, True, f"&#{'9' * 5000};"]
)
def test_qsf_parts_of_the_wrong_shape_do_no_harm(tmp_path, wrong):
    document = json.loads((FIXTURES / "qualtrics.qsf").read_text(encoding="utf-8"))
    for element in document["SurveyElements"]:
        payload = element.get("Payload")
        for key in list(payload) if isinstance(payload, dict) else ():
            path = tmp_path / "changed.qsf"
            path.write_text(json.dumps(swapped(document, element, key, wrong)), encoding="utf-8")
            assert isinstance(read_structure(path), Structure)


def swapped(document: dict, element: dict, key: str, wrong: object) -> dict:
    other = {**element, "Payload": {**element["Payload"], key: wrong}}
    return {**document, "SurveyElements": [other if one is element else one for one in document["SurveyElements"]]}


@pytest.mark.parametrize(
    "line",
    ["\n", " ", 'names(data)[1] <- "', "data[, 1] <- factor(data[, 1], levels=c(1,", "# LimeSurvey Field type: F\n"],
)
def test_r_syntax_of_any_length_is_answered_in_time(tmp_path, line):
    path = tmp_path / "long.R"
    path.write_text('names(data)[1] <- "id"\n' + line * (2_000_000 // len(line)), encoding="utf-8")
    started = time.perf_counter()
    assert read_structure(path).questions[0].code
    assert time.perf_counter() - started < 10  # the limit promised for hostile files
