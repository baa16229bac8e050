"""One notebook, run by papermill in a kernel of its own; that all of it ran is checked, not believed."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

# jsonschema would import rfc3987_syntax wherever jupyterlab is installed, which builds 35 grammars (1 s) to check URIs
# that no notebook has; a None entry makes that optional import fail, which jsonschema allows for.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import nbformat  # noqa: E402
import papermill  # noqa: E402
from jupyter_client import AsyncKernelManager  # noqa: E402
from jupyter_core.utils import ensure_event_loop  # noqa: E402
from nbclient.exceptions import CellTimeoutError, DeadKernelError  # noqa: E402
from papermill.exceptions import PapermillException  # noqa: E402

from smstudy import errors  # noqa: E402

ENGINE = "nbclient"
"""Name of the papermill engine that carries a notebook. Another one registered with papermill can take its place; it
has to honor `execution_timeout`, `on_notebook_start`, `on_cell_executed` and `kernel_manager_class`."""

START_SECONDS = 120
SHUTDOWN_SECONDS = 1.0
OUTPUT_SECONDS = 60
SOCKET_PATH_BYTES = 90
QUICK = (
    "--HistoryManager.enabled=False",
    "--IPKernelApp.exec_lines=__import__('gc').set_threshold(50_000, 50, 50)",
)
"""Arguments of every kernel: no database of what was typed; garbage is not looked for hundreds of times while libraries
load, which would take a fifth of that time."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
FAMILIES = {
    family.__name__: family
    for family in (
        errors.StudyError, errors.CodebookError, errors.DataError, errors.ColumnError,
        errors.DisclosureError, errors.RunError, errors.EstimationError,
    )
}  # fmt: skip
SENTINEL = "smstudy-end"
WITHHELD = "its message is withheld because it may quote an answer"

for _logger in ("papermill", "traitlets"):
    logging.getLogger(_logger).addHandler(logging.NullHandler())
    logging.getLogger(_logger).propagate = False


@dataclass(frozen=True)
class Executed:
    """A notebook that ran to its last cell.

    Parameters
    ----------
    text : str
        The executed notebook as JSON, without clock times, machine paths and stderr.
    seconds : float
        Wall time with the start of the kernel.
    cells : tuple of (int, float)
        Number of each code cell that ran, counted in the executed notebook, and its seconds.
    """

    text: str
    seconds: float
    cells: tuple[tuple[int, float], ...]


class NotebookFailure(Exception):
    """A notebook that did not finish: the error for the user, and the notebook as far as it came, safe to keep."""

    def __init__(self, error: errors.SmstudyError, text: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.text = text


class Kernels:
    """The kernels of one run: where their sockets lie, and how to end all of them at once."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="smstudy-", ignore_cleanup_errors=True)
        self._lock = threading.Lock()
        self._managers: dict[int, AsyncKernelManager] = {}
        self._started = 0
        self.stopped = False

    def __enter__(self) -> Kernels:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._folder.cleanup()

    def manager_class(self, environment: Mapping[str, str]) -> type[AsyncKernelManager]:
        """Give the class papermill makes one kernel from."""
        with self._lock:
            self._started += 1
            folder = os.path.join(self._folder.name, str(self._started))
        os.mkdir(folder, mode=0o700)
        return type("KernelManager", (_KernelManager,), {"folder": folder, "environment": environment, "kernels": self})

    def add(self, manager: AsyncKernelManager) -> None:
        """Take charge of a kernel that has just started."""
        with self._lock:
            self._managers[id(manager)] = manager
        if self.stopped:
            self.stop()

    def remove(self, manager: AsyncKernelManager) -> None:
        """Forget a kernel that has ended."""
        with self._lock:
            self._managers.pop(id(manager), None)

    def stop(self) -> None:
        """End every kernel now."""
        self.stopped = True
        with self._lock:
            for manager in self._managers.values():
                _kill(manager)
            self._managers.clear()


class _KernelManager(AsyncKernelManager):
    """A kernel with its own environment, talked to over files of this user only and ended without long waits."""

    folder: str
    environment: Mapping[str, str]
    kernels: Kernels

    def __init__(self, **options: object) -> None:
        connection = os.path.join(self.folder, "kernel.json")
        private = os.name == "posix" and len(os.fsencode(connection)) < SOCKET_PATH_BYTES
        channel = {"transport": "ipc"} if private else {"transport_encryption": "required"}
        super().__init__(**options, **channel, connection_file=connection, shutdown_wait_time=SHUTDOWN_SECONDS)

    async def start_kernel(self, **options: object) -> None:
        environment = {**os.environ, **self.environment, "IPYTHONDIR": self.folder, "PYTHONHASHSEED": "0"}
        environment |= dict.fromkeys(THREADS, "1")
        options["extra_arguments"] = [*(options.get("extra_arguments") or ()), *QUICK]
        await super().start_kernel(env=environment, stdout=DEVNULL, stderr=DEVNULL, **options)
        self.kernels.add(self)

    async def cleanup_resources(self, restart: bool = False) -> None:
        await super().cleanup_resources(restart=restart)
        self.kernels.remove(self)


def execute(
    notebook: Path,
    *,
    name: str,
    parameters: Mapping[str, object],
    environment: Mapping[str, str],
    timeout: int,
    kernels: Kernels,
) -> Executed:
    """Run one notebook from its first cell to its last.

    Parameters
    ----------
    notebook : Path
        The notebook; the file is only read.
    name : str
        What to call it in messages.
    parameters : mapping
        Checked parameters to set; JSON values under declared names.
    environment : mapping of str to str
        Variables added to the kernel's environment.
    timeout : int
        Seconds a single cell may take; then it is interrupted, and soon after killed.
    kernels : Kernels
        Where the kernel is registered, so that it can be ended from outside.

    Raises
    ------
    NotebookFailure
        If a cell fails, ends the kernel or takes too long, or a cell was not run. Carries an error of the family the
        cell raised, whose message is quoted; messages of other exceptions are withheld, as they may quote an answer.
    """
    node, untagged = _prepared(notebook)
    started = time.monotonic()
    kept = [node]
    try:
        with _event_loop():
            papermill.execute_notebook(
                node, None, parameters=dict(parameters), engine_name=ENGINE, kernel_name="python3", language="python",
                progress_bar=False, request_save_on_cell_execute=False, autosave_cell_every=0,
                start_timeout=START_SECONDS, execution_timeout=timeout, iopub_timeout=OUTPUT_SECONDS,
                kernel_manager_class=kernels.manager_class(environment), record_timing=False,
                on_notebook_start=lambda notebook: kept.append(notebook), on_cell_executed=_refuse_quit,
            )  # fmt: skip
        reason = None
    except (CellTimeoutError, DeadKernelError, PapermillException, RuntimeError) as error:
        reason = error
    executed = kept[-1]
    error = _failure(executed, reason, name=name, timeout=timeout, stopped=kernels.stopped)
    cells = _seconds(executed)
    text = _stored(executed, untagged, error)
    if error is not None:
        raise NotebookFailure(error, text)
    return Executed(text=text, seconds=time.monotonic() - started, cells=cells)


@contextmanager
def _event_loop() -> Iterator[None]:
    """Close this thread's event loop in the end; nbclient leaves tasks on it when a kernel dies."""
    loop = ensure_event_loop()
    try:
        yield
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


def _refuse_quit(cell: nbformat.NotebookNode, cell_index: int, execute_reply: Mapping[str, object]) -> None:
    """Stop at quit() in a cell: the kernel would go on for a tenth of a second, and papermill would not notice."""
    if any(payload.get("source") == "ask_exit" for payload in execute_reply["content"].get("payload", [])):
        raise DeadKernelError("quit")


def _prepared(notebook: Path) -> tuple[nbformat.NotebookNode, frozenset[str]]:
    """Read a notebook, clear and name its cells, put the end sentinel; also give the ids of cells without tags."""
    try:
        node = nbformat.v4.reads(notebook.read_text(encoding="utf-8"))
        node.nbformat_minor = max(node.nbformat_minor, 5)
        for number, cell in enumerate(node.cells, start=1):
            cell.setdefault("id", f"cell-{number}")
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
    except (OSError, ValueError, AttributeError, TypeError):
        raise errors.StudyError(f"{notebook} is not a notebook of format 4. Save it again in JupyterLab.") from None
    untagged = frozenset(cell.id for cell in node.cells if "tags" not in cell.metadata)
    node.cells.append(nbformat.v4.new_code_cell("pass", id=SENTINEL))
    return node, untagged


def _failure(
    node: nbformat.NotebookNode, reason: Exception | None, *, name: str, timeout: int, stopped: bool
) -> errors.SmstudyError | None:
    """Say what went wrong, from the cells rather than from papermill's report; None when every cell ran."""
    if stopped:
        return errors.RunError(f"{name} was stopped.")
    if isinstance(reason, CellTimeoutError):
        place = _last_begun(node, name)
        return errors.RunError(f"{place}: not finished after {timeout} s and ended. Shorten it or raise the timeout.")
    for number, cell in enumerate(_own_code(node), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                return _cell_error(cell, output, f"{name}, code cell {number}")
    if reason is not None or not _all_ran(node):
        place = _last_begun(node, name)
        return errors.RunError(
            f"{place}: the kernel ended before the notebook did (quit(), a crash, or the machine killed it for lack of "
            "memory). Earlier runs are untouched."
        )
    return None


def _cell_error(cell: nbformat.NotebookNode, output: nbformat.NotebookNode, place: str) -> errors.SmstudyError:
    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
    found = re.search(r"Cell In\[\d+\], line (\d+)", trace)
    lines = cell.source.splitlines()
    if found and int(found[1]) <= len(lines):
        place += f', line {found[1]} "{lines[int(found[1]) - 1].strip()}"'
    if output.ename in FAMILIES:
        return FAMILIES[output.ename](f"{place}: {' '.join(output.evalue.split())}")
    if output.ename in ("SystemExit", "KeyboardInterrupt"):
        return errors.RunError(f"{place}: {output.ename} ended the notebook before its last cell.")
    number = re.match(r"\[Errno (\d+)\]", output.evalue)
    said = os.strerror(int(number[1])) if number else WITHHELD
    return errors.RunError(f"{place}: {output.ename} ({said}). Open the notebook in JupyterLab to see more.")


def _own_code(node: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Give the code cells the author wrote, as JupyterLab would number them."""
    ours = ("injected-parameters", "papermill-error-cell-tag")
    code = [cell for cell in node.cells if cell.cell_type == "code" and cell.get("id") != SENTINEL]
    return [cell for cell in code if not set(ours) & set(cell.metadata.get("tags", []))]


def _last_begun(node: nbformat.NotebookNode, name: str) -> str:
    begun = [
        number
        for number, cell in enumerate(_own_code(node), start=1)
        if cell.source.strip() and cell.metadata.get("papermill", {}).get("start_time")
    ]
    return f"{name}, code cell {begun[-1]}" if begun else f"{name}, before its first cell"


def _all_ran(node: nbformat.NotebookNode) -> bool:
    """Check that every code cell with a source was run, in order, and the sentinel last."""
    counts = [cell.execution_count for cell in node.cells if cell.cell_type == "code" and cell.source.strip()]
    ended = node.cells[-1].get("id") == SENTINEL
    return ended and None not in counts and all(a < b for a, b in zip(counts, counts[1:], strict=False))


def _seconds(node: nbformat.NotebookNode) -> tuple[tuple[int, float], ...]:
    code = [cell for cell in node.cells if cell.cell_type == "code" and cell.get("id") != SENTINEL]
    timed = ((number, cell.metadata.get("papermill", {}).get("duration")) for number, cell in enumerate(code, start=1))
    return tuple((number, round(seconds, 3)) for number, seconds in timed if seconds is not None)


def _stored(node: nbformat.NotebookNode, untagged: frozenset[str], error: errors.SmstudyError | None) -> str:
    """Write an executed notebook as text without what differs between two runs or could quote an answer."""
    node.metadata.pop("papermill", None)
    node.cells = [
        cell
        for cell in node.cells
        if cell.get("id") != SENTINEL and "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    for cell in node.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.id in untagged:
            cell.metadata.pop("tags", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
        if cell.cell_type == "code":
            cell.outputs = [_safe(output, error) for output in cell.outputs if output.get("name") != "stderr"]
    return nbformat.writes(node, version=nbformat.NO_CONVERT)


def _safe(output: nbformat.NotebookNode, error: errors.SmstudyError | None) -> nbformat.NotebookNode:
    if output.output_type != "error":
        return output
    return nbformat.v4.new_output("error", ename=output.ename, evalue=str(error), traceback=[str(error)])


def _kill(manager: AsyncKernelManager) -> None:
    """End a kernel and what it started; it leads a process group of its own."""
    process = getattr(manager.provisioner, "process", None)
    if process is None or process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
