"""Tiny tables, in and out: the specification of cleaning and disclosure that the documentation prints."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from smstudy.privacy import Privacy
from smstudy.survey.cleaning import clean
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import protect
from smstudy.survey.flow import gate_flow
from smstudy.survey.operators import OPERATORS
from smstudy.survey.rules import Rule

HERE = Path(__file__).parent
UNITS = [
    {"value": 1, "label": "Sales", "aliases": ["Sls"]},
    {"value": 2, "label": "IT"},
    {"value": 3, "label": "HR"},
]
AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
TOOLS = [{"value": 1, "label": "Chat"}, {"value": 2, "label": "Wiki"}, {"value": 9, "label": "None of these"}]
CODEBOOK = Codebook.model_validate(
    {
        "title": "Specification",
        "variables": [
            {"name": "person", "kind": "id"},
            {"name": "unit", "kind": "unit", "categories": UNITS},
            {"name": "user", "kind": "category", "categories": [{"value": w, "label": w} for w in ("Yes", "No")]},
            {"name": "tools", "kind": "multi-select", "categories": TOOLS},
            {"name": "status", "kind": "text"},
            {"name": "source", "kind": "text"},
            {"name": "start", "kind": "date"},
            {"name": "day", "kind": "date"},
            {"name": "seconds", "kind": "number"},
            {"name": "age", "kind": "number"},
            {"name": "tenure", "kind": "number"},
            {"name": "q1", "kind": "item", "categories": AGREE},
            {"name": "q2", "kind": "item", "categories": AGREE},
        ],
        "scales": [{"name": "use", "items": ["q1", "q2"]}],
    }
)
TEXT = ("person", "unit", "user", "status", "source")
DATES = ("start", "day")
WORDS = ("str", "category")


def cases(name: str) -> list:
    entries = YAML(typ="safe", pure=True).load((HERE / f"{name}.yml").read_text(encoding="utf-8"))
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


def survey_of(columns: dict, words: str) -> Survey:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()}).set_index("row")
    kinds = {name: words if name in TEXT else "datetime64[s]" if name in DATES else float for name in frame}
    frame = frame.astype(kinds)
    return Survey(answers=frame, codebook=CODEBOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("case", cases("cleaning"))
def test_cleaning(case, words):
    rules = [Rule.model_validate(rule) for rule in case["rules"]]
    cleaning = clean(survey_of(case["answers"], words), rules, cutoffs=case.get("cutoffs"))
    hits = cleaning.hits.frame
    assert {rule: hits.index[hits[rule]].tolist() for rule in hits} == case["hits"]
    assert cleaning.survey.answers.index.tolist() == case["left"]
    for name, values in case.get("after", {}).items():
        after = cleaning.survey.answers[name]
        assert [None if pd.isna(value) else value for value in after] == values
    for rule, number in case.get("thresholds", {}).items():
        assert cleaning.tidy().set_index("rule").loc[rule, "threshold"] == number


def test_every_operator_has_a_case():
    rules = [rule for case in cases("cleaning") for rule in case.values[0]["rules"]]
    assert {one["op"] for rule in rules for one in (rule, rule.get("where", rule))} == set(OPERATORS)


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
