"""Factor models whose values R lavaan gave (tests/reference/confirmatory.R), ready to be fitted here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.factor_models.full_information import fit_fiml
from smstudy.inference.factor_models.normal_theory import fit_ml, fit_mlr, sample_of
from smstudy.inference.factor_models.structures import Structure, measurement_model

HERE = Path(__file__).parents[1] / "reference"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "cfa"
R = json.loads((HERE / "confirmatory.json").read_text(encoding="utf-8"))
X = [f"x{i}" for i in range(1, 10)]
THREE = {"visual": X[:3], "textual": X[3:6], "speed": X[6:]}
BIG5 = {name: [f"{name}{i}" for i in range(1, 6)] for name in "ACENO"}
DEMOCRACY = {"ind": X[:3], "dem60": [f"y{i}" for i in range(1, 5)], "dem65": [f"y{i}" for i in range(5, 9)]}
ERRORS = [("y1", "y5"), ("y2", "y4"), ("y2", "y6"), ("y3", "y7"), ("y4", "y8"), ("y6", "y8")]
HOLES = (("x5", 0, 7), ("x9", 1, 5), ("x1", 2, 11), ("x2", 2, 22))
MODELS = {
    "hs": (THREE, {}),
    "hs_one": ({"g": X}, {}),
    "hs_groups": (THREE, {}),
    "hs_second": (THREE, {"higher": {"general": list(THREE)}}),
    "holes": (THREE, {}),
    "holes_groups": (THREE, {}),
    "pd": (DEMOCRACY, {}),
    "pd_errors": (DEMOCRACY, {"correlated_errors": ERRORS}),
    "bfi": (BIG5, {}),
    "bfi_method": ({**BIG5, "m": R["turned"]}, {"uncorrelated": ["m"]}),
}


class Case(NamedTuple):
    """A model, its answers by group, R's values, and how it was fitted."""

    structure: Structure
    answers: list[np.ndarray]
    expected: dict
    estimator: str

    def fit(self) -> Fitted:
        if self.estimator == "ml":
            return fit_ml(self.structure, [sample_of(each) for each in self.answers])
        return (fit_mlr if self.estimator == "mlr" else fit_fiml)(self.structure, self.answers)


def data_of(model: str) -> pd.DataFrame:
    if model.startswith("bfi"):
        frame = pd.read_csv(HERE / "bfi.csv").astype(float)
        frame[R["turned"]] = 7 - frame[R["turned"]]
        return frame
    path = SHARED / ("PoliticalDemocracy.csv" if model.startswith("pd") else "HolzingerSwineford1939.csv")
    if not path.exists():
        pytest.skip("the shared data sets are not beside this checkout")
    frame = pd.read_csv(path)
    if model.startswith("holes"):
        for column, first, step in HOLES:
            frame.loc[np.arange(first, len(frame), step), column] = np.nan
    return frame


def case_of(name: str) -> Case:
    model, estimator = name.rsplit("_", 1)
    factors, options = MODELS[model]
    items = list(dict.fromkeys(item for members in factors.values() for item in members))
    frame = data_of(model)
    parts = [frame[frame["school"] == school] for school in frame["school"].unique()] if "groups" in model else [frame]
    answers = [part[items].to_numpy(float) for part in parts]
    if estimator != "fiml":
        answers = [each[~np.isnan(each).any(axis=1)] for each in answers]
    structure = measurement_model(items, factors, n_groups=len(parts), **options)
    return Case(structure, answers, R["cases"][name], estimator)


def cell_of(structure: Structure, lhs: str, op: str, rhs: str, group: int) -> tuple[str, tuple[int, int, int]]:
    """Where a parameter of lavaan stands."""
    items = {name: i for i, name in enumerate(structure.items)}
    factors = {name: k for k, name in enumerate(structure.factors)}
    if op == "~1":
        matrix, row, column = ("factor_means", factors[lhs], 0) if lhs in factors else ("intercepts", items[lhs], 0)
    elif op == "=~":
        higher = rhs in factors
        matrix, row, column = "regressions" if higher else "loadings", {**items, **factors}[rhs], factors[lhs]
    else:
        names = factors if lhs in factors else items
        column, row = sorted((names[lhs], names[rhs]))
        matrix = "factor_covariances" if lhs in factors else "residuals"
    return matrix, (group - 1, row, column)


@pytest.fixture(params=list(R["cases"]))
def case(request) -> Case:
    return case_of(request.param)


@pytest.fixture
def named_case():
    return case_of


@pytest.fixture
def find_cell():
    return cell_of
