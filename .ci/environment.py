"""Write environment.yml, for conda users, from pyproject.toml.

`python .ci/environment.py` writes the file; tests/test_environment.py holds it, the lock and the installed versions
together.
"""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# PyPI name (normalized) -> conda-forge name, where the two differ.
CONDA_NAMES = {
    "jupyter-client": "jupyter_client",
    "matplotlib": "matplotlib-base",
    "ruamel-yaml": "ruamel.yaml",
}
HEAD = """\
# Written by .ci/environment.py from pyproject.toml; change that and run: make lock
name: smstudy
channels:
  - conda-forge
  - nodefaults
dependencies:
"""
TAIL = """\
  - pip
  - pip:
      - --editable .
"""


def declared_requirements() -> list[Requirement]:
    """Return what pyproject.toml asks for: the package's own dependencies, then those of every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in [*project["dependencies"], *extras]]


def python_range() -> str:
    """Return the Python versions pyproject.toml allows, in conda's spelling."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["requires-python"]


def conda_spec(requirement: Requirement) -> str:
    """Return one requirement in conda's spelling: `matplotlib>=3.10,<4` becomes `matplotlib-base >=3.10,<4`."""
    name = canonicalize_name(requirement.name)
    bounds = sorted(str(requirement.specifier).split(","), reverse=True)
    return f"{CONDA_NAMES.get(name, name)} {','.join(bounds)}"


def conda_specs() -> list[str]:
    """Return every line of environment.yml that conda itself resolves."""
    return [f"python {python_range()}", *(conda_spec(requirement) for requirement in declared_requirements())]


def render() -> str:
    """Return the text of environment.yml."""
    return HEAD + "".join(f"  - {spec}\n" for spec in conda_specs()) + TAIL


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(render(), encoding="utf-8", newline="\n")
