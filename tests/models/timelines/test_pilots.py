"""Laws of `smstudy.models.timelines.pilots`: verdicts, R's numbers, what is refused, and who is protected."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, StudyError
from smstudy.models.timelines.pilots import pilot
from smstudy.survey.disclosure import hidden_groups

REFERENCE = Path(__file__).parents[2] / "reference"
R = json.loads((REFERENCE / "pilots.json").read_text())
PEOPLE = pd.read_csv(REFERENCE / "pilots.csv")
HOW = {"unit": "unit", "wave": "wave"}
PILOTED = ["unit 1", "unit 4", "unit 6"]


def planted(effect=0.8, *, units=12, piloted=5, waves=4, since=3, n=25, drift=0.0, seed=1):
    """Respondents of units that differ, waves that differ, and an effect from a wave on."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        [(f"u{g:02d}", w) for g in range(units) for w in range(1, waves + 1) for _ in range(n)],
        columns=["unit", "wave"],
    )
    number = frame["unit"].str[1:].astype(int)
    frame["piloted"] = (number < piloted).astype(int)
    frame["on"] = frame["piloted"] * (frame["wave"] >= since)
    shock = rng.normal(0, 0.1, (units, waves + 1))[number, frame["wave"]]
    level = rng.normal(0, 0.5, units)[number] + 0.1 * frame["wave"] + drift * frame["piloted"] * frame["wave"]
    frame["use"] = level + shock + effect * frame["on"] + rng.normal(size=len(frame))
    return frame


def found(frame=None, **options):
    return pilot(planted() if frame is None else frame, "use", **{**HOW, "treated": "piloted", "since": 3, **options})


def verdict(result):
    return result.tidy()["verdict"].item()


def names(result):
    return {finding.name for finding in result.findings}


# Numbers and verdicts


def test_agrees_with_r():
    row = found(PEOPLE).tidy().iloc[0]
    for field in ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(row[field], R["several"][field], rtol=1e-8)  # closed form
    np.testing.assert_allclose(row["p_random"], R["p_random"], atol=1e-12)  # a count over 56


def test_a_planted_effect_is_found_and_an_absent_one_is_ruled_out():
    effect = found(planted(waves=7, since=5), since=5)
    assert verdict(effect) == "effect" and "leave room for a drift apart" in effect.note
    low, high = effect.tidy()[["conf_low", "conf_high"]].iloc[0]
    assert low < 0.8 < high
    none = [found(planted(0.0, n=60, seed=seed, waves=7, since=5), since=5) for seed in range(8)]
    told = [verdict(each) for each in none]
    assert told.count("effect") <= 2 and told.count("no effect shown") >= 5  # both p < 5 % and drift p < 5 % are rare
    assert any("would matter, is ruled out" in each.note for each in none)


def test_few_noisy_units_cannot_tell():
    result = found(PEOPLE)
    assert verdict(result) == "cannot tell"
    assert "few_clusters" in names(result)
    assert result.tidy()["reading"].item().startswith("between")


def test_groups_that_drift_apart_before_the_start_cannot_tell():
    result = found(planted(drift=0.6, n=60, waves=5, since=4), since=4)
    assert result.event_study.glance()["verdict"] == "differs before the start"
    assert verdict(result) == "cannot tell"
    assert "trends_differ" in names(result)


def test_a_drift_far_smaller_than_the_effect_does_not_take_it_away():
    result = found(planted(effect=3.0, drift=0.3, n=400, waves=5, since=4), since=4)
    assert result.event_study.glance()["verdict"] == "differs before the start"
    assert verdict(result) == "effect" and "trends_differ" in names(result)


def test_imprecise_leads_are_read_as_cannot_tell_and_precise_ones_as_parallel():
    assert found(PEOPLE).event_study.glance()["verdict"] == "cannot tell"
    assert found(planted(n=100)).event_study.glance()["verdict"] == "parallel as far as can be seen"


def test_one_wave_before_is_said():
    result = found(planted(waves=3, since=2), since=2)
    assert result.event_study.glance()["verdict"] == "cannot be looked at"
    assert "one_wave_before" in names(result)
    assert verdict(result) == "effect, if trends were parallel"
    assert "nothing shows whether they were" in result.tidy()["reason"].item()
    none = found(planted(0.0, waves=3, since=2, n=60), since=2)
    assert verdict(none) == "no effect shown" and "if trends were parallel" in none.tidy()["reason"].item()


@pytest.mark.parametrize(("effect", "drift"), [(0.0, 0.2), (0.6, -0.2)])
def test_a_drift_that_few_waves_cannot_rule_out_is_neither_an_effect_nor_hides_one(effect, drift):
    """Drifts of .2 per wave, 3 noisy waves before: without looking at them 65 % were called an effect."""
    told = [
        verdict(found(planted(effect, drift=drift, units=10, piloted=4, waves=5, since=4, n=20, seed=seed), since=4))
        for seed in range(40)
    ]
    assert told.count("cannot tell") >= 33  # 5 % of 100 in the review's setting; 40 draws: 5 % and 3 standard errors


def test_the_reason_names_the_drift_that_would_be_as_large():
    result = found(planted(n=60, waves=5, since=4), since=4)
    row = result.tidy().iloc[0]
    needed = f"{row['estimate'] / 2.5:.2f} per wave"  # waves +0.5 on average after, -2 before
    assert needed in row["reason"] and "per wave" in row["reason"]


def test_units_and_waves_may_be_named_or_numbered():
    frame = planted()
    numbered = frame.assign(unit=frame["unit"].str[1:].astype(int).astype(float), wave=frame["wave"].astype(str))
    numbered.loc[0, "unit"] = np.nan  # a missing unit makes all of them decimals
    expected = found(frame.iloc[1:]).tidy()
    order = list("1234")
    for treated, since in ((range(5), 3), ([str(k) for k in range(5)], "3"), ({k: 3 for k in range(5)}, None)):
        result = found(numbered, treated=treated, since=since, waves=order).tidy()
        same = ["estimate", "std_error", "p_value", "p_random", "verdict"]
        pd.testing.assert_frame_equal(result[same], expected[same], rtol=1e-9)  # units in another order


def test_ways_to_declare_the_pilot_are_the_same():
    frame, piloted = planted(), [f"u{k:02d}" for k in range(5)]
    expected = found(frame).tidy()
    for options in (
        {"treated": piloted},
        {"treated": dict.fromkeys(piloted, 3), "since": None},
        {"treated": "on", "since": None},
    ):
        pd.testing.assert_frame_equal(found(frame, **options).tidy(), expected)


def test_means_with_their_sizes_give_what_respondents_give():
    frame = planted()
    means = frame.groupby(["unit", "wave", "piloted"], as_index=False).agg(use=("use", "mean"), people=("use", "size"))
    same = ["estimate", "std_error", "df", "p_value", "p_wild", "p_random", "conf_low", "conf_high"]
    expected = found(frame).tidy()[same]
    pd.testing.assert_frame_equal(found(means, size="people").tidy()[same], expected, rtol=1e-9)  # sums in other order


def test_order_of_rows_changes_nothing():
    frame = planted()
    mixed = found(frame.sample(frac=1, random_state=1)).tidy()
    pd.testing.assert_frame_equal(mixed, found(frame).tidy(), rtol=1e-9)  # sums in other order


def test_surveys_of_waves_are_read_in_their_order():
    run = sm.open_study("quarterly-pulse")
    now, before = run.survey("clean"), run.previous_survey()
    units = ["Customer Service", "Finance", "IT & Data", "Logistics", "Marketing", "Production"]
    result = pilot([before, now], "adoption", unit="unit", treated=units, since=now.wave)
    frame = pd.concat([before.answers.assign(w=1), now.answers.assign(w=2)], ignore_index=True)
    hidden = hidden_groups(before, "unit") | hidden_groups(now, "unit")
    frame["unit"] = frame["unit"].mask(frame["unit"].isin(hidden), "units that tables hide")
    expected = pilot(frame, "adoption", unit="unit", wave="w", treated=units, since=2)
    pd.testing.assert_frame_equal(result.tidy(), expected.tidy(), rtol=1e-9)  # units in another order
    assert result.glance()["n_piloted"] == 6 and "units_pooled" in names(result)


def test_different_starts_are_estimated_by_group_and_time():
    frame = planted(0.0, waves=5, n=40)
    starts = {"u00": 2, "u01": 2, "u02": 4, "u03": 4}
    since = frame["unit"].map(starts).rsub(frame["wave"] + 1).clip(lower=0).fillna(0)
    frame["use"] += since
    result = pilot(frame, "use", **HOW, treated=starts)
    truth = since[since > 0].mean()
    low, high = result.tidy()[["conf_low", "conf_high"]].iloc[0]
    assert low < truth < high and verdict(result) == "effect"
    assert "began together" in result.note


def test_units_that_began_one_by_one_still_have_errors():
    frame = planted(0.0, waves=5, n=40)
    starts = {"u00": 2, "u01": 3, "u02": 4, "u03": 4}
    result = pilot(
        frame.assign(use=frame["use"] + (frame["wave"] >= frame["unit"].map(starts))), "use", **HOW, treated=starts
    )
    low, high = result.tidy()[["conf_low", "conf_high"]].iloc[0]
    assert low < 1 < high and "jackknife" in result.glance()["covariance"]


def test_comparison_units_can_be_named():
    frame = planted()
    result = found(frame, comparison=["u05", "u06", "u07"])
    part = frame[frame["unit"] < "u08"]
    pd.testing.assert_frame_equal(result.tidy(), found(part).tidy())


def test_result_is_drawn_told_and_pooled():
    result = found()
    for each in (result, result.event_study):
        plt.close(each.plot().figure)
        assert each.to_text() and each.alt_text() and each.to_record()
    pooled = result.pooling()
    np.testing.assert_allclose(pooled.covariance[0, 0] ** 0.5, result.tidy()["std_error"].item())
    assert "parallel trends" in result.note and "anticipation" in result.note


# What is refused or said


def test_one_unit_in_the_pilot_is_described_without_a_test():
    result = found(treated=["u01"])
    row = result.tidy().iloc[0]
    assert np.isfinite(row["estimate"]) and np.isnan([row["std_error"], row["p_value"], row["p_wild"]]).all()
    assert verdict(result) == "cannot tell" and "one_unit_piloted" in names(result)


def test_too_few_ways_to_choose_units_cannot_tell():
    result = found(planted(3.0, units=6, piloted=2))
    assert verdict(result) == "cannot tell" and "few_assignments" in names(result)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"treated": [f"u{k:02d}" for k in range(12)]}, DataError, "All units are in the pilot"),
        ({"treated": []}, DataError, "No unit is in the pilot"),
        ({"since": 1}, DataError, "from the first wave on"),
        ({"since": 9}, StudyError, "no wave of the data"),
        ({"since": None, "treated": ["u01"]}, StudyError, "since= is needed"),
        ({"treated": ["u99"]}, StudyError, 'no unit "u99"'),
        ({"treated": {"u01": 2}}, StudyError, "already tells when"),
        ({"treated": "on"}, DataError, "in some rows and not in others"),
        ({"wave": None}, StudyError, "needs wave="),
        ({"waves": [1, 2, 3]}, StudyError, 'leaves out wave "4"'),
        ({"waves": [1, 2, 3, 4, 5]}, StudyError, 'names "5"'),
        ({"comparison": ["u01"]}, StudyError, "in the pilot and cannot be compared"),
        ({"comparison": "u07"}, StudyError, "must be a list"),
        ({"comparison": []}, DataError, "to compare with"),
        ({"treated": "use"}, DataError, "must be 0 or 1"),
        ({"size": "use"}, DataError, "number of people"),
        ({"matters": 0}, StudyError, "no size"),
        ({"matters": "a"}, StudyError, "no size"),
        ({"conf_level": 95}, StudyError, "no level"),
        ({"unit": "nothing"}, DataError, 'no column "nothing"'),
        ({"min_n": 3}, DisclosureError, "only be raised"),
        ({"min_n": 200}, DisclosureError, "fewer than 200"),
    ],
)
def test_what_cannot_be_estimated_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        found(**options)


def test_few_units_are_refused():
    with pytest.raises(DataError, match="Only 5 units"):
        found(planted(units=5, piloted=2))


def test_a_unit_that_varies_within_a_wave_or_leaves_is_refused():
    frame = planted()
    frame.loc[frame.index[0], "on"] = 1
    with pytest.raises(DataError, match="some respondents of a wave"):
        found(frame, treated="on", since=None)
    frame = planted()
    frame.loc[(frame["unit"] == "u01") & (frame["wave"] == 4), "on"] = 0
    with pytest.raises(DataError, match="no longer at a later one"):
        found(frame, treated="on", since=None)


def test_waves_in_words_need_their_order():
    frame = planted().assign(wave=lambda f: f["wave"].map({1: "spring", 2: "summer", 3: "fall", 4: "winter"}))
    with pytest.raises(DataError, match="order of the waves"):
        found(frame, since="fall")
    ordered = found(frame, since="fall", waves=["spring", "summer", "fall", "winter"])
    pd.testing.assert_frame_equal(ordered.tidy(), found().tidy())


def test_units_missing_in_a_wave_are_said():
    frame = planted()
    gone = frame[~((frame["unit"] == "u07") & (frame["wave"] == 2))]
    assert "unbalanced" in names(found(gone))
    assert found(gone).glance()["n_groups"] == 12
    never_after = frame[~((frame["unit"] == "u07") & (frame["wave"] >= 3))]
    result = found(never_after)
    assert "units_left_out" in names(result) and result.glance()["n_groups"] == 11
    assert result.glance()["n_dropped"] == 50


@pytest.mark.parametrize("value", ["text", 1.0])
def test_an_outcome_of_text_or_without_spread_is_refused(value):
    with pytest.raises(DataError):
        found(planted().assign(use=value))


def test_infinite_outcome_is_refused():
    with pytest.raises(DataError, match="infinite"):
        found(planted().assign(use=np.inf))


def test_missing_answers_are_counted():
    frame = planted()
    frame.loc[frame.index[::10], "use"] = np.nan
    assert found(frame).glance()["n_dropped"] == len(frame.index[::10])


# Privacy


def test_few_people_in_a_group_of_a_wave_are_refused():
    frame = planted(units=12, piloted=2)
    few = frame[~((frame["piloted"] == 1) & (frame["wave"] == 2)) | (frame.groupby(["unit", "wave"]).cumcount() < 2)]
    with pytest.raises(DisclosureError, match="units in the pilot"):
        found(few)


def test_units_that_tables_hide_cannot_be_told_apart():
    run = sm.open_study("quarterly-pulse")
    now, before = run.survey("clean"), run.previous_survey()
    assert before.answers["unit"].eq("Strategy").sum() < 5
    large = ["Sales", "Marketing", "Production"]
    assert pilot([before, now], "adoption", unit="unit", treated=large, since=now.wave).glance()["n_piloted"] == 3
    with pytest.raises(DisclosureError, match="tables hide"):
        pilot([before, now], "adoption", unit="unit", treated=[*large, "Strategy"], since=now.wave)
    others = ["Customer Service", "IT & Data", "Logistics", "Finance", "Research & Development"]
    with pytest.raises(DisclosureError, match="tables hide"):
        pilot([before, now], "adoption", unit="unit", treated=["Facilities"], comparison=others, since=now.wave)


def test_no_unit_is_named_in_what_is_shown():
    result = found()
    for each in (result, result.event_study):
        assert "u01" not in each.to_text() + each.to_html() + each.to_csv() + json.dumps(each.to_record(), default=str)
