"""Laws of `smstudy.models.drivers.necessities`: verdicts, what is refused, and what a reader must not learn."""

from __future__ import annotations

import json
import re
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, SmstudyError, StudyError
from smstudy.inference.ceilings import corner_line, corners
from smstudy.models.drivers.necessities import _reading, _verdict, necessity
from smstudy.result import Result, write_record

QUICK = {"n_permutations": 199}
TERMS = ["leadership", "readiness", "usefulness", "concerns"]


def planted(n=200, seed=1):
    """`need` caps the outcome, `goes` is only correlated with it, `chance` has nothing to do with it."""
    rng = np.random.default_rng(seed)
    need, chance = rng.random((2, n))
    y = rng.random(n) * np.minimum(1, 0.2 + need)
    goes = y + 0.25 * rng.normal(size=n)
    return pd.DataFrame({"need": need, "goes": goes, "chance": chance, "y": y})


@cache
def survey():
    return sm.open_study("quarterly-pulse").survey("clean")


def verdicts(result):
    return dict(zip(result.tidy()["term"], result.tidy()["verdict"]))


def renderings(result: Result):
    yield from (result.to_text(), result.to_html(), result.to_latex(), result.to_csv(), result.alt_text())
    yield write_record(result)


def numbers_in(text):
    return np.array([float(each) for each in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)])


# Verdicts


def test_planted_necessity_is_told_from_correlation_and_chance():
    found = verdicts(necessity("y ~ need + goes + chance", planted(), **QUICK))
    assert found["need"] == "necessary"
    assert found["goes"] == "correlated, necessity not shown"
    assert found["chance"] == "not necessary"


def test_correlated_data_are_not_called_necessary():
    rng = np.random.default_rng(8)
    called = []
    for _ in range(20):
        frame = pd.DataFrame(rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 120), columns=["x", "y"])
        called.append(verdicts(necessity("y ~ x", frame, n_permutations=99))["x"])
    assert called.count("necessary") <= 4  # 5 or more of 20 at a level of 5 % have a chance of .3 %
    assert called.count("correlated, necessity not shown") > 10


def test_few_respondents_are_too_few_data():
    result = necessity("y ~ chance", planted(60), **QUICK)
    assert verdicts(result) == {"chance": "too few data"}
    assert "too_little_data" in {finding.name for finding in result.findings}
    assert verdicts(necessity("y ~ need", planted(20), **QUICK)) == {"need": "too few data"}


def row_of(**changes):
    calm = {"effect_size": 0.3, "effect_low": 0.2, "effect_high": 0.4}
    return calm | {"p_value": 0.001, "p_correlated": 0.001, "p_spread": 0.001, "p_adjusted": 0.001} | changes


@pytest.mark.parametrize(
    ("changes", "n", "verdict", "says"),
    [
        ({}, 200, "necessary", "hardly occur without it"),
        ({"p_correlated": 0.2, "p_adjusted": 0.2}, 200, "correlated, necessity not shown", "correlation alone may"),
        ({"p_spread": 0.2, "p_adjusted": 0.2}, 200, "correlated, necessity not shown", "spreads more may explain"),
        ({"p_adjusted": 0.09}, 200, "correlated, necessity not shown", "not certain after correction"),
        ({"effect_low": 0.05}, 200, "correlated, necessity not shown", "rests on a few respondents"),
        ({"effect_size": 0.09, "effect_low": 0.05}, 200, "not necessary", "too small to count"),
        ({"effect_size": 0.03, "effect_low": 0.02, "effect_high": 0.08}, 60, "not necessary", "too small to count"),
        ({"p_value": 0.2, "p_adjusted": 0.2}, 200, "too few data", "cannot tell"),
        ({"effect_size": 0.03, "effect_low": 0.02}, 60, "too few data", "cannot tell"),
        ({}, 29, "too few data", "cannot tell"),
    ],
)
def test_the_reading_follows_the_condition_that_failed(changes, n, verdict, says):
    row = row_of(**changes)
    found = _verdict(row, n)
    assert found == verdict and says in _reading(found, row)
    assert not re.search("no larger|no more than chance", _reading(found, row))


def test_a_printed_p_below_its_level_is_never_read_as_correlation():
    """Three useless conditions beside a needed one, so that the correction often fails."""
    rng, contradicted = np.random.default_rng(1), 0
    for seed in range(4):
        x = rng.beta(2, 2, 120)
        frame = pd.DataFrame(rng.normal(size=(120, 3)), columns=["a", "b", "c"])
        frame = frame.assign(x=x, y=rng.beta(2, 2, 120) * np.minimum(1, 0.2 + x))
        rows = necessity("y ~ x + a + b + c", frame, n_permutations=99, seed=seed).tidy()
        told = rows["reading"].str.contains("correlation alone")
        contradicted += (told & (rows["p_correlated"] < 0.05)).sum()
    assert contradicted == 0


def test_one_wild_outcome_never_shows_that_something_is_not_necessary():
    frame = planted(200)
    assert verdicts(necessity("y ~ need", frame, **QUICK)) == {"need": "necessary"}
    for place in (0, 100):
        wild = frame.copy()
        wild.loc[place, "y"] = 3.0
        result = necessity("y ~ need", wild, **QUICK)
        row = result.tidy().iloc[0]
        assert row["verdict"] != "not necessary" or row["effect_size"] < 0.10
        assert "verdict_rests_on_few" in {finding.name for finding in result.findings}


def test_a_verdict_that_no_few_can_turn_has_no_such_finding():
    rng = np.random.default_rng(3)
    x = rng.random(400)
    frame = pd.DataFrame({"x": x, "y": rng.random(400) * np.minimum(1, 0.1 + x), "idle": rng.random(400)})
    result = necessity("y ~ x", frame, **QUICK)
    assert verdicts(result) == {"x": "necessary"}
    assert "verdict_rests_on_few" not in {finding.name for finding in result.findings}


def test_unequal_spread_is_said_where_it_may_explain_the_corner():
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=300)
        frame = pd.DataFrame({"x": x, "y": 0.5 * x + np.exp(0.2 * x) * rng.normal(size=300)})
        result = necessity("y ~ x", frame, **QUICK)
        row = result.tidy().iloc[0]
        names = {finding.name: finding.severity for finding in result.findings}
        expected = row["verdict"].startswith("correlated") and row["p_correlated"] < 0.05 <= row["p_spread"]
        assert (names.get("spread_looks_like_a_ceiling") == "warning") == expected
        found.append(expected)
    assert any(found)


def test_more_conditions_need_a_smaller_p():
    one = necessity("y ~ need", planted(), **QUICK).tidy()
    three = necessity("y ~ need + goes + chance", planted(), **QUICK).tidy()
    assert three["p_adjusted"][0] == pytest.approx(3 * one["p_adjusted"][0])
    assert three["p_value"][0] == one["p_value"][0]


def test_the_scope_changes_the_effect_but_not_the_tests():
    ranges = {"need": (0, 2), "y": (0, 1)}
    plain = necessity("y ~ need", planted(), **QUICK).tidy()
    wide = necessity("y ~ need", planted(), scope="theoretical", ranges=ranges, **QUICK).tidy()
    assert plain["effect_size"][0] != pytest.approx(wide["effect_size"][0], abs=0.01)
    assert (plain["p_value"][0], plain["p_correlated"][0]) == (wide["p_value"][0], wide["p_correlated"][0])


def test_a_low_level_can_be_what_is_needed():
    frame = planted().assign(fear=lambda people: 1 - people["need"])
    high = necessity("y ~ need", frame, **QUICK).tidy().iloc[0]
    low = necessity("y ~ fear", frame, low=["fear"], **QUICK).tidy().iloc[0]
    for name in ("effect_step", "effect_line", "p_value", "p_correlated", "p_spread"):
        assert low[name] == pytest.approx(high[name], abs=1e-9)  # rounding of 1 - x


def test_the_result_repeats_with_its_seed():
    first, second = (necessity("y ~ need + goes", planted(), seed=3, **QUICK) for _ in range(2))
    pd.testing.assert_frame_equal(first.tidy(), second.tidy())


# The demo organization: adoption has no ceiling, only causes


def test_no_driver_of_the_demo_is_called_necessary():
    result = necessity("adoption ~ " + " + ".join(TERMS), survey(), low=["concerns"], **QUICK)
    assert "necessary" not in verdicts(result).values()
    assert (result.tidy()["p_value"][:3] < 0.05).all()
    assert "permutation_test_not_enough" in {finding.name for finding in result.findings}


def test_levels_of_the_answer_scale_come_from_the_codebook():
    result = necessity("adoption ~ leadership", survey(), levels="actual", **QUICK).bottleneck
    assert set(result.tidy()["outcome_level"]) == set(np.arange(1, 5.5, 0.5))
    assert "%" not in result.to_text()


# What a reader must not learn


def secrets(frame, name):
    """Numbers that single respondents stand behind: corners, ends of the scope, the straight ceiling."""
    x, y = frame[name].to_numpy(), frame["y"].to_numpy()
    found = corners(x, y)
    ends = [x.min(), x.max(), y.min(), y.max()]
    raw = np.concatenate([found.x, found.y, ends, corner_line(found)])
    percent = np.concatenate([(found.x - x.min()) / np.ptp(x), (found.y - y.min()) / np.ptp(y)])
    inner = percent[(percent > 0) & (percent < 1)]
    return np.concatenate([raw, inner, 100 * inner])


@pytest.mark.parametrize("options", [{}, {"ceiling": "cr_fdh"}, {"scope": "theoretical", "levels": "actual"}])
def test_no_corner_is_told_in_any_rendering(options):
    frame = planted(seed=4)
    if "scope" in options:
        options = options | {"ranges": {"need": (-0.5, 1.5), "goes": (-2, 3), "y": (0, 1.2)}}
    result = necessity("y ~ need + goes", frame, **options, **QUICK)
    hidden = np.concatenate([secrets(frame, "need"), secrets(frame, "goes")])
    for part in (result, result.bottleneck, result.checklist):
        for text in renderings(part):
            shown = numbers_in(text)
            gaps = np.abs(shown[:, None] - hidden[None, :])
            assert not (gaps < 1e-6).any(), type(part)  # far below the distance of chance hits


def test_effect_sizes_are_shown_with_two_decimals():
    shown = necessity("y ~ need + goes", planted(), **QUICK).shown()
    for name in ("effect_size", "effect_step", "effect_line", "effect_low", "effect_high"):
        np.testing.assert_array_equal(shown[name], shown[name].round(2))


def test_the_table_is_the_same_whether_nobody_or_four_people_are_in_the_corner():
    levels = np.repeat(np.arange(11.0), 10)
    frame = pd.DataFrame({"x": levels, "y": levels})
    frame.loc[0, "x"] = 0.5
    moved = frame.copy()
    moved.loc[moved.index[-4:], "x"] = 0.0
    tables = [necessity("y ~ x", part, **QUICK) for part in (frame, moved)]
    assert tables[0].tidy()["effect_step"][0] > tables[1].tidy()["effect_step"][0]
    assert tables[0].bottleneck.to_text() == tables[1].bottleneck.to_text()


def staircases(rows, columns, empty):
    """How many step ceilings leave so many cells of a grid empty: partitions that fit into a box."""
    ways = np.zeros((rows + 1, columns + 1, empty + 1))
    ways[..., 0] = 1
    for row in range(1, rows + 1):
        for width in range(1, columns + 1):
            ways[row, width] = ways[row, width - 1]
            ways[row, width, width:] += ways[row - 1, width, : max(0, empty + 1 - width)]
    return ways[rows, columns, empty]


@pytest.mark.parametrize(("steps", "n"), [(3, 80), (5, 100), (5, 400), (9, 150), (17, 150), (17, 300)])
def test_no_effect_size_tells_the_ceiling_of_answers_in_steps(steps, n):
    """A reader who knows the possible answers and the effect size counts the ceilings that fit it."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        trait = rng.normal(size=n)
        cut = [np.clip(np.round(2 * (trait + rng.normal(size=n)) * steps / 10 + steps / 2), 1, steps) for _ in "xy"]
        frame = pd.DataFrame({"x": cut[0], "y": cut[1]})
        shown = necessity("y ~ x", frame, n_permutations=99).shown()
        exact = necessity("y ~ x", frame, n_permutations=99).tidy()["effect_step"][0]
        rows, columns = frame["x"].nunique() - 1, frame["y"].nunique() - 1
        fitting = staircases(rows, columns, round(exact * rows * columns))
        assert np.isnan(shown["effect_step"][0]) or fitting >= 100
        for name in ("effect_low", "effect_high"):
            told = (shown[name][0] + 0.005) * rows * columns  # shown with two decimals
            assert np.isnan(told) or told >= 13
        hidden = shown[["effect_size", "effect_line", "p_value", "p_correlated", "p_spread", "p_adjusted"]].isna()
        assert hidden.to_numpy().all() == np.isnan(shown["effect_step"][0])


def test_the_checklist_says_where_effect_sizes_are_hidden():
    def reported(result):
        return result.checklist.tidy().set_index("check")["verdict"].filter(like="31.").item()

    steps = np.random.default_rng(2).integers(1, 6, 200).astype(float)
    frame = planted().assign(steps=steps, answer=np.clip(steps + np.random.default_rng(3).integers(-1, 2, 200), 1, 5))
    assert reported(necessity("y ~ need", frame, **QUICK)) == "yes"
    hidden = necessity("answer ~ steps", frame, **QUICK)
    assert hidden.shown()["effect_size"].isna().all() and reported(hidden) == "no"
    both = necessity("answer ~ steps + need", frame, **QUICK)
    if both.shown()["effect_size"].notna().any():
        assert reported(both) == "in part"


def test_a_falling_condition_is_pointed_to_low():
    frame = planted().assign(fear=lambda people: -people["y"] + 0.001 * people["chance"])
    names = {finding.name for finding in necessity("y ~ fear", frame, **QUICK).findings}
    assert "goes_with_less" in names
    turned = necessity("y ~ fear", frame, low=["fear"], **QUICK)
    assert "goes_with_less" not in {finding.name for finding in turned.findings}


def test_a_number_of_numpy_is_a_number():
    found = necessity("y ~ need", planted(), n_permutations=np.int64(199)).tidy()
    pd.testing.assert_frame_equal(found, necessity("y ~ need", planted(), n_permutations=199).tidy())


def test_departments_that_answer_alike_are_named():
    result = necessity("adoption ~ leadership", survey(), **QUICK)
    assert "teams_answer_alike" in {finding.name for finding in result.findings}
    assert "teams_answer_alike" not in {finding.name for finding in necessity("y ~ need", planted(), **QUICK).findings}


def test_what_is_not_told_is_said():
    likert = np.tile(np.arange(1.0, 6), 30)
    noise = np.random.default_rng(1).integers(-1, 2, 150)
    result = necessity("y ~ x", pd.DataFrame({"x": likert, "y": np.clip(likert + noise, 1, 5)}), **QUICK)
    assert "effect_not_shown" in {finding.name for finding in result.findings}
    assert result.tidy()["verdict"][0] in result.to_text() and result.plot() is not None
    plt.close("all")


def test_levels_few_people_reach_are_hidden():
    table = necessity("y ~ need", planted(), **QUICK).bottleneck.shown()
    frame = planted()
    share = (frame["y"] - frame["y"].min()) / np.ptp(frame["y"])
    few = [(share >= level / 100 - 1e-9).sum() < 5 for level in table["outcome_level"]]
    assert table["hidden"].tolist() == few and table["needed_level"].isna().tolist() == few
    assert "hidden" in necessity("y ~ need", planted(), **QUICK).bottleneck.to_text()


def test_accuracy_does_not_tell_how_few_are_above_the_line():
    result = necessity("y ~ need + goes + chance", planted(), **QUICK)
    for above, share in zip(result.above, result.shown()["accuracy"]):
        assert np.isnan(share) == (0 < above < 5)
    accuracy = result.checklist.tidy().set_index("check")["verdict"].filter(like="25.").item()
    assert accuracy in ("yes", "no")
    few = necessity("y ~ need", planted(60), **QUICK).checklist.tidy()
    assert few.set_index("check")["verdict"].filter(like="25.").item() == "cannot tell"


def test_a_higher_threshold_is_kept():
    result = necessity("y ~ need", planted(), min_n=12, **QUICK)
    assert "fewer than 12" in result.bottleneck.note
    with pytest.raises(DisclosureError, match="only be raised"):
        necessity("y ~ need", planted(), min_n=3, **QUICK)


# What is refused


@pytest.mark.parametrize(
    ("change", "formula", "match"),
    [
        ({"y": 1.0}, "y ~ need", "same value"),
        ({"need": 2.0}, "y ~ need", "same value"),
        ({"need": "high"}, "y ~ need", "one level"),
        ({"need": ["low", "high"] * 100}, "y ~ need", '"need" is text'),
        ({"y": ["low", "high"] * 100}, "y ~ need", '"y" is text'),
        ({}, "y ~ absent", "no column"),
    ],
)
def test_columns_that_have_no_ceiling_are_refused(change, formula, match):
    with pytest.raises(DataError, match=match):
        necessity(formula, planted().assign(**change), **QUICK)


def test_a_condition_that_is_the_outcome_is_refused():
    for copy in (planted()["y"], 3 - 2 * planted()["y"]):
        with pytest.raises(DataError, match="gives the outcome exactly"):
            necessity("y ~ need + twin", planted().assign(twin=copy), **QUICK)


def test_fewer_respondents_than_the_threshold_are_refused():
    with pytest.raises(DisclosureError):
        necessity("y ~ need", planted(4), **QUICK)


@pytest.mark.parametrize("formula", ["y ~ log(need)", "y ~ need * goes", "y ~ C(need)", "y ~ 1", "scale(y) ~ need"])
def test_only_plain_columns_have_a_ceiling(formula):
    with pytest.raises(StudyError):
        necessity(formula, planted(), **QUICK)


@pytest.mark.parametrize(
    "options",
    [
        {"ceiling": "cefdh"},
        {"scope": "all"},
        {"levels": "points"},
        {"low": "need"},
        {"low": ["goes"]},
        {"n_permutations": 5},
        {"scope": "theoretical"},
        {"levels": "actual"},
        {"scope": "theoretical", "ranges": {"need": (1, 0), "y": (0, 1)}},
        {"scope": "theoretical", "ranges": {"need": (0, 0.5), "y": (0, 1)}},
        {"scope": "theoretical", "ranges": {"neeed": (0, 1), "y": (0, 1)}},
    ],
)
def test_options_that_cannot_be_used_are_refused(options):
    with pytest.raises(SmstudyError):
        necessity("y ~ need", planted(), **(QUICK | options))


# Renderings


def test_renderings_and_pictures_work():
    result = necessity("y ~ need + goes", planted(), **QUICK)
    for part in (result, result.bottleneck):
        axes = part.plot()
        assert axes.get_title(loc="left") == part.title
        plt.close(axes.figure)
    assert json.loads(write_record(result.checklist))["kind"] == "NecessityChecklist"
    assert "necessary" in result.alt_text() and "at least" in result.bottleneck.alt_text()


def test_dropped_rows_are_counted_and_found():
    frame = planted()
    frame.loc[:49, "need"] = np.nan
    result = necessity("y ~ need", frame, **QUICK)
    assert result.glance()["n_dropped"] == 50
    assert "many_dropped" in {finding.name for finding in result.findings}
