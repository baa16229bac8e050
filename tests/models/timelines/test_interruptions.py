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
        ({"since": 3}, DataError, "2 waves before the start"),
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


def test_waves_of_few_people_gaps_and_constants_are_refused():
    frame = respondents()
    with pytest.raises(DisclosureError):
        interrupted_series(frame[(frame["month"] != 3) | (frame.index % 20 < 4)], "use", wave="month", since=15)
    gap = frame.assign(use=frame["use"].where(frame["month"] != 3))
    with pytest.raises(DataError, match="gaps"):
        interrupted_series(gap, "use", wave="month", since=15)
    with pytest.raises(DataError, match="same in all waves"):
        interrupted_series(frame.assign(use=1.0), "use", wave="month", since=15)
    with pytest.raises(DataError, match="exactly"):
        interrupted_series(frame.assign(use=1.0 + frame["month"]), "use", wave="month", since=15)
