"""Laws of graded_response(): what is refused, what is hidden, what is read."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.inference.psychometrics.graded import graded_model, item_information
from smstudy.inference.psychometrics.polychoric import ordinal_codes
from smstudy.result import write_record
from smstudy.scales.graded import DRAWN, graded_response
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import AUGMENT, GLANCE, TIDY

matplotlib.use("Agg")
HERE = Path(__file__).parents[1] / "reference"
NAMES = ["N1", "N2", "N3", "N4", "N5"]


def bfi() -> pd.DataFrame:
    return pd.read_csv(HERE / "bfi.csv")


def planted(n: int = 600, k: int = 5, seed: int = 1, low: float = -1.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    line = 1.6 * rng.standard_normal((n, 1)) + rng.logistic(size=(n, k))
    return pd.DataFrame(np.digitize(line, [low, 0.0, 1.5]) + 1, columns=[f"q{i + 1}" for i in range(k)])


def survey_of(items: pd.DataFrame, high: int, turned: tuple[str, ...] = ()) -> Survey:
    categories = [{"value": str(i), "label": f"answer {i}"} for i in range(1, high + 1)]
    variables = [{"name": n, "kind": "item", "categories": categories, "reverse": n in turned} for n in items]
    book = {"title": "T", "variables": variables, "scales": [{"name": "s", "items": list(items)}]}
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=items.astype(float), codebook=Codebook.model_validate(book), missing=blank)


def test_rows_are_the_estimates_of_the_model():
    items = bfi()[NAMES]
    fit, model = graded_response(items), graded_model(ordinal_codes(items))
    table = fit.tidy()
    assert table["estimate"].tolist() == model.slopes.tolist()
    assert table[[f"b{k}" for k in range(1, 6)]].to_numpy().tolist() == model.thresholds.tolist()
    assert set(table) <= set(TIDY) and set(fit.glance()) <= set(GLANCE)


def test_a_survey_turns_items_round_itself():
    items = bfi()[NAMES]
    turned = items.assign(N2=7 - items["N2"])
    assert graded_response(survey_of(turned, 6, ("N2",)), "s").model.slopes == pytest.approx(
        graded_response(items).model.slopes, abs=1e-9
    )  # same answers


def test_aic_and_bic_count_the_parameters():
    glance = graded_response(planted()).glance()
    assert glance["aic"] == pytest.approx(40 - 2 * glance["log_likelihood"])  # 5 items with 4 categories
    assert glance["bic"] == pytest.approx(20 * np.log(600) - 2 * glance["log_likelihood"])


def test_reliable_is_where_the_squared_error_is_below_thirty_percent():
    fit = graded_response(planted(900, 8))
    curve, glance = fit.drawn(), fit.glance()
    inside = curve["attitude"].between(glance["precise_low"], glance["precise_high"])
    assert ((1 - curve["std_error"] ** 2 >= 0.70) == inside).all()
    assert 0 < glance["share"] < 1


def test_a_scale_that_is_nowhere_reliable_says_so():
    rng = np.random.default_rng(2)
    line = 0.7 * rng.standard_normal((900, 1)) + rng.logistic(size=(900, 3))
    glance = graded_response(pd.DataFrame(np.digitize(line, [-1, 1]), columns=list("abc"))).glance()
    assert np.isnan(glance["precise_low"])
    assert glance["share"] == 0.0


# privacy


def rare(n_rare: int) -> pd.DataFrame:
    items = planted()
    q1 = items["q1"].clip(lower=2)
    q1.iloc[items.drop(columns="q1").sum(axis=1).argsort(kind="stable")[:n_rare]] = 1
    return items.assign(q1=q1)


def test_thresholds_of_an_item_with_a_rare_answer_are_hidden():
    table = graded_response(rare(3)).shown()
    assert table.loc[0, ["b1", "b2", "b3"]].isna().all()
    assert "hidden" in table.loc[0, "reading"]
    assert table.loc[1:, ["b1", "b2", "b3"]].notna().all().all()
    assert graded_response(rare(5)).shown().loc[0, ["b1", "b2", "b3"]].notna().all()


def test_the_curve_does_not_tell_the_hidden_threshold():
    fit = graded_response(rare(3))
    others = item_information(fit.model.slopes[1:], fit.model.intercepts[1:], DRAWN).sum(axis=0)
    cuts = np.append(fit.model.intercepts[0, 1:], -np.inf)
    joined = item_information(fit.model.slopes[:1], cuts[None, :], DRAWN)[0]
    assert fit.drawn()["information"].to_numpy() == pytest.approx(others + joined, abs=1e-12)  # same sums


def test_nothing_rendered_holds_an_attitude_of_a_person():
    items = planted()
    fit = graded_response(items)
    rows = fit.augment(items)
    assert repr(rows) == "600 rows x 7 columns (rows are not shown; use .frame to compute)"
    assert {".attitude", ".attitude_error"} <= set(AUGMENT)
    assert rows.frame[".attitude"].corr(items.mean(axis=1)) > 0.95  # the sum is nearly sufficient here
    assert "attitude" not in write_record(fit).replace("the attitude", "").replace("attitudes normal", "").replace(
        "of attitude;", "").replace("whose attitude", "")  # fmt: skip


def test_new_respondents_can_be_placed_but_unknown_answers_are_refused():
    items = planted()
    fit = graded_response(items)
    assert len(fit.augment(items.head(3)).frame) == 3
    with pytest.raises(DataError, match="does not know"):
        fit.augment(items.assign(q1=9))
    with pytest.raises(DataError, match="lack q1"):
        fit.augment(items.drop(columns="q1"))


# refusals


def test_too_few_items_are_refused():
    with pytest.raises(DataError, match="two items or more"):
        graded_response(planted()[["q1"]])
    with pytest.raises(DataError, match="3 items or more"):
        graded_response(planted()[["q1", "q2"]])


def test_a_constant_item_is_refused():
    with pytest.raises(DataError, match="same answer to q2"):
        graded_response(planted().assign(q2=3))


def test_an_answer_in_the_middle_that_nobody_chose_is_refused():
    items = planted()
    gap = items.assign(q3=items["q3"].replace({2: 1}))
    with pytest.raises(DataError, match="middle answers of q3"):
        graded_response(gap)
    with pytest.raises(DataError, match="middle answers of q3"):
        graded_response(survey_of(gap, 4), "s")


def test_an_answer_at_the_end_that_nobody_chose_is_no_threshold():
    assert graded_response(survey_of(planted(), 6), "s").model.n_parameters == 20


def test_fewer_respondents_than_three_per_parameter_are_refused():
    with pytest.raises(DataError, match="needs 60 respondents"):
        graded_response(planted(59))


def test_one_scale_is_named_and_no_list():
    with pytest.raises(DataError, match="scale needs one name"):
        graded_response(survey_of(planted(), 4), scale=["s"])


def test_an_item_that_runs_against_the_others_is_pointed_to_turning_round():
    items = planted()
    with pytest.raises(DataError, match="q4 is answered against.*turn round"):
        graded_response(items.assign(q4=5 - items["q4"]))


def test_an_item_that_has_nothing_to_do_with_the_others_is_refused_or_found_weak():
    noise = np.random.default_rng(5).integers(1, 5, 600)
    try:
        findings = {finding.name for finding in graded_response(planted().assign(q5=noise)).findings}
    except DataError as error:
        assert "q5" in str(error)
    else:
        assert "weak_items" in findings


def test_the_picture_has_both_axes():
    axes = graded_response(planted()).plot()
    assert [other.get_ylabel() for other in axes.figure.axes] == ["Information", "Standard error"]
    matplotlib.pyplot.close(axes.figure)
