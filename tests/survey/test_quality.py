"""Signs of careless answering against brute force, and response tables that protect people."""

from itertools import groupby
from pathlib import Path
from statistics import stdev

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.errors import DataError, StudyError
from smstudy.survey.cleaning import clean
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.quality import (
    ANY,
    INDICES,
    gate_card,
    longstring,
    missing_share,
    quality_card,
    relative_speed,
    response_table,
    response_variability,
    seconds_per_item,
    with_flags,
    zero_variance,
)
from smstudy.survey.rules import Rule

CARELESS = Path(__file__).resolve().parents[3] / "shared" / "data" / "careless"
ROWS = st.lists(st.lists(st.integers(1, 5), min_size=7, max_size=7), min_size=1, max_size=6)
AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
UNITS = [{"value": code, "label": label} for code, label in enumerate(["IT", "HR", "Sales", "Legal"], 1)]


def survey(n=200, k=12, seed=3, careless=12):
    random = np.random.default_rng(seed)
    items = pd.DataFrame(random.integers(1, 6, (n, k)).astype(float), columns=[f"q{i}" for i in range(1, k + 1)])
    items.iloc[:careless] = 3.0
    seconds = random.uniform(6, 12, n) * k
    seconds[:careless] = 1.5 * k
    units = pd.Series(random.choice(["IT", "HR", "Sales", "Legal"], n, p=[0.5, 0.28, 0.2, 0.02]), dtype="str")
    book = Codebook.model_validate(
        {
            "title": "Test",
            "variables": [
                {"name": "unit", "kind": "unit", "title": "Department", "categories": UNITS},
                {"name": "duration_seconds", "kind": "number"},
                *({"name": name, "kind": "item", "categories": AGREE} for name in items),
            ],
        }
    )
    answers = pd.concat([units.rename("unit"), pd.Series(seconds, name="duration_seconds"), items], axis=1)
    return Survey(answers=answers, codebook=book, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def changed(data, **columns):
    return data.with_columns(data.answers.assign(**columns)[list(columns)], "changed by a test")


@given(ROWS)
def test_longstring_is_the_longest_run_of_equal_answers(rows):
    expected = [max(len(list(run)) for _, run in groupby(row)) for row in rows]
    assert longstring(np.array(rows, dtype=float)).tolist() == expected


def test_a_missing_answer_ends_a_run():
    assert longstring(np.array([[2, 2, np.nan, 2, 2, 2], [np.nan] * 6])).tolist() == [3, 0]


@given(ROWS)
def test_response_variability_is_the_standard_deviation_of_a_row(rows):
    ours = response_variability(np.array(rows, dtype=float))
    assert ours == pytest.approx([stdev(row) for row in rows], abs=1e-12)  # two ways of summing seven small numbers


def test_response_variability_leaves_missing_answers_out():
    assert response_variability(np.array([[1, np.nan, 4], [2, np.nan, np.nan]]))[0] == pytest.approx(stdev([1, 4]))
    assert np.isnan(response_variability(np.array([[2, np.nan, np.nan]]))[0])


def test_zero_variance_needs_half_of_the_items():
    items = np.array([[3, 3, 3, 3], [3, 3, np.nan, np.nan], [3, np.nan, np.nan, np.nan], [3, 3, 3, 4]], dtype=float)
    assert np.array_equal(zero_variance(items), [1, 1, np.nan, 0], equal_nan=True)


def test_speed_is_per_answered_item_and_the_median_respondent_has_speed_one():
    items, seconds = np.array([[1, 2], [1, np.nan], [3, 3.0]]), np.array([10.0, 10, 40])
    assert seconds_per_item(items, seconds).tolist() == [5, 10, 20]
    assert relative_speed(items, seconds).tolist() == [2, 1, 0.5]
    assert missing_share(items).tolist() == [0, 0.5, 0]


@pytest.mark.skipif(not CARELESS.is_dir(), reason="the reference data of R careless are not on this machine")
@pytest.mark.parametrize("name", ["careless_dataset.csv", "careless_dataset2.csv"])
def test_reference_data_of_careless_agree_with_brute_force(name):
    data = pd.read_csv(CARELESS / name).to_numpy(float)
    complete = data[~np.isnan(data).any(axis=1)]
    assert longstring(complete).tolist() == [max(len(list(run)) for _, run in groupby(row)) for row in complete]
    expected = [stdev(row) for row in complete]
    assert response_variability(complete) == pytest.approx(expected, rel=1e-12)  # double precision, 50 to 100 terms


def test_planted_careless_respondents_are_flagged_and_nobody_is_removed():
    data = survey()
    card = quality_card(data)
    flags = card.flags.frame
    assert flags.loc[:11, ["longstring", "zero_variance", "seconds_per_item", "relative_speed"]].all(axis=None)
    assert not flags.loc[12:, ["zero_variance", "seconds_per_item"]].any(axis=None)
    assert len(flags) == len(data.answers) == 200
    assert card.tidy().set_index("term")["n"].to_dict() == flags.sum().to_dict()


def test_every_index_says_where_its_cut_off_comes_from():
    card = quality_card(survey())
    assert card.tidy()["reason"].str.len().min() > 10
    assert list(card.tidy()["term"]) == [*INDICES, ANY]


def test_small_counts_of_the_card_are_hidden():
    card = quality_card(survey(careless=3))
    shown = card.shown().set_index("term")
    assert shown.loc["zero_variance", ["n", "share"]].isna().all() and shown.loc["zero_variance", "hidden"]
    assert "hidden" in card.to_text()


@pytest.mark.parametrize(
    ("n", "hidden"),
    [
        ([10, 2, 12], [False, True, True]),  # 12 at least one, 10 of them by the first: the second is 2 or more
        ([10, 2, 11], [False, True, False]),
        ([10, 8, 15], [False, False, False]),
        ([0, 2, 2], [False, True, True]),
        ([97, 0, 97], [True, False, True]),  # all but 3
    ],
)
def test_the_union_does_not_give_a_hidden_count_away(n, hidden):
    rows = pd.DataFrame({"term": ["a", "b", ANY], "threshold": 1.0, "n": n, "share": 0.1, "reason": "r"})
    shown = gate_card(rows, 100, 5)
    assert shown.get("hidden", pd.Series([False] * 3)).tolist() == hidden


def test_flags_become_columns_that_rules_can_use():
    data = survey()
    flagged = with_flags(data, quality_card(data))
    rules = [
        Rule(id="s", stage="quality", column=column, op="flagged", action="flag", reason="r")
        for column in ("flag_zero_variance", "zero_variance")
    ]
    for one in rules:
        assert clean(flagged, [one]).tidy()["n_hit"].tolist() == [12]
    assert set(flagged.answers["flag_any"]) == {0.0, 1.0}


def test_a_card_of_other_respondents_is_refused():
    data = survey()
    other = data.keep_rows(data.answers["q1"] > 2, "fewer")
    with pytest.raises(DataError, match="other respondents"):
        with_flags(data, quality_card(other))


def test_without_a_time_speed_is_left_out_and_said():
    data = survey()
    for blind in (changed(data, duration_seconds=np.nan), changed(data, duration_seconds=0.0)):
        card = quality_card(blind)
        assert "relative_speed" not in set(card.tidy()["term"])
        assert "no_duration" in {finding.name for finding in card.findings}


def test_few_items_say_nothing_about_runs():
    card = quality_card(survey(k=3))
    assert list(card.tidy()["term"]) == ["missing_share", "seconds_per_item", "relative_speed", ANY]
    assert "few_items" in {finding.name for finding in card.findings}


def test_all_items_missing_is_a_card_and_no_crash():
    data = survey()
    card = quality_card(changed(data, **{f"q{i}": np.nan for i in range(1, 13)}))
    assert card.tidy().set_index("term").loc["missing_share", "n"] == 200


def test_thresholds_can_be_set_by_name_only():
    card = quality_card(survey(), thresholds={"longstring": 12})
    row = card.tidy().set_index("term").loc["longstring"]
    assert (row["threshold"], row["reason"]) == (12, "set for this study")
    with pytest.raises(StudyError, match='Did you mean "longstring"'):
        quality_card(survey(), thresholds={"longstrings": 12})


def test_repeated_answers_are_a_finding_and_straight_lines_are_none():
    data = survey()
    assert "repeated_answers" not in {finding.name for finding in quality_card(data).findings}
    twice = data.answers.copy()
    twice.iloc[150] = twice.iloc[100]
    again = data.with_columns(twice, "one response twice")
    assert "repeated_answers" in {finding.name for finding in quality_card(again).findings}


def frame(**counts):
    return pd.DataFrame({"unit": list(counts), "headcount": list(counts.values())})


def test_response_is_respondents_per_head():
    data = survey()
    table = response_table(data, frame(IT=160, HR=90, Sales=60, Legal=8)).tidy().set_index("group")
    counts = data.answers["unit"].value_counts()
    assert table["n"].to_dict() == counts.to_dict()
    assert table.loc["IT", "response"] == counts["IT"] / 160


def test_a_small_department_is_hidden_with_another_one():
    response = response_table(survey(), frame(IT=160, HR=90, Sales=60, Legal=8))
    shown = response.shown().set_index("group")
    assert 0 < response.tidy().set_index("group").loc["Legal", "n"] < 5
    assert shown["hidden"].to_dict() == {"HR": True, "IT": False, "Legal": True, "Sales": False}
    assert shown.loc[["Legal", "HR"], ["n", "n_frame", "response"]].isna().all(axis=None)


def test_a_department_without_an_answer_is_there_with_zero():
    data = survey()
    without = data.keep_rows(data.answers["unit"] != "HR", "no HR")
    table = response_table(without, frame(IT=160, HR=90, Sales=60, Legal=8))
    assert table.tidy().set_index("group").loc["HR", ["n", "response"]].tolist() == [0, 0]


def test_no_head_count_is_a_finding():
    response = response_table(survey(), None)
    assert [finding.name for finding in response.findings] == ["no_head_count"]
    assert "response" not in response.glance() and response.glance()["n"] == 200
    assert response.table().headings == ("Group", "n")
    assert len(response.plot().texts) == 2  # two departments are hidden


def test_respondents_without_a_department_count_in_the_response_of_all():
    data = survey()
    unknown = changed(data, unit=data.answers["unit"].where(data.answers.index >= 20))
    response = response_table(unknown, frame(IT=160, HR=90, Sales=60, Legal=10))
    assert response.glance() == {"n": 200, "n_groups": 4, "response": 200 / 320}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (frame(IT=0), "head count of IT"),
        (frame(IT=1.5), "head count of IT"),
        (pd.DataFrame({"unit": ["IT", " it "], "headcount": [4, 5]}), "IT twice"),
        (pd.DataFrame({"unit": ["IT"], "heads": [4]}), 'no column "headcount"'),
    ],
)
def test_wrong_head_counts_are_refused(counts, message):
    with pytest.raises(DataError, match=message):
        response_table(survey(), counts)


def test_departments_that_do_not_fit_are_findings():
    names = {finding.name for finding in response_table(survey(), frame(IT=20, HR=90, Sales=60)).findings}
    assert names == {"unit_without_head_count", "more_than_head_count"}
