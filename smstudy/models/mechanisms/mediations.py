"""By way of what a driver may go with an outcome: direct and indirect effects, and what speaks against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import apa, figures, path_diagrams, rules
from smstudy.display.prose import join_words
from smstudy.inference.bootstrap import Bootstrap, Interval
from smstudy.inference.linearization import check_level
from smstudy.inference.regression.covariance import ENOUGH_CLUSTERS, NAMES
from smstudy.inference.regression.formula import term_label
from smstudy.inference.regression.pathways import (
    DRIVER,
    MODERATOR,
    OUTCOME,
    PRODUCT,
    Effect,
    bootstrap_paths,
    part,
)
from smstudy.inference.threads import one_thread
from smstudy.models.mechanisms.confounding import RHO, Confounding, confounding_of
from smstudy.models.mechanisms.mediation_models import (
    PARALLEL,
    SERIAL,
    Asked,
    MediationModel,
    build_mediation,
    check_asked,
    control_terms,
    depending,
    fit_equation,
    model_number,
    names_of,
)
from smstudy.models.mechanisms.moderator_values import end_words, without_numbers
from smstudy.models.regressions.regression_fits import Fit, Inference
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, privacy_of

Array = NDArray[np.float64]
Fits = Mapping[str, tuple[Fit, Inference]]
ENOUGH_RESPONDENTS = 30
ENOUGH_PER_COEFFICIENT = 10
MANY_DROPPED = 0.10
FEWEST_DRAWN = 15
CANNOT_TELL = "cannot tell"
ARROW, LESS = " → ", " less "


@dataclass(frozen=True, kw_only=True, repr=False)
class Paths(Result):
    """The single paths of a mediation."""

    rows: pd.DataFrame = field(repr=False)
    controls: frozenset[str]
    n: int
    conf_level: float

    picture: ClassVar[Callable[..., Axes]] = staticmethod(path_diagrams.paths)

    def tidy(self) -> pd.DataFrame:
        """One row per path and control: outcome, term, estimate and its errors."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and level."""
        return {"n": self.n, "conf_level": self.conf_level}

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls."""
        columns = ["outcome", "term", "estimate", "std_error", "conf_low", "conf_high", "std_estimate", "p_value"]
        return shown.loc[~shown["term"].isin(self.controls), columns]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw driver, mediators and outcome with their paths."""
        drawn = self.drawn()
        return path_diagrams.paths(ax or path_diagrams.new_axes(drawn), drawn, labels=self.labels, title=self.title)

    def drawn(self) -> pd.DataFrame:
        """Paths without controls."""
        rows = super().drawn()
        return rows[~rows["term"].isin(self.controls)]

    def alt_text(self) -> str:
        """The paths in words."""
        names = self.labels
        parts = [
            f"{names.get(row['term'], row['term'])} to {names.get(row['outcome'], row['outcome'])} "
            f"{apa.number(row['estimate'])}"
            for row in self.drawn().to_dict("records")
        ]
        return f"{self.title}. {'; '.join(parts)}."


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Mediation(Result):
    """Direct and indirect effects of a driver.

    Attributes
    ----------
    effects : DataFrame
        The tidy table.
    paths : Paths
        The single paths, with a diagram.
    confounding : Confounding or None
        How strong an unmeasured confounder would have to be; None with a moderator or mediators one after the other.
    resamples : Bootstrap
        All effects in all resamples, in the order of the table.
    summary : mapping
        What `glance()` gives.
    """

    effects: pd.DataFrame = field(repr=False)
    paths: Paths = field(repr=False)
    confounding: Confounding | None = field(repr=False)
    resamples: Bootstrap = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar[Callable[..., Axes]] = staticmethod(
        partial(figures.estimates, xlabel="Effect, with bootstrap interval")
    )

    def tidy(self) -> pd.DataFrame:
        """One row per effect."""
        return self.effects.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, resamples and level."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns without a value."""
        columns = ["effect", "term", "at", "estimate", "std_error", "conf_low", "conf_high", "std_estimate"]
        columns += ["mediated_share", "p_value", "reading"]
        return shown[[name for name in columns if shown[name].notna().any() and (shown[name] != "").any()]]

    def pooling(self) -> Poolable:
        """All effects with the covariance of the resamples: pooled intervals are symmetric, those of resamples not."""
        return Poolable(
            keys=self.effects[["effect", "term"]].assign(at=without_numbers(self.effects["at"])),
            estimates=self.effects["estimate"].to_numpy(),
            covariance=self.resamples.covariance,
            df_complete=float(self.summary.get("n_groups", self.summary["df_residual"] + 1)) - 1,
            n=int(self.summary["n"]),
            title=self.title,
            note="Pooled with the errors of the resamples; intervals are symmetric, although indirect effects are not.",
        )

    def drawn(self) -> pd.DataFrame:
        """Effects named in words."""
        rows = super().drawn()
        named = [self._name(row) for row in rows.to_dict("records")]
        return rows.assign(term=named)

    def _name(self, row: Mapping[str, object]) -> str:
        words = f"{row['effect']}: {self.labels.get(row['term'], row['term'])}" if row["term"] else str(row["effect"])
        return f"{words}, {row['at']}" if row["at"] else words


def mediate(
    data: Data,
    *,
    outcome: str,
    driver: str,
    mediators: Sequence[str],
    moderator: str | None = None,
    model: int | None = None,
    controls: Sequence[str] = (),
    cluster: str | None = None,
    interval: Interval = "percentile",
    n_boot: int = 2000,
    seed: int = 1,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Mediation:
    """Split how a driver goes with an outcome into a direct part and parts by way of mediators.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    outcome : str
        A number that is explained.
    driver : str
        A number, or something with two values.
    mediators : sequence of str
        Numbers: side by side, or in model 6 one after the other in this order.
    moderator : str, optional
        What paths depend on: a number, or something with two values; for models 7 to 59.
    model : {4, 6, 7, 8, 14, 15, 58, 59}, optional
        Number of the model in Hayes (2022): 4 parallel (the default), 6 serial; the moderator acts on the path to the
        mediators (7), from them (14), both (58), or also on the direct path (8, 15, 59). Model 1 is `moderate`.
    controls : sequence of str
        Columns or terms such as "C(unit)" that are in every equation.
    cluster : str, optional
        Column of the groups that are drawn as a whole in the resamples.
    interval : {"percentile", "bca"}
        Kind of the bootstrap intervals.
    n_boot, seed : int
        Resamples of respondents (clusters), and their seed.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    Mediation
        `effect` is total, direct, indirect (by way of the mediators in `term`), all indirect, difference (of two
        indirect effects), or, with a moderator, the same `at` its mean and one standard deviation around it, and the
        index of moderated mediation: by how much the indirect effect changes per unit of the moderator (58 and 59:
        between its highest and lowest value shown). `std_estimate` is in standard deviations, with a driver of two
        values of the outcome only. Intervals of indirect effects are cautious: with no path at all they leave out zero
        far less often than 1 − `conf_level`. `p_value` is from the resamples, as percentile intervals are; with BCa
        intervals only total and direct effects have one, by the errors of the regressions. `.paths` has the single
        paths, the R² of each equation and a diagram. `.confounding` is what an unmeasured confounder would do, by one
        mediator at a time; it is None with a moderator (the effect is then one per value) and in model 6, in which a
        confounder of one mediator would bend the paths of all that follow (Imai & Yamamoto, 2013).

    Raises
    ------
    StudyError
        If the model is not known or does not fit, or a column has two parts to play.
    DataError
        If columns are unknown, constant, or text where a number is needed, the outcome or a mediator has two values,
        or there are fewer than 6 clusters.
    DisclosureError
        If a coefficient would describe fewer respondents than the threshold.
    EstimationError
        If columns determine each other, or too many resamples do not tell the paths apart.

    References
    ----------
    Hayes (2022), Introduction to Mediation, Moderation, and Conditional Process Analysis; Preacher & Hayes (2008),
    Behavior Research Methods 40, 879-891; Imai, Keele & Yamamoto (2010), Statistical Science 25, 51-71. Agrees with R
    `lm`, `lavaan`, and a bootstrap by hand over the same resamples (tests/reference/mediation.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=200)})
    >>> frame["m"] = frame["x"] + rng.normal(size=200)
    >>> frame["y"] = frame["m"] + rng.normal(size=200)
    >>> found = mediate(frame, outcome="y", driver="x", mediators=["m"], n_boot=500).tidy()
    >>> found["effect"].tolist(), bool(found["conf_low"].iloc[2] > 0)
    (['total', 'direct', 'indirect'], True)
    """
    check_level(conf_level)
    asked = Asked(
        outcome=outcome,
        driver=driver,
        mediators=names_of(mediators, "mediators"),
        moderator=moderator,
        number=model_number(model, moderator),
        controls=control_terms(controls, outcome),
        cluster=cluster,
        interval=interval,
        n_boot=n_boot,
        seed=seed,
        conf_level=float(conf_level),
    )
    check_asked(asked)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    with one_thread():
        return _result(build_mediation(asked, data, policy), policy)


def _result(model: MediationModel, policy: Privacy) -> Mediation:
    asked = model.asked
    fits = {name: fit_equation(model, name, policy) for name in (*list(model.paths.equations)[1:], OUTCOME)}
    sensitive = asked.number == PARALLEL
    drawn = bootstrap_paths(
        model.paths, model.columns, n_controls=model.n_controls, n_boot=asked.n_boot, seed=asked.seed,
        groups=model.groups, leave_out=asked.interval == "bca", rho=RHO if sensitive else None,
    )  # fmt: skip
    found = part(drawn, slice(len(model.paths.effects)))
    labels = dict(model.labels) | _labels(model)
    shared = {"labels": labels, "privacy": policy}
    confounding = _confounding(model, fits, drawn, shared) if sensitive else None
    table = _table(model, found, labels, _tested(model, fits, policy))
    driver, outcome = (labels.get(name, name) for name in (asked.driver, asked.outcome))
    between = join_words([labels.get(name, name) for name in asked.mediators])
    return Mediation(
        title=f"How {driver} goes with {outcome}, directly and by way of {between}",
        note=_note(model, len(found.draws), labels),
        findings=tuple(_findings(model, fits, found, confounding)),
        effects=table,
        paths=_paths(model, fits, f"Paths from {driver} to {outcome}", shared),
        confounding=confounding,
        resamples=found,
        summary=_summary(model, fits, found),
        **shared,
    )


def _confounding(model: MediationModel, fits: Fits, drawn: Bootstrap, shared: Mapping[str, object]) -> Confounding:
    asked, start = model.asked, len(model.paths.effects)
    size = len(RHO) + 1
    *mediators, outcome = (1 - share for share in _explained(model, fits).values())
    return confounding_of(
        [part(drawn, slice(start + size * via, start + size * (via + 1))) for via in range(len(asked.mediators))],
        (mediators, outcome),
        n=len(model.columns),
        conf_level=asked.conf_level,
        names=(asked.driver, asked.mediators, asked.outcome),
        **shared,
    )


def _explained(model: MediationModel, fits: Fits) -> dict[str, float]:
    """R² of each equation."""
    return {
        model.asked.names[name]: float(1 - np.sum(fit.residuals**2) / np.sum(model.column(name) ** 2))
        for name, (fit, _) in fits.items()
    }


def _tested(model: MediationModel, fits: Fits, policy: Privacy) -> dict[Effect, float]:
    """p of effects that are coefficients of a regression: total and direct ones without a moderator."""
    direct = DRIVER if PRODUCT not in model.paths.equations[OUTCOME] else None
    found = {Effect("direct"): _p_of(fits[OUTCOME][1])} if direct else {}
    if not model.paths.moderated:
        found[Effect("total")] = _p_of(fit_equation(model, OUTCOME, policy, explains=[DRIVER])[1])
    return found


def _p_of(tests: Inference) -> float:
    """p of the driver, which stands first after the constant."""
    return float(tests.p_value[1])


def _summary(model: MediationModel, fits: Fits, found: Bootstrap) -> dict[str, int | float | str]:
    n = len(model.columns)
    groups = {"n_groups": model.n_groups} if model.n_groups else {}
    left = n - len(fits[OUTCOME][0].coefficients)
    return {
        "n": n,
        "n_dropped": model.design.n_dropped,
        **groups,
        "r_squared": _explained(model, fits)[model.asked.outcome],
        "df_residual": left,
        "n_boot": len(found.draws),
        "conf_level": model.asked.conf_level,
    }


def _paths(model: MediationModel, fits: Fits, title: str, shared: Mapping[str, object]) -> Paths:
    parts = [f"Linear regressions, {NAMES[model.covariance]} standard errors", _explained_words(model, fits, shared)]
    parts.append("Estimates, also those of the diagram, are in points of what is explained (not standardized)")
    if model.paths.moderated:
        name = shared["labels"].get(str(model.asked.moderator), model.asked.moderator)
        parts.append(f"{name} acts on {depending(model.asked.number)}; such a path is the one at its mean")
    return Paths(
        title=title,
        note=". ".join(parts) + ".",
        rows=pd.concat([_path_rows(model, name, *fit) for name, fit in fits.items()], ignore_index=True),
        controls=frozenset(model.control_names),
        n=len(model.columns),
        conf_level=model.asked.conf_level,
        **shared,
    )


def _explained_words(model: MediationModel, fits: Fits, shared: Mapping[str, object]) -> str:
    labels = shared["labels"]
    pairs = _explained(model, fits).items()
    return f"R²: {join_words([f'{labels.get(name, name)} {apa.bounded(value)}' for name, value in pairs])}"


def _path_rows(model: MediationModel, outcome: str, fit: Fit, tests: Inference) -> pd.DataFrame:
    equation, names = model.paths.equations[outcome], model.coefficient_names(outcome)
    units = [np.nan if ":" in model.asked.names[name] else model.unit(name) for name in equation]
    beta = np.full(len(names), np.nan)
    own = slice(1, 1 + len(equation))
    beta[own] = fit.coefficients[own] * units / model.column(outcome).std(ddof=1)
    return pd.DataFrame(
        {
            "outcome": model.asked.names[outcome],
            "term": names,
            "estimate": fit.coefficients,
            "std_error": tests.errors,
            "statistic": tests.statistic,
            "df": tests.df,
            "p_value": tests.p_value,
            "conf_low": tests.conf_low,
            "conf_high": tests.conf_high,
            "std_estimate": beta,
        }
    )[1:]


def _table(
    model: MediationModel, found: Bootstrap, labels: Mapping[str, str], tested: Mapping[Effect, float]
) -> pd.DataFrame:
    asked = model.asked
    low, high = found.interval(asked.conf_level, kind=asked.interval)
    p_value = found.p_value() if asked.interval == "percentile" else np.full(len(low), np.nan)
    unit = model.unit(DRIVER) / model.column(OUTCOME).std(ddof=1)
    rows = []
    for place, effect in enumerate(model.paths.effects):
        slope = effect.kind == "index" and model.paths.linear_index
        words, value = _at(model, effect)
        row = {
            "effect": effect.kind,
            "term": _way(asked, effect),
            "at": words,
            "moderator_value": value,
            "estimate": found.estimate[place],
            "std_error": found.std_error[place],
            "conf_low": low[place],
            "conf_high": high[place],
            "p_value": p_value[place] if asked.interval == "percentile" else tested.get(effect, np.nan),
            "std_estimate": found.estimate[place] * unit * (model.unit(MODERATOR) if slope else 1.0),
        }
        rows.append({**row, "reading": _reading(model, effect, row, labels)})
    for place, effect in enumerate(model.paths.effects):
        if effect.kind == "index":
            rows[place]["reading"] = _index_reading(model, effect, rows, labels)
    table = pd.DataFrame(rows)
    return table.assign(mediated_share=_shares(table))


def _at(model: MediationModel, effect: Effect) -> tuple[str, float]:
    """Where along the moderator an effect is, in words and as a number."""
    if effect.kind == "index" and not model.paths.linear_index:
        return f"{model.places[-1][0]}{LESS}{model.places[0][0]}", np.nan
    return model.places[effect.at] if effect.at >= 0 else ("", np.nan)


def _way(asked: Asked, effect: Effect) -> str:
    """The mediators of an effect as one name."""
    return _joint(effect).join(asked.mediators[place] for place in effect.via)


def _joint(effect: Effect) -> str:
    return LESS if effect.kind == "difference" else ARROW


def _shares(table: pd.DataFrame) -> Array:
    """Share of the total that is indirect, where all parts have one sign and the total is clear."""
    total = table[table["effect"] == "total"]
    if total.empty or not (total["conf_low"].iloc[0] > 0 or total["conf_high"].iloc[0] < 0):
        return np.full(len(table), np.nan)
    whole = total["estimate"].iloc[0]
    parts = table.loc[table["effect"].isin(["direct", "indirect"]), "estimate"]
    if (np.sign(parts) != np.sign(whole)).any():
        return np.full(len(table), np.nan)
    return np.where(table["effect"].isin(["indirect", "all indirect"]), table["estimate"] / whole, np.nan)


def _reading(model: MediationModel, effect: Effect, row: Mapping[str, object], labels: Mapping[str, str]) -> str:
    asked = model.asked
    clear, up = _clear(row), row["estimate"] > 0
    if effect.kind == "difference":
        return "the two differ" if clear else f"{CANNOT_TELL} which is larger"
    if not clear:
        return CANNOT_TELL
    sign = "positive" if up else "negative"
    if effect.kind == "indirect":
        names = [labels.get(asked.mediators[place], asked.mediators[place]) for place in effect.via]
        return f"{sign}, in line with a way by {' and then '.join(names)}"
    if effect.kind == "all indirect":
        return f"{sign}, in line with ways by the mediators together"
    size = rules.EFFECT if len(np.unique(model.column(DRIVER))) == 2 else rules.STANDARDIZED
    return f"{size.read(abs(row['std_estimate']))}, {sign}"


def _clear(row: Mapping[str, object]) -> bool:
    return bool(row["conf_low"] > 0 or row["conf_high"] < 0)


def _index_reading(
    model: MediationModel, effect: Effect, rows: Sequence[Mapping[str, object]], labels: Mapping[str, str]
) -> str:
    """How the indirect effect at the highest value of the moderator stands beside that at the lowest."""
    name = labels.get(str(model.asked.moderator), str(model.asked.moderator))
    own = [row for row, other in zip(rows, model.paths.effects) if (other.kind, other.via) == ("indirect", effect.via)]
    if not _clear(rows[model.paths.effects.index(effect)]):
        return f"{CANNOT_TELL} whether it depends on {name}"
    words = end_words(*((float(row["estimate"]), _clear(row)) for row in (own[0], own[-1])))
    return f"indirect effect {words if words == 'changes sign' else f'is {words}'} where {name} is high"


def _labels(model: MediationModel) -> dict[str, str]:
    """Words for products and ways."""
    asked, labels = model.asked, model.labels
    products = [name for key, name in asked.names.items() if " x " in key]
    words = {name: " × ".join(labels.get(part, part) for part in name.split(":")) for name in products}
    for effect in model.paths.effects:
        if len(effect.via) > 1:
            names = [asked.mediators[place] for place in effect.via]
            words[_way(asked, effect)] = _joint(effect).join(labels.get(name, name) for name in names)
    return words


def _note(model: MediationModel, n_boot: int, labels: Mapping[str, str]) -> str:
    asked = model.asked
    kind = "percentile" if asked.interval == "percentile" else "BCa"
    how = f"mediators {'one after the other' if asked.number == SERIAL else 'side by side'}"
    if model.paths.moderated:
        name = labels.get(str(asked.moderator), str(asked.moderator))
        how = f"{name} is the moderator of {depending(asked.number)}"
    parts = [
        f"Model {asked.number} of Hayes: {how}",
        f"Linear regressions, {kind} intervals from {n_boot:,} resamples of "
        f"{'clusters' if model.n_groups else 'respondents'}",
        "An indirect effect is the product of its paths. Where its interval leaves out zero, the way by the mediator "
        "is in line with the data, not shown to be how it works",
        "p from the same resamples"
        if asked.interval == "percentile"
        else f"p, where there is one, by {NAMES[model.covariance]} errors",
        "See .paths for the single paths"
        + (" and .confounding for what something unmeasured would do" if asked.number == PARALLEL else ""),
    ]
    if asked.number != PARALLEL:
        parts.append("No confounder is tried out: with a moderator or a series it would act on several paths at once")
    if asked.controls:
        names = [term_label(term).removeprefix("C(").removesuffix(")") for term in asked.controls]
        parts.append(f"Controlled for: {join_words([labels.get(name, name) for name in names])}")
    return ". ".join(parts) + "."


def _findings(
    model: MediationModel, fits: Fits, found: Bootstrap, confounding: Confounding | None
) -> Iterator[Finding]:
    text = (
        "If driver, mediators and outcome were asked at the same time, these numbers cannot tell which comes first; "
        "asked one after the other, they still cannot tell whether one brings about the other. Other orders may fit as "
        "well."
    )
    yield Finding(name="one_wave", text=text)
    yield from confounding.findings if confounding else ()
    yield from model.design.findings
    yield from _sample_findings(model, len(fits[OUTCOME][0].coefficients))
    if 0 < model.n_groups < ENOUGH_CLUSTERS:
        text = (
            f"There are only {model.n_groups} clusters; with fewer than {ENOUGH_CLUSTERS} intervals from resampled "
            "clusters tend to be too narrow."
        )
        if model.n_groups < FEWEST_DRAWN:
            text += (
                " With 8 clusters they left out zero in 8 to 9 % of simulated samples without an effect instead of "
                f"5 %: with fewer than {FEWEST_DRAWN}, take an end near zero as {CANNOT_TELL}."
            )
        severity = "serious" if model.n_groups < FEWEST_DRAWN else "warning"
        yield Finding(name="few_clusters", text=text, severity=severity)
    if found.n_failed:
        share = found.n_failed / (found.n_failed + len(found.draws))
        text = f"In {share:.1%} of the resamples the paths could not be told apart; they were left out."
        yield Finding(name="resamples_failed", text=text)


def _sample_findings(model: MediationModel, n_coefficients: int) -> Iterator[Finding]:
    n, dropped = len(model.columns), model.design.n_dropped
    if n < ENOUGH_RESPONDENTS:
        text = f"Only {n} respondents have all answers needed; fewer than {ENOUGH_RESPONDENTS} are too little data."
        yield Finding(name="too_little_data", text=text, severity="serious")
    elif n / n_coefficients < ENOUGH_PER_COEFFICIENT:
        text = f"{n} respondents for {n_coefficients} coefficients are fewer than {ENOUGH_PER_COEFFICIENT} each."
        yield Finding(name="few_respondents", text=f"{text} Estimates may not hold elsewhere.")
    if dropped > MANY_DROPPED * (n + dropped):
        text = "More than 10 % of the rows were left out because an answer is missing; those who remain may differ."
        yield Finding(name="many_dropped", text=text)
