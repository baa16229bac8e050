"""Tiny tables, in and out: the specification of cleaning and disclosure that the documentation prints."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from smstudy.privacy import Privacy
from smstudy.survey.cleaning import clean, gate_flow
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import protect
from smstudy.survey.rules import Rule

HERE = Path(__file__).parent
UNITS = [
    {"value": 1, "label": "Sales", "aliases": ["Sls"]},
    {"value": 2, "label": "IT"},
    {"value": 3, "label": "HR"},
]
AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
CODEBOOK = Codebook.model_validate(
    {
        "title": "Specification",
        "variables": [
            {"name": "person", "kind": "id"},
            {"name": "unit", "kind": "unit", "categories": UNITS},
            {"name": "seconds", "kind": "number"},
            {"name": "q1", "kind": "item", "categories": AGREE},
            {"name": "q2", "kind": "item", "categories": AGREE},
        ],
        "scales": [{"name": "use", "items": ["q1", "q2"]}],
    }
)
TEXT = ("person", "unit")


def cases(name: str) -> list:
    entries = YAML(typ="safe", pure=True).load((HERE / f"{name}.yml").read_text(encoding="utf-8"))
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


def survey_of(columns: dict) -> Survey:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()}).set_index("row")
    frame = frame.astype({name: "str" if name in TEXT else float for name in frame})
    return Survey(answers=frame, codebook=CODEBOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


@pytest.mark.parametrize("case", cases("cleaning"))
def test_cleaning(case):
    cleaning = clean(survey_of(case["answers"]), [Rule.model_validate(rule) for rule in case["rules"]])
    hits = cleaning.hits.frame
    assert {rule: hits.index[hits[rule]].tolist() for rule in hits} == case["hits"]
    assert cleaning.survey.answers.index.tolist() == case["left"]


@pytest.mark.parametrize("case", cases("disclosure"))
def test_disclosure(case):
    table = pd.DataFrame({"group": list(case["counts"]), "n": list(case["counts"].values())})
    known = case.get("total_known", True)
    shown = protect(table, group="group", counts=["n"], numbers=[], privacy=Privacy(), total_known=known).table
    assert {g: None if np.isnan(n) else n for g, n in zip(shown["group"], shown["n"], strict=True)} == case["shown"]


@pytest.mark.parametrize("case", cases("flow"))
def test_flow(case):
    shown = gate_flow(flow_of(case["entered"], case["rules"]), 5)
    counts = shown[["n_before", "n_hit", "n_removed", "n_after"]].to_numpy(float)
    written = {
        rule: None if np.isnan(row).all() else [None if np.isnan(n) else n for n in row]
        for rule, row in zip(shown["rule"], counts, strict=True)
    }
    assert written == case["shown"]


def flow_of(entered: int, rules: dict) -> pd.DataFrame:
    hit, removed = (np.array([pair[place] for pair in rules.values()]) for place in (0, 1))
    after = entered - np.cumsum(removed)
    words = {"stage": "quality", "rule": list(rules), "reason": "r", "action": "exclude"}
    return pd.DataFrame({**words, "n_before": after + removed, "n_hit": hit, "n_removed": removed, "n_after": after})
