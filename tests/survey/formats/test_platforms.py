"""Every platform's export is recognized by its headings alone, and nothing in it gets lost or changed."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smstudy.errors import DataError
from smstudy.survey.exports import Export, read_export
from smstudy.survey.formats.platforms import READERS
from smstudy.survey.formats.tabular import read_text

FIXTURES = Path(__file__).parents[1] / "fixtures"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "raw_exports"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the shared real exports are not here")
STORED = {"spss", "stata", "xlsx", "parquet"}
FORMS = {
    "qualtrics_3row": "qualtrics",
    "qualtrics_2row": "qualtrics",
    "qualtrics_1row": "qualtrics",
    "qualtrics_text": "qualtrics",
    "qualtrics_legacy": "qualtrics",
    "limesurvey_codes": "limesurvey",
    "limesurvey_dutch": "limesurvey",
    "limesurvey_anonymous": "limesurvey",
    "limesurvey_code_and_wording": "limesurvey",
    "surveymonkey": "surveymonkey",
    "surveymonkey_full": "surveymonkey",
    "surveymonkey_condensed": "surveymonkey",
    "surveymonkey_questions": "surveymonkey",
    "microsoft_forms": "microsoft forms",
    "microsoft_forms_quiz": "microsoft forms",
    "google_forms": "google forms",
    "google_forms_spanish": "google forms",
    "typeform": "typeform",
    "redcap": "redcap",
    "redcap_russian": "redcap",
    "redcap_labels": "redcap",
    "centiment": "centiment",
    "table": "table",
}
PERSONAL = {"mail", "name", "address", "identifier", "location", "reference"}


def fixture(name: str) -> Export:
    return read_export(FIXTURES / f"{name}.csv")


def records(name: str) -> list[list[str]]:
    """The file as plain csv rows, blank lines included."""
    content = (FIXTURES / f"{name}.csv").read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252")
    separator = ";" if text.splitlines()[0].count(";") > text.splitlines()[0].count(",") else ","
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def written(rows: list[list[str]], separator: str) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator, lineterminator="\r\n").writerows(rows)
    return stream.getvalue()


def from_text(folder: Path, text: str) -> Export:
    path = folder / "export.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_export(path)


# ---- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMS)
def test_exactly_one_platform_recognizes_a_fixture(name):
    table = read_text(FIXTURES / f"{name}.csv")
    recognized = [form for form, (recognize, _) in READERS.items() if form != "table" and recognize(table)]
    assert recognized == [form for form in [FORMS[name]] if form != "table"]


@pytest.mark.parametrize("name", FORMS)
def test_every_row_is_accounted_for(name):
    export = fixture(name)
    assert export.rows_read + export.header_rows + export.blank_rows == len(records(name))
    assert export.rows_read == len(export.cells)


@pytest.mark.parametrize("name", FORMS)
def test_every_column_is_kept_unchanged_or_dropped_with_a_reason(name):
    export = fixture(name)
    columns = list(zip(*[row for row in records(name) if row], strict=True))
    body = [list(column[export.header_rows :]) for column in columns]
    skipped = 0
    for column in export.cells:
        cells = export.cells[column].tolist()
        while body[0] != cells:
            skipped += 1
            del body[0]
        del body[0]
    unnamed = [column for column in columns if not any(column)]
    assert skipped + len(body) == len(export.dropped) + len(unnamed)
    assert all(any(word in reason for word in PERSONAL) for reason in export.dropped.values())


@pytest.mark.parametrize("name", FORMS)
def test_what_is_said_of_columns_is_said_of_columns_that_exist(name):
    export = fixture(name)
    for said in (export.labels, export.choices, export.missing, export.kinds, export.delimiters):
        assert set(said) <= set(export.cells)
    assert set(export.delimiters) == {column for column, kind in export.kinds.items() if kind == "multi-select"}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-16")])
def test_form_does_not_depend_on_separator_and_encoding(tmp_path, name, separator, encoding):
    path = tmp_path / "anything.txt"
    path.write_bytes(written(records(name), separator).encode(encoding))
    same_reading(read_export(path), fixture(name), FORMS[name])


@pytest.mark.parametrize("name", [name for name in FORMS if name != "table"])
def test_form_does_not_depend_on_the_container(name):
    table = read_text(FIXTURES / f"{name}.csv")
    for container in STORED:
        stored = replace(table, container=container)
        assert next(form for form, (recognize, _) in READERS.items() if recognize(stored)) == FORMS[name]


@pytest.mark.parametrize(
    "name", ["qualtrics_3row", "surveymonkey_full", "limesurvey_dutch", "microsoft_forms", "google_forms", "centiment"]
)
def test_a_workbook_reads_like_the_text_it_was_made_from(tmp_path, name):
    book = openpyxl.Workbook()
    for row in records(name):
        book.active.append([cell or None for cell in row])
    book.save(tmp_path / "export.xlsx")
    export = read_export(tmp_path / "export.xlsx")
    same_reading(export, fixture(name), FORMS[name])
    assert any("in an .xlsx workbook" in note for note in export.notes)


def same_reading(one: Export, other: Export, form: str) -> None:
    assert one.form == other.form == form
    assert one.cells.astype(object).equals(other.cells.astype(object))
    assert (one.labels, one.kinds, one.choices, one.missing) == (
        other.labels,
        other.kinds,
        other.choices,
        other.missing,
    )
    assert (one.dropped, one.delimiters, one.header_rows) == (other.dropped, other.delimiters, other.header_rows)


def test_the_reference_page_names_every_form():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "exports.md").read_text(encoding="utf-8")
    assert all(f"`{form}`" in page for form in READERS)


def test_no_note_and_no_reason_holds_an_answer():
    for name in FORMS:
        export = fixture(name)
        answers = {cell for row in export.cells.to_numpy() for cell in row if len(cell) > 12}
        assert not any(answer in text for text in (*export.notes, *export.dropped.values()) for answer in answers)


# ---- what is not fooled ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Timestamp,Temperature,Humidity\n9/9/2026 18:05:12,20.5,40\n9/9/2026 18:06:12,20.6,41\n",
        "Timestamp,How useful is it?\nearly,3\nlate,4\n",
        "ID,Age,Department\n1,30,Sales\n2,40,IT\n",
        "id,submitdate,use\n1,2024-03-01,3\n2,2024-03-02,4\n",
        "ID,Start time,Completion time,Machine\n1,08:00,09:00,A\n2,08:30,09:15,B\n",
        "respondent_id,age,use,team\n1,30,3,Sales\n2,40,4,IT\n",
        "RespondentID,q1,q2\n10000000001,3,4\n10000000002,4,5\n",
        "#,name of tool,users\n1,wiki,30\n2,blog,4\n",
        "user_id,task_complete\n1,0\n2,1\n",
        "user_id,task_complete\n1,yes\n2,no\n",
        "V1,V2,V3\n1,2,3\n4,5,6\n",
        "StartDate,EndDate,Q1\n2024-03-01,2024-03-02,3\n2024-03-01,2024-03-02,4\n",
        "Session ID,Publish ID,Collector\ns-1,p-1,mail\ns-2,p-1,mail\n",
        "a,b\nmatrix,slider\nnumber,nps\n",
        "Last page,Date submitted,Team\n3,2024-03-01,Sales\n2,2024-03-02,IT\n",
        "Task,Complete?\nwiki,Complete\nblog,Incomplete\n",
        "a. First,b. Second\n1,2\n3,4\n",
    ],
)
def test_tables_with_a_familiar_heading_are_tables(tmp_path, text):
    export = from_text(tmp_path, text)
    assert (export.form, export.header_rows, export.rows_read) == ("table", 1, 2)


def test_first_respondent_is_never_taken_for_a_heading(tmp_path):
    lines = written(records("qualtrics_2row"), ",").splitlines(keepends=True)
    export = from_text(tmp_path, lines[0] + "".join(lines[2:]))
    assert (export.form, export.header_rows, export.rows_read) == ("qualtrics", 1, 2)


HEADINGS = sorted({cell for name in FORMS for row in records(name)[:3] for cell in row})
CELLS = ["", "0", "1", "2", "Complete", "a;b;", "9/9/2026 18:05:12", "2024-03-01", "1,2,3", "matrix", "Session ID", "x"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_mixture_of_headings_is_accounted_for_or_refused(tmp_path, data):
    width = data.draw(st.integers(1, 8))
    header = data.draw(st.lists(st.sampled_from(HEADINGS), min_size=width, max_size=width))
    cell = st.sampled_from(CELLS) | st.sampled_from(HEADINGS) | st.text("ab,;'\n", max_size=4)
    body = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=5))
    path = tmp_path / "export.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([header, *body])
    try:
        export = read_export(path)
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert export.rows_read + export.header_rows + export.blank_rows == len(body) + 1
    assert export.form in READERS


@pytest.mark.parametrize("name", FORMS)
def test_endless_headings_are_answered_in_time(tmp_path, name):
    rows = [row for row in records(name) if row]
    nasty = [
        "[" * 60_000,
        "a" + " " * 60_000 + "]",
        "other (" * 9_000,
        "time " * 12_000,
        "(choice=" * 8_000,
        "<a" * 30_000,
    ]
    for place, row in enumerate(rows[:3]):
        row += [text if name != "centiment" or place != 1 else "matrix" for text in nasty]
    for row in rows[3:]:
        row += ["1"] * len(nasty)
    started = time.perf_counter()
    assert from_text(tmp_path, written(rows, ",")).form in (FORMS[name], "table")
    assert time.perf_counter() - started < 10  # the limit promised for hostile files


def test_a_respondent_without_an_id_is_no_second_heading(tmp_path):
    rows = records("surveymonkey_questions")
    rows[1][0] = ""
    export = from_text(tmp_path, written([*rows, rows[2], rows[2]], ","))
    assert (export.form, export.header_rows, export.rows_read) == ("surveymonkey", 1, 4)


# ---- Qualtrics ------------------------------------------------------------------------------------------------------


def test_qualtrics_tells_choice_text_from_codes():
    assert "Answers are exported as codes." in fixture("qualtrics_3row").notes
    assert "Answers are exported as choice text." in fixture("qualtrics_text").notes


def test_qualtrics_codes_of_system_columns_are_explained_only_if_they_are_codes():
    assert fixture("qualtrics_3row").choices["Finished"] == {"0": "False", "1": "True"}
    assert not fixture("qualtrics_text").choices


def test_qualtrics_wording_loses_what_the_platform_adds():
    labels = fixture("qualtrics_text").labels
    assert labels["Q2"] == "Which tool do you use most?"
    assert labels["Q4_1"] == "How much do you agree? - It helps me"
    assert labels["Q5_1"] == "Where do you use it? - Office"


def test_qualtrics_own_words_are_text():
    assert fixture("qualtrics_text").kinds["Q2_16_TEXT"] == "text"


def test_qualtrics_labels_may_be_in_another_language():
    assert fixture("qualtrics_2row").labels["StartDate"] == "Anfangsdatum"


def test_qualtrics_codes_joined_by_commas_are_a_multi_select_but_decimals_are_not(tmp_path):
    assert fixture("qualtrics_1row").delimiters == {"Q5": ","}
    rows = [[cell.replace("1,2,4", "1,5") for cell in row] for row in records("qualtrics_1row")]
    assert not from_text(tmp_path, written(rows, ",")).delimiters


def test_qualtrics_dates_with_slashes_are_doubted_until_a_day_shows():
    assert any("do not show which number is the day" in note for note in fixture("qualtrics_2row").notes)
    assert any("the month before the day" in note for note in fixture("qualtrics_text").notes)
    assert not any("day" in note for note in fixture("qualtrics_3row").notes)


def test_qualtrics_time_zones_are_named(tmp_path):
    assert "Times are in time zone UTC." in fixture("qualtrics_text").notes
    text = (FIXTURES / "qualtrics_3row.csv").read_text(encoding="utf-8").replace("America/Denver", "Europe/Zurich")
    assert "Times are in time zone Europe/Zurich." in from_text(tmp_path, text).notes


def test_qualtrics_previews_stay_in_the_data():
    assert fixture("qualtrics_text").cells["Status"].tolist() == ["IP Address", "Survey Preview"]


# ---- LimeSurvey -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "Response ID|Date submitted|Last page|Start language|Seed|Date started|IP address",
        "Antwort ID|Datum Abgeschickt|Letzte Seite|Start-Sprache|Zufallsstartwert|Datum gestartet|IP-Adresse",
        "Respons ID|Datum verzonden|Laatste pagina|Begin taal|Seed|Datum gestart|IP adres",
        "ID de la réponse|Date de soumission|Dernière page|Langue de départ|Tête de série|Date de lancement|Adresse IP",
        "ID de respuesta|Fecha de envío|Última página|Lenguaje inicial|Semilla|Fecha de inicio|Dirección IP",
    ],
)
def test_limesurvey_is_recognized_in_the_language_of_the_account(tmp_path, header):
    header = header.split("|")
    rows = [
        [*header, "Nützlich? [Wiki]"],
        ["1", "2024-03-01 09:00:00", "3", "en", "7", "2024-03-01 08:00:00", "x", "4"],
    ]
    export = from_text(tmp_path, written([*rows, ["2", "", *rows[1][2:]]], ","))
    assert export.form == "limesurvey"
    assert [export.kinds[name] for name in header[:6]] == ["id", "date", "number", "category", "number", "date"]
    assert header[6] in export.dropped
    assert export.labels == {"Nützlich? [Wiki]": "Nützlich? - Wiki"}


def test_limesurvey_timings_are_numbers_in_both_spellings():
    kinds = fixture("limesurvey_dutch").kinds
    assert {kinds[name] for name in kinds if "ijd" in name} == {"number"}
    assert {"Groep tijd: Over het werk", "Vraagtijd: Q1", "Vraag tijd: Q2"} <= set(kinds)
    assert fixture("limesurvey_codes").kinds["groupTime715"] == fixture("limesurvey_codes").kinds["Q1Time"] == "number"


def test_limesurvey_other_and_comment_are_own_words():
    kinds = fixture("limesurvey_codes").kinds
    assert kinds["M3[other]"] == kinds["P4[SQ001comment]"] == "text"
    assert "Q1[SQ001]" not in kinds


def test_limesurvey_blank_lines_are_counted_and_incomplete_answers_noted():
    export = fixture("limesurvey_codes")
    assert (export.rows_read, export.blank_rows) == (2, 2)
    assert any("not completed" in note for note in export.notes)


def test_limesurvey_dates_of_anonymous_surveys_are_missing():
    export = fixture("limesurvey_anonymous")
    assert set(export.missing) == {"submitdate", "startdate", "datestamp"}
    assert any("anonymous" in note for note in export.notes)
    assert not fixture("limesurvey_codes").missing


def test_limesurvey_headings_of_code_and_wording_are_taken_apart():
    export = fixture("limesurvey_code_and_wording")
    assert list(export.cells)[:5] == ["id", "submitdate", "lastpage", "startlanguage", "Q1[SQ001]"]
    assert export.labels["Q1[SQ001]"] == "How useful is it? - For me"
    assert export.kinds["M3[other]"] == "text"


# ---- SurveyMonkey ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["surveymonkey_full", "surveymonkey_questions", "qualtrics_3row", "google_forms"])
def test_entities_of_thousands_of_digits_do_no_harm(tmp_path, name):
    first, *rest = records(name)
    text = written([[*first[:-1], f"{first[-1]} &#{'9' * 5000};"], *rest], ",")
    assert from_text(tmp_path, text).form == fixture(name).form


def test_surveymonkey_headings_are_freed_of_entities():
    columns = set(fixture("surveymonkey_full").cells)
    assert {"What's your team?", "Which do you use? - Wiki & files", "Anything else?"} <= columns


def test_surveymonkey_drops_the_contact_and_warns_of_custom_data():
    export = fixture("surveymonkey_full")
    assert set(export.dropped) == {"IP Address", "Email Address", "First Name", "Last Name"}
    assert any("Custom data" in note for note in export.notes)


def test_surveymonkey_workbook_may_end_with_options(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Respondent ID", "Which?"])
    book.active.append([None, "Blog", "Wiki"])
    book.active.append(["10000000001", "Blog", "Wiki"])
    book.save(tmp_path / "export.xlsx")
    assert list(read_export(tmp_path / "export.xlsx").cells) == ["Respondent ID", "Which? - Blog", "Which? - Wiki"]


def test_surveymonkey_ticks_are_categories_and_other_is_own_words():
    kinds = fixture("surveymonkey_full").kinds
    assert kinds["Which do you use? - Blog"] == kinds["Which do you use? - Wiki & files"] == "category"
    assert kinds["Which do you use? - Other (please specify)"] == "text"
    assert "How useful is it? - For me" not in kinds


def test_surveymonkey_condensed_names_the_option_of_a_column():
    export = fixture("surveymonkey_condensed")
    assert export.labels == {"q0004_0001": "q0004 - Blog", "q0004_0002": "q0004 - Wiki"}
    assert export.kinds["weight"] == "weight"


def test_surveymonkey_bytes_that_are_no_utf8_survive():
    assert fixture("surveymonkey").cells["Do you use it?"][0] == "Yes – daily"


# ---- Microsoft Forms ------------------------------------------------------------------------------------------------


def test_microsoft_forms_multi_select_ends_with_a_semicolon():
    export = fixture("microsoft_forms")
    assert export.delimiters == {"Which days suit you?": ";"}
    assert export.cells["Which days suit you?"][0] == "10th April;11th April;"
    assert "Comments" not in export.kinds


def test_microsoft_forms_repeated_questions_keep_their_wording():
    labels = fixture("microsoft_forms").labels
    assert (
        labels["Rate the meeting"] == labels["Rate the meeting2"] == labels["Rate the meeting3"] == "Rate the meeting"
    )


def test_microsoft_forms_anonymous_rows_lose_no_answer():
    export = fixture("microsoft_forms")
    assert set(export.dropped) == {"Email", "Name"}
    assert "Answers were given anonymously." in export.notes


def test_microsoft_forms_quiz_columns_are_no_questions():
    export = fixture("microsoft_forms_quiz")
    assert export.kinds["Points - What is a wiki?"] == export.kinds["Total points"] == "number"
    assert export.kinds["Feedback - What is a wiki?"] == "text"
    assert set(export.labels) == {"What is a wiki?"}


@pytest.mark.parametrize(
    "header",
    [
        ["ID", "Startzeit", "Fertigstellungszeit", "E-Mail", "Name"],
        ["Id", "Begintijd", "Tijd van voltooien", "E-mail", "Naam"],
        ["ID", "Heure de début", "Heure de fin", "Adresse de messagerie", "Nom"],
        ["Id", "Hora de inicio", "Hora de finalización", "Correo electrónico", "Nombre"],
        ["ID", "Start\u00a0time", "Completion\u00a0time", "Email", "Name"],
    ],
)
def test_microsoft_forms_is_recognized_in_several_languages(tmp_path, header):
    row = ["1", "3/27/2025 18:35", "3/27/2025 18:40", "anonymous", "Made Up", "4"]
    export = from_text(tmp_path, written([[*header, "Nützlich?"], row, row], ","))
    assert export.form == "microsoft forms"
    assert set(export.dropped) == set(header[3:])


# ---- Google Forms, Typeform -----------------------------------------------------------------------------------------


def test_google_forms_grids_and_joined_answers():
    export = fixture("google_forms")
    assert export.labels["How useful is each? [Blog]"] == "How useful is each? - Blog"
    assert export.delimiters == {"Which tools do you use?": ", "}
    assert set(export.dropped) == {"Email Address"}


def test_google_forms_single_choices_with_a_comma_are_no_multi_select(tmp_path):
    cells = ["Yes, daily", "Yes, weekly", "No", "I do not know"]
    rows = [["Timestamp", "Do you use it?"], *[["9/9/2026 18:05:12", cell] for cell in cells]]
    assert not from_text(tmp_path, written(rows, ",")).delimiters


def test_typeform_keeps_every_other_apart_and_drops_the_network():
    export = fixture("typeform")
    assert {"Other", "Other (2)"} <= set(export.cells)
    assert set(export.dropped) == {"Network ID"}
    assert export.kinds["#"] == "id"


# ---- REDCap, Centiment ----------------------------------------------------------------------------------------------


def test_redcap_checkboxes_forms_and_timestamps():
    export = fixture("redcap")
    assert export.choices["tools____9"] == {"0": "Unchecked", "1": "Checked"}
    assert export.choices["usage_complete"] == {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
    assert export.missing == {"usage_timestamp": ("[not completed]",)}
    assert set(export.dropped) == {"redcap_survey_identifier"}
    assert export.decimal == ","
    assert export.kinds["participant_id"] == "id"


def test_redcap_reads_other_alphabets():
    assert fixture("redcap_russian").cells["comment"][0] == "очень удобно"


def test_redcap_labels_are_read_without_codes():
    export = fixture("redcap_labels")
    assert export.labels["Which tools do you use? (choice=Blog)"] == "Which tools do you use? - Blog"
    assert export.kinds["Complete?"] == export.kinds["Complete? (2)"] == "category"
    assert export.missing == {"Survey Timestamp": ("[not completed]",)}
    assert set(export.dropped) == {"Survey Identifier"}


def test_centiment_types_say_what_is_text():
    export = fixture("centiment")
    assert export.kinds["c1"] == "text"
    assert export.labels["a1"] == "How useful is it? - For me"
    assert export.kinds["Start Date (America/Denver)"] == "date"
    assert any("America/Denver" in note for note in export.notes)


def test_centiment_with_short_header_rows_loses_no_answer():
    short, full = fixture("centiment_short"), fixture("centiment")
    assert (short.form, short.header_rows, short.rows_read) == ("centiment", 3, 2)
    assert short.cells.to_numpy().tolist() == full.cells.to_numpy().tolist()
    assert "Anything else?" in short.cells


# ---- real files -----------------------------------------------------------------------------------------------------


@NEEDS_SHARED
@pytest.mark.parametrize(
    ("name", "form", "rows", "headers"),
    [
        ("qualtrics/sample_3row.csv", "qualtrics", 1, 3),
        ("qualtrics/sample_legacy.csv", "qualtrics", 1, 2),
        ("surveymonkey/star-wars-survey/StarWars.csv", "surveymonkey", 1186, 2),
        ("surveymonkey/flying-etiquette-survey/flying-etiquette.csv", "surveymonkey", 1040, 1),
        ("redcap/checkboxes-1/data.csv", "redcap", 4, 1),
        ("redcap/clinical-trial-1/data.csv", "redcap", 500, 1),
        ("redcap/longitudinal/data.csv", "redcap", 18, 1),
        ("redcap/potentially-problematic-values/data.csv", "redcap", 2, 1),
        ("redcap/repeating-instruments-sparse/data.csv", "redcap", 9, 1),
        ("redcap/russian/data.csv", "redcap", 3, 1),
        ("redcap/simple/data.csv", "redcap", 5, 1),
        ("redcap/survey/data.csv", "redcap", 2, 1),
        ("redcap/vignette-repeating/data.csv", "redcap", 17, 1),
    ],
)
def test_real_exports_are_recognized_and_accounted_for(name, form, rows, headers):
    export = read_export(SHARED / name)
    with (SHARED / name).open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        lines = list(csv.reader(stream))
    named = len(lines[0]) - (name == "qualtrics/sample_legacy.csv")  # its last column has neither name nor cell
    assert (export.form, export.rows_read, export.header_rows) == (form, rows, headers)
    assert rows + headers + export.blank_rows == len(lines)
    assert export.cells.shape[1] + len(export.dropped) == named


@NEEDS_SHARED
@pytest.mark.parametrize("name", ["sample.zsav", "sample_large.sav", "sample_missing.sav", "missing_char.sav"])
def test_real_spss_files_belong_to_no_platform(name):
    export = read_export(SHARED / "sav" / f"pyreadstat_{name}")
    assert export.form == "spss"
    assert export.rows_read == len(export.cells) > 0


@NEEDS_SHARED
def test_star_wars_spreads_options_under_their_question():
    export = read_export(SHARED / "surveymonkey/star-wars-survey/StarWars.csv")
    seen = [name for name in export.cells if name.startswith("Which of the following Star Wars films")]
    assert len(seen) == 6
    assert {export.kinds[name] for name in seen} == {"category"}
    assert any(name.endswith("\u0152\u00e6") for name in export.cells)  # bytes 0x8c 0xe6, read as Windows-1252


@NEEDS_SHARED
def test_real_redcap_survey_knows_what_was_not_completed():
    export = read_export(SHARED / "redcap/survey/data.csv")
    assert export.missing == {"participant_morale_questionnaire_timestamp": ("[not completed]",)}
    assert {"redcap_survey_identifier", "email", "first_name", "last_name", "address"} <= set(export.dropped)
