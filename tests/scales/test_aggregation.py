"""Laws of averaging to departments: R's values, verdicts, what is hidden, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import smstudy
from smstudy.errors import CodebookError, DataError
from smstudy.result import write_record
from smstudy.scales.aggregation import Agreement, agreement
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "aggregation.json").read_text(encoding="utf-8"))
TRUTH = Path(__file__).parents[2] / "data" / "demo-organization" / "truth.json"
ITEMS = ["q1", "q2", "q3", "q4"]


def reference() -> pd.DataFrame:
    return pd.read_csv(HERE / "aggregation.csv")


def made(sizes: list[int], *, between: float, seed: int = 1, noise: float = 0.7) -> pd.DataFrame:
    """Four items answered 1 to 5 in departments of given sizes."""
    rng = np.random.default_rng(seed)
    places = np.repeat(np.arange(len(sizes)), sizes)
    latent = rng.normal(0, between, len(sizes))[places] + rng.normal(0, 0.7, len(places))
    answers = np.clip(np.round(3 + latent[:, None] + rng.normal(0, noise, (len(places), 4))), 1, 5)
    return pd.DataFrame(answers, columns=ITEMS).assign(unit=[f"U{place:02d}" for place in places])


def survey_of(frame: pd.DataFrame, reverse: tuple[str, ...] = ()) -> Survey:
    answers = [{"value": str(i), "label": f"answer {i}"} for i in range(1, 6)]
    units = [{"value": name, "label": name} for name in sorted(frame["unit"].dropna().unique())]
    codebook = {
        "title": "T",
        "variables": [
            *({"name": n, "kind": "item", "categories": answers, "reverse": n in reverse} for n in ITEMS),
            {"name": "unit", "kind": "unit", "categories": units},
        ],
        "scales": [{"name": "use", "items": ITEMS}],
    }
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=frame, codebook=Codebook.model_validate(codebook), missing=blank)


def row_of(result: Agreement) -> pd.Series:
    return result.tidy().iloc[0]


# R


def test_agrees_with_multilevel() -> None:
    complete = reference().dropna()
    row, expected = row_of(agreement(complete, by="group", options=5)), R["unequal"]
    found = row[["icc_1_mean_size", "icc_2_mean_size", "statistic", "df", "df_residual", "n"]].tolist()
    wanted = [expected["icc_1"], expected["icc_2"], expected["F"], *expected["df"], expected["n"]]
    np.testing.assert_allclose(np.array(found, float), wanted, atol=1e-10)  # sums of a hundred squares


def test_agreement_of_the_departments_that_are_shown_is_that_of_multilevel() -> None:
    rows = agreement(reference(), by="group", options=5).departments.tidy()
    shown = rows[~rows["hidden"]]
    columns = {name: R["unequal"][name] for name in ("groups", "size", "rwg", "skewed")}
    expected = pd.DataFrame(columns).set_index("groups").loc[shown["group"]]
    np.testing.assert_allclose(shown["rwg"], expected["rwg"], atol=1e-12)  # closed form
    np.testing.assert_allclose(shown["rwg_skewed"], expected["skewed"], atol=1e-12)  # closed form
    assert shown["n"].tolist() == expected["size"].tolist()


def test_the_demo_shows_the_planted_departments() -> None:
    planted = json.loads(TRUTH.read_text(encoding="utf-8"))["icc1"]["wave_2"]
    survey = smstudy.open_study("quarterly-pulse").survey("clean")
    rows = agreement(survey).tidy().set_index("term")
    for name, truth in planted.items():
        assert rows.loc[name, "icc_1_low"] < truth < rows.loc[name, "icc_1_high"]
    assert set(rows["verdict"]) <= {"allowed", "cannot tell"}


# verdicts


def test_departments_that_agree_and_differ_may_be_averaged() -> None:
    row = row_of(agreement(survey_of(made([25] * 20, between=0.8, noise=0.4))))
    assert row["verdict"] == "allowed" and row["rwg_skewed"] >= 0.7
    assert "members agree" in row["reason"] and "departments differ" in row["reason"]


def test_agreement_that_hangs_on_how_random_answers_are_thought_of_cannot_be_told() -> None:
    row = row_of(agreement(survey_of(made([25] * 20, between=0.8))))
    assert row["rwg_skewed"] < 0.7 <= row["rwg"]
    assert row["verdict"] == "cannot tell"
    assert "not if they would lean to one side" in row["reason"]


def test_where_no_leaning_answers_are_published_the_even_ones_decide() -> None:
    frame = made([25] * 20, between=0.8, noise=0.4)
    frame[ITEMS] = frame[ITEMS].clip(2, 4) - 1
    row = row_of(agreement(frame, by="unit", options=3))
    assert np.isnan(row["rwg_skewed"]) and "nobody can tell" not in row["reason"]


def test_one_item_is_refused_in_the_words_of_agreement() -> None:
    with pytest.raises(DataError, match="Agreement about a scale needs two items"):
        agreement(made([25] * 4, between=0.8)[["q1", "unit"]], by="unit", options=5)


def test_departments_that_do_not_differ_may_not_be_averaged() -> None:
    row = row_of(agreement(survey_of(made([12] * 30, between=0.0))))
    assert row["verdict"] == "not allowed"
    assert "ICC(" in row["reason"]


def test_members_who_do_not_agree_forbid_averaging() -> None:
    rng = np.random.default_rng(1)
    ends = np.where(rng.random((400, 1)) < 0.5, 1.0, 5.0)
    spread = np.where(rng.random((400, 4)) < 0.9, ends, 6 - ends)
    frame = pd.DataFrame(spread, columns=ITEMS).assign(unit=[f"U{i % 10}" for i in range(400)])
    row = row_of(agreement(survey_of(frame)))
    assert row["verdict"] == "not allowed"
    assert "members do not agree" in row["reason"]


def test_few_departments_leave_the_verdict_open() -> None:
    row = row_of(agreement(survey_of(made([15] * 5, between=0.35, seed=3))))
    assert row["verdict"] == "cannot tell"


def test_it_says_how_many_more_respondents_are_needed() -> None:
    row = row_of(agreement(survey_of(made([6] * 40, between=0.2, seed=1))))
    assert row["n_needed"] == np.ceil(1.5 * (1 - row["icc_1"]) / row["icc_1"])
    assert "more respondents per department" in row["reason"]


def test_without_the_number_of_answers_agreement_is_not_known() -> None:
    frame = made([25] * 20, between=0.8)
    row = row_of(agreement(frame, by="unit"))
    assert np.isnan(row["rwg"]) and row["verdict"] == "cannot tell"
    assert "rWG(J) is not known" in row["reason"]


def test_reversed_items_are_turned_round() -> None:
    frame = made([20] * 10, between=0.6)
    turned = frame.assign(q2=6 - frame["q2"])
    pd.testing.assert_frame_equal(
        agreement(survey_of(frame)).tidy(), agreement(survey_of(turned, reverse=("q2",))).tidy()
    )


# privacy


def test_small_departments_are_hidden_with_a_second_one_and_left_out() -> None:
    frame = made([3, 9, 20, 20, 20], between=0.6)
    result = agreement(survey_of(frame))
    rows = result.departments.shown()
    assert set(rows.loc[rows["hidden"], "group"]) == {"U00", "U01"}
    assert rows.loc[rows["hidden"], ["n", "rwg", "rwg_skewed"]].isna().all().all()
    assert rows.loc[rows["hidden"], "reading"].isna().all()
    without = agreement(survey_of(frame[frame["unit"].isin(["U02", "U03", "U04"])]))
    assert row_of(result)["n"] == row_of(without)["n"] == 60
    assert row_of(result)["icc_1"] == pytest.approx(row_of(without)["icc_1"], abs=1e-12)  # the same respondents


def test_a_department_in_which_all_agree_is_hidden() -> None:
    frame = made([8, 9, 20, 20, 20], between=0.6)
    frame.loc[frame["unit"] == "U00", ITEMS] = [4, 2, 5, 3]
    for rows in (
        agreement(survey_of(frame)).departments.tidy(),
        agreement(frame, by="unit", options=5).departments.tidy(),
    ):
        hidden = set(rows.loc[rows["hidden"], "group"])
        assert "U00" in hidden and len(hidden) >= 2
        assert not (rows["rwg"] == 1).any()


def test_all_who_answered_everything_agree_is_hidden_too() -> None:
    frame = made([10, 11, 20, 20, 20], between=0.6)
    first = frame.index[frame["unit"] == "U00"]
    frame.loc[first[:6], ITEMS] = [4, 2, 5, 3]
    frame.loc[first[6:], "q1"] = np.nan
    rows = agreement(survey_of(frame)).departments.tidy()
    assert "U00" in set(rows.loc[rows["hidden"], "group"])


def test_no_rendering_shows_a_hidden_department() -> None:
    result = agreement(survey_of(made([3, 9, 20, 20, 20], between=0.6))).departments
    assert np.isnan(result.shown().set_index("group").loc["U00", "rwg"])
    for text in (result.to_html(), result.to_text(), write_record(result)):
        assert "U00" in text


def test_one_step_of_one_person_in_a_small_department_is_not_told() -> None:
    frame = made([5, 6, 9, 40, 40], between=0.6)
    frame.loc[frame["unit"] == "U00", ITEMS] = 4
    frame.loc[0, "q1"] = 5
    result = agreement(survey_of(frame))
    rows, kept = result.departments.shown().set_index("group"), result.departments.tidy().set_index("group")
    ratio = 0.2 / 4 / 2  # one of five is a step higher in one of four items; 2: variance of answers spread evenly
    expected = 4 * (1 - ratio) / (4 * (1 - ratio) + ratio)
    assert kept.loc["U00", "rwg"] == pytest.approx(expected, abs=1e-12)  # closed form
    assert rows.loc[["U00", "U01", "U02"], ["rwg", "rwg_skewed"]].isna().all().all()
    assert rows.loc["U00", "reading"] == "very strong agreement" and rows.loc["U00", "n"] == 5
    large = rows.loc[["U03", "U04"], ["rwg", "rwg_skewed"]]
    assert large.notna().all().all() and (large == large.round(2)).all().all()
    assert str(kept.loc["U00", "rwg"]) not in write_record(result.departments) + result.departments.to_csv()


def test_the_median_agreement_is_shown_in_two_decimals() -> None:
    result = agreement(survey_of(made([20, 21, 22], between=0.6)))
    row = result.shown().iloc[0]
    assert row["rwg"] == round(row_of(result)["rwg"], 2) != row_of(result)["rwg"]


# contract


def test_results_use_the_vocabulary() -> None:
    result = agreement(survey_of(made([20] * 6, between=0.6)))
    assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    assert set(result.departments.tidy()) <= set(TIDY)
    assert result.plot().get_title(loc="left")


# bad input


def test_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="fewer than two groups"):
        agreement(made([40], between=0.5), by="unit", options=5)


def test_groups_of_one_are_refused() -> None:
    with pytest.raises(DataError, match="has one respondent"):
        agreement(made([1] * 40, between=0.5), by="unit", options=5)


def test_a_survey_with_small_groups_only_is_refused() -> None:
    with pytest.raises(DataError, match="fewer than two groups that may be shown"):
        agreement(survey_of(made([3] * 10, between=0.5)))


def test_unreversed_items_are_a_serious_finding() -> None:
    frame = made([20] * 6, between=0.6)
    result = agreement(survey_of(frame.assign(q2=6 - frame["q2"])))
    assert row_of(result)["verdict"] == "refused"
    assert "q2 is answered against the other items" in result.findings[0].text
    assert result.findings[0].severity == "serious"
    with pytest.raises(DataError, match="q2 is answered against"):
        agreement(frame.assign(q2=6 - frame["q2"]), by="unit", options=5)


def test_constant_scores_are_refused() -> None:
    frame = made([20] * 6, between=0.6).assign(q1=3.0, q2=3.0, q3=3.0, q4=3.0)
    with pytest.raises(DataError, match="same answer"):
        agreement(frame, by="unit", options=5)


@pytest.mark.parametrize("options", [1, 2.5, 3])
def test_answers_outside_the_scale_are_refused(options: float) -> None:
    with pytest.raises(DataError, match=f"options = {options}|outside 1 to 3"):
        agreement(made([20] * 6, between=0.6), by="unit", options=options)


def test_an_unknown_group_or_scale_is_refused() -> None:
    frame = made([20] * 6, between=0.6)
    with pytest.raises(DataError, match="team"):
        agreement(survey_of(frame), by="team")
    with pytest.raises(CodebookError):
        agreement(survey_of(frame), ["nothing"])
    with pytest.raises(DataError, match="by="):
        agreement(frame)
    with pytest.raises(DataError, match="no scales"):
        agreement(frame, ["use"], by="unit")
    with pytest.raises(DataError, match="options is for frames"):
        agreement(survey_of(frame), options=5)


def test_a_survey_without_departments_says_so():
    answers = pd.DataFrame({"a": [1.0, 2, 3, 4, 5] * 6, "b": [1.0, 3, 3, 4, 4] * 6})
    agree = [{"value": str(code), "label": f"answer {code}"} for code in range(1, 6)]
    items = [{"name": name, "kind": "item", "categories": agree} for name in answers]
    book = Codebook.model_validate({"title": "T", "variables": items, "scales": [{"name": "s", "items": ["a", "b"]}]})
    with pytest.raises(DataError, match="no departments to average to"):
        agreement(Survey(answers=answers, codebook=book, missing=pd.DataFrame(columns=["row", "variable", "reason"])))


def test_in_very_unequal_groups_estimates_lie_in_their_intervals() -> None:
    rng = np.random.default_rng(3)
    sizes = [400, *[5] * 8]
    shift = np.repeat([0.0, *[1.6, -1.6] * 4], sizes)
    latent = shift + rng.normal(0, 0.5, sum(sizes))
    answers = np.clip(np.round(3 + latent[:, None] + rng.normal(0, 0.4, (sum(sizes), 4))), 1, 5)
    frame = pd.DataFrame(answers, columns=ITEMS).assign(unit=np.repeat([f"U{i}" for i in range(9)], sizes))
    row = row_of(agreement(frame, by="unit", options=5))
    assert row["icc_1_mean_size"] < row["icc_1_low"] < row["icc_1"] < row["icc_1_high"]
    assert row["icc_2_low"] < row["icc_2"] < row["icc_2_high"]


def test_in_groups_of_equal_size_both_ways_of_estimating_are_one() -> None:
    row = row_of(agreement(made([30] * 10, between=0.6), by="unit", options=5))
    assert row["icc_1"] == pytest.approx(row["icc_1_mean_size"], abs=1e-12)  # a root to 1e-14
    assert row["icc_2"] == pytest.approx(row["icc_2_mean_size"], abs=1e-12)  # the same


def test_estimates_of_tiny_groups_lie_in_their_intervals_and_below_0_are_explained() -> None:
    below = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.integers(1, 6, (10, 4)), columns=ITEMS).assign(unit=rng.choice(list("ABCDEF"), 10))
        try:
            found = agreement(frame, by="unit", options=5)
        except DataError:
            continue
        row, laid_out = row_of(found), found.layout(found.shown())
        assert row["icc_1_low"] <= row["icc_1"] <= row["icc_1_high"]
        assert row["icc_2_low"] <= row["icc_2"] <= row["icc_2_high"]
        assert (laid_out[["icc_2", "icc_2_low", "icc_2_high"]] >= 0).all(axis=None)
        below += row["icc_1"] < 0
        assert "no more than chance" in found.note
    assert below > 5


def test_the_note_of_a_table_without_options_says_what_is_missing() -> None:
    frame = made([20] * 6, between=0.6)
    assert "rWG(J) needs options=" in agreement(frame, by="unit").note
    assert "options=" not in agreement(frame, by="unit", options=5).note
    assert "options=" not in agreement(survey_of(frame)).note


def test_a_column_of_text_beside_the_groups_is_no_item() -> None:
    frame = made([20] * 6, between=0.6).assign(country="DE")
    with pytest.raises(DataError, match="country holds no numbers. Give only the items and unit"):
        agreement(frame, by="unit")
    with pytest.raises(DataError, match="q1 holds numbers stored as text"):
        agreement(frame.drop(columns="country").astype({"q1": str}), by="unit")
