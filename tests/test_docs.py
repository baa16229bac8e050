"""The reference of cleaning is written from the specification that is tested, and is up to date."""

import importlib.util
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from smstudy.survey.rules import OPERATIONS, Rule

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def docs():
    spec = importlib.util.spec_from_file_location("docs", ROOT / ".ci" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(docs):
    assert docs.PAGE.read_text(encoding="utf-8") == docs.render(), "Type: python .ci/docs.py"


def test_the_page_on_defects_is_up_to_date(docs):
    assert docs.DEFECTS_PAGE.read_text(encoding="utf-8") == docs.render_defects(), "Type: python .ci/docs.py"


def test_every_operator_is_described(docs):
    assert set(docs.OPERATORS) == set(OPERATIONS)


def test_every_rule_on_the_page_is_one(docs):
    blocks = docs.PAGE.read_text(encoding="utf-8").split("```yaml\n")[2:]
    for block in blocks:
        rules = block.split("\n```")[0].split("\ncutoffs:")[0]
        for rule in YAML(typ="safe", pure=True).load(rules):
            assert Rule.model_validate({**rule, "reason": "why"}).id == rule["id"]


def test_every_row_of_a_table_has_as_many_cells_as_its_head(docs):
    lines = docs.PAGE.read_text(encoding="utf-8").splitlines()
    cells = [line.replace("\\|", "").count("|") if line.startswith("|") else 0 for line in lines]
    assert all(a == b for a, b in zip(cells, cells[1:]) if a and b)
