"""Laws of `smstudy.survey.imputations`."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.survey.codebook import Category, Codebook, Scale, Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.imputations import impute

matplotlib.use("Agg")
AGREE = tuple(Category(value=str(i), label=f"answer {i}") for i in range(1, 6))
ITEMS = ("q1", "q2", "q3r")
BOOK = Codebook(
    title="Test",
    variables=(
        *(Variable(name=n, column=n, kind="item", categories=AGREE, reverse=n.endswith("r")) for n in ITEMS),
        Variable(name="years", column="years", kind="number"),
        Variable(name="unit", column="unit", kind="unit"),
        Variable(name="remark", column="remark", kind="text"),
    ),
    scales=(Scale(name="mood", items=ITEMS),),
)


def survey_of(n=120, seed=1, blank=20, not_shown=0):
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=n)

    def item(sign):
        return np.clip(np.round(3 + sign * trait + 0.6 * rng.normal(size=n)), 1, 5)

    answers = pd.DataFrame(
        {"q1": item(1), "q2": item(1), "q3r": item(-1), "years": rng.integers(1, 20, n).astype(float)}
    )
    answers["unit"] = np.where(rng.random(n) < 0.5, "Sales", "Legal")
    answers["remark"] = None
    answers.index = answers.index + 1000
    told = [(row, "q1", "no answer") for row in answers.index[:blank]]
    told += [(row, "q3r", "not shown") for row in answers.index[30 : 30 + not_shown]]
    missing = pd.DataFrame(told, columns=["row", "variable", "reason"])
    for row, name, _ in told:
        answers.loc[row, name] = np.nan
    return Survey(answers=answers, codebook=BOOK, missing=missing)


def test_every_blank_answer_is_filled_with_a_possible_one():
    imputed = impute(survey_of(), m=3, seed=1)
    for survey in imputed:
        assert survey.answers["q1"].isin([1, 2, 3, 4, 5]).all()
        assert survey.missing.empty and "imputed 1 variable" in survey.log[-1]


def test_answers_given_stay_and_nothing_is_changed_in_place():
    survey = survey_of()
    before = survey.answers.copy()
    filled = impute(survey, m=2, seed=1).completed(2)
    pd.testing.assert_frame_equal(survey.answers, before)
    given = before["q1"].notna()
    pd.testing.assert_series_equal(filled.answers["q1"][given], before["q1"][given])
    pd.testing.assert_frame_equal(filled.answers.drop(columns="q1"), before.drop(columns="q1"))


def test_what_was_not_asked_stays_missing_unless_asked_for():
    survey = survey_of(not_shown=12)
    kept, filled = impute(survey, m=2, seed=1), impute(survey, m=2, seed=1, impute_not_asked=True)
    assert kept.completed(1).answers["q3r"].isna().sum() == 12
    assert list(kept.completed(1).missing["reason"].unique()) == ["not shown"] and "not shown" in kept.note
    assert filled.completed(1).answers["q3r"].notna().all() and filled.completed(1).missing.empty


def test_reversed_items_stay_as_they_were_answered():
    survey = survey_of(n=300)
    survey.answers.loc[survey.answers.index[:60], "q3r"] = np.nan
    filled = impute(survey, m=2, seed=1).completed(1).answers
    assert filled[["q2", "q3r"]][:60].corr().iloc[0, 1] < -0.3


def test_what_was_done_is_said():
    imputed = impute(survey_of(), m=4, iterations=8, seed=1)
    row = imputed.tidy().iloc[0]
    assert (row["term"], row["n"], row["n_imputed"], row["n_predictors"]) == ("q1", 100, 20, 4)
    assert row["missing_share"] == 20 / 120 and row["method"] == "predictive mean matching"
    assert imputed.glance() == {
        "n": 120, "n_complete": 100, "m": 4, "missing": "imputed by predictive mean matching",
    }  # fmt: skip
    assert "4 imputations, 8 iterations" in imputed.note and "cannot show" in imputed.note


def test_counts_of_a_few_are_not_told():
    few = impute(survey_of(blank=3), m=2, seed=1)
    assert few.shown()[["n", "n_imputed", "missing_share"]].isna().all().all() and "n_complete" not in few.glance()
    left = survey_of(blank=0, not_shown=3)
    left.answers.loc[left.answers.index[40:60], "q3r"] = np.nan
    result = impute(left, m=2, seed=1)
    assert result.shown()[["n", "n_imputed", "missing_share"]].isna().all().all()
    assert result.shown()["n_predictors"].tolist() == [4]


def test_the_same_seed_gives_the_same_survey():
    one, same, other = (impute(survey_of(), m=2, seed=seed).completed(1).answers["q1"] for seed in (1, 1, 2))
    assert one.equals(same) and not one.equals(other)


def test_groups_predict_when_there_are_enough_respondents_and_are_named_otherwise():
    frame = pd.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0) % 6, "unit": ["a", "b", "c", "d"] * 10})
    frame.loc[::4, "y"] = np.nan
    assert impute(frame, m=2, seed=1).tidy()["n_predictors"].tolist() == [4]
    frame.loc[:24, "y"] = np.nan
    few = impute(frame.assign(z=np.sin(frame["x"]), w=np.cos(frame["x"])), m=2, seed=1)
    assert few.findings[0].name == "groups_left_out" and few.tidy()["n_predictors"].tolist() == [3]


def test_a_frame_is_imputed_too():
    frame = pd.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0) % 7})
    frame.loc[[3, 5, 9, 11, 20], "y"] = np.nan
    assert all(data["y"].notna().all() for data in impute(frame, m=2, seed=1))


def test_chains_that_keep_apart_are_a_finding():
    rng = np.random.default_rng(4)
    x = rng.normal(size=300)
    frame = pd.DataFrame({"x": x, "y": x + 0.001 * rng.normal(size=300)})
    lost = rng.permutation(300)
    frame.loc[lost[:140], "x"] = np.nan
    frame.loc[lost[:160], "y"] = np.nan
    found = {finding.name for finding in impute(frame, m=10, seed=1).findings}
    assert "chains_apart" in found and "much_missing" in found
    for m, severity in ((5, "warning"), (10, "serious")):
        apart = [finding for finding in impute(frame, m=m, seed=1).findings if finding.name == "chains_apart"]
        assert [finding.severity for finding in apart] == [severity]


def test_settled_chains_are_hardly_ever_a_finding():
    rng = np.random.default_rng(0)
    warned = 0
    for seed in range(30):
        x = rng.normal(size=(200, 1)) + 0.8 * rng.normal(size=(200, 5))
        frame = pd.DataFrame(x, columns=list("abcde")).mask(rng.random(x.shape) < 0.12)
        warned += "chains_apart" in {finding.name for finding in impute(frame, m=2, seed=seed).findings}
    assert warned <= 3  # 1 in 100 by design; more than 3 of 30 has a chance of 0.0002


def test_too_few_iterations_to_judge_are_a_finding():
    assert "chains_too_short" in {f.name for f in impute(survey_of(), m=2, iterations=5, seed=1).findings}


def test_the_picture_shows_the_chains():
    axes = impute(survey_of(), m=3, seed=1).plot()
    assert len(axes.lines) == 4 and axes.get_title(loc="left")
    assert impute(survey_of(blank=3), m=2, seed=1).plot().get_title(loc="left")
    matplotlib.pyplot.close("all")


def test_rows_of_people_are_not_rendered():
    imputed = impute(survey_of(), m=2, seed=1)
    record = imputed.to_record()
    assert "values" not in record and len(record["tidy"]) == 1


def test_what_cannot_be_imputed_is_refused_with_what_to_do():
    survey = survey_of()
    with pytest.raises(DataError, match="neither item nor number.*predict as they are"):
        impute(survey, variables=["q1", "unit"], seed=1)
    with pytest.raises(DataError, match='no variable "q4".*Allowed'):
        impute(survey, variables=["q1", "q4"], seed=1)
    with pytest.raises(DataError, match="nothing to impute"):
        impute(survey_of(blank=0), seed=1)
    with pytest.raises(DataError, match="beyond 1e"):
        impute(pd.DataFrame({"x": [1.0, 1e200, np.nan], "y": [1.0, 2.0, 3.0]}), seed=1)
    with pytest.raises(DataError, match="same name: x"):
        impute(pd.DataFrame([[1.0, 2.0], [np.nan, 3.0]], columns=["x", "x"]), seed=1)
    with pytest.raises(StudyError, match="needs a Survey or a DataFrame, not a dict"):
        impute({"x": [1.0, None]}, seed=1)
    with pytest.raises(DataError, match="infinite"):
        impute(pd.DataFrame({"x": [1.0, np.inf, np.nan], "y": [1.0, 2.0, 3.0]}), seed=1)
    for name, value in (("m", 1), ("iterations", 0), ("donors", 0), ("m", 2.5), ("seed", -1)):
        with pytest.raises(StudyError, match=f"{name} = {value}"):
            impute(survey, **{"seed": 1, name: value})
    with pytest.raises(StudyError, match="Allowed: 1 to 2"):
        impute(survey, m=2, seed=1).completed(3)


def test_a_variable_without_answers_is_left_out_and_said():
    survey = survey_of()
    survey.answers["years"] = np.nan
    assert impute(survey, m=2, seed=1).findings[0].name == "not_imputed"
    with pytest.raises(DataError, match="years: no answers that vary"):
        impute(survey, variables=["q1", "years"], seed=1)


def test_too_many_variables_for_the_answers_are_refused():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(30, 20)), columns=[f"v{j}" for j in range(20)])
    frame.loc[:9, "v0"] = np.nan
    with pytest.raises(EstimationError, match='"v0" has too few answers'):
        impute(frame, seed=1)
