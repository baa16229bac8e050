"""What a study does with the columns of an export: the page for those who look after data protection."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from smstudy.privacy import Privacy
from smstudy.result import Result
from smstudy.survey.codebook import Codebook, Kind
from smstudy.survey.exports import Export

DROPPED = "dropped when the file is read"
TREATMENT: dict[Kind, tuple[str, str]] = {
    "id": ("replaced by a keyed hash", "it links rows and waves and can no longer be read; it is never shown"),
    "text": ("kept apart", "own words are never in a table, a figure or a message"),
    "unit": ("used as a group", "small groups are hidden, in every table the same ones"),
    "category": ("used", "counted and compared; small counts are hidden"),
    "item": ("used", "shown as counts and means of many people"),
    "multi-select": ("used", "shown as counts of many people"),
    "number": ("used", "shown as means of many people only"),
    "date": ("used", "read for cleaning rules; never shown"),
    "weight": ("used", "weights the answers; never shown for one person"),
}
LEADERS = (
    "Where a group has one leader, its mean on statements about leaders is a rating of that person, by people who can "
    "be guessed. smstudy does not know which statements these are: for such ratings a group of {min_n} is small, and "
    "privacy: {{min_n: {higher}}} in study.yml is the better threshold."
)
HIGHER = 10
LEFT_OUT = ("not used", "not in the codebook: it goes no further than reading")


@dataclass(frozen=True, kw_only=True, repr=False)
class ProtectionSheet(Result):
    """Every column of an export, what is done with it, and why."""

    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per column of the export: term (its header), action, reason; dropped ones first."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Nothing about anybody: this is about columns."""
        return {}


def on_leaders(privacy: Privacy) -> str:
    """Advise a higher threshold for ratings of leaders, unless the study has one.

    >>> on_leaders(Privacy(min_n=10))
    ''
    """
    return "" if privacy.min_n >= HIGHER else LEADERS.format(min_n=privacy.min_n, higher=HIGHER)


def protection_sheet(export: Export, codebook: Codebook, privacy: Privacy, *, purpose: str = "") -> ProtectionSheet:
    """List what happens to each column of an export.

    Parameters
    ----------
    export : Export
        As `read_export` gives it.
    codebook : Codebook
        What each column means.
    privacy : Privacy
        The thresholds of the study.
    purpose : str, optional
        What the answers are used for, in the words of the study.

    Returns
    -------
    ProtectionSheet
        Headers of columns only, no answer.
    """
    kinds = {variable.column_in(export.cells.columns): variable.kind for variable in codebook.variables}
    told = {column: TREATMENT[kinds[column]] if column in kinds else LEFT_OUT for column in export.cells}
    first = [(column, DROPPED, why) for column, why in export.dropped.items()]
    order = {"replaced by a keyed hash": 0, "kept apart": 1, "not used": 2, "used as a group": 3, "used": 4}
    rest = sorted(((column, *entry) for column, entry in told.items()), key=lambda row: order[row[1]])
    return ProtectionSheet(
        title="What is done with the columns of the export",
        note=" ".join(filter(None, (purpose and f"Purpose: {purpose}", _limits(privacy), on_leaders(privacy)))),
        privacy=privacy,
        rows=pd.DataFrame([*first, *rest], columns=["term", "action", "reason"]),
    )


def _limits(privacy: Privacy) -> str:
    return (
        f"Nothing is shown for fewer than {privacy.min_n} people, comments for no group of fewer than "
        f"{privacy.comment_min_n}. Left this machine: nothing. smstudy opens no network connection when a study is "
        "run, and the export itself is never changed."
    )
