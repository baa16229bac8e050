"""Weighted means and shares: R survey's numbers, the textbook where it must be, small groups kept hidden."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, DisclosureError, EstimationError
from smstudy.inference.means import mean_interval
from smstudy.models.differences.estimates import weighted_means
from smstudy.models.differences.groups import by_group
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.weights import EVERYBODY, poststratify, rake

HERE = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((HERE / "design.json").read_text())
PEOPLE = pd.read_csv(HERE / "design.csv")
KNOWN = REFERENCE["extra"]
RAKED = 1e-9  # both rake until margins are off by 1e-12; the way there multiplies that by the number of rounds left
LOGIT = 1e-7  # R's interval comes from a regression fitted until the deviance changes by less than 1e-8
BOOK = Codebook.model_validate({
    "title": "Test",
    "variables": [
        {"name": "unit", "title": "Department", "kind": "unit", "categories": [{"value": "1", "label": "A"}]},
        {"name": "role", "kind": "category", "categories": [
            {"value": "1", "label": "staff"}, {"value": "2", "label": "lead"}, {"value": "3", "label": "head"}]},
        {"name": "q1", "kind": "item", "categories": [{"value": i, "label": f"a{i}"} for i in range(1, 6)]},
        {"name": "q2", "kind": "item", "categories": [{"value": i, "label": f"a{i}"} for i in range(1, 6)]},
        {"name": "words", "kind": "text"},
        {"name": "day", "kind": "date"},
    ],
    "scales": [{"name": "use", "title": "Use", "items": ["q1", "q2"]}],
})  # fmt: skip


def survey(units, *, seed=1, roles=None, **columns):
    rng = np.random.default_rng(seed)
    n = len(units)
    answers = pd.DataFrame({
        "unit": pd.Series(list(units), dtype=object),
        "role": pd.Series(rng.choice(["staff", "lead"], n) if roles is None else list(roles), dtype=object),
        "use": rng.normal(3, 1, n), "words": "x", "day": pd.Timestamp("2026-01-01"), **columns,
    })  # fmt: skip
    return Survey(answers=answers, codebook=BOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def agree(row, theirs, place=0):
    mean = {key: np.atleast_1d(value)[place] for key, value in theirs.items() if key != "vcov"}
    ours = row[["estimate", "std_error", "conf_low", "conf_high", "df"]].astype(float).tolist()
    assert ours == pytest.approx([mean["estimate"], mean["se"], mean["low"], mean["high"], mean["df"]], rel=RAKED)


def test_a_raked_census_agrees_with_r_survey():
    weights = rake(PEOPLE, {name: KNOWN[name] for name in ("unit", "grade", "site")})
    rows = weighted_means(PEOPLE, ["posts"], weights=weights, population=weights.n_frame, by="grade").tidy()
    rows = rows.set_index("group")
    theirs = REFERENCE["raked"]
    assert rows.loc[EVERYBODY, "estimate"] == pytest.approx(
        PEOPLE["posts"] @ theirs["weights"] / np.sum(theirs["weights"]), rel=RAKED
    )
    use = weighted_means(PEOPLE, ["use"], weights=weights, population=weights.n_frame, by="grade").tidy()
    use = use.set_index("group")
    for group, estimate, error, _ in zip(*theirs["by"].values(), strict=True):
        assert use.loc[group, ["estimate", "std_error"]].tolist() == pytest.approx([estimate, error], rel=RAKED)
    assert use.loc[EVERYBODY, "n"] == PEOPLE["use"].notna().sum()


@pytest.mark.parametrize("name", ["srs", "census", "strat", "clus", "clusf"])
def test_designs_agree_with_r_survey(name):
    stated = PEOPLE[PEOPLE["use"].notna()]
    teams = stated.groupby("unit")["n_teams"].first().to_dict()
    how = {
        "srs": {"weights": "weight0"},
        "census": {"population": 720},
        "strat": {"strata": "unit", "population": {"unit": KNOWN["unit"]}},
        "clus": {"weights": "weight0", "strata": "unit", "clusters": "team"},
        "clusf": {"weights": "weight0", "strata": "unit", "clusters": "team", "population": {"unit": teams}},
    }[name]
    rows = weighted_means(PEOPLE, ["use"], by="grade", **how).tidy().set_index("group")
    for group, estimate, error, _ in zip(*REFERENCE[name]["by"].values(), strict=True):
        assert rows.loc[group, ["estimate", "std_error"]].tolist() == pytest.approx([estimate, error], rel=RAKED)
    theirs = REFERENCE[name]["mean"]
    agree(rows.loc[EVERYBODY], theirs)
    deff = theirs["deff_replace" if "population" not in how else "deff"][0]
    assert rows.loc[EVERYBODY, "deff"] == pytest.approx(deff, rel=RAKED)


def test_shares_agree_with_r_survey():
    answers = PEOPLE.assign(active=np.where(PEOPLE["active"] == 1, "yes", "no"))
    weights = poststratify(answers, {"grade": KNOWN["grade"]})
    rows = weighted_means(answers, ["active"], weights=weights, population=weights.n_frame).tidy().set_index("answer")
    theirs = REFERENCE["post"]["prop"]
    assert rows.loc["yes", ["estimate", "std_error"]].tolist() == pytest.approx(
        [theirs["estimate"], theirs["se"]], rel=RAKED
    )
    assert rows.loc["yes", ["conf_low", "conf_high"]].tolist() == pytest.approx(theirs["logit"], rel=LOGIT)
    assert rows["estimate"].sum() == pytest.approx(1, rel=1e-12)  # rounding only


def test_without_weights_it_is_the_table_of_groups():
    data = survey("A" * 12 + "B" * 9)
    ours = weighted_means(data, ["use"], by="unit").tidy().set_index("group")
    theirs = by_group(data, ["use"], "unit").tidy().set_index("group")
    assert ours["estimate"].to_dict() == pytest.approx(theirs["estimate"].to_dict(), rel=1e-12)  # another order of sums
    whole = mean_interval(data.answers["use"].to_numpy())
    row = ours.loc[EVERYBODY, ["estimate", "std_error", "df", "conf_low", "conf_high"]].tolist()
    expected = [whole.estimate, whole.std_error, whole.df, whole.conf_low, whole.conf_high]
    assert row == pytest.approx(expected, rel=1e-12)
    assert ours.loc[EVERYBODY, "deff"] == pytest.approx(1, rel=1e-12) and (ours["shift"].abs() < 1e-12).all()


def test_a_department_that_answered_in_full_is_known():
    use = np.r_[np.linspace(1, 5, 10), np.linspace(2, 4, 10)]
    heads = pd.DataFrame({"unit": ["A", "B"], "headcount": [10, 40]})
    rows = weighted_means(survey("A" * 10 + "B" * 10, use=use), ["use"], by="unit", strata="unit", population=heads)
    rows = rows.tidy().set_index("group")
    assert rows.loc["A", "std_error"] == 0 and rows.loc["B", "std_error"] > 0
    plain = np.std(use[10:], ddof=1) / np.sqrt(10)
    assert rows.loc["B", "std_error"] == pytest.approx(plain * np.sqrt(0.75), rel=1e-12)  # rounding only


def test_equal_weights_follow_the_head_counts_of_strata():
    data = survey("A" * 10 + "B" * 10)
    heads = {"unit": {"A": 90, "B": 10}}
    row = weighted_means(data, ["use"], strata="unit", population=heads).tidy().iloc[0]
    means = data.answers.groupby("unit")["use"].mean()
    assert row["estimate"] == pytest.approx(0.9 * means["A"] + 0.1 * means["B"], rel=1e-12)  # rounding only
    assert row["shift"] == pytest.approx(row["estimate"] - data.answers["use"].mean(), rel=1e-9)


def test_small_groups_are_hidden_as_everywhere():
    data = survey("A" * 9 + "B" * 12 + "C" * 3)
    shown = weighted_means(data, ["use", "role"], by="unit").shown()
    other = by_group(data, ["use"], "unit").shown()
    hidden = set(other.loc[other["hidden"], "group"])
    assert hidden and hidden <= set(shown.loc[shown["hidden"], "group"])
    closed = shown[shown["group"].isin(hidden)]
    assert closed.select_dtypes("number").isna().all(axis=None)


def test_answers_of_a_few_are_hidden_and_do_not_follow():
    roles = ["staff"] * 18 + ["lead"] * 2 + ["staff"] * 10 + ["lead"] * 10
    shown = weighted_means(survey("A" * 20 + "B" * 20, roles=roles), ["role"], by="unit").shown()
    cells = shown.set_index(["group", "answer"])["hidden"]
    assert cells[("A", "lead")] and cells[("A", "staff")]
    assert cells[("B", "lead")] or cells[(EVERYBODY, "lead")]
    alone = weighted_means(survey("A" * 20, roles=roles[:20]), ["role"]).shown()
    assert alone.loc[alone["answer"] != "head", "hidden"].all()


def test_a_group_that_answers_with_one_voice_is_hidden():
    roles = ["staff"] * 10 + ["staff", "lead"] * 15
    shown = weighted_means(survey("A" * 10 + "B" * 16 + "C" * 14, roles=roles), ["role"], by="unit").shown()
    assert shown.loc[shown["group"] == "A", "hidden"].all()
    everybody = weighted_means(survey("A" * 10, roles=["staff"] * 10), ["role"]).shown()
    assert everybody["hidden"].all()


def test_answers_nobody_gave_are_in_the_table():
    rows = weighted_means(survey("A" * 40, roles=["staff", "lead"] * 20), ["role"]).tidy()
    assert rows["answer"].tolist() == ["staff", "lead", "head"]
    assert rows["estimate"].tolist() == pytest.approx([0.5, 0.5, 0], rel=1e-12)  # rounding only
    assert np.isnan(rows["conf_low"].iloc[2])


def test_weights_that_tell_small_groups_apart_are_refused_with_groups():
    data = survey("A" * 20 + "B" * 3 + "C" * 9)
    weights = rake(data, {"unit": {"A": 40, "B": 30, "C": 10}}, pool_small=False)
    assert len(weighted_means(data, ["use"], weights=weights).tidy()) == 1
    with pytest.raises(DisclosureError, match="pool_small=True"):
        weighted_means(data, ["use"], weights=weights, by="unit")


def test_a_score_that_is_missing_leaves_the_design_as_it_is():
    use = np.r_[np.nan, np.linspace(1, 5, 19)]
    row = weighted_means(survey("A" * 10 + "B" * 10, use=use), ["use"], strata="unit").tidy().iloc[0]
    assert row["n"] == 19 and row["df"] == 17


def test_weights_of_other_respondents_are_refused():
    data = survey("A" * 20)
    weights = rake(data, {"unit": {"A": 30}})
    with pytest.raises(DataError, match="other respondents"):
        weighted_means(data.keep_rows(data.answers["use"] > 2, "few"), ["use"], weights=weights)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"weights": "nothing"}, "no variable or score"),
        ({"by": "nothing"}, "no variable or score"),
        ({"strata": "unit", "population": 40}, "for each of them"),
        ({"population": {"unit": {"A": 40}}}, "need strata"),
        ({"strata": "unit", "population": {"unit": {"A": 40}}}, 'people "B"'),
        ({"strata": "unit", "population": {"unit": {"A": 40, "B": 3}}}, "more respondents"),
        ({"weights": "zero"}, "above 0"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(how, match):
    data = survey("A" * 10 + "B" * 10, zero=0.0)
    with pytest.raises(DataError, match=match):
        weighted_means(data, ["use"], **how)


def test_texts_and_dates_have_no_mean():
    data = survey("A" * 10)
    for name, match in (("words", "kind text"), ("day", "is a date"), ("nothing", "no variable")):
        with pytest.raises(DataError, match=match):
            weighted_means(data, [name])
    with pytest.raises(DataError, match="nothing to estimate"):
        weighted_means(data, [])


def test_a_stratum_of_one_is_refused_or_adjusted():
    data = survey("A" * 10 + "B").answers  # in a survey both departments are hidden, and one stratum
    with pytest.raises(EstimationError, match="adjust"):
        weighted_means(data, ["use"], strata="unit")
    assert weighted_means(data, ["use"], strata="unit", lonely="adjust").tidy()["std_error"].iloc[0] > 0


def test_what_is_pooled_over_imputations_are_the_rows_of_the_table():
    result = weighted_means(survey("A" * 20 + "B" * 20 + "C" * 3), ["use"], by="unit")
    poolable, rows = result.pooling(), result.tidy()
    assert poolable.keys.equals(rows[["term", "group"]])
    assert np.sqrt(np.diag(poolable.covariance)) == pytest.approx(rows["std_error"], rel=1e-12, nan_ok=True)  # a square


def test_every_picture_is_drawn():
    data = survey("A" * 20 + "B" * 20)
    for result in (weighted_means(data, ["use", "role"]), weighted_means(data, ["use"], by="unit")):
        assert result.plot().get_title(loc="left")
        assert result.alt_text()


def test_weights_of_shuffled_rows_are_refused():
    data = survey("A" * 20 + "B" * 20).answers
    weights = rake(data, {"unit": {"A": 30, "B": 90}})
    with pytest.raises(DataError, match="rows in another order"):
        weighted_means(data.sample(frac=1, random_state=2).reset_index(drop=True), ["use"], weights=weights)


def test_a_constant_has_no_effective_n():
    row = weighted_means(pd.DataFrame({"x": np.full(12, 0.1), "w": np.arange(1.0, 13)}), ["x"], weights="w").tidy()
    assert row[["deff", "n_effective"]].isna().all(axis=None)


def test_one_respondent_who_speaks_for_all_is_named():
    data = pd.DataFrame({"x": np.linspace(1, 5, 60), "w": np.r_[1e6, np.ones(59)]})
    found = weighted_means(data, ["x"], weights="w")
    assert "extreme_weights" in {finding.name for finding in found.findings}
    assert np.isnan(found.tidy()["n_effective"].iloc[0])


def test_an_effective_n_above_n_needs_strata_asked_nearly_in_full():
    use = np.r_[np.linspace(1, 5, 10), np.linspace(2, 4, 10)]
    data = survey("A" * 10 + "B" * 10, use=use)
    found = weighted_means(data, ["use"], strata="unit", population={"unit": {"A": 10, "B": 11}})
    assert found.tidy()["n_effective"].iloc[0] > 20 and "asked nearly in full" in found.note
    plain = weighted_means(data, ["use"])
    assert plain.tidy()["n_effective"].iloc[0] == pytest.approx(20, rel=1e-12)  # rounding only
    assert "effective n" not in plain.note
    part = weighted_means(survey("A" * 10 + "B" * 10, use=np.r_[np.nan, use[1:]]), ["use"], by="unit").tidy()
    assert part["n_effective"].tolist() == part["n"].tolist()  # a gap or a group alone loses nobody
    weights = rake(data.answers, {"role": data.answers["role"].value_counts().to_dict()})
    fixed = weighted_means(data, ["role"], weights=weights).tidy()
    assert fixed["n_effective"].isna().all()  # the head counts fix these shares


def test_zeros_and_ones_are_shares():
    active = np.r_[np.ones(57), np.zeros(6), np.nan]
    found = weighted_means(pd.DataFrame({"active": active}), ["active"])
    rows = found.tidy().set_index("answer")
    assert rows.loc["1", "estimate"] == pytest.approx(57 / 63, rel=1e-12) and rows.loc["1", "conf_high"] < 1
    assert rows.loc["1", "n"] == 63 and "logit" in found.note and "Means" not in found.note
    few = weighted_means(pd.DataFrame({"active": active[:60]}), ["active"]).tidy()
    assert few["hidden"].all()  # three zeros


def test_a_gap_in_the_strata_is_refused():
    for how in ({"strata": "unit"}, {"clusters": "unit"}):
        with pytest.raises(DataError, match='have no "unit"'):
            weighted_means(survey(["A"] * 10 + ["B"] * 10 + [None] * 10), ["use"], **how)


def test_a_single_cluster_has_no_standard_error():
    row = weighted_means(survey("A" * 20), ["use"], clusters="unit", lonely="adjust").tidy().iloc[0]
    assert row["df"] == 0 and row[["std_error", "conf_low", "deff"]].isna().all() and row["estimate"] > 0


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"conf_level": "0.9"}, "between 0 and 1"),
        ({"conf_level": 95}, "between 0 and 1"),
        ({"lonely": "average"}, "Allowed: adjust, refuse"),
        ({"population": np.nan}, "no number of people"),
        ({"population": np.inf}, "no number of people"),
        ({"population": -40}, "no number of people"),
        ({"population": True}, "no number of people"),
        ({"weights": pd.Series(np.ones(20))}, "Weights are what rake"),
        ({"weights": "role"}, "above 0"),
        ({"weights": 3}, "Weights are what rake"),
    ],
)
def test_wrong_options_are_one_line(how, match):
    with pytest.raises(DataError, match=match):
        weighted_means(survey("A" * 10 + "B" * 10), ["use"], **how)


def test_a_population_may_be_a_numpy_number():
    data = survey("A" * 20)
    ours, theirs = (weighted_means(data, ["use"], population=n).tidy() for n in (np.int64(40), 40.0))
    assert ours.equals(theirs)


def test_columns_that_cannot_be_used_are_refused_in_words():
    answers = pd.DataFrame({"none": pd.Series([None] * 9, dtype=object), "x": np.arange(9.0)})
    with pytest.raises(DataError, match='Nobody answered "none"'):
        weighted_means(answers, ["none"])
    with pytest.raises(DataError, match='more than one column "x"'):
        weighted_means(pd.concat([answers, answers[["x"]]], axis=1), ["x"])
    with pytest.raises(DataError, match="as a list"):
        weighted_means(answers, "x")
    assert len(weighted_means(answers.astype({"x": "Int64"}), ["x", "x"]).tidy()) == 1
