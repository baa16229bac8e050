"""Scores of departments and their changes: numbers by hand, and the same groups hidden everywhere."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import DataError
from smstudy.inference.means import mean_interval, overlapping_change
from smstudy.models.differences.groups import CANNOT_TELL, CHANGED, EVERYBODY, by_group, changes
from smstudy.result import Refusal
from smstudy.scales.invariances import Gate
from smstudy.survey.cleaning import NO_GROUP
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.response import response_table

AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
BOOK = Codebook.model_validate(
    {
        "title": "Test",
        "variables": [
            {"name": "unit", "title": "Department", "kind": "unit", "categories": [{"value": "1", "label": "A"}]},
            {"name": "person", "kind": "id"},
            *({"name": f"q{i}", "kind": "item", "categories": AGREE} for i in range(1, 5)),
        ],
        "scales": [
            {"name": "use", "title": "Use", "items": ["q1", "q2"]},
            {"name": "fear", "title": "Fear", "items": ["q3", "q4"]},
        ],
    }
)


def survey(units, *, seed=1, wave="2", people=None, **scores):
    """Scores as given, else drawn; `units` names the department of every respondent."""
    rng = np.random.default_rng(seed)
    answers = pd.DataFrame({
        "unit": pd.Series(list(units), dtype=object),
        "person": pd.Series([f"{wave}-{i}" for i in range(len(units))] if people is None else people, dtype=object),
        "use": scores.get("use", rng.normal(3, 1, len(units))),
        "fear": scores.get("fear", rng.normal(3, 1, len(units))),
    })  # fmt: skip
    return Survey(
        answers=answers, codebook=BOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]), wave=wave
    )


def of(result, group, term="use"):
    rows = result.tidy()
    return rows[(rows["group"] == group) & (rows["term"] == term)].iloc[0]


def hidden(result):
    rows = result.shown()
    return set(rows.loc[rows["hidden"], "group"])


def test_the_spread_of_a_statement_is_shown_for_large_groups_only():
    data = survey("A" * 8 + "B" * 30 + "C" * 25)
    item = np.random.default_rng(3).integers(1, 6, 63).astype(float)
    answers = data.answers.assign(q1=item, use=item)
    result = by_group(replace(data, answers=answers), ["q1", "use"], "unit")
    rows = result.tidy().set_index(["term", "group"])
    assert rows["estimate"].notna().all() and rows.loc["use", "std_dev"].notna().all()  # a scale is no statement
    known = rows.loc["q1", "std_dev"].dropna()
    assert set(known.index) == {EVERYBODY, "B"}  # with C known as well, the spread of all would give that of A
    assert rows.loc[("q1", "A"), ["std_error", "conf_low", "conf_high"]].isna().all()
    assert "few_values" in {finding.name for finding in result.findings} and "–" in result.to_text()


def test_means_and_intervals_are_those_of_the_answers():
    data = survey("A" * 9 + "B" * 12)
    result = by_group(data, ["use", "fear"], "unit")
    for group, rows in ((EVERYBODY, data.answers), ("B", data.answers[data.answers["unit"] == "B"])):
        expected = mean_interval(rows["fear"].to_numpy())
        row = of(result, group, "fear")
        assert row["n"] == len(rows)
        assert row[["estimate", "conf_low", "conf_high", "df"]].tolist() == [
            expected.estimate, expected.conf_low, expected.conf_high, expected.df
        ]  # fmt: skip
        assert row["std_dev"] == pytest.approx(rows["fear"].std(), rel=1e-12)  # the same sum in another order


def test_a_group_hidden_for_one_score_is_hidden_for_all():
    use = np.r_[np.full(3, np.nan), np.linspace(1, 5, 26)]
    result = by_group(survey("A" * 7 + "B" * 10 + "C" * 12, use=use), ["fear", "use"], "unit")
    rows = result.shown()
    closed = hidden(result)
    assert "A" in closed and len(closed) == 2
    assert rows[rows["group"].isin(closed)].select_dtypes("number").isna().all(axis=None)
    assert rows.groupby("group")["hidden"].nunique().max() == 1


def test_a_score_that_is_not_in_the_table_hides_its_small_groups_too():
    use = np.r_[np.full(3, np.nan), np.linspace(1, 5, 26)]
    data = survey("A" * 7 + "B" * 10 + "C" * 12, use=use)
    assert hidden(by_group(data, ["fear"], "unit")) == hidden(by_group(data, ["use"], "unit"))


def test_scores_response_and_changes_hide_the_same_groups():
    now, then = (
        survey("A" * 3 + "B" * 10 + "C" * 12 + "D" * 9),
        survey("A" * 9 + "B" * 4 + "C" * 12 + "D" * 9, wave="1"),
    )
    closed = hidden(by_group(now, ["use", "fear"], "unit"))
    frame = pd.DataFrame({"unit": list("ABCD"), "headcount": 20})
    assert hidden(response_table(now, frame, "unit")) == closed
    assert hidden(changes(now, then, ["use"], unit="unit")) >= closed | hidden(by_group(then, ["use"], "unit"))


def test_respondents_without_a_department_are_a_group_of_their_own():
    data = survey(["A"] * 9 + ["B"] * 8 + [None] * 7)
    result = by_group(data, ["use"], "unit")
    shown = result.tidy().set_index("group")["n"]
    assert shown[NO_GROUP] == 7 and shown.drop(EVERYBODY).sum() == shown[EVERYBODY]
    assert result.glance()["n_groups"] == 2
    assert hidden(by_group(survey(["A"] * 9 + ["B"] * 8 + [None] * 2), ["use"], "unit")) == {NO_GROUP, "B"}


def test_everybody_comes_first_then_groups_by_mean_then_the_hidden_by_name():
    use = np.r_[np.full(9, 2.0), np.full(9, 4.0), np.full(9, 3.0), [1.0], [5.0] * 4] + np.tile([0, 0.1], 16)
    result = by_group(survey("A" * 9 + "B" * 9 + "C" * 9 + "Z" + "Y" * 4, use=use), ["use"], "unit")
    assert result.tidy()["group"].tolist() == [EVERYBODY, "B", "C", "A", "Y", "Z"]


def test_a_constant_score_has_an_interval_of_no_width():
    row = of(by_group(survey("A" * 9 + "B" * 9, use=np.full(18, 3.0)), ["use"], "unit"), "Everybody")
    assert row[["estimate", "conf_low", "conf_high", "std_dev"]].tolist() == [3, 3, 3, 0]


def test_a_score_nobody_has_is_a_dash_and_draws_nothing():
    result = by_group(survey("A" * 9 + "B" * 9, use=np.full(18, np.nan)), ["use"], "unit")
    assert "–" in result.to_text() and result.plot().texts


def test_one_group_is_as_good_as_everybody():
    rows = by_group(survey("A" * 9), ["use"], "unit").tidy()
    assert rows["estimate"].nunique() == 1 and not rows["hidden"].any()


def test_the_table_has_one_column_for_each_score_by_its_label():
    table = by_group(survey("A" * 9 + "B" * 3), ["fear", "use"], "unit").table()
    assert table.headings == ("Group", "n", "Fear", "Use")
    assert set(table.rows[-1][1:]) == {"hidden"}


def test_an_unknown_score_or_unit_is_refused_with_the_nearest_name():
    with pytest.raises(DataError, match="fear"):
        by_group(survey("A" * 9), ["feer"], "unit")
    with pytest.raises(DataError, match="unit"):
        by_group(survey("A" * 9), ["use"], "units")


def test_without_a_previous_wave_the_table_is_empty_and_says_so():
    result = changes(survey("A" * 9), None, ["use"])
    assert len(result.tidy()) == 0 and result.findings[0].name == "one_wave"
    assert "no previous wave" in result.to_html() and result.plot().texts


def test_the_change_is_that_of_the_pairs_and_the_others():
    then = survey("A" * 12, wave="1", people=[f"p{i}" for i in range(12)], seed=2)
    now = survey("A" * 12, people=[f"p{i}" for i in range(4, 16)], seed=3)
    before = np.r_[then.answers["use"], np.full(4, np.nan)]
    after = np.r_[np.full(4, np.nan), now.answers["use"]]
    row = of(changes(now, then, ["use"], person="person"), EVERYBODY)
    expected = overlapping_change(before, after)
    assert row["difference"] == pytest.approx(expected.estimate, rel=1e-12)  # the order of people differs
    assert row["df"] == pytest.approx(expected.df, rel=1e-12)  # as above
    assert row[["n_previous", "n"]].tolist() == [12, 12]


def test_codes_that_are_missing_or_used_twice_link_nobody():
    people = ["p1", "p1", None, None, "p2", *(f"x{i}" for i in range(9))]
    then, now = survey("A" * 14, wave="1", people=people), survey("A" * 14, people=people, seed=4)
    result = changes(now, then, ["use"], person="person")
    assert of(result, EVERYBODY)[["n_previous", "n"]].tolist() == [14, 14]
    assert result.findings[0].text.startswith("Most respondents")  # 10, but 4 more would follow


def test_without_codes_it_is_welchs_test():
    then, now = survey("A" * 12, wave="1", seed=2), survey("A" * 15, seed=3)
    row = of(changes(now, then, ["use"]), EVERYBODY)
    welch = stats.ttest_ind(now.answers["use"], then.answers["use"], equal_var=False)
    assert row["p_value"] == pytest.approx(welch.pvalue, rel=1e-10)  # two ways to the same t and df
    assert changes(now, then, ["use"]).findings[0].name == "not_linked"


def test_few_linked_people_are_not_counted_in_words():
    then, now = (survey("A" * 12, wave=w, people=["p1", "p2", *(f"{w}{i}" for i in range(10))]) for w in ("1", "2"))
    assert "Fewer than 5" in changes(now, then, ["use"], person="person").findings[0].text


def test_people_who_moved_count_in_both_departments():
    people = [f"p{i}" for i in range(23)]
    then = survey("A" * 14 + "B" * 9, wave="1", people=people)
    now = survey("A" * 8 + "B" * 15, people=people, seed=2)
    rows = changes(now, then, ["use"], person="person", unit="unit").tidy().set_index("group")
    assert rows.loc["A", ["n_previous", "n"]].tolist() == [14, 8]
    assert rows.loc["B", ["n_previous", "n"]].tolist() == [9, 15]


def bh(p):
    """R p.adjust(p, "BH"), word by word."""
    p = np.asarray(p)
    order = np.argsort(-p)
    adjusted = np.minimum(1, np.minimum.accumulate(len(p) / np.arange(len(p), 0, -1) * p[order]))
    return adjusted[np.argsort(order)]


def test_p_is_corrected_over_the_shown_rows_of_the_page():
    then, now = (
        survey("A" * 12 + "B" * 12 + "C" * 12 + "D" * 3, wave="1"),
        survey("A" * 12 + "B" * 12 + "C" * 12 + "D" * 3, seed=9),
    )
    rows = changes(now, then, ["use", "fear"], unit="unit").shown()
    shown = rows[~rows["hidden"]]
    assert len(shown) == 4
    assert shown["p_adjusted"].to_numpy() == pytest.approx(bh(shown["p_value"]), rel=1e-12)  # the same products


def test_a_clear_change_is_changed_and_hidden_rows_say_nothing():
    units = "A" * 40 + "B" * 30 + "C" * 3
    then = survey(units, wave="1", seed=5)
    now = survey(units, seed=6, use=then.answers["use"] + np.r_[np.full(40, 3.0), np.zeros(33)])
    rows = changes(now, then, ["use"], unit="unit").shown().set_index("group")
    assert rows.loc["A", "verdict"] == CHANGED
    assert pd.isna(rows.loc["C", "verdict"]) or rows.loc["C", "verdict"] == CANNOT_TELL


def test_scores_that_do_not_vary_give_no_interval_and_cannot_tell():
    same = np.full(12, 3.0)
    row = of(changes(survey("A" * 12, use=same), survey("A" * 12, wave="1", use=same), ["use"]), EVERYBODY)
    assert np.isnan(row["conf_low"]) and np.isnan(row["p_adjusted"]) and row["verdict"] == CANNOT_TELL


def test_a_department_one_person_left_shows_no_change_where_people_are_linked():
    codes = [f"p{i}" for i in range(60)]
    then = survey("A" * 6 + "B" * 12 + "C" * 20, wave="1", people=codes[:38])
    now = survey("A" * 5 + "B" * 12 + "C" * 20, people=[*codes[1:6], *codes[12:24], *codes[38:58]])
    assert hidden(changes(now, then, ["use"], person="person", unit="unit")) == {"A", "B"}
    assert not hidden(changes(now, then, ["use"], unit="unit"))


def test_a_wave_of_four_shows_no_change():
    shown = changes(survey("A" * 12), survey("A" * 4, wave="1"), ["use"]).shown()
    assert shown["hidden"].all() and shown.select_dtypes("number").isna().all(axis=None)


def test_a_department_new_or_gone_is_hidden_or_without_a_change():
    then, now = survey("A" * 12 + "B" * 12, wave="1"), survey("A" * 12 + "C" * 12)
    rows = changes(now, then, ["use"], unit="unit").tidy().set_index("group")
    assert rows.loc[["B", "C"], "difference"].isna().all()
    assert (rows.loc[["B", "C"], "verdict"] == CANNOT_TELL).all()


def test_the_title_says_what_changed_by_what():
    then, now = survey("A" * 12, wave="1"), survey("A" * 12)
    assert changes(now, then, ["use"], unit="unit").title == "Change from wave 1 to wave 2 by department: Use"
    assert changes(now, then, ["use", "fear"]).title == "Change from wave 1 to wave 2"


def test_the_survey_is_not_changed():
    data = survey(["A"] * 9 + [None] * 9)
    by_group(data, ["use"], "unit")
    assert data.answers["unit"].isna().sum() == 9


def gated(verdict):
    return SimpleNamespace(gates={"use": Gate(scale="use", verdict=verdict, text=f"Use: {verdict}.")})


@pytest.mark.parametrize(
    ("verdict", "found", "names"),
    [
        ("allowed", CHANGED, []),
        ("cannot tell", CHANGED, ["means_cannot_tell"]),
        ("not allowed", CANNOT_TELL, ["means_not_allowed"]),
    ],
)
def test_a_change_counts_only_if_the_questions_mean_the_same(verdict, found, names):
    then, now = survey("A" * 200, wave="1", seed=1), survey("A" * 200, seed=2)
    now = replace(now, answers=now.answers.assign(use=now.answers["use"] + 1))
    told = changes(now, then, ["use"], comparable=gated(verdict))
    assert told.tidy()["verdict"].tolist() == [found] and told.tidy()["means"].tolist() == [verdict]
    assert [finding.name for finding in told.findings if finding.name.startswith("means")] == names


def test_a_refused_test_of_the_questions_is_said():
    refusal = Refusal(title="t", reason="Too few people.")
    told = changes(survey("A" * 40), survey("A" * 40, wave="1"), ["use"], comparable=refusal)
    assert "Too few people." in told.findings[-1].text
