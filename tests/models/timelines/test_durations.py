"""Laws of `smstudy.models.timelines.durations`: R's curves, what must be declared, and what no picture may tell."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, DisclosureError, SmstudyError, StudyError
from smstudy.models.timelines.durations import survival
from smstudy.result import write_record

REFERENCE = Path(__file__).parents[2] / "reference"
R = json.loads((REFERENCE / "survival.json").read_text())
LUNG = pd.read_csv(REFERENCE / "survival_lung.csv")
VETERAN = pd.read_csv(REFERENCE / "survival_veteran.csv")
WEEKS = pd.read_csv(REFERENCE / "survival_weeks.csv")
HOW = {"time": "week", "event": "adopted"}


def renderings(result):
    for each in (result, result.medians):
        yield from (each.to_text(), each.to_html(), each.to_latex(), each.to_csv(), each.alt_text(), write_record(each))


def names(result):
    return {finding.name for finding in result.findings}


# Numbers


def test_exact_table_agrees_with_survfit():
    table = survival(LUNG, time="time", event="event").tidy()
    np.testing.assert_allclose(table["estimate"], R["lung"]["survival"], rtol=1e-12)  # closed form
    np.testing.assert_allclose(table["conf_low"], np.array(R["lung"]["low"], float), rtol=1e-10)  # logs of logs
    median = survival(LUNG, time="time", event="event").medians.tidy().iloc[0]
    assert [median["median"], median["conf_low"], median["conf_high"]] == [float(each) for each in R["lung_median"]]


def test_log_rank_agrees_with_survdiff():
    found = survival(VETERAN, time="time", event="status", by="celltype").glance()
    np.testing.assert_allclose(found["statistic"], R["rank_cell"]["chisq"], rtol=1e-12)  # closed form
    assert found["df"] == 3


def test_shown_shares_are_the_exact_ones_at_round_times():
    exact = survival(LUNG, time="time", event="event")
    for row in exact.shown().to_dict("records"):
        before = exact.tidy()[exact.tidy()["time"] <= row["time"]]
        assert row["estimate"] == (round(before["estimate"].iloc[-1], 2) if len(before) else 1.0)
        assert row["n_risk"] == (LUNG["time"] > row["time"]).sum()


def test_planted_medians_are_told():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"by": np.repeat(["a", "b"], 400), "event": 1})
    frame["time"] = rng.exponential(np.repeat([10, 20], 400)) / np.log(2)
    result = survival(frame, time="time", event="event", by="by")
    told, exact = (each.set_index("group")["median"] for each in (result.medians.shown(), result.medians.tidy()))
    step = np.diff(result.shown()["time"]).max()
    assert ((told >= exact) & (told - exact <= step)).all()
    assert exact.between([8.5, 17], [11.5, 23]).all()  # the truth is 10 and 20; 3 standard errors of 400 people each
    assert result.glance()["p_value"] < 0.001


def test_every_part_is_drawn_and_told():
    result = survival(WEEKS, **HOW, by="trained")
    plt.close(result.plot().figure)
    assert "half by 9" in result.medians.to_text()
    assert "Not yet: 0 52 % at 12; 1 28 % at 12" in result.alt_text()


# What is refused


def test_censoring_must_be_declared():
    with pytest.raises(StudyError, match="event= names a column"):
        survival(WEEKS, time="week")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"adopted": 0}, "Everybody is censored"),
        ({"week": 0}, "above 0"),
        ({"week": -1}, "above 0"),
        ({"week": np.inf}, "above 0 and finite"),
        ({"week": "late"}, "not a number"),
        ({"adopted": 2}, "must be 1 where"),
        ({"adopted": 0.5}, "must be 1 where"),
        ({"trained": 1}, "no groups to compare"),
        ({"trained": range(600)}, "600 values"),
    ],
)
def test_bad_data_are_refused_in_words(change, words):
    with pytest.raises(DataError, match=words):
        survival(WEEKS.assign(**change), **HOW, by="trained")


def test_unknown_columns_and_levels_are_refused():
    with pytest.raises(DataError, match='Did you mean "week"'):
        survival(WEEKS, time="weak", event="adopted")
    with pytest.raises(DataError, match="two columns"):
        survival(WEEKS, time="week", event="week")
    with pytest.raises(StudyError, match="no level"):
        survival(WEEKS, **HOW, conf_level=2)


def test_few_people_or_events_are_refused():
    with pytest.raises(DisclosureError, match="had the event"):
        survival(WEEKS.assign(adopted=[1] * 4 + [0] * 596), **HOW)
    with pytest.raises(DisclosureError, match="have a time"):
        survival(WEEKS[:4], **HOW)
    with pytest.raises(DisclosureError, match="Merge groups"):
        survival(WEEKS.assign(trained=[1] * 4 + [0] * 596), **HOW, by="trained")
    with pytest.raises(DisclosureError, match="only be raised"):
        survival(WEEKS, **HOW, min_n=2)


def test_missing_rows_are_counted():
    frame = WEEKS.astype({"week": float})
    frame.loc[:29, "week"] = np.nan
    assert survival(frame, **HOW).glance()["n_dropped"] == 30


# What no reader may learn


def counts_that_follow(result):
    """Everything simple subtraction gives: events and censored between rows, after the last, per group and in all."""
    shown, medians = result.shown(), result.medians.shown().set_index("group")
    for name, part in shown.groupby("group"):
        risk, events = part["n_risk"].to_numpy(), part["n_event"].to_numpy()
        yield from events
        yield from (-np.diff(risk) - events[1:])
        yield risk[-1]
        total = medians.loc[name, "n_event"]
        if np.isfinite(total):
            yield total
            yield medians.loc[name, "n"] - total
            yield total - events.sum()
            yield medians.loc[name, "n"] - total - (medians.loc[name, "n"] - risk[-1] - events.sum())


@pytest.mark.parametrize("seed", range(40))
def test_no_small_count_follows_from_what_is_shown(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(12, 250))
    frame = pd.DataFrame({"time": rng.exponential(10, n) + 0.01, "event": rng.random(n) < rng.uniform(0.2, 1)})
    frame["time"] = frame["time"].round(int(rng.integers(0, 3))).clip(lower=0.5)
    frame["by"] = rng.integers(0, int(rng.integers(2, 4)), n)
    for by in (None, "by"):
        try:
            result = survival(frame, time="time", event="event", by=by)
        except SmstudyError:
            continue
        assert not [each for each in counts_that_follow(result) if 0 < each < 5]


@pytest.mark.parametrize("seed", range(40))
def test_small_counts_stay_open_when_everybody_s_total_is_known(seed):
    """With totals by group hidden, each group's own count after its curve ends could be any from 1 to 4."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 160))
    frame = pd.DataFrame({"time": rng.integers(1, 9, n), "event": rng.random(n) < 0.92, "by": rng.integers(0, 3, n)})
    result = survival(frame, time="time", event="event", by="by")
    if result.medians.shown()["n_event"].notna().all() or not (n - frame["event"].sum() >= 5):
        return
    last = result.shown().groupby("group")
    left, told = last["n_risk"].last(), last["n_event"].sum()
    censored = frame.groupby("by")["event"].agg(lambda e: (~e).sum()).to_numpy()
    gone = (frame.groupby("by").size().to_numpy() - left.to_numpy()) - told.to_numpy()
    tail = censored - gone
    for k in range(3):
        if 0 < tail[k] < 5:
            others = left.sum() - left.iloc[k]
            assert max(0, tail.sum() - others) <= 1 and min(left.iloc[k], tail.sum()) >= 4


def test_no_single_time_is_in_what_is_shown():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"time": rng.exponential(10, 120), "event": (rng.random(120) < 0.7).astype(int)})
    result = survival(frame, time="time", event="event")
    pages = "".join(renderings(result))
    assert not [time for time in frame["time"] if repr(float(time))[:6] in pages]
    medians = result.medians.shown()[["median", "conf_low", "conf_high"]].to_numpy().ravel()
    for told in (*result.shown()["time"], *medians[np.isfinite(medians)]):
        assert told % 0.5 == 0


def test_two_people_who_swap_an_event_and_a_censoring_look_alike():
    """The exact curve tells who of two came first; what is shown does not."""
    time = np.concatenate([np.repeat([1.0, 2.0], 10), [2.31, 2.62], np.repeat(2.8, 9), np.repeat(4.0, 20)])
    first = np.concatenate([np.repeat([1, 1], 10), [1, 0], np.repeat([1, 0, 0], 3), np.repeat(0, 20)])
    second = first.copy()
    second[[20, 21]] = [0, 1]
    frames = [pd.DataFrame({"time": time, "event": each}) for each in (first, second)]
    one, other = (survival(frame, time="time", event="event", min_n=7) for frame in frames)
    assert not one.tidy()["estimate"].equals(other.tidy()["estimate"])
    assert "".join(renderings(one)) == "".join(renderings(other))


def test_times_that_differ_by_rounding_are_one():
    frame = pd.DataFrame({"t": np.repeat([0.1 + 0.2, 0.3, 0.5], 10), "e": np.repeat([1, 1, 0], 10)})
    assert survival(frame, time="t", event="e").tidy()["time"].tolist() == [0.3, 0.5]
