"""YAML that people write: read by YAML 1.2 rules, checked against a model, with the line in every message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from smstudy.errors import SmstudyError, did_you_mean

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_QUOTED = 40
NAMED_BY = ("name", "id", "value")
ONE_OF = {
    "hypotheses": "hypothesis",
    "categories": "category",
    "aliases": "alias",
    "former_columns": "former column",
    "rules": "rule",
    "variables": "variable",
    "scales": "scale",
    "notebooks": "notebook",
    "items": "item",
}
TAGS = {"str", "int", "float", "bool", "null", "timestamp", "map", "seq"}
WORDS = {
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list",
    "dict_type": "must be keys with values",
    "model_type": "must be keys with values",
    "too_short": "must hold at least one entry",
    "model_attributes_type": "must be keys with values",
    "mapping_type": "must be keys with values",
}
# What the parser finds -> our words; True if the line is that where the thing began.
SYNTAX = (
    (r"quoted scalar.*end of stream", "a quotation mark is opened here and never closed", True),
    (r"mapping values are not allowed", 'a ":" where none can stand. Indent the line as its neighbors; put a text that '
     'holds ": " in quotation marks', False),
    (r"cannot start any token.*|.*'\\t'", "{begin}", False),
    (r"flow sequence", 'a "[" is opened here and not closed, or a comma is missing', True),
    (r"flow mapping", 'a "{{" is opened here and not closed, or a comma is missing', True),
    (r"simple key.*expected ':'", 'a line without "key: value"', True),
    (r"found '<scalar>'", "words after a closing quotation mark. One that is meant is written twice", False),
    (r"expected <block end>", "this line is indented otherwise than its neighbors, or a \"-\" is missing", False),
    (r"sequence entries are not allowed", 'a "- " where no list can begin. Put the list on lines of its own', False),
    (r"an alias|an anchor|undefined alias", 'a text that begins with "&" or "*" needs quotation marks', False),
    (r"unknown escape", "a \"\\\" within double quotation marks. Write it twice, or use single ones", False),
    (r"single document", "a second document begins here. Keep one", False),
    (r"node content|document start", "a bracket is closed here that was not opened", False),
    (r"block scalar", 'a text that begins with "|" or ">" needs quotation marks', False),
    (r"a tag", "tags (!) are not allowed. Write plain values", False),
    (r"a directive", 'a line that begins with "%" is not allowed', False),
)  # fmt: skip
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
    read = _read(path, model, error)
    if isinstance(read, model):
        return read
    more = f" (And {len(read) - 1} more {'problem' if len(read) == 2 else 'problems'}.)" if len(read) > 1 else ""
    raise error(f"{read[0]}{more}")


def document_problems(path: Path, model: type[BaseModel], error: type[SmstudyError]) -> list[str]:
    """Say everything that is wrong with a YAML file, as far as one reading shows it; empty if it can be read."""
    try:
        read = _read(path, model, error)
    except error as problem:
        return [str(problem)]
    return [] if isinstance(read, model) else read


def entry_lines(path: Path, key: str, *, name: str = "name") -> dict[str, int]:
    """Find where the entries of a list stand in a YAML file that can be read: value of `name` to line."""
    node = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8-sig"))
    entries = next((value.value for word, value in node.value if word.value == key), [])
    return {
        value.value: entry.start_mark.line + 1
        for entry in entries
        if isinstance(entry, MappingNode)
        for word, value in entry.value
        if word.value == name
    }


def _read(path: Path, model: type[Model], error: type[SmstudyError]) -> Model | list[str]:
    """Give the model, or all that does not fit it; what is no document at all raises."""
    yaml = YAML(typ="safe", pure=True)
    node = _node(yaml, _text(path, error), path.name, error)
    try:
        return model.model_validate(yaml.constructor.construct_document(node))
    except ValidationError as problem:
        return _explain(problem, node, path.name, model)
    except (YAMLError, ValueError):
        return [_unreadable(yaml, node, path.name)]


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
        line, words = _in_our_words(problem, text)
        raise error(f"{name} line {line}: {words}. Correct the YAML there.") from None
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


def _explain(problem: ValidationError, node: Node, name: str, model: type[BaseModel]) -> list[str]:
    """One sentence for each thing that does not fit the model; unknown keys come first."""
    errors = problem.errors(include_url=False, include_input=False)
    own = [error for error in errors if not _is_echo(error, errors)]
    ordered = sorted(own, key=lambda error: error["type"] != "extra_forbidden")
    told = list(dict.fromkeys(_explain_one(error, node, name, model) for error in ordered))
    misspelled = {
        f'{place}the key "{meant}" is missing. Add it.'
        for text in told
        for place, hint in re.findall(r'\A(.*?)unknown key ".*"\. Did you mean (.*)\?', _without_line(text))
        for meant in re.findall(r'"(\w+)"', hint)
    }
    return [text for text in told if _without_line(text) not in misspelled]


def _without_line(text: str) -> str:
    return re.sub(r"\A.*? line \d+: ", "", text)


def _is_echo(error: Mapping, errors: Iterable[Mapping]) -> bool:
    """Whether a list is too short, or is no text either, only because an entry of it was refused."""
    where = tuple(error["loc"])
    if error["type"] != "too_short" and where[-1:] != ("str",):
        return False
    begin = where if error["type"] == "too_short" else where[:-1]
    return any(len(other["loc"]) > len(where) and tuple(other["loc"])[: len(begin)] == begin for other in errors)


def _explain_one(error: Mapping, node: Node, name: str, model: type[BaseModel]) -> str:
    where = tuple(error["loc"])
    there, line = _find(node, where)
    line = line if where else _line_of_quoted(node, str(error["msg"]))
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    if error["type"] == "extra_forbidden":
        message = f'unknown key "{where[-1]}". {did_you_mean(str(where[-1]), _keys(model, where[:-1]))}'
    elif error["type"] == "missing":
        message = f'the key "{where[-1]}" is missing. Add it.'
    elif where:
        message = f"{WORDS.get(error['type'], message)}{_written(there)}"
    place = _place(node, where[:-1] if error["type"] in ("extra_forbidden", "missing") else where)
    begun = place.rpartition(" ")[2] + ": "
    message = f"{place}: {message.removeprefix(begun)}" if place else message
    return f"{name} line {line}: {message.rstrip('.')}{'' if message.endswith('?') else '.'}"


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


def _place(node: Node, where: tuple) -> str:
    """Say in words where a path of keys and positions leads: `rule "twice", action` rather than rules.0.action."""
    words: list[str] = []
    for part in where:
        if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            one = ONE_OF.get(words[-1]) if words else None
            words[-1 if one else len(words) :] = [f"{one or 'entry'} {_called(node) or part + 1}"]
        elif isinstance(node, MappingNode) and (found := [v for k, v in node.value if k.value == str(part)]):
            node = found[0]
            words.append(str(part))
    return ", ".join(words)


def _called(node: Node) -> str:
    """The name of an entry in quotation marks, if it has a short one."""
    given = (
        {k.value: v.value for k, v in node.value if isinstance(v, ScalarNode)} if isinstance(node, MappingNode) else {}
    )
    name = next((given[key] for key in NAMED_BY if given.get(key)), "")
    return f'"{name}"' if 0 < len(name) <= MAX_QUOTED and name.isprintable() else ""


def _written(node: Node) -> str:
    """Quote the value that stands there, if it is short and alone."""
    return f' (it says "{node.value}")' if isinstance(node, ScalarNode) and len(node.value) <= MAX_QUOTED else ""


def _line_of_quoted(node: Node, message: str) -> int:
    """Find the rarest value or key that the message quotes, where it names an entry if it does; else the first line."""
    quoted = set(re.findall(r'"([^"]+)"', message)) | set(re.findall(r"twice: ([^.,]+)", message))
    lines: dict[str, list[tuple[bool, int]]] = {}
    for scalar, names in _scalars(node):
        if scalar.value in quoted:
            lines.setdefault(scalar.value, []).append((names, scalar.start_mark.line + 1))
    places = [(-len(found), max(found)[1]) for found in lines.values()]
    return max(places, default=(0, 1))[1]


def _scalars(node: Node, *, names: bool = False) -> Iterator[tuple[ScalarNode, bool]]:
    """Every text of a document, and whether it is the value of a key rather than a key or an entry of a list."""
    if isinstance(node, ScalarNode):
        yield node, names
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _scalars(key)
            yield from _scalars(value, names=True)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _scalars(value)


def _at(name: str, thing: object, message: str) -> str:
    return f"{name} line {thing.start_mark.line + 1}: {message}"


def _in_our_words(problem: Exception, text: str) -> tuple[int, str]:
    """Line and cause of an error of the parser, which speaks of scalars and tokens."""
    if isinstance(problem, ReaderError):
        return text.count("\n", 0, problem.position) + 1, "a character that cannot be shown. Take it out"
    mark, began = problem.problem_mark, problem.context_mark
    said = f"{problem.context or ''} {problem.problem or ''}"
    for pattern, words, at_begin in SYNTAX:
        if re.search(pattern, said, re.DOTALL):
            place = began if at_begin and began else mark
            return place.line + 1, words.format(begin=_beginning(said))
    return (mark or began).line + 1 if mark or began else 1, "this is no YAML"


def _beginning(said: str) -> str:
    sign = said.split("'")[1] if "'" in said else ""
    return (
        "a tab. Indent with spaces"
        if sign in ("\t", "\\t")
        else f'a text that begins with "{sign}" needs quotation marks'
    )


def _unreadable(yaml: YAML, node: Node, name: str) -> str:
    """Say which value cannot be read as what it looks like, for instance a date that does not exist."""
    for scalar, _ in _scalars(node):
        try:
            yaml.constructor.construct_document(scalar)
        except (YAMLError, ValueError):
            return _at(name, scalar, f"a value that is no real date or number{_written(scalar)}. Put it in quotes.")
    return f"{name}: a value cannot be read. Put dates and numbers in quotes."
