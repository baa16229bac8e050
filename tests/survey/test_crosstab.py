"""Two questions against each other: cells add up, and no few people follow from the totals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError
from smstudy.survey.codebook import Codebook
from smstudy.survey.crosstab import cross_table
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import hidden_groups

ROLES = [{"value": v, "label": v} for v in ("Staff", "Lead", "Boss")]
USES = [{"value": i, "label": label} for i, label in enumerate(("never", "sometimes", "often"), 1)]
CODEBOOK = Codebook.model_validate(
    {
        "title": "t",
        "variables": [
            {"name": "role", "kind": "category", "categories": ROLES},
            {"name": "use", "kind": "item", "categories": USES},
            {"name": "age", "kind": "number"},
        ],
    }
)


def survey_of(cells: dict[tuple[str | None, float], int]) -> Survey:
    rows = [pair for pair, times in cells.items() for _ in range(times)]
    frame = pd.DataFrame(rows, columns=["role", "use"]).astype({"use": float})
    frame["age"] = 40.0
    return Survey(answers=frame, codebook=CODEBOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def test_cells_are_those_of_a_count_by_hand():
    made = cross_table(survey_of({("Staff", 1): 12, ("Staff", 3): 9, ("Lead", 1): 8, ("Lead", 3): 20}), "role", "use")
    table = made.tidy().pivot(index="group", columns="answer", values="n")
    assert table.loc["Staff", "often"] == 9 and table.loc["Lead", "all"] == 28 and table.loc["all", "all"] == 49


def test_a_small_cell_takes_others_with_it():
    made = cross_table(survey_of({("Staff", 1): 12, ("Staff", 3): 2, ("Lead", 1): 8, ("Lead", 3): 20}), "role", "use")
    table = made.tidy().pivot(index="group", columns="answer", values="n")
    inside = table.loc[["Staff", "Lead"], ["never", "often"]]
    assert inside.isna().to_numpy().all() and table.loc["all", "all"] == 42


def test_whoever_says_nothing_is_a_group():
    made = cross_table(survey_of({("Staff", 1): 12, (None, 1): 9, ("Lead", np.nan): 8, ("Lead", 3): 20}), "role", "use")
    assert {"(not stated)"} <= set(made.tidy()["group"]) & set(made.tidy()["answer"])


def test_a_closed_category_is_counted_as_one_with_another_and_is_no_zero():
    survey = survey_of({("Staff", 1): 12, ("Lead", 1): 8, ("Boss", 3): 20})
    closing = replace(survey, privacy=survey.privacy.closing([("role", "Lead")]))
    table = cross_table(closing, "role", "use").tidy()
    assert {"Lead", "Staff"}.isdisjoint(table["group"]) and "(small groups)" in set(table["group"])


def test_departments_hidden_elsewhere_are_counted_as_one():
    survey = sm.open_study("quarterly-pulse").survey()
    groups = set(cross_table(survey, "unit", "role").tidy()["group"])
    assert not groups & hidden_groups(survey, "unit") and "(small groups)" in groups


@pytest.mark.parametrize("names", [("role", "age"), ("role", "role")])
def test_what_cannot_be_crossed_is_refused(names):
    with pytest.raises(DataError):
        cross_table(survey_of({("Staff", 1): 12}), *names)
