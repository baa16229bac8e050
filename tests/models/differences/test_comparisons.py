"""Laws of `smstudy.models.differences.comparisons` and `contrasts`: R's numbers, planted truths, hidden people."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.inference.regression.design import POOLED
from smstudy.models.differences.comparisons import compare_groups
from smstudy.models.differences.contrasts import planned_contrasts
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey

FOLDER = Path(__file__).parents[2] / "reference"
EXPECTED = json.loads((FOLDER / "comparisons.json").read_text())
PEOPLE = pd.read_csv(FOLDER / "comparisons.csv")
CLOSED = {"rtol": 1e-9, "atol": 1e-12}  # closed forms, against R with 15 printed digits
SIDES = {"e1": -2, "e2": -2, "e3": -2, "e4": 3, "e5": 3}


def arms(n=40, seed=1, **shifts):
    """Respondents given one of three texts at random; `shifts` says what a text adds."""
    rng = np.random.default_rng(seed)
    names = np.repeat(["neutral", "performance", "values"], n)
    shift = pd.Series(names).map({"neutral": 0.0, "performance": 0.0, "values": 0.0} | shifts)
    return pd.DataFrame({"frame": names, "sender": np.tile(["boss", "peer"], len(names) // 2),
                         "support": shift + rng.normal(0, 1, len(names))})  # fmt: skip


def names_of(result):
    return {finding.name for finding in result.findings}


def test_all_groups_together_agree_with_oneway_and_kruskal_test():
    found, expected = compare_groups(PEOPLE, "agree", "level").glance(), EXPECTED["welch"]
    got = [found[name] for name in ("statistic", "df", "df_residual", "p_value")]
    np.testing.assert_allclose(got, [expected[name] for name in ("f", "df", "rest", "p")], **CLOSED)
    found, expected = compare_groups(PEOPLE, "agree", "level", method="kruskal").glance(), EXPECTED["kruskal"]
    got = [found[name] for name in ("statistic", "df", "p_value", "effect_size")]
    np.testing.assert_allclose(got, [expected[name] for name in ("h", "df", "p", "epsilon")], **CLOSED)


def test_a_pair_agrees_with_t_test_and_cliffs_delta_of_r():
    def row(method):
        rows = compare_groups(PEOPLE, "agree", "level", method=method).tidy()
        return rows[(rows["group"] == "e3") & (rows["other_group"] == "e5")].iloc[0]

    found, expected = row("welch"), EXPECTED["pair"]
    got = found[["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]].to_numpy(float)
    wanted = [expected["estimate"], expected["se"], expected["df"], expected["p"], *expected["ci"]]
    np.testing.assert_allclose(got, wanted, **CLOSED)
    found, expected = row("kruskal"), EXPECTED["cliff"]
    np.testing.assert_allclose(found[["estimate", "conf_low", "conf_high"]].to_numpy(float),
                               [expected["delta"], *expected["ends"]], **CLOSED)  # fmt: skip


def test_the_share_of_variance_is_that_between_groups_not_that_of_welchs_f():
    found = compare_groups(PEOPLE, "age", "level").glance()
    got = [found[name] for name in ("effect_size", "conf_low", "conf_high")]
    np.testing.assert_allclose(got, EXPECTED["omega"], rtol=1e-6)  # R searches the ends with uniroot()


def test_pairs_that_do_not_overlap_have_a_p_and_count_in_holms_correction():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"team": np.repeat(list("abcd"), 6), "use": rng.normal(0, 1, 24)})
    frame["use"] += 50 * (frame["team"] == "d")
    rows = compare_groups(frame, "use", "team", method="kruskal").tidy()
    apart = rows[rows["other_group"] == "d"]
    assert (apart["p_value"] - 2 / 924).abs().max() < 1e-12 and rows["p_adjusted"].notna().all()  # 2 of 924 ways
    assert apart["p_adjusted"].min() == pytest.approx(6 * 2 / 924)  # six pairs
    assert (apart["reading"] == "lower, large: in 100 of 100 pairs of respondents").all()


def test_a_reference_gives_one_row_for_every_other_group():
    rows = compare_groups(arms(), "support", "frame", reference="neutral").tidy()
    assert rows["other_group"].tolist() == ["neutral"] * 2 and rows["group"].tolist() == ["performance", "values"]


def test_a_planted_difference_is_found_and_said_in_pairs_of_respondents():
    rows = compare_groups(arms(80, values=1.5), "support", "frame").tidy().set_index(["group", "other_group"])
    assert rows.loc[("neutral", "values"), "reading"].startswith("lower, large: in 8")
    assert rows.loc[("neutral", "performance"), "reading"] == "direction uncertain"


def test_shares_are_compared_in_points():
    frame = arms(100)
    frame["yes"] = (frame["support"] + 1.2 * (frame["frame"] == "values") > 0).astype(float)
    rows = compare_groups(frame, "yes", "frame", reference="neutral").tidy().set_index("group")
    assert "points" in rows.loc["values", "reading"] and rows["g"].isna().all()


def test_a_group_too_small_to_show_is_counted_with_another():
    frame = pd.concat([arms(30), arms(30)[:4].assign(frame="pilot"), arms(30)[4:7].assign(frame="trial")])
    result = compare_groups(frame.reset_index(drop=True), "support", "frame")
    shown = set(result.tidy()["group"]) | set(result.tidy()["other_group"])
    assert POOLED in shown and not {"pilot", "trial"} & shown and "levels_pooled" in names_of(result)
    assert result.groups.tidy()["n"].min() >= 5


def test_a_higher_threshold_pools_more():
    frame = arms(12).iloc[4:]
    assert POOLED not in set(compare_groups(frame, "support", "frame").groups.tidy()["group"])
    assert POOLED in set(compare_groups(frame, "support", "frame", min_n=9).groups.tidy()["group"])


def test_a_group_that_answers_alike_is_counted_with_another_because_its_mean_is_everybodys_answer():
    frame = arms()
    frame.loc[frame["frame"] == "values", "support"] = 4.0
    result = compare_groups(frame, "support", "frame")
    assert set(result.groups.tidy()["group"]) == {"performance", POOLED} and "levels_pooled" in names_of(result)
    with pytest.raises(DisclosureError, match="more than one outcome"):
        compare_groups(frame[frame["frame"] != "neutral"], "support", "frame")
    frame, told = arms(), {"a": {"frame": {"performance": 1, "neutral": -1}}}
    frame.loc[(frame["frame"] == "neutral") & (frame["sender"] == "boss"), "support"] = 4.0
    with pytest.raises(DisclosureError, match="same outcome"):
        planned_contrasts(frame, "support", ["frame", "sender"], told)


def test_groups_in_which_a_few_gave_an_answer_are_counted_together():
    frame = arms().assign(yes=0.0)
    frame.loc[[0, 1, 2, 40, 41, 42, 43, 44, 45, 80, 81, 82, 83, 84, 85], "yes"] = 1.0
    groups = compare_groups(frame, "yes", "frame").groups.tidy()["group"]
    assert POOLED in set(groups) and "neutral" not in set(groups)


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        ({"frame": "one"}, {}, DataError, "one level"),
        ({"support": 3.0}, {}, DataError, "same value"),
        ({"support": [f"w{i}" for i in range(120)]}, {}, DataError, "text"),
        ({}, {"outcome": "suport"}, DataError, 'Did you mean "support"'),
        ({}, {"group": "support"}, StudyError, "both outcome and group"),
        ({}, {"method": "wilcox"}, StudyError, "method"),
        ({}, {"correction": "bonferroni"}, StudyError, "correction"),
        ({}, {"spread": "mine"}, StudyError, "spread"),
        ({}, {"reference": "neutrl"}, DataError, 'Did you mean "neutral"'),
        ({}, {"conf_level": 95}, DataError, "conf_level"),
        ({"frame": ["a"] * 119 + ["b"]}, {}, DisclosureError, "no two levels"),
    ],
)
def test_bad_input_gets_one_clear_error(change, options, error, says):
    with pytest.raises(error, match=says):
        compare_groups(arms().assign(**change), **{"outcome": "support", "group": "frame"} | options)


def statement(seed=3, sizes=(8, 10, 12, 15, 30, 45)):
    """Answers from 1 to 5 in departments of different size."""
    rng = np.random.default_rng(seed)
    units = np.repeat([f"unit {place}" for place in range(len(sizes))], sizes)
    return pd.DataFrame({"unit": units, "item": rng.integers(1, 6, len(units)).astype(float)})


def counts_that_fit(n, mean, spread):
    """The attack: all numbers of people with each answer that have this number, mean and standard deviation."""
    total, squares = n * mean, (n - 1) * spread**2 + n * mean**2
    four = np.array([c for c in itertools.product(range(n + 1), repeat=4) if sum(c) <= n])
    every = np.column_stack([four, n - four.sum(axis=1)])
    fits = np.abs(every @ np.arange(1, 6) - total) + np.abs(every @ np.arange(1, 6) ** 2 - squares) < 1e-6
    return every[fits]


def spreads_of_pairs(rows):
    """The attack on pairs: standard deviations of groups, times 1 / sqrt(n), solved from the errors of all pairs."""
    names = sorted({*rows["group"], *rows["other_group"]})
    sums = np.array([[name in pair for name in names] for pair in rows[["group", "other_group"]].to_numpy()], float)
    return dict(zip(names, np.sqrt(np.linalg.lstsq(sums, rows["std_error"] ** 2)[0]), strict=True))


def told(result, frame):
    """Departments below 20 for which number, mean and spread fit one set of counts only."""
    groups = result.groups.shown().set_index("group")
    solved = spreads_of_pairs(result.tidy())
    spread = groups["std_dev"].fillna(pd.Series(solved) * np.sqrt(groups["n"]))
    truth = (
        frame.groupby("unit")["item"].value_counts().unstack(fill_value=0).reindex(columns=range(1, 6), fill_value=0)
    )
    found = set()
    for name in groups.index[(groups["n"] < 20) & spread.notna()]:
        fits = counts_that_fit(int(groups.loc[name, "n"]), groups.loc[name, "estimate"], spread[name])
        if len(fits) == 1 and (fits[0] == truth.loc[name]).all():
            found.add(name)
    return found


def test_counts_of_a_statement_do_not_follow_from_number_mean_and_spread(monkeypatch):
    frame = statement()
    result = compare_groups(frame, "item", "unit")
    assert not told(result, frame) and "few_values" in names_of(result)
    groups = result.groups.tidy().set_index("group")
    assert groups["estimate"].notna().all() and groups["std_dev"].notna().sum() == 2  # the large ones
    assert set(result.tidy()[["group", "other_group"]].to_numpy().ravel()) == {"unit 4", "unit 5", POOLED}
    plt.close(result.groups.plot().get_figure())
    monkeypatch.setattr("smstudy.models.differences.groups.MOST_STEPS", 0)
    assert told(compare_groups(frame, "item", "unit"), frame)  # without protection the attack works


def test_only_statements_in_small_groups_lose_their_spread():
    frame = statement(sizes=(8, 10, 30))
    scale = frame.assign(item=frame["item"] + np.random.default_rng(1).integers(0, 4, len(frame)) / 4)
    assert compare_groups(scale, "item", "unit").groups.tidy()["std_dev"].notna().all()
    large = compare_groups(statement(sizes=(20, 25, 30)), "item", "unit")
    assert large.groups.tidy()["std_dev"].notna().all() and "few_values" not in names_of(large)
    with pytest.raises(DisclosureError, match="no two groups of so many"):
        compare_groups(statement(sizes=(8, 30)), "item", "unit")


def test_missing_answers_are_left_out_and_counted():
    frame = arms()
    frame.loc[:9, "support"] = np.nan
    assert compare_groups(frame, "support", "frame").glance()["n_dropped"] == 10


def test_pooling_over_equal_data_changes_nothing_and_ranks_refuse_it():
    result = compare_groups(arms(), "support", "frame")
    found = result.pooling()
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), result.tidy()["std_error"], rtol=1e-12)
    with pytest.raises(EstimationError, match="Ranks"):
        compare_groups(arms(), "support", "frame", method="kruskal").pooling()


def test_departments_hidden_elsewhere_are_hidden_here():
    survey = sm.open_study("quarterly-pulse").survey("clean")
    hidden = sm.by_group(survey, ["adoption"], "unit").tidy().query("hidden")["group"]
    rows = compare_groups(survey, "adoption", "unit").tidy()
    assert len(hidden) and not set(hidden) & (set(rows["group"]) | set(rows["other_group"]))


def test_pictures_name_both_groups():
    ax = compare_groups(arms(), "support", "frame").plot()
    assert ax.get_yticklabels()[0].get_text() == "neutral − performance"
    plt.close(ax.get_figure())


# planned contrasts


def test_contrasts_with_equal_variances_agree_with_emmeans():
    asked = {"upper or lower": SIDES, "e3 or e5": {"e3": 1, "e5": -1}}
    rows = planned_contrasts(PEOPLE, "agree", "level", asked, equal_variances=True).tidy()
    expected = EXPECTED["classical"]
    named = {"estimate": "estimate", "std_error": "se", "df": "df", "p_value": "p", "p_adjusted": "holm"}
    for name, other in named.items():
        np.testing.assert_allclose(rows[name], expected[other], **CLOSED)


def test_contrasts_without_equal_variances_agree_with_plain_r():
    asked = {"upper or lower": SIDES, "e3 or e5": {"e3": 1, "e5": -1}}
    rows = planned_contrasts(PEOPLE, "agree", "level", asked).tidy()
    np.testing.assert_allclose(rows[["estimate", "std_error", "df"]], EXPECTED["own"], **CLOSED)


def test_factorial_contrasts_agree_with_emmeans():
    asked = {"main": {"level": SIDES}, "both": {"level": {"e5": 1, "e1": -1}, "gender": {"man": 1, "woman": -1}}}
    rows = planned_contrasts(PEOPLE, "agree", ["level", "gender"], asked, equal_variances=True).tidy()
    for name, other in (("estimate", "estimate"), ("std_error", "se"), ("df", "df"), ("p_value", "p")):
        np.testing.assert_allclose(rows[name], EXPECTED["factorial"][other], **CLOSED)


def test_the_size_of_weights_does_not_matter():
    one = planned_contrasts(arms(), "support", "frame", {"a": {"values": 1, "neutral": -0.5, "performance": -0.5}})
    two = planned_contrasts(arms(), "support", "frame", {"a": {"values": 20, "neutral": -10, "performance": -10}})
    pd.testing.assert_frame_equal(one.tidy(), two.tidy(), rtol=1e-12)  # the same sums


def test_weights_may_be_numbers_of_numpy():
    for one in (np.int64(1), np.float32(1)):
        rows = planned_contrasts(arms(), "support", "frame", {"a": {"values": one, "neutral": -one}}).tidy()
        plain = planned_contrasts(arms(), "support", "frame", {"a": {"values": 1, "neutral": -1}}).tidy()
        pd.testing.assert_frame_equal(rows, plain)


def test_a_contrast_of_two_groups_is_their_comparison():
    pair = compare_groups(arms(), "support", "frame").tidy().iloc[1]
    alone = planned_contrasts(arms(), "support", "frame", {"a": {"neutral": 1, "values": -1}}).tidy().iloc[0]
    for name in ("estimate", "std_error", "df", "p_value"):
        assert pair[name] == pytest.approx(alone[name], rel=1e-12)  # the same formula


def test_a_planted_interaction_is_a_difference_of_differences():
    frame = arms(800, seed=4)
    frame["support"] += 1.0 * ((frame["frame"] == "values") & (frame["sender"] == "boss"))
    asked = {"both": {"frame": {"values": 1, "neutral": -1}, "sender": {"boss": 1, "peer": -1}}}
    row = planned_contrasts(frame, "support", ["frame", "sender"], asked).tidy().iloc[0]
    assert row["conf_low"] <= 1.0 <= row["conf_high"] and row["p_value"] < 0.001


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"a": {"values": 1, "neutral": 1}}, StudyError, "add up to 2"),
        ({"a": {"values": 0, "neutral": 0}}, StudyError, "compares nothing"),
        ({"a": {"value": 1, "neutral": -1}}, DataError, 'Did you mean "values"'),
        ({"a": {"values": "1", "neutral": -1}}, StudyError, "no number"),
        ({"a": {"values": True, "neutral": -1}}, StudyError, "no number"),
        ({"a": {}}, StudyError, "no weights"),
        ({"a": {"sendr": {"boss": 1, "peer": -1}}}, StudyError, "no grouping column"),
        ({}, StudyError, "at least one contrast"),
    ],
)
def test_contrasts_that_compare_nothing_are_refused(asked, error, says):
    with pytest.raises(error, match=says):
        planned_contrasts(arms(), "support", "frame", asked)


def test_small_combinations_are_refused():
    frame = arms(20)
    frame.loc[(frame["frame"] == "values") & (frame["sender"] == "boss"), "sender"] = "peer"
    frame.loc[frame.index[-3:], "sender"] = "boss"
    with pytest.raises(DisclosureError):
        planned_contrasts(frame, "support", ["frame", "sender"], {"a": {"frame": {"values": 1, "neutral": -1}}})


def test_contrasts_that_repeat_each_other_are_told():
    asked = {"a": {"values": 1, "neutral": -1}, "b": {"neutral": 1, "values": -1}}
    assert "contrasts_repeat" in names_of(planned_contrasts(arms(), "support", "frame", asked))


def test_false_alarms_of_three_contrasts_stay_at_five_percent():
    asked = {"a": {"values": 1, "neutral": -1}, "b": {"performance": 1, "neutral": -1},
             "c": {"values": 1, "performance": -1}}  # fmt: skip
    false = [(planned_contrasts(arms(16, seed), "support", "frame", asked).tidy()["p_adjusted"] < 0.05).any()
             for seed in range(250)]  # fmt: skip
    assert np.mean(false) <= 0.05 + 0.041  # three Monte Carlo errors of 250 samples


def test_a_survey_with_weights_is_told_that_they_are_not_used():
    book = Codebook.model_validate({"title": "Test", "variables": [
        {"name": "frame", "kind": "category", "categories": [{"value": v, "label": v} for v in ("neutral", "values")]},
        {"name": "support", "kind": "number"}, {"name": "w", "kind": "weight"},
    ]})  # fmt: skip
    answers = arms()[["frame", "support"]].assign(w=1.5)
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    survey = Survey(answers=answers, codebook=book, missing=nothing)
    assert "weights_not_used" in names_of(compare_groups(survey, "support", "frame"))
    assert "weights_not_used" in names_of(sm.equivalence(survey, "support", against=0.0, bounds=0.5))
    asked = {"a": {"values": 1, "neutral": -1}}
    assert "weights_not_used" in names_of(planned_contrasts(survey, "support", "frame", asked))
