"""The answer in one paragraph, made from verdicts and never from anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from smstudy.display.apa import change, share
from smstudy.display.prose import join_words, lower_first, plural
from smstudy.result import Result
from smstudy.study.definition import Study
from smstudy.study.hypotheses import NOT_SUPPORTED, NOT_TESTED, SUPPORTED, TOO_LITTLE, Record, Verdicts

OPENINGS = {
    SUPPORTED: "The data support this",
    NOT_SUPPORTED: "The data do not support this",
    TOO_LITTLE: "There is too little data to decide this",
    NOT_TESTED: "This was not tested",
}
UNKNOWN = ("cannot tell", "not tested")


@dataclass(frozen=True, kw_only=True, repr=False)
class Answer(Result):
    """One row per sentence of the answer."""

    sentences: tuple[tuple[str, str], ...]

    def tidy(self) -> pd.DataFrame:
        return pd.DataFrame(self.sentences, columns=["term", "statement"])


def answer(study: Study, wave: str, previous_wave: str, records: Mapping[str, Record], verdicts: Verdicts) -> Answer:
    """Put the answer of a study into a few sentences.

    Parameters
    ----------
    study : Study
        The study that was asked.
    wave, previous_wave : str
        Names of the waves.
    records : mapping
        `notebook/result` to the stored record.
    verdicts : Verdicts
        What the hypotheses come to.
    """
    sentences = [
        *_who_answered(records),
        *_decided(verdicts),
        *_changed(records, wave, previous_wave),
        *_segments(records),
    ]
    return Answer(
        title=study.question, note="Each sentence follows from a verdict in this report.", sentences=tuple(sentences)
    )


def _who_answered(records: Mapping[str, Record]) -> list[tuple[str, str]]:
    glance = next((r["glance"] for r in records.values() if r["kind"] == "Response"), {})
    if glance.get("n") and glance.get("response"):
        return [
            ("response", f"{plural(glance['n'], 'person', 'people')} answered, {share(glance['response'])} of all.")
        ]
    flow = next((r for r in records.values() if r["kind"] == "Cleaning"), None)
    n = flow["glance"].get("n") if flow else None
    return (
        [("respondents", f"{plural(n, 'person', 'people')} answered; how many were asked is not known.")] if n else []
    )


def _decided(verdicts: Verdicts) -> list[tuple[str, str]]:
    rows = verdicts.tidy()
    sentences = []
    for verdict, opening in OPENINGS.items():
        statements = [statement.rstrip(".") for statement in rows.loc[rows["verdict"] == verdict, "statement"]]
        if statements:
            sentences.append((verdict, f"{opening}: {'; '.join(map(lower_first, statements))}."))
    return sentences


def _changed(records: Mapping[str, Record], wave: str, previous_wave: str) -> list[tuple[str, str]]:
    record = next((r for name, r in records.items() if name.endswith("/changes")), None)
    if record is None or not previous_wave:
        return []
    rows = [row for row in record["tidy"] if row.get("difference") is not None]
    if not rows:
        return [("change", f"Since wave {previous_wave}, nothing can be said about change.")]
    moved = [row for row in rows if row["verdict"] == "changed"]
    names = [f"{record['labels'].get(row['term'], row['term'])} ({change(row['difference'])} points)" for row in moved]
    start = f"Since wave {previous_wave}, "
    rest = plural(len(rows) - len(moved), "other score") if moved else plural(len(rows), "score")
    first = f"{join_words(names)} changed" if moved else ""
    doubted = [record["labels"].get(row["term"], row["term"]) for row in moved if row.get("means") in UNKNOWN]
    doubt = f" Whether the questions on {join_words(doubted)} mean the same in both waves is not known."
    tail = f"for {rest} we cannot tell whether anything changed" if len(rows) > len(moved) else ""
    told = start + join_words([part for part in (first, tail) if part], "and") + "."
    return [("change", told + (doubt if doubted else ""))]


def _segments(records: Mapping[str, Record]) -> list[tuple[str, str]]:
    verdict = next((r["glance"].get("verdict") for r in records.values() if r["kind"] == "GroupChoice"), None)
    return [("segments", f"Of kinds of respondents, the data show {verdict}.")] if verdict else []
