"""REDCap: what an export and a data dictionary say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from smstudy.survey.codebook import Kind
from smstudy.survey.formats.definitions import Choices, Question, Row, Structure, joined, limited
from smstudy.survey.formats.reading import Reading, answers, by_name, folded, in_brackets, origin, places, plain_text
from smstudy.survey.formats.tabular import Table

_FIELD_NAME = re.compile(r"([a-z][a-z0-9_]*)?")
_SYSTEM_KINDS: dict[str, Kind] = {
    "redcap_event_name": "category",
    "redcap_repeat_instrument": "category",
    "redcap_repeat_instance": "number",
    "redcap_data_access_group": "category",
}
_SYSTEM_PERSONAL = {"redcap_survey_identifier": "identifier of a survey participant"}
_COMPLETE = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
_TICKED = {"0": "Unchecked", "1": "Checked"}
_LABELED_KINDS: dict[str, Kind] = {
    "event name": "category",
    "repeat instrument": "category",
    "repeat instance": "number",
    "data access group": "category",
    "survey timestamp": "date",
}
_NOT_COMPLETED = "[not completed]"


def is_redcap(table: Table) -> bool:
    """Variable names throughout, the completion of a form among them, and a sign that no other tool leaves."""
    if _labeled_forms(table):
        return True
    if not all(_FIELD_NAME.fullmatch(name) for name in table.header):
        return False
    forms = _forms_completed(table)
    telling = any(name.startswith("redcap_") or "___" in name for name in table.header)
    named = "record_id" in table.header[:2] or any("2" in answers(table, place, 1) for place in forms)
    return bool(forms) and (telling or named)


def read_redcap(table: Table) -> Reading:
    """One header row of variable names; a checkbox is spread over `field___code`, a form ends with `form_complete`."""
    if labeled := _labeled_forms(table):
        return _read_labeled(table, labeled)
    forms = _forms_completed(table)
    ticked = [
        place
        for place, name in enumerate(table.header)
        if "___" in name and set(answers(table, place, 1)) <= set(_TICKED)
    ]
    stamps = [place for place, name in enumerate(table.header) if name.endswith("_timestamp")]
    record = next((place for place, name in enumerate(table.header) if name), 0)
    kinds: dict[int, Kind] = {
        record: "id",
        **dict.fromkeys(stamps, "date"),
        **dict.fromkeys([*ticked, *forms], "category"),
    }
    return Reading(
        names=table.header,
        choices=dict.fromkeys(forms, _COMPLETE) | dict.fromkeys(ticked, _TICKED),
        missing={place: (_NOT_COMPLETED,) for place in stamps if _NOT_COMPLETED in answers(table, place, 1)},
        kinds=kinds | places(table.header, _SYSTEM_KINDS),
        dropped=by_name(places(table.header, _SYSTEM_PERSONAL)),
        notes=(origin(table, "REDCap", 1), *_notes(table.header)),
    )


def _forms_completed(table: Table) -> list[int]:
    return [
        place
        for place, name in enumerate(table.header)
        if name.endswith("_complete") and set(answers(table, place, 1)) <= set(_COMPLETE)
    ]


def _labeled_forms(table: Table) -> list[int]:
    """Forms of an export with labels, where every form ends with a column "Complete?"; [] without another sign."""
    done = places(table.header, {"complete?": ""})
    signs = [*places(table.header, _LABELED_KINDS), *filter(_tick_label, table.header), *list(done)[1:]]
    states = set(_COMPLETE.values())
    return [place for place in done if signs and set(answers(table, place, 1)) <= states]


def _tick_label(heading: str) -> str:
    return in_brackets(heading, "(choice=", ")")


def _read_labeled(table: Table, forms: list[int]) -> Reading:
    """One header row of wording; a checkbox is "stem (choice=option)"."""
    ticked = {place: label for place, name in enumerate(table.header) if (label := _tick_label(name))}
    system = places(table.header, _LABELED_KINDS)
    personal = places(table.header, {"survey identifier": "identifier of a survey participant"})
    wording = {place: name for place, name in enumerate(table.header) if place not in {*forms, *system, *personal}}
    return Reading(
        names=table.header,
        labels=wording | ticked,
        missing={place: (_NOT_COMPLETED,) for place, kind in system.items() if kind == "date"},
        kinds={0: "id"} | dict.fromkeys([*forms, *ticked], "category") | system,
        dropped=by_name(personal),
        notes=(origin(table, "REDCap", 1), "Answers are exported as labels; an export of raw data has the codes."),
    )


def _notes(header: tuple[str, ...]) -> Iterator[str]:
    yield "Labels of questions and answers are in the data dictionary of the project."
    if {"redcap_event_name", "redcap_repeat_instrument"} & {*header}:
        yield "A person may have several rows: one an event or a repeated form."


# ---- data dictionary -------------------------------------------------------------------------------------------------

DICTIONARY_HEADINGS = {
    "variable / field name": "name",
    "field_name": "name",
    "section header": "section",
    "section_header": "section",
    "field type": "type",
    "field_type": "type",
    "field label": "label",
    "field_label": "label",
    "choices, calculations, or slider labels": "choices",
    "select_choices_or_calculations": "choices",
    "text validation type or show slider number": "validation",
    "text_validation_type_or_show_slider_number": "validation",
    "identifier?": "identifier",
    "identifier": "identifier",
    "matrix group name": "matrix",
    "matrix_group_name": "matrix",
}
_DICTIONARY_KINDS: dict[str, Kind] = {
    "radio": "category",
    "dropdown": "category",
    "yesno": "category",
    "truefalse": "category",
    "sql": "category",
    "slider": "number",
    "calc": "number",
    "notes": "text",
    "file": "text",
}
_DICTIONARY_CHOICES = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}
_VALIDATED_TEXT = re.compile(r"(?P<number>number|integer)|(?P<date>date)")


def parse_dictionary(table: Table) -> Structure:
    """Read a REDCap data dictionary: one row a field; a checkbox has one column a choice."""
    meanings = {place: DICTIONARY_HEADINGS.get(folded(name), "") for place, name in enumerate(table.header)}
    rows = [{meanings[p]: cell for p, cell in enumerate(table.row(n)) if meanings[p]} for n in range(table.n_rows)]
    questions = limited(table.name, (question for row in _with_stems(rows) for question in _dictionary_columns(row)))
    comma = any(row.get("validation", "").endswith("comma_decimal") for row in rows)
    notes = ("Some numbers are typed with a decimal comma.",) if comma else ()
    return Structure(
        source=table.name,
        form="REDCap dictionary",
        questions=(*map(_as_id, questions[:1]), *questions[1:]),
        decimal="," if comma else "",
        notes=notes,
    )


def _as_id(question: Question) -> Question:
    return Question(code=question.code, label=question.label, kind="id")


def _with_stems(rows: Iterable[Row]) -> Iterator[Row]:
    """Put the section header of a matrix before the wording of each of its fields."""
    section = matrix = ""
    for row in rows:
        group = row.get("matrix", "")
        if row.get("section") or group != matrix:
            section = plain_text(row.get("section", ""))
        matrix = group
        label = plain_text(row.get("label", ""))
        yield {**row, "label": joined(section, label) if group else label}


def _dictionary_columns(row: Row) -> Iterator[Question]:
    name, kind, label = row.get("name", "").strip(), row.get("type", "").strip().lower(), row.get("label", "")
    identifier = "identifier of a person" if row.get("identifier", "").strip().lower() == "y" else ""
    if not name or kind == "descriptive":
        return
    if kind == "checkbox":
        for code, words in _dictionary_choices(row.get("choices", "")).items():
            column = f"{name}___{code.lower().replace('-', '_')}"
            yield Question(
                code=column,
                label=joined(label, words),
                kind="category",
                choices=_TICKED,
                identifier=identifier,
            )
        return
    validated = _VALIDATED_TEXT.match(row.get("validation", "").strip().lower()) if kind == "text" else None
    listed = _dictionary_choices(row.get("choices", "")) if _DICTIONARY_KINDS.get(kind) == "category" else {}
    yield Question(
        code=name,
        label=label,
        kind=validated.lastgroup if validated else _DICTIONARY_KINDS.get(kind),
        choices=_DICTIONARY_CHOICES.get(kind, listed),
        identifier=identifier,
    )


def _dictionary_choices(text: str) -> Choices:
    """Read "1, one | 2, two"; a label may hold commas, a choice may lack a label.

    >>> _dictionary_choices("1, one|2, two, or more")
    {'1': 'one', '2': 'two, or more'}
    """
    pairs = [part.partition(",") for part in text.split("|") if part.strip()]
    return {code.strip(): plain_text(words) or code.strip() for code, _, words in pairs}
