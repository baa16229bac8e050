"""The reference of cleaning is written from the specification that is tested, and is up to date."""

import importlib.util
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from smstudy.cli import _parser
from smstudy.engine.parameters import declared_parameters
from smstudy.study.definition import Step, Study, read_study
from smstudy.study.inputs import resolve_inputs
from smstudy.study.runner import plan_jobs
from smstudy.survey.codebook import Codebook, Variable
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


PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")
KEYS = {name for model in (Study, Codebook, Variable) for name in model.model_fields}


def blocks(page, language):
    """The fenced blocks of a page in one language."""
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_how_to_page_runs(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {}
    for code in blocks(page, "python"):
        exec(code, names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_yaml_of_a_how_to_page_is_what_study_and_codebook_may_say(page):
    for text in blocks(page, "yaml"):
        content = YAML(typ="safe", pure=True).load(text)
        for entry in content if isinstance(content, list) else [content]:
            assert set(entry) <= KEYS
        if isinstance(content, list):
            continue
        for name, value in content.items():
            field = (Study if name in Study.model_fields else Codebook).model_fields.get(name)
            if field is not None:
                TypeAdapter(field.annotation).validate_python(value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_how_to_page_exist(page):
    commands = [line for text in blocks(page, "") for line in text.splitlines() if line.startswith("smstudy ")]
    for command in commands:
        _parser().parse_args(command.split()[1:])


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "README.md"], ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert links and [link for link in links if not (page.parent / link).exists()] == []


def test_every_how_to_page_is_short_and_in_the_index():
    index = LINK.findall((ROOT / "docs" / "README.md").read_text(encoding="utf-8"))
    assert {f"how-to/{page.name}" for page in PAGES} <= set(index)
    assert [page.name for page in PAGES if len(page.read_text(encoding="utf-8").splitlines()) > 60] == []


def test_the_page_on_analyses_names_every_parameter_and_its_lines_are_those_of_a_study():
    page = ROOT / "docs" / "how-to" / "turn-on-an-analysis.md"
    folder = ROOT / "studies" / "quarterly-pulse"
    steps = TypeAdapter(tuple[Step, ...]).validate_python(
        YAML(typ="safe", pure=True).load(blocks(page, "yaml")[0])["notebooks"]
    )
    study = read_study(folder).model_copy(update={"notebooks": steps})
    jobs = plan_jobs(folder, study, resolve_inputs(folder, study), {})
    shipped = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [job.name for job in jobs] == [notebook.stem for notebook in shipped]
    for job, notebook in zip(jobs, shipped, strict=True):
        assert {"study", "min_n", *job.parameters} == {"study", "min_n", *declared_parameters(notebook)}
