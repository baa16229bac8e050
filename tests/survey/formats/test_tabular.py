"""Laws of cutting text into cells: many rows at once or one by one, the cells are the same."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smstudy.errors import DataError
from smstudy.survey.formats import blocks, columns, tabular
from smstudy.survey.formats.blocks import Unusual
from smstudy.survey.formats.tabular import _find_layout, _read_blocks, _read_carefully, read_text

NASTY = st.sampled_from(
    [
        "a", "1", "-99", "é", " ", "\u2028", "\x0b", "\x1c", '"', '""', ",", ",", ";", "\n", "\n", "\r\n", "\r",
        '"a,b"', '"x\ny"', '"",',
    ],
)  # fmt: skip
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))


def content(table) -> tuple:
    return table.header, [list(column) for column in table.columns], table.blank_rows


def both(path: Path) -> tuple[object, object]:
    """What each of the two readers makes of a file: its content, or the type of its refusal."""
    layout = _find_layout(path)
    found = []
    for read in (_read_blocks, _read_carefully):
        try:
            found.append(content(read(path, layout)))
        except (Unusual, DataError) as refusal:
            found.append(type(refusal))
    return tuple(found)


@pytest.fixture(params=[16, 1 << 20])
def block_size(request, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", request.param)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(NASTY, max_size=40).map("".join), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@example(text='1,"""",""\n', encoding="utf-8")
@example(text='1,",",";"\n"x""y",\r\n', encoding="utf-8")
@example(text="1,2\n\r\n,\r\n\n", encoding="utf-8")
@example(text='a""a,b""a,b"\n', encoding="utf-8")
def test_reading_blocks_is_reading_carefully_or_leaving_it(tmp_path, block_size, text, encoding):
    path = tmp_path / "export.csv"
    path.write_bytes(f"q1,q2,q3\n1,2,3\n4,5,6\n{text}".encode(encoding))
    try:
        quick, careful = both(path)
    except DataError:
        return
    assert quick in (careful, Unusual)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1),
    terminator=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_the_csv_module_writes_is_read_in_blocks(tmp_path, block_size, rows, terminator, quoting):
    path = tmp_path / "export.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator=terminator, quoting=quoting).writerows([["q1", "q2", "q3"], *rows])
    layout = tabular._Layout("utf-8", ",")
    long = max(sum(len(cell.encode()) + 4 for cell in row) for row in rows)
    try:
        quick = content(_read_blocks(path, layout))
    except Unusual:
        assert long > blocks.BLOCK
        return
    assert quick == content(_read_carefully(path, layout))
    assert quick[1] == [list(cells) for cells in zip(*rows, strict=True)]


@pytest.mark.parametrize("limit", [1, 3, 200])
def test_the_number_of_different_cells_changes_how_they_are_stored_only(tmp_path, block_size, monkeypatch, limit):
    monkeypatch.setattr(columns, "MAX_WORDS", limit)
    rows = [[f"R_{i:03d}", "ab" if i % 3 else "", str(i % 7), f"é{i % 150}"] for i in range(300)]
    path = tmp_path / "export.csv"
    path.write_text("id,a,b,c\n" + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    quick, careful = both(path)
    assert quick == careful == (("id", "a", "b", "c"), [list(cells) for cells in zip(*rows, strict=True)], 0)


def test_the_length_of_different_cells_changes_how_they_are_stored_only(tmp_path, monkeypatch):
    rows = [[f"{i}", "x" * 200 + str(i % 50), f"é{i % 5}"] for i in range(300)]
    path = tmp_path / "export.csv"
    path.write_text("id,a,b\n" + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    found = []
    for limit in (1000, 1 << 20):
        monkeypatch.setattr(columns, "MAX_WORD_BYTES", limit)
        found += [*both(path), read_text(path).columns[1].dtype.name]
    assert (
        found[0] == found[1] == found[3] == found[4] == (("id", "a", "b"), [[*c] for c in zip(*rows, strict=True)], 0)
    )
    assert found[2] == "str" and found[5] == "category"


def test_words_count_as_memory():
    column = columns.Growing()
    column.add(["x" * 100_000, "y" * 100_000])
    assert column.n_bytes > 200_000 and not column.is_text


@pytest.mark.parametrize("limit", [0, 64 << 20])
def test_text_in_pieces_is_the_same_text(monkeypatch, limit):
    monkeypatch.setattr(columns, "MAX_WORDS", 2)
    monkeypatch.setattr(columns, "MAX_JOINED_BYTES", limit)
    column = columns.Growing()
    for cells in (["a", "b"], ["c", ""], ["d", "é"]):
        column.add(cells)
    text = column.finish()
    assert list(text) == ["a", "b", "c", "", "d", "é"]
    assert list(columns.trimmed(text, 1, 5)) == ["b", "c", "", "d"]
    assert columns.filled(text).tolist() == [True, True, True, False, True, True]


def test_columns_are_small_and_hold_no_word_that_does_not_occur(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text("q1,q2\nWording,x\n" + "3,yes\n,no\n" * 500, encoding="utf-8")
    body = read_text(path).below(1)
    assert [column.categories.tolist() for column in body.columns] == [["", "3"], ["no", "yes"]]
    assert all(column.codes.itemsize == 1 for column in body.columns)


@pytest.mark.parametrize("sign", ['"', "\r", "e", "7"])
def test_letters_quotation_marks_and_line_ends_cannot_be_declared_separators(tmp_path, sign):
    path = tmp_path / "export.csv"
    path.write_bytes(f"sep={sign}\nid,use\n1,2\n".encode())
    assert _find_layout(path).separator in tabular.SEPARATORS


def test_a_fault_far_down_a_long_file_is_told_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "MAX_CAREFUL_CELLS", 1000)
    monkeypatch.setattr(tabular, "_PILED", 1000)
    path = tmp_path / "export.csv"
    path.write_text("a,b\n" + "1,2\n" * 5000 + "1,2,3\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 5002"):
        read_text(path)
