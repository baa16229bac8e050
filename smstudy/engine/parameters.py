"""Parameters of a notebook: read from its one tagged cell without running it, checked before a kernel starts."""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smstudy.errors import StudyError, did_you_mean

ALLOWED_TYPES = "str, int, float, bool, list, dict, list[...], dict[str, ...], Literal[...], each also with | None"
PLAIN_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}


class _Unfit(Exception):
    """The value is not of the declared type."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell.

    Parameters
    ----------
    name : str
        A Python name.
    annotation : str
        The declared type as text, e.g. ``"list[str]"`` or ``"str | None"``.
    default : object
        A JSON value; None when the parameter is required.
    required : bool
        True when the cell declares the name without a value.
    comment : str
        What follows ``#`` on the line.
    """

    name: str
    annotation: str
    default: object
    required: bool
    comment: str


def read_cells(notebook: Path) -> list[dict[str, object]]:
    """Read the cells of a notebook file with nothing but the standard library.

    Raises
    ------
    StudyError
        If there is no such file, or it is not a notebook of format 4.
    """
    try:
        content = json.loads(Path(notebook).read_text(encoding="utf-8"))
        cells = content["cells"]
        sound = content["nbformat"] == 4 and all(map(_is_cell, cells))
    except FileNotFoundError:
        raise StudyError(f"There is no notebook {notebook}. Correct its name in study.yml.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise StudyError(f"{notebook} is not a notebook of format 4. Open it in JupyterLab and save it again.")
    return cells


def source_of(cell: Mapping[str, object]) -> str:
    """Give a cell's source as one text; files store it as a text or as a list of lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def is_parameters_cell(cell: Mapping[str, object]) -> bool:
    """Say whether this is a code cell tagged "parameters"."""
    return cell["cell_type"] == "code" and "parameters" in cell.get("metadata", {}).get("tags", [])


def declared_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read what a notebook declares in its parameters cell; nothing is run.

    Parameters
    ----------
    notebook : Path
        A notebook with exactly one cell tagged ``parameters``: lines of ``name: type = literal  # meaning``.

    Returns
    -------
    dict of str to Parameter
        In the order of the cell.

    Raises
    ------
    StudyError
        If there is no such cell or more than one, or a line is not a declaration with a literal of its type.
    """
    cells = [cell for cell in read_cells(notebook) if is_parameters_cell(cell)]
    if len(cells) != 1:
        found = "no cell" if not cells else f"{len(cells)} cells"
        raise StudyError(f'{notebook} has {found} tagged "parameters"; it needs exactly one. Set it in JupyterLab.')
    source = source_of(cells[0])
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise StudyError(f"{notebook}: the parameters cell is not Python. Write lines like: min_n: int = 5") from None
    comments = _comments(source)
    declared: dict[str, Parameter] = {}
    for statement in statements:
        parameter = _declaration(statement, comments, f"{notebook}, parameters cell, line {statement.lineno}")
        if parameter.name in declared:
            raise StudyError(f'{notebook}: parameter "{parameter.name}" is declared twice. Remove one line.')
        declared[parameter.name] = parameter
    return declared


def check_parameters(
    given: Mapping[str, object], declared: Mapping[str, Parameter], *, where: str
) -> dict[str, object]:
    """Check the values given to a notebook against its declarations.

    Parameters
    ----------
    given : mapping of str to object
        Only the parameters that are set; what is left out keeps the notebook's own value.
    declared : mapping of str to Parameter
        From `declared_parameters`.
    where : str
        The place to name in a message, e.g. ``"study.yml, notebook 20-scales"``.

    Returns
    -------
    dict
        The given values in the order of declaration; an int given for a float is a float.

    Raises
    ------
    StudyError
        If a name is unknown, a required one is missing, or a value is not a JSON value of the declared type.

    Examples
    --------
    >>> declared = {"cut": Parameter("cut", "float", 0.5, False, "")}
    >>> check_parameters({"cut": 1}, declared, where="study.yml")
    {'cut': 1.0}
    """
    for name in given:
        if name not in declared:
            raise StudyError(f'{where}: there is no parameter "{name}". {did_you_mean(str(name), declared)}')
    missing = [name for name, parameter in declared.items() if parameter.required and name not in given]
    if missing:
        kind = declared[missing[0]].annotation
        raise StudyError(f'{where}: parameter "{missing[0]}" ({kind}) has no value. Set it under parameters.')
    return {name: _checked(given[name], parameter, where) for name, parameter in declared.items() if name in given}


def parse_parameter(text: str, parameter: Parameter, where: str) -> object:
    """Read a value from the command line by the declared type.

    Parameters
    ----------
    text : str
        What stands after ``name=``. Lists are ``a,b,c`` or JSON, dicts JSON, truth values ``true`` or ``false``,
        no value ``none``.
    parameter : Parameter
        The declaration that decides how to read the text.
    where : str
        The place to name in a message.

    Raises
    ------
    StudyError
        If the text cannot be read as the declared type.

    Examples
    --------
    >>> parse_parameter("5", Parameter("min_n", "int", 5, False, ""), "-p")
    5
    >>> parse_parameter("5", Parameter("wave", "str", "1", False, ""), "-p")
    '5'
    """
    annotation = _annotation(parameter.annotation, where)
    for reading in _readings(text):
        try:
            return _fitted(reading, annotation)
        except _Unfit:
            continue
    raise StudyError(
        f'{where}: parameter "{parameter.name}" must be {parameter.annotation}; {_shown(text)} cannot be read as that.'
    )


def _is_cell(cell: Mapping[str, object]) -> bool:
    tags = cell.get("metadata", {}).get("tags", [])
    return isinstance(cell["cell_type"], str) and isinstance(cell["source"], str | list) and isinstance(tags, list)


def _declaration(statement: ast.stmt, comments: Mapping[int, str], where: str) -> Parameter:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)):
            annotation = ast.unparse(statement.annotation)
        case ast.Assign(targets=[ast.Name(id=name)]):
            annotation = ""
        case _:
            raise StudyError(f"{where}: only lines like min_n: int = 5 may stand here. Move the rest to another cell.")
    comment = comments.get(statement.end_lineno, "")
    if statement.value is None:
        _annotation(annotation, where)
        return Parameter(name, annotation, None, True, comment)
    default = _literal(statement.value, name, where)
    parameter = Parameter(name, annotation or _inferred(default, name, where), default, False, comment)
    return Parameter(name, parameter.annotation, _checked(default, parameter, where), False, comment)


def _literal(node: ast.expr, name: str, where: str) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise StudyError(
            f'{where}: the value of "{name}" is not a literal. Write a number, text, True, False, None or a list.'
        ) from None


def _inferred(value: object, name: str, where: str) -> str:
    if type(value) in (str, int, float, bool, list, dict):
        return type(value).__name__
    raise StudyError(f'{where}: "{name}" needs a type, e.g. {name}: str | None = None. Allowed: {ALLOWED_TYPES}.')


def _checked(value: object, parameter: Parameter, where: str) -> object:
    try:
        return _fitted(value, _annotation(parameter.annotation, where))
    except _Unfit:
        raise StudyError(
            f'{where}: parameter "{parameter.name}" must be {parameter.annotation}; '
            f"{_shown(value)} is {type(value).__name__}."
        ) from None


def _annotation(text: str, where: str) -> ast.expr:
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        node = None
    if node is None or not _known_type(node):
        raise StudyError(f'{where}: the type "{text}" is not one a parameter can have. Allowed: {ALLOWED_TYPES}.')
    return node


def _known_type(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name):
            return name in PLAIN_TYPES
        case ast.Constant(value=None):
            return True
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _known_type(left) and _known_type(right)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return _known_type(item)
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), item])):
            return _known_type(item)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return all(isinstance(choice, ast.Constant) for choice in _choices(choices))
    return False


def _fitted(value: object, node: ast.expr) -> object:
    match node:
        case ast.Name(id=name):
            return _plain(value, name)
        case ast.BinOp(left=left, right=right):
            return _either(value, left, right)
        case ast.Subscript(value=ast.Name(id="list"), slice=item) if type(value) is list:
            return [_fitted(each, item) for each in value]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, item])) if type(value) is dict:
            return {_fitted(name, key): _fitted(each, item) for name, each in value.items()}
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            if any(type(value) is type(choice.value) and value == choice.value for choice in _choices(choices)):
                return value
        case ast.Constant(value=None) if value is None:
            return None
    raise _Unfit


def _either(value: object, left: ast.expr, right: ast.expr) -> object:
    try:
        return _fitted(value, left)
    except _Unfit:
        return _fitted(value, right)


def _plain(value: object, name: str) -> object:
    if name == "float" and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not PLAIN_TYPES[name] or not _is_json(value):
        raise _Unfit
    return value


def _is_json(value: object) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is list:
        return all(map(_is_json, value))
    if type(value) is dict:
        return all(type(key) is str and _is_json(key) and _is_json(each) for key, each in value.items())
    if type(value) is str:
        return not any("\ud800" <= letter <= "\udfff" for letter in value)  # bytes of the command line that are no text
    return value is None or type(value) in (int, bool)


def _choices(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _readings(text: str) -> Iterator[object]:
    """Give every way to read a text, the narrowest first; the declared type takes the first that fits."""
    word = text.strip()
    if word.lower() in ("none", "null"):
        yield None
    if word.lower() in ("true", "false"):
        yield word.lower() == "true"
    if re.fullmatch(r"[+-]?[0-9]{1,300}", word):
        yield int(word)
    if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", word):
        yield float(word)
    for written in (word, f"[{word}]"):
        with suppress(ValueError, RecursionError):
            yield json.loads(written)
    yield text
    yield [part.strip() for part in text.split(",")]


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
