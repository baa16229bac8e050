"""How far scores of the same people come out the same in two waves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display import figures, rules
from smstudy.errors import DataError, EstimationError, did_you_mean
from smstudy.inference.intraclass import Repeated, repeated_correlation
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.scales.batteries import check_level
from smstudy.scales.scoring import scales_of, score
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of

LEAST_LINKED = 10
NUMBERS = (
    "icc_agreement", "icc_agreement_low", "icc_agreement_high", "icc_consistency", "icc_consistency_low",
    "icc_consistency_high", "difference", "measurement_error", "detectable_change",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class Retest(Result):
    """Test-retest reliability, one row per scale."""

    conf_level: float
    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(
        partial(
            figures.estimates,
            value="icc_agreement",
            ends=("icc_agreement_low", "icc_agreement_high"),
            xlabel="ICC(A,1), with interval",
        )
    )

    def tidy(self) -> pd.DataFrame:
        """One row per scale, from respondents who are in both waves."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Level of the intervals and of the detectable change."""
        return {"conf_level": self.conf_level}


def retest(
    data: Data, previous: Data, scales: Sequence[str] | None = None, *, person: str, conf_level: float = 0.95
) -> Retest:
    """Estimate how far scores of the same people agree in two waves.

    Parameters
    ----------
    data, previous : Survey or DataFrame
        This wave and the one before; scores are made from items, frames hold scores already.
    scales : sequence of str, optional
        Scales, or columns of a frame; if left out all of the codebook, or all columns of numbers in both frames.
    person : str
        Variable that is the same for a person in both waves. A code used twice in a wave links nobody.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    Retest
        ICC(A,1), in which a shift of everybody counts as disagreement, and ICC(C,1), in which it does not; the standard
        error of measurement, and the smallest change of one person that is more than this error, in scale points.

    Raises
    ------
    DataError
        If there is no such column, or fewer than 10 respondents are in both waves.

    References
    ----------
    McGraw & Wong (1996), Psychological Methods 1, 30-46; de Vet et al. (2006), J. Clinical Epidemiology 59, 1033-1039.
    Agrees with R psych::ICC (tests/reference/aggregation.R).
    """
    check_level(conf_level)
    names = _names(data, previous, scales, person)
    after, before = _scores(data, names, person), _scores(previous, names, person)
    joined = before.add_suffix(" before").join(after.add_suffix(" after"), how="inner")
    least = max(LEAST_LINKED, privacy_of(data).min_n, privacy_of(previous).min_n)
    if len(joined) < least:
        raise DataError(
            f'Fewer than {least} respondents are in both waves by "{person}", so nothing can be said about retest '
            "reliability. Check that the codes are the same in both files."
        )
    judged = [_judge(name, joined, before, after, least, conf_level, labels_of(data).get(name, name)) for name in names]
    return Retest(
        title="Test-retest reliability",
        note=_note(conf_level),
        findings=tuple(finding for _, findings in judged for finding in findings),
        labels=labels_of(data),
        privacy=_stricter(data, previous),
        conf_level=conf_level,
        rows=pd.DataFrame([row for row, _ in judged]),
    )


def _stricter(data: Data, previous: Data) -> Privacy:
    return max(privacy_of(data), privacy_of(previous), key=lambda policy: policy.min_n)


def _names(data: Data, previous: Data, scales: Sequence[str] | None, person: str) -> list[str]:
    if isinstance(data, Survey) != isinstance(previous, Survey):
        raise DataError("One wave is a survey and the other a frame. Give two of a kind.")
    for wave in (data, previous):
        if person not in frame_of(wave):
            hint = did_you_mean(person, map(str, frame_of(wave).columns))
            raise DataError(f'There is no variable "{person}" to link people by in both waves. {hint}')
    if isinstance(data, Survey):
        return [scale.name for scale in scales_of(data, scales)]
    both = (
        data.drop(columns=person).select_dtypes("number").columns.intersection(previous.select_dtypes("number").columns)
    )
    wanted = list(both) if scales is None else [scales] if isinstance(scales, str) else list(scales)
    missing = [name for name in wanted if name not in both]
    if missing or not wanted:
        raise DataError(f"No column of numbers in both waves: {', '.join(missing) or 'none is shared'}. Name others.")
    return wanted


def _scores(data: Data, names: Sequence[str], person: str) -> pd.DataFrame:
    """One row per person whose code is used once, named by the code."""
    frame = score(data, names).survey.answers if isinstance(data, Survey) else data
    codes = frame[person]
    usable = codes.notna() & ~codes.duplicated(keep=False)
    return frame.loc[usable, list(names)].astype(float).set_axis(codes[usable], axis=0)


def _judge(
    name: str, joined: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame, least: int, level: float, label: str
) -> tuple[dict[str, object], list[Finding]]:
    """One row of the table, or nothing and the reason as a finding."""
    pair = joined[[f"{name} before", f"{name} after"]].dropna().to_numpy()
    empty = {"term": name, "n_linked": np.nan, **dict.fromkeys(NUMBERS, np.nan), "reading": "refused"}
    if len(pair) < least:
        text = f"{label}: fewer than {least} respondents have a score in both waves."
        return empty, [Finding(name="too_few_linked", text=text, severity="serious")]
    try:
        found = repeated_correlation(pair, level)
    except EstimationError as error:
        return empty, [Finding(name="scale_refused", text=f"{label}: {error}", severity="serious")]
    unlinked = {int(wave[name].notna().sum()) - len(pair) for wave in (before, after)}
    return _row(name, found, pair, level, telling=any(0 < n < least for n in unlinked)), []


def _row(name: str, found: Repeated, pair: np.ndarray, level: float, *, telling: bool) -> dict[str, object]:
    """The numbers; with few people outside, count and shift are left out, since they would tell about these few."""
    low, high = found.agreement_ends
    words = list(dict.fromkeys([rules.RETEST.read(low), rules.RETEST.read(high)]))
    return {
        "term": name,
        "n_linked": np.nan if telling else found.n,
        "icc_agreement": found.agreement,
        "icc_agreement_low": low,
        "icc_agreement_high": high,
        "icc_consistency": found.consistency,
        "icc_consistency_low": found.consistency_ends[0],
        "icc_consistency_high": found.consistency_ends[1],
        "difference": np.nan if telling else float((pair[:, 1] - pair[:, 0]).mean()),
        "measurement_error": found.error,
        "detectable_change": float(stats.norm.isf((1 - level) / 2) * np.sqrt(2) * found.error),
        "reading": " to ".join(words),
    }


def _note(level: float) -> str:
    return (
        "From respondents in both waves. ICC(A,1): a shift of everybody counts as disagreement; ICC(C,1): it does not. "
        "Whoever truly changed between the waves lowers both. SEM: standard error of measurement in scale points, "
        f"shifts included; SDC: smallest change of one person that is more than this error in {100 * level:g} of 100 "
        f"cases. n and shift are left out where few others answered one wave only. Reading of the interval of "
        f"ICC(A,1): {rules.RETEST.source}."
    )
