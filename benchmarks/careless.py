"""Time the careless indices on 20,000 respondents and 40 items, one thread for matrix products.

usage: python benchmarks/careless.py [--rounds N]

Even-odd consistency has a goal of 28 ms; R careless 1.2.2 was measured at 27.7 s on answers of this size. The loop
beside it does what R does, row by row, on fewer rows, and is scaled up: the ratio holds on any machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from smstudy.survey import careless

ROWS, ITEMS, FACTORS = 20_000, 40, [5] * 8
LOOPED = 500
GOAL = 28.0


def main() -> None:
    """Measure every index, print milliseconds, and the ratio to the loop for even-odd."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="how often to measure (default 15)")
    rounds = parser.parse_args().rounds
    random = np.random.default_rng(1)
    traits = np.repeat(random.normal(size=(ROWS, len(FACTORS))), FACTORS, axis=1)
    items = np.clip(np.round(3 + traits + random.normal(0, 0.6, (ROWS, ITEMS))), 1, 5)
    gaps = np.where(random.random(items.shape) < 0.05, np.nan, items)
    with threadpool_limits(limits=1):
        print(f"{'milliseconds, ' + f'{ROWS:,} x {ITEMS}':34}{'median':>9}{'least':>9}{'goal':>9}")
        for name, call in _calls(items, gaps).items():
            median, least = _measured(call, rounds)
            print(f"{name:34}{median:9.1f}{least:9.1f}{f'{GOAL:9.0f}' if name.startswith('even_odd') else ''}")
        loop = _measured(lambda: _looped(items[:LOOPED]), 3)[0] * ROWS / LOOPED
        fast = _measured(lambda: careless.even_odd(items, FACTORS), rounds)[0]
    print(f"\neven_odd: a loop over respondents takes {loop / 1000:.1f} s, {loop / fast:,.0f} times as long")


def _calls(items: np.ndarray, gaps: np.ndarray) -> dict[str, Callable[[], object]]:
    return {
        "even_odd": lambda: careless.even_odd(items, FACTORS),
        "even_odd, 5 % missing": lambda: careless.even_odd(gaps, FACTORS),
        "longstring": lambda: careless.longstring(items),
        "average_string": lambda: careless.average_string(items),
        "response_variability": lambda: careless.response_variability(items),
        "psychometric_synonyms": lambda: careless.psychometric_synonyms(items),
        "person_total": lambda: careless.person_total(items),
        "mahalanobis": lambda: careless.mahalanobis(items),
        "mahalanobis, 5 % missing": lambda: careless.mahalanobis(gaps),
    }


def _measured(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and least milliseconds."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken), min(taken)


def _looped(items: np.ndarray) -> list[float]:
    """Even-odd consistency respondent by respondent, scale by scale."""
    found = []
    for row in items:
        scales = np.split(row, np.cumsum(FACTORS)[:-1])
        even, odd = [scale[1::2].mean() for scale in scales], [scale[::2].mean() for scale in scales]
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.corrcoef(even, odd)[0, 1]
            found.append(-max(-1.0, 2 * r / (1 + r)))
    return found


if __name__ == "__main__":
    main()
