"""The notebooks are thin, were run, and fail in nbval when a number changes."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def _code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request) -> Path:
    return request.param


def test_all_ten_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "10-quality", "15-weights", "20-scales", "30-groups", "40-drivers", "45-mechanisms", "50-segments",
        "55-necessity", "65-pilots", "90-summary",
    ]  # fmt: skip


def test_every_cell_was_run_in_order(notebook):
    cells = _code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_every_picture_is_seen(notebook):
    plotted = [cell for cell in _code(notebook) if cell.source.rstrip().endswith(".plot()")]
    assert [cell.source for cell in plotted if not any("image/png" in o.get("data", {}) for o in cell.outputs)] == []


def test_it_is_thin(notebook):
    lines = [line for cell in _code(notebook) for line in cell.source.splitlines() if line.strip()]
    assert len(lines) <= 35
    tree = ast.parse("\n".join(lines))
    assert not [
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.For, ast.While, ast.ClassDef))
    ]
    assert not [line for line in lines if line.endswith(";")]


def test_it_opens_with_a_question_and_typed_parameters(notebook):
    node = nbformat.read(notebook, as_version=4)
    assert re.match(r"# .+\?\n", node.cells[0].source)
    tagged = [cell for cell in node.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for line in tagged[0].source.splitlines():
        assert re.fullmatch(r"\w+: [\w\[\]| ]+ = .+  # .+", line), line


def test_it_shows_no_machine(notebook):
    text = notebook.read_text(encoding="utf-8")
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|site-packages", text)


def test_nbval_fails_when_one_answer_changes(tmp_path):
    for name in ("studies", "data"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("runs", "raw"))
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "20-scales.ipynb", tmp_path / "notebooks")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
        "-c",
        "/dev/null",
    ]
    same = subprocess.run([*command, "20-scales.ipynb"], cwd=tmp_path / "notebooks", capture_output=True, text=True)
    assert same.returncode == 0, same.stdout[-2000:]
    _change_one_answer(tmp_path / "data" / "demo-organization" / "wave-2.csv")
    changed = subprocess.run([*command, "20-scales.ipynb"], cwd=tmp_path / "notebooks", capture_output=True, text=True)
    assert changed.returncode == 1
    assert re.search(r"mismatch 'text/(html|plain)'", changed.stdout)
    assert re.search(r"^ *\+ .*\d\.\d\d", changed.stdout, re.MULTILINE), "a printed number differs"
    assert "sha" not in changed.stdout.lower()


def _change_one_answer(path: Path) -> None:
    """Turn the first "Strongly agree" of the file into "Strongly disagree"."""
    text = path.read_text(encoding="utf-8")
    assert "Strongly agree" in text
    path.write_text(text.replace("Strongly agree", "Strongly disagree", 1), encoding="utf-8")
