"""Compare the permutation test of a necessary condition with a loop in plain R, side by side in one run.

usage: python benchmarks/necessity.py [--rows N] [--permutations N] [--r-permutations N]

Call it with the Python of the environment that smstudy is installed in. Without R only smstudy is measured. R NCA is
used if R has it, else a loop over its step ceiling (cummax) in plain R. The effect size of the answers themselves is
compared before the ratio is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.ceilings import (  # noqa: E402
    effect_sizes,
    effects_without,
    matched_effects,
    observed_scope,
    permuted_effects,
)

ROUNDS = 9
SAME = 1e-12
MOST = 5
R_SIDE = """
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1])
times <- as.integer(arguments[2])
effect <- function(x, y) {
  order <- order(x); x <- x[order]; top <- cummax(y[order]); last <- !duplicated(x, fromLast = TRUE)
  sum(diff(x[last]) * (max(y) - head(top[last], -1))) / (diff(range(x)) * diff(range(y)))
}
observed <- effect(data$x, data$y)
if (requireNamespace("NCA", quietly = TRUE)) {
  seconds <- system.time(NCA::nca_analysis(data, "x", "y", ceilings = "ce_fdh", test.rep = times))[["elapsed"]]
  name <- "R NCA"
} else {
  seconds <- system.time(for (i in seq_len(times)) effect(data$x, sample(data$y)))[["elapsed"]]
  name <- "loop in plain R"
}
cat(name, format(c(seconds, observed), digits = 17), sep = "\\n")
"""


def main() -> None:
    """Simulate, measure both sides, compare their effect sizes, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=305, metavar="N", help="respondents (default 305)")
    parser.add_argument("--permutations", type=int, default=1000, metavar="N", help="of smstudy (default 1,000)")
    parser.add_argument("--r-permutations", type=int, default=1000, metavar="N", help="of R (default 1,000)")
    options = parser.parse_args()
    x, y = simulate(options.rows)
    scope, rng, times = observed_scope(x, y), np.random.default_rng(1), options.permutations
    permuted = measure(lambda: permuted_effects(x, y, scope, n_permutations=times, rng=rng))
    print(f"smstudy, {times:,} permutations, {len(x):,} respondents: {1000 * permuted:.1f} ms (goal 30 ms for 305)")
    matched = measure(lambda: matched_effects(x, y, scope, n_permutations=times, rng=rng))
    print(f"smstudy, {times:,} correlated data sets: {1000 * matched:.1f} ms")
    straight = measure(lambda: permuted_effects(x, y, scope, kind="cr_fdh", n_permutations=times, rng=rng))
    print(f"smstudy, {times:,} permutations, straight ceiling: {1000 * straight:.1f} ms")
    peeled = measure(lambda: effects_without(x, y, None, most=MOST))
    print(f"smstudy, without the {MOST} most influential: {1000 * peeled:.1f} ms")
    theirs = measure_r(x, y, options.r_permutations, float(effect_sizes(x, y[:, None], scope)[0]))
    if theirs is None:
        print("R is not installed here, so there is nothing to compare with.")
    else:
        each = theirs[1] / options.r_permutations
        print(f"{theirs[0]}: {1000 * theirs[1]:.0f} ms; ratio {each / (permuted / times):.1f}x")


def simulate(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of four answers in five steps, for condition and outcome."""
    rng = np.random.default_rng(7)
    traits = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], n).repeat(4, axis=1)
    answers = np.clip(np.round(3.2 + 0.8 * traits + 0.8 * rng.normal(size=traits.shape)), 1, 5)
    return answers[:, :4].mean(axis=1), answers[:, 4:].mean(axis=1)


def measure(work: Callable[[], object]) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure_r(x: np.ndarray, y: np.ndarray, times: int, expected: float) -> tuple[str, float] | None:
    """What R used, and its seconds; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        answers, script = Path(folder) / "answers.csv", Path(folder) / "side.R"
        np.savetxt(answers, np.column_stack([x, y]), delimiter=",", header="x,y", comments="", fmt="%.17g")
        script.write_text(R_SIDE, encoding="utf-8")
        command = ["Rscript", str(script), str(answers), str(times)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    name, seconds, observed = done.stdout.splitlines()
    if abs(float(observed) - expected) > SAME:
        raise SystemExit(f"The two sides differ by {abs(float(observed) - expected):.1e}: nothing to compare.")
    return name, float(seconds)


if __name__ == "__main__":
    main()
