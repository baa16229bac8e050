"""Compare 500 bootstrap resamples of a PLS path model with the same in R, side by side in one run.

usage: python benchmarks/paths.py [--rows N] [--resamples B]

Call it with the Python of the environment that smstudy is installed in. The model is that of the European Customer
Satisfaction Index: 7 constructs, 24 items, 12 paths. Without R only smstudy is measured. seminr is used if R has it
(estimate_pls on each resample, without its start-up of workers), else the same algorithm in plain R on correlations.
Path coefficients are compared before the ratio is printed. Prediction and permutation have no counterpart here.
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

from smstudy.inference.partial_least_squares import (  # noqa: E402
    PathFit,
    PathStructure,
    fit_paths,
    item_correlations,
    resampled_moments,
)
from smstudy.inference.path_permutation import compare_groups  # noqa: E402
from smstudy.inference.path_prediction import cross_predict, draw_folds  # noqa: E402

ROUNDS = 7
SAME = 1e-6
SIZES = (5, 3, 7, 2, 3, 1, 3)
LINKS = ((0, 1), (0, 4), (0, 6), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4), (4, 5), (4, 6), (5, 6))
R_SIDE = """
arguments <- commandArgs(trailingOnly = TRUE)
x <- as.matrix(read.csv(arguments[1])); resamples <- as.integer(arguments[2])
sizes <- c(5, 3, 7, 2, 3, 1, 3); q <- 7; ends <- cumsum(sizes)
blocks <- lapply(seq_len(q), function(j) (ends[j] - sizes[j] + 1):ends[j])
links <- 1 + matrix(c(0,1, 0,4, 0,6, 1,2, 1,3, 1,4, 2,3, 2,4, 3,4, 4,5, 4,6, 5,6), ncol = 2, byrow = TRUE)
d <- matrix(0, q, q); d[links] <- 1
if (requireNamespace("seminr", quietly = TRUE)) {
  suppressMessages(library(seminr)); names <- paste0("c", seq_len(q)); colnames(x) <- paste0("x", seq_len(ncol(x)))
  mm <- do.call(constructs, lapply(seq_len(q), function(j) composite(names[j], colnames(x)[blocks[[j]]])))
  sm <- do.call(relationships, lapply(which(rowSums(d) > 0), function(i) paths(names[i], names[d[i, ] == 1])))
  fit <- function(x) estimate_pls(as.data.frame(x), mm, sm, stopCriterion = 10)$path_coef[names, names]
  side <- "seminr"
} else {
  member <- matrix(0, ncol(x), q); for (j in seq_len(q)) member[blocks[[j]], j] <- 1
  fit <- function(x) {
    s <- cor(x); w <- member; w <- sweep(w, 2, sqrt(colSums(w * (s %*% w))), "/")
    for (step in 1:300) {
      sw <- s %*% w; v <- crossprod(w, sw); e <- v * (d + t(d))
      for (j in which(colSums(d) > 0)) { b <- d[, j] == 1; e[b, j] <- solve(v[b, b], v[b, j]) }
      new <- (sw %*% e) * member; new <- sweep(new, 2, sqrt(colSums(new * (s %*% new))), "/")
      gap <- max(abs(abs(new) - abs(w))); w <- new
      if (gap < 1e-10) break
    }
    w <- sweep(w, 2, sign(colSums((s %*% w) * member)), "*"); v <- crossprod(w, s %*% w); p <- d * 0
    for (j in which(colSums(d) > 0)) { b <- d[, j] == 1; p[b, j] <- solve(v[b, b], v[b, j]) }
    p
  }
  side <- "plain R"
}
whole <- fit(x); set.seed(1)
seconds <- system.time(for (i in seq_len(resamples)) fit(x[sample.int(nrow(x), replace = TRUE), ]))[["elapsed"]]
cat(side, format(c(seconds, whole[links]), digits = 17), sep = "\\n")
"""


def main() -> None:
    """Simulate, measure both sides, compare their estimates, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=250, metavar="N", help="respondents (default 250)")
    parser.add_argument("--resamples", type=int, default=500, metavar="B", help="resamples (default 500)")
    options = parser.parse_args()
    answers = simulate(options.rows)
    seconds = measure(lambda seed: bootstrap(answers, options.resamples, seed))
    print(f"smstudy, {options.resamples:,} resamples: {1000 * seconds:.0f} ms (median of {ROUNDS}; goal 500 ms)")
    corrected = measure(lambda seed: bootstrap(answers, options.resamples, seed, consistent=True))
    print(f"smstudy, the same with PLSc: {1000 * corrected:.0f} ms")
    folds = draw_folds(options.rows, folds=10, repeats=10, seed=1)
    print(f"smstudy, PLSpredict 10 x 10: {1000 * measure(lambda _: cross_predict(answers, structure(), folds)):.0f} ms")
    print(f"smstudy, 1,000 permutations of two groups: {1000 * measure(lambda seed: permute(answers, seed)):.0f} ms")
    theirs = measure_r(answers, options.resamples)
    if theirs is None:
        print("R is not installed here, so there is nothing to compare with.")
    else:
        print(f"{theirs[0]}: {1000 * theirs[1]:.0f} ms; ratio {theirs[1] / seconds:.0f}x")


def structure(*, consistent: bool = False) -> PathStructure:
    """The model."""
    ends = np.cumsum(SIZES)
    drivers = np.zeros((len(SIZES), len(SIZES)), dtype=bool)
    drivers[tuple(zip(*LINKS, strict=True))] = True
    blocks = tuple(tuple(range(end - size, end)) for end, size in zip(ends, SIZES, strict=True))
    several = np.array(SIZES) > 1
    return PathStructure(blocks=blocks, drivers=drivers, formative=~several & several, factors=several & consistent)


def simulate(n: int) -> np.ndarray:
    """Answers by a model of this shape."""
    rng, scores = np.random.default_rng(7), []
    for construct in range(len(SIZES)):
        drivers = [one for one, other in LINKS if other == construct]
        scores.append(sum((0.6 / len(drivers) * scores[one] for one in drivers), 0.8 * rng.normal(size=n)))
    return np.repeat(np.column_stack(scores), SIZES, axis=1) + 0.8 * rng.normal(size=(n, sum(SIZES)))


def bootstrap(answers: np.ndarray, n_boot: int, seed: int, *, consistent: bool = False) -> PathFit:
    """Fit all resamples."""
    fits = []
    for moments in resampled_moments(answers - answers.mean(axis=0), n_boot=n_boot, seed=seed):
        fits.append(fit_paths(item_correlations(moments)[0], structure(consistent=consistent)))
    return fits[0]


def permute(answers: np.ndarray, seed: int) -> None:
    """Compare two halves."""
    first = np.arange(len(answers)) < len(answers) / 2
    compare_groups(answers, first, structure(), n_permutations=1000, n_boot=2, seed=seed)


def measure(work: Callable[[int], object]) -> float:
    """Median seconds."""
    seconds = []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        work(seed)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure_r(answers: np.ndarray, n_boot: int) -> tuple[str, float] | None:
    """What R used, and its seconds; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        data, script = Path(folder) / "answers.csv", Path(folder) / "side.R"
        heading = ",".join(f"x{place + 1}" for place in range(answers.shape[1]))
        np.savetxt(data, answers, delimiter=",", header=heading, comments="", fmt="%.17g")
        script.write_text(R_SIDE, encoding="utf-8")
        done = subprocess.run(
            ["Rscript", str(script), str(data), str(n_boot)], capture_output=True, text=True, check=True
        )
    name, seconds, *found = done.stdout.splitlines()
    ours = fit_paths(np.corrcoef(answers, rowvar=False)[None], structure()).paths[0][tuple(zip(*LINKS, strict=True))]
    gap = float(np.abs(np.array(found, dtype=float) - ours).max())
    if gap > SAME:
        raise SystemExit(f"The two sides differ by {gap:.1e}: nothing to compare.")
    return name, float(seconds)


if __name__ == "__main__":
    main()
