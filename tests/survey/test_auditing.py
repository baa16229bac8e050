"""The audit names what was hidden and why, and holds no number of people."""

import numpy as np
import pandas as pd

from smstudy.privacy import Privacy
from smstudy.survey.auditing import audit
from smstudy.survey.disclosure import DIFFERENCE


def record(rows, *findings, title="Scores"):
    return {"title": title, "tidy": rows, "findings": [{"name": name, "text": "3 of 9"} for name in findings]}


SCORES = [
    {"term": score, "group": group, "n": None if group in "BC" else 20, "hidden": group in "BC"}
    for score in ("use", "trust")
    for group in "ABC"
]


def test_a_group_hidden_in_every_score_is_named_once():
    listed = audit({"a": record(SCORES, "groups_hidden")}, privacy=Privacy()).tidy()
    assert listed["group"].tolist() == ["B", "C"] and listed["term"].tolist() == ["", ""]


def test_places_hidden_for_different_reasons_are_not_told_apart():
    listed = audit({"a": record(SCORES, "groups_hidden", DIFFERENCE)}, privacy=Privacy()).tidy()
    assert listed["reason"].nunique() == 1 and "earlier release" in listed["reason"][0]


def test_what_a_model_puts_together_is_listed_though_no_row_is_hidden():
    listed = audit({"a": record([{"term": "b", "n": 30}], "levels_pooled", title="Drivers")}, privacy=Privacy()).tidy()
    assert listed[["result", "group", "term"]].to_numpy().tolist() == [["Drivers", "", ""]]
    assert listed["reason"].tolist() == ["Groups with few respondents were put together in the model."]


def test_rules_and_segments_are_places_too():
    rows = [{"rule": "late", "n_removed": None, "hidden": True}, {"segment": "1", "term": "use", "hidden": True}]
    listed = audit({"a": record(rows, "rules_hidden")}, privacy=Privacy()).tidy()
    assert listed[["group", "term"]].to_numpy().tolist() == [["", "late"], ["1", ""]]


def test_an_audit_holds_no_number_but_the_threshold():
    result = audit({"a": record(SCORES, "groups_hidden")}, privacy=Privacy(min_n=7))
    digits = {sign for cell in result.tidy().to_numpy().ravel() for sign in cell if sign.isdigit()}
    assert digits == {"7"}
    assert result.tidy().select_dtypes(np.number).empty


def test_a_run_that_hides_nothing_says_so():
    result = audit({"a": record([{"term": "use", "n": 30}])}, privacy=Privacy())
    assert result.tidy().empty and result.findings[0].name == "nothing_hidden"
    assert isinstance(result.to_record()["tidy"], list) and isinstance(result.tidy(), pd.DataFrame)
