"""What a detector of defects may look at, and what it answers: found, not found, cannot tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from smstudy.display.prose import join_words, slug
from smstudy.privacy import Privacy
from smstudy.survey.codebook import Codebook, Kind, Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.decoding import UNKNOWN, decode, doubled_headers
from smstudy.survey.exports import Export
from smstudy.survey.formats.columns import words_and_codes
from smstudy.survey.formats.identifiers import plain_name
from smstudy.survey.quality import QualityCard
from smstudy.survey.rules import Rule
from smstudy.survey.schema import SchemaDiff, compare_schemas

MOST_NAMED = 6
LONGEST_NAMED = 60
Verdict = Literal["found", "not found", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What became of looking for one defect.

    Attributes
    ----------
    verdict : {"found", "not found", "cannot tell"}
        Whether it is there.
    n : int or None
        Rows concerned; None for a defect of columns or of the file.
    reason : str
        What was seen, without any answer of a respondent.
    repair : str
        What to do: a line to write, or what to decide.
    hidden : bool
        Whether the count must not be shown although it is not small.
    """

    verdict: Verdict
    n: int | None = None
    reason: str = ""
    repair: str = ""
    hidden: bool = False


def cannot_tell(lack: str, repair: str = "") -> Detection:
    """Say that a defect could not be looked for, and for want of what."""
    return Detection(verdict="cannot tell", reason=lack, repair=repair)


def of_rows(hit: np.ndarray, reason: str, repair: str, *, clear: str) -> Detection:
    """Say how many rows are concerned; `clear` is said if none is."""
    n = int(np.count_nonzero(hit))
    if not n:
        return Detection(verdict="not found", n=0, reason=clear)
    return Detection(verdict="found", n=n, reason=reason, repair=repair)


def of_file(reasons: Sequence[str], repair: str, *, clear: str) -> Detection:
    """Say what concerns columns or the whole file; `clear` is said if nothing does."""
    if not reasons:
        return Detection(verdict="not found", reason=clear)
    return Detection(verdict="found", reason=" ".join(reasons), repair=repair)


def named(names: Sequence[str]) -> str:
    """Name columns in words, not more than a few of them, and not more of each than tells them apart.

    >>> named(["Q1", "Q2"])
    '"Q1" and "Q2"'
    """
    names = [n if len(n) <= LONGEST_NAMED else f"{n[:LONGEST_NAMED]}…" for n in dict.fromkeys(names)]
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return join_words([f'"{name}"' for name in names[:MOST_NAMED]] + more)


@dataclass(frozen=True, kw_only=True)
class Look:
    """All that a detector may look at; every part but export and codebook may be lacking.

    Attributes
    ----------
    export, codebook
        The raw export, and what its columns mean.
    given : Survey or None
        The export as decoded, all rows of it.
    card : QualityCard or None
        Signs of careless answering, of the same rows or of some of them.
    previous : Export or None
        The previous wave.
    frame : DataFrame or None
        Head counts with the column unit.
    period : pair of Timestamp or None
        First and last day of the field period.
    rules : sequence of Rule
        The cleaning rules of the study.
    privacy : Privacy
        Answers of fewer than `min_n` respondents are never quoted.
    """

    export: Export
    codebook: Codebook
    given: Survey | None = None
    card: QualityCard | None = None
    previous: Export | None = None
    frame: pd.DataFrame | None = None
    period: tuple[pd.Timestamp, pd.Timestamp] | None = None
    rules: Sequence[Rule] = ()
    privacy: Privacy = field(default_factory=Privacy)
    _words: dict[str, tuple[list[str], np.ndarray]] = field(default_factory=dict, repr=False)
    _repeats: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        """Rows of the export."""
        return len(self.export.cells)

    @property
    def headers(self) -> list[str]:
        """Every column of the export."""
        return list(self.export.cells.columns)

    @cached_property
    def columns(self) -> dict[str, str]:
        """Variable to its column, for the variables whose column is there once."""
        twice = doubled_headers(self.export)
        found = {v.name: v.column_in(self.export.cells.columns) for v in self.codebook.variables}
        return {name: header for name, header in found.items() if header and header not in twice}

    @cached_property
    def variable_at(self) -> Mapping[str, Variable]:
        """Column to its variable."""
        return {header: self.codebook.variable(name) for name, header in self.columns.items()}

    def of_kind(self, *kinds: Kind) -> Iterator[tuple[Variable, str]]:
        """Variables of some kinds that are in the export, each with its column."""
        for variable in self.codebook.of_kind(*kinds):
            if variable.name in self.columns:
                yield variable, self.columns[variable.name]

    @cached_property
    def survey(self) -> Survey:
        """The answers: those given, else those that can be read, with what the codebook does not know as missing."""
        if self.given is not None:
            return self.given
        known = tuple(v for v in self.codebook.variables if v.name in self.columns)
        if not known:
            missing = pd.DataFrame(columns=["row", "variable", "reason"])
            return Survey(answers=self.export.cells.iloc[:, :0], codebook=self.codebook, missing=missing)
        lenient = tuple(
            v.model_copy(update={"unknown_codes": "missing"}) if v.unknown_codes == "error" else v for v in known
        )
        names = {v.name for v in known}
        scales = tuple(scale for scale in self.codebook.scales if names.issuperset(scale.items))
        return decode(self.export, self.codebook.model_copy(update={"variables": lenient, "scales": scales}))

    @cached_property
    def diff(self) -> SchemaDiff:
        """What differs from the codebook and the previous wave."""
        return compare_schemas(self.export, self.codebook, previous=self.previous, privacy=self.privacy)

    def differing(self, *statuses: str) -> list[str]:
        """Terms that differ in one of these ways."""
        rows = self.diff.rows
        return list(dict.fromkeys(rows.loc[rows["status"].isin(statuses), "term"]))

    def words(self, header: str) -> tuple[list[str], np.ndarray]:
        """The different cells of a column without spaces around, and the place of each row's among them."""
        if header not in self._words:
            words, places = words_and_codes(self.export.cells[header])
            self._words[header] = [word.strip() for word in words], places
        return self._words[header]

    def filled(self, header: str) -> np.ndarray:
        """Rows with anything in the column, shape (n,)."""
        column = self.export.cells[header]
        if isinstance(column.dtype, pd.CategoricalDtype):
            return self.rows_where(header, bool)
        return pc.not_equal(pc.utf8_trim_whitespace(pa.array(column)), "").to_numpy(zero_copy_only=False)

    def repeats(self, header: str) -> np.ndarray:
        """Rows whose cell is filled and stands in an earlier row as well, shape (n,)."""
        if header not in self._repeats:
            self._repeats[header] = self.export.cells[header].duplicated().to_numpy() & self.filled(header)
        return self._repeats[header]

    def rows_where(self, header: str, claim: Callable[[str], object]) -> np.ndarray:
        """Rows whose cell meets a claim, tried once for each different cell; shape (n,)."""
        words, places = self.words(header)
        met = np.fromiter((bool(claim(word)) for word in words), bool, len(words))
        return met[places] if met.any() else np.zeros(self.n, bool)

    def rows_matching(self, header: str, pattern: str) -> np.ndarray:
        """Rows in which a pattern (RE2) occurs; shape (n,)."""
        column = self.export.cells[header]
        if isinstance(column.dtype, pd.CategoricalDtype):
            return self.rows_where(header, re.compile(pattern).search)
        return pc.match_substring_regex(pa.array(column), pattern).to_numpy(zero_copy_only=False)

    def moments(self, name: str) -> pd.Series:
        """Times of a variable as they stand on the clock there, without a zone."""
        times = self.survey.answers[name]
        if not pd.api.types.is_datetime64_any_dtype(times):
            times = pd.to_datetime(times, errors="coerce", utc=True)
        return times.dt.tz_localize(None) if times.dt.tz is not None else times

    def flagged(self, index: str) -> np.ndarray:
        """Rows that an index of the quality card flags, shape (n,); rows the card leaves out are not."""
        flags, hit = self.card.flags.frame[index], np.zeros(self.n, bool)
        hit[flags.index.to_numpy()] = flags.to_numpy()
        return hit

    def unknown_rows(self, variable: Variable) -> np.ndarray:
        """Rows whose cell the codebook cannot explain, shape (n,)."""
        missing, hit = self.survey.missing, np.zeros(self.n, bool)
        told = (missing["variable"] == variable.name) & (missing["reason"] == UNKNOWN)
        hit[self.survey.answers.index.get_indexer(missing.loc[told, "row"])] = True
        return hit

    def called(self, *names: str) -> list[str]:
        """Columns with one of these names, whatever the case and the punctuation; their variable's name counts too."""
        wanted = set(names)
        known = {header: variable.name for header, variable in self.variable_at.items()}
        return [h for h in self.headers if {plain_name(h), plain_name(known.get(h, h))} & wanted]

    def about(self, pattern: str, *kinds: Kind) -> list[str]:
        """Columns whose name or wording matches; of variables of these kinds, if any are named."""
        search = re.compile(pattern, re.IGNORECASE).search
        found = []
        for header in self.headers:
            variable = self.variable_at.get(header)
            texts = [header, self.export.labels.get(header, ""), *((variable.name, variable.title) if variable else ())]
            if any(search(text) for text in texts) and (not kinds or (variable and variable.kind in kinds)):
                found.append(header)
        return found

    def rule(self, header: str, *, kind: Kind = "category", **parts: object) -> str:
        """A cleaning rule on a column, ready for study.yml; the name of the rule that acts on it, if one does."""
        variable = self.variable_at.get(header)
        name = variable.name if variable else slug(header).replace("-", "_")
        acting = [rule.id for rule in self.rules if name in rule.reads]
        if acting:
            return f"Cleaning rule {named(acting)} looks at it."
        declare = f"In codebook.yml under variables: - {{name: {name}, column: {json.dumps(header)}, kind: {kind}}}. "
        return (declare if variable is None else "") + write_rule(column=name, **parts)


def write_rule(**parts: object) -> str:
    """Write a cleaning rule as a line of study.yml.

    >>> write_rule(id="fast", op="less", value=2)
    'In study.yml under rules: - {id: "fast", op: "less", value: 2}'
    """
    line = ", ".join(f"{key}: {_flow(value)}" for key, value in parts.items())
    return f"In study.yml under rules: - {{{line}}}"


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
