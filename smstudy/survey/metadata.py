"""The codebook in the words of others: Frictionless Data Package, DDI-Codebook 2.5, a labeled SPSS file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import pandas as pd

from smstudy.display.prose import slug
from smstudy.survey.codebook import Codebook, Kind, Variable
from smstudy.survey.dataset import Survey

DDI = "ddi:codebook:2_5"
PACKAGE_PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
FIELD_TYPES: dict[Kind, str] = {"number": "number", "weight": "number", "date": "datetime"}
COUNTED: tuple[Kind, ...] = ("item", "category", "unit", "multi-select")
MEASURES: dict[Kind, str] = {"item": "ordinal", "number": "scale", "weight": "scale"}
NATURES: dict[Kind, str] = {"item": "ordinal", "number": "interval", "weight": "ratio"}
NOT_DEPOSITED: tuple[Kind, ...] = ("id", "text", "date")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Labeled:
    """Answers as numbers and text with what a statistics program needs to read them; rows are never shown.

    Attributes
    ----------
    frame : DataFrame
        One column per variable, categories as their codes.
    labels, measures : dict
        Column -> wording; column -> nominal, ordinal or scale.
    values : dict
        Column -> code -> label.
    """

    frame: pd.DataFrame
    labels: dict[str, str]
    values: dict[str, dict[float, str]]
    measures: dict[str, str]

    def __repr__(self) -> str:
        return f"Labeled({len(self.frame)} rows x {self.frame.shape[1]} columns; rows are not shown)"


def describe_package(codebook: Codebook, *, file: str) -> dict[str, object]:
    """Describe an export as a Frictionless Data Package.

    Parameters
    ----------
    codebook : Codebook
        What was asked.
    file : str
        Path of the export, relative to the description.

    Returns
    -------
    dict
        Ready for JSON: one resource with a Table Schema (version 2: categories, missingValues with labels). The
        scales of the codebook stand under `smstudy:scales`.

    References
    ----------
    Data Package 2.0, Table Schema 2.0 (datapackage.org).
    """
    name = slug(codebook.title)
    schema: dict[str, object] = {"fields": [_field(variable, codebook.missing) for variable in codebook.variables]}
    scales = [scale.model_dump(mode="json", exclude_defaults=True) for scale in codebook.scales]
    resource = {"name": name, "path": file, "type": "table", "schema": schema}
    about = {"title": codebook.title, "description": codebook.description}
    return {
        "$schema": PACKAGE_PROFILE,
        "name": name,
        **{key: text for key, text in about.items() if text},
        "resources": [resource],
        **({"smstudy:scales": scales} if scales else {}),
    }


def write_ddi(codebook: Codebook, *, file: str, n: int | None = None) -> str:
    """Describe a survey as DDI-Codebook 2.5 XML.

    Parameters
    ----------
    codebook : Codebook
        What was asked.
    file : str
        Name of the export.
    n : int, optional
        Respondents; left out if not given.

    References
    ----------
    DDI Alliance (2012), DDI-Codebook 2.5 (namespace ddi:codebook:2_5).
    """
    ElementTree.register_namespace("", DDI)
    root = _element(None, "codeBook", version="2.5")
    study = _element(root, "stdyDscr")
    _element(_element(_element(study, "citation"), "titlStmt"), "titl", codebook.title)
    if codebook.description:
        _element(_element(study, "stdyInfo"), "abstract", codebook.description)
    content = _element(_element(root, "fileDscr", ID="F1"), "fileTxt")
    _element(content, "fileName", file)
    size = _element(content, "dimensns")
    if n is not None:
        _element(size, "caseQnty", str(n))
    _element(size, "varQnty", str(len(codebook.variables)))
    data = _element(root, "dataDscr")
    numbers = {variable.name: f"V{place}" for place, variable in enumerate(codebook.variables, 1)}
    for place, scale in enumerate(codebook.scales, 1):
        members = " ".join(numbers[item] for item in scale.items)
        group = _element(data, "varGrp", ID=f"VG{place}", type="analysis", var=members, name=scale.name)
        _element(group, "labl", scale.label)
        if scale.description:
            _element(group, "txt", scale.description)
    for variable in codebook.variables:
        _ddi_variable(data, variable, numbers[variable.name], missing_codes(variable, codebook.missing))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True).replace("utf-8", "UTF-8", 1) + "\n"


def label_answers(survey: Survey) -> Labeled:
    """Give the answers as a statistics program stores them: codes with labels.

    Identifiers, own words and times are left out: what is left is still one row a person, so a file of it is
    confidential.

    Parameters
    ----------
    survey : Survey
        Answers as decoded, or cleaned.
    """
    kept = [variable for variable in survey.codebook.variables if variable.kind not in NOT_DEPOSITED]
    columns: dict[str, pd.Series] = {}
    labels: dict[str, str] = {}
    values: dict[str, dict[float, str]] = {}
    measures: dict[str, str] = {}
    for variable in kept:
        for name, label, numbers, known in _labeled(survey.answers, variable):
            columns[name], labels[name], measures[name] = numbers, label, MEASURES.get(variable.kind, "nominal")
            if known:
                values[name] = known
    return Labeled(pd.DataFrame(columns, index=survey.answers.index), labels, values, measures)


def missing_codes(variable: Variable, everywhere: Mapping[str, str]) -> dict[str, str]:
    """Codes of a variable that mean "no answer", each with its reason; own words and identifiers have none."""
    return {} if variable.kind in ("id", "text") else {**everywhere, **variable.missing}


def _field(variable: Variable, missing: Mapping[str, str]) -> dict[str, object]:
    codes = missing_codes(variable, missing)
    field: dict[str, object] = {"name": variable.column, "type": _field_type(variable), "title": variable.label}
    if variable.description:
        field["description"] = variable.description
    if variable.categories and variable.kind != "multi-select":
        field["categories"] = [{"value": c.value, "label": c.label} for c in variable.categories]
        field["categoriesOrdered"] = variable.kind == "item"
    if codes:
        field["missingValues"] = [{"value": "", "label": "no answer"}, *_pairs(codes)]
    constraints = variable.constraints.model_dump(exclude_none=True)
    return {**field, **({"constraints": constraints} if constraints else {}), "smstudy:name": variable.name}


def _field_type(variable: Variable) -> str:
    return "list" if variable.kind == "multi-select" else FIELD_TYPES.get(variable.kind, "string")


def _pairs(codes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"value": code, "label": reason} for code, reason in codes.items()]


def _element(parent: ElementTree.Element | None, tag: str, text: str = "", /, **attributes: str) -> ElementTree.Element:
    name = f"{{{DDI}}}{tag}"
    made = ElementTree.Element(name) if parent is None else ElementTree.SubElement(parent, name)
    made.attrib.update({key: _NOT_XML.sub(" ", value) for key, value in attributes.items()})
    made.text = _NOT_XML.sub(" ", text) or None
    return made


def _ddi_variable(parent: ElementTree.Element, variable: Variable, number: str, missing: Mapping[str, str]) -> None:
    """One variable; DDI prescribes the order: label, question, text, categories, format."""
    numeric = variable.kind in ("item", "number", "weight")
    interval = "contin" if variable.kind in ("number", "weight") else "discrete"
    attributes = {"wgt": "wgt"} if variable.kind == "weight" else {}
    nature = NATURES.get(variable.kind, "nominal")
    made = _element(
        parent, "var", ID=number, name=variable.name, files="F1", intrvl=interval, nature=nature, **attributes
    )
    _element(made, "labl", variable.label)
    _element(_element(made, "qstn"), "qstnLit", variable.title or variable.column)
    if variable.kind == "number" and (limits := variable.constraints.model_dump(exclude_none=True)):
        names = {"minimum": "min", "maximum": "max"}
        bounds = {names[key]: f"{value:g}" for key, value in limits.items()}
        _element(_element(made, "valrng"), "range", **bounds)
    if variable.description:
        _element(made, "txt", variable.description)
    entries = [*((c.value, c.label, "N") for c in variable.categories), *((c, why, "Y") for c, why in missing.items())]
    for code, label, absent in entries:
        category = _element(made, "catgry", missing=absent)
        _element(category, "catValu", code)
        _element(category, "labl", label)
    formats = {"type": "numeric" if numeric else "character"}
    if variable.kind == "date":
        formats["category"] = "date"
    _element(made, "varFormat", **formats)


def _labeled(answers: pd.DataFrame, variable: Variable) -> list[tuple[str, str, pd.Series, dict[float, str]]]:
    """Name, wording, numbers and labels of the columns of a variable."""
    if variable.kind == "multi-select":
        return [
            (
                f"{variable.name}_{category.value}",
                f"{variable.label}: {category.label}",
                answers[f"{variable.name}_{category.value}"],
                {0.0: "not chosen", 1.0: "chosen"},
            )
            for category in variable.categories
        ]
    given = answers[variable.name]
    if not variable.categories:
        return [(variable.name, variable.label, given, {})]
    codes = _codes(variable)
    known = {codes[category.value]: category.label for category in variable.categories}
    if variable.kind == "item":
        return [(variable.name, variable.label, given, known)]
    numbers = given.astype(object).map({label: code for code, label in known.items()}).astype(float)
    return [(variable.name, variable.label, numbers, known)]


def _codes(variable: Variable) -> dict[str, float]:
    """The number of each code: the code itself where all are numbers, else their order."""
    try:
        return {category.value: float(category.value) for category in variable.categories}
    except ValueError:
        return {category.value: float(place) for place, category in enumerate(variable.categories, 1)}
