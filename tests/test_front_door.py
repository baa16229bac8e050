"""The commands of the README's first screen, up to the point where they would install something; and the wheel."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / "run.py"
SOURCE = RUN.read_text(encoding="utf-8")
WORDS = ["demo", "test", "notebooks", "lab"]


def load_run(path: Path = RUN) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tmp_path) -> ModuleType:
    """run.py in a checkout of its own whose path has a space, with no environment yet."""
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    for name in ("run.py", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    return load_run(checkout / "run.py")


def refusal(run: ModuleType) -> str:
    with pytest.raises(SystemExit) as left:
        run.main(["demo"])
    return left.value.code


def pretend_ready(run: ModuleType) -> None:
    run.PYTHON.parent.mkdir(parents=True)
    run.PYTHON.touch()
    run.STAMP.write_text("\n".join(run.fingerprint()), encoding="utf-8")


def test_old_pythons_can_read_run_py_as_far_as_the_advice():
    ast.parse(SOURCE, feature_version=(3, 6))
    assert not re.search(r"\b(?:list|dict|tuple)\[|\w \| None|from __future__", SOURCE)  # would stop 3.6 before it


def test_run_py_needs_the_standard_library_only():
    tree = ast.walk(ast.parse(SOURCE))
    names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_word(arguments):
    shown = subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True)
    assert shown.returncode == 0
    assert re.findall(r"^  (\w+) ", shown.stdout, re.MULTILINE) == WORDS == list(load_run().WORDS)


def test_an_unknown_word_gets_the_help_and_exit_code_2(run, capsys):
    assert run.main(["dmeo"]) == 2
    assert "demo" in capsys.readouterr().out
    assert not run.VENV.exists()


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 10, 20), (3, 14, 0)])
def test_another_python_gets_one_line_that_says_which_one_to_install(run, monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setenv("PATH", "")
    message = refusal(run)
    assert message == (
        f"smstudy needs Python 3.11, 3.12 or 3.13, and this is 3.{version[1]}; "
        "install one of them and call run.py with it"
    )


def test_another_python_is_told_of_a_fitting_one_that_is_there(run, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 20))
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "python3.12" else None)
    assert refusal(run).endswith("; type: python3.12 run.py")


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_a_python_without_venv_gets_one_line_that_says_what_to_install(run, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    message = refusal(run)
    assert "\n" not in message
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in message
    assert not run.VENV.exists()


def test_a_registry_out_of_reach_gets_one_line_and_no_stamp(run, monkeypatch):
    monkeypatch.setattr(run, "create", run.VENV.mkdir)
    monkeypatch.setattr(run, "succeeds", lambda *arguments: not run.LOG.write_bytes(b"noise\nERROR: no such host\n"))
    message = refusal(run)
    assert "\n" not in message
    assert message.startswith("The packages could not be installed: ERROR: no such host. Check the network")
    assert not run.STAMP.exists()


def test_a_ready_environment_is_taken_as_it_is(run, monkeypatch):
    pretend_ready(run)
    monkeypatch.setattr(run, "create", lambda: pytest.fail("made again"))
    monkeypatch.setattr(run, "install", lambda: pytest.fail("installed again"))
    run.set_up()


def test_a_changed_lock_is_installed_into_the_environment_that_is_there(run, monkeypatch):
    pretend_ready(run)
    run.LOCK.write_text("changed", encoding="utf-8")
    monkeypatch.setattr(run, "create", lambda: pytest.fail("made again"))
    monkeypatch.setattr(run, "install", lambda: not run.STAMP.exists())  # an interruption now leaves no stamp
    monkeypatch.setattr(run, "succeeds", lambda *arguments: True)
    run.set_up()
    assert run.read_stamp() == run.fingerprint()


@pytest.mark.parametrize("accident", ["interrupted", "moved", "python gone"])
def test_a_damaged_environment_is_made_again_from_nothing(run, monkeypatch, accident):
    pretend_ready(run)
    if accident == "interrupted":
        run.STAMP.unlink()
    elif accident == "moved":
        run.STAMP.write_text(run.STAMP.read_text(encoding="utf-8").replace("a checkout", "elsewhere"))
    else:
        run.PYTHON.unlink()
    made = []
    monkeypatch.setattr(run, "create", lambda: made.append("environment"))
    monkeypatch.setattr(run, "install", lambda: True)
    monkeypatch.setattr(run, "succeeds", lambda *arguments: True)
    run.set_up()
    assert made == ["environment"]


def test_ctrl_c_during_the_set_up_ends_without_a_traceback(run, monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "set_up", interrupt)
    assert run.main(["test"]) == 130
    assert capsys.readouterr().err.strip() == "Stopped. What was half made is made again by the next call."


def test_byte_code_is_written_whatever_the_user_has_set(run, monkeypatch):
    for name in run.DIVERTING:
        monkeypatch.setenv(name, "1")
    assert "PYTHONDONTWRITEBYTECODE" in run.DIVERTING
    assert not set(run.DIVERTING) & set(run.environment(*run.DIVERTING))


@pytest.mark.skipif(os.name == "nt", reason="a link to Python needs rights of its own on Windows")
def test_arguments_and_exit_code_pass_through(run):
    run.PYTHON.parent.mkdir(parents=True)
    run.PYTHON.symlink_to(sys.executable)
    run.STAMP.write_text("\n".join(run.fingerprint()), encoding="utf-8")
    (run.ROOT / "smstudy.py").write_text("import sys; print(sys.argv[1:]); sys.exit(11)", encoding="utf-8")
    command = [sys.executable, str(run.ROOT / "run.py"), "demo", "--data", "responses=my file.csv"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=run.ROOT.parent)
    assert (shown.returncode, shown.stderr) == (11, "")
    assert shown.stdout.strip() == "['run', 'studies/quarterly-pulse', '--data', 'responses=my file.csv']"


def test_make_knows_the_words_of_run_py():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE).group(1)
    assert targets.split() == [*WORDS, "lock"]


def test_ci_calls_the_test_command_of_the_readme():
    assert "python3 run.py test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory) -> set[str]:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_carries_what_a_stranger_needs(wheel_names):
    notebooks = [f"notebooks/{path.name}" for path in ROOT.glob("notebooks/*.ipynb")]
    studies = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("studies/*/*") if path.is_file()]
    demo = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("data/demo-organization/*") if path.is_file()]
    package = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("smstudy/**/*.py")}
    instruments = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("smstudy/instruments/*.yml")}
    assert {f"smstudy/_shipped/{name}" for name in [*notebooks, *studies, *demo]} <= wheel_names
    assert package | instruments <= wheel_names
    licenses = {name.split("/", 1)[1] for name in wheel_names if "/licenses/" in name}
    assert licenses == {"licenses/LICENSE", "licenses/LICENSE-items"}


def test_wheel_leaves_out_runs_releases_and_raw_data(tmp_path):
    for name in ("pyproject.toml", "LICENSE", "LICENSE-items", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    kept = [
        "smstudy/__init__.py",
        "notebooks/10-x.ipynb",
        "studies/s/study.yml",
        "studies/s/sub/part.yml",
        "data/demo-organization/wave-1.csv",
    ]
    left_out = [
        "studies/s/runs/case/report.html",
        "studies/s/released/a.html",
        "data/raw/secret.csv",
        "tests/t.py",
        "smstudy/__pycache__/x.pyc",
        "data/other.csv",
    ]
    for name in [*kept, *left_out]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    (wheel,) = WheelBuilder(str(tmp_path)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    shipped = {name if name.startswith("smstudy/") else f"smstudy/_shipped/{name}" for name in kept}
    assert names == shipped
