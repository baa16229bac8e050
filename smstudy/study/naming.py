"""Names that parameters of a notebook give: looked up in the codebook before a kernel starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from smstudy.errors import StudyError, did_you_mean
from smstudy.inference.regression.formula import parse_formula
from smstudy.survey.codebook import Codebook

FORMULA = "formula"
SCALE = "scale"
LISTS = ("scores", "variables", "focus", "outcome")
MADE_BY_CLEANING = "flag_"


def check_names(
    parameters: Mapping[str, object], codebook: Codebook, *, where: str, makes_columns: bool = False
) -> None:
    """Refuse a formula that cannot be read, and names that no variable or scale has.

    Parameters
    ----------
    parameters : mapping
        Values a notebook will work with; looked at are `formula`, `scale`, `scores`, `variables`, `focus` and
        `outcome`, as far as they are texts or lists of texts.
    codebook : Codebook
        Its variables and scales are the names allowed; columns `flag_...` that cleaning adds are too.
    where : str
        The place to name in a message.
    makes_columns : bool
        The notebook may add columns of its own: only the grammar of the formula is checked.

    Raises
    ------
    StudyError
        With the nearest known names.
    """
    scales = [scale.name for scale in codebook.scales]
    known = [*scales, *columns_of(codebook)]
    columns = _formula_columns(parameters.get(FORMULA), where)
    if makes_columns:
        return
    _refuse_unknown(columns, known, f"{where}: formula")
    _refuse_unknown(_texts(parameters.get(SCALE)), scales, f"{where}: scale")
    for name in LISTS:
        _refuse_unknown(_texts(parameters.get(name)), known, f"{where}: {name}")


def _formula_columns(formula: object, where: str) -> tuple[str, ...]:
    try:
        return parse_formula(formula).columns if isinstance(formula, str) else ()
    except StudyError as problem:
        raise StudyError(f"{where}: {problem}") from None


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
