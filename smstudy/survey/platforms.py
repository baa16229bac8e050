"""What the rows and columns of a survey platform's export mean: one function to recognize it, one to read it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smstudy.survey.codebook import Kind
from smstudy.survey.identifiers import ALWAYS_DROPPED, mostly, plain_name
from smstudy.survey.tabular import Table

_QUALTRICS_COLUMNS = {"StartDate", "EndDate", "RecordedDate", "Progress", "Duration (in seconds)"}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a table is to be understood; columns go by position, from 0.

    Attributes
    ----------
    names : tuple of str, length k
        Name of each column as the platform gives it; doubled and blank names are put right later.
    header_rows : int
        Rows of headings, the first one included.
    labels, choices, missing : mapping
        Question wording; code -> label; codes declared missing.
    kinds, delimiters : mapping
        What the platform says a column is; what stands between the answers of a multi-select.
    dropped : mapping
        Columns that say who somebody is, and what they hold.
    notes : tuple of str
        What was found, in sentences without cells.
    """

    names: tuple[str, ...]
    header_rows: int = 1
    labels: Mapping[int, str] = field(default_factory=dict)
    choices: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    kinds: Mapping[int, Kind] = field(default_factory=dict)
    delimiters: Mapping[int, str] = field(default_factory=dict)
    dropped: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _is_spss(table: Table) -> bool:
    return table.container == "spss"


def _is_qualtrics(table: Table) -> bool:
    return _qualtrics_header_rows(table) > 1 or _is_legacy_qualtrics(table)


def _is_surveymonkey(table: Table) -> bool:
    """A second header row: no respondent id in it, and an option under every blank name."""
    first, second = table.header, table.row(0)
    return (
        plain_name(first[0]) == "respondentid"
        and not second[0]
        and any(cell for cell in second)
        and all(cell for name, cell in zip(first[1:], second[1:], strict=True) if not name.strip())
    )


def _is_workbook(table: Table) -> bool:
    return table.container == "xlsx"


def _is_table(table: Table) -> bool:
    return True


def _read_plain(table: Table) -> Reading:
    return Reading(names=table.header)


def _read_qualtrics(table: Table) -> Reading:
    """Row 1 names, row 2 wording, row 3 (if there) import ids; the legacy form has its own names in row 2."""
    legacy = _is_legacy_qualtrics(table)
    headers = 2 if legacy else _qualtrics_header_rows(table)
    wording = table.row(0)
    names = table.header
    if legacy:
        names = tuple(word if re.fullmatch(r"V\d+", name) else name for name, word in zip(names, wording, strict=True))
    notes = [f"Qualtrics export with {headers} header rows."]
    imports = [_import_id(cell) for cell in table.row(1)] if headers == 3 else []
    zones = sorted({entry["timeZone"] for entry in imports if isinstance(entry.get("timeZone"), str)})
    notes += [f"Times are in time zone {', '.join(zones)}."] if zones else []
    ids = {place: plain_name(str(entry.get("ImportId", ""))) for place, entry in enumerate(imports)}
    return Reading(
        names=names,
        header_rows=headers,
        labels=dict(enumerate(wording)),
        dropped={
            place: f"{ALWAYS_DROPPED[origin]}, by the platform's id"
            for place, origin in ids.items()
            if origin in ALWAYS_DROPPED
        },
        notes=tuple(notes),
    )


def _read_surveymonkey(table: Table) -> Reading:
    """Row 1 question, row 2 "Response" or an option; options of one question stand under blank names."""
    names: list[str] = []
    stem = ""
    for position, (name, option) in enumerate(zip(table.header, table.row(0), strict=True)):
        stem = name.strip() or stem
        spread = not name.strip() or not "".join(table.header[position + 1 : position + 2]).strip()
        names.append(f"{stem} - {option}" if option and option != "Response" and spread else stem)
    notes = ("SurveyMonkey export with 2 header rows.",)
    return Reading(names=tuple(names), header_rows=2, labels=dict(enumerate(names)), notes=notes)


READERS: dict[str, tuple[Callable[[Table], bool], Callable[[Table], Reading]]] = {
    "spss": (_is_spss, _read_plain),
    "qualtrics": (_is_qualtrics, _read_qualtrics),
    "surveymonkey": (_is_surveymonkey, _read_surveymonkey),
    "xlsx": (_is_workbook, _read_plain),
    "table": (_is_table, _read_plain),
}


def _qualtrics_header_rows(table: Table) -> int:
    """3 with a row of import ids, 2 if that row was deleted but the wording is there, else 1."""
    if table.n_rows > 1 and mostly(table.row(1), lambda cell: "ImportId" in _import_id(cell)):
        return 3
    known = [cell for name, cell in zip(table.header, table.row(0), strict=True) if name in _QUALTRICS_COLUMNS]
    is_wording = len(known) >= 2 and all(cell.strip() and not re.search(r"\d", cell) for cell in known)
    return 2 if is_wording and "ResponseId" in table.header else 1


def _is_legacy_qualtrics(table: Table) -> bool:
    second = set(table.row(0))
    return table.header[0] == "V1" and {"ResponseID", "StartDate", "Finished"} <= second


def _import_id(cell: str) -> dict[str, Any]:
    if not cell.startswith("{"):
        return {}
    try:
        entry = json.loads(cell)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
