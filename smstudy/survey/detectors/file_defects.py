"""Defects of the file and its columns: how it was written, and what its headings are."""

from __future__ import annotations

import re

import numpy as np

from smstudy.display.prose import plural
from smstudy.survey.codebook import Variable
from smstudy.survey.decoding import NUMBER, normalize
from smstudy.survey.detectors.evidence import Detection, Look, cannot_tell, named, of_file, of_rows
from smstudy.survey.drafts.wordings import AGREEMENT, OTHER_AGREEMENTS
from smstudy.survey.formats.reading import is_wording

LONGEST_NAME = 64
SERIAL = r"^\s*[2-7]\d{4}(\.\d+)?\s*$"  # 1954 to 2119 as days since 1899-12-30
MOSTLY = 0.5
BROKEN = re.compile("Ã[\x80-¿©¤¶¼Ÿ]|â€[™œ“]|\ufffd")
DATE_WORDS = r"\b(date|datum|timestamp|submitted)\b|(start|end|recorded|submit|completion)[ _-]?(date|time)"
UNTIDY = re.compile("<[a-zA-Z/!][^<>]*>|&[a-z]+;|\u00a0|[\u2018\u2019\u201c\u201d]")


def encoding(look: Look) -> Detection:
    """1: a byte order mark, Windows-1252 or UTF-16, letters broken by an earlier conversion."""
    told = [note for note in look.export.notes if re.search(r"byte order mark|Windows-1252|UTF-16|UTF-32", note)]
    broken = [h for h in look.headers if BROKEN.search(h + look.export.labels.get(h, "")) or _broken_answers(look, h)]
    if broken:
        told.append(f"Letters broken by an earlier conversion in {named(broken)}.")
    repair = "Export again as UTF-8 from the platform: broken letters cannot be put right." if broken else "Nothing."
    return of_file(told, repair, clear="Plain UTF-8, or a format that says its encoding.")


def _broken_answers(look: Look, header: str) -> bool:
    variable = look.variable_at.get(header)
    return bool(variable and variable.kind in ("category", "unit", "item")) and any(
        map(BROKEN.search, look.words(header)[0])
    )


def separators(look: Look) -> Detection:
    """2: semicolon, tab or bar between cells; a decimal comma."""
    told = [note for note in look.export.notes if re.search(r"separated by (?!comma)|declares the separator", note)]
    if look.export.decimal == ",":
        told.append("Numbers are written with a decimal comma.")
    return of_file(told, "Nothing.", clear="Cells are separated by commas, or the format needs no separator.")


def header_rows(look: Look) -> Detection:
    """3: more than one row of headings."""
    rows = look.export.header_rows
    told = [f"{plural(rows, 'row')} of headings, read as an export of the form {look.export.form}."] if rows > 1 else []
    return of_file(told, "Nothing.", clear="One row of headings.")


def serial_dates(look: Look) -> Detection:
    """4: dates as the number of days since 1899-12-30, as spreadsheets store them."""
    declared = [header for _, header in look.of_kind("date")]
    hit, columns = np.zeros(look.n, bool), []
    for header in dict.fromkeys([*declared, *look.about(DATE_WORDS)]):
        rows = look.rows_matching(header, SERIAL)
        filled = np.count_nonzero(look.filled(header))
        if rows.any() and (header in declared or rows.sum() > MOSTLY * filled):
            hit, columns = hit | rows, [*columns, header]
    repair = "Format the column as a date (2026-03-31) in the spreadsheet and save it again."
    return of_rows(hit, f"Days since 1899-12-30 in {named(columns)}.", repair, clear="No date is a bare number.")


def names(look: Look) -> Detection:
    """5: headings that are there twice, empty, made up by a program, very long or untidy."""
    export = look.export
    lists = {
        "There more than once, numbered here": list(export.duplicates),
        "Without a heading, named here": list(export.blank_headers),
        "Named by a program for want of a heading": [h for h in look.headers if re.match(r"Unnamed(: \d+)?", h)],
        f"Longer than {LONGEST_NAME} characters": [h for h in look.headers if len(h) > LONGEST_NAME],
        "With markup, curly quotes or unbreakable spaces": [h for h in look.headers if UNTIDY.search(h)],
    }
    told = [f"{what}: {named(found)}." for what, found in lists.items() if found]
    repair = 'Use them in codebook.yml under "column:" with a short name; rename columns that are there twice.'
    return of_file(told, repair, clear="Every heading is there once and is tidy.")


def wording_as_name(look: Look) -> Detection:
    """6: questions as headings, and wordings that were edited between waves."""
    worded = [header for header in look.headers if is_wording(header) and header not in look.export.blank_headers]
    told = [f"{plural(len(worded), 'heading')} read like questions."] if worded else []
    edited = look.differing("wording edited", "perhaps another question", "in another column")
    if edited:
        told.append(f"The wording was edited since the previous wave: {named(edited)}.")
    if worded and look.previous is None:
        told.append("Cannot tell whether they were edited: no previous wave.")
    repair = 'Give short names in codebook.yml; headings of other waves stand in "former_columns:".'
    return of_file(told, repair, clear="Headings are names, not questions.")


def columns_changed(look: Look) -> Detection:
    """7: columns added, dropped, renamed or moved against the codebook and the previous wave."""
    told = [
        f"{what}: {named(found)}."
        for what, statuses in (
            ("Renamed", ("renamed", "perhaps renamed")),
            ("Not there", ("not in the export", "dropped")),
            ("New", ("added",) if look.previous is not None else ()),
            ("In another place", ("moved",)),
        )
        if (found := look.differing(*statuses))
    ]
    if not told and look.previous is None:
        return cannot_tell("It fits the codebook; without the previous wave nothing can be said about changes.")
    repair = "See compare_schemas(): it gives a line for codebook.yml for each of them."
    return of_file(told, repair, clear="The same columns in the same order.")


def empty_columns(look: Look) -> Detection:
    """8: columns in which nothing stands."""
    empty = [header for header in look.headers if not look.filled(header).any()]
    used = [look.variable_at[header].name for header in empty if header in look.variable_at]
    told = [f"Nothing stands in {named(empty)}."] if empty else []
    repair = (
        f"Take {named(used)} out of codebook.yml, or export the answers." if used else "Nothing: they are not used."
    )
    return of_file(told, repair, clear="Something stands in every column.")


def codes_and_words(look: Look) -> Detection:
    """9: codes and words of the same answers in one column."""
    hit, columns = np.zeros(look.n, bool), []
    for variable, header in look.of_kind("item", "category", "unit"):
        coded, worded = (look.rows_where(header, is_one) for is_one in _written(variable))
        if coded.any() and worded.any():
            hit |= min(coded, worded, key=np.count_nonzero)
            columns.append(header)
    repair = "Nothing if the codes are those of the codebook: both are read. Else export again, all as choice text."
    clear = "Every column holds either codes or words."
    return of_rows(hit, f"Codes and words of answers are mixed in {named(columns)}.", repair, clear=clear)


def _written(variable: Variable) -> tuple:
    """Tell a code from the words of an answer; a number that is also a label is neither."""
    labels = {word for category in variable.categories for word in (category.label, *category.aliases)}
    codes = {category.value for category in variable.categories} - labels
    words = {normalize(label) for label in labels if not NUMBER.fullmatch(label)}
    return codes.__contains__, lambda word: normalize(word) in words


def languages(look: Look) -> Detection:
    """10: answers of one column in several languages."""
    known = [
        {normalize(word) for step in steps for word in step}
        for steps in (AGREEMENT, *OTHER_AGREEMENTS)
    ]  # fmt: skip
    hit, columns = np.zeros(look.n, bool), []
    for _, header in look.of_kind("item", "category"):
        rows = _other_language(look, header, known)
        if rows.any():
            hit, columns = hit | rows, [*columns, header]
    spoken = [h for h in look.called("userlanguage", "startlanguage", "language") if len(set(look.words(h)[0])) > 1]
    clear = (
        f"Answered in several languages ({named(spoken)}), but every column is in one." if spoken else "One language."
    )
    repair = 'Add the words of the other language to "aliases:" of each answer, or export codes instead of choice text.'
    return of_rows(hit, f"Answers in more than one language in {named(columns)}.", repair, clear=clear)


def _other_language(look: Look, header: str, known: list[set[str]]) -> np.ndarray:
    """Rows in the rarer languages of a column of agreement; none if all its words are of one language."""
    words = {normalize(word) for word in look.words(header)[0]}
    spoken = [language for language in known if words & language]
    if len(spoken) < 2:
        return np.zeros(look.n, bool)
    main = max(
        spoken,
        key=lambda language: np.count_nonzero(look.rows_where(header, lambda w: normalize(w) in language)),
    )
    others = set().union(*spoken) - main
    return look.rows_where(header, lambda word: normalize(word) in others)
