"""What people answered: unused answers stay, counts add up, and nothing small follows from what is shown."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.display import likert
from smstudy.errors import DataError
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.distributions import distribution, mean_ranks

matplotlib.use("Agg")
AGREE = [
    {"value": i, "label": label}
    for i, label in enumerate(("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree"), 1)
]
RANKS = [{"value": i, "label": f"Rank {i}"} for i in (1, 2, 3)]
CODEBOOK = Codebook.model_validate(
    {
        "title": "t",
        "variables": [
            *({"name": f"q{i}", "kind": "item", "categories": AGREE, "reverse": i == 2} for i in (1, 2)),
            *({"name": f"r{i}", "kind": "item", "categories": RANKS} for i in (1, 2, 3)),
            {"name": "tools", "kind": "multi-select", "categories": [{"value": v, "label": v.upper()} for v in "abc"]},
            {"name": "age", "kind": "number"},
            {"name": "role", "kind": "category", "categories": [{"value": c, "label": c.upper()} for c in "abcd"]},
        ],
        "scales": [{"name": "use", "title": "Use", "items": ["q1", "q2"]}],
    }
)


def survey_of(**columns) -> Survey:
    frame = pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in columns.items()})
    return Survey(answers=frame, codebook=CODEBOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def test_answers_nobody_gave_stay_with_zero():
    rows = distribution(survey_of(q1=[1] * 10 + [4] * 10), "q1").tidy()
    assert rows["answer"].tolist() == [entry["label"] for entry in AGREE]
    assert rows["n"].tolist() == [10, 0, 0, 10, 0]


def test_counts_of_a_question_add_up_to_all_respondents():
    made = distribution(survey_of(q1=[1] * 10 + [np.nan] * 7, q2=[5] * 17), "use")
    assert made.tidy().groupby("term")["n"].sum().tolist() == [17, 17]
    assert made.tidy()["answer"].tolist().count("No answer") == 2


def test_no_hidden_count_follows_from_the_number_of_respondents():
    roles = pd.DataFrame({"role": ["A"] * 20 + ["B"] * 2 + ["C"] * 9 + ["D"] * 30})
    shown = distribution(replace(survey_of(q1=[1]), answers=roles), "role").shown()
    assert shown.loc[shown["hidden"], "answer"].tolist() == ["B", "C"]
    assert shown.loc[shown["hidden"], ["n", "share"]].isna().all(axis=None)


def test_no_hidden_count_follows_from_the_mean_and_spread_of_an_item():
    rare, common = [1] * 3 + [2] * 20 + [3] * 43 + [4] * 40 + [5] * 14, [2] * 40 + [3] * 40 + [4] * 40
    shown = distribution(survey_of(q1=[*rare, *[np.nan] * 3], q2=[*common, *[np.nan] * 3]), "use").shown()
    assert shown.loc[shown["hidden"] & (shown["term"] == "q1"), "answer"].tolist()[:5] == [e["label"] for e in AGREE]
    assert shown.loc[shown["hidden"] & (shown["term"] == "q2"), "answer"].tolist() == ["No answer"]


def test_five_hidden_counts_stay_open_where_number_mean_and_spread_are_known():
    counts, codes = np.array([3, 20, 43, 40, 14]), np.arange(1, 6)
    known = np.array([np.ones(5, int), codes, codes**2])
    possible = {
        (one, two, *rest.round().astype(int).tolist())
        for one in range(121)
        for two in range(121 - one)
        if np.abs(
            (rest := np.linalg.solve(known[:, 2:], known @ counts - known[:, :2] @ [one, two])).round() - rest
        ).max()
        < 1e-9  # whole numbers, but for rounding
        and rest.min() > -0.5
    }
    assert tuple(counts) in possible and {each[0] for each in possible} >= set(range(1, 11))


def test_nothing_is_shown_where_everybody_answers_alike():
    made = distribution(survey_of(q1=[3] * 40, q2=[1] * 20 + [2] * 20), "use")
    assert made.shown().groupby("term")["hidden"].all().to_dict() == {"q1": True, "q2": False}
    assert [finding.name for finding in made.findings] == ["all_alike_hidden"]


def test_a_choice_is_hidden_when_few_chose_it_and_when_few_did_not():
    made = distribution(survey_of(tools_a=[1] * 38 + [0] * 2, tools_b=[1] * 3 + [0] * 37, tools_c=[1, 0] * 20), "tools")
    shown = made.shown().set_index("answer")
    assert shown["hidden"].to_dict() == {"A": True, "B": True, "C": False}


def test_rankings_are_ordered_by_mean_rank():
    survey = survey_of(r1=[3] * 20, r2=[1] * 15 + [2] * 5, r3=[2] * 15 + [1] * 5)
    assert mean_ranks(survey, CODEBOOK.variables[2:5]) == {"r1": 3.0, "r2": 1.25, "r3": 1.75}
    assert list(dict.fromkeys(distribution(survey, ["r1", "r2", "r3"]).tidy()["term"])) == ["r2", "r3", "r1"]


def test_answers_that_give_a_rank_twice_are_no_ranking():
    assert mean_ranks(survey_of(r1=[1, 2], r2=[1, 3], r3=[2, 1]), CODEBOOK.variables[2:5]) is None


@pytest.mark.parametrize("names", ["age", ["q1", "r1"], ["tools", "q1"], []])
def test_what_cannot_be_counted_together_is_refused(names):
    survey = survey_of(q1=[1, 2], r1=[1, 2], age=[30, 40], tools_a=[1, 0], tools_b=[1, 0], tools_c=[1, 0])
    with pytest.raises(DataError):
        distribution(survey, names)


def test_the_picture_has_every_answer_in_its_legend():
    ax = distribution(survey_of(q1=[1] * 10 + [4] * 10), "q1").plot()
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(words) == {entry["label"] for entry in AGREE}


def test_the_middle_of_eleven_answers_is_seven_and_eight():
    shares = np.full((1, 11), 1 / 11)
    assert likert.left_of_middle(shares)[0] == pytest.approx(8 / 11)  # 7 of 11 left, half of 2 in the middle


def test_the_words_of_a_picture_name_no_hidden_count():
    made = distribution(survey_of(q1=[1] * 20 + [2] * 2 + [3] * 9 + [4] * 30, q2=[1] * 20 + [3] * 41), "use")
    assert "Disagree 3" not in made.alt_text() and "Strongly disagree 33" in made.alt_text()


@pytest.mark.parametrize("few", [1, 4])
def test_the_hatched_part_of_a_bar_does_not_tell_how_many_it_hides(few):
    answers = [1] * (40 - few) + [2] * few + [4] * 20
    ax = distribution(survey_of(q1=answers, q2=[1, 2, 4] * 20), "use").plot()
    hatched = [bar.get_width() for bars in ax.containers for bar in bars if bar.get_hatch()]
    assert hatched == [1.0, 0.0]
    roles = pd.DataFrame({"role": ["A"] * 20 + ["B"] * few + ["C"] * 9 + ["D"] * (30 - few)})
    ax = distribution(replace(survey_of(q1=[1]), answers=roles), "role").plot()
    hatched = [bar.get_width() for bars in ax.containers for bar in bars if bar.get_hatch()]
    assert hatched == pytest.approx([likert.HIDDEN_WIDTH])  # its end less its beginning, both rounded


def test_several_answers_are_drawn_by_frequency():
    survey = survey_of(tools_a=[1] * 10 + [0] * 30, tools_b=[1] * 30 + [0] * 10, tools_c=[1, 0] * 20)
    ax = distribution(survey, "tools").plot()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["B", "C", "A"]


def test_departments_are_hidden_as_in_every_other_table():
    import smstudy as sm

    run = sm.open_study("quarterly-pulse")
    shown = sm.distribution(run.survey(), "unit").shown()
    elsewhere = run.response().shown()
    hidden = set(elsewhere.loc[elsewhere["hidden"], "group"]) - {"(not stated)"}
    assert set(shown.loc[shown["hidden"], "answer"]) - {"No answer"} == hidden
