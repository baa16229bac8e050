"""Laws of `smstudy.survey.missing`."""

from __future__ import annotations

import re
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, StudyError
from smstudy.survey.codebook import Category, Codebook, Scale, Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.missing import (
    ANSWERED,
    DROPPED_OUT,
    LEFT_BLANK,
    NOT_SHOWN,
    OTHERS,
    REFUSED,
    little_test,
    missing_patterns,
    read_reason,
    reasons_of,
)

matplotlib.use("Agg")
AGREE = tuple(Category(value=str(i), label=f"answer {i}") for i in range(1, 6))
ITEMS = ("q1", "q2", "q3", "q4")
BOOK = Codebook(
    title="Test",
    variables=(
        *(Variable(name=name, column=name, title=f"Item {name}", kind="item", categories=AGREE) for name in ITEMS),
        Variable(name="role", column="role", kind="category"),
        Variable(name="years", column="years", kind="number"),
    ),
    scales=(Scale(name="mood", items=("q1", "q2")),),
)


def survey_of(n=100, gaps=(), reasons=(), seed=1):
    """`gaps`: (rows, variables) without an answer; `reasons`: (rows, variable, words)."""
    rng = np.random.default_rng(seed)
    answers = pd.DataFrame({name: rng.integers(1, 6, n).astype(float) for name in ITEMS})
    answers["role"] = np.where(rng.random(n) < 0.5, "expert", "manager")
    answers["years"] = rng.integers(1, 30, n).astype(float)
    told = []
    for rows, names in gaps:
        answers.loc[list(rows), list(names)] = np.nan
        told += [(row, name, "no answer") for row in rows for name in names]
    for rows, name, words in reasons:
        answers.loc[list(rows), name] = np.nan
        told += [(row, name, words) for row in rows]
    return Survey(answers=answers, codebook=BOOK, missing=pd.DataFrame(told, columns=["row", "variable", "reason"]))


def count_of(result, term, reason):
    row = result.tidy().query("term == @term and reason == @reason")
    return row["n"].item()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("prefer not to say", REFUSED), ("Refused", REFUSED), ("not applicable", "not applicable"),
        ("N/A", "not applicable"), ("question not shown", NOT_SHOWN), ("filter", NOT_SHOWN), ("no answer", LEFT_BLANK),
        ("don't know", "no opinion"), ("dropped out", DROPPED_OUT), ("answers of a robot", "set missing"),
        ("declared missing in the file", LEFT_BLANK),
    ],
)  # fmt: skip
def test_reasons_are_read_from_the_words_of_the_codebook(words, reason):
    assert read_reason(words) == reason


def test_every_cell_is_answered_or_has_one_reason():
    survey = survey_of(gaps=[(range(7), ["q1"])], reasons=[(range(20, 29), "q2", "refused")])
    reasons = reasons_of(survey, ["q1", "q2", "years"])
    assert (reasons["q1"] == LEFT_BLANK).sum() == 7 and (reasons["q2"] == REFUSED).sum() == 9
    assert (reasons["years"] == ANSWERED).all()
    assert ((reasons == ANSWERED) == survey.answers[["q1", "q2", "years"]].notna()).all().all()


def test_who_stops_before_the_end_dropped_out_and_who_skips_one_did_not():
    survey = survey_of(gaps=[(range(8), ["q3", "q4", "years"]), (range(10, 20), ["q4"]), (range(30, 36), ["q1"])])
    reasons = reasons_of(survey, ["q1", "q3", "q4", "years"])
    assert (reasons.loc[:7, ["q3", "q4", "years"]] == DROPPED_OUT).all().all()
    assert (reasons.loc[10:19, "q4"] == LEFT_BLANK).all() and (reasons.loc[30:35, "q1"] == LEFT_BLANK).all()


def test_a_reason_that_is_told_is_kept_after_a_break_off():
    survey = survey_of(gaps=[(range(8), ["q3"])], reasons=[(range(8), "q4", "not shown")])
    assert (reasons_of(survey, ["q4"]).loc[:7, "q4"] == NOT_SHOWN).all()


def test_removed_rows_do_not_count():
    survey = survey_of(gaps=[(range(30), ["q1"])])
    kept = survey.keep_rows(survey.answers.index >= 20, "half")
    assert count_of(missing_patterns(kept), "q1", LEFT_BLANK) == 10


def test_counts_add_up_to_all_respondents():
    survey = survey_of(gaps=[(range(10), ["q1"]), (range(5, 30), ["q2"])], reasons=[(range(40, 50), "q1", "refused")])
    result = missing_patterns(survey)
    assert result.tidy().groupby("term")["n"].sum().eq(100).all()
    assert result.combinations.tidy()["n"].sum() == 100
    assert result.glance()["n_complete"] == 60


def test_combinations_are_counted():
    survey = survey_of(gaps=[(range(10), ["q1", "q2"]), (range(20, 40), ["q2"])])
    rows = missing_patterns(survey).combinations.tidy().set_index("missing_terms")["n"]
    assert rows.to_dict() == {"": 70, "q2": 20, "q1, q2": 10}


def test_nested_gaps_are_found():
    nested = survey_of(gaps=[(range(10), ["q1", "q2"]), (range(20, 40), ["q2"])])
    crossed = survey_of(gaps=[(range(10), ["q1"]), (range(20, 40), ["q2"])])
    assert missing_patterns(nested).glance()["monotone"] == "yes"
    assert missing_patterns(crossed).glance()["monotone"] == "no"


def test_a_few_are_hidden_and_so_is_what_they_could_be_computed_from():
    survey = survey_of(gaps=[(range(3), ["q1"]), (range(20), ["q2"])], reasons=[(range(50, 54), "q2", "refused")])
    result = missing_patterns(survey)
    assert result.tidy().query("term == 'q1'")["hidden"].all()
    assert result.tidy().query("term == 'q2'")["hidden"].tolist() == [False, True, True]
    assert "hidden" in result.to_text()
    few = survey_of(gaps=[(range(3), ["q1"])])
    assert "n_complete" not in missing_patterns(few).glance()


@pytest.mark.parametrize("seed", range(30))
def test_no_small_count_follows_from_what_is_shown(seed):
    rng = np.random.default_rng(seed)
    gaps = [(np.flatnonzero(rng.random(60) < rng.choice([0.02, 0.1, 0.3])), [name]) for name in ITEMS]
    survey = survey_of(n=60, gaps=gaps, seed=seed)
    if not survey.answers[list(ITEMS)].isna().any().any():
        pytest.skip("nothing is missing")
    result = missing_patterns(survey)
    shown = result.shown()
    assert not shown["n"].between(1, 4).any()
    for _, rows in shown.groupby("term"):
        assert rows["hidden"].sum() != 1 and not 0 < (60 - rows["n"].sum()) * rows["hidden"].any() < 5
    table = result.combinations.shown()
    assert not table["n"].between(1, 4).any()
    others = table.loc[table["group"] == OTHERS, "n"].sum()
    answered = shown[shown["reason"] == ANSWERED].set_index("term")["n"].dropna()
    for name, n in answered.items():
        lacking = table.loc[table["missing_terms"].str.split(", ").map(lambda terms, q=name: q in terms), "n"].sum()
        left = 60 - n - lacking
        assert not 0 < left < 5 and not 0 < others - left < 5


def test_steps_of_a_break_off_are_not_told_when_a_few_took_them():
    gaps = [(range(20), ["q3", "q4"]), (range(20, 23), ["q2", "q3", "q4"]), (range(30, 40), ["q2"])]
    survey = survey_of(gaps=gaps)
    dropped = missing_patterns(survey).tidy().query("reason == @DROPPED_OUT").set_index("term")
    assert dropped.loc["q2", "hidden"] and not dropped.loc["q3", "hidden"]
    told = [n for n in dropped["n"].dropna()]
    assert all(later - earlier == 0 or later - earlier >= 5 for earlier, later in zip([0, *told], told, strict=False))


def test_where_most_stopped_is_said_only_for_many():
    many = missing_patterns(survey_of(gaps=[(range(12), ["q3", "q4"])]))
    assert '12 respondents (12%) stopped before the end, 12 of them before "Item q3"' in many.findings[0].text
    assert missing_patterns(survey_of(gaps=[(range(4), ["q3", "q4"])])).findings == ()


def test_who_answered_nothing_did_not_stop_somewhere():
    text = missing_patterns(survey_of(gaps=[(range(20), ITEMS), (range(30, 42), ["q3", "q4"])])).findings[0].text
    assert text.startswith("20 respondents (20%) answered no item; 12 respondents (12%) stopped before the end, 12 of")
    assert 'before "Item q3"' in text
    only = missing_patterns(survey_of(gaps=[(range(20), ITEMS)])).findings
    assert [finding.text for finding in only] == ["20 respondents (20%) answered no item."]


def test_no_few_who_stopped_follow_from_the_finding_and_the_table():
    few_nothing = missing_patterns(survey_of(gaps=[(range(3), ITEMS), (range(30, 42), ["q3", "q4"])]))
    assert few_nothing.findings == ()
    few_later = missing_patterns(survey_of(gaps=[(range(20), ITEMS), (range(30, 33), ["q3", "q4"])]))
    assert [finding.text for finding in few_later.findings] == ["20 respondents (20%) answered no item."]
    few_before = missing_patterns(survey_of(gaps=[(range(3), ["q2", "q3", "q4"]), (range(30, 50), ["q3", "q4"])]))
    assert few_before.findings[0].text == "23 respondents (23%) stopped before the end."


def test_nothing_to_count_is_refused():
    survey = survey_of()
    with pytest.raises(DataError, match="nothing to count"):
        missing_patterns(survey, variables=[])
    with pytest.raises(DataError, match="nothing to count"):
        missing_patterns(replace(survey, answers=survey.answers.iloc[:0]))


def test_numbers_too_large_to_compute_with_are_refused():
    with pytest.raises(DataError, match="beyond 1e\\+100"):
        little_test(planted().assign(x=lambda frame: frame["x"] * 1e200))


def test_numbers_too_close_to_compute_with_are_refused():
    with pytest.raises(DataError, match='"x" differ by too little'):
        little_test(planted().assign(x=lambda frame: frame["x"] * 1e-200))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [800, 20_000])
def test_a_p_value_next_to_zero_is_written_as_below_one_in_a_thousand(n):
    frame = pd.DataFrame(np.random.default_rng(5).normal(size=(n, 3)), columns=["x", "y", "z"])
    frame["z"] += frame["x"]
    frame.loc[frame["x"] > 0, "y"] = np.nan
    result = little_test(frame)
    assert result.glance()["p_value"] < 1e-100 and result.tidy()["p_adjusted"].min() < 1e-100
    words = [cell.text for row in result.to_docx().tables[0].rows for cell in row.cells]
    for page in (result.to_text(), result.to_html(), result.to_latex(), " ".join(words)):
        assert "< .001" in page.replace("&lt;", "<").replace("$<$", "<") and not re.search(r"\de-", page)


def test_the_effect_of_the_whole_test_says_where_it_comes_from():
    assert "a measure of this package" in little_test(planted()).note


def test_pictures_and_tables_work_also_when_all_is_hidden():
    for n in (3, 20):
        result = missing_patterns(survey_of(gaps=[(range(n), ["q1"])]))
        assert result.plot().get_title(loc="left") and result.to_html() and result.to_latex()
        assert result.combinations.to_html()
        matplotlib.pyplot.close("all")


def test_where_nothing_is_missing_every_variable_is_answered_by_everybody():
    whole = missing_patterns(survey_of())
    rows = whole.shown()
    assert set(rows["reason"]) == {"answered"} and (rows["share"] == 1).all()
    assert whole.combinations.tidy()["n"].tolist() == [whole.glance()["n"]]
    assert whole.plot().get_title(loc="left")


def test_an_unknown_name_is_refused():
    with pytest.raises(DataError, match='"q9".*Allowed'):
        missing_patterns(survey_of(), variables=["q9"])
    with pytest.raises(DataError, match="needs a Survey"):
        missing_patterns(pd.DataFrame({"x": [1.0]}))


def planted(n=600, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    frame = pd.DataFrame({"x": x, "y": x + rng.normal(size=n), "z": rng.normal(size=n), "unit": "a"})
    frame.loc[rng.random(n) < 1 / (1 + np.exp(1 - 1.5 * x)), "y"] = np.nan
    frame.loc[rng.random(n) < 0.1, "z"] = np.nan
    return frame


def test_little_names_what_goes_with_the_gaps():
    result = little_test(planted())
    assert result.glance()["verdict"] == "not missing completely at random"
    row = result.tidy().set_index("term").loc["x"]
    assert row["other_term"] == "y" and row["effect_size"] > 0.5 and row["p_adjusted"] < 0.001


def test_little_never_says_that_answers_are_missing_at_random():
    rng = np.random.default_rng(1)
    frame = planted().assign(y=lambda f: np.where(rng.random(len(f)) < 0.2, np.nan, f["x"] + f["z"].fillna(0)))
    frame["y"] += rng.normal(size=len(frame))
    result = little_test(frame)
    assert result.glance()["verdict"] == "cannot tell" and "does not show" in result.note
    assert set(result.tidy()["reading"]) == {"cannot tell"}


def test_standardized_differences_by_hand():
    frame = planted()[["x", "y"]]
    lacks = frame["y"].isna()
    by_hand = (frame["x"][lacks].mean() - frame["x"][~lacks].mean()) / frame["x"].std()
    assert little_test(frame).tidy()["effect_size"][0] == pytest.approx(by_hand, rel=1e-12)  # the same numbers


def test_few_rows_per_pattern_give_no_verdict():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(120, 8)) + 3 * rng.normal(size=(120, 1)))
    frame.columns = [f"v{j}" for j in range(8)]
    result = little_test(frame.mask(rng.random(frame.shape) < 0.3))
    assert result.glance()["verdict"] == "cannot tell" and result.findings[0].name == "many_patterns"


def test_little_refuses_what_it_cannot_use():
    frame = planted()
    with pytest.raises(StudyError, match="little_test.. needs a Survey or a DataFrame, not a dict"):
        little_test({"x": [1.0, None]})
    with pytest.raises(DataError, match="same name: x"):
        little_test(frame.rename(columns={"y": "x"}))
    with pytest.raises(DataError, match="holds no numbers"):
        little_test(frame, variables=["x", "unit"])
    with pytest.raises(DataError, match="at least two variables"):
        little_test(frame, variables=["x"])
    with pytest.raises(DataError, match="no variable or score"):
        little_test(frame, variables=["x", "yy"])
    with pytest.raises(DataError, match="infinite"):
        little_test(frame.assign(x=np.inf), variables=["x", "y"])
