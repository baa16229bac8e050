"""Laws of item_functioning(): R's tests, planted differences found, equal items left alone, small groups unused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.inference.multiplicity import benjamini_hochberg, holm
from smstudy.inference.psychometrics.graded import graded_model, rest_attitudes
from smstudy.inference.psychometrics.polychoric import ordinal_codes
from smstudy.scales.functioning import _tested, _verdict, item_functioning
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "graded.json").read_text(encoding="utf-8"))["regressions"]
ITEMS = ["q1", "q2", "q3", "q4", "q5"]
CUTS = [-2.0, -0.5, 0.7, 2.0]


def reference() -> pd.DataFrame:
    return pd.read_csv(HERE / "graded_functioning.csv")


def planted(n: int, seed: int, *, impact: float, shift: float = 0.0, groups: int = 2) -> pd.DataFrame:
    """Six items; people of later groups have a higher attitude, and q1 is easier for them by `shift`."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), n)
    slopes = np.linspace(1.2, 2.2, 6)
    line = (rng.standard_normal(n * groups) + impact * group)[:, None] * slopes + rng.logistic(size=(n * groups, 6))
    line[:, 0] += shift * group
    frame = pd.DataFrame(np.digitize(line, CUTS) + 1, columns=[f"q{i + 1}" for i in range(6)])
    return frame.assign(group=group.astype(str))


@pytest.mark.parametrize("item", list(R))
def test_likelihood_ratio_tests_agree_with_polr_and_clm(item):
    frame = reference()
    sample = ordinal_codes(frame[ITEMS])
    match = np.repeat(frame[["q3", "q5"]].mean(axis=1).to_numpy()[:, None], 5, axis=1)
    row = _tested(sample, (frame["group"] == "b").to_numpy(int), match, ITEMS.index(item), 0.95)
    empty, alone, _, full = R[item]["log_likelihoods"]
    assert row["statistic"] == pytest.approx(2 * (full - alone), abs=1e-7)  # digits R wrote
    n = R[item]["n"]
    nagelkerke = [-np.expm1(2 * (empty - large) / n) / -np.expm1(2 * empty / n) for large in (alone, full)]
    assert row["r_squared_change"] == pytest.approx(nagelkerke[1] - nagelkerke[0], abs=1e-9)


def test_planted_differences_are_found_and_named():
    table = item_functioning(reference(), ITEMS, by="group").tidy().set_index("term")
    assert table["verdict"].to_dict() == {
        "q1": "same in all groups", "q2": "different", "q3": "same in all groups", "q4": "different",
        "q5": "same in all groups",
    }  # fmt: skip
    assert set(table["reason"][["q1", "q3", "q5"]]) == {""}
    assert table.loc["q2", "reason"] == "a answers higher than b at the same attitude"
    assert table.loc["q4", "reason"] == "tells more in a than in b"


@pytest.mark.parametrize("impact", [0.0, 0.8])
def test_false_alarms_stay_near_the_level_also_where_attitudes_differ(impact):
    p_values = []
    for seed in range(12):
        rows = item_functioning(planted(300, seed, impact=impact), ITEMS, by="group").rows
        p_values += rows["p_value"].tolist()
    assert np.mean(np.array(p_values) < 0.05) < 0.13  # 60 tests at 5 %: 99 % of such runs stay below


def test_a_planted_difference_is_found_where_attitudes_differ():
    for seed in range(3):
        rows = item_functioning(planted(500, seed, impact=0.6, shift=-1.5), ITEMS, by="group").rows.set_index("term")
        assert rows.loc["q1", "verdict"] == "different"
        assert (rows.loc["q2":, "verdict"] != "different").all()


@pytest.mark.parametrize(
    ("p", "change", "high", "verdict"),
    [
        (0.04, 0.036, 0.05, "different"),
        (0.0001, 0.012, 0.034, "differs, but little"),
        (0.0001, 0.012, 0.036, "cannot tell"),
        (0.06, 0.012, 0.034, "same in all groups"),
        (0.06, 0.040, 0.080, "cannot tell"),
        (np.nan, np.nan, np.nan, "cannot tell"),
    ],
)
def test_the_same_is_never_said_of_a_clear_difference(p, change, high, verdict):
    assert _verdict({"p_adjusted": p, "r_squared_change": change, "conf_high": high}, 0.05) == verdict


def test_a_clear_but_little_difference_is_said_with_its_direction():
    rows = item_functioning(planted(3000, 1, impact=0.5, shift=-0.5), ITEMS, by="group").rows.set_index("term")
    assert rows.loc["q1", "verdict"] == "differs, but little" and rows.loc["q1", "p_adjusted"] < 0.001
    assert rows.loc["q1", "reason"].startswith("0 answers higher than 1")
    assert (rows.loc["q2":, "verdict"] == "same in all groups").sum() >= 3


def test_one_item_that_differs_does_not_spoil_the_others_of_many_respondents():
    found = item_functioning(planted(3000, 4, impact=0.5, shift=1.0), ITEMS, by="group")
    rows = found.rows.set_index("term")
    assert rows.loc["q1", "p_adjusted"] < 0.001 and rows.loc["q1", "verdict"] != "same in all groups"
    assert set(rows.loc["q2":, "verdict"]) == {"same in all groups"} and not found.findings


def test_half_of_the_items_differing_in_one_direction_is_said_and_no_item_is_blamed():
    frame = planted(600, 2, impact=0.0, groups=2)
    rng = np.random.default_rng(3)
    trait, group = rng.standard_normal(1200), np.repeat([0, 1], 600)
    line = 1.5 * trait[:, None] + rng.logistic(size=(1200, 6))
    line[:, :3] += 1.2 * group[:, None]
    names = [f"q{i + 1}" for i in range(6)]
    found = item_functioning(
        frame.assign(**pd.DataFrame(np.digitize(line, CUTS) + 1, columns=names)), names, by="group"
    )
    assert set(found.tidy()["verdict"]) == {"cannot tell"} and set(found.tidy()["reason"]) == {""}
    (finding,) = [finding for finding in found.findings if finding.name == "no_common_measure"]
    assert finding.severity == "serious" and "which items differ cannot be told" in finding.text


def test_the_bound_is_about_one_logit():
    """What the note says of .035: the effect of a group at which R² rises by as much."""
    rng = np.random.default_rng(1)
    group, trait = np.repeat([0, 1], 10_000), rng.standard_normal(20_000)
    told = 0.85 * trait + np.sqrt(0.85 * 0.15) * rng.standard_normal(20_000)
    for slope in (1.0, 1.5, 2.2):
        line = slope * trait + rng.logistic(size=20_000)
        changes = []
        for shift in (0.7, 1.2):
            answers = np.digitize(line + shift * group, CUTS)
            sample = ordinal_codes(pd.DataFrame({"q": answers, "again": answers}))
            changes.append(_tested(sample, group, told[:, None], 0, 0.95)["r_squared_change"])
        assert changes[0] < 0.035 < changes[1]


def test_without_own_distributions_groups_are_drawn_together():
    frame = planted(1000, 1, impact=1.0)
    sample = ordinal_codes(frame[ITEMS])
    group = frame["group"].to_numpy(int)
    fit = graded_model(sample)
    (own, _), (shared, _) = rest_attitudes(fit, sample, group), rest_attitudes(fit, sample, 0 * group)
    gaps = [part[group == 1, 0].mean() - part[group == 0, 0].mean() for part in (own, shared)]
    assert gaps[0] > gaps[1] + 0.05


def test_three_groups_take_twice_the_degrees_of_freedom():
    fit = item_functioning(planted(200, 3, impact=0.2, groups=3), ITEMS, by="group")
    assert set(fit.tidy()["df"]) == {4.0}
    assert fit.glance()["n_groups"] == 3


@pytest.mark.parametrize(("correction", "correct"), [("holm", holm), ("benjamini_hochberg", benjamini_hochberg)])
def test_p_values_are_corrected_for_all_items(correction, correct):
    table = item_functioning(reference(), ITEMS, by="group", correction=correction).tidy()
    assert table["p_adjusted"].tolist() == correct(table["p_value"]).tolist()


def test_all_items_turned_round_say_the_same():
    frame = reference()
    turned = frame.assign(**{name: 6 - frame[name] for name in ITEMS})
    one, other = (item_functioning(data, ITEMS, by="group").tidy() for data in (frame, turned))
    assert other["statistic"].to_numpy() == pytest.approx(one["statistic"].to_numpy(), abs=1e-5)  # fits settle at 1e-8
    assert other["verdict"].tolist() == one["verdict"].tolist()


def test_few_respondents_cannot_tell():
    frame = planted(60, 4, impact=0.0)
    assert "cannot tell" in set(item_functioning(frame, ITEMS, by="group").tidy()["verdict"])


# groups


def test_small_groups_are_not_used_and_not_counted():
    frame = reference()
    few = frame.head(3).assign(group="c")
    alone, beside = (item_functioning(data, ITEMS, by="group") for data in (frame, pd.concat([frame, few])))
    assert beside.glance()["n"] == 803  # 800 would tell that the others are 3
    assert [finding.name for finding in beside.findings] == ["groups_left_out"]
    assert beside.note.startswith("Groups: a and b.")
    assert alone.glance()["n"] == 800


def test_hidden_departments_are_not_used():
    frame = pd.concat([planted(80, 1, impact=0.0, groups=3), planted(3, 2, impact=0.0, groups=1).assign(group="9")])
    categories = [{"value": str(i), "label": f"answer {i}"} for i in range(1, 6)]
    units = [{"value": str(i), "label": str(i)} for i in (0, 1, 2, 9)]
    book = {
        "title": "T",
        "variables": [
            *({"name": f"q{i}", "kind": "item", "categories": categories} for i in range(1, 7)),
            {"name": "group", "kind": "unit", "categories": units},
        ],
        "scales": [{"name": "s", "items": [f"q{i}" for i in range(1, 7)]}],
    }
    answers = frame.reset_index(drop=True).astype({f"q{i}": float for i in range(1, 7)})
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    survey = Survey(answers=answers, codebook=Codebook.model_validate(book), missing=blank)
    fit = item_functioning(survey, "s", by="group")
    assert fit.n_groups == 2  # the one of 3, and one more so that the 3 do not follow
    assert set(fit.tidy()) <= set(TIDY) and set(fit.glance()) <= set(GLANCE)


def test_answers_are_not_read_in_the_order_of_rows():
    frame = reference()
    mixed = frame.sample(frac=1, random_state=3)
    one, other = (item_functioning(data, ITEMS, by="group").tidy() for data in (frame, mixed))
    assert other["statistic"].to_numpy() == pytest.approx(
        one["statistic"].to_numpy(), abs=1e-6
    )  # sums in another order


# refusals


def test_what_cannot_be_compared_is_refused():
    frame = reference()
    with pytest.raises(DataError, match='no variable "gruop". Did you mean "group"'):
        item_functioning(frame, ITEMS, by="gruop")
    with pytest.raises(DataError, match='no item "q9"'):
        item_functioning(frame, ["q1", "q9"], by="group")
    with pytest.raises(DataError, match="4 items or more"):
        item_functioning(frame, ITEMS[:3], by="group")
    with pytest.raises(DataError, match="no two groups of 50"):
        item_functioning(frame.assign(group="a"), ITEMS, by="group")
    with pytest.raises(DataError, match='correction = "none"'):
        item_functioning(frame, ITEMS, by="group", correction="none")
    with pytest.raises(DataError, match="q3 is answered against"):
        item_functioning(frame.assign(q3=6 - frame["q3"]), ITEMS, by="group")


def test_an_item_that_nobody_in_a_group_answers_cannot_be_told():
    frame = reference()
    frame.loc[frame["group"] == "b", "q1"] = np.nan
    fit = item_functioning(frame, ITEMS, by="group")
    assert fit.tidy().set_index("term").loc["q1", "verdict"] == "cannot tell"
    (finding,) = [finding for finding in fit.findings if finding.name == "item_not_tested"]
    assert "nobody in b answered q1" in finding.text and "infinite" not in finding.text


def test_items_of_which_most_differ_are_no_common_measure():
    frame = planted(400, 6, impact=0.0)
    for name, shift in zip(ITEMS, (2, -2, 2, -2, 0), strict=True):
        frame[name] = (frame[name] + shift * (frame["group"] == "1")).clip(1, 5)
    assert "no_common_measure" in {finding.name for finding in item_functioning(frame, ITEMS, by="group").findings}
