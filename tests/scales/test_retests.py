"""Laws of test-retest reliability: R's values, special cases, what is kept back, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import smstudy
from smstudy.display import rules
from smstudy.errors import DataError
from smstudy.result import write_record
from smstudy.scales.retests import NUMBERS, Retest, retest
from smstudy.vocabulary import GLANCE, TIDY

HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "aggregation.json").read_text(encoding="utf-8"))["retest"]
TRUTH = Path(__file__).parents[2] / "data" / "demo-organization" / "truth.json"


def waves(n: int = 60, extra: int = 30, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """This wave and the one before: n people in both, as many others as asked in each."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 0.8, n)
    frames = []
    for wave in range(2):
        scores = np.append(truth + rng.normal(0, 0.4, n), rng.normal(3, 0.9, extra))
        people = [*(f"p{i}" for i in range(n)), *(f"w{wave}-{i}" for i in range(extra))]
        frames.append(pd.DataFrame({"person": people, "use": scores}))
    return frames[1], frames[0]


def row_of(result: Retest) -> pd.Series:
    return result.tidy().iloc[0]


def test_agrees_with_psych_icc() -> None:
    data = pd.read_csv(HERE / "retest.csv")
    after, before = (data[["person", name]].rename(columns={name: "use"}) for name in ("after", "before"))
    row = row_of(retest(after, before, person="person"))
    for name, place in (("icc_agreement", 0), ("icc_consistency", 1)):
        found = row[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        np.testing.assert_allclose(found, [R["icc"][place], R["low"][place], R["high"][place]], atol=1e-10)  # 16 digits
    assert row["measurement_error"] == pytest.approx(R["error"], abs=1e-12)  # closed form
    assert row["detectable_change"] == pytest.approx(1.959963985 * np.sqrt(2) * R["error"], abs=1e-8)  # nine decimals
    assert row["n_linked"] == 60


def test_the_demo_shows_the_planted_stability() -> None:
    planted = json.loads(TRUTH.read_text(encoding="utf-8"))["retest_correlation"]["wave_1_to_2"]
    run = smstudy.open_study("quarterly-pulse")
    rows = retest(run.survey("clean"), run.previous_survey(), person="panel").tidy().set_index("term")
    inside = [
        rows.loc[n, "icc_consistency_low"] < truth < rows.loc[n, "icc_consistency_high"] for n, truth in planted.items()
    ]
    assert sum(inside) >= 4  # five intervals on one draw, each missing once in twenty
    assert abs(rows.loc["concerns", "difference"] + 0.34) < 0.15  # the planted fall, with an error of about .05


def test_codes_that_are_numbers_in_one_file_and_text_in_the_other_are_told_apart() -> None:
    after, before = waves()
    numbered = [frame.assign(person=range(len(frame))) for frame in (after, before)]
    with pytest.raises(DataError, match='"person" holds numbers in this wave and text in the one before'):
        retest(numbered[0], numbered[1].astype({"person": str}), person="person")
    with pytest.raises(DataError, match='"person" holds numbers in the one before and text in this wave'):
        retest(numbered[0].astype({"person": str}), numbered[1], person="person")


def test_codes_that_most_people_share_are_called_so() -> None:
    after, before = (frame.assign(unit=np.resize(list("ABC"), len(frame))) for frame in waves())
    with pytest.raises(DataError, match='Most codes in "unit" occur more than once in a wave'):
        retest(after, before, person="unit")


def test_a_column_that_holds_no_numbers_in_one_wave_is_named() -> None:
    after, before = (frame.assign(trust=frame["use"] + 1, unit="A") for frame in waves())
    found = retest(after, before.astype({"trust": str}), person="person")
    told = [each.text for each in found.findings if each.name == "columns_left_out"]
    assert found.tidy()["term"].tolist() == ["use"]
    assert len(told) == 1 and "trust (numbers stored as text: use pd.to_numeric) and unit" in told[0]


def test_only_linked_people_count() -> None:
    after, before = waves()
    linked = row_of(retest(after.head(60), before.head(60), person="person"))
    among_others = row_of(retest(after, before, person="person"))
    pd.testing.assert_series_equal(linked, among_others)


def test_a_code_used_twice_links_nobody() -> None:
    after, before = waves()
    doubled = pd.concat([after, after.head(20)], ignore_index=True)
    assert row_of(retest(doubled, before, person="person"))["n_linked"] == 40


def recovered(row: pd.Series) -> tuple[list[int], float]:
    """Numbers of people and shift of all that fit to a row: the F quantile of the interval and the mean squares."""
    c, low = row["icc_consistency"], row["icc_consistency_low"]
    factor = (1 + c) / (1 - c) / ((1 + low) / (1 - low))
    fits = [n for n in range(5, 400) if abs(stats.f.isf(0.025, n - 1, n - 1) - factor) < 1e-9 * factor]  # exact
    shared = c / row["icc_agreement"] - 1
    total = row["measurement_error"] ** 2 / ((1 - c + shared) / 2)
    return fits, float(np.sqrt(total * (shared + (1 - c) / fits[0]))) if fits else np.nan


def test_few_others_do_not_follow_from_the_rest_of_the_row() -> None:
    after, before = waves()
    open_row = row_of(retest(after.assign(use=after["use"] + 0.5), before, person="person"))
    fits, shift = recovered(open_row)
    assert fits == [60] and shift == pytest.approx(abs(open_row["difference"]), rel=1e-6)  # four roots on the way
    result = retest(*waves(extra=3), person="person")
    row = row_of(result)
    assert recovered(row)[0] == []
    assert row[["n_linked", *(name for name in NUMBERS if name != "icc_consistency")]].isna().all()
    assert not np.isnan(row["icc_consistency"]) and row["reading"]
    assert [finding.name for finding in result.findings] == ["retest_kept_back"]
    assert "Nothing to draw" in result.plot().texts[0].get_text()


def test_people_without_a_code_are_some_of_the_few_others() -> None:
    after, before = waves(extra=0)
    nameless = after.tail(3).assign(person=None, use=[1.0, 2.0, 2.0])
    row = row_of(retest(pd.concat([after, nameless], ignore_index=True), before, person="person"))
    assert np.isnan(row["n_linked"]) and np.isnan(row["difference"])
    assert row_of(retest(after, before, person="person"))["n_linked"] == 60


def test_the_reading_is_that_of_the_interval() -> None:
    row = row_of(retest(*waves(n=20), person="person"))
    low, high = (rules.RETEST.read(row[name]) for name in ("icc_agreement_low", "icc_agreement_high"))
    assert low != high and row["reading"] == f"{low} to {high}"


def test_the_result_uses_the_vocabulary_and_shows_nobody() -> None:
    result = retest(*waves(), person="person")
    assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    assert "p1" not in write_record(result) and "p1" not in repr(result)
    assert result.plot().get_title(loc="left")


# bad input


def test_waves_without_common_people_are_refused() -> None:
    after, before = waves()
    with pytest.raises(DataError, match="Fewer than 10 respondents are in both waves"):
        retest(after.assign(person=[f"x{i}" for i in range(len(after))]), before, person="person")
    with pytest.raises(DataError, match="Fewer than 10"):
        retest(*waves(n=9), person="person")


def test_a_missing_link_or_column_is_refused() -> None:
    after, before = waves()
    with pytest.raises(DataError, match='no variable "code"'):
        retest(after, before, person="code")
    with pytest.raises(DataError, match="nothing"):
        retest(after, before, ["nothing"], person="person")
    with pytest.raises(DataError, match="two of a kind"):
        retest(smstudy.open_study("quarterly-pulse").survey("clean"), before, person="panel")


def test_constant_and_mostly_missing_scores_are_serious_findings() -> None:
    after, before = (wave.assign(same=3.0, rare=wave["use"].where(wave.index < 5)) for wave in waves())
    result = retest(after, before, person="person")
    assert [finding.name for finding in result.findings] == ["scale_refused", "too_few_linked"]
    assert result.tidy()["reading"].tolist()[1:] == ["refused", "refused"]


def test_infinite_scores_are_refused() -> None:
    now, before = waves()
    for pair in ((now.replace({"use": {now["use"][3]: np.inf}}), before), (now, before.assign(use=-np.inf))):
        with pytest.raises(DataError, match="An infinite score in use. Set it to missing first"):
            retest(*pair, person="person")


def test_a_wave_coded_backwards_is_suspected() -> None:
    now, before = waves()
    result = retest(now.assign(use=6 - now["use"]), before, person="person")
    assert row_of(result)["icc_consistency"] < 0
    assert any(f.name == "waves_opposed" and "backwards" in f.text for f in result.findings)
    assert "waves_opposed" not in {finding.name for finding in retest(now, before, person="person").findings}
