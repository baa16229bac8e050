"""Laws of confirmatory factor analysis: what readers see, what is found, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import CodebookError, DataError, EstimationError
from smstudy.privacy import Privacy
from smstudy.result import write_record
from smstudy.scales.confirmatory import confirm
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

matplotlib.use("Agg")
HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "confirmatory.json").read_text(encoding="utf-8"))
BIG5 = {name: [f"{name}{i}" for i in range(1, 6)] for name in "ACENO"}
TWO = {"f": ["q0", "q1", "q2", "q3"], "g": ["q4", "q5", "q6", "q7"]}
MODELS = {"ml": "ML", "mlr": "MLR", "fiml": "FIML"}


def bfi(turned: bool = True) -> pd.DataFrame:
    items = pd.read_csv(HERE / "bfi.csv").astype(float)
    if turned:
        items[R["turned"]] = 7 - items[R["turned"]]
    return items


def planted(n: int = 400, seed: int = 1, correlation: float = 0.4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factors = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n)[:, [0] * 4 + [1] * 4]
    return pd.DataFrame(factors * 0.75 + rng.normal(size=(n, 8)) * 0.65, columns=[f"q{i}" for i in range(8)])


def survey_of(items: pd.DataFrame, scales: dict[str, list[str]], turned: list[str]) -> Survey:
    categories = [{"value": str(i), "label": f"answer {i}"} for i in range(1, 7)]
    codebook = {
        "title": "T",
        "variables": [
            {"name": n, "kind": "item", "title": f"Question {n}", "categories": categories, "reverse": n in turned}
            for n in items
        ],
        "scales": [{"name": name, "title": f"Scale {name}", "items": names} for name, names in scales.items()],
    }
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=items.astype(float), codebook=Codebook.model_validate(codebook), missing=blank)


def finding(result, name: str) -> str:
    return " ".join(each.text for each in result.findings if each.name == name)


# R


@pytest.mark.parametrize("name", list(MODELS))
def test_rows_are_the_standardized_solution_of_lavaan(name: str) -> None:
    model, expected = confirm(bfi(), BIG5, estimator=MODELS[name]), R["cases"][f"bfi_{name}"]
    lavaan = {
        frozenset(key): values
        for *key, op, values in zip(
            expected["lhs"],
            expected["rhs"],
            expected["op"],
            zip(*(expected[k] for k in ("std", "std_se", "std_low", "std_high", "est", "se"))),
        )
        if op in ("=~", "~~") and key[0] != key[1]
    }
    rows = model.tidy()
    assert len(rows) == len(lavaan) == 35
    for row in rows.itertuples():
        mine = (row.estimate, row.std_error, row.conf_low, row.conf_high, row.raw_estimate, row.raw_error)
        # lavaan differentiates numerically: errors of about 1e-8
        assert mine == pytest.approx(lavaan[frozenset((row.term, row.other_term))], abs=1e-7)


def test_glance_is_what_lavaan_prints() -> None:
    glance, measures = confirm(bfi(), BIG5).glance(), R["cases"]["bfi_mlr"]["measures"]
    pairs = {"statistic": "chisq.scaled", "cfi": "cfi.robust", "rmsea": "rmsea.robust", "srmr": "srmr", "aic": "aic"}
    for mine, theirs in pairs.items():
        assert glance[mine] == pytest.approx(measures[theirs], abs=1e-6)  # lavaan differentiates numerically, times n
    assert (glance["n"], glance["n_dropped"], glance["df"]) == (271, 29, 265)


def test_a_method_factor_takes_the_items_that_were_turned_round() -> None:
    survey = survey_of(bfi(turned=False), BIG5, R["turned"])
    model, measures = confirm(survey, method_factor=True), R["cases"]["bfi_method_mlr"]["measures"]
    assert model.glance()["statistic"] == pytest.approx(measures["chisq.scaled"], abs=1e-6)  # as above
    rows = model.tidy()
    assert set(rows.loc[rows["other_term"] == "method_factor", "term"]) == set(R["turned"])
    assert "Wording" in model.to_text() and "method factor" in model.note


# what a reader sees


def test_a_survey_is_turned_round_and_labeled() -> None:
    survey = survey_of(bfi(turned=False), BIG5, R["turned"])
    from_survey, from_frame = confirm(survey), confirm(bfi(), BIG5)
    assert from_survey.tidy().equals(from_frame.tidy())
    assert "Question A1 (turned round)" in from_survey.to_text() and "Scale N" in from_survey.to_text()


def test_scales_can_be_named_and_chosen() -> None:
    survey = survey_of(bfi(turned=False), BIG5, R["turned"])
    assert list(confirm(survey, ["N", "E"]).factors) == ["N", "E"]
    assert confirm(survey, {"low": ["N1", "N2", "N3"], "up": ["N4", "N5", "E1"]}).glance()["n_items"] == 6


def test_columns_and_keys_come_from_the_vocabulary() -> None:
    model = confirm(planted(), TWO, correlated_errors=[("q0", "q4")])
    assert set(model.tidy()) <= set(TIDY) and set(model.glance()) <= set(GLANCE)
    assert set(model.modification().tidy()) <= set(TIDY)
    assert write_record(model) == write_record(model)
    assert {type(value) for value in model.glance().values()} <= {int, float, str}
    assert list(model.tidy()["parameter"].unique()) == ["loading", "factor correlation", "error correlation"]


@pytest.mark.parametrize("estimator", ["ML", "MLR", "FIML", "WLSMV"])
def test_every_estimator_says_what_it_did(estimator: str) -> None:
    answers = planted(500).round().clip(-2, 2)
    answers.iloc[::20, 3] = np.nan
    model = confirm(answers, TWO, estimator=estimator)
    assert model.glance()["estimator"] == estimator and estimator in model.note
    assert (model.n, model.n_dropped) == ((500, 0) if estimator == "FIML" else (475, 25))
    assert ("full information" in model.note) == (estimator == "FIML")
    assert model.tidy()["estimate"].iloc[:8].between(0.6, 0.9).all()
    assert ("aic" in model.glance()) == (estimator != "WLSMV")
    assert len(model.modification().tidy()) == 8 + 28  # cross-loadings and pairs of errors


def test_second_order_factors_stand_apart() -> None:
    rng = np.random.default_rng(4)
    general = rng.normal(size=(600, 1))
    factors = 0.7 * general + 0.7 * rng.normal(size=(600, 4))
    answers = pd.DataFrame(factors[:, np.repeat(range(4), 3)] + 0.7 * rng.normal(size=(600, 12))).add_prefix("q")
    members = {f"f{k}": [f"q{3 * k + i}" for i in range(3)] for k in range(4)}
    model = confirm(answers, members, higher={"general": list(members)})
    second = model.tidy()[model.tidy()["parameter"] == "second-order loading"]
    assert second["estimate"].between(0.6, 0.8).all() and len(second) == 4
    assert "factor correlation" not in set(model.tidy()["parameter"])


def test_the_picture_is_a_path_diagram() -> None:
    axes = confirm(planted(), TWO).plot()
    assert {"f", "g", "q0", "q7"} <= {text.get_text() for text in axes.texts}
    matplotlib.pyplot.close(axes.get_figure())


# findings


def test_poor_fit_is_named_with_its_conventions() -> None:
    text = finding(confirm(bfi(), BIG5), "poor_fit")
    assert "CFI .74 (poor fit)" in text and "conventions, not tests" in text and "Hu & Bentler" in text


def test_a_true_model_has_no_finding() -> None:
    assert confirm(planted(), TWO).findings == ()


def test_weak_and_opposed_items_are_named() -> None:
    answers = planted()
    rng = np.random.default_rng(5)
    answers["q1"] = -answers["q1"]
    answers["q6"] = 0.2 * answers["q5"] + rng.normal(size=len(answers))
    model = confirm(answers, TWO)
    assert "q1" in finding(model, "against_factor") and "q6" in finding(model, "weak_loadings")


def test_opposed_items_are_mended_in_a_table_or_in_the_codebook() -> None:
    answers = bfi(turned=False)
    survey = survey_of(answers, BIG5, ["A2"])
    several = finding(confirm(answers, {"A": BIG5["A"], "C": BIG5["C"]}), "against_factor")
    assert "C4" in several and "run against their factor" in several and "turn them round first: subtract" in several
    alone = finding(confirm(answers, {"A": BIG5["A"]}), "against_factor")
    assert alone.startswith("A1") and "runs against its factor. If it is" in alone and "codebook" not in alone
    told = finding(confirm(survey, {"A": BIG5["A"]}), "against_factor")
    assert "`reverse: true` in the codebook" in told and "take it away" in told


def test_an_item_in_two_factors_is_told() -> None:
    model = confirm(bfi(), {"A": BIG5["A"], "E": ["A1", *BIG5["E"]]})
    assert finding(model, "shared_item") == "A1 belongs to two factors, as you said: A and E."
    assert not finding(confirm(bfi(), {"A": BIG5["A"], "E": BIG5["E"]}), "shared_item")


def test_what_two_questions_share_is_said_but_nothing_is_changed() -> None:
    answers, rng = planted(), np.random.default_rng(6)
    answers[["q0", "q1"]] += 0.6 * rng.normal(size=(len(answers), 1))
    model = confirm(answers, TWO)
    told = [each.text for each in model.findings if each.name == "unexplained"]
    assert told[0].startswith("These two questions share more than their factor explains: q0; q1") and len(told) <= 3
    assert "error correlation" not in set(model.tidy()["parameter"])


def test_thresholds_count_as_parameters_under_wlsmv() -> None:
    fitted = confirm(planted(60, 1).round().clip(-2, 2), TWO, estimator="WLSMV")
    # 8 loadings, 1 correlation, 8 times 4 thresholds
    assert "60 respondents for 41 parameters" in finding(fitted, "small_sample")
    with pytest.raises(EstimationError, match="fewer complete respondents than the model needs"):
        confirm(planted(20, 3).round().clip(-2, 2), TWO, estimator="WLSMV")


def test_few_respondents_are_a_finding_and_many_left_out_too() -> None:
    few = finding(confirm(planted(80), TWO), "small_sample")
    assert "80 respondents for 17 parameters" in few and "rejects right models too often" in few
    answers = planted()
    answers.iloc[:100, 0] = np.nan
    assert "25 % of the respondents" in finding(confirm(answers, TWO), "many_left_out")
    assert not finding(confirm(answers, TWO, estimator="FIML"), "many_left_out")


def test_a_saturated_model_cannot_be_judged() -> None:
    model = confirm(planted(), {"f": ["q0", "q1", "q2"]})
    assert finding(model, "saturated") and "cfi" not in model.glance() and model.glance()["df"] == 0
    assert model.glance()["statistic"] == pytest.approx(0, abs=1e-9)  # 400 times rounding of sums near 3


# refusals

BAD = {
    "not known": {"estimator": "GLS"},
    "no item": {"correlated_errors": [("q0", "nope")]},
    "pairs of different items": {"correlated_errors": [("q0", "q0")]},
    "twice": {"correlated_errors": [("q0", "q1"), ("q1", "q0")]},
    "no factor": {"higher": {"general": ["f", "nope"]}},
    "already the name": {"higher": {"f": ["f", "g"]}},
    "3 items or more": {"method_factor": ["q0", "q4"]},
    "marks no item": {"method_factor": True},
    "between 0 and 1": {"conf_level": 95},
    'Use "MLR", "ML", "FIML" or "WLSMV"': {"estimator": "wlsmv"},
    '"g2" needs two factors or more, and each of them once': {"higher": {"g2": ["f", "g", "g"]}},
    '"g3" needs two factors or more': {"higher": {"g3": []}},
    "list of factors for each name": {"higher": {"h": "fg"}},
    "list of factors for each": {"higher": ["f", "g"]},
    "True or a list of items": {"method_factor": "q0"},
    '"method_factor" is kept': {"higher": {"method_factor": ["f", "g"]}},
}


@pytest.mark.parametrize("words", list(BAD))
def test_wrong_options_are_refused_in_words(words: str) -> None:
    with pytest.raises(DataError, match=words):
        confirm(planted(), TWO, **BAD[words])


FRAMES = {
    "no item": ({"f": ["q0", "q1", "q9"]}, {}),
    "two items or more": ({"f": ["q0"], "g": ["q1", "q2", "q3"]}, {}),
    "names an item twice": ({"f": ["q0", "q0", "q1"]}, {}),
    "name of a factor and of an item": ({"q2": ["q0", "q1", "q2"]}, {}),
    "One factor with two items": ({"f": ["q0", "q1"]}, {}),
    "give a list": ({"f": "q0"}, {}),
    "same answer to q2, so fewer than two": ({"f": ["q1", "q2"], "g": TWO["g"]}, {"q2": 3.0}),
    "Nobody answered q2": (TWO, {"q2": np.nan}),
    "holds no numbers": (TWO, {"q2": "yes"}),
    "write it as missing": (TWO, {"q2": np.where(np.arange(400) % 9, np.arange(400) % 5 + 1, -99)}),
    "infinite": (TWO, {"q2": np.where(np.arange(400) == 7, np.inf, np.arange(400) % 5)}),
}


@pytest.mark.parametrize("words", list(FRAMES))
def test_items_that_cannot_be_used_are_refused_in_words(words: str) -> None:
    factors, columns = FRAMES[words]
    with pytest.raises(DataError, match=words):
        confirm(planted().assign(**columns), factors)


@pytest.mark.parametrize("estimator", ["MLR", "ML", "FIML", "WLSMV"])
def test_an_item_in_which_nobody_differs_is_left_out_and_named(estimator: str) -> None:
    answers = pd.DataFrame(np.digitize(planted(), [-1, 0, 1]), columns=planted().columns)
    found = confirm(answers.assign(q2=2), TWO, estimator=estimator)
    other = confirm(answers, {**TWO, "f": ["q0", "q1", "q3"]}, estimator=estimator)
    pd.testing.assert_frame_equal(found.tidy(), other.tidy())
    told = [each for each in found.findings if each.name == "constant_items"]
    assert [each.severity for each in told] == ["serious"] and '"q2"' in told[0].text


@pytest.mark.parametrize("estimator", ["MLR", "ML", "FIML", "WLSMV"])
def test_too_few_respondents_are_told_with_both_numbers(estimator: str) -> None:
    answers = pd.DataFrame(np.digitize(planted(), [-1, 0, 1]), columns=planted().columns).iloc[:10]
    answered = "any of the" if estimator == "FIML" else "all"
    told = f"10 respondents answered {answered} 8 items, and 17 or more are needed"
    with pytest.raises(EstimationError, match=told):
        confirm(answers, TWO, estimator=estimator)


@pytest.mark.parametrize("estimator", ["MLR", "ML", "FIML", "WLSMV"])
def test_an_item_that_repeats_another_is_named_with_it(estimator: str) -> None:
    answers = pd.DataFrame(np.digitize(planted(), [-1, 0, 1]), columns=planted().columns)
    with pytest.raises(EstimationError, match="q0 and q5 hold the same answers. Leave one of them out"):
        confirm(answers.assign(q5=answers["q0"]), TWO, estimator=estimator)
    with pytest.raises(EstimationError, match="q0, q1 and q3 determine each other"):
        confirm(answers.assign(q3=answers["q0"] + answers["q1"]), TWO, estimator=estimator)


def test_no_factor_or_item_is_called_as_the_method_factor() -> None:
    answers = planted()
    named = {"method_factor": TWO["f"], "g": TWO["g"]}
    with pytest.raises(DataError, match='"method_factor" is kept for the factor of wording'):
        confirm(answers, named, method_factor=["q0", "q1", "q4"])
    renamed = answers.rename(columns={"q0": "method_factor"})
    with pytest.raises(DataError, match='"method_factor" is kept for the factor of wording'):
        confirm(renamed, {"f": ["method_factor", "q1", "q2"]})


def test_a_method_factor_that_is_not_there_is_left_out() -> None:
    with pytest.raises(EstimationError, match="Leave the method factor out: statements worded the other way"):
        confirm(planted(), TWO, method_factor=["q0", "q1", "q2"])


@pytest.mark.parametrize("estimator", ["FIML", "MLR", "WLSMV"])
def test_two_items_that_nobody_answered_together_are_named(estimator: str) -> None:
    answers = planted()
    answers.loc[:199, "q1"] = np.nan
    answers.loc[200:, "q5"] = np.nan
    with pytest.raises(DataError, match="Nobody answered both q1 and q5"):
        confirm(answers, TWO, estimator=estimator)


def test_names_in_another_case_are_found() -> None:
    for items in (bfi(), survey_of(bfi(turned=False), BIG5, R["turned"])):
        with pytest.raises((DataError, CodebookError), match='Did you mean "A1"'):
            confirm(items, {"A": ["a1", "A2", "A3"]})


def test_factors_written_as_in_lavaan_are_refused_with_the_right_form() -> None:
    for items in (bfi(), survey_of(bfi(turned=False), BIG5, R["turned"])):
        with pytest.raises(DataError, match='factors={"N": \\["N1", "N2"'):
            confirm(items, "N =~ N1 + N2 + N3")


def test_a_table_needs_factors() -> None:
    with pytest.raises(DataError, match="which items belong together"):
        confirm(planted())


def test_an_item_in_two_scales_is_refused_unless_it_is_meant() -> None:
    scales = {"N": BIG5["N"], "NE": ["N1", *BIG5["E"]]}
    survey = survey_of(bfi(turned=False), scales, R["turned"])
    with pytest.raises(DataError, match="N1 belongs to two"):
        confirm(survey)
    rows = confirm(survey, scales).tidy()
    assert (rows["term"] == "N1").sum() == 2


def test_codes_outside_the_answer_scale_are_refused() -> None:
    items = bfi(turned=False)
    items.loc[3, "E2"] = 9
    with pytest.raises(DataError, match="outside 1 to 6"):
        confirm(survey_of(items, BIG5, R["turned"]))


def test_too_few_complete_respondents_are_refused() -> None:
    holey = planted(30)
    holey.iloc[:28, 0] = np.nan
    with pytest.raises(DataError, match="Fewer than 5 respondents answered q0, and nothing"):
        confirm(holey, TWO)
    with pytest.raises(EstimationError, match="12 respondents answered all 8 items, and 17 or more are needed"):
        confirm(planted(12), TWO)


@pytest.mark.parametrize("estimator", ["MLR", "ML", "WLSMV"])
def test_a_few_complete_respondents_are_refused_before_it_is_said_that_they_agree(estimator: str) -> None:
    holey = planted(30).round()
    rows = np.arange(30)
    for name, place in (("q0", 0), ("q3", 1), ("q7", 2)):
        holey[name] = holey[name].where((rows < 3) | (rows % 3 != place))
    holey.loc[:2, "q3"] = 1.0
    with pytest.raises(DataError, match="Fewer than 5 respondents answered all 8 items, and nothing is shown"):
        confirm(holey, TWO, estimator=estimator)


def test_fewer_respondents_than_a_raised_policy_shows_are_refused() -> None:
    answers = (planted(9) + 3).round().clip(1, 6)
    few = replace(survey_of(answers, TWO, []), privacy=Privacy(min_n=10))
    with pytest.raises(DataError, match="Fewer than 10 respondents answered any of the items"):
        confirm(few, {"f": TWO["f"]}, estimator="ML")


def test_modification_and_parameters_of_too_few_are_hidden() -> None:
    model = replace(confirm(planted(), TWO), privacy=Privacy(min_n=401))
    for result in (model, model.modification()):
        assert result.shown()["hidden"].all() and result.shown()["estimate"].isna().all()
    assert not model.plot().patches
    assert "hidden" not in replace(model, privacy=Privacy(min_n=400)).shown()


def test_repeated_items_are_refused() -> None:
    answers = planted()
    answers["q1"] = answers["q0"] * 2 + 1
    with pytest.raises(EstimationError, match="q0 and q1 go together perfectly"):
        confirm(answers, TWO)


def test_nothing_is_changed_in_place() -> None:
    answers = planted()
    before = answers.copy()
    confirm(answers, TWO)
    assert answers.equals(before)
