"""pyproject.toml, requirements.lock, environment.yml and the running environment say the same."""

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version as PypiVersion
from rattler import MatchSpec, Version, VersionSpec
from rattler.exceptions import InvalidMatchSpecError
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENTRIES = [entry.group() for entry in re.finditer(r"^[A-Za-z0-9].*(?:\n {4}.*)*", LOCK, re.MULTILINE)]
PINS = [Requirement(entry.splitlines()[0].rstrip("\\ ")) for entry in ENTRIES]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", ROOT / ".ci" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()
DECLARED = GENERATOR.declared_requirements()
PYPI_NAMES = {GENERATOR.CONDA_NAMES.get(canonicalize_name(r.name), r.name): r.name for r in DECLARED}


def pinned_version(pin: Requirement) -> str:
    (only,) = pin.specifier
    return only.version


def conda_lines() -> list[str]:
    content = YAML(typ="safe").load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return [line for line in content["dependencies"] if isinstance(line, str)]


def test_the_lock_names_no_address():
    found = re.findall(r".*(?:://|index-url|find-links|trusted-host|(?:^|\s)@\s|(?:^|\s)/).*", LOCK)
    assert not found


def test_every_package_of_the_lock_is_pinned_exactly_and_hashed():
    loose = [str(pin) for pin in PINS if [clause.operator for clause in pin.specifier] != ["=="]]
    bare = [entry.splitlines()[0] for entry in ENTRIES if not HASH.search(entry)]
    assert PINS
    assert not loose
    assert not bare


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_the_lock_satisfies_what_pyproject_asks_for(requirement):
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
    assert pins
    assert all(requirement.specifier.contains(pinned_version(pin)) for pin in pins)


def test_every_supported_python_finds_exactly_one_version_of_each_requirement():
    for python in ("3.11.0", "3.11.14", "3.12.0", "3.13.0"):
        target = {"python_full_version": python, "python_version": python[:4]}
        chosen = [canonicalize_name(pin.name) for pin in PINS if pin.marker is None or pin.marker.evaluate(target)]
        assert len(chosen) == len(set(chosen))
        assert {canonicalize_name(requirement.name) for requirement in DECLARED} <= set(chosen)


@pytest.mark.skipif((Path(sys.prefix) / "conda-meta").exists(), reason="conda chooses within the ranges, not the lock")
def test_installed_versions_are_those_of_the_lock():
    different = {}
    for pin in PINS:
        if pin.marker is None or pin.marker.evaluate():
            try:
                installed = importlib.metadata.version(pin.name)
            except importlib.metadata.PackageNotFoundError:
                installed = "absent"
            if installed == "absent" or PypiVersion(installed) != PypiVersion(pinned_version(pin)):
                different[pin.name] = f"lock {pinned_version(pin)}, installed {installed}"
    assert not different


def test_environment_yml_is_what_the_generator_writes():
    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == GENERATOR.render()


def test_environment_yml_takes_conda_forge_only_and_installs_the_checkout():
    content = YAML(typ="safe").load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert [line for line in content["dependencies"] if not isinstance(line, str)] == [{"pip": ["--editable ."]}]


@pytest.mark.parametrize("line", conda_lines())
def test_conda_reads_the_line_and_accepts_the_installed_version(line):
    spec = MatchSpec(line, strict=True)
    name = spec.name.normalized
    if name not in ("python", "pip"):
        installed = importlib.metadata.version(PYPI_NAMES[name])
        assert VersionSpec(spec.version).matches(Version(installed))


def test_conda_takes_the_pythons_that_smstudy_supports():
    (line,) = [line for line in conda_lines() if line.split()[0] == "python"]
    allowed = VersionSpec(MatchSpec(line, strict=True).version)
    assert all(allowed.matches(Version(python)) for python in ("3.11.0", "3.12.4", "3.13.9"))
    assert not any(allowed.matches(Version(python)) for python in ("3.10.20", "3.14.0"))


def test_conda_refuses_a_line_with_a_slip():
    with pytest.raises(InvalidMatchSpecError):
        MatchSpec("pandas >>3", strict=True)


def test_environment_yml_asks_for_every_requirement_and_nothing_else():
    named = {line.split()[0] for line in conda_lines()} - {"python", "pip"}
    assert named == set(PYPI_NAMES)


def test_names_that_differ_on_conda_forge_are_translated():
    assert GENERATOR.conda_spec(Requirement("Matplotlib<4,>=3.10")) == "matplotlib-base >=3.10,<4"
    assert GENERATOR.conda_spec(Requirement("jupyter-client>=8.6")) == "jupyter_client >=8.6"
