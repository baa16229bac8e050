"""YAML that people write: read by YAML 1.2 rules, checked against a model, with the line in every message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from smstudy.errors import SmstudyError, did_you_mean

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_QUOTED = 40
TAGS = {"str", "int", "float", "bool", "null", "timestamp", "map", "seq"}
WORDS = {
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list",
    "dict_type": "must be keys with values",
    "model_type": "must be keys with values",
    "model_attributes_type": "must be keys with values",
    "mapping_type": "must be keys with values",
}
Model = TypeVar("Model", bound=BaseModel)


class Entry(BaseModel):
    """Base of all parts of a document: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


def read_document(path: Path, model: type[Model], error: type[SmstudyError]) -> Model:
    """Read a YAML file into a model.

    Parameters
    ----------
    path : Path
        The file; UTF-8, at most 1 MB, no anchors, no aliases, no tags, no key twice.
    model : type
        The pydantic model it must fit; unknown keys are refused with the nearest known one.
    error : type
        The family of error to raise.

    Raises
    ------
    SmstudyError
        Of the given family, in one line: file, line, what is wrong, what is allowed.
    """
    yaml = YAML(typ="safe", pure=True)
    node = _node(yaml, _text(path, error), path.name, error)
    try:
        return model.model_validate(yaml.constructor.construct_document(node))
    except ValidationError as problem:
        raise error(_explain(problem, node, path.name, model)) from None
    except (YAMLError, ValueError) as problem:
        raise error(f"{path.name}{_mark(problem)}: {_first_line(problem)}. Correct the YAML there.") from None


def _text(path: Path, error: type[SmstudyError]) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise error(f"{path.name} is larger than {MAX_BYTES:,} bytes. Check that it is the right file.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise error(f"{path.name} is not UTF-8 text. Save it as UTF-8.") from None
    except OSError as problem:
        raise error(f"{path.name} cannot be read: {problem.strerror}. Check the path {path}.") from None


def _node(yaml: YAML, text: str, name: str, error: type[SmstudyError]) -> Node:
    try:
        node = yaml.compose(text)
    except RecursionError:
        raise error(f"{name}: nested deeper than {MAX_DEPTH} levels. Flatten it.") from None
    except YAMLError as problem:
        raise error(f"{name}{_mark(problem)}: {_first_line(problem)}. Correct the YAML there.") from None
    for problem in _refused(node, name) if node else ():
        raise error(problem)
    if not isinstance(node, MappingNode):
        raise error(f"{name} is empty or no list of keys. Start from a file that `smstudy new` writes.")
    return node


def _refused(node: Node, name: str, depth: int = 0) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield _at(name, node, f"nested deeper than {MAX_DEPTH} levels. Flatten it.")
        return
    if getattr(node, "anchor", None):
        yield _at(name, node, "anchors (&) and aliases (*) are not allowed. Write the value out.")
    if str(node.tag).removeprefix("tag:yaml.org,2002:") not in TAGS:
        yield _at(name, node, "tags (!) are not allowed. Write plain values.")
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                yield _at(name, key, "a key must be plain text.")
            elif key.value in seen:
                yield _at(name, key, f'the key "{key.value}" is there twice. Keep one of them.')
            else:
                seen.add(key.value)
                yield from _refused(value, name, depth + 1)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _refused(value, name, depth + 1)


def _explain(problem: ValidationError, node: Node, name: str, model: type[BaseModel]) -> str:
    errors = problem.errors(include_url=False, include_input=False)
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    where = tuple(first["loc"])
    there, line = _find(node, where)
    line = line if where else _line_of_quoted(node, str(first["msg"]))
    place = ".".join(str(part) for part in where)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f'unknown key "{where[-1]}". {did_you_mean(str(where[-1]), _keys(model, where[:-1]))}'
    elif first["type"] == "missing":
        message = f'the key "{where[-1]}" is missing. Add it.'
    elif place:
        message = f"{place}: {WORDS.get(first['type'], message)}{_written(there)}"
    others = problem.error_count() - 1
    more = f" (And {others} more {'problem' if others == 1 else 'problems'}.)" if others else ""
    return f"{name} line {line}: {message.rstrip('.')}{'' if message.endswith('?') else '.'}{more}"


def _keys(model: type[BaseModel], where: tuple) -> list[str]:
    """Give the keys allowed at a place, following the types of the model."""
    current: type | None = model
    for part in where:
        if isinstance(part, int) or current is None:
            continue
        field = next((f for n, f in current.model_fields.items() if part in (n, f.alias)), None)
        current = _inner_model(field.annotation) if field else current
    return [field.alias or key for key, field in current.model_fields.items()] if current else []


def _inner_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in getattr(annotation, "__args__", ()) if (found := _inner_model(arg))), None)


def _find(node: Node, where: tuple) -> tuple[Node, int]:
    """Follow a path of keys and positions as far as it goes; give the node there and its line."""
    line = node.start_mark.line
    for part in where:
        children = dict((key.value, (key, value)) for key, value in node.value) if isinstance(node, MappingNode) else {}
        if str(part) in children:
            key, node = children[str(part)]
            line = key.start_mark.line
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return node, line + 1


def _written(node: Node) -> str:
    """Quote the value that stands there, if it is short and alone."""
    return f' (it says "{node.value}")' if isinstance(node, ScalarNode) and len(node.value) <= MAX_QUOTED else ""


def _line_of_quoted(node: Node, message: str) -> int:
    """Find the last value or key of the document that the message quotes; the first line if there is none."""
    quoted = set(re.findall(r'"([^"]+)"', message)) | set(re.findall(r"twice: ([^.,]+)", message))
    lines = [scalar.start_mark.line for scalar in _scalars(node) if scalar.value in quoted]
    return max(lines, default=0) + 1


def _scalars(node: Node) -> Iterator[ScalarNode]:
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _scalars(key)
            yield from _scalars(value)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _scalars(value)


def _at(name: str, thing: object, message: str) -> str:
    return f"{name} line {thing.start_mark.line + 1}: {message}"


def _mark(problem: Exception) -> str:
    mark = getattr(problem, "problem_mark", None)
    return f" line {mark.line + 1}" if mark is not None else ""


def _first_line(problem: Exception) -> str:
    return str(getattr(problem, "problem", None) or problem).strip().splitlines()[0].rstrip(".")
