"""Small notebooks and jobs for the tests of the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import pytest

from smstudy.engine.schedule import Finished, Job, run_jobs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _package_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys hold while somebody edits the package under test."""
    monkeypatch.setattr("smstudy.engine.schedule.package_digest", lambda: "package")


@pytest.fixture
def write_notebook(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *cells: str, parameters: str | None = "n: int = 5", prose: str = "# Title") -> Path:
        first = [] if parameters is None else [_code(0, parameters, tags=["parameters"])]
        code = [_code(number, source) for number, source in enumerate(cells, start=1)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        node = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_markdown_cell(prose, id="title"), *first, *code], metadata={"kernelspec": kernel}
        )
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(node, path)
        return path

    return write


@pytest.fixture
def make_job(write_notebook: Callable[..., Path]) -> Callable[..., Job]:
    def make(
        name: str,
        *cells: str,
        after: tuple[str, ...] = (),
        parameters: Mapping[str, object] | None = None,
        inputs: Mapping[str, str] | None = None,
        context: Mapping[str, object] | None = None,
        timeout: int = 60,
        prose: str = "# Title",
    ) -> Job:
        notebook = write_notebook(name, *cells, prose=prose)
        return Job(name, notebook, parameters or {}, after, inputs or {}, context or {"seed": 1}, timeout)

    return make


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Finished]:
    def run_them(*jobs: Job, **options: object) -> Finished:
        given = {"runs": tmp_path / "runs", "case": "demo", "identity": {"study": "s"}, "finish": _report}
        return run_jobs(jobs, **{**given, "progress": False, **options})

    return run_them


@pytest.fixture
def start_script(tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Start Python code in a process of its own, in which `runs`, `Job` and `run_jobs` are at hand."""

    def start(code: str) -> subprocess.Popen[str]:
        head = (
            "import os, sys, time\nfrom pathlib import Path\nfrom smstudy.engine import schedule\n"
            "from smstudy.engine.schedule import Job, run_jobs\nschedule.package_digest = lambda: 'package'\n"
            "here = Path(sys.argv[1])\nruns = here / 'runs'\n"
            "given = dict(runs=runs, case='demo', identity={'study': 's'}, progress=False,\n"
            "             finish=lambda folder: (folder / 'report.html').write_text('report'))\n"
        )
        return subprocess.Popen(
            [sys.executable, "-c", head + code, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def _report(folder: Path) -> None:
    (folder / "report.html").write_text("report", encoding="utf-8")


def _code(number: int, source: str, tags: list[str] | None = None) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, id=f"c{number}", metadata={"tags": tags} if tags else {})
