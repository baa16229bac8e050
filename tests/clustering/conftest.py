"""Shared by the tests of this room."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

REFERENCE = Path(__file__).parents[1] / "reference"
SCALES = ["leadership", "readiness", "concerns", "usefulness", "adoption"]
SHARES = (0.28, 0.30, 0.20, 0.22)
PATTERN = np.array([[1, 1, -1, 1, 1], [0, 0.5, -0.8, 0.8, -0.6], [0.3, -0.3, 1.3, -0.2, 0.3], [-1, -1, -0.6, -1, -1]])


def draw_planted(n: int, seed: int, *, separation: float = 1.8) -> pd.DataFrame:
    """Scale means of four 5-point items in four segments; centers in standard deviations within a segment."""
    rng = np.random.default_rng(seed)
    centers = separation * PATTERN
    correlated = np.linalg.cholesky(np.full((5, 5), 0.2) + 0.8 * np.eye(5))
    true = centers[rng.choice(4, n, p=SHARES)] + rng.standard_normal((n, 5)) @ correlated.T
    return _answers(true, 1.0, np.sqrt(separation**2 + 2), rng)


def draw_one_group(n: int, seed: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Scale means of four 5-point items in one group; `shift` skews them."""
    rng = np.random.default_rng(seed)
    correlated = np.linalg.cholesky(np.full((5, 5), 0.4) + 0.6 * np.eye(5))
    return _answers(rng.standard_normal((n, 5)) @ correlated.T, 1.0, np.sqrt(2.0), rng, shift=shift)


def _answers(
    true: np.ndarray, noise: float, spread: float, rng: np.random.Generator, *, shift: float = 0.0
) -> pd.DataFrame:
    items = true[:, :, None] + noise * rng.standard_normal((*true.shape, 4))
    cuts = np.array([-1.5, -0.5, 0.5, 1.5])
    return pd.DataFrame((1 + np.searchsorted(cuts, items / spread + shift)).mean(axis=2), columns=SCALES)


@pytest.fixture(scope="session")
def reference() -> dict:
    return json.loads((REFERENCE / "clustering.json").read_text())


@pytest.fixture(scope="session")
def reference_data() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "clustering.csv")


@pytest.fixture(scope="session")
def planted() -> Callable[..., pd.DataFrame]:
    return draw_planted


@pytest.fixture(scope="session")
def one_group() -> Callable[..., pd.DataFrame]:
    return draw_one_group
