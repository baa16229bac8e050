"""Parameters are declared once, read without running anything, and checked before a kernel starts."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smstudy.engine.parameters import Parameter, check_parameters, declared_parameters, parse_parameter
from smstudy.errors import StudyError

CELL = """# parameters
study: str = "quarterly-pulse"    # name of the study
min_n: int = 5                    # smallest group, "#" and all
cut: float = -1                   # a whole number stands for a float
items: list[str] = ["a", "b"]
level: Literal["low", "high"] = "low"
segment: str | None = None
wave: int
shown = True
"""


@pytest.fixture
def declared(write_notebook: Callable[..., Path]) -> dict[str, Parameter]:
    return declared_parameters(write_notebook("n", parameters=CELL))


def test_a_declaration_tells_type_default_and_comment(declared: dict[str, Parameter]) -> None:
    assert list(declared) == ["study", "min_n", "cut", "items", "level", "segment", "wave", "shown"]
    assert declared["min_n"] == Parameter("min_n", "int", 5, False, 'smallest group, "#" and all')
    assert declared["cut"].default == -1.0 and type(declared["cut"].default) is float
    assert declared["wave"].required and declared["wave"].default is None
    assert declared["shown"].annotation == "bool"


def test_nothing_is_run_to_read_a_declaration(write_notebook: Callable[..., Path], tmp_path: Path) -> None:
    trap = write_notebook("n", parameters=f"n: int = open({str(tmp_path / 'trap')!r}, 'w').write('x')")
    with pytest.raises(StudyError, match="not a literal"):
        declared_parameters(trap)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("import os", "only lines like"),
        ("a = b = 1", "only lines like"),
        ("a.b = 1", "only lines like"),
        ("a: int = 1\na: int = 2", "declared twice"),
        ('n: int = "5"', "must be int"),
        ("n: int = True", "must be int"),
        ("n: Path = 1", 'type "Path"'),
        ("n = None", "needs a type"),
        ("n: tuple = (1,)", 'type "tuple"'),
        ("n = (1, 2)", "needs a type"),
        ("n = {1: 2}", "must be dict"),
        ("n: float = 1e999", "must be float"),
        ("n = = 1", "not Python"),
        ("%matplotlib inline", "not Python"),
        ("n = " + "(" * 300 + ")" * 300, "not Python"),
    ],
)
def test_what_is_not_a_declaration_is_refused(write_notebook: Callable[..., Path], cell: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        declared_parameters(write_notebook("n", parameters=cell))


def test_a_notebook_has_exactly_one_parameters_cell(write_notebook: Callable[..., Path]) -> None:
    with pytest.raises(StudyError, match="no cell tagged"):
        declared_parameters(write_notebook("n", "1", parameters=None))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"nbformat": 4, "cells": [1]}', '{"nbformat": 3, "cells": []}', "<html>"]
)
def test_a_file_that_is_no_notebook_gets_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "n.ipynb").write_text(content)
    with pytest.raises(StudyError, match="not a notebook") as caught:
        declared_parameters(tmp_path / "n.ipynb")
    assert "\n" not in str(caught.value)
    with pytest.raises(StudyError, match="no notebook"):
        declared_parameters(tmp_path / "absent.ipynb")


def test_checked_values_keep_their_meaning(declared: dict[str, Parameter]) -> None:
    given = {"cut": 2, "wave": 1, "segment": "x", "items": [], "level": "high"}
    checked = check_parameters(given, declared, where="study.yml")
    assert checked == {"cut": 2.0, "items": [], "level": "high", "segment": "x", "wave": 1}
    assert type(checked["cut"]) is float


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min": 5, "wave": 1}, 'no parameter "min". Did you mean "min_n"'),
        ({"a=1;import os;b": 2, "wave": 1}, "no parameter"),
        ({}, '"wave" .int. has no value'),
        ({"wave": True}, "must be int; True is bool"),
        ({"wave": "1"}, "must be int"),
        ({"wave": 1.0}, "must be int"),
        ({"wave": np.int64(1)}, "must be int"),
        ({"wave": 1, "cut": np.float64(1)}, "must be float"),
        ({"wave": 1, "cut": float("nan")}, "must be float"),
        ({"wave": 1, "cut": decimal.Decimal(1)}, "must be float"),
        ({"wave": 1, "items": ("a",)}, "must be list"),
        ({"wave": 1, "items": ["a", 1]}, "must be list"),
        ({"wave": 1, "level": "middle"}, "must be Literal"),
        ({"wave": 1, "study": Path("x")}, "must be str"),
        ({"wave": 1, "study": np.str_("x")}, "must be str"),
        ({"wave": 1, "study": "\udcff"}, "must be str"),
    ],
)
def test_what_does_not_fit_is_refused(declared: dict[str, Parameter], given: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        check_parameters(given, declared, where="study.yml")
    assert str(caught.value).startswith("study.yml: ")


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("str", "5", "5"), ("str", "none", "none"), ("str", "[1]", "[1]"), ("str | None", "none", None),
        ("str | None", "a", "a"), ("int", "-5", -5), ("float", "5", 5.0), ("float", "1e-3", 0.001),
        ("bool", "True", True), ("bool", "false", False),
        ("list[str]", "a, b", ["a", "b"]), ("list[str]", "5,6", ["5", "6"]),
        ("list[int]", "5,6", [5, 6]), ("list[str]", '["a,b"]', ["a,b"]), ("list[str]", "", []),
        ("dict[str, float]", '{"a": 1}', {"a": 1.0}), ("Literal['low', 'high']", "low", "low"), ("str", "a=b", "a=b"),
    ],
)  # fmt: skip
def test_the_command_line_is_read_by_declared_type(annotation: str, text: str, value: object) -> None:
    assert parse_parameter(text, Parameter("p", annotation, None, True, ""), "-p") == value


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "five"), ("int", "5.0"), ("int", "1_0"), ("int", "٥"), ("float", "nan"), ("float", "inf"),
        ("bool", "1"), ("dict", "x"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_the_type_is_refused(annotation: str, text: str) -> None:
    with pytest.raises(StudyError, match=f'-p: parameter "p" must be {annotation}'):
        parse_parameter(text, Parameter("p", annotation, None, True, ""), "-p")
