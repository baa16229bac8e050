"""Exports of form builders and panels: SurveyMonkey, Microsoft Forms, Google Forms, Typeform and Centiment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from smstudy.survey.codebook import Kind
from smstudy.survey.formats.identifiers import mostly, plain_name
from smstudy.survey.formats.reading import (
    SAMPLE,
    Reading,
    answers,
    by_name,
    date_note,
    folded,
    grid_label,
    is_wording,
    origin,
    places,
    unescaped,
)
from smstudy.survey.formats.tabular import Table

# ---- SurveyMonkey --------------------------------------------------------------------------------------------------

_SURVEYMONKEY_KINDS: dict[str, Kind] = {
    "respondent id": "id",
    "respondentid": "id",
    "respondent_id": "id",
    "collector id": "id",
    "collectorid": "id",
    "collector_id": "id",
    "startdate": "date",
    "enddate": "date",
    "start date": "date",
    "end date": "date",
    "date created": "date",
    "date modified": "date",
    "date_created": "date",
    "date_modified": "date",
    "weight": "weight",
}
_SURVEYMONKEY_PERSONAL = {
    "ip address": "IP address",
    "ip_address": "IP address",
    "email address": "e-mail address",
    "email_address": "e-mail address",
    "first name": "first name",
    "first_name": "first name",
    "last name": "last name",
    "last_name": "last name",
}
_RESPONSE = {"response", "open-ended response", "antwort", "réponse", "respuesta", "antwoord", "risposta", "resposta"}
_NUMBERED_QUESTION = re.compile(r"q\d{4}(_\d{4})*(_other)?", re.IGNORECASE)
_NUMBERED_OPTION = re.compile(r"q\d{4}_\d{4}", re.IGNORECASE)
_NOT_SELECTED = "Not selected"
_RESPONDENT = re.compile(r"\d{8,}")


def is_surveymonkey(table: Table) -> bool:
    """A respondent id first, and either options in row 2 or a single row that only this platform writes."""
    return plain_name(table.header[0]) == "respondentid" and (_has_options(table) or _is_condensed(table))


def _has_options(table: Table) -> bool:
    """A second header row: no respondent id in it, an option under every blank name, "Response" under others."""
    first, second = table.header, table.row(0)
    blank = [cell.strip() for name, cell in zip(first, second, strict=True) if not name.strip()]
    return not second[0].strip() and all(blank) and bool(blank or _RESPONSE & set(map(folded, second)))


def _is_condensed(table: Table) -> bool:
    """Numbered questions, or long respondent ids beside at least three questions written out."""
    if any(_NUMBERED_QUESTION.fullmatch(name.strip()) for name in table.header):
        return True
    written_out = sum(map(is_wording, table.header[1:]))
    return written_out >= 3 and mostly(answers(table, 0, 1)[:SAMPLE], lambda cell: bool(_RESPONDENT.fullmatch(cell)))


def read_surveymonkey(table: Table) -> Reading:
    """Row 1 question, row 2 "Response" or an option; options of one question stand under blank names."""
    rows = 2 if _has_options(table) else 1
    names = tuple(_option_names(table.header, table.row(0))) if rows == 2 else tuple(map(unescaped, table.header))
    system, personal = places(names, _SURVEYMONKEY_KINDS), places(names, _SURVEYMONKEY_PERSONAL)
    ticked = dict(_numbered_options(table)) if rows == 1 else {}
    return Reading(
        names=names,
        header_rows=rows,
        labels={
            place: name
            for place, name in enumerate(names)
            if place not in {*system, *personal} and not _NUMBERED_QUESTION.fullmatch(name)
        }
        | ticked,
        kinds=(dict(_option_kinds(table)) if rows == 2 else dict.fromkeys(ticked, "category")) | system,
        dropped=by_name(personal),
        notes=(origin(table, "SurveyMonkey", rows), *_surveymonkey_notes(table, names, rows)),
    )


def _option_names(header: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """The question, and after it the option if the question is spread over several columns."""
    stem = ""
    for place, (name, option) in enumerate(zip(map(unescaped, header), map(unescaped, options), strict=True)):
        stem = name.strip() or stem
        spread = not name.strip() or not "".join(header[place + 1 : place + 2] or "-").strip()
        yield f"{stem} - {option.strip()}" if option.strip() and folded(option) not in _RESPONSE and spread else stem


def _option_kinds(table: Table) -> Iterator[tuple[int, Kind]]:
    """A column that holds nothing but its own option is a tick; "Other (please specify)" holds own words."""
    for place, option in enumerate(map(folded, table.row(0))):
        if option.startswith("other ") and option.endswith("specify)"):
            yield place, "text"
        elif option and option not in _RESPONSE and {folded(cell) for cell in answers(table, place, 2)} == {option}:
            yield place, "category"


def _numbered_options(table: Table) -> Iterator[tuple[int, str]]:
    """The option of a column that holds nothing but this option and "Not selected"."""
    for place, name in enumerate(table.header):
        ticks = set(answers(table, place, 1)) if _NUMBERED_OPTION.fullmatch(name) else set()
        if _NOT_SELECTED in ticks and len(ticks) == 2:
            yield place, f"{name.partition('_')[0]} - {(ticks - {_NOT_SELECTED}).pop()}"


def _surveymonkey_notes(table: Table, names: Sequence[str], rows: int) -> Iterator[str]:
    custom = [place for place, name in enumerate(names) if folded(name).startswith("custom data")]
    if custom:
        yield "Custom data may say who somebody is: look at these columns before you declare them."
    if any(map(_NUMBERED_QUESTION.fullmatch, names)):
        yield 'An option not ticked is written "Not selected". The wording of the questions is not in the file.'
    for place in places(names, {"start date": "", "date created": ""}):
        yield from date_note(names[place], answers(table, place, rows))


# ---- Microsoft Forms -----------------------------------------------------------------------------------------------

_MICROSOFT_ROLES = ("id", "start", "end", "email", "name", "modified")
_MICROSOFT_WORDS = (
    ("id", "start time", "completion time", "email", "name", "last modified time"),
    ("id", "startzeit", "fertigstellungszeit", "e-mail", "name", "zeitpunkt der letzten änderung"),
    ("id", "begintijd", "tijd van voltooien", "e-mail", "naam", "tijd van laatste wijziging"),
    ("id", "heure de début", "heure de fin", "adresse de messagerie", "nom", "heure de la dernière modification"),
    ("id", "hora de inicio", "hora de finalización", "correo electrónico", "nombre", "hora de la última modificación"),
)
_MICROSOFT_SPELLINGS = {"lastmodified": "last modified time", "lastmodifiedtime": "last modified time", "id.": "id"}
_MICROSOFT_KINDS: dict[str, Kind] = {"id": "id", "start": "date", "end": "date", "modified": "date"}
_MICROSOFT_PERSONAL = {"email": "e-mail address", "name": "name"}


def is_microsoft_forms(table: Table) -> bool:
    """A number first, then when the form was opened and sent, and by whom, in one language."""
    roles = _microsoft_roles(table.header)
    return [roles.get(place) for place in range(3)] == ["id", "start", "end"] and bool(
        {"email", "name"} & {*roles.values()}
    )


def read_microsoft_forms(table: Table) -> Reading:
    """One header row; the answers of a multi-select end with a semicolon each."""
    header, roles = table.header, _microsoft_roles(table.header)
    quiz = dict(_quiz_kinds(header))
    kinds = {place: _MICROSOFT_KINDS[role] for place, role in roles.items() if role in _MICROSOFT_KINDS} | quiz
    questions = [place for place in range(len(header)) if place not in roles and place not in quiz]
    ticked = [place for place in questions if _all_end_in_semicolon(answers(table, place, 1))]
    repeated = dict(_repeated_questions(header, questions))
    return Reading(
        names=header,
        labels={place: " ".join(header[place].split()) for place in questions} | repeated,
        kinds=kinds | {place: "multi-select" for place in ticked},
        delimiters=dict.fromkeys(ticked, ";"),
        dropped=by_name({p: _MICROSOFT_PERSONAL[role] for p, role in roles.items() if role in _MICROSOFT_PERSONAL}),
        notes=(origin(table, "Microsoft Forms", 1), *_microsoft_notes(table, roles, bool(quiz), bool(repeated))),
    )


def _microsoft_roles(header: Sequence[str]) -> dict[int, str]:
    """The columns of the platform itself, which stand before the first question."""
    leading = [_MICROSOFT_SPELLINGS.get(folded(name), folded(name)) for name in header[:8]]
    known = [places(leading, dict(zip(words, _MICROSOFT_ROLES, strict=True))) for words in _MICROSOFT_WORDS]
    return max(known, key=len)


def _quiz_kinds(header: Sequence[str]) -> Iterator[tuple[int, Kind]]:
    """Points and feedback that a quiz puts after every question."""
    titles = {folded(name) for name in header}
    if "total points" not in titles:
        return
    for place, title in enumerate(map(folded, header)):
        what, _, question = title.partition(" - ")
        if title == "total points" or (what == "points" and question in titles):
            yield place, "number"
        elif title == "quiz feedback" or (what == "feedback" and question in titles):
            yield place, "text"
        elif title == "grade posted time":
            yield place, "date"


def _all_end_in_semicolon(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell.rstrip().endswith(";") for cell in cells)


def _repeated_questions(header: Sequence[str], questions: Sequence[int]) -> Iterator[tuple[int, str]]:
    """A question asked again has the same words with 2, 3 … put at the end."""
    tidy = {" ".join(header[place].split()): place for place in questions}
    for name, place in tidy.items():
        base = name.rstrip("0123456789")
        number = int(name[len(base) :][:3] or 0)
        if base in tidy and number > 1 and all(f"{base}{earlier}" in tidy for earlier in range(2, number)):
            yield place, base


def _microsoft_notes(table: Table, roles: Mapping[int, str], quiz: bool, repeated: bool) -> Iterator[str]:
    if quiz:
        yield "The form is a quiz: points and feedback stand beside the answers."
    if repeated:
        yield "Questions asked more than once are told apart by a number at the end of their heading."
    for place, role in roles.items():
        if role == "email" and {cell.casefold() for cell in answers(table, place, 1)} == {"anonymous"}:
            yield "Answers were given anonymously."
        if role == "start":
            yield from date_note(table.header[place], answers(table, place, 1))


# ---- Google Forms --------------------------------------------------------------------------------------------------

_GOOGLE_TIME = {
    "timestamp",
    "zeitstempel",
    "tijdstempel",
    "horodateur",
    "marca temporal",
    "informazioni cronologiche",
    "carimbo de data/hora",
}
_GOOGLE_PERSONAL = {
    "email address": "e-mail address",
    "username": "account name",
    "e-mail-adresse": "e-mail address",
    "e-mailadres": "e-mail address",
    "adresse e-mail": "e-mail address",
    "dirección de correo electrónico": "e-mail address",
    "indirizzo email": "e-mail address",
    "endereço de e-mail": "e-mail address",
}
_GOOGLE_MOMENT = re.compile(r"(\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4})[ T]+\d{1,2}[:.]\d{2}[:.]\d{2}(\.\d+)?( .*)?")
_JOINED = ", "
_MOST_OPTIONS = 20


def is_google_forms(table: Table) -> bool:
    """The moment of sending first, to the second, and questions written out after it."""
    if folded(table.header[0]) not in _GOOGLE_TIME or len(table.header) < 2:
        return False
    questions = any(is_wording(name) or grid_label(name) != name for name in table.header[1:])
    return questions and mostly(
        answers(table, 0, 1)[:SAMPLE], lambda cell: bool(_GOOGLE_MOMENT.fullmatch(cell.strip()))
    )


def read_google_forms(table: Table) -> Reading:
    """One header row; grid items are "stem [item]", the answers of a multi-select are joined by commas."""
    personal = places(table.header[:2], _GOOGLE_PERSONAL)
    system = {0, *personal, *places(table.header[:3], {"score": ""})}
    questions = [place for place in range(len(table.header)) if place not in system]
    ticked = [place for place in questions if _looks_joined(answers(table, place, 1))]
    kinds: dict[int, Kind] = {0: "date"}
    notes = date_note(table.header[0], answers(table, 0, 1))
    if ticked:
        notes.append("Some columns look like multi-selects joined by commas: confirm them in the codebook.")
    return Reading(
        names=table.header,
        labels={place: grid_label(" ".join(table.header[place].split())) for place in questions},
        kinds=kinds | {place: "multi-select" for place in ticked},
        delimiters=dict.fromkeys(ticked, _JOINED),
        dropped=by_name(personal),
        notes=(origin(table, "Google Forms", 1), *notes),
    )


def _looks_joined(cells: Sequence[str]) -> bool:
    """A few options that come back in different company and number; prose and options with commas do not."""
    split = [cell.split(_JOINED) for cell in cells]
    joined = [parts for parts in split if len(parts) > 1]
    if len(joined) < 2 or len({len(parts) for parts in split}) < 2:
        return False
    options = {part for parts in split for part in parts}
    company = {option: sum(option in parts for parts in split) for option in options}
    return len(options) <= _MOST_OPTIONS and all(company[part] > 1 for parts in joined for part in parts)


# ---- Typeform ------------------------------------------------------------------------------------------------------

_TYPEFORM_KINDS: dict[str, Kind] = {
    "#": "id",
    "response type": "category",
    "start date (utc)": "date",
    "stage date (utc)": "date",
    "submit date (utc)": "date",
    "tags": "text",
    "ending": "category",
}


def is_typeform(table: Table) -> bool:
    """A "#" first, and the moment of sending or the network at the end."""
    names = {folded(name) for name in table.header[1:]}
    return (
        table.header[0].strip() == "#"
        and "submit date (utc)" in names
        and bool(names & {"start date (utc)", "network id"})
    )


def read_typeform(table: Table) -> Reading:
    """One header row; every choice of a multi-select has a column, and every "Other" is called so."""
    system = places(table.header, _TYPEFORM_KINDS)
    others = list(places(table.header, {"other": ""}))
    network = places(table.header, {"network id": "identifier of a network connection"})
    questions = [p for p in range(len(table.header)) if p not in {*system, *others, *network}]
    notes = ["Times are in UTC."]
    if len(others) > 1:
        notes.append('Several columns are called "Other": each belongs to the question before it.')
    return Reading(
        names=table.header,
        labels={place: " ".join(table.header[place].split()) for place in questions},
        kinds=system | dict.fromkeys(others, "text"),
        dropped=by_name(network),
        notes=(origin(table, "Typeform", 1), *notes),
    )


# ---- Centiment -------------------------------------------------------------------------------------------------------

_CENTIMENT_KINDS: dict[str, Kind] = {
    "session id": "id",
    "publish id": "id",
    "collector": "category",
    "language": "category",
    "start date": "date",
    "end date": "date",
    "status": "category",
    "progress": "number",
    "duration (seconds)": "number",
}
_ZONE = re.compile(r" ?\((\w{1,30}/\w{1,30})\)")
_CENTIMENT_TYPE = re.compile(r"matrix|rank(ing)?|slider|number|nps|(single|multi)-select|open-text(-\w+)*")
_CENTIMENT_ANSWERS: dict[str, Kind] = {"matrix": "category", "single-select": "category", "open-text": "text"}


def is_centiment(table: Table) -> bool:
    """Types of questions in row 2, the platform's own headings in row 3."""
    if table.n_rows < 2:
        return False
    types = [cell for cell in table.row(0) if cell]
    known = {folded(cell) for cell in table.row(1)}
    return bool(types) and all(map(_CENTIMENT_TYPE.fullmatch, types)) and {"session id", "publish id"} <= known


def read_centiment(table: Table) -> Reading:
    """Row 1 ids, row 2 types, row 3 wording, which names a column that has no id."""
    types, wording = table.row(0), table.row(1)
    system = places([_ZONE.sub("", folded(text)) for text in wording], _CENTIMENT_KINDS)
    names = tuple(wording[p] if p in system or not name else name for p, name in enumerate(table.header))
    kinds = places([kind.partition("-m")[0] for kind in types], _CENTIMENT_ANSWERS) | system
    zones = sorted({zone[1] for text in wording if (zone := _ZONE.search(text))})
    return Reading(
        names=names,
        header_rows=3,
        labels={place: " - ".join(map(str.strip, text.split("|"))) for place, text in enumerate(wording) if text},
        kinds=kinds,
        notes=(origin(table, "Centiment", 3), *(f"Times are in time zone {zone}." for zone in zones)),
    )
