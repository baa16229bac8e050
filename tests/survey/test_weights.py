"""Weights to head counts: exact, refused in words, and silent about small groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError
from smstudy.inference.regression.design import POOLED
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import NO_GROUP
from smstudy.survey.weights import EVERYBODY, nonresponse, poststratify, rake, response_test

HERE = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((HERE / "design.json").read_text())
PEOPLE = pd.read_csv(HERE / "design.csv")
EXACT = 1e-10  # both rake until margins are off by 1e-12; the way there multiplies that by the number of rounds left
BOOK = Codebook.model_validate({
    "title": "Test",
    "variables": [
        {"name": "unit", "title": "Department", "kind": "unit", "categories": [
            {"value": "1", "label": "Sales", "aliases": ["Sls"]}, {"value": "2", "label": "IT"},
            {"value": "3", "label": "Legal"}, {"value": "4", "label": "HR"}]},
        {"name": "grade", "kind": "category", "categories": [
            {"value": "1", "label": "staff"}, {"value": "2", "label": "lead"}]},
        {"name": "q1", "kind": "item", "categories": [{"value": i, "label": f"a{i}"} for i in range(1, 6)]},
    ],
})  # fmt: skip


def survey(units, grades=None):
    grades = ["staff", "lead"] * len(units) if grades is None else grades
    answers = pd.DataFrame({
        "unit": pd.Series(list(units), dtype=object), "grade": pd.Series(grades[: len(units)], dtype=object),
        "q1": np.tile([1.0, 2, 4, 5], len(units))[: len(units)],
    })  # fmt: skip
    return Survey(answers=answers, codebook=BOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def heads(**counts):
    return pd.DataFrame({"unit": list(counts), "headcount": list(counts.values())})


SALES_IT = ["Sales"] * 20 + ["IT"] * 10


def weights_of(result):
    return result.values.frame["weight"].to_numpy()


def test_raking_agrees_with_r_survey():
    counts = {name: REFERENCE["extra"][name] for name in ("unit", "grade", "site")}
    assert weights_of(rake(PEOPLE, counts)) == pytest.approx(REFERENCE["raked"]["weights"], rel=EXACT)
    based = weights_of(rake(PEOPLE, counts, base="weight0"))
    assert based == pytest.approx(REFERENCE["raked_base"]["weights"], rel=EXACT)


def test_post_stratification_agrees_with_r_survey():
    cells = pd.DataFrame(REFERENCE["extra"]["cells"])
    found = poststratify(PEOPLE, cells, pool_small=False)
    assert weights_of(found) == pytest.approx(REFERENCE["post_cells"]["weights"], rel=1e-13)  # one division each
    one = poststratify(PEOPLE, {"unit": REFERENCE["extra"]["unit"]}, base="weight0")
    assert weights_of(one) == pytest.approx(REFERENCE["post_base"]["weights"], rel=1e-13)


def test_margins_of_a_table_are_sums_of_its_cells():
    cells = pd.DataFrame(REFERENCE["extra"]["cells"])
    by_hand = {name: cells.groupby(name)["headcount"].sum().to_dict() for name in ("grade", "site")}
    assert np.array_equal(weights_of(rake(PEOPLE, cells)), weights_of(rake(PEOPLE, by_hand)))
    assert np.array_equal(weights_of(rake(PEOPLE, cells, margins=["site"])), weights_of(poststratify(
        PEOPLE, {"site": by_hand["site"]})))  # fmt: skip


def test_columns_that_are_no_margin_are_summed_over_or_refused():
    cells = pd.DataFrame({"unit": ["Sales", "Sales", "IT"], "town": ["x", "y", "x"], "headcount": [30, 10, 60]})
    assert weights_of(rake(survey(SALES_IT), cells, margins=["unit"])).tolist() == [2.0] * 20 + [6.0] * 10
    with pytest.raises(DataError, match='column "town", but the answers'):
        rake(survey(SALES_IT), cells)


def test_codes_labels_and_other_spellings_name_the_same_category():
    expected = weights_of(rake(survey(SALES_IT), heads(Sales=40, IT=60)))
    assert expected.tolist() == [2.0] * 20 + [6.0] * 10
    for frame in (heads(Sls=40, it=60), {"unit": {"1": 40, "2": 60}}, {"unit": {1.0: 40, 2.0: 60}}):
        assert np.array_equal(weights_of(rake(survey(SALES_IT), frame)), expected)


def test_the_weighted_survey_has_a_variable_of_kind_weight():
    data = survey(SALES_IT)
    weighted = rake(data, heads(Sales=40, IT=60)).survey
    assert weighted.codebook.variable("weight").kind == "weight"
    assert weighted.codebook.labels["weight"] == "Weight"
    assert weighted.answers["weight"].sum() == 100
    assert "weight" not in data.answers and "weights added" in weighted.log
    again = rake(weighted, heads(Sales=30, IT=70)).survey
    assert [v.name for v in again.codebook.variables].count("weight") == 1
    assert again.answers["weight"].sum() == pytest.approx(100, rel=1e-12)  # rounding only


def test_weights_of_a_bare_frame_have_no_survey():
    with pytest.raises(DataError, match="needs a Survey"):
        _ = rake(survey(SALES_IT).answers, {"unit": {"Sales": 40, "IT": 60}}).survey


def test_the_design_effect_is_kishs():
    found = rake(survey(SALES_IT), heads(Sales=40, IT=60))
    glance, weights = found.glance(), weights_of(found)
    assert glance["deff"] == pytest.approx(1 + weights.var() / weights.mean() ** 2, rel=1e-12)  # another order of sums
    assert glance["n_effective"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=1e-12)
    assert (glance["weight_low"], glance["weight_high"]) == (2.0, 6.0)


def test_no_weight_of_a_few_is_told():
    found = rake(survey(["Sales"] * 20 + ["IT"] * 3 + ["HR"] * 9), heads(Sales=40, IT=30, HR=10), pool_small=False)
    assert weights_of(found).max() == 10
    assert found.glance() == {"n": 32}
    shown = found.shown().set_index("group")
    assert shown.loc[["IT", "HR"]].select_dtypes("number").isna().all(axis=None)
    assert "10.0" not in repr(found) and "10.00" not in found.to_html()
    assert repr(found.values).startswith("32 rows x 1 columns")


def test_no_rendering_holds_the_weight_of_a_person():
    found = rake(survey(SALES_IT, ["staff"] * 7 + ["lead"] * 23), {"unit": {"Sales": 40, "IT": 60},
                                                                   "grade": {"staff": 31, "lead": 69}})  # fmt: skip
    told = json.dumps(found.to_record()) + found.to_html() + found.to_csv() + repr(found)
    assert "weight_mean" in told and not any(str(weight) in told for weight in weights_of(found)[:7])
    assert set(found.to_record()["tidy"][0]) <= {"term", "group", "n", "n_frame", "share", "share_frame", "weight_mean"}


def test_small_categories_are_weighted_together():
    found = rake(survey(["Sales"] * 20 + ["IT"] * 3 + ["HR"] * 9), heads(Sales=40, IT=30, HR=10))
    assert found.tidy()["group"].tolist() == ["Sales", POOLED]
    assert weights_of(found).tolist() == [2.0] * 20 + [40 / 12] * 12
    assert "hidden" not in found.tidy() and "deff" in found.glance()
    assert [finding.name for finding in found.findings] == ["categories_pooled"]


def test_a_category_nobody_answered_in_is_pooled_or_refused():
    frame = heads(Sales=40, IT=60, Legal=8)
    assert weights_of(rake(survey(SALES_IT), heads(Sales=40, IT=60, Legal=0))).sum() == 100
    with pytest.raises(DataError, match=r"Nobody in Legal"):
        rake(survey(SALES_IT), frame, pool_small=False)
    with pytest.raises(DataError, match="No two categories"):
        rake(survey(SALES_IT[:20]), heads(Sales=40, Legal=8))
    three = rake(survey([*SALES_IT, *["HR"] * 8]), heads(Sales=40, IT=60, HR=12, Legal=8))
    assert three.tidy()["group"].tolist() == ["Sales", "IT", POOLED]
    assert weights_of(three)[-1] == 20 / 8


def test_respondents_the_head_counts_do_not_know_are_refused():
    for frame in (heads(Sales=40), heads(Sales=40, IT=0)):
        with pytest.raises(DataError, match=r'respondents in IT \("unit"\)'):
            rake(survey(SALES_IT), frame)


def test_respondents_who_state_no_unit_are_refused_or_keep_their_share():
    data = survey([*SALES_IT, *[None] * 10])
    with pytest.raises(DataError, match='missing="keep"'):
        rake(data, heads(Sales=40, IT=60))
    found = rake(data, heads(Sales=40, IT=60), missing="keep")
    table = found.tidy().set_index("group")
    assert table.loc[NO_GROUP, "share_frame"] == table.loc[NO_GROUP, "share"] == 0.25
    assert weights_of(found).sum() == pytest.approx(100, rel=1e-12)  # rounding only
    assert weights_of(found)[-1] == pytest.approx(2.5, rel=1e-12)  # the mean weight, 100 / 40
    assert table.loc["IT", "weight_mean"] / table.loc["Sales", "weight_mean"] == pytest.approx(3, rel=1e-12)
    assert "margin_not_stated" in {finding.name for finding in found.findings}


def test_extreme_weights_are_named_and_can_be_trimmed():
    units = ["Sales"] * 60 + ["IT"] * 10
    grades = ["staff"] * 50 + ["lead"] * 10 + ["staff"] * 5 + ["lead"] * 5
    frame = {"unit": {"Sales": 400, "IT": 200}, "grade": {"staff": 350, "lead": 250}}
    found = rake(survey(units, grades), frame)
    assert (weights_of(found).max() > 3 * weights_of(found).mean()) and not found.findings
    trimmed = rake(survey(units, grades), frame, trim=2.8)
    assert weights_of(trimmed).max() <= 2.8 * weights_of(trimmed).mean() * (1 + 1e-8)  # the limit is met to 1e-9
    table = trimmed.tidy()
    sums = (table["weight_mean"] * table["n"]).tolist()
    assert sums == pytest.approx([400, 200, 350, 250], rel=1e-11)  # 1e-12 of all
    assert trimmed.glance()["deff"] < found.glance()["deff"]
    wild = rake(survey(["Sales"] * 90 + ["IT"] * 10), heads(Sales=100, IT=900))
    assert "extreme_weights" in {finding.name for finding in wild.findings}
    with pytest.raises(EstimationError, match="Try a larger limit"):
        rake(survey(["Sales"] * 90 + ["IT"] * 10), heads(Sales=100, IT=900), trim=5)
    with pytest.raises(DataError, match="above 1"):
        rake(survey(SALES_IT), heads(Sales=40, IT=60), trim=0.5)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (pd.DataFrame({"unit": ["Sales"]}), 'no column "headcount"'),
        (pd.DataFrame({"headcount": [3]}), "no column that names groups"),
        (pd.DataFrame({"depart": ["Sales"], "headcount": [3]}), 'column "depart", but the answers'),
        (heads(Sales="many", IT=4), "head count of Sales is no number of people"),
        (heads(Sales=-1, IT=4), "head count of Sales"),
        (heads(Sales=2.5, IT=4), "head count of Sales"),
        (pd.DataFrame({"unit": ["Sales", "Sls"], "headcount": [3, 4]}), "name Sales twice"),
        (pd.DataFrame({"unit": ["Sales", None], "headcount": [3, 4]}), 'leave "unit" empty'),
        ({"unit": {"Sales": 40, "sls": 1, "IT": 60}}, "category twice"),
        ({"unit": {"Sales": 40, "IT": 60}, "grade": {"staff": 50, "lead": 51}}, "add up to 100, those of"),
    ],
)
def test_head_counts_that_do_not_fit_are_refused_in_words(frame, match):
    with pytest.raises(DataError, match=match):
        rake(survey(SALES_IT), frame)


def test_margins_that_are_not_there_and_wrong_words_are_refused():
    with pytest.raises(DataError, match='no column "grad"'):
        rake(survey(SALES_IT), heads(Sales=40, IT=60), margins=["grad"])
    with pytest.raises(DataError, match="Allowed: refuse, keep"):
        rake(survey(SALES_IT), heads(Sales=40, IT=60), missing="drop")
    with pytest.raises(DataError, match="every combination"):
        poststratify(survey(SALES_IT), {"unit": {"Sales": 1, "IT": 1}, "grade": {"staff": 1, "lead": 1}})
    with pytest.raises(DataError, match='no variable or score "nothing"'):
        rake(survey(SALES_IT), heads(Sales=40, IT=60), base="nothing")
    with pytest.raises(DataError, match="above 0"):
        rake(survey(SALES_IT).answers.assign(w=0), {"unit": {"Sales": 40, "IT": 60}}, base="w")
    with pytest.raises(DataError, match="nobody to weight"):
        rake(survey([]), heads(Sales=40))


def test_rows_in_another_order_get_the_same_weights():
    data = survey(SALES_IT)
    mixed = data.answers.sample(frac=1, random_state=1)
    turned = rake(mixed, {"unit": {"Sales": 40, "IT": 60}}).values.frame["weight"]
    assert turned.sort_index().tolist() == weights_of(rake(data, heads(Sales=40, IT=60))).tolist()


def test_the_test_of_response_agrees_with_r():
    frame = pd.DataFrame({"unit": REFERENCE["extra"]["unit"].keys(), "headcount": REFERENCE["extra"]["unit"].values()})
    row = nonresponse(PEOPLE, frame).tidy().iloc[0]
    theirs = REFERENCE["extra"]["chisq"]
    ours = [row["statistic"], row["df"], row["p_value"]]
    assert ours == pytest.approx(list(theirs.values()), rel=1e-10)  # closed form
    assert row["n"] == len(PEOPLE) and row["n_frame"] == 720


def test_equal_response_has_an_r_indicator_of_one():
    test = response_test(np.array([30.0, 60]), np.array([60.0, 120]))
    assert (test.statistic, test.p_value, test.representativity) == (0, 1, 1)


def test_the_r_indicator_recovers_planted_response():
    rng = np.random.default_rng(8)
    people, chance = np.array([400.0, 300, 300]), np.array([0.3, 0.5, 0.7])
    truth = 1 - 2 * np.sqrt(np.average((chance - np.average(chance, weights=people)) ** 2, weights=people))
    drawn = [response_test(rng.binomial(people.astype(int), chance).astype(float), people) for _ in range(400)]
    found = np.array([test.representativity for test in drawn])
    assert abs(found.mean() - truth) < 3 * found.std() / np.sqrt(400) + 0.002  # chance, and the bias of a square root


def test_a_test_of_response_keeps_its_level():
    rng = np.random.default_rng(9)
    people = np.array([60.0, 80, 100])
    drawn = rng.binomial(people.astype(int), 0.6, (800, 3)).astype(float)
    hits = [response_test(n, people).p_value < 0.05 for n in drawn]
    assert abs(np.mean(hits) - 0.05) < 0.024  # three standard errors of a share of .05 in 800 draws


def test_hidden_groups_count_as_one_in_the_test():
    units = ["Sales"] * 20 + ["IT"] * 9 + ["HR"] * 3 + ["Legal"] * 4
    one, other = (nonresponse(survey(u), heads(Sales=40, IT=20, HR=6, Legal=8)) for u in (
        units, [*units[:29], *["HR"] * 4, *["Legal"] * 3]))  # fmt: skip
    assert set(one.tidy().query("hidden")["group"]) == {"HR", "Legal"}
    assert one.to_record() == other.to_record()  # what is shown does not tell 3 and 4 from 4 and 3
    assert one.tidy().iloc[0]["df"] == 2


def test_the_response_of_all_needs_all_head_counts():
    found = nonresponse(survey(SALES_IT), heads(Sales=40))
    assert np.isnan(found.tidy().iloc[0]["response"]) and found.findings[0].name == "unit_without_head_count"
    assert "response" not in found.glance()


def test_more_respondents_than_people_are_serious():
    found = nonresponse(survey(SALES_IT), heads(Sales=40, IT=6))
    assert found.findings[0].severity == "serious" and np.isnan(found.tidy().iloc[0]["p_value"])


def test_full_response_has_no_test():
    row = nonresponse(survey(SALES_IT), heads(Sales=20, IT=10)).tidy().iloc[0]
    assert row["group"] == EVERYBODY and row["response"] == 1 and np.isnan(row["p_value"])


SHARES = {"unit": {"Sales": 0.4, "IT": 0.6}}


@pytest.mark.parametrize("function", [rake, poststratify, nonresponse])
def test_head_counts_are_whole_numbers_of_people(function):
    for frame in (SHARES, heads(Sales=0.4, IT=0.6)):
        with pytest.raises(DataError, match="Head counts are whole numbers of people"):
            function(survey(SALES_IT), frame)
    with pytest.raises(DataError, match=r"respondents in IT .* have nobody"):
        function(survey(SALES_IT), {"unit": {"Sales": 40, "IT": 0}})
    with pytest.raises(DataError, match='head counts of "unit" have nobody'):
        function(survey(SALES_IT), {"unit": {"Sales": 0, "IT": 0}})


@pytest.mark.parametrize("frame", [{}, [1, 2], {"unit": [1, 2, 3]}, {"unit": 3}, "unit", None])
@pytest.mark.parametrize("function", [rake, poststratify, nonresponse])
def test_what_is_no_table_of_head_counts_is_refused_in_words(function, frame):
    with pytest.raises(DataError, match="Head counts are a table"):
        function(survey(SALES_IT), frame)


def test_two_columns_of_one_name_and_wrong_limits_are_refused():
    frame, answers = {"unit": {"Sales": 40, "IT": 60}}, survey(SALES_IT).answers
    with pytest.raises(DataError, match='answers have more than one column "unit"'):
        rake(pd.concat([answers, answers[["unit"]]], axis=1), frame)
    with pytest.raises(DataError, match='head counts have more than one column "unit"'):
        rake(answers, pd.concat([heads(Sales=40, IT=60), heads(Sales=40, IT=60)[["unit"]]], axis=1))
    for trim in ("3", np.inf, np.nan, True):
        with pytest.raises(DataError, match="is no limit"):
            rake(answers, frame, trim=trim)


def test_large_numbers_that_name_categories_are_told_apart():
    answers = pd.DataFrame({"code": [1234567.0] * 10 + [1234568.0] * 10})
    found = rake(answers, {"code": {1234567: 30, 1234568.0: 70}})
    assert found.tidy()["group"].tolist() == ["1234567", "1234568"]
    assert found.tidy()["weight_mean"].tolist() == [3, 7]


def test_weights_are_of_the_rows_they_were_made_from():
    answers = survey(SALES_IT).answers
    found = rake(answers, {"unit": {"Sales": 40, "IT": 60}})
    assert found.of(answers.assign(q1=1.0)).tolist() == weights_of(found).tolist()
    for other in (answers.sample(frac=1, random_state=1).reset_index(drop=True), answers.drop(columns="unit"),
                  answers.assign(unit=None)):  # fmt: skip
        with pytest.raises(DataError, match='other answers to "unit"'):
            found.of(other)
    with pytest.raises(DataError, match="other respondents"):
        found.of(answers.iloc[:20])
    begun = rake(answers.assign(w=np.arange(1.0, 31)), {"unit": {"Sales": 40, "IT": 60}}, base="w")
    with pytest.raises(DataError, match='other answers to "w"'):
        begun.of(answers.assign(w=np.arange(30.0, 0, -1)))


def test_gaps_that_were_filled_since_leave_the_weights_as_they_are():
    data = survey([*SALES_IT, *[None] * 10])
    found = rake(data, heads(Sales=40, IT=60), missing="keep")
    filled = data.with_columns(data.answers[["unit"]].fillna("IT"), "filled")
    assert found.of(filled).tolist() == weights_of(found).tolist()


def test_the_response_says_what_it_does_with_respondents_without_a_group():
    silent = nonresponse(survey([*SALES_IT, *[None] * 10]), heads(Sales=40, IT=60))
    assert "margin_not_stated" in {finding.name for finding in silent.findings}
    assert silent.tidy().iloc[0]["response"] == 0.4
    assert not nonresponse(survey(SALES_IT), heads(Sales=40, IT=60)).findings


def test_nobody_has_a_response_of_zero():
    assert nonresponse(survey([]), heads(Sales=40, IT=60)).tidy().iloc[0]["response"] == 0


def test_notes_say_what_was_cut():
    found = rake(survey(SALES_IT), heads(Sales=40, IT=60))
    assert "the 5th smallest and the 5th largest" in found.note
    assert "no difference beyond chance" in nonresponse(survey(SALES_IT), heads(Sales=40, IT=60)).note
