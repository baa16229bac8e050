"""A table once written, then rendered: every cell arrives in every format, and no text becomes code."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.display import tables
from smstudy.display.tables import HIDDEN, Table, to_csv, to_docx, to_html, to_latex, to_text, write_table

SPECIAL = r"""\ & % $ # _ { } ~ ^ " ' ` | < > * [ ] ( ) @ = + - − – ² ∞ × · ≤ ≥ …"""
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def table(*cells, heading="Head", title="Title", note="Note"):
    rows = tuple((cell,) for cell in cells)
    return Table(title=title, headings=(heading,), rows=rows, numeric=(False,), note=note)


class Reader(HTMLParser):
    """Tags in order with their attributes, and the text of every cell."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.cells, self.open = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def test_both_ends_of_an_interval_become_one_cell_written_as_its_estimate():
    frame = pd.DataFrame({"term": ["x"], "alpha": [0.8], "alpha_low": [0.7], "alpha_high": [0.9]})
    written = write_table(frame, title="")
    assert written.headings == ("Term", "alpha", "95% CI")
    assert written.rows == (("x", ".80", "[.70, .90]"),)


def test_the_heading_of_an_interval_says_its_level():
    frame = pd.DataFrame({"estimate": [1.0], "conf_low": [0.0], "conf_high": [2.0]})
    assert write_table(frame, title="", conf_level=0.9).headings == ("Estimate", "90% CI")


def test_hidden_rows_say_hidden_in_every_number_and_keep_their_words():
    frame = pd.DataFrame({
        "group": ["A", "B"], "n": [9.0, np.nan], "estimate": [1.0, np.nan], "conf_low": [0.0, np.nan],
        "conf_high": [2.0, np.nan], "hidden": [False, True],
    })  # fmt: skip
    written = write_table(frame, title="")
    assert written.headings == ("Group", "n", "Estimate", "95% CI")
    assert written.rows == (("A", "9", "1.00", "[0.00, 2.00]"), ("B", HIDDEN, HIDDEN, HIDDEN))


def test_names_become_labels_and_other_words_stay():
    frame = pd.DataFrame({"term": ["sup"], "reason": ["sup"]})
    assert write_table(frame, title="", labels={"sup": "Support"}).rows == (("Support", "sup"),)


def test_a_table_without_rows_is_still_a_table():
    empty = write_table(pd.DataFrame(columns=["term", "n"]), title="Empty")
    assert empty.rows == ()
    assert Reader(to_html(empty)).cells == ["Term", "n"]
    assert to_text(empty).splitlines()[1].split() == ["Term", "n"]
    assert len(to_docx([empty]).tables[0].rows) == 1
    assert r"\bottomrule" in to_latex(empty)


@given(TEXTS)
def test_html_gives_back_every_text_and_no_tag_of_it(text):
    page = Reader(to_html(table(text, heading=text, title=text, note=text)))
    expected = re.sub("\r\n?", "\n", text)
    assert [re.sub("\r\n?", "\n", cell) for cell in page.cells] in ([expected, expected], [text, text])
    names = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "em"}
    assert {tag for tag, _ in page.tags} <= names
    attributes = [pair for _, attrs in page.tags for pair in attrs.items()]
    assert {name for name, _ in attributes} <= {"class", "scope", "style"}
    assert {value for name, value in attributes if name == "style"} <= {"text-align:left", "text-align:right"}
    assert page.open == []


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;", "a & b"])
def test_markup_in_a_cell_is_shown_as_it_is(text):
    assert text in Reader(to_html(table(text))).cells


def test_header_cells_have_a_scope():
    assert all(a.get("scope") == "col" for tag, a in Reader(to_html(table("x"))).tags if tag == "th")


def unescaped(latex):
    """Special characters of LaTeX that are left once commands and math are taken out."""
    plain = re.sub(r"\$(-|<|>|\^2|\\infty|\\times|\\cdot|\\leq|\\geq)\$", "", latex)
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|dots)\{\}|\\[&%$#_{}]|\{[\[*]\}", "", plain)
    return set(plain) & set("\\&%$#_{}~^[*")


@pytest.mark.parametrize("character", SPECIAL.split())
def test_latex_escapes_every_special_character(character):
    cell = to_latex(table(character)).splitlines()[8].removesuffix(r" \\")
    assert cell and unescaped(cell) == set()


@given(TEXTS)
def test_no_text_can_break_out_of_a_latex_cell(text):
    lines = to_latex(table(text, note="")).splitlines()
    assert len(lines) == 12
    assert unescaped(lines[8].removesuffix(r" \\")) == set()


def test_a_row_that_begins_with_a_bracket_is_no_option_of_the_line_break():
    """`\\` followed by `[` or `*` reads an argument, also over a line end."""
    lines = to_latex(table("a", "[b]", "*c")).splitlines()
    assert not any(line.startswith(("[", "*")) for line in lines)


def test_latex_says_the_place_of_every_column_and_the_rules_of_a_book():
    frame = pd.DataFrame({"term": ["x"], "estimate": [-1.0]})
    lines = to_latex(write_table(frame, title="50 % & more")).splitlines()
    assert lines[2:4] == [r"\caption{50 \% \& more}", r"\label{tab:50-more}"]
    assert lines[4] == r"\begin{tabular}{lr}"
    assert lines[8] == r"x & $-$1.00 \\"
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]


def test_a_ratio_stands_beside_an_interval_of_its_own():
    frame = pd.DataFrame(
        {"term": ["x", "cut"], "estimate": 0.0, "odds_ratio": [1.0, np.nan], "conf_low": -1.0, "conf_high": 1.0}
    )
    laid = tables.ratios_with_intervals(frame)
    assert list(laid) == ["term", "estimate", "conf_low", "conf_high", "odds_ratio", "ratio_low", "ratio_high"]
    written = write_table(laid, title="T")
    assert written.headings[2:] == ("95% CI", "Odds ratio", "95% CI")
    assert [row[4] for row in written.rows] == ["[0.37, 2.72]", "–"]
    pd.testing.assert_frame_equal(
        tables.ratios_with_intervals(frame[["term", "estimate"]]), frame[["term", "estimate"]]
    )


def test_wide_tables_stand_on_wide_paper_and_statistics_are_italic():
    frame = pd.DataFrame({"term": ["x"], "estimate": 1.0, "std_error": 0.1, "p_value": 0.01})
    narrow = to_docx([write_table(frame, title="T")])
    wide = to_docx([write_table(frame.assign(statistic=1.0, df=3.0, vif=1.0, rate_ratio=1.0), title="T")])
    assert [d.sections[0].page_width > d.sections[0].page_height for d in (narrow, wide)] == [False, True]
    head = narrow.tables[0].rows[0].cells
    assert [cell.paragraphs[0].runs[0].italic for cell in head] == [False, False, True, True]
    assert r"\textit{p}" in to_latex(write_table(frame, title="T"))


@given(st.text(max_size=20))
def test_word_holds_every_text_that_xml_can_hold(text):
    cells = [cell.text for row in to_docx([table(text)]).tables[0].rows for cell in row.cells]
    assert cells[0] == "Head"
    kept = "".join(character for character in text if not tables.CONTROL.match(character))
    assert cells[1].replace("\r", "\n") == kept.replace("\r", "\n")


def test_word_has_title_table_and_note():
    document = to_docx([table("x"), table("y", note="")])
    assert [p.text for p in document.paragraphs] == ["Title", "Note. Note", "Title"]
    assert [t.rows[1].cells[0].text for t in document.tables] == ["x", "y"]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "  =1", "\t=1", "\tx", "\rx", "\nx", "-", "-inf", "-nan", "+cmd|' /C calc'!A0",
     "−1+1", "＝1", "＋1", "－1", "＠x", "-1_000", "\u00a0=1", "-١"],
)  # fmt: skip
def test_text_that_a_spreadsheet_takes_for_a_formula_is_guarded(text):
    [[head], [cell]] = csv.reader(io.StringIO(to_csv(pd.DataFrame({text: [text]})), newline=""))
    assert head == cell == "'" + text.replace("\r", "\n")


@pytest.mark.parametrize("text", ["-5", "+5", "-5.25", "-.5", "1e-5", "-1E+3", "plain", "a=b", "5-6", ""])
def test_numbers_and_ordinary_words_stay(text):
    [[_], *rows] = csv.reader(io.StringIO(to_csv(pd.DataFrame({"a": [text]})), newline=""))
    assert rows in ([[text]], [[]])


def test_numbers_keep_full_precision_and_missing_ones_are_empty():
    frame = pd.DataFrame({"x": [1 / 3, -5.0, np.nan, np.inf, -np.inf], "t": ["a", None, pd.NA, "b", "c"]})
    rows = list(csv.reader(io.StringIO(to_csv(frame))))
    assert rows == [["x", "t"], [repr(1 / 3), "a"], ["-5.0", ""], ["", ""], ["", "b"], ["", "c"]]


def test_columns_of_plain_text_line_up():
    frame = pd.DataFrame({"term": ["x", "longer"], "n": [5, 1200]})
    lines = to_text(write_table(frame, title="T")).splitlines()
    assert lines == ["T", "Term        n", "-------------", "x           5", "longer  1,200"]
