"""From results to verdicts: supported, not supported, too little data, not tested."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from smstudy.display.apa import change, interval, number
from smstudy.result import Result
from smstudy.study.definition import Hypothesis

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
TOO_LITTLE, NOT_TESTED = "too little data", "not tested"
GROUP_VERDICTS = {"no stable groups": NOT_SUPPORTED, "too little data": TOO_LITTLE}
LEVEL = 0.05
NOT_COMPARABLE = "not allowed"
CONTRADICTS = "contradicts itself"
Record = Mapping[str, object]


@dataclass(frozen=True, kw_only=True, repr=False)
class Verdicts(Result):
    """One row per hypothesis: its statement, the verdict and the reason."""

    rows: pd.DataFrame

    def tidy(self) -> pd.DataFrame:
        return self.rows.copy()

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        return shown[["term", "statement", "verdict", "reason"]]


def decide(hypotheses: Sequence[Hypothesis], records: Mapping[str, Record]) -> Verdicts:
    """Turn results into verdicts.

    Parameters
    ----------
    hypotheses : sequence of Hypothesis
        As `study.yml` states them.
    records : mapping
        `notebook/result` to the stored record of that result.

    Returns
    -------
    Verdicts
        *Supported*: the whole interval lies on the expected side of zero and the estimate reaches the smallest effect
        of interest. *Not supported*: the whole interval lies below the smallest effect of interest. *Too little data*:
        the interval allows both, or the result itself says so. *Not tested*: the number is not there, was refused,
        is not the only one of its name, is a change of means that cannot be compared, or is about a scale whose
        questions are answered against each other.
    """
    doubtful = {
        row["term"]
        for record in records.values()
        for row in record["tidy"]
        if record.get("kind") == "ReliabilityTable" and row.get("verdict") == CONTRADICTS
    }
    rows = [_decide(hypothesis, records.get(hypothesis.result), doubtful) for hypothesis in hypotheses]
    columns = ["term", "statement", "verdict", "reason", "estimate", "conf_low", "conf_high", "threshold"]
    return Verdicts(
        title="What the hypotheses come to",
        note="Rules and smallest effects of interest are fixed in study.yml.",
        rows=pd.DataFrame(rows, columns=columns),
    )


def _decide(hypothesis: Hypothesis, record: Record | None, doubtful: Collection[str]) -> dict[str, object]:
    row = {"term": hypothesis.id, "statement": hypothesis.statement, "threshold": hypothesis.smallest}
    if hypothesis.term in doubtful:
        return row | _untested("the questions of this scale are answered against each other")
    return row | (RULES[hypothesis.rule](hypothesis, record) if record else _untested("the analysis is not there"))


def _by_groups(hypothesis: Hypothesis, record: Record) -> dict[str, object]:
    verdict = str(record["glance"].get("verdict", ""))
    if not verdict:
        return _untested("the analysis gives no verdict on groups")
    return {"verdict": GROUP_VERDICTS.get(verdict, SUPPORTED), "reason": verdict}


def _by_interval(hypothesis: Hypothesis, record: Record) -> dict[str, object]:
    rows = [row for row in record["tidy"] if row.get("term") == hypothesis.term]
    if len(rows) != 1:
        return _untested(f'the result has {"several rows" if rows else "no row"} "{hypothesis.term}"')
    name = "difference" if "difference" in rows[0] else "estimate"
    numbers = [rows[0].get(key) for key in (name, "conf_low", "conf_high")]
    if any(pd.isna(value) for value in numbers):
        return _untested("the number was hidden or refused")
    if rows[0].get("means") == NOT_COMPARABLE:
        return _untested("the questions do not mean the same in both waves, so the means cannot be compared")
    estimate, low, high = numbers
    little = any(finding["name"] == TOO_LITTLE.replace(" ", "_") for finding in record["findings"])
    verdict = TOO_LITTLE if little else _verdict(hypothesis, estimate, low, high)
    uncertain = _fails_correction(rows[0])
    if verdict == SUPPORTED and uncertain:
        verdict = TOO_LITTLE
    level = f"{record['glance'].get('conf_level', 0.95):.0%}"
    least = f"smallest effect of interest {number(hypothesis.smallest)}"
    corrected = "; not certain once corrected for all comparisons of its table" if uncertain else ""
    reason = f"{change(estimate)}, {level} interval {interval(low, high)}; {least}{corrected}"
    return {"verdict": verdict, "reason": reason, "estimate": estimate, "conf_low": low, "conf_high": high}


def _fails_correction(row: Mapping[str, object]) -> bool:
    """Say whether the table the number stands in corrects for its comparisons, and the number does not survive it."""
    p_adjusted = row.get("p_adjusted")
    return p_adjusted is not None and not pd.isna(p_adjusted) and p_adjusted >= LEVEL


def _verdict(hypothesis: Hypothesis, estimate: float, low: float, high: float) -> str:
    if hypothesis.direction == "changed":
        beyond_zero, reached = low > 0 or high < 0, abs(estimate) >= hypothesis.smallest
        ruled_out = max(abs(low), abs(high)) < hypothesis.smallest
    else:
        sign = 1 if hypothesis.direction == "positive" else -1
        estimate, low, high = sign * estimate, min(sign * low, sign * high), max(sign * low, sign * high)
        beyond_zero, reached, ruled_out = low > 0, estimate >= hypothesis.smallest, high < hypothesis.smallest
    return SUPPORTED if beyond_zero and reached else NOT_SUPPORTED if ruled_out else TOO_LITTLE


def _untested(reason: str) -> dict[str, object]:
    return {"verdict": NOT_TESTED, "reason": reason}


RULES = {"interval": _by_interval, "groups": _by_groups}
