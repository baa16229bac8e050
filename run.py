#!/usr/bin/env python3
"""Make the environment in .venv from requirements.lock, then run one word.

usage: python3 run.py WORD [arguments passed on]

  demo       run studies/quarterly-pulse on the demo organization; prints the path of report.html
  test       run the whole test suite (arguments go to pytest)
  notebooks  execute notebooks/ on the demo organization and rewrite them with their outputs
  lab        open JupyterLab on notebooks/

The first call takes about a minute; later calls start at once. Nothing is installed outside .venv.
"""
# Standard library only. Old Pythons must get as far as the line that says which one to install: no syntax beyond 3.6.

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

WORDS = {
    "demo": ["-m", "smstudy", "run", "studies/quarterly-pulse"],
    "test": ["-m", "pytest"],
    "notebooks": [".ci/notebooks.py"],
    "lab": ["-m", "jupyterlab", "notebooks"],
}
SUPPORTED = [(3, 11), (3, 12), (3, 13)]
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "smstudy-setup.txt"
LOG = VENV / "smstudy-setup.log"
# Variables that would keep the set-up from writing byte code, or lead it to another place than .venv.
DIVERTING = (
    "PYTHONDONTWRITEBYTECODE",
    "PIP_NO_COMPILE",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "UV_SYSTEM_PYTHON",
    "UV_PYTHON",
    "UV_TARGET",
    "UV_PREFIX",
)


def check_python() -> None:
    """Leave with one line if this Python cannot carry smstudy."""
    if sys.version_info[:2] not in SUPPORTED:
        found = [name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)]
        advice = f"type: {found[0]} run.py" if found else "install one of them and call run.py with it"
        sys.exit("smstudy needs Python 3.11, 3.12 or 3.13, and this is {}.{}; {}".format(*sys.version_info[:2], advice))
    try:
        import ensurepip  # noqa: F401 - only asked whether it is there
        import venv  # noqa: F401
    except ImportError:
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        sys.exit("This Python lacks its venv module; install it (Debian, Ubuntu: sudo apt install " + package + ")")


def fingerprint() -> list:
    """Return what the environment depends on: its place and Python (fixed), then what is to be in it."""
    contents = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return ["{!a} | Python {}.{}.{}".format(str(ROOT), *sys.version_info[:3]), contents]


def read_stamp() -> list:
    """Return the fingerprint of the environment as it was completed, or nothing if it never was."""
    return STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() and PYTHON.exists() else ["", ""]


def environment(*also_dropped: str) -> dict:
    """Return the variables for a child process: .venv activated, nothing from other Pythons let in."""
    dropped = ("PYTHONHOME", "PYTHONPATH") + also_dropped
    variables = {name: value for name, value in os.environ.items() if name not in dropped}
    path = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", os.defpath)])
    return dict(variables, VIRTUAL_ENV=str(VENV), PATH=path)


def succeeds(*arguments: str) -> bool:
    """Run the environment's Python for the set-up, with what it says in the log."""
    with LOG.open("ab") as log:
        done = subprocess.run(
            [str(PYTHON), *arguments],
            cwd=str(ROOT),
            env=environment(*DIVERTING),
            stdout=log,
            stderr=log,
            close_fds=False,
        )
    return done.returncode == 0


def wait_for_others(lock_file) -> None:
    """Lock the open file; the system frees it when the process ends, however it ends. Windows does without."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(lock_file, fcntl.LOCK_EX)
        os.set_inheritable(lock_file.fileno(), True)  # a set-up that outlives a killed run.py still holds it


def create() -> None:
    """Make an empty environment, also where a broken, moved or half-made one stands."""
    base = getattr(sys, "_base_executable", sys.executable)  # not the one about to be deleted
    made = subprocess.run(
        [base, "-m", "venv", "--clear", str(VENV)],
        env=environment(*DIVERTING),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if made.returncode:
        sys.exit("The environment .venv could not be made: " + last_line(made.stdout))


def last_line(output: bytes) -> str:
    """Return the last thing a program said."""
    return " ".join(output.decode(errors="replace").strip().splitlines()[-1:]) or "it gave no reason"


def install() -> bool:
    """Install exactly what the lock names, and this checkout on top; by uv where it can be had, else by pip."""
    pip = ["-m", "pip", "--quiet", "--disable-pip-version-check"]
    checkout = ["install", "--no-build-isolation", "--no-deps", "--editable", "."]
    only_uv = VENV / "smstudy-uv.txt"
    entry = re.search(r"^uv==.*(?:\n[ ]{4}.*)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    only_uv.write_text(entry.group() if entry else "", encoding="utf-8")
    if succeeds(*pip, "install", "--retries", "2", "--require-hashes", "-r", str(only_uv)):
        uv = ["-m", "uv", "pip"]
        if succeeds(*uv, "sync", "--require-hashes", "--compile-bytecode", LOCK.name) and succeeds(*uv, *checkout):
            return True
    print("uv could not install them; pip tries, which takes about two minutes.", flush=True)
    return succeeds(*pip, "install", "--require-hashes", "-r", LOCK.name) and succeeds(*pip, *checkout, "--no-index")


def set_up() -> None:
    """Bring .venv to the state of the lock; do nothing if it is there. The stamp comes last."""
    wanted = fingerprint()
    if read_stamp() == wanted:
        return
    with open(__file__, "rb") as lock_file:
        wait_for_others(lock_file)
        if read_stamp() == wanted:
            return
        started = time.monotonic()
        print("Setting up .venv from requirements.lock (the first time about a minute) ...", flush=True)
        if read_stamp()[0] != wanted[0]:
            create()
        STAMP.unlink(missing_ok=True)
        if not install():
            sys.exit(
                f"The packages could not be installed: {last_line(LOG.read_bytes())}. Check the network, or the "
                f"package index pip is set to (pip config list), and type the same again; more in {LOG}"
            )
        succeeds("-m", "compileall", "-q", "smstudy")
        succeeds("-c", "import matplotlib.font_manager")  # builds its font cache, which talks when first built
        STAMP.write_text("\n".join(wanted), encoding="utf-8")
        print(f"The environment is ready after {time.monotonic() - started:.0f} s.", flush=True)


def run(arguments: list) -> int:
    """Become the environment's Python with these arguments, or (Windows) wait for it."""
    command = [str(PYTHON), *arguments]
    os.chdir(str(ROOT))
    if os.name != "nt":
        os.execve(command[0], command, environment())
    child = subprocess.Popen(command, env=environment())
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # it reaches the child too, which ends in its own time
            return child.wait()


def main(arguments: list) -> int:
    """Run one word; return the exit code."""
    word = arguments[0] if arguments else "--help"
    if word not in WORDS:
        print(__doc__.split("\n\n", 1)[1].strip())
        return 0 if word in ("-h", "--help") else 2
    check_python()
    try:
        set_up()
        return run(WORDS[word] + arguments[1:])
    except KeyboardInterrupt:
        print("\nStopped. What was half made is made again by the next call.", file=sys.stderr)
        return 130
    except OSError as problem:
        print(f"Stopped: {problem}. Correct this and type the same again.", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
