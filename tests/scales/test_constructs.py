"""A page per construct."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import CodebookError
from smstudy.scales.constructs import CANNOT_TELL, FITS, UNFIT, constructs
from smstudy.scales.description import correlate, describe
from smstudy.scales.omegas import omega_categorical
from smstudy.scales.reliability import cronbach_alpha, omega_total
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey

AGREE = [{"value": str(code), "label": f"answer {code}"} for code in range(1, 6)]
BLANK = pd.DataFrame(columns=["row", "variable", "reason"])


def survey_of(answers: pd.DataFrame, reverse: str = "", codes: list[dict[str, str]] = AGREE) -> Survey:
    items = [
        {"name": name, "title": f"Statement {name}", "kind": "item", "categories": codes, "reverse": name == reverse}
        for name in answers
    ]
    scale = {"name": "trust", "title": "Trust", "items": list(answers)}
    book = Codebook.model_validate({"title": "T", "variables": items, "scales": [scale]})
    return Survey(answers=answers, codebook=book, missing=BLANK)


def drawn(n: int, loadings: tuple[float, ...], seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n, 1))
    weights = np.array(loadings)
    answers = factor * weights + rng.normal(size=(n, len(weights))) * np.sqrt(1 - weights**2)
    codes = np.clip(np.round(3 + answers), 1, 5)
    return pd.DataFrame(codes, columns=list("abcdefgh")[: len(loadings)])


def page(answers: pd.DataFrame, **more):
    return constructs(survey_of(answers, **more))["trust"]


def test_items_of_one_thing_fit_and_one_of_another_does_not():
    rows = page(drawn(500, (0.8, 0.8, 0.8, 0.0))).tidy().set_index("term")
    assert rows["verdict"].tolist() == [FITS, FITS, FITS, UNFIT]
    assert "changes the score" in rows.loc["d", "reason"]
    assert "Keep it" in rows.loc["a", "reason"]


def test_nobody_can_tell_of_a_middling_item_in_a_small_survey():
    assert CANNOT_TELL in page(drawn(40, (0.8, 0.8, 0.8, 0.4))).tidy()["verdict"].tolist()


def test_the_score_without_an_item_correlates_as_counted_by_hand():
    answers = drawn(200, (0.7, 0.6, 0.8, 0.5, 0.9))
    rows = page(answers).tidy().set_index("term")
    for name in answers:
        short = answers.drop(columns=name)
        by_hand = np.corrcoef(answers.sum(axis=1), short.sum(axis=1))[0, 1]
        assert rows.loc[name, "score_without"] == pytest.approx(by_hand, abs=1e-12)  # rounding of 200 sums
        moved = short.mean(axis=1).mean() - answers.mean(axis=1).mean()
        assert rows.loc[name, "difference"] == pytest.approx(moved, abs=1e-12)  # the same


def test_numbers_are_those_of_cronbach_alpha():
    answers = drawn(150, (0.7, 0.6, 0.8))
    made, alpha = page(answers), cronbach_alpha(answers)
    assert made.glance()["alpha"] == alpha.estimate and made.glance()["conf_low"] == alpha.conf_low
    assert made.tidy()["alpha_without"].tolist() == alpha.tidy()["alpha_without"].tolist()


def test_a_reversed_item_is_said_to_be_turned_round():
    answers = drawn(150, (0.7, 0.6, 0.8))
    answers["b"] = 6 - answers["b"]
    rows = page(answers, reverse="b").tidy().set_index("term")
    assert "turned round" in rows.loc["b", "reason"] and "turned round" not in rows.loc["a", "reason"]


def rarely_answered(codes: list[dict[str, str]]) -> Survey:
    answers = drawn(300, (0.7, 0.6, 0.8)).clip(2, 4)
    answers.loc[:2, "b"] = 1
    return survey_of(answers, codes=codes)


def test_mean_and_spread_are_hidden_where_they_would_tell_a_hidden_count():
    data = rarely_answered(AGREE[:4])
    made = constructs(data)["trust"]
    shown = made.shown().set_index("term")
    assert made.answers.shown().query("term == 'b'")["n"].isna().all()
    assert shown.loc["b", ["mean", "std_dev", "difference"]].isna().all()
    assert shown[["n", "item_rest"]].notna().all(axis=None)
    assert shown.loc[["a", "c"], ["mean", "std_dev"]].notna().all(axis=None)
    assert "hidden" in made.to_text()


def test_every_table_of_a_statement_hides_mean_and_spread_or_none_does():
    data = rarely_answered(AGREE[:4])
    tables = [constructs(data)["trust"], cronbach_alpha(data, "trust"), omega_total(data, "trust")]
    tables += [omega_categorical(data, "trust"), describe(data, list("abc")), correlate(data, list("abc")).description]
    for each in tables:
        shown = each.shown().set_index("term")
        assert shown.loc["b", ["mean", "std_dev"]].isna().all(), type(each)
        assert shown.loc["b", "hidden"] and not shown.loc[["a", "c"], "hidden"].any(), type(each)


def test_five_hidden_counts_stay_open_so_mean_and_spread_are_shown():
    data = rarely_answered(AGREE)
    for each in (constructs(data)["trust"], cronbach_alpha(data, "trust"), describe(data, list("abc"))):
        assert each.shown()[["mean", "std_dev"]].notna().all(axis=None)
    assert constructs(data)["trust"].answers.shown().query("term == 'b'")["n"].isna().all()


@pytest.mark.parametrize("skipped", [1, 4, 9])
def test_how_many_skipped_a_statement_hides_nothing(skipped):
    answers = drawn(300, (0.7, 0.6, 0.8)).clip(2, 4)
    answers.loc[: skipped - 1, "b"] = np.nan
    made = page(answers)
    assert made.shown()[["n", "mean", "std_dev"]].notna().all(axis=None)
    drawn_rows = made.drawn()
    assert drawn_rows.loc[drawn_rows["answer"] != "No answer", ["n", "share"]].notna().all(axis=None)


def test_of_two_items_none_can_go():
    rows = page(drawn(150, (0.7, 0.8))).tidy()
    assert set(rows["reason"]) == {"With two statements neither can go."}
    assert rows["score_without"].isna().all()


def test_a_scale_that_cannot_be_judged_keeps_its_page_with_the_reason():
    made = page(drawn(100, (0.7, 0.8, 0.7)).assign(b=3.0))
    assert made.tidy().empty and made.glance()["verdict"] == "cannot tell"
    assert [finding.name for finding in made.findings] == ["cronbach_alpha_refused"]
    assert "answer 3" in made.alt_text()


def test_a_name_that_is_no_scale_is_refused():
    with pytest.raises(CodebookError):
        constructs(survey_of(drawn(50, (0.7, 0.8))), ["trsut"])


def test_pages_are_shown_one_after_the_other():
    pages = constructs(survey_of(drawn(100, (0.7, 0.8, 0.7))))
    assert list(pages) == ["trust"] and len(pages) == 1
    assert pages._repr_html_() == pages["trust"].to_html() and repr(pages) == pages["trust"].to_text()


def test_a_scale_with_an_item_of_a_few_tells_nothing_about_them():
    answers = drawn(120, (0.7, 0.8, 0.7, 0.8))
    answers.loc[3:, "d"] = np.nan
    made = page(answers)
    assert made.alpha is None and made.tidy().empty
    assert "fewer than 5 respondents answered d" in made.findings[0].text
