"""Laws of scoring."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import CodebookError, DataError
from smstudy.result import write_record
from smstudy.scales.scoring import items_of, reverse, score
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey

AGREE = [{"value": str(i), "label": f"answer {i}"} for i in range(1, 6)]
BLANK = pd.DataFrame(columns=["row", "variable", "reason"])


def survey_of(answers: dict[str, list[float]], **scale: object) -> Survey:
    items = [{"name": n, "kind": "item", "categories": AGREE, "reverse": n.endswith("_r")} for n in answers]
    scale = {"name": "trust", "items": list(answers), **scale}
    codebook = Codebook.model_validate({"title": "T", "variables": items, "scales": [scale]})
    return Survey(answers=pd.DataFrame(answers, dtype=float), codebook=codebook, missing=BLANK)


MISSING = float("nan")
ANSWERS = {
    "a": [1, 5, MISSING, 4, MISSING, 2],
    "b": [2, 5, 3, 4, MISSING, 2],
    "c_r": [5, 1, MISSING, 2, MISSING, MISSING],
    "d": [1, 4, MISSING, 4, 3, 2],
}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=20))
def test_reversing_twice_changes_nothing(answers: list[int]) -> None:
    values = pd.Series(answers, dtype=float)
    pd.testing.assert_series_equal(reverse(reverse(values, 1, 7), 1, 7), values)


def test_missing_stays_missing_when_reversed() -> None:
    assert reverse(np.array([np.nan, 1.0]), 1, 5).tolist()[1] == 5
    assert np.isnan(reverse(np.array([np.nan, 1.0]), 1, 5)[0])


def test_an_answer_outside_its_range_is_refused() -> None:
    with pytest.raises(DataError, match="outside 1 to 5"):
        reverse(np.array([6.0]), 1, 5)
    with pytest.raises(DataError, match='item "a" holds answers outside 1 to 5'):
        score(survey_of({**ANSWERS, "a": [1, 5, 9, 4, 3, 2]}))


def test_text_in_an_item_is_refused_without_showing_it() -> None:
    survey = survey_of(ANSWERS)
    broken = survey.with_columns(survey.answers[["a"]].astype(object).replace(5.0, "secret answer"), "broken")
    with pytest.raises(DataError, match='item "a" holds text') as caught:
        score(broken)
    assert "secret" not in str(caught.value)


def test_a_score_is_the_mean_of_the_answered_items_turned_round() -> None:
    scores = score(survey_of(ANSWERS)).survey.answers["trust"]
    expected = [(1 + 2 + 1 + 1) / 4, (5 + 5 + 5 + 4) / 4, MISSING, 4.0, MISSING, 2.0]
    np.testing.assert_array_equal(scores, expected)


def test_a_sum_is_the_mean_times_the_number_of_items() -> None:
    means = score(survey_of(ANSWERS)).survey.answers["trust"]
    result = score(survey_of(ANSWERS, scoring="sum"))
    np.testing.assert_array_equal(result.survey.answers["trust"], means * 4)
    row = result.tidy().iloc[0]
    assert (row["minimum"], row["maximum"]) == (4, 20)
    assert "prorated" in result.note


@pytest.mark.parametrize(("share", "scored"), [(0.25, 6), (0.5, 4), (0.75, 4), (0.76, 3), (1.0, 3)])
def test_the_share_that_must_be_answered_decides_who_gets_a_score(share: float, scored: int) -> None:
    assert score(survey_of(ANSWERS, min_answered=share)).tidy()["n"].item() == scored


def test_a_share_on_the_limit_counts_in_spite_of_rounding() -> None:
    names = [f"q{i}" for i in range(10)]
    survey = survey_of({name: [3 if i < 7 else MISSING] for i, name in enumerate(names)}, min_answered=0.7)
    assert score(survey).tidy()["n"].item() == 1


def test_scoring_twice_gives_the_same() -> None:
    once = score(survey_of(ANSWERS)).survey
    twice = score(once).survey
    pd.testing.assert_frame_equal(once.answers, twice.answers)


def test_scoring_leaves_the_survey_it_was_given_as_it_was() -> None:
    survey = survey_of(ANSWERS)
    before = survey.answers.copy()
    score(survey)
    pd.testing.assert_frame_equal(survey.answers, before)


def test_items_keep_their_order_and_names() -> None:
    items = items_of(survey_of(ANSWERS), "trust")
    assert list(items) == list(ANSWERS)
    assert items["c_r"].dropna().tolist() == [1, 5, 4]


def test_the_row_of_a_scale_says_how_much_is_missing() -> None:
    row = score(survey_of(ANSWERS)).tidy().iloc[0]
    assert row["n_items"] == 4
    assert row["missing_share"] == pytest.approx(7 / 24)
    assert (row["minimum"], row["maximum"]) == (1, 5)


def test_reversed_and_unconfirmed_items_are_findings() -> None:
    survey = survey_of(ANSWERS)
    asking = {"confirm": "worded negatively?"}
    variables = [v.model_copy(update=asking) if v.reverse else v for v in survey.codebook.variables]
    codebook = survey.codebook.model_copy(update={"variables": tuple(variables)})
    asked = Survey(answers=survey.answers, codebook=Codebook.model_validate(codebook.model_dump()), missing=BLANK)
    assert {finding.name for finding in score(asked).findings} == {"reversed_items", "unconfirmed_items"}


def test_a_scale_that_nobody_answered_is_a_finding() -> None:
    result = score(survey_of({"a": [MISSING] * 6, "b": [MISSING] * 6}))
    assert [finding.name for finding in result.findings] == ["no_scores"]
    assert result.tidy()["n"].item() == 0
    write_record(result)


def test_an_unknown_scale_is_answered_with_the_nearest() -> None:
    with pytest.raises(CodebookError, match='Did you mean "trust"'):
        score(survey_of(ANSWERS), ["trst"])


def test_a_codebook_without_scales_is_refused() -> None:
    survey = survey_of(ANSWERS)
    bare = Survey(answers=survey.answers, codebook=survey.codebook.model_copy(update={"scales": ()}), missing=BLANK)
    with pytest.raises(CodebookError, match="no scale"):
        score(bare)


def test_scores_of_four_people_are_hidden() -> None:
    result = score(survey_of(ANSWERS))
    assert result.shown()["hidden"].item()
    assert "hidden" in result.to_text()
