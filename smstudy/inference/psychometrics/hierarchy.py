"""One general factor above several group factors: numbers on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.fitted import Sample
from smstudy.inference.factor_models.normal_theory import fit_ml
from smstudy.inference.factor_models.structures import Structure, measurement_model
from smstudy.inference.psychometrics.consistency import Floats
from smstudy.inference.psychometrics.extraction import extract
from smstudy.inference.psychometrics.rotation import rotate
from smstudy.inference.threads import one_thread

LEAST_SHARE = 0.9
MOST_BLOCKS = 1000
SLOPE_STEP = 1e-6
GENERAL = "(general)"


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """Loadings of items on a general factor and on group factors that correlate with nothing else.

    Attributes
    ----------
    general : ndarray, shape (p,)
        Standardized loadings on the general factor; their sum is not negative.
    groups : ndarray, shape (p, m)
        Standardized loadings on the group factors.
    omega_hierarchical : float
        Share of the variance of the sum of the items that the general factor explains.
    omega_total : float
        Share that all common factors explain.
    general_share : float
        Share of the common variance of the items that the general factor explains (ECV).
    """

    general: Floats
    groups: Floats
    omega_hierarchical: float
    omega_total: float
    general_share: float


def schmid_leiman(correlations: Floats, n_factors: int) -> Hierarchy:
    """Turn oblique factors into a general factor and group factors.

    Factors are extracted by minres and rotated by oblimin; a minres factor of their correlations gives the general one.
    Two group factors share one correlation, so both get the same loading on the general factor.

    Parameters
    ----------
    correlations : ndarray, shape (p, p)
        Correlations of the items.
    n_factors : int
        Group factors, m >= 2.

    Raises
    ------
    EstimationError
        If there are too many factors for the items, or a factor model ends in a Heywood case.

    References
    ----------
    Schmid & Leiman (1957), Psychometrika 22, 53-61; Zinbarg, Revelle, Yovel & Li (2005), Psychometrika 70, 123-133.
    Agrees with R psych::omega (tests/reference/omegas.R).
    """
    if n_factors < 2:
        raise EstimationError("A general factor above others needs two group factors or more. Use omega_total for one.")
    extracted = extract(correlations, n_factors)
    turned = rotate(extracted.loadings, "oblimin")
    weights = _general_weights(turned.correlations)
    general = turned.loadings @ weights
    general *= -1.0 if general.sum() < 0 else 1.0
    groups = turned.loadings * np.sqrt(1 - weights**2)
    total = correlations.sum()
    common = (general**2).sum(), (groups**2).sum()
    return Hierarchy(
        general=general,
        groups=groups,
        omega_hierarchical=float(general.sum() ** 2 / total),
        omega_total=float((total - extracted.uniquenesses.sum()) / total),
        general_share=float(common[0] / sum(common)),
    )


def second_order(
    covariances: Floats, n: int, items: Sequence[str], dimensions: Mapping[str, Sequence[str]]
) -> tuple[Hierarchy, float]:
    """Fit a factor above the factors of some dimensions by maximum likelihood, with the standard error of its omega.

    Parameters
    ----------
    covariances : ndarray, shape (p, p)
        With divisor n.
    n : int
        Respondents.
    items : sequence of str, length p
        Names of the items.
    dimensions : mapping of str to sequence of str
        Items of three dimensions or more, every item in one.

    Raises
    ------
    EstimationError
        If there are fewer than three dimensions, or the model cannot be fitted.

    References
    ----------
    Yung, Thissen & McLeod (1999), Psychometrika 64, 113-128. Agrees with R semTools::compRelSEM(higher = ,
    obs.var = FALSE).
    """
    if len(dimensions) < 3:
        raise EstimationError("A factor above others needs three dimensions or more. Leave `dimensions` out for two.")
    model = measurement_model(items, dimensions, higher={GENERAL: list(dimensions)})
    fitted = fit_ml(model, [Sample(covariances, np.zeros(len(items)), n)])
    steps = np.eye(len(fitted.parameters)) * SLOPE_STEP

    def omega(parameters: Floats) -> float:
        return _of_second_order(model, parameters).omega_hierarchical

    slope = np.array([omega(fitted.parameters + h) - omega(fitted.parameters - h) for h in steps]) / (2 * SLOPE_STEP)
    return _of_second_order(model, fitted.parameters), float(np.sqrt(slope @ fitted.sampling @ slope))


def resampled_omegas(answers: Floats, n_factors: int, n_boot: int, seed: int) -> Floats:
    """Hierarchical omegas of samples drawn with replacement from respondents, shape (n_boot,).

    Samples whose model cannot be fitted are drawn anew. More than 1000 respondents are drawn in 1000 random blocks,
    which gives the same spread for less work.

    Raises
    ------
    EstimationError
        If more than one sample in ten cannot be fitted.
    """
    rng = np.random.default_rng(seed)
    sums, products, sizes = _blocks(answers - answers.mean(axis=0), rng)
    found: list[float] = []
    with one_thread():
        for _ in range(int(n_boot / LEAST_SHARE) + 1):
            counts = np.bincount(rng.integers(len(sizes), size=len(sizes)), minlength=len(sizes)).astype(float)
            mean = counts @ sums / (counts @ sizes)
            square = (counts @ products).reshape(len(mean), -1) / (counts @ sizes)
            found += _omega_of_sample(square - np.outer(mean, mean), n_factors)
            if len(found) == n_boot:
                return np.array(found)
    raise EstimationError(
        "More than one in ten resampled data sets have no proper factor solution, so there is no interval. Ask for "
        "fewer factors, or collect more answers."
    )


def _general_weights(correlations: Floats) -> Floats:
    """Loadings of the group factors on the general one."""
    if len(correlations) == 2:
        both = correlations[0, 1]
        return np.sqrt(abs(both)) * np.array([1.0, np.sign(both)])
    try:
        return extract(correlations, 1).loadings[:, 0]
    except EstimationError:
        raise EstimationError(
            "The correlations of the group factors have no proper general factor above them. Ask for another number of "
            "factors, or read each part of the scale by itself."
        ) from None


def _of_second_order(model: Structure, parameters: Floats) -> Hierarchy:
    cells = {name: cell[0] for name, cell in model.at(parameters).items()}
    implied = model.moments(parameters).covariances[0]
    groups = cells["loadings"][:, :-1]
    general = groups @ cells["regressions"][:-1, -1]
    total, spread = implied.sum(), np.sqrt(np.diag(implied))
    common = (general / spread) ** 2, (groups / spread[:, None]) ** 2
    return Hierarchy(
        general=general / spread,
        groups=groups / spread[:, None],
        omega_hierarchical=float(general.sum() ** 2 / total),
        omega_total=float(1 - cells["residuals"].sum() / total),
        general_share=float(common[0].sum() / (common[0].sum() + common[1].sum())),
    )


def _blocks(centered: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Sums, sums of products, shape (blocks, p * p), and sizes of random blocks: of one respondent if these are few."""
    n, p = centered.shape
    n_blocks = min(n, MOST_BLOCKS)
    edges = np.linspace(0, n, n_blocks + 1).astype(int)
    shuffled = centered[rng.permutation(n)]
    products = np.stack([(part.T @ part).ravel() for part in np.split(shuffled, edges[1:-1])])
    return np.add.reduceat(shuffled, edges[:-1]), products.reshape(n_blocks, p * p), np.diff(edges).astype(float)


def _omega_of_sample(covariances: Floats, n_factors: int) -> list[float]:
    """The estimate as a list of one, or of none."""
    spread = np.sqrt(np.diag(covariances))
    if not spread.all():
        return []
    try:
        return [schmid_leiman(covariances / np.outer(spread, spread), n_factors).omega_hierarchical]
    except EstimationError:
        return []
