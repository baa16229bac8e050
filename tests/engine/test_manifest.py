"""The manifest says what a run holds; two runs that found the same share their result digest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smstudy.engine.manifest import read_manifest, result_digest, verify, write_manifest
from smstudy.errors import RunError


def _results(folder: Path, value: object) -> Path:
    path = folder / "results" / "a" / "fit.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return folder


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.1 + 0.2, 0.3, True),  # differ in the 17th digit
        (1e-15, 0.0, True),  # below the floor
        (-0.0, 0.0, True),
        (1.23456789, 1.23456788, False),  # differ in the 9th digit
        (1.234567891, 1.234567892, True),  # differ in the 10th
        (1e-9, 2e-9, False),
        (3, 4, False),
        ("a", "b", False),
        (None, 0.0, False),
        (10**12 + 1, 10**12, False),  # whole numbers count in full
    ],
)
def test_results_are_equal_to_nine_digits(tmp_path: Path, one: object, other: object, same: bool) -> None:
    digests = {result_digest(_results(tmp_path, {"x": [{"y": value}]})) for value in (one, other)}
    assert (len(digests) == 1) == same


def test_order_of_keys_and_layout_do_not_count(tmp_path: Path) -> None:
    first = result_digest(_results(tmp_path, {"a": 1, "b": 2}))
    (tmp_path / "results" / "a" / "fit.json").write_text('{"b":   2, "a": 1}')
    assert result_digest(tmp_path) == first


def test_a_result_that_is_not_json_is_named(tmp_path: Path) -> None:
    _results(tmp_path, 1)
    (tmp_path / "results" / "a" / "fit.json").write_text("{")
    with pytest.raises(RunError, match="a/fit.json is not JSON"):
        result_digest(tmp_path)


def test_verify_names_what_changed_went_or_came(tmp_path: Path) -> None:
    _results(tmp_path, 1)
    for name in ("report.html", "gone.csv"):
        (tmp_path / name).write_text("x")
    write_manifest(tmp_path, {"key": "k"}, outputs=True)
    assert verify(tmp_path) == []
    (tmp_path / "report.html").write_text("y")
    (tmp_path / "gone.csv").unlink()
    (tmp_path / "new.csv").write_text("x")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "n").write_text("x")
    assert verify(tmp_path) == ["gone.csv", "new.csv", "report.html"]


@pytest.mark.parametrize("content", [None, "", "{}", '{"schema": 999, "outputs": []}', "[]"])
def test_a_folder_without_a_sound_manifest_is_no_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match="Run the study again"):
        read_manifest(tmp_path)
