"""The rooms of the package: imports point down, and what must be light stays light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"pandas", "numpy", "scipy", "matplotlib", "sklearn", "statsmodels", "seaborn", "papermill", "nbformat", "docx"}


def _loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys, json; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.strip().splitlines()[-1]))


def test_imports_point_down(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_the_front_door_loads_nothing_heavy():
    assert not _loaded_by("import smstudy") & HEAVY


def test_help_loads_nothing_heavy():
    code = (
        "import contextlib, io, smstudy.cli\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    smstudy.cli.main(['--help'])"
    )
    assert not _loaded_by(code) & HEAVY


def test_every_name_of_the_front_door_exists():
    import smstudy

    assert [name for name in smstudy.__all__ if not callable(getattr(smstudy, name))] == []
    assert dir(smstudy) == smstudy.__all__


def test_sub_packages_are_empty_at_the_top():
    assert [path for path in (ROOT / "smstudy").rglob("*/__init__.py") if path.read_text().strip()] == []
