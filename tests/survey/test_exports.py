"""Raw exports: whatever a survey platform writes is read cell by cell, or refused in one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smstudy.errors import DataError
from smstudy.survey.exports import _unique_names, content_digest, read_export
from smstudy.survey.formats import foreign, tabular
from smstudy.survey.formats.platforms import READERS

FIXTURES = Path(__file__).parent / "fixtures"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the shared real exports are not here")
ONE_LINE = "(?s)^[^\n]+$"


def write(folder: Path, content: bytes | str, name: str = "export.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows_of(path: Path, **options) -> list[list[str]]:
    export = read_export(path, **options)
    return [list(export.cells.columns), *export.cells.to_numpy().tolist()]


def refusal(path: Path) -> str:
    with pytest.raises(DataError, match=ONE_LINE) as caught:
        read_export(path)
    assert caught.value.exit_code == 12
    return str(caught.value)


# ---- every cell is what it was --------------------------------------------------------------------------------------

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n\t,;|"'), max_size=8)


@st.composite
def tables(draw) -> list[list[str]]:
    width = draw(st.integers(1, 5))
    row = st.lists(CELL, min_size=width, max_size=width)
    body = draw(st.lists(row, min_size=1, max_size=6))
    return [[f"q{number}" for number in range(width)], *body]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=tables(),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    terminator=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_table_comes_back_as_written(tmp_path, table, separator, quoting, terminator, encoding):
    path = tmp_path / "export.csv"
    quoting = csv.QUOTE_ALL if len(table[0]) == 1 else quoting  # one column of prose has no separator to find
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=terminator).writerows(table)
    filled = table[1:]
    while filled and not any(filled[-1]):
        filled.pop()
    if not filled:
        assert "no answers" in refusal(path)
        return
    export = read_export(path, keep=table[0])
    assert export.cells.to_numpy().tolist() == filled
    assert export.rows_read + export.header_rows + export.blank_rows == len(table)


def test_text_that_looks_like_something_else_stays_text(tmp_path):
    cells = ["NA", "None", "null", "nan", "00123", "1e5", "TRUE", " padded ", "-99", "3,5", "1.50", "?"]
    path = write(tmp_path, ",".join(f"q{n}" for n in range(12)) + "\n" + ",".join(f'"{cell}"' for cell in cells) + "\n")
    assert rows_of(path)[1] == cells


def test_quoted_line_breaks_and_doubled_quotes_stay_in_the_answer(tmp_path):
    path = write(tmp_path, 'id,comment\n1,"first\nsecond ""quoted"", end"\n2,plain\n')
    assert rows_of(path)[1:] == [["1", 'first\nsecond "quoted", end'], ["2", "plain"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"])
def test_encoding_and_line_breaks_do_not_matter(tmp_path, encoding, break_):
    text = break_.join(["id;Zufriedenheit;Größe", "1;sehr gut – „prima“;3,5", "2;naïve €;2,25", ""])
    export = read_export(write(tmp_path, text.encode(encoding)))
    assert export.cells.to_numpy().tolist() == [["1", "sehr gut – „prima“", "3,5"], ["2", "naïve €", "2,25"]]
    assert export.decimal == ","


def test_utf16_without_a_mark_works_beyond_latin(tmp_path):
    path = write(tmp_path, "вопрос\tответ\nхорошо\tплохо\n".encode("utf-16-le"))
    assert rows_of(path) == [["вопрос", "ответ"], ["хорошо", "плохо"]]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("a;b\n3,5;1\n", ","),
        ("a;b\n3.5;1\n", "."),
        ("a;b\n1,000;2.5\n", "."),
        ("a;b\n1,250;2\n", ","),
        ("a\tb\n1,000\t2\n", "."),
        ('a,b\n"3,5",1\n', "."),
    ],
)
def test_decimal_mark_is_reported_and_nothing_converted(tmp_path, text, decimal):
    assert read_export(write(tmp_path, text)).decimal == decimal


def test_declared_separator_is_obeyed(tmp_path):
    assert rows_of(write(tmp_path, "sep=;\r\na;b\r\n1,5;2\r\n")) == [["a", "b"], ["1,5", "2"]]


def test_separators_inside_wording_do_not_mislead(tmp_path):
    path = write(tmp_path, "id;How often, roughly?;Which (a|b)?\n1;daily, I think;a\n2;never;b\n")
    assert rows_of(path)[0] == ["id", "How often, roughly?", "Which (a|b)?"]


def test_one_column_needs_no_separator(tmp_path):
    assert rows_of(write(tmp_path, "comment\nfine\nvery good\n")) == [["comment"], ["fine"], ["very good"]]


@pytest.mark.parametrize("separator", [",", ";"])
def test_lines_quoted_as_a_whole_are_cut_again(tmp_path, separator):
    lines = [["AGE", "GENDER", "PU1"], ["40", "0", "?"], ["42", "1", 'say "hi"']]
    plain = tmp_path / "plain.csv"
    with plain.open("w", newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows(lines)
    whole = "".join('"' + line.replace('"', '""') + '"\n' for line in plain.read_text().splitlines())
    assert rows_of(write(tmp_path, whole)) == lines


# ---- rows and columns are accounted for -----------------------------------------------------------------------------


def test_blank_rows_are_skipped_and_counted(tmp_path):
    export = read_export(write(tmp_path, "\n\na,b\n1,2\n\n3,\n,\n,\n\n"))
    assert export.cells.to_numpy().tolist() == [["1", "2"], ["3", ""]]
    assert (export.rows_read, export.blank_rows, export.header_rows) == (2, 4, 1)


def test_row_without_answers_in_the_middle_is_kept(tmp_path):
    assert rows_of(write(tmp_path, "a,b\n1,2\n,\n3,4\n"))[2] == ["", ""]


def test_empty_column_at_the_end_is_ignored_and_noted(tmp_path):
    export = read_export(write(tmp_path, "a,b,\n1,2,\n3,4,\n"))
    assert list(export.cells.columns) == ["a", "b"]
    assert "Ignored an empty column at the end." in export.notes


def test_thousands_of_equal_names_are_told_apart_in_time():
    many = 8000
    header = [*(f"a ({number})" for number in range(2, many)), *["a"] * many]
    started = time.perf_counter()
    names, duplicates, _ = _unique_names(header)
    assert time.perf_counter() - started < 2  # one step a name takes 0.02 s, one step a pair of names 10 s
    assert len({*names}) == len(header) and names[: many - 1] == header[: many - 1]
    assert duplicates == tuple(f"a ({number})" for number in range(many, 2 * many - 1))


def test_duplicate_and_blank_names_get_names_of_their_own(tmp_path):
    export = read_export(write(tmp_path, "Other,,Other,Other (2),x\u00a0 y\n1,2,3,4,5\n"))
    assert list(export.cells.columns) == ["Other", "column 2", "Other (3)", "Other (2)", "x y"]
    assert export.duplicates == ("Other (3)",)
    assert export.blank_headers == ("column 2",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c\n1,2,3\n1,2,3,\n4,5,6,\n", ["line 3", "4 cells", "more", "3 of the header", "2 such lines"]),
        ("a,b,c\n1,2,3\n\n4,5\n", ["line 4", "2 cells", "fewer"]),
        ('a,b\n1,"x\ny"\n2\n', ["line 4", "1 cell,"]),
        ('a,b\n1,2\n3,"secret\n4,5\n', ["line 3", "never closed"]),
        ('a,b\n1,"say "secret" now"\n', ["line 2", "not doubled"]),
        ("a,b\n1,\0secret\n", ["line 2", "NUL"]),
        ("a,b\n", ["no answers"]),
        ("a,b\n\n,\n", ["no answers"]),
        (",,\n1,2,3\n", ["no column names"]),
        ("", ["empty"]),
        ("\ufeff", ["empty"]),
        (" \n\n", ["empty"]),
        ("\n<!DOCTYPE html>\n<html><body>Log in, please</body></html>", ["web page"]),
        ('{"answers": [1, 2]}', ["JSON"]),
        ('<?xml version="1.0"?><a/>', ["XML"]),
    ],
)
def test_text_that_is_no_table_is_refused_with_the_place(tmp_path, text, words):
    message = refusal(write(tmp_path, text))
    assert all(word in message for word in words), message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\né,ü\nñ,1\n".encode() + b"caf\xe9,2\n", ["line 4", "position 19", "UTF-8"]),
        (b"a,b\ncaf\xe9,1\nx\x81,2\n", ["line 3", "position 13", "Windows-1252"]),
        ("вопрос,ответ\nочень хорошо,плохо\n".encode("cp1251"), ["UTF-8 or Windows-1252"]),
        ("a,b\n1,2\n".encode("utf-16") + b"1", ["UTF-16", "line 3"]),
        (bytes(range(256)) * 20, ["binary"]),
        (b"%PDF-1.7\n...", ["PDF"]),
        (b"\xd0\xcf\x11\xe0" + bytes(600), [".xls"]),
        (b"\x1f\x8b\x08" + bytes(range(64)), ["gzip"]),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_the_place(tmp_path, content, words):
    message = refusal(write(tmp_path, content))
    assert all(word in message for word in words), message


def test_missing_file_names_the_nearest(tmp_path):
    write(tmp_path, "a,b\n1,2\n", "responses.csv")
    assert '"responses.csv"' in refusal(tmp_path / "response.csv")
    assert "folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "nowhere" / "x.csv")


# ---- platforms ------------------------------------------------------------------------------------------------------


def test_qualtrics_with_three_header_rows():
    export = read_export(FIXTURES / "qualtrics_3row.csv")
    assert (export.form, export.header_rows, export.rows_read) == ("qualtrics", 3, 3)
    assert export.labels["Q1_1"] == "How useful is it? - For my work & my team"
    assert list(export.cells["Q2_TEXT"]) == ["NA", 'A "quoted"\nsecond line', ""]
    assert {"IPAddress", "RecipientEmail", "LocationLatitude", "ExternalReference"} <= set(export.dropped)
    assert any("America/Denver" in note for note in export.notes)


def test_qualtrics_identifiers_are_known_by_their_import_id(tmp_path):
    text = (FIXTURES / "qualtrics_3row.csv").read_text(encoding="utf-8").replace("IPAddress", "Adresse", 1)
    assert "Adresse" in read_export(write(tmp_path, text)).dropped


def test_qualtrics_without_the_import_ids():
    export = read_export(FIXTURES / "qualtrics_2row.csv")
    assert (export.form, export.header_rows, export.rows_read) == ("qualtrics", 2, 2)
    assert export.labels["Q1"] == "Nutzen Sie es?"


def test_qualtrics_with_one_header_row_loses_no_respondent(tmp_path):
    lines = (FIXTURES / "qualtrics_2row.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    export = read_export(write(tmp_path, lines[0] + "".join(lines[2:])))
    assert (export.form, export.rows_read) == ("qualtrics", 2)


def test_legacy_qualtrics_takes_its_names_from_the_second_row():
    export = read_export(FIXTURES / "qualtrics_legacy.csv")
    assert (export.form, export.header_rows, export.rows_read) == ("qualtrics", 2, 2)
    assert {"ResponseID", "StartDate", "Q1"} <= set(export.cells.columns)
    assert {"Name", "EmailAddress", "IPAddress"} <= set(export.dropped)


def test_surveymonkey_options_are_named_after_their_question():
    export = read_export(FIXTURES / "surveymonkey.csv")
    assert (export.form, export.header_rows, export.rows_read) == ("surveymonkey", 2, 2)
    assert list(export.cells.columns) == ["Respondent ID", "Do you use it?", "Which? - Blog", "Which? - Wiki", "Age"]
    assert {"Email Address", "IP Address"} == set(export.dropped)


def test_every_reader_has_a_name_and_the_last_takes_anything():
    assert list(READERS)[-1] == "table"


# ---- identifiers ----------------------------------------------------------------------------------------------------


def test_columns_of_addresses_are_dropped_whatever_their_name(tmp_path):
    path = write(tmp_path, "id,contact,host,time,no\n1,a@b.org,10.0.0.1,10:10:10,1.2\n2,,2001:db8::1,09:00:00,1.3\n")
    assert set(read_export(path).dropped) == {"contact", "host"}
    assert set(read_export(path, keep=["contact"]).dropped) == {"host"}


def test_ordinary_names_are_kept_if_the_codebook_declares_them(tmp_path):
    path = write(tmp_path, "Name,Email,ExternalReference,IPAddress\nx,3,7,1\n")
    assert list(read_export(path, keep=["Email", "ExternalReference"]).cells.columns) == ["Email", "ExternalReference"]
    assert "IPAddress" in read_export(path, keep=["IPAddress"]).dropped


def test_a_few_addresses_in_free_text_do_not_drop_it(tmp_path):
    path = write(tmp_path, "id,comment\n1,a@b.org\n2,fine\n3,good\n")
    assert "comment" in read_export(path).cells


def test_repr_shows_no_cell(tmp_path):
    assert "secret" not in repr(read_export(write(tmp_path, "a,b\nsecret,2\n", "secret.csv")))


# ---- workbooks ------------------------------------------------------------------------------------------------------


def workbook(folder: Path, rows: list[list], **sheets: list[list]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for title, content in sheets.items():
        sheet = book.create_sheet(title)
        for row in content:
            sheet.append(row)
    book.save(folder / "export.bin")
    return folder / "export.bin"


def test_workbook_cells_read_as_a_person_would_type_them(tmp_path):
    day, moment = datetime(2024, 3, 1), datetime(2024, 3, 1, 8, 30)
    values = [3292879998, 3.0, 0.1 + 0.2, day, moment, True, "00123", "NA", None]
    texts = ["3292879998", "3", "0.3", "2024-03-01", "2024-03-01 08:30:00", "TRUE", "00123", "NA"]
    export = read_export(workbook(tmp_path, [list("abcdefgh"), values], Other=[["x"], [1]]))
    assert export.form == "xlsx"
    assert export.cells.iloc[0].tolist() == texts
    assert any("sheet 1 of 2" in note for note in export.notes)


def test_workbook_rows_are_accounted_for(tmp_path):
    export = read_export(workbook(tmp_path, [["a", "b"], [1, None], [None, None], [None, "x"]]))
    assert export.cells.to_numpy().tolist() == [["1", ""], ["", "x"]]
    assert (export.rows_read, export.blank_rows) == (2, 1)


def test_qualtrics_is_recognized_in_a_workbook(tmp_path):
    with (FIXTURES / "qualtrics_3row.csv").open(encoding="utf-8", newline="") as stream:
        path = workbook(tmp_path, list(csv.reader(stream)))
    assert read_export(path).form == "qualtrics"
    assert content_digest(read_export(path)) == content_digest(read_export(FIXTURES / "qualtrics_3row.csv"))


def test_stray_cell_beside_the_table_is_refused(tmp_path):
    assert "row 2 has a cell in column 4" in refusal(workbook(tmp_path, [["a", "b"], [1, 2, None, "secret"]]))


def edited_workbook(folder: Path, sheet: bytes) -> Path:
    """A workbook whose sheet was written by hand."""
    source = workbook(folder, [["a", "b"], [1, 2]])
    target = folder / "edited.xlsx"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            is_sheet = member.filename == "xl/worksheets/sheet1.xml"
            new.writestr(member.filename, sheet if is_sheet else old.read(member))
    return target


SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">%s<sheetData>%s</sheetData></worksheet>'
TWO_ROWS = b'<row r="1"><c r="A1"><v>7</v></c></row><row r="2"><c r="A2"><v>1</v></c></row>'


def test_claimed_dimensions_are_not_believed(tmp_path):
    path = edited_workbook(tmp_path, SHEET % (b'<dimension ref="A1:WQL1000000"/>', TWO_ROWS))
    assert read_export(path).cells.shape == (1, 1)


def test_far_cell_is_answered(tmp_path):
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    assert "beyond the 1 column" in refusal(edited_workbook(tmp_path, SHEET % (b"", TWO_ROWS + far)))
    farther = b'<row r="2000000000"><c r="A2000000000"><v>1</v></c></row>'
    assert "more than Excel has" in refusal(edited_workbook(tmp_path, SHEET % (b"", TWO_ROWS + farther)))


def test_zip_bomb_is_not_unpacked(tmp_path):
    assert "unpacks to" in refusal(edited_workbook(tmp_path, SHEET % (b"", b"<row/>" * 5_000_000)))


def test_damaged_and_other_archives_are_refused(tmp_path):
    whole = workbook(tmp_path, [["a"], [1]]).read_bytes()
    assert "damaged" in refusal(write(tmp_path, whole[:-40]))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
    assert "unpack it" in refusal(tmp_path / "other.zip")


def test_archives_are_opened_in_the_other_process_only(tmp_path, monkeypatch):
    path = workbook(tmp_path, [["a"], [1]])
    monkeypatch.setattr(zipfile, "ZipFile", None)  # an archive of millions of members takes gigabytes to open
    assert read_export(path).rows_read == 1


def test_giant_workbook_is_not_opened(tmp_path):
    with (tmp_path / "export.bin").open("wb") as stream:
        stream.write(b"PK\x03\x04")
        stream.truncate(foreign.MAX_UNPACKED + 1)
    assert "larger than 128 MB" in refusal(tmp_path / "export.bin")


# ---- SPSS -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def labelled(tmp_path) -> Path:
    answers = {"id": ["R_1", "R_2"], "q1": [5.0, -9.0], "age": [34.5, 2500.0], "email": ["a@b.org", "c@d.org"]}
    pyreadstat.write_sav(
        pd.DataFrame(answers),
        str(tmp_path / "export.bin"),
        column_labels={"q1": "I use it daily"},
        variable_value_labels={"q1": {1.0: "never", 5.0: "daily", -9.0: "refused"}},
        missing_ranges={"q1": [-9.0], "age": [{"lo": 2000.0, "hi": 3000.0}]},
    )
    return tmp_path / "export.bin"


def test_sav_keeps_labels_codes_and_declared_missing(labelled):
    export = read_export(labelled)
    assert export.form == "spss"
    assert export.cells.to_numpy().tolist() == [["R_1", "5", "34.5"], ["R_2", "-9", "2500"]]
    assert export.labels["q1"] == "I use it daily"
    assert export.choices == {"q1": {"1": "never", "5": "daily", "-9": "refused"}}
    assert export.missing == {"q1": ("-9",), "age": ("2500",)}
    assert "email" in export.dropped
    assert any("2000 to 3000" in note for note in export.notes)


def test_damaged_sav_gets_an_answer(labelled, tmp_path):
    whole = labelled.read_bytes()
    for position in (64, 80, len(whole) // 2):
        damaged = write(tmp_path, whole[:position] + b"\xff\xff\xff\x7f" + whole[position + 4 :], "damaged.bin")
        try:
            read_export(damaged)
        except DataError as error:
            assert "\n" not in str(error)
    assert refusal(write(tmp_path, whole[:100], "cut.bin"))


def test_reader_that_crashes_or_hangs_is_one_line(labelled, monkeypatch):
    def crash(*args, **kwargs):
        return subprocess.CompletedProcess(args, returncode=-11, stdout=b"", stderr=b"")

    def run_out_of_time(*args, **kwargs):
        return subprocess.CompletedProcess(args, returncode=-24, stdout=b"", stderr=b"")

    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("reader", 1)

    for accident, word in ((crash, "damaged"), (run_out_of_time, "too long"), (hang, "too long")):
        monkeypatch.setattr(subprocess, "run", accident)
        assert word in refusal(labelled)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces a limit of address space")
def test_reader_is_limited_in_memory():
    script = "import foreign; foreign.limit_resources(); bytearray(1 << 30)"
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(foreign.__file__).parent, capture_output=True)
    assert b"MemoryError" in done.stderr


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_too_many_columns_are_refused(tmp_path):
    header = ",".join(f"q{number}" for number in range(100_000))
    assert "100000 columns" in refusal(write(tmp_path, f"{header}\n{header}\n"))


def test_endless_line_is_refused(tmp_path):
    assert "line 2: longer than 8 MB" in refusal(write(tmp_path, b"a,b\n" + b"x" * (11 << 20)))


def test_endless_cell_is_refused(tmp_path):
    assert "line 2" in refusal(write(tmp_path, 'a,b\n1,"' + "x,y\n" * 100_000))


@pytest.mark.parametrize("limit", ["MAX_LINES", "MAX_CELLS", "MAX_MEMORY"])
def test_size_is_limited(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(tabular, limit, 10)
    assert "Split" in refusal(write(tmp_path, "a,b\n" + "1,2\n" * 20))


# ---- digest ---------------------------------------------------------------------------------------------------------


def test_digest_ignores_separator_missing_mark_and_encoding(tmp_path):
    one = write(tmp_path, "a,b,c\n1,?,x\n2,3,é\n", "one.csv")
    other = write(tmp_path, '"a";"b";"c"\r\n"1";"";"x"\r\n"2";"3";"é"\r\n'.encode("utf-16"), "other.csv")
    changed = write(tmp_path, "a,b,c\n1,?,x\n2,4,é\n", "changed.csv")
    assert content_digest(read_export(one)) == content_digest(read_export(other))
    assert content_digest(read_export(one)) != content_digest(read_export(changed))


def test_digest_sees_where_one_cell_ends(tmp_path):
    one, other = write(tmp_path, "a,b\nxy,z\n", "one.csv"), write(tmp_path, "a,b\nx,yz\n", "other.csv")
    assert content_digest(read_export(one)) != content_digest(read_export(other))


# ---- real files -----------------------------------------------------------------------------------------------------


@NEEDS_SHARED
def test_public_copies_of_wiki4he_share_a_digest(tmp_path):
    source = SHARED / "wiki4he" / "wiki4HE.csv"
    lines = source.read_text(encoding="utf-8").splitlines()
    twin = write(tmp_path, "\r\n".join(line.replace("?", "").replace(",", ";") for line in lines), "twin.csv")
    whole = write(tmp_path, "".join(f'"{line}"\n' for line in lines), "whole.csv")
    export = read_export(source)
    assert export.cells.shape == (913, 53)
    assert not export.dropped
    assert {content_digest(read_export(path)) for path in (twin, whole)} == {content_digest(export)}


@NEEDS_SHARED
@pytest.mark.parametrize(
    ("name", "form", "rows"),
    [
        ("qualtrics/sample_3row.csv", "qualtrics", 1),
        ("qualtrics/sample_legacy.csv", "qualtrics", 1),
        ("surveymonkey/star-wars-survey/StarWars.csv", "surveymonkey", 1186),
        ("surveymonkey/flying-etiquette-survey/flying-etiquette.csv", "surveymonkey", 1040),
        ("redcap/clinical-trial-1/data.csv", "redcap", 500),
        ("redcap/russian/data.csv", "redcap", 3),
        ("sav/pyreadstat_sample.zsav", "spss", 5),
        ("sav/pyreadstat_hebrews.sav", "spss", 99),
    ],
)
def test_real_exports_are_read_whole(name, form, rows):
    export = read_export(SHARED / "raw_exports" / name)
    assert (export.form, export.rows_read) == (form, rows)
    assert not {"name_last", "email", "IPAddress", "RecipientEmail"} & set(export.cells.columns)


@NEEDS_SHARED
def test_real_sav_with_ranges_and_dates():
    export = read_export(SHARED / "raw_exports" / "sav" / "pyreadstat_sample_missing.sav")
    assert export.missing == {"mynum": ("-1", "2500"), "mylabl": ("-1",), "myord": ("-1", "-2", "-3")}
    assert export.cells["mydate"].iloc[0] == "2018-05-06"
    assert export.cells["mytime"].iloc[0] == "10:10:10"


@NEEDS_SHARED
@pytest.mark.parametrize("name", ["pyreadstat_sample_missing.sav", "pyreadstat_sample.zsav"])
def test_flipped_bytes_in_real_sav_get_an_answer(tmp_path, name):
    whole = bytearray((SHARED / "raw_exports" / "sav" / name).read_bytes())
    for position in range(5, len(whole), len(whole) // 4):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        try:
            read_export(write(tmp_path, bytes(damaged), "damaged.bin"))
        except DataError as error:
            assert "\n" not in str(error)


def test_child_prints_one_json_object(labelled, capsys, monkeypatch):
    monkeypatch.setattr(foreign, "limit_resources", lambda: None)
    foreign.main("spss", str(labelled))
    parts = {"header", "columns", "labels", "choices", "missing", "notes"}
    assert set(json.loads(capsys.readouterr().out)) == parts
