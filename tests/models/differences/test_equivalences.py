"""Laws of `smstudy.models.differences.equivalences`: verdicts from data and from results, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.models.differences.equivalences import CANNOT_TELL, DIFFERENT, EQUIVALENT, SMALL_BUT_THERE, equivalence

FOLDER = Path(__file__).parents[2] / "reference"
EXPECTED = json.loads((FOLDER / "comparisons.json").read_text())
PEOPLE = pd.read_csv(FOLDER / "comparisons.csv")


def people(n=200, shift=0.0, seed=1):
    rng = np.random.default_rng(seed)
    site = np.tile(["N", "S"], n // 2)
    use = 3 + shift * (site == "N") + rng.normal(0, 1, n)
    return pd.DataFrame({"site": site, "use": use, "before": 0.7 * use + rng.normal(0.9, 0.7, n),
                         "yes": (use > 3).astype(float), "age": rng.normal(40, 9, n)})  # fmt: skip


def row(*arguments, **options):
    return equivalence(*arguments, **options).tidy().iloc[0]


def names_of(result):
    return {finding.name for finding in result.findings}


def test_two_groups_agree_with_two_one_sided_tests_of_r():
    found = row(PEOPLE, "agree", group="level", levels=("e3", "e5"), bounds=0.3)
    assert found["p_equivalent"] == pytest.approx(max(EXPECTED["tost_groups"]["p"]), rel=1e-8)  # closed form


def test_pairs_values_and_correlations_agree_with_r():
    for name, options in (("pairs", {"against": "social", "bounds": 0.3}), ("value", {"against": 4.7, "bounds": 0.1}),
                          ("r", {"other": "age", "bounds": 0.15})):  # fmt: skip
        expected = EXPECTED[f"tost_{name}"]
        found = row(PEOPLE, "agree", **options)
        assert found["p_equivalent"] == pytest.approx(max(expected["p"]), rel=1e-7)  # closed form
        narrow = [found["narrow_low"], found["narrow_high"]]
        np.testing.assert_allclose(narrow, expected["narrow"], rtol=1e-8)  # closed form


def test_shares_of_two_groups_agree_with_likelihoods_of_r():
    found = row(PEOPLE, "high", group="gender", bounds=0.1)
    got = [found[name] for name in ("conf_low", "conf_high", "narrow_low", "narrow_high")]
    wanted = [*EXPECTED["shares"]["wide"], *EXPECTED["shares"]["narrow"]]
    np.testing.assert_allclose(got, wanted, atol=1e-7)  # both search the ends


@pytest.mark.parametrize(
    ("n", "shift", "bounds", "verdict", "says"),
    [
        (4000, 0.0, 0.3, EQUIVALENT, "at most"),
        (4000, 0.15, 0.4, SMALL_BUT_THERE, "higher, but by too little"),
        (400, 1.0, 0.2, DIFFERENT, "higher, by enough"),
        (400, 0.4, 0.35, DIFFERENT, "whether by enough to matter is open"),
        (40, 0.0, 0.2, CANNOT_TELL, "too little data"),
    ],
)
def test_each_verdict_is_reached(n, shift, bounds, verdict, says):
    found = row(people(n, shift), "use", group="site", bounds=bounds)
    assert found["verdict"] == verdict and says in found["reading"]


def test_a_verdict_follows_from_both_intervals():
    for seed in range(30):
        found = row(people(120, 0.2, seed), "use", group="site", bounds=0.45)
        different = not found["conf_low"] <= 0 <= found["conf_high"]
        equivalent = found["narrow_low"] > -0.45 and found["narrow_high"] < 0.45
        wanted = (
            (SMALL_BUT_THERE if equivalent else DIFFERENT) if different else EQUIVALENT if equivalent else CANNOT_TELL
        )
        assert found["verdict"] == wanted


def test_swapping_groups_turns_the_effect_but_not_the_verdict():
    one, two = (row(people(), "use", group="site", levels=pair, bounds=0.3) for pair in (("N", "S"), ("S", "N")))
    assert one["estimate"] == pytest.approx(-two["estimate"], abs=1e-14)  # one subtraction
    assert one["verdict"] == two["verdict"]


def test_unequal_bounds_ask_for_more_on_one_side():
    frame = people(400)
    wide, tight = (row(frame, "use", group="site", bounds=bounds) for bounds in ((-0.4, 0.4), (-0.4, 0.01)))
    assert wide["verdict"] == EQUIVALENT and tight["verdict"] == CANNOT_TELL


def test_several_outcomes_are_corrected_by_holm():
    frame = people(150)
    both = equivalence(frame, ["use", "before"], group="site", bounds=0.4).tidy()
    alone = [row(frame, name, group="site", bounds=0.4) for name in ("use", "before")]
    assert both["p_equivalent"].tolist() == pytest.approx([each["p_equivalent"] for each in alone])  # the same numbers
    assert len(both) == 2 and "verdict" not in equivalence(frame, ["use", "before"], group="site", bounds=0.4).glance()


def test_a_row_of_a_regression_is_tested_as_the_means_are():
    frame = people(300, 0.1)
    fit = sm.regress("use ~ C(site, ref='S')", frame, covariance="classical")
    found = row(fit, "site[N]", bounds=0.3)
    north_less_south = -frame.groupby("site")["use"].mean().diff().iloc[-1]
    assert found["estimate"] == pytest.approx(north_less_south, rel=1e-10)  # least squares instead of means
    assert found["verdict"] in (EQUIVALENT, CANNOT_TELL, SMALL_BUT_THERE)


def test_a_slope_in_standard_deviations_is_a_correlation():
    fit = sm.regress("use ~ age", people(300), covariance="classical")
    found = row(fit, "age", bounds=0.2, unit="sd")
    assert found["estimate"] == pytest.approx(people(300)[["use", "age"]].corr().iloc[0, 1], rel=1e-10)  # one driver


def test_a_pair_of_a_comparison_is_tested_as_the_groups_are():
    frame = people(300, 0.1)
    there = row(sm.compare_groups(frame, "use", "site"), "use", levels=("N", "S"), bounds=0.3)
    here = row(frame, "use", group="site", bounds=0.3)
    assert there["p_equivalent"] == pytest.approx(here["p_equivalent"], rel=1e-10)  # the same Welch test


def test_changes_between_waves_are_tested():
    run = sm.open_study("quarterly-pulse")
    change = sm.changes(run.survey("clean"), run.previous_survey(), ["adoption"], person="panel")
    found = row(change, "adoption", bounds=0.3)
    assert found["estimate"] == change.tidy()["difference"][0] and found["verdict"] == EQUIVALENT


def test_rows_whose_interval_does_not_follow_from_the_error_are_refused():
    ranks = sm.compare_groups(people(), "use", "site", method="kruskal")
    with pytest.raises(EstimationError, match="does not follow"):
        equivalence(ranks, "use", bounds=0.2)


def test_a_hidden_row_cannot_be_tested():
    run = sm.open_study("quarterly-pulse")
    change = sm.changes(run.survey("clean"), run.previous_survey(), ["adoption"], person="panel", unit="unit")
    hidden = change.shown().query("hidden")["group"].iloc[0]
    with pytest.raises(DisclosureError, match="hidden"):
        equivalence(change, "adoption", group=hidden, bounds=0.3)


def test_without_bounds_the_error_says_how_to_choose_them():
    with pytest.raises(StudyError, match="before looking at the data"):
        equivalence(people(), "use", group="site")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"bounds": 0}, StudyError, "no room around zero"),
        ({"bounds": -0.3}, StudyError, "no room around zero"),
        ({"bounds": (0.3, -0.3)}, StudyError, "no room around zero"),
        ({"bounds": (0.1, 0.3)}, StudyError, "no room around zero"),
        ({"bounds": "wide"}, StudyError, "no room around zero"),
        ({"bounds": float("nan")}, StudyError, "no room around zero"),
        ({"bounds": True}, StudyError, "no room around zero"),
        ({"bounds": "0.3"}, StudyError, "no room around zero"),
        ({"bounds": ("-0.3", "0.3")}, StudyError, "no room around zero"),
        ({"bounds": (-0.3, float("inf"))}, StudyError, "one side only"),
        ({"group": None, "against": True}, StudyError, "is no value"),
        ({"group": None, "against": [3]}, StudyError, "is no value"),
        ({"unit": "points"}, StudyError, "unit"),
        ({"group": None}, StudyError, "one of group="),
        ({"against": 3}, StudyError, "one of group="),
        ({"group": None, "against": "use"}, StudyError, "against itself"),
        ({"group": None, "against": "site"}, DataError, "is text"),
        ({"group": None, "against": "befor"}, DataError, 'Did you mean "before"'),
        ({"group": None, "other": "age", "bounds": 1.5}, StudyError, "between -1 and 1"),
        ({"group": None, "other": "age", "unit": "sd"}, StudyError, "are correlations"),
        ({"outcome": "yes", "unit": "sd"}, StudyError, "two answers"),
        ({"outcome": "yes", "bounds": 5}, StudyError, "5 points in 100"),
        ({"outcome": "yes", "group": None, "against": 3}, StudyError, "no share"),
        ({"outcome": "site", "group": "yes", "levels": ("0", "9")}, DataError, 'no group "9"'),
        ({"levels": ("N", "N")}, StudyError, "two different groups"),
        ({"outcome": []}, StudyError, "at least one outcome"),
    ],
)
def test_bad_input_gets_one_clear_error(options, error, says):
    with pytest.raises(error, match=says):
        equivalence(people(), **{"outcome": "use", "group": "site", "bounds": 0.3} | options)


def test_bounds_may_be_numbers_of_numpy():
    plain = row(people(), "use", group="site", bounds=(-1, 1))["p_equivalent"]
    for bounds in (np.int64(1), np.float64(1), np.array([-1, 1]), [-1, np.int32(1)]):
        assert row(people(), "use", group="site", bounds=bounds)["p_equivalent"] == plain


def test_more_than_two_groups_must_be_named():
    frame = people(60).assign(site=list("NSE") * 20)
    with pytest.raises(DataError, match="levels="):
        equivalence(frame, "use", group="site", bounds=0.3)


def test_the_same_change_of_everybody_is_refused():
    frame = people().assign(before=lambda table: table["use"] - 1)
    with pytest.raises(DisclosureError, match="same for all"):
        equivalence(frame, "use", against="before", bounds=0.3)


def test_bounds_that_swallow_large_effects_are_told():
    assert "wide_bounds" in names_of(equivalence(people(), "use", group="site", bounds=1.5))
    assert "wide_bounds" not in names_of(equivalence(people(), "use", group="site", bounds=0.3))


def test_effects_in_raw_units_have_a_standardized_one_beside():
    found = row(people(400, 0.5), "use", group="site", bounds=0.3)
    assert found["g"] == pytest.approx(found["estimate"], rel=0.15)  # the spread within groups is near 1


def test_pooling_equal_data_changes_nothing():
    result = equivalence(people(), "use", group="site", bounds=0.3)
    assert result.pooling().covariance[0, 0] == pytest.approx(result.tidy()["std_error"][0] ** 2)
    with pytest.raises(EstimationError, match="no standard error"):
        equivalence(people(), "yes", group="site", bounds=0.2).pooling()


def test_the_picture_shows_bounds_and_verdict():
    ax = equivalence(people(), "use", group="site", bounds=0.3).plot()
    assert "cannot tell" in ax.get_yticklabels()[0].get_text() or "equivalent" in ax.get_yticklabels()[0].get_text()
    plt.close(ax.get_figure())


def test_changes_of_a_few_are_refused():
    frame = people().assign(use=3.0, before=3.0)
    frame.loc[:99, ["use", "before"]] = 4.0
    frame.loc[:2, "before"] = 1.0
    with pytest.raises(DisclosureError, match="all but fewer than 5"):
        equivalence(frame, "use", against="before", bounds=0.3)
