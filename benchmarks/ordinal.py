"""Compare a factor model of ordinal answers (WLSMV) with R lavaan, side by side in one run.

usage: python benchmarks/ordinal.py [--rounds N] [--rows N] [--items N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package lavaan, only
smstudy is measured. Both sides begin with the answers in memory, use one thread, and end with standard errors and the
scaled and shifted test; their tests are compared before a ratio is printed. Five factors, 25 items x 2,436 respondents;
then simulated respondents with many items are measured on our side alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.factor_models.ordinal_structures import OrdinalFitted, fit_wlsmv, ordinal_moments  # noqa: E402
from smstudy.inference.factor_models.structures import measurement_model  # noqa: E402
from smstudy.inference.psychometrics.polychoric import ordinal_codes  # noqa: E402

ANSWERS = ROOT / "tests" / "reference" / "bfi_complete.csv"
GOAL, LARGE_GOAL = 20, 10
SAME = 1e-4  # lavaan's search stops before the sixth digit
PER_FACTOR = 5
R_SIDE = """
suppressMessages(library(lavaan))
arguments <- commandArgs(trailingOnly = TRUE)
items <- read.csv(arguments[1])
factor <- (seq_along(items) - 1) %/% 5 + 1
measured <- function(x) paste0("f", x[1], " =~ ", paste(x, collapse = " + "))
model <- paste(tapply(names(items), factor, measured), collapse = "\\n")
for (i in seq_len(as.integer(arguments[2]))) {
  taken <- system.time(fit <- cfa(model, items, ordered = names(items), std.lv = TRUE, estimator = "WLSMV"))
  test <- format(fitMeasures(fit, "chisq.scaled"), digits = 15)
  cat(taken[["elapsed"]], taken[["user.self"]] + taken[["sys.self"]], test, "\\n")
}
"""


def main() -> None:
    """Measure both sides on the same answers, compare what they find, then measure the large problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to measure R (default 3)")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="simulated respondents")
    parser.add_argument("--items", type=int, default=60, metavar="N", help="simulated items")
    options = parser.parse_args()
    items = pd.read_csv(ANSWERS)
    ours = seconds_of(items, 5 * options.rounds)
    theirs = measure_r(items, fit(items), options.rounds)
    for kind, one, other in zip(("wall", "CPU"), ours, theirs or (None, None), strict=True):
        told = "R or lavaan is not installed" if other is None else f"R {other:.2f} s; ratio {other / one:.0f}x"
        print(f"WLSMV of five factors, lavaan::cfa, {kind} time: {one:.3f} s; {told}; goal {GOAL}x")
    measure_large(simulate(options.rows, options.items))


def fit(items: pd.DataFrame) -> OrdinalFitted:
    """From raw answers to the robust test; every five items are a factor."""
    names = list(items)
    factors = {f"f{start}": names[start : start + PER_FACTOR] for start in range(0, len(names), PER_FACTOR)}
    return fit_wlsmv(measurement_model(names, factors), [ordinal_moments(ordinal_codes(items))])


def seconds_of(items: pd.DataFrame, rounds: int) -> tuple[float, float]:
    """Median seconds by the clock and of the CPU; the first round is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        fit(items)
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
    return tuple(np.median(seconds[1:], axis=0).tolist())


def measure_r(items: pd.DataFrame, found: OrdinalFitted, rounds: int) -> tuple[float, float] | None:
    """The same of lavaan, without reading the file."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        place = Path(folder)
        items.to_csv(place / "items.csv", index=False)
        (place / "ordinal.R").write_text(R_SIDE, encoding="utf-8")
        command = ["Rscript", str(place / "ordinal.R"), str(place / "items.csv"), str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return None
    measured = np.array([line.split() for line in done.stdout.splitlines()], dtype=float)
    apart = float(np.abs(measured[:, 2] / found.test.corrected - 1).max())
    print(f"largest relative difference of the test: {apart:.1g}")
    if apart > SAME:
        sys.exit("The tests differ, so the times say nothing.")
    return tuple(np.median(measured[:, :2], axis=0).tolist())


def simulate(n: int, p: int) -> pd.DataFrame:
    """Answers of five categories, unevenly chosen; every five items have a factor, and factors correlate."""
    rng = np.random.default_rng(4)
    loadings = rng.uniform(0.4, 0.8, p)
    common = np.sqrt(0.3) * rng.standard_normal((n, 1))
    factors = common + np.sqrt(0.7) * rng.standard_normal((n, -(-p // PER_FACTOR)))
    answers = factors[:, np.arange(p) // PER_FACTOR] * loadings
    answers += rng.standard_normal((n, p)) * np.sqrt(1 - loadings**2)
    cuts = np.sort(rng.normal(0, 1, (4, p)), axis=0)
    return pd.DataFrame((answers[None] > cuts[:, None]).sum(axis=0), columns=[f"q{i}" for i in range(p)])


def measure_large(items: pd.DataFrame) -> None:
    """Print seconds and memory; CPU seconds hardly depend on what else runs."""
    wall, cpu = time.perf_counter(), time.process_time()
    names = list(items)
    moments = ordinal_moments(ordinal_codes(items))
    middle = time.process_time()
    factors = {f"f{start}": names[start : start + PER_FACTOR] for start in range(0, len(names), PER_FACTOR)}
    fit_wlsmv(measurement_model(names, factors), [moments])
    wall, after = time.perf_counter() - wall, time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(items):,} x {len(names)}: {wall:.1f} s (CPU: correlations and their covariance {middle - cpu:.1f} s, "
        f"model {after - middle:.1f} s), goal {LARGE_GOAL} s; largest memory of the process {memory:.1f} GB"
    )


if __name__ == "__main__":
    main()
