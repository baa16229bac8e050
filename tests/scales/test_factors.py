"""Laws of factor analysis at the front door: R's numbers, verdicts, refusals, planted truths, privacy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError
from smstudy.privacy import Privacy
from smstudy.result import write_record
from smstudy.scales.factors import choose_factors, factor_analysis
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

matplotlib.use("Agg")
HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "factors.json").read_text(encoding="utf-8"))["cases"]["bfi"]
SIMPLE = np.kron(np.eye(3), np.array([[0.8], [0.7], [0.6], [0.5]]))
NAMES = [f"q{i + 1}" for i in range(12)]


def bfi() -> pd.DataFrame:
    return pd.read_csv(HERE / "bfi_complete.csv")


def planted(n: int, seed: int, *, correlated: float = 0.3, cuts: tuple[float, ...] = ()) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    between = np.full((3, 3), correlated) + (1 - correlated) * np.eye(3)
    factors = rng.standard_normal((n, 3)) @ np.linalg.cholesky(between).T
    answers = factors @ SIMPLE.T + rng.standard_normal((n, 12)) * np.sqrt(1 - (SIMPLE**2).sum(axis=1))
    return pd.DataFrame(np.digitize(answers, cuts) + 1.0 if cuts else answers, columns=NAMES)


def survey_of(items: pd.DataFrame, scales: dict[str, list[str]], reverse: tuple[str, ...] = ()) -> Survey:
    categories = [{"value": str(i), "label": f"answer {i}"} for i in range(1, 7)]
    codebook = {
        "title": "T",
        "variables": [
            {"name": name, "kind": "item", "categories": categories, "reverse": name in reverse} for name in items
        ],
        "scales": [{"name": name, "items": names} for name, names in scales.items()],
    }
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=items.astype(float), codebook=Codebook.model_validate(codebook), missing=blank)


# R


def test_loadings_and_factor_correlations_agree_with_r():
    found = factor_analysis(bfi(), 5)
    expected, between = np.array(R["rotation"]["oblimin"]), np.array(R["rotation"]["oblimin_phi"])
    order = np.abs(found.loadings.to_numpy().T @ expected).argmax(axis=1)
    signs = np.sign((found.loadings.to_numpy() * expected[:, order]).sum(axis=0))
    # GPArotation ends at a slope of 1e-7 at best: 1e-5 of a loading
    assert found.loadings.to_numpy() == pytest.approx(expected[:, order] * signs, abs=1e-5)
    ours = found.correlations.tidy()["correlation"].to_numpy()
    theirs = (between[np.ix_(order, order)] * np.outer(signs, signs))[np.triu_indices(5, 1)]
    assert ours == pytest.approx(theirs, abs=1e-5)  # the same


def test_fit_is_what_psych_prints():
    line, expected = factor_analysis(bfi(), 5).glance(), R["fit"]
    for ours, theirs in (("statistic", "statistic"), ("rmsr", "rms"), ("tli", "tli"), ("bic", "bic"), ("df", "dof")):
        assert line[ours] == pytest.approx(expected[theirs], rel=1e-6)  # R's minimum is 4e-9 of a slope away
    assert line["rmsea"] == pytest.approx(expected["rmsea"][0], rel=1e-6)  # the same
    assert line["explained"] == pytest.approx(sum(expected["explained"]) / 25, rel=1e-6)  # the same


def test_adequacy_and_sphericity_are_those_of_psych():
    line = choose_factors(bfi()).glance()
    assert (line["kmo"], line["statistic"]) == pytest.approx(
        (R["kmo"], R["sphericity"]["statistic"]), rel=1e-9
    )  # exact


# verdicts


def test_three_planted_factors_are_chosen_and_each_item_finds_its_own():
    choice = choose_factors(planted(800, 1))
    assert choice.verdict == "3 factors"
    found = factor_analysis(planted(800, 1), 3)
    own = found.loadings.abs().to_numpy().argmax(axis=1).reshape(3, 4)
    assert (own == own[:, :1]).all() and sorted(own[:, 0]) == [0, 1, 2]
    assert not found.findings


def test_the_verdict_is_right_nearly_always_on_planted_factors_and_on_nothing():
    planted_verdicts = [choose_factors(planted(300, seed, cuts=(-1, 0, 0.7))).verdict for seed in range(20)]
    assert np.mean([verdict == "3 factors" for verdict in planted_verdicts]) >= 0.9  # strong factors
    rng = np.random.default_rng(2)
    nothing = [choose_factors(pd.DataFrame(rng.standard_normal((300, 12)), columns=NAMES)).verdict for _ in range(40)]
    assert np.mean([verdict == "no common factor" for verdict in nothing]) >= 0.85  # level 5 %: 2 of 40, at most 6


def test_a_range_is_a_verdict_when_criteria_differ():
    choice = choose_factors(bfi())
    assert choice.verdict == f"cannot tell: {choice.fewest} to {choice.most} factors" and choice.fewest == 5
    assert "criteria_differ" in {finding.name for finding in choice.findings}


def test_unrelated_items_have_no_common_factor():
    items = pd.DataFrame(np.random.default_rng(3).standard_normal((400, 8)), columns=list("abcdefgh"))
    choice = choose_factors(items)
    assert choice.fewest == 0
    assert {"low_adequacy", "no_common_variance"} & {finding.name for finding in choice.findings}


def test_polychoric_loadings_undo_what_coarse_answers_hide():
    items = planted(3000, 4, cuts=(0.3, 1.2))
    biases = {}
    for correlation in ("pearson", "polychoric"):
        found = factor_analysis(items, 3, correlation=correlation)
        assert choose_factors(items, correlation=correlation).most == 3
        biases[correlation] = found.loadings.abs().max(axis=1).to_numpy().mean() - SIMPLE.max(axis=1).mean()
    assert biases["pearson"] < -0.05 and abs(biases["polychoric"]) < 0.02  # 12 loadings of error 0.02


def test_items_of_two_factors_and_of_none_are_findings():
    items = planted(1000, 5, correlated=0.0)
    items["both"] = items["q1"] + items["q5"] + np.random.default_rng(6).standard_normal(1000)
    items["none"] = np.random.default_rng(7).standard_normal(1000)
    texts = {finding.name: finding.text for finding in factor_analysis(items, 3).findings}
    assert "both" in texts["cross_loading"] and "none" in texts["no_loading"]


def test_a_factor_too_many_is_thin():
    assert "thin_factor" in {finding.name for finding in factor_analysis(planted(2000, 8), 4).findings}


def test_few_respondents_are_a_finding():
    assert "few_respondents" in {finding.name for finding in factor_analysis(planted(60, 9), 2).findings}


# surveys


def test_items_of_several_scales_are_taken_together_and_turned_round():
    items = planted(500, 10, cuts=(-1, 0, 1))
    turned = items.assign(q1=7 - items["q1"])
    survey = survey_of(turned, {"one": NAMES[:4], "two": NAMES[4:]}, reverse=("q1",))
    assert factor_analysis(survey, 3).loadings.equals(factor_analysis(items, 3).loadings)
    assert factor_analysis(survey, 1, scales="one").loadings.shape == (4, 1)
    assert choose_factors(survey, ["one", "two"]).n_items == 12
    assert "turned round" in factor_analysis(survey, 1, scales="one").to_text()


def test_missing_answers_leave_respondents_out_and_say_so():
    items = planted(300, 11)
    items.iloc[:40, 0] = np.nan
    assert factor_analysis(items, 3).glance() | {"n": 260, "n_dropped": 40} == factor_analysis(items, 3).glance()
    assert factor_analysis(items, 3).loadings.equals(factor_analysis(items.dropna(), 3).loadings)


# refusals


def refusals() -> dict[str, tuple[pd.DataFrame, int, str]]:
    items = planted(200, 12)
    heywood = pd.DataFrame(
        np.random.default_rng(13).multivariate_normal(
            np.zeros(3), [[1, 0.9, 0.8], [0.9, 1, 0.55], [0.8, 0.55, 1]], 500
        ),
        columns=["a", "b", "c"],
    )
    return {
        "two items": (items[["q1", "q2"]], 1, "needs 3 items"),
        "constant": (items.assign(q1=3.0), 2, "same answer to q1"),
        "nobody answered": (items.assign(q1=np.nan), 2, "nobody answered q1"),
        "text": (items.assign(q1="often"), 2, "q1 holds no numbers"),
        "same item twice": (items.assign(q13=items["q1"]), 2, "q1 and q13 hold the same answers"),
        "a sum of others": (items.assign(q13=items["q1"] + items["q5"]), 2, "q1, q5 and q13 determine each other"),
        "too many factors": (items.iloc[:, :5], 3, "3 factors are too many for 5 items.*At most 2"),
        "no factor": (items, 0, "n_factors = 0 is no number of factors"),
        "fewer respondents than items": (
            items.iloc[:11],
            2,
            "11 respondents answered all 12 items, and 13 or more are needed",
        ),
        "heywood": (heywood, 1, "explain all of a.*Heywood"),
    }


@pytest.mark.parametrize("case", list(refusals()))
def test_what_cannot_be_computed_is_refused_in_one_line(case):
    items, m, message = refusals()[case]
    with pytest.raises((DataError, EstimationError), match=message) as refused:
        factor_analysis(items, m)
    assert "\n" not in str(refused.value)


def test_an_item_that_factors_explain_fully_is_named_as_in_tables():
    items, m, _ = refusals()["heywood"]
    answers = pd.DataFrame(np.digitize(items, [-1, 0, 1]) + 1.0, columns=list(items))
    answers["c"] = answers["a"].where(answers.index % 50 > 0, 5 - answers["a"])
    survey = survey_of(answers, {"one": list(answers)})
    with pytest.raises(EstimationError, match="Heywood") as of_frame:
        factor_analysis(answers, m)
    with pytest.raises(EstimationError, match="Heywood") as of_survey:
        factor_analysis(survey, m)
    code = str(of_frame.value).split("all of ")[1].split(":")[0]
    assert f'"{survey.codebook.labels[code]}"' in str(of_survey.value)


def test_an_item_in_two_scales_is_refused():
    survey = survey_of(planted(100, 14, cuts=(0,)), {"one": NAMES[:4], "two": NAMES[3:8]})
    with pytest.raises(DataError, match="Items in two of the scales: q4"):
        choose_factors(survey)


@pytest.mark.parametrize("option", [{"method": "mle"}, {"rotation": "quartimax"}, {"correlation": "kendall"}])
def test_unknown_options_are_refused_with_those_there_are(option):
    with pytest.raises(DataError, match="is not known. Use "):
        factor_analysis(planted(100, 15), 2, **option)


def test_scales_of_a_frame_are_refused():
    with pytest.raises(DataError, match="A table has no scales"):
        choose_factors(planted(100, 15), "one")


def test_a_polychoric_matrix_that_is_not_positive_definite_is_refused():
    items = planted(16, 16, cuts=(0.0, 0.8))
    with pytest.raises((DataError, EstimationError)):
        factor_analysis(items, 2, correlation="polychoric")


# results


def test_results_render_within_the_vocabulary():
    for result in (choose_factors(bfi()), factor_analysis(bfi(), 5), factor_analysis(bfi(), 5).correlations):
        assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
        assert result.to_html() and result.to_latex() and result.alt_text()
        assert write_record(result) == write_record(result)


def test_a_saturated_model_shows_no_fit_it_does_not_have():
    line = factor_analysis(planted(300, 17)[["q1", "q2", "q3"]], 1).glance()
    assert line["df"] == 0 and not {"rmsea", "tli", "p_value"} & set(line)


def test_pictures_show_every_number_they_are_made_of():
    found = factor_analysis(bfi(), 5)
    assert len(found.plot().texts) == 125
    assert len(choose_factors(bfi()).plot().get_lines()) == 5


def test_fewer_respondents_than_the_threshold_are_not_shown():
    survey = survey_of(planted(30, 18, cuts=(-1, 0, 1)), {"one": NAMES[:4]})
    choice = choose_factors(pd.DataFrame(survey.answers[NAMES[:4]]))
    assert len(choice.drawn()) == 8
    assert replace(choice, privacy=Privacy(min_n=50)).drawn().empty


def test_so_few_respondents_that_they_may_not_be_shown_are_refused():
    with pytest.raises(DataError, match="fewer than 5 respondents answered any of the items, and nothing is shown"):
        factor_analysis(planted(4, 19)[NAMES[:3]], 1)
    few = replace(survey_of(planted(40, 19, cuts=(0.0,)), {"s": NAMES}), privacy=Privacy(min_n=41))
    with pytest.raises(DataError, match="fewer than 41 respondents"):
        choose_factors(few)


def test_respondents_fewer_than_items_are_told_with_both_numbers_unless_they_are_few():
    with pytest.raises(EstimationError, match="^8 respondents answered all 12 items, and 13 or more are needed"):
        factor_analysis(planted(8, 19), 1)
    with pytest.raises(DataError, match="ewer than 5 respondents"):
        factor_analysis(planted(4, 19), 1)


def test_the_same_seed_gives_the_same_record():
    assert write_record(choose_factors(bfi(), seed=3)) == write_record(choose_factors(bfi(), seed=3))


def test_items_answered_alike_by_nearly_everybody_are_named():
    skewed = planted(600, 31, cuts=(1.4, 1.9))
    for result in (choose_factors(skewed), factor_analysis(skewed, 2)):
        texts = {finding.name: finding.text for finding in result.findings}
        assert "can form factors of their own" in texts["skewed_items"] and "polychoric" in texts["skewed_items"]
    even = planted(600, 31, cuts=(-0.8, 0.0, 0.8))
    rare = choose_factors(even.assign(q1=skewed["q1"]))
    assert next(f.text for f in rare.findings if f.name == "skewed_items").startswith("q1: ")
    for result in (choose_factors(even), choose_factors(even, correlation="polychoric")):
        assert "skewed_items" not in {finding.name for finding in result.findings}
    assert "skewed_items" not in {f.name for f in choose_factors(skewed, correlation="polychoric").findings}


def test_skewed_answers_of_many_values_are_left_alone():
    skewed = np.exp(planted(600, 32))
    assert "skewed_items" not in {finding.name for finding in choose_factors(skewed).findings}
