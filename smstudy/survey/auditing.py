"""What was hidden in a run, and why: one list without numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.disclosure import DIFFERENCE, why_hidden

Record = Mapping[str, object]
COLUMNS = ["result", "group", "term", "reason"]
PLACES = {"group": "group", "segment": "group", "rule": "term", "term": "term", "other_term": "term", "scale": "term"}
ABOUT_PLACES = {
    DIFFERENCE: "Compared with an earlier release of the same wave or with another split, few people would be left.",
    "rules_hidden": "The rule hit few respondents, or is needed so that such a count does not follow.",
    "comments_hidden": "Too little remained after masking, or something personal was still in it.",
    "categories_hidden": "Single respondents could be recognized.",
    "levels_pooled": "Groups with few respondents were put together in the model.",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Audit(Result):
    """What was hidden in the results of a run.

    Attributes
    ----------
    rows : DataFrame
        result, group, term and reason; no number stands in it.
    """

    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per place where something was hidden."""
        return self.rows.copy()

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns in which nothing stands."""
        return shown[[name for name in shown if name in ("result", "reason") or (shown[name] != "").any()]]


def audit(records: Mapping[str, Record], *, privacy: Privacy) -> Audit:
    """List what the results of a run hide, and why.

    Parameters
    ----------
    records : mapping
        Name of a stored result to its record (`Result.to_record()`).
    privacy : Privacy
        The policy of the run.

    Returns
    -------
    Audit
        One row per hidden group, rule or term. All places of one result have the same reasons: a small group, one in
        which all agree and one hidden beside it are not told apart, because that would narrow the guess.

    Examples
    --------
    >>> rows = [{"term": "use", "group": "IT", "n": None, "hidden": True}]
    >>> records = {"30-groups/scores": {"title": "Scores", "tidy": rows, "findings": []}}
    >>> audit(records, privacy=Privacy()).tidy()[["result", "group"]].to_dict("records")
    [{'result': 'Scores', 'group': 'IT'}]
    """
    entries = [entry for record in records.values() for entry in _entries(record, privacy.min_n)]
    rows = pd.DataFrame(entries, columns=COLUMNS).drop_duplicates(ignore_index=True)
    nothing = Finding(name="nothing_hidden", text="Nothing was hidden in this run.", severity="info")
    return Audit(
        title="What is hidden, and why",
        note="Hidden places of one result are not told apart by reason: that would narrow the guess.",
        findings=() if len(rows) else (nothing,),
        privacy=privacy,
        rows=rows,
    )


def _entries(record: Record, min_n: int) -> Iterable[dict[str, str]]:
    names = {finding["name"] for finding in record["findings"]}
    told = [words for name, words in ABOUT_PLACES.items() if name in names]
    hidden = [row for row in record["tidy"] if row.get("hidden") is True]
    few = [f"{why_hidden(min_n).capitalize()}."] if "groups_hidden" in names or not told else []
    reason = " ".join([*few, *told])
    about = _places(hidden, record["tidy"]) or [{"group": "", "term": ""}] * bool(told)
    words = record.get("labels", {})
    for place in about:
        yield {"result": str(record["title"]), "reason": reason} | {
            k: words.get(name, name) for k, name in place.items()
        }


def _places(hidden: Iterable[Record], rows: Iterable[Record]) -> list[dict[str, str]]:
    """Where something is hidden; a group hidden in all its rows is named once, without the scores."""
    shown = {_name(row, "group") for row in rows if row.get("hidden") is not True}
    places = []
    for row in hidden:
        group, term = _name(row, "group"), _name(row, "term")
        places.append({"group": group, "term": "" if group and group not in shown else term})
    return places


def _name(row: Record, kind: str) -> str:
    """The first text of a row that names its group, or what it is about."""
    return next((str(row[name]) for name, column in PLACES.items() if column == kind and row.get(name)), "")
