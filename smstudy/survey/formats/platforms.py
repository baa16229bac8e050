"""Every form an export can have: one function to recognize it by its headings, one to say what they mean.

The first reader that recognizes a table reads it, so the most telling headings come first and the plain table last.
A new platform is one pair of functions and one line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from smstudy.survey.formats.forms import (
    is_centiment,
    is_google_forms,
    is_microsoft_forms,
    is_surveymonkey,
    is_typeform,
    read_centiment,
    read_google_forms,
    read_microsoft_forms,
    read_surveymonkey,
    read_typeform,
)
from smstudy.survey.formats.limesurvey import is_limesurvey, read_limesurvey
from smstudy.survey.formats.qualtrics import is_qualtrics, read_qualtrics
from smstudy.survey.formats.reading import Reading
from smstudy.survey.formats.redcap import is_redcap, read_redcap
from smstudy.survey.formats.tabular import Table

Reader = tuple[Callable[[Table], bool], Callable[[Table], Reading]]


def _is_stored_as(container: str, table: Table) -> bool:
    return table.container == container


def _is_table(table: Table) -> bool:
    return True


def _read_plain(table: Table) -> Reading:
    return Reading(names=table.header)


READERS: dict[str, Reader] = {
    "qualtrics": (is_qualtrics, read_qualtrics),
    "centiment": (is_centiment, read_centiment),
    "surveymonkey": (is_surveymonkey, read_surveymonkey),
    "limesurvey": (is_limesurvey, read_limesurvey),
    "redcap": (is_redcap, read_redcap),
    "microsoft forms": (is_microsoft_forms, read_microsoft_forms),
    "typeform": (is_typeform, read_typeform),
    "google forms": (is_google_forms, read_google_forms),
    "spss": (partial(_is_stored_as, "spss"), _read_plain),
    "stata": (partial(_is_stored_as, "stata"), _read_plain),
    "xlsx": (partial(_is_stored_as, "xlsx"), _read_plain),
    "parquet": (partial(_is_stored_as, "parquet"), _read_plain),
    "table": (_is_table, _read_plain),
}
