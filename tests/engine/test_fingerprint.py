"""A digest changes with what a run depends on, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smstudy.engine.fingerprint import digest_bytes, digest_file, digest_json, notebook_digest, package_digest, versions


def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert digest_file(tmp_path / "f") == digest_bytes(b"abc")
    assert digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1


def test_order_of_keys_does_not_count_and_order_of_items_does() -> None:
    assert digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    assert digest_json([1, 2]) != digest_json([2, 1])
    assert digest_json(1) != digest_json("1") != digest_json(True)


@pytest.mark.parametrize("value", [float("nan"), Path("x"), {1, 2}])
def test_what_is_not_json_has_no_digest(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        digest_json(value)


def test_only_code_counts_in_a_notebook(write_notebook: Callable[..., Path]) -> None:
    first = notebook_digest(write_notebook("n", "x = 1", prose="# One"))
    path = write_notebook("n", "x = 1", prose="# Two")
    content = json.loads(path.read_text())
    content["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["hello"]}]
    content["cells"][2]["execution_count"] = 7
    content["cells"][2]["source"] = ["x ", "= 1"]
    path.write_text(json.dumps(content))
    assert notebook_digest(path) == first
    assert notebook_digest(write_notebook("n", "x = 2")) != first
    assert notebook_digest(write_notebook("n", "x = 1", "")) != first
    assert notebook_digest(write_notebook("n", "x = 1", parameters="n: int = 6")) != first


def test_the_package_and_its_environment_have_a_stable_digest() -> None:
    package_digest.cache_clear()
    assert len(package_digest()) == 64
    assert versions()["numpy"] == __import__("numpy").__version__
    assert versions()["python"].startswith("3.")
