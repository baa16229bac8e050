"""Names that parameters of a notebook give: looked up in the codebook before a kernel starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from smstudy.errors import StudyError, did_you_mean
from smstudy.inference.regression.formula import Formula, parse_formula
from smstudy.survey.codebook import Codebook

FORMULA = "formula"
FORMULAS = (FORMULA, "interaction")
CONTROLS = "controls"
LOW = "low"
PILOTED = "piloted"
SCALE = "scale"
LISTS = ("scores", "variables", "focus", "outcome", "driver", "mediators")
MADE_BY_CLEANING = "flag_"


def check_names(
    parameters: Mapping[str, object], codebook: Codebook, *, where: str, unit: str = "", makes_columns: bool = False
) -> None:
    """Refuse a formula that cannot be read, and names that no variable, scale or department has.

    Parameters
    ----------
    parameters : mapping
        Values a notebook will work with; looked at are formulas (`formula`, `interaction`, and `controls` as terms of
        one), `scale`, names of columns (`scores`, `variables`, `focus`, `outcome`, `driver`, `mediators`), `low` as
        drivers of the formula, and `piloted` as departments, as far as they are texts or lists of texts.
    codebook : Codebook
        Its variables and scales are the names allowed; columns `flag_...` that cleaning adds are too.
    where : str
        The place to name in a message.
    unit : str
        The variable that says which department somebody belongs to; empty if departments are not looked at.
    makes_columns : bool
        The notebook may add columns of its own: only the grammar of the formulas is checked.

    Raises
    ------
    StudyError
        With the nearest known names.
    """
    scales = [scale.name for scale in codebook.scales]
    known = [*scales, *columns_of(codebook)]
    formulas = {name: _formula(parameters.get(name), where) for name in FORMULAS}
    held = _formula(_as_formula(_texts(parameters.get(CONTROLS))), f"{where}: {CONTROLS}")
    if makes_columns:
        return
    for name, formula in formulas.items():
        _refuse_unknown(formula.columns if formula else (), known, f"{where}: {name}")
    _refuse_unknown([factor.column for factor in held.factors] if held else (), known, f"{where}: {CONTROLS}")
    _refuse_unknown(_texts(parameters.get(SCALE)), scales, f"{where}: {SCALE}")
    for name in LISTS:
        _refuse_unknown(_texts(parameters.get(name)), known, f"{where}: {name}")
    if formula := formulas[FORMULA]:
        drivers = [factor.column for factor in formula.factors]
        _refuse_no_driver(_texts(parameters.get(LOW)), drivers, f"{where}: {LOW}")
    if departments := departments_of(codebook, unit):
        refuse_no_department(_texts(parameters.get(PILOTED)), departments, where)


def departments_of(codebook: Codebook, unit: str) -> list[str]:
    """Name the departments as the codebook has them; none if it leaves them to the answers."""
    found = [variable for variable in codebook.variables if variable.name == unit]
    return [category.label for variable in found for category in variable.categories]


def refuse_no_department(names: Collection[str], departments: Collection[str], where: str, *, place: str = "") -> None:
    """Refuse a department of a pilot that is none; StudyError with the nearest."""
    for name in names:
        if name not in departments:
            raise StudyError(
                f'{where}: {PILOTED}: there is no department "{name}"{place}. {did_you_mean(name, departments)}'
            )


def _formula(text: object, where: str) -> Formula | None:
    try:
        return parse_formula(text) if isinstance(text, str) else None
    except StudyError as problem:
        raise StudyError(f"{where}: {problem}") from None


def _as_formula(controls: Collection[str]) -> str | None:
    """Terms to hold constant, as the right side of a formula; its outcome stands for any."""
    return f"outcome ~ {' + '.join(controls)}" if controls else None


def columns_of(codebook: Codebook) -> list[str]:
    """Name the columns that decoding makes; a multi-select becomes one for each of its choices."""
    return [
        name
        for variable in codebook.variables
        for name in (
            [f"{variable.name}_{category.value}" for category in variable.categories]
            if variable.kind == "multi-select"
            else [variable.name]
        )
    ]


def _texts(value: object) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, str)]


def _refuse_unknown(names: Collection[str], known: Collection[str], where: str) -> None:
    for name in names:
        if name not in known and not name.startswith(MADE_BY_CLEANING):
            raise StudyError(f'{where}: "{name}" is no variable or scale of the codebook. {did_you_mean(name, known)}')


def _refuse_no_driver(names: Collection[str], drivers: Collection[str], where: str) -> None:
    for name in names:
        if name not in drivers:
            raise StudyError(f'{where}: "{name}" is no driver of the formula. {did_you_mean(name, drivers)}')
