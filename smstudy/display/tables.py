"""A table once written as text, rendered to HTML, LaTeX, Word, plain text or CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

import docx
import numpy as np
import pandas as pd
from docx.document import Document
from docx.enum.section import WD_ORIENT

from smstudy.display import apa

HIDDEN = "hidden"
INTERVALS = {
    "complete_low": "complete_high",
    "conf_low": "conf_high",
    "alpha_low": "alpha_high",
    "omega_low": "omega_high",
    "htmt_low": "htmt_high",
    "htmt2_low": "htmt2_high",
    "extracted_low": "extracted_high",
    "composite_low": "composite_high",
    "icc_1_low": "icc_1_high",
    "icc_2_low": "icc_2_high",
    "icc_agreement_low": "icc_agreement_high",
    "icc_consistency_low": "icc_consistency_high",
    "importance_low": "importance_high",
    "performance_low": "performance_high",
    "ratio_low": "ratio_high",
}
CONF = ("conf_low", "conf_high")
RATIOS = ("odds_ratio", "risk_ratio", "rate_ratio", "hazard_ratio")
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": r"$-$", "–": "--", "²": r"$^2$", "∞": r"$\infty$",
    "<": r"$<$", ">": r"$>$", "[": "{[}", "*": "{*}", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "…": r"\dots{}", '"': "''",
}  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
FORMULA = ("=", "+", "-", "@", "−", "＝", "＋", "－", "＠")
ITALIC = ("n", "p", "t", "z", "F", "df", "SE", "M", "SD", "R²")
WIDE = 7
ONE_LINE = "; white-space:nowrap"  # numbers and intervals do not break
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A finished table: every cell is text, ready to be shown.

    `numeric` says which columns are right-aligned.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    note: str = ""


def write_table(
    frame: pd.DataFrame,
    *,
    title: str,
    note: str = "",
    labels: Mapping[str, str] | None = None,
    conf_level: float = 0.95,
) -> Table:
    """Write a tidy frame as a table: APA numbers, headings from the vocabulary, names replaced by their labels.

    Parameters
    ----------
    frame : DataFrame
        Tidy columns; both ends of an interval (`INTERVALS`) become one column, a true `hidden` blanks its numbers.
    title, note : str
        Caption and note.
    labels : mapping, optional
        Name of a variable to the words a reader knows it by.
    conf_level : float
        Confidence level of the intervals, for their heading.
    """
    shown = [name for name in frame if name != HIDDEN and name not in INTERVALS.values()]
    left = dict(zip(shown, ["", *shown], strict=False))
    records = frame.to_dict("records")
    rows = tuple(tuple(_cell(name, row, labels or {}, left[name]) for name in shown) for row in records)
    return Table(
        title=title,
        headings=tuple(f"{conf_level:.0%} CI" if name in INTERVALS else apa.column(name).heading for name in shown),
        rows=rows,
        numeric=tuple(apa.column(name).kind != "text" for name in shown),
        note=note,
    )


def ratios_with_intervals(shown: pd.DataFrame) -> pd.DataFrame:
    """Put a ratio, whose logarithm is the estimate, behind the interval of the estimate and give it one of its own."""
    ratio = next((name for name in RATIOS if name in shown), None)
    if ratio is None or "conf_high" not in shown:
        return shown
    with np.errstate(over="ignore"):
        low, high = (np.exp(shown[end].astype(float)).where(shown[ratio].notna()) for end in CONF)
    own = {"ratio_low": low, "ratio_high": high}
    columns = [name for name in shown if name != ratio]
    place = columns.index("conf_high") + 1
    return shown.assign(**own)[[*columns[:place], ratio, *own, *columns[place:]]]


def without(table: Table, heading: str) -> Table:
    """Leave out the column with a heading, unless it is all there is beside the first."""
    kept = [place for place, each in enumerate(table.headings) if each != heading]
    if len(kept) < 2:
        return table
    return replace(
        table,
        headings=tuple(table.headings[place] for place in kept),
        numeric=tuple(table.numeric[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
    )


def _cell(name: str, row: Mapping[str, object], labels: Mapping[str, str], left: str) -> str:
    value = row[name]
    if row.get("hidden") is True and apa.column(name).kind != "text" and pd.isna(value):
        return HIDDEN
    if name in INTERVALS:
        return _interval(left if apa.column(left).kind in ("bounded", "share") else name, value, row[INTERVALS[name]])
    if isinstance(value, str):
        return apa.say(name, value, labels)
    return apa.write(name, value)


def _interval(name: str, low: float, high: float) -> str:
    """Write an interval as the column it belongs to is written."""
    return apa.EMPTY if pd.isna(low) or pd.isna(high) else f"[{apa.write(name, low)}, {apa.write(name, high)}]"


def to_html(table: Table) -> str:
    """Render as an HTML table; every text is escaped here and nowhere else."""
    head = "".join(f'<th scope="col"{_align(n)}>{escape(h)}</th>' for h, n in zip(table.headings, table.numeric))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{_align(n, ONE_LINE)}>{escape(cell)}</td>" for cell, n in zip(row, table.numeric))
        + "</tr>"
        for row in table.rows
    )
    note = f'\n<p class="note"><em>Note.</em> {escape(table.note)}</p>' if table.note else ""
    return (
        f'<table class="smstudy">\n<caption style="text-align:left">{escape(table.title)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>{note}"
    )


def _align(numeric: bool, numbers: str = "") -> str:
    """Align a cell where it stands: notebooks bring styles of their own."""
    return f' style="text-align:{f"right{numbers}" if numeric else "left"}"'


def to_latex(table: Table) -> str:
    """Render as a LaTeX table in APA layout (needs the package booktabs)."""
    align = "".join("r" if numeric else "l" for numeric in table.numeric)
    head = " & ".join(rf"\textit{{{_latex(h)}}}" if h in ITALIC else _latex(h) for h in table.headings) + r" \\"
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in table.rows]
    note = [rf"\par\smallskip\textit{{Note.}} {_latex(table.note)}"] if table.note else []
    label = re.sub(r"[^a-z0-9]+", "-", table.title.lower()).strip("-")
    start = [r"% needs \usepackage{booktabs}", r"\begin{table}", rf"\caption{{{_latex(table.title)}}}"]
    body = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", head, r"\midrule", *lines, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*start, rf"\label{{tab:{label}}}", *body, *note, r"\end{table}"])


def _latex(text: str) -> str:
    """Escape text; brackets and stars are kept from being read as an option of the line break before them."""
    words = " ".join(CONTROL.sub("", text).split())
    return "".join(LATEX.get(character, character) for character in words)


def to_docx(tables: Sequence[Table]) -> Document:
    """Render as a Word document, on wide paper where a table is wide; save it with `.save(path)`."""
    document = docx.Document()
    if max(len(table.headings) for table in tables) > WIDE:
        page = document.sections[0]
        page.orientation = WD_ORIENT.LANDSCAPE
        page.page_width, page.page_height = page.page_height, page.page_width
    for table in tables:
        document.add_paragraph(_printable(table.title), style="Caption")
        grid = document.add_table(rows=0, cols=len(table.headings))
        for row in (table.headings, *table.rows):
            for cell, text in zip(grid.add_row().cells, row):
                cell.text = _printable(text)
        for cell, heading in zip(grid.rows[0].cells, table.headings):
            cell.paragraphs[0].runs[0].italic = heading in ITALIC
        if table.note:
            document.add_paragraph().add_run(f"Note. {_printable(table.note)}").italic = True
    return document


def _printable(text: str) -> str:
    """Leave out characters that no XML file can hold."""
    return CONTROL.sub("", text)


def to_text(table: Table) -> str:
    """Render as plain text with aligned columns."""
    lines = [table.headings, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.headings))]
    aligned = [
        "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(line, widths, table.numeric)).rstrip()
        for line in lines
    ]
    note = [f"Note. {table.note}"] if table.note else []
    return "\n".join([table.title, aligned[0], "-" * len(aligned[0]), *aligned[1:], *note])


def to_csv(frame: pd.DataFrame) -> str:
    """Write a frame as CSV that a spreadsheet takes for text and numbers, never for formulas.

    >>> print(to_csv(pd.DataFrame({"a": ["=1+1", "-5", "ok"]})).strip())
    a
    '=1+1
    -5
    ok
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_guard(str(name)) for name in frame])
    for row in frame.itertuples(index=False):
        writer.writerow(["" if _missing(value) else _guard(value) for value in row])
    return out.getvalue()


def _guard(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would take for a formula; numbers written as text stay."""
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return "'" + text if text.startswith(("\t", "\n")) or text.lstrip().startswith(FORMULA) else text


def _missing(value: object) -> bool:
    return bool(pd.isna(value)) or (isinstance(value, float) and math.isinf(value))
