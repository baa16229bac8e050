"""Grades of a survey and the accuracy of indices, on answers whose faults are planted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.inference.multiplicity import holm
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.grading import CANNOT_TELL, index_accuracy, quality_grade
from smstudy.survey.quality import CARELESS, quality_card
from smstudy.survey.response import response_table

AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
PARTS = ["response", "item_missing", "careless", "burden", "hazards", "overall"]


def survey(n=400, k=24, seed=1, straight=0, minutes=8.0, turned=6):
    """Six scales of four items, the last of each reversed for `turned` scales; the first `straight` people tick 4."""
    random = np.random.default_rng(seed)
    traits = np.repeat(random.normal(size=(n, 6)), 4, axis=1)
    items = np.clip(np.round(3 + traits + random.normal(0, 0.7, (n, k)) + np.repeat(random.normal(0, 0.5, 6), 4)), 1, 5)
    reverse = [place % 4 == 3 and place // 4 < turned for place in range(k)]
    items[:, reverse] = 6 - items[:, reverse]
    items[:straight] = 4
    names = [f"q{place}" for place in range(k)]
    book = {
        "title": "Test",
        "variables": [
            {"name": "unit", "kind": "unit", "categories": [{"value": 1, "label": "All"}]},
            {"name": "duration_seconds", "kind": "number"},
            *({"name": q, "kind": "item", "categories": AGREE, "reverse": r} for q, r in zip(names, reverse)),
            {"name": "check", "kind": "item", "categories": AGREE},
        ],
        "scales": [{"name": f"s{s}", "items": names[4 * s : 4 * s + 4]} for s in range(6)],
    }
    answers = pd.DataFrame(items, columns=names).assign(
        unit="All", duration_seconds=random.lognormal(np.log(60 * minutes), 0.2, n), check=2.0
    )
    return Survey(
        answers=answers,
        codebook=Codebook.model_validate(book),
        missing=pd.DataFrame(columns=["row", "variable", "reason"]),
    )


def grades(data, *, heads=None, attention=True):
    card = quality_card(data, attention={"check": "2"} if attention else None)
    frame = None if heads is None else pd.DataFrame({"unit": ["All"], "headcount": [heads]})
    return quality_grade(card, data, response=response_table(data, frame)).tidy().set_index("term")


def test_a_good_survey_gets_an_a_in_every_part():
    table = grades(survey(), heads=500)
    assert list(table.index) == PARTS
    assert (table["reading"] == "A").all()
    assert table["estimate"][:3].tolist() == [0.8, 0.0, 0.0]


@pytest.mark.parametrize(
    ("part", "data", "heads", "grade"),
    [
        ("response", {}, 700, "B"),
        ("response", {}, 1000, "C"),
        ("response", {}, 2000, "D"),
        ("response", {}, 4000, "E"),
        ("careless", {"straight": 16}, 500, "B"),
        ("careless", {"straight": 30}, 500, "C"),
        ("careless", {"straight": 44}, 500, "D"),
        ("careless", {"straight": 80}, 500, "E"),
        ("burden", {"minutes": 12}, 500, "B"),
        ("burden", {"minutes": 40}, 500, "E"),
        ("hazards", {"turned": 0}, 500, "B"),
    ],
)
def test_each_fault_lowers_its_own_grade(part, data, heads, grade):
    table = grades(survey(**data), heads=heads)
    assert table.loc[part, "reading"] == grade
    assert (table.loc[[name for name in PARTS[:5] if name != part], "reading"] == "A").all()
    of_the_answers = {"A": "A", "B": "A", "C": "B", "D": "C", "E": "D"}  # one weak part condemns no survey, but these
    assert table.loc["overall", "reading"] == (of_the_answers[grade] if part == "careless" else "A")


def test_missing_answers_lower_their_grade_and_more_at_the_end_are_a_hazard():
    data = survey()
    gone = data.answers.copy()
    gone.loc[:79, [f"q{place}" for place in range(18, 24)]] = np.nan
    table = grades(data.with_columns(gone, "broken off"), heads=500)
    assert table.loc["item_missing", "estimate"] == pytest.approx(80 * 6 / (400 * 25))  # the check is an item too
    assert table["reading"][["item_missing", "hazards"]].tolist() == ["B", "B"]
    assert table.loc["hazards", "reason"].startswith("more answers are missing at the end; one grade per hazard")


def test_the_overall_grade_is_the_second_worst():
    table = grades(survey(straight=80, minutes=25), heads=4000, attention=False)
    assert table["reading"].tolist() == ["E", "A", "E", "D", "B", "E"]


def test_what_is_not_known_cannot_be_told_and_does_not_count():
    data = survey()
    blind = data.with_columns(data.answers[["duration_seconds"]] * np.nan, "no time")
    table = grades(blind)
    assert table["reading"].tolist() == [CANNOT_TELL, "A", "A", CANNOT_TELL, "A", "A"]
    assert table.loc["response", "reason"] == "cannot tell: no head counts"
    few = grades(data.keep_rows(data.answers.index < 4, "four"), heads=5)
    assert (few["reading"] == CANNOT_TELL).all() and few["estimate"].isna().all()


def at_random(data, seed=9):
    random = np.random.default_rng(seed)
    names = [f"q{place}" for place in range(24)]
    shape = (len(data.answers), 24)
    return data.with_columns(
        pd.DataFrame(random.integers(1, 6, shape).astype(float), columns=names, index=data.answers.index), "at random"
    )


@pytest.mark.parametrize("heads", [None, 350])
def test_answers_at_random_of_everybody_get_no_grade_and_a_finding(heads):
    data = at_random(survey(n=300))
    card = quality_card(data, attention={"check": "2"})
    frame = None if heads is None else pd.DataFrame({"unit": ["All"], "headcount": [heads]})
    result = quality_grade(card, data, response=response_table(data, frame))
    table = result.tidy().set_index("term")
    assert table["reading"][["careless", "overall"]].tolist() == [CANNOT_TELL, CANNOT_TELL]
    assert "do not hang together" in table.loc["careless", "reason"]
    assert [finding.name for finding in result.findings] == ["answers_do_not_hang_together"]
    good = survey()
    assert quality_grade(quality_card(good), good).findings == ()


def test_where_answers_at_random_cannot_be_seen_few_flagged_are_no_a():
    data = at_random(survey(n=300))
    blind = replace(data, codebook=data.codebook.model_copy(update={"scales": data.codebook.scales[:2]}))
    row = quality_grade(quality_card(blind), blind).tidy().set_index("term").loc["careless"]
    assert row["reading"] == CANNOT_TELL and "answers at random would not be seen" in row["reason"]


def test_straight_lines_of_everybody_are_an_e_and_cap_the_overall_grade():
    table = grades(survey(straight=400), heads=500)
    assert table["reading"][["careless", "overall"]].tolist() == ["E", "D"]
    nearly = grades(survey(straight=397), heads=500)  # 3 others: the share is hidden, the grade tells no count
    assert np.isnan(nearly.loc["careless", "estimate"])
    assert nearly["reading"][["careless", "overall"]].tolist() == ["E", "D"]


def test_a_grade_needs_a_survey():
    data = survey()
    with pytest.raises(DataError, match="needs a Survey"):
        quality_grade(quality_card(data), data.answers)


@pytest.mark.parametrize(("n", "grade"), [(400, "A"), (60, CANNOT_TELL)])
def test_a_hidden_careless_share_has_a_grade_only_if_it_tells_no_count(n, grade):
    data = survey(n=n, straight=3)
    card = quality_card(data)
    assert 0 < card.flags.frame[CARELESS].sum() < 5
    row = quality_grade(card, data).tidy().set_index("term").loc["careless"]
    assert np.isnan(row["estimate"]) and row["reading"] == grade


def test_a_grade_is_made_from_the_card_of_the_same_respondents():
    data = survey()
    with pytest.raises(DataError, match="other respondents"):
        quality_grade(quality_card(data), data.keep_rows(data.answers["q0"] > 2, "fewer"))


# --- accuracy of the indices


def labelled(straight=40):
    data = survey(straight=straight)
    return quality_card(data), pd.Series(np.arange(len(data.answers)) < straight, index=data.answers.index)


def test_indices_of_straight_lines_find_straight_liners_and_speed_does_not():
    card, failed = labelled()
    table = index_accuracy(card, failed).tidy().set_index("term")
    assert table.loc["longstring", "estimate"] == 1 and table.loc["irv", "estimate"] == 1
    assert table.loc["seconds_per_item", "reading"] == "no better than chance"
    assert table.loc[CARELESS, "estimate"] > 0.99
    assert index_accuracy(card, failed).glance() == {"n": 400, "share": 0.1, "conf_level": 0.95}


def test_low_and_high_indices_point_the_same_way():
    card, failed = labelled()
    areas, opposite = (index_accuracy(card, label).tidy()["estimate"].dropna() for label in (failed, ~failed))
    assert len(areas) > 8 and (areas + opposite).tolist() == pytest.approx([1.0] * len(areas))  # rounding of ranks


def test_an_index_without_enough_values_cannot_be_judged():
    card, failed = labelled()  # halves that do not vary have no correlation
    row = index_accuracy(card, failed).tidy().set_index("term").loc["even_odd"]
    assert row["reading"] == CANNOT_TELL and np.isnan(row["estimate"])


def test_failed_checks_of_the_card_are_the_label_if_none_is_given():
    data = survey()
    failed = data.answers.index % 10 == 0
    data = data.with_columns(data.answers["check"].mask(failed, 5.0).to_frame(), "some failed")
    card = quality_card(data, attention={"check": "2"})
    result = index_accuracy(card)
    table = result.tidy()
    given = index_accuracy(card, pd.Series(failed, index=data.answers.index)).tidy()
    assert table.equals(given)
    assert not {"attention", CARELESS, "any"} & set(table["term"]), "they are built from the labels"
    assert "are not judged" in result.note
    assert "no_index_beats_chance" in [finding.name for finding in result.findings]


def test_other_labels_leave_the_checks_and_the_flag_to_be_judged():
    data = survey(straight=40)
    card = quality_card(data, attention={"check": "2"})
    terms = set(index_accuracy(card, pd.Series(data.answers.index < 40, index=data.answers.index)).tidy()["term"])
    assert {"attention", CARELESS} <= terms


def test_wholly_told_apart_has_no_interval_and_says_so():
    card, failed = labelled(straight=5)
    few = failed.astype(object).where(failed.index < 10)
    result = index_accuracy(card, few)
    row = result.tidy().set_index("term").loc["longstring"]
    assert row["estimate"] == 1 and np.isnan(row[["std_error", "conf_low", "conf_high"]].astype(float)).all()
    assert "no_interval" in [finding.name for finding in result.findings]


def test_one_lucky_index_among_many_does_not_beat_chance():
    card, failed = labelled()
    n_alone = n_corrected = 0
    for seed in range(100):
        label = pd.Series(np.random.default_rng(seed).permutation(failed), index=failed.index)
        result = index_accuracy(card, label)
        table = result.tidy()
        assert table["p_adjusted"].dropna().tolist() == pytest.approx(holm(table["p_value"].dropna()).tolist())
        n_alone += (table["conf_low"] > 0.5).any()
        n_corrected += "no_index_beats_chance" not in [finding.name for finding in result.findings]
    assert n_corrected <= 9 < n_alone  # 9: upper 5 % of 100 trials at .05; uncorrected about 11 chances of .025


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, float("nan")])
def test_a_level_lies_between_0_and_1(level):
    with pytest.raises(DataError, match="is no level"):
        index_accuracy(*labelled(), conf_level=level)


def test_labels_at_random_are_found_to_be_chance():
    card, failed = labelled()
    shuffled = pd.Series(np.random.default_rng(2).permutation(failed), index=failed.index)
    result = index_accuracy(card, shuffled)
    assert (result.tidy()["reading"] == "no better than chance").mean() > 0.8
    assert [finding.name for finding in result.findings] == ["no_index_beats_chance"]


def test_respondents_without_a_label_are_left_out():
    card, failed = labelled()
    partly = failed.astype(object).where(failed.index < 300)
    assert index_accuracy(card, partly).glance()["n"] == 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda failed: failed & (failed.index < 3), "Fewer than 5 respondents failed"),
        (lambda failed: failed.iloc[1:], "other respondents"),
        (lambda failed: failed.tolist(), "label is a list"),
        (lambda failed: failed.map({True: "yes", False: "no"}), "true or 1"),
        (lambda failed: failed * 2, "true or 1"),
        (lambda failed: None, "no attention checks"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(change, message):
    card, failed = labelled()
    with pytest.raises(DataError, match=message):
        index_accuracy(card, change(failed))
