"""Laws of `smstudy.models.pooled` and of the results that declare how they pool."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError, StudyError
from smstudy.inference.means import mean_interval
from smstudy.models.differences.estimates import weighted_means
from smstudy.models.differences.groups import by_group, changes
from smstudy.models.pooled import pool
from smstudy.models.regressions.categories import ordinal
from smstudy.models.regressions.marginal import effects
from smstudy.models.regressions.regression import regress
from smstudy.scales.description import correlate, describe
from smstudy.scales.reliability import cronbach_alpha
from smstudy.scales.scoring import score
from smstudy.survey.codebook import Category, Codebook, Scale, Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.imputations import Imputations, impute

matplotlib.use("Agg")
REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "pooling.json").read_text())
RTOL = 1e-8  # promised for pooling on given imputations
ITEMS = ("a1", "a2", "a3", "b1", "b2", "b3")
AGREE = tuple(Category(value=str(i), label=f"answer {i}") for i in range(1, 6))
BOOK = Codebook(
    title="Test",
    variables=(
        *(Variable(name=n, column=n, kind="item", categories=AGREE) for n in ITEMS),
        Variable(name="unit", column="unit", kind="unit"),
    ),
    scales=(Scale(name="a", items=ITEMS[:3]), Scale(name="b", items=ITEMS[3:], min_answered=1.0)),
)


@pytest.fixture(scope="module")
def given():
    """The five imputations by mice as if they were ours."""
    stacked = pd.read_csv(REFERENCE / "pooling.csv")
    sets = [part.drop(columns=[".imp", ".id"]).reset_index(drop=True) for _, part in stacked.groupby(".imp")]
    before, filled = sets[0], sets[1:]
    gaps = before.columns[before.isna().any()]
    return Imputations(
        title="Given",
        data=before,
        values={name: np.array([data[name][before[name].isna()] for data in filled]) for name in gaps},
        cells={name: before[name].isna().to_numpy() for name in gaps},
        rows=pd.DataFrame({"term": gaps, "n": 100, "n_imputed": 20, "r_hat": 1.0}),
        trace=np.zeros((1, 5, len(gaps))),
        m=5,
        n_complete=90,
    )


def survey_of(n=200, seed=1, small_unit=0):
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.5], [0.0, 0.8]])
    sides = {name: trait[:, int(name[0] == "b")] for name in ITEMS}
    answers = pd.DataFrame({k: np.clip(np.round(3 + v + 0.7 * rng.normal(size=n)), 1, 5) for k, v in sides.items()})
    answers = answers.mask(rng.random(answers.shape) < 0.08)
    answers["unit"] = np.where(np.arange(n) < small_unit, "Tiny", np.where(rng.random(n) < 0.5, "Sales", "Legal"))
    missing = pd.DataFrame(columns=["row", "variable", "reason"])
    return score(Survey(answers=answers, codebook=BOOK, missing=missing)).survey


def check(result, expected, columns=("estimate", "std_error", "df", "riv", "fmi")):
    for name in columns:
        np.testing.assert_allclose(result.tidy()[name], expected[name], rtol=RTOL, err_msg=name)


def rows_of(parts):
    return {name: [part[name] for part in parts] for name in parts[0]}


def test_linear_regression_agrees_with_mice(given):
    result = pool(given, lambda data: regress("y ~ x + z", data, covariance="classical"))
    check(result, EXPECTED["linear"])
    wald, glance = EXPECTED["linear_wald"], result.glance()
    for name in ("statistic", "df", "df_residual", "p_value"):
        assert glance[name] == pytest.approx(wald[name], rel=RTOL), name


def test_logit_agrees_with_mice(given):
    result = pool(given, lambda data: regress("active ~ x + z", data, family="logit"))
    check(result, EXPECTED["logit"])
    np.testing.assert_allclose(result.tidy()["odds_ratio"], np.exp(EXPECTED["logit"]["estimate"]), rtol=RTOL)


def test_robust_and_clustered_errors_agree_with_sandwich_and_mice(given):
    check(pool(given, lambda data: regress("y ~ x + z", data, covariance="HC3")), rows_of(EXPECTED["hc3"]))
    check(
        pool(given, lambda data: regress("y ~ x + z", data, cluster="unit", covariance="CR1")), rows_of(EXPECTED["cr1"])
    )


def test_means_agree_with_mice(given):
    expected = [EXPECTED["means"][0], EXPECTED["means"][2]]  # x has no gap; mice takes its share of 0 as 0.0001
    check(pool(given, lambda data: describe(data, ["y", "z"])), rows_of(expected))


def test_correlations_are_pooled_as_fishers_z(given):
    expected = EXPECTED["fisher"]
    result = pool(given, lambda data: correlate(data, ["y", "z"]))
    row = result.tidy().iloc[0]
    assert row["estimate"] == pytest.approx(np.tanh(expected["estimate"]), rel=RTOL)
    assert [row["std_error"], row["df"]] == pytest.approx([expected["std_error"], expected["df"]], rel=RTOL)
    assert -1 < row["conf_low"] < row["estimate"] < row["conf_high"] < 1 and "Fisher" in result.note


def test_the_analysis_without_imputation_stands_next_to_it(given):
    fit = regress("y ~ x + z", given.data)
    table = pool(given, lambda data: regress("y ~ x + z", data)).tidy()
    for pooled, single in (("estimate", "estimate"), ("low", "conf_low"), ("high", "conf_high")):
        np.testing.assert_allclose(table[f"complete_{pooled}"], fit.tidy()[single], rtol=1e-12)  # the same fit
    fit = regress("active ~ x", given.data, family="logit").tidy()
    table = pool(given, lambda data: regress("active ~ x", data, family="logit")).tidy()
    np.testing.assert_allclose(table["complete_high"], fit["conf_high"], rtol=1e-12)  # the same interval
    means = pool(given, lambda data: describe(data, ["y"]), conf_level=0.9).tidy()
    by_hand = mean_interval(given.data["y"].dropna().to_numpy(), conf_level=0.9)
    assert means["complete_low"][0] == pytest.approx(by_hand.conf_low, rel=1e-12)  # the same interval
    pairs = correlate(given.data, ["y", "z"]).tidy()
    table = pool(given, lambda data: correlate(data, ["y", "z"])).tidy()
    np.testing.assert_allclose(table["complete_low"], pairs["conf_low"], rtol=1e-12)  # the same interval


def test_the_test_of_one_term_is_the_row_of_that_term(given):
    for m in (2, 5):
        few = replace(given, m=m, values={name: values[:m] for name, values in given.values.items()})
        result = pool(few, lambda data: regress("y ~ z", data))
        row = result.tidy().set_index("term").loc["z"]
        glance = result.glance()
        assert glance["statistic"] == pytest.approx(row["statistic"] ** 2, rel=1e-10)  # F(1, df) is t squared
        assert [glance["df_residual"], glance["p_value"]] == pytest.approx([row["df"], row["p_value"]], rel=1e-10)


def test_too_few_imputations_give_no_test_of_all_terms_but_the_reason(given):
    few = replace(given, m=2, values={name: values[:2] for name, values in given.values.items()})
    result = pool(few, lambda data: regress("y ~ x + z", data))
    assert not {"statistic", "df", "df_residual", "p_value"} & set(result.glance())
    found = [finding.text for finding in result.findings if finding.name == "not_tested_together"]
    assert len(found) == 1 and "Use m = 4 or more" in found[0] and result.tidy()["p_value"].notna().all()


def with_tools(given):
    """A tool that everybody but a few names."""
    tool = np.where(np.arange(len(given.data)) < 6, "Mail", "Chat")
    return replace(given, data=given.data.assign(tool=tool))


def test_shares_have_logit_intervals_and_tell_their_answers(given):
    result = pool(with_tools(given), lambda data: weighted_means(data, ["tool"]))
    table, single = result.tidy(), weighted_means(with_tools(given).data, ["tool"]).tidy()
    for name in ("conf_low", "conf_high"):
        assert table[name].between(0, 1).all() and table[f"complete_{name[5:]}"].between(0, 1).all()
        gap = np.abs(np.log(table[name] / (1 - table[name])) - np.log(single[name] / (1 - single[name])))
        assert gap.max() < 0.01  # the tool has no gaps; only Barnard-Rubin's degrees of freedom differ
    assert {"Mail", "Chat"} <= {cell for row in result.table().rows for cell in row}
    assert set(result.drawn()["term"]) == {"Mail", "Chat"} and "logit" in result.note
    other = pool(with_tools(given), lambda data: weighted_means(data, ["tool"]), conf_level=0.999).tidy()
    assert other[["conf_low", "complete_low"]].min(axis=None) > 0


def test_means_and_shares_are_not_tested_against_zero(given):
    analyses = (lambda data: weighted_means(data, ["tool", "y"]), lambda data: describe(data, ["y"]))
    for analysis in analyses:
        assert not {"statistic", "p_value"} & set(pool(with_tools(given), analysis).tidy())
    assert {"statistic", "p_value"} <= set(pool(given, lambda data: correlate(data, ["y", "z"])).tidy())


def test_fmi_where_nothing_is_missing_is_explained(given):
    result = pool(given, lambda data: describe(data, ["x", "y"]))
    row = result.tidy().set_index("term").loc["x"]
    assert row["fmi"] == pytest.approx(2 / (row["df"] + 3), rel=1e-12) and "also where none is" in result.note  # by def


def test_equal_imputations_change_nothing_but_the_degrees_of_freedom(given):
    same = Imputations(
        title="Same", data=given.data, values={k: np.repeat(v[:1], 3, axis=0) for k, v in given.values.items()},
        cells=given.cells, rows=given.rows, trace=given.trace, m=3, n_complete=90,
    )  # fmt: skip
    fit = regress("y ~ x + z", same.completed(1)).tidy()
    table = pool(same, lambda data: regress("y ~ x + z", data)).tidy()
    np.testing.assert_allclose(table["estimate"], fit["estimate"], rtol=1e-12)  # a mean of equal numbers
    np.testing.assert_allclose(table["std_error"], fit["std_error"], rtol=1e-12)  # as above
    assert table["riv"].max() < 1e-20


def test_scores_are_made_again_from_the_imputed_items():
    survey = survey_of()
    imputed = impute(survey, m=3, seed=1)
    seen = []
    pool(imputed, lambda s: (seen.append(s.answers), describe(s, ["b", "a"]))[1])
    for answers in seen[:3]:
        assert answers["b"].notna().all()
        np.testing.assert_allclose(answers["b"], answers[list(ITEMS[3:])].mean(axis=1), rtol=1e-12)  # the same mean
    assert seen[3]["b"].isna().any()


def test_what_was_done_is_said_with_the_findings_of_the_imputation():
    result = pool(impute(survey_of(), m=2, iterations=4, seed=1), lambda s: regress("b3 ~ a1", s))
    assert "Rubin" in result.note and "(pooled over 2 imputations)" in result.title and "t with" not in result.note
    assert {"few_imputations", "chains_too_short"} <= {finding.name for finding in result.findings}


def test_controls_stay_out_of_the_short_table_and_the_picture():
    result = pool(impute(survey_of(), m=2, seed=1), lambda s: regress("b ~ a + C(unit)", s))
    assert "unit[Sales]" in set(result.tidy()["term"]) and "unit" not in str(result.table().rows)
    assert set(result.drawn()["term"]) == {"a"}
    assert result.plot().get_title(loc="left")
    matplotlib.pyplot.close("all")


def test_categories_of_the_outcome_are_told_apart_and_thresholds_not_drawn():
    people = pd.read_csv(Path(__file__).parents[1] / "reference" / "categories.csv")
    imputed = impute(people[["agree", "leadership", "readiness"]], m=2, iterations=2, seed=1)
    steps = pool(imputed, lambda data: ordinal("agree ~ leadership", data))
    assert steps.drawn()["term"].tolist() == ["leadership"]
    points = pool(imputed, lambda data: effects(ordinal("agree ~ leadership", data), data))
    assert points.layout(points.shown())["category"].tolist() == ["1", "2", "3", "4", "5"]
    assert points.drawn()["term"].tolist() == [f"leadership: {answer}" for answer in range(1, 6)]


def test_groups_that_an_analysis_hides_stay_hidden():
    survey = survey_of(small_unit=4)
    result = pool(impute(survey, m=2, seed=1), lambda s: by_group(s, ["a", "b"], "unit"))
    tiny = result.shown().query("group == 'Tiny'")
    assert tiny["hidden"].all() and tiny.select_dtypes("number").isna().all().all()
    assert len(result.shown().query("~hidden")) >= 2


def test_variables_that_few_answered_are_not_shown_without_imputation():
    survey = survey_of()
    frame = survey.answers[list(ITEMS)].copy()
    frame["rare"] = np.where(np.arange(200) < 4, frame["a1"], np.nan)
    many = Imputations(
        title="Given", data=frame, values={"rare": np.ones((2, frame["rare"].isna().sum())) * [[2.0], [3.0]]},
        cells={"rare": frame["rare"].isna().to_numpy()}, rows=pd.DataFrame({"term": ["rare"]}),
        trace=np.zeros((1, 2, 1)), m=2, n_complete=4,
    )  # fmt: skip
    row = pool(many, lambda data: describe(data, ["rare", "a1"])).shown().iloc[0]
    assert np.isfinite(row["estimate"]) and np.isnan(row["complete_estimate"]) and np.isnan(row["complete_low"])


def test_an_analysis_refused_without_imputation_is_a_finding():
    frame = pd.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0) % 7, "z": np.arange(40.0) % 5})
    frame.loc[:19, "y"] = np.nan
    frame.loc[18:, "z"] = np.nan
    result = pool(impute(frame, m=2, iterations=2, seed=1), lambda data: regress("y ~ z", data))
    assert result.findings[0].name == "complete_refused" and result.tidy()["complete_estimate"].isna().all()


def test_results_without_a_pooling_scale_are_refused_with_what_to_do():
    imputed = impute(survey_of(), m=2, seed=1)
    with pytest.raises(EstimationError, match="cannot be pooled.*Pool one that has"):
        pool(imputed, lambda s: cronbach_alpha(s, "a"))
    with pytest.raises(EstimationError, match="cannot be pooled"):
        pool(imputed, lambda s: changes(s, None, ["a"]))


def test_terms_that_differ_between_imputations_are_refused():
    imputed = impute(survey_of(), m=2, seed=1)
    formulas = iter(["b ~ a", "b ~ a1"])
    with pytest.raises(EstimationError, match="terms differ"):
        pool(imputed, lambda s: regress(next(formulas), s))


def test_what_is_no_analysis_or_no_imputation_is_refused():
    imputed = impute(survey_of(), m=2, seed=1)
    with pytest.raises(StudyError, match="gave a float, not a result"):
        pool(imputed, lambda s: 1.0)
    with pytest.raises(StudyError, match="is a Description, not a function"):
        pool(imputed, describe(survey_of(), ["a"]))
    with pytest.raises(StudyError, match="needs imputations"):
        pool(survey_of(), lambda s: describe(s, ["a"]))
    with pytest.raises(StudyError, match="conf_level"):
        pool(imputed, lambda s: describe(s, ["a"]), conf_level=95)


def test_a_mean_is_recovered_that_those_who_answered_do_not_have():
    rng = np.random.default_rng(9)
    x = rng.normal(size=2000)
    y = 0.5 * x + rng.normal(size=2000)
    x[rng.random(2000) < 1 / (1 + np.exp(1 - y))] = np.nan
    imputed = impute(pd.DataFrame({"x": x, "y": y}), m=20, iterations=5, seed=2)
    row = pool(imputed, lambda data: describe(data, ["x"])).tidy().iloc[0]
    assert abs(row["estimate"]) < 3 * row["std_error"]  # three standard errors
    assert row["complete_high"] < 0
