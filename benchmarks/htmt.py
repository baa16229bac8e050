"""Compare resampled HTMT with a loop over R semTools::htmt on 300 respondents and 20 items, side by side in one run.

usage: python benchmarks/htmt.py [--rows N] [--samples N] [--r-samples N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package semTools,
only smstudy is measured. R gets the correlations of each sample by cor(), which is faster than its own lavCor(), and
fewer samples; times are per 1,000 samples. HTMT of the answers themselves is compared before the ratio is printed.
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
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.psychometrics.discriminant import (  # noqa: E402
    monotrait_ratios,
    pairwise_correlations,
    resampled_ratios,
)

SCALES, ITEMS, ROUNDS = 5, 4, 3
SAME = 1e-12
R_SIDE = """
if (!suppressMessages(require(semTools, quietly = TRUE))) quit(status = 3)
arguments <- commandArgs(trailingOnly = TRUE)
answers <- read.csv(file.path(arguments[1], "answers.csv"))
scales <- split(names(answers), rep(1:5, each = 4))
model <- paste0("f", 1:5, " =~ ", sapply(scales, paste, collapse = " + "), collapse = "\\n")
ratios <- function(rows) htmt(model, sample.cov = cor(answers[rows, ]), htmt2 = FALSE)
samples <- as.integer(arguments[2])
seconds <- system.time(for (i in seq_len(samples)) ratios(sample(nrow(answers), replace = TRUE)))[["elapsed"]]
cat(format(c(seconds, t(ratios(seq_len(nrow(answers))))[lower.tri(diag(5))]), digits = 17), sep = "\\n")
"""


def main() -> None:
    """Simulate, measure both sides, compare their ratios, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300, metavar="N", help="respondents (default 300)")
    parser.add_argument("--samples", type=int, default=2000, metavar="N", help="samples of smstudy (default 2,000)")
    parser.add_argument("--r-samples", type=int, default=100, metavar="N", help="samples of R (default 100)")
    options = parser.parse_args()
    answers = simulate(options.rows)
    places = [list(range(start, start + ITEMS)) for start in range(0, SCALES * ITEMS, ITEMS)]
    seconds = statistics.median(measure(answers, places, options.samples, seed) for seed in range(ROUNDS))
    ours = 1000 * seconds / options.samples
    print(f"smstudy, HTMT and HTMT2: {seconds:.2f} s for {options.samples:,} samples (median of {ROUNDS})")
    found = monotrait_ratios(pairwise_correlations(answers), places).htmt
    theirs = measure_r(answers, options.r_samples, found)
    if theirs is None:
        print("R semTools is not installed here, so there is nothing to compare with.")
    else:
        print(f"semTools::htmt, HTMT only: {theirs:.2f} s per 1,000 samples; ratio {theirs / ours:.0f}x")


def simulate(n: int) -> np.ndarray:
    """Answers in five steps to scales that go together."""
    rng = np.random.default_rng(7)
    traits = rng.multivariate_normal(np.zeros(SCALES), 0.5 + 0.5 * np.eye(SCALES), size=n)
    return np.clip(np.round(3 + np.repeat(traits, ITEMS, axis=1) + rng.standard_normal((n, SCALES * ITEMS))), 1, 5)


def measure(answers: np.ndarray, places: list[list[int]], samples: int, seed: int) -> float:
    """Seconds for all samples."""
    start = time.perf_counter()
    resampled_ratios(answers, places, samples, seed)
    return time.perf_counter() - start


def measure_r(answers: np.ndarray, samples: int, expected: np.ndarray) -> float | None:
    """Seconds of R per 1,000 samples; None without R or semTools."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        names = [f"q{place}" for place in range(answers.shape[1])]
        pd.DataFrame(answers, columns=names).to_csv(Path(folder) / "answers.csv", index=False)
        script = Path(folder) / "side.R"
        script.write_text(R_SIDE, encoding="utf-8")
        command = ["Rscript", str(script), folder, str(samples)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 3:
        return None
    done.check_returncode()
    seconds, *ratios = map(float, done.stdout.split())
    gap = float(np.abs(np.sort(ratios) - np.sort(expected)).max())
    if gap > SAME:
        raise SystemExit(f"The two sides differ by {gap:.1e}: nothing to compare.")
    return 1000 * seconds / samples


if __name__ == "__main__":
    main()
