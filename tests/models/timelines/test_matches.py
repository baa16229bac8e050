"""Laws of `smstudy.models.timelines.matches`: planted bias that matching takes away, and what is refused."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.models.timelines.matches import match_units

REFERENCE = Path(__file__).parents[2] / "reference"
UNITS = pd.read_csv(REFERENCE / "pilots_units.csv").assign(people=20)
PILOTED = UNITS.loc[UNITS["piloted"] == 1, "unit"].tolist()[:8]
HOW = {"unit": "unit", "treated": PILOTED, "size": "people"}


def found(**options):
    return match_units(UNITS, ["size", "base"], **{**HOW, **options})


def test_matching_makes_groups_more_alike():
    table = found().tidy()
    assert table["balance_after"].abs().max() < table["balance_before"].abs().max()
    assert len(found().comparison) == 8 and not set(found().comparison) & set(PILOTED)


def test_rows_of_respondents_give_what_means_of_units_give():
    people = UNITS.loc[UNITS.index.repeat(20)].reset_index(drop=True)
    by_rows = match_units(people, ["size", "base"], unit="unit", treated=PILOTED)
    pd.testing.assert_frame_equal(by_rows.tidy(), found().tidy(), rtol=1e-9)  # sums in other order
    assert by_rows.comparison == found().comparison


def test_only_waves_before_the_start_count():
    two = pd.concat([UNITS.assign(wave=1), UNITS.assign(wave=2, base=UNITS["base"] + 9 * UNITS["piloted"])])
    result = match_units(two, ["size", "base"], **HOW, wave="wave", since=2)
    pd.testing.assert_frame_equal(result.tidy(), found().tidy())


def test_matched_units_go_into_a_pilot():
    """Units that were high anyway fall back: without matching a planted fall looks like an effect."""
    rng = np.random.default_rng(3)
    level = UNITS["base"].to_numpy()
    rows = []
    for wave in (1, 2):
        own = level - (wave == 2) * 0.8 * (level - 3) + rng.normal(0, 0.05, len(level))
        rows.append(UNITS.assign(wave=wave, use=own))
    both = pd.concat(rows)
    high = UNITS.nlargest(16, "base")["unit"].tolist()[::2]
    chosen = match_units(both, ["use"], unit="unit", treated=high, wave="wave", since=2, size="people")
    options = {"unit": "unit", "wave": "wave", "treated": list(chosen.treated), "since": 2, "size": "people"}
    plain = sm.pilot(both, "use", **options).tidy()["estimate"].item()
    matched = sm.pilot(both, "use", **options, comparison=chosen.comparison).tidy()["estimate"].item()
    assert abs(matched) < abs(plain) / 2


def test_caliper_leaves_out_what_has_no_match():
    result = found(caliper=0.3)
    assert len(result.treated) < 8 and len(result.comparison) == len(result.treated)
    assert "units_left_out" in {finding.name for finding in result.findings}


def test_result_is_drawn_and_told():
    result = found()
    plt.close(result.plot().figure)
    assert result.to_html() and "then" in result.alt_text()
    assert not [name for name in PILOTED if name in result.to_text() + result.to_csv() + str(result.to_record())]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"treated": []}, DataError, "No unit"),
        ({"treated": ["u99"]}, StudyError, "no unit"),
        ({"treated": "u01"}, StudyError, "must be a list"),
        ({"ratio": 9}, DataError, "need 72 others"),
        ({"ratio": 0}, StudyError, "ratio"),
        ({"caliper": 0}, StudyError, "caliper"),
        ({"caliper": 1e-9}, DataError, "near enough"),
        ({"wave": "size"}, StudyError, "since="),
        ({"min_n": 500}, DisclosureError, "fewer than 500"),
        ({"unit": "team"}, DataError, "no column"),
    ],
)
def test_what_cannot_be_matched_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        found(**options)


def test_units_that_tables_hide_take_no_part():
    survey = sm.open_study("quarterly-pulse").survey("clean")
    with pytest.raises(DisclosureError, match="hidden in tables"):
        match_units(survey, ["leadership"], unit="unit", treated=["Quality Management", "Customer Service"])
    matched = match_units(survey, ["leadership"], unit="unit", treated=["Customer Service"])
    assert not {"Facilities", "Quality Management"} & set(matched.comparison)
    assert matched.glance()["n_groups"] == 12


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(StudyError, match="list of columns"):
        match_units(UNITS, "size", **HOW)
    with pytest.raises(DataError, match="not a number"):
        match_units(UNITS.assign(text="a"), ["text"], **HOW)
    with pytest.raises(EstimationError, match="determine"):
        match_units(UNITS.assign(twice=2 * UNITS["size"]), ["size", "twice"], **HOW)


def test_units_are_given_back_as_the_data_have_them():
    numbered = UNITS.assign(unit=UNITS["unit"].str[1:].astype(int))
    chosen = [int(name[1:]) for name in PILOTED]
    result = match_units(numbered, ["size", "base"], **HOW | {"treated": chosen})
    assert result.treated == tuple(sorted(chosen)) and all(isinstance(each, int) for each in result.comparison)
    holes = pd.concat([numbered, numbered.head(1).assign(unit=np.nan)], ignore_index=True)  # makes units 1.0, 2.0, ...
    again = match_units(holes, ["size", "base"], **HOW | {"treated": chosen})
    assert again.comparison == result.comparison


def test_a_group_that_varies_more_is_said():
    frame = UNITS.assign(use=np.where(UNITS["unit"].isin(PILOTED), 3 + 4 * (np.arange(40) % 2), 5.0))
    frame["use"] += np.linspace(-0.5, 0.5, 40)
    result = match_units(frame, ["use"], **HOW)
    assert result.tidy()["ratio_after"].item() > 2
    assert "varies more in the pilot" in result.tidy()["reading"].item()
    assert "variances_differ" in {finding.name for finding in result.findings}
