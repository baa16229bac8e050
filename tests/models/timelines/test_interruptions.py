"""Laws of `smstudy.models.timelines.interruptions`: R's numbers, the planted jump, short and small series."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, DisclosureError, StudyError
from smstudy.models.timelines.interruptions import interrupted_series

REFERENCE = Path(__file__).parents[2] / "reference"
R = json.loads((REFERENCE / "pilots.json").read_text())["series"]
SERIES = pd.read_csv(REFERENCE / "pilots_series.csv")
HOW = {"wave": "month", "since": 14, "size": "people"}


def respondents(jump=1.0, *, waves=30, n=20, seed=1, alike=0.0):
    rng = np.random.default_rng(seed)
    noise = np.zeros(waves)
    for k in range(waves):
        noise[k] = (alike * noise[k - 1] if k else 0) + rng.normal(0, 0.1)
    month = np.repeat(np.arange(waves), n)
    use = 3 + 0.02 * month + jump * (month >= waves // 2) + noise[month] + rng.normal(0, 0.3, len(month))
    return pd.DataFrame({"month": month, "use": use})


def found(**options):
    return interrupted_series(SERIES, "logins", **{**HOW, **options})


def names(result):
    return {finding.name for finding in result.findings}


def test_agrees_with_r():
    table = found(covariance="newey_west").tidy()
    np.testing.assert_allclose(table["estimate"], R["estimate"], rtol=1e-9)  # closed form
    np.testing.assert_allclose(table["std_error"], R["std_error"], rtol=1e-8)  # as above
    table = found().tidy()
    np.testing.assert_allclose(table["estimate"], R["ar_estimate"], rtol=1e-5)  # iterative, flat at the top
    np.testing.assert_allclose(table["std_error"], R["ar_error"], rtol=1e-5)  # as above
    np.testing.assert_allclose(found().glance()["p_alike"], R["bg_p"], rtol=1e-8)  # closed form


def test_a_planted_jump_is_found_and_its_absence_is_not_called_an_effect():
    result = interrupted_series(respondents(), "use", wave="month", since=15)
    jump = result.tidy().set_index("term").loc["jump"]
    assert result.glance()["verdict"] == "effect" and abs(jump["estimate"] - 1) < 3 * jump["std_error"]
    verdicts = [
        interrupted_series(respondents(0, seed=seed), "use", wave="month", since=15).glance()["verdict"]
        for seed in range(20)
    ]
    assert verdicts.count("effect") <= 4  # 5 or more of 20 at a level of about 5 % have a chance of .3 %


def test_newey_west_errors_never_call_an_effect():
    result = interrupted_series(respondents(), "use", wave="month", since=15, covariance="newey_west")
    assert result.glance()["verdict"] == "cannot tell" and "errors_too_small" in names(result)


def test_neighbors_that_are_alike_are_said():
    assert "autocorrelation" in names(
        interrupted_series(respondents(alike=0.8, waves=80), "use", wave="month", since=40)
    )
    assert "few_waves" in names(found()) and "few_waves" not in names(found(since=13))


def test_result_is_drawn_told_and_pooled():
    result = found()
    plt.close(result.plot().figure)
    assert "would have led to" in result.alt_text() and result.series.to_html()
    assert result.pooling().covariance.shape == (4, 4)
    assert "nothing to compare with" in result.note


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"since": 3}, DataError, "2 waves with answers before the start"),
        ({"since": 99}, StudyError, "no wave"),
        ({"size": None}, DataError, "one row per wave"),
        ({"covariance": "HC3"}, StudyError, "not known"),
        ({"conf_level": 0}, StudyError, "no level"),
        ({"min_n": 200}, DisclosureError, "Fewer than 200"),
    ],
)
def test_what_cannot_be_estimated_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        found(**options)


def test_waves_of_few_people_and_constants_are_refused():
    frame = respondents()
    with pytest.raises(DisclosureError):
        interrupted_series(frame[(frame["month"] != 3) | (frame.index % 20 < 4)], "use", wave="month", since=15)
    with pytest.raises(DataError, match="same in all waves"):
        interrupted_series(frame.assign(use=1.0), "use", wave="month", since=15)
    with pytest.raises(DataError, match="exactly"):
        interrupted_series(frame.assign(use=frame["month"] + np.tile([0.5, 1.5], 300)), "use", wave="month", since=15)


def test_months_that_are_missing_count_as_time_that_passed():
    """A course of .15 a month with six months missing is no jump: counted as neighbors 75 % were called an effect."""
    month, verdicts = np.delete(np.arange(30), range(10, 16)), []
    for seed in range(30):
        use = 0.15 * month + 0.3 * np.random.default_rng(seed).normal(size=24)
        frame = pd.DataFrame({"month": month, "use": use, "people": 50})
        result = interrupted_series(frame, "use", wave="month", since=16, size="people")
        verdicts.append(result.glance()["verdict"])
    assert verdicts.count("effect") <= 6  # 5 % and 3 standard errors of 30
    found = {finding.name: finding.text for finding in result.findings}
    assert 'between "9" and "16"' in found["unequal_steps"]
    assert result.series.tidy()["time"].iloc[[9, 10]].tolist() == [-7, 0]


def test_dates_numbers_and_ordered_steps_are_one_time():
    frame = respondents(waves=24)
    frame = frame[frame["month"] != 5]
    expected = interrupted_series(frame, "use", wave="month", since=12).tidy()
    dates = pd.date_range("2023-01-01", periods=24, freq="MS")
    steps = pd.Categorical(frame["month"].map("m{}".format), [f"m{k}" for k in range(24)], ordered=True)
    answered = respondents(waves=24)
    answered["use"] = answered["use"].where(answered["month"] != 5)
    for data, since in (
        (frame.assign(month=dates[frame["month"]]), dates[12]),
        (frame.assign(month=dates[frame["month"]]), "2024-01-01"),
        (frame.assign(month=frame["month"] * 3), 36),
        (frame.assign(month=steps), "m12"),
        (answered, 12),
    ):
        result = interrupted_series(data, "use", wave="month", since=since)
        pd.testing.assert_frame_equal(result.tidy(), expected, rtol=1e-9)  # the same numbers
        assert "unequal_steps" in names(result)


def test_an_order_given_counts_every_wave_as_one_step_and_says_so():
    frame = respondents(waves=24)
    frame = frame[frame["month"] != 5]
    order = sorted(frame["month"].unique())
    result = interrupted_series(frame, "use", wave="month", since=12, waves=order)
    assert "steps_as_declared" in names(result)
    closed = frame.assign(month=frame["month"].map({m: k for k, m in enumerate(order)}))
    same = interrupted_series(closed, "use", wave="month", since=11)
    pd.testing.assert_frame_equal(result.tidy(), same.tidy())
    assert not {"steps_as_declared", "unequal_steps"} & names(same)


def test_newey_west_errors_need_equal_steps():
    with pytest.raises(StudyError, match='between "4" and "7"'):
        interrupted_series(SERIES[~SERIES["month"].isin([5, 6])], "logins", **HOW, covariance="newey_west")


def test_people_of_unequal_numbers_are_said():
    frame = SERIES.assign(people=np.where(SERIES["month"] < 14, 6, 600))
    result = interrupted_series(frame, "logins", **HOW)
    assert "people_differ" in names(result) and "people_differ" not in names(found())
