"""Laws of `smstudy.models.drivers.priorities`: importance, level and necessity on one page."""

from __future__ import annotations

import re
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, StudyError
from smstudy.models.drivers.contributions import importance
from smstudy.models.drivers.necessities import necessity
from smstudy.models.drivers.priorities import priorities

QUICK = {"n_boot": 200, "n_permutations": 199}
UNIT = {"need": (0, 1), "drive": (0, 1), "idle": (0, 1)}


@cache
def planted(n=300, seed=1):
    """`need` caps the outcome, `drive` raises it, `idle` does nothing."""
    rng = np.random.default_rng(seed)
    need, drive, idle = rng.random((3, n))
    y = (0.25 * rng.random(n) + 0.75 * drive) * np.minimum(1, 0.2 + 1.6 * need)
    return pd.DataFrame({"need": need, "drive": drive, "idle": idle, "y": y})


def page(formula="y ~ need + drive + idle", frame=None, **options):
    return priorities(formula, planted() if frame is None else frame, **{"ranges": UNIT, **QUICK, **options})


def test_must_have_is_told_from_what_does_nothing():
    verdicts = dict(page().tidy()[["term", "verdict"]].itertuples(index=False))
    assert verdicts["need"].startswith("must-have")
    assert verdicts["drive"] in ("nice-to-have", "must-have and important")
    assert verdicts["idle"] == "neither shown"


def test_both_parts_are_what_their_functions_give():
    result = page()
    plain = importance("y ~ need + drive + idle", planted(), n_boot=200).tidy()
    pd.testing.assert_series_equal(result.tidy()["importance"], plain["importance"])
    alone = necessity("y ~ need + drive + idle", planted(), n_permutations=199).tidy()
    assert result.tidy()["necessity"].tolist() == alone["verdict"].tolist()


def test_levels_are_means_from_zero_to_a_hundred():
    frame, result = planted(), page().tidy()
    np.testing.assert_allclose(result["performance"], 100 * frame[list(UNIT)].mean(), rtol=1e-12)  # the same mean
    half = 1.968 * 100 * frame["need"].std() / np.sqrt(len(frame))  # t of 299 degrees of freedom
    assert result["performance_high"][0] - result["performance"][0] == pytest.approx(half, rel=1e-3)  # t has 3 decimals


def test_less_is_better_turns_the_level_round():
    plain, turned = page().tidy(), page(low=["idle"]).tidy()
    assert turned["performance"][2] == pytest.approx(100 - plain["performance"][2])
    assert turned["importance"].equals(plain["importance"])


def test_an_interval_that_crosses_a_line_cannot_be_placed():
    rows = page().tidy()
    line = rows["performance"].mean()
    for row in rows.to_dict("records"):
        crosses = row["performance_low"] <= line <= row["performance_high"]
        crosses |= row["importance_low"] <= 1 / len(rows) <= row["importance_high"]
        assert (row["quadrant"] == "cannot tell") == crosses


def test_a_driver_of_less_is_never_nice_to_have():
    frame = planted().assign(harm=lambda people: 1 - people["drive"])
    ranges = {"need": (0, 1), "harm": (0, 1), "idle": (0, 1)}
    result = page("y ~ need + harm + idle", frame, ranges=ranges)
    row = result.tidy().iloc[1]
    assert row["verdict"] == "cannot tell" and "lower outcome" in row["reading"]
    assert row["quadrant"] == "cannot tell"  # never "look here first"
    text = {finding.name: finding.text for finding in result.findings}["goes_with_less"]
    assert "harm" in text and "low=" in text
    turned = page("y ~ need + harm + idle", frame, ranges=ranges, low=["harm"])
    assert "goes_with_less" not in {finding.name for finding in turned.findings}
    assert turned.tidy()["quadrant"][1] == page().tidy()["quadrant"][1]  # the same driver, turned round


def test_levels_and_what_is_needed_are_on_one_scale():
    one = page(ranges=UNIT | {"y": (0, 1)}).tidy().iloc[0]
    part = {"need": (-1, 1), "drive": (0, 1), "idle": (0, 1), "y": (-1, 1)}  # what is there is the upper half
    two = page(ranges=part).tidy().iloc[0]
    assert two["performance"] == pytest.approx(50 + one["performance"] / 2)
    told = [[float(each) for each in re.findall(r"\d+", row["reading"])] for row in (one, two)]
    assert all(len(numbers) == 3 and numbers[1] == 100 for numbers in told)
    assert told[1][0] >= 50 and told[1][2] >= 50
    frame = planted()
    for (reached, _, needed), offset in zip(told, (0, 50)):  # by hand: fewer than 5 are below it, of those who reach it
        scale = 100 if offset == 0 else 50
        high = frame[offset + scale * frame["y"] >= reached - 0.5]  # the reading is rounded to whole numbers
        assert (offset + scale * high["need"] < needed - 0.5).sum() < 5 <= len(high)
    low = page("y ~ less + drive", planted().assign(less=lambda people: 1 - people["need"]), low=["less"],
               ranges={"less": (0, 1), "drive": (0, 1), "y": (0, 1)}).tidy().iloc[0]  # fmt: skip
    assert low["reading"] == one["reading"] and low["performance"] == pytest.approx(one["performance"])


def test_without_the_range_of_the_outcome_no_level_is_told():
    assert page().tidy()["reading"][0] == "a high y hardly occurs without it"


def test_teams_widen_the_intervals_of_importance_and_level():
    team = np.arange(300) % 15
    frame = planted().assign(team=team, need=lambda people: (people["need"] + team / 14) / 2)
    plain, drawn = page(frame=frame), page(frame=frame, cluster="team")
    width = [table["performance_high"][0] - table["performance_low"][0] for table in (plain.tidy(), drawn.tidy())]
    assert width[1] > 1.5 * width[0] and drawn.importance.glance()["n_groups"] == 15


def test_drivers_of_nothing_have_no_place():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.random((200, 3)), columns=["a", "b", "y"])
    rows = page("y ~ a + b", frame, ranges={"a": (0, 1), "b": (0, 1)}).tidy()
    assert set(rows["quadrant"]) == set(rows["verdict"]) == {"cannot tell"}


def test_the_same_respondents_stand_behind_both_parts():
    frame = planted().assign(site=["N", "S", None] * 100)
    result = page("y ~ need + drive + C(site)", frame, ranges={name: (0, 1) for name in ("need", "drive")})
    assert result.importance.glance()["n"] == result.necessity.glance()["n"] == 200


def test_weights_count_for_levels():
    frame = planted().assign(weight=lambda people: 1 + 9 * (people["need"] > 0.5))
    assert page(frame=frame, weights="weight").tidy()["performance"][0] > page().tidy()["performance"][0] + 5


def test_the_planted_drivers_of_the_demo_come_first():
    survey = sm.open_study("quarterly-pulse").survey("clean")
    formula = "adoption ~ leadership + readiness + usefulness + concerns"
    rows = priorities(formula, survey, low=["concerns"], n_boot=200).tidy().set_index("term")
    assert rows.loc[["leadership", "readiness"], "verdict"].tolist() == ["nice-to-have", "nice-to-have"]
    assert rows.loc["concerns", "verdict"] == "neither shown"


def test_unknown_ranges_are_asked_for():
    with pytest.raises(DataError, match='ranges=.*"need"'):
        priorities("y ~ need + drive", planted(), **QUICK)


@pytest.mark.parametrize("options", [{"low": ["drives"]}, {"ranges": {**UNIT, "other": (0, 1)}}])
def test_names_that_are_no_drivers_are_refused(options):
    with pytest.raises(StudyError):
        page(**options)


@pytest.mark.parametrize("formula", ["y ~ log(need) + drive", "y ~ need * drive"])
def test_only_plain_columns_fit_on_the_page(formula):
    with pytest.raises(StudyError):
        page(formula)


def test_an_unknown_column_is_named():
    with pytest.raises(DataError, match="absent"):
        page("y ~ need + absent", ranges={"need": (0, 1)})


def test_the_map_and_its_words_name_every_driver():
    result = page()
    axes = result.plot()
    written = [text.get_text() for text in axes.texts]
    assert set(UNIT) <= set(written) and all(name in result.alt_text() for name in UNIT)
    plt.close(axes.figure)
