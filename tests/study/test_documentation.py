"""The codebook as documents: they say what the codebook says, show nobody, and other programs can read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyreadstat
import pytest
from lxml import etree

import smstudy as sm
from smstudy.errors import StudyError
from smstudy.study.documentation import ANSWERS, write_documents
from smstudy.survey.exports import read_export

SUBSET = Path(__file__).resolve().parents[1] / "reference" / "ddi" / "codebook-subset.xsd"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_documents("quarterly-pulse", to=str(tmp_path_factory.mktemp("documents")), with_answers=True)


@pytest.fixture(scope="module")
def survey():
    return sm.open_study("quarterly-pulse").survey()


def test_every_variable_has_a_field_with_its_answers(folder, survey):
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    fields = package["resources"][0]["schema"]["fields"]
    assert [field["name"] for field in fields] == [variable.column for variable in survey.codebook.variables]
    described = {field["smstudy:name"]: field for field in fields}["sup_1"]
    assert [entry["value"] for entry in described["categories"]] == ["1", "2", "3", "4", "5"]
    assert described["categoriesOrdered"] and "-99" in [entry["value"] for entry in described["missingValues"]]


def test_the_ddi_document_fits_its_schema(folder):
    schema = etree.XMLSchema(etree.parse(SUBSET))
    schema.assertValid(etree.parse(folder / "ddi-codebook.xml"))


def test_the_ddi_document_names_every_variable_and_scale(folder, survey):
    root = etree.parse(folder / "ddi-codebook.xml").getroot()
    names = root.xpath("//d:var/@name", namespaces={"d": "ddi:codebook:2_5"})
    assert names == [variable.name for variable in survey.codebook.variables]
    assert root.xpath("//d:varGrp/@name", namespaces={"d": "ddi:codebook:2_5"}) == [
        scale.name for scale in survey.codebook.scales
    ]


def test_the_spss_file_holds_the_answers_with_their_labels(folder, survey):
    frame, meta = pyreadstat.read_sav(folder / ANSWERS)
    assert meta.column_names_to_labels["sup_1"] == survey.codebook.variable("sup_1").title
    assert meta.variable_value_labels["sup_1"][5.0] == "Strongly agree"
    given = survey.answers["sup_1"].to_numpy(float)
    assert np.array_equal(frame["sup_1"].to_numpy(float), given, equal_nan=True)
    labels = frame["unit"].map(meta.variable_value_labels["unit"])
    assert (labels.fillna("") == survey.answers["unit"].astype(object).fillna("").to_numpy()).all()


def test_the_spss_file_holds_no_identifier_and_no_own_words(folder, survey):
    held = set(read_export(folder / ANSWERS).cells)
    assert not held & {variable.name for variable in survey.codebook.of_kind("id", "text", "date")}


@pytest.mark.parametrize("page", ["codebook.md", "codebook.html"])
def test_pages_say_every_variable_and_hide_small_counts(folder, survey, page):
    text = (folder / page).read_text(encoding="utf-8")
    assert all(variable.name in text for variable in survey.codebook.variables)
    assert "hidden" in text
    words = [words for words in survey.answers["comment"].dropna() if len(words) > 12]
    assert words and not any(entry in text for entry in words)


def test_the_page_is_inert(folder):
    text = (folder / "codebook.html").read_text(encoding="utf-8").casefold()
    assert "<script" not in text and "http://" not in text and "https://" not in text and " on" + "click" not in text


def test_answers_are_written_only_when_asked_for(tmp_path):
    write_documents("quarterly-pulse", to=str(tmp_path))
    assert not (tmp_path / ANSWERS).exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StudyError, match="--to"):
        write_documents("quarterly-pulse", to=str(tmp_path / "file" / "below"))
