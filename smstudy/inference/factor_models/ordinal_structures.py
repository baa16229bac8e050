"""Factor models fitted to ordinal answers: diagonally weighted least squares on thresholds and polychoric correlations.

Standard errors and tests are robust (WLSMV). What is free in thresholds, intercepts and scales follows from the
structure: without thresholds every latent response has variance 1 and the thresholds follow the data; with them every
cell counts as it stands, and what is implied is brought to variance 1 before it is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.admissible import ImproperError, inverse, refuse_improper
from smstudy.inference.factor_models.fitted import ChiSquare, Fitted, Sample
from smstudy.inference.factor_models.starts import oriented, started
from smstudy.inference.factor_models.structures import FIXED, Moments, Structure, fixed
from smstudy.inference.psychometrics.polychoric import OrdinalSample, Polychorics, asymptotic_covariance, polychorics
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]

MAX_STEPS = 500
GOAL = 1e-18  # squared distance to the minimum, in standard errors of one respondent
HALVINGS = 25
DAMPING = 1e-8
NEAR = 1e-9  # so near that rounding decides whether the fit gets better
LEAST_UNIQUE = 1e-6
SAME = 1e-5  # of covariances, where the same answers were read in another order
NESTED = 1e-9  # discrepancy at which one model reproduces what another implies


class OrdinalMoments(NamedTuple):
    """What a model of ordinal answers is fitted to in one group.

    `found` holds thresholds and polychoric correlations; `gamma` their covariance over samples, times the respondents.
    """

    found: Polychorics
    gamma: Floats

    @property
    def smallest_eigenvalue(self) -> float:
        """Of the polychoric correlations; below 0 they are those of no variables, which the fit does not need."""
        return float(np.linalg.eigvalsh(self.found.correlations)[0])

    def of_items(self, names: Sequence[str]) -> OrdinalMoments:
        """The same for some items, in the order given, without going back to the answers."""
        found = self.found
        kept = np.array([found.names.index(name) for name in names])
        owner = np.repeat(np.arange(len(found.names)), found.n_thresholds)
        levels = np.concatenate([np.flatnonzero(owner == item) for item in kept])
        place = np.zeros((len(found.names),) * 2, dtype=int)
        place[found.pairs] = np.arange(len(found.tables))
        one, other = (kept[index] for index in np.triu_indices(len(kept), 1))
        turned = one > other
        pairs = (place + place.T)[one, other]
        tables = np.where(turned[:, None, None], found.tables[pairs].transpose(0, 2, 1), found.tables[pairs])
        both = np.concatenate([levels, len(owner) + pairs])
        return OrdinalMoments(
            replace(
                found,
                names=tuple(names),
                thresholds=found.thresholds[kept],
                correlations=found.correlations[np.ix_(kept, kept)],
                n_pairs=found.n_pairs[np.ix_(kept, kept)],
                tables=tables,
                n_empty=found.n_empty[pairs],
                boundary=found.boundary[pairs],
            ),
            self.gamma[np.ix_(both, both)],
        )


@dataclass(frozen=True)
class OrdinalStructure(Structure):
    """A factor model of latent responses of variance 1 (the delta parameterization).

    Residual variances are what the factors leave of 1, so they have no places; intercepts are 0. Slopes count for
    covariances of different items only.
    """

    def at(self, parameters: Floats) -> dict[str, Floats]:
        """Every matrix at some values of the parameters, residual variances included."""
        cells = super().at(parameters)
        size = np.eye(len(self.factors))
        paths = cells["loadings"] @ np.linalg.inv(size - cells["regressions"])
        common = ((paths @ cells["factor_covariances"]) * paths).sum(axis=2)
        rows = np.arange(len(self.items))
        residuals = cells["residuals"].astype(common.dtype)
        residuals[:, rows, rows] = 1 - common
        return {**cells, "residuals": residuals}


@dataclass(frozen=True, kw_only=True)
class OrdinalFitted(Fitted):
    """A factor model fitted to ordinal answers.

    Attributes
    ----------
    moments : sequence of OrdinalMoments, length g
        Thresholds, polychoric correlations and their covariance, as they were fitted.
    """

    moments: Sequence[OrdinalMoments] = field(repr=False)

    @property
    def n_counted(self) -> int:
        """Parameters, and thresholds that follow the data: what lavaan calls npar."""
        return _n_counted(self.structure, self.moments)

    @property
    def implied(self) -> Moments:
        """Correlations that the model implies, and means of 0: what `observed` is compared with."""
        moments = self.structure.moments(self.parameters)
        spread = np.sqrt(np.diagonal(moments.covariances, axis1=1, axis2=2))
        correlations = moments.covariances / (spread[:, :, None] * spread[:, None, :])
        return Moments(correlations, np.zeros_like(moments.means))


class _Target(NamedTuple):
    """Statistics of one group to be met, their weights, their covariance, and the share of the group.

    `counted` is the share by which its distances count: n - 1 of all respondents, as in lavaan.
    """

    statistics: Floats
    weights: Floats
    gamma: Floats
    share: float
    counted: float


class _Sandwich(NamedTuple):
    """Bread J'WJ, meat J'W Gamma WJ, and `twice` J'W Gamma W Gamma WJ, all of shape (q, q)."""

    bread: Floats
    meat: Floats
    twice: Floats


def ordinal_moments(sample: OrdinalSample) -> OrdinalMoments:
    """Thresholds, polychoric correlations and their covariance for the respondents of one group.

    Raises
    ------
    EstimationError
        If the group lacks a category, or a correlation stops at its limit, where its covariance means nothing.
    """
    found = polychorics(sample)
    if found.boundary.any():
        one, other = (index[found.boundary][0] for index in found.pairs)
        raise EstimationError(
            f"No answers to {found.names[one]} and {found.names[other]} contradict a perfect correlation, so it cannot "
            "be told from 1. Leave one of them out."
        )
    return OrdinalMoments(found, asymptotic_covariance(sample, found))


def with_thresholds(structure: Structure, samples: Sequence[OrdinalMoments]) -> Structure:
    """The model with thresholds of its own for every group, ready to be tied: the theta parameterization.

    Residual variances are 1 and intercepts 0 in every group, so the model fits as without thresholds; tie thresholds or
    loadings over groups and free the scales that this identifies (Wu & Estabrook 2016, Psychometrika 81, 1014-1045).

    Parameters
    ----------
    structure : Structure
        As `measurement_model` writes it.
    samples : sequence of OrdinalMoments, length g
        Where the thresholds begin; infinite ones pad items with fewer categories.
    """
    bare = _without_scales(structure)
    thresholds = np.array([sample.found.thresholds for sample in samples])
    finite = np.isfinite(thresholds)
    places = np.full(thresholds.shape, FIXED)
    places[finite] = bare.n_parameters + np.arange(finite.sum())
    rows = np.arange(len(bare.items))
    residuals = bare.values["residuals"].copy()
    residuals[:, rows, rows] = 1.0
    return replace(
        bare,
        values={**bare.values, "residuals": residuals, "thresholds": thresholds},
        places={**bare.places, "thresholds": places},
    )


def fit_wlsmv(structure: Structure, samples: Sequence[OrdinalMoments]) -> OrdinalFitted:
    """Fit a factor model to ordinal answers by diagonally weighted least squares, with robust errors and test.

    The weights are the inverse sampling variances of thresholds and polychoric correlations; standard errors are
    sandwiches of all their covariances; the test is scaled and shifted so that its mean and variance are those of
    chi-squared. As in lavaan, every group counts n - 1 respondents.

    Parameters
    ----------
    structure : Structure
        The model. Without thresholds, latent responses have variance 1 and thresholds follow the data, whatever the
        model says of residual variances and intercepts; see `with_thresholds` for the other kind.
    samples : sequence of OrdinalMoments, length g
        From `ordinal_moments`, items in the order of the model.

    Returns
    -------
    OrdinalFitted
        Its `structure` has no places for what follows the data; `observed` holds the polychoric correlations.

    Raises
    ------
    EstimationError
        If groups have different categories, there are more parameters than statistics or, thresholds counted, than
        respondents, the parameters are not identified, the search does not end, or the solution is improper (a
        standardized loading of 1 or more, factors that correlate beyond 1).

    References
    ----------
    Muthen, du Toit & Spisic (1997); Asparouhov & Muthen (2010), Simple second order chi-square correction. Agrees with
    R lavaan::cfa(ordered = TRUE, estimator = "WLSMV") (tests/reference/ordinal_structures.R).

    Examples
    --------
    >>> from smstudy.inference.factor_models.structures import measurement_model
    >>> rng = np.random.default_rng(3)
    >>> codes = (rng.normal(size=(500, 1)) + rng.normal(size=(500, 4)) > 0.3).astype(np.int8)
    >>> moments = ordinal_moments(OrdinalSample(tuple("abcd"), codes, np.full(4, 2)))
    >>> fitted = fit_wlsmv(measurement_model(list("abcd"), {"f": list("abcd")}), [moments])
    >>> fitted.test.df, fitted.structure.n_parameters
    (2, 4)
    """
    model = structure if structure.values["thresholds"].shape[2] else _standard(structure)
    samples = [each if each.found.names == model.items else each.of_items(model.items) for each in samples]
    targets = _targets(samples, thresholds=not isinstance(model, OrdinalStructure))
    _refuse_unusable(model, samples, targets)
    observed = tuple(Sample(each.found.correlations, np.zeros(len(model.items)), each.found.n) for each in samples)
    with one_thread():
        parameters, distance = _minimize(model, started(model, observed).start(), targets)
        parameters = oriented(model, parameters)
        _refuse_heywood(model, parameters)
        layers = _sandwich(_slopes(model, parameters), targets)
        bread = inverse(layers.bread, model)
        refuse_improper(model, parameters, distance)
        n = sum(sample.n for sample in observed)
        test = _test(targets, layers, bread, n * _discrepancy(_gaps(model, parameters, targets), targets))
    return OrdinalFitted(
        structure=model,
        parameters=parameters,
        sampling=bread @ layers.meat @ bread / (n - len(observed)),
        test=test,
        baseline=_independence(samples),
        observed=observed,
        estimator="WLSMV",
        moments=tuple(samples),
    )


def difference_test(restricted: OrdinalFitted, free: OrdinalFitted) -> ChiSquare:
    """Test a model against one that it is nested in, scaled and shifted.

    Parameters
    ----------
    restricted, free : OrdinalFitted
        The same answers; every covariance and threshold that the first can reproduce, the second can.

    Returns
    -------
    ChiSquare
        `statistic` is the difference of the uncorrected statistics.

    Raises
    ------
    EstimationError
        If the models were fitted to different answers, or the first is not the more restricted one.

    References
    ----------
    Satorra (2000) in Innovations in Multivariate Statistical Analysis, 233-247; Asparouhov & Muthen (2006), DIFFTEST.
    Agrees with R lavaan::lavTestLRT(method = "satorra.2000", A.method = "delta")
    (tests/reference/ordinal_structures.R).
    """
    df, statistic = restricted.test.df - free.test.df, restricted.test.statistic - free.test.statistic
    restricted = _in_order(restricted, free.structure.items)
    _refuse_not_nested(restricted, free, df)
    with one_thread():
        targets, above = _targets(free.moments, thresholds=True), _all_slopes(free)
        ends = np.cumsum([len(target.statistics) for target in targets])[:-1]
        layers = _sandwich(np.split(above, ends), targets)
        within = np.linalg.lstsq(above, _all_slopes(restricted), rcond=None)[0]
        beyond = np.linalg.qr(within, mode="complete")[0][:, within.shape[1] :]
        crossed = np.linalg.solve(layers.bread, beyond)
        projected = crossed @ np.linalg.solve(beyond.T @ crossed, crossed.T) @ layers.meat
    return _adjusted(max(statistic, 0.0), df, float(np.trace(projected)), float((projected * projected.T).sum()))


def slope_and_information(
    structure: Structure, parameters: Floats, samples: Sequence[OrdinalMoments]
) -> tuple[Floats, Floats]:
    """Slope of minus half the discrepancy by the parameters, shape (q,), and its expected second derivatives, (q, q).

    Both for a respondent on average, counted as lavaan counts them: what modification indices are made of.
    """
    with one_thread():
        targets = _targets(samples, thresholds=not isinstance(structure, OrdinalStructure))
        slopes, gaps = _slopes(structure, parameters), _gaps(structure, parameters, targets)
        pull, _ = _pull(slopes, targets, gaps)
        _, information = _pull(slopes, [each._replace(counted=each.share) for each in targets], gaps)
    return pull, information


def _without_scales(structure: Structure) -> Structure:
    """Nothing free that thresholds make arbitrary: variances of single residuals and intercepts."""
    groups, rows = range(structure.n_groups), range(len(structure.items))
    bare = fixed(structure, "residuals", [(group, row, row) for group in groups for row in rows], 0.0)
    return fixed(bare, "intercepts", [(group, row, 0) for group in groups for row in rows], 0.0)


def _standard(structure: Structure) -> OrdinalStructure:
    bare = _without_scales(structure)
    return OrdinalStructure(**{each.name: getattr(bare, each.name) for each in fields(Structure)})


def _targets(samples: Sequence[OrdinalMoments], *, thresholds: bool) -> list[_Target]:
    n = sum(sample.found.n for sample in samples)
    targets = []
    for found, gamma in samples:
        first = 0 if thresholds else int(found.n_thresholds.sum())
        block = gamma[first:, first:]
        targets.append(_Target(found.statistics[first:], 1 / np.diag(block), block, found.n / n, (found.n - 1) / n))
    return targets


def _expected(model: Structure, parameters: Floats) -> list[Floats]:
    """Thresholds, where the model has them, and correlations that it implies, by group."""
    moments, cut = model.moments(parameters), model.at(parameters)["thresholds"]
    pairs = np.triu_indices(len(model.items), 1)
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(np.diagonal(moments.covariances, axis1=1, axis2=2))
    levels = (cut - moments.means[:, :, None]) / spread[:, :, None]
    correlations = moments.covariances / (spread[:, :, None] * spread[:, None, :])
    return [
        np.concatenate([level[known], matrix[pairs]])
        for level, known, matrix in zip(levels, np.isfinite(cut), correlations, strict=True)
    ]


def _slopes(model: Structure, parameters: Floats) -> list[Floats]:
    """Derivatives of what `_expected` gives by the parameters, by group; shape (statistics, q)."""
    slopes, q = model.slopes(parameters), model.n_parameters
    one, other = np.triu_indices(len(model.items), 1)
    if isinstance(model, OrdinalStructure):
        return [slopes.elements(group, q, one, other) for group in range(model.n_groups)]
    cut, rows, found = model.at(parameters)["thresholds"], np.arange(len(model.items)), []
    for group, (covariances, means) in enumerate(zip(*model.moments(parameters), strict=True)):
        variances = np.diag(covariances)
        spread = np.sqrt(variances)
        stretch = slopes.elements(group, q, rows, rows) / (2 * variances[:, None])
        correlations = covariances[one, other] / (spread[one] * spread[other])
        moved = slopes.elements(group, q, one, other) / (spread[one] * spread[other])[:, None]
        moved -= correlations[:, None] * (stretch[one] + stretch[other])
        item, level = np.nonzero(np.isfinite(cut[group]))
        raised = -slopes.mean_elements(group, q)[item]
        place = model.places["thresholds"][group, item, level]
        free = np.flatnonzero(place != FIXED)
        raised[free, place[free]] += 1
        standard = (cut[group, item, level] - means[item]) / spread[item]
        found.append(np.concatenate([raised / spread[item, None] - standard[:, None] * stretch[item], moved]))
    return found


def _all_slopes(fitted: OrdinalFitted) -> Floats:
    """Derivatives of all thresholds and correlations, groups below each other; thresholds that follow the data too."""
    slopes = _slopes(fitted.structure, fitted.parameters)
    if not isinstance(fitted.structure, OrdinalStructure):
        return np.concatenate(slopes)
    counts = [int(sample.found.n_thresholds.sum()) for sample in fitted.moments]
    blocks = [np.zeros((count + len(slope), sum(counts))) for count, slope in zip(counts, slopes, strict=True)]
    for block, count, end in zip(blocks, counts, np.cumsum(counts), strict=True):
        block[np.arange(count), end - count + np.arange(count)] = 1
    padded = [np.pad(slope, ((count, 0), (0, 0))) for count, slope in zip(counts, slopes, strict=True)]
    return np.hstack([np.concatenate(blocks), np.concatenate(padded)])


def _minimize(model: Structure, at: Floats, targets: Sequence[_Target]) -> tuple[Floats, float]:
    """Gauss-Newton with halved steps; the parameters, and the squared distance to the minimum."""
    distance, gaps = float("inf"), _gaps(model, at, targets)
    for _ in range(MAX_STEPS):
        direction, distance = _direction(model, at, targets, gaps)
        if distance < GOAL:
            break
        value = _discrepancy(gaps, targets)
        for size in 0.5 ** np.arange(HALVINGS):
            tried = _gaps(model, at + size * direction, targets)
            new = _discrepancy(tried, targets)
            if new < value - 1e-4 * size * distance or (distance < NEAR and new < value + NEAR):
                break
        else:
            break
        at, gaps = at + size * direction, tried
    return at, distance


def _direction(model: Structure, at: Floats, targets: Sequence[_Target], gaps: list[Floats]) -> tuple[Floats, float]:
    """The next step; directions that hardly change what is implied are damped."""
    pull, bread = _pull(_slopes(model, at), targets, gaps)
    scale = 1 / np.sqrt(np.maximum(np.diag(bread), np.finfo(float).tiny))
    roots, vectors = np.linalg.eigh(bread * np.outer(scale, scale))
    direction = scale * (vectors @ ((vectors.T @ (scale * pull)) / np.maximum(roots, DAMPING)))
    return direction, float(direction @ pull)


def _pull(slopes: list[Floats], targets: Sequence[_Target], gaps: list[Floats]) -> tuple[Floats, Floats]:
    """J'W times what is left to explain, shape (q,), and J'WJ."""
    pull, bread = np.zeros(slopes[0].shape[1]), np.zeros((slopes[0].shape[1],) * 2)
    for target, slope, gap in zip(targets, slopes, gaps, strict=True):
        weighted = (target.counted * target.weights)[:, None] * slope
        bread += weighted.T @ slope
        pull += weighted.T @ gap
    return pull, bread


def _gaps(model: Structure, at: Floats, targets: Sequence[_Target]) -> list[Floats]:
    """What is left to explain, by group."""
    return [target.statistics - each for target, each in zip(targets, _expected(model, at), strict=True)]


def _discrepancy(gaps: list[Floats], targets: Sequence[_Target]) -> float:
    """Weighted squared distances of statistics, a respondent on average; infinite where a variance is negative."""
    total = sum(target.counted * target.weights @ gap**2 for target, gap in zip(targets, gaps, strict=True))
    return float(total) if np.isfinite(total) else float("inf")


def _sandwich(slopes: Sequence[Floats], targets: Sequence[_Target]) -> _Sandwich:
    parts = []
    for target, slope in zip(targets, slopes, strict=True):
        weighted = target.weights[:, None] * slope
        spread = target.gamma @ weighted
        twice = spread.T @ (target.weights[:, None] * spread)
        parts.append([target.share * part for part in (weighted.T @ slope, weighted.T @ spread, twice)])
    return _Sandwich(*(sum(part) for part in zip(*parts, strict=True)))


def _test(targets: Sequence[_Target], layers: _Sandwich, bread: Floats, statistic: float) -> ChiSquare:
    """Fit of the model; U Gamma, with U = W - WJ (J'WJ)^-1 J'W, has the traces that scale and shift it."""
    count, sandwich = sum(len(target.weights) for target in targets), bread @ layers.meat
    trace = count - np.trace(sandwich)
    squared = sum(map(_squared, targets)) - 2 * (bread * layers.twice).sum() + (sandwich * sandwich.T).sum()
    return _adjusted(statistic, count - len(bread), float(trace), float(squared))


def _independence(samples: Sequence[OrdinalMoments]) -> ChiSquare:
    """Test of the model in which items do not correlate and thresholds follow the data."""
    targets, n = _targets(samples, thresholds=False), sum(sample.found.n for sample in samples)
    statistic = n * sum(float(each.counted * each.weights @ each.statistics**2) for each in targets)
    count = sum(len(target.weights) for target in targets)
    return _adjusted(statistic, count, float(count), sum(map(_squared, targets)))


def _squared(target: _Target) -> float:
    """Trace of W Gamma W Gamma."""
    return float(target.weights @ np.square(target.gamma) @ target.weights)


def _adjusted(statistic: float, df: int, trace: float, squared: float) -> ChiSquare:
    """Scale and shift that give the statistic the mean and the variance of chi-squared."""
    if df == 0:
        return ChiSquare(statistic, 0)
    factor = float(np.sqrt(df / squared))
    return ChiSquare(statistic, df, scale=1 / factor, shift=float(df - factor * trace))


def _refuse_unusable(model: Structure, samples: Sequence[OrdinalMoments], targets: Sequence[_Target]) -> None:
    levels = np.array([sample.found.n_thresholds for sample in samples])
    if (levels != levels[0]).any():
        names = [name for name, same in zip(model.items, (levels == levels[0]).all(axis=0), strict=True) if not same]
        raise EstimationError(
            f"{', '.join(names)}: a group lacks a category that another one uses, so their thresholds cannot be "
            "compared. Join categories, or join groups."
        )
    count = sum(len(target.statistics) for target in targets)
    if count < model.n_parameters:
        raise EstimationError(
            f"The model has {model.n_parameters} parameters but there are only {count} statistics to tell them, so it "
            "cannot be fitted (negative degrees of freedom). A factor alone needs three items; give it more items, or "
            "leave out a path."
        )
    counted = _n_counted(model, samples)
    if sum(sample.found.n for sample in samples) < counted:
        raise EstimationError(
            f"There are fewer complete respondents than the model needs, {counted}: one for each of its parameters, "
            "thresholds between answers counted. Use fewer items or factors, join categories, or collect more answers."
        )


def _n_counted(model: Structure, samples: Sequence[OrdinalMoments]) -> int:
    following = isinstance(model, OrdinalStructure)
    return model.n_parameters + following * sum(int(sample.found.n_thresholds.sum()) for sample in samples)


def _refuse_heywood(model: Structure, parameters: Floats) -> None:
    variances = np.diagonal(model.moments(parameters).covariances, axis1=1, axis2=2)
    unique = np.diagonal(model.at(parameters)["residuals"], axis1=1, axis2=2) / variances
    bad = sorted({model.items[item] for item in np.nonzero(~(unique > LEAST_UNIQUE))[1]})
    if bad:
        raise ImproperError(
            f"The factors would explain all of {', '.join(bad)} and more: a standardized loading of 1 or beyond (a "
            "Heywood case), so its numbers mean nothing. Leave that item out or look where it belongs, use fewer "
            "factors, or collect more answers.",
            np.nonzero(~(unique > LEAST_UNIQUE))[0],
        )


def _in_order(fitted: OrdinalFitted, items: tuple[str, ...]) -> OrdinalFitted:
    """The same fit with its items in another order; unchanged if they are others."""
    model = fitted.structure
    if model.items == items or set(model.items) != set(items):
        return fitted
    order = [model.items.index(name) for name in items]

    def moved(matrices: Mapping[str, NDArray]) -> dict[str, NDArray]:
        rows = {name: matrices[name][:, order] for name in ("loadings", "residuals", "intercepts", "thresholds")}
        return {**matrices, **rows, "residuals": rows["residuals"][:, :, order]}

    turned = replace(model, items=items, values=moved(model.values), places=moved(model.places))
    return replace(fitted, structure=turned, moments=[sample.of_items(items) for sample in fitted.moments])


def _refuse_not_nested(restricted: OrdinalFitted, free: OrdinalFitted, df: int) -> None:
    same = len(restricted.moments) == len(free.moments) and all(
        a.found.names == b.found.names and a.found.n == b.found.n and np.allclose(a.gamma, b.gamma, rtol=SAME)
        for a, b in zip(restricted.moments, free.moments, strict=True)
    )
    if not same:
        raise EstimationError("The two models were fitted to different answers. Fit both to the same ones.")
    if df <= 0 or not _reproduces(free, restricted):
        raise EstimationError(
            "The models are not nested: the second cannot reproduce all that the first can, or has no more parameters. "
            "Compare their fit indices instead."
        )


def _reproduces(free: OrdinalFitted, restricted: OrdinalFitted) -> bool:
    """Whether a model can be fitted to all that another one implies (Bentler & Satorra 2010, Psychol. Methods 15)."""
    targets = []
    for sample, implied, target in zip(
        free.moments,
        _expected(restricted.structure, restricted.parameters),
        _targets(free.moments, thresholds=True),
        strict=True,
    ):
        start = len(target.statistics) - len(implied)
        followed = np.concatenate([sample.found.statistics[:start], implied])
        targets.append(target._replace(statistics=followed))
    if isinstance(free.structure, OrdinalStructure):
        pairs = len(free.moments[0].found.tables)
        targets = [
            each._replace(statistics=each.statistics[-pairs:], weights=each.weights[-pairs:]) for each in targets
        ]
    with one_thread():
        nearest, _ = _minimize(free.structure, free.parameters, targets)
    return _discrepancy(_gaps(free.structure, nearest, targets), targets) < NESTED
