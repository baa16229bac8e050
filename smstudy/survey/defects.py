"""The defects of raw survey exports: each with its detector, what is done by default, and a line in the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from smstudy.display.prose import plural
from smstudy.errors import DataError
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.detectors import cell_defects, file_defects, joint_defects, row_defects
from smstudy.survey.detectors.evidence import Detection, Look
from smstudy.survey.exports import Export
from smstudy.survey.quality import QualityCard
from smstudy.survey.rules import Rule

Level = Literal["file", "row", "cell"]


@dataclass(frozen=True)
class Defect:
    """One thing that is often wrong with an export.

    Attributes
    ----------
    level : {"file", "row", "cell"}
        What it is a defect of.
    title : str
        The defect in a few words.
    detect : callable
        Looks for it.
    how : str
        What it is told by.
    action : str
        What smstudy does by default; nothing is deleted unless a rule of the study says so.
    said : str
        Where else it is said when a study is run.
    """

    level: Level
    title: str
    detect: Callable[[Look], Detection]
    how: str
    action: str
    said: str = ""


READ, REPORT, STOPS = "read as meant", "reported", "stops the run until declared"
EXCLUDE, FLAG = "kept; rule to exclude offered", "kept; rule to flag offered"

DEFECTS: dict[int, Defect] = {
    1: Defect("file", "Encoding", file_defects.encoding,
        "the bytes of the file; letters such as Ã© in headings, wordings and answers that are not own words",
        READ, "notes of the export"),
    2: Defect("file", "Delimiter and decimal comma", file_defects.separators,
        "which separator cuts most rows into as many cells as the header; digits before and after a comma",
        READ, "notes of the export"),
    3: Defect("file", "Several rows of headings", file_defects.header_rows,
        "import ids, wordings or answer options below the first row",
        READ, "notes of the export"),
    4: Defect("file", "Dates as serial numbers", file_defects.serial_dates,
        "numbers from 20000 to 79999 in a date, or in most cells of a column called one",
        REPORT),
    5: Defect("file", "Doubled, blank or untidy headings", file_defects.names,
        "names that occur again, are empty, Unnamed, longer than 64 characters, or hold markup",
        "named apart, reported", "decode()"),
    6: Defect("file", "Wording as column name", file_defects.wording_as_name,
        "headings of more than three words or ending like a question; wordings against the previous wave",
        REPORT, "compare_schemas()"),
    7: Defect("file", "Columns changed between waves", file_defects.columns_changed,
        "headings and wordings against the codebook and the previous wave",
        REPORT, "compare_schemas()"),
    8: Defect("file", "Empty columns", file_defects.empty_columns,
        "no cell holds anything",
        REPORT, "decode(), finding all_missing"),
    9: Defect("file", "Codes and words mixed", file_defects.codes_and_words,
        "both codes and labels of the codebook in one column; labels that are numbers count for neither",
        READ),
    10: Defect("file", "Answers in several languages", file_defects.languages,
        "words of answer scales of agreement in more than one known language",
        REPORT, "compare_schemas()"),
    11: Defect("row", "Previews, tests, imports, spam", row_defects.not_meant,
        "Status and DistributionChannel of the platform",
        EXCLUDE, "flow table"),
    12: Defect("row", "No consent or not eligible", row_defects.not_eligible,
        "a question with at most four answers on consent or eligibility, answered with no",
        EXCLUDE, "flow table"),
    13: Defect("row", "Unfinished", row_defects.unfinished,
        "Finished, submitdate, _complete; else nothing answered after some item",
        EXCLUDE, "flow table, missing_patterns()"),
    14: Defect("row", "Duplicates", row_defects.duplicates,
        "the same identifier again, unless most rows share it; the same answers to everything, of 10 items or more",
        EXCLUDE, "flow table, quality_card()"),
    15: Defect("row", "Outside the field period", row_defects.outside_period,
        "the date of recording against the days given",
        FLAG, "flow table"),
    16: Defect("row", "Too fast, or left open", row_defects.speed,
        "less than 2 seconds for each item answered (Huang et al., 2012); more than 24 hours is said as well",
        FLAG, "quality_card()"),
    17: Defect("row", "Robots and fraud", row_defects.bots,
        "reCAPTCHA below 0.5, RelevantID 75 or 30 and above (the platform's cut-offs), a honeypot that is filled in",
        FLAG, "flow table"),
    18: Defect("row", "Failed attention checks", row_defects.checks,
        "the quality card, if it was told which variable is a check",
        FLAG, "quality_card()"),
    19: Defect("row", "Careless answering", row_defects.careless,
        "the rule of the quality card: two signs of different kinds, or one that is enough",
        FLAG, "quality_card()"),
    20: Defect("row", "Not in the head counts", row_defects.not_in_frame,
        "names of departments against the head counts",
        REPORT, "response_table()"),
    21: Defect("row", "Identifiers typed for a test", row_defects.trial_ids,
        "identifiers such as test, dummy, asdf, 0000",
        REPORT),
    22: Defect("cell", "Codes for no answer", cell_defects.undeclared_missing,
        "-99, 999 and the like beside other answers, and words such as N/A or prefer not to say, if not declared",
        "stops the run; reported where any number may stand", "decode()"),
    23: Defect("cell", "Not shown taken for skipped", joint_defects.not_shown,
        "blank for four in five of one answer to an earlier question, and for at most three in ten of the others",
        REPORT, "missing_patterns()"),
    24: Defect("cell", "Spellings of one answer", cell_defects.spellings,
        "words that are a label only after case, spaces, dashes and final dots are folded",
        READ, "compare_schemas()"),
    25: Defect("cell", "Outside the answers, other coding", cell_defects.out_of_range,
        "codes the codebook does not know; all codes one step beside; neighbors of one question with other answers",
        STOPS, "decode(), compare_schemas()"),
    26: Defect("cell", "Reversed items", cell_defects.reversed_items,
        "correlation with the rest of the scale below 0 with its whole interval of 95 %",
        REPORT, "reliability()"),
    27: Defect("cell", "Several answers that exclude each other", cell_defects.several_answers,
        "an answer called none, and one called other whose text is empty; the delimiter in a label",
        FLAG),
    28: Defect("cell", "Numbers as text", cell_defects.numbers_as_text,
        "digits with a unit, a sign, a range or separators of thousands in a number",
        STOPS, "decode()"),
    29: Defect("cell", "Identifiers turned into numbers", cell_defects.spoiled_ids,
        "123.0 or 1e5 in an identifier; the previous wave has it with zeros before",
        "kept as text, reported"),
    30: Defect("cell", '"None", "NA" and "null" as answers', cell_defects.literal_answers,
        "the cell as it stands in the file",
        "kept as text"),
    31: Defect("cell", "Dates and ages that contradict", joint_defects.contradictions,
        "an end before its start; years of service above age less 14",
        FLAG, "flow table"),
    32: Defect("cell", "Impossible branches", joint_defects.impossible_branches,
        "answered, where four in five or more of the same branch did not and most others did",
        "kept; rule to set missing offered", "flow table"),
    33: Defect("cell", "Personal data in own words", joint_defects.personal_data,
        "patterns of e-mail, telephone, account and staff numbers; names cannot be found for certain",
        "columns dropped, words masked", "data-protection sheet, verbatims()"),
    34: Defect("cell", "Order columns and loops", joint_defects.platform_columns,
        "headings with _DO, FL_, order, seed; headings with a number before a question",
        REPORT, "decode(), unused columns"),
    35: Defect("cell", "Departments spelled in many ways, or tiny", joint_defects.units,
        "words that are a label only when folded, words not in the codebook, fewer than 5 respondents",
        "spellings read, tiny ones hidden", "decode(), every table by department"),
    36: Defect("cell", "Weights missing, zero or extreme", joint_defects.weights,
        "a weight that is empty, not above 0, or more than 5 times the mean",
        REPORT, "weighted_means()"),
    37: Defect("cell", "Logs joined many to one", joint_defects.joined_twice,
        "rows of one identifier with the same answers to all items, but not in other columns",
        REPORT),
    38: Defect("cell", "Items without variance, doubled; unused answers", joint_defects.idle_items,
        "one value in all rows; the values of another item in every row; an answer of the codebook that nobody gave",
        REPORT, "reliability(), distribution()"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class DefectReport(Result):
    """What was looked for in an export, and what was found: one row per defect.

    Attributes
    ----------
    rows : DataFrame
        Ungated, as `tidy()` gives them.
    n_rows : int
        Rows of the export.
    beside_flow : bool
        Whether a flow of respondents is shown as well: then how many rows a defect of rows concerns is left to it,
        since the difference of two counts could tell about few people.
    """

    rows: pd.DataFrame = field(repr=False)
    n_rows: int
    beside_flow: bool = False

    def tidy(self) -> pd.DataFrame:
        """One row per defect: defect, level, verdict, action, n rows concerned, reason, repair, hidden."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The table without counts of few rows, or of all but a few."""
        rows, least = self.rows.copy(), self.privacy.min_n
        few = (rows["n"] > 0) & ((rows["n"] < least) | (self.n_rows - rows["n"]).between(1, least - 1))
        rows["hidden"] |= few | ((rows["n"] > 0) & (self.n_rows < least))
        if self.beside_flow:
            rows["n"] = rows["n"].mask(rows["level"] == "row")
        return rows.assign(n=rows["n"].mask(rows["hidden"]))

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """All rows; the column that says what is hidden only if anything is."""
        return shown if shown["hidden"].any() else shown.drop(columns="hidden")

    def glance(self) -> dict[str, int | float | str]:
        """Rows of the export, and how many defects were found, not found and not to be told."""
        counts = self.rows["verdict"].value_counts()
        verdict = ", ".join(f"{counts.get(word, 0)} {word}" for word in ("found", "not found", "cannot tell"))
        return {"verdict": verdict} if self.beside_flow else {"n": self.n_rows, "verdict": verdict}

    def found(self) -> pd.DataFrame:
        """The rows of `shown()` whose defect is there."""
        return self.shown()[lambda rows: rows["verdict"] == "found"]


def find_defects(
    export: Export,
    codebook: Codebook,
    *,
    survey: Survey | None = None,
    card: QualityCard | None = None,
    previous: Export | None = None,
    frame: pd.DataFrame | None = None,
    period: tuple[str, str] | None = None,
    rules: Sequence[Rule] = (),
    privacy: Privacy | None = None,
) -> DefectReport:
    """Look for everything that is often wrong with a survey export.

    Parameters
    ----------
    export : Export
        As `read_export` gives it.
    codebook : Codebook
        What its columns mean.
    survey : Survey, optional
        The same rows decoded. Without it what can be read is read, and the rest is reported.
    card : QualityCard, optional
        Signs of careless answering of these rows, or of those left after cleaning; without it they are not looked
        for.
    previous : Export, optional
        The previous wave.
    frame : DataFrame, optional
        Head counts, with the column unit.
    period : pair of str, optional
        First and last day of the field period, as 2026-03-31.
    rules : sequence of Rule
        Cleaning rules of the study: where one looks at a column already, none is offered, and the numbers of rows are
        left to the flow of respondents.
    privacy : Privacy, optional
        Counts of fewer than `min_n` rows are hidden.

    Returns
    -------
    DefectReport
        One row for each of the 38 defects, those not found and those that could not be looked for included. Nothing is
        changed; `repair` is a line for codebook.yml or study.yml, or a decision.

    Raises
    ------
    DataError
        If the survey is not of all rows of the export, the card of others, or the period is none.

    Examples
    --------
    >>> cells = pd.DataFrame({"id": ["1", "2", "2"], "Q1": ["3", "9", ""]}, dtype="str")
    >>> codebook = Codebook.model_validate({"title": "t", "variables": [{"name": "id", "kind": "id"},
    ...     {"name": "use", "column": "Q1", "kind": "number", "constraints": {"maximum": 5}}]})
    >>> report = find_defects(Export(cells=cells, source="x.csv", form="table"), codebook).tidy()
    >>> report.loc[report["verdict"] == "found", "defect"].tolist()
    ['14 Duplicates', '25 Outside the answers, other coding']
    """
    privacy = privacy or (survey.privacy if survey is not None else Privacy())
    _refuse_other_rows(export, survey, card)
    look = Look(export=export, codebook=codebook, given=survey, card=card, previous=previous, frame=frame,
                period=_days(period), rules=rules, privacy=privacy)  # fmt: skip
    rows = pd.DataFrame([_row(number, defect, defect.detect(look)) for number, defect in DEFECTS.items()])
    return DefectReport(
        title=f"Defects looked for in {export.source}",
        note="n = rows concerned, empty where columns or the whole file are. Nothing is changed: a rule of the study "
        f"decides. Counts of fewer than {privacy.min_n} rows are hidden.",
        findings=_findings(rows),
        privacy=privacy,
        rows=rows.astype({"n": float}),
        n_rows=len(export.cells),
        beside_flow=bool(rules),
    )


def _row(number: int, defect: Defect, detection: Detection) -> dict[str, object]:
    return {
        "defect": f"{number} {defect.title}",
        "level": defect.level,
        "verdict": detection.verdict,
        "action": defect.action,
        "n": detection.n,
        "reason": detection.reason,
        "repair": detection.repair,
        "hidden": detection.hidden,
    }


def _findings(rows: pd.DataFrame) -> tuple[Finding, ...]:
    found = rows[(rows["verdict"] == "found") & (rows["action"] != READ)]
    if found.empty:
        return ()
    text = f"{plural(len(found), 'defect')} to look at: {', '.join(found['defect'])}."
    return (Finding(name="defects_found", text=text, severity="warning"),)


def _refuse_other_rows(export: Export, survey: Survey | None, card: QualityCard | None) -> None:
    known = pd.RangeIndex(len(export.cells))
    if survey is not None and not survey.answers.index.equals(known):
        raise DataError(
            f"The survey has {len(survey.answers)} rows and the export {len(known)}. Decode the same export, uncleaned."
        )
    if card is not None and not card.flags.frame.index.isin(known).all():
        raise DataError("The quality card is about rows the export does not have. Make both from the same export.")


def _days(period: tuple[str, str] | None) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    if period is None:
        return None
    try:
        first, last = (pd.Timestamp(day).tz_localize(None).normalize() for day in period)
    except (TypeError, ValueError):
        raise DataError(
            'The field period is not two days. Write for instance period=("2026-03-01", "2026-03-31").'
        ) from None
    if not first <= last:
        raise DataError("The field period ends before it begins. Give the first day first.")
    return first, last
