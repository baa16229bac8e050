"""Definitions of questionnaires read next to an export, to give its columns wording, answers and kinds."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from smstudy.errors import DataError
from smstudy.survey.formats.definitions import Question, Structure
from smstudy.survey.formats.limesurvey import parse_lss, parse_r_syntax
from smstudy.survey.formats.qualtrics import parse_qsf
from smstudy.survey.formats.reading import folded, plain_text
from smstudy.survey.formats.redcap import DICTIONARY_HEADINGS, parse_dictionary
from smstudy.survey.formats.tabular import read_text

if TYPE_CHECKING:
    from smstudy.survey.exports import Export

MAX_BYTES = 10 << 20
Entry = TypeVar("Entry")

_WHICH = "a Qualtrics .qsf, a LimeSurvey .lss or R syntax file, or a REDCap data dictionary (.csv)"


def read_structure(path: Path) -> Structure:
    """Read the definition of a questionnaire: .qsf, .lss, LimeSurvey's R syntax, or a REDCap dictionary.

    Parameters
    ----------
    path : Path
        The file, at most 10 MB. What it is shows in the file, not in its name.

    Returns
    -------
    Structure
        One question per column an export may have.

    Raises
    ------
    DataError
        If the file is missing, damaged, too large or something else. Nothing in it is run; XML with a document type
        (and so with entities) is refused.
    """
    content = _content(path)
    text = _decoded(content)
    start = text[:1000].lstrip("\ufeff \t\r\n")
    if start.startswith("{"):
        return parse_qsf(path.name, text)
    if start.startswith("<"):
        return parse_lss(path.name, content)
    if "variable.labels[" in text or re.search(r"^[ \t]*names\([\w.]+\)\[\d+\]\s*<-", text, re.MULTILINE):
        return parse_r_syntax(path.name, text)
    heading = folded(text[:2000].partition("\n")[0])
    if (
        sum(name in heading for name, meaning in DICTIONARY_HEADINGS.items() if meaning in ("name", "type", "label"))
        >= 3
    ):
        return parse_dictionary(read_text(path))
    raise DataError(f"{path.name}: not a definition of a questionnaire. Give {_WHICH}.")


def with_structure(export: Export, structure: Structure, *, keep: Collection[str] = ()) -> Export:
    """Give the columns of an export the wording, answers and kinds of its questionnaire.

    Parameters
    ----------
    export : Export
        As `read_export` gives it.
    structure : Structure
        As `read_structure` gives it.
    keep : collection of str
        Columns the codebook declares: not dropped although the definition marks them as identifying.

    Returns
    -------
    Export
        Cells are never changed. Columns are matched by their code, then by their wording; a code or a wording that
        fits more than one column matches none. What the definition marks as identifying a person is dropped.
    """
    found = _match(export, structure)
    personal = {
        column: f"{question.identifier}, by the definition of the questionnaire"
        for column, question in found.items()
        if question.identifier and column not in keep
    }
    left = {column: question for column, question in found.items() if column not in personal}
    return replace(
        export,
        cells=export.cells[[name for name in export.cells.columns if name not in personal]],
        labels=_merged(export.labels, {name: q.label for name, q in left.items()}, personal),
        choices=_merged(export.choices, {name: dict(q.choices) for name, q in left.items()}, personal),
        missing=_merged(export.missing, {name: _missing(export, name, q) for name, q in left.items()}, personal),
        kinds=_merged(export.kinds, {name: q.kind for name, q in left.items()}, personal),
        delimiters=_merged(export.delimiters, {name: q.delimiter for name, q in left.items()}, personal),
        dropped=export.dropped | personal,
        decimal=structure.decimal or export.decimal,
        notes=(*export.notes, *structure.notes, *_told(export, structure, found)),
    )


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise DataError(f"{path}: there is no such file. Give {_WHICH}.")
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path.name}: larger than {MAX_BYTES >> 20} MB, no definition of a questionnaire is.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror or 'unknown reason'}).") from None


def _decoded(content: bytes) -> str:
    """Text to look at: UTF-16 with a mark, UTF-8, or what old versions of LimeSurvey wrote."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _match(export: Export, structure: Structure) -> dict[str, Question]:
    """Column of the export -> its question."""
    columns = [*export.cells.columns]
    exact = {question.code: question for question in structure.questions}
    codes = _only_once((_code_key(question.code), question) for question in structure.questions)
    columns_by_code = _only_once((_code_key(column), column) for column in columns)
    found = {column: codes[key] for key, column in columns_by_code.items() if key in codes}
    found |= {column: exact[column] for column in columns if column in exact}
    used = {question.code for question in found.values()}
    wording = _only_once((folded(q.label), q) for q in structure.questions if q.label and q.code not in used)
    left = [column for column in columns if column not in found]
    texts = _only_once((folded(plain_text(export.labels.get(column, "") or column)), column) for column in left)
    return found | {column: wording[text] for text, column in texts.items() if text in wording}


def _code_key(code: str) -> str:
    """One spelling for `Q1[SQ001]`, `Q1_SQ001` and `q1.sq001`."""
    return re.sub(r"[\W_]+", "_", code).strip("_").casefold()


def _only_once(pairs: Iterable[tuple[str, Entry]]) -> dict[str, Entry]:
    listed = list(pairs)
    times = Counter(key for key, _ in listed)
    return {key: entry for key, entry in listed if key and times[key] == 1}


def _merged(told: dict[str, Entry], added: dict[str, Entry | None], personal: Collection[str]) -> dict[str, Entry]:
    merged = told | {name: entry for name, entry in added.items() if entry}
    return {name: entry for name, entry in merged.items() if name not in personal}


def _missing(export: Export, column: str, question: Question) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*export.missing.get(column, ()), *question.missing]))


def _told(export: Export, structure: Structure, found: dict[str, Question]) -> list[str]:
    """Say which columns the definition explains and which it does not."""
    system = set(export.kinds) - set(found)
    asked = [column for column in export.cells.columns if column not in system]
    unknown = [column for column in asked if column not in found]
    notes = [f"{structure.source} ({structure.form}) explains {len(asked) - len(unknown)} of {len(asked)} columns."]
    if unknown:
        named = ", ".join(f'"{column}"' for column in unknown[:8])
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        notes.append(f"It does not explain: {named}{more}.")
    return notes
