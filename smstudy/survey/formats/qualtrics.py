"""Qualtrics: what an export and a survey file (.qsf) say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from smstudy.errors import DataError
from smstudy.survey.codebook import Kind
from smstudy.survey.formats.definitions import Choices, Question, Structure, joined, limited, scaled
from smstudy.survey.formats.identifiers import ALWAYS_DROPPED, mostly, plain_name
from smstudy.survey.formats.reading import Reading, answers, date_note, origin, plain_text
from smstudy.survey.formats.tabular import Table

_SYSTEM_KINDS: dict[str, Kind] = {
    "startdate": "date",
    "enddate": "date",
    "recordeddate": "date",
    "status": "category",
    "progress": "number",
    "durationinseconds": "number",
    "finished": "category",
    "responseid": "id",
    "responseset": "category",
    "distributionchannel": "category",
    "userlanguage": "category",
    "qrecaptchascore": "number",
    "qrelevantidduplicatescore": "number",
    "qrelevantidfraudscore": "number",
    "qduplicaterespondent": "category",
    "qambiguoustextpresent": "number",
    "qunansweredpercentage": "number",
    "qtotalduration": "number",
}
_SYSTEM_SIGNS = {"startdate", "enddate", "recordeddate", "progress", "durationinseconds", "finished", "userlanguage"}
_SYSTEM_CODES = {
    "status": {
        "0": "IP Address",
        "1": "Survey Preview",
        "2": "Survey Test",
        "4": "Imported",
        "8": "Spam",
        "16": "Offline",
    },
    "finished": {"0": "False", "1": "True"},
}
_TICKED_CODES = re.compile(r"\d+(,\d+)*")


def is_qualtrics(table: Table) -> bool:
    """Import ids in row 3, wording below the platform's own names, the legacy names V1 …, or the names alone."""
    plain = {plain_name(name) for name in table.header}
    named = "responseid" in plain and len(plain & _SYSTEM_SIGNS) >= 3
    return named or _has_import_ids(table) or _is_legacy(table)


def read_qualtrics(table: Table) -> Reading:
    """Row 1 names, row 2 wording, row 3 import ids; either of the last two may have been deleted."""
    legacy, rows = _is_legacy(table), _rows(table)
    wording = table.row(0) if rows > 1 else ("",) * len(table.header)
    names = tuple(_legacy_names(table.header, wording)) if legacy else table.header
    plain = dict(enumerate(map(plain_name, names)))
    imports = [_import_id(cell) for cell in table.row(1)] if rows == 3 else []
    kinds = {place: _SYSTEM_KINDS[name] for place, name in plain.items() if name in _SYSTEM_KINDS}
    kinds |= {place: "text" for place, name in enumerate(names) if name.endswith("_TEXT")}
    ticked = [place for place in plain if place not in kinds and _holds_ticked_codes(answers(table, place, rows))]
    return Reading(
        names=names,
        header_rows=rows,
        labels={place: _label(text) for place, text in enumerate(wording) if text.strip()},
        choices=dict(_choices(table, plain, rows)),
        kinds=kinds | {place: "multi-select" for place in ticked},
        delimiters=dict.fromkeys(ticked, ","),
        dropped=dict(_imported_identifiers(imports)),
        notes=(origin(table, "Qualtrics", rows), *_notes(table, plain, rows, imports)),
    )


def _rows(table: Table) -> int:
    """3 with a row of import ids, 2 if that row was deleted but the wording is there, else 1."""
    if _has_import_ids(table):
        return 3
    if _is_legacy(table):
        return 2
    plain = map(plain_name, table.header)
    known = [cell for name, cell in zip(plain, table.row(0), strict=True) if name in _SYSTEM_SIGNS]
    is_wording = len(known) >= 2 and all(cell.strip() and not re.search(r"\d", cell) for cell in known)
    return 2 if is_wording else 1


def _has_import_ids(table: Table) -> bool:
    return table.n_rows > 1 and mostly(table.row(1), lambda cell: "ImportId" in _import_id(cell))


def _is_legacy(table: Table) -> bool:
    return table.header[0] == "V1" and {"ResponseID", "StartDate", "Finished"} <= set(table.row(0))


def _legacy_names(header: tuple[str, ...], wording: tuple[str, ...]) -> Iterator[str]:
    for name, word in zip(header, wording, strict=True):
        yield word if re.fullmatch(r"V\d+", name) else name


def _import_id(cell: str) -> dict[str, Any]:
    if not cell.startswith("{"):
        return {}
    try:
        entry = json.loads(cell)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _imported_identifiers(imports: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    for place, entry in enumerate(imports):
        what = ALWAYS_DROPPED.get(plain_name(str(entry.get("ImportId", ""))))
        if what:
            yield place, f"{what}, by the platform's id"


def _label(text: str) -> str:
    """Wording without what the platform adds for the choices themselves, as against own words."""
    return f"{' '.join(text.split())} - ".replace(" - Selected Choice - ", " - ").removesuffix(" - ")


def _choices(table: Table, plain: Mapping[int, str], rows: int) -> Iterator[tuple[int, dict[str, str]]]:
    """What the codes of the platform's own columns mean, if they are written as codes."""
    for place, name in plain.items():
        codes = _SYSTEM_CODES.get(name, {})
        if codes and set(answers(table, place, rows)) <= set(codes):
            yield place, codes


def _holds_ticked_codes(cells: list[str]) -> bool:
    """Codes with commas between them; three in a row somewhere, because "3,5" may be a number."""
    return all(_TICKED_CODES.fullmatch(cell) for cell in cells) and any(cell.count(",") > 1 for cell in cells)


def _notes(table: Table, plain: Mapping[int, str], rows: int, imports: list[dict[str, Any]]) -> Iterator[str]:
    zones = sorted({entry["timeZone"] for entry in imports if isinstance(entry.get("timeZone"), str)})
    if zones:
        yield f"Times are in time zone {', '.join('UTC' if zone == 'Z' else zone for zone in zones)}."
    if rows == 2 and not _is_legacy(table):
        yield "The row of import ids was deleted; it would tell identifying columns whose names were changed."
    if rows == 1:
        yield "The row with the wording of the questions is not in the file; export it again to have labels."
    for place, name in plain.items():
        if name == "finished":
            coded = set(answers(table, place, rows)) <= {"0", "1"}
            yield f"Answers are exported as {'codes' if coded else 'choice text'}."
        if name == "startdate":
            yield from date_note(table.header[place], answers(table, place, rows))


# ---- survey file -----------------------------------------------------------------------------------------------------

_MANY = {"MAVR", "MAHR", "MACOL", "MSB"}
_VALIDATED: dict[str, Kind] = {"ValidNumber": "number", "ValidDate": "date"}
_PERSONAL = {"ValidEmail": "e-mail address", "ValidPhone": "phone number"}
_CLICKS = ("First Click", "Last Click", "Page Submit", "Click Count")


def parse_qsf(source: str, text: str) -> Structure:
    """Read a Qualtrics survey file: questions outside the trash, their choices, recodes and export tags."""
    try:
        document = json.loads(text)
        elements = [element for element in document["SurveyElements"] if isinstance(element, dict)]
    except (ValueError, RecursionError, TypeError, KeyError):
        raise DataError(f"{source}: not a complete Qualtrics survey file. Export the survey again as .qsf.") from None
    trash = _trashed(elements)
    asked = [
        element["Payload"]
        for element in elements
        if element.get("Element") == "SQ"
        and isinstance(element.get("Payload"), dict)
        and _word(element.get("PrimaryAttribute")) not in trash
    ]
    questions = limited(source, (question for payload in asked for question in _columns(payload)))
    unread = {_word(payload.get("QuestionType"))[:20] for payload in asked} - {*_TYPES, "DB"}
    notes = tuple(f"Questions of type {kind} are not read." for kind in sorted(unread))
    return Structure(source=source, form="Qualtrics survey file", questions=questions, notes=notes)


def _trashed(elements: Iterable[Mapping[str, Any]]) -> set[str]:
    blocks = [
        block for element in elements if element.get("Element") == "BL" for block in _entries(element.get("Payload"))
    ]
    inside = [
        entry
        for _, block in blocks
        if isinstance(block, dict) and block.get("Type") == "Trash"
        for _, entry in _entries(block.get("BlockElements"))
    ]
    return {_word(entry.get("QuestionID")) for entry in inside if isinstance(entry, dict)}


def _entries(value: object) -> list[tuple[str, Any]]:
    """Key and entry of what Qualtrics writes as an object or, if the keys count from 0, as a list."""
    if isinstance(value, dict):
        return [(str(key), entry) for key, entry in value.items()]
    return [(str(key), entry) for key, entry in enumerate(value)] if isinstance(value, list) else []


def _ordered(options: object, order: object) -> dict[str, dict[str, Any]]:
    """Choices in the order people saw them."""
    known = {key: entry for key, entry in _entries(options) if isinstance(entry, dict)}
    keys = [_word(key) for _, key in _entries(order)]
    return {key: known[key] for key in dict.fromkeys([*keys, *known]) if key in known}


def _display(option: Mapping[str, Any]) -> str:
    return plain_text(_word(option.get("Display")))


def _word(value: object) -> str:
    """Text, or a number as text; nothing else is wording."""
    return str(value) if isinstance(value, str | int | float) else ""


def _columns(payload: Mapping[str, Any]) -> Iterator[Question]:
    """Every column that one question may have in an export; those that are not there match nothing."""
    tag, label = _word(payload.get("DataExportTag")), plain_text(_word(payload.get("QuestionText")))
    build = _TYPES.get(_word(payload.get("QuestionType")))
    if tag and build:
        yield from build(payload, tag, label)


def _coded(payload: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]) -> tuple[Choices, Choices, Choices]:
    """Choices and missing codes as exported, and how choices were recoded."""
    recodes = {key: _word(code) for key, code in _entries(payload.get("RecodeValues"))}
    left_out = {key for key, use in _entries(payload.get("AnalyzeChoices")) if use == "No"}
    choices = {recodes.get(key, key): _display(option) for key, option in options.items()}
    missing = {recodes.get(key, key): _display(option) for key, option in options.items() if key in left_out}
    return choices, missing, {key: code for key, code in recodes.items() if key != code and key in options}


def _own_words(tag: str, label: str, options: Mapping[str, Mapping[str, Any]]) -> Iterator[Question]:
    for key, option in options.items():
        if option.get("TextEntry"):
            yield Question(code=f"{tag}_{key}_TEXT", label=joined(label, f"{_display(option)} - Text"), kind="text")


def _choice(payload: Mapping[str, Any], tag: str, label: str) -> Iterator[Question]:
    options = _ordered(payload.get("Choices"), payload.get("ChoiceOrder"))
    choices, missing, recodes = _coded(payload, options)
    if _word(payload.get("Selector")) in _MANY:
        yield from _ticked(tag, label, options, choices)
    else:
        yield Question(code=tag, label=label, kind="category", choices=choices, missing=missing, recodes=recodes)
    yield from _own_words(tag, label, options)


def _ticked(tag: str, label: str, options: Mapping[str, Mapping[str, Any]], choices: Choices) -> Iterator[Question]:
    """A multi-select in one column, and spread over one column a choice."""
    yield Question(code=tag, label=label, kind="multi-select", choices=choices, delimiter=",")
    for key, option in options.items():
        words = _display(option)
        yield Question(code=f"{tag}_{key}", label=joined(label, words), kind="category", choices={"1": words})


def _matrix(payload: Mapping[str, Any], tag: str, label: str) -> Iterator[Question]:
    rows = _ordered(payload.get("Choices"), payload.get("ChoiceOrder"))
    columns = _ordered(payload.get("Answers"), payload.get("AnswerOrder"))
    tags = dict(_entries(payload.get("ChoiceDataExportTags")))
    choices, missing, recodes = _coded(payload, columns)
    for key, row in rows.items():
        code, words = _word(tags.get(key)) or f"{tag}_{key}", joined(label, _display(row))
        if payload.get("Selector") in ("TE", "CS"):
            kind: Kind = "text" if payload["Selector"] == "TE" else "number"
            for answer, column in columns.items():
                yield Question(code=f"{code}_{answer}", label=joined(words, _display(column)), kind=kind)
        elif payload.get("SubSelector") == "MultipleAnswer":
            yield from _ticked(code, words, columns, choices)
        else:
            yield Question(
                code=code, label=words, kind=scaled(choices), choices=choices, missing=missing, recodes=recodes
            )
    yield from _own_words(tag, label, rows)


def _text(payload: Mapping[str, Any], tag: str, label: str) -> Iterator[Question]:
    settings = payload.get("Validation")
    settings = settings.get("Settings") if isinstance(settings, dict) else None
    content = _word(settings.get("ContentType")) if isinstance(settings, dict) else ""
    kind, identifier = _VALIDATED.get(content, "text"), _PERSONAL.get(content, "")
    if payload.get("Selector") == "FORM":
        for key, option in _ordered(payload.get("Choices"), payload.get("ChoiceOrder")).items():
            yield Question(code=f"{tag}_{key}", label=joined(label, _display(option)), kind="text")
    else:
        for code in (tag, f"{tag}_TEXT"):
            yield Question(code=code, label=label, kind=kind, identifier=identifier)


def _numbers(payload: Mapping[str, Any], tag: str, label: str) -> Iterator[Question]:
    for key, option in _ordered(payload.get("Choices"), payload.get("ChoiceOrder")).items():
        yield Question(code=f"{tag}_{key}", label=joined(label, _display(option)), kind="number")


def _timing(payload: Mapping[str, Any], tag: str, label: str) -> Iterator[Question]:
    for click in _CLICKS:
        yield Question(code=f"{tag}_{click}", label=joined(label, click), kind="number")


def _browser(payload: Mapping[str, Any], tag: str, label: str) -> Iterator[Question]:
    for key, option in _ordered(payload.get("Choices"), payload.get("ChoiceOrder")).items():
        for name in (_display(option), key):
            yield Question(code=f"{tag}_{name}", label=joined(label, _display(option)), kind="category")


_TYPES = {
    "MC": _choice,
    "Matrix": _matrix,
    "TE": _text,
    "Slider": _numbers,
    "RO": _numbers,
    "CS": _numbers,
    "Timing": _timing,
    "Meta": _browser,
}
