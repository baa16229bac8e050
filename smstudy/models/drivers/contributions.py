"""Which driver matters most: R² split over drivers that overlap, with how far the order can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import figures, rules
from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, DisclosureError, StudyError
from smstudy.inference.linearization import check_level
from smstudy.inference.regression.covariance import ENOUGH_CLUSTERS, FEWEST_CLUSTERS
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.diagnostics import describes_too_few, variance_inflation
from smstudy.inference.regression.formula import Formula, parse_formula, term_label
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.relative_importance import (
    centered_products,
    complete_dominance,
    conditional_dominance,
    resampled_shares,
    shapley_shares,
    simultaneous_interval,
    subset_r_squared,
)
from smstudy.inference.threads import one_thread
from smstudy.models.samplings import sampling_of
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, labels_of, privacy_of
from smstudy.survey.disclosure import NO_GROUP, pool_hidden, pooled_column
from smstudy.survey.weights import Weights, extreme_weights

Array = NDArray[np.float64]
MORE = "more important"
CANNOT_TELL = "cannot tell"
MOST_DRIVERS = 15
FEWEST_RESAMPLES = 100
ENOUGH_RESPONDENTS = 30
ENOUGH_PER_COEFFICIENT = 10
MANY_DROPPED = 0.10
EXACT = 1e-12
LARGEST = 0.9999
PERFECT = 1 - 1e-10
SAME = 1e-10
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True, repr=False)
class ConditionalDominance(Result):
    """What each driver adds on average when a number of others is held constant."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per driver and number of others: term, n_others, estimate (R² added)."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


@dataclass(frozen=True, kw_only=True, repr=False)
class Dominance(Result):
    """Pairs of drivers: which matters more, and whether that can be told."""

    rows: pd.DataFrame = field(repr=False)
    n: int
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per pair, the driver with the larger share first; difference of the shares with its interval."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and level."""
        return {"n": self.n, "conf_level": self.conf_level}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Importance(Result):
    """How important drivers are beside each other.

    Attributes
    ----------
    drivers : DataFrame
        The tidy table.
    dominance : Dominance
        The drivers in pairs.
    conditional : ConditionalDominance
        What each adds by the number of others held constant.
    summary : mapping
        What `glance()` gives.
    resamples : array, shape (n_boot, p)
        R² of each driver in each resample, in the order of the formula.
    """

    drivers: pd.DataFrame = field(repr=False)
    dominance: Dominance
    conditional: ConditionalDominance
    summary: Mapping[str, int | float | str]
    resamples: Array = field(repr=False)

    picture: ClassVar[Callable[..., Axes]] = staticmethod(
        partial(
            figures.estimates,
            value="importance",
            ends=("importance_low", "importance_high"),
            xlabel="Share of what the drivers account for, with interval",
        )
    )

    def tidy(self) -> pd.DataFrame:
        """One row per driver, in the order of the formula."""
        return self.drivers.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, R² and resamples."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """The most important first."""
        columns = ["term", "importance", "importance_low", "importance_high", "rank", "rank_share"]
        return shown[[*columns, "estimate", "alone", "last", "reading"]].sort_values(
            "rank", kind="stable", ignore_index=True
        )

    def drawn(self) -> pd.DataFrame:
        """The most important first."""
        return super().drawn().sort_values("rank", kind="stable")

    def alt_text(self) -> str:
        """Shares in words."""
        rows = self.drawn()
        parts = [f"{self.labels.get(name, name)} {share:.0%}" for name, share in zip(rows["term"], rows["importance"])]
        return f"{self.title}. Importance: {'; '.join(parts)}."

    def pooling(self) -> Poolable:
        """R² of each driver, with the covariance of the resamples."""
        return Poolable(
            keys=self.drivers[["term"]],
            estimates=self.drivers["estimate"].to_numpy(),
            covariance=np.cov(self.resamples, rowvar=False),
            df_complete=float(self.summary["df_residual"]),
            n=int(self.summary["n"]),
            title=self.title,
            note="R² that falls to each driver, averaged over all orders in which they can enter (LMG, Shapley).",
        )


class _Split(NamedTuple):
    """R² of all subsets, what falls to each driver, and the same in resamples."""

    r_squared: Array
    lmg: Array
    resamples: Array


class _Model(NamedTuple):
    """What was asked for, what it was fitted to, and what came out."""

    formula: Formula
    drivers: tuple[str, ...]
    design: Design
    weights: Array
    split: _Split
    conf_level: float
    n_groups: int


def importance(
    formula: str,
    data: Data,
    *,
    cluster: str | None = None,
    weights: Weights | str | None = None,
    n_boot: int = 1000,
    seed: int = 1,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Importance:
    """Compare how important drivers are that go together with an outcome and with each other.

    Parameters
    ----------
    formula : str
        Such as `"adoption ~ leadership + readiness + C(unit)"`, with 2 to 15 drivers. Terms made of `C()` are controls:
        in every model, and not compared.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    cluster : str, optional
        Column with teams whose members may resemble each other: these are drawn as a whole. 6 at least; departments
        that tables hide count as one.
    weights : Weights or str, optional
        From `rake` or `poststratify`, or a variable with weights.
    n_boot : int
        Resamples of respondents (teams) for intervals and the stability of ranks.
    seed : int
        Seed of the resamples.
    conf_level : float
        Level of the percentile intervals, each for itself.
    min_n : int, optional
        Raises the threshold below which levels are pooled or refused.

    Returns
    -------
    Importance
        `estimate` is the R² that falls to a driver, averaged over all orders in which drivers can enter a linear model
        (LMG, Shapley; the same as general dominance); `importance` its share of what all drivers account for together.
        `.dominance` has the pairs: "more important" where the interval of the difference of shares is above 0, else
        "cannot tell", and always below 30 respondents; and which kind of dominance (complete, conditional, general)
        holds. The intervals of all pairs hold together: the largest deviation of each resample, in standard errors,
        sets their width (max-T, on Fisher's scale). `.conditional` has what a driver adds by the number of others held
        constant.

    Raises
    ------
    StudyError
        If the formula cannot be read, has products, no constant, or not 2 to 15 drivers.
    DataError
        If columns are unknown or constant, drivers give the outcome exactly, or respondents or teams are too few.
    DisclosureError
        If a coefficient would describe fewer respondents than the threshold.
    EstimationError
        If drivers determine each other.

    Notes
    -----
    Simulated: 5 drivers that matter as much are called different, any two of them, in 6 % of samples of 100 or 300
    (34 and 41 % with percentile intervals, each for itself); 2 such drivers in 0 %.

    References
    ----------
    Lindeman, Merenda & Gold (1980); Budescu (1993), Psychological Bulletin 114, 542-551; Azen & Budescu (2003),
    Psychological Methods 8, 129-148; Grömping (2006), J. Statistical Software 17. The lmg of R relaimpo, "always" for
    controls; agrees to 1e-10 with all orders of R `lm` (tests/reference/importance.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    >>> frame["y"] = 2 * frame["a"] + frame["b"] + rng.normal(size=300)
    >>> importance("y ~ a + b", frame, n_boot=200).dominance.tidy()["verdict"].tolist()
    ['more important']
    """
    _check_options(n_boot, conf_level)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    parsed = parse_formula(formula)
    drivers = _drivers(parsed)
    also = [cluster] if cluster else []
    design = build_design(parsed, pool_hidden(data, parsed.columns), min_level_n=policy.min_n, also=also)
    groups = _clusters(pooled_column(data, cluster)[design.used]) if cluster else None
    weighting = sampling_of(data, weights).weights[design.used]
    with one_thread():
        _check_design(design, drivers, weighting / weighting.mean(), policy)
        split = _split(design, drivers, weighting / weighting.mean(), groups, int(n_boot), seed)
        n_groups = 0 if groups is None else int(groups.max()) + 1
        model = _Model(parsed, drivers, design, weighting, split, conf_level, n_groups)
        return _result(model, data, policy, weights is not None)


def _check_options(n_boot: int, conf_level: float) -> None:
    check_level(conf_level)
    if not isinstance(n_boot, Integral) or n_boot < FEWEST_RESAMPLES:
        raise StudyError(f"n_boot = {n_boot!r} is too few. Use {FEWEST_RESAMPLES} or more.")


def _clusters(column: pd.Series) -> NDArray[np.intp]:
    """Number the teams from 0; those who do not state theirs are one."""
    groups, found = pd.factorize(column.astype(object).fillna(NO_GROUP))
    if len(found) < FEWEST_CLUSTERS:
        raise DataError(
            f'"{column.name}" has {plural(len(found), "cluster")} in the complete rows; drawing clusters needs at '
            f"least {FEWEST_CLUSTERS}. Leave cluster= out and add C({column.name}) to the formula."
        )
    return groups


def _drivers(formula: Formula) -> tuple[str, ...]:
    """Names of the terms that are compared."""
    if any(len(term) > 1 for term in formula.terms):
        raise StudyError(
            "Importance is about single drivers: leave products (a:b, a*b) out, or ask moderate() for them."
        )
    if not formula.intercept:
        raise StudyError("Importance needs the constant. Remove the 0 or -1 from the formula.")
    drivers = tuple(term_label(term) for term in formula.terms if term[0].transform != "C")
    if not 2 <= len(drivers) <= MOST_DRIVERS:
        raise StudyError(
            f'The formula "{formula.text}" has {len(drivers)} drivers; importance compares 2 to {MOST_DRIVERS}. '
            "Terms in C() are controls and not compared."
        )
    return drivers


def _check_design(design: Design, drivers: tuple[str, ...], weights: Array, policy: Privacy) -> None:
    n, p = design.x.shape
    if design.event:
        raise DataError("The outcome is text. Importance splits the variance of a number; name one.")
    if n - p < 1:
        raise DataError(
            f"{n} complete rows cannot carry {p} coefficients: at least {p + 1} are needed. Name fewer terms."
        )
    for name in drivers:
        for column in _columns(design, name):
            if abs(np.corrcoef(design.x[:, column], design.y)[0, 1]) > 1 - EXACT:
                raise DataError(f'"{name}" gives the outcome exactly. Is one computed from the other? Leave it out.')
    root = np.sqrt(weights)
    fit = least_squares(design.x * root[:, None], design.y * root, names=design.names)
    centered = design.y - np.average(design.y, weights=weights)
    if (fit.residuals**2).sum() <= (1 - PERFECT) * (weights * centered**2).sum():
        raise DataError(
            "The drivers together give the outcome exactly. Is it computed from them, as a total is? Then there is "
            "nothing to learn about how much each matters: name another outcome."
        )
    if describes_too_few(design.x, fit.hat, min_n=policy.min_n):
        raise DisclosureError(
            f"The drivers together give the mean of fewer than {policy.min_n} respondents whom nobody resembles. "
            "Merge values by what they mean, or name fewer terms."
        )


def _columns(design: Design, name: str) -> list[int]:
    return [place for place, term in enumerate(design.terms) if term == name]


def _split(
    design: Design, drivers: tuple[str, ...], weights: Array, groups: NDArray[np.intp] | None, n_boot: int, seed: int
) -> _Split:
    columns = np.column_stack([design.x, design.y])
    terms = [_columns(design, name) for name in drivers]
    compared = {place for term in terms for place in term}
    always = [place for place, name in enumerate(design.terms) if place not in compared and name != INTERCEPT]
    constant = _columns(design, INTERCEPT)
    kept = [place for place in range(columns.shape[1]) if place not in constant]
    renamed = {place: new for new, place in enumerate(kept)}
    terms = [[renamed[place] for place in term] for term in terms]
    always = [renamed[place] for place in always]
    r_squared = subset_r_squared(centered_products(columns[:, kept], weights[None, :])[0], terms, always=always)
    options = {"always": always, "n_boot": n_boot, "seed": seed, "groups": groups}
    resamples = resampled_shares(columns[:, kept], weights, terms, **options)
    return _Split(r_squared, shapley_shares(r_squared), resamples)


def _result(model: _Model, data: Data, policy: Privacy, weighted: bool) -> Importance:
    labels = dict(labels_of(data))
    outcome = labels.get(model.formula.outcome.label, model.formula.outcome.label)
    n, p = model.design.x.shape
    shared = {"labels": labels, "privacy": policy}
    pairs = _pairs(model)
    none, full = float(model.split.r_squared[0]), float(model.split.r_squared[-1])
    summary = {"n": n, "n_dropped": model.design.n_dropped, "r_squared": full}
    if model.n_groups:
        summary["n_groups"] = model.n_groups
    if model.design.controls:
        summary["r_squared_controls"] = none
    return Importance(
        title=f"How important drivers are for {outcome}",
        note=_note(model, labels, weighted),
        findings=(*model.design.findings, *_findings(model, labels, weighted)),
        drivers=_driver_rows(model, pairs, labels),
        dominance=Dominance(
            title=f"Which driver is the more important one for {outcome}",
            note="Differences of shares. Complete: the first driver adds more to every set of the others; conditional: "
            "on average for every number of others; general: on average over all. More important: the interval of the "
            "difference is above 0. The intervals hold for all pairs together (max-T).",
            rows=pairs,
            n=n,
            conf_level=model.conf_level,
            **shared,
        ),
        conditional=_conditional(model, outcome, n, shared),
        summary={**summary, "df_residual": n - p, "n_boot": len(model.split.resamples), "conf_level": model.conf_level},
        resamples=model.split.resamples,
        **shared,
    )


def _conditional(model: _Model, outcome: str, n: int, shared: Mapping[str, object]) -> ConditionalDominance:
    table = conditional_dominance(model.split.r_squared)
    rows = [
        {"term": name, "n_others": others, "estimate": float(value)}
        for name, values in zip(model.drivers, table, strict=True)
        for others, value in enumerate(values)
    ]
    return ConditionalDominance(
        title=f"What drivers add for {outcome}",
        note="R² a driver adds on average when so many of the other drivers are held constant.",
        rows=pd.DataFrame(rows),
        n=n,
        **shared,
    )


def _shares(lmg: Array) -> Array:
    total = lmg.sum(axis=-1, keepdims=True)
    return np.where(total > SAME, lmg / np.where(total > SAME, total, 1.0), np.nan)


def _interval(values: Array, conf_level: float) -> tuple[Array, Array]:
    tail = (1 - conf_level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail], axis=0)
    return low, high


def _ranks(values: Array) -> Array:
    return stats.rankdata(-values, method="min", axis=-1)


def _pairs(model: _Model) -> pd.DataFrame:
    """Every pair once, the driver with the larger share first."""
    lmg, split, names = model.split.lmg, model.split, model.drivers
    complete, by_size = complete_dominance(split.r_squared), conditional_dominance(split.r_squared)
    shares, drawn = _shares(lmg), _shares(split.resamples)
    order = np.argsort(-lmg, kind="stable")
    first, second = (order[places] for places in np.triu_indices(len(order), 1))
    differences = shares[first] - shares[second]
    bent, bent_draws = (_bent(each) for each in (differences, drawn[:, first] - drawn[:, second]))
    low, high = np.tanh(simultaneous_interval(bent, bent_draws, model.conf_level))
    told = _explains(model) and len(model.design.x) >= ENOUGH_RESPONDENTS
    return pd.DataFrame(
        {
            "term": [names[i] for i in first],
            "other_term": [names[j] for j in second],
            "dominance": [_kind(complete[i, j], by_size[i], by_size[j]) for i, j in zip(first, second)],
            "difference": differences,
            "conf_low": low,
            "conf_high": high,
            "ahead_share": (split.resamples[:, first] > split.resamples[:, second]).mean(axis=0),
            "verdict": np.where(told & (low > 0), MORE, CANNOT_TELL),
        }
    )


def _bent(differences: Array) -> Array:
    """Differences of shares, which spread less near -1 and 1, on Fisher's scale, where they spread alike."""
    return np.arctanh(np.clip(differences, -LARGEST, LARGEST))


def _kind(complete: bool, first: Array, second: Array) -> str:
    if complete:
        return "complete"
    if (first >= second - SAME).all() and (first > second + SAME).any():
        return "conditional"
    return "general" if first.mean() > second.mean() + SAME else "none"


def _explains(model: _Model) -> bool:
    """Whether the drivers together account for more than chance (F test)."""
    r_squared, (n, p) = model.split.r_squared, model.design.x.shape
    q = sum(len(_columns(model.design, name)) for name in model.drivers)
    rest = max(1 - r_squared[-1], np.finfo(float).tiny)
    return bool(stats.f.sf((r_squared[-1] - r_squared[0]) / q / (rest / (n - p)), q, n - p) < LEVEL)


def _driver_rows(model: _Model, pairs: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    lmg, resamples = model.split.lmg, model.split.resamples
    (low, high), (share_low, share_high) = (_interval(x, model.conf_level) for x in (resamples, _shares(resamples)))
    by_size = conditional_dominance(model.split.r_squared)
    table = pd.DataFrame(
        {
            "term": model.drivers,
            "estimate": lmg,
            "conf_low": low,
            "conf_high": high,
            "importance": _shares(lmg),
            "importance_low": share_low,
            "importance_high": share_high,
            "rank": _ranks(lmg).astype(int),
            "rank_share": (_ranks(resamples) == _ranks(lmg)).mean(axis=0),
            "alone": by_size[:, 0],
            "last": by_size[:, -1],
        }
    )
    return table.assign(reading=[_reading(name, pairs, labels) for name in model.drivers])


def _reading(name: str, pairs: pd.DataFrame, labels: Mapping[str, str]) -> str:
    sure = pairs[pairs["verdict"] == MORE]
    above = [labels.get(other, other) for other in sure.loc[sure["term"] == name, "other_term"]]
    below = [labels.get(other, other) for other in sure.loc[sure["other_term"] == name, "term"]]
    parts = [
        f"{words} important than {join_words(names)}" for words, names in (("more", above), ("less", below)) if names
    ]
    return "; ".join(parts) or CANNOT_TELL


def _note(model: _Model, labels: Mapping[str, str], weighted: bool) -> str:
    parts = [
        "Importance is the share of what the drivers account for together that falls to each, averaged over all orders "
        "in which they can enter (LMG, Shapley). It has no sign, and no driver has a share of exactly 0",
        f"Percentile intervals and ranks from {len(model.split.resamples):,} resamples of "
        f"{'clusters' if model.n_groups else 'respondents'}",
        "It says what goes with the outcome, not what a change would bring about",
    ]
    if model.design.controls:
        names = [term.removeprefix("C(").removesuffix(")") for term in sorted(model.design.controls)]
        parts.append(f"Held constant throughout: {join_words([labels.get(name, name) for name in names])}")
    if weighted:
        parts.append("Weighted; respondents keep their weights in the resamples")
    return ". ".join(parts) + "."


def _findings(model: _Model, labels: Mapping[str, str], weighted: bool) -> Iterator[Finding]:
    n, p = model.design.x.shape
    if n < ENOUGH_RESPONDENTS:
        text = f"Only {n} respondents have all answers needed; fewer than {ENOUGH_RESPONDENTS} are too little data."
        yield Finding(name="too_little_data", text=text, severity="serious")
    elif n / p < ENOUGH_PER_COEFFICIENT:
        text = f"{n} respondents for {p} coefficients are fewer than {ENOUGH_PER_COEFFICIENT} each: R² is too high."
        yield Finding(name="few_respondents", text=text)
    if 0 < model.n_groups < ENOUGH_CLUSTERS:
        text = (
            f"There are only {model.n_groups} clusters; with fewer than {ENOUGH_CLUSTERS} intervals from resampled "
            "clusters tend to be too narrow."
        )
        yield Finding(name="few_clusters", text=text)
    if model.design.n_dropped > MANY_DROPPED * (n + model.design.n_dropped):
        text = "More than 10 % of the rows were left out because an answer is missing; those who remain may differ."
        yield Finding(name="many_dropped", text=text)
    if not _explains(model):
        text = "The drivers together account for no more than chance would, so their shares of it say nothing."
        yield Finding(name="nothing_to_share", text=text, severity="serious")
    yield from _overlap(model, labels)
    yield from extreme_weights(model.weights) if weighted else ()


def _overlap(model: _Model, labels: Mapping[str, str]) -> Iterator[Finding]:
    root = np.sqrt(model.weights / model.weights.mean())
    fit = least_squares(model.design.x * root[:, None], model.design.y * root, names=model.design.names)
    inflated = dict(zip(model.design.terms, variance_inflation(fit.bread, model.design.terms), strict=True))
    high = [labels.get(name, name) for name in model.drivers if inflated[name] >= rules.COLLINEARITY.cuts[0]]
    if high:
        text = f"{join_words(high)} overlap so much that they share what they account for nearly evenly."
        yield Finding(name="collinearity", text=text)
