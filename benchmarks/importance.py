"""Compare R² shares by LMG over all subsets of 15 drivers with the same in R, side by side in one run.

usage: python benchmarks/importance.py [--drivers P] [--rows N]

Call it with the Python of the environment that smstudy is installed in. Without R only smstudy is measured. relaimpo is
used if R has it, else its method in plain R: solve() on the correlations of each subset. Shares are compared before the
ratio is printed. The bootstrap (1,000 resamples, 5 drivers) has no counterpart here.
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
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.relative_importance import resampled_shares, shapley_shares, subset_r_squared  # noqa: E402

ROUNDS = 7
SAME = 1e-10
BOOT_DRIVERS, BOOT = 5, 1000
R_SIDE = """
data <- as.matrix(read.csv(commandArgs(trailingOnly = TRUE)[1]))
p <- ncol(data) - 1
if (requireNamespace("relaimpo", quietly = TRUE)) {
  frame <- as.data.frame(data[, c(p + 1, seq_len(p))])
  seconds <- system.time(shares <- relaimpo::calc.relimp(frame, type = "lmg")$lmg)[["elapsed"]]
  cat("relaimpo", format(c(seconds, shares), digits = 17), sep = "\\n")
} else {
  seconds <- system.time({
    s <- cor(data); masks <- 0:(2^p - 1); bits <- sapply(seq_len(p), function(j) bitwAnd(masks, 2^(j - 1)) > 0)
    r2 <- apply(bits, 1, function(b) if (any(b)) sum(solve(s[which(b), which(b)], s[which(b), p + 1]) *
                                                      s[which(b), p + 1]) else 0)
    size <- rowSums(bits)
    shares <- sapply(seq_len(p), function(j) {
      without <- which(!bits[, j])
      sum((r2[without + 2^(j - 1)] - r2[without]) / (p * choose(p - 1, size[without])))
    })
  })[["elapsed"]]
  cat("plain R", format(c(seconds, shares), digits = 17), sep = "\\n")
}
"""


def main() -> None:
    """Simulate, measure both sides, compare their shares, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drivers", type=int, default=15, metavar="P", help="drivers (default 15)")
    parser.add_argument("--rows", type=int, default=300, metavar="N", help="respondents (default 300)")
    options = parser.parse_args()
    columns = simulate(options.rows, options.drivers)
    seconds, shares = measure(columns)
    print(f"smstudy, LMG of {options.drivers} drivers: {1000 * seconds:.1f} ms (median of {ROUNDS}; goal 80 ms)")
    print(f"smstudy, {BOOT:,} resamples, {BOOT_DRIVERS} drivers: {1000 * measure_bootstrap(options.rows):.0f} ms")
    theirs = measure_r(columns, shares)
    if theirs is None:
        print("R is not installed here, so there is nothing to compare with.")
    else:
        print(f"{theirs[0]}: {1000 * theirs[1]:.0f} ms; ratio {theirs[1] / seconds:.0f}x")


def simulate(n: int, p: int) -> np.ndarray:
    """Drivers that overlap, and an outcome in the last column."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(n, p)) + rng.normal(size=(n, 1))
    return np.column_stack([x, x @ rng.normal(size=p) + 3 * rng.normal(size=n)])


def measure(columns: np.ndarray) -> tuple[float, np.ndarray]:
    """Median seconds from raw answers to shares, and the shares."""
    terms, seconds = [[place] for place in range(columns.shape[1] - 1)], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        shares = shapley_shares(subset_r_squared(np.cov(columns.T), terms))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), shares


def measure_bootstrap(n: int) -> float:
    """Median seconds of resampled shares."""
    columns, terms, seconds = simulate(n, BOOT_DRIVERS), [[place] for place in range(BOOT_DRIVERS)], []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        resampled_shares(columns, np.ones(n), terms, n_boot=BOOT, seed=seed)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure_r(columns: np.ndarray, expected: np.ndarray) -> tuple[str, float] | None:
    """What R used, and its seconds; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        answers, script = Path(folder) / "answers.csv", Path(folder) / "side.R"
        heading = ",".join(f"x{place}" for place in range(columns.shape[1]))
        np.savetxt(answers, columns, delimiter=",", header=heading, comments="", fmt="%.17g")
        script.write_text(R_SIDE, encoding="utf-8")
        done = subprocess.run(["Rscript", str(script), str(answers)], capture_output=True, text=True, check=True)
    name, seconds, *shares = done.stdout.splitlines()
    gap = float(np.abs(np.array(shares, dtype=float) - expected).max())
    if gap > SAME:
        raise SystemExit(f"The two sides differ by {gap:.1e}: nothing to compare.")
    return name, float(seconds)


if __name__ == "__main__":
    main()
