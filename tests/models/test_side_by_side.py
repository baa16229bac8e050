"""Laws of models side by side in one table."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DisclosureError, StudyError
from smstudy.inference.multiplicity import benjamini_hochberg, holm
from smstudy.models.nested.multilevels import multilevel
from smstudy.models.regressions.categories import multinomial, ordinal
from smstudy.models.regressions.event_counts import counts
from smstudy.models.regressions.marginal import effects
from smstudy.models.regressions.regression import regress
from smstudy.models.side_by_side import compare_regressions
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[1] / "reference"
PEOPLE = pd.read_csv(FOLDER / "categories.csv").dropna().reset_index(drop=True)
PEOPLE = PEOPLE.assign(high=(PEOPLE["agree"] >= 4) * 1.0)
MODELS = {
    "plain": regress("agree ~ leadership", PEOPLE),
    "with role": regress("agree ~ leadership + role + C(unit)", PEOPLE, cluster="unit"),
}


def cells(result):
    """The table as a mapping of row and column to text."""
    table = result.table()
    return {(row[0], name): cell for row in table.rows for name, cell in zip(table.headings[1:], row[1:], strict=True)}


def names_of(result):
    return {finding.name for finding in result.findings}


def test_numbers_are_those_of_the_models():
    tidy = compare_regressions(MODELS).tidy()
    for name, model in MODELS.items():
        own, kept = model.tidy(), tidy[tidy["model"] == name].reset_index(drop=True)
        for column in ("term", "estimate", "std_error", "df", "p_value", "conf_low", "conf_high"):
            pd.testing.assert_series_equal(kept[column], own[column], check_names=False)


def test_terms_are_rows_and_models_columns():
    result = compare_regressions(MODELS)
    table = result.table()
    assert table.headings == ("Term", "plain", "with role")
    assert [row[0] for row in table.rows] == [
        "leadership", "role: expert", "role: manager", "Constant", "Controlled for", "n", "Groups", "R²", "Adjusted R²",
        "AIC", "Errors",
    ]  # fmt: skip
    found, own = cells(result), MODELS["plain"].tidy().iloc[1]
    assert found["leadership", "plain"] == f"{own['estimate']:.2f} [{own['conf_low']:.2f}, {own['conf_high']:.2f}]"
    assert found["role: expert", "plain"] == "" and found["Controlled for", "with role"] == "unit"
    assert found["Errors", "with role"] == "cluster-robust (CR2)" and found["n", "plain"] == str(len(PEOPLE))
    assert "*" not in result.to_text()


def test_standard_errors_can_stand_beside():
    result, own = compare_regressions(MODELS, beside="std_error"), MODELS["plain"].tidy().iloc[1]
    assert cells(result)["leadership", "plain"] == f"{own['estimate']:.2f} ({own['std_error']:.2f})"
    assert result.note.startswith("Standard errors in parentheses")


def test_drivers_of_all_models_are_corrected_together():
    result = compare_regressions(MODELS)
    tidy = result.tidy()
    tested = (tidy["term"] == "leadership") | tidy["term"].str.startswith("role")
    np.testing.assert_array_equal(tidy["p_adjusted"][tested], holm(tidy["p_value"][tested]))
    assert tidy["p_adjusted"][~tested].isna().all()
    other = compare_regressions(MODELS, correction="benjamini_hochberg")
    np.testing.assert_array_equal(other.tidy()["p_adjusted"][tested], benjamini_hochberg(tidy["p_value"][tested]))
    assert "Holm" in result.note and "Benjamini" in other.note


def test_every_kind_of_model_has_a_place():
    logit = regress("high ~ leadership", PEOPLE, family="logit")
    result = compare_regressions(
        {
            "logit": logit,
            "ordinal": ordinal("agree ~ leadership", PEOPLE),
            "choice": multinomial("tool ~ leadership", PEOPLE),
            "counts": counts("posts ~ leadership", PEOPLE, family="negative_binomial"),
            "teams": multilevel("agree ~ leadership", PEOPLE, group="unit"),
            "points": effects(logit, PEOPLE),
        }
    )
    found = cells(result)
    assert {name for (row, name), cell in found.items() if row.startswith("leadership") and cell} == set(
        result.table().headings[1:]
    )
    assert [row for row, _ in found if row.startswith("leadership: ")] and found["Estimator", "teams"] == "REML"
    assert result.title == "Models side by side" and "teams: What goes with agree, in teams. Linear" in result.note
    assert len(result.drawn()) == 0
    plt.close(result.plot().get_figure())


def test_it_can_be_rendered():
    result = compare_regressions(MODELS)
    assert set(result.shown()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    assert result.to_html().count("<tr>") == 12 and r"\begin{tabular}{lrr}" in result.to_latex()
    assert len(result.to_docx().tables[0].rows) == 12 and result.to_csv().startswith("model,term,estimate")
    assert result.drawn()["term"].tolist() == [
        "leadership (plain)", "leadership (with role)", "role: expert (with role)", "role: manager (with role)",
    ]  # fmt: skip
    plt.close(result.plot().get_figure())
    assert result.to_record() and result.alt_text()


def test_what_holds_of_every_model_is_said_once():
    few = PEOPLE.assign(unit=PEOPLE["unit"].where(PEOPLE.index > 2, "tiny"))
    models = {name: regress(f"agree ~ {name} + C(unit)", few) for name in ("leadership", "readiness")}
    texts = [f.text for f in compare_regressions(models).findings if f.name == "levels_pooled"]
    assert len(texts) == 1 and not texts[0].startswith("leadership")
    texts = [f.text for f in compare_regressions(MODELS).findings if f.name == "few_clusters"]
    assert len(texts) == 1 and texts[0].startswith("with role: ")


def test_what_cannot_be_compared_is_said():
    logits = {text: regress(f"high ~ {text}", PEOPLE, family="logit") for text in ("leadership", "leadership + role")}
    assert "unlike_scales" in names_of(compare_regressions(logits))
    points = {name: effects(model, PEOPLE) for name, model in logits.items()}
    assert "unlike_scales" not in names_of(compare_regressions(points))
    teams = {text: multilevel(f"agree ~ {text}", PEOPLE, group="unit") for text in ("leadership", "leadership + role")}
    assert "reml_criteria" in names_of(compare_regressions(teams))
    some = {**MODELS, "some": regress("agree ~ leadership", PEOPLE.iloc[20:])}
    assert "different_respondents" in names_of(compare_regressions(some))
    assert "different_respondents" not in names_of(compare_regressions(MODELS))


@pytest.mark.parametrize("n_apart", range(1, 5))
def test_the_answers_of_few_do_not_follow_from_two_models(n_apart):
    """The means of all and of all but a few, times their numbers, give the sum of the few."""
    gaps = PEOPLE.assign(readiness=PEOPLE["readiness"].where(PEOPLE.index >= n_apart))
    one, two = regress("agree ~ leadership", gaps), regress("agree ~ leadership + readiness", gaps)
    for pair in ((one, two), (effects(one, gaps), two), (two, one)):
        with pytest.raises(DisclosureError, match="would follow"):
            compare_regressions(dict(zip("ab", pair, strict=True)))


def test_the_few_that_sums_of_models_leave_over_are_seen():
    """All, without the people of two parts, leaves the two who are in neither."""
    parts = (PEOPLE.iloc[: len(PEOPLE) // 2], PEOPLE.iloc[len(PEOPLE) // 2 : -2])
    models = {str(i): regress("agree ~ leadership", part) for i, part in enumerate((PEOPLE, *parts))}
    with pytest.raises(DisclosureError, match="would follow"):
        compare_regressions(models)


def test_as_many_left_out_as_come_in_are_counted_apart():
    frames = (PEOPLE.drop(index=range(3)), PEOPLE.drop(index=range(3, 6)))
    with pytest.raises(DisclosureError, match="would follow"):
        compare_regressions({str(i): regress("agree ~ leadership", frame) for i, frame in enumerate(frames)})


def test_rows_of_one_name_are_different_people():
    twice = pd.concat([PEOPLE, PEOPLE])
    gaps = twice.assign(readiness=twice["readiness"].where(np.arange(len(twice)) > 1))
    with pytest.raises(DisclosureError, match="would follow"):
        compare_regressions({y: regress(f"agree ~ {y}", gaps) for y in ("leadership", "readiness")})


def test_the_strictest_policy_holds():
    strict = regress("agree ~ leadership", PEOPLE, min_n=9)
    assert compare_regressions({**MODELS, "strict": strict}).privacy.min_n == 9
    with pytest.raises(DisclosureError, match="Fewer than 9"):
        compare_regressions({"strict": strict, "fewer": regress("agree ~ leadership", PEOPLE.iloc[7:])})


@pytest.mark.parametrize(
    ("models", "options", "said"),
    [
        ([MODELS["plain"]], {}, "a name"),
        ({}, {}, "a name"),
        ({1: MODELS["plain"]}, {}, "a name"),
        ({"frame": PEOPLE}, {}, '"frame" is no model'),
        ({**MODELS, "wide": regress("agree ~ leadership", PEOPLE, conf_level=0.9)}, {}, "conf_level"),
        (MODELS, {"beside": "stars"}, "beside"),
        (MODELS, {"correction": "bonferroni"}, "correction"),
    ],
)
def test_wrong_use_is_refused_with_the_reason(models, options, said):
    with pytest.raises(StudyError, match=said):
        compare_regressions(models, **options)
