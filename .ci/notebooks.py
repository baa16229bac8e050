"""Execute notebooks/ on the demo organization and rewrite them with their outputs.

`python run.py notebooks` calls this. It also renews data/demo-organization/results, from which 90-summary reads when it
is opened by hand.
"""

import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from smstudy.study.runner import run_study

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "studies" / "quarterly-pulse"
RESULTS = ROOT / "data" / "demo-organization" / "results"
NOTEBOOKS = ROOT / "notebooks"


def renew_results() -> None:
    """Run the study and keep the results of the notebooks that 90-summary builds on."""
    run = run_study(str(STUDY)).folder
    shutil.rmtree(RESULTS, ignore_errors=True)
    for folder in sorted((run / "results").iterdir()):
        if not folder.name.startswith("90-"):
            shutil.copytree(folder, RESULTS / folder.name)


def execute(path: Path) -> None:
    """Run one notebook as JupyterLab would and store what it shows, without times and versions."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources, record_timing=False).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    renew_results()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(path.relative_to(ROOT), file=sys.stderr)
        execute(path)
