"""Response tables against plain counting, and that they protect people."""

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.response import response_table

UNITS = [{"value": code, "label": label} for code, label in enumerate(["IT", "HR", "Sales", "Legal"], 1)]


def survey():
    units = pd.Series(np.repeat(["IT", "HR", "Sales", "Legal"], [104, 40, 52, 4]), dtype="str")
    variables = [{"name": "unit", "kind": "unit", "title": "Department", "categories": UNITS}]
    return Survey(
        answers=pd.DataFrame({"unit": units}),
        codebook=Codebook.model_validate({"title": "Test", "variables": variables}),
        missing=pd.DataFrame(columns=["row", "variable", "reason"]),
    )


def frame(**counts):
    return pd.DataFrame({"unit": list(counts), "headcount": list(counts.values())})


def test_response_is_respondents_per_head():
    data = survey()
    table = response_table(data, frame(IT=160, HR=90, Sales=60, Legal=8)).tidy().set_index("group")
    counts = data.answers["unit"].value_counts()
    assert table["n"].to_dict() == counts.to_dict()
    assert table.loc["IT", "response"] == counts["IT"] / 160


def test_a_small_department_is_hidden_with_another_one():
    response = response_table(survey(), frame(IT=160, HR=90, Sales=60, Legal=8))
    shown = response.shown().set_index("group")
    assert 0 < response.tidy().set_index("group").loc["Legal", "n"] < 5
    assert shown["hidden"].to_dict() == {"HR": True, "IT": False, "Legal": True, "Sales": False}
    assert shown.loc[["Legal", "HR"], ["n", "n_frame", "response"]].isna().all(axis=None)


def test_a_department_without_an_answer_is_there_with_zero():
    data = survey()
    without = data.keep_rows(data.answers["unit"] != "HR", "no HR")
    table = response_table(without, frame(IT=160, HR=90, Sales=60, Legal=8))
    assert table.tidy().set_index("group").loc["HR", ["n", "response"]].tolist() == [0, 0]


def test_no_head_count_is_a_finding():
    response = response_table(survey(), None)
    assert [finding.name for finding in response.findings] == ["no_head_count"]
    assert "response" not in response.glance() and response.glance()["n"] == 200
    assert response.table().headings == ("Group", "n")
    assert len(response.plot().texts) == 2  # two departments are hidden


def test_respondents_without_a_department_count_in_the_response_of_all():
    data = survey()
    unknown = data.with_columns(data.answers["unit"].where(data.answers.index >= 20).to_frame(), "some not stated")
    response = response_table(unknown, frame(IT=160, HR=90, Sales=60, Legal=10))
    assert response.glance() == {"n": 200, "n_groups": 4, "response": 200 / 320}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (frame(IT=0), "head count of IT"),
        (frame(IT=1.5), "head count of IT"),
        (pd.DataFrame({"unit": ["IT", " it "], "headcount": [4, 5]}), "IT twice"),
        (pd.DataFrame({"unit": ["IT"], "heads": [4]}), 'no column "headcount"'),
    ],
)
def test_wrong_head_counts_are_refused(counts, message):
    with pytest.raises(DataError, match=message):
        response_table(survey(), counts)


def test_departments_that_do_not_fit_are_findings():
    names = {finding.name for finding in response_table(survey(), frame(IT=20, HR=90, Sales=60)).findings}
    assert names == {"unit_without_head_count", "more_than_head_count"}
