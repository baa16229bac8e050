"""A notebook ran to its end, or one line says where it stopped, without quoting an answer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import papermill
import pytest
from papermill.engines import NBClientEngine, papermill_engines

from smstudy import errors
from smstudy.engine.kernels import Executed, Kernels, NotebookFailure, execute


@pytest.fixture(scope="module")
def kernels() -> Iterator[Kernels]:
    with Kernels() as kernels:
        yield kernels


@pytest.fixture
def run_one(write_notebook: Callable[..., Path], kernels: Kernels) -> Callable[..., Executed]:
    def run(*cells: str, timeout: int = 60, **parameters: object) -> Executed:
        path = write_notebook("20-scales", *cells)
        return execute(path, name="20-scales", parameters=parameters, environment={}, timeout=timeout, kernels=kernels)

    return run


def test_outputs_equal_plain_papermill(write_notebook: Callable[..., Path], kernels: Kernels, tmp_path: Path) -> None:
    picture = "import matplotlib.pyplot as plt\nplt.plot([1, n])\nplt.show()"
    frame = "import pandas as pd\npd.DataFrame({'a': [n]})"
    path = write_notebook("n", "print('text')\nn", frame, picture, "", "{'a': n}")
    plain = papermill.execute_notebook(
        str(path), None, parameters={"n": 7}, kernel_name="python3", progress_bar=False, cwd=str(tmp_path)
    )
    ours = json.loads(execute(path, name="n", parameters={"n": 7}, environment={}, timeout=60, kernels=kernels).text)
    assert [_outputs(cell) for cell in ours["cells"]] == [_outputs(cell) for cell in plain.cells]
    kinds = {kind for cell in ours["cells"] for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert kinds == {"text/plain", "text/html", "image/png"}


def _outputs(cell: dict[str, object]) -> list[object]:
    joined = []
    for output in cell.get("outputs", []):
        data = {kind: "".join(value).strip() for kind, value in output.get("data", {}).items()}
        joined.append((output["output_type"], output.get("execution_count"), data, "".join(output.get("text", ""))))
    return joined


def test_two_runs_store_the_same_bytes(run_one: Callable[..., Executed]) -> None:
    noisy = "import sys, warnings\nprint('noise', file=sys.stderr)\nwarnings.warn('x')"
    cells = (noisy, "{'a', 'b', 'c'}", "hash('a')")
    first, second = run_one(*cells, n=7), run_one(*cells, n=7)
    assert first.text == second.text
    assert '"stderr"' not in first.text and "papermill" not in first.text
    assert [number for number, _ in first.cells] == [1, 2, 3, 4, 5]  # parameters, injected parameters, three cells


def test_a_parameter_arrives_as_it_was_given(write_notebook: Callable[..., Path], kernels: Kernels) -> None:
    text = "a\"b'c\\n\n{x}\t\u00e4\u2028\x27\x27\x27#"
    nasty = {"s": text, "d": {'a"': [1, 2.5, True, None, "x"]}, "f": 0.1, "none": None}
    show = "import json\nprint(json.dumps({'s': s, 'd': d, 'f': f, 'none': none}))"
    path = write_notebook("n", show, parameters="s = ''")
    done = execute(path, name="n", parameters=nasty, environment={}, timeout=60, kernels=kernels)
    printed = json.loads(done.text)["cells"][-1]["outputs"][0]["text"]
    assert json.loads("".join(printed)) == nasty


def test_outputs_of_an_earlier_run_do_not_count(write_notebook: Callable[..., Path], kernels: Kernels) -> None:
    path = write_notebook("n", "n")
    content = json.loads(path.read_text())
    content["cells"][2]["outputs"] = [{"output_type": "error", "ename": "E", "evalue": "old", "traceback": []}]
    path.write_text(json.dumps(content))
    assert "old" not in execute(path, name="n", parameters={}, environment={}, timeout=60, kernels=kernels).text


def test_threads_and_hashes_are_fixed_in_a_kernel(run_one: Callable[..., Executed]) -> None:
    text = run_one("import os\nprint({k: os.environ[k] for k in ('PYTHONHASHSEED', 'OMP_NUM_THREADS')})").text
    assert "{'PYTHONHASHSEED': '0', 'OMP_NUM_THREADS': '1'}" in text


@pytest.mark.parametrize(
    ("cells", "family", "message"),
    [
        (("a = 1\nraise ValueError('x')",), errors.RunError, r'code cell 2, line 2 "raise ValueError.*withheld'),
        (("x = = 1",), errors.RunError, 'code cell 2, line 1 "x = = 1": SyntaxError'),
        (("def f(x):\n    return 1 / x", "f(0)"), errors.RunError, r'cell 3, line 1 "f\(0\)": ZeroDivisionError'),
        (("import errno\nraise OSError(errno.ENOSPC, 'x')",), errors.RunError, "No space left on device"),
        (
            ("class DataError(Exception): pass", "raise DataError('column q1\\nis empty')"),
            errors.DataError,
            "20-scales, code cell 3.*: column q1 is empty$",
        ),
        (("1", "quit()", "2"), errors.RunError, "code cell 3: the kernel ended"),
        (("1", "quit()"), errors.RunError, "code cell 3: the kernel ended"),
        (("import sys\nsys.exit()", "2"), errors.RunError, "code cell 2.*SystemExit ended"),
        (("import os\nos._exit(0)",), errors.RunError, "code cell 2: the kernel ended"),
        (("import os\nos.kill(os.getpid(), 9)", "2"), errors.RunError, "code cell 2: the kernel ended"),
    ],
)
def test_a_failing_cell_gets_one_line(
    run_one: Callable[..., Executed], cells: tuple[str, ...], family: type[Exception], message: str
) -> None:
    with pytest.raises(NotebookFailure, match=message) as caught:
        run_one(*cells)
    assert type(caught.value.error) is family
    assert "\n" not in str(caught.value)


def test_no_answer_is_quoted_when_a_cell_fails(run_one: Callable[..., Executed]) -> None:
    secret = "'-'.join(['Mrs', 'Example'])"  # so that the line itself does not hold the text
    with pytest.raises(NotebookFailure) as caught:
        run_one("print('kept output')", f"raise KeyError({secret})")
    assert "Mrs-Example" not in str(caught.value) + caught.value.text
    assert "kept output" in caught.value.text


@pytest.mark.parametrize(
    "endless",
    ["while True: pass", "import time\nwhile True:\n    try: time.sleep(60)\n    except KeyboardInterrupt: pass"],
)
def test_a_cell_that_never_ends_is_ended(run_one: Callable[..., Executed], endless: str) -> None:
    started = time.monotonic()
    with pytest.raises(NotebookFailure, match="code cell 2: not finished after 1 s"):
        run_one(endless, timeout=1)
    assert time.monotonic() - started < 20  # 1 s for the cell, 1 s to shut down, the rest for a busy machine


def test_braces_and_spaces_in_a_path_are_only_letters(
    tmp_path: Path, write_notebook: Callable[..., Path], kernels: Kernels
) -> None:
    folder = tmp_path / "a b{n}{0.x}"
    folder.mkdir()
    path = write_notebook("n", "n").rename(folder / "n.ipynb")
    assert execute(path, name="n", parameters={}, environment={}, timeout=60, kernels=kernels).cells


def test_another_papermill_engine_can_carry_a_notebook(
    run_one: Callable[..., Executed], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    class Counting(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: object, kernel_name: str, **options: object) -> object:
            used.append(kernel_name)
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("counting", Counting)
    monkeypatch.setattr("smstudy.engine.kernels.ENGINE", "counting")
    assert run_one("n", n=7).cells and used == ["python3"]


def test_loading_papermill_skips_the_slow_grammars() -> None:
    code = "import sys, smstudy.engine.kernels; print(sys.modules.get('lark'), sys.modules['rfc3987_syntax'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None None\n" and done.stderr == ""
