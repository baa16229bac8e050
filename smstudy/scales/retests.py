"""How far scores of the same people come out the same in two waves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display import figures, rules
from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, EstimationError, did_you_mean
from smstudy.inference.psychometrics.intraclass import Repeated, repeated_correlation
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_level, check_word
from smstudy.scales.batteries import numbers_as_text, refuse_missing_codes
from smstudy.scales.scoring import scales_of, score
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of

LEAST_LINKED = 10
MANY_TWICE = 0.5
NUMBERS = (
    "icc_agreement", "icc_agreement_low", "icc_agreement_high", "icc_consistency", "icc_consistency_low",
    "icc_consistency_high", "difference", "measurement_error", "detectable_change",
)  # fmt: skip
COUNTING = ("n_linked", *(name for name in NUMBERS if name != "icc_consistency"))


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
        error of measurement, and the smallest change of one person that is more than this error, in scale points. Where
        few answered one wave only, a row is left with ICC(C,1) and the reading.

    Raises
    ------
    DataError
        If there is no such column, a score is infinite, fewer than 10 respondents are in both waves, or a frame seems
        to hold a code for missing answers.

    References
    ----------
    McGraw & Wong (1996), Psychological Methods 1, 30-46; de Vet et al. (2006), J. Clinical Epidemiology 59, 1033-1039.
    Agrees with R psych::ICC (tests/reference/aggregation.R).
    """
    for wave in (data, previous):
        frame_of(wave)
    check_level(conf_level)
    check_word("person", person, "code")
    names = _names(data, previous, scales, person)
    waves = [_scored(previous, names), _scored(data, names)]
    for wave, frame in zip((previous, data), waves, strict=True):
        _refuse_broken(wave, frame[names])
    before, after = (_by_person(frame, names, person) for frame in waves)
    joined = before.add_suffix(" before").join(after.add_suffix(" after"), how="inner")
    least = max(LEAST_LINKED, privacy_of(data).min_n, privacy_of(previous).min_n)
    if len(joined) < least:
        raise DataError(
            f'Fewer than {least} respondents are in both waves by "{person}", so nothing can be said about retest '
            f"reliability. {_why_apart([frame[person] for frame in waves], person)}"
        )
    judged = [
        _judge(name, joined, [frame[name] for frame in waves], least, conf_level, labels_of(data).get(name, name))
        for name in names
    ]
    return Retest(
        title="Test-retest reliability",
        note=_note(conf_level),
        findings=(
            *_not_compared(data, previous, scales, person),
            *(finding for _, findings in judged for finding in findings),
        ),
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
            raise ColumnError(f'There is no variable "{person}" to link people by in both waves. {hint}')
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


def _why_apart(codes: Sequence[pd.Series], person: str) -> str:
    """Why few codes are found in both waves, as far as it can be told."""
    known = [column.dropna() for column in codes]
    numeric = [pd.api.types.is_numeric_dtype(column) for column in known]
    if numeric[0] != numeric[1]:
        one, other = ("this wave", "the one before") if numeric[1] else ("the one before", "this wave")
        return (
            f'"{person}" holds numbers in {one} and text in {other}, so no code is the same in both. Read it alike in '
            f'both, such as with read_csv(..., dtype={{"{person}": str}}).'
        )
    if any(column.duplicated(keep=False).mean() > MANY_TWICE for column in known):
        return (
            f'Most codes in "{person}" occur more than once in a wave, so they do not tell who is who. Name a variable '
            "with a code of its own for everybody."
        )
    return "Check that the codes are the same in both files."


def _not_compared(data: Data, previous: Data, scales: Sequence[str] | None, person: str) -> tuple[Finding, ...]:
    """Name columns that both frames have and that hold no numbers in one of them."""
    if isinstance(data, Survey) or isinstance(previous, Survey) or scales is not None:
        return ()
    shared = [name for name in data if name in previous and name != person]
    frames = (data[shared], previous[shared])
    text = [str(name) for name in shared if not all(pd.api.types.is_numeric_dtype(frame[name]) for frame in frames)]
    if not text:
        return ()
    stored = {name for frame in frames for name in numbers_as_text(frame)}
    words = join_words(
        [f"{name} (numbers stored as text: use pd.to_numeric)" if name in stored else name for name in text]
    )
    told = f"Left out, because they hold no numbers in both waves: {words}."
    return (Finding(name="columns_left_out", text=told),)


def _scored(data: Data, names: Sequence[str]) -> pd.DataFrame:
    return score(data, names).survey.answers if isinstance(data, Survey) else data


def _refuse_broken(wave: Data, scores: pd.DataFrame) -> None:
    infinite = [name for name in scores if np.isinf(scores[name].to_numpy(dtype=float, na_value=np.nan)).any()]
    if infinite:
        raise DataError(f"An infinite score in {join_words(infinite)}. Set it to missing first.")
    if not isinstance(wave, Survey):
        refuse_missing_codes(scores, "the scores")


def _by_person(frame: pd.DataFrame, names: Sequence[str], person: str) -> pd.DataFrame:
    """One row per person whose code is used once, named by the code."""
    codes = frame[person]
    usable = codes.notna() & ~codes.duplicated(keep=False)
    return frame.loc[usable, list(names)].astype(float).set_axis(codes[usable], axis=0)


def _judge(
    name: str, joined: pd.DataFrame, waves: Sequence[pd.Series], least: int, level: float, label: str
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
    row, against = _row(name, found, pair, level), _opposed(found, label)
    if any(0 < int(wave.notna().sum()) - len(pair) < least for wave in waves):
        return {**row, **dict.fromkeys(COUNTING, np.nan)}, [*against, _kept_back(label, least)]
    return row, against


def _opposed(found: Repeated, label: str) -> list[Finding]:
    if found.consistency_ends[1] >= 0:
        return []
    text = (
        f"{label}: who scored high in one wave scored low in the other (ICC(C,1) clearly below 0). Is one wave coded "
        "backwards? Check the coding of both."
    )
    return [Finding(name="waves_opposed", text=text, severity="serious")]


def _kept_back(label: str, least: int) -> Finding:
    text = (
        f"{label}: fewer than {least} respondents have a score in one wave only. From the number of those in both "
        "waves and their shift the scores of these few would follow, and both follow from ICC(A,1), its interval, the "
        "interval of ICC(C,1) and the SEM. So they are left out; the reading is that of ICC(A,1) all the same."
    )
    return Finding(name="retest_kept_back", text=text, severity="info")


def _row(name: str, found: Repeated, pair: np.ndarray, level: float) -> dict[str, object]:
    low, high = found.agreement_ends
    words = list(dict.fromkeys([rules.RETEST.read(low), rules.RETEST.read(high)]))
    return {
        "term": name,
        "n_linked": found.n,
        "icc_agreement": found.agreement,
        "icc_agreement_low": low,
        "icc_agreement_high": high,
        "icc_consistency": found.consistency,
        "icc_consistency_low": found.consistency_ends[0],
        "icc_consistency_high": found.consistency_ends[1],
        "difference": float((pair[:, 1] - pair[:, 0]).mean()),
        "measurement_error": found.error,
        "detectable_change": float(stats.norm.isf((1 - level) / 2) * np.sqrt(2) * found.error),
        "reading": " to ".join(words),
    }


def _note(level: float) -> str:
    return (
        "From respondents in both waves. ICC(A,1): a shift of everybody counts as disagreement; ICC(C,1): it does not. "
        "Whoever truly changed between the waves lowers both. SEM: standard error of measurement in scale points, "
        f"shifts included; SDC: smallest change of one person that is more than this error in {100 * level:g} of 100 "
        f"cases. Where few others answered one wave only, all but ICC(C,1) is left out. Reading of the interval of "
        f"ICC(A,1): {rules.RETEST.source}."
    )
